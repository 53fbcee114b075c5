//! Draws a chart as SVG: lines over two axes, or bars. No scripts, no fonts of its own, colours for light and for dark pages.
//!
//! It knows nothing of what it draws; `plots` does.

use std::fmt::Write;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 480.0;
/// Around the plot itself; the legend stands on the right.
const LEFT: f64 = 78.0;
const RIGHT: f64 = 252.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 58.0;
const LEGEND_LINE: f64 = 19.0;
const BAR: f64 = 15.0;
/// Told apart on white and on black, also by most who see fewer colours; after the last one lines are dashed.
const COLOURS: [&str; 9] =
    ["#2f81f7", "#e8590c", "#2da44e", "#bf3989", "#8250df", "#1b7c83", "#d4a72c", "#8c959f", "#cf222e"];
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}.t{font-size:15px;font-weight:600}.p{fill:#fff}\
.g{stroke:#d0d7de;stroke-width:1}.l{fill:none;stroke-linejoin:round}.b{opacity:.15;stroke:none}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.p{fill:#0d1117}.g{stroke:#30363d}}";

/// How numbers become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Powers of ten, and zero at its left end.
    Log,
    /// Powers of two.
    Log2,
    /// Shares by how near they are to one: 0.9, 0.99, 0.999.
    Nines,
}

/// An axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What stands beside it.
    pub title: String,
    /// How numbers become places.
    pub scale: Scale,
    /// What numbers are, for the marks.
    pub unit: Unit,
}

/// How a mark is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds, as ns, µs, ms.
    Time,
    /// With k and M.
    Count,
    /// A share, as p50, p99.9.
    Share,
}

/// A line.
#[derive(Debug, Clone)]
pub struct Series {
    /// For the legend.
    pub name: String,
    /// Numbers on both axes, and a band around the line where there is one.
    pub points: Vec<(f64, f64, Option<[f64; 2]>)>,
    /// Drawn thick.
    pub bold: bool,
}

/// A bar, under a heading.
#[derive(Debug, Clone)]
pub struct Bar {
    /// Bars of the same heading stand together.
    pub group: String,
    /// For the text beside it.
    pub name: String,
    /// Its length.
    pub value: f64,
}

/// Where numbers lie on an axis: transformed, from its least to its greatest.
struct Range {
    scale: Scale,
    least: f64,
    greatest: f64,
}

impl Range {
    fn of(scale: Scale, numbers: impl Iterator<Item = f64> + Clone) -> Self {
        let positive = numbers.clone().filter(|number| *number > 0.0).fold(f64::INFINITY, f64::min);
        let place = |number: f64| place(scale, number).filter(|place| place.is_finite());
        let mut least = numbers.clone().filter_map(place).fold(f64::INFINITY, f64::min);
        let mut greatest = numbers.clone().filter_map(place).fold(f64::NEG_INFINITY, f64::max);
        if !least.is_finite() || !greatest.is_finite() {
            (least, greatest) = (0.0, 1.0);
        }
        if scale == Scale::Log {
            (least, greatest) = (least.floor(), greatest.ceil());
            if numbers.clone().any(|number| number == 0.0) && positive.is_finite() {
                // Room for zero, left of everything.
                least -= 0.5;
            }
        }
        if greatest - least < 1e-9 {
            greatest = least + 1.0;
        }
        Self { scale, least, greatest }
    }

    /// From 0 to 1.
    fn at(&self, number: f64) -> f64 {
        let place = place(self.scale, number).unwrap_or(self.least);
        ((place - self.least) / (self.greatest - self.least)).clamp(0.0, 1.0)
    }

    /// The numbers that get a mark.
    fn marks(&self) -> Vec<f64> {
        let (from, to) = (self.least.ceil() as i32, self.greatest.floor() as i32);
        let steps = (from..=to).step_by(1 + ((to - from) / 12).max(0) as usize);
        match self.scale {
            Scale::Log => steps.map(|power| 10f64.powi(power)).collect(),
            Scale::Log2 => steps.map(|power| 2f64.powi(power)).collect(),
            Scale::Nines => [0.5, 0.9, 0.99, 0.999, 0.9999]
                .into_iter()
                .filter(|share| nines(*share) <= self.greatest + 1e-9)
                .collect(),
        }
    }
}

fn nines(share: f64) -> f64 {
    -(1.0 - share.clamp(0.0, 0.999_999)).log10()
}

/// `None`: a number that a scale of powers has no place for.
fn place(scale: Scale, number: f64) -> Option<f64> {
    match scale {
        Scale::Log => (number > 0.0).then(|| number.log10()),
        Scale::Log2 => (number > 0.0).then(|| number.log2()),
        Scale::Nines => Some(nines(number)),
    }
}

/// A number as it stands at a mark.
pub fn show(number: f64, unit: Unit) -> String {
    let trim = |value: f64, end: &str| {
        let digits = if value.abs() >= 100.0 || value == value.round() {
            0
        } else if value.abs() >= 10.0 {
            1
        } else {
            2
        };
        let text = format!("{value:.digits$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        format!("{text}{end}")
    };
    match unit {
        Unit::Time if number >= 1e9 => trim(number / 1e9, " s"),
        Unit::Time if number >= 1e6 => trim(number / 1e6, " ms"),
        Unit::Time if number >= 1e3 => trim(number / 1e3, " µs"),
        Unit::Time => trim(number, " ns"),
        Unit::Count if number >= 1e6 => trim(number / 1e6, " M"),
        Unit::Count if number >= 1e4 => trim(number / 1e3, " k"),
        Unit::Count => trim(number, ""),
        Unit::Share => format!("{}", (number * 1e6).round() / 1e4),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The page, with a title; `body` is drawn on it.
fn page(title: &str, height: f64, body: &str) -> String {
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\
         <style>{STYLE}</style><rect class=\"p\" width=\"{WIDTH}\" height=\"{height}\"/>\
         <text class=\"t\" x=\"{LEFT}\" y=\"26\">{title}</text>{body}</svg>\n"
    )
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = write!(body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(text));
}

fn grid(body: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = write!(
        body,
        "<line class=\"g\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

/// Lines over two axes.
pub fn lines(title: &str, x: &Axis, y: &Axis, series: &[Series]) -> String {
    let all = || series.iter().flat_map(|one| &one.points);
    let across = Range::of(x.scale, all().map(|point| point.0));
    let up = Range::of(y.scale, all().map(|point| point.1));
    let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let at = |px: f64, py: f64| (LEFT + across.at(px) * width, TOP + (1.0 - up.at(py)) * height);
    let mut body = String::new();
    for mark in up.marks() {
        let (_, py) = at(0.0, mark);
        grid(&mut body, (LEFT, py), (LEFT + width, py));
        text(&mut body, LEFT - 8.0, py + 4.0, "end", &show(mark, y.unit));
    }
    let zero = (x.scale == Scale::Log && all().any(|point| point.0 == 0.0)).then_some(0.0);
    for mark in zero.into_iter().chain(across.marks()) {
        let (px, _) = at(mark, 1.0);
        grid(&mut body, (px, TOP), (px, TOP + height));
        text(&mut body, px, TOP + height + 18.0, "middle", &show(mark, x.unit));
    }
    text(&mut body, LEFT + width / 2.0, HEIGHT - 12.0, "middle", &x.title);
    let _ = write!(
        body,
        "<text transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        TOP + height / 2.0,
        escape(&y.title)
    );
    for (n, one) in series.iter().enumerate() {
        line(&mut body, n, one, &at);
    }
    page(title, HEIGHT, &body)
}

fn line(body: &mut String, n: usize, series: &Series, at: &dyn Fn(f64, f64) -> (f64, f64)) {
    let colour = COLOURS[n % COLOURS.len()];
    let dash = ["none", "6 4", "2 3"][n / COLOURS.len() % 3];
    let thick = if series.bold { 3.2 } else { 1.7 };
    let join = |points: &mut dyn Iterator<Item = (f64, f64)>| {
        points.map(|(px, py)| format!("{px:.1},{py:.1}")).collect::<Vec<_>>().join(" ")
    };
    let banded: Vec<(f64, [f64; 2])> =
        series.points.iter().filter_map(|(px, _, band)| Some((*px, (*band)?))).collect();
    if banded.len() > 1 {
        let upper = banded.iter().map(|(px, [_, high])| at(*px, *high));
        let lower = banded.iter().rev().map(|(px, [low, _])| at(*px, *low));
        let points = join(&mut upper.chain(lower));
        let _ = write!(body, "<polygon class=\"b\" fill=\"{colour}\" points=\"{points}\"/>");
    }
    let points = join(&mut series.points.iter().map(|(px, py, _)| at(*px, *py)));
    let _ = write!(
        body,
        "<polyline class=\"l\" stroke=\"{colour}\" stroke-width=\"{thick}\" stroke-dasharray=\"{dash}\" points=\"{points}\"/>"
    );
    for (px, py) in series.points.iter().map(|(px, py, _)| at(*px, *py)) {
        let _ = write!(
            body,
            "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"{:.1}\" fill=\"{colour}\"/>",
            thick + 0.6
        );
    }
    let (left, top) = (WIDTH - RIGHT + 16.0, TOP + 8.0 + n as f64 * LEGEND_LINE);
    let _ = write!(
        body,
        "<line x1=\"{left}\" y1=\"{top:.1}\" x2=\"{:.1}\" y2=\"{top:.1}\" stroke=\"{colour}\" stroke-width=\"{thick}\" stroke-dasharray=\"{dash}\"/>",
        left + 24.0
    );
    text(body, left + 30.0, top + 4.0, "start", &series.name);
}

/// Bars from zero, grouped, each with its value.
pub fn bars(title: &str, axis: &str, bars: &[Bar]) -> String {
    let names = 220.0;
    let most = bars.iter().map(|bar| bar.value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let scale = (WIDTH - names - 90.0) / if most > 0.0 { most } else { 1.0 };
    let (mut body, mut down) = (String::new(), TOP);
    let mut group = None;
    let mut within = 0;
    for bar in bars {
        if group != Some(&bar.group) {
            group = Some(&bar.group);
            within = 0;
            down += 10.0;
            let _ = write!(
                body,
                "<text class=\"t\" x=\"16\" y=\"{:.1}\">{}</text>",
                down + 12.0,
                escape(&bar.group)
            );
            down += 20.0;
        }
        let width = (bar.value * scale).max(1.0);
        let colour = COLOURS[within % COLOURS.len()];
        text(&mut body, names - 8.0, down + 12.0, "end", &bar.name);
        let _ = write!(
            body,
            "<rect x=\"{names}\" y=\"{down:.1}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>"
        );
        text(&mut body, names + width + 6.0, down + 12.0, "start", &show(bar.value, Unit::Count));
        within += 1;
        down += BAR + 4.0;
    }
    if 1.0 <= most {
        grid(&mut body, (names + scale, TOP), (names + scale, down));
    }
    text(&mut body, names, down + 24.0, "start", axis);
    page(title, down + 40.0, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale, unit: Unit) -> Axis {
        Axis { title: "a < b".to_owned(), scale, unit }
    }

    #[test]
    fn marks_are_written_for_people() {
        assert_eq!(show(64.0, Unit::Count), "64");
        assert_eq!(show(7_600_000.0, Unit::Count), "7.6 M");
        assert_eq!(show(1_000.0, Unit::Time), "1 µs");
        assert_eq!(show(0.999, Unit::Share), "99.9");
        assert_eq!(show(0.9999, Unit::Share), "99.99");
        assert_eq!(show(0.5, Unit::Share), "50");
        assert_eq!(show(0.34, Unit::Count), "0.34");
    }

    #[test]
    fn places_lie_in_order_and_zero_is_left() {
        let range = Range::of(Scale::Log, [0.0, 50.0, 1e5].into_iter());
        assert_eq!(range.at(0.0), 0.0);
        assert!(range.at(0.0) < range.at(50.0) && range.at(50.0) < range.at(1e5));
        assert_eq!(range.at(1e5), 1.0);
        let nines = Range::of(Scale::Nines, [0.5, 0.9999].into_iter());
        assert!(nines.at(0.99) < nines.at(0.999));
        assert_eq!(nines.marks(), [0.5, 0.9, 0.99, 0.999, 0.9999]);
    }

    #[test]
    fn a_chart_is_well_formed_and_safe() {
        let one = Series {
            name: "<script>".to_owned(),
            points: vec![(1.0, 10.0, Some([9.0, 11.0])), (8.0, 1e6, Some([1e6, 2e6]))],
            bold: true,
        };
        let svg = lines("t & u", &axis(Scale::Log2, Unit::Count), &axis(Scale::Log, Unit::Time), &[one]);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;") && svg.contains("t &amp; u"));
        assert!(
            svg.contains("prefers-color-scheme:dark") && svg.contains("<polygon") && svg.contains("10 ns")
        );
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        let nothing = lines("t", &axis(Scale::Log, Unit::Time), &axis(Scale::Log, Unit::Time), &[]);
        assert!(!nothing.contains("NaN"));
    }

    #[test]
    fn bars_stand_under_their_headings() {
        let bar = |group: &str, value: f64| Bar { group: group.to_owned(), name: "n".to_owned(), value };
        let svg = bars("t", "times native", &[bar("a", 1.0), bar("a", 2.0), bar("b", 0.5)]);
        assert_eq!(svg.matches("<rect x").count(), 3);
        assert_eq!(svg.matches("class=\"t\" x=\"16\"").count(), 2);
    }
}
