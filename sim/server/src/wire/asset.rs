//! Assets: what can be traded.

use sandpit_types::Symbol;
use serde::Serialize;

use super::Null;
use crate::listing;

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
    attributes: [&'static str; 0],
    maintenance_margin_requirement: u32,
    margin_requirement_long: &'static str,
    margin_requirement_short: &'static str,
    cusip: Null,
}

impl<'a> AssetJson<'a> {
    /// The asset of a symbol that the venue trades under this id.
    pub(crate) fn new(symbol: &'a Symbol, id: &'a str) -> Self {
        let listing = listing::find(symbol.as_str());
        Self {
            id,
            class: "us_equity",
            exchange: listing.exchange,
            symbol: symbol.as_str(),
            name: if listing.name.is_empty() { symbol.as_str() } else { listing.name },
            status: "active",
            tradable: true,
            marginable: true,
            shortable: true,
            easy_to_borrow: true,
            borrow_status: "easy_to_borrow",
            fractionable: true,
            attributes: [],
            maintenance_margin_requirement: 30,
            margin_requirement_long: "30",
            margin_requirement_short: "30",
            cusip: Null::default(),
        }
    }

    /// The listing exchange, in the broker's words.
    pub(crate) fn exchange(&self) -> &'static str {
        self.exchange
    }
}
