//! Regulatory fees as they are booked.

use std::sync::Arc;

use jiff::civil::Date;
use sandpit_types::{MarketTime, Usd};

/// Which fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeeKind {
    /// The SEC's, on the worth of sales.
    Sec,
    /// FINRA's trading activity fee, on shares sold.
    Taf,
    /// The consolidated audit trail's, on shares bought and sold.
    Cat,
}

impl FeeKind {
    /// The activity's subtype.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sec => "REG",
            Self::Taf => "TAF",
            Self::Cat => "CAT",
        }
    }
}

/// One fee of one trading day, taken off the cash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeCharge {
    /// Its id, a UUID.
    pub id: Arc<str>,
    /// Which fee.
    pub kind: FeeKind,
    /// The day of the trades, in New York.
    pub date: Date,
    /// When it was booked.
    pub created_at: MarketTime,
    /// How much, above zero.
    pub amount: Usd,
    /// A line for a statement.
    pub description: String,
}
