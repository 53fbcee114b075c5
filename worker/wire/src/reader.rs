//! Cuts a stream of bytes into frames. Does no I/O: the owner receives into [`FrameReader::space`] and says how much came.
//!
//! ```text
//!   space() ── recv ──▶ filled(n) ──▶ next() … next() = None ──▶ space()
//!
//!   | used | frame | frame | fra▒▒▒▒ space ▒▒▒▒ |
//!          ^start              ^end
//! ```
//!
//! One receive may bring many frames. The buffer grows when a receive fills it, up to a chunk: most readers, those of idle workers and of connections that say little, stay at a page. Beyond
//! that it grows only for a frame whose header was checked, and then only as its bytes really come (it doubles), so a length alone makes nobody allocate.

use crate::frame::{FrameError, HEADER_BYTES, Header};

/// Bytes of buffer that a reader starts with.
pub const FIRST_CHUNK_BYTES: usize = 4 << 10;
/// Bytes of buffer that a reader has at the most, unless a frame is longer.
pub const READ_CHUNK_BYTES: usize = 64 << 10;
/// By so much the chunk grows when it was filled.
const CHUNK_GROWTH: usize = 4;
/// An empty buffer above this many bytes is given back.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// A decoder for one direction of one connection.
#[derive(Debug)]
pub struct FrameReader {
    version: u16,
    frame_bytes_max: u32,
    buffer: Vec<u8>,
    /// Bytes to have room for, where no frame needs more.
    chunk: usize,
    start: usize,
    end: usize,
}

impl FrameReader {
    /// For frames of this version of up to `frame_bytes_max` bytes, header included (at most
    /// [`crate::frame::FRAME_BYTES_CEILING`]).
    pub fn new(version: u16, frame_bytes_max: u32) -> FrameReader {
        let frame_bytes_max = frame_bytes_max.min(crate::frame::FRAME_BYTES_CEILING);
        FrameReader {
            version,
            frame_bytes_max,
            buffer: Vec::new(),
            chunk: FIRST_CHUNK_BYTES,
            start: 0,
            end: 0,
        }
    }

    /// Raises or lowers the limit for frames that are not cut yet.
    pub fn set_frame_bytes_max(&mut self, frame_bytes_max: u32) {
        self.frame_bytes_max = frame_bytes_max.min(crate::frame::FRAME_BYTES_CEILING);
    }

    /// Where to receive into. Never empty, provided that [`next`](Self::next) was called until it had nothing more.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.buffer.len() > KEPT_BYTES_MAX {
                self.buffer = Vec::new();
            }
        }
        let wanted = self.wanted_bytes();
        if self.start + wanted > self.buffer.len() || self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        &mut self.buffer[self.end..]
    }

    /// Says that `n` bytes of [`space`](Self::space) were filled.
    pub fn filled(&mut self, n: usize) {
        debug_assert!(n <= self.buffer.len() - self.end, "more bytes than there was space for");
        self.end = (self.end + n).min(self.buffer.len());
        // There may be more than fitted.
        if self.end == self.buffer.len() {
            self.chunk = (self.chunk * CHUNK_GROWTH).min(READ_CHUNK_BYTES);
        }
    }

    /// The next whole frame, its body borrowed; `None` when more bytes are needed first.
    ///
    /// # Errors
    /// See [`FrameError`]; the stream is of no use afterwards, and every further call says the same.
    #[expect(
        clippy::should_implement_trait,
        reason = "the frame borrows from the reader, as an Iterator's item cannot"
    )]
    pub fn next(&mut self) -> Result<Option<(Header, &[u8])>, FrameError> {
        let Some(header) = self.peek()? else { return Ok(None) };
        let len = header.len as usize;
        if self.end - self.start < len {
            return Ok(None);
        }
        let frame = &self.buffer[self.start..self.start + len];
        self.start += len;
        Ok(Some((header, &frame[HEADER_BYTES..])))
    }

    /// Whether [`next`](Self::next) would give a frame (or an error) without any further bytes.
    pub fn has_next(&self) -> bool {
        match self.peek() {
            Ok(None) => false,
            Ok(Some(header)) => self.end - self.start >= header.len as usize,
            Err(_) => true,
        }
    }

    /// Whether a frame has begun but is not whole. Whoever drives the reader puts a deadline on that.
    pub fn is_partial(&self) -> bool {
        self.start != self.end && !self.has_next()
    }

    fn peek(&self) -> Result<Option<Header>, FrameError> {
        match self.buffer[self.start..self.end].first_chunk::<HEADER_BYTES>() {
            None => Ok(None),
            Some(bytes) => Header::parse(bytes, self.version, self.frame_bytes_max).map(Some),
        }
    }

    /// Bytes that the buffer should hold from `start` on: a chunk, or what a begun frame needs, but never more than twice of what has come.
    fn wanted_bytes(&self) -> usize {
        let here = self.end - self.start;
        let frame = match self.peek() {
            Ok(Some(header)) => header.len as usize,
            Ok(None) | Err(_) => 0,
        };
        frame.min(2 * here).max(self.chunk)
    }
}
