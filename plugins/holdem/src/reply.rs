//! What every turn answers: the table as anybody may see it. Cards that are not open are never in it.

use croupier_sdk::Decimal;
use serde::Serialize;

use crate::cards::format_cards;
use crate::chips::Chips;
use crate::hand::{Hand, Stage, ToAct};
use crate::seat::{Place, Seat, Show, Standing};
use crate::unit::Unit;

/// The table as anybody may see it. Lists are in the order of the places; amounts are exact.
#[derive(Clone, Debug, Serialize)]
pub struct Reply {
    /// Chips behind, without bets; after the hand, the finishing stacks.
    stacks: Vec<Decimal>,
    /// All chips in the middle, bets of this street among them; 0 once they are paid out.
    pot: Decimal,
    /// `preflop`, `flop`, `turn`, `river`, `showdown` or `done`.
    street: &'static str,
    /// The number of the player who is to act, 0 for the dealer, null when the hand is over.
    to_act: Option<u64>,
    /// Whether the hand is over.
    done: bool,
    /// Board cards in PHH notation, joined.
    board: String,
    /// Chips bet on this street.
    bets: Vec<Decimal>,
    /// What a call costs the player who is to act; 0 is a check. Null when nobody is to bet.
    to_call: Option<Decimal>,
    /// The least that the player who is to act may raise to; null when a raise is not allowed.
    min_raise_to: Option<Decimal>,
    /// The most that the player who is to act may raise to: all-in.
    max_raise_to: Option<Decimal>,
    /// Main pot first, then side pots, without bets of this street.
    pots: Vec<PotReply>,
    /// The players.
    players: Vec<PlayerReply>,
    /// Who won how much; empty until the hand is over.
    winners: Vec<Winner>,
}

/// A pot and who can win it.
#[derive(Clone, Debug, Serialize)]
struct PotReply {
    amount: Decimal,
    players: Vec<u64>,
}

/// A player.
#[derive(Clone, Debug, Serialize)]
struct PlayerReply {
    /// `playing`, `all-in`, `folded` or `mucked`.
    status: &'static str,
    /// The hole cards, when they lie open.
    cards: Option<String>,
}

/// A winner.
#[derive(Clone, Debug, Serialize)]
struct Winner {
    player: u64,
    amount: Decimal,
    /// What the hand is called, when it lies open.
    hand: Option<String>,
}

impl Reply {
    /// The table now.
    #[must_use]
    pub fn of(hand: &Hand, unit: Unit) -> Self {
        let amounts = |pick: fn(&Seat) -> Chips| -> Vec<Decimal> {
            hand.seats().iter().map(|seat| unit.amount(pick(seat))).collect()
        };
        let (bettor, to_act) = match (hand.to_act(), hand.stage()) {
            (ToAct::Nobody, _) => (None, None),
            (ToAct::Dealer, _) => (None, Some(0)),
            (ToAct::Player(place), Stage::Betting) => (Some(place), Some(place.number())),
            (ToAct::Player(place), _) => (None, Some(place.number())),
        };
        let bounds = bettor.and_then(|place| hand.raise_bounds(place).ok());
        Self {
            stacks: amounts(|seat| seat.stack),
            pot: unit.amount(hand.pot()),
            street: street(hand),
            to_act,
            done: hand.stage() == Stage::Done,
            board: format_cards(hand.board()),
            bets: amounts(|seat| seat.bet),
            to_call: bettor.map(|place| unit.amount(hand.call_cost(place))),
            min_raise_to: bounds.map(|bounds| unit.amount(bounds.min)),
            max_raise_to: bounds.map(|bounds| unit.amount(bounds.max)),
            pots: pots(hand, unit),
            players: hand.seats().iter().map(player).collect(),
            winners: winners(hand, unit),
        }
    }
}

fn street(hand: &Hand) -> &'static str {
    match (hand.stage(), hand.board().len()) {
        (Stage::Done, _) => "done",
        (Stage::Showdown, _) => "showdown",
        (_, 0..=2) => "preflop",
        (_, 3) => "flop",
        (_, 4) => "turn",
        _ => "river",
    }
}

fn player(seat: &Seat) -> PlayerReply {
    let status = match seat.standing {
        Standing::Folded => "folded",
        Standing::Mucked => "mucked",
        Standing::Playing if seat.stack.is_zero() => "all-in",
        Standing::Playing => "playing",
    };
    let open = seat.hole.both().filter(|_| seat.show == Show::Open);
    PlayerReply { status, cards: open.map(|cards| format_cards(&cards)) }
}

fn pots(hand: &Hand, unit: Unit) -> Vec<PotReply> {
    let reply = |pot: crate::pots::Pot| PotReply {
        amount: unit.amount(pot.amount),
        players: pot.players.iter().map(|place| place.number()).collect(),
    };
    hand.pots().into_iter().map(reply).collect()
}

fn winners(hand: &Hand, unit: Unit) -> Vec<Winner> {
    let winner = |(seat, place): (&Seat, Place)| Winner {
        player: place.number(),
        amount: unit.amount(seat.won),
        hand: hand.open_strength(place).map(|strength| strength.category().to_string()),
    };
    let seats = hand.seats().iter().zip((0..).map(Place));
    seats.filter(|(seat, _)| !seat.won.is_zero()).map(winner).collect()
}
