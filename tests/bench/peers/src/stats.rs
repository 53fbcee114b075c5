//! Percentiles, and medians with quartiles over rounds. Pure.

/// One in how many counts as the tail: 0.5, 0.99, 0.999.
pub(crate) const TAILS: [f64; 3] = [0.5, 0.99, 0.999];
/// Points of a distribution that plots are made of.
pub(crate) const CURVE: [f64; 12] =
    [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999];

/// The smallest of the sorted values that at least `share` of them do not exceed; 0 when there are none.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).or(sorted.last()).copied().unwrap_or(0.0)
}

/// A figure over rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) q1: f64,
    pub(crate) q3: f64,
}

impl Spread {
    /// Quartiles with interpolation between the two values around them.
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = rounds.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * sorted.len().saturating_sub(1) as f64;
            let (low, part) = (place.floor() as usize, place.fract());
            let value = |at: usize| sorted.get(at).copied().unwrap_or(0.0);
            if part == 0.0 { value(low) } else { value(low) * (1.0 - part) + value(low + 1) * part }
        };
        Self { median: at(0.5), q1: at(0.25), q3: at(0.75) }
    }

    /// As it stands in the output.
    pub(crate) fn quartiles(&self) -> [f64; 2] {
        [round(self.q1), round(self.q3)]
    }
}

/// Four significant digits: more would be noise.
pub(crate) fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    if digits <= 0 {
        let unit = 10f64.powi(-digits);
        (value / unit).round() * unit
    } else {
        // Through text: a division would leave digits that are not meant.
        format!("{value:.*}", digits as usize).parse().unwrap_or(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let all: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!(percentile(&all, 0.5), 500.0);
        assert_eq!(percentile(&all, 0.99), 990.0);
        assert_eq!(percentile(&all, 0.999), 999.0);
        assert_eq!(percentile(&all, 1.0), 1000.0);
        assert_eq!(percentile(&[7.0], 0.5), 7.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }

    #[test]
    fn rounds_have_a_median_and_quartiles() {
        assert_eq!(Spread::of([5.0, 1.0, 3.0, 2.0, 4.0]), Spread { median: 3.0, q1: 2.0, q3: 4.0 });
        assert_eq!(Spread::of([1.0, 2.0]), Spread { median: 1.5, q1: 1.25, q3: 1.75 });
        assert_eq!(Spread::of([9.0]), Spread { median: 9.0, q1: 9.0, q3: 9.0 });
    }

    #[test]
    fn figures_have_four_digits() {
        assert_eq!(round(123_456.0), 123_500.0);
        assert_eq!(round(0.012_345_6), 0.01235);
        assert_eq!(round(-3.0), -3.0);
    }
}
