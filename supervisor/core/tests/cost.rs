//! What the core does for a turn, counted and not timed: instructions and allocations, by valgrind, of a process that plays some turns and of one that plays more.
//!
//! A change that makes every turn dearer fails here, on whatever machine and under whatever load. One that is meant to: say so by raising the number.
//!
//! Counted in an optimised build: `cargo test -p croupier-core --profile sim --features counted --test cost -- --nocapture`, as `scripts/test` does.

use std::process::Command;

use croupier_core::action::{Action, ToWorker, TurnMessage, Wanted};
use croupier_core::event::{Answer, Event, Input, Open, Options, Turn, TurnAnswer, WhenFull};
use croupier_core::ids::{ClientId, Now, Payload, PlayerId, RequestId, SessionId, kind};
use croupier_core::{Game, Spec};
use croupier_fair::seed::ServerSeed;

/// Set for the process that is counted: how many turns it plays.
const TURNS: &str = "CROUPIER_COST_TURNS";
const FEW: u64 = 4_000;
const MANY: u64 = 12_000;
const SESSIONS: u64 = 64;

/// Most instructions a turn. Three compressions of SHA-256 (valgrind knows no instruction for those) are some 10,000 of them, the checks of this build (overflows, assertions) some thousands.
const INSTRUCTIONS_MAX: f64 = 20_000.0;
/// Most allocations a turn: its payload, which this test makes, and its message. All else has its place.
const ALLOCATIONS_MAX: f64 = 2.5;

/// A game with one worker that answers at once, and sessions that are played in turn.
struct Table {
    game: Game,
    now: Now,
    actions: Vec<Action>,
    requests: u64,
    answers: u64,
}

impl Table {
    fn open() -> Table {
        let mut spec = Spec::new("cost", [1; 32]);
        spec.transcripts = false;
        let now = Now { mono_ns: 1_000_000_000, wall_ns: 1_700_000_000_000_000_000 };
        let mut table = Table { game: Game::new(spec), now, actions: Vec::new(), requests: 0, answers: 0 };
        let request = table.request();
        table.step(Event::Start { request });
        for id in 1..=SESSIONS {
            let open = Open {
                request: table.request(),
                session: SessionId(id),
                config: Payload::from(*b"{}"),
                seed: ServerSeed::from_bytes([id as u8; 32]),
                options: Options::default(),
            };
            table.step(Event::Open(open));
        }
        assert_eq!(table.answers, 1 + SESSIONS, "the game is up, and its sessions are open");
        table
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    fn turn(&mut self, session: SessionId, client_seq: u64) {
        let input = Input {
            kind: kind::ACTION,
            player: PlayerId::HOUSE,
            payload: Payload::from([7; 64]),
            client_seed: Payload::default(),
        };
        let turn = Turn {
            request: self.request(),
            session,
            client: ClientId(1),
            client_seq,
            input,
            when_full: WhenFull::Wait,
            no_room: false,
            deadline_mono_ns: None,
        };
        self.now.mono_ns += 1_000;
        self.now.wall_ns += 1_000;
        self.step(Event::Turn(turn));
        self.game.prepare(session);
    }

    /// Takes an event, and answers for the worker until nothing more is asked of it.
    fn step(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            self.game.step(self.now, event, &mut self.actions);
            for action in self.actions.drain(..) {
                match action {
                    Action::Spawn { worker } => next = Some(Event::WorkerLoaded { worker }),
                    Action::Send { worker, call, message } => {
                        let answer = match message {
                            ToWorker::Turn(turn) => Answer::Done(done(&turn)),
                            _ => Answer::Ok,
                        };
                        next = Some(Event::Answer { worker, call, answer });
                    }
                    Action::Answer { result, .. } => {
                        result.expect("is played");
                        self.answers += 1;
                    }
                    _ => {}
                }
            }
        }
    }
}

fn done(turn: &TurnMessage) -> TurnAnswer {
    TurnAnswer {
        status: 0,
        reply: turn.payload.clone(),
        error: String::new(),
        effects: Vec::new(),
        claimed: 0,
        seen: turn.seq,
        snapshot: (turn.snapshot == Wanted::Yes).then(|| Payload::from([1; 64])),
        diverged: false,
    }
}

/// The process that is counted.
fn play(turns: u64) {
    let mut table = Table::open();
    for turn in 0..turns {
        table.turn(SessionId(1 + turn % SESSIONS), 1 + turn / SESSIONS);
    }
    assert_eq!(table.answers, 1 + SESSIONS + turns);
}

#[test]
fn a_turn_costs_the_core_no_more_than_it_did() {
    if let Ok(turns) = std::env::var(TURNS) {
        return play(turns.parse().expect("a number"));
    }
    let per_turn = |count: fn(u64) -> u64| (count(MANY) as f64 - count(FEW) as f64) / (MANY - FEW) as f64;
    let (instructions, allocations) = (per_turn(instructions), per_turn(allocations));
    println!("a turn in the core: {instructions:.0} instructions, {allocations:.2} allocations");
    let dear = |what: &str, found: f64, max: f64| {
        assert!(
            found <= max,
            "a turn takes {found:.2} {what} in the core, and {max} is the most so far: find what was added on its way \
             (valgrind --tool=callgrind), or raise the number in {} and say why",
            file!()
        );
        // A bound far above what is true guards nothing.
        assert!(
            found >= max * 0.75,
            "a turn takes only {found:.2} {what} now: lower the {max} in {}",
            file!()
        );
    };
    dear("instructions", instructions, INSTRUCTIONS_MAX);
    dear("allocations", allocations, ALLOCATIONS_MAX);
}

fn instructions(turns: u64) -> u64 {
    // "==7== Collected : 12345"
    number(&valgrind(&["--tool=callgrind", "--callgrind-out-file=/dev/null"], turns), "Collected : ")
}

fn allocations(turns: u64) -> u64 {
    // "==7==   total heap usage: 1,234 allocs, 1,230 frees, …"
    number(&valgrind(&["--leak-check=no"], turns), "total heap usage: ")
}

fn valgrind(options: &[&str], turns: u64) -> String {
    let me = std::env::current_exe().expect("a test binary");
    let out = Command::new("valgrind")
        .args(options)
        .arg(me)
        .args(["--exact", "a_turn_costs_the_core_no_more_than_it_did", "--test-threads=1"])
        .env(TURNS, turns.to_string())
        .output()
        .expect("scripts/setup installs valgrind");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    said
}

fn number(said: &str, after: &str) -> u64 {
    let (_, rest) = said.split_once(after).unwrap_or_else(|| panic!("no {after:?} in:\n{said}"));
    let digits = rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(char::is_ascii_digit);
    digits.collect::<String>().parse().expect("a number")
}
