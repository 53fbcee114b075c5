//! The table as a Croupier game: who may do what, where the dice come from, what is answered and told to all.

use croupier_sdk::{Game, Level, Player, Refusal, Turn};
use serde::{Deserialize, Serialize};

use crate::action::{
    Action, BetLine, LeftLine, ManyLine, Profile, Reply, ResultLine, RollLine, Throw, named,
};
use crate::dice::Dice;
use crate::error::Illegal;
use crate::rules::{DiceFrom, Rules};
use crate::table::Table;
use crate::tally::Tally;

/// Most rolls in one turn.
pub const ROLLS_PER_TURN_MAX: u32 = 10_000;

/// One craps table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Craps {
    table: Table,
}

impl From<Illegal> for Refusal {
    fn from(illegal: Illegal) -> Refusal {
        match illegal {
            Illegal::Config(_) | Illegal::NoSuchBet { .. } | Illegal::NoSuchOdds { .. } => {
                Refusal::bad_input(illegal.to_string())
            }
            _ => Refusal::rule(illegal.to_string()),
        }
    }
}

impl Game for Craps {
    type Config = Rules;
    type Profile = Profile;
    type Action = Action;
    type Reply = Reply;

    fn open(rules: Rules, _turn: &mut Turn<'_>) -> Result<(Craps, Reply), Refusal> {
        let craps = Craps { table: Table::new(rules)? };
        let reply = craps.reply();
        Ok((craps, reply))
    }

    fn join(&mut self, player: Player, profile: Profile, _turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        self.table.join(player.0, profile.bankroll)?;
        Ok(self.reply())
    }

    fn leave(&mut self, player: Player, _turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        let out = self.table.leave(player.0)?;
        let left = LeftLine { paid: out.paid, returned: out.returned, forfeited: out.forfeited };
        Ok(Reply { left: Some(left), ..self.reply() })
    }

    fn action(&mut self, player: Player, action: Action, turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        match action {
            Action::Show if player.is_house() => return Ok(self.reply()),
            Action::Show | Action::Roll(_) | Action::Rolls(_) => {}
            _ if player.is_house() => return Err(Illegal::NotForHouse.into()),
            _ => {}
        }
        match action {
            Action::Bet(order) => self.table.bet(player.0, order.spot()?, order.amount)?,
            Action::Odds(order) => self.table.bet(player.0, order.odds_spot()?, order.amount)?,
            Action::Remove(bet) => {
                let back = self.table.remove(player.0, named(bet.kind, bet.number)?, bet.amount)?;
                return Ok(Reply { returned: Some(back), ..self.reply_to(player)? });
            }
            Action::Turn(bet) => self.table.switch(player.0, named(bet.kind, bet.number)?, bet.to)?,
            Action::Standing(orders) => {
                let standing = orders.iter().map(|order| order.standing()).collect::<Result<_, _>>()?;
                self.table.stand(player.0, standing)?;
            }
            Action::Roll(throw) => return self.roll(player, throw, turn),
            Action::Rolls(count) => return self.rolls(player, count, turn),
            Action::Show => {}
        }
        self.reply_to(player)
    }

    fn close(&mut self, _turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        let paid = self.table.close().into_iter().collect();
        Ok(Reply { paid: Some(paid), ..self.reply() })
    }
}

impl Craps {
    /// The table, for looking at.
    pub fn table(&self) -> &Table {
        &self.table
    }

    fn roll(&mut self, player: Player, throw: Throw, turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        if !player.is_house() && self.table.shooter() != Some(player.0) {
            return Err(Illegal::NotShooter(self.table.shooter().unwrap_or(0)).into());
        }
        let dice = match (throw, self.table.rules().dice) {
            (Throw::Random, DiceFrom::Random) => throw_dice(turn),
            (Throw::Scripted(dice), DiceFrom::Scripted) if player.is_house() => dice,
            (_, DiceFrom::Scripted) => return Err(Illegal::Scripted.into()),
            (Throw::Scripted(_), DiceFrom::Random) => return Err(Illegal::Random.into()),
        };
        let mut results = Vec::new();
        let rolled = self.table.roll(dice, &mut |decision| results.push(ResultLine::of(decision)));
        let roll = RollLine { dice: dice.faces(), total: dice.total(), call: rolled.call, results };
        let reply = Reply { roll: Some(roll), ..self.reply() };
        tell(&reply, turn);
        Ok(reply)
    }

    fn rolls(&mut self, player: Player, count: u32, turn: &mut Turn<'_>) -> Result<Reply, Refusal> {
        if !player.is_house() {
            return Err(Illegal::OnlyHouse.into());
        }
        if self.table.rules().dice == DiceFrom::Scripted {
            return Err(Illegal::Scripted.into());
        }
        if !(1..=ROLLS_PER_TURN_MAX).contains(&count) {
            return Err(Illegal::Rolls { count, max: ROLLS_PER_TURN_MAX }.into());
        }
        let mut tally = Tally::default();
        let mut skipped = 0;
        for _ in 0..count {
            let dice = throw_dice(turn);
            tally.count_roll(dice.total());
            skipped += u64::from(self.table.roll(dice, &mut |decision| tally.count(decision)).skipped);
        }
        let bets = tally.families().into_iter().collect();
        let many = ManyLine { rolled: count, totals: tally.totals(), bets, skipped };
        let reply = Reply { many: Some(many), ..self.reply() };
        tell(&reply, turn);
        Ok(reply)
    }

    fn reply_to(&self, player: Player) -> Result<Reply, Refusal> {
        Ok(Reply { bets: Some(BetLine::of(self.table.seat(player.0)?)), ..self.reply() })
    }

    fn reply(&self) -> Reply {
        let seats = self.table.seats();
        Reply {
            point: self.table.point().map(|point| point.number()),
            shooter: self.table.shooter(),
            rolls: self.table.rolls(),
            bankrolls: seats.iter().map(|seat| (seat.player, seat.bankroll)).collect(),
            on_table: seats.iter().map(|seat| (seat.player, seat.on_table())).collect(),
            house: self.table.ledger().house,
            bets: None,
            returned: None,
            roll: None,
            many: None,
            left: None,
            paid: None,
        }
    }
}

fn throw_dice(turn: &mut Turn<'_>) -> Dice {
    let (a, b) = (turn.rng().die(), turn.rng().die());
    Dice::new(a, b).expect("the SDK's die shows 1 to 6")
}

/// Tells everybody. A table that may not speak plays on: the money is settled already.
fn tell(reply: &Reply, turn: &mut Turn<'_>) {
    if let Err(refusal) = turn.send(Player::ALL, reply) {
        turn.log(Level::Warn, &format!("the roll was settled but not told to the players: {refusal}"));
    }
}
