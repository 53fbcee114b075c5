//! The session: reads actions, asks the hand, deals from the turn's seed where the plugin deals, and tells players their cards.
//!
//! No rule of poker is in here: see `hand`.

use croupier_sdk::{Anything, Game, Player, Refusal, Turn};
use serde::{Deserialize, Serialize};

use crate::cards::{Card, format_cards};
use crate::config::{Config, Deal};
use crate::hand::{Hand, Move, RuleError, Stage, ToAct};
use crate::notation::{Actor, Command, parse};
use crate::reply::Reply;
use crate::seat::{HOLE_CARDS, Place};
use crate::unit::Unit;

/// One session: one hand.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holdem {
    unit: Unit,
    deal: Deal,
    hand: Hand,
}

/// What a player is sent: the own hole cards.
#[derive(Serialize)]
struct HoleMessage {
    hole: String,
}

/// What everybody is sent: the board so far.
#[derive(Serialize)]
struct BoardMessage {
    board: String,
}

impl Game for Holdem {
    type Config = Config;
    type Profile = Anything;
    type Action = String;
    type Reply = Reply;

    fn open(config: Config, _turn: &mut Turn<'_>) -> Result<(Self, Reply), Refusal> {
        let (unit, hand) = config.start().map_err(|error| Refusal::bad_input(error.to_string()))?;
        let game = Self { unit, deal: config.deal(), hand };
        let reply = game.reply();
        Ok((game, reply))
    }

    fn join(&mut self, player: Player, _profile: Anything, _turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        self.check_player(player)?;
        Ok(self.reply())
    }

    fn leave(&mut self, player: Player, _turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        self.check_player(player)?;
        Ok(self.reply())
    }

    fn action(&mut self, player: Player, action: String, turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        let command = parse(&action, self.unit).map_err(|error| Refusal::bad_input(error.to_string()))?;
        let hand = match command {
            Command::Remark => return Ok(self.reply()),
            Command::Deal => self.deal_holes(player, turn)?,
            Command::Move(actor, step) => {
                self.check_actor(player, actor, &step)?;
                self.play(&self.hand, &step)?
            }
        };
        let hand = match self.deal {
            Deal::Scripted => hand,
            Deal::Seed => self.deal_on(hand, turn)?,
        };
        tell(&self.hand, &hand, turn)?;
        // The last thing that can fail is behind us: a refused action leaves no trace.
        self.hand = hand;
        Ok(self.reply())
    }

    fn close(&mut self, _turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        Ok(self.reply())
    }
}

impl Holdem {
    /// The hand, for tests and tools.
    #[must_use]
    pub fn hand(&self) -> &Hand {
        &self.hand
    }

    fn reply(&self) -> Reply {
        Reply::of(&self.hand, self.unit)
    }

    fn check_player(&self, player: Player) -> Result<(), Refusal> {
        let players = self.hand.seats().len() as u64;
        match player.0 {
            number if (1..=players).contains(&number) => Ok(()),
            _ => Err(Refusal::rule(format!("{player} has no seat: this hand has players 1 to {players}"))),
        }
    }

    fn check_actor(&self, player: Player, actor: Actor, step: &Move) -> Result<(), Refusal> {
        match (actor, step) {
            (Actor::Player(place), _) if player.0 == place.number() => Ok(()),
            (Actor::Player(place), _) => {
                Err(Refusal::rule(format!("{player} cannot act for {place}: send your own actions only")))
            }
            (Actor::Dealer, _) if !player.is_house() => {
                Err(Refusal::rule(format!("{player} cannot act as the dealer: that is the house, player 0")))
            }
            (Actor::Dealer, Move::DealHole(..) | Move::DealBoard(_)) if self.deal == Deal::Seed => {
                Err(Refusal::rule(
                    "this hand is dealt from the seed: send \"deal\", or open with \"deal\": \"scripted\"",
                ))
            }
            (Actor::Dealer, _) => Ok(()),
        }
    }

    fn play(&self, hand: &Hand, step: &Move) -> Result<Hand, Refusal> {
        hand.play(step).map_err(|error| self.refusal(&error))
    }

    fn refusal(&self, error: &RuleError) -> Refusal {
        let amount = |chips| self.unit.amount(chips);
        match error {
            RuleError::Amount { place, to, min, max } => Refusal::rule(format!(
                "{place} cannot raise to {}: to {} at least, and to {} (all-in) at most",
                amount(*to),
                amount(*min),
                amount(*max)
            )),
            error => Refusal::rule(error.to_string()),
        }
    }

    /// Starts the hand: two cards for each player, drawn from the turn's seed.
    fn deal_holes(&self, player: Player, turn: &mut Turn<'_>) -> Result<Hand, Refusal> {
        if !player.is_house() {
            return Err(Refusal::rule(format!("{player} cannot deal: that is up to the house, player 0")));
        }
        if self.deal == Deal::Scripted {
            return Err(Refusal::rule("this hand has a scripted deal: name the cards, as in d dh p1 TcQc"));
        }
        if self.hand.stage() != Stage::Holes {
            return Err(Refusal::rule("the hole cards have been dealt already"));
        }
        let mut deck = draw(&self.hand, turn).into_iter();
        let mut hand = self.hand.clone();
        while let Some(place) = hand.hole_due() {
            let cards: Vec<Option<Card>> = deck.by_ref().take(HOLE_CARDS).map(Some).collect();
            hand = self.play(&hand, &Move::DealHole(place, cards))?;
        }
        Ok(hand)
    }

    /// Deals what is due after a move, all of it in the same turn: the next street, or, when nobody can bet any more before the river, all hands and the rest of the board.
    fn deal_on(&self, mut hand: Hand, turn: &mut Turn<'_>) -> Result<Hand, Refusal> {
        loop {
            let due = hand.board_due();
            match hand.stage() {
                Stage::Showdown if due > 0 && hand.to_act() != ToAct::Dealer => {
                    hand = self.play(&hand, &Move::OpenAll)?;
                }
                Stage::Board | Stage::Showdown if due > 0 => {
                    let cards = draw(&hand, turn).into_iter().take(due).collect();
                    hand = self.play(&hand, &Move::DealBoard(cards))?;
                }
                _ => return Ok(hand),
            }
        }
    }
}

/// The cards that are in nobody's hand and not on the board, shuffled with the turn's chance. Nothing of it is kept: cards to come do not exist before they are
/// drawn, so no snapshot and no log can give them away.
fn draw(hand: &Hand, turn: &mut Turn<'_>) -> Vec<Card> {
    let mut deck = hand.known_cards().others();
    turn.rng().shuffle(&mut deck);
    deck
}

/// Sends each player the hole cards dealt in this turn, and everybody the board when it has grown.
fn tell(before: &Hand, after: &Hand, turn: &mut Turn<'_>) -> Result<(), Refusal> {
    if before.stage() == Stage::Holes {
        for (index, (old, new)) in before.seats().iter().zip(after.seats()).enumerate() {
            let Some(cards) = new.hole.both().filter(|_| old.hole != new.hole) else { continue };
            // Ten seats at most.
            let player = Player(Place(index as u8).number());
            turn.send(player, &HoleMessage { hole: format_cards(&cards) })?;
        }
    }
    if before.board().len() != after.board().len() {
        turn.send(Player::ALL, &BoardMessage { board: format_cards(after.board()) })?;
    }
    Ok(())
}
