//! Many variants of one strategy side by side: a table, a heat map, and a warning.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::{Report, luck, page};

/// Rows of the table on the page, at most: the best.
const ROWS_MAX: usize = 100;

/// Letters of a parameter's value that are shown.
const LETTERS_MAX: usize = 40;

/// Figures of which less is better. A drawdown is zero or less: more of it is better.
const COSTS: [&str; 8] = [
    "daily.annual_volatility",
    "longest_drawdown_days",
    "max_drawdown_days",
    "fees",
    "slippage",
    "slippage_bp",
    "orders.rejected",
    "orders.expired",
];

/// One variant and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Variant {
    /// The values of the swept parameters, in the order of the axes.
    pub values: Vec<Value>,
    /// Its report; `None` when it could not be run, or not to its end.
    pub report: Option<Report>,
    /// Why there is none, or how it ended.
    pub end: String,
}

/// A sweep.
#[derive(Clone, Debug, Serialize)]
pub struct Sweep {
    /// The strategy.
    pub strategy: String,
    /// The swept parameters: name and values.
    pub axes: Vec<(String, Vec<Value>)>,
    /// By which figure variants are compared: a name of a report's JSON, such as `daily.sharpe`.
    pub by: String,
    /// All variants, the last axis fastest.
    pub variants: Vec<Variant>,
}

impl Sweep {
    /// The figure of a variant; `None` where it is not defined.
    pub fn figure(&self, variant: &Variant) -> Option<f64> {
        variant.report.as_ref()?.figure(&self.by)
    }

    /// The variants, the best first; those without the figure last, in their order.
    pub fn ranked(&self) -> Vec<(&Variant, Option<f64>)> {
        self.ranked_by(&self.figures())
    }

    /// The index of the best, and its figure; `None` when no variant has the figure.
    pub fn best(&self) -> Option<(usize, f64)> {
        let (best, figure) = self.ranked().into_iter().next()?;
        let at = self.variants.iter().position(|variant| std::ptr::eq(variant, best))?;
        Some((at, figure?))
    }

    /// The figure of each variant, read once: a report is long.
    fn figures(&self) -> Vec<Option<f64>> {
        self.variants.iter().map(|variant| self.figure(variant)).collect()
    }

    fn ranked_by(&self, figures: &[Option<f64>]) -> Vec<(&Variant, Option<f64>)> {
        let mut ranked: Vec<_> = self.variants.iter().zip(figures.iter().copied()).collect();
        let sign = if self.is_less_better() { -1.0 } else { 1.0 };
        let key = |figure: Option<f64>| figure.map_or(f64::NEG_INFINITY, |figure| sign * figure);
        ranked.sort_by(|(_, a), (_, b)| key(*b).total_cmp(&key(*a)));
        ranked
    }

    /// Whether less of the figure is better, as of fees.
    pub fn is_less_better(&self) -> bool {
        COSTS.contains(&self.by.as_str())
    }

    /// The Sharpe ratio that the best of as many variants without any skill would be expected to show; `None`
    /// when variants are compared by anything else, or there are fewer than two.
    pub fn luck(&self) -> Option<f64> {
        let reports = self.variants.iter().filter_map(|variant| variant.report.as_ref());
        let days = reports.map(|report| report.daily.days).max()?;
        (self.by == "daily.sharpe").then(|| luck(self.variants.len() as u64, days as u64)).flatten()
    }

    /// What has to be said of the best of many.
    pub fn warning(&self) -> String {
        let mut text = self.counted();
        if let Some(luck) = self.luck() {
            let _ = write!(
                text,
                " Of as many independent variants without any skill, the best would show a Sharpe ratio of \
                 about {luck:.2} over these days."
            );
        }
        text
    }

    fn counted(&self) -> String {
        format!(
            "{} variants were tried on the same data. The best of many is good by chance, too: what it \
             shows here \
             is no forecast. Test it on data that no variant has seen.",
            self.variants.len()
        )
    }

    /// A page with the heat map and the table.
    pub fn page(&self) -> String {
        let name = page::escaped(&self.strategy);
        let mut text = page::head(&format!("{name}: sweep"));
        let _ = write!(
            text,
            "<h1>{name} <small>sweep by {}</small></h1><div class=\"warn\">{}</div>",
            page::escaped(&self.by),
            page::escaped(&self.warning())
        );
        let figures = self.figures();
        text += &self.map(&figures);
        text += &self.table(self.ranked_by(&figures));
        text + "</body></html>\n"
    }

    /// The first axis down, the second across; further axes at their first values, which is said.
    fn map(&self, all: &[Option<f64>]) -> String {
        let Some((down, rows)) = self.axes.first() else { return String::new() };
        let none = (String::new(), vec![Value::Null]);
        let (across, columns) = self.axes.get(1).unwrap_or(&none);
        let rest: usize = self.axes.iter().skip(2).map(|(_, values)| values.len()).product();
        let at = |row: usize, column: usize| {
            let index = (row * columns.len() + column) * rest;
            all.get(index).copied().flatten()
        };
        let low = all.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let high = all.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
        let (worst, best) = if self.is_less_better() { (high, low) } else { (low, high) };
        let heads: String = columns.iter().map(|value| format!("<th>{}</th>", shown(value))).collect();
        let mut text = format!(
            "<h2>{} by {} down and {} across</h2>",
            page::escaped(&self.by),
            page::escaped(down),
            if across.is_empty() { "nothing".to_owned() } else { page::escaped(across) }
        );
        if rest > 1 {
            text += "<p>Further parameters are at their first values; the table has all.</p>";
        }
        let _ = write!(text, "<div class=\"scroll\"><table class=\"heat\"><tr><th></th>{heads}</tr>");
        for (row, value) in rows.iter().enumerate() {
            let cells: String = (0..columns.len()).map(|column| cell(at(row, column), worst, best)).collect();
            let _ = write!(text, "<tr><td>{}</td>{cells}</tr>", shown(value));
        }
        text + "</table></div>"
    }

    fn table(&self, ranked: Vec<(&Variant, Option<f64>)>) -> String {
        let heads: String =
            self.axes.iter().map(|(name, _)| format!("<th>{}</th>", page::escaped(name))).collect();
        let mut text = format!(
            "<h2>Best first</h2><div class=\"scroll\"><table><tr>{heads}<th>{}</th><th>total \
             return</th><th>max \
             drawdown</th><th>round trips</th><th>ended</th></tr>",
            page::escaped(&self.by)
        );
        for (variant, figure) in ranked.into_iter().take(ROWS_MAX) {
            let values: String =
                variant.values.iter().map(|value| format!("<td>{}</td>", shown(value))).collect();
            let report = variant.report.as_ref();
            let total = report.and_then(|report| report.daily.total_return);
            let _ = write!(
                text,
                "<tr>{values}<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                crate::summary::or_dash(figure, |figure| format!("{figure:.4}")),
                crate::summary::or_dash(total, crate::summary::percent),
                crate::summary::or_dash(report.map(|report| report.max_drawdown), crate::summary::percent),
                report.map_or(0, |report| report.trading.trips),
                page::escaped(&variant.end)
            );
        }
        text + "</table></div>"
    }
}

pub(crate) fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => format!("{}…", page::escaped(&text[..end])),
        None => page::escaped(&text),
    }
}

/// A cell from red, the worst, over the paper's colour to green, the best.
fn cell(figure: Option<f64>, worst: f64, best: f64) -> String {
    let Some(figure) = figure else { return "<td>–</td>".to_owned() };
    let share = if best == worst { 0.5 } else { (figure - worst) / (best - worst) };
    let (colour, depth) = if share < 0.5 { ("207,34,46", 0.5 - share) } else { ("26,127,55", share - 0.5) };
    format!("<td style=\"background:rgba({colour},{:.2})\">{figure:.3}</td>", depth * 1.4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_counts_what_was_tried_and_says_so() {
        let variant = |fast: i64, slow: i64| Variant {
            values: vec![fast.into(), slow.into()],
            report: None,
            end: "the strategy <b>failed</b>".to_owned(),
        };
        let sweep = Sweep {
            strategy: "<sma>".to_owned(),
            axes: vec![
                ("fast".to_owned(), vec![1.into(), 2.into()]),
                ("slow".to_owned(), vec![3.into(), 4.into()]),
            ],
            by: "daily.sharpe".to_owned(),
            variants: vec![variant(1, 3), variant(1, 4), variant(2, 3), variant(2, 4)],
        };
        assert!(sweep.warning().starts_with("4 variants were tried on the same data."));
        let page = sweep.page();
        assert!(page.contains("&lt;sma&gt;") && page.contains("&lt;b&gt;failed"), "{page}");
        assert!(page.contains("4 variants were tried") && page.matches("<td>–</td>").count() >= 4);
    }

    /// A sweep over one parameter whose variants end with these equities on their second day, from 1,000.
    fn by(figure: &str, equities: &[f64]) -> Sweep {
        let report = |last: f64| {
            let mut material = crate::material::tests::empty();
            for (day, equity) in [(1, 1_000.0), (2, last), (3, 1_000.0)] {
                let close = sandpit_types::MarketTime::from_secs(86_400 * day);
                material.curve.push(close, equity, 0.0, 0.0);
                material.curve.end_day(close);
            }
            crate::report(&material)
        };
        let variant = |(at, equity): (i64, &f64)| Variant {
            values: vec![at.into()],
            report: Some(report(*equity)),
            end: "finished".to_owned(),
        };
        Sweep {
            strategy: "s".to_owned(),
            axes: vec![("n".to_owned(), (0..equities.len()).map(Value::from).collect())],
            by: figure.to_owned(),
            variants: (0..).zip(equities).map(variant).collect(),
        }
    }

    #[test]
    fn the_best_is_that_with_the_least_cost_and_the_most_gain() {
        let check = |figure: &str, expected: &[i64]| {
            let sweep = by(figure, &[900.0, 980.0, 700.0]);
            let found: Vec<_> = sweep.ranked().iter().map(|(of, _)| of.values[0].as_i64()).collect();
            assert_eq!(found, expected.iter().map(|at| Some(*at)).collect::<Vec<_>>(), "{figure}");
            // The best is green and the worst red, whichever way is up.
            let page = sweep.page();
            let row = |at: i64| {
                let (_, rest) = page.split_once(&format!("<tr><td>{at}</td><td style=")).expect("a row");
                rest.split_once("</tr>").expect("its end").0.to_owned()
            };
            assert!(row(expected[0]).contains("26,127,55,0.70"), "{figure}: {}", row(expected[0]));
            assert!(row(expected[2]).contains("207,34,46,0.70"), "{figure}: {}", row(expected[2]));
        };
        check("daily.annual_volatility", &[1, 0, 2]);
        check("max_drawdown", &[1, 0, 2]);
        check("daily.best_day", &[2, 0, 1]);
    }

    #[test]
    fn luck_is_told_of_sharpe_ratios_of_several_variants_only() {
        let check = |sweep: Sweep, is_told: bool| {
            assert_eq!(sweep.luck().is_some(), is_told);
            assert_eq!(sweep.page().contains("without any skill"), is_told, "{}", sweep.warning());
        };
        check(by("daily.sharpe", &[900.0, 980.0, 700.0]), true);
        check(by("daily.sharpe", &[900.0]), false);
        check(by("daily.sortino", &[900.0, 980.0, 700.0]), false);
        check(by("daily.sharpe", &[]), false);
    }

    #[test]
    fn a_large_sweep_makes_no_huge_page() {
        let values = || (0..100).map(|at| Value::from(format!("{at}{}", "<".repeat(5_000)))).collect();
        let mut sweep = by("max_drawdown", &[900.0]);
        sweep.axes = vec![("a".to_owned(), values()), ("b".to_owned(), values())];
        let mut one = sweep.variants.remove(0);
        (one.values, one.end) = (vec![values().remove(0), values().remove(1)], "&".repeat(5_000));
        sweep.variants = vec![one; 10_000];
        let page = sweep.page();
        assert!(page.len() < 2_500_000, "{} bytes", page.len());
    }
}
