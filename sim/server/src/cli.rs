//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use jiff::civil::{Date, date};
use rust_decimal::Decimal;
use sandpit_sim::{Sessions, data::MAX_FILES};
use sandpit_types::{Symbol, Usd};

/// First day of the synthetic market when none is named: a Monday with nothing special about it.
const DEFAULT_DATE: Date = date(2026, 3, 16);
/// Most cash, US dollars: beyond it positions would not fit into decimals.
const MAX_CASH: i64 = 1_000_000_000_000;

/// A broker that speaks Alpaca's REST and WebSocket APIs, with virtual money, over real or random market
/// data.
///
/// One port serves everything: /v2/... (trading and market data), ws /stream (trade updates), ws /v2/iex and
/// /v2/sip (market data), and /sim/status (what the simulator says of itself). When it is ready it prints
/// `listening ADDR:PORT`.
///
/// Exit codes: 0 stopped by a signal, 2 wrong usage, 13 the address cannot be used, 14 a data file is broken.
#[derive(Debug, Parser)]
#[command(name = "sandpit-sim", version, verbatim_doc_comment)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8090")]
    pub(crate) listen: SocketAddr,

    /// Symbols to trade [default: those of the data, or 25 liquid US symbols]
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = parse_symbol)]
    pub(crate) symbols: Vec<Symbol>,

    /// Market data, CSV or CSV.gz, sorted by time; repeatable. The header says what it holds:
    /// "timestamp,symbol,open,high,low,close,volume",
    /// "timestamp,symbol,bid_price,bid_size,ask_price,ask_size" or
    /// "timestamp,symbol,price,size,exchange" [default: a seeded random market]
    #[arg(long, value_name = "FILE", num_args = 1.., verbatim_doc_comment)]
    pub(crate) data: Vec<PathBuf>,

    /// Sessions to play: the first N of the data, or all of them; for the random market, N days
    #[arg(long, value_name = "N|all", default_value = "1")]
    pub(crate) sessions: Sessions,

    /// First day of the random market, a trading day
    #[arg(long, value_name = "YYYY-MM-DD", default_value_t = DEFAULT_DATE, conflicts_with = "data")]
    pub(crate) date: Date,

    /// Seed of the random market and of all ids: the same seed makes the same market
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Market seconds per real second
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) speed: u32,

    /// Cash at the start, US dollars
    #[arg(long, value_name = "N", default_value = "100000", value_parser = parse_cash)]
    pub(crate) cash: Usd,

    /// Take and fill orders at any hour
    #[arg(long)]
    pub(crate) always_open: bool,

    /// Requests per minute of market time, for each key, for trading and market data each
    #[arg(long, value_name = "N", default_value_t = sandpit_sim::Settings::REQUESTS_PER_MINUTE,
        value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) rpm: u32,

    /// The only key that is accepted [default: any]
    #[arg(long, requires = "secret")]
    pub(crate) key: Option<String>,

    /// The secret of the key
    #[arg(long, requires = "key")]
    pub(crate) secret: Option<String>,
}

impl Args {
    /// What the types of the flags cannot say; the message for the user when something is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.data.len() > MAX_FILES {
            return Err(format!("--data takes at most {MAX_FILES} files"));
        }
        if self.data.is_empty() && self.sessions == Sessions::All {
            return Err("--sessions all needs --data: the random market has no end".into());
        }
        Ok(())
    }
}

fn parse_symbol(text: &str) -> Result<Symbol, String> {
    sandpit_sim::data::parse_symbol(text)
}

fn parse_cash(text: &str) -> Result<Usd, String> {
    let cash = text.parse::<Decimal>().ok();
    let cash = cash.filter(|cash| *cash > Decimal::ZERO && *cash <= Decimal::from(MAX_CASH));
    cash.map(Usd::new).ok_or_else(|| format!("an amount above zero and at most {MAX_CASH}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_refused() {
        let check = |flags: &[&str], is_good: bool| {
            let args = Args::try_parse_from([&["sandpit-sim"], flags].concat());
            let good = args.is_ok_and(|args| args.check().is_ok());
            assert_eq!(good, is_good, "{flags:?}");
        };
        check(&[], true);
        check(&["--symbols", "SPY,BRK.B", "--sessions", "3", "--speed", "195", "--cash", "2500.50"], true);
        check(&["--data", "a.csv", "b.csv", "--data", "c.csv.gz", "--sessions", "all"], true);
        check(&["--symbols", "spy"], false);
        check(&["--speed", "0"], false);
        check(&["--sessions", "0"], false);
        check(&["--sessions", "all"], false);
        check(&["--cash", "-1"], false);
        check(&["--key", "K"], false);
        check(&["--data", "a.csv", "--date", "2026-03-16"], false);
        check(&["--listen", "8090"], false);
    }
}
