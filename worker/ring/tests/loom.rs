//! Every order in which both sides of the ring can take their steps, within the memory model and a bound on preemptions: nobody sleeps for ever, and bytes come as they went.
//!
//! ```text
//!  RUSTFLAGS="--cfg loom" cargo test -p croupier-ring --test loom --release --target-dir target/loom
//! ```
//! `LOOM_MAX_PREEMPTIONS` sets another bound than [`PREEMPTIONS`].
//!
//! Nothing times out here, so a wake-up that is lost is a deadlock, which loom reports. The bell is a counter with a condition variable; the kernel's side of futex(2) is in
//! `src/futex.rs`. Each full fence is left out once (`src/planted.rs`), and must be missed.
#![cfg(loom)]
#![allow(clippy::print_stdout, reason = "how far the model went")]

use std::process::Command;
use std::time::Instant;

use croupier_ring::model::{Modelled, direction};
use croupier_ring::planted::{MISSING, Missing, plant};
use croupier_ring::{Receiver, Sender, Sleep, Waited, Wake};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// The link's socket, as far as the ring knows of it.
#[derive(Default)]
struct Bell {
    rung: Mutex<u32>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self, wake: Wake) {
        if wake == Wake::Bell {
            *self.rung.lock().unwrap() += 1;
            self.heard.notify_all();
        }
    }

    /// Until it was rung since the last time.
    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while *rung == 0 {
            rung = self.heard.wait(rung).unwrap();
        }
        *rung = 0;
    }
}

/// How a side waits.
#[derive(Clone, Copy)]
enum By {
    Kernel,
    Bell,
}

/// Sends 1, 2, … one byte at a time.
fn send_all(mut sender: Sender<Modelled>, count: u8, by: By, room: &Bell, come: &Bell) -> Sender<Modelled> {
    for byte in 1..=count {
        loop {
            let (sent, wake) = sender.send(&[byte]).expect("sense");
            come.ring(wake);
            if sent == 1 {
                break;
            }
            match by {
                By::Kernel => sender.wait().expect("sense"),
                By::Bell => {
                    if sender.arm(Sleep::ForBell).expect("sense") {
                        room.wait();
                    }
                }
            }
        }
    }
    sender
}

/// Takes 1, 2, … as they come.
fn receive_all(receiver: &mut Receiver<Modelled>, count: u8, by: By, room: &Bell, come: &Bell) {
    let mut last = 0;
    while last < count {
        let mut bytes = [0; 4];
        let (n, wake) = receiver.recv(&mut bytes).expect("sense");
        room.ring(wake);
        for byte in &bytes[..n] {
            assert_eq!(*byte, last + 1, "bytes come as they went");
            last += 1;
        }
        if n > 0 {
            continue;
        }
        match by {
            By::Kernel => {
                let (_, wake) = receiver.wait().expect("sense");
                room.ring(wake);
            }
            By::Bell => {
                let (nothing, wake) = receiver.arm(Sleep::ForBell).expect("sense");
                room.ring(wake);
                if nothing {
                    come.wait();
                }
            }
        }
    }
    // Nothing is held back from a writer that still waits.
    room.ring(receiver.release());
}

/// `count` bytes through a ring of `bytes`.
fn through(bytes: u32, count: u8, writer: By, reader: By) {
    let (sender, mut receiver) = direction(bytes);
    let (room, come) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    let (their_room, their_come) = (room.clone(), come.clone());
    let sends = thread::spawn(move || send_all(sender, count, writer, &their_room, &their_come));
    receive_all(&mut receiver, count, reader, &room, &come);
    sends.join().unwrap();
}

/// The ring is longer than what goes through it: only the reader waits.
fn reader_in_kernel() {
    through(2, 2, By::Kernel, By::Kernel);
}

fn reader_for_bell() {
    through(2, 2, By::Kernel, By::Bell);
}

/// One byte has room at a time: both wait.
fn both_in_kernel() {
    through(1, 2, By::Kernel, By::Kernel);
}

/// As a worker that sends: the supervisor waits for the bell, the worker in the kernel.
fn worker_to_supervisor() {
    through(1, 2, By::Kernel, By::Bell);
}

/// As a supervisor that sends.
fn supervisor_to_worker() {
    through(1, 2, By::Bell, By::Kernel);
}

/// The supervisor's side as `Port` has it: a receiver under a lock, and whether a thread looks itself.
struct Port {
    input: Mutex<Input>,
    bell: Bell,
}

struct Input {
    receiver: Receiver<Modelled>,
    looking: bool,
    taken: u8,
}

/// What the worker sends here.
const ALL: u8 = 2;

impl Input {
    fn pump(&mut self) -> bool {
        let mut bytes = [0; 4];
        let (n, _) = self.receiver.recv(&mut bytes).expect("sense");
        for byte in &bytes[..n] {
            assert_eq!(*byte, self.taken + 1, "bytes come as they went");
            self.taken += 1;
        }
        n > 0
    }

    /// Whether one may wait for the bell.
    fn arm(&mut self) -> bool {
        self.looking || self.receiver.arm(Sleep::ForBell).expect("sense").0
    }
}

impl Port {
    /// The task that attends to the worker: takes what is there, arms, sleeps.
    fn attend(&self) {
        loop {
            if self.input.lock().unwrap().taken == ALL {
                return;
            }
            let sleeps = {
                let taken = self.input.lock().unwrap().pump();
                !taken && self.input.lock().unwrap().arm()
            };
            if sleeps {
                self.bell.wait();
            }
        }
    }

    /// A caller that looks itself, twice, and gives the link back.
    fn help(&self) {
        {
            let mut input = self.input.lock().unwrap();
            input.looking = true;
            input.receiver.disarm();
        }
        for _ in 0..2 {
            self.input.lock().unwrap().pump();
        }
        let there = {
            let mut input = self.input.lock().unwrap();
            input.looking = false;
            !input.receiver.arm(Sleep::ForBell).expect("sense").0
        };
        let mut look = false;
        if there {
            self.input.lock().unwrap().pump();
            look = !self.input.lock().unwrap().arm();
        }
        // The task is told of what is left; that all is done is for the test alone.
        if look || self.input.lock().unwrap().taken == ALL {
            self.bell.ring(Wake::Bell);
        }
    }
}

/// One thread looks itself and gives back while another arms and sleeps, and the worker sends.
fn two_on_one_side() {
    let (sender, mut receiver) = direction(ALL.into());
    let (nothing, _) = receiver.arm(Sleep::ForBell).expect("sense");
    assert!(nothing);
    let input = Mutex::new(Input { receiver, looking: false, taken: 0 });
    let port = Arc::new(Port { input, bell: Bell::default() });
    let (helps, worker) = (port.clone(), port.clone());
    let helper = thread::spawn(move || helps.help());
    let sends = thread::spawn(move || {
        send_all(sender, ALL, By::Kernel, &Bell::default(), &worker.bell);
    });
    port.attend();
    helper.join().unwrap();
    sends.join().unwrap();
    assert_eq!(port.input.lock().unwrap().taken, ALL);
}

/// Who has gone is noticed by a reader that sleeps, after all that was sent.
fn gone() {
    let (sender, mut receiver) = direction(2);
    let sends = thread::spawn(move || {
        let none = Bell::default();
        send_all(sender, 1, By::Kernel, &none, &none).go();
    });
    let mut taken = 0;
    loop {
        let over = receiver.is_over();
        let (n, _) = receiver.recv(&mut [0; 4]).expect("sense");
        taken += n;
        if n == 0 && over {
            break;
        }
        if n == 0 {
            let (_, _): (Waited, Wake) = receiver.wait().expect("sense");
        }
    }
    assert_eq!(taken, 1, "what was sent before the end is not lost");
    sends.join().unwrap();
}

/// Most times that a thread is interrupted where it need not be, in one order. Each one more takes some ten times as long; what was planted is found with 2.
const PREEMPTIONS: usize = 3;

fn check(model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.check(model);
}

/// Everything that is modelled, the longest last.
const MODELS: [(&str, fn()); 7] = [
    ("a reader that sleeps in the kernel", reader_in_kernel),
    ("a reader that waits for the bell", reader_for_bell),
    ("both wait in the kernel", both_in_kernel),
    ("a worker that sends", worker_to_supervisor),
    ("a supervisor that sends", supervisor_to_worker),
    ("the end", gone),
    ("two threads on the supervisor's side", two_on_one_side),
];

/// Names what is left out, for this program when it starts itself: after loom has found something a process is of no further use.
const MISSING_IS: &str = "CROUPIER_RING_MISSING";
/// The test's own name.
const THIS: &str = "nobody_sleeps_for_ever_and_each_fence_is_needed";

/// What loom says of a program without this fence. None when it finds nothing.
fn found_without(missing: Missing) -> Option<String> {
    let output = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", THIS, "--nocapture"])
        .env(MISSING_IS, format!("{missing:?}"))
        .output()
        .expect("this program starts");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return None;
    }
    let is_news = |line: &&str| line.contains("deadlock") || line.contains("bytes come as they went");
    Some(text.lines().find(is_news).unwrap_or_else(|| panic!("not what was planted: {text}")).to_owned())
}

#[test]
fn nobody_sleeps_for_ever_and_each_fence_is_needed() {
    let planted = std::env::var(MISSING_IS).ok();
    plant(MISSING.into_iter().find(|missing| planted == Some(format!("{missing:?}"))));
    for (name, model) in MODELS {
        let since = Instant::now();
        check(model);
        println!("loom: {name}: nothing in any order ({} ms)", since.elapsed().as_millis());
    }
    if planted.is_some() {
        return;
    }
    for missing in MISSING {
        let found = found_without(missing);
        println!("loom: without {missing:?}: {}", found.as_deref().unwrap_or("nothing"));
        assert!(found.is_some(), "without {missing:?} nothing is found");
    }
}
