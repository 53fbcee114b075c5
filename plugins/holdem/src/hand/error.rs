//! Why a hand cannot start, or a move is not allowed. Texts are for players: what happened, and what to do instead.

use thiserror::Error;

use crate::cards::Card;
use crate::chips::Chips;
use crate::seat::{HOLE_CARDS, PLAYERS_MAX, PLAYERS_MIN, Place};

/// Why no hand can start from a setup.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SetupError {
    /// Too few or too many.
    #[error("starting_stacks: {0} players, but a hand has {PLAYERS_MIN} to {PLAYERS_MAX}")]
    Players(usize),
    /// A list that does not fit the number of players.
    #[error("{member}: {length} amounts for {players} players (starting_stacks); give one for each")]
    Length {
        /// The member of the config.
        member: &'static str,
        /// Its length.
        length: usize,
        /// What it should be.
        players: usize,
    },
    /// A player without chips (numbered from 1).
    #[error("starting_stacks: player {0} has no chips; leave players without chips out")]
    EmptyStack(usize),
    /// A minimum bet of nothing.
    #[error("min_bet: must be more than 0")]
    NoMinBet,
}

/// Why a move is not allowed. Amounts are in chips; see [`RuleError::Amount`] for those that concern them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    /// Nobody sits there.
    #[error("there is no player {place}: the hand has {players} players, p1 to p{players}")]
    NoSuchPlayer {
        /// The place named.
        place: Place,
        /// Players in the hand.
        players: usize,
    },
    /// All is paid out.
    #[error("the hand is over; only hands may still be shown (pN sm -)")]
    HandOver,
    /// Hole cards are missing.
    #[error("hole cards are still to be dealt, to {0} next")]
    HolesMissing(Place),
    /// All have their hole cards.
    #[error("{0} has {HOLE_CARDS} hole cards already")]
    HoleFull(Place),
    /// Hole cards in mid-hand.
    #[error("hole cards are dealt before the betting, not now")]
    HolesOver,
    /// Board cards are due first.
    #[error("it is the dealer's turn: {0} board card(s) are due")]
    BoardDue(usize),
    /// Board cards while there is betting.
    #[error("no board card is due: {0} is to act")]
    BoardNotDue(Place),
    /// A full board.
    #[error("the board is complete: five cards")]
    BoardFull,
    /// A deal of the wrong size.
    #[error("{dealt} cards dealt, but {due} due")]
    DealSize {
        /// Cards in the move.
        dealt: usize,
        /// Cards that may be dealt at most.
        due: usize,
    },
    /// The same card again.
    #[error("the card {0} is already in play")]
    CardTwice(Card),
    /// Somebody else is to act.
    #[error("it is not {place}'s turn: {to_act} is to act")]
    NotYourTurn {
        /// Who tried.
        place: Place,
        /// Who may.
        to_act: Place,
    },
    /// Out of the hand.
    #[error("{0} is out of this hand (folded or mucked)")]
    Out(Place),
    /// Betting when it is over.
    #[error("the betting is over: hands are shown (pN sm CARDS) or mucked (pN sm) now")]
    BettingOver,
    /// Showing while there is betting.
    #[error("no showdown yet: {0} is to act")]
    NoShowdown(Place),
    /// A second raise into a short all-in.
    #[error(
        "{0} may call or fold, not raise: the all-in since the last action was less than a full raise and does not reopen the betting"
    )]
    NotReopened(Place),
    /// No chips beyond the call.
    #[error("{0} has not more chips than the bet to call: call (cc) instead")]
    Covered(Place),
    /// Nobody could answer.
    #[error("{0} cannot raise: everybody else has folded or is all-in, so nobody could call it")]
    NobodyToCall(Place),
    /// Too little or too much.
    #[error("the amount is out of bounds")]
    Amount {
        /// Who.
        place: Place,
        /// The amount raised to.
        to: Chips,
        /// The least allowed.
        min: Chips,
        /// The most: all-in.
        max: Chips,
    },
    /// Shows other cards than those dealt.
    #[error("{0} was not dealt these cards; show the cards that were dealt, or - for them")]
    OtherCards(Place),
    /// Shows cards that nobody knows.
    #[error("{0}'s cards are not known to the table: name them (pN sm CARDS) or muck (pN sm)")]
    UnknownCards(Place),
    /// Showed, then wants to muck, or shows twice.
    #[error("{0} has shown already")]
    ShownAlready(Place),
    /// Nobody in a pot has shown.
    #[error(
        "cannot tell who wins: {0} and {1} play for a pot and neither shows; one of them must show or muck"
    )]
    Undecided(Place, Place),
}
