//! A service that starts, and one that stays down.

use anyhow::Context;
use sandpit_systemd_tests::{HOST, Stage, WATCHDOG};
use serde_json::json;

/// Ready, not merely started: the broker's truth is known, and the watchdog has its socket.
fn is_up(stage: &Stage) -> anyhow::Result<()> {
    stage.await_state("leased");
    for (unit, watched) in [(HOST, "1min"), (WATCHDOG, "15s")] {
        assert_eq!(stage.property(unit, "WatchdogUSec")?, watched, "{unit}");
        assert_eq!(stage.property(unit, "ActiveState")?, "active", "{unit}");
        assert_eq!(stage.property(unit, "Type")?, "notify", "{unit}");
        assert_ne!(stage.property(unit, "StatusText")?, "", "{unit} says how it stands");
    }
    Ok(())
}

#[test]
fn enabled_it_is_back_after_a_reboot_and_a_power_cut() -> anyhow::Result<()> {
    let Some(mut stage) = Stage::set()? else { return Ok(()) };
    stage.lab.must(&format!("systemctl start {HOST}"))?;
    assert_eq!(stage.property(HOST, "ActiveState")?, "inactive", "nobody has armed");
    stage.arm()?;
    // `start` returns when the unit is ready.
    stage.lab.must(&format!("systemctl enable --now {WATCHDOG} {HOST}"))?;
    let host = stage.host().expect("a host that is ready answers");
    assert_eq!(host["reconciled"], true, "{host}");
    is_up(&stage)?;
    stage.lab.reboot()?;
    is_up(&stage)?;
    stage.lab.cut_power()?;
    is_up(&stage)
}

/// A breaker that trips at the very first reading is heard, whoever is there to hear it.
#[test]
fn a_loss_that_a_start_finds_kills_with_a_watchdog_and_without() -> anyhow::Result<()> {
    let Some(mut stage) = Stage::set()? else { return Ok(()) };
    stage.start()?;
    stage.trade(3)?;
    stage.lab.must(&format!(
        "systemctl stop {HOST}
         sed -i 's/^\\[limits\\].*/&\\ndrawdown_percent = 0.2/' /etc/sandpit/sandpit.toml"
    ))?;
    // Far less than the watchdog's own limits.
    stage.tell("faults", &json!({"kind": "equity", "factor": 0.995, "path": "/v2/account"}))?;
    stage.lab.run(&format!("systemctl start {HOST}"))?;
    stage.await_state("killed");
    let layer = stage.status().context("a status")?["kill"]["layer"].clone();
    assert_eq!(layer, "trip");
    stage.arm()?;
    stage.lab.must(&format!("systemctl stop {WATCHDOG}"))?;
    stage.lab.run(&format!("systemctl mask --runtime {WATCHDOG}; systemctl start {HOST}"))?;
    stage.eventually("the kill switch", || {
        let said = stage.lab.run("stat -c %U /run/sandpit/kill").ok()?;
        (said.text == "sandpit").then_some(())
    });
    // Nobody has latched it, and the flag is gone with the boot: it stays down all the same.
    stage.lab.reboot()?;
    stage.lab.must("test ! -e /run/sandpit/kill")?;
    stage.await_state("disarmed");
    assert_eq!(stage.property(HOST, "ConditionResult")?, "no");
    assert_eq!(stage.process(HOST), 0);
    Ok(())
}

#[test]
fn what_the_flag_killed_stays_down_until_an_operator_arms() -> anyhow::Result<()> {
    let Some(mut stage) = Stage::set()? else { return Ok(()) };
    stage.start()?;
    stage.lab.must("touch /run/sandpit/kill")?;
    stage.await_state("killed");
    let is_down = |stage: &Stage| -> anyhow::Result<()> {
        stage.eventually("a host that is down", || {
            let state = stage.property(HOST, "ActiveState").ok()?;
            (["inactive", "failed"].contains(&state.as_str()) && stage.process(HOST) == 0).then_some(())
        });
        Ok(())
    };
    is_down(&stage)?;
    let tries = |stage: &Stage| -> anyhow::Result<()> {
        stage.lab.must(&format!("systemctl reset-failed {HOST}; systemctl restart {HOST}"))?;
        assert_eq!(stage.property(HOST, "ConditionResult")?, "no");
        assert_eq!(stage.process(HOST), 0);
        Ok(())
    };
    tries(&stage)?;
    stage.lab.must("rm /run/sandpit/kill")?;
    tries(&stage)?;
    // Another watchdog, and another machine, know of it.
    stage.lab.must(&format!("systemctl restart {WATCHDOG}"))?;
    stage.await_state("killed");
    tries(&stage)?;
    stage.lab.reboot()?;
    stage.await_state("killed");
    is_down(&stage)?;
    tries(&stage)?;
    stage.arm()?;
    stage.lab.must(&format!("systemctl start {HOST}"))?;
    is_up(&stage)
}
