//! The program `sandpit-sim`: reads the command line, opens the port, serves.

mod ambient;
mod cli;

use std::{
    io::{ErrorKind, Write},
    net::SocketAddr,
    process::ExitCode,
};

use clap::{CommandFactory, Parser, error::ErrorKind as UsageError};
use sandpit_sim::{
    Market, Sessions, Settings, Sim,
    faults::{self, Rule},
    keys::{KeyPair, Keys},
    listing, serve as serve_broker,
};
use sandpit_venue::VenueConfig;
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix,
};

use self::cli::Args;

/// The file of faults is wrong.
const EXIT_CONFIGURATION: u8 = 10;
/// Connections that the kernel queues until they are accepted (it caps the number at its own `somaxconn`).
const BACKLOG: u32 = 4_096;

/// The address cannot be used.
const EXIT_ADDRESS: u8 = 13;
/// A data file is broken.
const EXIT_DATA: u8 = 14;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(why) = args.check() {
        Args::command().error(UsageError::ValueValidation, why).exit();
    }
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let faults = match faults(&args) {
        Ok(rules) => rules,
        Err(code) => return code,
    };
    let market = match market(&args) {
        Ok(market) => market,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(ExitCode::FAILURE, &format!("cannot start: {error}")),
    };
    runtime.block_on(serve(&args, settings(&args, faults), market))
}

/// What is to go wrong from the start on.
fn faults(args: &Args) -> Result<Vec<Rule>, ExitCode> {
    let Some(path) = &args.faults else { return Ok(Vec::new()) };
    faults::read(path).map_err(|error| fail(ExitCode::from(EXIT_CONFIGURATION), &error.to_string()))
}

/// The market of the command line.
fn market(args: &Args) -> Result<Market, ExitCode> {
    if !args.data.is_empty() {
        let only = (!args.symbols.is_empty()).then_some(&*args.symbols);
        return Market::from_files(&args.data, only, args.sessions)
            .map_err(|error| fail(ExitCode::from(EXIT_DATA), &error.to_string()));
    }
    let symbols = if args.symbols.is_empty() { listing::default_symbols() } else { args.symbols.clone() };
    let days = match args.sessions {
        Sessions::First(count) => count,
        Sessions::All => unreachable!("the command line was checked"),
    };
    Market::synthetic(args.seed, symbols, args.date, days)
        .map_err(|error| Args::command().error(UsageError::ValueValidation, error).exit())
}

/// Listens, says so, and serves until a signal comes.
async fn serve(args: &Args, settings: Settings, market: Market) -> ExitCode {
    let (listener, address) = match listen(args.listen) {
        Ok(bound) => bound,
        Err(error) => return fail(ExitCode::from(EXIT_ADDRESS), &cannot_listen(args, &error)),
    };
    let signals = unix::signal(unix::SignalKind::terminate())
        .and_then(|terminate| Ok((terminate, unix::signal(unix::SignalKind::interrupt())?)));
    let (mut terminate, mut interrupt) = match signals {
        Ok(signals) => signals,
        Err(error) => return fail(ExitCode::FAILURE, &format!("cannot wait for signals: {error}")),
    };
    let sim = Sim::new(settings, market, Box::new(ambient::stopwatch()));
    if let Some(path) = &args.faults
        && let Err(why) = sim.check_faults()
    {
        return fail(ExitCode::from(EXIT_CONFIGURATION), &format!("{}: {why}", path.display()));
    }
    // Whoever started us may have closed our output; that is no reason to stop.
    let _ = writeln!(std::io::stdout(), "listening {address}");
    let ticker = tokio::spawn(sim.clone().run());
    tokio::select! {
        () = serve_broker(listener, sim) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        // It never ends by itself.
        _ = ticker => return fail(ExitCode::FAILURE, "the market has broken down; see the panic above"),
    }
    ExitCode::SUCCESS
}

/// Opens the port, with a queue that a crowd of clients fits into: the usual one of 128 makes a burst of
/// connections wait for a second each.
fn listen(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn settings(args: &Args, faults: Vec<Rule>) -> Settings {
    let rates = args.plan.rates();
    let keys = match (&args.key, &args.secret) {
        (Some(key), Some(secret)) => Keys::only(KeyPair { key: key.clone(), secret: secret.clone() }),
        _ => Keys::any(),
    };
    Settings {
        venue: VenueConfig {
            cash: args.cash,
            seed: args.seed,
            always_open: args.always_open,
            realism: args.realism.figures(),
            day_trade_rule: args.day_trade_rule.into(),
            ..VenueConfig::default()
        },
        requests_per_minute: args.rpm.unwrap_or(rates.trading),
        data_requests_per_minute: Some(args.rpm.unwrap_or(rates.data)),
        plan: args.plan.plan(),
        connections_per_endpoint: args.connections,
        trade_connections: args.connections as usize,
        faults,
        speed: args.speed,
        paused: args.paused,
        keys,
        ..Settings::default()
    }
}

fn cannot_listen(args: &Args, error: &std::io::Error) -> String {
    let address = args.listen;
    match error.kind() {
        ErrorKind::AddrInUse => {
            format!("{address} is in use; stop what listens there or choose another --listen")
        }
        ErrorKind::AddrNotAvailable => {
            format!("{address} is not an address of this machine; change --listen")
        }
        _ => format!("cannot listen on {address}: {error}; change --listen"),
    }
}

/// One sentence for the user, and the exit code.
fn fail(code: ExitCode, why: &str) -> ExitCode {
    eprintln!("error: {why}");
    code
}

#[cfg(test)]
mod tests {
    use sandpit_sim::data::Tick;
    use sandpit_types::{MarketEvent, MarketTime, SessionDay, Symbol};

    use super::*;

    #[test]
    fn it_ends_when_the_market_breaks_down() {
        let at = |text: &str| MarketTime::parse(&format!("2026-03-16T{text}Z")).expect(text);
        let days = vec![SessionDay { open: at("13:30:00"), close: at("20:00:00") }];
        let mut first = Some(Tick::new(MarketEvent::SessionClose(at("13:25:00"))));
        let feed = std::iter::from_fn(move || Some(first.take().expect("a broken feed")));
        let market = Market { symbols: vec![Symbol::new("SPY")], days, feed: Box::new(feed), rewind: None };
        let args = Args::parse_from(["sandpit-sim", "--listen", "127.0.0.1:0"]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let code = runtime.expect("a runtime").block_on(serve(&args, settings(&args, Vec::new()), market));
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
    }
}
