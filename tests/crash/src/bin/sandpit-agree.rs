//! `sandpit-agree`: whether a broker, a host and its records tell the same story; for `cargo xtask soak`.
//!
//! Each line of standard input is a question, answered by a line of JSON. `read` reads the broker's log on:
//! its oldest lines go. `agree` waits until all three agree, and says what differs if they never do.
#![forbid(unsafe_code)]

use std::{
    io::{BufRead, Write, stdin, stdout},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Parser;
use rust_decimal::Decimal;
use sandpit_crash::{
    agreement::{BrokerStory, HostStory, differences},
    broker::Broker,
    database::{Database, Place},
    waiting::wait_for,
};
use serde_json::{Value, json};

/// How long all three may take to agree: an order whose request died with its host is given up after a
/// minute of market time.
const AGREE_BOUND: Duration = Duration::from_secs(60);

/// Compares a broker, a host and its records; reads questions from standard input.
#[derive(Debug, Parser)]
#[command(name = "sandpit-agree")]
struct Args {
    /// Where the simulator listens
    #[arg(long, value_name = "ADDR:PORT")]
    broker: String,
    /// Where the host listens; with a panel, PANEL_TOKEN is its token
    #[arg(long, value_name = "ADDR:PORT")]
    host: String,
    /// The host's records
    #[arg(long, value_name = "FILE")]
    database: PathBuf,
    /// Cash of the account at the start, US dollars
    #[arg(long, value_name = "N")]
    cash: Decimal,
}

fn main() -> anyhow::Result<()> {
    let mut eye = Eye::new(Args::parse())?;
    for line in stdin().lock().lines() {
        let answer = match line?.as_str() {
            "read" => eye.read(),
            "agree" => eye.agree(),
            other => bail!("{other:?} is no question: ask `read` or `agree`"),
        };
        let answer = answer.unwrap_or_else(|error| json!({"error": format!("{error:#}")}));
        writeln!(stdout(), "{answer}")?;
    }
    Ok(())
}

/// Sees all three.
struct Eye {
    args: Args,
    broker: Broker,
    database: Database,
    agent: ureq::Agent,
    sent_twice: Vec<String>,
}

impl Eye {
    fn new(args: Args) -> anyhow::Result<Self> {
        let (broker, place) = (Broker::at(&args.broker), Place::Sqlite(args.database.clone()));
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).proxy(None);
        let agent = config.build().into();
        Ok(Self { database: Database::new(place)?, args, broker, agent, sent_twice: Vec::new() })
    }

    fn read(&mut self) -> anyhow::Result<Value> {
        self.sent_twice.extend(self.broker.sent_twice()?);
        Ok(json!({"sent_twice": self.sent_twice}))
    }

    fn agree(&mut self) -> anyhow::Result<Value> {
        let (mut last, mut orders) = (Vec::new(), 0);
        let agreed = wait_for("books that agree", AGREE_BOUND, || {
            let story = HostStory::read(&self.status()?).context("the host's figures")?;
            let records = self.database.read()?;
            let (positions, cash) = (self.broker.positions()?, self.broker.cash()?);
            let taken = self.broker.orders()?;
            orders = taken.len();
            let broker = BrokerStory { orders: taken, positions, cash_change: cash - self.args.cash };
            last = differences(&broker, &story, &records);
            Ok(last.is_empty().then_some(()))
        });
        // What differs says more than that the time is over.
        if last.is_empty() {
            agreed?;
        }
        self.read()?;
        let fills = self.broker.figure("fills")?;
        Ok(json!({
            "orders": orders, "fills": fills, "differences": last, "sent_twice": self.sent_twice,
        }))
    }

    fn status(&self) -> anyhow::Result<Value> {
        let mut request = self.agent.get(format!("http://{}/status", self.args.host));
        if let Ok(token) = std::env::var("PANEL_TOKEN") {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let text = request.call().context("the host does not answer")?.body_mut().read_to_string()?;
        Ok(serde_json::from_str(&text)?)
    }
}
