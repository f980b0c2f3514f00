//! The real binary and what it tells: six sinks, a check-in service, and a chat that may kill.

mod bench;
#[expect(dead_code, reason = "unit tests use the rest")]
mod mail_server;
#[expect(dead_code, reason = "unit tests use the rest")]
mod receiver;

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use bench::{Bench, bound, fake_host_main};
use mail_server::{Cover, MailServer};
use receiver::{Receiver, Reply, Request};
use sandpit_contract::{ALERT_TESTS_FILE, Alarm, AlarmSeverity, AlarmStanding, AlertTest, Layer, State};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);
const CHAT: i64 = 77;

/// Not a test: the process that the watchdog starts as its host.
#[test]
#[ignore = "it is the host of the other tests"]
fn fake_host() {
    fake_host_main();
}

/// The services of a bench, which gets their secrets.
struct Services {
    discord: Receiver,
    telegram: Receiver,
    pagerduty: Receiver,
    webhook: Receiver,
    check_in: Receiver,
    mail: MailServer,
}

impl Services {
    fn of(bench: &mut Bench) -> Self {
        let services = Self::closed();
        let set = [
            ("DISCORD_WEBHOOK_URL", format!("{}/api/webhooks/9/hush", services.discord.url)),
            ("TELEGRAM_BOT_TOKEN", "9:hush".into()),
            ("PAGERDUTY_ROUTING_KEY", "hush".into()),
            ("ALERT_WEBHOOK_URL", format!("{}/hook/hush", services.webhook.url)),
            ("ALERT_WEBHOOK_SECRET", "hush".into()),
            ("ALERT_PING_URL", format!("{}/ping/hush", services.check_in.url)),
            ("SMTP_USERNAME", "me".into()),
            ("SMTP_PASSWORD", "hush".into()),
        ];
        bench.variables.extend(set.map(|(name, text)| (name.to_owned(), text)));
        let script = bench.state("told.sh");
        let text = format!("#!/bin/sh\ncat >> {0}\nenv >> {0}\n", bench.state("told").display());
        fs::write(&script, text).expect("written");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("ours");
        bench.write_config(&format!(
            "{}[alerts]\ntelegram_chat_ids = [{CHAT}]\ntelegram_url = {:?}\npagerduty_url = {:?}\ncommand = \
             [{script:?}]\n[alerts.email]\nserver = \"127.0.0.1:{}\"\ntls = \"implicit\"\nca_file = {:?}\n\
             from = \"dog@box.example\"\nto = [\"you@home.example\"]\n",
            bench.config_text(),
            services.telegram.url,
            services.pagerduty.url,
            services.mail.port,
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail_server/ca.pem"),
        ));
        services
    }

    fn closed() -> Self {
        let new = || Receiver::new([]);
        let mail = MailServer::new(Cover::Implicit, &[]);
        Self { discord: new(), telegram: new(), pagerduty: new(), webhook: new(), check_in: new(), mail }
    }

    /// A message to the bot, for its next poll.
    fn write(&self, update: i64, date: u64, text: &str) {
        let message = json!({ "date": date, "chat": { "id": CHAT }, "text": text });
        let body = json!({ "ok": true, "result": [{ "update_id": update, "message": message }] });
        self.telegram.reply("getUpdates", Reply::Now(200, "", body.to_string()));
    }

    /// The bot's message that holds `words`.
    fn said(&self, words: &str) -> Request {
        let is_it = |request: &Request| {
            request.line == "POST /bot9:hush/sendMessage"
                && request.json()["text"].as_str().is_some_and(|text| text.contains(words))
        };
        self.telegram.request(is_it)
    }
}

/// Neither the host nor a command of the operator's gets hold of the latch, a lock, the socket, a connection
/// to the broker or a signal of ours.
#[test]
fn no_descriptor_is_inherited() {
    let bench = Bench::new("spawn");
    let out = bench.state("fds");
    let script = format!("ls -l /proc/self/fd >> {}", out.display());
    bench.write_config(&format!(
        "{}[alerts]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n",
        bench.config_text().replace("\"off\"", "\"127.0.0.1:0\"")
    ));
    bench.arm();
    let _dog = bench.run();
    let pid = bench.leased(10 * SECOND).host_pid.expect("a host");
    assert!(!bound(10 * SECOND, || fs::read_to_string(&out).is_ok_and(|text| text.contains("/dev/null"))));
    let links: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd")).expect("it is alive").flatten().collect();
    let links = links.iter().filter_map(|link| fs::read_link(link.path()).ok());
    let of_host: Vec<_> = links.map(|link| link.display().to_string()).collect();
    let of_command: Vec<_> = fs::read_to_string(&out).expect("just read").lines().map(String::from).collect();
    let ours = ["anon_inode", ".lock", "latch", "/state (", "memory"];
    for link in of_host.iter().chain(&of_command) {
        assert!(!ours.iter().any(|word| link.contains(word)), "{link}");
    }
    let sockets = |links: &[String]| links.iter().filter(|link| link.contains("socket:")).count();
    assert_eq!((sockets(&of_host), sockets(&of_command)), (1, 0), "{of_host:?} {of_command:?}");
}

fn has_key(key: &'static str) -> impl Fn(&Request) -> bool {
    move |request| request.json()["key"] == key
}

#[test]
fn a_kill_and_its_end_reach_all_six_sinks() {
    let mut bench = Bench::new("spawn");
    let services = Services::of(&mut bench);
    bench.arm();
    let dog = bench.run();
    bench.leased(10 * SECOND);
    fs::write(bench.flag(), b"").expect("a flag");
    let holds = |words: &'static str| move |request: &Request| request.text.contains(words);
    let kill = services.discord.request(holds("killed by flag"));
    assert_eq!(kill.line, "POST /api/webhooks/9/hush");
    let kill = services.said("killed by flag: the flag file is there (scope account, policy cancel)");
    assert_eq!(kill.json()["chat_id"], CHAT);
    let trigger = services.pagerduty.request(holds("trigger")).json();
    assert_eq!(trigger["payload"]["class"], "kill");
    let hook = services.webhook.request(has_key("kill"));
    assert_eq!(hook.json()["state"], "killing");
    assert!(hook.header("x-sandpit-signature").is_some_and(|text| text.starts_with("sha256=")));
    services.webhook.request(has_key("confirmed"));
    let told = || fs::read_to_string(bench.state("told")).unwrap_or_default();
    assert!(!bound(10 * SECOND, || told().contains("SANDPIT_ALERT_KEY=kill\n")), "{}", told());
    assert!(!told().contains("hush") && !told().contains("APCA"), "{}", told());

    let is_kill = |mail: &str| mail.contains("\r\nSubject: [CRITICAL] ") && mail.contains(": kill\r\n");
    let has_mail = || services.mail.talks(1).iter().filter_map(|talk| talk.mail.as_deref()).any(is_kill);
    assert!(!bound(10 * SECOND, has_mail), "{:?}", services.mail.talks(1));
    let ping = services.check_in.request(|request| request.line == "POST /ping/hush");
    assert!(ping.text.contains(" state=") && !ping.text.contains("hush"), "{}", ping.text);

    let status = fs::read_to_string(format!("/proc/{}/status", dog.pid())).unwrap_or_default();
    println!(
        "with six sinks, pings and the bot: {:?}",
        status.lines().find(|line| line.starts_with("VmRSS"))
    );

    fs::remove_file(bench.flag()).expect("ours");
    let (code, text) = bench.command(&["arm", "--reason", "checked"]);
    assert_eq!(code, Some(0), "{text}");
    bench.leased(10 * SECOND);
    services.webhook.request(has_key("re-armed"));
    let kill_key = trigger["dedup_key"].clone();
    services.pagerduty.request(|request| {
        request.json()["event_action"] == "resolve" && request.json()["dedup_key"] == kill_key
    });
    assert_eq!(dog.stop(), Some(0));
    let text: Vec<Value> = services.webhook.requests().iter().map(|r| r.json()["key"].clone()).collect();
    assert_eq!(text.iter().filter(|key| **key == "kill").count(), 1, "{text:?}");
}

#[test]
fn a_chat_kills_once_and_not_again_after_the_arming() {
    let mut bench = Bench::new("spawn");
    let services = Services::of(&mut bench);
    bench.arm();
    let armed_at = || {
        let text = fs::read_to_string(bench.state("armed")).expect("armed");
        serde_json::from_str::<Value>(&text).expect("JSON")["at_unix_s"].as_u64().expect("a number")
    };
    let dog = bench.run();
    bench.leased(10 * SECOND);
    // One that is older than the arming; the poll that brings it is this life's first with anything.
    drop(dog);
    services.write(40, armed_at() - 1, "/panic old");
    let dog = bench.run();
    services.said("older than the arming");
    bench.leased(10 * SECOND);
    services.write(41, armed_at(), "/panic too hot");
    let killed = bench.wait(10 * SECOND, |status| status.state == State::Killed);
    let kill = killed.kill.expect("killed");
    assert_eq!((kill.layer, kill.reason.as_str()), (Layer::Chat, "chat 77: too hot"));
    services.said("taken: no lease is granted any more");
    services
        .telegram
        .request(|request| request.line == "POST /bot9:hush/getUpdates" && request.json()["offset"] == 42);
    services.write(42, 1, "/status");
    services.said("killed by chat: chat 77: too hot");

    // A watchdog that died before it could confirm hears it again; a human has armed since.
    drop(dog);
    let (code, text) = bench.command(&["arm", "--reason", "checked"]);
    assert_eq!(code, Some(0), "{text}");
    services.write(41, armed_at() - 2, "/panic too hot");
    let before = services.telegram.requests().len();
    let dog = bench.run();
    let ignored = || {
        let requests = services.telegram.requests();
        requests[before..].iter().any(|request| request.text.contains("older than the arming"))
    };
    assert!(!bound(10 * SECOND, ignored), "the repeat is answered");
    bench.leased(10 * SECOND);
    assert!(!bench.state("latch").exists());
    drop(dog);
}

#[test]
fn a_test_of_the_alerts_names_each_sink_and_no_secret() {
    let mut bench = Bench::new("spawn");
    let services = Services::of(&mut bench);
    let (code, text) = bench.command(&["alert-test"]);
    let expected = "discord: sent\ntelegram chat 77: sent\npagerduty: sent\ne-mail to \
                    you@home.example: sent\nwebhook: sent\ncommand: sent\nping: sent\n";
    assert_eq!((code, text.as_str()), (Some(0), expected));
    let actions: Vec<_> =
        services.pagerduty.requests().iter().map(|r| r.json()["event_action"].clone()).collect();
    assert_eq!(actions, ["trigger", "resolve"], "nothing stays open");
    let recorded = || {
        let text = fs::read_to_string(bench.state(ALERT_TESTS_FILE)).expect("recorded");
        assert!(!text.contains("hush"), "{text}");
        text.lines().map(|line| serde_json::from_str(line).expect("a test")).collect::<Vec<AlertTest>>()
    };
    let mail = "e-mail to you@home.example";
    let all = ["discord", "telegram chat 77", "pagerduty", mail, "webhook", "command", "ping"];
    let all = all.map(String::from);
    assert_eq!((&*recorded()[0].delivered, &*recorded()[0].failed), (&all[..], &[][..]));
    services.discord.reply("", Reply::Now(404, "", "hush".into()));
    let (code, text) = bench.command(&["alert-test"]);
    assert!(code == Some(16) && text.contains("discord: failed: status 404; check DISCORD_WEBHOOK_URL\n"));
    assert!(text.contains("webhook: sent\n") && !text.contains("hush"), "{text}");
    let tests = recorded();
    assert_eq!((tests.len(), &*tests[1].delivered, &*tests[1].failed), (2, &all[1..], &all[..1]));

    // The same from a running watchdog: every service refuses, and no line says how it was reached.
    for receiver in [&services.discord, &services.webhook, &services.pagerduty] {
        (0..20).for_each(|_| receiver.reply("", Reply::Now(401, "", "hush".into())));
    }
    bench.arm();
    let dog = bench.run();
    bench.leased(10 * SECOND);
    fs::write(bench.flag(), b"").expect("a flag");
    let mut lines = Vec::new();
    for _ in 0..3 {
        lines.push(dog.line("are refused: status 401", 10 * SECOND));
    }
    assert!(lines.iter().all(|line| !line.contains("hush")), "{lines:?}");
    let mut sinks: Vec<_> = lines.iter().filter_map(|line| line.split(' ').nth(3)).collect();
    sinks.sort_unstable();
    assert_eq!(sinks, ["discord", "pagerduty", "webhook"]);
}

fn alarm(key: &str, standing: AlarmStanding) -> Alarm {
    Alarm {
        key: key.into(),
        severity: AlarmSeverity::Warning,
        standing,
        text: "is 130 s, at most 120".into(),
        remedy: "look at the network".into(),
        since_unix_s: 1,
    }
}

/// What the host says next.
fn say(bench: &Bench, alarms: &[Alarm]) {
    let lines: Vec<_> = alarms.iter().map(|alarm| serde_json::to_string(alarm).expect("JSON")).collect();
    fs::write(bench.state("alarms.new"), lines.join("\n")).expect("written");
    fs::rename(bench.state("alarms.new"), bench.state("alarms")).expect("ours");
}

#[test]
fn what_the_host_says_is_told_once_and_its_end_once_over_the_death_of_hosts() {
    let mut bench = Bench::new("spawn");
    let services = Services::of(&mut bench);
    bench.arm();
    let dog = bench.run();
    let pid = bench.leased(10 * SECOND).host_pid.expect("a host");
    let key = "stream-down{stream=\"market\"}";
    say(&bench, &[alarm(key, AlarmStanding::Firing), alarm(key, AlarmStanding::Firing)]);
    let own = "host:stream-down{stream=\"market\"}";
    let firing = services.webhook.request(has_key(own)).json();
    assert_eq!(
        (&firing["source"], &firing["to_do"]),
        (&json!("sandpit-host"), &json!("look at the network"))
    );
    services.said("WARNING on ");
    services.said("stream-down{stream=\"market\"}: is 130 s, at most 120");
    dog.line("alert host:stream-down", 10 * SECOND);

    // The host dies; the next says that it fires on, and what has begun and is over since.
    bench::signal(pid, "KILL");
    let next = bench.wait(10 * SECOND, |status| {
        status.state == State::Leased && status.host_pid.is_some_and(|next| next != pid)
    });
    assert!(next.host_pid.is_some());
    let other = "fills";
    say(&bench, &[alarm(key, AlarmStanding::Firing), alarm(other, AlarmStanding::Over)]);
    let resolves = |key: &'static str| {
        move |request: &Request| {
            let json = request.json();
            json["event_action"] == "resolve"
                && json["dedup_key"].as_str().is_some_and(|dedup_key| dedup_key.ends_with(key))
        }
    };
    services.pagerduty.request(resolves("host:fills"));
    say(&bench, &[alarm(key, AlarmStanding::Over)]);
    services.pagerduty.request(resolves(own));
    let over = services.webhook.request(|request| request.json()["ends"] == json!([own]));
    assert!(over.json()["text"].as_str().is_some_and(|text| text.starts_with("over: stream-down")));
    services.said("over: stream-down");
    let told = services.webhook.requests();
    let told: Vec<_> = told.iter().map(|request| request.json()["key"].clone()).collect();
    assert_eq!(told.iter().filter(|key| **key == own).count(), 2, "{told:?}");
    assert!(!told.contains(&json!("host:fills")), "nobody had heard of it");
}

#[test]
fn a_mad_host_is_bounded_and_delays_no_kill() {
    let mut bench = Bench::new("spawn");
    let services = Services::of(&mut bench);
    bench.arm();
    let dog = bench.run();
    bench.leased(10 * SECOND);
    let flood: Vec<_> = (0..5000).map(|n| alarm(&format!("k{}", n % 700), AlarmStanding::Firing)).collect();
    say(&bench, &flood);
    services.webhook.request(has_key("host:k0"));
    fs::write(bench.flag(), b"").expect("a flag");
    let is_told = || services.webhook.requests().iter().any(has_key("kill"));
    assert!(!bound(5 * SECOND, is_told), "the kill waits for the host's letters");
    let summary = services.webhook.request(has_key("host-flood")).json();
    assert!(summary["text"].as_str().is_some_and(|text| text.contains("held back of the host: ")));
    let letters = services.webhook.requests();
    let letters = letters.iter().filter(|request| request.json()["source"] == "sandpit-host").count();
    assert!(letters <= 24, "{letters}");
    drop(dog);
}

#[test]
fn a_wrong_secret_is_one_sentence_without_it() {
    let mut bench = Bench::new("spawn");
    let (code, text) = bench.command(&["alert-test"]);
    assert!(code == Some(10) && text.contains("no sink of alerts is configured"), "{code:?} {text}");
    bench.variables.push(("DISCORD_WEBHOOK_URL".into(), "http://elsewhere.example/hush".into()));
    for command in ["alert-test", "run"] {
        let (code, text) = bench.command(&[command]);
        assert!(code == Some(10) && text.contains("DISCORD_WEBHOOK_URL"), "{code:?} {text}");
        assert!(!text.contains("hush"), "{text}");
    }
}
