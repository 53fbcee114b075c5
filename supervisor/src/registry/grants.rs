//! Permissions: what a plugin asks for, what its operator says, what it gets. Pure.
//!
//! ```text
//!  asked ∩ (grant, or everything when nothing is said) − deny  =  granted         never more than was asked for
//! ```
//!
//! What is granted here counts until the plugin is loaded again; less may count earlier, when a permission is revoked while it runs.

use croupier_manifest::manifest::Permission;

/// One permission, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Which.
    pub permission: Permission,
    /// What came of it.
    pub standing: Standing,
}

/// Whether a permission is given, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Asked for, and given.
    Granted,
    /// Asked for, and denied by `deny`.
    Denied,
    /// Asked for, and not among those that `grant` lists.
    NotGranted,
    /// Listed in `grant`, and not asked for: nothing comes of it.
    NotAsked,
}

impl Standing {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Granted => "granted",
            Standing::Denied => "denied",
            Standing::NotGranted => "not-granted",
            Standing::NotAsked => "not-asked",
        }
    }

    /// Whether the manifest asks for it.
    pub fn is_asked(self) -> bool {
        self != Standing::NotAsked
    }
}

/// Decides. First what is asked for, in its order, then what is granted without having been asked for.
pub fn decide(asked: &[Permission], grant: Option<&[Permission]>, deny: &[Permission]) -> Vec<Decided> {
    let standing = |permission: &Permission| {
        if deny.contains(permission) {
            Standing::Denied
        } else if grant.is_some_and(|grant| !grant.contains(permission)) {
            Standing::NotGranted
        } else {
            Standing::Granted
        }
    };
    let known = asked
        .iter()
        .map(|permission| Decided { permission: permission.clone(), standing: standing(permission) });
    let unasked = grant.unwrap_or_default().iter().filter(|permission| !asked.contains(permission));
    let unasked =
        unasked.map(|permission| Decided { permission: permission.clone(), standing: Standing::NotAsked });
    known.chain(unasked).collect()
}

/// What is granted.
pub fn granted(decided: &[Decided]) -> impl Iterator<Item = &Permission> {
    decided.iter().filter(|one| one.standing == Standing::Granted).map(|one| &one.permission)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(texts: &[&str]) -> Vec<Permission> {
        texts.iter().map(|text| Permission::try_from((*text).to_owned()).unwrap()).collect()
    }

    fn decided(grant: Option<&[&str]>, deny: &[&str]) -> Vec<&'static str> {
        let asked = permissions(&["send", "emit:table", "threads"]);
        let grant = grant.map(permissions);
        let all = decide(&asked, grant.as_deref(), &permissions(deny));
        assert!(granted(&all).all(|permission| asked.contains(permission)), "never more than was asked for");
        all.iter().map(|one| one.standing.word()).collect()
    }

    #[test]
    fn never_more_than_asked_and_deny_goes_before_grant() {
        assert_eq!(decided(None, &[]), ["granted", "granted", "granted"]);
        assert_eq!(decided(None, &["send"]), ["denied", "granted", "granted"]);
        assert_eq!(decided(Some(&["send"]), &[]), ["granted", "not-granted", "not-granted"]);
        assert_eq!(decided(Some(&["send"]), &["send"]), ["denied", "not-granted", "not-granted"]);
        assert_eq!(decided(Some(&[]), &[]), ["not-granted", "not-granted", "not-granted"]);
        assert_eq!(
            decided(Some(&["call:wallet", "threads"]), &[]),
            ["not-granted", "not-granted", "granted", "not-asked"]
        );
    }
}
