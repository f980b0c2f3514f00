//! What `container/` runs, without its engine: the same programs, configuration, user and walls, by a
//! transient unit. What only an engine does (images, volumes, networks of its own) is not in it.

use std::{fs, path::Path};

use sandpit_systemd_tests::Stage;

/// One process tree of user 10001, as compose.yaml hardens it.
const WALLS: &str = "-p User=10001 -p Group=10001 -p UMask=0077 -p CapabilityBoundingSet= \
    -p NoNewPrivileges=yes -p ProtectSystem=strict -p PrivateTmp=yes -p MemorySwapMax=0 -p MemoryMax=1792M \
    -p TasksMax=512 -p TimeoutStopSec=30 -p KillMode=mixed \
    -p ReadWritePaths='/var/lib/sandpit /var/lib/sandpit-watchdog /run/sandpit /run/sandpit-watchdog' \
    -E APCA_API_KEY_ID_FILE=/run/secrets/key-id -E APCA_API_SECRET_KEY_FILE=/run/secrets/secret-key \
    -E PANIC_TOKEN_FILE=/run/secrets/panic-token";
const CONFIG: &str = "--config /etc/sandpit/watchdog.toml";

#[test]
fn it_trades_is_healthy_and_comes_back() -> anyhow::Result<()> {
    let Some(stage) = Stage::set()? else { return Ok(()) };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../container");
    for file in ["config/sandpit.toml", "config/watchdog.toml", "sandpit-health"] {
        let name = Path::new(file).file_name().unwrap_or_default();
        fs::copy(folder.join(file), stage.lab.share().join(name))?;
    }
    stage.lab.must(
        "cp /lab/sandpit.toml /lab/watchdog.toml /etc/sandpit/; cp /lab/sandpit-health /usr/bin/
         chmod 644 /etc/sandpit/*.toml; chmod 755 /usr/bin/sandpit-health
         groupadd --gid 10001 inside; useradd --uid 10001 --gid 10001 --no-create-home inside
         mkdir -p /run/secrets /etc/sandpit-plugins /run/sandpit-watchdog
         echo any-key >/run/secrets/key-id; echo any-secret >/run/secrets/secret-key
         echo a-token-of-sixteen >/run/secrets/panic-token
         cp /etc/sandpit/plugins/churn.* /etc/sandpit-plugins/
         sed -i 's/^name = \"sim\".*/&\\nclock_speed = 60.0/' /etc/sandpit/sandpit.toml
         chown -R 10001:10001 /var/lib/sandpit /var/lib/sandpit-watchdog /run/sandpit /run/sandpit-watchdog",
    )?;
    let run = format!("systemd-run --quiet --unit=container {WALLS} sandpit-watchdog run {CONFIG}");
    stage.lab.must(&run)?;
    let health = "sandpit-health http://127.0.0.1:8080/health";
    assert_ne!(stage.lab.run(health)?.code, 0, "nobody has armed");
    // The service `arm` of compose.yaml.
    stage.lab.must(&format!(
        "systemd-run --quiet --wait --pipe {WALLS} sandpit-watchdog arm --reason first {CONFIG}"
    ))?;
    stage.await_state("leased");
    stage.eventually("health", || (stage.lab.run(health).ok()?.code == 0).then_some(()));
    stage.trade(5)?;
    // The watchdog is the parent, and no stranger to the host: no capability is needed to end it.
    let host = stage.host().expect("a host")["pid"].to_string();
    stage.lab.must(&format!("kill -STOP {host}"))?;
    stage.eventually("another host", || {
        let now = stage.host()?["pid"].to_string();
        (now != host).then_some(())
    });
    stage.await_state("leased");
    stage.trade(5)?;
    stage.lab.must("touch /run/sandpit/kill")?;
    stage.await_state("killed");
    assert_ne!(stage.lab.run(health)?.code, 0);
    stage.lab.must("systemctl stop container")?;
    assert_eq!(stage.lab.run("pgrep -u 10001")?.text, "", "nothing is left");
    Ok(())
}
