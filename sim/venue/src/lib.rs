//! The simulated broker's heart: a matching engine, an exchange calendar and account rules.
//!
//! Pure, seeded and in virtual time: nothing here reads a clock, draws unseeded chance or does I/O. The same
//! seed and the same calls give the same events, byte for byte. The server (`sandpit-sim`) and the host's
//! dry-run mode put wires on it.
//!
//! # Time
//! The venue's clock is the newest time it was told and never goes back. Before a call does its own work, all
//! that falls due until its time happens, instant by instant. At one instant: first the fees of a day that is
//! over; then, if a regular session ends, the closing auction (`cls` orders); then arrivals of orders, of
//! cancels, of replaces, then ends of orders (each in order of submission); then the change of phase; then
//! the call. A bar whose end is a change of phase comes in the last nanosecond before it: its minute belongs
//! to the phase that ends. A working order takes part in the regular session, one with `extended_hours`
//! before and after it too.
//!
//! At a close: `cls` orders, then ends of orders (a take-profit expires, its stop-loss is canceled at once),
//! then last equity and margin are noted. When a phase begins: what was shown is forgotten, orders set aside
//! for the day come back (sessions only), then queued orders become `new`, in order of submission.
//!
//! # Order of the checks
//! quantity or notional; prices (stop before limit) and trail; length of the client order id; extended hours;
//! fraction (day, simple, kind); trailing stop (time, simple); opg/cls kind; stop's time in force; class
//! (time, kind of the entry, take-profit, stop, stop's limit); suspended; client order id used; venue full;
//! symbol known, tradable, fractionable, by notional some price known; an opposite order open while flat;
//! fraction short; shorts allowed; symbol shortable; position intent; shares free; fractions allowed (to
//! open); account restricted; OCO must close and every other group must open; exits' prices; wash; opg/cls
//! hours (of the close: until ten minutes before it); day trades; a price to value it; buying power.
//!
//! # Rules of the fills
//! * A quote shows a size on each side. Our orders take from it in price-time priority (market orders first;
//!   time is the order of submission), and what is taken is gone until the next quote of that symbol. Buys
//!   are matched before sells. A quote that is older than the standing one changes nothing.
//! * A limit order takes what is shown at its limit or better and waits with the rest. It never fills through
//!   its limit, and its price is the quote's, never a better one that nobody showed.
//! * A market order fills wholly against one quote: the part beyond the size shown costs one tick more (0.01
//!   from 1 USD upwards, else 0.0001; a sale never below 0.0001). Without a quote it waits for one.
//! * An order with a fraction of a share, or by notional, is filled by the broker: wholly, at the price
//!   shown, whatever the size, of which it takes nothing. By notional: `notional / price` cut to nine
//!   decimals; a closing one never more than the shares it reserved and those that are free. These are its
//!   shares at the standing bid (a purchase that covers: offer; else the mark, else what the position cost on
//!   average) at submission.
//! * `ioc` takes what it can at once, the rest is `canceled`; `fok` (with a limit) all or nothing. Sent for a
//!   session to come, both meet its first quote.
//! * `opg` waits for the regular session, meets its first quote once, the rest is `canceled`; with a calendar
//!   that never closes it is as `ioc`. `cls` rests and meets the standing quote at the end of the session, in
//!   price-time priority with its like, the rest is `canceled`. It is `new` as soon as its session is on.
//!   Immediate orders, `opg` and `cls` that never met a quote are `canceled` at the close.
//! * A symbol that has bars but no quotes is quoted one tick wide around the close of its last bar (bid at
//!   the close), a tenth of its volume on each side, at least 100.
//! * What was quoted before a phase (pre-market, session) began is not for sale in it: orders meet its first
//!   quote. The same after a halt. In a halt nothing of the symbol fills or is elected: `ioc` and `fok` are
//!   canceled at once, `opg` waits for a quote after it, `cls` at a halted close is canceled.
//! * Orders of ours never trade with each other.
//!
//! # Stops
//! * Elected in the regular session only, by a trade at or through the stop. The trade counts when it is not
//!   older than the newest trade or bar (or it does not even mark) and lies within the standing real quote of
//!   this phase (bid <= price <= ask, a side without a price does not bind); without such a quote it always
//!   counts. One that does not count is the mark all the same. A symbol that never had a trade (of any age)
//!   elects by bars that began and ended in the session: high >= a buy's stop, low <= a sell's.
//! * Elected in order of submission; with each its side is matched at once, in priority, before the next is
//!   looked at. There is no event. A
//!   sell stop becomes a market order, a buy stop a limit order at stop * 1.04 (below 50 USD) or stop *
//!   1.025, rounded up to the tick; a stop-limit its limit order; a trailing stop a market order. A bar shows
//!   its quote first, then elects, then the rest is matched.
//! * A trailing stop starts from the mark (last trade or bar, else the middle of the quote) when it begins to
//!   work. Each price that counts first elects, then moves the best price (sell: highest, buy: lowest; a bar
//!   counts with its high or low), and the stop is best -/+ trail or best * (1 -/+ per cent), rounded to the
//!   nearest tick (half away from zero), at least 0.0001.
//!
//! # Groups
//! * Legs exist from the start: `held`, the other side, same quantity and time in force, reserving nothing.
//! * Bracket and OTO: when the entry has filled completely, the take-profit (or the one leg) becomes `new`
//!   and its side is matched at once, in priority, before the next order of the entry's side is looked at;
//!   the stop-loss beside a take-profit stays `held` and can be elected. The exits shrink to the whole shares
//!   that are free then; if there are none the first exit is `rejected`. The entry ends without being filled:
//!   its legs are `canceled`. Entries that would close a position are refused.
//! * OCO: the order itself is the take-profit; its stop-loss can be elected from the moment it works.
//! * A take-profit fills in part: the stop-loss' quantity becomes what is left of it. An exit is filled or
//!   ends: the other one is `canceled`. A stop-loss is elected: the take-profit is `canceled`, then the
//!   stop-loss becomes `new` and is matched.
//! * The base of a stop-loss is the entry's limit, for a market entry the mark, of an OCO both its limit and
//!   the mark; without a mark that is not checked. The stop stays away from it by a thousandth and by a cent.
//!   A replace that changes the entry's limit, an OCO's limit or the stop is checked so too, a stop whose
//!   entry has filled against the mark.
//!
//! # From outside
//! `done_for_day` and `calculated` orders come back (`new`) when the next regular session begins, `suspended`
//! ones only when they are told to; both meet the quote that stands then, if it may be met, and immediate
//! ones end with that. Until then they do not fill, be a cancel under way or not. `stopped` fills.
//!
//! # Replaces
//! `replaced` of the old order, then `new` of the new one, which carries the fills on (its `qty` is the
//! total) and has new time priority. A held leg is replaced by a held one. A stop is elected anew, a trailing
//! stop starts anew from the mark. Groups keep the end of their time. A price that the kind has not is
//! refused before quantities; nothing is asked again about shorts, intent and, if the time in force stays,
//! hours; a restricted account may not raise what an order holds. An order that sleeps between sessions is
//! replaced at once and sleeps on, as `new`; one that becomes `ioc`, `fok` or `opg` is queued for the
//! session, and one of these that waits for its first quote waits on when it is replaced. With latency:
//! `pending_replace` until the replace arrives; if the old order is over by then, or the new quantity filled:
//! `order_replace_rejected` of the old one and `rejected` of the new one.
//!
//! # Realism
//! * exact: the above.
//! * paper: sizes do not count, nothing costs a tick more. Of the eligible fills (not `fok`, not by notional,
//!   more than one share left) one in ten is a random whole number of shares, at least one and not all; the
//!   rest waits for the next quote or trade of the symbol.
//! * live: sizes count and the market goes on: behind the size shown come blocks of the same size (100 if
//!   none is shown, and then the first costs a tick more too), each one tick worse, for market orders and
//!   within their limit for limit orders; behind the fiftieth block the rest of a market order costs what
//!   that cost. Market orders, elected stops and trailing stops slip 1 to 3 bp against the client, rounded to
//!   the tick against it, never through the limit of an elected buy stop. Quotes made from bars are at least
//!   2 bp wide. Orders, cancels and replaces take 20 to 80 ms to arrive while a session is on; legs need no
//!   way.
//!
//! # Money
//! * A closing execution realises its proceeds less its share of the position's cost, in proportion to the
//!   quantity and rounded to nine decimals; the last one takes what is left.
//! * Open buys hold limit * quantity; market buys the offer and one tick, and when they wait for a session or
//!   its close, or fills may stray (live), the offer * 1.04 (below 50 USD) or * 1.025 if that is more; stops
//!   the most they become, trailing buys that of their first stop; notional the notional; short sales
//!   max(limit or stop, offer * 1.03). While a replace is under way the larger of both orders is held.
//!   Closing orders reserve their shares; two exits of a group once. The price per share is settled at
//!   submission, what an order holds is rounded up to nine decimals. Offer: the standing one however old,
//!   else the mark.
//! * Power = equity * multiplier - worth of positions (without sign), at least zero, - held, at least zero.
//!   What is not marginable counts multiplier times, as a position and as an order; an order for it may cost
//!   that part of the power. The multiplier is 1 below 2000 USD of equity or at the owner's wish, else 2.
//!   From 2026-06-04 on (New York) it is 4 unless the owner wished for less, and in pre-market and regular
//!   session power is then 4 * (last equity - last maintenance margin) - what all positions together are
//!   worth more than at the last close, at least zero, - held, at least zero; but never more than four times
//!   the present equity leaves beside positions and orders.
//! * The old day-trade rule, on request: a day trade is a closing execution in a symbol in which something
//!   was opened since the trading day began (pre-market; midnight with a calendar that never closes) and not
//!   yet counted. Four within five trading days make a pattern day trader for good, whose multiplier is 4
//!   with 25 000 USD of last equity (power as above). With three of them and less last equity, `entry`
//!   refuses orders that open, `exit` those that would close what was opened today, `both` both.
//! * Initial margin above equity at five closes in a row (with intraday margin) restricts the account to
//!   closing orders for 90 days; so do positions above six times the equity while they are.
//! * Fees (live): SEC and TAF on sales, CAT on both sides, by a dated table, summed per New York day and
//!   kind, rounded up to the cent, booked at the next midnight in New York. The event of a fill says what
//!   that execution adds, before the rounding.
//!
//! # Long runs
//! The venue keeps every order until it is told to forget ([`Venue::forget_closed_before`]): the oldest that
//! are over, up to the first that is open, too new or needed by an open one (of its group, about to be
//! replaced by it, with a request under way). Asked about a forgotten one it knows of none, and its client
//! order id is free again; ids never come twice. Nothing else changes. Booked fees are kept: at most three a
//! day. An event of the market costs by the open orders of its symbol, the account by the open positions.

pub mod calendar;

mod account;
mod book;
mod config;
mod fee;
mod ids;
mod kept;
mod ledger;
mod listing;
mod order;
mod realism;
mod reject;
mod tape;
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
