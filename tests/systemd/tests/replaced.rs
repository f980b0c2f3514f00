//! A service that stands still, dies or takes too much is replaced; one that dies again and again is given
//! up, and a human is told.

use sandpit_systemd_tests::{HOST, Stage, WATCHDOG};

/// What the host may use by its configuration, and by its unit, megabytes.
const BUDGET_MB: u32 = 200;
const WALL_MB: u32 = 500;

#[test]
fn the_host_is_replaced_whatever_befalls_it() -> anyhow::Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    stage.lab.must(&format!(
        "sed -i 's/^budget_mb = .*/budget_mb = {BUDGET_MB}/' /etc/sandpit/watchdog.toml
         install -d -o sandpit /var/lib/sandpit/sabotage"
    ))?;
    let lines = format!(
        "[Service]\\nEnvironment=SANDPIT_SABOTAGE=/var/lib/sandpit/sabotage\\nMemoryMax={WALL_MB}M\\n\
         MemoryHigh={WALL_MB}M\\n"
    );
    stage.edit(HOST, &lines)?;
    stage.start()?;
    stopped(&stage)?;
    leaking(&stage)?;
    out_of_memory(&stage)?;
    crashing(&stage)
}

fn signal(stage: &Stage, signal: &str, unit: &str) -> anyhow::Result<u32> {
    let process = stage.process(unit);
    stage.lab.must(&format!("systemctl kill -s {signal} --kill-whom=main {unit}"))?;
    Ok(process)
}

fn stopped(stage: &Stage) -> anyhow::Result<()> {
    let old = signal(stage, "STOP", HOST)?;
    let took = stage.replaced(HOST, old);
    stage.await_state("leased");
    let said = stage.journal(&format!("-o cat -u {WATCHDOG}"))?;
    assert!(said.contains(&format!("host signal=9 pid={old}")), "the watchdog did it: {said}");
    eprintln!("a stopped host was replaced by the watchdog after {took:?}");
    Ok(())
}

/// A host that takes so many bytes a second and never gives them back.
fn leak(stage: &Stage, rate: u64) -> anyhow::Result<u32> {
    let process = stage.process(HOST);
    // Whole when it is seen.
    stage.lab.must(&format!(
        "cd /var/lib/sandpit/sabotage; echo {rate} >part; chown sandpit part; mv part leak"
    ))?;
    Ok(process)
}

fn leaking(stage: &Stage) -> anyhow::Result<()> {
    // Near the mark at once, then so slowly that there is time for a drain.
    let old = leak(stage, 40_000_000)?;
    stage.eventually("a host near its mark", || {
        (stage.status()?["strain"]["memory_used_bytes"].as_u64()? > 125_000_000).then_some(())
    });
    leak(stage, 1_500_000)?;
    let took = stage.replaced(HOST, old);
    stage.await_state("leased");
    let said = stage.journal(&format!("-o cat -u {WATCHDOG}"))?;
    assert!(said.contains("host drained: memory at"), "{said}");
    let ended = stage.journal(&format!("-o cat -u {HOST}"))?;
    assert!(ended.contains("status=30"), "it ended by itself: {ended}");
    eprintln!("a host that leaked was drained and restarted after {took:?}");
    Ok(())
}

/// While the watchdog does not look: the kernel ends it.
fn out_of_memory(stage: &Stage) -> anyhow::Result<()> {
    signal(stage, "STOP", WATCHDOG)?;
    let old = leak(stage, 40_000_000_000)?;
    let took = stage.replaced(HOST, old);
    signal(stage, "CONT", WATCHDOG)?;
    stage.await_state("leased");
    let said = stage.journal(&format!("-o cat -u {WATCHDOG}"))?;
    assert!(!said.contains(&format!("host signal=9 pid={old}")), "it was not the watchdog: {said}");
    // What systemd sees with version 1 of cgroups is the signal.
    let ended = stage.journal(&format!("-o cat -u {HOST}"))?;
    let result = |word: &str| ended.contains(&format!("Failed with result '{word}'"));
    assert!(result("oom-kill") || result("signal"), "{ended}");
    eprintln!("a host that the kernel ended for memory was restarted after {took:?}");
    Ok(())
}

fn crashing(stage: &Stage) -> anyhow::Result<()> {
    // Restarts so far were wanted by the test: neither systemd nor the watchdog, whose row of crashes would
    // end in a kill at the seventh, may count them.
    stage.lab.must(&format!("systemctl reset-failed {HOST}; systemctl restart {WATCHDOG}"))?;
    stage.await_state("leased");
    let (_, took) = stage.eventually("a start limit", || {
        if stage.process(HOST) != 0 {
            signal(stage, "KILL", HOST).ok()?;
        }
        (stage.property(HOST, "ActiveState").ok()? == "failed").then_some(())
    });
    let said = stage.journal(&format!("-o cat -u {HOST}"))?;
    assert!(said.contains("Start request repeated too quickly"), "{said}");
    let alert = format!("-o cat -p alert -u sandpit-alert@{HOST}.service");
    stage.eventually("an alert", || {
        let told = stage.journal(&alert).ok()?;
        told.contains(&format!("[ALERT] {HOST} has failed")).then_some(())
    });
    assert_eq!(stage.status().expect("it runs")["kill"], serde_json::Value::Null, "no kill");
    stage.lab.must(&format!("systemctl reset-failed {HOST}; systemctl start {HOST}"))?;
    stage.await_state("leased");
    eprintln!("a host that kept crashing was given up after {took:?}, and a human was told");
    Ok(())
}

/// One that is started again for ever never fails: somebody has to look.
#[test]
fn a_watchdog_that_does_not_come_up_is_told() -> anyhow::Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    stage.edit("sandpit-watch.service", "[Service]\\nEnvironment=SANDPIT_DOWN_S=0\\n")?;
    stage.start()?;
    assert_eq!(stage.property("sandpit-watch.timer", "ActiveState")?, "active");
    let told = |stage: &Stage| -> anyhow::Result<usize> {
        stage.lab.must("systemctl start sandpit-watch.service")?;
        let said = stage.journal(&format!("-o cat -p alert -u sandpit-alert@{WATCHDOG}.service"))?;
        Ok(said.matches(&format!("[ALERT] {WATCHDOG} does not come up")).count())
    };
    assert_eq!(told(&stage)?, 0, "both are up");
    stage.lab.must(
        "echo 'unknown = 1' >/lab/head; cat /lab/head /etc/sandpit/watchdog.toml >/lab/new
         cp /lab/new /etc/sandpit/watchdog.toml",
    )?;
    stage.lab.run(&format!("systemctl restart {WATCHDOG}"))?;
    stage.eventually("an alert", || (told(&stage).ok()? == 1).then_some(()));
    assert_eq!(told(&stage)?, 1, "once an hour");
    stage.lab.must("sed -i 1d /etc/sandpit/watchdog.toml")?;
    stage.await_state("leased");
    assert_eq!(told(&stage)?, 1);
    stage.lab.must("test ! -e /run/sandpit-watch/sandpit-watchdog.service")?;
    stage.lab.must(&format!("systemctl stop {WATCHDOG}"))?;
    assert_eq!(told(&stage)?, 1, "somebody has stopped it");
    Ok(())
}

/// The second net: systemd counts what each of the two says of its own progress.
#[test]
fn systemd_replaces_what_stands_still_by_itself() -> anyhow::Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    // Sooner than the units say, for the test alone.
    for unit in [HOST, WATCHDOG] {
        stage.edit(unit, "[Service]\\nWatchdogSec=4\\n")?;
    }
    stage.start()?;
    let old = signal(&stage, "STOP", WATCHDOG)?;
    let took = stage.replaced(WATCHDOG, old);
    stage.await_state("leased");
    eprintln!("a stopped watchdog was replaced after {took:?}");
    stage.lab.must(&format!("systemctl stop {WATCHDOG}"))?;
    let old = signal(&stage, "STOP", HOST)?;
    let took = stage.replaced(HOST, old);
    let said = stage.journal(&format!("-o cat -u {HOST}"))?;
    assert!(said.contains("Failed with result 'watchdog'"), "{said}");
    stage.lab.must(&format!("systemctl start {WATCHDOG}"))?;
    stage.await_state("leased");
    eprintln!("a stopped host without a watchdog was replaced after {took:?}");
    Ok(())
}
