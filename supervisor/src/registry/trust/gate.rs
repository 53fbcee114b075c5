//! Looks at the signature of a plugin that is about to be loaded, and writes down what it saw.
//!
//! ```text
//!  sealed bytes ─▶ look (before anything of the file is parsed) ─▶ manifest ─▶ admit (may this key sign this name?) ─▶ load
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::minisign::Signature;
use super::policy::{Policy, Signer, Trust, TrustError};
use super::store::{Store, StoreError};
use super::{read_text, signature_path};
use crate::audit::record::text;
use crate::audit::{Audit, Happened};

const NS_PER_S: u64 = 1_000_000_000;

/// The policy, the keys, and where it is written down.
#[derive(Debug)]
pub struct Gate {
    policy: Policy,
    store: Store,
    audit: Audit,
    /// The keys as they were written down last.
    told: Mutex<Option<Told>>,
    /// The keys by which what runs was looked at last. A load writes changed keys down too, and looks at nothing but its own plugin.
    looked: Mutex<Option<[u8; 32]>>,
}

/// What was written down of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    /// Them, by their hash.
    Keys([u8; 32]),
    /// That they cannot be read, and why.
    Unreadable(String),
}

/// What has become of the trusted keys since they were looked at last.
#[derive(Debug)]
pub enum Change {
    /// They are the same; or as unreadable as before.
    None,
    /// They are these now.
    Keys(Trust),
    /// They cannot be read any more, or for another reason than before.
    Unreadable(StoreError),
}

/// Why the gate stays shut.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// For the signature.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The trusted keys cannot be read.
    #[error("the trusted keys cannot be read: {0}")]
    Store(#[from] StoreError),
    /// The signature's file cannot be read.
    #[error("cannot read its signature {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What was seen of a signature.
#[derive(Debug)]
pub struct Seen(Option<(Signer, String)>);

impl Seen {
    /// The signature's text, if there was one.
    pub fn signature(&self) -> Option<&str> {
        self.0.as_ref().map(|(_, text)| text.as_str())
    }
}

impl Gate {
    /// With the keys of this store.
    pub fn new(policy: Policy, store: Store, audit: Audit) -> Gate {
        Gate { policy, store, audit, told: Mutex::new(None), looked: Mutex::new(None) }
    }

    /// Checks the signature of these bytes, which came from `path`.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn look(&self, path: &Path, digest: &str, bytes: &[u8]) -> Result<Seen, GateError> {
        if self.policy == Policy::Off {
            return Ok(Seen(None));
        }
        let file = signature_path(path);
        let signature = match read_text(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.policy == Policy::IfPresent => {
                return Ok(Seen(None));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.refused(TrustError::NoSignature, "", digest, "").into());
            }
            Err(source) => return Err(GateError::Read { path: file, source }),
        };
        let keys = self.store.read()?;
        self.tell_keys(&keys);
        match keys.trust.verify(bytes, &signature, crate::clock::wall_ns() / NS_PER_S) {
            Ok(signer) => Ok(Seen(Some((signer, signature)))),
            Err(error) => {
                let key =
                    Signature::parse(&signature).map_or_else(|_| String::new(), |read| read.key.to_string());
                Err(self.refused(error, "", digest, &key).into())
            }
        }
    }

    /// Lets a plugin of this name in.
    ///
    /// # Errors
    /// [`TrustError::NameNotAllowed`].
    pub fn admit(&self, seen: Seen, plugin: &str, digest: &str) -> Result<(), GateError> {
        match seen.0 {
            None => self.tell(plugin, digest, if self.policy == Policy::Off { "off" } else { "none" }, ""),
            Some((signer, _)) => {
                let key = signer.key.to_string();
                signer.may_sign(plugin).map_err(|error| self.refused(error, plugin, digest, &key))?;
                tracing::info!(plugin, key, comment = signer.comment, "signature is good");
                self.tell(plugin, digest, "good", &key);
            }
        }
        Ok(())
    }

    /// Looks at a signature once more that was good, by the keys of now. For a plugin that those who watch the keys know by now: whatever changes later they will see, and what
    /// changed while it was being loaded is seen here.
    ///
    /// # Errors
    /// [`GateError`]: it must not be loaded.
    pub fn look_again(
        &self,
        plugin: &str,
        digest: &str,
        bytes: &[u8],
        signature: &str,
    ) -> Result<(), GateError> {
        if self.policy == Policy::Off {
            return Ok(());
        }
        let keys = self.store.read()?;
        self.tell_keys(&keys);
        let verified = keys.trust.verify(bytes, signature, crate::clock::wall_ns() / NS_PER_S);
        verified.and_then(|signer| signer.may_sign(plugin)).map_err(|error| {
            let key = Signature::parse(signature).map_or_else(|_| String::new(), |read| read.key.to_string());
            self.refused(error, plugin, digest, &key).into()
        })
    }

    /// Looks at the trusted keys. What has become of them is written down, if it is not yet.
    pub fn changed(&self) -> Change {
        if self.policy == Policy::Off {
            return Change::None;
        }
        match self.store.read() {
            Ok(keys) => {
                self.tell_keys(&keys);
                let known = crate::lock(&self.looked).replace(keys.sha256);
                if known == Some(keys.sha256) { Change::None } else { Change::Keys(keys.trust) }
            }
            Err(error) => {
                let now = Some(Told::Unreadable(error.to_string()));
                let is_new = std::mem::replace(&mut *crate::lock(&self.told), now.clone()) != now;
                if !is_new {
                    return Change::None;
                }
                self.audit.tell(Happened::TrustUnreadable { reason: text(&error) });
                Change::Unreadable(error)
            }
        }
    }

    /// What it means that the trusted keys cannot be read.
    pub fn without_keys(&self) -> &'static str {
        match self.policy {
            Policy::Required => {
                "until they can be, no plugin is loaded, and nobody sees whether the signatures of those that run are still good"
            }
            Policy::IfPresent => {
                "until they can be, no plugin with a signature is loaded (one without is), and nobody sees whether the signatures of those that run are still good"
            }
            Policy::Off => "nothing follows from it, since signatures are off",
        }
    }

    fn refused(&self, error: TrustError, plugin: &str, digest: &str, key: &str) -> TrustError {
        self.tell(plugin, digest, error.word(), key);
        error
    }

    fn tell(&self, plugin: &str, digest: &str, verdict: &str, key: &str) {
        self.audit.tell(Happened::SignatureChecked {
            plugin: plugin.to_owned(),
            digest: digest.to_owned(),
            verdict: verdict.to_owned(),
            key: key.to_owned(),
            policy: self.policy.word().to_owned(),
        });
    }

    /// Writes the keys down when they are others than last time.
    fn tell_keys(&self, keys: &super::store::Read) {
        let now = Some(Told::Keys(keys.sha256));
        let before = std::mem::replace(&mut *crate::lock(&self.told), now.clone());
        if matches!(before, Some(Told::Unreadable(_))) {
            tracing::info!("the trusted keys can be read again");
        }
        if before != now {
            self.audit.tell(Happened::TrustRead {
                sha256: hex::encode(keys.sha256),
                roots: keys.trust.roots.len() as u64,
                authors: keys.trust.authors.len() as u64,
                revoked: keys.trust.revoked.len() as u64,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_sees_changed_keys_first_hides_them_from_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("trust"));
        store.revoke("E7620F1842B4E81F".parse().unwrap()).unwrap();
        let gate = Gate::new(Policy::IfPresent, store.clone(), Audit::default());
        let revoked = |change: Change| match change {
            Change::Keys(trust) => trust.revoked.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(revoked(gate.changed()), 1);
        assert!(matches!(gate.changed(), Change::None));
        store.revoke("E7620F1842B4E820".parse().unwrap()).unwrap();
        let plugin = dir.path().join("plugin.so");
        std::fs::write(signature_path(&plugin), "no signature").unwrap();
        assert!(gate.look(&plugin, "", b"").is_err());
        assert_eq!(revoked(gate.changed()), 2);
        assert!(matches!(gate.changed(), Change::None));
    }

    #[test]
    fn keys_that_cannot_be_read_are_told_of_once_for_each_reason() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("trust"));
        store.revoke("E7620F1842B4E81F".parse().unwrap()).unwrap();
        let gate = Gate::new(Policy::IfPresent, store.clone(), Audit::default());
        assert!(matches!(gate.changed(), Change::Keys(_)));
        let bad = store.dir().join("roots/a.pub");
        std::fs::write(&bad, "no key").unwrap();
        assert!(matches!(gate.changed(), Change::Unreadable(_)));
        assert!(matches!(gate.changed(), Change::None), "not each second");
        std::fs::rename(&bad, store.dir().join("roots/b.pub")).unwrap();
        assert!(matches!(gate.changed(), Change::Unreadable(_)), "another file");
        std::fs::remove_file(store.dir().join("roots/b.pub")).unwrap();
        assert!(matches!(gate.changed(), Change::None), "the same keys as before");
        std::fs::write(&bad, "no key").unwrap();
        assert!(matches!(gate.changed(), Change::Unreadable(_)), "once more, after it was well");
    }
}
