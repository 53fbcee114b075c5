//! Tests for games, in one process and without a supervisor.
//!
//! A [`Table`] is one session. After every turn it also does what a supervisor does after a crash: it restores the state from
//! before the turn, plays the turn again, and panics when reply, output or state differ. [`replay_check`] does that for whole scripts.
//!
//! Not here: limits, permissions, the journal. For those play a script through the supervisor, and
//! `croupier check --determinism` for two real processes.

use std::collections::VecDeque;

use serde_json::Value;

use crate::game::{Game, Player, Refusal};
use crate::play;
use crate::turn::{Facts, Turn};

mod record;
pub use record::Output;
use record::{Answers, RecordedCall, Recorder, no_answer};

/// Time of the first turn: 2000-01-01 UTC, in nanoseconds since the Unix epoch. Long past, so that a game that looks at the
/// real clock is found out.
const FIRST_NOW_NS: u64 = 946_684_800_000_000_000;
/// Every turn is this much later than the one before, in nanoseconds.
const STEP_NS: u64 = 1_000_000;
/// The session's id.
const SESSION: u64 = 1;

/// Whether a [`Table`] checks replay after each turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// After each turn: two more snapshots and one more run of the turn.
    EachTurn,
    /// Not at all: for millions of turns.
    Off,
}

/// One line of a script for [`replay_check`].
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A player joins, with this profile.
    Join(u64, Value),
    /// A player leaves.
    Leave(u64),
    /// A player (0: the house) acts.
    Act(u64, Value),
    /// Time passes.
    Tick,
    /// The table closes; the last step.
    Close,
}

/// One session of a game, played in this process.
pub struct Table<G> {
    game: G,
    seed: u64,
    next_seed: Option<[u8; 32]>,
    seq: u64,
    now_ns: u64,
    checks: Checks,
    closed: bool,
    output: Vec<Output>,
    answers: Box<Answers>,
}

/// What a turn answered: the reply or why not, and what it gave out.
#[derive(Debug, PartialEq)]
struct Outcome {
    result: Result<Vec<u8>, Refusal>,
    output: Vec<Output>,
}

/// What a turn is.
#[derive(Clone)]
enum Input {
    Join(Vec<u8>),
    Leave,
    Action(Vec<u8>),
    Tick,
    Close,
}

impl<G: Game> Table<G> {
    /// Opens a session with this config. `seed` stands for the session's chance: turn `n` gets a seed of its own, made of `seed` and `n`.
    ///
    /// # Errors
    /// The game's refusal.
    ///
    /// # Panics
    /// When opening twice gives two results.
    pub fn open(config: Value, seed: u64) -> Result<Table<G>, Refusal> {
        Ok(Table::open_with_reply(config, seed)?.0)
    }

    /// As [`Table::open`], and gives the reply.
    ///
    /// # Errors
    /// The game's refusal.
    ///
    /// # Panics
    /// When opening twice gives two results.
    pub fn open_with_reply(config: Value, seed: u64) -> Result<(Table<G>, Value), Refusal> {
        let config = json_bytes(&config);
        let facts = Facts {
            session: SESSION,
            seq: 1,
            now_ns: FIRST_NOW_NS,
            player: Player::HOUSE,
            seed: turn_seed(seed, 1),
        };
        let mut recorder = Recorder::default();
        let first = play::open::<G>(&config, &mut Turn::new(facts, &mut recorder));
        let second = play::open::<G>(&config, &mut Turn::new(facts, &mut Recorder::default()));
        let view = |opened: &Result<(G, Vec<u8>), Refusal>| match opened {
            Ok((game, reply)) => Ok((must_snapshot(game), reply.clone())),
            Err(refusal) => Err(refusal.clone()),
        };
        assert_eq!(view(&first), view(&second), "opening twice with the same turn gives two results");
        let (game, reply) = first?;
        let table = Table {
            game,
            seed,
            next_seed: None,
            seq: 1,
            now_ns: FIRST_NOW_NS,
            checks: Checks::EachTurn,
            closed: false,
            output: recorder.output,
            answers: Box::new(no_answer),
        };
        table.check_round_trip();
        Ok((table, reply_value(&reply)))
    }

    /// Sets whether each turn is checked; it is, unless you say otherwise.
    pub fn set_checks(&mut self, checks: Checks) {
        self.checks = checks;
    }

    /// Answers [`Turn::call`] with this function from now on. It gets the name and the arguments.
    pub fn answer_calls(&mut self, answers: impl FnMut(&str, &[u8]) -> Result<Vec<u8>, Refusal> + 'static) {
        self.answers = Box::new(answers);
    }

    /// Gives the next turn this very seed.
    pub fn set_next_seed(&mut self, seed: [u8; 32]) {
        self.next_seed = Some(seed);
    }

    /// Lets time pass without a turn, in milliseconds.
    pub fn advance_ms(&mut self, ms: u64) {
        self.now_ns += ms * 1_000_000;
    }

    /// A player joins, with the profile `{}`.
    ///
    /// # Errors
    /// The game's refusal.
    pub fn join(&mut self, player: u64) -> Result<Value, Refusal> {
        self.join_as(player, serde_json::json!({}))
    }

    /// A player joins, with a profile.
    ///
    /// # Errors
    /// The game's refusal.
    pub fn join_as(&mut self, player: u64, profile: Value) -> Result<Value, Refusal> {
        self.turn(player, Input::Join(json_bytes(&profile)))
    }

    /// A player leaves.
    ///
    /// # Errors
    /// The game's refusal.
    pub fn leave(&mut self, player: u64) -> Result<Value, Refusal> {
        self.turn(player, Input::Leave)
    }

    /// A player (0: the house) acts.
    ///
    /// # Errors
    /// The game's refusal.
    pub fn act(&mut self, player: u64, action: Value) -> Result<Value, Refusal> {
        self.act_bytes(player, &json_bytes(&action))
    }

    /// A player acts, with bytes that need not be JSON.
    ///
    /// # Errors
    /// The game's refusal.
    pub fn act_bytes(&mut self, player: u64, payload: &[u8]) -> Result<Value, Refusal> {
        self.turn(player, Input::Action(payload.to_vec()))
    }

    /// Time passes.
    ///
    /// # Errors
    /// The game's refusal.
    pub fn tick(&mut self) -> Result<Value, Refusal> {
        self.turn(0, Input::Tick)
    }

    /// The table closes. It takes no turn after that.
    ///
    /// # Errors
    /// The game's refusal.
    pub fn close(&mut self) -> Result<Value, Refusal> {
        let result = self.turn(0, Input::Close);
        self.closed = true;
        result
    }

    /// Plays one line of a script.
    ///
    /// # Errors
    /// The game's refusal.
    pub fn step(&mut self, step: &Step) -> Result<Value, Refusal> {
        match step {
            Step::Join(player, profile) => self.join_as(*player, profile.clone()),
            Step::Leave(player) => self.leave(*player),
            Step::Act(player, action) => self.act(*player, action.clone()),
            Step::Tick => self.tick(),
            Step::Close => self.close(),
        }
    }

    /// The state.
    pub fn state(&self) -> &G {
        &self.game
    }

    /// What the last turn gave out; nothing but log lines if it failed.
    pub fn output(&self) -> &[Output] {
        &self.output
    }

    /// The messages that `player` got in the last turn, as JSON.
    pub fn sent_to(&self, player: u64) -> Vec<Value> {
        let sent = |output: &Output| match output {
            Output::Sent { to, message } if *to == Player(player) || *to == Player::ALL => {
                Some(reply_value(message))
            }
            _ => None,
        };
        self.output.iter().filter_map(sent).collect()
    }

    /// The state as bytes.
    ///
    /// # Panics
    /// When the state cannot be written.
    pub fn snapshot(&self) -> Vec<u8> {
        must_snapshot(&self.game)
    }

    /// Replaces the state with that of a snapshot of the game's own version.
    ///
    /// # Errors
    /// The snapshot does not decode.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), Refusal> {
        self.restore_version(G::STATE_VERSION, snapshot)
    }

    /// Replaces the state with that of a snapshot of any version ([`Game::migrate`]).
    ///
    /// # Errors
    /// The snapshot does not decode.
    pub fn restore_version(&mut self, state_version: u32, snapshot: &[u8]) -> Result<(), Refusal> {
        self.game = play::restore(state_version, snapshot)?;
        Ok(())
    }

    fn turn(&mut self, player: u64, input: Input) -> Result<Value, Refusal> {
        assert!(!self.closed, "the table is closed: no turn comes after the close");
        self.seq += 1;
        self.now_ns += STEP_NS;
        let seed = self.next_seed.take().unwrap_or_else(|| turn_seed(self.seed, self.seq));
        let facts =
            Facts { session: SESSION, seq: self.seq, now_ns: self.now_ns, player: Player(player), seed };
        let before = (self.checks == Checks::EachTurn).then(|| self.snapshot());
        let mut recorder = Recorder { ask: Some(&mut self.answers), ..Recorder::default() };
        let outcome = run(&mut self.game, facts, &input, &mut recorder);
        let calls = std::mem::take(&mut recorder.calls);
        if let Some(before) = before {
            self.check_replay(facts, &input, &before, calls, &outcome);
        }
        self.output = outcome.output;
        outcome.result.map(|reply| reply_value(&reply))
    }

    /// Plays the turn once more, from the snapshot before it.
    fn check_replay(
        &self,
        facts: Facts,
        input: &Input,
        before: &[u8],
        calls: VecDeque<RecordedCall>,
        outcome: &Outcome,
    ) {
        let seq = facts.seq;
        let mut again: G = play::restore(G::STATE_VERSION, before).unwrap_or_else(|refusal| {
            panic!("turn {seq}: the snapshot before it does not restore: {refusal}")
        });
        let mut recorder = Recorder { replay: Some(calls), ..Recorder::default() };
        let replayed = run(&mut again, facts, input, &mut recorder);
        assert!(
            recorder.replay.is_some_and(|left| left.is_empty()),
            "turn {seq}: replayed, it makes fewer host calls"
        );
        assert_eq!(
            &replayed, outcome,
            "turn {seq}: replayed (left), it answers otherwise than first (right): something outside of state and turn has a say"
        );
        assert!(
            must_snapshot(&again) == self.snapshot(),
            "turn {seq}: replayed, it leaves another state behind"
        );
        self.check_round_trip();
    }

    /// The state survives being written and read.
    fn check_round_trip(&self) {
        let bytes = self.snapshot();
        let back: G = play::restore(G::STATE_VERSION, &bytes).unwrap_or_else(|refusal| {
            panic!("turn {}: the state does not survive its own snapshot: {refusal}", self.seq)
        });
        assert!(
            must_snapshot(&back) == bytes,
            "turn {}: a restored state gives other bytes: is there a map without an order in it?",
            self.seq
        );
    }
}

/// Plays a script twice: once straight through, once with the state replaced by its own snapshot before every step; compares replies,
/// refusals, output and snapshots. Gives the replies of all steps.
///
/// # Panics
/// When the two differ, naming the step, and when the session does not open.
pub fn replay_check<G: Game>(config: Value, seed: u64, script: &[Step]) -> Vec<Result<Value, Refusal>> {
    let open = || Table::<G>::open(config.clone(), seed).unwrap_or_else(|refusal| panic!("open: {refusal}"));
    let (mut straight, mut restored) = (open(), open());
    straight.set_checks(Checks::Off);
    restored.set_checks(Checks::Off);
    let mut replies = Vec::with_capacity(script.len());
    for (index, step) in script.iter().enumerate() {
        let number = index + 1;
        let snapshot = restored.snapshot();
        restored.restore(&snapshot).unwrap_or_else(|refusal| {
            panic!("step {number}: the snapshot before it does not restore: {refusal}")
        });
        let (first, second) = (straight.step(step), restored.step(step));
        assert_eq!(first, second, "step {number} {step:?}: replies differ (straight left, restored right)");
        assert_eq!(straight.output(), restored.output(), "step {number} {step:?}: output differs");
        assert!(straight.snapshot() == restored.snapshot(), "step {number} {step:?}: the states differ");
        replies.push(first);
    }
    replies
}

fn run<G: Game>(game: &mut G, facts: Facts, input: &Input, recorder: &mut Recorder<'_>) -> Outcome {
    let mut turn = Turn::new(facts, recorder);
    let result = match input {
        Input::Join(profile) => play::join(game, profile, &mut turn),
        Input::Leave => play::leave(game, &mut turn),
        Input::Action(payload) => play::action(game, payload, &mut turn),
        Input::Tick => play::tick(game, &mut turn),
        Input::Close => play::close(game, &mut turn),
    };
    let mut output = std::mem::take(&mut recorder.output);
    if result.is_err() {
        output.retain(|output| matches!(output, Output::Logged { .. }));
    }
    Outcome { result, output }
}

/// `seed` and `seq`, little-endian, then zeros: as good as any, for a key of ChaCha20.
fn turn_seed(seed: u64, seq: u64) -> [u8; 32] {
    let mut bytes = [0u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&seq.to_le_bytes());
    bytes
}

fn must_snapshot<G: Game>(game: &G) -> Vec<u8> {
    play::snapshot(game).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn json_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a JSON value can be written")
}

fn reply_value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|err| panic!("a game gave out bytes that are not JSON: {err}"))
}
