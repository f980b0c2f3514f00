//! What an operator does with the panel, in a real headless Chromium at real processes.

use std::{path::PathBuf, time::Duration};

use sandpit_panel_tests::{Beside, Browser, Rig, Size, Stranger, TOKEN};
use sandpit_system_tests::wait_for;

const SOON: Duration = Duration::from_secs(30);
/// The button wants a second and a half.
const HELD: Duration = Duration::from_millis(2_000);
/// A file name is text that anybody chooses.
const EVIL: &str = "<img src=x onerror=document.title='pwned'>";

/// Pictures are kept beside what was built.
fn shots() -> PathBuf {
    let here = std::env::current_exe().expect("a test knows its own path");
    here.ancestors().nth(3).expect("target/PROFILE/deps").join("panel-screenshots")
}

fn sign_in(browser: &Browser, rig: &Rig) {
    browser.go(&rig.url());
    browser.types("#token", TOKEN);
    browser.click("button[type=submit]");
    browser.shows("link-text", "live");
}

#[test]
fn an_operator_signs_in_looks_cancels_pauses_and_kills() {
    let Some(browser) = Browser::open(&shots()) else { return };
    let file = format!("{EVIL}.wasm");
    let mut rig = Rig::start(Beside { files: &[&file], ..Beside::default() });
    browser.looks(Size { width: 390, height: 844 }, "dark");
    browser.go(&rig.url());
    browser.types("#token", "not-the-token-at-all");
    browser.click("button[type=submit]");
    browser.shows("said", "That is not the token");
    browser.shoot("1-sign-in");
    assert!(browser.complaints().iter().all(|line| line.contains("401")), "a wrong token is a 401");
    sign_in(&browser, &rig);

    // Live, in the same page.
    browser.run("window.same_page = true");
    browser.shows("equity", "$");
    browser.shows("lease", "held");
    let first = browser.text("market-time");
    browser.holds(&format!("document.getElementById('market-time').innerText !== {first:?}"));
    rig.rests("1", "SPY", "1.01");
    rig.rests("2", "QQQ", "1.02");
    browser.shows("orders", "buy 2 SPY");
    browser.shows("orders", "buy 2 QQQ");
    assert_eq!(browser.run("return window.same_page"), true);
    browser.shows("audit", "SPY");

    // A name that is markup is text.
    browser.shows("strategies", EVIL);
    assert_eq!(browser.run("return document.querySelectorAll('main img, main script').length"), 0);
    assert_ne!(browser.run("return document.title"), "pwned");
    browser.shoot("2-live");

    cancels(&browser, &rig);
    pauses(&browser, &rig);
    assert_eq!(browser.run("return window.same_page"), true);
    assert_eq!(browser.run("return document.cookie"), "", "no script reads the session");
    assert_eq!(browser.complaints(), Vec::<String>::new());

    // A short tap asks for a word, and does nothing without it.
    browser.click("#panic");
    browser.shows("ask", "Type STOP");
    assert_eq!(browser.run("return document.getElementById('ask-yes').disabled"), true);
    browser.shoot("4-panic-asked");
    browser.click("#ask-no");
    assert_eq!(rig.watchdog_state()["state"], "leased");

    // Held: the watchdog kills, and the host goes with its panel: a killed watchdog lets no host live.
    browser.holds_down("#panic", HELD);
    let killed = || (rig.watchdog_state()["state"] == "killed").then_some(());
    wait_for("the kill", SOON, killed);
    rig.host_ends();
    let kill = rig.watchdog_state()["kill"].clone();
    assert_eq!(kill["layer"], "operator", "{kill}");
    assert!(kill["reason"].as_str().is_some_and(|reason| reason.starts_with("panel: held")), "{kill}");
    browser.shows("kill", "the host is gone");
    browser.shows("link-text", "stale since");
    wait_for("nothing open", SOON, || (rig.open_at_broker() == 0).then_some(()));
    assert_eq!(rig.watchdog_state()["state"], "killed");
    browser.shows("kill", "watchdog’s own page");
    browser.shoot("5-killed");
    let complaints = browser.complaints();
    let is_loss = |line: &String| line.contains("net::ERR") || line.contains("401");
    assert!(complaints.iter().all(is_loss), "{complaints:#?}");
    assert!(!rig.log().contains(TOKEN), "the token is in no log");
}

/// Cancel asks first and names the order; what is kept stays, what is cancelled is over at the broker.
fn cancels(browser: &Browser, rig: &Rig) {
    let open = rig.open_at_broker();
    let order = "#orders li:first-child";
    let id = browser.run(&format!("return document.querySelector({order:?}).dataset.key"));
    let id = id.as_str().expect("an id").to_owned();
    let button = format!("{order} button");
    browser.click(&button);
    browser.shows("ask", "Cancel this order?");
    browser.shows("ask-facts", &id);
    browser.shows("ask-facts", "buy 2");
    browser.shows("ask-facts", "limit $1.0");
    browser.shoot("3-cancel-asked");
    browser.click("#ask-no");
    assert_eq!(rig.open_at_broker(), open, "nothing was cancelled");
    browser.click(&button);
    browser.click("#ask-yes");
    browser.shows("toasts", "being cancelled");
    wait_for("one less at the broker", SOON, || (rig.open_at_broker() == open - 1).then_some(()));
    browser.holds(&format!(
        "![...document.querySelectorAll('#orders li')].some((li) => li.dataset.key === {id:?})"
    ));
    browser.run("document.dispatchEvent(new Event('visibilitychange'))");
    browser.shows("audit", "panel");
}

fn pauses(browser: &Browser, rig: &Rig) {
    let paused = |wanted: bool| {
        let look = || (rig.status()["strategies"][0]["paused"].is_string() == wanted).then_some(());
        wait_for("a pause", SOON, look);
    };
    let button = "#strategies li[data-key=sma_cross] button";
    browser.click(button);
    browser.shows("ask", "Pause sma_cross?");
    browser.click("#ask-yes");
    paused(true);
    browser.shows("strategies", "paused");
    browser.shows("strategies", "Resume");
    browser.click(button);
    browser.shows("ask", "Resume sma_cross?");
    browser.click("#ask-no");
    paused(true);
    browser.click(button);
    browser.click("#ask-yes");
    paused(false);
    browser.shows("strategies", "running");
}

#[test]
fn without_a_watchdog_the_panic_says_so_and_the_flag_is_there() {
    let Some(browser) = Browser::open(&shots()) else { return };
    let mut rig = Rig::start(Beside::default());
    browser.looks(Size { width: 1440, height: 900 }, "light");
    sign_in(&browser, &rig);
    rig.without_watchdog();
    browser.click("#panic");
    browser.types("#ask-word", "stop");
    browser.click("#ask-yes");
    browser.shows("kill", "The watchdog does not answer");
    rig.host_ends();
    let flag = std::fs::read_to_string(rig.path("kill")).expect("the flag is there");
    assert_eq!(flag, "panel: typed STOP in the panel\n");
    browser.shoot("7-no-watchdog");
}

/// What the panel would show or do, each with the method that it takes.
const PATHS: [(&str, &str); 9] = [
    ("GET", "/panel/session"),
    ("GET", "/panel/events"),
    ("GET", "/panel/equity"),
    ("GET", "/panel/audit"),
    ("POST", "/panel/logout"),
    ("POST", "/panel/cancel"),
    ("POST", "/panel/pause"),
    ("POST", "/panel/resume"),
    ("POST", "/panel/panic"),
];

/// The statuses that the page itself gets for these paths, with these headers.
fn statuses(browser: &Browser, headers: &str, paths: &[(&str, &str)]) -> Vec<u64> {
    let ask = |(method, path): &(&str, &str)| {
        let body = if *method == "POST" { ", body: '{}'" } else { "" };
        let script = format!(
            "return fetch({path:?}, {{method: {method:?}, headers: {headers}{body}}}).then((a) => a.status)"
        );
        browser.run(&script).as_u64().expect("a status")
    };
    paths.iter().map(ask).collect()
}

/// Nothing of it happened: the order rests, the strategy runs, the watchdog has killed nobody.
fn untouched(rig: &Rig) {
    assert_eq!(rig.open_at_broker(), 1, "the order rests");
    let status = rig.status();
    let strategies = status["strategies"].as_array().expect("strategies");
    let ours = strategies.iter().find(|one| one["name"] == "sma_cross").expect("it runs");
    assert!(ours["paused"].is_null(), "nothing is paused");
    assert_eq!(rig.watchdog_state()["state"], "leased", "nobody was killed");
}

#[test]
fn without_the_token_and_from_other_pages_nothing_is_shown_or_done() {
    let Some(browser) = Browser::open(&shots()) else { return };
    // Its parameters have a name that is markup, which its complaint repeats.
    let evil = format!("instruments = [\"IWM\"]\n[parameters]\ndeed = \"echo\"\n\"{EVIL}\" = 1\n");
    let rig = Rig::start(Beside { hostile: Some(("hostile", &evil)), ..Beside::default() });
    rig.rests("1", "SPY", "1.01");
    wait_for("the order in the books", SOON, || (rig.status()["orders"]["open"] == 1).then_some(()));
    browser.looks(Size { width: 390, height: 844 }, "dark");

    // No token: the page to sign in, and no other word.
    browser.go(&rig.url());
    assert_eq!(browser.run("return document.querySelectorAll('#orders, #equity, #panic').length"), 0);
    let json = "{'content-type': 'application/json'}";
    assert_eq!(statuses(&browser, json, &PATHS), [401; 9]);
    untouched(&rig);

    sign_in(&browser, &rig);
    browser.shows("strategies", "onerror=");
    assert_eq!(browser.run("return document.querySelectorAll('main img, main script').length"), 0);
    assert_ne!(browser.run("return document.title"), "pwned");
    browser.shoot("8-injected");
    // Our own page without the key of its session does nothing either.
    assert_eq!(statuses(&browser, json, &PATHS[4..]), [403; 5]);
    untouched(&rig);

    // A window that has signed in looks at somebody else's page, of another port and of another site.
    let stranger = Stranger::serve(attack(&rig));
    for name in ["127.0.0.1", "localhost"] {
        browser.go(&stranger.url(name));
        browser.holds("window.tried");
        let seen = browser.run("return window.seen");
        assert_eq!(seen, serde_json::json!([]), "{name}: it read what is not its own");
        untouched(&rig);
    }
    browser.go(&rig.url());
    browser.shows("link-text", "live");
    browser.shows("orders", "buy 2 SPY");

    // Guessed too often: nobody else is let in, and who is in stays in.
    let guesser = Browser::open(&shots()).expect("there was one");
    guesser.looks(Size { width: 390, height: 844 }, "light");
    for guess in 0..6 {
        guesser.go(&rig.url());
        guesser.types("#token", &format!("guess-{guess}"));
        guesser.click("button[type=submit]");
        guesser.holds("document.getElementById('said').innerText !== ''");
    }
    guesser.shows("said", "Too many wrong tokens");
    guesser.shoot("9-locked-out");
    guesser.go(&rig.url());
    guesser.types("#token", TOKEN);
    guesser.click("button[type=submit]");
    guesser.shows("said", "Too many wrong tokens");
    browser.shows("link-text", "live");
}

/// A page that sends, with whatever cookies the browser adds, what it can as a form and by a script, and
/// tries to read what there is to be seen.
fn attack(rig: &Rig) -> String {
    let order = rig.status()["open_orders"][0]["client_order_id"].clone();
    let deeds = serde_json::json!([
        ["cancel", {"client_order_id": order}],
        ["pause", {"strategy": "sma_cross"}],
        ["panic", {"reason": "somebody else"}],
        ["logout", {}],
    ]);
    // A form of plain text sends NAME=VALUE, which may be JSON.
    let form = |deed: &str, name: &str, value: &str| {
        let action = format!("{}panel/{deed}", rig.url());
        format!(
            "<form method=post enctype=text/plain target={deed} action='{action}'>\
             <input name='{name}' value='{value}'></form><iframe name={deed}></iframe>"
        )
    };
    let forms = [form("panic", r#"{"reason": "somebody "#, r#" else"}"#), form("logout", "{", "}")].concat();
    ATTACK.replace("FORMS", &forms).replace("DEEDS", &deeds.to_string()).replace("PANEL", &rig.url())
}

const ATTACK: &str = "<!doctype html><title>prizes</title><body>FORMS<script>
window.seen = [];
const submitted = [...document.forms].map((form) => new Promise((over) => {
  document.getElementsByName(form.target)[0].onload = over;
  form.submit();
}));
const sent = DEEDS.map(([deed, body]) => fetch('PANELpanel/' + deed, {
  method: 'POST', mode: 'no-cors', credentials: 'include', body: JSON.stringify(body) }));
const read = ['', 'panel/session', 'panel/equity'].map((path) =>
  fetch('PANEL' + path, { credentials: 'include' }).then((answer) => answer.text())
    .then((text) => window.seen.push(text)));
Promise.allSettled([...submitted, ...sent, ...read]).then(() => { window.tried = true; });
</script>";

#[test]
fn a_panel_for_looking_only_has_nothing_to_press_and_does_nothing() {
    let Some(browser) = Browser::open(&shots()) else { return };
    let rig = Rig::start(Beside { is_read_only: true, ..Beside::default() });
    rig.rests("1", "SPY", "1.01");
    browser.looks(Size { width: 390, height: 844 }, "light");
    sign_in(&browser, &rig);
    browser.shows("orders", "buy 2 SPY");
    browser.shows("strategies", "running");
    let shown = "return [...document.querySelectorAll('#orders button, #strategies button, #panic')]\
                 .filter((one) => one.offsetParent !== null).length";
    assert_eq!(browser.run(shown), 0);
    // Somebody who has the key of the session and the words.
    let key = "return fetch('/panel/session').then((a) => a.json()).then((a) => a.key)";
    let key = browser.run(key).as_str().expect("a key").to_owned();
    let headers = format!("{{'content-type': 'application/json', 'x-sandpit-key': {key:?}}}");
    assert_eq!(statuses(&browser, &headers, &PATHS[5..]), [403; 4]);
    untouched(&rig);
    browser.shoot("10-read-only");
}
