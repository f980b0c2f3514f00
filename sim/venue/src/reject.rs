//! Why the venue says no, and how the broker words it (`code` and message as tabled for its API, 2026).

use sandpit_types::{BrokerOrderId, Price, Qty, Symbol, Usd};

use crate::OrderState;

/// Wrong parameters, the broker's code for them.
const PARAMETER: i64 = 40_010_001;
/// A request that is well formed and cannot be done.
const UNPROCESSABLE: i64 = 42_210_000;
/// The account may not do that.
const FORBIDDEN: i64 = 40_310_000;
/// There is no such thing.
const NOT_FOUND: i64 = 40_410_000;

/// Why an order was not taken. Nothing changed; the client order id stays free.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// The quantity is not above zero.
    #[error("qty must be > 0")]
    QtyNotPositive,
    /// The quantity has more than nine decimals or is absurdly large.
    #[error("invalid qty")]
    QtyInvalid,
    /// The limit price is not above zero, or absurdly large.
    #[error("invalid limit_price {limit_price}")]
    LimitPriceInvalid {
        /// The price.
        limit_price: Price,
    },
    /// The limit price lies between two ticks.
    #[error(
        "invalid limit_price {limit_price}. sub-penny increment does not fulfill minimum pricing criteria"
    )]
    SubPenny {
        /// The price.
        limit_price: Price,
    },
    /// The client order id has more than 128 characters.
    #[error("client_order_id must be no more than 128 characters")]
    ClientOrderIdTooLong,
    /// The client order id was used before, by an order that may be done since.
    #[error("client_order_id must be unique")]
    ClientOrderIdUsed,
    /// The venue does not know the symbol.
    #[error("asset \"{symbol}\" not found")]
    UnknownSymbol {
        /// The symbol.
        symbol: Symbol,
    },
    /// Nothing is known of the symbol's price yet, so the order cannot be valued.
    #[error("asset \"{symbol}\" is not tradable")]
    NoPrice {
        /// The symbol.
        symbol: Symbol,
    },
    /// A fraction of a share with another time in force than day.
    #[error("fractional orders must be DAY orders")]
    FractionalNotDay,
    /// A fraction of a share would be sold short.
    #[error("fractional orders cannot be sold short")]
    FractionalShort,
    /// Extended hours with another kind than limit, or a time in force that is neither day nor GTC.
    #[error("extended hours order must be DAY or GTC limit orders")]
    ExtendedHours,
    /// The account owner suspended trading.
    #[error("new orders are rejected by user request")]
    Suspended,
    /// The account cannot pay for it.
    #[error("insufficient buying power")]
    BuyingPower {
        /// What may still be bought.
        buying_power: Usd,
        /// What the order would hold.
        cost_basis: Usd,
    },
    /// More shares than are held and not reserved by open orders. Also an order that would flip the position.
    #[error("insufficient qty available for order (requested: {requested}, available: {available})")]
    QtyNotAvailable {
        /// The symbol.
        symbol: Symbol,
        /// Shares asked for.
        requested: Qty,
        /// Shares held and not reserved, without sign.
        available: Qty,
        /// Shares held, without sign.
        existing: Qty,
        /// Shares reserved.
        held_for_orders: Qty,
        /// The orders that reserve them.
        related_orders: Vec<BrokerOrderId>,
    },
    /// It could meet an open order of the account on the other side.
    #[error("potential wash trade detected. use complex orders")]
    WashTrade {
        /// That order.
        existing_order_id: BrokerOrderId,
        /// Whether that order is a market order.
        existing_is_market: bool,
    },
    /// A short sale from a flat position while a buy is open.
    #[error("cannot open a short sell while a long buy order is open")]
    ShortWhileBuyOpen,
    /// A buy from a flat position while a short sale is open.
    #[error("cannot open a long buy while a short sell order is open")]
    BuyWhileShortOpen,
    /// Shorting is off, or the equity is too small for it.
    #[error("account is not allowed to short")]
    ShortNotAllowed,
    /// There is no position to close.
    #[error("position does not exist")]
    NoPosition,
    /// The venue holds as many orders as it can.
    #[error("the venue is full: it has taken {limit} orders; start it anew")]
    Full {
        /// How many that is.
        limit: usize,
    },
}

impl Reject {
    /// HTTP status, the broker's code and the message.
    pub fn http(&self) -> (u16, Option<i64>, String) {
        let (status, code) = match self {
            Self::QtyNotPositive
            | Self::QtyInvalid
            | Self::LimitPriceInvalid { .. }
            | Self::ClientOrderIdTooLong => (422, PARAMETER),
            Self::SubPenny { .. }
            | Self::ClientOrderIdUsed
            | Self::UnknownSymbol { .. }
            | Self::NoPrice { .. }
            | Self::FractionalNotDay
            | Self::FractionalShort
            | Self::ExtendedHours => (422, UNPROCESSABLE),
            Self::Suspended
            | Self::BuyingPower { .. }
            | Self::QtyNotAvailable { .. }
            | Self::WashTrade { .. }
            | Self::ShortWhileBuyOpen
            | Self::BuyWhileShortOpen
            | Self::ShortNotAllowed
            | Self::Full { .. } => (403, FORBIDDEN),
            Self::NoPosition => (404, NOT_FOUND),
        };
        (status, Some(code), self.to_string())
    }

    /// Further text fields of the error body: name and value.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::BuyingPower { buying_power, cost_basis } => {
                vec![("buying_power", buying_power.to_string()), ("cost_basis", cost_basis.to_string())]
            }
            Self::QtyNotAvailable { symbol, available, existing, held_for_orders, .. } => vec![
                ("available", available.to_string()),
                ("existing_qty", existing.to_string()),
                ("held_for_orders", held_for_orders.to_string()),
                ("symbol", symbol.to_string()),
            ],
            Self::WashTrade { existing_order_id, existing_is_market } => {
                let kind = if *existing_is_market { "market/stop" } else { "limit" };
                vec![
                    ("existing_order_id", existing_order_id.to_string()),
                    ("reject_reason", format!("opposite side {kind} order exists")),
                ]
            }
            Self::QtyNotPositive
            | Self::QtyInvalid
            | Self::LimitPriceInvalid { .. }
            | Self::SubPenny { .. }
            | Self::ClientOrderIdTooLong
            | Self::ClientOrderIdUsed
            | Self::UnknownSymbol { .. }
            | Self::NoPrice { .. }
            | Self::FractionalNotDay
            | Self::FractionalShort
            | Self::ExtendedHours
            | Self::Suspended
            | Self::ShortWhileBuyOpen
            | Self::BuyWhileShortOpen
            | Self::ShortNotAllowed
            | Self::NoPosition
            | Self::Full { .. } => Vec::new(),
        }
    }

    /// The field `related_orders` of the error body, an array of ids; empty when the body has none.
    pub fn related_orders(&self) -> &[BrokerOrderId] {
        if let Self::QtyNotAvailable { related_orders, .. } = self { related_orders } else { &[] }
    }
}

/// Why a cancel was not taken. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CancelReject {
    /// No order has this id.
    #[error("order not found for {id}")]
    NotFound {
        /// The id.
        id: BrokerOrderId,
    },
    /// The order is done: look at it to see how.
    #[error("order is already in \"{}\" state", state.as_str())]
    Terminal {
        /// Where it stands.
        state: OrderState,
    },
}

impl CancelReject {
    /// HTTP status, the broker's code and the message.
    pub fn http(&self) -> (u16, Option<i64>, String) {
        let (status, code) = match self {
            Self::NotFound { .. } => (404, NOT_FOUND),
            Self::Terminal { .. } => (422, UNPROCESSABLE),
        };
        (status, Some(code), self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_words() {
        let check = |reject: Reject, http: (u16, i64), message: &str, fields: &[(&str, &str)]| {
            assert_eq!(reject.http(), (http.0, Some(http.1), message.to_owned()));
            let got = reject.fields();
            let got: Vec<(&str, &str)> = got.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(got, fields, "{reject:?}");
        };
        let price = |text: &str| text.parse::<Price>().expect("a price");
        let id = || BrokerOrderId::new("b0b6dd9d-8b9b-48a9-ba46-b9d54906e415");
        check(
            Reject::SubPenny { limit_price: price("290.123") },
            (422, 42_210_000),
            "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
            &[],
        );
        check(
            Reject::BuyingPower {
                buying_power: "10.5".parse().expect("money"),
                cost_basis: "20".parse().expect("money"),
            },
            (403, 40_310_000),
            "insufficient buying power",
            &[("buying_power", "10.5"), ("cost_basis", "20")],
        );
        let short = Reject::QtyNotAvailable {
            symbol: Symbol::new("AAPL"),
            requested: "16".parse().expect("qty"),
            available: Qty::ZERO,
            existing: "16".parse().expect("qty"),
            held_for_orders: "16".parse().expect("qty"),
            related_orders: vec![id()],
        };
        assert_eq!(short.related_orders(), [id()]);
        check(
            short,
            (403, 40_310_000),
            "insufficient qty available for order (requested: 16, available: 0)",
            &[("available", "0"), ("existing_qty", "16"), ("held_for_orders", "16"), ("symbol", "AAPL")],
        );
        check(
            Reject::WashTrade { existing_order_id: id(), existing_is_market: true },
            (403, 40_310_000),
            "potential wash trade detected. use complex orders",
            &[
                ("existing_order_id", id().as_str()),
                ("reject_reason", "opposite side market/stop order exists"),
            ],
        );
        check(
            Reject::UnknownSymbol { symbol: Symbol::new("ZZZZ") },
            (422, 42_210_000),
            "asset \"ZZZZ\" not found",
            &[],
        );
        check(Reject::NoPosition, (404, 40_410_000), "position does not exist", &[]);
        check(Reject::Suspended, (403, 40_310_000), "new orders are rejected by user request", &[]);
    }

    #[test]
    fn cancels_in_the_brokers_words() {
        let filled = CancelReject::Terminal { state: OrderState::Filled };
        assert_eq!(filled.http(), (422, Some(42_210_000), "order is already in \"filled\" state".to_owned()));
        let unknown = CancelReject::NotFound { id: BrokerOrderId::new("x") };
        assert_eq!(unknown.http(), (404, Some(40_410_000), "order not found for x".to_owned()));
    }
}
