//! The chip: turns exact decimal amounts into whole numbers of chips and back.

use croupier_sdk::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::chips::{CHIPS_MAX, Chips};

/// The finest chip: nine digits after the point.
const CHIP_FINEST_PARTS: i64 = 1_000_000_000;

/// Why an amount is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Below nothing.
    #[error("{0} is below 0")]
    Negative(Decimal),
    /// Not made of whole chips.
    #[error("{amount} is not a multiple of the chip, {chip}")]
    NotWhole {
        /// The amount.
        amount: Decimal,
        /// The chip.
        chip: Decimal,
    },
    /// More chips than an amount may have.
    #[error("{0} is more than {CHIPS_MAX} chips")]
    TooMuch(Decimal),
    /// A chip that cannot be.
    #[error(
        "a chip of {0}: it must be above 0, at most {CHIP_FINEST_PARTS}, with nine digits after the point at most"
    )]
    Chip(Decimal),
}

/// The smallest amount that is paid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Unit(Decimal);

impl Unit {
    /// Chips of this worth.
    ///
    /// # Errors
    /// When it is nothing, below nothing, finer than nine digits or above 10⁹.
    pub fn new(chip: Decimal) -> Result<Self, AmountError> {
        let parts = chip.checked_mul(Decimal::from(CHIP_FINEST_PARTS)).and_then(Decimal::to_i64);
        let fits = parts.is_some() && chip.is_positive() && chip <= Decimal::from(CHIP_FINEST_PARTS);
        if fits { Ok(Self(chip)) } else { Err(AmountError::Chip(chip)) }
    }

    /// The amount as a number of chips.
    ///
    /// # Errors
    /// When the amount is negative, not made of whole chips or more than [`CHIPS_MAX`] chips.
    pub fn chips(self, amount: Decimal) -> Result<Chips, AmountError> {
        if amount.is_negative() {
            return Err(AmountError::Negative(amount));
        }
        // Chips are worth 10⁻⁹ at least, so beyond this no quotient needs to be looked at.
        let not_whole = AmountError::NotWhole { amount, chip: self.0 };
        let count = amount.checked_div(self.0).ok_or(not_whole.clone())?;
        if count > Decimal::from(CHIPS_MAX as i64) {
            return Err(AmountError::TooMuch(amount));
        }
        let count = count.to_i64().ok_or(not_whole)?;
        Ok(Chips(count.unsigned_abs()))
    }

    /// The worth of so many chips.
    #[must_use]
    pub fn amount(self, chips: Chips) -> Decimal {
        // At most ten stacks and their antes of CHIPS_MAX (10¹⁵) chips of 10⁹ each: far inside a Decimal's 28 digits, and inside an i64.
        Decimal::from(chips.0 as i64) * self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_whole_chips() {
        let unit = Unit::new(decimal("0.5")).unwrap();
        assert_eq!(unit.chips(decimal("10112.5")), Ok(Chips(20225)));
        assert_eq!(unit.chips(decimal("9775.0")), Ok(Chips(19550)));
        assert_eq!(unit.amount(Chips(20225)).to_string(), "10112.5");
        assert_eq!(unit.amount(Chips(19550)).to_string(), "9775");
        assert!(matches!(unit.chips(decimal("0.25")), Err(AmountError::NotWhole { .. })));
        assert!(matches!(unit.chips(decimal("-1")), Err(AmountError::Negative(_))));
        assert!(matches!(unit.chips(decimal("500000000000001")), Err(AmountError::TooMuch(_))));
        assert!(unit.chips(decimal("79228162514264337593543950335")).is_err());
    }

    #[test]
    fn a_chip_of_a_third_is_no_third() {
        let unit = Unit::new(decimal("3")).unwrap();
        assert!(matches!(unit.chips(decimal("10")), Err(AmountError::NotWhole { .. })));
        assert_eq!(unit.chips(decimal("12")), Ok(Chips(4)));
    }

    #[test]
    fn chips_have_bounds() {
        for chip in ["0", "-1", "0.0000000001", "1000000001"] {
            assert!(matches!(Unit::new(decimal(chip)), Err(AmountError::Chip(_))), "{chip}");
        }
        assert!(Unit::new(decimal("0.000000001")).is_ok());
    }
}
