//! The emergency stop, whole: flag, fence, cancel, verified zero, latch, no automatic re-arm.

use std::{fs, process::Command, time::Duration};

use sandpit_system_tests::{Demo, binary, wait_for};

/// Sixty seconds of agreeing reads, and room for the reads themselves.
const CONFIRM_BOUND: Duration = Duration::from_secs(90);

#[test]
fn the_flag_stops_everything_and_nothing_comes_back() {
    let demo = Demo::start(&["--speed", "60"]);
    let (pid, _) = demo.host_pid(None, Duration::from_secs(10));
    wait_for("an order", Duration::from_secs(120), || {
        (demo.sim_status()["orders_accepted"].as_u64() > Some(0)).then_some(())
    });
    fs::write(demo.path("kill"), "").expect("the flag is written");

    let process = format!("/proc/{pid}/stat");
    let dead = || {
        // A zombie that its parent has not reaped yet is dead too.
        let stat = fs::read_to_string(&process).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    };
    let (_, to_dead) = wait_for("the host to be gone", Duration::from_secs(5), dead);
    let zero = || (demo.watchdog()["broker"] == "ZERO_SEEN").then_some(());
    let (_, to_zero) = wait_for("ZERO_SEEN", Duration::from_secs(10), zero);
    println!("flag_to_host_dead {} ms\nthen_to_zero_seen {} ms", to_dead.as_millis(), to_zero.as_millis());

    assert_eq!(demo.sim_status()["open_orders"], 0);
    let orders_then = demo.sim_status()["orders_accepted"].clone();
    assert_eq!(demo.watchdog()["state"], "killed");
    assert!(demo.watchdog()["host_pid"].is_null(), "{}", demo.watchdog());
    assert!(demo.path("watchdog/latch").exists() && !demo.path("watchdog/armed").exists());
    assert_eq!(demo.broker("/v2/account")["trade_suspended_by_user"], true);

    let arm = Command::new(binary("sandpit-watchdog"))
        .args(["arm", "--reason", "too soon", "--config"])
        .arg(demo.path("watchdog.toml"))
        .env("APCA_API_KEY_ID", "k")
        .env("APCA_API_SECRET_KEY", "s")
        .output();
    assert!(!arm.expect("runs").status.success(), "arming must be refused while the flag exists");

    // The demo waits for the confirmation and ends with it.
    let ended = demo.end(CONFIRM_BOUND);
    assert_eq!(ended.json["orders"], orders_then, "an order was accepted after the fence");
    assert!(
        ended.json["kill"].as_str().is_some_and(|kill| kill.contains("CONFIRMED_ZERO")),
        "{}",
        ended.json
    );
    assert_eq!(ended.code, Some(20), "{}", ended.log);
    assert_eq!(ended.json["host_restarts"], 0, "{}", ended.json);
    assert!(ended.json["kill"].as_str().is_some_and(|kill| kill.contains("flag")), "{}", ended.json);
    assert!(ended.log.contains("[KILL]"), "{}", ended.log);
}
