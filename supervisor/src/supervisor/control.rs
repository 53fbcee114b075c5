//! Operators' verbs.

use croupier_core::Refusal as CoreRefusal;
use croupier_core::action::Answered;
use croupier_core::event::LiveSessions as CoreLiveSessions;
use croupier_core::game::REPLICAS_MAX;
use croupier_core::ids::SessionId;
use croupier_wire::door::{AuditHead, Code, ControlReply, LiveSessions, Refusal, Reply, Verb};

use super::backend::Replier;
use super::{Phase, Shared};
use crate::audit::record::text;
use crate::audit::{Happened, Head};
use crate::game::driver::Answerer;
use crate::refusals::{code_word, from_core, refusal, shutting_down};

impl Shared {
    pub(super) fn control(&self, uid: Option<u32>, verb: Verb, to: Replier) {
        let to = self.audited(uid, &verb, to);
        let result = match verb {
            Verb::AuditHead => Ok(ControlReply::AuditHead(self.audit_head())),
            Verb::Grants { plugin } => self.grants(&plugin).map(ControlReply::Grants),
            Verb::Revoke { plugin, permission } => return self.revoke(uid, &plugin, &permission, to),
            Verb::Grant { plugin, permission } => return self.give_back(uid, &plugin, &permission, to),
            Verb::Load { path } => return self.load_for(path, to),
            Verb::Unload { plugin, sessions } => return self.unload_for(plugin, sessions, to),
            Verb::Suspend { plugin } => return self.ask_game(&plugin, to, |game, done| game.suspend(done)),
            Verb::Resume { plugin } => return self.ask_game(&plugin, to, |game, done| game.resume(done)),
            Verb::Restart { plugin } => return self.ask_game(&plugin, to, |game, done| game.restart(done)),
            Verb::Scale { plugin, replicas } if !(1..=REPLICAS_MAX).contains(&replicas) => {
                Err(replicas_refused(&plugin, replicas))
            }
            Verb::Scale { plugin, replicas } => {
                return self.ask_game(&plugin, to, |game, done| game.scale(replicas, done));
            }
            Verb::Release { plugin } => return self.ask_game(&plugin, to, |game, done| game.release(done)),
            Verb::DropHeld { session } => return self.drop_held(session, to),
            Verb::Plugins { plugin } => self.plugin_infos(plugin.as_deref()).map(ControlReply::Plugins),
            Verb::Sessions { plugin, limit } => {
                self.session_infos(plugin.as_deref(), limit as usize).map(ControlReply::Sessions)
            }
            Verb::Session { session } => {
                self.session_detail(session).map(|detail| ControlReply::Session(Box::new(detail)))
            }
            Verb::Export { session } => self.export_for(uid, session).map(ControlReply::Export),
            Verb::Status => Ok(ControlReply::Status(self.status())),
            Verb::Journal => Ok(ControlReply::Journal(self.journal_info())),
            Verb::Workers => Ok(ControlReply::Workers(self.worker_infos())),
            Verb::Shutdown => {
                self.phase.send_if_modified(|phase| {
                    let serving = *phase == Phase::Serving;
                    if serving {
                        *phase = Phase::Asked;
                    }
                    serving
                });
                Ok(ControlReply::Ok)
            }
            // `follow` takes it.
            Verb::Events { .. } => {
                Err(refusal(Code::Protocol, "events were asked for without a place to put them"))
            }
        };
        to.answer(reply(result));
    }

    /// Writes a verb down when it is answered, if it is one that changes something or hands something out.
    fn audited(&self, uid: Option<u32>, verb: &Verb, to: Replier) -> Replier {
        let Some(mut record) = record_of(uid, verb) else { return to };
        let audit = self.context.audit.clone();
        Replier::call(move |reply| {
            if let (Happened::Verb { outcome, .. }, Reply::Refused(refusal)) = (&mut record, &reply) {
                *outcome = code_word(refusal.code);
            }
            audit.tell(record);
            to.answer(reply);
        })
    }

    fn export_for(&self, uid: Option<u32>, session: u64) -> Result<String, Refusal> {
        let document = self.export(session)?;
        let plugin = self.routes.get(session).map(|game| game.plugin().name.clone()).unwrap_or_default();
        self.context.audit.tell(Happened::SessionExported { plugin, session, uid });
        Ok(document)
    }

    fn audit_head(&self) -> Option<AuditHead> {
        let head = self.context.audit.head()?;
        let Head { tip, trouble, lost } = head;
        Some(AuditHead { seq: tip.seq, hash: tip.hash.to_string(), trouble, lost })
    }

    fn load_for(&self, path: String, to: Replier) {
        let Some(shared) = self.me.upgrade() else { return to.refuse(shutting_down()) };
        self.context.runtime.spawn(async move {
            let loaded = shared.load(path.into()).await.map(|info| ControlReply::Plugins(vec![info]));
            to.answer(reply(loaded.map_err(|error| error.refusal())));
        });
    }

    fn unload_for(&self, plugin: String, sessions: LiveSessions, to: Replier) {
        let Some(shared) = self.me.upgrade() else { return to.refuse(shutting_down()) };
        let sessions = match sessions {
            LiveSessions::Refuse => CoreLiveSessions::Refuse,
            LiveSessions::Close => CoreLiveSessions::Close,
        };
        self.context.runtime.spawn(async move {
            to.answer(reply(shared.unload(&plugin, sessions).await.map(|()| ControlReply::Ok)));
        });
    }

    fn ask_game(&self, plugin: &str, to: Replier, ask: impl FnOnce(&crate::game::GameDriver, Answerer)) {
        match self.game(plugin) {
            Ok(game) => ask(&game, answerer(to, plugin.to_owned(), 0)),
            Err(refusal) => to.refuse(refusal),
        }
    }

    fn drop_held(&self, session: u64, to: Replier) {
        match self.routes.get(session) {
            Some(game) => {
                let plugin = game.plugin().name.clone();
                game.drop_held(SessionId(session), answerer(to, plugin, session));
            }
            None => to.refuse(self.no_session(session)),
        }
    }
}

/// What is written down about a verb; nothing about those that only look.
fn record_of(uid: Option<u32>, verb: &Verb) -> Option<Happened> {
    let replicas_word;
    let (name, plugin, session, about) = match verb {
        Verb::Load { path } => ("load", "", 0, path.as_str()),
        Verb::Unload { plugin, sessions: LiveSessions::Refuse } => ("unload", plugin.as_str(), 0, ""),
        Verb::Unload { plugin, sessions: LiveSessions::Close } => {
            ("unload", plugin.as_str(), 0, "close-sessions")
        }
        Verb::Suspend { plugin } => ("suspend", plugin.as_str(), 0, ""),
        Verb::Resume { plugin } => ("resume", plugin.as_str(), 0, ""),
        Verb::Restart { plugin } => ("restart", plugin.as_str(), 0, ""),
        Verb::Release { plugin } => ("release", plugin.as_str(), 0, ""),
        Verb::Scale { plugin, replicas } => {
            replicas_word = replicas.to_string();
            ("scale", plugin.as_str(), 0, replicas_word.as_str())
        }
        Verb::Revoke { plugin, permission } => ("revoke", plugin.as_str(), 0, permission.as_str()),
        Verb::Grant { plugin, permission } => ("grant", plugin.as_str(), 0, permission.as_str()),
        Verb::Export { session } => ("export", "", *session, ""),
        Verb::DropHeld { session } => ("drop", "", *session, ""),
        Verb::Shutdown => ("shutdown", "", 0, ""),
        Verb::Plugins { .. }
        | Verb::Sessions { .. }
        | Verb::Session { .. }
        | Verb::Status
        | Verb::Workers
        | Verb::Events { .. }
        | Verb::AuditHead
        | Verb::Journal
        | Verb::Grants { .. } => return None,
    };
    Some(Happened::Verb {
        uid,
        verb: name.to_owned(),
        plugin: text(plugin),
        session,
        about: text(about),
        outcome: "done".to_owned(),
    })
}

fn replicas_refused(plugin: &str, replicas: u32) -> Refusal {
    Refusal {
        plugin: plugin.to_owned(),
        hint: format!("say a number from 1 to {REPLICAS_MAX}"),
        ..refusal(Code::Unsupported, format!("{replicas} replicas are too few or too many"))
    }
}

fn answerer(to: Replier, plugin: String, session: u64) -> Answerer {
    Box::new(move |result: Result<Answered, CoreRefusal>| {
        let done = result.map(|_| ControlReply::Ok).map_err(|refusal| from_core(&refusal, &plugin, session));
        to.answer(reply(done));
    })
}

fn reply(result: Result<ControlReply, Refusal>) -> Reply {
    match result {
        Ok(control) => Reply::Control(control),
        Err(refusal) => Reply::Refused(refusal),
    }
}
