//! One frame of every message on a door. The matches have no wildcard, so a new message needs a sample.

use croupier_wire::door::*;

use super::{MAX, Sample, Way};

fn s(text: &str) -> String {
    text.to_owned()
}

pub const CODES: [Code; 30] = [
    Code::UnknownPlugin,
    Code::UnknownSession,
    Code::UnknownPlayer,
    Code::AlreadyJoined,
    Code::TableFull,
    Code::WrongState,
    Code::BadConfig,
    Code::BadPayload,
    Code::Unsupported,
    Code::Busy,
    Code::Deadline,
    Code::KeyReused,
    Code::KeyExpired,
    Code::TooManyClients,
    Code::TooManySessions,
    Code::TooBig,
    Code::PluginRefused,
    Code::Poison,
    Code::SessionHeld,
    Code::SessionClosed,
    Code::SessionLost,
    Code::PluginDown,
    Code::Gone,
    Code::Denied,
    Code::Protocol,
    Code::ShuttingDown,
    Code::BadPlugin,
    Code::AlreadyLoaded,
    Code::NotAllowed,
    Code::Internal,
];

pub fn verb_name(verb: &Verb) -> &'static str {
    match verb {
        Verb::Load { .. } => "load",
        Verb::Unload { .. } => "unload",
        Verb::Suspend { .. } => "suspend",
        Verb::Resume { .. } => "resume",
        Verb::Restart { .. } => "restart",
        Verb::Plugins { .. } => "plugins",
        Verb::Sessions { .. } => "sessions",
        Verb::Session { .. } => "session",
        Verb::Export { .. } => "export",
        Verb::DropHeld { .. } => "drop-held",
        Verb::Status => "status",
        Verb::Workers => "workers",
        Verb::Events { .. } => "events",
        Verb::Shutdown => "shutdown",
        Verb::AuditHead => "audit-head",
        Verb::Journal => "journal",
        Verb::Release { .. } => "release",
        Verb::Scale { .. } => "scale",
        Verb::Grants { .. } => "grants",
        Verb::Revoke { .. } => "revoke",
        Verb::Grant { .. } => "grant",
    }
}

pub fn verbs() -> Vec<Verb> {
    let plugin = || s("craps");
    vec![
        Verb::Load { path: s("/srv/libcraps.so") },
        Verb::Unload { plugin: plugin(), sessions: LiveSessions::Refuse },
        Verb::Unload { plugin: plugin(), sessions: LiveSessions::Close },
        Verb::Suspend { plugin: plugin() },
        Verb::Resume { plugin: plugin() },
        Verb::Restart { plugin: plugin() },
        Verb::Plugins { plugin: None },
        Verb::Sessions { plugin: Some(plugin()), limit: 100 },
        Verb::Session { session: 42 },
        Verb::Export { session: 42 },
        Verb::DropHeld { session: 42 },
        Verb::Status,
        Verb::Workers,
        Verb::Events { turns: TurnEvents::Included },
        Verb::Shutdown,
        Verb::AuditHead,
        Verb::Journal,
        Verb::Release { plugin: plugin() },
        Verb::Scale { plugin: plugin(), replicas: 4 },
        Verb::Grants { plugin: plugin() },
        Verb::Revoke { plugin: plugin(), permission: s("emit:table") },
        Verb::Grant { plugin: plugin(), permission: s("call:wallet") },
    ]
}

pub fn what_name(what: &What) -> &'static str {
    match what {
        What::PluginLoaded { .. } => "plugin-loaded",
        What::PluginUnloaded => "plugin-unloaded",
        What::PluginSuspended => "plugin-suspended",
        What::PluginResumed => "plugin-resumed",
        What::PluginDown { .. } => "plugin-down",
        What::WorkerReady { .. } => "worker-ready",
        What::WorkerDied { .. } => "worker-died",
        What::SessionOpened { .. } => "session-opened",
        What::SessionEnded { .. } => "session-ended",
        What::SessionHeld { .. } => "session-held",
        What::SessionRestored { .. } => "session-restored",
        What::SessionMoved { .. } => "session-moved",
        What::PluginScaled { .. } => "plugin-scaled",
        What::Diverged { .. } => "diverged",
        What::Poison { .. } => "poison",
        What::PlayerJoined { .. } => "player-joined",
        What::PlayerLeft { .. } => "player-left",
        What::TurnDone { .. } => "turn-done",
        What::Emitted { .. } => "emitted",
        What::SnapshotsDistrusted { .. } => "snapshots-distrusted",
        What::SignatureDistrusted { .. } => "signature-distrusted",
        What::SessionAdopted { .. } => "session-adopted",
        What::SessionUnreadable { .. } => "session-unreadable",
        What::JournalTrouble { .. } => "journal-trouble",
        What::JournalRecovered { .. } => "journal-recovered",
        What::PluginReleased => "plugin-released",
        What::BreakerOpened { .. } => "breaker-opened",
        What::BreakerClosed => "breaker-closed",
        What::StandbyReady { .. } => "standby-ready",
        What::MemoryHigh { .. } => "memory-high",
        What::MemoryGrows { .. } => "memory-grows",
        What::Throttled { .. } => "throttled",
        What::Violation { .. } => "violation",
        What::SuspendedFor { .. } => "suspended-for",
    }
}

pub fn whats() -> Vec<What> {
    let session = 42;
    vec![
        What::PluginLoaded { version: s("1.0.0"), digest: s("ab12") },
        What::PluginUnloaded,
        What::PluginSuspended,
        What::PluginResumed,
        What::PluginDown { reason: s("dies at once") },
        What::WorkerReady { worker: 7, pid: 1234 },
        What::WorkerDied { worker: 7, pid: 1234, cause: s("SIGSEGV"), unanswered: 64 },
        What::SessionOpened { session, commit: s("cd34") },
        What::SessionEnded { session, reason: s("idle"), seq: 12 },
        What::SessionHeld { session, reason: s("replay kills") },
        What::SessionRestored { session, worker: 8, replayed: 300, pause_us: 70_000 },
        What::Diverged { session, seq: 12 },
        What::Poison { session, seq: 12, player: 0 },
        What::PlayerJoined { session, player: 3 },
        What::PlayerLeft { session, player: 3 },
        What::TurnDone { session, seq: 12, status: -1 },
        What::Emitted { session, topic: s("table") },
        What::SnapshotsDistrusted { reason: s("refused") },
        What::SignatureDistrusted { reason: s("revoked") },
        What::SessionAdopted { session: 42, seq: 12 },
        What::SessionUnreadable { session: 42, reason: s("a turn is missing") },
        What::JournalTrouble { reason: s("no space left on device") },
        What::JournalRecovered { ms: 1500 },
        What::PluginReleased,
        What::BreakerOpened { failed: 51, turns: 100 },
        What::BreakerClosed,
        What::StandbyReady { worker: 5, pid: 4712 },
        What::MemoryHigh { worker: 7, pid: 1234, percent: 80, rss_kib: 90_000, limit_kib: 100_000 },
        What::MemoryGrows { worker: 7, pid: 1234, grown_kib: 2_000, rss_kib: 90_000 },
        What::Throttled { worker: 7, pid: 1234, percent: 30 },
        What::Violation { worker: 7, pid: 1234, what: s("refused openat") },
        What::SuspendedFor { reason: s("too many violations") },
        What::SessionMoved { session, from: 7, to: 8, replayed: 3, pause_us: 120 },
        What::PluginScaled { replicas: 4 },
    ]
}

pub fn plugin_info() -> PluginInfo {
    PluginInfo {
        name: s("craps"),
        version: s("1.0.0"),
        digest: s("ab12"),
        path: s("/srv/libcraps.so"),
        state: s("running"),
        fault: Some(s("none")),
        game: s("dice"),
        description: s("the whole table"),
        sessions: 1,
        held: 2,
        workers: vec![1234, 5],
        turns: 1 << 40,
        workers_lost: 3,
        poison: 0,
        health: s("warning"),
        standbys: 1,
        standbys_wanted: 2,
        replicas: 3,
        replicas_wanted: 4,
        moved: 17,
    }
}

pub fn session_info() -> SessionInfo {
    SessionInfo {
        session: 42,
        plugin: s("craps"),
        state: s("live"),
        players: 3,
        seq: 12,
        pending: 1,
        opened_ns: 1_700_000_000_000_000_000,
    }
}

pub fn worker_info() -> WorkerInfo {
    WorkerInfo {
        worker: 7,
        plugin: s("craps"),
        pid: 1234,
        state: s("serving"),
        sessions: 9,
        in_flight: 2,
        age_ms: 100_000,
        rss_kib: 4096,
        cpu_ms: 77,
        isolation: s("process"),
        turns: 1 << 33,
    }
}

pub fn status_info() -> StatusInfo {
    StatusInfo {
        version: s("0.1.0"),
        pid: 99,
        uptime_ms: 1,
        plugins: 2,
        plugins_down: 3,
        sessions: 4,
        held: 5,
        workers: 6,
        turns: 7,
        workers_lost: 8,
        workers_lost_mid_turn: 9,
        retries: 10,
        poison: 11,
        traffic_socket: Some(s("/run/t.sock")),
        state_dir: None,
    }
}

pub fn journal_info() -> JournalInfo {
    JournalInfo {
        entries: 7,
        bytes: 7000,
        disk_bytes: 1 << 20,
        waiting_bytes: 5,
        commits: 3,
        trouble: Some(s("full")),
        aside: vec![s("session 9 of dice: damaged")],
    }
}

pub fn audit_head() -> AuditHead {
    AuditHead { seq: 77, hash: s("ef56"), trouble: Some(s("no space")), lost: 3 }
}

pub fn grants() -> Grants {
    let grant = Grant { permission: s("send"), asked: true, state: s("revoked"), refused_uses: 9 };
    Grants { plugin: s("craps"), permissions: vec![grant] }
}

pub fn session_detail() -> SessionDetail {
    SessionDetail {
        info: session_info(),
        held_reason: None,
        epoch: 2,
        digest: s("ab12"),
        commit: s("cd34"),
        players: vec![1, 2, 300],
        snapshot_seq: 10,
        snapshot_bytes: 512,
        journal_records: 2,
        outputs: 6,
        tick_ms: 0,
        poison: 1,
    }
}

pub fn requests() -> Vec<(String, Request)> {
    let open = Open {
        client_seq: 1,
        plugin: s("craps"),
        config: b"{}".to_vec(),
        options: OpenOptions {
            tick_ms: Some(1000),
            idle_timeout_ms: None,
            queue_max: Some(10_000),
            reveal_public: true,
            durability: None,
        },
    };
    let turn = |input| {
        Request::Turn(Turn {
            session: 42,
            client_seq: 2,
            input,
            when_full: WhenFull::Refuse,
            deadline_ms: 5000,
        })
    };
    let mut all = vec![
        (s("open"), Request::Open(open.clone())),
        (s("join"), turn(Input::Join { player: 1, profile: b"{}".to_vec(), client_seed: vec![1, 2, 3] })),
        (s("leave"), turn(Input::Leave { player: 1, reason: b"bye".to_vec() })),
        (s("action"), turn(Input::Action { player: 0, payload: b"\"d db\"".to_vec() })),
        (s("other"), turn(Input::Other { kind: 9, player: 5, payload: vec![] })),
        (s("close"), turn(Input::Close)),
        (s("follow"), Request::Follow { session: 42, from: 7 }),
        (s("ping"), Request::Ping),
    ];
    all[5].1 = match all[5].1.clone() {
        Request::Turn(turn) => Request::Turn(Turn { when_full: WhenFull::Wait, ..turn }),
        other => other,
    };
    all.push((s("open-durable"), Request::OpenDurable(open.clone(), Durability::Disk)));
    all.push((s("open-durable-none"), Request::OpenDurable(open, Durability::None)));
    let mut seen = Vec::new();
    for verb in verbs() {
        let name = verb_name(&verb);
        let number = if seen.contains(&name) { "-2" } else { "" };
        seen.push(name);
        all.push((format!("verb-{name}{number}"), Request::Control(verb)));
    }
    all
}

pub fn replies() -> Vec<(String, Reply)> {
    let done = Done { seq: 12, now_ns: 1_700_000_000_000_000_000, reply: b"{}".to_vec(), retries: 1 };
    let mut all = vec![
        (
            s("opened"),
            Reply::Opened { session: 42, commit: std::array::from_fn(|i| i as u8), done: done.clone() },
        ),
        (s("done"), Reply::Done(done)),
        (s("following"), Reply::Following { next: 8 }),
        (s("pong"), Reply::Pong),
        (s("control-ok"), Reply::Control(ControlReply::Ok)),
        (s("control-plugins"), Reply::Control(ControlReply::Plugins(vec![plugin_info()]))),
        (s("control-sessions"), Reply::Control(ControlReply::Sessions(vec![session_info(), session_info()]))),
        (s("control-session"), Reply::Control(ControlReply::Session(Box::new(session_detail())))),
        (s("control-export"), Reply::Control(ControlReply::Export(s("{\"session\":42}")))),
        (s("control-status"), Reply::Control(ControlReply::Status(status_info()))),
        (s("control-workers"), Reply::Control(ControlReply::Workers(vec![worker_info()]))),
        (s("control-audit-head"), Reply::Control(ControlReply::AuditHead(Some(audit_head())))),
        (s("control-audit-head-none"), Reply::Control(ControlReply::AuditHead(None))),
        (s("control-grants"), Reply::Control(ControlReply::Grants(grants()))),
        (s("control-journal"), Reply::Control(ControlReply::Journal(Some(journal_info())))),
    ];
    for (number, code) in CODES.into_iter().enumerate() {
        let refusal = Refusal {
            code,
            plugin: s("craps"),
            session: 42,
            seq: 12,
            status: -1,
            text: s("not your turn"),
            hint: s("wait"),
        };
        all.push((format!("refused-{number:02}"), Reply::Refused(refusal)));
    }
    all
}

pub fn pushes() -> Vec<(String, Push)> {
    let output = |to| Push::Output(Output { session: 42, number: 3, seq: 12, to, bytes: b"hi".to_vec() });
    let mut all = vec![
        (s("output-player"), output(OutputTo::Player(3))),
        (s("output-all"), output(OutputTo::All)),
        (s("output-topic"), output(OutputTo::Topic(s("table")))),
        (s("lagged"), Push::Lagged { lost: 1000 }),
        (s("end"), Push::End),
    ];
    for what in whats() {
        let name = what_name(&what);
        all.push((format!("event-{name}"), Push::Event(Event { at_ns: 5, plugin: s("craps"), what })));
    }
    all
}

pub fn client_hello() -> ClientHello {
    ClientHello { version: 1, client_id: 0xdead_beef_0000_0001, program: s("croupier 0.1.0") }
}

pub fn server_hello() -> ServerHello {
    ServerHello {
        version: 1,
        server: s("0.1.0"),
        pid: 99,
        control: true,
        traffic_socket: Some(s("/run/t.sock")),
        frame_bytes_max: 8 << 20,
    }
}

pub fn samples() -> Vec<Sample> {
    let mut all = Vec::new();
    let mut add = |name: String, way, put: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = Vec::new();
        put(&mut frame);
        all.push(Sample { name: format!("door-{name}"), way, frame });
    };
    add(s("client-hello"), Way::ClientHello, &|out| {
        put_client_hello(out, &client_hello(), MAX).expect("fits")
    });
    add(s("server-hello"), Way::ServerHello, &|out| {
        put_server_hello(out, &server_hello(), MAX).expect("fits")
    });
    for (name, request) in requests() {
        add(format!("request-{name}"), Way::Request, &|out| {
            put_request(out, 0x1122, &request, MAX).expect("fits")
        });
    }
    for (name, reply) in replies() {
        add(format!("reply-{name}"), Way::FromServer, &|out| {
            put_reply(out, 0x1122, &reply, MAX).expect("fits")
        });
    }
    for (name, push) in pushes() {
        add(format!("push-{name}"), Way::FromServer, &|out| put_push(out, 0x1122, &push, MAX).expect("fits"));
    }
    all
}
