//! Actions as text, in the notation of the poker hand history format (PHH).
//!
//! ```text
//! d dh p1 TcQc     the dealer gives player 1 two cards; ???? when they are not known
//! d db 7d5h9d      the dealer turns board cards
//! p3 f             player 3 folds
//! p1 cc            player 1 checks or calls
//! p4 cbr 210       player 4 bets or raises, to 210 on this street
//! p1 sm TcQc       player 1 shows; - for the cards as dealt, ???? to show nothing and not muck
//! p2 sm            player 2 mucks
//! # a remark       nothing happens; remarks may follow any action
//! ```
//!
//! Two words are our own: `d sm`, the dealer turns over all hands that were neither shown nor mucked, and `deal`, which starts a hand that the
//! plugin deals itself. Reads only; what is allowed: see `hand`.

use croupier_sdk::Decimal;
use thiserror::Error;

use crate::cards::{Card, CardError, parse_cards};
use crate::hand::{Move, Shown};
use crate::seat::{PLAYERS_MAX, Place};
use crate::unit::{AmountError, Unit};

/// The longest action with its remark, in bytes.
pub const ACTION_BYTES_MAX: usize = 1024;

/// Who an action is by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Actor {
    /// The dealer: the house, player 0 of the session.
    Dealer,
    /// A player.
    Player(Place),
}

/// What a text asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Nothing: empty, or a remark.
    Remark,
    /// Deal from the turn's seed.
    Deal,
    /// A move by its actor.
    Move(Actor, Move),
}

/// Why a text is no action.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotationError {
    /// Too long to be looked at.
    #[error("an action of {0} bytes: at most {ACTION_BYTES_MAX} are read")]
    TooLong(usize),
    /// None of the forms.
    #[error(
        "\"{0}\" is no action of hold'em: write d dh pN CARDS, d db CARDS, pN f, pN cc, pN cbr AMOUNT, pN sm or pN sm CARDS"
    )]
    Unknown(String),
    /// Not `p1` to `p10`.
    #[error("\"{0}\" is no player: write p1 to p{PLAYERS_MAX}")]
    Player(String),
    /// Not cards.
    #[error(transparent)]
    Cards(#[from] CardError),
    /// `??` on the board.
    #[error("board cards lie open: an unknown card (??) cannot be one of them")]
    UnknownBoardCard,
    /// Not a number.
    #[error("\"{0}\" is no amount: write digits, with a point where needed")]
    Number(String),
    /// A number that is no amount of chips.
    #[error("amount: {0}")]
    Amount(#[from] AmountError),
}

/// Reads an action.
///
/// # Errors
/// When the text is none; the error names the word at fault.
pub fn parse(text: &str, unit: Unit) -> Result<Command, NotationError> {
    if text.len() > ACTION_BYTES_MAX {
        return Err(NotationError::TooLong(text.len()));
    }
    let action = text.split('#').next().unwrap_or_default();
    let words: Vec<&str> = action.split_ascii_whitespace().collect();
    let dealer = |step| Ok(Command::Move(Actor::Dealer, step));
    match words[..] {
        [] => Ok(Command::Remark),
        ["deal"] => Ok(Command::Deal),
        ["d", "sm"] => dealer(Move::OpenAll),
        ["d", "dh", player, cards] => dealer(Move::DealHole(parse_place(player)?, parse_cards(cards)?)),
        ["d", "db", cards] => dealer(Move::DealBoard(parse_board(cards)?)),
        ["d", ..] => Err(NotationError::Unknown(action.trim().to_owned())),
        [player, ref verb @ ..] => {
            let place = parse_place(player)?;
            let step = match *verb {
                ["f"] => Move::Fold(place),
                ["cc"] => Move::Call(place),
                ["cbr", amount] => Move::RaiseTo(place, unit.chips(parse_number(amount)?)?),
                ["sm"] => Move::Muck(place),
                ["sm", "-"] => Move::Show(place, Shown::AsDealt),
                ["sm", cards] => Move::Show(place, Shown::Cards(parse_cards(cards)?)),
                _ => return Err(NotationError::Unknown(action.trim().to_owned())),
            };
            Ok(Command::Move(Actor::Player(place), step))
        }
    }
}

fn parse_place(word: &str) -> Result<Place, NotationError> {
    let digits = word.strip_prefix('p').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse::<usize>().ok());
    match number {
        // At most ten: fits a byte.
        Some(number @ 1..=PLAYERS_MAX) => Ok(Place((number - 1) as u8)),
        _ => Err(NotationError::Player(word.to_owned())),
    }
}

fn parse_board(word: &str) -> Result<Vec<Card>, NotationError> {
    parse_cards(word)?.into_iter().collect::<Option<Vec<Card>>>().ok_or(NotationError::UnknownBoardCard)
}

fn parse_number(word: &str) -> Result<Decimal, NotationError> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = word.parse::<Decimal>().ok().filter(|_| plain);
    number.ok_or_else(|| NotationError::Number(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chips::Chips;

    fn read(text: &str) -> Result<Command, NotationError> {
        parse(text, Unit::new("0.5".parse().unwrap()).unwrap())
    }

    #[test]
    fn every_form_is_read() {
        let player = |step| Ok(Command::Move(Actor::Player(Place(9)), step));
        assert_eq!(read("p10 f"), player(Move::Fold(Place(9))));
        assert_eq!(read("  p10   cc # well, well"), player(Move::Call(Place(9))));
        assert_eq!(read("p10 cbr 210.50"), player(Move::RaiseTo(Place(9), Chips(421))));
        assert_eq!(read("p10 sm"), player(Move::Muck(Place(9))));
        assert_eq!(read("p10 sm -"), player(Move::Show(Place(9), Shown::AsDealt)));
        assert!(matches!(read("p10 sm ??Ad"), Ok(Command::Move(_, Move::Show(_, Shown::Cards(_))))));
        assert!(matches!(read("d dh p1 ????"), Ok(Command::Move(Actor::Dealer, Move::DealHole(..)))));
        assert!(matches!(read("d db 7d5h9d"), Ok(Command::Move(Actor::Dealer, Move::DealBoard(_)))));
        assert_eq!(read(" # burn card 6s is exposed"), Ok(Command::Remark));
        assert_eq!(read(""), Ok(Command::Remark));
        assert_eq!(read("deal"), Ok(Command::Deal));
    }

    #[test]
    fn everything_else_is_named() {
        assert!(matches!(read("p1 sd"), Err(NotationError::Unknown(_))));
        assert!(matches!(read("d db"), Err(NotationError::Unknown(_))));
        for player in ["p0", "p11", "p", "p-1", "p+1", "q1", "1", "p99999999999999999999"] {
            assert_eq!(read(&format!("{player} f")), Err(NotationError::Player(player.to_owned())));
        }
        for number in ["-5", "1e3", "five", "", "1,000", "."] {
            let result = read(&format!("p1 cbr {number}"));
            assert!(matches!(result, Err(NotationError::Number(_) | NotationError::Unknown(_))), "{number}");
        }
        assert!(matches!(read("p1 cbr 0.25"), Err(NotationError::Amount(AmountError::NotWhole { .. }))));
        assert_eq!(read("d db 7d5h??"), Err(NotationError::UnknownBoardCard));
        assert_eq!(read(&"x".repeat(1025)), Err(NotationError::TooLong(1025)));
    }
}
