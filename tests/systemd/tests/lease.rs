//! Orders, while services come and go.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context;
use sandpit_systemd_tests::{HOST, SPEED, Stage, WATCHDOG, nanos};
use serde_json::Value;

/// A lease, and what is on its way when it ends; real time.
const FROZEN_AFTER: Duration = Duration::from_millis(2_300);

fn market_time(stage: &Stage) -> anyhow::Result<i128> {
    let clock = stage.ask("/v2/clock")?;
    nanos(clock["timestamp"].as_str().context("a stamp")?)
}

/// When the broker has taken orders, market time, newest first.
fn taken(stage: &Stage) -> anyhow::Result<Vec<i128>> {
    let stamps = stage.orders()?;
    stamps.iter().map(|order| nanos(order["submitted_at"].as_str().context("a stamp")?)).collect()
}

/// Identities of what is open.
fn open(list: &Value) -> BTreeSet<String> {
    let rows = list.as_array().into_iter().flatten();
    rows.filter_map(|row| row["client_order_id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn without_a_watchdog_nothing_is_sent_and_with_one_again() -> anyhow::Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    stage.edit(WATCHDOG, "[Service]\\nRestartSec=6\\n")?;
    stage.start()?;
    stage.trade(10)?;
    let host = stage.process(HOST);
    let old = stage.process(WATCHDOG);
    stage.lab.must(&format!("systemctl kill -s KILL {WATCHDOG}"))?;
    let killed = market_time(&stage)?;
    stage.replaced(WATCHDOG, old);
    let back = market_time(&stage)?;
    let bound = killed + i128::try_from(FROZEN_AFTER.as_nanos())? * i128::from(SPEED);
    assert!(bound + 1_000_000_000 * i128::from(SPEED) < back, "there was time to do wrong");
    stage.await_state("leased");
    stage.trade(3)?;
    let taken = taken(&stage)?;
    let late: Vec<_> = taken.iter().filter(|at| (bound..back).contains(*at)).collect();
    assert!(late.is_empty(), "sent without a lease, {late:?} between {bound} and {back}");
    assert!(
        taken.iter().any(|at| (killed - 2_000_000_000 * i128::from(SPEED)..killed).contains(at)),
        "it traded"
    );
    let last = taken.iter().filter(|at| **at < bound).max().context("orders")?;
    eprintln!(
        "the last order left {} ms after the watchdog's end",
        (last - killed) / i128::from(SPEED) / 1_000_000
    );
    assert_eq!(stage.process(HOST), host, "the same host");
    upgrade_and_downgrade(&stage)
}

/// Whatever is open stays open, and the new host knows it.
fn upgrade_and_downgrade(stage: &Stage) -> anyhow::Result<()> {
    stage.lab.must(&format!("rm -r /etc/systemd/system/{WATCHDOG}.d; systemctl daemon-reload"))?;
    for version in ["1.1.0", "0.9.0"] {
        stage.trade(3)?;
        let (host, watchdog) = (stage.process(HOST), stage.process(WATCHDOG));
        stage.work(true)?;
        let package = stage.package(version)?;
        stage.install(&package)?;
        assert_eq!(stage.lab.must("dpkg-query -W -f '${Version}' sandpit")?, version);
        assert!(![0, host].contains(&stage.process(HOST)), "another host");
        assert!(![0, watchdog].contains(&stage.process(WATCHDOG)), "another watchdog");
        stage.await_state("leased");
        stage.trade(3)?;
        stage.eventually("books that agree", || {
            stage.work(false).ok()?;
            let at_broker = open(&stage.ask("/v2/orders?status=open&limit=500").ok()?);
            let host = stage.host()?;
            (host["reconciled"] == true && open(&host["open_orders"]) == at_broker).then_some(())
        });
    }
    let audit = stage.lab.must("sandpit db check --config /etc/sandpit/sandpit.toml")?;
    eprintln!("after an upgrade and a downgrade under way: {}", audit.lines().last().unwrap_or_default());
    Ok(())
}
