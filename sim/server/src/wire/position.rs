//! Positions.

use rust_decimal::Decimal;
use sandpit_types::{Price, Qty, Symbol, Usd};
use sandpit_venue::VenuePosition;
use serde::Serialize;

use super::Text;
use crate::listing;

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

impl<'a> From<&'a VenuePosition> for PositionJson<'a> {
    fn from(position: &'a VenuePosition) -> Self {
        let gain = ratio(position.unrealized_pl.get(), position.cost_basis.get().abs());
        let change = position
            .lastday_price
            .map_or(Decimal::ZERO, |last| ratio(position.current_price.get() - last.get(), last.get()));
        Self {
            asset_id: &position.asset_id,
            symbol: &position.symbol,
            exchange: listing::find(position.symbol.as_str()).exchange,
            asset_class: "us_equity",
            asset_marginable: true,
            qty: Text(position.qty),
            qty_available: Text(position.qty_available),
            avg_entry_price: Text(position.avg_entry_price),
            side: if position.qty.is_positive() { "long" } else { "short" },
            market_value: Text(position.market_value),
            cost_basis: Text(position.cost_basis),
            unrealized_pl: Text(position.unrealized_pl),
            unrealized_plpc: Text(gain),
            // Exact for what was opened today, which is all that the venue can tell apart.
            unrealized_intraday_pl: Text(position.unrealized_pl),
            unrealized_intraday_plpc: Text(gain),
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
