//! Orders, while services come and go.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use sandpit_systemd_tests::{HOST, SPEED, Stage, WATCHDOG, nanos};
use serde_json::Value;

/// A lease, and what is on its way when it ends; real time.
const FROZEN_AFTER: Duration = Duration::from_millis(2_300);
/// The next watchdog is not there before that, real time.
const AWAY: Duration = Duration::from_secs(5);

fn market_time(stage: &Stage) -> anyhow::Result<i128> {
    let clock = stage.ask("/v2/clock")?;
    nanos(clock["timestamp"].as_str().context("a stamp")?)
}

/// When the broker has taken orders, market time, newest first.
fn taken(stage: &Stage) -> anyhow::Result<Vec<i128>> {
    let stamps = stage.orders()?;
    stamps.iter().map(|order| nanos(order["submitted_at"].as_str().context("a stamp")?)).collect()
}

/// What is open, by symbol: a replacement's client id is the broker's own, while the host keeps the first.
fn symbols(list: &Value) -> Vec<String> {
    let rows = list.as_array().into_iter().flatten();
    let mut symbols: Vec<_> = rows.filter_map(|row| row["symbol"].as_str().map(str::to_owned)).collect();
    symbols.sort_unstable();
    symbols
}

/// What is held of each symbol.
fn held(list: &Value) -> BTreeMap<String, String> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    list.as_array().into_iter().flatten().map(|row| (text(row, "symbol"), text(row, "qty"))).collect()
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
    let after = |real: Duration| anyhow::Ok(killed + i128::try_from(real.as_nanos())? * i128::from(SPEED));
    let (bound, back) = (after(FROZEN_AFTER)?, after(AWAY)?);
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
        let said = stage.install(&package)?;
        assert_eq!(stage.lab.must("dpkg-query -W -f '${Version}' sandpit")?, version);
        assert!(![0, host].contains(&stage.process(HOST)), "another host: {said}");
        assert!(![0, watchdog].contains(&stage.process(WATCHDOG)), "another watchdog");
        stage.await_state("leased");
        stage.trade(3)?;
        let (open, _) = stage.eventually("books that agree", || {
            stage.work(false).ok()?;
            let orders = stage.ask("/v2/orders?status=open&limit=500").ok()?;
            let positions = stage.ask("/v2/positions").ok()?;
            let host = stage.host()?;
            let is_same = symbols(&host["open_orders"]) == symbols(&orders)
                && held(&host["positions"]) == held(&positions);
            (host["reconciled"] == true && is_same).then(|| symbols(&orders).len())
        });
        eprintln!("{version}: installed while orders were sent; {open} open ones, host and broker agree");
    }
    a_version_that_would_not_start(stage)
}

/// What runs is not restarted into a refusal.
fn a_version_that_would_not_start(stage: &Stage) -> anyhow::Result<()> {
    let (host, watchdog) = (stage.process(HOST), stage.process(WATCHDOG));
    stage.lab.must("sed -i 's/^mode = .*/mode = \"papper\"/' /etc/sandpit/sandpit.toml")?;
    let said = stage.install(&stage.package("1.2.0")?)?;
    assert!(said.contains("sandpit-host.service GOES ON WITH THE OLD VERSION"), "{said}");
    assert!(said.contains("papper"), "and why: {said}");
    assert_eq!(stage.process(HOST), host);
    assert!(![0, watchdog].contains(&stage.process(WATCHDOG)), "another watchdog");
    stage.await_state("leased");
    stage.trade(3)
}
