//! The core's refusals as the door's: code, plugin, session, and what to do next. The one place where they meet.

use croupier_core::Refusal as Core;
use croupier_wire::door::{Code, Refusal};

/// A refusal with nothing but a code and a text.
pub fn refusal(code: Code, text: impl Into<String>) -> Refusal {
    Refusal {
        code,
        plugin: String::new(),
        session: 0,
        seq: 0,
        status: 0,
        text: text.into(),
        hint: String::new(),
    }
}

/// Adds what to do next.
pub fn hint(mut refusal: Refusal, hint: impl Into<String>) -> Refusal {
    refusal.hint = hint.into();
    refusal
}

/// Adds the plugin and the session concerned.
pub fn about(mut refusal: Refusal, plugin: &str, session: u64) -> Refusal {
    plugin.clone_into(&mut refusal.plugin);
    refusal.session = session;
    refusal
}

/// A code as it stands in JSON and in the audit log: `unknown-plugin`.
pub fn code_word(code: Code) -> String {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(word)) => word,
        _ => format!("{code:?}"),
    }
}

/// No plugin of that name.
pub fn unknown_plugin(plugin: &str) -> Refusal {
    let text = format!("no plugin {plugin} is loaded");
    about(hint(refusal(Code::UnknownPlugin, text), "`croupier plugins` lists those that are"), plugin, 0)
}

/// No such session.
pub fn unknown_session(session: u64) -> Refusal {
    let text = format!("no session {session}");
    about(
        hint(refusal(Code::UnknownSession, text), "`croupier sessions` lists those that are live or held"),
        "",
        session,
    )
}

/// The supervisor is going down.
pub fn shutting_down() -> Refusal {
    let what = refusal(Code::ShuttingDown, "the supervisor is going down");
    hint(what, "repeat the request with the same key when it is back")
}

/// A fault of our own.
pub fn internal(text: impl Into<String>) -> Refusal {
    hint(refusal(Code::Internal, text), "this is a fault of the supervisor: look at its log, and report it")
}

/// What a game says no to, about this plugin and session (0 for none).
pub fn from_core(core: &Core, plugin: &str, session: u64) -> Refusal {
    let (code, seq, status) = match core {
        Core::WrongState { .. } | Core::HasSessions { .. } | Core::NotHeld(_) => (Code::WrongState, 0, 0),
        Core::Start(_) => (Code::BadPlugin, 0, 0),
        Core::Down { .. } => (Code::PluginDown, 0, 0),
        Core::Resting { .. } => (Code::Busy, 0, 0),
        Core::NotDown => (Code::WrongState, 0, 0),
        Core::UnknownSession(_) => (Code::UnknownSession, 0, 0),
        Core::SessionClosed(_) => (Code::SessionClosed, 0, 0),
        Core::Held { .. } => (Code::SessionHeld, 0, 0),
        Core::TooManySessions { .. } => (Code::TooManySessions, 0, 0),
        Core::UnknownPlayer { .. } | Core::NotAPlayer { .. } => (Code::UnknownPlayer, 0, 0),
        Core::AlreadyJoined { .. } => (Code::AlreadyJoined, 0, 0),
        Core::TableFull { .. } => (Code::TableFull, 0, 0),
        Core::KindNotAllowed { .. } => (Code::Unsupported, 0, 0),
        Core::ClientSeedTooLong { .. } => (Code::TooBig, 0, 0),
        Core::Busy { .. } | Core::NoRoom => (Code::Busy, 0, 0),
        Core::Deadline { seq } => (Code::Deadline, seq.unwrap_or(0), 0),
        Core::KeyReused { .. } => (Code::KeyReused, 0, 0),
        Core::KeyExpired { .. } => (Code::KeyExpired, 0, 0),
        Core::TooManyClients { .. } => (Code::TooManyClients, 0, 0),
        Core::Plugin { seq, status, .. } => (plugin_code(*status), *seq, *status),
        Core::Poison { seq } => (Code::Poison, *seq, 0),
    };
    let text = match core {
        Core::Plugin { text, .. } if text.is_empty() => "the plugin refused without a reason".to_owned(),
        other => other.to_string(),
    };
    let refusal = Refusal { seq, status, ..refusal(code, text) };
    about(hint(refusal, next_step(core)), plugin, session)
}

/// `CROUPIER_E_UNSUPPORTED` is told apart: the caller asked for something that this plugin cannot do at all.
fn plugin_code(status: i32) -> Code {
    if status == crate::game::host_calls::UNSUPPORTED { Code::Unsupported } else { Code::PluginRefused }
}

fn next_step(core: &Core) -> &'static str {
    match core {
        Core::UnknownPlayer { .. } => "let the player join first",
        Core::Down { .. } => "`croupier plugins` says more; `croupier release NAME` lets it try again",
        Core::TableFull { .. } => "wait until a player leaves, or open another session",
        Core::TooManySessions { .. } => "close sessions, or raise `sessions_max` in the plugin's options",
        Core::TooManyClients { .. } => "use fewer client ids, or raise `clients_max` in the plugin's options",
        Core::KindNotAllowed { .. } => {
            "ticks and opens are the supervisor's own; other kinds are join, leave, action, close, and 6 and up"
        }
        Core::KeyReused { .. } => "take a fresh key for a new request",
        Core::KeyExpired { .. } => "look at the session's state before you repeat anything",
        Core::Start(_) => {
            "mend the plugin, then load it again; `croupier check FILE` looks at it without running it"
        }
        Core::Poison { .. } => "the session goes on without it; the plugin's author should see the log",
        Core::Plugin { status, .. } if *status == crate::game::host_calls::INTERNAL => {
            "the plugin reports a fault of its own; its author should see the log"
        }
        // The rest say it in their text, or there is nothing to do.
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use croupier_core::ids::{PlayerId, SessionId};

    use super::*;

    #[test]
    fn refusals_keep_what_programs_need() {
        let plugin = Core::Plugin { seq: 7, status: -1, text: "not your turn".into() };
        let refusal = from_core(&plugin, "holdem", 3);
        assert_eq!((refusal.code, refusal.seq, refusal.status), (Code::PluginRefused, 7, -1));
        assert_eq!((refusal.plugin.as_str(), refusal.session), ("holdem", 3));
        assert_eq!(refusal.text, "not your turn");
        let unsupported = Core::Plugin { seq: 1, status: -3, text: String::new() };
        assert_eq!(from_core(&unsupported, "p", 1).code, Code::Unsupported);
        let player = Core::UnknownPlayer { player: PlayerId(4), session: SessionId(3) };
        assert_eq!(from_core(&player, "p", 3).code, Code::UnknownPlayer);
        let late = Core::Deadline { seq: Some(9) };
        assert_eq!(from_core(&late, "p", 3).seq, 9);
    }
}
