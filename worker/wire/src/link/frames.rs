//! Puts link messages into frames and takes them out: which kind and which flags belong to which message.

use crate::codec::{self, DecodeError, EncodeError, check_header, put_frame};
use crate::frame::{Header, Kind};
use crate::link::{FLAG_REPLAY, FLAG_SNAPSHOT, FromWorker, LINK_VERSION, ToWorker};

impl ToWorker<'_> {
    /// The kind of frame that carries this message.
    pub fn kind(&self) -> Kind {
        match self {
            ToWorker::Hello(_) => Kind::Handshake,
            ToWorker::Turn(_) | ToWorker::Ticks { .. } | ToWorker::CallAnswer(_) => Kind::Data,
            ToWorker::Init { .. }
            | ToWorker::Restore { .. }
            | ToWorker::Snapshot { .. }
            | ToWorker::Drop { .. }
            | ToWorker::Suspend
            | ToWorker::Resume
            | ToWorker::Ping
            | ToWorker::Shutdown => Kind::Control,
        }
    }

    /// The flags that a frame with this message may have.
    pub fn flags(&self) -> u8 {
        match self {
            ToWorker::Turn(_) => FLAG_SNAPSHOT | FLAG_REPLAY,
            _ => 0,
        }
    }

    /// Appends the message to `out` as a frame of up to `frame_bytes_max` bytes.
    ///
    /// # Errors
    /// See [`EncodeError`]; `out` is then as it was.
    pub fn put(
        &self,
        out: &mut Vec<u8>,
        flags: u8,
        call_id: u64,
        frame_bytes_max: u32,
    ) -> Result<(), EncodeError> {
        debug_assert_eq!(flags & !self.flags(), 0, "flags that the message does not have");
        put_frame(out, self.kind(), flags, LINK_VERSION, call_id, self, frame_bytes_max)
    }
}

impl FromWorker<'_> {
    /// The kind of frame that carries this message.
    pub fn kind(&self) -> Kind {
        match self {
            FromWorker::Welcome { .. } => Kind::Handshake,
            FromWorker::Done(_) | FromWorker::HostCall { .. } | FromWorker::Refused { .. } => Kind::Data,
            FromWorker::Ok
            | FromWorker::Failed { .. }
            | FromWorker::Snapshot { .. }
            | FromWorker::Log { .. } => Kind::Control,
            FromWorker::Fault { .. } => Kind::Error,
        }
    }

    /// Appends the message to `out` as a frame of up to `frame_bytes_max` bytes. A worker's frames have no flags.
    ///
    /// # Errors
    /// See [`EncodeError`]; `out` is then as it was.
    pub fn put(&self, out: &mut Vec<u8>, call_id: u64, frame_bytes_max: u32) -> Result<(), EncodeError> {
        put_frame(out, self.kind(), 0, LINK_VERSION, call_id, self, frame_bytes_max)
    }
}

/// Decodes a frame that a worker got.
///
/// # Errors
/// See [`DecodeError`]; also when the frame's kind or flags do not fit the message.
pub fn decode_to_worker<'a>(header: &Header, body: &'a [u8]) -> Result<ToWorker<'a>, DecodeError> {
    let message: ToWorker<'a> = codec::decode_borrowed(body)?;
    check_header(header, message.kind(), message.flags())?;
    Ok(message)
}

/// Decodes a frame that a worker sent.
///
/// # Errors
/// See [`DecodeError`]; also when the frame's kind or flags do not fit the message.
pub fn decode_from_worker<'a>(header: &Header, body: &'a [u8]) -> Result<FromWorker<'a>, DecodeError> {
    let message: FromWorker<'a> = codec::decode_borrowed(body)?;
    check_header(header, message.kind(), 0)?;
    Ok(message)
}
