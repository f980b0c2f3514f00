//! The README's way from nothing to a running paper service, tried exactly as it is written.

use anyhow::Context;
use sandpit_systemd_tests::{Lab, Stage, WATCHDOG};

/// So many commands at most.
const COMMANDS: usize = 10;

/// The commands of its section.
fn commands() -> anyhow::Result<Vec<String>> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"))?;
    let section =
        page.split("\n## ").find(|part| part.starts_with("As a service\n")).context("the section")?;
    let block =
        section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).context("a block")?;
    Ok(block.lines().map(str::to_owned).collect())
}

#[test]
fn ten_commands_make_a_service() -> anyhow::Result<()> {
    let commands = commands()?;
    assert!(commands.len() <= COMMANDS, "{commands:?}");
    let Some(lab) = Lab::boot()? else { return Ok(()) };
    let stage = Stage { lab };
    let package = stage.package(env!("CARGO_PKG_VERSION"))?;
    // What a user types goes into one shell, one line after the other.
    let mut lines = String::from("set -e; cd /lab; export DEBIAN_FRONTEND=noninteractive\n");
    for command in &commands {
        let shown = command.replace('\'', r"'\''");
        lines += &format!("echo '$ {shown}'\n{command}\n");
    }
    assert!(commands[0].contains(package.trim_start_matches("/lab/")), "{package} is named: {commands:?}");
    eprintln!("{}", stage.lab.must(&lines)?);
    stage.await_state("leased");
    stage.eventually("a strategy that runs", || {
        let host = stage.host()?;
        let is_live = host["strategies"][0]["state"] == "running" && host["data"]["quotes"].as_u64()? > 0;
        is_live.then_some(())
    });
    assert_eq!(stage.property(WATCHDOG, "UnitFileState")?, "enabled");
    Ok(())
}
