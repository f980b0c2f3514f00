//! Assets: what can be traded.

use sandpit_types::Symbol;
use sandpit_venue::Listing;
use serde::Serialize;

use super::Null;
use crate::listing;

/// Symbols of the synthetic market that come in whole shares only, so that clients meet the refusal.
const WHOLE_SHARES: [&str; 2] = ["DIA", "UNH"];
/// Symbols that cannot be borrowed.
const HARD_TO_BORROW: [&str; 2] = ["DIS", "UNH"];

/// What may be done with a symbol. One that the synthetic market does not list has every permission.
pub(crate) fn permissions(symbol: &Symbol) -> Listing {
    Listing {
        fractionable: !WHOLE_SHARES.contains(&symbol.as_str()),
        shortable: !HARD_TO_BORROW.contains(&symbol.as_str()),
        ..Listing::open(symbol.clone())
    }
}

/// The asset object. Its class is called `class` here, not `asset_class`.
#[derive(Serialize)]
pub(crate) struct AssetJson<'a> {
    id: &'a str,
    class: &'static str,
    exchange: &'static str,
    symbol: &'a str,
    name: &'a str,
    status: &'static str,
    tradable: bool,
    marginable: bool,
    shortable: bool,
    easy_to_borrow: bool,
    borrow_status: &'static str,
    fractionable: bool,
    attributes: &'static [&'static str],
    maintenance_margin_requirement: u32,
    margin_requirement_long: &'static str,
    margin_requirement_short: &'static str,
    cusip: Null,
}

impl<'a> AssetJson<'a> {
    /// The asset of a symbol that the venue trades under this id.
    pub(crate) fn new(symbol: &'a Symbol, id: &'a str) -> Self {
        let listing = listing::find(symbol.as_str());
        let may = permissions(symbol);
        Self {
            id,
            class: "us_equity",
            exchange: listing.exchange,
            symbol: symbol.as_str(),
            name: if listing.name.is_empty() { symbol.as_str() } else { listing.name },
            status: "active",
            tradable: may.tradable,
            marginable: may.marginable,
            shortable: may.shortable,
            easy_to_borrow: may.shortable,
            borrow_status: if may.shortable { "easy_to_borrow" } else { "hard_to_borrow" },
            fractionable: may.fractionable,
            attributes: match (listing.name.is_empty(), may.fractionable) {
                // Nothing is known of a symbol out of somebody's data.
                (true, _) => &[],
                (false, true) => &["fractional_eh_enabled", "has_options", "overnight_tradable"],
                (false, false) => &["has_options", "overnight_tradable"],
            },
            maintenance_margin_requirement: if may.marginable { 30 } else { 100 },
            margin_requirement_long: if may.marginable { "30" } else { "100" },
            margin_requirement_short: "30",
            cusip: Null::default(),
        }
    }

    /// Whether it has one of these attributes.
    pub(crate) fn has_any(&self, attributes: &[&str]) -> bool {
        attributes.iter().any(|wanted| self.attributes.contains(wanted))
    }

    /// The listing exchange, in the broker's words.
    pub(crate) fn exchange(&self) -> &'static str {
        self.exchange
    }
}
