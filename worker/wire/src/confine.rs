//! What is said before Hello: how a worker is to confine itself, and what came of it. And between the supervisor and the zygote, which makes workers.
//!
//! ```text
//!  supervisor ── Spawn + link, stdout, stderr (, cgroup) ──▶ zygote ── fork ──▶ worker
//!             ◀── Spawned + pidfd ───────────────
//!  supervisor ── Prepare ───────────────────────────────────────────▶ worker   puts on the layers that are the same for every plugin
//!  supervisor ── Confine (+ the ring's memory) ─────────────────────▶ worker   and the others
//!             ◀── Confined + the filter's listener ─────────────────          all that it says is believed until here, and checked from outside
//!  supervisor ── Hello ──▶ …                                                  see crate::link
//! ```
//!
//! A worker that cannot confine itself answers with [`crate::link::FromWorker::Fault`] instead of [`Confined`].

use bincode::{BorrowDecode, Decode, Encode};

use crate::codec::{self, DecodeError, EncodeError, check_header, put_frame};
use crate::frame::{FIRST_CHUNK_BYTES, Header, Kind};
use crate::link::LINK_VERSION;

/// Longest frame of this vocabulary, in bytes.
pub const CONFINE_FRAME_BYTES_MAX: u32 = 4096;
// Between supervisor and zygote each frame is a packet, which one receive takes whole or cuts off.
const _: () =
    assert!(FIRST_CHUNK_BYTES >= CONFINE_FRAME_BYTES_MAX as usize, "a packet fits a reader's first buffer");

/// Exit status of a worker that called abort(3): pid 1 of a namespace cannot die of SIGABRT, so it says so like this.
pub const EXIT_ABORTED: i32 = 128 + 6;

/// The number of a system call that no kernel has. A worker's fault handler makes it, with the signal, the address of its `siginfo_t` and that of its `ucontext_t`; its
/// filter passes it on, and while it waits the supervisor looks at the faulted thread from outside. Whoever makes it has promised to die.
pub const CRASH_CALL: u32 = 0x63_7273;
/// How that call fails when the supervisor may not look into the process: it should let itself be looked into (`PR_SET_DUMPABLE`), and call again. EAGAIN (errno(3)).
pub const CRASH_AGAIN: i32 = 11;

/// A layer of the jail that a worker puts on itself, as a bit of [`Confine::layers`].
pub mod layer {
    /// Empty read-only root; needs a mount namespace.
    pub const ROOT: u32 = 1;
    /// rlimits.
    pub const RLIMITS: u32 = 1 << 1;
    /// Empty capability sets, bounding set included, and `no_new_privs`.
    pub const PRIVILEGES: u32 = 1 << 2;
    /// Landlock: no files, no TCP, no signals and no abstract sockets to the outside.
    pub const LANDLOCK: u32 = 1 << 3;
    /// The system call filter.
    pub const SECCOMP: u32 = 1 << 4;
    /// Every one of them.
    pub const ALL: u32 = ROOT | RLIMITS | PRIVILEGES | LANDLOCK | SECCOMP;
    /// Those that are the same for every plugin: a worker that waits for one can have them on already.
    pub const FIRST: u32 = ROOT | PRIVILEGES | LANDLOCK;
    /// The namespaces, all of them, and an own user with them. No worker puts them on itself, so this is never asked of one: it is for tests that leave them out.
    pub const NAMESPACES: u32 = 1 << 5;
}

/// A namespace that the zygote makes for a worker, as a bit.
pub mod namespace {
    /// User.
    pub const USER: u32 = 1;
    /// Mounts.
    pub const MOUNT: u32 = 1 << 1;
    /// Process ids.
    pub const PID: u32 = 1 << 2;
    /// Network.
    pub const NET: u32 = 1 << 3;
    /// System V IPC and POSIX queues.
    pub const IPC: u32 = 1 << 4;
    /// Host name.
    pub const UTS: u32 = 1 << 5;
    /// Cgroup root.
    pub const CGROUP: u32 = 1 << 6;
    /// Every one of them.
    pub const ALL: u32 = USER | MOUNT | PID | NET | IPC | UTS | CGROUP;
}

/// What the plugin may use, as rlimits (setrlimit(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Rlimits {
    /// Heap, data and thread stacks: `RLIMIT_DATA`.
    pub data_bytes: u64,
    /// Address space, used or not: `RLIMIT_AS`.
    pub address_bytes: u64,
    /// Stack of the game thread, and of each other thread unless it asks for another: `RLIMIT_STACK`.
    pub stack_bytes: u64,
    /// Descriptors: `RLIMIT_NOFILE`.
    pub open_files: u64,
    /// Threads: `RLIMIT_NPROC`; 0 leaves it alone, where it would count the processes of others.
    pub threads: u64,
}

/// What a worker without a plugin is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ToBlank {
    /// Put these on already; no answer. Said at most once, and first.
    Prepare {
        /// Bits of [`layer::FIRST`].
        layers: u32,
    },
    /// Confine yourself, and say so. Answered by [`Confined`].
    Confine(Confine),
}

/// How a worker is to confine itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Confine {
    /// [`LINK_VERSION`] of the supervisor.
    pub version: u16,
    /// Bits of [`layer`]: all that are to be on in the end, those of [`ToBlank::Prepare`] included.
    pub layers: u32,
    /// Limits.
    pub rlimits: Rlimits,
    /// Calls that threads need are allowed.
    pub threads: bool,
    /// Bytes of each direction of a ring whose memory is beside this, through which all frames after Hello travel; 0 when there is none, and they travel over the socket.
    pub ring_bytes: u32,
}

/// What came of it. The filter's listener travels beside it, if there is a filter.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Confined {
    /// Bits of [`layer`] that are on.
    pub layers: u32,
    /// The Landlock ABI in force; 0 for none. The kernel tells nobody else, so this is the worker's word, given before the plugin was there.
    pub landlock_abi: u8,
    /// All that this build asks of Landlock is in force, not just what an older kernel knows.
    pub landlock_whole: bool,
}

/// What the zygote is asked.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub enum ToZygote {
    /// Make a worker of the three descriptors beside this: link, standard output, standard error; a fourth one is the cgroup in which it begins. Answered by [`FromZygote::Spawned`] or [`FromZygote::Failed`].
    Spawn {
        /// Bits of [`namespace`].
        namespaces: u32,
        /// The user and group id that it runs as, outside of its namespaces; 0 for the zygote's own.
        uid: u32,
        /// It begins as a fresh program, with an address layout of its own.
        fresh: bool,
    },
    /// Collect the exit status of a worker; ends it if it has not ended. Answered by [`FromZygote::Reaped`] or [`FromZygote::Failed`].
    Reap {
        /// Its process id.
        pid: u32,
    },
}

/// What the zygote answers, to one question after the other.
#[derive(Debug, Clone, PartialEq, Eq, Encode, BorrowDecode)]
pub enum FromZygote<'a> {
    /// It is there; its pidfd is beside this.
    Spawned {
        /// Its process id as the zygote sees it.
        pid: u32,
        /// Bits of [`namespace`] that it got.
        namespaces: u32,
        /// Why it got fewer than asked for; empty when it got all.
        why: &'a str,
    },
    /// How it ended: the status as wait(2) packs it.
    Reaped {
        /// The status.
        status: i32,
    },
    /// It could not be done.
    Failed {
        /// What could not.
        step: &'a str,
        /// The error number.
        errno: i32,
    },
}

macro_rules! framed {
    ($type:ty) => {
        impl $type {
            /// Appends the message to `out` as a frame.
            ///
            /// # Errors
            /// See [`EncodeError`]; `out` is then as it was.
            pub fn put(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                put_frame(out, Kind::Handshake, 0, LINK_VERSION, 0, self, CONFINE_FRAME_BYTES_MAX)
            }
        }
    };
}
framed!(ToBlank);
framed!(Confined);
framed!(ToZygote);
framed!(FromZygote<'_>);

macro_rules! owned {
    ($type:ty) => {
        impl $type {
            /// Decodes a frame.
            ///
            /// # Errors
            /// See [`DecodeError`].
            pub fn decode(header: &Header, body: &[u8]) -> Result<$type, DecodeError> {
                check_header(header, Kind::Handshake, 0)?;
                codec::decode_owned(body)
            }
        }
    };
}
owned!(ToBlank);
owned!(Confined);

impl ToZygote {
    /// Decodes a frame.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(header: &Header, body: &[u8]) -> Result<ToZygote, DecodeError> {
        check_header(header, Kind::Handshake, 0)?;
        codec::decode_borrowed(body)
    }
}

impl<'a> FromZygote<'a> {
    /// Decodes a frame.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(header: &Header, body: &'a [u8]) -> Result<FromZygote<'a>, DecodeError> {
        check_header(header, Kind::Handshake, 0)?;
        codec::decode_borrowed(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameReader;

    fn cut(bytes: &[u8]) -> (Header, Vec<u8>) {
        let mut reader = FrameReader::new(LINK_VERSION, CONFINE_FRAME_BYTES_MAX);
        reader.space()[..bytes.len()].copy_from_slice(bytes);
        reader.filled(bytes.len());
        let (header, body) = reader.next().unwrap().unwrap();
        (header, body.to_vec())
    }

    #[test]
    fn messages_come_back_as_they_went() {
        let rlimits =
            Rlimits { data_bytes: 1 << 40, address_bytes: 2, stack_bytes: 3, open_files: 4, threads: 5 };
        let confine = Confine {
            version: LINK_VERSION,
            layers: layer::ALL,
            rlimits,
            threads: true,
            ring_bytes: 1 << 18,
        };
        let confined = Confined { layers: 3, landlock_abi: 7, landlock_whole: true };
        let spawn = ToZygote::Spawn { namespaces: namespace::ALL, uid: 100_001, fresh: false };
        let failed = FromZygote::Failed { step: "clone3", errno: 1 };
        let mut bytes = [const { Vec::new() }; 4];
        ToBlank::Confine(confine).put(&mut bytes[0]).unwrap();
        confined.put(&mut bytes[1]).unwrap();
        spawn.put(&mut bytes[2]).unwrap();
        failed.put(&mut bytes[3]).unwrap();
        let [a, b, c, d] = bytes.map(|bytes| cut(&bytes));
        assert_eq!(ToBlank::decode(&a.0, &a.1), Ok(ToBlank::Confine(confine)));
        assert_eq!(Confined::decode(&b.0, &b.1), Ok(confined));
        assert_eq!(ToZygote::decode(&c.0, &c.1), Ok(spawn));
        assert_eq!(FromZygote::decode(&d.0, &d.1), Ok(failed));
        assert!(ToBlank::decode(&d.0, &d.1).is_err());
    }
}
