//! `sandpit top` on a pseudo-terminal, with a real host and the simulator.

use std::{process::ExitStatus, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandpit_system_tests::{Desk, OnTerminal, command, sandpit, wait_for};

const SOON: Duration = Duration::from_secs(20);

fn top(desk: &Desk) -> OnTerminal {
    OnTerminal::start(command(&desk.config(), &["top"]), 120, 40)
}

fn sees(terminal: &OnTerminal, what: &str) {
    wait_for(what, SOON, || terminal.seen().contains(what).then_some(()));
}

fn ends(terminal: &mut OnTerminal) -> ExitStatus {
    wait_for("the end of top", SOON, || terminal.child.try_wait().expect("our own child")).0
}

/// The terminal is as it was: its settings, the screen of before, the cursor.
fn is_restored(terminal: &OnTerminal) {
    assert!(terminal.is_usual(), "{:?}", terminal.settings());
    let last = |what: &str| terminal.written().rfind(what);
    let is_back = |comes: &str, goes: &str| last(comes) > last(goes);
    wait_for("the screen of before, and the cursor", SOON, || {
        let is_back = is_back("\u{1b}[?1049l", "\u{1b}[?1049h") && is_back("\u{1b}[?25h", "\u{1b}[?25l");
        is_back.then_some(())
    });
}

#[test]
fn an_operator_watches_cancels_and_pauses_and_gets_the_terminal_back() {
    let mut desk = Desk::start();
    let first = desk.rests("1", "SPY", "1.01");
    let second = desk.rests("2", "QQQ", "1.02");
    let mut terminal = top(&desk);
    sees(&terminal, "PAPER");
    sees(&terminal, "2 open, 0 waiting");
    assert!(!terminal.is_usual(), "keys come one by one");
    sees(&terminal, &first);

    // What is on the screen changes by itself.
    let third = desk.rests("3", "SPY", "1.03");
    sees(&terminal, &third);
    sees(&terminal, "3 open, 0 waiting");

    // A question that names it, a no, and a yes.
    terminal.press("2\u{1b}[Bc");
    sees(&terminal, "Cancel this order?");
    terminal.press("n");
    sees(&terminal, "nothing was done");
    assert_eq!(desk.open_at_broker(), 3);
    terminal.press("c");
    sees(&terminal, "Cancel this order?");
    let asked = terminal.seen();
    terminal.press("y");
    wait_for("the cancel at the broker", SOON, || (desk.open_at_broker() == 2).then_some(()));
    sees(&terminal, "2 open, 0 waiting");
    let open = desk.status().expect("it answers")["open_orders"].to_string();
    let (gone, left): (Vec<_>, Vec<_>) =
        [first, second, third].into_iter().partition(|id| !open.contains(id));
    let (_, question) = asked.split_once("Cancel this order?").expect("it was asked");
    assert!(gone.len() == 1 && question.contains(&gone[0]), "{gone:?}: {asked}");
    assert!(left.iter().all(|id| terminal.seen().contains(id)));

    terminal.press("p");
    sees(&terminal, "Pause sma_cross?");
    terminal.press("the spread\r");
    sees(&terminal, "PAUSED");
    assert!(desk.status().is_some_and(|status| status["paused"]["sma_cross"].is_string()));
    desk.none_is_open();
    let audits = desk.audits();
    assert!(audits.iter().any(|line| line.contains("pause sma_cross: the spread")), "{audits:#?}");

    // A host that goes is said to be gone, and comes back by itself.
    desk.host.take().expect("runs").ends(Signal::SIGKILL);
    sees(&terminal, "STALE");
    sees(&terminal, "no host answers");
    desk.start_host();
    wait_for("the host again", SOON, || (!terminal.seen().contains("STALE")).then_some(()));

    terminal.press("q");
    assert!(ends(&mut terminal).success());
    is_restored(&terminal);
}

#[test]
fn the_terminal_comes_back_after_a_signal_and_an_interrupt() {
    let desk = Desk::start();
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let mut terminal = top(&desk);
        sees(&terminal, "PAPER");
        terminal.press("?");
        sees(&terminal, "sandpit-watchdog kill");
        kill(Pid::from_raw(i32::try_from(terminal.child.id()).expect("a pid")), signal).expect("our own");
        assert!(ends(&mut terminal).success(), "{signal}");
        is_restored(&terminal);
    }
    let mut terminal = top(&desk);
    sees(&terminal, "PAPER");
    terminal.press("\u{3}");
    assert!(ends(&mut terminal).success());
    is_restored(&terminal);
}

#[test]
fn one_picture_is_printed_and_what_cannot_be_shown_is_said() {
    let mut desk = Desk::start();
    let id = desk.rests("1", "SPY", "1.01");
    let picture = command(&desk.config(), &["top", "--once"]).output().expect("it runs");
    let text = String::from_utf8(picture.stdout).expect("text");
    assert!(picture.status.success() && text.contains(&id[..40]) && text.contains("sma_cross"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let said = sandpit(&desk.config(), &["top"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.error.contains("`--once` prints one picture"), "{said:?}");
    desk.host.take().expect("runs").ends(Signal::SIGKILL);
    let said = sandpit(&desk.config(), &["top", "--once"]);
    assert_eq!(said.code, Some(18), "{said:?}");
}
