//! A reject as an HTTP answer: status, code, message, further fields.

use sandpit_types::BrokerOrderId;

use crate::Reject;

/// Wrong parameters, the broker's code for them.
pub(super) const PARAMETER: i64 = 40_010_001;
/// A request that is well formed and cannot be done.
pub(super) const UNPROCESSABLE: i64 = 42_210_000;
/// The account may not do that.
pub(super) const FORBIDDEN: i64 = 40_310_000;
/// Pattern day trading (the old rule).
const DAY_TRADES: i64 = 40_310_100;
/// There is no such thing.
pub(super) const NOT_FOUND: i64 = 40_410_000;

impl Reject {
    /// HTTP status, the broker's code and the message.
    pub fn http(&self) -> (u16, Option<i64>, String) {
        let (status, code) = match self {
            Self::QtyNotPositive
            | Self::QtyInvalid
            | Self::NotionalInvalid
            | Self::PriceInvalid { .. }
            | Self::TrailPriceInvalid
            | Self::TrailPercentInvalid { .. }
            | Self::ClientOrderIdTooLong
            | Self::PercentInvalid
            | Self::NotOffered => (422, PARAMETER),
            Self::SubPenny { .. }
            | Self::TrailingTimeInForce
            | Self::TrailingNotSimple
            | Self::StopTimeInForce
            | Self::ClientOrderIdUsed
            | Self::UnknownSymbol { .. }
            | Self::NotTradable { .. }
            | Self::FractionalNotDay
            | Self::FractionalNotSimple
            | Self::FractionalKind
            | Self::FractionalShort
            | Self::ExtendedHours
            | Self::AuctionKind { .. }
            | Self::ClassTimeInForce { .. }
            | Self::ClassKind { .. }
            | Self::OcoNotLimit
            | Self::OcoNotExit
            | Self::TakeProfitPrice { .. }
            | Self::StopLossPrice { .. }
            | Self::IntentMismatch { .. } => (422, UNPROCESSABLE),
            Self::NotionalTooSmall
            | Self::NotFractionable { .. }
            | Self::NotShortable { .. }
            | Self::FractionalOff
            | Self::OpgWindow
            | Self::ClsWindow
            | Self::Suspended
            | Self::LiquidationOnly
            | Self::BuyingPower { .. }
            | Self::QtyNotAvailable { .. }
            | Self::WashTrade { .. }
            | Self::ShortWhileBuyOpen
            | Self::BuyWhileShortOpen
            | Self::ShortNotAllowed
            | Self::Full { .. } => (403, FORBIDDEN),
            Self::PatternDayTrading => (403, DAY_TRADES),
            Self::NoPosition => (404, NOT_FOUND),
        };
        (status, Some(code), self.to_string())
    }

    /// Further text fields of the error body: name and value.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        if let Self::BuyingPower { buying_power, cost_basis } = self {
            return vec![("buying_power", buying_power.to_string()), ("cost_basis", cost_basis.to_string())];
        }
        if let Self::QtyNotAvailable { symbol, available, existing, held_for_orders, .. } = self {
            return vec![
                ("available", available.to_string()),
                ("existing_qty", existing.to_string()),
                ("held_for_orders", held_for_orders.to_string()),
                ("symbol", symbol.to_string()),
            ];
        }
        if let Self::WashTrade { existing_order_id, existing_is_market } = self {
            let kind = if *existing_is_market { "market/stop" } else { "limit" };
            return vec![
                ("existing_order_id", existing_order_id.to_string()),
                ("reject_reason", format!("opposite side {kind} order exists")),
            ];
        }
        Vec::new()
    }

    /// The field `related_orders` of the error body, an array of ids; empty when the body has none.
    pub fn related_orders(&self) -> &[BrokerOrderId] {
        if let Self::QtyNotAvailable { related_orders, .. } = self { related_orders } else { &[] }
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{Price, Qty, Symbol};

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
            Reject::SubPenny { field: "limit_price", price: price("290.123") },
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
}
