//! Box 3: what may be sent to the broker.
//!
//! An order passes an ordered list of gates, each a pure function in a file of its own. The first that
//! objects names the reason. What passes all of them becomes an [`Approved`], which nothing else can make: an
//! order that no gate has passed cannot be submitted, because it does not type-check.
//!
//! Order of the gates: shape, supported, duplicate id, ownership, frozen, paused, entries stopped, lease,
//! reconciled, order stream, session, stale data, protective, price collar, order notional, position limit,
//! gross exposure, budget share, buying power, shorts, day trades, self-cross, order rate, open orders.
//!
//! Beside the limits of all, a strategy may have a [`Grant`] with tighter ones of its own.
//!
//! An exit, that is an order that takes from what is held and cannot turn it round, passes every gate that
//! bounds risk: frozen, paused, entries stopped, order stream, stale data, order notional, position limit,
//! gross exposure, budget share, buying power, and the price collar unless it is a limit far through the
//! market. What may stop an exit, and why:
//!
//! | gate | because |
//! |---|---|
//! | shape, supported, protective | the broker would not take it, or its price is a slip |
//! | duplicate id | it exists already |
//! | ownership | it is not the strategy's to sell |
//! | lease | a host without one sends nothing; the watchdog has the account then |
//! | reconciled | what is held is not known yet, so nothing is known to be an exit |
//! | session | the broker would queue it to the next open |
//! | price collar | a limit far through the market is a slip of a digit; a market order gets out |
//! | day trades | only with the rule of old on request: the broker would not take it |
//! | self-cross | it would meet an order of ours; cancel that first |
//! | order rate, open orders | a runaway of exits is a runaway |

mod approved;
mod day_trades;
mod gates;
mod grant;
mod limits;
mod situation;

pub use approved::Approved;
pub use day_trades::{BUSINESS_DAYS, DayTrades};
pub use gates::Gates;
pub use grant::Grant;
pub use limits::{DayTradeRule, LimitError, Limits, Overrides};
pub use situation::{DayTrading, LastPrice, OpenOrder, Situation};
