//! What an operator does with the panel, in a real headless Chromium at real processes.

use std::{path::PathBuf, time::Duration};

use sandpit_panel_tests::{Browser, Rig, Size, TOKEN};
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
    let mut rig = Rig::start(&[&format!("{EVIL}.wasm")]);
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
    paused(false);
    browser.shows("strategies", "running");
}

#[test]
fn without_a_watchdog_the_panic_says_so_and_the_flag_is_there() {
    let Some(browser) = Browser::open(&shots()) else { return };
    let mut rig = Rig::start(&[]);
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
