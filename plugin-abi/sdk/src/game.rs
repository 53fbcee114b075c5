//! The one trait that a plugin author implements, and the words in it.

use croupier_abi as abi;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::turn::Turn;

/// Who acts, or who a message goes to. The platform numbers players from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Player(pub u64);

impl Player {
    /// The table itself: the dealer, the platform.
    pub const HOUSE: Player = Player(abi::HOUSE);
    /// Everybody at the table, for [`Turn::send`] only.
    pub const ALL: Player = Player(abi::ALL_PLAYERS);

    /// Whether this is the table itself.
    pub fn is_house(self) -> bool {
        self == Player::HOUSE
    }
}

impl std::fmt::Display for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Player::HOUSE => f.write_str("the house"),
            Player::ALL => f.write_str("all players"),
            Player(id) => write!(f, "player {id}"),
        }
    }
}

/// Why a turn fails: a status for programs and a text for the player.
///
/// A failed turn still counts: it is recorded and replayed, must fail again with the same words, and must leave the same state
/// behind. The easiest way is to check everything first and to change state only after the last check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: abi::Status,
    text: String,
}

impl Refusal {
    /// The rules of the game forbid it: "it is not your turn".
    pub fn rule(text: impl Into<String>) -> Refusal {
        Refusal::with_status(abi::E_REFUSED, text)
    }

    /// The payload, config or snapshot makes no sense: "seat 12 of 10".
    pub fn bad_input(text: impl Into<String>) -> Refusal {
        Refusal::with_status(abi::E_BAD_INPUT, text)
    }

    /// This plugin does not know that kind of turn.
    pub fn unsupported(text: impl Into<String>) -> Refusal {
        Refusal::with_status(abi::E_UNSUPPORTED, text)
    }

    /// The plugin itself is at fault; reported to the operator as such.
    pub fn internal(text: impl Into<String>) -> Refusal {
        Refusal::with_status(abi::E_INTERNAL, text)
    }

    /// `status` is negative.
    pub(crate) fn with_status(status: abi::Status, text: impl Into<String>) -> Refusal {
        debug_assert!(status < 0);
        Refusal { status, text: text.into() }
    }

    /// The negative `CROUPIER_E_*`.
    pub fn status(&self) -> i32 {
        self.status
    }

    /// What the player reads.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

/// A game. `Self` is the whole state of ONE session: whatever is not in it is lost when the worker dies.
///
/// Every function gets a [`Turn`]: its number, its time, its chance, and the way to the outside. What a function answers and
/// the state that it leaves may depend on nothing but `self`, its arguments and the turn.
///
/// A snapshot is `Self` in [postcard](https://postcard.jamesmunns.com/wire-format) encoding, so `Self` may hold anything that serde
/// can write and read back *without being told the types*: no `serde_json::Value`, no `#[serde(flatten)]`, `untagged`, internally
/// tagged enums or `skip_serializing_if`. [`crate::testing::Table`] finds these on the first turn.
///
/// Payloads are JSON (`payload = "json"` in the manifest). Text that does not fit the type is refused with the path of
/// the wrong member, before your code sees it. An empty payload counts as `null`. If you do not care
/// about a config or a profile, say [`crate::Anything`], not `()`: the unit type accepts nothing but `null`.
pub trait Game: Sized + Serialize + DeserializeOwned + 'static {
    /// What a session is opened with; was checked against the manifest's schema.
    type Config: DeserializeOwned;
    /// What the platform says of a player who joins.
    type Profile: DeserializeOwned;
    /// What a player may do.
    type Action: DeserializeOwned;
    /// What a turn answers.
    type Reply: Serialize;

    /// The version of the snapshots; raise it when `Self` changes its encoding, and write [`Game::migrate`]. The manifest repeats it.
    const STATE_VERSION: u32 = 1;

    /// A new session.
    ///
    /// # Errors
    /// The session is then not opened, and nothing of it remains.
    fn open(config: Self::Config, turn: &mut Turn<'_>) -> Result<(Self, Self::Reply), Refusal>;

    /// `player` takes a seat.
    ///
    /// # Errors
    /// The player is then not seated.
    fn join(
        &mut self,
        player: Player,
        profile: Self::Profile,
        turn: &mut Turn<'_>,
    ) -> Result<Self::Reply, Refusal>;

    /// `player` leaves; this happens even if it returns an error.
    ///
    /// # Errors
    /// Reported to the caller; the player is gone all the same.
    fn leave(&mut self, player: Player, turn: &mut Turn<'_>) -> Result<Self::Reply, Refusal>;

    /// `player` does something; [`Player::HOUSE`] is the dealer.
    ///
    /// # Errors
    /// Whatever the rules forbid.
    fn action(
        &mut self,
        player: Player,
        action: Self::Action,
        turn: &mut Turn<'_>,
    ) -> Result<Self::Reply, Refusal>;

    /// Time passes: called at the session's own rate, with `turn.now_ns()` moved by exactly one period.
    ///
    /// # Errors
    /// Refused as unsupported unless you write it.
    fn tick(&mut self, turn: &mut Turn<'_>) -> Result<Self::Reply, Refusal> {
        let _ = turn;
        Err(Refusal::unsupported("this game has no ticks; open the session with tick_ms = 0"))
    }

    /// The table closes: pay out, answer for the last time. The session ends even if it returns an error.
    ///
    /// # Errors
    /// Reported to the caller; the session is gone all the same.
    fn close(&mut self, turn: &mut Turn<'_>) -> Result<Self::Reply, Refusal>;

    /// Reads a snapshot of another [`Game::STATE_VERSION`]. Older ones come with an update, newer ones with a roll-back.
    ///
    /// # Errors
    /// Refused unless you write it: sessions of that version then stay with the plugin that wrote them.
    fn migrate(version: u32, snapshot: &[u8]) -> Result<Self, Refusal> {
        let _ = snapshot;
        Err(Refusal::unsupported(format!(
            "snapshots of version {version} cannot be read: this plugin reads version {} only",
            Self::STATE_VERSION
        )))
    }
}
