//! The terminal, the threads and the signals.
//!
//! The host is asked on a thread of its own, and what it is to do goes on another: neither a host that hangs
//! nor a slow answer holds up a key. The terminal is given back at the end, on an error, on a panic (by the
//! hook that [`ratatui::try_init`] sets) and on a signal.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use serde_json::Value;

use crate::{Act, Effect, Input, Key, Look, Shown, Top, draw, view};

/// How often the host is asked.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// How long a key is waited for before the screen is drawn anew.
const DRAWN_EVERY: Duration = Duration::from_millis(100);

/// Asks the host for its figures; a failure is a sentence.
pub type Ask = dyn Fn() -> Result<Value, String> + Send + Sync;
/// Has the host do something; either answer is a sentence.
pub type Do = dyn Fn(Act) -> Result<String, String> + Send + Sync;

/// The way to the host.
#[derive(Clone)]
pub struct Host {
    /// For its figures.
    pub ask: Arc<Ask>,
    /// For what is to be done.
    pub act: Arc<Do>,
    /// A clock that only goes forward, milliseconds.
    pub now_ms: fn() -> u64,
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The operator left.
    Left,
    /// A signal.
    Signalled,
}

/// Gives the terminal back, however it is left.
struct Borrowed;

impl Drop for Borrowed {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows the host on the terminal until the operator leaves.
///
/// # Errors
/// When the terminal cannot be used, or is gone.
pub fn run(host: &Host, look: Look) -> io::Result<Ended> {
    // Before there are threads, so that none of them is ended by one.
    let signals: SigSet =
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let mut terminal = ratatui::try_init()?;
    let _borrowed = Borrowed;
    let (news, came) = mpsc::channel();
    let (asking, _end) = keep_asking(host, news.clone());
    let (mut top, mut doing) = (Top::default(), None);
    loop {
        let now_ms = (host.now_ms)();
        for input in came.try_iter() {
            top.on(input, now_ms);
        }
        if asking.is_finished() || doing.as_ref().is_some_and(is_broken) {
            return Err(io::Error::other("a part of it has ended that never should"));
        }
        terminal.draw(|frame| draw(&top, look, now_ms, frame.area(), frame.buffer_mut()))?;
        if signals.read_signal()?.is_some() {
            return Ok(Ended::Signalled);
        }
        let Some(key) = next_key()? else { continue };
        match top.on(Input::Key(key), now_ms) {
            Effect::Draw => {}
            Effect::Quit => return Ok(Ended::Left),
            Effect::Do(act) => doing = Some(have_done(host, act, news.clone())),
        }
    }
}

/// One picture of what a host says of itself, as high as it has to be, and without a `width` (columns) as
/// wide.
pub fn picture(host: &Value, width: Option<u16>) -> String {
    let mut top = Top::default();
    top.on(Input::Shown(Ok(Box::new(Shown::read(host)))), 0);
    view::text(&top, 0, width)
}

/// Asks on a thread of its own until the sender that is returned is dropped. A question that is under way is
/// not waited for.
fn keep_asking(host: &Host, news: Sender<Input>) -> (JoinHandle<()>, Sender<()>) {
    let (end, ended): (Sender<()>, Receiver<()>) = mpsc::channel();
    let ask = host.ask.clone();
    let asking = thread::spawn(move || {
        loop {
            let shown = ask().map(|host| Box::new(Shown::read(&host)));
            let is_over = news.send(Input::Shown(shown)).is_err();
            if is_over || ended.recv_timeout(ASKED_EVERY) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
        }
    });
    (asking, end)
}

/// Has the host do something on a thread of its own; whether the answer was given, once that is over.
fn have_done(host: &Host, act: Act, news: Sender<Input>) -> Doing {
    let (doing, answered) = (host.act.clone(), Arc::new(AtomicBool::new(false)));
    let own = answered.clone();
    let thread = thread::spawn(move || {
        let answer = doing(act);
        own.store(true, Ordering::Release);
        // An error means that the screen is gone, which is as good as told.
        news.send(Input::Done(answer)).ok();
    });
    Doing { thread, answered }
}

/// Something the host is doing.
struct Doing {
    thread: JoinHandle<()>,
    answered: Arc<AtomicBool>,
}

/// Whether it ended without an answer.
fn is_broken(doing: &Doing) -> bool {
    doing.thread.is_finished() && !doing.answered.load(Ordering::Acquire)
}

/// The next key, if one comes before the screen is to be drawn again.
fn next_key() -> io::Result<Option<Key>> {
    if !event::poll(DRAWN_EVERY)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind != KeyEventKind::Release => meant(key),
        // A new size is noticed when it is drawn.
        _ => None,
    })
}

fn meant(key: KeyEvent) -> Option<Key> {
    let is_control = key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    Some(match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Interrupt,
        KeyCode::Char(_) if is_control => return None,
        KeyCode::Char(letter) => Key::Char(letter),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_control_is_never_taken_for_a_letter() {
        let check = |letter: char, modifiers: KeyModifiers, expected: Option<Key>| {
            assert_eq!(meant(KeyEvent::new(KeyCode::Char(letter), modifiers)), expected, "{letter}");
        };
        check('y', KeyModifiers::NONE, Some(Key::Char('y')));
        check('K', KeyModifiers::SHIFT, Some(Key::Char('K')));
        check('c', KeyModifiers::CONTROL, Some(Key::Interrupt));
        check('y', KeyModifiers::CONTROL, None);
        check('y', KeyModifiers::ALT, None);
    }
}
