//! A bare echo over a Unix socket with bincode 2: blocking, no runtime, one process each side. Many frames share a system call where many are
//! in flight.
//!
//! ```text
//!  frame: len u32, little-endian | bincode of Packet
//! ```

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use bincode::{BorrowDecode, Encode};
use rustix::event::{PollFd, PollFlags, poll};

use crate::Fault;
use crate::call::{CALL_BYTES_MAX, Replies, Requests, Way, answer};
use crate::child::{self, Child};

/// What is read at a time.
const READ_BYTES: usize = 4 * CALL_BYTES_MAX;
/// The action that is called.
const METHOD: u32 = 3;

#[derive(Encode, BorrowDecode)]
struct Packet<'a> {
    number: u64,
    method: u32,
    payload: &'a [u8],
}

fn fault(error: impl std::fmt::Display) -> Fault {
    Fault::plain(format!("the socket or its frames: {error}"))
}

fn put(out: &mut Vec<u8>, packet: &Packet<'_>) -> Result<(), Fault> {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    bincode::encode_into_std_write(packet, out, bincode::config::standard()).map_err(fault)?;
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
    Ok(())
}

/// Bytes as they come, cut into frames.
struct Frames {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Frames {
    fn new() -> Self {
        Self { bytes: vec![0; 2 * READ_BYTES], from: 0, to: 0 }
    }

    /// One read; what is left of a frame moves to the front first.
    fn read(&mut self, stream: &mut UnixStream) -> std::io::Result<usize> {
        self.bytes.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        let end = (self.to + READ_BYTES).min(self.bytes.len());
        let len = stream.read(&mut self.bytes[self.to..end])?;
        self.to += len;
        Ok(len)
    }

    fn next(&mut self) -> Result<Option<Packet<'_>>, Fault> {
        let bytes = &self.bytes[self.from..self.to];
        let Some((head, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
        let Some(frame) = rest.get(..u32::from_le_bytes(*head) as usize) else { return Ok(None) };
        self.from += 4 + frame.len();
        let (packet, _) =
            bincode::borrow_decode_from_slice(frame, bincode::config::standard()).map_err(fault)?;
        Ok(Some(packet))
    }
}

pub(crate) struct Caller {
    stream: UnixStream,
    frames: Frames,
    out: Vec<u8>,
    number: u64,
    child: Child,
}

impl Caller {
    pub(crate) fn start(core: usize) -> Result<Self, Fault> {
        let (stream, theirs) = UnixStream::pair().map_err(fault)?;
        let child = Child::start("socket", core, &[], Some(OwnedFd::from(theirs)))?;
        Ok(Self { stream, frames: Frames::new(), out: Vec::new(), number: 0, child })
    }

    /// Takes the replies that are there; returns how many.
    fn take(&mut self, replies: &mut Replies, reply: &mut [u8]) -> Result<u64, Fault> {
        let mut taken = 0;
        while let Some(packet) = self.frames.next()? {
            let into = reply.get_mut(..packet.payload.len()).ok_or_else(|| fault("a reply is too long"))?;
            into.copy_from_slice(packet.payload);
            replies.check(into)?;
            taken += 1;
        }
        Ok(taken)
    }
}

impl Way for Caller {
    fn call(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        self.number += 1;
        self.out.clear();
        put(&mut self.out, &Packet { number: self.number, method: METHOD, payload: request })?;
        self.stream.write_all(&self.out).map_err(fault)?;
        loop {
            if let Some(packet) = self.frames.next()? {
                if packet.number != self.number || packet.method != METHOD {
                    return Err(fault("a reply to another call"));
                }
                reply[..packet.payload.len()].copy_from_slice(packet.payload);
                return Ok(packet.payload.len());
            }
            if self.frames.read(&mut self.stream).map_err(fault)? == 0 {
                return Err(fault("the other side is gone"));
            }
        }
    }

    /// Without blocking in a write, in which both sides could wait for each other.
    fn pipeline(&mut self, size: usize, calls: u64, window: usize) -> Result<(), Fault> {
        let (mut requests, mut replies) = (Requests::new(size), Replies::new(size));
        let mut reply = vec![0; size];
        self.stream.set_nonblocking(true).map_err(fault)?;
        self.out.clear();
        let (mut written, mut sent, mut got) = (0, 0u64, 0u64);
        while got < calls {
            if written == self.out.len() {
                self.out.clear();
                written = 0;
                // Half a window at a time, so that frames share system calls.
                if sent - got <= window as u64 / 2 {
                    while sent < calls && sent - got < window as u64 {
                        self.number += 1;
                        let payload = requests.next();
                        put(&mut self.out, &Packet { number: self.number, method: METHOD, payload })?;
                        sent += 1;
                    }
                }
            }
            let mut wanted = PollFlags::IN;
            if written < self.out.len() {
                match self.stream.write(&self.out[written..]) {
                    Ok(len) => written += len,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => wanted |= PollFlags::OUT,
                    Err(error) => return Err(fault(error)),
                }
            }
            match self.frames.read(&mut self.stream) {
                Ok(0) => return Err(fault("the other side is gone")),
                Ok(_) => got += self.take(&mut replies, &mut reply)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if written == self.out.len() || wanted.contains(PollFlags::OUT) {
                        poll(&mut [PollFd::new(&self.stream, wanted)], None).map_err(fault)?;
                    }
                }
                Err(error) => return Err(fault(error)),
            }
        }
        self.stream.set_nonblocking(false).map_err(fault)?;
        Ok(())
    }

    fn peers(&self) -> Vec<u32> {
        vec![self.child.pid()]
    }
}

/// The other process.
pub(crate) fn serve() -> Result<(), Fault> {
    let stdin = rustix::io::dup(rustix::stdio::stdin()).map_err(fault)?;
    let mut stream = UnixStream::from(stdin);
    let (mut frames, mut out) = (Frames::new(), Vec::new());
    let mut bytes = vec![0; CALL_BYTES_MAX];
    child::ready()?;
    loop {
        if frames.read(&mut stream).map_err(fault)? == 0 {
            return Ok(());
        }
        out.clear();
        while let Some(packet) = frames.next()? {
            let len = packet.payload.len().min(bytes.len());
            bytes[..len].copy_from_slice(&packet.payload[..len]);
            answer(&mut bytes[..len]);
            put(&mut out, &Packet { payload: &bytes[..len], ..packet })?;
        }
        stream.write_all(&out).map_err(fault)?;
    }
}
