//! Sessions that come back from the disk, before the game starts.

use croupier_fair::seed::ServerSeed;

use super::timers::Alarm;
use super::{Cx, Game};
use crate::action::{Action, EndReason, Notice};
use crate::durable::Change;
use crate::ids::SessionId;
use crate::session::Phase;
use crate::session::adopt::{Adopted, Bounds, adopt};

impl Game {
    pub(super) fn adopt(&mut self, cx: &mut Cx<'_>, id: SessionId, changes: Vec<(u64, Change)>) {
        self.gate.go_on_after(changes.iter().map(|(at, _)| *at).max().unwrap_or(0));
        let bounds = Bounds { now: cx.now, outputs_kept: self.spec.outputs_kept };
        match adopt(id, changes, bounds) {
            Ok(Adopted::Session(session)) => {
                let seq = session.recorded.last_seq;
                if session.idle_ns > 0 && session.phase == Phase::Live {
                    self.timers.set(cx.now.mono_ns.saturating_add(session.idle_ns), Alarm::Idle(id));
                }
                let held = match &session.phase {
                    Phase::Held(reason) => Some(reason.clone()),
                    _ => None,
                };
                let poisoned = session.poison;
                self.sessions.insert(id, *session);
                self.make_ready(id);
                cx.notice(Notice::SessionAdopted { session: id, seq });
                if let Some(reason) = held {
                    cx.notice(Notice::SessionHeld { session: id, reason });
                } else if poisoned > self.spec.poison_max {
                    self.hold(cx, id, format!("{poisoned} of its turns were poison"));
                }
            }
            Ok(Adopted::Over(session)) => {
                let reason = EndReason::Closed;
                self.write_ended(cx, &session, reason);
                cx.act(Action::TranscriptClose { session: id, seed: session.seed, reason });
                self.ended.remember(id, session.keys, cx.now.mono_ns);
            }
            Ok(Adopted::Ended(ended, keys)) => {
                let seed = ServerSeed::from_bytes(ended.seed);
                cx.act(Action::TranscriptClose { session: id, seed, reason: ended.reason });
                self.ended.remember(id, *keys, cx.now.mono_ns);
            }
            Ok(Adopted::NeverOpen(session)) => self.write_ended(cx, &session, EndReason::OpenRefused),
            Err(reason) => cx.notice(Notice::SessionUnreadable { session: id, reason: reason.to_owned() }),
        }
    }
}
