//! Random messages of every kind, from one seed and one pool of text: borrowed messages borrow from the pool.

use croupier_wire::door::{self, *};
use croupier_wire::link::{self, CallAnswer, Effect, FromWorker, Hello, Limits, ToWorker};

use super::{door_samples, link_samples};

/// A source of choices. Numbers are often at the edges of the codec's length classes.
pub struct Random<'a> {
    state: u64,
    pool: &'a str,
}

const EDGES: [u64; 10] =
    [0, 1, 250, 251, 65_535, 65_536, u32::MAX as u64, u32::MAX as u64 + 1, u64::MAX - 1, u64::MAX];

impl<'a> Random<'a> {
    pub fn new(seed: u64, pool: &'a str) -> Random<'a> {
        Random { state: seed, pool }
    }

    /// SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
    fn u64(&mut self) -> u64 {
        if self.coin() { EDGES[self.below(EDGES.len())] } else { self.next() }
    }
    fn u32(&mut self) -> u32 {
        self.u64() as u32
    }
    fn i32(&mut self) -> i32 {
        self.u64() as i32
    }
    fn u16(&mut self) -> u16 {
        self.u64() as u16
    }
    fn seed(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| self.next() as u8)
    }
    fn text(&mut self) -> &'a str {
        let at = |pool: &str, mut i: usize| {
            while !pool.is_char_boundary(i) {
                i -= 1;
            }
            i
        };
        let from = self.below(self.pool.len() + 1);
        let to = from + self.below(self.pool.len() - from + 1);
        &self.pool[at(self.pool, from)..at(self.pool, to)]
    }
    fn bytes(&mut self) -> &'a [u8] {
        let from = self.below(self.pool.len() + 1);
        let to = from + self.below(self.pool.len() - from + 1);
        &self.pool.as_bytes()[from..to]
    }
    fn vec(&mut self) -> Vec<u8> {
        self.bytes().to_vec()
    }
    fn string(&mut self) -> String {
        self.text().to_owned()
    }
    fn option<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.coin().then(|| make(self))
    }
    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(9)).map(|_| make(self)).collect()
    }
    fn answer(&mut self) -> CallAnswer<'a> {
        CallAnswer { asked: self.u64(), status: self.i32(), answer: self.bytes() }
    }

    fn tick(&mut self) -> link::Tick {
        link::Tick { session: self.u64(), seq: self.u64(), now_ns: self.u64(), seed: self.seed() }
    }

    pub fn downward(&mut self) -> ToWorker<'a> {
        match self.below(link_samples::TO_WORKER.len()) {
            0 => ToWorker::Hello(Hello {
                version: self.u16(),
                worker: self.u64(),
                plugin: self.text(),
                plugin_version: self.text(),
                state_version: self.u32(),
                limits: Limits {
                    frame_bytes: self.u32(),
                    reply_bytes: self.u32(),
                    snapshot_bytes: self.u32(),
                    effects_per_turn: self.u32(),
                    effect_bytes: self.u32(),
                },
                permissions: self.list(Self::text),
                layout_shift_pages: self.u32(),
            }),
            1 => ToWorker::Init { settings: self.bytes() },
            2 => ToWorker::Turn(link::Turn {
                session: self.u64(),
                seq: self.u64(),
                now_ns: self.u64(),
                seed: self.seed(),
                kind: self.u16(),
                player: self.u64(),
                payload: self.bytes(),
                calls: self.list(Self::answer),
            }),
            3 => ToWorker::Restore { session: self.u64(), state_version: self.u32(), snapshot: self.bytes() },
            4 => ToWorker::Snapshot { session: self.u64() },
            5 => ToWorker::Drop { session: self.u64() },
            6 => ToWorker::Suspend,
            7 => ToWorker::Resume,
            8 => ToWorker::Ping,
            9 => ToWorker::CallAnswer(self.answer()),
            10 => ToWorker::Shutdown,
            11 => ToWorker::Ticks { ticks: self.list(Self::tick) },
            other => unreachable!("no generator for message {other}"),
        }
    }

    pub fn upward(&mut self) -> FromWorker<'a> {
        match self.below(link_samples::FROM_WORKER.len()) {
            0 => FromWorker::Welcome {
                version: self.u16(),
                abi_minor: self.u32(),
                has_extensions: self.coin(),
                layout_checked: self.coin(),
            },
            1 => FromWorker::Ok,
            2 => FromWorker::Failed { status: self.i32(), text: self.text() },
            3 => FromWorker::Done(link::Done {
                status: self.i32(),
                reply: self.bytes(),
                error: self.text(),
                effects: self.list(|r| {
                    if r.coin() {
                        Effect::Send { to: r.u64(), message: r.bytes() }
                    } else {
                        Effect::Emit { topic: r.text(), event: r.bytes() }
                    }
                }),
                outcome: self.u64(),
                snapshot: self.option(Self::bytes),
                diverged: self.coin(),
            }),
            4 => FromWorker::Snapshot { snapshot: self.bytes() },
            5 => FromWorker::HostCall { index: self.u32(), name: self.text(), args: self.bytes() },
            6 => FromWorker::Log { level: self.u32() as u8, text: self.text() },
            7 => FromWorker::Fault {
                code: link_samples::FAULT_CODES[self.below(link_samples::FAULT_CODES.len())],
                text: self.text(),
            },
            8 => FromWorker::Refused { permission: self.text(), count: self.u32() },
            other => unreachable!("no generator for message {other}"),
        }
    }

    pub fn client_hello(&mut self) -> ClientHello {
        ClientHello { version: self.u16(), client_id: self.u64(), program: self.string() }
    }

    pub fn server_hello(&mut self) -> ServerHello {
        ServerHello {
            version: self.u16(),
            server: self.string(),
            pid: self.u32(),
            control: self.coin(),
            traffic_socket: self.option(Self::string),
            frame_bytes_max: self.u32(),
        }
    }

    fn input(&mut self) -> Input {
        match self.below(5) {
            0 => Input::Join { player: self.u64(), profile: self.vec(), client_seed: self.vec() },
            1 => Input::Leave { player: self.u64(), reason: self.vec() },
            2 => Input::Action { player: self.u64(), payload: self.vec() },
            3 => Input::Other { kind: self.u16(), player: self.u64(), payload: self.vec() },
            _ => Input::Close,
        }
    }

    pub fn request(&mut self) -> Request {
        match self.below(5) {
            0 => Request::Open(Open {
                client_seq: self.u64(),
                plugin: self.string(),
                config: self.vec(),
                options: OpenOptions {
                    tick_ms: self.option(Self::u32),
                    idle_timeout_ms: self.option(Self::u64),
                    queue_max: self.option(Self::u32),
                    reveal_public: self.coin(),
                    durability: None,
                },
            }),
            1 => Request::Turn(door::Turn {
                session: self.u64(),
                client_seq: self.u64(),
                input: self.input(),
                when_full: if self.coin() { WhenFull::Wait } else { WhenFull::Refuse },
                deadline_ms: self.u32(),
            }),
            2 => Request::Follow { session: self.u64(), from: self.u64() },
            3 => Request::Ping,
            _ => Request::Control(self.verb()),
        }
    }

    /// Each verb, with random parts.
    fn verb(&mut self) -> Verb {
        let mut verbs = door_samples::verbs();
        let mut verb = verbs.swap_remove(self.below(verbs.len()));
        match &mut verb {
            Verb::Load { path } => *path = self.string(),
            Verb::Unload { plugin, .. }
            | Verb::Suspend { plugin }
            | Verb::Resume { plugin }
            | Verb::Restart { plugin }
            | Verb::Release { plugin } => *plugin = self.string(),
            Verb::Plugins { plugin } => *plugin = self.option(Self::string),
            Verb::Scale { plugin, replicas } => {
                *plugin = self.string();
                *replicas = self.u32();
            }
            Verb::Sessions { plugin, limit } => {
                *plugin = self.option(Self::string);
                *limit = self.u32();
            }
            Verb::Session { session } | Verb::Export { session } | Verb::DropHeld { session } => {
                *session = self.u64();
            }
            Verb::Grants { plugin } => *plugin = self.string(),
            Verb::Revoke { plugin, permission } | Verb::Grant { plugin, permission } => {
                *plugin = self.string();
                *permission = self.string();
            }
            Verb::Status
            | Verb::Workers
            | Verb::Events { .. }
            | Verb::Shutdown
            | Verb::AuditHead
            | Verb::Journal => {}
        }
        verb
    }

    fn done(&mut self) -> door::Done {
        door::Done { seq: self.u64(), now_ns: self.u64(), reply: self.vec(), retries: self.u32() }
    }

    pub fn reply(&mut self) -> Reply {
        match self.below(6) {
            0 => Reply::Opened { session: self.u64(), commit: self.seed(), done: self.done() },
            1 => Reply::Done(self.done()),
            2 => Reply::Following { next: self.u64() },
            3 => Reply::Pong,
            4 => Reply::Control(self.control_reply()),
            _ => Reply::Refused(Refusal {
                code: door_samples::CODES[self.below(door_samples::CODES.len())],
                plugin: self.string(),
                session: self.u64(),
                seq: self.u64(),
                status: self.i32(),
                text: self.string(),
                hint: self.string(),
            }),
        }
    }

    fn session_info(&mut self) -> SessionInfo {
        SessionInfo {
            session: self.u64(),
            plugin: self.string(),
            state: self.string(),
            players: self.u32(),
            seq: self.u64(),
            pending: self.u32(),
            opened_ns: self.u64(),
        }
    }

    fn control_reply(&mut self) -> ControlReply {
        match self.below(9) {
            0 => ControlReply::Ok,
            7 => ControlReply::AuditHead(self.option(|r| AuditHead {
                seq: r.u64(),
                hash: r.string(),
                trouble: r.option(Self::string),
                lost: r.u64(),
            })),
            8 => ControlReply::Grants(Grants {
                plugin: self.string(),
                permissions: self.list(|r| Grant {
                    permission: r.string(),
                    refused_uses: r.u64(),
                    ..door_samples::grants().permissions.swap_remove(0)
                }),
            }),
            1 => ControlReply::Plugins(self.list(|r| PluginInfo {
                name: r.string(),
                digest: r.string(),
                fault: r.option(Self::string),
                workers: r.list(Self::u32),
                turns: r.u64(),
                ..door_samples::plugin_info()
            })),
            2 => ControlReply::Sessions(self.list(Self::session_info)),
            3 => ControlReply::Session(Box::new(SessionDetail {
                info: self.session_info(),
                held_reason: self.option(Self::string),
                epoch: self.u64(),
                players: self.list(Self::u64),
                ..door_samples::session_detail()
            })),
            4 => ControlReply::Export(self.string()),
            5 => ControlReply::Status(StatusInfo {
                version: self.string(),
                turns: self.u64(),
                traffic_socket: self.option(Self::string),
                state_dir: self.option(Self::string),
                ..door_samples::status_info()
            }),
            _ => ControlReply::Workers(self.list(|r| WorkerInfo {
                worker: r.u64(),
                plugin: r.string(),
                pid: r.u32(),
                isolation: r.string(),
                ..door_samples::worker_info()
            })),
        }
    }

    pub fn push(&mut self) -> Push {
        match self.below(4) {
            0 => Push::Output(Output {
                session: self.u64(),
                number: self.u64(),
                seq: self.u64(),
                to: match self.below(3) {
                    0 => OutputTo::Player(self.u64()),
                    1 => OutputTo::All,
                    _ => OutputTo::Topic(self.string()),
                },
                bytes: self.vec(),
            }),
            1 => {
                let mut whats = door_samples::whats();
                let what = whats.swap_remove(self.below(whats.len()));
                Push::Event(Event { at_ns: self.u64(), plugin: self.string(), what })
            }
            2 => Push::Lagged { lost: self.u64() },
            _ => Push::End,
        }
    }
}
