//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, ValueEnum};
use jiff::civil::{Date, date};
use rust_decimal::Decimal;
use sandpit_sim::{Sessions, Settings, clock::MAX_SPEED, data::MAX_FILES, limit::Rates, stream::data::Plan};
use sandpit_types::{Symbol, Usd};
use sandpit_venue::{DayTradeRule, Realism};

/// First day of the synthetic market when none is named: a Monday with nothing special about it.
const DEFAULT_DATE: Date = date(2026, 3, 16);
/// Most connections to a stream that can be asked for: as many as there is room for.
const MAX_CONNECTIONS: u32 = 10_000;

/// What stands below the flags.
const MORE: &str = "\
Endpoints (paths as Alpaca has them; point a client's base URL here):
  /v2/account, /v2/account/configurations, /v2/account/activities, /v2/account/portfolio/history
  /v2/orders, /v2/positions, /v2/assets, /v2/watchlists, /v2/clock, /v2/calendar
  /v2/events/trades                     trade updates as server-sent events
  /v2/stocks/..., /v1beta1/news, ...    market data: bars, trades, quotes, latest, snapshots, news
  ws /stream                            trade updates
  ws /v2/iex, /v2/sip, ...              market data
  Any key and secret are accepted unless --key and --secret are given.

Controls (no key, JSON bodies):
  GET  /sim/status
  GET  /sim/clock
  POST /sim/clock    {\"pause\":true} {\"resume\":true} {\"speed\":60} {\"advance\":\"5m\"}
                     {\"advance_to\":\"2026-03-16T14:00:00Z\"}
  POST /sim/inject   {\"trade\":{\"symbol\":\"SPY\",\"price\":101.5,\"size\":100}}
                     {\"quote\":{\"symbol\":\"SPY\",\"bid\":101.4,\"ask\":101.5}}, also \"bar\"
                     {\"gap\":{\"symbol\":\"SPY\",\"percent\":-5}} or \"amount\"
                     {\"halt\":{\"symbol\":\"SPY\"}} {\"resume\":{\"symbol\":\"SPY\"}}
                     {\"message\":{\"T\":\"l\",\"S\":\"SPY\",...}}, any message of the data stream
                     {\"news\":{\"headline\":\"...\",\"symbols\":[\"SPY\"]}}
                     {\"order\":{\"id\":\"...\",\"event\":\"rejected\"}}
  GET  /sim/faults, POST /sim/faults    a rule as in the file, as JSON; answers its number
  DELETE /sim/faults/N, DELETE /sim/faults
  GET  /sim/log?after=N&limit=N         every change, its outcome, every order event: JSON lines
  POST /sim/reset    {\"seed\":7,\"cash\":\"50000\"}   the run from its start, both optional

Faults (--faults FILE: [[fault]] with a kind; POST /sim/faults: the same as a JSON object):
  requests   latency {delay_ms}, rate_limit, server_error {status, deed}, reset {deed},
             timeout {hold_ms, deed}, html {status, deed}, handshake_429, equity {amount | factor},
             clock_skew {skew_secs, stamps}
  207        partial_failure {status, deed}
  streams    drop, mute {mute_secs}, duplicate, reorder, slow {delay_ms}, lose, replay {count},
             ghost {ghost_secs}
  venue      stuck_cancels, halt {symbol}
  Where:     api = \"trading\" | \"data\", method, path (a prefix), stream = \"data\" | \"trades\", symbol
  How often: first, every, probability, at_most
  When:      from, until (moments), after_secs, until_secs (market seconds after the start)
  deed = \"done\" does what was asked and lies about it; waits of requests are real time

The same twice, byte for byte: start with --paused and a --seed, move the clock only with
  POST /sim/clock {\"advance\":\"...\"}, send one request after the other, and compare /sim/log.

Exit codes:
  0   stopped by a signal
  1   it could not start, or it broke down
  2   wrong usage
  10  the file of faults is wrong
  13  the address cannot be used
  14  a data file is broken";

/// A broker that speaks Alpaca's REST and WebSocket APIs, with virtual money, over real or random market
/// data.
///
/// One port serves everything. When it is ready it prints `listening ADDR:PORT`.
#[derive(Debug, Parser)]
#[command(name = "sandpit-sim", version, verbatim_doc_comment, after_long_help = MORE)]
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
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SPEED)))]
    pub(crate) speed: u32,

    /// Start with the clock standing at the start of the run; /sim/clock sets it forward or lets it go
    #[arg(long)]
    pub(crate) paused: bool,

    /// Cash at the start, US dollars
    #[arg(long, value_name = "N", default_value = "100000", value_parser = parse_cash)]
    pub(crate) cash: Usd,

    /// Take and fill orders at any hour
    #[arg(long)]
    pub(crate) always_open: bool,

    /// How true to life fills are. paper: Alpaca's paper engine (sizes do not count, one fill in ten is a
    /// random part, no fees). live: sizes, latency, slippage and fees. exact: the quote and its size, no
    /// chance
    #[arg(long, value_name = "HOW", default_value = "paper", verbatim_doc_comment)]
    pub(crate) realism: HowReal,

    /// Which rule limits day trading. intraday: margin within the day (since 2026-06-04). legacy: the pattern
    /// day trader rule before it
    #[arg(long, value_name = "RULE", default_value = "intraday", verbatim_doc_comment)]
    pub(crate) day_trade_rule: DayTrading,

    /// What the account has paid for. basic: no SIP in real time, thirty symbols of trades and quotes on a
    /// stream, 200 requests a minute for market data. plus: everything, 10,000 requests
    #[arg(long, value_name = "PLAN", default_value = "plus", verbatim_doc_comment)]
    pub(crate) plan: DataPlan,

    /// Connections that may listen to each stream at a time, for market data each key's; one more is refused
    #[arg(long, value_name = "N", default_value_t = Settings::CONNECTIONS_PER_ENDPOINT,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CONNECTIONS)))]
    pub(crate) connections: u32,

    /// Requests per minute of market time, for each key, to trading and to market data each. While the clock
    /// stands no quota is free again: set it forward, or ask for a larger one
    /// [default: 200 to trading; to market data what the plan grants]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000),
        verbatim_doc_comment)]
    pub(crate) rpm: Option<u32>,

    /// What is to go wrong, as TOML; more can be added while it runs, see below
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,

    /// The only key that is accepted [default: any]
    #[arg(long, requires = "secret")]
    pub(crate) key: Option<String>,

    /// The secret of the key
    #[arg(long, requires = "key")]
    pub(crate) secret: Option<String>,
}

/// How true to life fills are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum HowReal {
    Paper,
    Live,
    Exact,
}

impl HowReal {
    /// The figures of it.
    pub(crate) const fn figures(self) -> Realism {
        match self {
            Self::Paper => Realism::paper(),
            Self::Live => Realism::live(),
            Self::Exact => Realism::exact(),
        }
    }
}

/// What the account has paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum DataPlan {
    Basic,
    Plus,
}

impl DataPlan {
    /// Its market data.
    pub(crate) const fn plan(self) -> Plan {
        match self {
            Self::Basic => Plan::Basic,
            Self::Plus => Plan::AlgoTraderPlus,
        }
    }

    /// Its requests a minute.
    pub(crate) const fn rates(self) -> Rates {
        match self {
            Self::Basic => Rates::BASIC,
            Self::Plus => Rates::PLUS,
        }
    }
}

/// Which rule limits day trading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum DayTrading {
    Intraday,
    Legacy,
}

impl From<DayTrading> for DayTradeRule {
    fn from(rule: DayTrading) -> Self {
        match rule {
            DayTrading::Intraday => Self::Intraday,
            DayTrading::Legacy => Self::Legacy,
        }
    }
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
    let most = Settings::MAX_CASH;
    let cash = cash.filter(|cash| *cash > Decimal::ZERO && *cash <= Decimal::from(most));
    cash.map(Usd::new).ok_or_else(|| format!("an amount above zero and at most {most}"))
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
        check(&["--realism", "live", "--day-trade-rule", "legacy", "--faults", "f.toml", "--rpm", "5"], true);
        check(&["--plan", "basic", "--connections", "3", "--paused"], true);
        check(&["--plan", "gold"], false);
        check(&["--connections", "0"], false);
        check(&["--realism", "real"], false);
        check(&["--day-trade-rule", "none"], false);
        check(&["--rpm", "0"], false);
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
