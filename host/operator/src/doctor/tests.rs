//! Every check is made to fail once, on files and programs that are really there.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, chown},
    path::PathBuf,
    process::{Command, Stdio},
};

use super::*;
use crate::golive;

/// An installation in a folder, all of it good as far as files go.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().expect("a folder") };
        for (name, mode) in [
            ("plugins", 0o755),
            ("credentials", 0o700),
            ("state", 0o700),
            ("guard", 0o700),
            ("run", 0o755),
            ("units", 0o755),
        ] {
            fs::create_dir(bench.path(name)).expect("made");
            bench.chmod(name, mode);
        }
        let path = |name: &str| bench.path(name).display().to_string();
        bench.write(
            "sandpit.toml",
            &format!(
                "mode = \"paper\"\nstate_dir = {:?}\nplugins_dir = {:?}\nlisten = \"127.0.0.1:0\"\n\
                 kill_switch_file = {:?}\n[broker]\nurl = \"http://127.0.0.1:1\"\n",
                path("state"),
                path("plugins"),
                path("run/kill")
            ),
        );
        bench.write(
            "watchdog.toml",
            &format!(
                "state_dir = {:?}\nkill_switch_file = {:?}\n[broker]\ntrading_url = \
                 \"http://127.0.0.1:1\"\n[admin]\nlisten = \"off\"\n",
                path("guard"),
                path("run/kill")
            ),
        );
        for name in
            ["host-key-id", "host-secret-key", "watchdog-key-id", "watchdog-secret-key", "panic-token"]
        {
            bench.write(&format!("credentials/{name}"), "word\n");
            bench.chmod(&format!("credentials/{name}"), 0o600);
        }
        bench.write("guard/armed", "{\"at_unix_s\":7,\"reason\":\"first run\"}");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("ours");
    }

    fn site(&self) -> Site {
        let own = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("known").expect("there");
        let place = PlaceArgs {
            config: self.path("sandpit.toml"),
            watchdog_config: None,
            credentials: None,
            host_user: own.name.clone(),
            watchdog_user: own.name,
            unit_dir: vec![self.path("units")],
        };
        let random = |_: &mut [u8]| Ok(());
        let world =
            World { now_unix_s: || 1_000, random, environment: BTreeMap::new(), operator: "kim".into() };
        Site::of(place, world)
    }

    /// The worst of what the check finds, with these words somewhere.
    fn check(&self, look: fn(&Site) -> Vec<Finding>, level: Level, words: &str) {
        let found = look(&self.site());
        let hit = found.iter().any(|finding| finding.level == level && finding.found.contains(words));
        assert!(hit, "{words}: {found:?}");
        let all_say_what_to_do =
            found.iter().all(|finding| finding.level == Level::Ok || finding.mend.is_some());
        assert!(all_say_what_to_do, "{found:?}");
    }
}

fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: this part needs root, and is not run");
    }
    is_root
}

#[test]
fn files_that_others_may_touch_are_found() {
    let bench = Bench::new();
    if is_root() {
        bench.check(rights::files, Level::Ok, "owners and modes are as they should be");
    }
    let check = |name: &str, bad: u32, good: u32, words: &str| {
        bench.chmod(name, bad);
        bench.check(rights::files, Level::Fail, words);
        bench.chmod(name, good);
    };
    check("sandpit.toml", 0o666, 0o644, "sandpit.toml may be changed by others");
    check("watchdog.toml", 0o664, 0o644, "watchdog.toml may be changed by others");
    check("credentials", 0o755, 0o700, "may be looked into by others");
    check("credentials/host-secret-key", 0o640, 0o600, "may be read by others");
    check("state", 0o770, 0o700, "may be changed by others");
    check("plugins", 0o777, 0o755, "everybody may put strategies");
    bench.write("credentials/panic-token", "two words");
    bench.check(rights::files, Level::Fail, "holds no secret");
    fs::remove_file(bench.path("credentials/panic-token")).expect("there");
    bench.check(rights::files, Level::Fail, "panic-token: No such file");
    fs::remove_dir(bench.path("plugins")).expect("empty");
    bench.check(rights::files, Level::Fail, "plugins: No such file");
    if is_root() {
        chown(bench.path("state"), Some(65_534), Some(65_534)).expect("root may");
        bench.check(rights::files, Level::Fail, "belongs to user 65534, not to root");
    }
}

#[test]
fn users_that_are_missing_or_one_are_found() {
    let bench = Bench::new();
    bench.check(rights::users, Level::Warn, "host and watchdog are one user");
    let site = |bench: &Bench| {
        let mut site = bench.site();
        site.place.watchdog_user = "nobody-has-this-name".into();
        site
    };
    assert_eq!(rights::users(&site(&bench))[0].level, Level::Warn, "no unit wants them");
    bench.write("units/sandpit-host.service", "");
    assert_eq!(rights::users(&site(&bench))[0].level, Level::Fail);
    let mut two = bench.site();
    (two.place.host_user, two.place.watchdog_user) = ("root".into(), "nobody".into());
    assert_eq!(rights::users(&two)[0].level, Level::Ok);
}

#[test]
fn what_forbids_trading_is_found_with_its_reason() {
    let bench = Bench::new();
    bench.check(rights::arming, Level::Ok, "armed at 1970-01-01T00:00:07Z: first run");
    fs::remove_file(bench.path("guard/armed")).expect("there");
    bench.check(rights::arming, Level::Warn, "not armed");
    let latch = "{\"at_unix_s\":7,\"layer\":\"operator\",\"reason\":\"looked odd\",\"epoch\":1,\
                 \"suspended\":true,\
                 \"policy\":\"cancel\"}";
    bench.write("guard/latch", latch);
    bench.check(rights::arming, Level::Fail, "it was killed: looked odd");
    bench.write("run/kill", "by hand\n");
    bench.check(rights::arming, Level::Fail, "is there: by hand");
    fs::remove_dir_all(bench.path("run")).expect("there");
    bench.check(rights::arming, Level::Fail, "nobody can pull the kill switch");
}

#[test]
fn units_that_are_missing_are_found() {
    let bench = Bench::new();
    bench.check(units::units, Level::Warn, "no unit is installed");
    bench.write("units/sandpit-host.service", "");
    bench.check(units::units, Level::Fail, "sandpit-watchdog.service is not installed");
    bench.write("units/sandpit-watchdog.service", "");
    // Whether systemd runs here or not: units of this name do not.
    let found = units::units(&bench.site());
    assert!(found.iter().all(|finding| finding.level != Level::Ok), "{found:?}");
}

#[test]
fn a_broker_that_does_not_answer_is_found_and_so_is_another_one() {
    let bench = Bench::new();
    bench.check(account::broker, Level::Fail, "cannot be reached");
    bench.check(account::clock, Level::Warn, "the broker does not answer");
    let text = fs::read_to_string(bench.path("watchdog.toml")).expect("there");
    bench.write("watchdog.toml", &text.replace("http://127.0.0.1:1\"", "http://127.0.0.1:2\""));
    bench.check(account::broker, Level::Fail, "the watchdog guards http://127.0.0.1:2");
    fs::remove_file(bench.path("credentials/host-key-id")).expect("there");
    bench.check(account::broker, Level::Warn, "the host's key cannot be read");
}

#[test]
fn a_port_that_somebody_else_has_is_found() {
    let bench = Bench::new();
    bench.check(machine::ports, Level::Ok, "is free");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    // Whoever has it hangs up on the question who he is.
    let address = taken.local_addr().expect("bound").to_string();
    let hang_up = std::thread::spawn(move || drop(taken.accept()));
    let text = fs::read_to_string(bench.path("sandpit.toml")).expect("there");
    let text = text.replace("127.0.0.1:0", &address);
    bench.write("sandpit.toml", &text);
    bench.check(machine::ports, Level::Fail, "cannot be listened on");
    hang_up.join().expect("it was asked");
    bench.write("sandpit.toml", &text.replace(&address, "here"));
    bench.check(machine::ports, Level::Fail, "is no address");
}

#[test]
fn missing_files_and_programs_are_found() {
    let bench = Bench::new();
    bench.check(machine::disk, Level::Ok, "MiB free");
    let mut site = bench.site();
    site.watchdog = bench.path("nothing");
    site.sandpit = bench.path("nothing");
    let check = |look: fn(&Site) -> Vec<Finding>, site: &Site, words: &str| {
        let found = look(site);
        let hit = found.iter().any(|one| one.level == Level::Fail && one.found.contains(words));
        assert!(hit, "{words}: {found:?}");
    };
    check(programs::versions, &site, "No such file");
    check(programs::watchdog, &site, "No such file");
    check(programs::configuration, &site, "No such file");
    check(programs::database, &site, "No such file");
    let program = |name: &str, script: &str| {
        bench.write(name, &format!("#!/bin/sh\n{script}\n"));
        bench.chmod(name, 0o755);
        bench.path(name)
    };
    site.watchdog = program("other", "echo sandpit-watchdog 0.0.9");
    check(programs::versions, &site, "is 0.0.9");
    site.sandpit = program("sandpit", "echo 'error: no plugin' >&2; exit 11");
    check(programs::configuration, &site, "no plugin");
    let found = programs::configuration(&site);
    let levels: Vec<_> = found.iter().map(|one| (one.check, one.level)).collect();
    assert_eq!(levels, [("configuration", Level::Ok), ("plugins", Level::Fail)], "{found:?}");
    site.sandpit = program("sandpit", "echo 'error: bad key' >&2; exit 10");
    check(programs::configuration, &site, "bad key");
    site.sandpit = program("sandpit", "echo 'error: it is damaged' >&2; exit 14");
    check(programs::database, &site, "it is damaged");
    let answer =
        |more: &str| program("guard.sh", &format!("echo '{{\"state\":\"armed\",\"lease_ms_left\":{more}}}'"));
    let mut site = bench.site();
    site.watchdog = answer("0");
    assert!(programs::watchdog(&site).iter().any(|one| one.check == "lease" && one.level == Level::Warn));
    let mut site = bench.site();
    site.watchdog = answer("900");
    assert!(programs::watchdog(&site).iter().any(|one| one.check == "lease" && one.level == Level::Ok));
    let mut site = bench.site();
    site.watchdog = program("guard.sh", "echo 'sandpit-watchdog: no watchdog answers' >&2; exit 31");
    check(programs::watchdog, &site, "no watchdog answers");
    fs::remove_file(bench.path("watchdog.toml")).expect("there");
    fs::remove_file(bench.path("sandpit.toml")).expect("there");
    check(programs::watchdog, &site, "there is no");
    check(programs::configuration, &site, "there is no");
}

#[test]
fn mode_live_without_a_sign_off_is_found() {
    let bench = Bench::new();
    assert!(programs::golive(&bench.site()).is_empty(), "paper needs none");
    let text = fs::read_to_string(bench.path("sandpit.toml")).expect("there");
    bench.write("sandpit.toml", &text.replace("paper", "live"));
    bench.check(programs::golive, Level::Fail, "nothing is signed off yet");
}

#[test]
fn a_check_that_hangs_costs_its_own_line_and_no_more() {
    fn hangs(_: &Site) -> Vec<Finding> {
        loop {
            std::thread::park();
        }
    }
    fn dies(_: &Site) -> Vec<Finding> {
        panic!("a check that fails is a finding, too");
    }
    fn good(_: &Site) -> Vec<Finding> {
        vec![Finding::ok("good", "all well")]
    }
    let bound = Duration::from_millis(100);
    let checks = [
        Check { name: "hangs", look: hangs, bound },
        Check { name: "dies", look: dies, bound: Duration::from_secs(60) },
        Check { name: "good", look: good, bound: Duration::from_secs(60) },
        Check { name: "hangs", look: hangs, bound },
    ];
    let seconds = || {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
        now.expect("a clock").tv_sec()
    };
    let begun = seconds();
    let found = examine(&checks, &Arc::new(Bench::new().site()));
    assert!(seconds() - begun < 15, "a bound of 100 ms is none");
    let levels: Vec<_> = found.iter().map(|finding| finding.level).collect();
    assert_eq!(levels, [Level::Fail, Level::Fail, Level::Ok, Level::Fail], "{found:?}");
    assert_eq!(verdict(&found), Exit::Incomplete);
    assert_eq!(verdict(&good(&Bench::new().site())), Exit::Ok);
    let shown: serde_json::Value = serde_json::from_str(&json(&found, Exit::Incomplete)).expect("JSON");
    assert_eq!((&shown["ok"], &shown["exit"]), (&false.into(), &16.into()));
    assert_eq!(
        shown["checks"][2],
        serde_json::json!({ "check": "good", "level": "ok", "found": "all well" })
    );
}

/// A broker on loopback that answers everybody with these header lines and this account; its address.
fn broker_that_says(status: &'static str, date: &'static str, account: fn(&str) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut key = String::new();
            for line in BufReader::new(&stream).lines().map_while(Result::ok) {
                if line.is_empty() {
                    break;
                }
                if let Some((name, value)) = line.split_once(": ")
                    && name.eq_ignore_ascii_case("APCA-API-KEY-ID")
                {
                    key = value.to_owned();
                }
            }
            let body = account(&key);
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{date}");
            let _ = write!(&stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    format!("http://{address}")
}

/// The bench's clock stands there.
const DATE: &str = "Date: Thu, 01 Jan 1970 00:16:40 GMT\r\n";

fn one_account(_: &str) -> String {
    "{\"id\":\"one\"}".into()
}

impl Bench {
    /// Both configurations name this broker.
    fn trade_at(&self, url: &str) {
        for name in ["sandpit.toml", "watchdog.toml"] {
            let text = fs::read_to_string(self.path(name)).expect("there");
            let (head, rest) = text.split_once("url = \"").expect("an address");
            let (_, rest) = rest.split_once('"').expect("its end");
            self.write(name, &format!("{head}url = {url:?}{rest}"));
        }
    }
}

#[test]
fn a_clock_is_held_against_the_brokers() {
    let bench = Bench::new();
    let check = |date: &'static str, level: Level, words: &str| {
        bench.trade_at(&broker_that_says("200 OK", date, one_account));
        bench.check(account::clock, level, words);
    };
    check(DATE, Level::Ok, "it agrees with the one of http://127.0.0.1");
    check("Date: Thu, 01 Jan 1970 00:16:30 GMT\r\n", Level::Fail, "is 9 s ahead of the broker's");
    check("Date: Thu, 01 Jan 1970 00:16:50 GMT\r\n", Level::Fail, "is 10 s behind the broker's");
    check("", Level::Warn, "answers without a date");
}

#[test]
fn both_keys_are_tried_at_the_broker() {
    let bench = Bench::new();
    let check = |status: &'static str, account: fn(&str) -> String, level: Level, words: &str| {
        bench.trade_at(&broker_that_says(status, DATE, account));
        bench.check(account::broker, level, words);
    };
    check("200 OK", one_account, Level::Ok, "answers and accepts the keys");
    bench.write("credentials/watchdog-key-id", "other\n");
    check("200 OK", one_account, Level::Ok, "answers and accepts the keys");
    let by_key = |key: &str| format!("{{\"id\":{key:?}}}");
    check("200 OK", by_key, Level::Fail, "open different accounts");
    let blocked = |_: &str| "{\"id\":\"one\",\"trading_blocked\":true}".into();
    check("200 OK", blocked, Level::Fail, "says trading_blocked");
    check("403 Forbidden", one_account, Level::Fail, "does not accept the key of the watchdog (403)");
    check("404 Not Found", one_account, Level::Fail, "is no broker");
    check("500 Oh", one_account, Level::Fail, "answers with status 500");
    fs::remove_file(bench.path("credentials/watchdog-key-id")).expect("there");
    check("200 OK", one_account, Level::Warn, "the watchdog's key cannot be read");
}

#[test]
fn what_our_programs_say_is_believed() {
    let bench = Bench::new();
    let program = |name: &str, script: &str| {
        bench.write(name, &format!("#!/bin/sh\n{script}\n"));
        bench.chmod(name, 0o755);
        bench.path(name)
    };
    let mut site = bench.site();
    site.sandpit = program("sandpit", "exit 0");
    let own = env!("CARGO_PKG_VERSION");
    site.watchdog = program("guard.sh", &format!("echo sandpit-watchdog {own}"));
    let check = |look: fn(&Site) -> Vec<Finding>, words: &str| {
        let found = look(&site);
        let is_good = found.iter().all(|one| one.level == Level::Ok);
        assert!(is_good && found.iter().any(|one| one.found.contains(words)), "{words}: {found:?}");
    };
    check(programs::configuration, "every plugin is valid");
    check(programs::database, "it opens");
    check(programs::versions, own);
    let mut site = bench.site();
    site.watchdog = program("guard.sh", "echo '{\"state\":\"leased\",\"lease_ms_left\":900}'");
    let found = programs::watchdog(&site);
    assert!(found.iter().any(|one| one.level == Level::Ok && one.found == "it answers: leased"), "{found:?}");
    site.sandpit = program("sandpit", "echo 'error: there is no database yet' >&2; exit 12");
    assert_eq!(programs::database(&site)[0].level, Level::Ok, "before the first start");
}

#[test]
fn a_program_that_runs_from_a_replaced_file_is_found() {
    let bench = Bench::new();
    let mut site = bench.site();
    site.sandpit = bench.path("sandpit");
    // Not by this process: a test beside it that starts a program would keep the file open for writing.
    let copied = Command::new("cp").arg("/bin/cat").arg(&site.sandpit).status();
    assert!(copied.expect("cp runs").success());
    let mut old = Command::new(&site.sandpit);
    let mut old = old.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    // A process has the name of its program a little later than it is there: it has to answer first.
    old.stdin.as_mut().expect("piped").write_all(b"there\n").expect("it reads");
    let mut line = String::new();
    BufReader::new(old.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it answers");
    let waits = |site: &Site| {
        machine::restart(site).iter().any(|one| one.found.contains("an upgrade waits for a restart"))
    };
    let before = waits(&site);
    fs::remove_file(&site.sandpit).expect("there");
    let after = waits(&site);
    old.kill().and_then(|()| old.wait()).expect("our own child");
    assert_eq!((before, after), (false, true));
    if is_root() {
        bench.check(machine::restart, Level::Ok, "nothing waits for a restart");
    }
}

#[test]
fn the_budget_of_memory_is_held_against_the_machine() {
    let bench = Bench::new();
    bench.check(machine::memory, Level::Ok, "192 MiB needed at most");
    let text = fs::read_to_string(bench.path("watchdog.toml")).expect("there");
    bench.write("watchdog.toml", &format!("{text}[memory]\nbudget_mb = 99999999\n"));
    bench.check(machine::memory, Level::Fail, "the host may use 99999999 MiB");
    bench.write("watchdog.toml", &format!("{text}[memory]\nbudget_mb = 300\n"));
    bench.check(machine::memory, Level::Ok, "drained at 240");
    bench.write("plugins/one.wasm", "");
    bench.check(machine::memory, Level::Warn, "may need 256 MiB together");
    bench.write("watchdog.toml", &format!("{text}[memory]\nbudget_mb = 400\n"));
    bench.write("units/sandpit-host.service", "[Service]\nMemoryMax=350M\n");
    bench.check(machine::memory, Level::Warn, "less than the budget of 400");
}

#[test]
fn a_sign_off_that_holds_is_found_and_one_that_does_not() {
    let bench = Bench::new();
    let text = fs::read_to_string(bench.path("sandpit.toml")).expect("there");
    bench.write("sandpit.toml", &text.replace("paper", "live"));
    let signed = |key: &str, drill: u64| {
        let proof = |at_unix_s| golive::Proof { at_unix_s, words: "good".into() };
        let record = golive::Record {
            signed_unix_s: 1_000,
            operator: "Kim".into(),
            login: "kim".into(),
            salt: "salt".into(),
            key: crate::keys::salted("salt", key),
            drill: proof(drill),
            alert_test: proof(drill),
            backup: proof(drill),
            host_limits: String::new(),
            watchdog_config: bench.path("watchdog.toml"),
            watchdog_limits: String::new(),
        };
        golive::sign(&bench.path("state"), &record).expect("written");
    };
    signed("word", 900);
    bench.check(programs::golive, Level::Ok, "signed off by Kim");
    signed("another", 900);
    bench.check(programs::golive, Level::Fail, "the key is not the one that was signed off");
    let later = |site: &mut Site| site.world.now_unix_s = || 1_000 + 8 * 86_400;
    signed("word", 900);
    let mut site = bench.site();
    later(&mut site);
    let found = programs::golive(&site);
    assert!(found[0].level == Level::Fail && found[0].found.contains("8 days old"), "{found:?}");
    fs::remove_file(bench.path("credentials/host-key-id")).expect("there");
    bench.check(programs::golive, Level::Warn, "the key cannot be read");
}
