//! The first frame each way, apart from the reading and writing of it.

use croupier_wire::door::{
    ClientHello, DOOR_VERSION, Reply, ServerHello, decode_reply, decode_server_hello, put_client_hello,
};
use croupier_wire::frame::{FRAME_BYTES_DEFAULT, FrameReader, Kind};

use super::Broken;
use crate::ConnectOptions;

/// Longest program name that is told, in bytes.
const PROGRAM_BYTES_MAX: usize = 256;

/// The client's hello as a frame.
pub(super) fn hello(options: &ConnectOptions) -> Result<Vec<u8>, Broken> {
    let program: String = options.program.chars().take(PROGRAM_BYTES_MAX / 4).collect();
    let hello = ClientHello { version: DOOR_VERSION, client_id: options.client_id.0, program };
    let mut frame = Vec::new();
    put_client_hello(&mut frame, &hello, FRAME_BYTES_DEFAULT)
        .map_err(|error| Broken::Nonsense(error.to_string()))?;
    Ok(frame)
}

/// The server's hello, once it is whole.
pub(super) fn welcome(reader: &mut FrameReader) -> Result<Option<ServerHello>, Broken> {
    let Some((header, body)) = reader.next()? else { return Ok(None) };
    if header.kind != Kind::Handshake {
        return Err(match decode_reply(&header, body) {
            Ok(Reply::Refused(refusal)) => Broken::last_words(refusal),
            _ => Broken::Nonsense("the first frame is no hello".to_owned()),
        });
    }
    let hello = decode_server_hello(&header, body)?;
    if hello.version != DOOR_VERSION {
        let found = hello.version;
        return Err(Broken::Nonsense(format!(
            "it speaks version {found} of the door's language, this client version {DOOR_VERSION}"
        )));
    }
    Ok(Some(hello))
}
