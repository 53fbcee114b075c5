//! Exact decimal numbers, for money. Never binary floating point: 0.1 + 0.2 is 0.3 here.
//!
//! In JSON a number; in snapshots, and whatever else is not for people, its text.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, MulAssign, Neg, Rem, Sub, SubAssign};
use std::str::FromStr;

use rust_decimal::Decimal as Inner;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most digits after the point.
pub const SCALE_MAX: u32 = 28;
/// Greatest number without its point: 2⁹⁶ − 1, that is 28 full digits and a bit.
const MANTISSA_MAX: i128 = (1 << 96) - 1;
/// Longest text of a number, in bytes; beyond, it is not even looked at.
const TEXT_BYTES_MAX: usize = 128;

/// An exact decimal number: at most 28 digits after the point, at most 79228162514264337593543950335 without it.
///
/// `+`, `-`, `*` and `%` are exact or panic (a panic ends the worker and marks the turn as poison, so bound what players may stake, or use the `checked_*` forms). There is no `/`, for
/// a quotient is seldom exact: say what you mean with [`Decimal::div_floor`], [`Decimal::checked_div`] or [`Decimal::floor_to`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(Inner);

/// Why a text is not a [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalError {
    /// Not a decimal number at all.
    Malformed,
    /// More than [`SCALE_MAX`] digits after the point.
    TooFine,
    /// Above 2⁹⁶ − 1 in size, or too many digits.
    TooBig,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecimalError::Malformed => "not a decimal number; write it as in JSON, for example 12.5",
            DecimalError::TooFine => "a number with more than 28 digits after the point is not accepted",
            DecimalError::TooBig => "a number with more than 28 digits is not accepted",
        })
    }
}

impl std::error::Error for DecimalError {}

impl Decimal {
    /// 0.
    pub const ZERO: Decimal = Decimal(Inner::ZERO);
    /// 1.
    pub const ONE: Decimal = Decimal(Inner::ONE);

    /// `mantissa` × 10^−`scale`, or `None` when it is out of range.
    pub fn new(mantissa: i128, scale: u32) -> Option<Decimal> {
        let (mut mantissa, mut scale) = (mantissa, scale);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        if scale > SCALE_MAX || mantissa.unsigned_abs() > MANTISSA_MAX as u128 {
            return None;
        }
        Inner::try_from_i128_with_scale(mantissa, scale).ok().map(Decimal)
    }

    /// Whether it is 0.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// Whether it is below 0.
    pub fn is_negative(self) -> bool {
        self < Decimal::ZERO
    }

    /// Whether it is above 0.
    pub fn is_positive(self) -> bool {
        self > Decimal::ZERO
    }

    /// Without its sign.
    #[must_use]
    pub fn abs(self) -> Decimal {
        Decimal(self.0.abs())
    }

    /// As a whole number, if it is one and fits.
    pub fn to_i64(self) -> Option<i64> {
        let (mantissa, scale) = self.parts();
        if scale == 0 { i64::try_from(mantissa).ok() } else { None }
    }

    /// The exact sum, if it fits.
    pub fn checked_add(self, other: Decimal) -> Option<Decimal> {
        let (a, b, scale) = align(self, other)?;
        Decimal::new(a.checked_add(b)?, scale)
    }

    /// The exact difference, if it fits.
    pub fn checked_sub(self, other: Decimal) -> Option<Decimal> {
        self.checked_add(-other)
    }

    /// The exact product, if it fits.
    pub fn checked_mul(self, other: Decimal) -> Option<Decimal> {
        let ((a, scale_a), (b, scale_b)) = (self.parts(), other.parts());
        Decimal::new(a.checked_mul(b)?, scale_a + scale_b)
    }

    /// The quotient, if it is exact and fits.
    pub fn checked_div(self, other: Decimal) -> Option<Decimal> {
        let quotient = Decimal(self.0.checked_div(other.0)?);
        (quotient.checked_mul(other)? == self).then_some(quotient)
    }

    /// The greatest whole number that is not above `self / other`: 7 by 2 is 3, −7 by 2 is −4.
    ///
    /// # Panics
    /// When `other` is not above 0, or the numbers are too far apart in size.
    #[must_use]
    pub fn div_floor(self, other: Decimal) -> Decimal {
        assert!(other.is_positive(), "div_floor: {other} is not above 0");
        let (a, b, _) = align(self, other).unwrap_or_else(|| overflow("div_floor", self, other));
        Decimal::new(a.div_euclid(b), 0).unwrap_or_else(|| overflow("div_floor", self, other))
    }

    /// The greatest multiple of `unit` that is not above `self`: 10.75 to 0.5 is 10.5.
    ///
    /// # Panics
    /// As [`Decimal::div_floor`].
    #[must_use]
    pub fn floor_to(self, unit: Decimal) -> Decimal {
        self.div_floor(unit) * unit
    }

    /// Whether it is a multiple of `unit`.
    ///
    /// # Panics
    /// As [`Decimal::div_floor`].
    pub fn is_multiple_of(self, unit: Decimal) -> bool {
        self.floor_to(unit) == self
    }

    /// The number without its point, and the digits after the point; no trailing zeros.
    fn parts(self) -> (i128, u32) {
        let normal = self.0.normalize();
        (normal.mantissa(), normal.scale())
    }
}

/// Both numbers as multiples of one power of ten; `None` when that does not fit, and then no sum of them does.
fn align(a: Decimal, b: Decimal) -> Option<(i128, i128, u32)> {
    let ((a, scale_a), (b, scale_b)) = (a.parts(), b.parts());
    let scale = scale_a.max(scale_b);
    let a = a.checked_mul(10i128.checked_pow(scale - scale_a)?)?;
    let b = b.checked_mul(10i128.checked_pow(scale - scale_b)?)?;
    Some((a, b, scale))
}

#[cold]
fn overflow(operation: &str, a: Decimal, b: Decimal) -> ! {
    panic!("{operation} of {a} and {b} has too many digits for an exact decimal")
}

impl Add for Decimal {
    type Output = Decimal;
    fn add(self, other: Decimal) -> Decimal {
        self.checked_add(other).unwrap_or_else(|| overflow("the sum", self, other))
    }
}

impl Sub for Decimal {
    type Output = Decimal;
    fn sub(self, other: Decimal) -> Decimal {
        self.checked_sub(other).unwrap_or_else(|| overflow("the difference", self, other))
    }
}

impl Mul for Decimal {
    type Output = Decimal;
    fn mul(self, other: Decimal) -> Decimal {
        self.checked_mul(other).unwrap_or_else(|| overflow("the product", self, other))
    }
}

/// What is left of `self` above the greatest multiple of `other`; never negative.
impl Rem for Decimal {
    type Output = Decimal;
    fn rem(self, other: Decimal) -> Decimal {
        let multiple = self.floor_to(other);
        self.checked_sub(multiple).unwrap_or_else(|| overflow("the remainder", self, other))
    }
}

impl Neg for Decimal {
    type Output = Decimal;
    fn neg(self) -> Decimal {
        Decimal(-self.0)
    }
}

impl AddAssign for Decimal {
    fn add_assign(&mut self, other: Decimal) {
        *self = *self + other;
    }
}

impl SubAssign for Decimal {
    fn sub_assign(&mut self, other: Decimal) {
        *self = *self - other;
    }
}

impl MulAssign for Decimal {
    fn mul_assign(&mut self, other: Decimal) {
        *self = *self * other;
    }
}

impl Sum for Decimal {
    fn sum<I: Iterator<Item = Decimal>>(iter: I) -> Decimal {
        iter.fold(Decimal::ZERO, Add::add)
    }
}

impl<'a> Sum<&'a Decimal> for Decimal {
    fn sum<I: Iterator<Item = &'a Decimal>>(iter: I) -> Decimal {
        iter.copied().sum()
    }
}

macro_rules! from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Decimal {
            fn from(value: $integer) -> Decimal {
                Decimal(Inner::from(value))
            }
        }
    )*};
}
from_integer!(i8, i16, i32, i64, u8, u16, u32, u64, usize);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.normalize(), f)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads a number as JSON writes it: sign, digits, point, exponent. Exactly, or not at all.
    fn from_str(text: &str) -> Result<Decimal, DecimalError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(DecimalError::TooBig);
        }
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, exponent) = match rest.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, parse_exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(DecimalError::Malformed);
        }
        // Zeros at either end are no digits of the number; what is left must fit.
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_end_matches('0');
        let scale = fraction.len() as i64 - exponent - (digits.len() - significant.len()) as i64;
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Ok(Decimal::ZERO);
        }
        if scale > i64::from(SCALE_MAX) {
            return Err(DecimalError::TooFine);
        }
        if significant.len() as i64 + (-scale).max(0) > 29 {
            return Err(DecimalError::TooBig);
        }
        let mut mantissa: i128 = significant.parse().map_err(|_| DecimalError::TooBig)?;
        if scale < 0 {
            mantissa *= 10i128.pow(scale.unsigned_abs() as u32);
        }
        let signed = if negative { -mantissa } else { mantissa };
        Decimal::new(signed, scale.max(0) as u32).ok_or(DecimalError::TooBig)
    }
}

/// An exponent; the bound keeps the arithmetic around it far from overflow and is far above any that can fit.
fn parse_exponent(text: &str) -> Result<i64, DecimalError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    let digits = digits.trim_start_matches('0');
    if digits.len() > 6 {
        return Err(if text.starts_with('-') { DecimalError::TooFine } else { DecimalError::TooBig });
    }
    let value: i64 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| DecimalError::TooBig)? };
    Ok(if text.starts_with('-') { -value } else { value })
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.to_string();
        if !serializer.is_human_readable() {
            return serializer.serialize_str(&text);
        }
        let number = serde_json::Number::from_str(&text).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        use serde::de::Error as _;
        if !deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            return text.parse().map_err(D::Error::custom);
        }
        let number = serde_json::Number::deserialize(deserializer)?;
        number.as_str().parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
