use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    setup: SetupArgs,
}

/// A folder with the two configurations in it, all paths below it.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let host = format!(
            "# mine\nmode = \"dry-run\"   # for now\nstate_dir = {:?}\nplugins_dir = {:?}\n\
             kill_switch_file = {:?}\n",
            path("state"),
            path("plugins"),
            path("run/kill")
        );
        fs::write(folder.path().join("sandpit.toml"), host).expect("written");
        let watchdog = format!(
            "state_dir = {:?}\nsocket = {:?}\nkill_switch_file = {:?}\n[host]\nmode = \"attach\"\n\
             [broker]\ntrading_url = \"http://127.0.0.1:1\" # where\n",
            path("guard"),
            path("run/lease.sock"),
            path("run/kill")
        );
        fs::write(folder.path().join("watchdog.toml"), watchdog).expect("written");
        fs::write(folder.path().join("keys"), "KEYID\nhush\n").expect("written");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }

    fn run(&self, more: &[&str]) -> Result<(), Failure> {
        let all: Vec<_> = ["--offline"].into_iter().chain(more.iter().copied()).collect();
        self.run_online(&all)
    }

    fn run_online(&self, more: &[&str]) -> Result<(), Failure> {
        let config = self.path("sandpit.toml").display().to_string();
        let keys = self.path("keys").display().to_string();
        let examples = self.path("examples").display().to_string();
        let mut line = vec!["setup", "--yes", "--config", &config, "--key-file", &keys];
        // Users that every machine has.
        line.extend(["--examples", &examples, "--host-user", "root", "--watchdog-user", "root"]);
        line.extend(more);
        setup(&Line::try_parse_from(line).expect("a command line").setup, &world())
    }

    /// Every file with its inode, time and bytes.
    fn picture(&self) -> BTreeMap<PathBuf, (u64, i64, u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let of = path.metadata().expect("there");
                let bytes = if of.is_dir() { Vec::new() } else { fs::read(&path).expect("readable") };
                found.insert(path.clone(), (of.ino(), of.mtime_nsec(), of.mode(), bytes));
                if of.is_dir() {
                    folders.push(path);
                }
            }
        }
        found
    }
}

fn world() -> World {
    let random = |bytes: &mut [u8]| {
        bytes.fill(7);
        Ok(())
    };
    World { now_unix_s: || 1_000, random, environment: BTreeMap::new(), operator: "kim".into() }
}

#[test]
fn everything_is_written_once_and_a_second_run_touches_nothing() {
    let bench = Bench::new();
    bench.run(&["--mode", "paper", "--url", "http://127.0.0.1:9/", "--symbols", "SPY,ibm"]).expect("set up");
    let host = bench.read("sandpit.toml");
    assert!(host.starts_with("# mine\nmode = \"paper\"   # for now\n"), "{host}");
    assert!(host.contains("url = \"http://127.0.0.1:9/\"") && host.contains("canary = \"SPY\""), "{host}");
    assert!(bench.read("watchdog.toml").contains("trading_url = \"http://127.0.0.1:9\" # where\n"));
    for (name, text) in [
        ("host-key-id", "KEYID\n"),
        ("host-secret-key", "hush\n"),
        ("watchdog-key-id", "KEYID\n"),
        ("watchdog-secret-key", "hush\n"),
        ("panic-token", &format!("{}\n", "07".repeat(24))),
    ] {
        let path = bench.path("credentials").join(name);
        assert_eq!(fs::read_to_string(&path).expect(name), text);
        assert_eq!(path.metadata().expect(name).mode() & 0o7777, 0o600, "{name}");
    }
    assert_eq!(bench.path("credentials").metadata().expect("a folder").mode() & 0o7777, 0o700);
    assert_eq!(bench.path("state").metadata().expect("a folder").mode() & 0o7777, 0o700);
    let before = bench.picture();
    bench.run(&["--mode", "paper", "--symbols", "SPY,IBM"]).expect("nothing to do");
    bench.run(&[]).expect("nothing to do");
    assert_eq!(bench.picture(), before);
    // A key that both have is changed for both, and one that the watchdog has alone stays.
    let words = |name: &str| fs::read_to_string(bench.path("credentials").join(name)).expect(name);
    fs::write(bench.path("keys"), "SECOND\nhush\n").expect("written");
    bench.run(&[]).expect("changed");
    assert_eq!((&*words("host-key-id"), &*words("watchdog-key-id")), ("SECOND\n", "SECOND\n"));
    fs::write(bench.path("other"), "OTHER\nhush\n").expect("written");
    let other = bench.path("other").display().to_string();
    bench.run(&["--watchdog-key-file", &other]).expect("changed");
    fs::write(bench.path("keys"), "THIRD\nhush\n").expect("written");
    bench.run(&[]).expect("changed");
    assert_eq!((&*words("host-key-id"), &*words("watchdog-key-id")), ("THIRD\n", "OTHER\n"));
    // Rights that somebody widened are mended.
    let secret = bench.path("credentials/host-secret-key");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).expect("ours");
    bench.run(&[]).expect("mended");
    assert_eq!(secret.metadata().expect("there").mode() & 0o7777, 0o600);
}

#[test]
fn an_example_gets_the_symbols_and_an_own_manifest_is_left_alone() {
    let bench = Bench::new();
    fs::create_dir(bench.path("examples")).expect("made");
    fs::write(bench.path("examples/sma_cross.wasm"), "wasm").expect("written");
    bench.run(&["--symbols", "SPY,IBM"]).expect("set up");
    assert!(bench.read("plugins/sma_cross.toml").starts_with("instruments = [\"SPY\", \"IBM\"]"));
    assert_eq!(bench.read("plugins/sma_cross.wasm"), "wasm");
    fs::write(bench.path("plugins/sma_cross.toml"), "instruments = [\"QQQ\"]\n").expect("written");
    bench.run(&["--symbols", "SPY"]).expect("set up");
    assert_eq!(bench.read("plugins/sma_cross.toml"), "instruments = [\"QQQ\"]\n");
}

#[test]
fn a_live_configuration_is_not_changed_in_passing() {
    let bench = Bench::new();
    let refused = |args: &[&str]| {
        let before = bench.picture();
        let failure = bench.run(args).expect_err("refused");
        assert_eq!(failure.exit, Exit::Config, "{}", failure.sentence);
        assert!(failure.sentence.contains("--overwrite-live"), "{}", failure.sentence);
        assert_eq!(bench.picture(), before, "nothing was written");
    };
    refused(&["--mode", "live"]);
    bench.run(&["--mode", "live", "--overwrite-live"]).expect("meant");
    refused(&["--mode", "paper"]);
    refused(&["--url", "http://127.0.0.1:7"]);
    fs::write(bench.path("keys"), "OTHER\nhush\n").expect("written");
    refused(&[]);
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let bench = Bench::new();
    let refused = |args: &[&str], exit: Exit, words: &str| {
        let before = bench.picture();
        let failure = bench.run(args).expect_err(words);
        assert_eq!(failure.exit, exit, "{}", failure.sentence);
        assert!(failure.sentence.contains(words), "{}", failure.sentence);
        assert!(!failure.sentence.contains("hush"), "{}", failure.sentence);
        assert_eq!(bench.picture(), before, "nothing was written");
    };
    refused(&["--url", "ftp://x"], Exit::Usage, "is no address");
    refused(&["--symbols", "SP Y"], Exit::Usage, "is no symbol");
    refused(&["--symbols", "ABCDEFGHIJKLMNOPQ"], Exit::Usage, "is no symbol");
    let many = vec!["SPY"; 101].join(",");
    refused(&["--symbols", &many], Exit::Usage, "more than 100 symbols");
    refused(&["--symbols", "SPY", "--strategy", "../x"], Exit::Usage, "is no name of a strategy");
    fs::write(bench.path("keys"), "AKLIVE\nhush\n").expect("written");
    refused(&["--broker", "alpaca", "--mode", "paper"], Exit::Config, "is one of a live account");
    fs::write(bench.path("keys"), "PKPAPER\nhush\n").expect("written");
    refused(&["--broker", "alpaca", "--mode", "live"], Exit::Config, "is one of a paper account");
    fs::write(bench.path("watchdog.toml"), "[[").expect("written");
    refused(&["--mode", "paper"], Exit::Config, "watchdog.toml is no TOML");
}

#[test]
fn without_files_there_are_those_of_the_package() {
    let bench = Bench::new();
    let etc = bench.path("etc");
    let templates =
        [include_str!("../../templates/sandpit.toml"), include_str!("../../templates/watchdog.toml")];
    for template in templates {
        edit::Edit::of(template).expect("a template is TOML");
    }
    // Folders of the real installation are not made here: only what is planned is looked at.
    let line = ["setup", "--yes", "--offline", "--config", &etc.join("sandpit.toml").display().to_string()]
        .map(str::to_owned);
    let keys = ["--key-file".to_owned(), bench.path("keys").display().to_string()];
    let args = Line::try_parse_from(line.into_iter().chain(keys)).expect("a command line").setup;
    let mut human = Human::of(&args).expect("nobody is asked");
    let answers = Answers::gather(&args, &world(), &mut human).expect("answers");
    let plan = Plan::make(&args, &answers, &world()).expect("a plan").describe().join("\n");
    assert!(plan.contains("etc/sandpit.toml: a new file") && plan.contains("etc/watchdog.toml: a new file"));
    assert!(!plan.contains("hush") && !plan.contains("KEYID"), "{plan}");
}

#[test]
fn what_runs_has_to_be_restarted() {
    assert_eq!(next_step("paper", false), "next: sandpit doctor, then start the services");
    let live = next_step("live", true);
    assert!(live.starts_with("next: sandpit golive, then systemctl restart sandpit-watchdog"), "{live}");
}

/// Two accounts, keys that are not accepted, symbols that are not traded: seen before a byte is written.
#[test]
fn what_the_broker_says_is_looked_at_before_anything_is_written() {
    let bench = Bench::new();
    fs::write(bench.path("other"), "OTHER\nhush\n").expect("written");
    let other = bench.path("other").display().to_string();
    let refused = |args: &[&str], exit: Exit, words: &str| {
        let url = broker();
        let before = bench.picture();
        let all: Vec<_> = ["--url", &url].into_iter().chain(args.iter().copied()).collect();
        let failure = bench.run_online(&all).expect_err(words);
        assert_eq!(failure.exit, exit, "{}", failure.sentence);
        assert!(failure.sentence.contains(words), "{}", failure.sentence);
        assert!(!failure.sentence.contains("hush"), "{}", failure.sentence);
        assert_eq!(bench.picture(), before, "nothing was written");
    };
    refused(&["--watchdog-key-file", &other], Exit::Config, "both have to be of the account that is traded");
    refused(&["--symbols", "HALT"], Exit::Config, "does not trade HALT");
    refused(&["--symbols", "SPY,NOPE"], Exit::Config, "does not know NOPE");
    fs::write(bench.path("keys"), "WRONG\nhush\n").expect("written");
    refused(&[], Exit::Broker, "does not accept the key of the host (403)");
    fs::write(bench.path("keys"), "LATE\nhush\n").expect("written");
    refused(&[], Exit::Config, "the machine's clock is 60 s behind the broker's");
    fs::write(bench.path("keys"), "KEYID\nhush\n").expect("written");
    let url = broker();
    bench.run_online(&["--url", &url, "--symbols", "SPY"]).expect("nothing is wrong with it");
}

/// A broker on loopback: each key has an account of its own, `WRONG` none, and `LATE` another clock.
fn broker() -> String {
    use std::io::{BufRead, BufReader};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let has = |words: &str| head.iter().any(|line| line.contains(words));
            let key = head.iter().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("APCA-API-KEY-ID").then_some(value)
            });
            let (status, body) = match key {
                Some("WRONG") => ("403 Forbidden", "{}".to_owned()),
                _ if has("/assets/NOPE") => ("404 Not Found", "{}".to_owned()),
                _ if has("/assets/") => ("200 OK", format!("{{\"tradable\":{}}}", !has("/assets/HALT"))),
                key => ("200 OK", format!("{{\"id\":\"{}\"}}", key.unwrap_or_default())),
            };
            let minute = if key == Some("LATE") { 17 } else { 16 };
            let date = format!("Date: Thu, 01 Jan 1970 00:{minute}:40 GMT\r\nConnection: close\r\n");
            let _ = write!(&stream, "HTTP/1.1 {status}\r\n{date}Content-Length: {}\r\n\r\n", body.len())
                .and_then(|()| (&stream).write_all(body.as_bytes()));
        }
    });
    format!("http://{address}")
}
