//! Who plays in bad weather, and what each of them must find.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use croupier_client::blocking::{Client, Session};
use croupier_client::{ClientError, ClientId, Code, ConnectOptions, OpenOptions, Player, Reconnect};
use croupier_tests::{Daemon, PATIENCE, Ran, wait_for};
use serde_json::{Value, json};

use crate::hands::Hand;
use crate::weather::Weather;

/// How many of each.
const HANDS: u64 = 6;
const CRAPS: u64 = 4;
const COUNTERS: u64 = 6;
const BULKY: u64 = 2;
const DOOMED: u64 = 2;
const IN_MEMORY: u64 = 3;

/// Turns of one session of each.
const ROLLS: u64 = 60;
const COUNTS: u64 = 200;
const COUNTS_BEFORE_DOOM: u64 = 15;
const THROWS: u64 = 40;

/// Sessions that hold so much at a time, each twice.
const BULKY_SESSIONS: u64 = 40;
const BULKY_BYTES: usize = 100_000;

const BANKROLL: i64 = 1_000_000;
/// When the disk is full turns are refused; whoever is refused comes back.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// The disk is never full for that long.
const NO_ROOM_MAX: Duration = Duration::from_secs(120);

const COUNT: &str = r#"{"do":"count"}"#;

/// A player with a connection that waits for the supervisor to come back.
pub(crate) struct Table {
    client: Client,
    operator: Client,
    state_dir: std::path::PathBuf,
    game: Game,
    /// Which of its kind.
    number: u64,
}

#[derive(Debug, Clone, Copy)]
enum Game {
    /// Recorded hands: stacks must be the recorded ones.
    Hands,
    /// A table of craps: the money must add up after each roll, and the transcript must replay in an undisturbed worker.
    Craps,
    /// Counts: a turn lost or played twice is seen at once.
    Counter,
    /// Writes so much that the journal needs room which a full disk does not have.
    Bulky,
    /// Kills its worker by a turn: that one turn, and no other, is poison.
    Poisoner,
    /// Kills its worker by being restored: it is held, and nobody else.
    Unrestorable,
    /// A game that is kept in memory alone: it is lost with its supervisor, and said to be.
    InMemory,
}

pub(crate) fn tables(daemon: &Daemon) -> Vec<Table> {
    let kinds = [
        (Game::Hands, HANDS),
        (Game::Craps, CRAPS),
        (Game::Counter, COUNTERS),
        (Game::Bulky, BULKY),
        (Game::Poisoner, DOOMED),
        (Game::Unrestorable, DOOMED),
        (Game::InMemory, IN_MEMORY),
    ];
    let all = kinds.into_iter().flat_map(|(game, count)| (0..count).map(move |number| (game, number)));
    all.zip(1..)
        .map(|((game, number), id)| {
            let client = daemon.patient_player(ClientId(id));
            let delay = Duration::from_millis(50);
            let attempts = (PATIENCE.as_millis() / delay.as_millis()) as u32;
            let reconnect = Reconnect { attempts, delay, delay_max: delay };
            let options = ConnectOptions { reconnect, ..ConnectOptions::default() };
            let operator =
                Client::connect_with(daemon.control(), options).expect("the control socket answers");
            Table { client, operator, state_dir: daemon.state_dir(), game, number }
        })
        .collect()
}

impl Table {
    /// One session after the other, until it is enough.
    pub(crate) fn play(&self, hands: &[Hand], enough: &AtomicBool, ledger: &Ledger) {
        let mut round = 0;
        while !enough.load(Ordering::Relaxed) {
            match self.game {
                Game::Hands => {
                    let hand = &hands[((round * HANDS + self.number) % hands.len() as u64) as usize];
                    self.hand(hand, ledger);
                }
                Game::Craps => self.craps(ledger),
                Game::Counter => self.count(ledger),
                Game::Bulky => self.fill_the_journal(ledger),
                Game::Poisoner => self.poison(ledger),
                Game::Unrestorable => self.be_unrestorable(enough, ledger),
                Game::InMemory => self.in_memory(ledger),
            }
            round += 1;
        }
    }

    fn open(&self, plugin: &str, config: &str, ledger: &Ledger) -> Session {
        let open = || self.client.open(plugin, config, OpenOptions::default());
        let session = ledger.patiently(open).unwrap_or_else(|error| panic!("opening {plugin}: {error}"));
        ledger.sessions.fetch_add(1, Ordering::Relaxed);
        session
    }

    fn hand(&self, hand: &Hand, ledger: &Ledger) {
        let session = self.open("holdem", &hand.config, ledger);
        let mut last = Value::Null;
        for (player, action) in &hand.actions {
            last = ledger.turn(&session, Player(*player), action);
        }
        assert!(hand.ends_with(&last), "{}: {} is not {}", hand.name, last, hand.expected);
        ledger.close(&session);
        ledger.hands.fetch_add(1, Ordering::Relaxed);
    }

    fn craps(&self, ledger: &Ledger) {
        let table = self.open("craps", "{}", ledger);
        let profile = json!({ "bankroll": BANKROLL }).to_string();
        ledger.patiently(|| table.join(Player(1), profile.as_str())).expect("a seat");
        let bets = r#"{"standing":[{"kind":"pass","amount":10},{"kind":"field","amount":10},{"kind":"any_seven","amount":5}]}"#;
        ledger.turn(&table, Player(1), bets);
        for roll in 1..=ROLLS {
            let after = ledger.turn(&table, Player::HOUSE, r#"{"roll":true}"#);
            assert_eq!(after["rolls"], json!(roll), "session {}: {after}", table.id());
            let of = |name: &str| after[name]["1"].as_i64().expect("an amount");
            let house = after["house"].as_i64().expect("an amount");
            assert_eq!(of("bankrolls") + of("on_table") + house, BANKROLL, "session {}: {after}", table.id());
        }
        ledger.close(&table);
        // The open, the seat, the standing bets, the rolls, the close.
        self.replay(&table, ROLLS + 4, ledger);
    }

    /// The same seed and the same turns in a worker that nobody disturbs give the same outcomes.
    fn replay(&self, session: &Session, turns: u64, ledger: &Ledger) {
        let file = self.state_dir.join("transcripts").join(format!("{}.jsonl", session.id()));
        wait_for("the transcript's end", || file.exists().then_some(()));
        let path = file.to_str().expect("UTF-8");
        let verified = Ran::croupier(None, ["verify-fairness", path, "--replay", "--json"]);
        assert_eq!(verified.code, 0, "{verified}");
        let text = std::fs::read_to_string(&file).expect("a transcript");
        assert_eq!(text.matches("\"turn\":").count() as u64, turns, "session {}", session.id());
        ledger.replayed.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, ledger: &Ledger) {
        let session = self.open("faulty", "{}", ledger);
        for count in 1..=COUNTS {
            let reply = ledger.turn(&session, Player(1), COUNT);
            assert_eq!(reply["count"], json!(count), "session {}: none lost, none twice", session.id());
        }
        ledger.close(&session);
    }

    fn fill_the_journal(&self, ledger: &Ledger) {
        let sessions: Vec<Session> = (0..BULKY_SESSIONS).map(|_| self.open("faulty", "{}", ledger)).collect();
        // An action may have spaces around it; the journal has it as it came.
        let action = format!("{COUNT}{}", " ".repeat(BULKY_BYTES));
        for count in 1..=2 {
            for session in &sessions {
                assert_eq!(ledger.turn(session, Player(1), &action)["count"], json!(count));
            }
        }
        sessions.iter().for_each(|session| ledger.close(session));
    }

    fn poison(&self, ledger: &Ledger) {
        let session = self.open("faulty", "{}", ledger);
        for count in 1..=COUNTS_BEFORE_DOOM {
            assert_eq!(ledger.turn(&session, Player(1), COUNT)["count"], json!(count));
        }
        let segv = ledger.patiently(|| session.act(Player(1), r#"{"do":"segv"}"#));
        let error = segv.expect_err("it crashes its worker");
        assert_eq!(error.code(), Some(Code::Poison), "session {}: {error}", session.id());
        ledger.poison.fetch_add(1, Ordering::Relaxed);
        let after = ledger.turn(&session, Player(1), COUNT);
        assert_eq!(after["count"], json!(COUNTS_BEFORE_DOOM + 1), "the poison left no trace");
        ledger.close(&session);
    }

    fn be_unrestorable(&self, enough: &AtomicBool, ledger: &Ledger) {
        let session = self.open("faulty", "{}", ledger);
        match ledger.patiently(|| session.act(Player(1), r#"{"do":"crash_on_replay"}"#)) {
            Ok(_) => {}
            // Its worker died before it was done; to be sent again is to be played again.
            Err(error) => {
                assert_eq!(error.code(), Some(Code::Poison), "session {}: {error}", session.id());
                ledger.poison.fetch_add(1, Ordering::Relaxed);
                return ledger.close(&session);
            }
        }
        // The first one counted too.
        for count in 2..=COUNTS {
            match ledger.patiently(|| session.act(Player(1), COUNT)) {
                Ok(done) => assert_eq!(reply(&done)["count"], json!(count)),
                Err(error) => {
                    assert_eq!(error.code(), Some(Code::SessionHeld), "session {}: {error}", session.id());
                    ledger.held.fetch_add(1, Ordering::Relaxed);
                    return self.drop_held(&session);
                }
            }
            if enough.load(Ordering::Relaxed) {
                break;
            }
        }
        // It was never restored, which is well; or it is just now, and held because of it.
        match ledger.patiently(|| session.close()) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.code(), Some(Code::SessionHeld), "session {}: {error}", session.id());
                ledger.held.fetch_add(1, Ordering::Relaxed);
                self.drop_held(&session);
            }
        }
    }

    fn drop_held(&self, session: &Session) {
        wait_for("the held session to be dropped", || match self.operator.drop_held(session.id()) {
            Ok(()) => Some(()),
            // Done, and the supervisor died before it said so.
            Err(error) if matches!(error.code(), Some(Code::UnknownSession | Code::SessionClosed)) => {
                Some(())
            }
            // Verbs are not repeated by themselves.
            Err(ClientError::Refused(refusal))
                if !matches!(refusal.code, Code::Busy | Code::ShuttingDown) =>
            {
                panic!("{refusal}")
            }
            Err(_) => None,
        });
    }

    fn in_memory(&self, ledger: &Ledger) {
        let session = self.open("dice", r#"{"stack":1000000}"#, ledger);
        let mut last = 1;
        let lost = (|| {
            last = ledger.patiently(|| session.join(Player(1), "{}"))?.seq;
            for throw in 0..THROWS {
                let bet = ledger.patiently(|| session.act(Player(1), r#"{"bet":"over","amount":1}"#))?;
                assert_eq!(bet.seq, 3 + 2 * throw);
                last = bet.seq;
                let roll = ledger.patiently(|| session.act(Player(0), r#"{"roll":true}"#))?;
                assert_eq!(roll.seq, 4 + 2 * throw);
                last = roll.seq;
                ledger.turns.fetch_add(2, Ordering::Relaxed);
            }
            ledger.patiently(|| session.close()).map(drop)
        })();
        let Err(error) = lost else { return };
        let id = session.id();
        let ClientError::Refused(refusal) = &error else { panic!("session {id}: {error}") };
        // A close whose answer died with the supervisor has been made, or not.
        assert!(
            matches!(refusal.code, Code::SessionLost)
                || (refusal.code == Code::SessionClosed && last == 2 + 2 * THROWS),
            "session {id}, turn {last}: {error}"
        );
        assert!(refusal.seq <= last + 1, "session {id}: turn {last} was its last; {refusal:?}");
        ledger.lost.fetch_add(1, Ordering::Relaxed);
    }
}

/// What was played.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sessions: AtomicU64,
    turns: AtomicU64,
    hands: AtomicU64,
    replayed: AtomicU64,
    poison: AtomicU64,
    held: AtomicU64,
    lost: AtomicU64,
    busy: AtomicU64,
}

impl Ledger {
    /// Again and again while it is refused for want of room; anything else is final.
    ///
    /// # Panics
    /// When there is no room for so long that there never will be.
    fn patiently<T>(&self, mut ask: impl FnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
        let begin = Instant::now();
        loop {
            match ask() {
                Err(error) if error.code() == Some(Code::Busy) => {
                    self.busy.fetch_add(1, Ordering::Relaxed);
                    assert!(begin.elapsed() < NO_ROOM_MAX, "still refused: {error}");
                    std::thread::sleep(BUSY_PAUSE);
                }
                other => return other,
            }
        }
    }

    /// A turn that succeeds, whatever happens.
    fn turn(&self, session: &Session, player: Player, action: &str) -> Value {
        let done = self.patiently(|| session.act(player, action));
        let done = done.unwrap_or_else(|error| panic!("session {}: {error}", session.id()));
        self.turns.fetch_add(1, Ordering::Relaxed);
        reply(&done)
    }

    fn close(&self, session: &Session) {
        self.patiently(|| session.close())
            .unwrap_or_else(|error| panic!("session {}: {error}", session.id()));
    }

    /// Plays; if that fails, everybody is to stop at once.
    pub(crate) fn until_end(&self, enough: &AtomicBool, play: impl FnOnce()) {
        struct Enough<'a>(&'a AtomicBool);
        impl Drop for Enough<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _enough = Enough(enough);
        play();
    }

    /// That all of it was put to the test.
    ///
    /// # Panics
    /// When something never happened.
    pub(crate) fn check(&self, weather: &Weather) {
        assert!(self.saw_all(weather), "{weather}; {self:?}");
        // A planned stop loses nobody's.
        let lost = self.lost.load(Ordering::Relaxed);
        assert!(lost <= weather.supervisors_killed * IN_MEMORY, "{weather}; {self:?}");
    }

    /// Whether everything has happened at least once.
    pub(crate) fn saw_all(&self, weather: &Weather) -> bool {
        let played = [&self.hands, &self.replayed, &self.poison, &self.held, &self.lost, &self.busy];
        let happened = [
            weather.workers_killed,
            weather.zygotes_killed,
            weather.supervisors_killed,
            weather.workers_stopped,
            weather.disks_filled,
        ];
        played.iter().all(|count| count.load(Ordering::Relaxed) > 0)
            && happened.iter().all(|count| *count > 0)
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        write!(
            f,
            "{} sessions, {} turns, {} hands with the recorded stacks, {} tables of craps replayed the same; {} turns poison and {} sessions held, \
             all of them the culprits'; {} sessions in memory lost with their supervisor; {} requests refused for want of room. 0 lost, 0 doubled",
            of(&self.sessions),
            of(&self.turns),
            of(&self.hands),
            of(&self.replayed),
            of(&self.poison),
            of(&self.held),
            of(&self.lost),
            of(&self.busy)
        )
    }
}

fn reply(done: &croupier_client::Done) -> Value {
    serde_json::from_slice(&done.reply).expect("a reply in JSON")
}
