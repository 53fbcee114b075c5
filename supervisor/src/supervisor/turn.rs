//! Turns of sessions: checked here as far as the manifest promises something, then handed to the game that plays the session.

use std::sync::Arc;

use croupier_client::{Help, Wait};
use croupier_core::Refusal as CoreRefusal;
use croupier_core::action::Answered;
use croupier_core::event;
use croupier_core::ids::{ClientId, Payload, PlayerId, SessionId, kind};
use croupier_manifest::check_json;
use croupier_manifest::manifest::Payload as PayloadKind;
use croupier_wire::door::{Code, Input, Refusal, Reply, Turn, WhenFull};

use super::Shared;
use super::backend::{Replier, Ticket};
use super::open::{door_done, no_key};
use super::routes::Kept;
use crate::game::Asked;
use crate::game::GameDriver;
use crate::game::driver::Answerer;
use crate::journal::NoRoom;
use crate::refusals::{about, from_core, hint, internal, refusal};

const NS_PER_MS: u64 = 1_000_000;
/// Deepest nesting of a JSON payload.
const PAYLOAD_DEPTH_MAX: usize = 64;
/// Longest reason of a leave, in bytes.
const REASON_BYTES_MAX: usize = 256;

impl Shared {
    pub(super) fn turn(&self, client: ClientId, turn: Turn, to: Replier) -> Option<Ticket> {
        let Checked { game, event, answerer } = self.check_turn(client, turn, to)?;
        let (request, session) = (event.request, event.session);
        let help = game.turn(event, answerer);
        Some(Ticket { game: Arc::downgrade(&game), request, session, help })
    }

    /// Turns that came at once, in order: those of one game are one step of it.
    pub(super) fn turns(&self, turns: Vec<(ClientId, Turn, Replier)>) -> Option<Arc<dyn Help>> {
        let mut games: Vec<(Arc<GameDriver>, Vec<Asked>)> = Vec::new();
        for (client, turn, to) in turns {
            let Some(Checked { game, event, answerer }) = self.check_turn(client, turn, to) else { continue };
            match games.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &game)) {
                Some((_, turns)) => turns.push((event, answerer)),
                None => games.push((game, vec![(event, answerer)])),
            }
        }
        games.into_iter().fold(None, |help, (game, turns)| game.turns(turns).or(help))
    }

    /// As [`Shared::turn`], for a thread that waits for `on` and nothing else.
    pub(super) fn turn_awaited(&self, client: ClientId, turn: Turn, to: Replier, on: &dyn Wait) {
        if let Some(Checked { game, event, answerer }) = self.check_turn(client, turn, to) {
            game.turn_awaited(event, answerer, on);
        }
    }

    /// Finds the game that plays the session, and checks what its manifest promises; what is refused is answered.
    fn check_turn(&self, client: ClientId, turn: Turn, to: Replier) -> Option<Checked> {
        let Some((game, kept)) = self.routes.get_kept(turn.session) else {
            to.refuse(self.no_session(turn.session));
            return None;
        };
        let (plugin, session) = (game.plugin(), turn.session);
        let is_close = matches!(turn.input, Input::Close);
        let checked = self.check_serving().and_then(|()| {
            if turn.client_seq == 0 {
                return Err(no_key());
            }
            input(turn.input, plugin.payload(), self.config.payload_bytes_max)
        });
        let input = match checked {
            Ok(input) => input,
            Err(refusal) => {
                to.refuse(about(refusal, &plugin.name, session));
                return None;
            }
        };
        // Only a game knows whether it has played this turn already; that answer needs no room.
        let no_room = self.check_room(kept, is_close).err().map(Box::new);
        let request = self.context.request();
        let event = event::Turn {
            request,
            session: SessionId(session),
            client,
            client_seq: turn.client_seq,
            input,
            when_full: match turn.when_full {
                WhenFull::Wait => event::WhenFull::Wait,
                WhenFull::Refuse => event::WhenFull::Refuse,
            },
            no_room: no_room.is_some(),
            deadline_mono_ns: (turn.deadline_ms > 0)
                .then(|| self.context.clock.mono_ns() + u64::from(turn.deadline_ms) * NS_PER_MS),
        };
        let about_plugin = plugin.clone();
        let answerer = move |result| {
            let reply = match (result, no_room) {
                (Err(CoreRefusal::NoRoom), Some(why)) => {
                    Reply::Refused(about(*why, &about_plugin.name, session))
                }
                (result, _) => done(result, &about_plugin.name, session),
            };
            to.answer(reply);
        };
        Some(Checked { game, event, answerer: Box::new(answerer) })
    }
}

/// A turn that its game may have.
struct Checked {
    game: Arc<GameDriver>,
    event: event::Turn,
    answerer: Answerer,
}

impl Shared {
    /// Whether the journal takes a turn of a session that is kept there.
    fn check_room(&self, kept: Kept, is_close: bool) -> Result<(), Refusal> {
        match (kept, &self.context.journal) {
            (Kept::Disk, Some(journal)) => {
                let room = if is_close { journal.room_to_close() } else { journal.room() };
                room.map_err(no_room)
            }
            _ => Ok(()),
        }
    }
}

/// The journal takes no turn now.
pub(super) fn no_room(error: NoRoom) -> Refusal {
    let what = refusal(Code::Busy, error.to_string());
    hint(what, "the turn was not played: repeat it with the same key; `croupier status` shows the journal")
}

fn done(result: Result<Answered, CoreRefusal>, plugin: &str, session: u64) -> Reply {
    match result {
        Ok(Answered::Done(done)) => Reply::Done(door_done(done)),
        Ok(Answered::Ok | Answered::Opened { .. }) => {
            Reply::Refused(internal("a turn was answered with something else"))
        }
        Err(refusal) => Reply::Refused(from_core(&refusal, plugin, session)),
    }
}

/// The core's form of an input, checked.
fn input(input: Input, payloads: PayloadKind, bytes_max: usize) -> Result<event::Input, Refusal> {
    let empty = || Payload::default();
    let of = |kind, player, payload: Vec<u8>| event::Input {
        kind,
        player: PlayerId(player),
        payload: payload.into(),
        client_seed: empty(),
    };
    match input {
        Input::Join { player, profile, client_seed } => {
            check_payload("profile", &profile, payloads, bytes_max)?;
            Ok(event::Input { client_seed: client_seed.into(), ..of(kind::JOIN, player, profile) })
        }
        Input::Leave { player, reason } => {
            check_size("reason", &reason, REASON_BYTES_MAX)?;
            Ok(of(kind::LEAVE, player, reason))
        }
        Input::Action { player, payload } => {
            check_payload("action", &payload, payloads, bytes_max)?;
            Ok(of(kind::ACTION, player, payload))
        }
        Input::Other { kind: other, .. } if other < kind::FIRST_OPEN => {
            let what = refusal(Code::Unsupported, format!("turns of kind {other} do not enter this way"));
            Err(hint(what, "use join, leave, action or close; other kinds begin at 6"))
        }
        Input::Other { kind, player, payload } => {
            check_payload("payload", &payload, payloads, bytes_max)?;
            Ok(of(kind, player, payload))
        }
        Input::Close => Ok(of(kind::CLOSE, PlayerId::HOUSE.0, Vec::new())),
    }
}

fn check_size(what: &str, bytes: &[u8], max: usize) -> Result<(), Refusal> {
    if bytes.len() <= max {
        return Ok(());
    }
    let text = format!("a {what} of {} bytes is over the limit of {max} bytes", bytes.len());
    Err(hint(refusal(Code::TooBig, text), "send less"))
}

fn check_payload(what: &str, bytes: &[u8], payloads: PayloadKind, max: usize) -> Result<(), Refusal> {
    check_size(what, bytes, max)?;
    if payloads == PayloadKind::Raw {
        return Ok(());
    }
    check_json(bytes, PAYLOAD_DEPTH_MAX).map_err(|error| {
        let refusal =
            refusal(Code::BadPayload, format!("the {what} is not JSON, which this plugin takes: {error}"));
        hint(refusal, "send one JSON value")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(payload: &[u8]) -> Input {
        Input::Action { player: 1, payload: payload.into() }
    }

    fn code(result: Result<event::Input, Refusal>) -> Option<Code> {
        result.err().map(|refusal| refusal.code)
    }

    #[test]
    fn inputs_are_checked_as_the_manifest_promises() {
        let json = |what| code(input(what, PayloadKind::Json, 16));
        let raw = |what| code(input(what, PayloadKind::Raw, 16));
        assert_eq!(json(action(br#"{"bet":5.00}"#)), None);
        assert_eq!(json(action(b"{")), Some(Code::BadPayload));
        assert_eq!(json(action(b"")), Some(Code::BadPayload));
        assert_eq!(raw(action(b"\xff")), None);
        assert_eq!(raw(action(&[0; 17])), Some(Code::TooBig));
        assert_eq!(json(Input::Close), None);
        assert_eq!(json(Input::Leave { player: 1, reason: b"bored".to_vec() }), None);
        let other = |kind| Input::Other { kind, player: 0, payload: b"1".to_vec() };
        assert_eq!(json(other(kind::ACTION)), Some(Code::Unsupported));
        assert_eq!(json(other(9)), None);
    }
}
