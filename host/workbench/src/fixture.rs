//! Fixtures: the events that a strategy is told in a test, one JSON line each.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sandpit_strategy::StrategyEvent;
use sandpit_types::{
    Bar, BarMark, Leg, MarketEvent, MarketTime, News, OrderKind, OrderStatus, OrderUpdate, Price, Qty, Quote,
    Refusal, SessionDay, Side, StrategyOrderId, StreamHealth, Symbol, Trade, Usd,
};
use serde::{Deserialize, Serialize};

use crate::WorkbenchError;

/// Bytes of one fixture.
const BYTES_MAX: u64 = 256 << 20;
/// The end of the names of expectations.
const EXPECTED: &str = ".expected.jsonl";

/// One line. Its words are those of people and stay as they are when the host's own change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Line {
    /// Who answers the orders; the first line, if any.
    Desk(Answers),
    Bar(Bar),
    LateBar(Bar),
    CorrectedBar(Bar),
    Quote(Quote),
    Trade(Trade),
    BarsComplete(MarketTime),
    SessionOpen(SessionDay),
    SessionClose(MarketTime),
    News(Box<News>),
    Health(StreamHealth, MarketTime),
    Warmup(Bar),
    Order(OrderUpdate),
    Fill {
        id: StrategyOrderId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leg: Option<Leg>,
        symbol: Symbol,
        side: Side,
        qty: Qty,
        price: Price,
        time: MarketTime,
    },
    Refused {
        id: StrategyOrderId,
        refusal: Refusal,
        time: MarketTime,
    },
    Account {
        equity: Usd,
        buying_power: Usd,
    },
    Position {
        symbol: Symbol,
        qty: Qty,
        avg_price: Price,
    },
    OpenOrder {
        id: StrategyOrderId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leg: Option<Leg>,
        symbol: Symbol,
        side: Side,
        qty: Qty,
        filled_qty: Qty,
        kind: OrderKind,
        status: OrderStatus,
    },
    Tick(MarketTime),
}

/// Who answers the orders of a fixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answers {
    /// A desk that fills what a price reaches.
    Fills,
    /// Nobody but the lines of the fixture.
    None,
}

impl From<Line> for Option<StrategyEvent> {
    fn from(line: Line) -> Self {
        let market = |event| Some(StrategyEvent::Market(event));
        match line {
            Line::Desk(_) => None,
            Line::Bar(bar) => market(MarketEvent::Bar(bar)),
            Line::LateBar(bar) => market(MarketEvent::MarkedBar(bar, BarMark::Late)),
            Line::CorrectedBar(bar) => market(MarketEvent::MarkedBar(bar, BarMark::Corrected)),
            Line::Quote(quote) => market(MarketEvent::Quote(quote)),
            Line::Trade(trade) => market(MarketEvent::Trade(trade)),
            Line::BarsComplete(start) => market(MarketEvent::BarsComplete(start)),
            Line::SessionOpen(day) => market(MarketEvent::SessionOpen(day)),
            Line::SessionClose(at) => market(MarketEvent::SessionClose(at)),
            Line::News(news) => market(MarketEvent::News(news)),
            Line::Health(health, at) => market(MarketEvent::Health(health, at)),
            Line::Warmup(bar) => Some(StrategyEvent::Warmup(bar)),
            Line::Order(update) => Some(StrategyEvent::Order(update)),
            Line::Fill { id, leg, symbol, side, qty, price, time } => {
                Some(StrategyEvent::Fill { id, leg, symbol, side, qty, price, time })
            }
            Line::Refused { id, refusal, time } => Some(StrategyEvent::Refused { id, refusal, time }),
            Line::Account { equity, buying_power } => Some(StrategyEvent::Account { equity, buying_power }),
            Line::Position { symbol, qty, avg_price } => {
                Some(StrategyEvent::Position { symbol, qty, avg_price })
            }
            Line::OpenOrder { id, leg, symbol, side, qty, filled_qty, kind, status } => {
                Some(StrategyEvent::OpenOrder { id, leg, symbol, side, qty, filled_qty, kind, status })
            }
            Line::Tick(at) => Some(StrategyEvent::Tick(at)),
        }
    }
}

/// A fixture that was read.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) path: PathBuf,
    pub(crate) answers: Answers,
    /// Each with its line, from one.
    pub(crate) events: Vec<(usize, StrategyEvent)>,
}

impl Fixture {
    /// # Errors
    /// When it cannot be read or a line says nothing that is known, by its number.
    pub(crate) fn read(path: &Path) -> Result<Self, WorkbenchError> {
        let text = read_text(path)?;
        let mut fixture = Self { path: path.to_owned(), answers: Answers::None, events: Vec::new() };
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let bad = |what: String| WorkbenchError::Project(format!("{}:{number}: {what}", path.display()));
            let line: Line = serde_json::from_str(line).map_err(|error| bad(error.to_string()))?;
            match line {
                Line::Desk(answers) if fixture.events.is_empty() => fixture.answers = answers,
                Line::Desk(_) => return Err(bad("the desk has to be the first line".into())),
                line => fixture.events.extend(Option::from(line).map(|event| (number, event))),
            }
        }
        Ok(fixture)
    }

    /// Where what is expected of it is written.
    pub(crate) fn expected(&self) -> PathBuf {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.path.with_file_name(format!("{stem}{EXPECTED}"))
    }
}

/// The fixtures beside a plugin, by name.
///
/// # Errors
/// When there is none.
pub(crate) fn beside(plugin: &Path) -> Result<Vec<PathBuf>, WorkbenchError> {
    let folder = plugin.parent().unwrap_or(Path::new("")).join("fixtures");
    let none = || {
        WorkbenchError::Project(format!(
            "there is no fixture in {}: write events to NAME.jsonl there, in the form that `sandpit plugin \
             test --help` shows",
            folder.display()
        ))
    };
    let listing = fs::read_dir(&folder).map_err(|_| none())?;
    let is_fixture = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with(".jsonl") && !name.ends_with(EXPECTED)
    };
    let mut found: Vec<_> = listing.filter_map(|entry| Some(entry.ok()?.path())).filter(is_fixture).collect();
    found.sort();
    if found.is_empty() { Err(none()) } else { Ok(found) }
}

/// A text file of bounded size.
///
/// # Errors
/// When it cannot be read, is too large or no text.
pub(crate) fn read_text(path: &Path) -> Result<String, WorkbenchError> {
    let length = fs::metadata(path).map_err(WorkbenchError::io("read", path))?.len();
    if length > BYTES_MAX {
        let words = format!("{} has more than {BYTES_MAX} bytes: split it", path.display());
        return Err(WorkbenchError::Project(words));
    }
    fs::read_to_string(path).map_err(WorkbenchError::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Fixture, WorkbenchError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jsonl");
        fs::write(&path, text).expect("a file");
        Fixture::read(&path)
    }

    #[test]
    fn lines_are_events_or_refused_by_number() {
        let fixture = read("{\"desk\":\"fills\"}\n\n{\"tick\":\"2026-03-02T14:30:00Z\"}\n").expect("good");
        assert_eq!(fixture.answers, Answers::Fills);
        let time = MarketTime::parse("2026-03-02T14:30:00Z").expect("a time");
        assert_eq!(fixture.events, [(3, StrategyEvent::Tick(time))]);
        assert!(fixture.expected().ends_with("a.expected.jsonl"));
        let error = |text: &str| read(text).expect_err("bad").to_string();
        assert!(
            error("{\"tick\":\"2026-03-02T14:30:00Z\"}\n{\"tock\":1}")
                .contains("a.jsonl:2: unknown variant `tock`")
        );
        assert!(error("{\"tick\":\"noon\"}").contains("a.jsonl:1: \"noon\" is not an RFC 3339 time"));
        let late = "{\"tick\":\"2026-03-02T14:30:00Z\"}\n{\"desk\":\"fills\"}";
        assert!(error(late).contains("a.jsonl:2: the desk has to be the first line"));
    }

    #[test]
    fn floats_survive_the_way_through_a_file() {
        let (symbol, start) = (Symbol::new("SPY"), MarketTime::from_nanos(1));
        for bits in (0..2_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let close = f64::from_bits(bits);
            if !close.is_finite() {
                continue;
            }
            let (open, high, low, volume, vwap) = (0.1 + 0.2, close, -close, u64::MAX, 1.0 / 3.0);
            let symbol = symbol.clone();
            let line = Line::Bar(Bar { symbol, start, open, high, low, close, volume, vwap });
            let text = serde_json::to_string(&line).expect("writes");
            assert_eq!(serde_json::from_str::<Line>(&text).expect("reads"), line, "{text}");
        }
    }

    #[test]
    fn fixtures_are_found_and_expectations_are_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let plugin = folder.path().join("a.wasm");
        assert!(beside(&plugin).expect_err("none").to_string().contains("there is no fixture in /"));
        let fixtures = folder.path().join("fixtures");
        fs::create_dir(&fixtures).expect("a folder");
        assert!(beside(&plugin).is_err());
        for name in ["b.jsonl", "a.jsonl", "a.expected.jsonl", "c.txt"] {
            fs::write(fixtures.join(name), "").expect("a file");
        }
        assert_eq!(beside(&plugin).expect("two"), ["a.jsonl", "b.jsonl"].map(|name| fixtures.join(name)));
    }
}
