//! JSON numbers as numbers: 9775.0 = 9775 = 9.775e3, exactly, without floating point.
//!
//! A number is `± 0.d₁d₂d₃… × 10^exponent` with neither leading nor trailing zeros among its digits; two numbers are equal when these parts are.

/// A JSON number in its one canonical form.
#[derive(Debug, PartialEq, Eq)]
struct Canonical {
    negative: bool,
    /// Without leading and trailing zeros; empty for zero.
    digits: Vec<u8>,
    /// Of the point before the first digit; 0 for zero.
    exponent: i64,
}

/// Whether two JSON numbers, as written, are the same number.
pub(super) fn equal(a: &str, b: &str) -> bool {
    match (canonical(a), canonical(b)) {
        (Some(a), Some(b)) => a == b,
        // An exponent beyond 64 bits: equal if written alike.
        _ => a == b,
    }
}

/// `None` when the exponent is beyond 64 bits (or the text is no JSON number).
fn canonical(text: &str) -> Option<Canonical> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..leading);
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    if digits.is_empty() {
        return Some(Canonical { negative: false, digits, exponent: 0 });
    }
    let written: i64 = match exponent {
        "" => 0,
        text => text.parse().ok()?,
    };
    let point = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(leading).ok()?)?;
    Some(Canonical { negative, digits, exponent: point.checked_add(written)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_number_written_differently() {
        for (a, b) in [
            ("9775.0", "9775"),
            ("9775", "9.775e3"),
            ("9775", "9775000E-3"),
            ("9775", "0.9775e+4"),
            ("0", "-0.000e99999999999999999999"),
            ("-0.5", "-5e-1"),
            ("1e99999999999999999999", "1e99999999999999999999"),
            ("100000000000000000000000000000000.1", "1000000000000000000000000000000001e-1"),
        ] {
            assert!(equal(a, b) && equal(b, a), "{a} = {b}");
        }
        for (a, b) in [
            ("9775", "9775.0000000000000000000000001"),
            ("1", "-1"),
            ("1", "10"),
            ("0.1", "0.01"),
            ("12", "21"),
            ("9007199254740993", "9007199254740992"),
            ("1e9223372036854775807", "1e9223372036854775806"),
        ] {
            assert!(!equal(a, b) && !equal(b, a), "{a} ≠ {b}");
        }
    }

    proptest! {
        /// Shifting the point and writing the exponent accordingly changes nothing; nor do zeros at either end of the fraction.
        #[test]
        fn shifted(mantissa in 0u64.., shift in 0usize..30, zeros in 0usize..5, negative: bool) {
            let sign = if negative { "-" } else { "" };
            let digits = format!("{mantissa:0>width$}", width = shift + 1);
            let (whole, fraction) = digits.split_at(digits.len() - shift);
            let zeros = "0".repeat(zeros);
            let shifted = match fraction.is_empty() && zeros.is_empty() {
                true => format!("{sign}{whole}e{shift}"),
                false => format!("{sign}{whole}.{fraction}{zeros}e{shift}"),
            };
            let plain = format!("{sign}{mantissa}");
            prop_assert!(equal(&shifted, &plain), "{} = {}", shifted, plain);
        }

        /// Against integers scaled to a common exponent.
        #[test]
        fn as_scaled_integers(a in -9999i128..10000, b in -9999i128..10000, i in 0u32..6, j in 0u32..6) {
            let same = a * 10i128.pow(i) == b * 10i128.pow(j);
            prop_assert_eq!(equal(&format!("{a}e{i}"), &format!("{b}E+{j}")), same);
        }
    }
}
