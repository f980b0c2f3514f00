//! `sandpit-watchdog`: the process that grants the host its right to trade, and takes it away.
//!
//! It shares no code with the host but the contract. Pure parts decide (`machine`, `liveness`, `proof`,
//! `restart`, `rows`, the parsing in `memory`, `broker` and `config`); the others are edges. The main loop
//! never waits for a disk, a broker, a log reader or a host: each of those has a thread, a bounded queue or a
//! write that is dropped.

mod addresses;
mod admin;
mod alerts;
mod ambient;
mod arguments;
mod broker;
mod chat;
mod config;
mod daemon;
mod drill;
mod entries;
mod error;
mod host;
mod lanes;
mod latch;
mod limits;
mod liveness;
mod log;
mod lookup;
mod machine;
mod mailbox;
mod manager;
mod memory;
mod operator;
mod proof;
mod replies;
mod restart;
mod rows;
mod secret;
mod slope;
mod socket;
mod starvation;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::{
    mm::{MlockAllFlags, mlockall},
    process::{Resource, getrlimit},
};
use sandpit_contract::Exit;

use crate::{
    arguments::{Arguments, Command},
    broker::Client,
    config::{Config, Credentials},
    daemon::Daemon,
    error::Error,
    log::Log,
    manager::Manager,
};

/// Stack of each worker thread; TLS needs most of it.
pub(crate) const STACK_BYTES: usize = 512 * 1024;

fn main() -> ExitCode {
    // Half a watchdog is worse than none: without it the host has no lease, and whoever supervises us starts
    // us again.
    // The usual report would wait for whoever holds standard error.
    std::panic::set_hook(Box::new(|panic| {
        log::last_words(std::io::stderr(), &format!("sandpit-watchdog: {panic}"));
        // What the admin port cannot do ends one request of its own.
        if !admin::is_own_thread() {
            std::process::exit(i32::from(Exit::Failed.code()));
        }
    }));
    let load = |path: &PathBuf| Config::load(path, ambient::variable);
    let result = match Arguments::parse().command {
        Command::Run { config } => load(&config).and_then(run),
        Command::Arm { reason, config } => {
            load(&config).and_then(|config| say(operator::arm(&config, &reason)))
        }
        Command::Check { config } => load(&config).and_then(|_| say(Ok("valid".into()))),
        Command::Status { config, json } => {
            load(&config).and_then(|config| say(operator::status(&config, json)))
        }
        Command::AlertTest { config } => load(&config).and_then(|config| operator::alert_test(&config)),
        Command::Kill { reason, config } => {
            load(&config).and_then(|config| say(operator::kill(&config, &reason)))
        }
        Command::Drill { config, json, scheduled } => {
            load(&config).and_then(|config| drill::run(&config, json, scheduled))
        }
        Command::DrillHost { plan } => drill::run_host(&plan),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("sandpit-watchdog: {error}");
            error.exit().into()
        }
    }
}

fn say(answer: Result<String, Error>) -> Result<Exit, Error> {
    println!("{}", answer?);
    Ok(Exit::Ok)
}

fn run(config: Config) -> Result<Exit, Error> {
    let credentials = Credentials::of(ambient::variable)?;
    let token = admin::token(ambient::variable)?;
    let client = Client::new(&config.broker.trading_url, credentials, config.scope());
    let _lock = latch::lock(&config.state_dir)?;
    let _socket_lock = latch::lock_socket(&config.socket)?;
    // Blocked before the first thread starts, so that every thread inherits it and only the descriptor tells.
    let stop = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    stop.thread_block().map_err(std::io::Error::from)?;
    let signals = SignalFd::with_flags(&stop, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
    let signals = signals.map_err(std::io::Error::from)?;
    lock_memory();
    let log = Log::start(log::journal(ambient::variable))?;
    let manager = Manager::of(ambient::variable);
    Ok(Daemon::open(config, client, token, signals, log)?.run(manager))
}

/// A watchdog that waits for swap is late. Best effort: with a limit on locked memory, what comes later is
/// not locked, or it could not be allocated at all.
fn lock_memory() {
    let is_unlimited = getrlimit(Resource::Memlock).current.is_none();
    let later = if is_unlimited { MlockAllFlags::FUTURE } else { MlockAllFlags::empty() };
    let _: rustix::io::Result<()> = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT | later);
}
