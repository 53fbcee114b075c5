//! One frame of every message on a link. The matches have no wildcard, so a new message needs a sample.

use croupier_wire::link::*;

use super::{MAX, Sample, Way};

pub const FAULT_CODES: [FaultCode; 9] = [
    FaultCode::NoPlugin,
    FaultCode::Dlopen,
    FaultCode::NoSymbol,
    FaultCode::BadAbi,
    FaultCode::MissingFunction,
    FaultCode::ManifestMismatch,
    FaultCode::LayoutMismatch,
    FaultCode::Protocol,
    FaultCode::Setup,
];

pub const TO_WORKER: [&str; 12] = [
    "hello",
    "init",
    "turn",
    "restore",
    "snapshot",
    "drop",
    "suspend",
    "resume",
    "ping",
    "call-answer",
    "shutdown",
    "ticks",
];
pub const FROM_WORKER: [&str; 9] =
    ["welcome", "ok", "failed", "done", "snapshot", "host-call", "log", "fault", "refused"];

pub fn to_worker_name(message: &ToWorker<'_>) -> &'static str {
    TO_WORKER[match message {
        ToWorker::Hello(_) => 0,
        ToWorker::Init { .. } => 1,
        ToWorker::Turn(_) => 2,
        ToWorker::Restore { .. } => 3,
        ToWorker::Snapshot { .. } => 4,
        ToWorker::Drop { .. } => 5,
        ToWorker::Suspend => 6,
        ToWorker::Resume => 7,
        ToWorker::Ping => 8,
        ToWorker::CallAnswer(_) => 9,
        ToWorker::Shutdown => 10,
        ToWorker::Ticks { .. } => 11,
    }]
}

pub fn from_worker_name(message: &FromWorker<'_>) -> &'static str {
    FROM_WORKER[match message {
        FromWorker::Welcome { .. } => 0,
        FromWorker::Ok => 1,
        FromWorker::Failed { .. } => 2,
        FromWorker::Done(_) => 3,
        FromWorker::Snapshot { .. } => 4,
        FromWorker::HostCall { .. } => 5,
        FromWorker::Log { .. } => 6,
        FromWorker::Fault { .. } => 7,
        FromWorker::Refused { .. } => 8,
    }]
}

fn to_worker() -> Vec<(u8, ToWorker<'static>)> {
    let limits = Limits {
        frame_bytes: 8 << 20,
        reply_bytes: 1 << 20,
        snapshot_bytes: 4 << 20,
        effects_per_turn: 256,
        effect_bytes: 65_536,
    };
    let hello = Hello {
        version: 1,
        worker: 7,
        plugin: "craps",
        plugin_version: "1.2.3",
        state_version: 4,
        limits,
        permissions: vec!["send", "emit:table", "call:wallet.balance"],
        layout_shift_pages: 0,
    };
    let answer = CallAnswer { asked: 0x0123_4567_89ab_cdef, status: -3, answer: b"no" };
    let turn = Turn {
        session: 42,
        seq: 300,
        now_ns: 1_700_000_000_000_000_000,
        seed: std::array::from_fn(|i| i as u8),
        kind: 3,
        player: u64::MAX,
        payload: br#"{"bet":1}"#,
        calls: vec![answer.clone()],
    };
    let small = Turn {
        session: 1,
        seq: 1,
        now_ns: 0,
        seed: [0; 32],
        kind: 0,
        player: 0,
        payload: b"",
        calls: vec![],
    };
    vec![
        (0, ToWorker::Hello(hello)),
        (0, ToWorker::Init { settings: b"{}" }),
        (FLAG_SNAPSHOT | FLAG_REPLAY, ToWorker::Turn(turn)),
        (0, ToWorker::Turn(small)),
        (0, ToWorker::Restore { session: 42, state_version: 4, snapshot: &[1, 2, 3] }),
        (0, ToWorker::Snapshot { session: 42 }),
        (0, ToWorker::Drop { session: 42 }),
        (0, ToWorker::Suspend),
        (0, ToWorker::Resume),
        (0, ToWorker::Ping),
        (0, ToWorker::CallAnswer(answer)),
        (0, ToWorker::Shutdown),
        (
            0,
            ToWorker::Ticks {
                ticks: vec![
                    Tick { session: 3, seq: 9, now_ns: 1_700_000_000_000_000_000, seed: [5; 32] },
                    Tick { session: u64::MAX, seq: u64::MAX, now_ns: u64::MAX, seed: [255; 32] },
                ],
            },
        ),
    ]
}

fn from_worker() -> Vec<FromWorker<'static>> {
    let done = Done {
        status: 0,
        reply: br#"{"win":7}"#,
        error: "",
        effects: vec![
            Effect::Send { to: 3, message: b"hi" },
            Effect::Send { to: u64::MAX, message: b"all" },
            Effect::Emit { topic: "table", event: b"{}" },
        ],
        outcome: 0xfedc_ba98_7654_3210,
        snapshot: Some(&[9, 8, 7]),
        diverged: false,
    };
    let failed = Done {
        status: -1,
        reply: b"",
        error: "nicht dran: é",
        effects: vec![],
        outcome: 5,
        snapshot: None,
        diverged: true,
    };
    vec![
        FromWorker::Welcome { version: 1, abi_minor: 0, has_extensions: true, layout_checked: false },
        FromWorker::Ok,
        FromWorker::Failed { status: -4, text: "no" },
        FromWorker::Done(done),
        FromWorker::Done(failed),
        FromWorker::Snapshot { snapshot: &[0, 255] },
        FromWorker::HostCall { index: 2, name: "wallet.balance", args: b"{\"player\":1}" },
        FromWorker::Log { level: 3, text: "a line" },
        FromWorker::Refused { permission: "emit:table", count: 300 },
    ]
}

pub fn samples() -> Vec<Sample> {
    let mut all: Vec<Sample> = Vec::new();
    let mut add = |way: Way, name: &str, frame: Vec<u8>| {
        let side = if way == Way::ToWorker { "to-worker" } else { "from-worker" };
        let same =
            all.iter().filter(|s: &&Sample| s.name.starts_with(&format!("link-{side}-{name}"))).count();
        let number = if same == 0 { String::new() } else { format!("-{}", same + 1) };
        all.push(Sample { name: format!("link-{side}-{name}{number}"), way, frame });
    };
    for (flags, message) in to_worker() {
        let mut frame = Vec::new();
        message.put(&mut frame, flags, 0x1122, MAX).expect("fits");
        add(Way::ToWorker, to_worker_name(&message), frame);
    }
    for message in from_worker() {
        let mut frame = Vec::new();
        message.put(&mut frame, 0x1122, MAX).expect("fits");
        add(Way::FromWorker, from_worker_name(&message), frame);
    }
    for code in FAULT_CODES {
        let message = FromWorker::Fault { code, text: "cannot go on" };
        let mut frame = Vec::new();
        message.put(&mut frame, 0, MAX).expect("fits");
        add(Way::FromWorker, from_worker_name(&message), frame);
    }
    all
}
