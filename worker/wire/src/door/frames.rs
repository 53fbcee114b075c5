//! Puts door messages into frames and takes them out: which kind and which flags belong to which message.

use crate::codec::{self, DecodeError, EncodeError, check_header, put_frame};
use crate::door::{ClientHello, Code, DOOR_VERSION, Push, Refusal, Reply, Request, ServerHello};
use crate::frame::{Header, Kind};

/// Frame flag of a [`Push`]; a [`Reply`] does not have it.
pub const FLAG_PUSH: u8 = 1;

impl Request {
    /// The kind of frame that carries this request.
    pub fn kind(&self) -> Kind {
        match self {
            Request::Open(_) | Request::OpenDurable(..) | Request::Turn(_) => Kind::Data,
            Request::Follow { .. } | Request::Ping | Request::Control(_) => Kind::Control,
        }
    }
}

impl Reply {
    /// The kind of frame that carries this reply.
    pub fn kind(&self) -> Kind {
        match self {
            Reply::Opened { .. } | Reply::Done(_) => Kind::Data,
            Reply::Refused(Refusal { code: Code::Protocol, .. }) => Kind::Error,
            Reply::Following { .. } | Reply::Pong | Reply::Control(_) | Reply::Refused(_) => Kind::Control,
        }
    }
}

/// Appends a client's first frame to `out`.
///
/// # Errors
/// See [`EncodeError`]; `out` is then as it was. So for all the `put_…` functions here.
pub fn put_client_hello(
    out: &mut Vec<u8>,
    hello: &ClientHello,
    frame_bytes_max: u32,
) -> Result<(), EncodeError> {
    put_frame(out, Kind::Handshake, 0, DOOR_VERSION, 0, hello, frame_bytes_max)
}

/// Appends a server's first frame to `out`.
///
/// # Errors
/// See [`EncodeError`].
pub fn put_server_hello(
    out: &mut Vec<u8>,
    hello: &ServerHello,
    frame_bytes_max: u32,
) -> Result<(), EncodeError> {
    put_frame(out, Kind::Handshake, 0, DOOR_VERSION, 0, hello, frame_bytes_max)
}

/// Appends a request to `out`. `call_id` is the client's choice, not 0.
///
/// # Errors
/// See [`EncodeError`].
pub fn put_request(
    out: &mut Vec<u8>,
    call_id: u64,
    request: &Request,
    frame_bytes_max: u32,
) -> Result<(), EncodeError> {
    put_frame(out, request.kind(), 0, DOOR_VERSION, call_id, request, frame_bytes_max)
}

/// Appends a reply to `out`, with the request's `call_id` (0 when a refused frame had none that could be read).
///
/// # Errors
/// See [`EncodeError`].
pub fn put_reply(
    out: &mut Vec<u8>,
    call_id: u64,
    reply: &Reply,
    frame_bytes_max: u32,
) -> Result<(), EncodeError> {
    put_frame(out, reply.kind(), 0, DOOR_VERSION, call_id, reply, frame_bytes_max)
}

/// Appends a push to `out`, with the `call_id` of the request that asked to follow.
///
/// # Errors
/// See [`EncodeError`].
pub fn put_push(
    out: &mut Vec<u8>,
    call_id: u64,
    push: &Push,
    frame_bytes_max: u32,
) -> Result<(), EncodeError> {
    put_frame(out, Kind::Control, FLAG_PUSH, DOOR_VERSION, call_id, push, frame_bytes_max)
}

/// Decodes a client's first frame.
///
/// # Errors
/// See [`DecodeError`]; also when the frame's kind or flags do not fit the message. So for all the `decode_…` functions here.
pub fn decode_client_hello(header: &Header, body: &[u8]) -> Result<ClientHello, DecodeError> {
    check_header(header, Kind::Handshake, 0)?;
    codec::decode_owned(body)
}

/// Decodes a server's first frame.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_server_hello(header: &Header, body: &[u8]) -> Result<ServerHello, DecodeError> {
    check_header(header, Kind::Handshake, 0)?;
    codec::decode_owned(body)
}

/// Decodes a request.
///
/// # Errors
/// See [`DecodeError`]; a call id of 0 is refused.
pub fn decode_request(header: &Header, body: &[u8]) -> Result<Request, DecodeError> {
    if header.call_id == 0 {
        return Err(DecodeError::NoCallId);
    }
    let request: Request = codec::decode_owned(body)?;
    check_header(header, request.kind(), 0)?;
    Ok(request)
}

/// Decodes a reply: a frame from the server without [`FLAG_PUSH`].
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_reply(header: &Header, body: &[u8]) -> Result<Reply, DecodeError> {
    let reply: Reply = codec::decode_owned(body)?;
    check_header(header, reply.kind(), 0)?;
    Ok(reply)
}

/// Decodes a push: a frame from the server with [`FLAG_PUSH`].
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_push(header: &Header, body: &[u8]) -> Result<Push, DecodeError> {
    check_header(header, Kind::Control, FLAG_PUSH)?;
    if header.flags & FLAG_PUSH == 0 {
        return Err(DecodeError::UnknownFlags { flags: header.flags });
    }
    codec::decode_owned(body)
}

/// What a server sends after its hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromServer {
    /// The one answer to a request.
    Reply(Reply),
    /// One more thing that was followed.
    Push(Push),
}

/// Decodes either; [`FLAG_PUSH`] tells which.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_from_server(header: &Header, body: &[u8]) -> Result<FromServer, DecodeError> {
    if header.flags & FLAG_PUSH == 0 {
        decode_reply(header, body).map(FromServer::Reply)
    } else {
        decode_push(header, body).map(FromServer::Push)
    }
}
