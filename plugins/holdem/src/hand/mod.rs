//! One hand of no-limit Texas hold'em, from the antes to the last chip paid out.
//!
//! ```text
//!   Holes ──► Betting ──► Board ──► Betting ──► … ──► Showdown ──► Done
//!                │                                        ▲          ▲
//!                ├── nobody can bet any more, or the river is bet ───┘          │
//!                └── all but one folded ─────────────────────────────┘
//! ```
//!
//! A state in, a move, a state out: [`Hand::play`] never changes the hand it is asked about, so a refused move leaves no trace.
//! No chance, no notation and no numbers for people in here: see `game`, `notation` and `reply`.
//! Where rules differ from house to house this follows the hand history format (PHH) and its reference implementation; the crate's README lists where.

mod betting;
mod dealing;
mod error;
mod showdown;

use serde::{Deserialize, Serialize};

pub use error::{RuleError, SetupError};

use crate::cards::{Card, CardSet};
use crate::chips::Chips;
use crate::pots::{self, Claim, Pot, Stake};
use crate::seat::{PLAYERS_MAX, PLAYERS_MIN, Place, Seat};

/// Cards on a full board.
pub const BOARD_CARDS: usize = 5;

/// What an ante buys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Antes {
    /// It is a bet like any: who paid less can win less, and what nobody matched is returned (PHH: `ante_trimming_status = true`).
    Trimmed,
    /// It is dead money: whoever is in the hand can win all antes (PHH: `false`, and the only sensible way for a big blind ante).
    Dead,
}

/// What a hand starts from. Lists are in the order of the places; with two players antes and blinds are given in
/// the order small blind, big blind, and so are posted the other way round (as PHH says: the first place is out of position).
#[derive(Clone, Debug)]
pub struct Setup {
    /// Antes.
    pub antes: Vec<Chips>,
    /// How antes are won.
    pub ante_rule: Antes,
    /// Blinds and straddles.
    pub blinds: Vec<Chips>,
    /// The smallest bet, and the smallest raise.
    pub min_bet: Chips,
    /// Stacks before antes and blinds.
    pub stacks: Vec<Chips>,
}

/// Where the hand is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stage {
    /// Hole cards are being dealt.
    Holes,
    /// Board cards are due, then betting.
    Board,
    /// Somebody is to check, bet, call, raise or fold.
    Betting,
    /// No more betting: hands are shown or mucked, and the board is completed.
    Showdown,
    /// All is paid out.
    Done,
}

/// Who is to act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ToAct {
    /// A player.
    Player(Place),
    /// The dealer.
    Dealer,
    /// Nobody: the hand is over.
    Nobody,
}

/// What a player lays open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown {
    /// These cards; `None` stays closed.
    Cards(Vec<Option<Card>>),
    /// The cards that were dealt.
    AsDealt,
}

/// One step of the hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Move {
    /// The dealer gives a player cards.
    DealHole(Place, Vec<Option<Card>>),
    /// The dealer turns board cards.
    DealBoard(Vec<Card>),
    /// The dealer turns over the hands of all who have neither shown nor mucked.
    OpenAll,
    /// A player folds.
    Fold(Place),
    /// A player checks, or calls as much as the stack allows.
    Call(Place),
    /// A player bets or raises, to this much on this street.
    RaiseTo(Place, Chips),
    /// A player shows.
    Show(Place, Shown),
    /// A player mucks.
    Muck(Place),
}

/// A hand in play.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hand {
    min_bet: Chips,
    seats: Vec<Seat>,
    /// Antes that buy no claim.
    dead: Chips,
    board: Vec<Card>,
    stage: Stage,
    /// Players still to act on this street, the next one first.
    queue: Vec<Place>,
    /// Who opened or last raised this street, else who was first to act: shows first.
    opener: Place,
    /// The size of a full raise on this street: the largest so far, and the minimum bet at least.
    full_raise: Chips,
}

impl Hand {
    /// Seats the players and takes antes and blinds.
    ///
    /// # Errors
    /// When the lists differ in length, or are too short or too long, or a stack or the minimum bet is nothing.
    pub fn open(setup: &Setup) -> Result<Self, SetupError> {
        let players = setup.stacks.len();
        if !(PLAYERS_MIN..=PLAYERS_MAX).contains(&players) {
            return Err(SetupError::Players(players));
        }
        for (member, length) in [("antes", setup.antes.len()), ("blinds_or_straddles", setup.blinds.len())] {
            if length != players {
                return Err(SetupError::Length { member, length, players });
            }
        }
        if let Some(index) = setup.stacks.iter().position(|stack| stack.is_zero()) {
            return Err(SetupError::EmptyStack(index + 1));
        }
        if setup.min_bet.is_zero() {
            return Err(SetupError::NoMinBet);
        }
        let mut hand = Self {
            min_bet: setup.min_bet,
            seats: setup.stacks.iter().copied().map(Seat::new).collect(),
            dead: Chips::ZERO,
            board: Vec::with_capacity(BOARD_CARDS),
            stage: Stage::Holes,
            queue: Vec::with_capacity(players),
            opener: Place(0),
            full_raise: setup.min_bet,
        };
        hand.post(&setup.antes);
        match setup.ante_rule {
            Antes::Trimmed => hand.collect(),
            Antes::Dead => hand.bury(),
        }
        hand.post(&setup.blinds);
        Ok(hand)
    }

    /// The hand after a move.
    ///
    /// # Errors
    /// When the rules forbid the move; the error says which, and what would be allowed.
    pub fn play(&self, step: &Move) -> Result<Self, RuleError> {
        let mut next = self.clone();
        match step {
            Move::DealHole(place, cards) => next.deal_hole(*place, cards)?,
            Move::DealBoard(cards) => next.deal_board(cards)?,
            Move::OpenAll => next.open_all()?,
            Move::Fold(place) => next.fold(*place)?,
            Move::Call(place) => next.call(*place)?,
            Move::RaiseTo(place, to) => next.raise_to(*place, *to)?,
            Move::Show(place, shown) => next.show(*place, shown)?,
            Move::Muck(place) => next.muck(*place)?,
        }
        Ok(next)
    }

    /// The players, in the order of their places.
    #[must_use]
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// The board cards dealt so far.
    #[must_use]
    pub fn board(&self) -> &[Card] {
        &self.board
    }

    /// Where the hand is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Who is to act.
    #[must_use]
    pub fn to_act(&self) -> ToAct {
        match self.stage {
            Stage::Holes | Stage::Board => ToAct::Dealer,
            Stage::Betting => self.queue.first().map_or(ToAct::Dealer, |place| ToAct::Player(*place)),
            Stage::Showdown => self.next_to_show().map_or(ToAct::Dealer, ToAct::Player),
            Stage::Done => ToAct::Nobody,
        }
    }

    /// All chips in the middle: antes, earlier streets and the bets of this one. Nothing once they are paid out.
    #[must_use]
    pub fn pot(&self) -> Chips {
        match self.stage {
            Stage::Done => Chips::ZERO,
            _ => self.dead + self.seats.iter().map(|seat| seat.put_in + seat.bet).sum(),
        }
    }

    /// Main pot and side pots as collected so far, without the bets of this street. As they were paid out, once the hand is over.
    #[must_use]
    pub fn pots(&self) -> Vec<Pot> {
        let stakes: Vec<Stake> = self
            .places()
            .map(|place| {
                let seat = self.seat(place);
                let claim = if seat.is_live() { Claim::Live } else { Claim::Gone };
                Stake { place, amount: seat.put_in, claim }
            })
            .collect();
        pots::pots(&stakes, self.dead)
    }

    /// The cards that have been dealt, as far as they are known.
    #[must_use]
    pub fn known_cards(&self) -> CardSet {
        self.seats.iter().flat_map(|seat| seat.hole.known()).chain(self.board.iter().copied()).collect()
    }

    fn places(&self) -> impl Iterator<Item = Place> + use<> {
        // Lists are as long as PLAYERS_MAX at most.
        (0..self.seats.len() as u8).map(Place)
    }

    /// All places once, beginning with `first`.
    fn places_from(&self, first: Place) -> impl Iterator<Item = Place> + use<> {
        self.places().skip(first.index()).chain(self.places().take(first.index()))
    }

    fn seat(&self, place: Place) -> &Seat {
        &self.seats[place.index()]
    }

    fn seat_mut(&mut self, place: Place) -> &mut Seat {
        &mut self.seats[place.index()]
    }

    fn check_seat(&self, place: Place) -> Result<(), RuleError> {
        match place.index() < self.seats.len() {
            true => Ok(()),
            false => Err(RuleError::NoSuchPlayer { place, players: self.seats.len() }),
        }
    }

    fn live_count(&self) -> usize {
        self.seats.iter().filter(|seat| seat.is_live()).count()
    }

    fn highest_bet(&self) -> Chips {
        self.seats.iter().map(|seat| seat.bet).max().unwrap_or_default()
    }

    /// Takes forced bets, as far as stacks reach.
    fn post(&mut self, amounts: &[Chips]) {
        let heads_up = self.seats.len() == 2;
        for (index, seat) in self.seats.iter_mut().enumerate() {
            seat.wager(amounts[if heads_up { 1 - index } else { index }]);
        }
    }

    /// Makes the bets dead money.
    fn bury(&mut self) {
        for seat in &mut self.seats {
            self.dead += std::mem::take(&mut seat.bet);
        }
    }

    /// Returns what of the highest bet nobody matched, and moves the rest to the middle.
    fn collect(&mut self) {
        let mut bets: Vec<Chips> = self.seats.iter().map(|seat| seat.bet).collect();
        bets.sort_unstable();
        // There are two seats at least.
        let matched = bets[bets.len() - 2];
        for seat in &mut self.seats {
            let bet = std::mem::take(&mut seat.bet);
            seat.stack += bet.saturating_sub(matched);
            seat.put_in += bet.min(matched);
        }
    }
}
