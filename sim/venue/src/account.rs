//! The account and its positions as the venue reports them.

use std::sync::Arc;

use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Price, Qty, Symbol, Usd};

/// Decimals kept of an average price.
const AVERAGE_DECIMALS: u32 = 9;

/// Money and permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueAccount {
    /// The account's id, a UUID.
    pub id: Arc<str>,
    /// The account's number, as on statements.
    pub account_number: Arc<str>,
    /// When it was made.
    pub created_at: MarketTime,
    /// Cash; negative on margin. Includes the proceeds of short sales.
    pub cash: Usd,
    /// Cash plus market values.
    pub equity: Usd,
    /// Equity at the last close of a regular session; the starting cash before the first.
    pub last_equity: Usd,
    /// Worth of what is held long.
    pub long_market_value: Usd,
    /// Worth of what is held short, negative.
    pub short_market_value: Usd,
    /// What the positions demand to be opened: half of their worth.
    pub initial_margin: Usd,
    /// What the positions demand to be kept.
    pub maintenance_margin: Usd,
    /// What they demanded at the last close of a regular session.
    pub last_maintenance_margin: Usd,
    /// Equity that no initial margin binds, at least zero (the venue keeps no special memorandum account).
    pub sma: Usd,
    /// Fees of the day that are not booked yet.
    pub accrued_fees: Usd,
    /// What may still be bought on margin, open orders taken off.
    pub buying_power: Usd,
    /// The same by Regulation T: twice the equity, at every hour.
    pub regt_buying_power: Usd,
    /// The same for positions that are closed before the session ends: four times the last equity less the
    /// last maintenance margin, where the account may use that; else as `regt_buying_power`.
    pub intraday_buying_power: Usd,
    /// What may still be bought without margin, open orders taken off.
    pub non_marginable_buying_power: Usd,
    /// What the open orders that open would cost.
    pub held_for_orders: Usd,
    /// How far equity reaches: 4 with intraday margin, 2 on margin, 1 below 2000 USD of equity.
    pub multiplier: u32,
    /// Day trades within the last five sessions; only under the old rule.
    pub day_trade_count: u32,
    /// Whether there were four of them at some time; only under the old rule.
    pub pattern_day_trader: bool,
    /// Whether only closing orders are taken.
    pub restricted: bool,
    /// Profit and loss of everything closed since the start.
    pub realized_pl: Usd,
    /// Whether short sales are allowed now.
    pub shorting_enabled: bool,
    /// Whether the owner suspended trading.
    pub suspended: bool,
}

/// What the account holds of one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenuePosition {
    /// Which symbol.
    pub symbol: Symbol,
    /// The symbol's id, a UUID.
    pub asset_id: Arc<str>,
    /// Shares; negative when short. Never zero.
    pub qty: Qty,
    /// Shares not reserved by open orders, with the position's sign.
    pub qty_available: Qty,
    /// Average price paid, to nine decimals.
    pub avg_entry_price: Price,
    /// What was paid for it; negative when short.
    pub cost_basis: Usd,
    /// Price it is marked at: the last trade, else the middle of the quote, else what was paid.
    pub current_price: Price,
    /// What it is worth; negative when short.
    pub market_value: Usd,
    /// Profit and loss since it was opened.
    pub unrealized_pl: Usd,
    /// Mark at the last close of a regular session, if the venue saw one.
    pub lastday_price: Option<Price>,
}

/// `units` of `10^-scale`, in a constant.
pub(crate) const fn decimal(units: u32, scale: u32) -> Decimal {
    Decimal::from_parts(units, 0, 0, false, scale)
}

/// `cost / qty` without sign, to nine decimals; `None` for no shares.
pub(crate) fn average(cost: Usd, qty: Qty) -> Option<Price> {
    let price = cost.get().abs().checked_div(qty.get().abs())?;
    Some(Price::new(price.round_dp(AVERAGE_DECIMALS).normalize()))
}
