//! Strategies come, change and go while the host trades.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use sandpit_system_tests::{Demo, binary, get_json, plugin, wait_for};
use serde_json::Value;

/// A look at the folder, a compilation on a busy machine, a start, and an order or two.
const BOUND: Duration = Duration::from_secs(60);
/// Of the market in the long test.
const SPEED: u64 = 120;

fn strategy<'s>(status: &'s Value, name: &str) -> Option<&'s Value> {
    status["strategies"].as_array()?.iter().find(|strategy| strategy["name"] == name)
}

/// Why a plugin is not used.
fn refused(status: &Value, plugin: &str) -> Option<String> {
    let refused = status["refused"].as_array()?.iter().find(|it| it["plugin"] == plugin)?;
    Some(refused["reason"].as_str()?.to_owned())
}

/// As an operator should: whole, at one moment.
fn drop_in(bytes: &[u8], place: &Path) {
    let part = place.with_extension("part");
    fs::write(&part, bytes).expect("written");
    fs::rename(&part, place).expect("renamed");
}

fn open_orders_of(status: &Value, name: &str) -> usize {
    let prefix = format!("sp-{name}-");
    let is_own = |order: &&Value| order["client_order_id"].as_str().is_some_and(|id| id.starts_with(&prefix));
    status["open_orders"].as_array().map_or(0, |open| open.iter().filter(is_own).count())
}

#[test]
fn strategies_come_change_and_go_while_the_host_trades() {
    let demo = Demo::start(&["--speed", &SPEED.to_string()]);
    let path = |name: &str| demo.path(&format!("plugins/{name}"));
    let status = |what: &str, look: &dyn Fn(&Value) -> Option<()>| {
        wait_for(what, BOUND, || demo.host_status().filter(|status| look(status).is_some())).0
    };
    let fills = |status: &Value, name: &str| strategy(status, name)?["fills"].as_u64();
    status("fills of both", &|now| {
        (fills(now, "sma_cross")? > 0 && fills(now, "rebalance")? > 0).then_some(())
    });

    // One that is like rebalance wants its symbols, and waits for them.
    let component = fs::read(path("rebalance.wasm")).expect("there");
    fs::copy(path("rebalance.toml"), path("second.toml")).expect("copied");
    drop_in(&component, &path("second.wasm"));
    status("the refusal", &|now| {
        let reason = refused(now, "second")?;
        (reason.contains("rebalance and second both want") && strategy(now, "second").is_none()).then_some(())
    });

    // The owner goes: its orders are cancelled, its positions said, and the other one trades.
    fs::remove_file(path("rebalance.wasm")).expect("removed");
    status("the end of rebalance", &|now| strategy(now, "rebalance").is_none().then_some(()));
    status("the end of its orders", &|now| (open_orders_of(now, "rebalance") == 0).then_some(()));
    status("fills of second", &|now| {
        (fills(now, "second")? > 0 && refused(now, "second").is_none()).then_some(())
    });
    let log = demo.log();
    assert!(log.contains("the plugin was removed; its open orders are cancelled"), "{log}");
    assert!(log.contains("the strategy has left and still holds"), "{log}");

    // Rubbish in the place of one that runs: it goes on, and everybody can see why.
    let good = fs::read(path("sma_cross.wasm")).expect("there");
    drop_in(b"#!/bin/sh\n", &path("sma_cross.wasm"));
    let before = status("the refusal", &|now| {
        refused(now, "sma_cross")?.contains("not a WebAssembly file").then_some(())
    });
    let events = |status: &Value| strategy(status, "sma_cross").and_then(|it| it["events"].as_u64());
    let seen = events(&before).expect("it goes on");
    status("further events", &|now| (events(now)? > seen + 100).then_some(()));
    drop_in(&good, &path("sma_cross.wasm"));
    status("the good one", &|now| refused(now, "sma_cross").is_none().then_some(()));

    // Another list of symbols: it is started anew with those, and the rest is free.
    let manifest = fs::read_to_string(path("sma_cross.toml")).expect("there");
    let list = manifest.lines().next().expect("its instruments");
    let symbols: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    assert!(symbols.len() > 1, "{list}");
    drop_in(
        manifest.replace(list, &format!("instruments = [{:?}]", symbols[0])).as_bytes(),
        &path("sma_cross.toml"),
    );
    let own = symbols[1];
    fs::write(path("third.toml"), format!("instruments = [{own:?}]\n")).expect("written");
    drop_in(&good, &path("third.wasm"));
    let end = status("the third one", &|now| {
        (events(now)? > 0 && strategy(now, "third")?["events"].as_u64()? > 0).then_some(())
    });
    for one in end["strategies"].as_array().expect("some") {
        assert_eq!((one["state"].as_str(), one["strikes"].as_u64()), (Some("running"), Some(0)), "{one}");
    }
    outlives_the_watchdogs_patience(&demo);
    assert_eq!(demo.watchdog()["host_restarts"], 0);
}

/// A loop that is taken for one that hangs costs the host its life after 3.5 s: waits until each loop has
/// been found alive over more than that.
fn outlives_the_watchdogs_patience(demo: &Demo) {
    // `store` does nothing but its commits and the nonces of four leases a second.
    const SECS: u64 = 6;
    let leased = || {
        let status = demo.watchdog();
        (status["state"] == "leased").then(|| status["host_pid"].clone())
    };
    let (host, _) = wait_for("a lease", BOUND, leased);
    let market_secs = || {
        let status = demo.host_status()?;
        let time = status["market_time"].as_str()?.to_owned();
        let part = |range: std::ops::Range<usize>| time.get(range)?.parse::<u64>().ok();
        Some((part(8..10)? * 24 + part(11..13)?) * 3_600 + part(14..16)? * 60 + part(17..19)?)
    };
    let (start, _) = wait_for("the time", BOUND, market_secs);
    let passed = || (market_secs()?.checked_sub(start)? >= SECS * SPEED).then_some(());
    wait_for("some seconds under a lease", BOUND, passed);
    assert_eq!(leased(), Some(host), "the same host trades on");
}

/// A child that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A simulator and a dry run against it, with whatever `plugins` has put into its folder.
struct DryRun {
    _sim: Running,
    _host: Running,
    folder: tempfile::TempDir,
    listen: String,
}

impl DryRun {
    fn start(plugins: impl FnOnce(&Path)) -> Self {
        let mut sim = Command::new(binary("sandpit-sim"))
            .args(["--listen", "127.0.0.1:0", "--speed", "390", "--symbols", "SPY,QQQ,IWM,AAPL"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sandpit-sim starts");
        let mut line = String::new();
        BufReader::new(sim.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
        let sim = Running(sim);
        let address = line.trim().strip_prefix("listening ").expect("its address").to_owned();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("plugins")).expect("made");
        plugins(&path("plugins"));
        let listen = sandpit_ports::free_address().expect("a port");
        let config = format!(
            "state_dir = {:?}\nplugins_dir = {:?}\nlisten = {listen:?}\nkill_switch_file = {:?}\n\
             [broker]\nurl = \"http://{address}\"\nclock_speed = 390.0\n",
            path("state"),
            path("plugins"),
            path("kill"),
        );
        fs::write(path("sandpit.toml"), config).expect("written");
        let host = Command::new(binary("sandpit"))
            .args(["run", "--config"])
            .arg(path("sandpit.toml"))
            .env("APCA_API_KEY_ID", "k")
            .env("APCA_API_SECRET_KEY", "s")
            .stderr(fs::File::create(path("log")).expect("a log file"))
            .spawn()
            .expect("sandpit starts");
        Self { _sim: sim, _host: Running(host), folder, listen }
    }

    fn wait(&self, what: &str, look: impl Fn(&Value) -> Option<()>) -> Value {
        let url = format!("http://{}/status", self.listen);
        wait_for(what, BOUND, || get_json(&url).filter(|status| look(status).is_some())).0
    }

    fn plugin(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("plugins").join(name)
    }
}

const ALL: &str = "instruments = [\"SPY\", \"QQQ\", \"IWM\", \"AAPL\"]\n";

#[test]
fn one_bad_plugin_does_not_keep_the_others_from_trading() {
    let run = DryRun::start(|plugins| {
        fs::copy(plugin("sma_cross"), plugins.join("sma_cross.wasm")).expect("copied");
        fs::write(plugins.join("sma_cross.toml"), ALL).expect("written");
        fs::write(plugins.join("broken.wasm"), "#!/bin/sh\n").expect("written");
        fs::copy(plugin("rebalance"), plugins.join("wrong.wasm")).expect("copied");
        fs::write(plugins.join("wrong.toml"), "instruments = [\"DIA\"]\n[parameters]\ndrift = \"much\"\n")
            .expect("written");
        fs::write(plugins.join("coming.wasm.part"), "half").expect("written");
    });
    let status = run.wait("fills", |now| (strategy(now, "sma_cross")?["fills"].as_u64()? > 0).then_some(()));
    assert!(
        refused(&status, "broken").is_some_and(|reason| reason.contains("not a WebAssembly file")),
        "{status}"
    );
    assert!(refused(&status, "wrong").is_some_and(|reason| reason.contains("wrong.wasm")), "{status}");
    assert_eq!(status["strategies"].as_array().map(Vec::len), Some(1), "{status}");
    assert_eq!(status["refused"].as_array().map(Vec::len), Some(2), "{status}");
}

#[test]
fn an_empty_folder_waits_for_its_first_strategy() {
    let run = DryRun::start(|_| {});
    run.wait("the host", |now| (now["reconciled"] == true).then_some(()));
    fs::write(run.plugin("sma_cross.toml"), ALL).expect("written");
    drop_in(&fs::read(plugin("sma_cross")).expect("built"), &run.plugin("sma_cross.wasm"));
    let status = run.wait("fills", |now| (strategy(now, "sma_cross")?["fills"].as_u64()? > 0).then_some(()));
    assert!(status["data"]["bars"].as_u64().is_some_and(|bars| bars > 0), "{status}");
}
