//! How the broker answers over REST: every request passes `rest.rs`, where it is counted once.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::Method;

/// Answers since the start. A request that nobody answered counts as one of 5xx; one that never left, because
/// the right to trade was gone, does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnsweredCounts {
    /// All.
    pub all: u64,
    /// Of these, 4xx that mean an error: 404 is an answer to whoever asks whether there is something, and 422
    /// to a cancel says that the order is over.
    pub errors_4xx: u64,
    /// Of these, 5xx and none.
    pub errors_5xx: u64,
    /// Of the 4xx, 401.
    pub unauthorised: u64,
}

/// The counters, shared by all hosts of an adapter.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    all: AtomicU64,
    errors_4xx: AtomicU64,
    errors_5xx: AtomicU64,
    unauthorised: AtomicU64,
}

impl Answered {
    /// The counts by now. What is part of something is read first, so that it is never more.
    pub(crate) fn counts(&self) -> AnsweredCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let unauthorised = read(&self.unauthorised);
        let (errors_4xx, errors_5xx) = (read(&self.errors_4xx), read(&self.errors_5xx));
        AnsweredCounts { all: read(&self.all), errors_4xx, errors_5xx, unauthorised }
    }

    /// The broker answered with this status.
    pub(crate) fn answer(&self, method: &Method, status: u16) {
        let is_usual =
            (status == 404 && method == Method::GET) || (status == 422 && method == Method::DELETE);
        add(&self.all);
        match status {
            400..=499 if !is_usual => add(&self.errors_4xx),
            500..=599 => add(&self.errors_5xx),
            _ => {}
        }
        if status == 401 {
            add(&self.unauthorised);
        }
    }

    /// Nobody answered.
    pub(crate) fn silence(&self) {
        add(&self.all);
        add(&self.errors_5xx);
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_error_is_told_from_what_is_an_answer() {
        let answered = Answered::default();
        for (method, status) in [
            (Method::GET, 200),
            (Method::GET, 404),
            (Method::DELETE, 404),
            (Method::DELETE, 422),
            (Method::POST, 422),
            (Method::GET, 401),
            (Method::GET, 429),
            (Method::POST, 503),
        ] {
            answered.answer(&method, status);
        }
        answered.silence();
        let expected = AnsweredCounts { all: 9, errors_4xx: 4, errors_5xx: 2, unauthorised: 1 };
        assert_eq!(answered.counts(), expected);
    }
}
