//! What a [`Decimal`] reads, refuses, writes and computes.

use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap_or_else(|err| panic!("{text}: {err}"))
}

#[test]
fn reads_what_json_writes() {
    for (text, shown) in [
        ("0", "0"),
        ("-0.00", "0"),
        ("10.50", "10.5"),
        ("1e3", "1000"),
        ("1.25E+1", "12.5"),
        ("125e-3", "0.125"),
        ("0e999999", "0"),
        ("0.0000000000000000000000000001", "0.0000000000000000000000000001"),
        ("79228162514264337593543950335", "79228162514264337593543950335"),
        ("-7922816251426433759354395033.5", "-7922816251426433759354395033.5"),
        ("1000000000000000000000000000e1", "10000000000000000000000000000"),
        ("1.0000000000000000000000000000000000000000000000000000000000000000000000000", "1"),
    ] {
        assert_eq!(decimal(text).to_string(), shown, "{text}");
    }
}

#[test]
fn refuses_what_does_not_fit() {
    use DecimalError::{Malformed, TooBig, TooFine};
    for (text, error) in [
        ("1e400", TooBig),
        ("1e30", TooBig),
        ("1e99999999999999999999", TooBig),
        ("1e-99999999999999999999", TooFine),
        ("79228162514264337593543950336", TooBig),
        ("0.00000000000000000000000000001", TooFine),
        ("123456789012345678901234567890.5", TooBig),
        ("", Malformed),
        ("-", Malformed),
        (".5", Malformed),
        ("5.", Malformed),
        ("1e", Malformed),
        ("1e+", Malformed),
        ("0x10", Malformed),
        ("1_000", Malformed),
        ("1 ", Malformed),
        ("NaN", Malformed),
        ("١", Malformed),
    ] {
        assert_eq!(text.parse::<Decimal>(), Err(error), "{text}");
    }
    assert_eq!("9".repeat(1000).parse::<Decimal>(), Err(TooBig));
}

#[test]
fn is_a_number_in_json_and_a_text_in_snapshots() {
    let value = decimal("9775.10");
    assert_eq!(serde_json::to_string(&value).unwrap(), "9775.1");
    assert_eq!(serde_json::from_str::<Decimal>("9775.100").unwrap(), value);
    assert_eq!(postcard::to_stdvec(&value).unwrap(), b"\x069775.1");
    assert_eq!(postcard::from_bytes::<Decimal>(b"\x069775.1").unwrap(), value);
    // A number that a binary float would change.
    let exact = "0.1000000000000000055511151231";
    assert_eq!(serde_json::to_string(&serde_json::from_str::<Decimal>(exact).unwrap()).unwrap(), exact);
    let error = serde_json::from_str::<Decimal>("1e400").unwrap_err().to_string();
    assert!(error.contains("more than 28 digits"), "{error}");
    assert!(serde_json::from_str::<Decimal>("\"1\"").is_err());
}

#[test]
fn counts_exactly() {
    assert_eq!(decimal("0.1") + decimal("0.2"), decimal("0.3"));
    assert_eq!(decimal("0.5") * decimal("0.5"), decimal("0.25"));
    assert_eq!(decimal("7").div_floor(decimal("2")), decimal("3"));
    assert_eq!(decimal("-7").div_floor(decimal("2")), decimal("-4"));
    assert_eq!(decimal("10.75").floor_to(decimal("0.5")), decimal("10.5"));
    assert_eq!(decimal("10.75") % decimal("0.5"), decimal("0.25"));
    assert_eq!(decimal("1").checked_div(decimal("3")), None);
    assert_eq!(decimal("1").checked_div(decimal("0")), None);
    assert_eq!(decimal("1").checked_div(decimal("8")), Some(decimal("0.125")));
    assert!(decimal("10.5").is_multiple_of(decimal("0.5")) && !decimal("10.5").is_multiple_of(Decimal::ONE));
    assert_eq!(decimal("12").to_i64(), Some(12));
    assert_eq!(decimal("12.5").to_i64(), None);
    assert_eq!(Decimal::from(i64::MIN).to_i64(), Some(i64::MIN));
    assert_eq!([decimal("1.5"), decimal("2.5")].iter().sum::<Decimal>(), decimal("4"));
    // Digits that would be rounded away are an error instead.
    assert_eq!(decimal("79228162514264337593543950335").checked_add(decimal("0.1")), None);
    assert_eq!(decimal("0.00000000000001").checked_mul(decimal("0.000000000000001")), None);
}

#[test]
#[should_panic(expected = "too many digits for an exact decimal")]
fn an_overflow_is_loud() {
    let _ = decimal("79228162514264337593543950335") + Decimal::ONE;
}

proptest! {
    /// Small enough for i128 arithmetic to be the judge: all numbers have 6 digits after the point.
    #[test]
    fn agrees_with_integers(a in -1_000_000_000_000i64..1_000_000_000_000, b in 1i64..1_000_000_000) {
        let (x, y) = (Decimal::new(a.into(), 6).unwrap(), Decimal::new(b.into(), 6).unwrap());
        let (a, b) = (i128::from(a), i128::from(b));
        prop_assert_eq!(x + y, Decimal::new(a + b, 6).unwrap());
        prop_assert_eq!(x - y, Decimal::new(a - b, 6).unwrap());
        prop_assert_eq!(x * y, Decimal::new(a * b, 12).unwrap());
        prop_assert_eq!(x % y, Decimal::new(a.rem_euclid(b), 6).unwrap());
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(x.to_string().parse::<Decimal>().unwrap(), x);
        let bytes = postcard::to_stdvec(&x).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Decimal>(&bytes).unwrap(), x);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-+]?[0-9]{0,35}(\\.[0-9]{0,35})?([eE][-+]?[0-9]{0,4})?") {
        if let Ok(value) = text.parse::<Decimal>() {
            prop_assert_eq!(value.to_string().parse::<Decimal>().unwrap(), value);
        }
    }
}
