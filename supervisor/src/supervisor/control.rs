//! Operators' verbs.

use croupier_core::Refusal as CoreRefusal;
use croupier_core::action::Answered;
use croupier_core::event::LiveSessions as CoreLiveSessions;
use croupier_core::ids::SessionId;
use croupier_wire::door::{Code, ControlReply, LiveSessions, Refusal, Reply, Verb};

use super::backend::Replier;
use super::{Phase, Shared};
use crate::game::driver::Answerer;
use crate::refusals::{from_core, refusal, shutting_down, unknown_session};

impl Shared {
    pub(super) fn control(&self, verb: Verb, to: Replier) {
        let result = match verb {
            Verb::Load { path } => return self.load_for(path, to),
            Verb::Unload { plugin, sessions } => return self.unload_for(plugin, sessions, to),
            Verb::Suspend { plugin } => return self.ask_game(&plugin, to, |game, done| game.suspend(done)),
            Verb::Resume { plugin } => return self.ask_game(&plugin, to, |game, done| game.resume(done)),
            Verb::Restart { plugin } => return self.ask_game(&plugin, to, |game, done| game.restart(done)),
            Verb::DropHeld { session } => return self.drop_held(session, to),
            Verb::Plugins { plugin } => self.plugin_infos(plugin.as_deref()).map(ControlReply::Plugins),
            Verb::Sessions { plugin, limit } => {
                self.session_infos(plugin.as_deref(), limit as usize).map(ControlReply::Sessions)
            }
            Verb::Session { session } => {
                self.session_detail(session).map(|detail| ControlReply::Session(Box::new(detail)))
            }
            Verb::Export { session } => self.export(session).map(ControlReply::Export),
            Verb::Status => Ok(ControlReply::Status(self.status())),
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
        match self.named(plugin) {
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
            None => to.refuse(unknown_session(session)),
        }
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
