//! A worker that speaks the link well enough to be trusted with a plugin, and then does one evil deed.
//!
//! The supervisor starts a zygote without an environment. So what it starts is a script that starts this very test binary again, with the deed in its environment and
//! [`act`] as the only test; that makes workers of the same kind ([`crate::nursery`]). They confine themselves by nothing, so isolation must be off. The game in it is honest for the plugin `dice`; for any other plugin the first
//! action is the moment.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use croupier_wire::confine::{Confined, ToBlank};
use croupier_wire::frame::{FRAME_BYTES_CEILING, FrameReader};
use croupier_wire::link::{
    Done, Effect, FLAG_REPLAY, FromWorker, LINK_VERSION, ToWorker, Turn, decode_to_worker,
};
use croupier_wire::outcome::outcome_hash;

use crate::nursery;

/// Where the deed's name is.
const DEED: &str = "HOSTILE_DEED";
/// Set where it makes workers, and is none.
const ZYGOTE: &str = "HOSTILE_ZYGOTE";
/// Longest that anything here lives on when nobody ends it.
const LIFE: Duration = Duration::from_secs(60);
/// Turns of this kind are actions.
const ACTION: u16 = 3;

/// Writes the script that starts the impostor with this deed.
pub(crate) fn script(dir: &Path, deed: &str) -> PathBuf {
    let path = dir.join(format!("worker-{deed}"));
    let exe = std::env::current_exe().expect("a path");
    let exe = exe.to_str().expect("UTF-8");
    let text = format!(
        "#!/bin/sh\n{ZYGOTE}=1 {DEED}={deed} exec '{exe}' --exact impostor::act --nocapture --test-threads=1\n"
    );
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

/// A worker process when there is a deed. Without one it is a test like others: an impostor ends with its link, so that none is left behind.
#[test]
fn act() {
    let Ok(deed) = std::env::var(DEED) else {
        let dir = tempfile::tempdir().expect("a directory");
        let (ours, theirs) = UnixStream::pair().expect("a link");
        drop(ours);
        let link = Stdio::from(std::os::fd::OwnedFd::from(theirs));
        let ended = Command::new(script(dir.path(), "none")).stdin(link).status().expect("starts");
        return assert!(ended.success(), "{ended}");
    };
    if deed == "linger" {
        linger();
    }
    if std::env::var_os(ZYGOTE).is_some() {
        nursery::serve(|| {
            let mut command = Command::new(std::env::current_exe().expect("a path"));
            command.args(["--exact", "impostor::act", "--nocapture", "--test-threads=1"]);
            command.env(DEED, &deed).env_remove(ZYGOTE);
            command
        });
    }
    let link = std::io::stdin().as_fd().try_clone_to_owned().expect("the link");
    Impostor { link: UnixStream::from(link), confined: false, evil: false, limits: (0, 0), deed }.serve();
}

struct Impostor {
    link: UnixStream,
    /// It has been told how to confine itself, and has not.
    confined: bool,
    /// Not for the honest plugin.
    evil: bool,
    /// Longest reply, most effects.
    limits: (u32, u32),
    deed: String,
}

impl Impostor {
    fn serve(mut self) -> ! {
        let mut reader = FrameReader::new(LINK_VERSION, FRAME_BYTES_CEILING);
        loop {
            while let Some((header, body)) = reader.next().expect("the supervisor's frames are frames") {
                if !self.confined {
                    let told =
                        ToBlank::decode(&header, body).expect("the first frames say how to confine oneself");
                    if let ToBlank::Confine(_) = told {
                        self.confined = true;
                        self.bytes(&confined());
                    }
                    continue;
                }
                let message = decode_to_worker(&header, body).expect("and messages");
                self.answer(header.call_id, header.flags, &message);
            }
            match self.link.read(reader.space()) {
                Ok(0) | Err(_) => std::process::exit(0),
                Ok(read) => reader.filled(read),
            }
        }
    }

    fn answer(&mut self, call: u64, flags: u8, message: &ToWorker<'_>) {
        match message {
            ToWorker::Hello(hello) => {
                self.evil = hello.plugin != "dice";
                self.limits = (hello.limits.reply_bytes, hello.limits.effects_per_turn);
                self.say(0, &welcome());
                if self.evil && self.deed == "twice" {
                    self.say(0, &welcome());
                }
            }
            ToWorker::Turn(turn) if self.evil && turn.kind == ACTION => self.sin(call, turn),
            ToWorker::Turn(_) if flags & FLAG_REPLAY != 0 => self.done(call, b""),
            ToWorker::Turn(_) => self.done(call, b"{}"),
            ToWorker::Shutdown => {
                self.say(call, &FromWorker::Ok);
                std::process::exit(0);
            }
            _ => self.say(call, &FromWorker::Ok),
        }
    }

    fn sin(&mut self, call: u64, turn: &Turn<'_>) {
        let (reply_bytes, effects_per_turn) = self.limits;
        match self.deed.as_str() {
            "wrong-call" => self.done(call + 7, b"{}"),
            "no-call" => self.done(0, b"{}"),
            "duplicate" => {
                // In one piece, so that no death comes between them.
                let mut bytes = frame(call, &done(b"{}", vec![]));
                bytes.extend(frame(call, &done(b"{}", vec![])));
                self.bytes(&bytes);
            }
            "wrong-kind" => self.say(call, &FromWorker::Ok),
            "garbage" => self.bytes(&[0xff; 64]),
            "bomb" => self.bytes(&[0xf0, 0xff, 0xff, 0xff, 0x52, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
            "lengths" => {
                // A `Done` whose reply claims to be 4 GiB long.
                let mut bytes = frame(call, &done(b"", vec![]));
                let at = bytes.len() - 13;
                bytes[at] = 252;
                self.bytes(&bytes);
            }
            "big-reply" => self.done(call, &vec![b'1'; reply_bytes as usize + 1]),
            "effects" => {
                let effect = Effect::Send { to: 1, message: b"" };
                self.say(call, &done(b"{}", vec![effect; effects_per_turn as usize + 1]));
            }
            "topic" => {
                self.say(call, &done(b"{}", vec![Effect::Emit { topic: "secrets", event: b"1" }]));
            }
            "calls" => {
                // Those on record are answered already.
                for index in turn.calls.len() as u32.. {
                    self.say(call, &FromWorker::HostCall { index, name: "nobody", args: b"" });
                }
            }
            "call-order" => self.say(call, &FromWorker::HostCall { index: 5, name: "nobody", args: b"" }),
            "logs" => {
                let text = "x".repeat(1000);
                loop {
                    self.say(0, &FromWorker::Log { level: 1, text: &text });
                }
            }
            "prints" => {
                let flood = std::thread::spawn(|| {
                    while std::io::stdout().write_all(b"a line that nobody asked for\n").is_ok() {}
                });
                self.done(call, b"{}");
                drop(flood);
            }
            "deaf" => std::thread::sleep(LIFE),
            "hangs-up" => {
                self.link.shutdown(std::net::Shutdown::Both).expect("a link");
                std::thread::sleep(LIFE);
            }
            "closes-stdout" => {
                let _ = nix::unistd::close(1);
                let _ = nix::unistd::close(2);
                self.done(call, b"{}");
            }
            "leaves-a-child" => {
                // It keeps the link and both pipes open, and is in no group that could be killed.
                let exe = std::env::current_exe().expect("a path");
                Command::new(exe)
                    .args(["--exact", "impostor::act", "--nocapture"])
                    .env(DEED, "linger")
                    .stdin(Stdio::inherit())
                    .spawn()
                    .expect("a child");
                // It has left the group when it has said so in its log.
                std::thread::sleep(Duration::from_secs(1));
                std::process::exit(3);
            }
            other => panic!("no deed {other} (turn {})", turn.seq),
        }
    }

    fn done(&self, call: u64, reply: &[u8]) {
        let mut done = Done { outcome: outcome_hash(0, b"{}", "", &[]), ..plain(reply, vec![]) };
        if !reply.is_empty() {
            done.outcome = outcome_hash(0, reply, "", &[]);
        }
        self.say(call, &FromWorker::Done(done));
    }

    fn say(&self, call: u64, message: &FromWorker<'_>) {
        self.bytes(&frame(call, message));
    }

    /// Nobody listening any more is the end.
    fn bytes(&self, bytes: &[u8]) {
        if (&self.link).write_all(bytes).is_err() {
            std::process::exit(0);
        }
    }
}

/// A child that outlives its worker, for a while.
fn linger() -> ! {
    nix::unistd::setsid().expect("no leader yet");
    std::thread::sleep(Duration::from_secs(20));
    std::process::exit(0);
}

fn confined() -> Vec<u8> {
    let mut bytes = Vec::new();
    Confined { layers: 0, landlock_abi: 0, landlock_whole: false }.put(&mut bytes).expect("fits");
    bytes
}

fn welcome() -> FromWorker<'static> {
    FromWorker::Welcome { version: LINK_VERSION, abi_minor: 0, has_extensions: false, layout_checked: false }
}

fn plain<'a>(reply: &'a [u8], effects: Vec<Effect<'a>>) -> Done<'a> {
    Done { status: 0, reply, error: "", effects, outcome: 0, snapshot: None, diverged: false }
}

fn done<'a>(reply: &'a [u8], effects: Vec<Effect<'a>>) -> FromWorker<'a> {
    FromWorker::Done(plain(reply, effects))
}

fn frame(call: u64, message: &FromWorker<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.put(&mut bytes, call, FRAME_BYTES_CEILING).expect("fits");
    bytes
}
