//! Bytes in, game, bytes out: what the C glue and the in-process test table have in common. Safe code.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::game::{Game, Refusal};
use crate::turn::Turn;

/// Opens a session.
pub(crate) fn open<G: Game>(config: &[u8], turn: &mut Turn<'_>) -> Result<(G, Vec<u8>), Refusal> {
    let config = parse::<G::Config>(config, "config")?;
    let (game, reply) = G::open(config, turn)?;
    Ok((game, to_json(&reply)?))
}

/// Seats a player.
pub(crate) fn join<G: Game>(game: &mut G, profile: &[u8], turn: &mut Turn<'_>) -> Result<Vec<u8>, Refusal> {
    let profile = parse::<G::Profile>(profile, "profile")?;
    to_json(&game.join(turn.player(), profile, turn)?)
}

/// Takes a player away.
pub(crate) fn leave<G: Game>(game: &mut G, turn: &mut Turn<'_>) -> Result<Vec<u8>, Refusal> {
    to_json(&game.leave(turn.player(), turn)?)
}

/// Lets a player act.
pub(crate) fn action<G: Game>(game: &mut G, payload: &[u8], turn: &mut Turn<'_>) -> Result<Vec<u8>, Refusal> {
    let action = parse::<G::Action>(payload, "action")?;
    to_json(&game.action(turn.player(), action, turn)?)
}

/// Lets time pass.
pub(crate) fn tick<G: Game>(game: &mut G, turn: &mut Turn<'_>) -> Result<Vec<u8>, Refusal> {
    to_json(&game.tick(turn)?)
}

/// Closes the table.
pub(crate) fn close<G: Game>(game: &mut G, turn: &mut Turn<'_>) -> Result<Vec<u8>, Refusal> {
    to_json(&game.close(turn)?)
}

/// The whole state as bytes.
pub(crate) fn snapshot<G: Game>(game: &G) -> Result<Vec<u8>, Refusal> {
    postcard::to_stdvec(game)
        .map_err(|err| Refusal::internal(format!("the state cannot be written as a snapshot: {err}")))
}

/// A game from bytes that [`snapshot`] wrote.
pub(crate) fn restore<G: Game>(state_version: u32, bytes: &[u8]) -> Result<G, Refusal> {
    if state_version != G::STATE_VERSION {
        return G::migrate(state_version, bytes);
    }
    let (game, rest) = postcard::take_from_bytes::<G>(bytes).map_err(|err| {
        Refusal::bad_input(format!("the snapshot of {} bytes does not decode: {err}", bytes.len()))
    })?;
    if !rest.is_empty() {
        return Err(Refusal::bad_input(format!("the snapshot has {} bytes too many", rest.len())));
    }
    Ok(game)
}

/// Reads JSON; the error names the member that is wrong.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, Refusal> {
    let bytes = if bytes.is_empty() { b"null".as_slice() } else { bytes };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|err| {
        let path = err.path().to_string();
        match path.as_str() {
            "." => Refusal::bad_input(format!("{what}: {}", err.inner())),
            path => Refusal::bad_input(format!("{what}, at {path}: {}", err.inner())),
        }
    })?;
    deserializer.end().map_err(|err| Refusal::bad_input(format!("{what}: {err}")))?;
    Ok(value)
}

fn to_json(reply: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(reply)
        .map_err(|err| Refusal::internal(format!("the reply cannot be written as JSON: {err}")))
}
