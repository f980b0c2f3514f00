//! A survey for people, and for programs.

use sandpit_types::{MarketTime, Symbol};
use serde_json::{Value, json};

use crate::{Finding, Findings, Kind, Survey, SymbolSurvey};

/// The columns of the table, and how wide each is.
const HEAD: [(&str, usize); 8] = [
    ("symbol", 8),
    ("kind", 6),
    ("rows", 10),
    ("days", 5),
    ("first", 20),
    ("last", 20),
    ("low", 10),
    ("high", 10),
];

/// Columns from here to there are numbers, and stand at the right.
const NUMBERS: [usize; 4] = [2, 3, 6, 7];

impl Survey {
    /// A table of symbols, and what was found.
    pub fn text(&self) -> String {
        let mut text = line(&HEAD.map(|(name, _)| name.to_owned()));
        for ((symbol, kind), of) in &self.symbols {
            let SymbolSurvey { rows, days, first, last, low, high } = of;
            // The last nanosecond of a sample's minute says no more than its second.
            let short = |time: &MarketTime| {
                MarketTime::from_secs(time.as_nanos().div_euclid(1_000_000_000)).to_string()
            };
            text += &line(&[
                symbol.to_string(),
                kind.name().to_owned(),
                rows.to_string(),
                days.to_string(),
                short(first),
                short(last),
                low.to_string(),
                high.to_string(),
            ]);
        }
        text + &self.findings.text()
    }

    /// `{"symbols": [{"symbol", "kind", "rows", "days", "first", "last", "low", "high"}], "faults": count,
    /// "findings": [{"what", "count", "examples"}]}`; times are RFC 3339, prices US dollars.
    pub fn json(&self) -> Value {
        let symbol = |((symbol, kind), of): (&(Symbol, Kind), &SymbolSurvey)| {
            json!({
                "symbol": symbol.as_str(),
                "kind": kind.name(),
                "rows": of.rows,
                "days": of.days,
                "first": of.first.to_string(),
                "last": of.last.to_string(),
                "low": of.low,
                "high": of.high,
            })
        };
        json!({
            "symbols": self.symbols.iter().map(symbol).collect::<Vec<_>>(),
            "faults": self.findings.faults(),
            "findings": self.findings.json(),
        })
    }
}

impl Findings {
    /// A paragraph each: what and how often, then where.
    pub fn text(&self) -> String {
        let paragraph = |(kind, finding): (&String, &Finding)| {
            let examples: String = finding.examples.iter().map(|example| format!("  {example}\n")).collect();
            let more = finding.count.saturating_sub(finding.examples.len() as u64);
            let more = if more > 0 { format!("  and {more} more\n") } else { String::new() };
            format!("{kind}: {}\n{examples}{more}", finding.count)
        };
        self.kinds.iter().map(paragraph).collect()
    }

    /// `[{"what", "count", "examples"}]`.
    pub fn json(&self) -> Value {
        let finding = |(kind, finding): (&String, &Finding)| {
            let Finding { count, examples } = finding;
            json!({ "what": kind, "count": count, "examples": examples })
        };
        self.kinds.iter().map(finding).collect()
    }
}

fn line(cells: &[String; 8]) -> String {
    let cell = |(at, (cell, (_, width))): (usize, (&String, &(&str, usize)))| {
        if NUMBERS.contains(&at) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
    };
    let cells: Vec<String> = cells.iter().zip(&HEAD).enumerate().map(cell).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey() -> Survey {
        let mut survey = Survey::default();
        let (first, last) =
            (MarketTime::from_secs(1_381_152_660), MarketTime::from_nanos(1_381_176_059_999_999_999));
        let of = SymbolSurvey { rows: 390, days: 1, first, last, low: 9.5, high: 10.25 };
        survey.symbols.insert((Symbol::new("BRK.B"), Kind::Bars), of);
        (0..7).for_each(|at| survey.findings.add("rows left out", || format!("a.csv:{at}: close is NaN")));
        survey.findings.add(crate::findings::COLUMNS, || "a.csv: exchange".to_owned());
        survey
    }

    #[test]
    fn people_get_a_table_and_where_to_look() {
        let expected = "\
symbol    kind          rows   days  first                 last                         low        high
BRK.B     bars           390      1  2013-10-07T13:31:00Z  2013-10-07T20:00:59Z         9.5       10.25
columns passed over: 1
  a.csv: exchange
rows left out: 7
  a.csv:0: close is NaN
  a.csv:1: close is NaN
  a.csv:2: close is NaN
  a.csv:3: close is NaN
  a.csv:4: close is NaN
  and 2 more
";
        assert_eq!(survey().text(), expected);
    }

    #[test]
    fn programs_get_the_same() {
        let json = survey().json();
        assert_eq!(json["faults"], 7, "a column that is passed over is none");
        assert_eq!(json["symbols"][0]["rows"], 390);
        assert_eq!(json["symbols"][0]["last"], "2013-10-07T20:00:59.999999999Z");
        assert_eq!(json["findings"][1]["what"], "rows left out");
    }
}
