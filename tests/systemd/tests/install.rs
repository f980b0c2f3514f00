//! What the package brings, and what becomes of it.

use sandpit_systemd_tests::{HOST, Stage, WATCHDOG};

#[test]
fn an_installation_is_whole_and_starts_nothing() -> anyhow::Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    for unit in [HOST, WATCHDOG] {
        assert_eq!(stage.property(unit, "ActiveState")?, "inactive", "{unit}");
        assert_eq!(stage.property(unit, "UnitFileState")?, "disabled", "{unit}");
    }
    let said = stage.lab.run(&format!(
        "systemd-analyze verify {HOST} {WATCHDOG} sandpit-alert@x.service \
         sandpit-watch.service sandpit-watch.timer"
    ))?;
    assert_eq!((said.code, said.text.as_str()), (0, ""), "systemd-analyze verify");
    for unit in [HOST, WATCHDOG] {
        let said = stage.lab.run(&format!("systemd-analyze security --no-pager --threshold=15 {unit}"))?;
        assert_eq!(said.code, 0, "more exposed than 1.5:\n{}", said.text);
        eprintln!("{}", said.text.lines().last().unwrap_or_default());
    }
    let owners = stage.lab.must(
        "stat -c '%n %U:%G %a' /run/sandpit /var/lib/sandpit /var/lib/sandpit-watchdog \
         /etc/sandpit/credentials /etc/sandpit/credentials/* /etc/sandpit/*.toml",
    )?;
    let expected = "/run/sandpit root:sandpit 1775
/var/lib/sandpit sandpit:sandpit 700
/var/lib/sandpit-watchdog sandpit-watchdog:sandpit 700
/etc/sandpit/credentials root:root 700
/etc/sandpit/credentials/host-key-id root:root 600
/etc/sandpit/credentials/host-secret-key root:root 600
/etc/sandpit/credentials/panic-token root:root 600
/etc/sandpit/credentials/watchdog-key-id root:root 600
/etc/sandpit/credentials/watchdog-secret-key root:root 600
/etc/sandpit/sandpit.toml root:sandpit 640
/etc/sandpit/watchdog.toml root:sandpit 640";
    assert_eq!(owners, expected);
    let examples = stage.lab.must("ls /usr/share/sandpit/plugins")?;
    assert_eq!(examples.lines().filter(|name| name.ends_with(".wasm")).count(), 7, "{examples}");
    assert_eq!(examples.lines().filter(|name| name.ends_with(".toml")).count(), 7, "{examples}");
    manuals(&stage)?;
    removed_and_purged(&stage)
}

/// Each command has a page, and each shell knows them all.
fn manuals(stage: &Stage) -> anyhow::Result<()> {
    for page in ["sandpit", "sandpit-golive", "sandpit-watchdog", "sandpit-watchdog-arm"] {
        let said =
            stage.lab.must(&format!("MANPAGER=cat MANWIDTH=80 man -l /usr/share/man/man1/{page}.1.gz"))?;
        assert!(said.contains("SYNOPSIS"), "{said}");
    }
    stage.lab.must(
        "cd /usr/share; bash -n bash-completion/completions/sandpit
         . bash-completion/completions/sandpit; . bash-completion/completions/sandpit-watchdog
         test -s zsh/vendor-completions/_sandpit -a -s zsh/vendor-completions/_sandpit-watchdog
         test -s fish/vendor_completions.d/sandpit.fish -a -s fish/vendor_completions.d/sandpit-watchdog.fish
         COMP_WORDS=(sandpit go) COMP_CWORD=1; _sandpit sandpit go; test \"${COMPREPLY[*]}\" = golive",
    )?;
    Ok(())
}

/// Configuration and state outlive a removal, and nothing but the users a purge.
fn removed_and_purged(stage: &Stage) -> anyhow::Result<()> {
    stage.arm()?;
    stage.lab.must("touch /var/lib/sandpit/state")?;
    stage.lab.must("apt-get remove -y sandpit")?;
    stage.lab.must(
        "test -e /var/lib/sandpit/state -a -e /var/lib/sandpit-watchdog/armed -a ! -e /usr/bin/sandpit",
    )?;
    stage.lab.must("test -e /etc/sandpit/sandpit.toml -a -e /etc/sandpit/credentials/host-key-id")?;
    stage.install("/lab/sandpit_1.0.0_$(dpkg --print-architecture).deb")?;
    let kept = stage.lab.must("cat /etc/sandpit/sandpit.toml")?;
    assert!(kept.contains("clock_speed = 60.0"), "a change is kept: {kept}");
    stage.lab.must("apt-get purge -y sandpit")?;
    let left = stage.lab.must("ls -d /var/lib/sandpit* /etc/sandpit* /run/sandpit* 2>/dev/null; true")?;
    assert_eq!(left, "");
    stage.lab.must("id sandpit; id sandpit-watchdog")?;
    Ok(())
}
