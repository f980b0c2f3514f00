//! What an operator finds in a real journal: fields, explanations, the README's commands, `sandpit logs`.

use std::collections::BTreeSet;

use anyhow::Context;
use sandpit_systemd_tests::{HOST, Stage, WATCHDOG};
use serde_json::Value;

/// Ids never change: whoever searches for one finds it in an old journal, too.
const ORDER_SENT: &str = "a66ea6d731934509bc7acaa5dbd907fb";
const KILLED: &str = "6f1f20c7a7b5417cb05b3f0c8ae64db4";

/// The entries that fit.
fn entries(stage: &Stage, fields: &str) -> anyhow::Result<Vec<Value>> {
    let text = stage.journal(&format!("-o json {fields}"))?;
    text.lines().map(|line| serde_json::from_str(line).context(line.to_owned())).collect()
}

/// The commands of the README's table.
fn commands() -> anyhow::Result<Vec<String>> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"))?;
    let mut sections = page.split("\n## ");
    let section = sections.find(|part| part.starts_with("The ten journalctl commands\n")).context("it")?;
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `journalctl "));
    Ok(rows.filter_map(|row| Some(format!("journalctl {}", row.split_once('`')?.0))).collect())
}

#[test]
fn fields_find_an_order_a_kill_and_what_they_mean() -> anyhow::Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    stage.lab.must("sed -i 's/^\\[kill\\].*/&\\nconfirm_ms = 2000/' /etc/sandpit/watchdog.toml")?;
    stage.start()?;
    stage.trade(20)?;
    stage.work(false)?;
    let id = an_order(&stage)?;
    stage.lab.must("touch /run/sandpit/kill")?;
    stage.await_state("killed");
    a_kill(&stage)?;
    the_readme(&stage, &id)?;
    logs(&stage)
}

/// Each field of an order that was sent; its id.
fn an_order(stage: &Stage) -> anyhow::Result<String> {
    let sent = entries(stage, "EVENT=order-sent STRATEGY=churn SYMBOL=SPY")?;
    let last = sent.last().context("an order")?;
    assert_eq!(last["MESSAGE_ID"], ORDER_SENT);
    assert_eq!((&last["_SYSTEMD_UNIT"], &last["SYSLOG_IDENTIFIER"]), (&HOST.into(), &"sandpit".into()));
    assert_eq!(last["PRIORITY"], "6", "an order is the daily business");
    let id = last["CLIENT_ORDER_ID"].as_str().context("its id")?.to_owned();
    let at_the_broker = stage.ask(&format!("/v2/orders:by_client_order_id?client_order_id={id}"))?;
    assert_eq!(at_the_broker["symbol"], "SPY");
    let life = entries(stage, &format!("CLIENT_ORDER_ID={id}"))?;
    assert!(life.iter().any(|entry| entry["EVENT"] == "order-sent"), "{life:?}");
    // One life of the host, and the watchdog calls it by the same number.
    let host = stage.host().context("a host")?;
    let epoch = host["epoch"].to_string();
    let of_this_life = entries(stage, &format!("EPOCH={epoch}"))?;
    let units: BTreeSet<_> =
        of_this_life.iter().filter_map(|entry| entry["_SYSTEMD_UNIT"].as_str()).collect();
    assert_eq!(units, BTreeSet::from([HOST, WATCHDOG]), "{of_this_life:?}");
    Ok(id)
}

/// A kill, what pulled it, and what the catalog says to whoever reads it.
fn a_kill(stage: &Stage) -> anyhow::Result<()> {
    // Both look for the flag: the host may tell the watchdog of it before the watchdog has looked, or after.
    // And a thread of its own writes the watchdog's log, so that its status page may know before the journal.
    let (kills, _) = stage.eventually("the kill in the journal", || {
        entries(stage, &format!("EVENT=killed _SYSTEMD_UNIT={WATCHDOG}")).ok().filter(|all| !all.is_empty())
    });
    let is_echo = |kill: &&Value| kill["MESSAGE"].as_str().is_some_and(|line| line.contains("] again "));
    let (echoes, firsts): (Vec<_>, Vec<_>) = kills.iter().partition(is_echo);
    let [kill] = firsts[..] else { anyhow::bail!("one kill: {kills:?}") };
    assert!(echoes.len() <= 1, "the host tells of one flag once: {kills:?}");
    let layer = kill["KILL_LAYER"].as_str().context("what pulled it")?;
    assert!(["flag", "trip"].contains(&layer), "{kill}");
    let of_layer = entries(stage, &format!("EVENT=killed KILL_LAYER={layer} _SYSTEMD_UNIT={WATCHDOG}"))?;
    assert!(of_layer.contains(kill), "{of_layer:?}");
    assert_eq!(kill["MESSAGE_ID"], KILLED);
    assert!(
        kill["MESSAGE"].as_str().is_some_and(|line| line.starts_with(&format!("[KILL] layer={layer} "))),
        "{kill}"
    );
    let priority: u32 = kill["PRIORITY"].as_str().context("a level")?.parse()?;
    assert!(priority <= 3, "somebody must act: {kill}");
    let explained = stage.journal(&format!("-x MESSAGE_ID={KILLED}"))?;
    for words in ["Trading is stopped until an operator arms again", "What to do:", "sandpit-watchdog arm"] {
        assert!(explained.contains(words), "{words:?} is not in {explained}");
    }
    stage.eventually("the proof", || {
        let proofs = entries(stage, "EVENT=kill-proved").ok()?;
        (!proofs.is_empty()).then_some(())
    });
    Ok(())
}

/// Each of the ten, of this strategy and order; nobody follows.
fn the_readme(stage: &Stage, id: &str) -> anyhow::Result<()> {
    let commands = commands()?;
    assert_eq!(commands.len(), 10, "{commands:?}");
    for command in &commands {
        let own =
            command.replace("sma_cross", "churn").replace("AAPL", "SPY").replace("=ID", &format!("={id}"));
        let said = stage.lab.run(&own.replace(" -f ", " "))?;
        // The last looks for trouble that there was none of.
        let is_expected = said.code == 0 && !said.text.contains("-- No entries --");
        assert!(is_expected || own.contains("strategy-quarantined"), "{own}: {said:?}");
        eprintln!("$ {own}\n{}\n", said.text.lines().take(4).collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

/// The same journal, without knowing journalctl.
fn logs(stage: &Stage) -> anyhow::Result<()> {
    let lines = stage.lab.must("sandpit logs -n 500 --json --unit host")?;
    let entries: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    // What systemd says of the unit belongs to it.
    let is_hosts = |entry: &&Value| [&entry["_SYSTEMD_UNIT"], &entry["UNIT"]].contains(&&Value::from(HOST));
    assert_eq!(entries.iter().find(|entry| !is_hosts(entry)), None);
    assert!(entries.iter().any(|entry| entry["EVENT"] == "order-sent"), "{lines}");
    let kills = stage.lab.must("sandpit logs --grep '[KILL]' --since today")?;
    assert!(kills.lines().count() >= 2 && kills.lines().all(|line| line.contains("[KILL]")), "{kills}");
    let none = stage.lab.run("sandpit logs --grep 'nobody says this'")?;
    assert_eq!((none.code, none.text.as_str()), (0, ""), "nothing found is no failure");
    let wrong = stage.lab.run("sandpit logs --since 'the day before'")?;
    assert!(wrong.code == 18 && wrong.text.contains("Failed to parse timestamp"), "{wrong:?}");
    Ok(())
}
