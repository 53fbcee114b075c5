//! What must hold of a made-up world at any time, and at its end.

use std::collections::BTreeSet;

use croupier_core::action::{Done, Notice};
use croupier_core::ids::{SessionId, kind};
use croupier_fair::entry::{Entry, Verdict};

use crate::fake::{Given, State, after};
use crate::world::World;

/// Whether the plugin played this turn and its state is changed by it.
fn is_played(entry: &Entry) -> bool {
    matches!(entry.verdict, Verdict::Done { .. } | Verdict::Failed { .. })
}

fn given(entry: &Entry) -> Given<'_> {
    Given {
        seq: entry.seq,
        now_ns: entry.now_ns,
        kind: entry.kind,
        player: entry.player,
        payload: &entry.payload,
        calls: entry.calls.clone(),
    }
}

impl World {
    /// A session's state after turn `seq`, folded from its records.
    fn state_after(&self, session: SessionId, seq: u64) -> State {
        let records = self.records.get(&session).into_iter().flatten();
        records
            .filter(|entry| is_played(entry) && entry.seq <= seq)
            .fold(0, |state, entry| after(state, &given(entry)))
    }

    /// What each session's state must be, folded from its records; compared with what workers hold.
    pub(crate) fn check_states(&self) {
        for (id, (seq, state)) in &self.seen {
            let recorded = self.records.get(id).and_then(|records| records.last()).map_or(0, |last| last.seq);
            // An answer that was heard behind what ended its worker is none: nobody took it.
            if self.at_once > 1 && *seq > recorded {
                continue;
            }
            assert_eq!(*state, self.state_after(*id, *seq), "session {id} is not what its records say");
        }
        self.check_records();
        self.check_outputs();
    }

    /// An answer is what the records say.
    pub(crate) fn check_done(&self, session: SessionId, done: &Done) {
        let entry = self.records.get(&session).into_iter().flatten().find(|entry| entry.seq == done.seq);
        if entry.is_none() && self.cut_short.contains(&session) {
            return;
        }
        let entry = entry.expect("is on record");
        let Verdict::Done { reply, .. } = &entry.verdict else { panic!("{entry:?} is no success") };
        assert_eq!((&done.reply, done.now_ns), (reply, entry.now_ns));
        assert_eq!(**reply, self.state_after(session, done.seq).to_le_bytes(), "a reply from another world");
    }

    /// Time runs forward, ticks keep theirs, and nothing is played twice.
    fn check_records(&self) {
        for (session, records) in &self.records {
            let opened = &self.opened[session];
            assert!(records.is_sorted_by_key(|entry| entry.now_ns), "time runs backwards in {session}");
            let is_tick = |entry: &&Entry| {
                entry.kind == kind::TICK && !matches!(entry.verdict, Verdict::Skipped { .. })
            };
            let mut last_ns = opened.opened_ns;
            for tick in records.iter().filter(is_tick) {
                assert!(tick.now_ns > last_ns, "two ticks at one time");
                assert_eq!((tick.now_ns - opened.opened_ns) % opened.tick_ns, 0, "a tick off its time");
                last_ns = tick.now_ns;
            }
            // Payloads with a mark are each sent for one key only.
            let mut marked = BTreeSet::new();
            for entry in records.iter().filter(|entry| entry.payload.contains(&b'#')) {
                assert!(marked.insert(&entry.payload), "{entry:?} was played twice");
            }
        }
    }

    fn check_outputs(&self) {
        for (session, records) in &self.records {
            let recorded = records.iter().filter_map(|entry| match &entry.verdict {
                Verdict::Done { effects, .. } => {
                    Some(effects.iter().map(|effect| (entry.seq, effect.clone())))
                }
                _ => None,
            });
            let outputs = self.outputs.get(session).into_iter().flatten();
            let given_out: Vec<_> = outputs.map(|output| (output.seq, output.effect.clone())).collect();
            assert_eq!(recorded.flatten().collect::<Vec<_>>(), given_out, "outputs of session {session}");
        }
    }

    pub(crate) fn count(&self, which: impl Fn(&Notice) -> bool) -> usize {
        self.notices.iter().filter(|notice| which(notice)).count()
    }
}
