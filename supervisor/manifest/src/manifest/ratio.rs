//! An exact fraction, for house edges. Never a binary floating-point number.

use std::fmt;

use serde::Deserialize;

/// Longest text of a ratio, in bytes.
const TEXT_BYTES_MAX: usize = 40;
/// Most digits of a whole number in a ratio; so all products stay inside of `i128`.
const DIGITS_MAX: usize = 18;

/// An exact fraction between -1 and 1 in lowest terms, from text like `7/495`, `0.0141` or `-1/100`.
///
/// A negative edge is the players' advantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Ratio {
    numerator: i64,
    denominator: u64,
}

impl Ratio {
    /// Above the line; negative for a negative ratio.
    #[must_use]
    pub fn numerator(&self) -> i64 {
        self.numerator
    }

    /// Below the line; never 0.
    #[must_use]
    pub fn denominator(&self) -> u64 {
        self.denominator
    }
}

impl TryFrom<String> for Ratio {
    type Error = String;

    fn try_from(text: String) -> Result<Ratio, String> {
        parse(&text).ok_or_else(|| {
            let text: String = text.chars().take(TEXT_BYTES_MAX).collect();
            format!("{text:?} is no exact ratio between -1 and 1: write \"7/495\" or \"0.0141\", at most {DIGITS_MAX} digits each")
        })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

fn parse(text: &str) -> Option<Ratio> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (numerator, denominator) = match (digits.split_once('/'), digits.split_once('.')) {
        (Some((above, below)), _) => (whole(above)?, whole(below)?),
        (None, Some((before, after))) => {
            let scale = 10u64.checked_pow(u32::try_from(after.len()).ok()?)?;
            whole(after)?;
            (whole(&format!("{before}{after}")).filter(|_| !before.is_empty())?, scale)
        }
        (None, None) => (whole(digits)?, 1),
    };
    if denominator == 0 || numerator > denominator {
        return None;
    }
    let common = greatest_common_divisor(numerator, denominator);
    let magnitude = i64::try_from(numerator / common).ok()?;
    Some(Ratio {
        numerator: if negative { -magnitude } else { magnitude },
        denominator: denominator / common,
    })
}

fn whole(digits: &str) -> Option<u64> {
    let plain = (1..=DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_ratios() {
        for (text, expected) in [
            ("7/495", "7/495"),
            ("14/990", "7/495"),
            ("0.0141", "141/10000"),
            ("0.50", "1/2"),
            ("0", "0"),
            ("0.0", "0"),
            ("1", "1"),
            ("-1/100", "-1/100"),
            ("999999999999999999/999999999999999999", "1"),
        ] {
            assert_eq!(Ratio::try_from(text.to_owned()).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_ratio() {
        for text in [
            "",
            "-",
            "/",
            "1/0",
            "0/0",
            "1/",
            "/2",
            ".5",
            "1.",
            "1.5",
            "3/2",
            "1e-3",
            "+1",
            " 1/2",
            "1/2/3",
            "0.1/2",
            "--1",
            "1/-2",
            "½",
            "0.0000000000000000001",
            "1/9999999999999999999",
            "NaN",
        ] {
            assert!(Ratio::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
