//! Who may sign what: the chain from the operator's root keys to a plugin's signature. Pure: keys, revocations and time are arguments.
//!
//! ```text
//!  root key ──signs──▶ plugin                                      (a root key may sign anything)
//!      └─────signs──▶ author key, "croupier-author expires=… plugins=…" ──signs──▶ plugin whose name fits, before that day
//! ```
//!
//! An author's certificate is a minisign signature of the author's public key file; its trusted comment holds the terms. Reference tools can
//! make one. Expiry is looked at when a plugin is loaded: a signature's own timestamp is its signer's word, so it proves nothing.

use thiserror::Error;

use super::minisign::{KeyId, Malformed, PublicKey, Signature};
use crate::dates;

/// How a certificate's trusted comment begins.
const CERTIFICATE: &str = "croupier-author ";
/// Patterns of one certificate.
const PATTERNS_MAX: usize = 64;

/// What a load demands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Without a good signature nothing is loaded.
    Required,
    /// A signature that is there must be good.
    #[default]
    IfPresent,
    /// Signatures are not looked at.
    Off,
}

impl Policy {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Policy::Required => "required",
            Policy::IfPresent => "if-present",
            Policy::Off => "off",
        }
    }
}

/// Why a plugin's signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TrustError {
    /// There is none.
    #[error(
        "it is not signed, and the config says signatures = \"required\"; sign it (`croupier sign`), or ask its author to"
    )]
    NoSignature,
    /// Nobody here trusts that key.
    #[error(
        "it is signed with the key {key}, which is not trusted here; check whose it is, then `croupier trust add`"
    )]
    UnknownKey {
        /// Which.
        key: KeyId,
    },
    /// The key was trusted once.
    #[error("it is signed with the key {key}, which is revoked{}", via(*.key, *.revoked))]
    Revoked {
        /// The signing key.
        key: KeyId,
        /// The revoked one: that, or the root that vouched for it.
        revoked: KeyId,
    },
    /// The key's time is over.
    #[error("it is signed with the key {key}, which expired on {on}; its author needs a new certificate")]
    Expired {
        /// Which.
        key: KeyId,
        /// The day, UTC.
        on: String,
    },
    /// The key is for other plugins.
    #[error("it is signed with the key {key}, which may sign {allowed} and not {name:?}")]
    NameNotAllowed {
        /// Which.
        key: KeyId,
        /// The plugin.
        name: String,
        /// What the key is for.
        allowed: String,
    },
    /// The signature is wrong.
    #[error(
        "the signature by key {key} does not fit the file: one of them was changed; get both again from the author"
    )]
    BadSignature {
        /// Which key.
        key: KeyId,
    },
    /// The signature cannot be read.
    #[error("its signature file is damaged: {0}")]
    Malformed(#[from] Malformed),
}

fn via(key: KeyId, revoked: KeyId) -> String {
    if key == revoked { String::new() } else { format!(" (with the root key {revoked} that vouched for it)") }
}

impl TrustError {
    /// The word for it in the audit log.
    pub fn word(&self) -> &'static str {
        match self {
            TrustError::NoSignature => "none",
            TrustError::UnknownKey { .. } => "unknown-key",
            TrustError::Revoked { .. } => "revoked",
            TrustError::Expired { .. } => "expired",
            TrustError::NameNotAllowed { .. } => "name-not-allowed",
            TrustError::BadSignature { .. } => "bad-signature",
            TrustError::Malformed(_) => "malformed",
        }
    }
}

/// What an author's key may sign, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Seconds since the Unix epoch from which on it counts no more.
    pub expires_s: u64,
    /// Names of plugins; `*` stands for any run of characters.
    pub plugins: Vec<String>,
}

/// Why terms are none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no terms of an author key: {0}; they are `croupier-author expires=2027-11-21 plugins=craps,acme-*`")]
pub struct BadTerms(&'static str);

impl Terms {
    /// From a certificate's trusted comment.
    ///
    /// # Errors
    /// [`BadTerms`].
    pub fn parse(comment: &str) -> Result<Terms, BadTerms> {
        let rest =
            comment.strip_prefix(CERTIFICATE).ok_or(BadTerms("they do not begin with croupier-author"))?;
        let (mut expires, mut plugins) = (None, None);
        for word in rest.split_whitespace() {
            match word.split_once('=') {
                Some(("expires", date)) if expires.is_none() => expires = Some(date),
                Some(("plugins", list)) if plugins.is_none() => plugins = Some(list),
                // Fail closed: a word that is not understood may be a restriction.
                _ => return Err(BadTerms("a word in them is unknown, or stands there twice")),
            }
        }
        let expires_s = expires.and_then(dates::parse).ok_or(BadTerms("expires= is missing or no date"))?;
        let plugins: Vec<String> = plugins.unwrap_or_default().split(',').map(str::to_owned).collect();
        let fits = |pattern: &String| {
            let allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*".contains(&byte);
            !pattern.is_empty() && pattern.bytes().all(allowed)
        };
        if plugins.len() > PATTERNS_MAX || !plugins.iter().all(fits) {
            return Err(BadTerms("plugins= lists names of plugins, in which * stands for anything"));
        }
        Ok(Terms { expires_s, plugins })
    }

    /// The trusted comment that says this.
    pub fn comment(&self) -> String {
        format!(
            "{CERTIFICATE}expires={} plugins={}",
            dates::rfc3339(self.expires_s * 1_000_000_000),
            self.plugins.join(",")
        )
    }

    /// The day of expiry.
    pub fn day(&self) -> String {
        dates::rfc3339(self.expires_s * 1_000_000_000)[..10].to_owned()
    }
}

/// Whether a name fits a pattern in which `*` stands for any run of characters.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|left| {
            // Every place where the rest may begin; names have at most 64 characters.
            (0..=left.len()).any(|skip| left.is_char_boundary(skip) && fits(rest, &left[skip..]))
        }),
    }
}

/// An author's key with what vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The key.
    pub key: PublicKey,
    /// The root that signed its certificate.
    pub root: KeyId,
    /// What the certificate says.
    pub terms: Terms,
}

/// Why a certificate is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// The author's key or the signature cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Not by one of ours.
    #[error(
        "the certificate is signed with the key {0}, which is no root key here; `croupier trust add` that one first"
    )]
    UnknownRoot(KeyId),
    /// The signature is wrong.
    #[error("the certificate's signature by root key {0} does not fit the author's key file")]
    BadSignature(KeyId),
    /// The terms are wrong.
    #[error(transparent)]
    Terms(#[from] BadTerms),
}

/// What is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Root keys.
    pub roots: Vec<PublicKey>,
    /// Author keys.
    pub authors: Vec<Author>,
    /// What is revoked, by id; and the keys themselves as far as they were known.
    pub revoked: Vec<Revoked>,
}

/// A revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// The key's id.
    pub id: KeyId,
    /// The key, if it was known: it stays revoked under any id.
    pub key: Option<PublicKey>,
}

/// Who signed a plugin's bytes. Whether that key may sign *this* plugin is to be asked yet: [`Signer::may_sign`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The key.
    pub key: KeyId,
    /// The signature's trusted comment.
    pub comment: String,
    terms: Option<Terms>,
}

impl Signer {
    /// Whether the key is for a plugin of this name.
    ///
    /// # Errors
    /// [`TrustError::NameNotAllowed`].
    pub fn may_sign(&self, name: &str) -> Result<(), TrustError> {
        match &self.terms {
            None => Ok(()),
            Some(terms) if terms.plugins.iter().any(|pattern| fits(pattern, name)) => Ok(()),
            Some(terms) => Err(TrustError::NameNotAllowed {
                key: self.key,
                name: name.to_owned(),
                allowed: terms.plugins.join(", "),
            }),
        }
    }
}

impl Trust {
    /// Reads a certificate: the author's key file, and its signature by a root key.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn certificate(&self, author: &str, signature: &str) -> Result<Author, CertificateError> {
        let (key, signature) = (PublicKey::parse(author)?, Signature::parse(signature)?);
        let mut roots = self.roots.iter().filter(|root| root.id == signature.key).peekable();
        roots.peek().ok_or(CertificateError::UnknownRoot(signature.key))?;
        roots
            .find(|root| root.verifies(author.as_bytes(), &signature))
            .ok_or(CertificateError::BadSignature(signature.key))?;
        Ok(Author { key, root: signature.key, terms: Terms::parse(&signature.comment)? })
    }

    fn is_revoked(&self, key: &PublicKey) -> bool {
        self.revoked
            .iter()
            .any(|revoked| revoked.id == key.id || revoked.key.is_some_and(|known| known.is_same(key)))
    }

    /// Who signed these bytes, as of `now_s` seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`TrustError`], but never [`TrustError::NameNotAllowed`]: see [`Signer::may_sign`].
    pub fn verify(&self, bytes: &[u8], signature: &str, now_s: u64) -> Result<Signer, TrustError> {
        let signature = Signature::parse(signature)?;
        let key = signature.key;
        let root = self.roots.iter().find(|root| root.id == key).copied();
        let author = self.authors.iter().find(|author| author.key.id == key);
        let public = root.or(author.map(|author| author.key));
        let Some(public) = public else {
            // A key that was taken away says so, even when nothing else is known of it any more.
            let revoked = self.revoked.iter().any(|revoked| revoked.id == key);
            return Err(if revoked {
                TrustError::Revoked { key, revoked: key }
            } else {
                TrustError::UnknownKey { key }
            });
        };
        if self.is_revoked(&public) {
            return Err(TrustError::Revoked { key, revoked: key });
        }
        let terms = match (root, author) {
            (None, Some(author)) => {
                let vouching = self.roots.iter().find(|root| root.id == author.root);
                if vouching.is_none_or(|root| self.is_revoked(root)) {
                    return Err(TrustError::Revoked { key, revoked: author.root });
                }
                if now_s >= author.terms.expires_s {
                    return Err(TrustError::Expired { key, on: author.terms.day() });
                }
                Some(author.terms.clone())
            }
            _ => None,
        };
        if !public.verifies(bytes, &signature) {
            return Err(TrustError::BadSignature { key });
        }
        Ok(Signer { key, comment: signature.comment, terms })
    }
}

#[cfg(test)]
mod tests {
    use super::super::minisign::SecretKey;
    use super::*;

    const DAY_2027: u64 = 1_798_761_600;

    fn secret(n: u8) -> SecretKey {
        SecretKey::from_seed(KeyId([n; 8]), [n; 32])
    }

    fn certified(root: &SecretKey, author: &SecretKey, comment: &str) -> (String, String) {
        let file = author.public().file();
        let signature = root.sign(file.as_bytes(), comment).unwrap().file();
        (file, signature)
    }

    const TERMS: &str = "croupier-author expires=2027-01-01 plugins=craps,acme-*";

    fn trust() -> Trust {
        let mut trust = Trust { roots: vec![secret(1).public()], ..Trust::default() };
        let (file, signature) = certified(&secret(1), &secret(2), TERMS);
        trust.authors.push(trust.certificate(&file, &signature).unwrap());
        trust
    }

    fn verdict(trust: &Trust, signer: &SecretKey, name: &str, now_s: u64) -> &'static str {
        let signature = signer.sign(b"plugin", "c").unwrap().file();
        let verified = trust.verify(b"plugin", &signature, now_s).and_then(|signer| signer.may_sign(name));
        verified.map_or_else(|error| error.word(), |()| "good")
    }

    #[test]
    fn every_way_to_be_refused_has_its_name() {
        let trust = trust();
        assert_eq!(verdict(&trust, &secret(1), "anything", DAY_2027 * 2), "good");
        assert_eq!(verdict(&trust, &secret(2), "craps", DAY_2027 - 1), "good");
        assert_eq!(verdict(&trust, &secret(2), "acme-dice", 0), "good");
        assert_eq!(verdict(&trust, &secret(2), "holdem", 0), "name-not-allowed");
        assert_eq!(verdict(&trust, &secret(2), "craps", DAY_2027), "expired");
        assert_eq!(verdict(&trust, &secret(3), "craps", 0), "unknown-key");
        // Another key under a trusted id.
        assert_eq!(
            verdict(&trust, &SecretKey::from_seed(KeyId([1; 8]), [9; 32]), "craps", 0),
            "bad-signature"
        );
        let signature = secret(1).sign(b"plugin", "c").unwrap().file();
        assert_eq!(trust.verify(b"plugiN", &signature, 0).unwrap_err().word(), "bad-signature");
        assert_eq!(trust.verify(b"plugin", "x", 0).unwrap_err().word(), "malformed");
    }

    #[test]
    fn a_revoked_key_takes_those_along_that_it_vouched_for_and_a_new_id_does_not_help() {
        let mut author_gone = trust();
        author_gone.revoked.push(Revoked { id: KeyId([2; 8]), key: Some(secret(2).public()) });
        assert_eq!(verdict(&author_gone, &secret(2), "craps", 0), "revoked");
        assert_eq!(verdict(&author_gone, &secret(1), "craps", 0), "good");
        let renamed = SecretKey::from_seed(KeyId([5; 8]), [2; 32]);
        let (file, signature) = certified(&secret(1), &renamed, TERMS);
        author_gone.authors.push(author_gone.certificate(&file, &signature).unwrap());
        assert_eq!(verdict(&author_gone, &renamed, "craps", 0), "revoked");

        let mut root_gone = trust();
        root_gone.revoked.push(Revoked { id: KeyId([1; 8]), key: None });
        assert_eq!(verdict(&root_gone, &secret(1), "craps", 0), "revoked");
        assert_eq!(verdict(&root_gone, &secret(2), "craps", 0), "revoked");
        let mut root_lost = trust();
        root_lost.roots.clear();
        assert_eq!(verdict(&root_lost, &secret(2), "craps", 0), "revoked");
    }

    #[test]
    fn a_certificate_is_signed_by_a_root_and_says_exactly_its_terms() {
        let trust = trust();
        let refused = |root: &SecretKey, comment: &str| {
            let (file, signature) = certified(root, &secret(4), comment);
            trust.certificate(&file, &signature).unwrap_err()
        };
        assert!(matches!(refused(&secret(3), TERMS), CertificateError::UnknownRoot(_)));
        // An author is no root.
        assert!(matches!(refused(&secret(2), TERMS), CertificateError::UnknownRoot(_)));
        for comment in [
            "timestamp:1 file:author.pub",
            "croupier-author expires=2027-01-01",
            "croupier-author plugins=*",
            "croupier-author expires=soon plugins=*",
            "croupier-author expires=2027-01-01 plugins=* plugins=x",
            "croupier-author expires=2027-01-01 plugins=* only=tuesdays",
            "croupier-author expires=2027-01-01 plugins=Craps",
        ] {
            assert!(matches!(refused(&secret(1), comment), CertificateError::Terms(_)), "{comment}");
        }
        let (file, signature) = certified(&secret(1), &secret(4), TERMS);
        let error = trust.certificate(&file.replace("minisign", "Minisign"), &signature).unwrap_err();
        assert!(matches!(error, CertificateError::BadSignature(_)));
        let terms = Terms::parse(TERMS).unwrap();
        assert_eq!(Terms::parse(&terms.comment()).unwrap(), terms);
        assert_eq!(terms.day(), "2027-01-01");
    }

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("craps", "craps", true),
            ("craps", "craps2", false),
            ("*", "anything", true),
            ("acme-*", "acme-", true),
            ("acme-*", "acme", false),
            ("*-dice", "acme-dice", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "acb", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
