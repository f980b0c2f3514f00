//! Charts as SVG, without any script.

use std::fmt::Write as _;

use sandpit_types::MarketTime;

/// Width of a chart, in its own units.
pub(crate) const WIDTH: f64 = 900.0;
/// Room for the words of the axes.
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 22.0;
const TOP: f64 = 8.0;
const RIGHT: f64 = 8.0;

/// Marks of the axis of time, at most.
const TIME_MARKS: usize = 6;

/// A chart over time.
pub(crate) struct Chart {
    height: f64,
    from: f64,
    to: f64,
    low: f64,
    high: f64,
    body: String,
}

impl Chart {
    /// From one time to another, of these values.
    pub(crate) fn new(height: f64, from: MarketTime, to: MarketTime, low: f64, high: f64) -> Self {
        let (from, to) = (seconds(from), seconds(to).max(seconds(from) + 1.0));
        let room = if high > low { (high - low) * 0.04 } else { high.abs().max(1.0) * 0.01 };
        Self { height, from, to, low: low - room, high: high + room, body: String::new() }
    }

    /// The chart's values begin here, whatever is shown.
    pub(crate) fn based_at(mut self, low: f64, high: f64) -> Self {
        (self.low, self.high) = (low, if high > low { high } else { low + 1.0 });
        self
    }

    fn x(&self, time: MarketTime) -> f64 {
        LEFT + (seconds(time) - self.from) / (self.to - self.from) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (self.high - value) / (self.high - self.low) * (self.height - TOP - BOTTOM)
    }

    /// A line.
    pub(crate) fn line(&mut self, class: &str, points: impl Iterator<Item = (MarketTime, f64)>) {
        let path = self.path(points);
        let _ = write!(self.body, "<path class=\"{class}\" d=\"{path}\"/>");
    }

    /// What lies between a line and zero.
    pub(crate) fn area(&mut self, class: &str, points: &[(MarketTime, f64)]) {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
        let zero = self.y(0.0_f64.clamp(self.low, self.high));
        let (begin, end) = (self.x(first.0), self.x(last.0));
        let path = self.path(points.iter().copied());
        let _ = write!(
            self.body,
            "<path class=\"{class}\" d=\"{path}L{end:.1} {zero:.1}L{begin:.1} {zero:.1}Z\"/>"
        );
    }

    /// What lies between two lines.
    pub(crate) fn band(&mut self, class: &str, points: &[(MarketTime, f64, f64)]) {
        let above = self.path(points.iter().map(|(time, _, high)| (*time, *high)));
        let below = self.path(points.iter().rev().map(|(time, low, _)| (*time, *low))).replacen('M', "L", 1);
        let _ = write!(self.body, "<path class=\"{class}\" d=\"{above}{below}Z\"/>");
    }

    /// A small triangle, up or down.
    pub(crate) fn mark(&mut self, is_up: bool, time: MarketTime, value: f64) {
        let (x, y) = (self.x(time), self.y(value));
        let (class, tip) = if is_up { ("buy", 5.0) } else { ("sell", -5.0) };
        let _ = write!(self.body, "<path class=\"{class}\" d=\"M{x:.1} {y:.1}l3 {tip:.1}h-6z\"/>");
    }

    fn path(&self, points: impl Iterator<Item = (MarketTime, f64)>) -> String {
        let mut path = String::new();
        for (at, (time, value)) in points.enumerate() {
            let letter = if at == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{:.1} {:.1}", self.x(time), self.y(value));
        }
        path
    }

    /// The whole of it, with axes; `label` says it to whoever cannot see it.
    pub(crate) fn finish(self, label: &str, show: impl Fn(f64) -> String) -> String {
        let Self { height, low, high, .. } = self;
        let mut axes = String::new();
        for value in steps(low, high) {
            let y = self.y(value);
            let _ = write!(
                axes,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                show(value)
            );
        }
        for mark in 0..TIME_MARKS {
            let share = mark as f64 / (TIME_MARKS - 1) as f64;
            let at = self.from + share * (self.to - self.from);
            let x = LEFT + share * (WIDTH - LEFT - RIGHT);
            let anchor = match mark {
                0 => "start",
                mark if mark == TIME_MARKS - 1 => "end",
                _ => "middle",
            };
            let is_short = self.to - self.from < 3.0 * 86_400.0;
            let _ = write!(
                axes,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                height - 6.0,
                when(at, is_short)
            );
        }
        format!(
            "<div class=\"scroll\"><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             aria-label=\"{label}\">{axes}{}</svg></div>",
            self.body
        )
    }
}

/// Bars side by side: each with its value and what is said of it.
pub(crate) fn columns(
    height: f64,
    label: &str,
    values: &[(String, f64)],
    show: impl Fn(f64) -> String,
) -> String {
    let high = values.iter().map(|(_, value)| *value).fold(0.0, f64::max).max(1e-9);
    let low = values.iter().map(|(_, value)| *value).fold(0.0, f64::min);
    let room = height - TOP - BOTTOM;
    let y = |value: f64| TOP + (high - value) / (high - low) * room;
    let wide = (WIDTH - LEFT - RIGHT) / values.len().max(1) as f64;
    let mut body = String::new();
    // They are counts.
    for value in steps(low, high).into_iter().filter(|value| value.fract() == 0.0) {
        let _ = write!(
            body,
            "<path class=\"grid\" d=\"M{LEFT} {:.1}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\">{}</text>",
            y(value),
            WIDTH - RIGHT,
            LEFT - 6.0,
            y(value) + 4.0,
            show(value)
        );
    }
    let every = values.len().div_ceil(12).max(1);
    for (at, (name, value)) in values.iter().enumerate() {
        let (x, top, bottom) = (LEFT + wide * at as f64, y(value.max(0.0)), y(value.min(0.0)));
        let _ = write!(
            body,
            "<rect class=\"column\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" \
             height=\"{:.1}\"><title>{name}: \
             {}</title></rect>",
            x + wide * 0.08,
            wide * 0.84,
            bottom - top,
            show(*value)
        );
        if at % every == 0 {
            let _ = write!(
                body,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
                x + wide / 2.0,
                height - 6.0
            );
        }
    }
    format!(
        "<div class=\"scroll\"><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"{label}\">{body}</svg></div>"
    )
}

/// Round values between two, some five.
fn steps(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    if !rough.is_finite() || rough <= 0.0 {
        return vec![low];
    }
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|of| of * power).find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let first = (low / step).ceil();
    (0..20).map(|at| (first + f64::from(at)) * step).take_while(|value| *value <= high).collect()
}

fn seconds(time: MarketTime) -> f64 {
    time.as_nanos() as f64 / 1e9
}

fn when(at: f64, is_short: bool) -> String {
    let text = MarketTime::from_secs(at as i64).to_string();
    if is_short { text[5..16].replace('T', " ") } else { text[..10].to_owned() }
}
