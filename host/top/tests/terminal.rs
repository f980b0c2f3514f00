//! The real edge on a pseudo-terminal, with a host that is made up: keys, signals, panics, and the terminal
//! as it was before.

#[path = "../../../tests/system/src/terminal.rs"]
#[expect(unreachable_pub, reason = "it is a module of the whole-system tests, which are a crate")]
mod terminal;

use std::{
    path::PathBuf,
    process::{Command, ExitStatus},
};

use nix::{
    poll::{PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use terminal::OnTerminal;

/// How often, and how many times, a condition is looked at.
const LOOK_MS: u16 = 20;
const LOOKS: usize = 1_000;

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return found;
        }
        poll(&mut [], PollTimeout::from(LOOK_MS)).expect("poll without descriptors");
    }
    panic!("waited in vain for: {what}");
}

/// The example as it was built beside this test.
fn made_up(arguments: &[&str]) -> Command {
    let here = std::env::current_exe().expect("a test knows its own path");
    let built: PathBuf = here.ancestors().nth(2).expect("target/PROFILE").join("examples/made_up");
    let mut command = Command::new(built);
    command.args(arguments);
    command
}

fn sees(terminal: &OnTerminal, what: &str) {
    wait_for(what, || terminal.seen().contains(what).then_some(()));
}

fn ends(terminal: &mut OnTerminal) -> ExitStatus {
    wait_for("the end", || terminal.child.try_wait().expect("our own child"))
}

/// The settings, the screen of before and the cursor are back.
fn is_restored(terminal: &OnTerminal) {
    wait_for("the usual settings", || terminal.is_usual().then_some(()));
    let last = |what: &str| terminal.written().rfind(what);
    let is_back = |comes: &str, goes: &str| last(comes) > last(goes);
    wait_for("the screen of before, and the cursor", || {
        let is_back = is_back("\u{1b}[?1049l", "\u{1b}[?1049h") && is_back("\u{1b}[?25h", "\u{1b}[?25l");
        is_back.then_some(())
    });
}

/// What is said once the screen of before is back.
fn is_written(terminal: &OnTerminal, what: &str) {
    wait_for(what, || terminal.written().contains(what).then_some(()));
}

#[test]
fn keys_do_what_is_asked_and_the_terminal_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let mut terminal = OnTerminal::start(made_up(&[log.to_str().expect("text")]), 110, 30);
    sees(&terminal, "second");
    assert!(!terminal.is_usual(), "keys come one by one");
    sees(&terminal, "2 open, 2 waiting");
    sees(&terminal, "evil [2J name");
    // An arrow, the question, a no; then a yes.
    terminal.press("2\u{1b}[B");
    terminal.press("c");
    sees(&terminal, "Cancel this order?");
    terminal.press("n");
    sees(&terminal, "nothing was done");
    assert!(!log.exists());
    terminal.press("cy");
    sees(&terminal, "it is done");
    let told = std::fs::read_to_string(&log).expect("written");
    assert!(told.contains("Cancel") && told.contains("second") && !told.contains("first"), "{told}");
    terminal.press("q");
    assert!(ends(&mut terminal).success());
    is_restored(&terminal);
    is_written(&terminal, "ended: Left");
}

#[test]
fn a_signal_an_interrupt_and_a_panic_give_the_terminal_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let log = log.to_str().expect("text");
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let mut terminal = OnTerminal::start(made_up(&[log]), 80, 24);
        sees(&terminal, "second");
        terminal.press("?");
        sees(&terminal, "any key goes back");
        kill(Pid::from_raw(i32::try_from(terminal.child.id()).expect("a pid")), signal).expect("our own");
        assert!(ends(&mut terminal).success(), "{signal}");
        is_restored(&terminal);
        is_written(&terminal, "ended: Signalled");
    }
    let mut terminal = OnTerminal::start(made_up(&[log]), 80, 24);
    sees(&terminal, "second");
    terminal.press("\u{3}");
    assert!(ends(&mut terminal).success());
    is_restored(&terminal);
    let mut terminal = OnTerminal::start(made_up(&[log, "panics"]), 80, 24);
    sees(&terminal, "second");
    terminal.press("cy");
    assert!(!ends(&mut terminal).success(), "it says that it broke");
    is_restored(&terminal);
    is_written(&terminal, "made up");
}
