//! The frame: a 16-byte header outside the codec, then a body.
//!
//! ```text
//!  0        4      5       6          8                16
//!  | len u32 | kind | flags | version u16 | call_id u64 | body … |      little-endian
//! ```
//!
//! `len` counts the whole frame, header included. It is checked against the cap *before* anything is allocated.
//! [`FrameReader`] cuts a stream into frames.

use thiserror::Error;

pub use crate::reader::{FIRST_CHUNK_BYTES, FrameReader, READ_CHUNK_BYTES};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 16;
/// Longest frame that any side may be configured to accept, in bytes.
pub const FRAME_BYTES_CEILING: u32 = 64 << 20;
/// Longest frame unless configured otherwise, in bytes.
pub const FRAME_BYTES_DEFAULT: u32 = 8 << 20;

/// What a frame is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Who are you, and which version do you speak.
    Handshake = 0x51,
    /// Turns and their replies.
    Data = 0x52,
    /// Everything around turns.
    Control = 0x53,
    /// The last words of a side that gives up.
    Error = 0x54,
}

impl Kind {
    /// The kind with this byte.
    pub fn from_byte(byte: u8) -> Option<Kind> {
        match byte {
            0x51 => Some(Kind::Handshake),
            0x52 => Some(Kind::Data),
            0x53 => Some(Kind::Control),
            0x54 => Some(Kind::Error),
            _ => None,
        }
    }
}

/// A decoded header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the whole frame, header included.
    pub len: u32,
    /// What the frame is about.
    pub kind: Kind,
    /// Flags, by kind; see [`crate::link`].
    pub flags: u8,
    /// The version of the vocabulary.
    pub version: u16,
    /// The call that this frame makes or answers; 0 when it does neither.
    pub call_id: u64,
}

/// Why a byte stream is not a stream of frames. Each of these ends the connection or the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length is shorter than a header.
    #[error("frame of {len} bytes is shorter than its own header of {HEADER_BYTES} bytes")]
    TooShort {
        /// The length that the header claims.
        len: u32,
    },
    /// The length is above the cap.
    #[error("frame of {len} bytes is over the limit of {max} bytes")]
    TooLong {
        /// The length that the header claims.
        len: u32,
        /// The cap.
        max: u32,
    },
    /// No such kind.
    #[error("unknown frame kind {kind:#04x}")]
    UnknownKind {
        /// The byte.
        kind: u8,
    },
    /// Another version of the vocabulary.
    #[error("frame version {found}, but this side speaks {expected}")]
    WrongVersion {
        /// The version in the header.
        found: u16,
        /// The version of this side.
        expected: u16,
    },
}

impl Header {
    /// Reads and checks a header. `version` is this side's; `max` the longest frame that it takes, in bytes.
    ///
    /// # Errors
    /// See [`FrameError`]. The version is looked at first: all else may mean something different in another one.
    pub fn parse(bytes: &[u8; HEADER_BYTES], version: u16, max: u32) -> Result<Header, FrameError> {
        let [l0, l1, l2, l3, kind, flags, v0, v1, c0, c1, c2, c3, c4, c5, c6, c7] = *bytes;
        let found = u16::from_le_bytes([v0, v1]);
        if found != version {
            return Err(FrameError::WrongVersion { found, expected: version });
        }
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        if (len as usize) < HEADER_BYTES {
            return Err(FrameError::TooShort { len });
        }
        if len > max {
            return Err(FrameError::TooLong { len, max });
        }
        let kind = Kind::from_byte(kind).ok_or(FrameError::UnknownKind { kind })?;
        let call_id = u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7]);
        Ok(Header { len, kind, flags, version, call_id })
    }

    /// Writes the header to the first [`HEADER_BYTES`] bytes of `out`.
    ///
    /// # Panics
    /// When `out` is shorter than a header.
    pub fn put(&self, out: &mut [u8]) {
        out[0..4].copy_from_slice(&self.len.to_le_bytes());
        out[4] = self.kind as u8;
        out[5] = self.flags;
        out[6..8].copy_from_slice(&self.version.to_le_bytes());
        out[8..16].copy_from_slice(&self.call_id.to_le_bytes());
    }
}
