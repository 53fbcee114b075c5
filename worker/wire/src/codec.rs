//! The only place in Croupier that knows bincode.
//!
//! Bodies are bincode 2 `standard()`. A length inside a body is the sender's claim, and bincode allocates what is
//! claimed before it reads: with a fixed limit, ten bytes could make the reader allocate the whole limit. So the limit here
//! follows the body: a message may claim at most [`CLAIM_PER_BYTE`] bytes for each byte that is really there. (Of a list in a list both may be claimed to the full, since what
//! is read is no claim any more; lists are no deeper than that.)
//!
//! Decoding refuses trailing bytes. What is decoded borrowed points into the frame.

use bincode::config;
use bincode::de::read::{Reader, SliceReader};
use bincode::de::{Decoder, DecoderImpl};
use bincode::enc::EncoderImpl;
use bincode::enc::write::Writer;
use bincode::{BorrowDecode, Decode, Encode};
use thiserror::Error;

use crate::frame::{FRAME_BYTES_CEILING, HEADER_BYTES, Header, Kind};

/// Bytes of memory that a message may claim per byte of its body.
///
/// The most that an honest message claims is the size of a list's element over the fewest bytes it encodes to: about 18, for
/// [`crate::door::PluginInfo`] (`honest_messages_stay_inside_the_claim` keeps that true).
pub const CLAIM_PER_BYTE: usize = 32;

/// What a message may claim beyond that, so that tiny bodies decode: bytes.
pub const CLAIM_SLACK: usize = 256;

/// The claim of the longest body there can be; what bincode gets as its limit.
const CLAIM_BYTES_MAX: usize = FRAME_BYTES_CEILING as usize * CLAIM_PER_BYTE + CLAIM_SLACK;

/// Why a message was not written. Nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The frame would be over its limit.
    #[error(
        "the message does not fit a frame of {max} bytes; send less, or raise the frame limit on both sides"
    )]
    TooLong {
        /// The limit, in bytes, header included.
        max: u32,
    },
    /// The codec refused; a fault of this program.
    #[error("the message could not be encoded; this is a fault of the program that sends it")]
    Codec,
}

/// Why a body is not the message that its frame promises. Each of these ends the connection or the worker.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes are no such message: an unknown variant, bad UTF-8, an end in the middle.
    #[error("the message does not decode: {what}")]
    Malformed {
        /// The codec's reason.
        what: String,
    },
    /// Lengths inside the message claim far more than the message holds.
    #[error("lengths inside the message claim far more than its {body} bytes can hold")]
    Overclaim {
        /// Bytes of the body.
        body: usize,
    },
    /// Bytes are left over after the message.
    #[error("bytes are left over after the message")]
    Trailing,
    /// The message does not belong in a frame of this kind.
    #[error("a message of kind {expected:?} came in a frame of kind {found:?}")]
    WrongKind {
        /// The frame's kind.
        found: Kind,
        /// The kind that carries such a message.
        expected: Kind,
    },
    /// Flags that this message does not have.
    #[error("the message does not have the frame flags {flags:#04x}")]
    UnknownFlags {
        /// The flags in the header.
        flags: u8,
    },
    /// A request without a call id could not be answered.
    #[error("a request needs a call id other than 0")]
    NoCallId,
}

/// Appends one frame to `out`. On an error `out` is as it was.
///
/// # Errors
/// [`EncodeError::TooLong`] when header and body together are over `frame_bytes_max`.
pub fn put_frame(
    out: &mut Vec<u8>,
    kind: Kind,
    flags: u8,
    version: u16,
    call_id: u64,
    message: &impl Encode,
    frame_bytes_max: u32,
) -> Result<(), EncodeError> {
    let start = out.len();
    let max = frame_bytes_max.min(FRAME_BYTES_CEILING);
    out.extend_from_slice(&[0; HEADER_BYTES]);
    let writer =
        BoundedWriter { end: start.saturating_add(max as usize), out, is_full: max < HEADER_BYTES as u32 };
    let mut encoder = EncoderImpl::new(writer, config::standard());
    let encoded = message.encode(&mut encoder);
    let BoundedWriter { out, is_full, .. } = encoder.into_writer();
    if is_full || encoded.is_err() {
        out.truncate(start);
        return Err(if is_full { EncodeError::TooLong { max } } else { EncodeError::Codec });
    }
    let len = u32::try_from(out.len() - start).map_err(|_| EncodeError::TooLong { max })?;
    Header { len, kind, flags, version, call_id }.put(&mut out[start..start + HEADER_BYTES]);
    Ok(())
}

/// Decodes a whole body into a message that owns its parts.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_owned<M: Decode<()>>(body: &[u8]) -> Result<M, DecodeError> {
    decode(body, M::decode)
}

/// Decodes a whole body into a message that borrows from it.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_borrowed<'a, M: BorrowDecode<'a, ()>>(body: &'a [u8]) -> Result<M, DecodeError> {
    decode(body, M::borrow_decode)
}

type Limited<'a> = DecoderImpl<
    SliceReader<'a>,
    config::Configuration<config::LittleEndian, config::Varint, config::Limit<CLAIM_BYTES_MAX>>,
    (),
>;

fn decode<'a, M>(
    body: &'a [u8],
    read: impl FnOnce(&mut Limited<'a>) -> Result<M, bincode::error::DecodeError>,
) -> Result<M, DecodeError> {
    let config = config::standard().with_limit::<CLAIM_BYTES_MAX>();
    let mut decoder = DecoderImpl::new(SliceReader::new(body), config, ());
    // bincode's limit is a constant; claiming the rest of it beforehand leaves just what this body may claim.
    let allowed = body.len().saturating_mul(CLAIM_PER_BYTE).saturating_add(CLAIM_SLACK).min(CLAIM_BYTES_MAX);
    let message = decoder
        .claim_bytes_read(CLAIM_BYTES_MAX - allowed)
        .and_then(|()| read(&mut decoder))
        .map_err(|error| refusal(body, &error))?;
    match decoder.reader().peek_read(1) {
        None => Ok(message),
        Some(_) => Err(DecodeError::Trailing),
    }
}

fn refusal(body: &[u8], error: &bincode::error::DecodeError) -> DecodeError {
    match error {
        bincode::error::DecodeError::LimitExceeded => DecodeError::Overclaim { body: body.len() },
        other => DecodeError::Malformed { what: other.to_string() },
    }
}

/// Refuses flags other than `known`, and a frame kind other than `expected`.
pub(crate) fn check_header(header: &Header, expected: Kind, known: u8) -> Result<(), DecodeError> {
    if header.kind != expected {
        return Err(DecodeError::WrongKind { found: header.kind, expected });
    }
    if header.flags & !known != 0 {
        return Err(DecodeError::UnknownFlags { flags: header.flags });
    }
    Ok(())
}

/// Appends to a vector up to an end.
struct BoundedWriter<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
    is_full: bool,
}

impl Writer for BoundedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        if bytes.len() > self.end.saturating_sub(self.out.len()) {
            self.is_full = true;
            return Err(bincode::error::EncodeError::UnexpectedEnd);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}
/// Its bytes are as they were before sessions could choose what they survive.
impl bincode::Encode for crate::door::OpenOptions {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        self.tick_ms.encode(encoder)?;
        self.idle_timeout_ms.encode(encoder)?;
        self.queue_max.encode(encoder)?;
        self.reveal_public.encode(encoder)
    }
}

impl<C> bincode::Decode<C> for crate::door::OpenOptions {
    fn decode<D: bincode::de::Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<crate::door::OpenOptions, bincode::error::DecodeError> {
        Ok(crate::door::OpenOptions {
            tick_ms: bincode::Decode::decode(decoder)?,
            idle_timeout_ms: bincode::Decode::decode(decoder)?,
            queue_max: bincode::Decode::decode(decoder)?,
            reveal_public: bincode::Decode::decode(decoder)?,
            durability: None,
        })
    }
}

bincode::impl_borrow_decode!(crate::door::OpenOptions);
