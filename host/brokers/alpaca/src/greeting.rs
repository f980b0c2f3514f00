//! The broker's side of connecting to a data stream, without the connection: what it said, and what follows.
//!
//! ```text
//!             │ connected       │ authenticated    │ subscription       │ other   │ error  │ deadline
//!             │                 │                  │                    │ success │        │
//! ────────────┼─────────────────┼──────────────────┼────────────────────┼─────────┼────────┼─────────
//! welcome     │ say auth        │ out of turn      │ out of turn        │ oot     │ by code│ mute
//! auth        │ out of turn     │ say subscribe    │ out of turn        │ oot     │ by code│ mute
//! subscription│ out of turn     │ out of turn      │ open, if it is all │ oot     │ by code│ mute
//! open        │ wait            │ wait             │ wait, if it is all │ wait    │ by code│ ended
//! failed      │ ended           │ ended            │ ended              │ ended   │ ended  │ ended
//! ```
//!
//! When an open stream is asked for something else, each of our requests is answered by one *subscription*,
//! and only the last of these has to be all.
//!
//! *Out of turn*, *mute* and *ended* are failures with those words: the session ends and a new one begins.

use std::time::{Duration, Instant};

use sandpit_broker::{StreamError, Subscription};
use sandpit_types::Symbol;

use crate::{decode::Control, wire::market::SubscriptionWire};

/// Alpaca hangs up (404) when it has not seen our keys for 10 s (fact sheet 4): a later welcome is too late.
const LATEST_WELCOME: Duration = Duration::from_secs(10);

/// How far we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Welcome,
    Auth,
    Subscription,
    Open,
    Failed,
}

/// What there is to react to.
#[derive(Debug)]
pub(crate) enum Input {
    /// The broker said this.
    Said(Control),
    /// The deadline has passed.
    Deadline,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Output {
    /// Say this.
    Send(Message),
    /// Nothing.
    Wait,
    /// From here on, data is in force.
    Open,
    /// End the session.
    Fail(StreamError),
}

/// What we say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Our keys.
    Auth,
    /// What we want to hear.
    Subscribe,
}

/// What a deadline is for: this has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// A welcome.
    Welcome,
    /// An answer to our keys.
    Auth,
    /// An acknowledgement of our subscription.
    Subscription,
}

/// The state of one greeting.
#[derive(Debug)]
pub(crate) struct Greeting {
    state: State,
    since: Instant,
    patience: Duration,
    wanted: Subscription,
    /// Requests of an open stream that the broker has yet to answer.
    unanswered: u32,
}

impl Greeting {
    /// A connection has just been made; each step may take `patience`.
    pub(crate) fn new(wanted: Subscription, patience: Duration, now: Instant) -> Self {
        Self { state: State::Welcome, since: now, patience, wanted, unanswered: 0 }
    }

    /// What the broker is to serve.
    pub(crate) const fn wanted(&self) -> &Subscription {
        &self.wanted
    }

    /// Something else is wanted of an open stream, and was said in so many requests.
    pub(crate) fn want(&mut self, wanted: Subscription, requests: u32) {
        self.wanted = wanted;
        self.unanswered += requests;
    }

    /// Until when the broker has to say something, and what.
    pub(crate) fn deadline(&self) -> Option<(Instant, Why)> {
        let (patience, why) = match self.state {
            State::Welcome => (self.patience.min(LATEST_WELCOME), Why::Welcome),
            State::Auth => (self.patience, Why::Auth),
            State::Subscription => (self.patience, Why::Subscription),
            State::Open | State::Failed => return None,
        };
        Some((self.since + patience, why))
    }

    /// One row of the table, one column.
    pub(crate) fn on(&mut self, input: Input, now: Instant) -> Output {
        use Input::{Deadline, Said};
        match (self.state, input) {
            (State::Failed, Said(_) | Deadline) => self.fail(ended("the greeting has failed already")),
            (State::Open, Deadline) => self.fail(ended("an open stream has no deadline")),
            (State::Welcome | State::Auth | State::Subscription, Deadline) => {
                let error = self.mute();
                self.fail(error)
            }
            (
                State::Welcome | State::Auth | State::Subscription | State::Open,
                Said(Control::Error { code, message }),
            ) => self.fail(refusal(code, message)),
            (State::Welcome, Said(Control::Success(words))) if words == "connected" => {
                self.step(State::Auth, now, Output::Send(Message::Auth))
            }
            (State::Auth, Said(Control::Success(words))) if words == "authenticated" => {
                self.step(State::Subscription, now, Output::Send(Message::Subscribe))
            }
            (State::Subscription, Said(Control::Subscription(current))) => match self.missing(&current) {
                None => self.step(State::Open, now, Output::Open),
                Some(error) => self.fail(error),
            },
            (State::Open, Said(Control::Subscription(current))) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                match self.missing(&current).filter(|_| self.unanswered == 0) {
                    None => Output::Wait,
                    Some(error) => self.fail(error),
                }
            }
            (State::Open, Said(Control::Success(_))) => Output::Wait,
            (
                State::Welcome | State::Auth | State::Subscription,
                Said(said @ (Control::Success(_) | Control::Subscription(_))),
            ) => {
                let state = self.state;
                self.fail(down(format!("{said:?} came out of turn, in the state {state:?}")))
            }
        }
    }

    fn step(&mut self, to: State, now: Instant, output: Output) -> Output {
        self.state = to;
        self.since = now;
        output
    }

    fn fail(&mut self, error: StreamError) -> Output {
        self.state = State::Failed;
        Output::Fail(error)
    }

    fn mute(&self) -> StreamError {
        let patience = self.patience;
        down(match self.deadline().map(|(_, why)| why) {
            Some(Why::Welcome) => format!("no welcome within {:?}", patience.min(LATEST_WELCOME)),
            Some(Why::Auth) => format!("no answer to our keys within {patience:?}"),
            Some(Why::Subscription) => format!("no answer to our subscription within {patience:?}"),
            None => return ended("there is no deadline"),
        })
    }

    /// The acknowledged set must hold all that we asked for. `updatedBars` need not be in it: not every feed
    /// has that channel (`v2/test`, fact sheet 4), and gap fill corrects bars, too.
    fn missing(&self, current: &SubscriptionWire) -> Option<StreamError> {
        for (what, wanted, current) in [
            ("bars", &self.wanted.bars, &current.bars),
            ("quotes", &self.wanted.quotes, &current.quotes),
            ("trades", &self.wanted.trades, &current.trades),
            ("news", &self.wanted.news, &current.news),
        ] {
            let has =
                |symbol: &Symbol| current.iter().flatten().any(|name| name == symbol.as_str() || name == "*");
            if let Some(missing) = wanted.iter().find(|symbol| !has(symbol)) {
                return Some(down(format!("the subscription to {what} lacks {missing}")));
            }
        }
        None
    }
}

/// Alpaca's error codes as decisions (fact sheet 4), with what a human can do.
fn refusal(code: u16, message: String) -> StreamError {
    let said = |remedy: &str| match remedy {
        "" => format!("{message} (code {code})"),
        remedy => format!("{message} (code {code}): {remedy}"),
    };
    match code {
        400 => StreamError::Down { message: said("a symbol of the subscription may be written wrongly") },
        401 | 402 | 411 => StreamError::Unauthorized { message: said("") },
        405 => StreamError::TooManySymbols {
            message: said("Basic has 30 symbols for quotes and trades; bars are unlimited"),
        },
        406 => StreamError::Occupied { message: said("") },
        407 => StreamError::Slow { message: said("") },
        409 => StreamError::Unauthorized {
            message: said("the plan behind the key does not have this feed; `iex` needs no plan"),
        },
        // Nothing in the key is wrong: REST may go on carrying the data while somebody corrects the address.
        410 => StreamError::Down {
            message: said("this stream has no such channel; look at the address of the stream"),
        },
        _ => StreamError::Down { message: said("") },
    }
}

fn down(message: String) -> StreamError {
    StreamError::Down { message }
}

/// A pair of the table that the edge must not let happen.
fn ended(message: &str) -> StreamError {
    StreamError::Down { message: format!("the greeting was asked in vain: {message}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn wanted() -> Subscription {
        let symbols = |names: &[&str]| names.iter().map(Symbol::new).collect();
        Subscription {
            bars: symbols(&["SPY", "AAPL"]),
            quotes: symbols(&["SPY"]),
            trades: vec![],
            news: vec![],
        }
    }

    fn set(bars: &[&str], quotes: &[&str]) -> Control {
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        Control::Subscription(SubscriptionWire { bars: names(bars), quotes: names(quotes), ..<_>::default() })
    }

    /// A word of a script: what happens next.
    fn input(word: &str) -> Input {
        Input::Said(match word {
            "deadline" => return Input::Deadline,
            "all" => set(&["AAPL", "SPY"], &["SPY"]),
            "stars" => set(&["*"], &["*"]),
            "less" => set(&["AAPL"], &["SPY"]),
            "none" => Control::Subscription(SubscriptionWire::default()),
            words => match words.parse() {
                Ok(code) => Control::Error { code, message: "words".to_owned() },
                Err(_) => Control::Success(words.to_owned()),
            },
        })
    }

    fn output(output: &Output) -> &'static str {
        match output {
            Output::Send(Message::Auth) => "auth",
            Output::Send(Message::Subscribe) => "subscribe",
            Output::Wait => "wait",
            Output::Open => "open",
            Output::Fail(error) => {
                let text = error.to_string();
                match error {
                    StreamError::Down { .. } if text.contains("out of turn") => "out of turn",
                    StreamError::Down { .. } if text.contains("in vain") => "ended",
                    StreamError::Down { .. } if text.contains("no answer to") => "mute",
                    StreamError::Down { .. } if text.contains("no welcome") => "mute",
                    StreamError::Down { .. } if text.contains("lacks") => "lacks",
                    StreamError::Down { .. } => "down",
                    StreamError::Unauthorized { .. } => "unauthorized",
                    StreamError::Occupied { .. } => "occupied",
                    StreamError::TooManySymbols { .. } => "too many symbols",
                    StreamError::Slow { .. } => "slow",
                    StreamError::NotSent(_) => "not sent",
                }
            }
        }
    }

    fn start() -> (Greeting, Instant) {
        let now = tokio::time::Instant::now().into_std();
        (Greeting::new(wanted(), PATIENCE, now), now)
    }

    fn check(script: &str, expected: &str) {
        let (mut greeting, now) = start();
        let played: Vec<_> =
            script.split(", ").map(|word| output(&greeting.on(input(word), now)).to_owned()).collect();
        assert_eq!(played.join(", "), expected, "{script}");
    }

    #[test]
    fn the_table() {
        const OPENED: &str = "connected, authenticated, all";
        const OPENS: &str = "auth, subscribe, open";
        check(OPENED, OPENS);
        check("connected, authenticated, stars", OPENS);
        for (script, expected) in [
            ("authenticated", "out of turn"),
            ("hello", "out of turn"),
            ("all", "out of turn"),
            ("deadline", "mute"),
            ("connected, connected", "auth, out of turn"),
            ("connected, hello", "auth, out of turn"),
            ("connected, all", "auth, out of turn"),
            ("connected, deadline", "auth, mute"),
            ("connected, authenticated, connected", "auth, subscribe, out of turn"),
            ("connected, authenticated, authenticated", "auth, subscribe, out of turn"),
            ("connected, authenticated, hello", "auth, subscribe, out of turn"),
            ("connected, authenticated, less", "auth, subscribe, lacks"),
            ("connected, authenticated, none", "auth, subscribe, lacks"),
            ("connected, authenticated, deadline", "auth, subscribe, mute"),
        ] {
            check(script, expected);
            let ended = ", ended".repeat(4);
            check(&format!("{script}, connected, all, 406, deadline"), &format!("{expected}{ended}"));
        }
        for (input, expected) in
            [("connected", "wait"), ("authenticated", "wait"), ("hello", "wait"), ("all", "wait")]
        {
            check(&format!("{OPENED}, {input}"), &format!("{OPENS}, {expected}"));
        }
        check(&format!("{OPENED}, less"), &format!("{OPENS}, lacks"));
        check(&format!("{OPENED}, deadline"), &format!("{OPENS}, ended"));
    }

    #[test]
    fn of_an_open_stream_only_the_last_answer_has_to_be_all() {
        let check = |answers: &str, expected: &str| {
            let (mut greeting, now) = start();
            for word in ["connected", "authenticated", "all"] {
                greeting.on(input(word), now);
            }
            let symbols = |names: &[&str]| names.iter().map(Symbol::new).collect::<Vec<_>>();
            // The answer "less" names AAPL alone.
            let wanted = Subscription { bars: symbols(&["AAPL", "SPY"]), ..Subscription::default() };
            greeting.want(wanted, 2);
            let said = answers.split(", ").map(|word| output(&greeting.on(input(word), now)));
            assert_eq!(said.collect::<Vec<_>>().join(", "), expected);
        };
        check("less, all, all", "wait, wait, wait");
        check("less, less", "wait, lacks");
        check("all, less", "wait, lacks");
        check("all", "wait");
    }

    #[test]
    fn every_code_is_one_decision_in_every_state() {
        let states = ["", "connected, ", "connected, authenticated, ", "connected, authenticated, all, "];
        for (code, decision) in [
            (400, "down"),
            (401, "unauthorized"),
            (402, "unauthorized"),
            (403, "down"),
            (404, "down"),
            (405, "too many symbols"),
            (406, "occupied"),
            (407, "slow"),
            (408, "down"),
            (409, "unauthorized"),
            (410, "down"),
            (411, "unauthorized"),
            (412, "down"),
            (413, "down"),
            (500, "down"),
            (0, "down"),
            (65_535, "down"),
        ] {
            let before = ["", "auth, ", "auth, subscribe, ", "auth, subscribe, open, "];
            for (state, before) in states.iter().zip(before) {
                check(&format!("{state}{code}"), &format!("{before}{decision}"));
            }
        }
    }

    #[test]
    fn remedies_are_named() {
        let check = |code, words: &str| {
            let text = refusal(code, "the broker's words".to_owned()).to_string();
            assert!(text.contains(words) && text.contains("the broker's words"), "{text}");
        };
        check(409, "`iex` needs no plan");
        check(405, "30 symbols");
        check(410, "address of the stream");
        check(400, "symbol");
        check(500, "code 500");
    }

    #[test]
    fn every_state_has_its_own_deadline() {
        let (mut greeting, start) = start();
        let after = |secs| start + Duration::from_secs(secs);
        assert_eq!(greeting.deadline(), Some((after(10), Why::Welcome)), "Alpaca waits no longer");
        greeting.on(input("connected"), after(9));
        assert_eq!(greeting.deadline(), Some((after(29), Why::Auth)));
        greeting.on(input("authenticated"), after(11));
        assert_eq!(greeting.deadline(), Some((after(31), Why::Subscription)));
        greeting.on(input("all"), after(12));
        assert_eq!(greeting.deadline(), None);
        let (mut greeting, now) = super::tests::start();
        greeting.on(Input::Deadline, now);
        assert_eq!(greeting.deadline(), None, "it has failed");
    }
}
