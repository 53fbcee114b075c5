//! Where the database lives: a file of the supervisor's own, or, for those who only look, that file under a layer of memory.
//!
//! A database that was not closed in order is mended when it is opened, which writes. Whoever only looks must change nothing, so his writes
//! go to memory ([`Overlay`]).

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use redb::{Database, DatabaseError, StorageBackend};

/// Memory for pages of the database, in bytes.
const CACHE_BYTES: usize = 32 << 20;
/// Bytes of one piece of the layer.
const PIECE_BYTES: u64 = 4096;

/// Opens the database, again and again: after a failure it must be opened anew.
pub trait Medium: Send {
    /// Opens it; makes it when it is not there.
    ///
    /// # Errors
    /// As the system or the database says.
    fn open(&self) -> Result<Database, DatabaseError>;
    /// Bytes that it takes of the disk.
    fn disk_bytes(&self) -> u64;
    /// Bytes that it could take beside those.
    fn available(&self) -> u64;
    /// What it is, for messages.
    fn name(&self) -> String;
}

/// A file, readable by its owner alone.
#[derive(Debug, Clone)]
pub struct FileMedium {
    path: PathBuf,
}

impl FileMedium {
    /// In this directory, which is made when it is not there.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(path: PathBuf) -> io::Result<FileMedium> {
        if let Some(dir) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            // The names must survive the loss of power as the bytes do.
            for dir in [Some(dir), dir.parent()].into_iter().flatten() {
                File::open(dir)?.sync_all()?;
            }
        }
        Ok(FileMedium { path })
    }
}

impl Medium for FileMedium {
    fn open(&self) -> Result<Database, DatabaseError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&self.path)?;
        if file.metadata()?.len() == 0
            && let Some(dir) = self.path.parent()
        {
            File::open(dir)?.sync_all()?;
        }
        Database::builder().set_cache_size(CACHE_BYTES).create_file(file)
    }

    fn disk_bytes(&self) -> u64 {
        disk_bytes(&self.path)
    }

    fn available(&self) -> u64 {
        // Where even that cannot be read, a write will tell.
        rustix::fs::statvfs(&self.path).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Bytes that a file takes of the disk: it may have holes.
pub(super) fn disk_bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |data| data.blocks().saturating_mul(512))
}

/// A file that is only read; what is written stays in memory.
#[derive(Debug)]
pub struct Overlay {
    file: File,
    layer: Mutex<Layer>,
}

#[derive(Debug)]
struct Layer {
    /// Behind this, the file does not count any more.
    file_len: u64,
    len: u64,
    /// By number.
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    /// Over this file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> io::Result<Overlay> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Overlay { file, layer: Mutex::new(Layer { file_len: len, len, pieces: BTreeMap::new() }) })
    }

    /// One piece as it is now.
    fn piece(&self, layer: &Layer, number: u64) -> io::Result<Vec<u8>> {
        if let Some(piece) = layer.pieces.get(&number) {
            return Ok(piece.clone());
        }
        let mut piece = vec![0; PIECE_BYTES as usize];
        let begin = number * PIECE_BYTES;
        let there = layer.file_len.saturating_sub(begin).min(PIECE_BYTES) as usize;
        self.file.read_exact_at(&mut piece[..there], begin)?;
        Ok(piece)
    }
}

/// Calls `each` with a piece's number, the range in it, and the range in a buffer.
fn pieces(
    offset: u64,
    len: usize,
    mut each: impl FnMut(u64, std::ops::Range<usize>, std::ops::Range<usize>) -> io::Result<()>,
) -> io::Result<()> {
    let mut done = 0;
    while done < len {
        let at = offset + done as u64;
        let begin = (at % PIECE_BYTES) as usize;
        let n = (PIECE_BYTES as usize - begin).min(len - done);
        each(at / PIECE_BYTES, begin..begin + n, done..done + n)?;
        done += n;
    }
    Ok(())
}

impl StorageBackend for Overlay {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(crate::lock(&self.layer).len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let layer = crate::lock(&self.layer);
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > layer.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        pieces(offset, out.len(), |number, inside, outside| {
            out[outside].copy_from_slice(&self.piece(&layer, number)?[inside]);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut layer = crate::lock(&self.layer);
        if len < layer.len {
            layer.file_len = layer.file_len.min(len);
            layer.pieces.split_off(&len.div_ceil(PIECE_BYTES));
            if let Some(piece) = layer.pieces.get_mut(&(len / PIECE_BYTES)) {
                piece[(len % PIECE_BYTES) as usize..].fill(0);
            }
        }
        layer.len = len;
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut layer = crate::lock(&self.layer);
        pieces(offset, data.len(), |number, inside, outside| {
            let mut piece = self.piece(&layer, number)?;
            piece[inside].copy_from_slice(&data[outside]);
            layer.pieces.insert(number, piece);
            Ok(())
        })
    }
}
