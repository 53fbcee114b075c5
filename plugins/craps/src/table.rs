//! The table: seats, point, shooter, and the money.
//!
//! ```text
//!            4 5 6 8 9 10                   the point again: made
//!  come-out ──────────────▶ point is on ──────────────────────────▶ come-out, same shooter
//!     ▲  │ 2 3 7 11 12          │  │ any other number                 ▲
//!     └──┘                      │  └─▶ point is on                    │
//!                               └──── 7: seven-out, next shooter ─────┘
//! ```
//!
//! A bet that is decided comes down with what it won; a standing bet puts it up again. Refused moves change nothing.
//! At every moment `bankrolls + bets + house = bought in − cashed out` ([`Table::imbalance`] is 0).
//! This is no source of chance: dice are an argument.

use serde::{Deserialize, Serialize};

use crate::dice::{Dice, Point};
use crate::error::Illegal;
use crate::legal::{check_amount, is_contract, left_after, legal_bet};
use crate::payout::{Verdict, decide, winnings};
use crate::rules::{ComeOut, Rules};
use crate::seat::{Bets, Seat, Stake, Standing, Working};
use crate::spot::Spot;

/// Most players at a table; the manifest says the same.
pub const SEATS_MAX: usize = 20;
/// Most that a player can buy in for.
pub const BUY_IN_MAX: i64 = 1_000_000_000_000_000;
/// A player with more than this in hand gets no more bets. One layout full of the largest bets wins under 10^16, so that no
/// bankroll leaves an `i64`.
pub const BANKROLL_MAX: i64 = 100_000_000_000_000_000;
/// Most standing bets of a player.
pub const STANDING_MAX: usize = 64;

/// One session's whole state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    rules: Rules,
    point: Option<Point>,
    seats: Vec<Seat>,
    shooter: Option<u64>,
    rolls: u64,
    ledger: Ledger,
}

/// The house's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// What the house has won from all players so far, less what it lost.
    pub house: i128,
    /// All that players brought.
    pub bought_in: i128,
    /// All that players took away.
    pub cashed_out: i128,
}

/// What became of one bet in one roll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whose bet.
    pub player: u64,
    /// Where it lay.
    pub spot: Spot,
    /// What became of it.
    pub outcome: Outcome,
    /// What lay there, commission included.
    pub staked: i64,
    /// What came back: nothing, the amount, or the amount and its winnings.
    pub paid: i64,
}

/// What becomes of a bet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It won.
    Won,
    /// It lost.
    Lost,
    /// It was given back.
    Pushed,
}

/// What the stickman calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// 7 or 11 on a come-out roll.
    Natural,
    /// 2, 3 or 12 on a come-out roll.
    Craps,
    /// A come-out roll made a point.
    PointOn,
    /// The point came again.
    PointMade,
    /// A seven came before the point.
    SevenOut,
    /// Any other number while a point is on.
    Number,
}

/// What a roll did to the table as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rolled {
    /// What the stickman calls.
    pub call: Call,
    /// Standing bets that could not be made for want of money.
    pub skipped: u32,
}

/// What a leaver gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CashOut {
    /// Paid out in all.
    pub paid: i64,
    /// Bets taken down, a part of `paid`.
    pub returned: i64,
    /// Contract bets left to the house.
    pub forfeited: i64,
}

impl Table {
    /// An empty table on a come-out roll.
    ///
    /// # Errors
    /// [`Illegal::Config`].
    pub fn new(rules: Rules) -> Result<Table, Illegal> {
        rules.check()?;
        Ok(Table {
            rules,
            point: None,
            seats: Vec::new(),
            shooter: None,
            rolls: 0,
            ledger: Ledger::default(),
        })
    }

    /// The table's rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The point; `None` on a come-out roll.
    pub fn point(&self) -> Option<Point> {
        self.point
    }

    /// Who has the dice; `None` at an empty table.
    pub fn shooter(&self) -> Option<u64> {
        self.shooter
    }

    /// Rolls so far.
    pub fn rolls(&self) -> u64 {
        self.rolls
    }

    /// The house's books.
    pub fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// The players in the order in which they came, which is the order in which the dice go round.
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// A player's seat.
    ///
    /// # Errors
    /// [`Illegal::NoSeat`].
    pub fn seat(&self, player: u64) -> Result<&Seat, Illegal> {
        self.seats.iter().find(|seat| seat.player == player).ok_or(Illegal::NoSeat(player))
    }

    fn seat_mut(&mut self, player: u64) -> Result<&mut Seat, Illegal> {
        self.seats.iter_mut().find(|seat| seat.player == player).ok_or(Illegal::NoSeat(player))
    }

    /// Money that came from nowhere or went nowhere: 0, always.
    pub fn imbalance(&self) -> i128 {
        let players: i128 =
            self.seats.iter().map(|seat| i128::from(seat.bankroll) + i128::from(seat.on_table())).sum();
        players + self.ledger.house - (self.ledger.bought_in - self.ledger.cashed_out)
    }

    /// A player sits down with a bankroll; the first one gets the dice.
    ///
    /// # Errors
    /// The seat is taken, the table full, the bankroll out of bounds.
    pub fn join(&mut self, player: u64, bankroll: i64) -> Result<(), Illegal> {
        if self.seat(player).is_ok() {
            return Err(Illegal::Seated(player));
        }
        if self.seats.len() >= SEATS_MAX {
            return Err(Illegal::Full(SEATS_MAX));
        }
        if !(0..=BUY_IN_MAX).contains(&bankroll) {
            return Err(Illegal::Bankroll { amount: bankroll, max: BUY_IN_MAX });
        }
        self.seats.push(Seat { player, bankroll, bets: Bets::default(), standing: Vec::new() });
        self.shooter.get_or_insert(player);
        self.ledger.bought_in += i128::from(bankroll);
        Ok(())
    }

    /// A player leaves: bets that may be taken down are, contract bets are the house's. The dice go on.
    ///
    /// # Errors
    /// [`Illegal::NoSeat`].
    pub fn leave(&mut self, player: u64) -> Result<CashOut, Illegal> {
        self.seat(player)?;
        if self.shooter == Some(player) {
            self.shooter = self.next_shooter().filter(|next| *next != player);
        }
        let at = self.seats.iter().position(|seat| seat.player == player).ok_or(Illegal::NoSeat(player))?;
        let seat = self.seats.remove(at);
        let forfeited = seat
            .bets
            .iter()
            .filter(|(spot, _)| is_contract(*spot, self.point))
            .map(|(_, stake)| stake.total())
            .sum::<i64>();
        let returned = seat.on_table() - forfeited;
        let paid = seat.bankroll + returned;
        self.ledger.house += i128::from(forfeited);
        self.ledger.cashed_out += i128::from(paid);
        Ok(CashOut { paid, returned, forfeited })
    }

    /// The house closes the table: every bet is given back. Who gets how much, in the order of seats.
    pub fn close(&mut self) -> Vec<(u64, i64)> {
        let seats = std::mem::take(&mut self.seats);
        self.shooter = None;
        let paid: Vec<(u64, i64)> =
            seats.iter().map(|seat| (seat.player, seat.bankroll + seat.on_table())).collect();
        self.ledger.cashed_out += paid.iter().map(|(_, amount)| i128::from(*amount)).sum::<i128>();
        paid
    }

    /// Makes a bet, or adds to one.
    ///
    /// # Errors
    /// Whatever of the rules forbids it.
    pub fn bet(&mut self, player: u64, spot: Spot, amount: i64) -> Result<(), Illegal> {
        let stake = legal_bet(&self.rules, self.point, self.seat(player)?, spot, amount)?;
        apply_bet(self.seat_mut(player)?, spot, stake);
        Ok(())
    }

    /// Takes a bet down, whole (`None`) or in part; odds come down with the bet that they stand behind. What
    /// came back.
    ///
    /// # Errors
    /// There is none, it is a contract bet, or what would be left is no legal bet.
    pub fn remove(&mut self, player: u64, spot: Spot, amount: Option<i64>) -> Result<i64, Illegal> {
        let seat = self.seat(player)?;
        let stake = seat.bets.on(spot);
        if stake.amount == 0 {
            return Err(Illegal::Nothing(spot));
        }
        if is_contract(spot, self.point) {
            return Err(Illegal::Contract(spot));
        }
        let left = match amount {
            Some(amount) if amount != stake.amount => {
                left_after(&self.rules, self.point, seat, spot, amount)?
            }
            _ => Stake::default(),
        };
        let odds = spot.odds().filter(|_| left.amount == 0);
        let seat = self.seat_mut(player)?;
        let mut back = stake.total() - left.total();
        seat.bets.put(spot, left);
        if let Some(odds) = odds {
            back += seat.bets.take(odds).total();
        }
        seat.bankroll += back;
        Ok(back)
    }

    /// Turns a bet on or off, or back to the table's rule.
    ///
    /// # Errors
    /// There is none, or it is one that always works.
    pub fn switch(&mut self, player: u64, spot: Spot, working: Working) -> Result<(), Illegal> {
        let seat = self.seat_mut(player)?;
        let mut stake = seat.bets.on(spot);
        if stake.amount == 0 {
            return Err(Illegal::Nothing(spot));
        }
        if spot.flat().is_none()
            && !matches!(spot, Spot::Place(_) | Spot::Buy(_) | Spot::Lay(_) | Spot::Hard(_))
        {
            return Err(Illegal::NoSwitch(spot));
        }
        stake.working = working;
        seat.bets.put(spot, stake);
        Ok(())
    }

    /// Sets a player's standing bets, instead of those before. Each is made before a roll when it is allowed then and
    /// its place is empty.
    ///
    /// # Errors
    /// Too many, or one that could never be made.
    pub fn stand(&mut self, player: u64, standing: Vec<Standing>) -> Result<(), Illegal> {
        if standing.len() > STANDING_MAX {
            return Err(Illegal::TooManyStanding { count: standing.len(), max: STANDING_MAX });
        }
        for Standing { spot, amount } in &standing {
            check_amount(&self.rules, *spot, *amount)?;
        }
        self.seat_mut(player)?.standing = standing;
        Ok(())
    }

    /// Plays one roll: standing bets are made, then every bet is settled, and `sink` told of each that is
    /// decided, seat by seat.
    pub fn roll(&mut self, dice: Dice, sink: &mut dyn FnMut(Decision)) -> Rolled {
        let mut skipped = 0;
        for seat in &mut self.seats {
            skipped += make_standing(&self.rules, self.point, seat);
            let house = settle(&self.rules, self.point, seat, dice, sink);
            self.ledger.house += i128::from(house);
        }
        self.rolls += 1;
        let call = call(self.point, dice.total());
        match call {
            Call::PointOn => self.point = Point::from_number(dice.total()),
            Call::PointMade => self.point = None,
            Call::SevenOut => {
                self.point = None;
                self.shooter = self.next_shooter();
            }
            Call::Natural | Call::Craps | Call::Number => {}
        }
        Rolled { call, skipped }
    }

    /// The seat after the shooter's, round the table.
    fn next_shooter(&self) -> Option<u64> {
        let at = self.seats.iter().position(|seat| Some(seat.player) == self.shooter)?;
        self.seats.get((at + 1) % self.seats.len()).map(|seat| seat.player)
    }
}

fn call(point: Option<Point>, total: u8) -> Call {
    match (point, total) {
        (None, 7 | 11) => Call::Natural,
        (None, 2 | 3 | 12) => Call::Craps,
        (None, _) => Call::PointOn,
        (Some(_), 7) => Call::SevenOut,
        (Some(point), total) if total == point.number() => Call::PointMade,
        (Some(_), _) => Call::Number,
    }
}

fn apply_bet(seat: &mut Seat, spot: Spot, stake: Stake) {
    seat.bankroll -= stake.total() - seat.bets.on(spot).total();
    seat.bets.put(spot, stake);
}

/// Makes a seat's standing bets; how many the money did not reach for.
fn make_standing(rules: &Rules, point: Option<Point>, seat: &mut Seat) -> u32 {
    let mut skipped = 0;
    for at in 0..seat.standing.len() {
        let Standing { spot, amount } = seat.standing[at];
        if seat.bets.on(spot).amount > 0 {
            continue;
        }
        match legal_bet(rules, point, seat, spot, amount) {
            Ok(stake) => apply_bet(seat, spot, stake),
            // Not its time yet.
            Err(Illegal::OnlyComeOut(_) | Illegal::OnlyPoint(_) | Illegal::NoFlat(_)) => {}
            Err(_) => skipped += 1,
        }
    }
    skipped
}

/// Whether a bet takes part in this roll.
fn works(rules: &Rules, point: Option<Point>, spot: Spot, working: Working) -> bool {
    match (working, spot) {
        (Working::On, _) => true,
        (Working::Off, _) => false,
        (Working::Auto, Spot::Place(_) | Spot::Buy(_) | Spot::Hard(_) | Spot::ComeOdds(_)) => {
            point.is_some() || rules.come_out == ComeOut::On
        }
        (Working::Auto, _) => true,
    }
}

/// Settles a seat's bets; what the house won.
fn settle(
    rules: &Rules,
    point: Option<Point>,
    seat: &mut Seat,
    dice: Dice,
    sink: &mut dyn FnMut(Decision),
) -> i64 {
    let mut house = 0;
    for spot in &Spot::ALL {
        let spot = *spot;
        let stake = seat.bets.on(spot);
        if stake.amount == 0 {
            continue;
        }
        let mut verdict = decide(spot, point, dice, rules);
        if !works(rules, point, spot, stake.working) && verdict != Verdict::Stays {
            // Odds that rest go back when the bet that they stand behind is decided; other bets just wait.
            verdict = if spot.flat().is_some() { Verdict::Pushes } else { Verdict::Stays };
        }
        let (outcome, paid) = match verdict {
            Verdict::Stays => continue,
            Verdict::Moves(to) => {
                let stake = seat.bets.take(spot);
                seat.bets.put(to, stake);
                continue;
            }
            Verdict::Wins(odds) => (Outcome::Won, stake.amount + winnings(spot, stake.amount, odds, rules)),
            Verdict::Loses => (Outcome::Lost, 0),
            Verdict::Pushes => (Outcome::Pushed, stake.total()),
        };
        seat.bets.take(spot);
        seat.bankroll += paid;
        house += stake.total() - paid;
        sink(Decision { player: seat.player, spot, outcome, staked: stake.total(), paid });
    }
    house
}
