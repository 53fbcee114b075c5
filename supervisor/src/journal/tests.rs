//! The journal on disks that fail, and under processes that die.

mod child;
mod disk;
mod model;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use croupier_core::durable::Change;
use croupier_core::ids::SessionId;

use super::contents::Place;
use super::fold::{FoldError, State, fold};
use super::format::OpenRecord;
use super::handle::{Journal, JournalOptions, NoRoom, Told};
use super::store::{Job, Store};
use disk::{Dice, Disk};
use model::{Game, opened, played, snapshot};

const QUICK: JournalOptions = JournalOptions {
    max_bytes: 1 << 30,
    waiting_bytes_max: 1 << 30,
    headroom_bytes: 0,
    retry: Duration::from_millis(5),
    unpark_max: Duration::from_secs(15),
};

type Heard = Arc<Mutex<Vec<Told>>>;

fn start(disk: &Disk, options: JournalOptions) -> (Journal, Heard) {
    let heard = Heard::default();
    let hear = heard.clone();
    let operator = Box::new(move |told| hear.lock().unwrap().push(told));
    let (journal, contents) = Journal::start_on(Box::new(disk.clone()), options, operator).unwrap();
    assert!(contents.flaws.is_empty());
    (journal, heard)
}

fn read(disk: &Disk) -> super::Contents {
    Store::open(Box::new(disk.clone())).expect("it opens").1
}

#[test]
fn an_almost_full_disk_takes_nothing_new_before_it_is_full_and_says_when_there_is_room() {
    let disk = Disk::new(1);
    let (journal, heard) = start(&disk, JournalOptions { headroom_bytes: 8 << 20, ..QUICK });
    let mut dice = Dice(1);
    let mut game = Game::new(&journal, "dice");
    game.play(&mut dice, 40);
    until("written", || journal.status().waiting_bytes == 0);
    assert_eq!(journal.room(), Ok(()));
    disk.fill_up();
    game.play(&mut dice, 40);
    until("refusing", || matches!(journal.room(), Err(NoRoom::Low { .. })));
    assert_eq!(journal.room_to_close(), Ok(()), "closing makes room");
    disk.make_room();
    // Nothing is put meanwhile: it looks by itself.
    until("taking", || journal.room() == Ok(()));
    journal.close();
    let heard = heard.lock().unwrap();
    let lows = heard.iter().filter(|told| matches!(told, Told::Low { .. })).count();
    assert_eq!((lows, heard.last()), (1, Some(&Told::Room)), "{heard:?}");
    game.check(&read(&disk));
}

#[test]
fn what_waits_counts_as_written_when_room_is_looked_for() {
    let disk = Disk::new(1);
    let (journal, _) = start(&disk, JournalOptions { headroom_bytes: 8 << 20, ..QUICK });
    let mut game = Game::new(&journal, "dice");
    game.put(SessionId(1), opened(SessionId(1)));
    game.all_told();
    disk.leave(10 << 20);
    game.put(SessionId(1), played(0, 1, 8));
    game.all_told();
    until("looked at", || journal.status().waiting_bytes == 0);
    assert_eq!(journal.room(), Ok(()));
    disk.stuck(true);
    let mut seq = 1;
    while journal.room().is_ok() {
        seq += 1;
        game.put(SessionId(1), played(3, seq, 100_000));
        assert!(seq < 50, "{seq} large entries wait, and there is room for none of them");
    }
    assert!(matches!(journal.room(), Err(NoRoom::Low { .. })), "{:?}", journal.room());
    disk.stuck(false);
    game.all_told();
    journal.close();
    assert_eq!(game.check(&read(&disk)), game.put.len() as u64, "all that was accepted fits");
}

#[test]
fn of_a_batch_that_does_not_fit_as_much_is_written_as_fits() {
    let disk = Disk::new(1);
    let (journal, _) = start(&disk, QUICK);
    let mut game = Game::new(&journal, "dice");
    disk.stuck(true);
    for session in 1..=60 {
        game.put(SessionId(session), opened(SessionId(session)));
        game.put(SessionId(session), played(0, 1, 100_000));
    }
    disk.leave(4 << 20);
    disk.stuck(false);
    until("in part on the disk", || game.told() > 8);
    until("in trouble", || matches!(journal.room(), Err(NoRoom::Trouble { .. })));
    // A stop that finds no room keeps what fits.
    journal.close();
    let at = game.check(&read(&disk));
    assert!(at >= game.told() && at < game.put.len() as u64, "{at}");
}

#[test]
fn what_the_disk_has_already_is_not_written_again() {
    let disk = Disk::new(1);
    let (mut store, _) = Store::open(Box::new(disk.clone())).unwrap();
    let plays = |digest: u8, version: &str| {
        [Job::Plays { game: "dice".into(), digest: [digest; 32], version: version.to_owned() }]
    };
    let mut writes = |batch: &[Job]| {
        let before = disk.image();
        store.commit(batch).unwrap();
        disk.image() != before
    };
    assert!(writes(&plays(7, "1.2.3")), "nobody has played it before");
    assert!(!writes(&plays(7, "1.2.3")));
    assert!(writes(&plays(7, "1.2.4")));
    assert!(writes(&plays(8, "1.2.4")));
    let [known] = plays(8, "1.2.4");
    let [other] = plays(9, "1.2.4");
    assert!(writes(&[known, other]), "not the whole batch");
    drop(store);
    let (mut store, _) = Store::open(Box::new(disk.clone())).unwrap();
    let before = disk.image();
    store.commit(&plays(9, "1.2.4")).unwrap();
    assert!(disk.image() == before, "it is known after a start");
}

#[test]
fn what_was_to_be_unparked_and_was_not_stays() {
    let disk = Disk::new(1);
    let (journal, _) = start(&disk, JournalOptions { unpark_max: Duration::from_millis(50), ..QUICK });
    let mut game = Game::new(&journal, "dice");
    let session = SessionId(1);
    game.put(session, opened(session));
    game.put(session, model::parked(7));
    game.all_told();
    let end = journal.game("dice", Box::new(|_| {}));
    disk.fail_one_in(1);
    assert!(end.unpark(&[session]).is_err());
    disk.fail_one_in(0);
    game.put(SessionId(2), opened(SessionId(2)));
    game.all_told();
    let stays = journal.status().totals.entries;
    until("unparked", || end.unpark(&[session]).is_ok());
    journal.close();
    assert_eq!((stays, read(&disk).counted), (3, 1));
}

/// Waits for something that other threads do.
fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < Duration::from_secs(15), "still not {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn after_any_power_cut_there_is_a_prefix_with_all_that_was_told() {
    let mut between = 0;
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let disk = Disk::new(seed);
        let (journal, _) = start(&disk, QUICK);
        let mut games = [Game::new(&journal, "dice"), Game::new(&journal, "craps")];
        disk.power_goes_after(20 + dice.below(400));
        let (mut put, mut idle) = (0, 0);
        while disk.has_power() {
            for game in &mut games {
                (0..1 + dice.below(12)).for_each(|_| game.play(&mut dice, 40));
            }
            // The disk is to be hit by many batches, not by one large one.
            while disk.has_power() && journal.status().waiting_bytes > 50_000 {
                std::thread::sleep(Duration::from_micros(50));
            }
            let before = games.iter().map(|game| game.put.len()).sum::<usize>();
            idle = if before == put { idle + 1 } else { 0 };
            put = before;
            if idle > 1000 {
                break; // All sessions have ended.
            }
        }
        journal.close();
        let contents = read(&disk.after_the_cut());
        assert_eq!(contents.flaws, [], "seed {seed}");
        for game in &games {
            let at = game.check(&contents);
            between += u64::from(at > 0 && at < game.put.len() as u64);
            for (id, session) in contents.games.get(&game.name).iter().flat_map(|game| &game.sessions) {
                fold(session).unwrap_or_else(|error| panic!("seed {seed}, session {id}: {error}"));
            }
        }
    }
    assert!(between > 40, "only {between} cuts were in the middle of something");
}

#[test]
fn a_disk_that_fails_now_and_then_loses_nothing() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let disk = Disk::new(seed);
        let (journal, heard) = start(&disk, QUICK);
        let mut game = Game::new(&journal, "dice");
        disk.fail_one_in(40);
        for _ in 0..300 {
            game.play(&mut dice, 4);
            if dice.below(8) == 0 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        disk.fail_one_in(0);
        game.all_told();
        // What is to be forgotten may be on its way still.
        until("well", || journal.room() == Ok(()));
        journal.close();
        assert_eq!(game.check(&read(&disk)), game.put.len() as u64);
        let heard = heard.lock().unwrap();
        let (troubles, recoveries): (Vec<&Told>, Vec<&Told>) =
            heard.iter().partition(|told| matches!(told, Told::Trouble { .. }));
        assert_eq!(troubles.len(), recoveries.len(), "seed {seed}: {heard:?}");
    }
}

#[test]
fn a_full_disk_refuses_new_turns_loses_nothing_and_goes_on_when_there_is_room() {
    let disk = Disk::new(1);
    let (journal, heard) = start(&disk, QUICK);
    let mut game = Game::new(&journal, "dice");
    let mut dice = Dice(1);
    (0..50).for_each(|_| game.play(&mut dice, 4));
    game.all_told();
    disk.fill_up();
    let told = game.told();
    // Until the file has to grow.
    until("in trouble", || {
        (0..50).for_each(|_| game_play(&mut game, &mut dice));
        matches!(journal.room(), Err(NoRoom::Trouble { .. }))
    });
    let refused = journal.room().unwrap_err().to_string();
    assert!(refused.contains("the disk") && refused.contains("make room"), "{refused}");
    assert!(matches!(journal.room_to_close(), Err(NoRoom::Trouble { .. })));
    assert!(game.told() >= told && game.told() < game.put.len() as u64);
    disk.make_room();
    game.all_told();
    assert_eq!(journal.room(), Ok(()));
    assert_eq!(journal.status().waiting_bytes, 0);
    journal.close();
    assert_eq!(game.check(&read(&disk)), game.put.len() as u64);
    let heard = heard.lock().unwrap();
    assert!(matches!(heard[..], [Told::Trouble { .. }, Told::Recovered { .. }]), "{heard:?}");
}

fn game_play(game: &mut Game, dice: &mut Dice) {
    game.play(dice, 1 << 20);
}

#[test]
fn a_slow_disk_refuses_new_turns_before_memory_is_full() {
    let disk = Disk::new(1);
    let (journal, _) = start(&disk, JournalOptions { waiting_bytes_max: 100_000, ..QUICK });
    let mut game = Game::new(&journal, "dice");
    disk.stuck(true);
    let mut n = 0;
    while journal.room().is_ok() {
        game.put(SessionId(1), played(3, 1, 1000));
        n += 1;
        assert!(n < 1000, "{n} entries wait");
    }
    assert!(matches!(journal.room(), Err(NoRoom::Behind { .. })));
    assert!(n > 20, "{n}");
    disk.stuck(false);
    game.all_told();
    until("free", || journal.room().is_ok());
}

#[test]
fn the_configured_limit_refuses_turns_but_lets_sessions_close() {
    let disk = Disk::new(1);
    let (journal, heard) = start(&disk, JournalOptions { max_bytes: 20_000, ..QUICK });
    let mut game = Game::new(&journal, "dice");
    game.put(SessionId(1), opened(SessionId(1)));
    for seq in 1..30 {
        game.put(SessionId(1), played(3, seq, 1000));
    }
    game.all_told();
    until("full", || matches!(journal.room(), Err(NoRoom::Full { max: 20_000, .. })));
    assert_eq!(journal.room_to_close(), Ok(()));
    game.put(SessionId(1), model::ended(vec![]));
    game.all_told();
    until("free", || journal.room().is_ok());
    journal.close();
    assert!(matches!(heard.lock().unwrap()[..], [Told::Full { .. }, Told::Room]));
    assert!(journal.status().totals.entries == 1, "{:?}", journal.status());
}

#[test]
fn a_damaged_entry_is_named_and_the_others_are_read() {
    let disk = Disk::new(1);
    let (journal, _) = start(&disk, QUICK);
    let mut game = Game::new(&journal, "dice");
    for session in 1..4 {
        game.put(SessionId(session), opened(SessionId(session)));
        game.put(SessionId(session), played(0, 1, 8));
        for seq in 2..9 {
            game.put(SessionId(session), played(3, seq, 40 + session as usize));
        }
    }
    game.all_told();
    journal.close();
    let image = disk.image();
    // The payload of the second session's turns has a length of its own.
    let wanted = vec![b'p'; 42];
    let at = (0..image.len() - 42)
        .find(|at| {
            image[*at..].starts_with(&wanted) && image[at + 42] != b'p' && (*at == 0 || image[at - 1] != b'p')
        })
        .expect("a payload");
    disk.damage(|image| image[at + 20] ^= 1);
    let contents = read(&disk);
    let [flaw] = &contents.flaws[..] else { panic!("{:?}", contents.flaws) };
    let Place::Entry { game: name, session: SessionId(2), .. } = &flaw.place else { panic!("{flaw}") };
    assert_eq!(name, "dice");
    assert!(flaw.to_string().contains("game dice, session 2, entry"), "{flaw}");
    let sessions = &contents.games["dice"].sessions;
    assert_eq!(fold(&sessions[&SessionId(2)]), Err(FoldError::Unreadable { count: 1 }));
    for healthy in [1, 3] {
        assert_eq!(fold(&sessions[&SessionId(healthy)]).unwrap().last_seq, 8);
    }
}

#[test]
fn a_request_that_opened_a_session_is_found_again_with_its_answer() {
    let disk = Disk::new(1);
    let (journal, _) = start(&disk, QUICK);
    let mut game = Game::new(&journal, "dice");
    let record = |client| OpenRecord {
        plugin: "dice".into(),
        client,
        client_seq: 2,
        body: 3,
        reveal_public: true,
        done: None,
    };
    journal.opening(SessionId(1), record(11));
    game.put(SessionId(1), opened(SessionId(1)));
    journal.opening(SessionId(2), record(22));
    journal.opening(SessionId(3), record(33));
    journal.not_opened(SessionId(3));
    game.put(SessionId(1), played(0, 1, 8));
    game.all_told();
    journal.close();
    let opens = read(&disk).opens;
    assert_eq!(opens.keys().map(|session| session.0).collect::<Vec<_>>(), [1, 2]);
    let done = opens[&SessionId(1)].done.clone().expect("the open turn's outcome");
    assert_eq!((done.seq, done.now_ns, done.reply), (1, 11, b"rrrr".to_vec()));
    assert_eq!(opens[&SessionId(2)], record(22));
}

#[test]
fn a_fold_finds_what_is_missing() {
    let session = |changes: &[(u64, Change)]| super::SessionOnDisk {
        changes: changes.to_vec(),
        ..super::SessionOnDisk::default()
    };
    let open = || (1, opened(SessionId(1)));
    let turn = |at, seq| (at, played(3, seq, 1));
    let folded = |changes: &[(u64, Change)]| fold(&session(changes));
    assert_eq!(folded(&[]), Err(FoldError::Nothing));
    assert_eq!(folded(&[open()]).unwrap().state, State::Opening);
    assert_eq!(folded(&[open(), turn(2, 1), turn(5, 2)]).unwrap().last_seq, 2);
    assert_eq!(folded(&[open(), turn(2, 1), turn(5, 3)]), Err(FoldError::Gap { at: 5, wanted: 2, found: 3 }));
    assert_eq!(folded(&[open(), turn(2, 2)]), Err(FoldError::Gap { at: 2, wanted: 1, found: 2 }));
    assert_eq!(folded(&[turn(2, 1)]), Err(FoldError::NoOpening { at: 2 }));
    assert_eq!(folded(&[open(), open()]), Err(FoldError::OpenedTwice { at: 1 }));
    let pruned = [open(), (7, snapshot(4, 1)), turn(8, 5)];
    let Ok(found) = folded(&pruned) else { panic!("{:?}", folded(&pruned)) };
    assert_eq!((found.state, found.last_seq, found.snapshots), (State::Live, 5, 1));
    assert_eq!(
        folded(&[open(), (7, snapshot(4, 1)), turn(8, 6)]),
        Err(FoldError::Gap { at: 8, wanted: 5, found: 6 })
    );
    assert!(matches!(folded(&[open(), turn(2, 1), (3, snapshot(4, 1))]), Err(FoldError::Snapshot { .. })));
    let held = [open(), turn(2, 1), (3, Change::Held { reason: "why".into() })];
    assert_eq!(folded(&held).unwrap().state, State::Held("why".into()));
    let ended = (4, model::ended(vec![]));
    assert_eq!(folded(std::slice::from_ref(&ended)).unwrap().state, State::Ended);
    assert_eq!(folded(&[open(), ended, turn(5, 1)]), Err(FoldError::BehindEnd { at: 5 }));
}
