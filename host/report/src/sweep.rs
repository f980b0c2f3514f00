//! Many variants of one strategy side by side: a table, a heat map, and a warning.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::{Report, page};

/// Rows of the table on the page, at most: the best.
const ROWS_MAX: usize = 100;

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
        let json = serde_json::to_value(variant.report.as_ref()?).ok()?;
        let path = format!("/{}", self.by.replace('.', "/"));
        json.pointer(&path)?.as_f64()
    }

    /// The variants, the best first; those without the figure last, in their order.
    pub fn ranked(&self) -> Vec<(&Variant, Option<f64>)> {
        let mut ranked: Vec<_> =
            self.variants.iter().map(|variant| (variant, self.figure(variant))).collect();
        let key = |figure: Option<f64>| figure.unwrap_or(f64::NEG_INFINITY);
        ranked.sort_by(|(_, a), (_, b)| key(*b).total_cmp(&key(*a)));
        ranked
    }

    /// What has to be said of the best of many.
    pub fn warning(&self) -> String {
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
        text += &self.map();
        text += &self.table();
        text + "</body></html>\n"
    }

    /// The first axis down, the second across; further axes at their first values, which is said.
    fn map(&self) -> String {
        let Some((down, rows)) = self.axes.first() else { return String::new() };
        let none = (String::new(), vec![Value::Null]);
        let (across, columns) = self.axes.get(1).unwrap_or(&none);
        let rest: usize = self.axes.iter().skip(2).map(|(_, values)| values.len()).product();
        let at = |row: usize, column: usize| {
            let index = (row * columns.len() + column) * rest;
            self.variants.get(index).and_then(|variant| self.figure(variant))
        };
        let figures: Vec<f64> = self.variants.iter().filter_map(|variant| self.figure(variant)).collect();
        let low = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let high = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
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
            let cells: String = (0..columns.len()).map(|column| cell(at(row, column), low, high)).collect();
            let _ = write!(text, "<tr><td>{}</td>{cells}</tr>", shown(value));
        }
        text + "</table></div>"
    }

    fn table(&self) -> String {
        let heads: String =
            self.axes.iter().map(|(name, _)| format!("<th>{}</th>", page::escaped(name))).collect();
        let mut text = format!(
            "<h2>Best first</h2><div class=\"scroll\"><table><tr>{heads}<th>{}</th><th>total \
             return</th><th>max \
             drawdown</th><th>round trips</th><th>ended</th></tr>",
            page::escaped(&self.by)
        );
        for (variant, figure) in self.ranked().into_iter().take(ROWS_MAX) {
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

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => page::escaped(text),
        other => page::escaped(&other.to_string()),
    }
}

/// A cell from red over the paper's colour to green.
fn cell(figure: Option<f64>, low: f64, high: f64) -> String {
    let Some(figure) = figure else { return "<td>–</td>".to_owned() };
    let share = if high > low { (figure - low) / (high - low) } else { 0.5 };
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
}
