//! The operators' verbs, written once for the blocking and the async client.

use croupier_wire::door::{
    AuditHead, ControlReply, Grants, JournalInfo, PluginInfo, SessionDetail, SessionInfo, StatusInfo,
    WorkerInfo,
};

use crate::ClientError;

/// Finishes a [`Pending`](crate::Pending): awaits it, or waits for it on the calling thread.
///
/// With `=> as is` the expression is a call of another method of the same kind, which needs no waiting of its own when blocking.
macro_rules! finish {
    (async $call:expr => as is) => {
        $call.await
    };
    (async $pending:expr) => {
        $pending.await
    };
    ($call:expr => as is) => {
        $call
    };
    ($pending:expr) => {
        $pending.wait()
    };
}

/// Defines a method for each verb, `async` or not.
macro_rules! verb_methods {
    ($($async:ident)?) => {
        /// Carries out an operator's verb; only on the control socket or embedded. For
        /// [`Verb::Events`](croupier_wire::door::Verb::Events) use [`events`](Self::events).
        pub $($async)? fn control(&self, verb: Verb) -> Result<ControlReply, ClientError> {
            crate::core::control(finish!($($async)? self.core.control(verb))?)
        }

        /// Loads a plugin file: an absolute path, as the supervisor sees it.
        pub $($async)? fn load(&self, path: &str) -> Result<PluginInfo, ClientError> {
            let verb = Verb::Load { path: path.to_owned() };
            crate::verbs::one_plugin(finish!($($async)? self.core.control(verb)))
        }

        /// Unloads a plugin.
        pub $($async)? fn unload(&self, plugin: &str, sessions: LiveSessions) -> Result<(), ClientError> {
            let verb = Verb::Unload { plugin: plugin.to_owned(), sessions };
            crate::verbs::nothing(finish!($($async)? self.core.control(verb)))
        }

        /// Suspends a plugin: its turns wait.
        pub $($async)? fn suspend(&self, plugin: &str) -> Result<(), ClientError> {
            let verb = Verb::Suspend { plugin: plugin.to_owned() };
            crate::verbs::nothing(finish!($($async)? self.core.control(verb)))
        }

        /// Resumes a suspended plugin.
        pub $($async)? fn resume(&self, plugin: &str) -> Result<(), ClientError> {
            let verb = Verb::Resume { plugin: plugin.to_owned() };
            crate::verbs::nothing(finish!($($async)? self.core.control(verb)))
        }

        /// Replaces a plugin's workers by fresh ones; sessions go on.
        pub $($async)? fn restart(&self, plugin: &str) -> Result<(), ClientError> {
            let verb = Verb::Restart { plugin: plugin.to_owned() };
            crate::verbs::nothing(finish!($($async)? self.core.control(verb)))
        }

        /// Changes how many workers serve a plugin, until it is loaded anew; sessions are moved while they are played.
        pub $($async)? fn scale(&self, plugin: &str, replicas: u32) -> Result<(), ClientError> {
            let verb = Verb::Scale { plugin: plugin.to_owned(), replicas };
            crate::verbs::nothing(finish!($($async)? self.core.control(verb)))
        }

        /// Lifts a plugin's quarantine, forgives its deaths, and closes its breaker.
        pub $($async)? fn release(&self, plugin: &str) -> Result<(), ClientError> {
            let verb = Verb::Release { plugin: plugin.to_owned() };
            crate::verbs::nothing(finish!($($async)? self.core.control(verb)))
        }

        /// All plugins, or the one named.
        pub $($async)? fn plugins(&self, plugin: Option<&str>) -> Result<Vec<PluginInfo>, ClientError> {
            let verb = Verb::Plugins { plugin: plugin.map(str::to_owned) };
            crate::verbs::plugins(finish!($($async)? self.core.control(verb)))
        }

        /// At most `limit` sessions, live and held, lowest ids first; only one plugin's when it is named.
        pub $($async)? fn sessions(&self, plugin: Option<&str>, limit: u32) -> Result<Vec<SessionInfo>, ClientError> {
            let verb = Verb::Sessions { plugin: plugin.map(str::to_owned), limit };
            crate::verbs::sessions(finish!($($async)? self.core.control(verb)))
        }

        /// One session in detail.
        pub $($async)? fn session_detail(&self, session: SessionId) -> Result<SessionDetail, ClientError> {
            let verb = Verb::Session { session: session.0 };
            crate::verbs::session(finish!($($async)? self.core.control(verb)))
        }

        /// A session as a JSON document: snapshot, turns since, the binary's digest.
        pub $($async)? fn export(&self, session: SessionId) -> Result<String, ClientError> {
            let verb = Verb::Export { session: session.0 };
            crate::verbs::export(finish!($($async)? self.core.control(verb)))
        }

        /// Drops a held session for good.
        pub $($async)? fn drop_held(&self, session: SessionId) -> Result<(), ClientError> {
            let verb = Verb::DropHeld { session: session.0 };
            crate::verbs::nothing(finish!($($async)? self.core.control(verb)))
        }

        /// The supervisor at a glance.
        pub $($async)? fn status(&self) -> Result<StatusInfo, ClientError> {
            crate::verbs::status(finish!($($async)? self.core.control(Verb::Status)))
        }

        /// All workers.
        pub $($async)? fn workers(&self) -> Result<Vec<WorkerInfo>, ClientError> {
            crate::verbs::workers(finish!($($async)? self.core.control(Verb::Workers)))
        }

        /// The newest record of the audit log; none when no log is kept.
        pub $($async)? fn audit_head(&self) -> Result<Option<AuditHead>, ClientError> {
            crate::verbs::audit_head(finish!($($async)? self.core.control(Verb::AuditHead)))
        }

        /// The durable journal at a glance; none when none is kept.
        pub $($async)? fn journal(&self) -> Result<Option<JournalInfo>, ClientError> {
            crate::verbs::journal(finish!($($async)? self.core.control(Verb::Journal)))
        }

        /// What a plugin asks for, and what it has.
        pub $($async)? fn grants(&self, plugin: &str) -> Result<Grants, ClientError> {
            let verb = Verb::Grants { plugin: plugin.to_owned() };
            crate::verbs::grants(finish!($($async)? self.core.control(verb)))
        }

        /// Takes a permission away from a plugin, from its next use on, for good.
        pub $($async)? fn revoke(&self, plugin: &str, permission: &str) -> Result<(), ClientError> {
            let verb = Verb::Revoke { plugin: plugin.to_owned(), permission: permission.to_owned() };
            crate::verbs::nothing(finish!($($async)? self.core.control(verb)))
        }

        /// Gives a permission back that was taken away. The plugin need not be loaded.
        pub $($async)? fn grant(&self, plugin: &str, permission: &str) -> Result<(), ClientError> {
            let verb = Verb::Grant { plugin: plugin.to_owned(), permission: permission.to_owned() };
            crate::verbs::nothing(finish!($($async)? self.core.control(verb)))
        }

        /// Shuts the supervisor down gracefully.
        pub $($async)? fn shutdown(&self) -> Result<(), ClientError> {
            crate::verbs::nothing(finish!($($async)? self.core.control(Verb::Shutdown)))
        }

        /// Whether the supervisor is there.
        pub $($async)? fn ping(&self) -> Result<(), ClientError> {
            crate::core::pong(finish!($($async)? self.core.ask(Request::Ping))?)
        }

        /// Follows what happens to plugins, workers, sessions and players, from now on.
        pub $($async)? fn events(&self) -> Result<Pushes, ClientError> {
            let verb = Verb::Events { turns: TurnEvents::Left };
            let (pending, pushes) = self.core.follow(Request::Control(verb));
            crate::core::control(finish!($($async)? pending)?)?;
            Ok(pushes)
        }

        /// As [`events`](Self::events), with every turn too if wanted.
        pub $($async)? fn events_with(&self, turns: TurnEvents) -> Result<Pushes, ClientError> {
            let (pending, pushes) = self.core.follow(Request::Control(Verb::Events { turns }));
            crate::core::control(finish!($($async)? pending)?)?;
            Ok(pushes)
        }

        /// Who answers: version, process, and on the control socket where the traffic socket is. `None` when embedded.
        pub fn server(&self) -> Option<ServerHello> {
            self.core.backend.server()
        }
    };
}

pub(crate) use {finish, verb_methods};

type Answer = Result<croupier_wire::door::Reply, ClientError>;

/// Defines how the answer to one kind of verb is taken apart.
macro_rules! taking {
    ($($name:ident: $pattern:pat => $value:expr, $type:ty, $asked:literal;)*) => {
        $(pub(crate) fn $name(answer: Answer) -> Result<$type, ClientError> {
            match crate::core::control(answer?)? {
                $pattern => Ok($value),
                _ => Err(ClientError::WrongReply { asked: $asked, found: "as if to another verb" }),
            }
        })*
    };
}

taking! {
    nothing: ControlReply::Ok => (), (), "a verb";
    plugins: ControlReply::Plugins(plugins) => plugins, Vec<PluginInfo>, "`plugins`";
    sessions: ControlReply::Sessions(sessions) => sessions, Vec<SessionInfo>, "`sessions`";
    session: ControlReply::Session(detail) => *detail, SessionDetail, "`session`";
    export: ControlReply::Export(document) => document, String, "`export`";
    status: ControlReply::Status(status) => status, StatusInfo, "`status`";
    workers: ControlReply::Workers(workers) => workers, Vec<WorkerInfo>, "`workers`";
    audit_head: ControlReply::AuditHead(head) => head, Option<AuditHead>, "`audit head`";
    journal: ControlReply::Journal(journal) => journal, Option<JournalInfo>, "`journal`";
    grants: ControlReply::Grants(grants) => grants, Grants, "`grants`";
}

pub(crate) fn one_plugin(answer: Answer) -> Result<PluginInfo, ClientError> {
    let mut all = plugins(answer)?;
    match (all.pop(), all.is_empty()) {
        (Some(plugin), true) => Ok(plugin),
        _ => {
            Err(ClientError::WrongReply { asked: "`load`", found: "with another number of plugins than one" })
        }
    }
}
