//! What quiet hours hold back, until they are over: what stands then, and how much came and went.

use sandpit_contract::State;

use super::letter::{Key, Letter, Matter};
use crate::machine::Severity;

/// Letters that are kept. A further one takes the place of the oldest of the least severe, which is counted.
const MAX_KEPT: usize = 64;
/// Lines of a digest.
const MAX_LINES: usize = 12;
/// Characters of a line.
const MAX_LINE: usize = 120;

/// What is kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The oldest first, one for each topic.
    letters: Vec<Letter>,
    /// That are over again, and told of by this number.
    over: u64,
    /// That found no place.
    more: u64,
    /// As of the newest.
    stood: Option<(State, u64)>,
}

impl Kept {
    pub(crate) fn is_empty(&self) -> bool {
        self.letters.is_empty() && self.over == 0 && self.more == 0
    }

    /// Keeps it. What it ends is not told singly, nor that it ended.
    pub(crate) fn keep(&mut self, letter: Letter) {
        self.stood = Some((letter.state, letter.at_unix_s));
        let ended = self.over_by(&letter);
        if letter.is_over() && ended > 0 {
            return;
        }
        // What begins again is not over.
        self.letters.retain(|kept| kept.is_act() || !kept.does_end(&letter.key));
        if let Some(kept) = self.letters.iter_mut().find(|kept| kept.topic() == letter.topic()) {
            let (count, severity) = (kept.count + letter.count, kept.severity.max(letter.severity));
            *kept = Letter { count, severity, ..letter };
            return;
        }
        if self.letters.len() >= MAX_KEPT {
            self.more += 1;
            let least = self.letters.iter().enumerate().min_by_key(|(at, kept)| (kept.severity, *at));
            match least.map(|(at, kept)| (at, kept.severity)) {
                Some((at, severity)) if severity <= letter.severity => drop(self.letters.remove(at)),
                Some(_) | None => return,
            }
        }
        self.letters.push(letter);
    }

    /// Counts what is over by this letter, which may leave by itself.
    pub(crate) fn over_by(&mut self, letter: &Letter) -> u64 {
        let is_ended = |kept: &Letter| letter.does_end(&kept.key) && !kept.is_over();
        let ended = self.letters.extract_if(.., |kept| is_ended(kept)).map(|kept| kept.count).sum();
        self.over += ended;
        ended
    }

    /// What still stands, one by one, for those who resolve; nobody has to be told of the others.
    pub(crate) fn take(&mut self) -> Vec<Letter> {
        let kept = std::mem::take(self);
        kept.letters.into_iter().filter(|letter| letter.ends.is_empty()).collect()
    }

    /// All of it in one; `None` when there was nothing.
    pub(crate) fn digest(&mut self) -> Option<Letter> {
        let Self { mut letters, over, more, stood } = std::mem::take(self);
        let (state, at_unix_s) = stood?;
        letters.sort_by_key(|letter| std::cmp::Reverse(letter.severity));
        let count = letters.iter().map(|letter| letter.count).sum::<u64>() + over + more;
        let mut text = format!("{count} alerts in the quiet hours, {over} of them over again");
        let line = |letter: &Letter| {
            let mark = if letter.is_over() { "over: " } else { "" };
            let times = if letter.count > 1 { format!(" ({} times)", letter.count) } else { String::new() };
            let line = format!("{mark}{}{times}: {}", letter.key, super::wording::plain(&letter.text));
            let word = super::wording::severity(letter.severity);
            format!("\n- {word} {}", line.chars().take(MAX_LINE).collect::<String>())
        };
        text.extend(letters.iter().take(MAX_LINES).map(line));
        let left = letters.iter().skip(MAX_LINES).count() as u64 + more;
        if left > 0 {
            text += &format!("\n- and {left} more");
        }
        let severity = letters.first().map_or(Severity::Info, |letter| letter.severity);
        Some(Letter {
            severity,
            key: Key::Borrowed("quiet-hours"),
            matter: Matter::Digest,
            text,
            remedy: Key::Borrowed(""),
            state,
            at_unix_s,
            count,
            ends: Vec::new(),
        })
    }
}
