//! Permissions that an operator took away from plugins, by name: kept in the state directory, so that neither another load nor another start gives them back. Only the
//! verb `grant` does.
//!
//! ```text
//!  state_dir/revoked.json      {"craps": ["send", "threads"]}
//! ```
//!
//! What a plugin asks for and what the config grants is decided elsewhere: see [`super::grants`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use thiserror::Error;

/// The file in the state directory.
const FILE: &str = "revoked.json";
/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Why revocations cannot be kept.
#[derive(Debug, Error)]
pub enum RevocationsError {
    /// It is there, perhaps, and cannot be read. Going on without it would give back what was taken away.
    #[error(
        "cannot read the list of revoked permissions {}: {source}; let the supervisor's user read it, or remove it and revoke them again",
        path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A new list could not be written, and the old one is still there.
    #[error("cannot write the list of revoked permissions {}: {source}; nothing was changed", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The new list stands there and counts from now on; whether it outlasts a loss of power nobody knows.
    #[error(
        "the list of revoked permissions {} was changed, and the change counts now, but it may be lost when the power fails: its directory cannot be synced: {source}",
        path.display()
    )]
    Unsynced {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file holds something else. Going on without it would give back what was taken away.
    #[error("{} is no list of revoked permissions ({why}); mend it, or remove it and revoke them again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

type ByPlugin = BTreeMap<String, BTreeSet<String>>;

/// The list.
#[derive(Debug)]
pub struct Revocations {
    path: Option<PathBuf>,
    of: Mutex<ByPlugin>,
}

impl Revocations {
    /// As it stands in this directory; without one it lasts as long as this value.
    ///
    /// # Errors
    /// [`RevocationsError`].
    pub fn open(state_dir: Option<&Path>) -> Result<Revocations, RevocationsError> {
        let Some(dir) = state_dir else { return Ok(Revocations { path: None, of: Mutex::default() }) };
        let path = dir.join(FILE);
        let damaged = |why: String| RevocationsError::Damaged { path: path.clone(), why };
        let of = match read(&path) {
            Ok(None) => ByPlugin::new(),
            Ok(Some(text)) => serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(damaged(error.to_string()));
            }
            Err(source) => return Err(RevocationsError::Read { path, source }),
        };
        Ok(Revocations { path: Some(path), of: Mutex::new(of) })
    }

    /// What this plugin lost.
    pub fn of(&self, plugin: &str) -> BTreeSet<String> {
        crate::lock(&self.of).get(plugin).cloned().unwrap_or_default()
    }

    /// Adds one. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`RevocationsError`]; then it is not on the list, but for [`RevocationsError::Unsynced`].
    pub fn add(&self, plugin: &str, permission: &str) -> Result<(), RevocationsError> {
        self.change(|of| of.entry(plugin.to_owned()).or_default().insert(permission.to_owned())).map(drop)
    }

    /// Takes one off. Says whether it was there.
    ///
    /// # Errors
    /// [`RevocationsError`]; then it is still on the list, but for [`RevocationsError::Unsynced`].
    pub fn remove(&self, plugin: &str, permission: &str) -> Result<bool, RevocationsError> {
        self.change(|of| {
            let was_there = of.get_mut(plugin).is_some_and(|lost| lost.remove(permission));
            of.retain(|_, lost| !lost.is_empty());
            was_there
        })
    }

    fn change(&self, change: impl FnOnce(&mut ByPlugin) -> bool) -> Result<bool, RevocationsError> {
        self.change_on(change, |dir| File::open(dir)?.sync_all())
    }

    fn change_on(
        &self,
        change: impl FnOnce(&mut ByPlugin) -> bool,
        sync: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<bool, RevocationsError> {
        let mut of = crate::lock(&self.of);
        let mut changed = of.clone();
        if !change(&mut changed) {
            return Ok(false);
        }
        let Some(path) = &self.path else {
            *of = changed;
            return Ok(true);
        };
        write(path, &changed).map_err(|source| RevocationsError::Write { path: path.clone(), source })?;
        // It stands there now: what counts here and what the next start reads must be the same.
        *of = changed;
        let synced = path.parent().map_or(Ok(()), sync);
        synced.map_err(|source| RevocationsError::Unsynced { path: path.clone(), source })?;
        Ok(true)
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::metadata(path) {
        Ok(facts) if facts.len() > FILE_BYTES_MAX => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is longer than {FILE_BYTES_MAX} bytes"),
        )),
        Ok(_) => fs::read_to_string(path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts a list in the place of the other: all of it, or the other stays.
fn write(path: &Path, of: &ByPlugin) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    serde_json::to_writer_pretty(&mut file, of)?;
    writeln!(file)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_away_stays_away_until_it_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Revocations::open(Some(dir.path())).unwrap();
        open().add("craps", "send").unwrap();
        open().add("craps", "threads").unwrap();
        assert_eq!(open().of("craps").into_iter().collect::<Vec<_>>(), ["send", "threads"]);
        assert!(open().of("dice").is_empty());
        assert!(open().remove("craps", "send").unwrap() && !open().remove("craps", "send").unwrap());
        assert_eq!(open().of("craps").len(), 1);
    }

    #[test]
    fn a_damaged_list_is_no_empty_list() {
        let dir = tempfile::tempdir().unwrap();
        for damaged in ["", "{", "[1]", "{\"p\": 1}"] {
            fs::write(dir.path().join(FILE), damaged).unwrap();
            let opened = Revocations::open(Some(dir.path()));
            assert!(matches!(opened, Err(RevocationsError::Damaged { .. })), "{damaged:?}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let revocations = Revocations::open(Some(dir.path())).unwrap();
        fs::remove_dir_all(dir.path()).unwrap();
        assert!(revocations.add("craps", "send").is_err());
        assert!(revocations.of("craps").is_empty());
    }

    #[test]
    fn what_stands_in_the_file_counts_even_when_its_directory_cannot_be_synced() {
        let dir = tempfile::tempdir().unwrap();
        let revocations = Revocations::open(Some(dir.path())).unwrap();
        let insert = |of: &mut ByPlugin| of.entry("craps".to_owned()).or_default().insert("send".to_owned());
        let error = revocations.change_on(insert, |_| Err(io::Error::other("no"))).unwrap_err();
        assert!(matches!(error, RevocationsError::Unsynced { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("counts now") && !text.contains("nothing was changed"), "{text}");
        let again = Revocations::open(Some(dir.path())).unwrap();
        assert_eq!((again.of("craps").len(), revocations.of("craps").len()), (1, 1));
    }

    #[test]
    fn a_list_that_cannot_be_read_is_said_to_be_that() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(FILE)).unwrap();
        let text = Revocations::open(Some(dir.path())).unwrap_err().to_string();
        assert!(text.contains("cannot read") && text.contains("revoke them again"), "{text}");
        assert!(!text.contains("nothing was changed"), "{text}");
    }
}
