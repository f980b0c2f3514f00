//! Box 3: what may be sent to the broker.
//!
//! An order passes an ordered list of gates, each a pure function in a file of its own. The first that
//! objects names the reason. What passes all of them becomes an [`Approved`], which nothing else can make: an
//! order that no gate has passed cannot be submitted, because it does not type-check.
//!
//! Order of the gates: shape, duplicate id, ownership, frozen, lease, reconciled, order stream, session,
//! stale data, price collar, order notional, position limit, gross exposure, buying power, no shorts,
//! self-cross, order rate, open orders. Orders that lower the risk pass the gates that bound it: frozen,
//! order stream, order notional, position limit, gross exposure and buying power.

mod approved;
mod gates;
mod limits;
mod situation;

pub use approved::Approved;
pub use gates::Gates;
pub use limits::{LimitError, Limits, Overrides};
pub use situation::{LastPrice, OpenOrder, Situation};
