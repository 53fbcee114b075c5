//! A supervisor in miniature: builds the probe plugin, starts the real worker, and talks to it over a link.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use croupier_wire::confine::{Confine, Confined, Rlimits, ToBlank};
use croupier_wire::frame::FrameReader;
use croupier_wire::link::*;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

pub const FRAME_BYTES_MAX: u32 = 1 << 20;
pub const LIMITS: Limits = Limits {
    frame_bytes: FRAME_BYTES_MAX,
    reply_bytes: 4096,
    snapshot_bytes: 8192,
    effects_per_turn: 8,
    effect_bytes: 1024,
};

/// The probe plugin built with these `-D` flags; `None` (and a line that says so) when there is no C compiler.
pub fn probe(flags: &[&str]) -> Option<Vec<u8>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = folder.path().join("libprobe.so");
    let built = Command::new("cc")
        .args(["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-pthread"])
        .args(flags)
        .arg("-I")
        .arg(here.join("../plugin-abi/include"))
        .arg("-o")
        .arg(&library)
        .arg(here.join("tests/probe/probe.c"))
        .output();
    match built {
        Err(error) => {
            eprintln!("SKIPPED: the test plugin is C, and `cc` cannot be started here: {error}");
            None
        }
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(std::fs::read(library).expect("the library was built"))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    Yes,
    No,
}

pub fn memfd(bytes: &[u8], sealed: Sealed) -> OwnedFd {
    let fd = memfd_create(c"plugin", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).expect("a memfd");
    let mut file = std::fs::File::from(fd);
    file.write_all(bytes).expect("memory");
    if sealed == Sealed::Yes {
        let seals =
            SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).expect("seals");
    }
    file.into()
}

pub fn hello() -> Hello<'static> {
    Hello {
        version: LINK_VERSION,
        worker: 7,
        plugin: "probe",
        plugin_version: "1.2.3",
        state_version: 4,
        limits: LIMITS,
        permissions: vec!["send", "emit:table", "call:bank", "threads"],
        layout_shift_pages: 0,
    }
}

pub fn turn(session: u64, seq: u64, kind: u16, payload: &[u8]) -> Turn<'_> {
    Turn { session, seq, now_ns: 1, seed: [0; 32], kind, player: 1, payload, calls: vec![] }
}

/// These layers, and nothing that they need.
pub fn confine(layers: u32) -> Confine {
    let rlimits = Rlimits { data_bytes: 0, address_bytes: 0, stack_bytes: 0, open_files: 0, threads: 0 };
    Confine { version: LINK_VERSION, layers, rlimits, threads: true, ring_bytes: 0 }
}

pub struct Worker {
    child: Child,
    pub link: UnixStream,
    reader: FrameReader,
    next_id: u64,
}

impl Worker {
    /// A process that confined itself by nothing, and waits for Hello with the plugin beside it: here it is about loading and serving, not about the jail.
    pub fn start() -> Worker {
        Worker::start_by(Command::new(env!("CARGO_BIN_EXE_croupier-worker")).env_clear())
    }

    /// The same without the kernel's own shuffling of addresses (setarch(8)).
    pub fn start_unshuffled() -> Worker {
        Worker::start_by(Command::new("setarch").args(["-R", env!("CARGO_BIN_EXE_croupier-worker")]))
    }

    fn start_by(command: &mut Command) -> Worker {
        let mut worker = Worker::blank(command);
        let confined = worker.confine(&[ToBlank::Confine(confine(0))]);
        assert_eq!(confined.layers, 0);
        worker
    }

    /// A process that has not been told anything.
    pub fn start_blank() -> Worker {
        Worker::blank(Command::new(env!("CARGO_BIN_EXE_croupier-worker")).env_clear())
    }

    fn blank(command: &mut Command) -> Worker {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let child = command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the worker starts");
        let reader = FrameReader::new(LINK_VERSION, FRAME_BYTES_MAX);
        Worker { child, link: ours, reader, next_id: 1 }
    }

    /// Says these at once, of which the last is to be answered.
    pub fn confine(&mut self, told: &[ToBlank]) -> Confined {
        self.tell(told);
        loop {
            if let Some((header, body)) = self.reader.next().expect("frames") {
                return Confined::decode(&header, body).expect("Confined");
            }
            match self.link.read(self.reader.space()) {
                Ok(0) | Err(_) => panic!("the worker ended before it confined itself"),
                Ok(n) => self.reader.filled(n),
            }
        }
    }

    pub fn tell(&mut self, told: &[ToBlank]) {
        let mut frames = Vec::new();
        told.iter().for_each(|told| told.put(&mut frames).expect("fits"));
        self.link.write_all(&frames).expect("the worker listens");
    }

    /// One that was given this plugin and has said Welcome (or failed to).
    pub fn load(plugin: &[u8], hello: Hello<'_>) -> (Worker, Said) {
        let mut worker = Worker::start();
        worker.hand_over(&[memfd(plugin, Sealed::Yes)], hello);
        let (_, said) = worker.hear();
        (worker, said)
    }

    /// One that is ready for sessions.
    pub fn ready(plugin: &[u8]) -> Worker {
        let (mut worker, said) = Worker::load(plugin, hello());
        assert!(matches!(said, Said::Welcome { .. }), "{said:?}");
        assert_eq!(worker.ask(&ToWorker::Init { settings: b"{}" }), Said::Ok);
        worker
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn hand_over(&mut self, descriptors: &[OwnedFd], hello: Hello<'_>) {
        let mut frame = Vec::new();
        ToWorker::Hello(hello).put(&mut frame, 0, 1, FRAME_BYTES_MAX).expect("fits");
        self.next_id = 2;
        let raw: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let rights = if raw.is_empty() { &rights[..0] } else { &rights[..] };
        // The descriptor travels with the first byte; the rest comes later, as it may.
        let head = [IoSlice::new(&frame[..1])];
        sendmsg::<()>(self.link.as_raw_fd(), &head, rights, MsgFlags::empty(), None)
            .expect("the worker listens");
        match self.link.write_all(&frame[1..]) {
            // What came with the first byte may have been enough to give up; what it then says is what counts.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written.expect("the worker listens"),
        }
    }

    pub fn say(&mut self, message: &ToWorker<'_>, flags: u8) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.say_as(id, message, flags);
        id
    }

    pub fn say_as(&mut self, id: u64, message: &ToWorker<'_>, flags: u8) {
        let mut frame = Vec::new();
        message.put(&mut frame, flags, id, FRAME_BYTES_MAX).expect("fits");
        self.link.write_all(&frame).expect("the worker listens");
    }

    /// The next message; [`Said::Eof`] at the end of the link.
    pub fn hear(&mut self) -> (u64, Said) {
        loop {
            if let Some((header, body)) = self.reader.next().expect("frames") {
                let message = decode_from_worker(&header, body).expect("a message");
                return (header.call_id, Said::from(message));
            }
            match self.link.read(self.reader.space()) {
                Ok(0) | Err(_) => return (0, Said::Eof),
                Ok(n) => self.reader.filled(n),
            }
        }
    }

    /// Says and hears the answer, which must carry the call's id. Log lines and refusals before it are skipped.
    pub fn ask_with(&mut self, message: &ToWorker<'_>, flags: u8) -> Said {
        let asked = self.say(message, flags);
        loop {
            match self.hear() {
                (0, Said::Log { .. }) => {}
                (id, Said::Refused { .. }) if id == asked => {}
                (id, said) => {
                    assert!(id == asked || id == 0, "answer to {id}, asked {asked}: {said:?}");
                    return said;
                }
            }
        }
    }

    pub fn ask(&mut self, message: &ToWorker<'_>) -> Said {
        self.ask_with(message, 0)
    }

    /// Plays a turn that must be answered by Done.
    pub fn play(&mut self, turn: Turn<'_>, flags: u8) -> Played {
        match self.ask_with(&ToWorker::Turn(turn), flags) {
            Said::Done(played) => played,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the end: status, standard output, standard error.
    pub fn end(self) -> (ExitStatus, String, String) {
        drop(self.link);
        let output = self.child.wait_with_output().expect("the worker ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status, text(&output.stdout), text(&output.stderr))
    }
}

/// [`FromWorker`], owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Welcome { abi_minor: u32, has_extensions: bool, layout_checked: bool },
    Ok,
    Failed { status: i32, text: String },
    Done(Played),
    Snapshot(Vec<u8>),
    HostCall { index: u32, name: String, args: Vec<u8> },
    Log { level: u8, text: String },
    Refused { permission: String, count: u32 },
    Fault { code: FaultCode, text: String },
    Eof,
}

/// [`Done`], owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    pub status: i32,
    pub reply: String,
    pub error: String,
    pub effects: Vec<String>,
    pub outcome: u64,
    pub snapshot: Option<Vec<u8>>,
    pub diverged: bool,
}

impl From<FromWorker<'_>> for Said {
    fn from(message: FromWorker<'_>) -> Said {
        match message {
            FromWorker::Welcome { abi_minor, has_extensions, layout_checked, version } => {
                assert_eq!(version, LINK_VERSION);
                Said::Welcome { abi_minor, has_extensions, layout_checked }
            }
            FromWorker::Ok => Said::Ok,
            FromWorker::Failed { status, text } => Said::Failed { status, text: text.to_owned() },
            FromWorker::Done(done) => Said::Done(Played {
                status: done.status,
                reply: String::from_utf8_lossy(done.reply).into_owned(),
                error: done.error.to_owned(),
                effects: done.effects.iter().map(effect_text).collect(),
                outcome: done.outcome,
                snapshot: done.snapshot.map(<[u8]>::to_vec),
                diverged: done.diverged,
            }),
            FromWorker::Snapshot { snapshot } => Said::Snapshot(snapshot.to_vec()),
            FromWorker::HostCall { index, name, args } => {
                Said::HostCall { index, name: name.to_owned(), args: args.to_vec() }
            }
            FromWorker::Log { level, text } => Said::Log { level, text: text.to_owned() },
            FromWorker::Refused { permission, count } => {
                Said::Refused { permission: permission.to_owned(), count }
            }
            FromWorker::Fault { code, text } => Said::Fault { code, text: text.to_owned() },
        }
    }
}

fn effect_text(effect: &Effect<'_>) -> String {
    match effect {
        Effect::Send { to, message } => format!("{to}: {}", String::from_utf8_lossy(message)),
        Effect::Emit { topic, event } => format!("{topic}: {}", String::from_utf8_lossy(event)),
    }
}
