//! Why the venue says no, and how the broker words it (`code` and message as tabled for its API, 2026).

mod cancel;
mod http;
mod replace;

use rust_decimal::Decimal;
use sandpit_types::{BrokerOrderId, Price, Qty, Symbol, Usd};

pub use self::{
    cancel::{CancelReject, ForceReject},
    replace::ReplaceReject,
};
use crate::PositionIntent;

/// Why an order was not taken. Nothing changed; the client order id stays free.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// The quantity is not above zero.
    #[error("qty must be > 0")]
    QtyNotPositive,
    /// The quantity has more than nine decimals or is absurdly large.
    #[error("invalid qty")]
    QtyInvalid,
    /// The notional is not above zero, has more than nine decimals or is absurdly large.
    #[error("invalid notional")]
    NotionalInvalid,
    /// The notional is below 1 USD. (The message is the broker's as it was known to us; no record of 2026.)
    #[error("cost basis must be >= minimal amount of order 1")]
    NotionalTooSmall,
    /// A price is not above zero, or absurdly large.
    #[error("invalid {field} {price}")]
    PriceInvalid {
        /// Which one.
        field: &'static str,
        /// The price.
        price: Price,
    },
    /// A price lies between two ticks.
    #[error("invalid {field} {price}. sub-penny increment does not fulfill minimum pricing criteria")]
    SubPenny {
        /// Which one.
        field: &'static str,
        /// The price.
        price: Price,
    },
    /// A trail by price that is not above zero, or absurdly large.
    #[error("trail_price must be greater than 0")]
    TrailPriceInvalid,
    /// A trail by per cent below 0.1, or absurd.
    #[error("trail_percent must be greater than or equal to 0.1")]
    TrailPercentInvalid {
        /// The trail.
        trail_percent: Decimal,
    },
    /// A trailing stop with another time in force than day or GTC.
    #[error("trailing stop orders must be DAY or GTC orders")]
    TrailingTimeInForce,
    /// A trailing stop in a group.
    #[error("trailing stop orders must be simple orders")]
    TrailingNotSimple,
    /// A stop of any kind with another time in force than day or GTC.
    #[error("stop orders must be DAY or GTC orders")]
    StopTimeInForce,
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
    /// The symbol is not traded, or nothing is known of its price yet, so that the order cannot be valued.
    #[error("asset \"{symbol}\" is not tradable")]
    NotTradable {
        /// The symbol.
        symbol: Symbol,
    },
    /// The symbol comes in whole shares only.
    #[error("asset \"{symbol}\" is not fractionable")]
    NotFractionable {
        /// The symbol.
        symbol: Symbol,
    },
    /// The symbol cannot be borrowed.
    #[error("asset \"{symbol}\" cannot be sold short")]
    NotShortable {
        /// The symbol.
        symbol: Symbol,
    },
    /// The account configuration `fractional_trading` is off.
    #[error("account is not allowed to trade fractional shares")]
    FractionalOff,
    /// A fraction of a share or a notional with another time in force than day.
    #[error("fractional orders must be DAY orders")]
    FractionalNotDay,
    /// A fraction of a share or a notional in a group.
    #[error("fractional orders must be simple orders")]
    FractionalNotSimple,
    /// A fraction of a share or a notional in a trailing stop.
    #[error("fractional orders must be market, limit, stop, or stop_limit orders")]
    FractionalKind,
    /// A fraction of a share would be sold short.
    #[error("fractional orders cannot be sold short")]
    FractionalShort,
    /// Extended hours with another kind than limit, a time in force that is neither day nor GTC, or a group.
    #[error("extended hours order must be DAY or GTC limit orders")]
    ExtendedHours,
    /// An order for the open or the close that is neither market nor limit, or stands in a group.
    #[error("{time_in_force} orders must be market or limit orders")]
    AuctionKind {
        /// `opg` or `cls`.
        time_in_force: &'static str,
    },
    /// Too late for the open, too early for the next one.
    #[error("opg orders must be submitted after 7:00pm and before 9:28am")]
    OpgWindow,
    /// Too late for the close, too early for the next one.
    #[error("cls orders must be submitted after 7:00pm and before 3:50pm")]
    ClsWindow,
    /// A group with another time in force than day or GTC.
    #[error("{class} orders must be DAY or GTC orders")]
    ClassTimeInForce {
        /// The class.
        class: &'static str,
    },
    /// An entry of a group that is neither market nor limit.
    #[error("{class} orders must be entered with a market or limit order")]
    ClassKind {
        /// The class.
        class: &'static str,
    },
    /// An OCO that is not a limit order.
    #[error("oco orders must be limit orders")]
    OcoNotLimit,
    /// An OCO that would not close a position.
    #[error("oco orders must be exit orders")]
    OcoNotExit,
    /// The take-profit lies on the wrong side of the stop-loss.
    #[error("take_profit.limit_price must be {} stop_loss.stop_price", if *is_long { ">" } else { "<" })]
    TakeProfitPrice {
        /// Whether the exits sell.
        is_long: bool,
    },
    /// The stop-loss lies too near to the base price, or beyond it.
    #[error(
        "stop price must not be {} base price {} 1.001",
        if *is_long { "greater than" } else { "less than" },
        if *is_long { "/" } else { "*" }
    )]
    StopLossPrice {
        /// Whether the exits sell.
        is_long: bool,
    },
    /// The order does something else to the position than its sender says.
    #[error("position intent mismatch, inferred: {}, specified: {}", inferred.as_str(), specified.as_str())]
    IntentMismatch {
        /// What it does.
        inferred: PositionIntent,
        /// What it was to do.
        specified: PositionIntent,
    },
    /// The account owner suspended trading.
    #[error("new orders are rejected by user request")]
    Suspended,
    /// The account may only close positions: after a margin deficit that was not made good, or with positions
    /// worth more than six times its equity.
    #[error("account is restricted to liquidation only")]
    LiquidationOnly,
    /// The order would make the fourth day trade (the old rule, on request).
    #[error("trade denied due to pattern day trading protection")]
    PatternDayTrading,
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
        /// Whether that order is a market or stop order.
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
    /// A percentage to close that is not above 0 and at most 100.
    #[error("percentage must be between 0 and 100")]
    PercentInvalid,
    /// The venue holds as many orders as it can.
    #[error("the venue is full: it has taken {limit} orders; start it anew")]
    Full {
        /// How many that is.
        limit: usize,
    },
    /// The venue cannot do that yet.
    #[error("not offered yet")]
    NotOffered,
}
