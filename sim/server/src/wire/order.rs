//! Orders: the body of `POST /v2/orders`, the order object, and trade updates.

use std::borrow::Cow;

use sandpit_types::{BrokerOrderId, ExecutionId, MarketTime, Price, Qty, Side, Symbol};
use sandpit_venue::{Amount, Class, NewOrder, OrderKind, TimeInForce, VenueEvent, VenueOrder};
use serde::{Deserialize, Serialize};

use super::{Null, Text};
use crate::rest::ApiError;

/// A decimal that a client may send as a JSON number or as a string.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Decimal<'a> {
    Number(serde_json::Number),
    Text(#[serde(borrow)] Cow<'a, str>),
}

impl Decimal<'_> {
    fn parse<T: std::str::FromStr>(&self, field: &str) -> Result<T, ApiError> {
        let parsed = match self {
            Self::Number(number) => number.to_string().parse(),
            Self::Text(text) => text.parse(),
        };
        parsed.map_err(|_| ApiError::parameter(format!("invalid {field}")))
    }
}

/// What a client asks for. Fields that are not offered are read so that they can be refused by name.
#[derive(Debug, Deserialize)]
pub(crate) struct OrderBody<'a> {
    #[serde(borrow)]
    symbol: Option<Cow<'a, str>>,
    #[serde(borrow)]
    qty: Option<Decimal<'a>>,
    #[serde(borrow)]
    notional: Option<Decimal<'a>>,
    #[serde(borrow)]
    side: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time_in_force: Option<Cow<'a, str>>,
    #[serde(borrow)]
    limit_price: Option<Decimal<'a>>,
    #[serde(borrow)]
    stop_price: Option<Decimal<'a>>,
    extended_hours: Option<bool>,
    client_order_id: Option<String>,
    #[serde(borrow)]
    order_class: Option<Cow<'a, str>>,
}

impl OrderBody<'_> {
    /// The order for the venue; `resolve` turns a symbol or asset id into a symbol.
    ///
    /// # Errors
    /// When a field is missing, wrong, or asks for what is not offered.
    pub(crate) fn into_order(self, resolve: impl FnOnce(&str) -> Symbol) -> Result<NewOrder, ApiError> {
        let Some(symbol) = self.symbol.as_deref().filter(|symbol| !symbol.is_empty()) else {
            return Err(ApiError::parameter("symbol is required"));
        };
        if !matches!(self.order_class.as_deref(), None | Some("" | "simple")) {
            return Err(ApiError::parameter("invalid order_class"));
        }
        Ok(NewOrder {
            symbol: resolve(symbol),
            side: self.side()?,
            amount: Amount::Qty(self.shares()?),
            kind: self.kind()?,
            time_in_force: self.time_in_force()?,
            extended_hours: self.extended_hours.unwrap_or(false),
            client_order_id: self.client_order_id.filter(|id| !id.is_empty()),
            class: Class::Simple,
            position_intent: None,
        })
    }

    fn side(&self) -> Result<Side, ApiError> {
        match self.side.as_deref() {
            Some("buy") => Ok(Side::Buy),
            Some("sell") => Ok(Side::Sell),
            _ => Err(ApiError::parameter("invalid side")),
        }
    }

    fn shares(&self) -> Result<Qty, ApiError> {
        match (&self.qty, &self.notional) {
            (Some(qty), None) => qty.parse("qty"),
            (None, None) => Err(ApiError::parameter("qty or notional is required")),
            (Some(_), Some(_)) => Err(ApiError::parameter("only one of qty or notional is accepted")),
            (None, Some(_)) => {
                Err(ApiError::parameter("invalid notional: orders by notional are not offered"))
            }
        }
    }

    fn kind(&self) -> Result<OrderKind, ApiError> {
        let limit_price =
            self.limit_price.as_ref().map(|price| price.parse::<Price>("limit_price")).transpose()?;
        match (self.kind.as_deref(), limit_price, &self.stop_price) {
            (Some("market"), None, None) => Ok(OrderKind::Market),
            (Some("market"), ..) => Err(ApiError::parameter("market orders require no stop or limit price")),
            (Some("limit"), Some(limit_price), None) => Ok(OrderKind::Limit { limit_price }),
            (Some("limit"), None, _) => Err(ApiError::parameter("limit orders require a limit price")),
            (Some("limit"), Some(_), Some(_)) => {
                Err(ApiError::parameter("limit orders require no stop price"))
            }
            _ => Err(ApiError::parameter("invalid order type")),
        }
    }

    fn time_in_force(&self) -> Result<TimeInForce, ApiError> {
        match self.time_in_force.as_deref() {
            Some("day") => Ok(TimeInForce::Day),
            Some("gtc") => Ok(TimeInForce::Gtc),
            Some("ioc") => Ok(TimeInForce::Ioc),
            Some("fok") => Ok(TimeInForce::Fok),
            _ => Err(ApiError::parameter("invalid time_in_force")),
        }
    }
}

/// The order object. Every key is present, null when empty.
#[derive(Serialize)]
pub(crate) struct OrderJson<'a> {
    id: &'a BrokerOrderId,
    client_order_id: &'a str,
    created_at: MarketTime,
    updated_at: MarketTime,
    submitted_at: MarketTime,
    filled_at: Option<MarketTime>,
    expired_at: Option<MarketTime>,
    expires_at: Option<MarketTime>,
    canceled_at: Option<MarketTime>,
    failed_at: Null,
    replaced_at: Null,
    replaced_by: Null,
    replaces: Null,
    asset_id: &'a str,
    symbol: &'a Symbol,
    asset_class: &'static str,
    notional: Null,
    qty: Option<Text<Qty>>,
    filled_qty: Text<Qty>,
    filled_avg_price: Option<Text<Price>>,
    order_class: &'static str,
    order_type: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    side: &'static str,
    position_intent: &'static str,
    time_in_force: &'static str,
    limit_price: Option<Text<Price>>,
    stop_price: Null,
    status: &'static str,
    extended_hours: bool,
    legs: Null,
    trail_percent: Null,
    trail_price: Null,
    hwm: Null,
    subtag: Null,
    source: Null,
}

impl<'a> From<&'a VenueOrder> for OrderJson<'a> {
    fn from(order: &'a VenueOrder) -> Self {
        let kind = order.kind.as_str();
        Self {
            id: &order.id,
            client_order_id: &order.client_order_id,
            created_at: order.created_at,
            updated_at: order.updated_at,
            submitted_at: order.submitted_at,
            filled_at: order.filled_at,
            expired_at: order.expired_at,
            expires_at: order.expires_at,
            canceled_at: order.canceled_at,
            failed_at: Null::default(),
            replaced_at: Null::default(),
            replaced_by: Null::default(),
            replaces: Null::default(),
            asset_id: &order.asset_id,
            symbol: &order.symbol,
            asset_class: "us_equity",
            notional: Null::default(),
            qty: order.qty().map(Text),
            filled_qty: Text(order.filled_qty),
            filled_avg_price: order.filled_avg_price().map(Text),
            order_class: "",
            order_type: kind,
            kind,
            side: order.side.as_str(),
            position_intent: order.position_intent.as_str(),
            time_in_force: order.time_in_force.as_str(),
            limit_price: order.limit_price.map(Text),
            stop_price: Null::default(),
            status: order.state.as_str(),
            extended_hours: order.extended_hours,
            legs: Null::default(),
            trail_percent: Null::default(),
            trail_price: Null::default(),
            hwm: Null::default(),
            subtag: Null::default(),
            source: Null::default(),
        }
    }
}

/// A message of the trade-updates stream.
#[derive(Serialize)]
pub(crate) struct TradeUpdateJson<'a> {
    stream: &'static str,
    data: UpdateJson<'a>,
}

#[derive(Serialize)]
struct UpdateJson<'a> {
    event: &'static str,
    execution_id: Option<&'a ExecutionId>,
    timestamp: MarketTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Text<Price>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qty: Option<Text<Qty>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position_qty: Option<Text<Qty>>,
    order: OrderJson<'a>,
}

impl<'a> From<&'a VenueEvent> for TradeUpdateJson<'a> {
    fn from(event: &'a VenueEvent) -> Self {
        let data = UpdateJson {
            event: event.kind.as_str(),
            execution_id: event.execution_id.as_ref(),
            timestamp: event.time,
            price: event.price.map(Text),
            qty: event.qty.map(Text),
            position_qty: event.position_qty.map(Text),
            order: OrderJson::from(&event.order),
        };
        Self { stream: "trade_updates", data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<NewOrder, ApiError> {
        let body: OrderBody<'_> = serde_json::from_str(body).expect("an object of the right types");
        body.into_order(|name| Symbol::new(name))
    }

    #[test]
    fn numbers_and_strings_are_the_same_order() {
        let numbers = r#"{"symbol":"SPY","qty":1.0,"side":"buy","type":"limit","time_in_force":"day",
            "limit_price":100.1,"extended_hours":false,"order_class":"simple","unknown":{"a":1}}"#;
        let strings = r#"{"symbol":"SPY","qty":"1","side":"buy","type":"limit","time_in_force":"day",
            "limit_price":"100.10","order_class":"","client_order_id":""}"#;
        let order = parse(numbers).expect("sound");
        assert_eq!(order.amount.qty().expect("shares").to_string(), "1");
        assert_eq!(order.kind.limit_price().map(|price| price.to_string()), Some("100.1".into()));
        assert_eq!(order, parse(strings).expect("sound"));
    }

    #[test]
    fn scientific_numbers_are_taken() {
        let check = |price: &str, expected: &str| {
            let body = format!(
                r#"{{"symbol":"SPY","qty":1e2,"side":"buy","type":"limit","time_in_force":"day",
                "limit_price":{price}}}"#
            );
            let order = parse(&body).expect(price);
            let found = order.kind.limit_price().map(|price| price.to_string());
            assert_eq!(
                (order.amount.qty().expect("shares").to_string().as_str(), found.as_deref()),
                ("100", Some(expected))
            );
        };
        check("1e-05", "0.00001");
        check("1E-05", "0.00001");
        check("\"1e-05\"", "0.00001");
        check("1.5e+2", "150");
        check("1e-7", "0.0000001");
    }

    #[test]
    fn what_is_wrong_is_said_in_the_brokers_words() {
        let check = |fields: &str, message: &str| {
            let mut body = serde_json::json!({
                "symbol": "SPY", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day",
            });
            let change: serde_json::Value = serde_json::from_str(fields).expect(fields);
            for (name, value) in change.as_object().expect("an object") {
                body[name] = value.clone();
            }
            let error = parse(&body.to_string()).expect_err(fields);
            assert_eq!(error.to_string(), format!("422 {{\"code\":40010001,\"message\":\"{message}\"}}"));
        };
        check(r#"{"symbol":null}"#, "symbol is required");
        check(r#"{"qty":null}"#, "qty or notional is required");
        check(r#"{"notional":5}"#, "only one of qty or notional is accepted");
        check(r#"{"qty":"one"}"#, "invalid qty");
        check(r#"{"side":"hold"}"#, "invalid side");
        check(r#"{"type":"iceberg"}"#, "invalid order type");
        check(r#"{"type":"stop","stop_price":5}"#, "invalid order type");
        check(r#"{"type":"limit"}"#, "limit orders require a limit price");
        check(r#"{"limit_price":5}"#, "market orders require no stop or limit price");
        check(r#"{"time_in_force":"opg"}"#, "invalid time_in_force");
        check(r#"{"order_class":"bracket"}"#, "invalid order_class");
    }
}
