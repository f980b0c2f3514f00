use std::{collections::BTreeMap, fs, path::Path};

use super::{
    evidence::Look,
    gate::{PaperKeys, watchdog_limits},
    record::{VALID_S, digest},
    *,
};
use crate::keys::salted;

const NOW: u64 = 1_800_000_000;
const LIMITS: &str = "gross_percent = 100\nopen_orders = 500";

fn random(bytes: &mut [u8]) -> io::Result<()> {
    bytes.fill(7);
    Ok(())
}

fn world() -> World {
    let environment = BTreeMap::from([
        ("APCA_API_KEY_ID".to_owned(), "LIVEKEY".to_owned()),
        ("APCA_API_SECRET_KEY".to_owned(), "hush".to_owned()),
    ]);
    World { now_unix_s: || NOW, random, environment, operator: "kim".into() }
}

/// State folders, a watchdog's file, and a sign-off that holds.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().expect("a folder") };
        fs::create_dir(bench.state()).expect("made");
        fs::create_dir(bench.folder.path().join("guard")).expect("made");
        bench.write(
            "watchdog.toml",
            &format!("state_dir = {:?}\n[limits]\ndrawdown_percent = 8\n", bench.folder.path().join("guard")),
        );
        bench.write("sandpit.toml", &format!("mode = \"live\"\nstate_dir = {:?}\n", bench.state()));
        bench
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("written");
    }

    fn record(&self) -> Record {
        let limits = watchdog_limits(&self.folder.path().join("watchdog.toml")).expect("readable");
        let proof = |at_unix_s| Proof { at_unix_s, words: "good".into() };
        Record {
            signed_unix_s: NOW,
            operator: "Kim".into(),
            login: "kim".into(),
            salt: "salt".into(),
            key: salted("salt", "LIVEKEY"),
            drill: proof(NOW - 100),
            alert_test: proof(NOW - 100),
            backup: proof(NOW - 100),
            host_limits: LIMITS.into(),
            watchdog_config: self.folder.path().join("watchdog.toml"),
            watchdog_limits: digest(&limits),
        }
    }

    fn sign(&self, record: &Record) {
        sign(&self.state(), record).expect("written");
    }

    fn pass(&self, key_id: &str, limits: &str, now_unix_s: u64) -> Result<(), String> {
        let gate = Gate { state_dir: &self.state(), key_id, limits, now_unix_s };
        gate.pass().map(drop)
    }

    fn refused(&self, key_id: &str, limits: &str, now_unix_s: u64, words: &str) {
        let why = self.pass(key_id, limits, now_unix_s).expect_err(words);
        assert!(why.contains(words), "{why}");
        assert!(!why.contains('\n'), "one sentence: {why}");
    }

    /// The host was last up at this time.
    fn was_up(&self, unix_s: u64) {
        let record = signed(&self.state()).expect("signed");
        keep_in_use(&self.state(), &record, unix_s).expect("noted");
    }
}

#[test]
fn a_host_in_mode_live_needs_a_sign_off_that_holds() {
    let bench = Bench::new();
    bench.refused("LIVEKEY", LIMITS, NOW, "nothing is signed off yet");
    fs::write(file(&bench.state()), "{}").expect("written");
    bench.refused("LIVEKEY", LIMITS, NOW, "is no sign-off");
    bench.sign(&bench.record());
    bench.refused("OTHER", LIMITS, NOW, "the key is not the one");
    bench.refused("LIVEKEY", "gross_percent = 90\nopen_orders = 500", NOW, "a limit was changed");
    bench.refused("LIVEKEY", LIMITS, NOW - 3_600, "set the clock");
    bench.pass("LIVEKEY", LIMITS, NOW).expect("it holds");
    let guard = fs::read_to_string(bench.folder.path().join("watchdog.toml")).expect("there");
    bench.write("watchdog.toml", &guard.replace("= 8", "= 9"));
    bench.refused("LIVEKEY", LIMITS, NOW, "a limit of the watchdog was changed");
    for section in ["[kill]\npolicy = \"flatten\"\n", "[memory]\nbudget_mb = 900\n"] {
        bench.write("watchdog.toml", &format!("{guard}{section}"));
        bench.refused("LIVEKEY", LIMITS, NOW, "a limit of the watchdog was changed");
    }
    bench.write("watchdog.toml", &format!("{guard}[alerts]\nrepeat_minutes = 5\n"));
    bench.pass("LIVEKEY", LIMITS, NOW).expect("no limit was changed");
    note_paper_key(&bench.state(), "LIVEKEY", random).expect("noted");
    bench.refused("LIVEKEY", LIMITS, NOW, "used by a host in mode paper");
}

#[test]
fn seven_days_void_what_is_not_in_use() {
    let bench = Bench::new();
    let record = bench.record();
    bench.sign(&record);
    let drill = record.drill.at_unix_s;
    bench.refused("LIVEKEY", LIMITS, drill + VALID_S + 1, "the drill of the sign-off is 7 days old");
    bench.pass("LIVEKEY", LIMITS, drill + VALID_S).expect("just in time");
    // In use: it comes back by itself after the drill has become old, as long as it was never long away.
    bench.was_up(drill + 30 * VALID_S);
    bench.pass("LIVEKEY", LIMITS, drill + 31 * VALID_S).expect("away for 7 days");
    bench.was_up(drill + 30 * VALID_S);
    bench.refused("LIVEKEY", LIMITS, drill + 31 * VALID_S + 1, "was last used 7 days ago");
    // Another sign-off is not in use because an earlier one was.
    bench.was_up(drill + 30 * VALID_S);
    let newer = Record { operator: "Lee".into(), ..record };
    bench.sign(&newer);
    bench.refused("LIVEKEY", LIMITS, drill + 30 * VALID_S + 1, "the drill of the sign-off");
}

#[test]
fn of_a_paper_key_only_a_salted_hash_is_kept() {
    let bench = Bench::new();
    assert!(PaperKeys::read(&bench.state()).expect("nothing").is_none());
    for key in 0..100 {
        note_paper_key(&bench.state(), &format!("PKPAPER{key}"), random).expect("noted");
    }
    note_paper_key(&bench.state(), "PKPAPER99", random).expect("known");
    let text = fs::read_to_string(bench.state().join("paper-keys.json")).expect("there");
    assert!(!text.contains("PKPAPER"), "{text}");
    let known = PaperKeys::read(&bench.state()).expect("good").expect("there");
    assert!(known.has("PKPAPER99") && known.has("PKPAPER36") && !known.has("PKPAPER35"), "the newest 64");
}

fn args(bench: &Bench) -> GoliveArgs {
    let config = bench.folder.path().join("sandpit.toml");
    GoliveArgs {
        place: PlaceArgs {
            config,
            watchdog_config: None,
            credentials: None,
            host_user: "root".into(),
            watchdog_user: "root".into(),
            unit_dir: Vec::new(),
        },
        backups: None,
        confirm_limits: None,
        check: false,
        json: true,
        inner: None,
    }
}

#[test]
fn each_item_that_is_missing_says_what_to_do() {
    let bench = Bench::new();
    let (args, world) = (args(&bench), world());
    let check = |name: &str, good: bool, words: &str| {
        let look = Look::new(&args, LIMITS, &world);
        let items = look.items();
        let item = items.iter().find(|item| item.name == name).expect(name);
        let said = item.proof.clone().unwrap_or_else(|missing| missing);
        assert_eq!(item.proof.is_ok(), good, "{name}: {said}");
        assert!(said.contains(words), "{name}: {said}");
    };
    // No broker is there in this test.
    check("clock", false, "");
    check("backup", false, "--backups PLACE");
    check("keys", false, "no host ever ran in mode paper");
    note_paper_key(&bench.state(), "LIVEKEY", random).expect("noted");
    check("keys", false, "the key was used in paper");
    let drill = |at: u64, outcome: &str| {
        bench.write(
            "guard/drills.jsonl",
            &format!("{{\"at_unix_s\":{at},\"outcome\":\"{outcome}\",\"x\":1}}\n"),
        );
    };
    check("drill", false, "there was none: give watchdog.toml a [drill]");
    drill(NOW - 10, "failed");
    check("drill", false, "the newest ended failed");
    drill(NOW - 10, "slow");
    check("drill", false, "the newest ended slow");
    // A later failure is not made up for by an earlier success, nor hidden by half a line behind it.
    bench.write(
        "guard/drills.jsonl",
        &format!(
            "{{\"at_unix_s\":{0},\"outcome\":\"within-bounds\"}}\n\
             {{\"at_unix_s\":{1},\"outcome\":\"failed\"}}\n{{\"at_unix_s\":",
            NOW - 20,
            NOW - 10
        ),
    );
    check("drill", false, "the newest ended failed");
    drill(NOW - VALID_S - 1, "within-bounds");
    check("drill", false, "is 7 days old, 7 days are allowed");
    drill(NOW - VALID_S, "within-bounds");
    check("drill", true, "within bounds at");
    let test = |at: u64, delivered: &str, failed: &str| {
        let text = format!("{{\"at_unix_s\":{at},\"delivered\":[{delivered}],\"failed\":[{failed}]}}\n");
        bench.write("guard/alert-tests.jsonl", &text);
    };
    check("alert test", false, "there was none");
    test(NOW, "\"discord\"", "\"telegram\"");
    check("alert test", false, "did not arrive (telegram)");
    test(NOW, "", "");
    check("alert test", false, "told nobody");
    test(NOW - VALID_S - 1, "\"discord\"", "");
    check("alert test", false, "7 days are allowed");
    test(NOW, "\"discord\"", "");
    check("alert test", true, "(discord)");
}

#[test]
fn nothing_is_signed_while_something_is_missing() {
    let bench = Bench::new();
    let args = GoliveArgs { confirm_limits: Some("Kim".into()), ..args(&bench) };
    let (exit, said) = golive(&args, LIMITS, &world()).expect("it looks");
    assert_eq!(exit, Exit::Incomplete);
    assert!(said.contains("\"signed\":null"), "{said}");
    assert!(!file(&bench.state()).exists());
    // What a human has to read is all there.
    assert!(
        said.contains("host: gross_percent = 100") && said.contains("watchdog: limits.drawdown_percent = 8")
    );
}

#[test]
fn limits_are_confirmed_by_somebody() {
    let bench = Bench::new();
    let named = |name: &str| GoliveArgs { confirm_limits: Some(name.into()), ..args(&bench) };
    assert_eq!(confirm(&named(" Kim Lee "), LIMITS).expect("a name"), "Kim Lee");
    for name in ["", " ", "a\nb", &"x".repeat(101)] {
        assert_eq!(confirm(&named(name), LIMITS).expect_err(name).exit, Exit::Usage);
    }
    assert!(confirm(&args(&bench), LIMITS).is_err(), "nobody can be asked");
}

#[test]
fn a_sign_off_is_the_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let bench = Bench::new();
    bench.sign(&bench.record());
    let found = Path::new(&file(&bench.state())).metadata().expect("there");
    assert_eq!(found.mode() & 0o7777, 0o600);
    assert_eq!(signed(&bench.state()).expect("good"), bench.record());
}

/// A broker on loopback, whose clock is that of the tests or a minute off, and which may refuse the key.
fn broker(status: &'static str, at: &'static str) -> String {
    use std::io::BufRead;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lines = io::BufReader::new(&stream).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 2\r\n");
            let _ = write!(&stream, "{head}Date: Fri, 15 Jan 2027 {at} GMT\r\n\r\n{{}}");
        }
    });
    url
}

#[test]
fn keys_and_clock_are_held_against_the_broker() {
    let bench = Bench::new();
    note_paper_key(&bench.state(), "PAPERKEY", random).expect("noted");
    let (args, world) = (args(&bench), world());
    let check = |url: &str, name: &str, good: bool, words: &str| {
        let config = format!("mode = \"live\"\nstate_dir = {:?}\n[broker]\nurl = {url:?}\n", bench.state());
        bench.write("sandpit.toml", &config);
        let items = Look::new(&args, LIMITS, &world).items();
        let item = items.iter().find(|item| item.name == name).expect(name);
        let said = item.proof.clone().unwrap_or_else(|missing| missing);
        assert_eq!(item.proof.is_ok(), good, "{name}: {said}");
        assert!(said.contains(words), "{name}: {said}");
    };
    let url = broker("200 OK", "08:00:00");
    check(&url, "keys", true, "accepts it, and no paper host has used it");
    check(&url, "clock", true, "it agrees");
    check(&broker("200 OK", "08:01:00"), "clock", false, "it is off by 60 s");
    check(&broker("403 Forbidden", "08:00:00"), "keys", false, "does not accept the key (403)");
    check(&broker("500 Oh", "08:00:00"), "keys", false, "answers with status 500");
}
