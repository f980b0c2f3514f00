//! The command line of `sandpit backtest`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::{civil::Date, tz::TimeZoneDatabase};
use sandpit_backfill::parse_symbol;
use sandpit_backtest::{Axis, Walk, value};
use sandpit_types::{MarketTime, Symbol, Usd};
use sandpit_venue::Realism;
use serde_json::Value;

/// What stands below the flags.
const MORE: &str = "\
The component is the one that trades: the same file, gates, order lifecycle and matching engine as in a dry
  run. Parameters, instruments and limits come from X.toml beside it; --config takes the host's limits.
  A loss limit that is reached ends the run there, as it would have killed the host.

Data: CSV, CSV.gz or Parquet with a header (bars: timestamp,symbol,open,high,low,close,volume; quotes:
  timestamp,symbol,bid_price,bid_size,ask_price,ask_size; trades: timestamp,symbol,price,size), and what
  `sandpit backfill` writes. Bars are one-minute bars stamped at their start. A strategy is told of a bar at
  the end of its minute, and of nothing before it is known. Prices are taken to be free of splits and
  dividends.

Repairs (--repair, repeatable): sort, drop (rows that cannot be), first or last (of two rows of one time),
  offsets (times written in several zones), zone=America/New_York (times that say no zone). Without one, such
  data is refused with its line. What is repaired is told in the report.

Realism: live walks the book, slips, delays and charges fees; paper is as the broker's paper account; exact
  fills at the quote, without chance or delay. See docs/backtest-report.md for every figure.

Examples:
  sandpit backtest --strategy sma_cross.wasm --data data/bars --from 2024-01-01 --to 2024-12-31
  sandpit backtest --strategy sma_cross.wasm --data spy.csv.gz --param fast=10 --param slow=30 --json -
  sandpit backtest --strategy sma_cross.wasm --data data --sweep fast=5..30:5 --sweep slow=40..120:20
  sandpit backtest --strategy sma_cross.wasm --data data --sweep fast=5..30:5 --walk 120:20

Exit codes:
  0   all data was played
  2   wrong usage
  10  the configuration is wrong
  11  the strategy cannot be used, or failed: the report goes up to the event it failed on
  12  the report cannot be written
  14  the data cannot be used; the message has file and line
  16  the run ended early: a loss limit was reached, or it was interrupted
  31  internal failure";

/// Run a strategy over the past: the same component, gates and order lifecycle as live.
#[derive(Debug, Args)]
#[command(after_long_help = MORE)]
pub(crate) struct BacktestArgs {
    /// The strategy's file
    #[arg(long, value_name = "X.wasm")]
    pub(super) strategy: PathBuf,
    /// Files, or folders of them
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub(super) data: Vec<PathBuf>,
    /// Takes limits and plugin settings from a host's configuration; no keys are needed
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// What it trades, such as SPY,BRK.B [default: as its .toml or itself says]
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = parse_symbol)]
    pub(super) symbols: Vec<Symbol>,
    /// First day, New York
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_date)]
    pub(super) from: Option<Date>,
    /// Last day, New York
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_date)]
    pub(super) to: Option<Date>,
    /// Cash at the start, US dollars
    #[arg(long, value_name = "USD", default_value = "100000", value_parser = parse_cash)]
    pub(super) cash: Usd,
    /// How true to life fills are
    #[arg(long, value_name = "HOW", default_value = "live")]
    pub(super) realism: How,
    /// What all chance is drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// A parameter of the strategy, in the place of its .toml's; repeatable
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    pub(super) parameters: Vec<(String, Value)>,
    /// Repairs data; repeatable, see below
    #[arg(long, value_name = "WORD")]
    pub(super) repair: Vec<String>,
    /// Runs once for each value; several make all combinations
    #[arg(long, value_name = "NAME=A..B:STEP", value_parser = Axis::parse)]
    pub(super) sweep: Vec<Axis>,
    /// Chooses among a sweep's variants on TRAIN trading days, tries the choice on the TEST days after them,
    /// and goes on by these; reports the days of the trials only
    #[arg(long, value_name = "TRAIN:TEST", value_parser = Walk::parse, requires = "sweep")]
    pub(super) walk: Option<Walk>,
    /// Begins every choice of a walk with the first day of all
    #[arg(long, requires = "walk")]
    pub(super) anchored: bool,
    /// By which figure of the JSON report a sweep compares
    #[arg(long, value_name = "FIGURE", default_value = "daily.sharpe", requires = "sweep")]
    pub(super) by: String,
    /// Runs of a sweep at a time [default: the processors there are]
    #[arg(long, value_name = "N", requires = "sweep",
        value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
    /// The report: a page that needs nothing else
    #[arg(long, value_name = "FILE", default_value = "backtest.html")]
    pub(super) report: PathBuf,
    /// The figures as JSON; - is the standard output
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Every execution as CSV; - is the standard output
    #[arg(long, value_name = "FILE", conflicts_with = "sweep")]
    pub(super) fills: Option<PathBuf>,
}

/// How true to life fills are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum How {
    /// At the quote, no chance, no delay, no fees
    Exact,
    /// As the broker's paper account
    Paper,
    /// Nearest to real money
    Live,
}

impl How {
    /// Its word.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Paper => "paper",
            Self::Live => "live",
        }
    }

    /// Its figures.
    pub(super) const fn of_venue(self) -> Realism {
        match self {
            Self::Exact => Realism::exact(),
            Self::Paper => Realism::paper(),
            Self::Live => Realism::live(),
        }
    }
}

fn parse_date(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| format!("{text:?} is no date: write it like 2024-01-31"))
}

fn parse_cash(text: &str) -> Result<Usd, String> {
    let cash: Option<Usd> = text.parse().ok();
    let most = Usd::new(1_000_000_000_000_i64.into());
    cash.filter(|cash| cash.is_positive() && *cash <= most)
        .ok_or_else(|| format!("{text:?} is no amount above zero and up to {most} USD"))
}

fn parse_parameter(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((name, text)) if !name.is_empty() => Ok((name.to_owned(), value(text))),
        _ => Err(format!("{text:?} is no parameter: write it like fast=10")),
    }
}

/// The start of a day in New York.
pub(super) fn midnight(date: Date) -> MarketTime {
    let zone = TimeZoneDatabase::bundled()
        .get("America/New_York")
        .expect("the time zone database in this program has New York");
    // Clocks change at two in the morning there: midnight is there once.
    zone.to_ambiguous_timestamp(date.at(0, 0, 0, 0)).compatible().map_or(MarketTime::EPOCH, MarketTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_command_line() {
        assert_eq!(parse_parameter("fast=10"), Ok(("fast".to_owned(), 10.into())));
        assert_eq!(parse_parameter("mode=a=b"), Ok(("mode".to_owned(), "a=b".into())));
        assert_eq!(parse_parameter("on=true"), Ok(("on".to_owned(), true.into())));
        for wrong in ["", "fast", "=3"] {
            assert!(parse_parameter(wrong).is_err(), "{wrong}");
        }
        assert!(parse_cash("0").is_err() && parse_cash("-5").is_err() && parse_cash("1e30").is_err());
        assert_eq!(parse_cash("2500.50").map(|cash| cash.to_string()), Ok("2500.5".to_owned()));
        let date = parse_date("2013-10-07").expect("a date");
        assert_eq!(midnight(date).to_string(), "2013-10-07T04:00:00Z");
    }
}
