//! Scripts: what is asked of the venue and of its model, one step after the other.

use std::{fmt, time::Duration};

use rust_decimal::Decimal;
use sandpit_types::MarketTime;
use sandpit_venue::{ClosePart, EventKind, Listing, NewOrder, PdtCheck, Replacement, VenueConfig};

/// The symbols of a script. A trades around 100 USD; B around 50, where the figures of stops change; C around
/// 1, where the tick changes.
pub(crate) const SYMBOLS: [&str; 3] = ["A", "B", "C"];

/// A set-up and the steps to take.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) config: VenueConfig,
    pub(crate) listings: Vec<Listing>,
    pub(crate) start: MarketTime,
    pub(crate) steps: Vec<Step>,
}

/// One step: time passes, then something is asked.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) wait: Wait,
    pub(crate) action: Action,
}

/// How much time passes before a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// So many seconds.
    Seconds(u64),
    /// Until so many seconds after (or before) the next change of the exchange's phase.
    Phase(i64),
    /// Until so many seconds after the next opening of the regular session.
    Open(u64),
    /// Until so many seconds before the next close of the regular session.
    BeforeClose(u64),
    /// So many days.
    Days(u64),
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Quote {
        symbol: usize,
        bid: Decimal,
        bid_size: u64,
        ask: Decimal,
        ask_size: u64,
        age_seconds: u64,
    },
    Trade {
        symbol: usize,
        price: Decimal,
        age_seconds: u64,
    },
    Bar {
        symbol: usize,
        high: Decimal,
        low: Decimal,
        close: Decimal,
        volume: u64,
    },
    Submit(Box<NewOrder>),
    Replace(Pick, Box<Replacement>),
    Cancel(Pick),
    Close(usize, ClosePart),
    Halt(usize, bool),
    Suspend(bool),
    NoShorting(bool),
    Fractional(bool),
    MarginLimit(u32),
    StuckCancels(bool),
    Pdt(PdtCheck),
    Force(Pick, EventKind),
    /// Nothing: time passes.
    Pass,
}

/// Which order is meant; it is looked up when the step is taken, so that steps before it can go away.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pick {
    /// The n-th newest of the open ones of a symbol, counted round.
    Open(usize, usize),
    /// The n-th newest of all, counted round.
    Any(usize),
    /// None that there is.
    Unknown,
}

impl Wait {
    /// The time of the step.
    pub(crate) fn end(self, now: MarketTime, calendar: &sandpit_venue::Calendar) -> MarketTime {
        let shifted = |at: MarketTime, seconds: i64| {
            MarketTime::from_nanos(at.as_nanos() + seconds * 1_000_000_000).max(now)
        };
        match self {
            Self::Seconds(seconds) => now + Duration::from_secs(seconds),
            Self::Phase(seconds) => shifted(calendar.next_change(now), seconds),
            Self::Open(seconds) => shifted(calendar.next_open(now), seconds.cast_signed()),
            Self::BeforeClose(seconds) => shifted(calendar.next_close(now), -seconds.cast_signed()),
            Self::Days(days) => now + Duration::from_secs(days * 86_400),
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} from {} with {:?}", self.seed, self.start, self.config)?;
        for listing in &self.listings {
            writeln!(f, "  {listing:?}")?;
        }
        for (place, step) in self.steps.iter().enumerate() {
            writeln!(f, "{place:3}: {step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}; ", self.wait)?;
        match &self.action {
            Action::Quote { symbol, bid, bid_size, ask, ask_size, age_seconds } => {
                write!(f, "quote {} {bid} x {bid_size}, {ask} x {ask_size}", SYMBOLS[*symbol])?;
                if *age_seconds > 0 { write!(f, ", {age_seconds} s old") } else { Ok(()) }
            }
            Action::Trade { symbol, price, age_seconds } => {
                write!(f, "trade {} {price}", SYMBOLS[*symbol])?;
                if *age_seconds > 0 { write!(f, ", {age_seconds} s old") } else { Ok(()) }
            }
            Action::Bar { symbol, high, low, close, volume } => {
                write!(f, "bar {} high {high} low {low} close {close} volume {volume}", SYMBOLS[*symbol])
            }
            Action::Submit(order) => write!(f, "{}", order_text(order)),
            Action::Replace(pick, with) => write!(f, "replace {pick:?} with {with:?}"),
            Action::Cancel(pick) => write!(f, "cancel {pick:?}"),
            Action::Close(symbol, part) => write!(f, "close {} {part:?}", SYMBOLS[*symbol]),
            Action::Halt(symbol, halted) => write!(f, "halt {} {halted}", SYMBOLS[*symbol]),
            Action::Suspend(_)
            | Action::NoShorting(_)
            | Action::Fractional(_)
            | Action::MarginLimit(_)
            | Action::StuckCancels(_)
            | Action::Pdt(_)
            | Action::Force(..)
            | Action::Pass => write!(f, "{:?}", self.action),
        }
    }
}

fn order_text(order: &NewOrder) -> String {
    let NewOrder { symbol, side, amount, kind, time_in_force, class, .. } = order;
    let mut text = format!("{} {symbol} {amount:?} {kind:?} {}", side.as_str(), time_in_force.as_str());
    if order.extended_hours {
        text += " ext";
    }
    if *class != sandpit_venue::Class::Simple {
        text += &format!(" {class:?}");
    }
    if let Some(intent) = order.position_intent {
        text += &format!(" {}", intent.as_str());
    }
    if let Some(id) = &order.client_order_id {
        text += &format!(" called {id}");
    }
    text
}
