//! What is on the screen, and what keys and news make of it. Nothing here reads a clock or a terminal.
//!
//! ```text
//!           c, p, f             y, Enter with a reason
//!  looking ─────────> prompt ──────────────────────────> busy ──answer──> looking
//!     ^                  │ Esc, any other key
//!     └──────────────────┘
//! ```

use crate::{
    Pane,
    figures::{Row, Shown, Tone, clean},
    prompt::{Answer, Prompt, Wish},
};

/// Figures older than this are stale, and said to be: the host is asked every second.
pub(crate) const STALE_AFTER_MS: u64 = 3_000;
/// Rows that a page key moves by.
const PAGE: usize = 10;

/// A key as it is understood here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A letter.
    Char(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// To the first row.
    Home,
    /// To the last row.
    End,
    /// Backspace.
    Backspace,
    /// Ctrl and C.
    Interrupt,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A key.
    Key(Key),
    /// The host was asked; an error says in a sentence why it has not answered.
    Shown(Result<Box<Shown>, String>),
    /// What was wanted is answered, either way in a sentence.
    Done(Result<String, String>),
}

/// What the host is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Cancel an order.
    Cancel {
        /// Its client id.
        order: String,
        /// For the audit log.
        reason: String,
    },
    /// Pause a strategy.
    Pause {
        /// Its name.
        strategy: String,
        /// For the audit log.
        reason: String,
    },
    /// Lift the pause of a strategy.
    Resume {
        /// Its name.
        strategy: String,
        /// For the audit log.
        reason: String,
    },
    /// Send nothing but what reduces.
    Freeze {
        /// For the audit log.
        reason: String,
    },
}

/// What is to be done about an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing but to draw.
    Draw,
    /// The end.
    Quit,
    /// To have the host do this; [`Input::Done`] answers.
    Do(Act),
}

/// The row of a pane that is picked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Picked {
    at: usize,
    /// By this it is found again when the rows change.
    key: Option<String>,
}

/// Everything on the screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Top {
    shown: Option<Box<Shown>>,
    seen_at_ms: Option<u64>,
    trouble: Option<String>,
    focus: Focus,
    picked: [Picked; 5],
    prompt: Option<Prompt>,
    is_help: bool,
    is_busy: bool,
    word: Option<(String, Tone)>,
}

/// Which pane has the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Focus(Pane);

impl Default for Focus {
    fn default() -> Self {
        Self(Pane::Orders)
    }
}

impl Top {
    /// Takes one input at `now_ms`, milliseconds of a clock that only goes forward.
    pub fn on(&mut self, input: Input, now_ms: u64) -> Effect {
        match input {
            Input::Key(Key::Interrupt) => return Effect::Quit,
            Input::Key(key) => return self.key(key),
            Input::Shown(Ok(shown)) => {
                self.shown = Some(shown);
                self.seen_at_ms = Some(now_ms);
                self.trouble = None;
                self.find_again();
            }
            Input::Shown(Err(why)) => self.trouble = Some(clean(&why)),
            Input::Done(answer) => {
                self.is_busy = false;
                self.word = Some(match answer {
                    Ok(text) => (clean(&text), Tone::Plain),
                    Err(text) => (clean(&text), Tone::Bad),
                });
            }
        }
        Effect::Draw
    }

    fn key(&mut self, key: Key) -> Effect {
        if let Some(prompt) = self.prompt.take() {
            return match prompt.on(key) {
                Answer::Open(prompt) => {
                    self.prompt = Some(prompt);
                    Effect::Draw
                }
                Answer::Dropped => {
                    self.word = Some(("nothing was done".to_owned(), Tone::Plain));
                    Effect::Draw
                }
                Answer::Given(act) => {
                    self.is_busy = true;
                    self.word = Some(("asking the host…".to_owned(), Tone::Plain));
                    Effect::Do(act)
                }
            };
        }
        if std::mem::take(&mut self.is_help) {
            return Effect::Draw;
        }
        match key {
            Key::Char('q') => return Effect::Quit,
            Key::Char('?' | 'h') => self.is_help = true,
            Key::Char('K') => {
                let how = "the emergency stop is the watchdog's: sandpit-watchdog kill --reason TEXT";
                self.word = Some((how.to_owned(), Tone::Notable));
            }
            Key::Char('c' | 'p' | 'f') if self.is_busy => {
                self.word = Some(("wait for the answer to what was asked before".to_owned(), Tone::Notable));
            }
            Key::Char('c') => self.ask_cancel(),
            Key::Char('p') => self.ask_pause(),
            Key::Char('f') => self.prompt = Some(Prompt::why(Wish::Freeze)),
            Key::Char(digit @ '1'..='5') => {
                let at = digit.to_digit(10).map_or(0, |digit| digit as usize - 1);
                self.focus = Focus(Pane::ALL[at]);
            }
            Key::Tab => self.focus = Focus(self.focus.0.next()),
            Key::BackTab => self.focus = Focus(self.focus.0.before()),
            Key::Up => self.pick(|at, _| at.saturating_sub(1)),
            Key::Down => self.pick(|at, _| at + 1),
            Key::PageUp => self.pick(|at, _| at.saturating_sub(PAGE)),
            Key::PageDown => self.pick(|at, _| at + PAGE),
            Key::Home => self.pick(|_, _| 0),
            Key::End => self.pick(|_, count| count),
            Key::Char(_) | Key::Enter | Key::Esc | Key::Backspace | Key::Interrupt => {}
        }
        Effect::Draw
    }

    /// Only what the operator sees can be meant: the row that is picked.
    fn ask_cancel(&mut self) {
        self.focus = Focus(Pane::Orders);
        match self.picked_row(Pane::Orders).cloned() {
            Some(row) => {
                let what = row.cells[..row.cells.len() - 1].join(" ");
                self.prompt = Some(Prompt::Cancel { order: row.key, what });
            }
            None => self.word = Some(("no order is open".to_owned(), Tone::Plain)),
        }
    }

    fn ask_pause(&mut self) {
        self.focus = Focus(Pane::Strategies);
        match self.picked_row(Pane::Strategies) {
            Some(row) if row.is_paused => self.prompt = Some(Prompt::why(Wish::Resume(row.key.clone()))),
            Some(row) => self.prompt = Some(Prompt::why(Wish::Pause(row.key.clone()))),
            None => self.word = Some(("no strategy runs".to_owned(), Tone::Plain)),
        }
    }

    fn pick(&mut self, to: impl FnOnce(usize, usize) -> usize) {
        let pane = self.focus.0;
        let rows = self.rows(pane);
        let Some(last) = rows.len().checked_sub(1) else { return };
        let at = to(self.picked[pane.at()].at, rows.len()).min(last);
        let key = Some(rows[at].key.clone());
        self.picked[pane.at()] = Picked { at, key };
    }

    /// What was picked stays picked when other rows come and go.
    fn find_again(&mut self) {
        for pane in Pane::ALL {
            let rows = self.rows(pane);
            let picked = &self.picked[pane.at()];
            let found = rows.iter().position(|row| picked.key.as_ref() == Some(&row.key));
            let at = found.unwrap_or(picked.at.min(rows.len().saturating_sub(1)));
            let key = rows.get(at).map(|row| row.key.clone());
            self.picked[pane.at()] = Picked { at, key };
        }
    }

    /// What is known of the host; `None` before its first answer.
    pub(crate) fn shown(&self) -> Option<&Shown> {
        self.shown.as_deref()
    }

    /// The rows of a pane.
    pub(crate) fn rows(&self, pane: Pane) -> &[Row] {
        self.shown.as_ref().map_or(&[], |shown| shown.of(pane))
    }

    /// Where the picked row of a pane is; `None` when there is none.
    pub(crate) fn picked(&self, pane: Pane) -> Option<usize> {
        (!self.rows(pane).is_empty()).then(|| self.picked[pane.at()].at)
    }

    fn picked_row(&self, pane: Pane) -> Option<&Row> {
        self.rows(pane).get(self.picked(pane)?)
    }

    /// The pane that has the keys.
    pub fn focus(&self) -> Pane {
        self.focus.0
    }

    /// How old the figures are, milliseconds; `None` before the first answer.
    pub(crate) fn age_ms(&self, now_ms: u64) -> Option<u64> {
        self.seen_at_ms.map(|seen| now_ms.saturating_sub(seen))
    }

    /// Whether the figures are too old to go by.
    pub(crate) fn is_stale(&self, now_ms: u64) -> bool {
        self.trouble.is_some() || self.age_ms(now_ms).is_none_or(|age| age > STALE_AFTER_MS)
    }

    /// Why the host has not answered last; `None` while it does.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What is asked.
    pub(crate) const fn prompt(&self) -> Option<&Prompt> {
        self.prompt.as_ref()
    }

    /// Whether the keys are explained.
    pub(crate) const fn is_help(&self) -> bool {
        self.is_help
    }

    /// What was last said to the operator.
    pub(crate) fn word(&self) -> Option<(&str, Tone)> {
        self.word.as_ref().map(|(text, tone)| (text.as_str(), *tone))
    }
}

#[cfg(test)]
mod tests;
