//! A small file system of a test's own, which can be filled up.
//!
//! It is mounted in a mount namespace of the calling thread and of what that thread starts, so it ends with them, whatever happens. Needs root.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount};

/// What the ballast is written in.
const CHUNK: usize = 64 << 10;

/// Runs a test in a thread with a mount namespace of its own.
///
/// # Panics
/// When the test does, or this is not root.
pub fn in_namespace<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let own = || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("root");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("root");
        test()
    };
    std::thread::spawn(own).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A small file system that is mounted on a directory.
#[derive(Debug)]
pub struct SmallDisk {
    directory: PathBuf,
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Its processes have ended. If one has not: it keeps what it has open, and the directory can be deleted all the same.
        let _ = nix::mount::umount2(&self.directory, MntFlags::MNT_DETACH);
    }
}

impl SmallDisk {
    /// Mounts one of `mib` MiB on `directory`, which is made. Only [`in_namespace`].
    ///
    /// # Panics
    /// When it cannot be mounted.
    pub fn mount(directory: &Path, mib: u64) -> SmallDisk {
        std::fs::create_dir_all(directory).expect("room");
        let size = format!("size={mib}m");
        mount(Some("tmpfs"), directory, Some("tmpfs"), MsFlags::empty(), Some(size.as_str())).expect("root");
        SmallDisk { directory: directory.to_owned() }
    }

    fn ballast(&self) -> PathBuf {
        self.directory.join("ballast")
    }

    /// Takes up to `bytes` of its room.
    ///
    /// # Panics
    /// When there is no directory any more.
    pub fn fill(&self, bytes: usize) {
        let mut file = File::options().create(true).append(true).open(self.ballast()).expect("its directory");
        let chunk = vec![1; CHUNK];
        for _ in 0..bytes.div_ceil(CHUNK) {
            if file.write_all(&chunk).is_err() {
                return;
            }
        }
    }

    /// Gives it back.
    ///
    /// # Panics
    /// When there is no directory any more.
    pub fn clear(&self) {
        match std::fs::remove_file(self.ballast()) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{}: {error}", self.directory.display()),
        }
    }
}
