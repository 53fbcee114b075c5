//! Why the table says no. Nothing has changed when it does.

use crate::spot::{Kind, Spot};

/// A refusal; its text is for the player.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Illegal {
    #[error("the config makes no sense: {0}")]
    Config(String),
    #[error("there is no {} bet{}; see the plugin's description for kinds and numbers", name(*kind), on(*number))]
    NoSuchBet { kind: Kind, number: Option<u8> },
    #[error("there are no odds on {}{}; odds stand behind pass, don't pass, come 4 and don't come 4 (or 5, 6, 8, 9, 10)", name(*kind), on(*number))]
    NoSuchOdds { kind: Kind, number: Option<u8> },
    #[error("player {0} has no seat; join first")]
    NoSeat(u64),
    #[error("player {0} already has a seat")]
    Seated(u64),
    #[error("the table is full: {0} players")]
    Full(usize),
    #[error("a bankroll of {amount} is not between 0 and {max}")]
    Bankroll { amount: i64, max: i64 },
    #[error("the amount {amount} is not a positive multiple of {step}")]
    Step { amount: i64, step: i64 },
    #[error("{would} on {} is under the table's minimum of {min}", place(*spot))]
    UnderMinimum { spot: Spot, would: i64, min: i64 },
    #[error("{would} on {} is over the maximum of {max}", place(*spot))]
    OverMaximum { spot: Spot, would: i64, max: i64 },
    #[error("{would} on {} would win nothing; bet more", place(*spot))]
    WinsNothing { spot: Spot, would: i64 },
    #[error("the bankroll is {bankroll}, and the bet costs {cost}")]
    Short { bankroll: i64, cost: i64 },
    #[error("no more bets over a bankroll of {max}; leave with your winnings")]
    TooRich { max: i64 },
    #[error("{} is for the come-out roll; the point is on", place(*.0))]
    OnlyComeOut(Spot),
    #[error("{} needs a point; wait for the come-out roll", place(*.0))]
    OnlyPoint(Spot),
    #[error("a come bet moves to its number by itself; bet on \"come\" without a number")]
    MovesByItself,
    #[error("{} needs a bet to stand behind", place(*.0))]
    NoFlat(Spot),
    #[error("there is no bet on {}", place(*.0))]
    Nothing(Spot),
    #[error("{} is a contract bet: it stays until it is decided", place(*.0))]
    Contract(Spot),
    #[error("{} cannot be turned on or off", place(*.0))]
    NoSwitch(Spot),
    #[error("taking {amount} off {} would leave {left}; take it down whole, or leave a legal bet", place(*spot))]
    Leaves { spot: Spot, amount: i64, left: i64 },
    #[error("{count} standing bets are more than {max}")]
    TooManyStanding { count: usize, max: usize },
    #[error("the dice are with player {0}")]
    NotShooter(u64),
    #[error("only the house does this")]
    OnlyHouse,
    #[error("the house only rolls and looks; it does not bet")]
    NotForHouse,
    #[error("the dice of this table are scripted: the house gives them, as in {{\"roll\":[3,4]}}")]
    Scripted,
    #[error("the dice of this table are random: {{\"roll\":true}} or {{\"rolls\":100}}")]
    Random,
    #[error("{count} rolls in one turn are not between 1 and {max}")]
    Rolls { count: u32, max: u32 },
}

/// A place in words: `place 6`.
pub(crate) fn place(spot: Spot) -> String {
    format!("{}{}", name(spot.kind()), spot.number().map_or(String::new(), |n| format!(" {n}")))
}

fn on(number: Option<u8>) -> String {
    number.map_or(String::new(), |n| format!(" on {n}"))
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Pass => "pass",
        Kind::DontPass => "don't pass",
        Kind::PassOdds => "pass odds",
        Kind::DontPassOdds => "don't pass odds",
        Kind::Come => "come",
        Kind::DontCome => "don't come",
        Kind::ComeOdds => "come odds",
        Kind::DontComeOdds => "don't come odds",
        Kind::Place => "place",
        Kind::Buy => "buy",
        Kind::Lay => "lay",
        Kind::Field => "field",
        Kind::Hard => "hard",
        Kind::AnySeven => "any seven",
        Kind::AnyCraps => "any craps",
        Kind::Number => "number",
        Kind::Horn => "horn",
    }
}
