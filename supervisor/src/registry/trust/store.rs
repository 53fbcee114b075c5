//! The directory of trusted keys. Read anew at every load, so what an operator changes counts from the next load on.
//!
//! ```text
//!  trust_dir/roots/KEYID.pub       authors/KEYID.pub + KEYID.pub.minisig       revoked: "KEYID [key]" a line
//! ```
//!
//! Whoever can write here decides what runs: it must be writable by its owner alone. Anything in it that cannot be read is an error, not a key less.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::minisign::{KeyId, Malformed, PublicKey};
use super::policy::{Author, CertificateError, Revoked, Trust};
use super::{read_text, signature_path};

/// The directory's name in the state directory.
pub const DIRECTORY: &str = "trust";
/// Keys of one kind, and revocations.
const KEYS_MAX: usize = 4096;

/// Why the trusted keys cannot be had or changed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may write to it.
    #[error("{} may be written by others than its owner, who would then decide what runs: chmod go-w it", path.display())]
    Open {
        /// Where.
        path: PathBuf,
    },
    /// A file in it is no key.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Malformed,
    },
    /// A certificate in it does not hold.
    #[error("{}: {source}", path.display())]
    Certificate {
        /// Which.
        path: PathBuf,
        /// Why.
        source: CertificateError,
    },
    /// There are too many.
    #[error("{} holds more than {KEYS_MAX} keys", path.display())]
    TooMany {
        /// Where.
        path: PathBuf,
    },
}

fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io { doing, path: path.to_owned(), source }
}

/// The directory.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// What was read.
#[derive(Debug, Clone)]
pub struct Read {
    /// The keys.
    pub trust: Trust,
    /// SHA-256 over all that was read.
    pub sha256: [u8; 32],
}

impl Store {
    /// In this directory, which need not be there: then nobody is trusted.
    pub fn new(dir: impl Into<PathBuf>) -> Store {
        Store { dir: dir.into() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads it all.
    ///
    /// # Errors
    /// [`StoreError`]: one unreadable file is enough.
    pub fn read(&self) -> Result<Read, StoreError> {
        let mut trust = Trust::default();
        let mut hash = Sha256::new();
        let mut text = |path: &Path| {
            let text = read_text(path).map_err(io_error("read", path))?;
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(&text);
            Ok::<String, StoreError>(text)
        };
        check_owner(&self.dir)?;
        for path in self.keys("roots")? {
            let key = PublicKey::parse(&text(&path)?);
            trust.roots.push(key.map_err(|source| StoreError::Malformed { path, source })?);
        }
        for path in self.keys("authors")? {
            let (file, signature) = (text(&path)?, text(&signature_path(&path))?);
            let author = trust.certificate(&file, &signature);
            trust.authors.push(author.map_err(|source| StoreError::Certificate { path, source })?);
        }
        let path = self.dir.join("revoked");
        if path.exists() {
            check_owner(&path)?;
            trust.revoked =
                revocations(&text(&path)?).map_err(|source| StoreError::Malformed { path, source })?;
        }
        Ok(Read { trust, sha256: hash.finalize().into() })
    }

    fn keys(&self, kind: &str) -> Result<Vec<PathBuf>, StoreError> {
        let dir = self.dir.join(kind);
        if !dir.exists() {
            return Ok(Vec::new());
        }
        check_owner(&dir)?;
        let mut paths = Vec::new();
        for entry in fs::read_dir(&dir).map_err(io_error("read", &dir))? {
            let path = entry.map_err(io_error("read", &dir))?.path();
            if path.extension().is_some_and(|extension| extension == "pub") {
                check_owner(&path)?;
                paths.push(path);
            }
        }
        if paths.len() > KEYS_MAX {
            return Err(StoreError::TooMany { path: dir });
        }
        paths.sort();
        Ok(paths)
    }

    /// Trusts a root key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn add_root(&self, file: &str) -> Result<PublicKey, StoreError> {
        let key = PublicKey::parse(file)
            .map_err(|source| StoreError::Malformed { path: PathBuf::from("the key"), source })?;
        let dir = self.make("roots")?;
        write(&dir.join(format!("{}.pub", key.id)), file)?;
        Ok(key)
    }

    /// Trusts an author's key, as its certificate says.
    ///
    /// # Errors
    /// [`StoreError`]; also when no root key here signed it.
    pub fn add_author(&self, file: &str, signature: &str) -> Result<Author, StoreError> {
        let author = self
            .read()?
            .trust
            .certificate(file, signature)
            .map_err(|source| StoreError::Certificate { path: PathBuf::from("the certificate"), source })?;
        let path = self.make("authors")?.join(format!("{}.pub", author.key.id));
        // The signature first: a key without one would be an error to every load in between.
        write(&signature_path(&path), signature)?;
        write(&path, file)?;
        Ok(author)
    }

    /// Revokes a key for good, known or not. Its file stays, so that it can be named.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn revoke(&self, id: KeyId) -> Result<Revoked, StoreError> {
        let trust = self.read()?.trust;
        let known = trust.roots.iter().chain(trust.authors.iter().map(|author| &author.key));
        let revoked = Revoked { id, key: known.copied().find(|key| key.id == id) };
        if trust.revoked.contains(&revoked) {
            return Ok(revoked);
        }
        self.make("roots")?;
        let lines = trust.revoked.iter().chain([&revoked]).map(|revoked| match revoked.key {
            Some(key) => format!("{} {}\n", revoked.id, key.line()),
            None => format!("{}\n", revoked.id),
        });
        write(&self.dir.join("revoked"), &lines.collect::<String>())?;
        Ok(revoked)
    }

    fn make(&self, kind: &str) -> Result<PathBuf, StoreError> {
        let dir = self.dir.join(kind);
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&dir).map_err(io_error("make", &dir))?;
        Ok(dir)
    }
}

fn revocations(text: &str) -> Result<Vec<Revoked>, Malformed> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (id, key) = line.split_once(' ').map_or((line, None), |(id, key)| (id, Some(key)));
            Ok(Revoked { id: id.parse()?, key: key.map(PublicKey::parse).transpose()? })
        })
        .collect()
}

/// Nobody but the owner may write here, and the owner is root or we.
fn check_owner(path: &Path) -> Result<(), StoreError> {
    let facts = match fs::metadata(path) {
        Ok(facts) => facts,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("look at", path)(error)),
    };
    let ours = facts.uid() == 0 || facts.uid() == rustix::process::geteuid().as_raw();
    if !ours || facts.mode() & 0o022 != 0 {
        return Err(StoreError::Open { path: path.to_owned() });
    }
    Ok(())
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), StoreError> {
    let draft = path.with_extension(format!("new.{}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(io_error("write", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::minisign::SecretKey;
    use super::*;

    #[test]
    fn keys_are_kept_and_one_bad_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("trust"));
        assert_eq!(store.read().unwrap().trust, Trust::default());
        let secret = |n: u8| SecretKey::from_seed(KeyId([n; 8]), [n; 32]);
        let author = secret(2).public().file();
        let signed =
            secret(1).sign(author.as_bytes(), "croupier-author expires=2099-01-01 plugins=*").unwrap().file();
        assert!(store.add_author(&author, &signed).is_err(), "its root is not trusted yet");
        store.add_root(&secret(1).public().file()).unwrap();
        store.add_author(&author, &signed).unwrap();
        let before = store.read().unwrap();
        assert_eq!((before.trust.roots.len(), before.trust.authors.len()), (1, 1));
        store.revoke(KeyId([2; 8])).unwrap();
        store.revoke(KeyId([2; 8])).unwrap();
        store.revoke(KeyId([7; 8])).unwrap();
        let after = store.read().unwrap();
        assert_eq!(after.trust.revoked[0].key, Some(secret(2).public()));
        assert_eq!((after.trust.revoked.len(), after.trust.revoked[1].key), (2, None));
        assert_ne!(before.sha256, after.sha256);
        fs::write(store.dir().join("roots/x.pub"), "no key").unwrap();
        assert!(matches!(store.read(), Err(StoreError::Malformed { .. })));
        fs::remove_file(store.dir().join("roots/x.pub")).unwrap();
        fs::set_permissions(store.dir().join("roots"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(store.read(), Err(StoreError::Open { .. })));
    }
}
