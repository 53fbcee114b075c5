//! A worker's bytes through all that they go through: frame reader, decoder, limits, and the state machine behind them with sessions and turns in flight. Whatever it says,
//! nothing panics, nobody is answered twice, the memory that it makes us take is in proportion to what it said, and when it is gone so is all of that memory.
//!
//! Input: bytes per receive, how to read the rest, then the rest: a stream as it is; or pieces of four bytes and a body (kind, which call, length), to which true headers
//! are made, so that more than one input in a million gets past them.
#![no_main]

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use croupier::game::hearing::Hearing;
use croupier::worker::link::{WayIn, WayOut, Ways};
use croupier::worker::port::Received;
use croupier_core::action::Action;
use croupier_core::event::{Cause, Event, Input, Open, Options, Turn, WhenFull};
use croupier_core::ids::{CallId, ClientId, Now, Payload, PlayerId, RequestId, SessionId, WorkerId, kind};
use croupier_core::spec::{Grants, Join, SnapshotPolicy};
use croupier_core::{Game, Spec};
use croupier_fair::seed::ServerSeed;
use croupier_wire::frame::{HEADER_BYTES, Header, Kind};
use croupier_wire::link::{FromWorker, LINK_VERSION, Limits};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    frame_bytes: 64 << 10,
    reply_bytes: 1 << 10,
    snapshot_bytes: 4 << 10,
    effects_per_turn: 16,
    effect_bytes: 1 << 10,
};
const SESSIONS: u64 = 3;
/// What a game with these sessions takes by itself, and a reader's first buffer: bytes.
const OWN_BYTES: u64 = 512 << 10;
/// What one byte of a worker may make us take at the most: bytes.
const BYTES_PER_BYTE: u64 = 256;
/// What may be left over after all inputs together, such as what is made once: bytes.
const LEFT_BYTES_MAX: i64 = 256 << 10;
/// Receives of one input.
const RECEIVES_MAX: usize = 4096;

/// What the worker says, so many bytes a receive; what it is told is of no interest.
struct Script {
    said: Mutex<(Vec<u8>, usize)>,
    receive_bytes: usize,
}

/// The worker's end of the link.
struct Scripted(Arc<Script>);

impl WayOut for Scripted {
    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
}

impl WayIn for Scripted {
    fn try_recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut said = self.0.said.lock().expect("one thread");
        let (bytes, at) = &mut *said;
        let n = self.0.receive_bytes.min(bytes.len() - *at).min(into.len());
        if n == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        into[..n].copy_from_slice(&bytes[*at..*at + n]);
        *at += n;
        Ok(n)
    }
}

fn spec() -> Spec {
    let topics = || ["table".to_owned()].into();
    Spec {
        players_max: 9,
        join: Join::Optional,
        grants: Grants { send: true, emit: topics(), call: ["wallet".to_owned()].into() },
        queue_max: 16,
        lobby_max: 4,
        window_calls: 16,
        flights_max: 4,
        turn_wall_ns: 1_000_000_000,
        load_wall_ns: 1_000_000_000,
        snapshots: SnapshotPolicy { turns: 2, turns_min: 2, bytes: 4096, age_ns: 1_000_000_000 },
        outputs_kept: 8,
        clients_max: 4,
        sessions_max: 8,
        catch_up_ticks: 1,
        poison_max: 3,
        ..Spec::new("heard", [0; 32])
    }
}

/// The game, its one worker, and what it was asked.
struct Rig {
    game: Game,
    now: Now,
    hearing: Option<Hearing>,
    script: Arc<Script>,
    calls: Vec<u64>,
    answered: HashSet<RequestId>,
    alive: bool,
}

impl Rig {
    /// With sessions that are open, each with turns in flight.
    fn new(receive_bytes: usize) -> Rig {
        let script = Arc::new(Script { said: Mutex::default(), receive_bytes });
        let now = Now { mono_ns: 1, wall_ns: 1 };
        let mut rig = Rig {
            game: Game::new(spec()),
            now,
            hearing: None,
            script,
            calls: Vec::new(),
            answered: HashSet::new(),
            alive: true,
        };
        rig.step(Event::Start { request: RequestId(1) });
        rig.says(&FromWorker::Welcome {
            version: LINK_VERSION,
            abi_minor: 0,
            has_extensions: false,
            layout_checked: false,
        });
        rig.answers_all();
        for session in 1..=SESSIONS {
            rig.step(Event::Open(Open {
                request: RequestId(10 + session),
                session: SessionId(session),
                config: Payload::from(*b"{}"),
                seed: ServerSeed::from_bytes([7; 32]),
                options: Options::default(),
            }));
        }
        rig.answers_all();
        for turn in 0..2 * SESSIONS {
            let input = Input {
                kind: kind::ACTION,
                player: PlayerId(1),
                payload: Payload::from(*b"{}"),
                client_seed: Payload::from([]),
            };
            rig.step(Event::Turn(Turn {
                request: RequestId(100 + turn),
                session: SessionId(1 + turn % SESSIONS),
                client: ClientId(1),
                client_seq: 1 + turn / SESSIONS,
                input,
                when_full: WhenFull::Wait,
                no_room: false,
                deadline_mono_ns: None,
            }));
        }
        assert!(rig.alive && rig.calls.len() as u64 >= SESSIONS, "{} calls", rig.calls.len());
        rig
    }

    /// An honest worker answers what it was asked so far.
    fn answers_all(&mut self) {
        while let Some(call) = (!self.calls.is_empty()).then(|| self.calls.remove(0)) {
            let done = croupier_wire::link::Done {
                status: 0,
                reply: b"{}",
                error: "",
                effects: Vec::new(),
                outcome: 0,
                snapshot: None,
                diverged: false,
            };
            let answer = if call == 1 { FromWorker::Ok } else { FromWorker::Done(done) };
            let mut bytes = Vec::new();
            answer.put(&mut bytes, call, LIMITS.frame_bytes).expect("fits");
            self.script_is(bytes);
            self.hear();
        }
    }

    fn says(&mut self, message: &FromWorker<'_>) {
        let mut bytes = Vec::new();
        message.put(&mut bytes, 0, LIMITS.frame_bytes).expect("fits");
        self.script_is(bytes);
        self.hear();
    }

    fn script_is(&self, bytes: Vec<u8>) {
        *self.script.said.lock().expect("one thread") = (bytes, 0);
    }

    /// Takes what is there.
    fn hear(&mut self) {
        for _ in 0..RECEIVES_MAX {
            let Some(hearing) = &self.hearing else { return };
            let (received, events) = hearing.hear();
            for event in events {
                self.step(event);
            }
            match received {
                Received::More if self.alive => {}
                Received::Broken(_) => return self.alive = false,
                Received::More | Received::Drained | Received::Ended | Received::AfterFault => return,
            }
        }
    }

    fn step(&mut self, event: Event) {
        let mut waiting = vec![event];
        while let Some(event) = waiting.pop() {
            self.now.mono_ns += 1000;
            self.now.wall_ns += 1000;
            let mut actions = Vec::new();
            self.game.step(self.now, event, &mut actions);
            for action in actions {
                waiting.extend(self.perform(action));
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn { worker } if self.hearing.is_none() => {
                let way = || Box::new(Scripted(self.script.clone()));
                let link = Ways { out: way(), back: way() };
                self.hearing = Some(Hearing::new(worker, link, LIMITS));
            }
            Action::Send { worker: WorkerId(1), call, message } => {
                if let Some(hearing) = &self.hearing {
                    hearing.say(CallId(call.0), &message).expect("what the core says fits");
                }
                self.calls.push(call.0);
            }
            Action::Kill { worker: WorkerId(1), .. } => self.alive = false,
            Action::HostCall { key, .. } => {
                return Some(Event::HostAnswer { key, status: 0, answer: Payload::from(*b"1") });
            }
            Action::Answer { request, .. } => {
                assert!(self.answered.insert(request), "{request:?} is answered twice");
            }
            _ => {}
        }
        None
    }
}

/// Pieces with true headers as a stream.
fn framed(mut rest: &[u8], calls: &[u64]) -> Vec<u8> {
    let mut stream = Vec::new();
    while let [which_kind, which_call, low, high, body @ ..] = rest {
        let kinds = [Kind::Handshake, Kind::Data, Kind::Control, Kind::Error];
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(body.len());
        let call_id = calls.get(usize::from(*which_call)).copied().unwrap_or(u64::from(*which_call));
        let kind = kinds[usize::from(*which_kind) % kinds.len()];
        let header =
            Header { len: (HEADER_BYTES + len) as u32, kind, flags: 0, version: LINK_VERSION, call_id };
        let start = stream.len();
        stream.resize(start + HEADER_BYTES, 0);
        header.put(&mut stream[start..]);
        stream.extend_from_slice(&body[..len]);
        rest = &body[len..];
    }
    stream
}

fn run(data: &[u8]) {
    let [receive_bytes, reading, rest @ ..] = data else { return };
    let mut rig = Rig::new(1 + usize::from(*receive_bytes) * 16);
    let stream = if reading % 4 == 0 { rest.to_vec() } else { framed(rest, &rig.calls) };
    rig.script_is(stream);
    rig.hear();
    // However it was, its process ends, and the game goes on with what it left behind.
    let cause = if reading % 2 == 0 { Cause::Fault { signal: 11 } } else { Cause::External { signal: 9 } };
    rig.step(Event::WorkerDied { worker: WorkerId(1), cause });
}

fuzz_target!(|data: &[u8]| {
    static LEFT_BYTES: AtomicI64 = AtomicI64::new(0);
    let used = allocation_counter::measure(|| run(data));
    let max = OWN_BYTES + data.len() as u64 * BYTES_PER_BYTE;
    assert!(used.bytes_max <= max, "{} bytes at a time for an input of {}", used.bytes_max, data.len());
    let left = LEFT_BYTES.fetch_add(used.bytes_current, Ordering::Relaxed) + used.bytes_current;
    assert!(left <= LEFT_BYTES_MAX, "{left} bytes are left of the inputs so far: something grows");
});
