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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Them, by their hash.
    Keys([u8; 32]),
    /// That they cannot be read.
    Unreadable,
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

    /// The trusted keys, if they are others than this gave out last; they are written down, if they are not yet.
    ///
    /// # Errors
    /// When they cannot be read; that is written down once.
    pub fn changed(&self) -> Result<Option<Trust>, StoreError> {
        if self.policy == Policy::Off {
            return Ok(None);
        }
        match self.store.read() {
            Ok(keys) => {
                self.tell_keys(&keys);
                let known = crate::lock(&self.looked).replace(keys.sha256);
                Ok((known != Some(keys.sha256)).then_some(keys.trust))
            }
            Err(error) => {
                let mut told = crate::lock(&self.told);
                if told.replace(Told::Unreadable) != Some(Told::Unreadable) {
                    self.audit.tell(Happened::TrustUnreadable { reason: text(&error) });
                }
                Err(error)
            }
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
        let is_new = std::mem::replace(&mut *crate::lock(&self.told), now) != now;
        if is_new {
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
        assert!(gate.changed().unwrap().is_some() && gate.changed().unwrap().is_none());
        store.revoke("E7620F1842B4E820".parse().unwrap()).unwrap();
        let plugin = dir.path().join("plugin.so");
        std::fs::write(signature_path(&plugin), "no signature").unwrap();
        assert!(gate.look(&plugin, "", b"").is_err());
        assert_eq!(gate.changed().unwrap().map(|trust| trust.revoked.len()), Some(2));
        assert!(gate.changed().unwrap().is_none());
    }
}
