//! Dates as text and back, UTC alone: RFC 3339 with nine digits, so that texts sort as times do.

use std::time::Duration;

const NS_PER_S: u64 = 1_000_000_000;
const S_PER_DAY: u64 = 86_400;
/// Years beyond this one are nonsense here.
const YEAR_MAX: u64 = 2500;

/// `2026-11-21T01:03:49.000000001Z` of nanoseconds since the Unix epoch.
pub fn rfc3339(at_ns: u64) -> String {
    let (seconds, ns) = (at_ns / NS_PER_S, at_ns % NS_PER_S);
    let (year, month, day) = civil(seconds / S_PER_DAY);
    let s = seconds % S_PER_DAY;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ns:09}Z", s / 3600, s / 60 % 60, s % 60)
}

/// Seconds since the Unix epoch of `2026-11-21` or `2026-11-21T01:03:49Z`; none when it is neither.
pub fn parse(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once('T') {
        None => (text, "00:00:00"),
        Some((date, time)) => (date, time.strip_suffix('Z')?),
    };
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [h, m, s] = numbers(time, ':', [2, 2, 2])?;
    if !(1970..=YEAR_MAX).contains(&year) || h > 23 || m > 59 || s > 59 {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    // The thirtieth of February would come back as another day.
    (civil(days) == (year, month, day)).then_some(days * S_PER_DAY + h * 3600 + m * 60 + s)
}

/// A span such as `90s`, `15m`, `36h`, `7d`; none when it is none.
pub fn span(text: &str) -> Option<Duration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => S_PER_DAY,
        _ => return None,
    };
    let number: u64 = text[..text.len() - 1].parse().ok()?;
    Some(Duration::from_secs(number.checked_mul(unit)?))
}

fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Year, month and day of a day since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant's `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// The other way round; nonsense in, nonsense out. From 1970 on.
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let y = if month <= 2 { year - 1 } else { year };
    let (era, yoe) = (y / 400, y % 400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day.saturating_sub(1);
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_texts_and_back() {
        assert_eq!(rfc3339(1_700_000_000_123_456_789), "2023-11-14T22:13:20.123456789Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(parse("2023-11-14T22:13:20Z"), Some(1_700_000_000));
        assert_eq!(parse("2024-02-29"), Some(1_709_164_800));
        for day in 0..200_000 {
            let (year, month, date) = civil(day);
            assert_eq!(
                parse(&format!("{year:04}-{month:02}-{date:02}")),
                (year <= YEAR_MAX).then_some(day * S_PER_DAY)
            );
        }
        for wrong in [
            "2023-02-29",
            "2023-2-1",
            "2023-13-01",
            "2023-01-00",
            "2023-01-01T24:00:00Z",
            "x",
            "",
            "1969-12-31",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(span("36h"), Some(Duration::from_secs(129_600)));
        assert_eq!((span("h"), span("1w"), span("")), (None, None, None));
    }
}
