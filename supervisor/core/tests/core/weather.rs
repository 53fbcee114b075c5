//! What a storm is made of: how the game is set up, and what happens to it.

use croupier_core::Spec;
use croupier_core::event::{Cause, LiveSessions, WhenFull};
use croupier_core::ids::kind;
use proptest::prelude::*;

use crate::hostile::Hostility;
use crate::world::{ASK, ASK_KILL, COUNT, DENIED, FAIL, KILL, MS, SEND};

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Open,
    OpenWith {
        tick_ms: u64,
        idle_ms: u64,
        queue_max: u32,
    },
    OpenBadly(&'static [u8]),
    Turn(TurnOp, usize),
    /// An earlier turn once more, with the same key.
    Repeat(usize),
    Cancel(usize),
    Work(usize, usize),
    Die(usize, Cause),
    Hostile(usize, Hostility),
    /// A worker is refused a system call.
    Violate(usize),
    /// A worker is looked at, and uses so much memory.
    Look(usize, u64),
    AnswerHost,
    Pass(u64),
    Clock(i64),
    Restart,
    Scale(u32),
    Suspend,
    Resume,
    Unload(LiveSessions),
    DropHeld(usize),
    Release,
    Fault(Fault),
    /// The disk writes so many entries.
    Sync(usize),
    /// The supervisor dies; so many entries came to the disk that nobody was told of.
    Crash(usize),
}

#[derive(Debug, Clone)]
pub(crate) struct TurnOp {
    pub(crate) session: usize,
    pub(crate) client: u64,
    pub(crate) kind: u16,
    pub(crate) player: u64,
    pub(crate) word: &'static [u8],
    pub(crate) when_full: WhenFull,
    pub(crate) deadline_ms: Option<u64>,
}

/// What the plugin does wrong next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    RefuseRestore,
    NoSnapshots,
    Snapshots,
    SnapshotKills,
    ScratchKills,
    Lie,
    Fickle,
}

/// How the game is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knobs {
    pub(crate) snapshot_turns: (u64, u64),
    pub(crate) window_calls: usize,
    pub(crate) flights_max: usize,
    pub(crate) queue_max: u32,
    pub(crate) catch_up: u64,
    pub(crate) turn_wall_ms: u64,
    pub(crate) blurts: bool,
    /// Deaths that are borne before the plugin is quarantined.
    pub(crate) deaths_max: u32,
    pub(crate) standbys: u32,
    pub(crate) replicas: u32,
    pub(crate) ping_ms: u64,
    /// Violations that are borne; 0 for all.
    pub(crate) violations_max: u32,
    /// Words of workers that are heard in one step, at the most.
    pub(crate) at_once: usize,
}

impl Knobs {
    pub(crate) fn apply(self, spec: &mut Spec) {
        (spec.snapshots.turns, spec.snapshots.turns_min) = self.snapshot_turns;
        spec.window_calls = self.window_calls;
        spec.flights_max = self.flights_max;
        // As few, or as many: so that the limit is met by few sessions, too.
        spec.background_calls = self.flights_max.min(32);
        spec.queue_max = self.queue_max;
        spec.lobby_max = 40;
        spec.catch_up_ticks = self.catch_up;
        spec.turn_wall_ns = self.turn_wall_ms * MS;
        spec.clients_max = 3;
        spec.players_max = 3;
        spec.poison_max = 4;
        spec.restart.deaths_max = self.deaths_max;
        spec.standbys = self.standbys;
        spec.replicas = self.replicas;
        spec.watch.ping_every_ns = self.ping_ms * MS;
        spec.watch.memory_bytes = 1 << 20;
        spec.watch.conduct.violations_max = self.violations_max;
        spec.restart.pause_max_ns = 100 * MS;
    }
}

pub(crate) fn knobs() -> impl Strategy<Value = Knobs> {
    let turns = prop_oneof![Just((1, 1)), Just((3, 16)), Just((8, 8)), Just((1000, 5)), Just((1000, 1000))];
    let window = prop_oneof![Just(1usize), Just(4), Just(256)];
    let flights = prop_oneof![Just(1usize), Just(3), Just(64)];
    let queue = prop_oneof![Just(1u32), Just(1024)];
    let wall = prop_oneof![3 => Just(5_000u64), 1 => Just(40)];
    let deaths = prop_oneof![4 => Just(u32::MAX), 1 => Just(3)];
    let ping = prop_oneof![Just(0u64), Just(20)];
    let violations = prop_oneof![Just(0u32), Just(2)];
    let at_once = prop_oneof![Just(1usize), 2usize..=40];
    (
        turns,
        window,
        flights,
        queue,
        0u64..5,
        wall,
        prop::bool::weighted(0.2),
        (deaths, 0u32..=2, ping, violations, prop_oneof![2 => Just(1u32), 1 => 2u32..=3], at_once),
    )
        .prop_map(
            |(
                snapshot_turns,
                window_calls,
                flights_max,
                queue_max,
                catch_up,
                turn_wall_ms,
                blurts,
                (deaths_max, standbys, ping_ms, violations_max, replicas, at_once),
            )| Knobs {
                snapshot_turns,
                window_calls,
                flights_max,
                queue_max,
                catch_up,
                turn_wall_ms,
                blurts,
                deaths_max,
                standbys,
                replicas,
                ping_ms,
                violations_max,
                at_once,
            },
        )
}

fn turn_op() -> impl Strategy<Value = TurnOp> {
    let word = prop_oneof![
        24 => Just(COUNT), 4 => Just(FAIL), 2 => Just(KILL), 6 => Just(SEND), 6 => Just(ASK), 1 => Just(ASK_KILL),
        1 => Just(DENIED)
    ];
    let kind = prop_oneof![
        60 => Just(kind::ACTION), 8 => Just(kind::JOIN), 5 => Just(kind::LEAVE), 1 => Just(kind::CLOSE), 2 => Just(9u16)
    ];
    let full = prop_oneof![4 => Just(WhenFull::Wait), 1 => Just(WhenFull::Refuse)];
    let player = prop_oneof![2 => Just(0u64), 1 => 1u64..5];
    let deadline = prop::option::weighted(0.2, 0u64..60);
    (any::<usize>(), prop_oneof![9 => Just(1u64), 1 => 2u64..6], kind, player, word, full, deadline).prop_map(
        |(session, client, kind, player, word, when_full, deadline_ms)| {
            // Joins and leaves are of players, and seldom fatal: a poison leave sets its session aside.
            let (player, word) = match kind {
                kind::JOIN | kind::LEAVE => (player.max(1), if word == FAIL { FAIL } else { COUNT }),
                _ => (player, word),
            };
            TurnOp { session, client, kind, player, word, when_full, deadline_ms }
        },
    )
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        4 => Just(Cause::External { signal: 9 }),
        2 => Just(Cause::Fault { signal: 11 }),
        2 => Just(Cause::Deadline),
        1 => Just(Cause::Cpu),
        1 => Just(Cause::Asked),
    ]
}

/// What an honest world does.
pub(crate) fn op() -> impl Strategy<Value = Op> {
    let tick = prop_oneof![Just(0u64), 5u64..40];
    let idle = prop_oneof![5 => Just(0u64), 1 => 100u64..400];
    prop_oneof![
        1 => Just(Op::Open),
        1 => (tick, idle, 1u32..20).prop_map(|(tick_ms, idle_ms, queue_max)| Op::OpenWith { tick_ms, idle_ms, queue_max }),
        1 => prop_oneof![Just(FAIL), Just(KILL), Just(ASK)].prop_map(Op::OpenBadly),
        30 => turn_op().prop_map(|op| Op::Turn(op, 1)),
        4 => (turn_op(), 2usize..30).prop_map(|(op, times)| Op::Turn(op, times)),
        2 => any::<usize>().prop_map(Op::Repeat),
        1 => any::<usize>().prop_map(Op::Cancel),
        14 => (any::<usize>(), 1usize..40).prop_map(|(at, n)| Op::Work(at, n)),
        4 => (any::<usize>(), cause()).prop_map(|(at, cause)| Op::Die(at, cause)),
        1 => any::<usize>().prop_map(Op::Violate),
        1 => (any::<usize>(), 0u64..2 << 20).prop_map(|(at, bytes)| Op::Look(at, bytes)),
        3 => Just(Op::AnswerHost),
        5 => (1u64..60).prop_map(Op::Pass),
        1 => (-200i64..200).prop_map(Op::Clock),
        1 => Just(Op::Restart),
        1 => (1u32..=3).prop_map(Op::Scale),
        1 => Just(Op::Suspend),
        1 => Just(Op::Release),
        2 => Just(Op::Resume),
        1 => any::<usize>().prop_map(Op::DropHeld),
    ]
}

/// What happens besides where sessions are on a disk and the supervisor dies.
pub(crate) fn durable_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0usize..40).prop_map(Op::Sync),
        2 => (0usize..20).prop_map(Op::Crash),
        60 => op(),
        10 => harsh_op(),
    ]
}

/// What happens in a bad one besides.
pub(crate) fn harsh_op() -> impl Strategy<Value = Op> {
    let fault = prop_oneof![
        Just(Fault::RefuseRestore),
        Just(Fault::NoSnapshots),
        Just(Fault::Snapshots),
        Just(Fault::SnapshotKills),
        Just(Fault::ScratchKills),
        Just(Fault::Lie),
        Just(Fault::Fickle),
    ];
    prop_oneof![
        3 => (any::<usize>(), any::<Hostility>()).prop_map(|(at, how)| Op::Hostile(at, how)),
        4 => fault.prop_map(Op::Fault),
        1 => any::<usize>().prop_map(|at| Op::Die(at, Cause::Start("no such symbol".to_owned()))),
        1 => prop_oneof![2 => Just(LiveSessions::Refuse), 1 => Just(LiveSessions::Close)].prop_map(Op::Unload),
        60 => op(),
    ]
}
