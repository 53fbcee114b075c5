//! The desk: what the running call of the plugin may do, and what it has put out so far.
//!
//! ```text
//!   Idle ── begin(Turn | Other) ──▶ running: sink, fail, send, emit, call ── finish ──▶ Idle
//! ```
//!
//! Limits and permissions are decided here, without unsafe code. The functions that the plugin really calls are in [`super::host`].

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use croupier_abi as abi;
use croupier_wire::frame::HEADER_BYTES;
use croupier_wire::link::{CallAnswer, Effect, Hello, Limits, REFUSALS_PER_TURN_MAX};
use croupier_wire::outcome;

use crate::fault::Fault;

/// Longest text of `host->fail`, in bytes; cut beyond.
pub(crate) const ERROR_BYTES_MAX: usize = 4096;
/// Longest topic of `host->emit`, in bytes.
const TOPIC_BYTES_MAX: usize = 64;
/// What a frame needs beside a reply, error text, snapshot or effect: header, lengths, numbers; bytes.
const OVERHEAD_BYTES: u32 = HEADER_BYTES as u32 + 64;
/// What one effect costs in a frame beside its bytes.
const EFFECT_OVERHEAD_BYTES: usize = 24;

/// Limits and permissions of this worker.
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    /// Bytes that all effects of a turn may take in its frame, beside the longest reply.
    effects_bytes_max: usize,
    can_send: bool,
    topics: HashSet<String>,
    calls: HashSet<String>,
}

impl Rules {
    /// From Hello.
    pub(crate) fn new(hello: &Hello<'_>) -> Result<Rules, Fault> {
        let limits = hello.limits;
        let frame_bytes = limits.frame_bytes;
        for (what, bytes) in [
            ("reply", limits.reply_bytes.max(ERROR_BYTES_MAX as u32)),
            ("snapshot", limits.snapshot_bytes),
            ("host call", limits.effect_bytes),
        ] {
            if bytes.saturating_add(OVERHEAD_BYTES) > frame_bytes {
                return Err(Fault::Limits { what, bytes, frame_bytes });
            }
        }
        let granted = |prefix: &str| {
            hello.permissions.iter().filter_map(|p| p.strip_prefix(prefix)).map(str::to_owned).collect()
        };
        Ok(Rules {
            limits,
            effects_bytes_max: (frame_bytes - limits.reply_bytes.max(ERROR_BYTES_MAX as u32) - OVERHEAD_BYTES)
                as usize,
            can_send: hello.permissions.contains(&"send"),
            topics: granted("emit:"),
            calls: granted("call:"),
        })
    }
}

/// What kind of call is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// None.
    Idle,
    /// A turn: everything is allowed.
    Turn,
    /// Another function of the plugin: only `fail`, and the sink if it has one.
    Other,
}

/// Whether a turn is played for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Playing {
    /// Its effects are wanted, and it may ask the platform.
    Live,
    /// It was played before: only its outcome hash is wanted, and it may ask nothing that is not on record.
    Replay,
}

/// Where a host call's answer comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// From the record, or refused: status and bytes.
    Known(i32, Vec<u8>),
    /// From the platform: ask with this call id, index and hash.
    Ask { call_id: u64, index: u32, asked: u64 },
}

struct Recorded {
    asked: u64,
    status: i32,
    answer: Vec<u8>,
}

enum Item {
    Send { to: u64, message: Range<usize> },
    Emit { topic: Range<usize>, event: Range<usize> },
}

/// Sends and emits in order, their bytes in one piece.
#[derive(Default)]
pub(crate) struct Effects {
    bytes: Vec<u8>,
    items: Vec<Item>,
}

impl Effects {
    /// As the wire has them.
    pub(crate) fn list(&self) -> Vec<Effect<'_>> {
        let bytes = |range: &Range<usize>| &self.bytes[range.clone()];
        let effect = |item: &Item| match item {
            Item::Send { to, message } => Effect::Send { to: *to, message: &self.bytes[message.clone()] },
            Item::Emit { topic, event } => Effect::Emit {
                topic: std::str::from_utf8(bytes(topic)).expect("topics are checked to be ASCII"),
                event: bytes(event),
            },
        };
        self.items.iter().map(effect).collect()
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn frame_bytes(&self) -> usize {
        self.bytes.len() + self.items.len() * EFFECT_OVERHEAD_BYTES
    }
}

/// What a turn came to.
pub(crate) struct Played {
    /// 0 or one of the four documented errors.
    pub(crate) status: i32,
    /// Empty on failure.
    pub(crate) reply: Vec<u8>,
    /// Empty on success.
    pub(crate) error: String,
    /// None on failure.
    pub(crate) effects: Effects,
    /// The outcome hash.
    pub(crate) outcome: u64,
    /// Other host calls were made than recorded.
    pub(crate) has_diverged: bool,
    /// Permissions that were wanted and not there, and how often. None of a replay: they were told when the turn was played.
    pub(crate) refused: BTreeMap<String, u32>,
}

/// The state of the running call.
pub(crate) struct Desk {
    phase: Phase,
    playing: Playing,
    call_id: u64,
    sink: Vec<u8>,
    /// `None`: no sink is open.
    sink_bytes_max: Option<usize>,
    error: String,
    effects: Effects,
    recorded: Vec<Recorded>,
    /// Host calls so far.
    calls: u32,
    /// Sends, emits and host calls so far.
    used: u32,
    has_diverged: bool,
    refused: BTreeMap<String, u32>,
}

impl Desk {
    /// With no call running.
    pub(crate) fn new() -> Desk {
        Desk {
            phase: Phase::Idle,
            playing: Playing::Live,
            call_id: 0,
            sink: Vec::new(),
            sink_bytes_max: None,
            error: String::new(),
            effects: Effects::default(),
            recorded: Vec::new(),
            calls: 0,
            used: 0,
            has_diverged: false,
            refused: BTreeMap::new(),
        }
    }

    /// A turn begins.
    pub(crate) fn begin_turn(
        &mut self,
        rules: &Rules,
        call_id: u64,
        playing: Playing,
        recorded: &[CallAnswer<'_>],
    ) {
        *self = Desk { phase: Phase::Turn, playing, call_id, ..Desk::new() };
        self.sink_bytes_max = Some(rules.limits.reply_bytes as usize);
        self.recorded.extend(recorded.iter().map(|call| Recorded {
            asked: call.asked,
            status: call.status,
            answer: call.answer.to_vec(),
        }));
    }

    /// Another function begins; `sink_bytes_max` when it writes to a sink.
    pub(crate) fn begin_other(&mut self, sink_bytes_max: Option<u32>) {
        *self = Desk { phase: Phase::Other, ..Desk::new() };
        self.sink_bytes_max = sink_bytes_max.map(|max| max as usize);
    }

    /// The turn returned `status`.
    pub(crate) fn finish_turn(&mut self, status: i32) -> Played {
        let desk = std::mem::replace(self, Desk::new());
        // A recorded call that was not made is as much another course of events as one that was made differently.
        let has_diverged = desk.has_diverged || (desk.calls as usize) < desk.recorded.len();
        let (status, complaint) = documented(status);
        let mut played = Played {
            status,
            reply: desk.sink,
            error: desk.error,
            effects: desk.effects,
            outcome: 0,
            has_diverged,
            refused: desk.refused,
        };
        if status == abi::OK {
            played.error.clear();
        } else {
            played.reply.clear();
            played.effects = Effects::default();
            if played.error.is_empty() {
                played.error = complaint;
            }
        }
        played.outcome =
            outcome::outcome_hash(played.status, &played.reply, &played.error, &played.effects.list());
        played
    }

    /// Another function returned `status`: what it wrote, or status and text.
    pub(crate) fn finish_other(&mut self, status: i32) -> Result<Vec<u8>, (i32, String)> {
        let desk = std::mem::replace(self, Desk::new());
        match documented(status) {
            (abi::OK, _) => Ok(desk.sink),
            (status, complaint) if desk.error.is_empty() => Err((status, complaint)),
            (status, _) => Err((status, desk.error)),
        }
    }

    /// `sink.write`.
    pub(crate) fn write(&mut self, data: &[u8]) -> i32 {
        match self.sink_bytes_max {
            None => abi::E_NO_TURN,
            Some(max) if data.len() > max - self.sink.len() => abi::E_TOO_BIG,
            Some(_) => {
                self.sink.extend_from_slice(data);
                abi::OK
            }
        }
    }

    /// `host->fail`: the last text counts.
    pub(crate) fn fail(&mut self, text: &[u8]) {
        if self.phase == Phase::Idle {
            return;
        }
        self.error = lossy(text, ERROR_BYTES_MAX);
    }

    /// `host->send`.
    pub(crate) fn send(&mut self, rules: &Rules, to: u64, message: &[u8]) -> i32 {
        let allowed = self.effect_allowed(rules, rules.can_send, message.len());
        if allowed == abi::OK {
            let message = self.effects.keep(message);
            self.effects.items.push(Item::Send { to, message });
        }
        if allowed == abi::E_DENIED {
            self.note_refusal("send".to_owned());
        }
        allowed
    }

    /// `host->emit`.
    pub(crate) fn emit(&mut self, rules: &Rules, topic: &[u8], event: &[u8]) -> i32 {
        let name = std::str::from_utf8(topic).unwrap_or_default();
        if self.phase == Phase::Turn && !is_topic(name) {
            return abi::E_BAD_INPUT;
        }
        let allowed = self.effect_allowed(rules, rules.topics.contains(name), topic.len() + event.len());
        if allowed == abi::OK {
            let (topic, event) = (self.effects.keep(topic), self.effects.keep(event));
            self.effects.items.push(Item::Emit { topic, event });
        }
        if allowed == abi::E_DENIED {
            self.note_refusal(format!("emit:{name}"));
        }
        allowed
    }

    /// Remembers what was wanted, as far as there is room: a plugin could think up any number of names.
    fn note_refusal(&mut self, permission: String) {
        let known = self.refused.len() < REFUSALS_PER_TURN_MAX || self.refused.contains_key(&permission);
        if known && self.playing == Playing::Live {
            let count = self.refused.entry(permission).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn effect_allowed(&mut self, rules: &Rules, granted: bool, bytes: usize) -> i32 {
        if self.phase != Phase::Turn {
            return abi::E_NO_TURN;
        }
        if !granted {
            return abi::E_DENIED;
        }
        let in_frame = self.effects.frame_bytes() + bytes + EFFECT_OVERHEAD_BYTES;
        if bytes > rules.limits.effect_bytes as usize
            || self.used >= rules.limits.effects_per_turn
            || in_frame > rules.effects_bytes_max
        {
            return abi::E_TOO_BIG;
        }
        self.used += 1;
        abi::OK
    }

    /// `host->call`, up to the point where the platform must be asked.
    pub(crate) fn call(&mut self, rules: &Rules, name: &str, args: &[u8]) -> Answer {
        let refused = |status| Answer::Known(status, Vec::new());
        if self.phase != Phase::Turn {
            return refused(abi::E_NO_TURN);
        }
        if !rules.calls.contains(name) {
            self.note_refusal(format!("call:{name}"));
            return refused(abi::E_DENIED);
        }
        if name.len() + args.len() > rules.limits.effect_bytes as usize
            || self.used >= rules.limits.effects_per_turn
        {
            return refused(abi::E_TOO_BIG);
        }
        self.used += 1;
        let index = self.calls;
        self.calls += 1;
        let asked = outcome::call_hash(name, args);
        if let Some(recorded) = self.recorded.get_mut(index as usize) {
            self.has_diverged |= recorded.asked != asked;
            return Answer::Known(recorded.status, std::mem::take(&mut recorded.answer));
        }
        if self.playing == Playing::Replay {
            self.has_diverged = true;
            return refused(abi::E_UNSUPPORTED);
        }
        Answer::Ask { call_id: self.call_id, index, asked }
    }
}

/// The status that the caller gets, and the text for a status that the contract does not have.
fn documented(status: i32) -> (i32, String) {
    match status {
        abi::OK | abi::E_REFUSED | abi::E_BAD_INPUT | abi::E_UNSUPPORTED | abi::E_INTERNAL => {
            (status, String::new())
        }
        other => {
            (abi::E_INTERNAL, format!("the plugin returned the status {other}, which plugins may not return"))
        }
    }
}

fn is_topic(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
    !name.is_empty() && name.len() <= TOPIC_BYTES_MAX && name.bytes().all(fits)
}

/// The plugin's bytes as text of up to `max` bytes: bad UTF-8 is replaced, the rest is cut.
pub(crate) fn lossy(bytes: &[u8], max: usize) -> String {
    // Cut first, so that a huge text is not converted as a whole; the replacement marks may make it longer again.
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(max)]).into_owned();
    text.truncate(text.floor_char_boundary(max));
    text
}

#[cfg(test)]
mod tests;
