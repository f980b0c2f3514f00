//! What may be done with a symbol.

use sandpit_types::Symbol;

/// A symbol and its permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Which symbol.
    pub symbol: Symbol,
    /// Whether orders are taken.
    pub tradable: bool,
    /// Whether it comes in fractions of a share.
    pub fractionable: bool,
    /// Whether it can be sold short.
    pub shortable: bool,
    /// Whether it is bought on margin; otherwise all of its worth is margin.
    pub marginable: bool,
}

impl Listing {
    /// With every permission.
    pub const fn open(symbol: Symbol) -> Self {
        Self { symbol, tradable: true, fractionable: true, shortable: true, marginable: true }
    }
}
