//! The simulated broker's heart: a matching engine, an exchange calendar and account rules.
//!
//! Pure, seeded and in virtual time: nothing here reads a clock, draws unseeded chance or does I/O. The same
//! seed and the same calls give the same events, byte for byte. The server (`sandpit-sim`) and the host's
//! dry-run mode put wires on it.
//!
//! # Rules of the fills
//! * A quote shows a size on each side. Our orders take from it in price-time priority (market orders first),
//!   and what is taken is gone until the next quote of that symbol.
//! * A limit order takes what is shown at its limit or better and waits with the rest. It never fills through
//!   its limit, and its price is the quote's, never a better one that nobody showed.
//! * A market order fills wholly against one quote: the part beyond the size shown costs one tick more.
//!   (Quotes may come once a minute; an order must not hang for minutes because of that.) Without a quote it
//!   waits for one.
//! * A symbol that has bars but no quotes is quoted one tick wide around the close of its last bar.
//! * What was quoted before the session opened is not for sale in it: queued orders meet the session's first
//!   quote.
//! * Orders of ours never trade with each other.

pub mod calendar;

mod account;
mod book;
mod config;
mod fee;
mod ids;
mod ledger;
mod listing;
mod order;
mod realism;
mod reject;
mod venue;

pub use account::{VenueAccount, VenuePosition};
pub use calendar::{Calendar, Phase, Session};
pub use config::{DayTradeRule, PdtCheck, VenueConfig};
pub use fee::{FeeCharge, FeeKind};
pub use listing::Listing;
pub use order::{
    Amount, Class, ClassKind, ClosePart, EventKind, ImpossibleEvent, NewOrder, OrderKind, OrderState,
    PositionIntent, Replacement, StopLoss, TimeInForce, Trail, VenueEvent, VenueOrder,
};
pub use realism::Realism;
pub use reject::{CancelReject, ForceReject, Reject, ReplaceReject};
pub use venue::Venue;
