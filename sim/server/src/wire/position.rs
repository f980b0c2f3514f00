//! Positions.

use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Price, Qty, Symbol, Usd};
use sandpit_venue::VenuePosition;
use serde::Serialize;

use super::Text;
use crate::{
    listing,
    trading::today::{Standing, Today},
};

/// Decimals of a ratio.
const RATIO_DECIMALS: u32 = 10;

/// The position object. Shorts have negative quantities and values.
#[derive(Serialize)]
pub(crate) struct PositionJson<'a> {
    asset_id: &'a str,
    symbol: &'a Symbol,
    exchange: &'static str,
    asset_class: &'static str,
    asset_marginable: bool,
    qty: Text<Qty>,
    qty_available: Text<Qty>,
    avg_entry_price: Text<Price>,
    side: &'static str,
    market_value: Text<Usd>,
    cost_basis: Text<Usd>,
    unrealized_pl: Text<Usd>,
    unrealized_plpc: Text<Decimal>,
    unrealized_intraday_pl: Text<Usd>,
    unrealized_intraday_plpc: Text<Decimal>,
    current_price: Text<Price>,
    lastday_price: Option<Text<Price>>,
    change_today: Text<Decimal>,
}

impl<'a> PositionJson<'a> {
    /// A position, of a day that ends with the close at `until`.
    pub(crate) fn new(
        position: &'a VenuePosition,
        today: &Today,
        until: MarketTime,
        asset_marginable: bool,
    ) -> Self {
        let gain = ratio(position.unrealized_pl.get(), position.cost_basis.get().abs());
        let change = position
            .lastday_price
            .map_or(Decimal::ZERO, |last| ratio(position.current_price.get() - last.get(), last.get()));
        let standing = Standing {
            qty: position.qty,
            price: position.current_price,
            before: position.lastday_price.unwrap_or(position.avg_entry_price),
        };
        let (intraday, against) = today.profit(&position.symbol, standing, until);
        Self {
            asset_id: &position.asset_id,
            symbol: &position.symbol,
            exchange: listing::find(position.symbol.as_str()).exchange,
            asset_class: "us_equity",
            asset_marginable,
            qty: Text(position.qty),
            qty_available: Text(position.qty_available),
            avg_entry_price: Text(position.avg_entry_price),
            side: if position.qty.is_positive() { "long" } else { "short" },
            market_value: Text(position.market_value),
            cost_basis: Text(position.cost_basis),
            unrealized_pl: Text(position.unrealized_pl),
            unrealized_plpc: Text(gain),
            unrealized_intraday_pl: Text(intraday),
            unrealized_intraday_plpc: Text(ratio(intraday.get(), against.get())),
            current_price: Text(position.current_price),
            lastday_price: position.lastday_price.map(Text),
            change_today: Text(change),
        }
    }
}

/// A fraction (0.01 is one per cent); zero where there is nothing to compare with.
fn ratio(part: Decimal, whole: Decimal) -> Decimal {
    part.checked_div(whole).unwrap_or_default().round_dp(RATIO_DECIMALS).normalize()
}
