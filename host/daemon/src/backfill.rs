//! `sandpit backfill`: the command line, the key pairs and the signals; the work is that of
//! `sandpit_backfill`.

mod keys;

use std::{
    io::{IsTerminal, Write, stderr, stdout},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::{Args, ValueEnum};
use jiff::civil::Date;
use sandpit_alpaca::{Alpaca, AlpacaConfig};
use sandpit_backfill::{
    BackfillError, Bars, Day, End, Folder, Job, Kind, Lines, MAX_PER_MINUTE, NewsItems, Origin, Reporter,
    Source, Summary, TerminalBar, calendar_days, first_answer, last_whole_day, parse_symbol, quota,
    trading_days,
};
use sandpit_broker::Broker;
use sandpit_budget::Budget;
use sandpit_contract::Exit;
use sandpit_types::{MarketTime, Symbol};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use self::keys::KeyPair;
use crate::{ambient, clock::BrokerClock, run::Failure};

/// How long one request may take, real time: 10,000 bars are a long answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests to stop that are remembered: the second ends it at once, further ones change nothing.
const STOPS: usize = 2;
/// The first date that can be asked for; no broker has data from before.
const FIRST_DATE: Date = jiff::civil::date(1970, 1, 1);

/// The feed of the night from 20:00 to 04:00, which also trades on Sundays and the evenings of holidays.
const OVERNIGHT: &str = "boats";

/// What stands below the flags.
const MORE: &str = "\
Files: OUT/bars/SYMBOL/YYYY-MM-DD.parquet and OUT/news/SYMBOL/YYYY-MM-DD.parquet, one for each trading day
  (news and --feed boats: each day), also when nothing happened: a day without a file was not fetched. A
  file that exists is whole, unless the report calls its day incomplete. Days are New York's, times UTC in
  nanoseconds, prices unadjusted US dollars, volumes shares. News lies on the day of its newest version.

Rate: at most 190 requests in any minute for each key pair, or --per-minute. Do not use the key pair of a
  running host, or leave it its share: both draw on one quota at the broker, and when that is spent the host
  gets no data either. Keys come from APCA_API_KEY_ID and APCA_API_SECRET_KEY, then APCA_API_KEY_ID_2 and
  APCA_API_SECRET_KEY_2 up to _16, or from --keys. Pairs of one account may share its quota at the broker.

Trouble: 429 waits 60, 120, 240, 240, 240 s; 5xx and the network 30 s, three times; then the day is skipped.
  What is refused otherwise is skipped. Rows that cannot be read, and rows that come after the file of their
  day, make that day incomplete: it is fetched again by the next run. A key pair that is not accepted is not
  used any more.

Resume: state is kept every 100 answers and at Ctrl-C (twice: at once). The same command goes on from there;
  days that were skipped or are incomplete, or whose file was removed, are asked again. Other symbols and
  dates may follow into the same OUT; another feed may not.

Examples:
  sandpit backfill bars --symbols SPY,BRK.B --from 2024-01-01 --to 2024-12-31 --out data
  sandpit backfill news --symbols AAPL --from 2025-06-01 --out data
  sandpit backfill bars --symbols SPY --from 2026-03-16 --url http://127.0.0.1:8090 --out data

Exit codes:
  0   every day that was asked for is there, whole
  2   wrong usage; a day that is not over; OUT holds data of another feed
  10  no key pair, or half of one; a wrong --url
  12  OUT cannot be written, or another backfill writes there
  14  the checkpoint in OUT is broken
  15  the broker could not be reached at the start, or accepts none of the key pairs
  16  days were skipped or are incomplete, or it was stopped: run it again
  31  internal failure";

/// Fetch the past into Parquet files, one a symbol and day; stop and go on at any time.
#[derive(Debug, Args)]
#[command(after_long_help = MORE)]
pub(crate) struct BackfillArgs {
    /// One-minute bars, or news
    kind: What,

    /// Symbols, such as SPY,BRK.B; repeatable
    #[arg(long, value_name = "A,B", required = true, value_delimiter = ',', value_parser = parse_symbol)]
    symbols: Vec<Symbol>,

    /// First day, New York
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_date)]
    from: Date,

    /// Last day, New York; it has to be over [default: the last day that is]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_date)]
    to: Option<Date>,

    /// The folder of the files
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,

    /// Where bars come from: sip is the whole market, iex one exchange
    #[arg(long, value_name = "FEED", default_value = "sip", value_parser = ["sip", "iex", "otc", OVERNIGHT])]
    feed: String,

    /// Key pairs, one a line: id, space, secret. Only its owner may read it [default: the environment]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,

    /// Requests of one key pair in any minute; the broker allows 200
    #[arg(long, value_name = "N", default_value_t = MAX_PER_MINUTE,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PER_MINUTE)))]
    per_minute: u32,

    /// The keys are those of a live account, not of a paper account
    #[arg(long)]
    live: bool,

    /// Another broker than Alpaca's own addresses, such as a simulator
    #[arg(long, value_name = "URL", conflicts_with = "live")]
    url: Option<String>,

    /// Market seconds in a real second, of a simulator: the same as its --speed
    #[arg(long, value_name = "N", default_value = "1", requires = "url",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    clock_speed: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Bars,
    News,
}

impl BackfillArgs {
    /// Where the rows come from; news has no feeds.
    fn feed(&self) -> &str {
        match self.kind {
            What::Bars => &self.feed,
            What::News => "news",
        }
    }
}

fn parse_date(text: &str) -> Result<Date, String> {
    let date = text.parse::<Date>().ok().filter(|date| text.len() == 10 && *date >= FIRST_DATE);
    date.ok_or_else(|| format!("not a day from {FIRST_DATE} on, such as 2026-03-16"))
}

/// Fetches what was asked for, and reports.
///
/// # Errors
/// When it cannot start or cannot go on: one sentence and an exit code.
pub(crate) fn backfill(args: BackfillArgs) -> Result<Exit, Failure> {
    if args.to.is_some_and(|to| to < args.from) {
        return Err(Failure::new(Exit::Usage, "--to is before --from"));
    }
    let pairs = match &args.keys {
        Some(path) => keys::from_file(path),
        None => keys::from_environment(&ambient::environment()),
    }
    .map_err(|sentence| Failure::new(Exit::Config, sentence))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let summary = runtime.block_on(async {
        match args.kind {
            What::Bars => fetch::<Bars>(args, pairs).await,
            What::News => fetch::<NewsItems>(args, pairs).await,
        }
    });
    // A request that still waits for an answer must not keep the process.
    runtime.shutdown_background();
    report(summary?)
}

async fn fetch<K: Kind>(args: BackfillArgs, pairs: Vec<KeyPair>) -> Result<Summary, Failure> {
    let clock = Arc::new(BrokerClock::new(MarketTime::EPOCH, f64::from(args.clock_speed), ambient::boot_now));
    let sources = sources(&args, pairs, &clock)?;
    // The lock before the first request: a second run is told at once.
    let folder = Folder::open(&args.out, Origin::new(K::NAME, args.feed())).map_err(failure)?;
    folder.load().map_err(failure)?;
    let mut reporter: Box<dyn Reporter> =
        if stderr().is_terminal() { Box::new(TerminalBar::new()) } else { Box::new(Lines::new(stderr())) };
    let brokers: Vec<_> = sources.iter().map(|source| Arc::clone(&source.archive)).collect();
    let days = days(&args, &brokers, &clock, &mut *reporter).await.map_err(failure)?;
    let mut stops = watch_signals().map_err(|error| Failure::new(Exit::Failed, error))?;
    let job = Job { symbols: distinct(args.symbols), days, sources, folder, clock };
    sandpit_backfill::run::<K, _>(job, &mut stops, &mut *reporter).await.map_err(failure)
}

/// An adapter and a budget of its own for each key pair; the few trading requests are counted as well.
fn sources(
    args: &BackfillArgs,
    pairs: Vec<KeyPair>,
    clock: &Arc<BrokerClock>,
) -> Result<Vec<Source<Alpaca>>, Failure> {
    let make = |(at, pair): (usize, KeyPair)| {
        let budget = Arc::new(Budget::new(quota(args.per_minute), clock.clone()));
        let alpaca = Alpaca::new(alpaca_config(args, pair), budget.clone(), budget.clone())
            .map_err(|error| Failure::new(Exit::Config, error))?;
        Ok(Source { archive: Arc::new(alpaca), budget, name: format!("key pair {}", at + 1) })
    };
    pairs.into_iter().enumerate().map(make).collect()
}

fn alpaca_config(args: &BackfillArgs, pair: KeyPair) -> AlpacaConfig {
    let own = args.url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    let trading = if args.live { "https://api.alpaca.markets" } else { "https://paper-api.alpaca.markets" };
    AlpacaConfig {
        trading_url: own.clone().unwrap_or_else(|| trading.into()),
        data_url: own.unwrap_or_else(|| "https://data.alpaca.markets".into()),
        // No stream is ever opened.
        trading_stream_url: "wss://paper-api.alpaca.markets/stream".into(),
        data_stream_url: "wss://stream.data.alpaca.markets/v2/iex".into(),
        news_stream_url: None,
        encoding: sandpit_alpaca::Encoding::default(),
        feed: args.feed.clone(),
        key_id: pair.id,
        secret: pair.secret,
        timeout: REQUEST_TIMEOUT,
    }
}

/// The days that were asked for, by the broker's clock and, for bars, its calendar.
async fn days(
    args: &BackfillArgs,
    brokers: &[Arc<Alpaca>],
    clock: &BrokerClock,
    reporter: &mut dyn Reporter,
) -> Result<Vec<Day>, BackfillError> {
    let told = first_answer(brokers, clock, reporter, |broker| async move { broker.clock().await }).await?;
    clock.set(told.now);
    let to = last_day(args, last_whole_day(told.now))?;
    match args.kind {
        What::News => Ok(calendar_days(args.from, to)),
        What::Bars if args.feed == OVERNIGHT => Ok(calendar_days(args.from, to)),
        What::Bars => {
            let (first, last) = (Day::new(args.from).start, Day::new(to).start);
            let ask = |broker: Arc<Alpaca>| async move { broker.calendar(first, last).await };
            Ok(trading_days(&first_answer(brokers, clock, reporter, ask).await?, args.from, to))
        }
    }
}

/// The last day that is asked for, of which `last` is the newest that can be had.
fn last_day(args: &BackfillArgs, last: Date) -> Result<Date, BackfillError> {
    let to = args.to.unwrap_or(last);
    match to.max(args.from) {
        to if to > last => Err(BackfillError::NotOver { to, last }),
        _ => Ok(to),
    }
}

/// In the order of the command line, none twice.
fn distinct(symbols: Vec<Symbol>) -> Vec<Symbol> {
    let mut seen = std::collections::BTreeSet::new();
    symbols.into_iter().filter(|symbol| seen.insert(symbol.clone())).collect()
}

/// One message for each SIGINT and SIGTERM.
fn watch_signals() -> std::io::Result<mpsc::Receiver<()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (sender, receiver) = mpsc::channel(STOPS);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // More than two say nothing new.
            let _ = sender.try_send(());
        }
    });
    Ok(receiver)
}

fn failure(error: BackfillError) -> Failure {
    let exit = match &error {
        BackfillError::NotOver { .. }
        | BackfillError::TooMuch { .. }
        | BackfillError::Incompatible { .. } => Exit::Usage,
        BackfillError::File { .. } | BackfillError::InUse { .. } => Exit::State,
        BackfillError::BrokenCheckpoint { .. } => Exit::Data,
        BackfillError::Broker(_) | BackfillError::NoKey { .. } => Exit::Broker,
        BackfillError::Parquet(_) | BackfillError::Broken { .. } => Exit::Failed,
    };
    Failure::new(exit, error)
}

fn report(summary: Summary) -> Result<Exit, Failure> {
    // A terminal that has gone must not end it in a panic: the exit code still tells how it went.
    let _ = writeln!(stdout(), "{summary}");
    match &summary.end {
        End::NoKey { reason } => Err(failure(BackfillError::NoKey { message: reason.clone() })),
        End::Done if summary.is_whole() => Ok(Exit::Ok),
        End::Done | End::Stopped => Ok(Exit::Incomplete),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: BackfillArgs,
    }

    #[test]
    fn wrong_usage_is_refused_before_anything_is_touched() {
        let check = |flags: &[&str], is_good: bool| {
            let good = Line::try_parse_from([&["backfill"], flags].concat());
            assert_eq!(good.is_ok(), is_good, "{flags:?}: {good:?}");
        };
        let from = ["--from", "2026-03-16"];
        check(&[&["bars", "--symbols", "SPY,BRK.B"], &from[..]].concat(), true);
        check(&[&["news", "--symbols", "SPY", "--symbols", "IBM"], &from[..]].concat(), true);
        check(&[&["quotes", "--symbols", "SPY"], &from[..]].concat(), false);
        check(&[&["bars"], &from[..]].concat(), false);
        check(&[&["bars", "--symbols", "../../etc"], &from[..]].concat(), false);
        check(&[&["bars", "--symbols", "SPY,"], &from[..]].concat(), false);
        check(&["bars", "--symbols", "SPY"], false);
        check(&["bars", "--symbols", "SPY", "--from", "2026-02-30"], false);
        check(&["bars", "--symbols", "SPY", "--from", "1969-12-31"], false);
        check(&["bars", "--symbols", "SPY", "--from", "16.03.2026"], false);
        check(&[&["bars", "--symbols", "SPY", "--feed", "cta"], &from[..]].concat(), false);
        check(&[&["bars", "--symbols", "SPY", "--clock-speed", "5"], &from[..]].concat(), false);
        check(&[&["bars", "--symbols", "SPY", "--per-minute", "190"], &from[..]].concat(), true);
        check(&[&["bars", "--symbols", "SPY", "--per-minute", "191"], &from[..]].concat(), false);
        check(&[&["bars", "--symbols", "SPY", "--per-minute", "0"], &from[..]].concat(), false);
    }

    #[test]
    fn a_day_that_is_not_over_is_said_also_when_it_is_the_first() {
        let check = |from: &str, to: Option<&str>, expected: Result<&str, &str>| {
            let mut flags = vec!["backfill", "bars", "--symbols", "SPY", "--from", from];
            flags.extend(to.into_iter().flat_map(|to| ["--to", to]));
            let args = Line::try_parse_from(flags).expect("good flags").args;
            let found = last_day(&args, jiff::civil::date(2026, 3, 16));
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.to_string(), expected),
                (Err(found), Err(start)) => assert!(found.to_string().starts_with(start), "{found}"),
                (found, expected) => panic!("{from} {to:?}: {found:?} is not {expected:?}"),
            }
        };
        check("2026-03-01", None, Ok("2026-03-16"));
        check("2026-03-16", None, Ok("2026-03-16"));
        check("2026-03-01", Some("2026-03-10"), Ok("2026-03-10"));
        check("2026-03-01", Some("2026-03-17"), Err("2026-03-17 is not over"));
        check("2027-03-01", None, Err("2027-03-01 is not over in New York yet"));
        check("2026-03-17", None, Err("2026-03-17 is not over"));
    }

    #[test]
    fn symbols_keep_their_order_and_come_once() {
        let symbols = ["B", "A", "B", "C", "A"].map(Symbol::new).to_vec();
        assert_eq!(distinct(symbols), ["B", "A", "C"].map(Symbol::new));
    }
}
