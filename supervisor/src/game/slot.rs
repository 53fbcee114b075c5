//! One worker as the driver sees it: from the moment it is asked for until its death is reported.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, Weak};
use std::time::Instant;

use croupier_client::{Help, Wait};
use croupier_core::action::{KillReason, ToWorker};
use croupier_core::ids::WorkerId;
use croupier_wire::frame::HEADER_BYTES;
use tokio::sync::watch;

use super::budget::Work;
use super::driver::GameDriver;
use crate::crash::writer::Sample;
use crate::jail::{Isolation, Warden};
use crate::worker::cause::LastWords;
use crate::worker::lending::Lent;
use crate::worker::link::Looked;
use crate::worker::logs::PluginLog;
use crate::worker::port::{Port, Ready, Received};
use crate::worker::rate::{BURST_S, Rate, Spent};

/// Receives of one thread that looks itself, at the most: it comes back to its own deadline, however much the worker says.
const PUMPS_MAX: u32 = 64;

/// Looks at the ring between two looks at what is waited for.
const LOOKS_PER_ASK: u32 = 16;

/// Kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Turn,
    Other,
}

#[derive(Debug, Default)]
struct Tally {
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Tally {
    fn open(&self) -> bool {
        self.sent.load(Ordering::Relaxed) > self.answered.load(Ordering::Relaxed)
    }
}

/// Shared by the driver, the worker's task and whoever pumps.
#[derive(Debug)]
pub(super) struct Slot {
    game: Weak<GameDriver>,
    pub(super) id: WorkerId,
    /// Its frames; not there before the process is.
    pub(super) port: OnceLock<Port>,
    pub(super) log: PluginLog,
    /// What confines it; not there before it was looked at.
    pub(super) isolation: OnceLock<Isolation>,
    /// Decides on its system calls; none with isolation off.
    pub(super) warden: OnceLock<Warden>,
    /// Turns and other calls, sent and answered.
    turns: Tally,
    others: Tally,
    pid: AtomicU32,
    welcomed: AtomicBool,
    /// The first reason to kill it; later ones do not count.
    kill: watch::Sender<Option<KillReason>>,
    leaving: watch::Sender<bool>,
    words: Mutex<Option<LastWords>>,
    /// What was seen of it after it had loaded its plugin.
    sample: OnceLock<Sample>,
    /// Bytes of log lines since it last answered something.
    chatter: AtomicU64,
    /// What it has given out.
    effects: Mutex<Rate>,
    since: Instant,
}

impl Slot {
    pub(super) fn new(game: Weak<GameDriver>, id: WorkerId, log: PluginLog, effects: Rate) -> Slot {
        Slot {
            game,
            id,
            port: OnceLock::new(),
            log,
            isolation: OnceLock::new(),
            warden: OnceLock::new(),
            turns: Tally::default(),
            others: Tally::default(),
            pid: AtomicU32::new(0),
            welcomed: AtomicBool::new(false),
            kill: watch::Sender::new(None),
            leaving: watch::Sender::new(false),
            words: Mutex::new(None),
            sample: OnceLock::new(),
            chatter: AtomicU64::new(0),
            effects: Mutex::new(effects),
            since: Instant::now(),
        }
    }

    /// Asks its task to end it.
    pub(super) fn kill(&self, why: KillReason) {
        self.kill.send_if_modified(|reason| {
            let first = reason.is_none();
            if first {
                *reason = Some(why);
            }
            first
        });
    }

    /// Completes with the reason when it is to be ended.
    pub(super) async fn killed(&self) -> KillReason {
        let mut reason = self.kill.subscribe();
        // The sender lives in `self`.
        let reason = reason.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or(KillReason::Retired)
    }

    /// It was told to shut down.
    pub(super) fn leave(&self) {
        self.leaving.send_replace(true);
    }

    /// Whether it was told to shut down.
    pub(super) fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    /// Completes when it was told to shut down.
    pub(super) async fn left(&self) {
        let _ = self.leaving.subscribe().wait_for(|leaving| *leaving).await;
    }

    /// Its process id; 0 before there is a process.
    pub(super) fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    pub(super) fn set_pid(&self, pid: u32) {
        self.pid.store(pid, Ordering::Relaxed);
    }

    /// Whether it has loaded its plugin.
    pub(super) fn is_welcomed(&self) -> bool {
        self.welcomed.load(Ordering::Acquire)
    }

    pub(super) fn set_welcomed(&self) {
        // Before anything else is asked of the plugin.
        if let Some(warden) = self.warden.get() {
            warden.run();
        }
        self.welcomed.store(true, Ordering::Release);
    }

    /// A message goes out to it.
    pub(super) fn sent(&self, message: &ToWorker) {
        let call = match message {
            ToWorker::Turn(_) => Call::Turn,
            // Part of the turn that asked; what is never answered must not count as open.
            ToWorker::CallAnswer(_) => return,
            _ => Call::Other,
        };
        self.tally(call).sent.fetch_add(1, Ordering::Relaxed);
    }

    /// A call was answered.
    pub(super) fn answered(&self, call: Call) {
        self.chatter.store(0, Ordering::Relaxed);
        self.tally(call).answered.fetch_add(1, Ordering::Relaxed);
    }

    fn tally(&self, call: Call) -> &Tally {
        match call {
            Call::Turn => &self.turns,
            Call::Other => &self.others,
        }
    }

    /// What it has to do, for its CPU budget: restores and snapshots have the wall deadline alone.
    pub(super) fn work(&self) -> Work {
        Work {
            answered: self.turns.answered.load(Ordering::Relaxed),
            plays: self.turns.open() && !self.others.open(),
            idle: !self.turns.open() && !self.others.open(),
        }
    }

    /// It said a log line of so many bytes. Says how many bytes it has logged since its last answer, a header for each line included.
    pub(super) fn chatted(&self, bytes: usize) -> u64 {
        let bytes = (bytes + HEADER_BYTES) as u64;
        self.chatter.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// It gave out effects, or asked for a host call. The error is that it does so too fast.
    pub(super) fn gave_out(&self, effects: usize) -> Result<(), String> {
        if effects == 0 {
            return Ok(());
        }
        // Effects are part of a turn's outcome, so that none can be dropped as log lines are. Those of replays do not come here; nobody is given them.
        let mut rate = crate::lock(&self.effects);
        match rate.spend(effects as u64, || self.since.elapsed()) {
            Spent::Within => Ok(()),
            Spent::Over => Err(format!(
                "it gave out more than its {} sends, emits and host calls a second (effects_per_s), for {BURST_S} s or all at once",
                rate.per_s()
            )),
        }
    }

    /// It gave up by itself, saying this.
    pub(super) fn set_words(&self, text: String) {
        let words =
            if self.is_welcomed() { LastWords::AfterWelcome(text) } else { LastWords::BeforeWelcome(text) };
        crate::lock(&self.words).get_or_insert(words);
    }

    /// Looks at it from outside, once, for the report of its death.
    pub(super) fn look(&self) {
        // Nothing to look at, as in tests without a process.
        if self.pid() == 0 {
            return;
        }
        let isolation = self.isolation.get().map(ToString::to_string).unwrap_or_default();
        self.sample.get_or_init(|| Sample::of(self.pid(), isolation));
    }

    pub(super) fn sample(&self) -> Option<Sample> {
        self.sample.get().cloned()
    }

    pub(super) fn words(&self) -> Option<LastWords> {
        crate::lock(&self.words).clone()
    }
}

impl Slot {
    /// Lends its link to a thread that looks itself; see [`Port::lend`].
    pub(super) fn lend(&self) -> Option<Lent<'_>> {
        self.port.get()?.lend()
    }

    /// Looks itself for a while, and gives the link back.
    pub(super) fn help_with(&self, game: &GameDriver, lent: Lent<'_>, on: &dyn Wait) {
        let Some(port) = self.port.get() else { return };
        look_itself(&lent, on, || {
            let received = game.pump(self);
            let goes_on = matches!(received, Received::Drained | Received::More);
            if !goes_on {
                // What is to become of it is for its task to say.
                port.look();
            }
            goes_on
        });
        if on.ready() && self.work().idle {
            lent.rest();
            if !self.work().idle && port.rouse() {
                port.look();
            }
            return;
        }
        // Something came for others: take it, and see that somebody is told of what comes next.
        if lent.give_back() {
            game.pump(self);
            if game.arm(self, port) != Ready::Sleep {
                port.look();
            }
        }
    }
}

impl Help for Slot {
    /// Looks itself at the worker's ring for a while: waking another thread, to have this one woken, would take far longer than an answer does.
    fn help(&self, on: &dyn Wait) {
        if let Some(game) = self.game.upgrade()
            && let Some(lent) = self.lend()
        {
            self.help_with(&game, lent, on);
        }
    }
}

/// Looks, and takes what comes, until there is nothing to wait for any more, or it is in vain.
fn look_itself(lent: &Lent<'_>, on: &dyn Wait, mut pump: impl FnMut() -> bool) {
    // A worker that shares the processor with us often runs as soon as it is woken: then the answer is there, though it makes no sense to look for it.
    let looks = lent.looks().max(1);
    let mut pumps = 0;
    let mut look = 0;
    while look < looks && pumps < PUMPS_MAX {
        if lent.has_bytes() {
            pumps += 1;
            lent.learn(Looked::Came);
            // Of one that is heard no more there may be bytes for ever, and the answer comes from elsewhere.
            if !pump() || on.ready() {
                return;
            }
        } else {
            // What it waits for hardly ever comes from another thread while this one takes all that the worker says.
            if look % LOOKS_PER_ASK == 0 && on.ready() {
                return;
            }
            look += 1;
            std::hint::spin_loop();
        }
    }
    if look == looks {
        lent.learn(Looked::InVain);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;
    use std::os::unix::net::UnixStream;

    use croupier_ring::{RING_BYTES_MIN, Sender, Shared, Wake, adopt, create};
    use croupier_wire::link::{FromWorker, Limits};
    use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

    use super::*;
    use crate::worker::link::SocketLink;
    use crate::worker::ring::ways;

    const LIMITS: Limits = Limits {
        frame_bytes: 1 << 20,
        reply_bytes: 1 << 10,
        snapshot_bytes: 1 << 10,
        effects_per_turn: 4,
        effect_bytes: 1 << 10,
    };
    /// Where a worker says on which processor it runs, and how much it has written: bytes.
    const CPU_AT: u64 = 4 * 128;
    const HEAD_AT: u64 = 6 * 128;

    struct Never;

    impl Wait for Never {
        fn ready(&self) -> bool {
            false
        }

        fn park(&self, _: Option<Instant>) {}

        fn poke(&self) {}
    }

    /// The supervisor's end, and a worker's that runs on a processor which does not exist, so that looking makes sense.
    fn port() -> (Port, Sender<Shared>, File, UnixStream) {
        let (fd, ring) = create(RING_BYTES_MIN).expect("memory");
        let theirs = adopt(&fd, RING_BYTES_MIN).expect("our own");
        let memory = File::from(fd);
        memory.write_all_at(&4095_u32.to_le_bytes(), CPU_AT).expect("writable");
        let (bell, far) = UnixStream::pair().expect("a socket pair");
        let port = Port::new(ways(ring, SocketLink::new(bell).expect("ours")), LIMITS, 1 << 40);
        (port, theirs.sender, memory, far)
    }

    fn pump(port: &Port) -> Received {
        port.receive((), |(), _, _| Ok(()), |()| ())
    }

    #[test]
    fn who_looks_itself_comes_back_when_the_worker_is_heard_no_more() {
        let (port, _sender, memory, _far) = port();
        memory.write_all_at(&u32::MAX.to_le_bytes(), HEAD_AT).expect("writable");
        let lent = port.lend().expect("nobody else does");
        let mut pumps = 0;
        look_itself(&lent, &Never, || {
            pumps += 1;
            matches!(pump(&port), Received::Drained | Received::More)
        });
        // On one processor nobody looks.
        assert!(pumps <= 1);
        assert!(lent.give_back(), "somebody has to hear of it");
        assert!(matches!(port.arm(), Ready::Receive(Received::Broken(_) | Received::Ended)));
        assert_eq!(port.arm(), Ready::Receive(Received::Ended), "it is said once");
    }

    #[test]
    fn an_answer_of_a_worker_that_shares_the_processor_is_taken_if_it_is_there() {
        let (port, mut sender, memory, _far) = port();
        let before = sched_getaffinity(None).expect("of this thread");
        let mut mine = CpuSet::new();
        mine.set(sched_getcpu());
        sched_setaffinity(None, &mine).expect("it runs there already");
        let cpu = sched_getcpu() as u32;
        memory.write_all_at(&cpu.to_le_bytes(), CPU_AT).expect("writable");
        let mut frame = Vec::new();
        FromWorker::Ok.put(&mut frame, 7, LIMITS.frame_bytes).expect("fits");
        let _ = sender.send(&frame).expect("sense");
        let lent = port.lend().expect("nobody else does");
        assert_eq!(lent.looks(), 0, "nobody looks for what cannot run");
        let mut pumps = 0;
        look_itself(&lent, &Never, || {
            pumps += 1;
            matches!(pump(&port), Received::Drained | Received::More)
        });
        assert_eq!(pumps, 1);
        assert!(!lent.give_back(), "all is taken");
        sched_setaffinity(None, &before).expect("it ran there before");
    }

    #[test]
    fn who_looks_itself_comes_back_from_a_worker_that_never_stops_talking() {
        let (port, mut sender, _memory, _far) = port();
        let mut frame = Vec::new();
        FromWorker::Ok.put(&mut frame, 7, LIMITS.frame_bytes).expect("fits");
        let _ = sender.send(&frame).expect("sense");
        let lent = port.lend().expect("nobody else does");
        let mut pumps = 0;
        look_itself(&lent, &Never, || {
            pumps += 1;
            let received = pump(&port);
            let _ = sender.send(&frame).expect("sense");
            matches!(received, Received::Drained | Received::More)
        });
        assert!(pumps <= PUMPS_MAX);
        assert!(lent.give_back(), "there is more");
    }

    #[test]
    fn a_link_that_rests_is_not_rung_for_until_it_is_roused() {
        let (port, mut sender, _memory, _far) = port();
        let mut frame = Vec::new();
        FromWorker::Ok.put(&mut frame, 7, LIMITS.frame_bytes).expect("fits");
        assert!(!port.rouse(), "it does not rest");
        port.lend().expect("nobody else does").rest();
        assert_eq!(sender.send(&frame).expect("sense"), (frame.len(), Wake::Done));
        assert!(port.rouse(), "something has come, and nobody was told");
        assert!(!port.rouse(), "it does not rest any more");
        assert_eq!(pump(&port), Received::Drained);
        port.lend().expect("nobody else does").rest();
        port.lend().expect("it rests, so nobody does").rest();
        assert!(!port.rouse(), "nothing has come");
        assert_eq!(sender.send(&frame).expect("sense").1, Wake::Bell);
    }

    /// What was received made the same thread send, while another one had let the link rest.
    #[test]
    fn a_link_is_roused_by_whoever_receives_from_it() {
        let (port, mut sender, _memory, _far) = port();
        let mut frame = Vec::new();
        FromWorker::Ok.put(&mut frame, 7, LIMITS.frame_bytes).expect("fits");
        port.lend().expect("nobody else does").rest();
        let _ = sender.send(&frame).expect("sense");
        let mut roused = false;
        let received = port.receive((), |(), _, _| Ok(()), |()| roused = port.rouse());
        assert!(roused, "somebody has to look");
        assert_eq!((received, pump(&port)), (Received::Drained, Received::Drained));
        assert_eq!(port.arm(), Ready::Sleep);
        assert_eq!(sender.send(&frame).expect("sense").1, Wake::Bell, "it is rung for again");
    }
}
