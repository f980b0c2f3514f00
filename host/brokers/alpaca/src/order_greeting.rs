//! The broker's side of connecting to the trade-updates stream, without the connection. There is no welcome:
//! our keys are the first word.
//!
//! ```text
//!        │ authorized   │ refused      │ listening, with updates │ listening, without │ deadline
//! ───────┼──────────────┼──────────────┼─────────────────────────┼────────────────────┼─────────
//! auth   │ say listen   │ unauthorized │ out of turn             │ out of turn        │ mute
//! listen │ wait         │ unauthorized │ open                    │ deaf               │ mute
//! open   │ wait         │ unauthorized │ wait                    │ deaf               │ ended
//! failed │ ended        │ ended        │ ended                   │ ended              │ ended
//! ```

use std::time::{Duration, Instant};

use sandpit_broker::StreamError;

/// The one stream there is.
pub(crate) const TRADE_UPDATES: &str = "trade_updates";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Auth,
    Listen,
    Open,
    Failed,
}

/// What there is to react to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OrderInput {
    /// Our keys are good.
    Authorized,
    /// Our keys are not, or we may not listen: the broker's words.
    Refused(String),
    /// The complete set of streams that we hear.
    Listening(Vec<String>),
    /// The deadline has passed.
    Deadline,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum OrderOutput {
    /// Ask for the updates.
    SendListen,
    /// Nothing.
    Wait,
    /// From here on, no update is missed.
    Open,
    /// End the session.
    Fail(StreamError),
}

/// The state of one greeting.
#[derive(Debug)]
pub(crate) struct OrderGreeting {
    state: State,
    since: Instant,
    patience: Duration,
}

impl OrderGreeting {
    /// Our keys have just been said; each step may take `patience`.
    pub(crate) fn new(patience: Duration, now: Instant) -> Self {
        Self { state: State::Auth, since: now, patience }
    }

    /// Until when the broker has to say something.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Auth | State::Listen => Some(self.since + self.patience),
            State::Open | State::Failed => None,
        }
    }

    /// One row of the table, one column.
    pub(crate) fn on(&mut self, input: OrderInput, now: Instant) -> OrderOutput {
        use OrderInput::{Authorized, Deadline, Listening, Refused};
        match (self.state, input) {
            (State::Failed, Authorized | Refused(_) | Listening(_) | Deadline) => {
                self.fail("the greeting was asked in vain: it has failed already".to_owned())
            }
            (State::Open, Deadline) => {
                self.fail("the greeting was asked in vain: an open stream has no deadline".to_owned())
            }
            (State::Auth, Deadline) => self.fail(format!("no answer to our keys within {:?}", self.patience)),
            (State::Listen, Deadline) => {
                self.fail(format!("no answer to our wish to listen within {:?}", self.patience))
            }
            (State::Auth | State::Listen | State::Open, Refused(message)) => {
                self.state = State::Failed;
                OrderOutput::Fail(StreamError::Unauthorized { message })
            }
            (State::Auth, Authorized) => {
                (self.state, self.since) = (State::Listen, now);
                OrderOutput::SendListen
            }
            (State::Listen | State::Open, Authorized) => OrderOutput::Wait,
            (State::Auth, Listening(_)) => {
                self.fail("the broker listens before it knows our keys".to_owned())
            }
            (State::Listen | State::Open, Listening(streams)) => self.listening(&streams),
        }
    }

    fn listening(&mut self, streams: &[String]) -> OrderOutput {
        if !streams.iter().any(|stream| stream == TRADE_UPDATES) {
            return self.fail(format!("the broker does not send {TRADE_UPDATES}, only {streams:?}"));
        }
        let was_open = self.state == State::Open;
        self.state = State::Open;
        if was_open { OrderOutput::Wait } else { OrderOutput::Open }
    }

    fn fail(&mut self, message: String) -> OrderOutput {
        self.state = State::Failed;
        OrderOutput::Fail(StreamError::Down { message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(word: &str) -> OrderInput {
        match word {
            "authorized" => OrderInput::Authorized,
            "refused" => OrderInput::Refused("no".to_owned()),
            "with" => OrderInput::Listening(vec!["x".to_owned(), TRADE_UPDATES.to_owned()]),
            "without" => OrderInput::Listening(vec!["x".to_owned()]),
            "deadline" => OrderInput::Deadline,
            other => panic!("{other}"),
        }
    }

    fn output(output: &OrderOutput) -> &'static str {
        match output {
            OrderOutput::SendListen => "say",
            OrderOutput::Wait => "wait",
            OrderOutput::Open => "open",
            OrderOutput::Fail(StreamError::Unauthorized { .. }) => "unauthorized",
            OrderOutput::Fail(StreamError::Down { message }) if message.contains("in vain") => "ended",
            OrderOutput::Fail(StreamError::Down { message }) if message.contains("no answer") => "mute",
            OrderOutput::Fail(StreamError::Down { message }) if message.contains("only") => "deaf",
            OrderOutput::Fail(StreamError::Down { message }) if message.contains("before") => "out of turn",
            OrderOutput::Fail(error) => panic!("{error}"),
        }
    }

    /// Plays `before`, then each input in turn on a greeting of its own.
    #[test]
    fn the_table() {
        let check = |before: &[&str], expected: [&str; 5]| {
            for (word, expected) in
                ["authorized", "refused", "with", "without", "deadline"].iter().zip(expected)
            {
                let now = tokio::time::Instant::now().into_std();
                let mut greeting = OrderGreeting::new(Duration::from_secs(1), now);
                for before in before {
                    greeting.on(input(before), now);
                }
                assert_eq!(output(&greeting.on(input(word), now)), expected, "{before:?} {word}");
            }
        };
        check(&[], ["say", "unauthorized", "out of turn", "out of turn", "mute"]);
        check(&["authorized"], ["wait", "unauthorized", "open", "deaf", "mute"]);
        check(&["authorized", "with"], ["wait", "unauthorized", "wait", "deaf", "ended"]);
        for failed in ["refused", "with", "without", "deadline"] {
            check(&[failed], ["ended"; 5]);
        }
    }

    #[test]
    fn each_step_has_its_time() {
        let start = tokio::time::Instant::now().into_std();
        let after = |secs| start + Duration::from_secs(secs);
        let mut greeting = OrderGreeting::new(Duration::from_secs(10), start);
        assert_eq!(greeting.deadline(), Some(after(10)));
        greeting.on(OrderInput::Authorized, after(4));
        greeting.on(OrderInput::Authorized, after(5));
        assert_eq!(greeting.deadline(), Some(after(14)), "said again, it gives no more time");
        greeting.on(input("with"), after(6));
        assert_eq!(greeting.deadline(), None);
    }
}
