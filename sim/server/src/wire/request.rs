//! What clients send about orders: the bodies of `POST /v2/orders` and `PATCH /v2/orders/{id}`.

use std::{borrow::Cow, str::FromStr};

use sandpit_types::{Price, Side, Symbol};
use sandpit_venue::{
    Amount, Class, NewOrder, OrderKind, PositionIntent, Replacement, StopLoss, TimeInForce, Trail,
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::rest::ApiError;

/// Longest number in a body. What is longer was not meant, and a float would swallow its last digits.
const MAX_NUMBER_CHARS: usize = 32;

/// A decimal that a client may send as a JSON number or as a string.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Decimal {
    Number(serde_json::Number),
    Text(String),
}

impl Decimal {
    fn parse<T: FromStr>(&self, field: &str) -> Result<T, ApiError> {
        let text = match self {
            Self::Number(number) => Cow::from(number.to_string()),
            Self::Text(text) => Cow::from(text),
        };
        decimal(&text, field)
    }
}

/// Reads a decimal that came as text. No sign but minus, no spaces, no separators.
pub(crate) fn decimal<T: FromStr>(text: &str, field: &str) -> Result<T, ApiError> {
    let is_plain = text.len() <= MAX_NUMBER_CHARS
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && text.bytes().any(|byte| byte.is_ascii_digit());
    let parsed = is_plain.then(|| text.parse().ok()).flatten();
    parsed.ok_or_else(|| ApiError::parameter(format!("invalid {field}")))
}

/// Reads a body. Numbers that no client means are refused before they are rounded.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if has_endless_number(body) {
        return Err(ApiError::malformed(format!("a number has more than {MAX_NUMBER_CHARS} characters")));
    }
    serde_json::from_slice(body).map_err(ApiError::malformed)
}

/// Whether there is a number outside of texts that is longer than any that is meant.
fn has_endless_number(body: &[u8]) -> bool {
    let (mut in_text, mut escaped, mut length) = (false, false, 0_usize);
    body.iter().any(|&byte| {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            return false;
        }
        in_text = byte == b'"';
        length = if byte.is_ascii_digit() || b"+-.eE".contains(&byte) { length + 1 } else { 0 };
        length > MAX_NUMBER_CHARS
    })
}

#[derive(Debug, Deserialize)]
struct TakeProfitBody {
    limit_price: Option<Decimal>,
}

#[derive(Debug, Deserialize)]
struct StopLossBody {
    stop_price: Option<Decimal>,
    limit_price: Option<Decimal>,
}

/// `POST /v2/orders`. Unknown fields are passed over.
#[derive(Debug, Deserialize)]
pub(crate) struct OrderBody {
    symbol: Option<String>,
    qty: Option<Decimal>,
    notional: Option<Decimal>,
    side: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    time_in_force: Option<String>,
    limit_price: Option<Decimal>,
    stop_price: Option<Decimal>,
    trail_price: Option<Decimal>,
    trail_percent: Option<Decimal>,
    extended_hours: Option<bool>,
    client_order_id: Option<String>,
    order_class: Option<String>,
    take_profit: Option<TakeProfitBody>,
    stop_loss: Option<StopLossBody>,
    position_intent: Option<String>,
}

/// The exits that a body names.
type Exits = (Option<Price>, Option<StopLoss>);

impl OrderBody {
    /// The order for the venue; `resolve` turns a symbol or asset id into a symbol.
    ///
    /// # Errors
    /// When a field is missing or wrong, or two do not go together.
    pub(crate) fn into_order(self, resolve: impl FnOnce(&str) -> Symbol) -> Result<NewOrder, ApiError> {
        let Some(symbol) = self.symbol.as_deref().filter(|symbol| !symbol.is_empty()) else {
            return Err(ApiError::parameter("symbol is required"));
        };
        let exits = self.exits()?;
        let class = self.class(exits)?;
        Ok(NewOrder {
            symbol: resolve(symbol),
            side: self.side()?,
            amount: self.amount()?,
            kind: self.kind(class, exits)?,
            time_in_force: time_in_force(self.time_in_force.as_deref())?,
            extended_hours: self.extended_hours.unwrap_or(false),
            class,
            position_intent: self.position_intent()?,
            client_order_id: self.client_order_id.filter(|id| !id.is_empty()),
        })
    }

    fn side(&self) -> Result<Side, ApiError> {
        match self.side.as_deref() {
            Some("buy") => Ok(Side::Buy),
            Some("sell") => Ok(Side::Sell),
            _ => Err(ApiError::parameter("invalid side")),
        }
    }

    fn amount(&self) -> Result<Amount, ApiError> {
        match (&self.qty, &self.notional) {
            (Some(qty), None) => qty.parse("qty").map(Amount::Qty),
            (None, Some(notional)) => notional.parse("notional").map(Amount::Notional),
            (None, None) => Err(ApiError::parameter("qty or notional is required")),
            (Some(_), Some(_)) => Err(ApiError::parameter("only one of qty or notional is accepted")),
        }
    }

    fn position_intent(&self) -> Result<Option<PositionIntent>, ApiError> {
        match self.position_intent.as_deref() {
            None | Some("") => Ok(None),
            Some("buy_to_open") => Ok(Some(PositionIntent::BuyToOpen)),
            Some("buy_to_close") => Ok(Some(PositionIntent::BuyToClose)),
            Some("sell_to_open") => Ok(Some(PositionIntent::SellToOpen)),
            Some("sell_to_close") => Ok(Some(PositionIntent::SellToClose)),
            Some(_) => Err(ApiError::parameter("invalid position_intent")),
        }
    }

    fn exits(&self) -> Result<Exits, ApiError> {
        let take_profit = self.take_profit.as_ref().map(|exit| {
            let price = exit.limit_price.as_ref();
            let why = || ApiError::parameter("take_profit.limit_price is required");
            price.ok_or_else(why)?.parse("take_profit.limit_price")
        });
        let stop_loss = self.stop_loss.as_ref().map(|exit| {
            let why = || ApiError::parameter("stop_loss.stop_price is required");
            Ok::<_, ApiError>(StopLoss {
                stop_price: exit.stop_price.as_ref().ok_or_else(why)?.parse("stop_loss.stop_price")?,
                limit_price: optional(&exit.limit_price, "stop_loss.limit_price")?,
            })
        });
        Ok((take_profit.transpose()?, stop_loss.transpose()?))
    }

    fn class(&self, exits: Exits) -> Result<Class, ApiError> {
        let class = self.order_class.as_deref().unwrap_or_default();
        match (class, exits) {
            ("" | "simple", (None, None)) => Ok(Class::Simple),
            ("bracket", (Some(take_profit), Some(stop_loss))) => {
                Ok(Class::Bracket { take_profit, stop_loss })
            }
            ("oco", (_, Some(stop_loss))) => Ok(Class::Oco { stop_loss }),
            ("oto", (Some(take_profit), None)) => Ok(Class::OtoTakeProfit { take_profit }),
            ("oto", (None, Some(stop_loss))) => Ok(Class::OtoStopLoss { stop_loss }),
            // No record of the broker's words for these.
            ("" | "simple", _) => {
                Err(ApiError::parameter("simple orders require no take_profit and no stop_loss"))
            }
            ("bracket", _) => Err(ApiError::parameter("bracket orders require take_profit and stop_loss")),
            ("oco", _) => Err(ApiError::parameter("oco orders require a stop_loss")),
            ("oto", _) => Err(ApiError::parameter("oto orders require one of take_profit or stop_loss")),
            _ => Err(ApiError::parameter("invalid order_class")),
        }
    }

    fn kind(&self, class: Class, (take_profit, _): Exits) -> Result<OrderKind, ApiError> {
        let stop_price = optional(&self.stop_price, "stop_price")?;
        // An OCO is its take-profit.
        let is_oco = matches!(class, Class::Oco { .. });
        let limit_price = match take_profit.filter(|_| is_oco) {
            Some(take_profit) => Some(take_profit),
            None => optional(&self.limit_price, "limit_price")?,
        };
        let kind = self.kind.as_deref();
        if kind != Some("trailing_stop") && (self.trail_price.is_some() || self.trail_percent.is_some()) {
            return Err(ApiError::parameter(
                "trail_price and trail_percent are for trailing stop orders only",
            ));
        }
        let refuse = |why| Err(ApiError::parameter(why));
        match (kind, limit_price, stop_price) {
            (Some("market"), None, None) => Ok(OrderKind::Market),
            (Some("market"), ..) => refuse("market orders require no stop or limit price"),
            (Some("limit"), Some(limit_price), None) => Ok(OrderKind::Limit { limit_price }),
            (Some("limit"), None, _) => refuse("limit orders require a limit price"),
            (Some("limit"), Some(_), Some(_)) => refuse("limit orders require no stop price"),
            (Some("stop"), None, Some(stop_price)) => Ok(OrderKind::Stop { stop_price }),
            (Some("stop"), _, None) => refuse("stop orders require a stop price"),
            (Some("stop"), Some(_), Some(_)) => refuse("stop orders require no limit price"),
            (Some("stop_limit"), Some(limit_price), Some(stop_price)) => {
                Ok(OrderKind::StopLimit { stop_price, limit_price })
            }
            (Some("stop_limit"), ..) => refuse("stop limit orders require both stop and limit price"),
            (Some("trailing_stop"), None, None) => Ok(OrderKind::TrailingStop { trail: self.trail()? }),
            (Some("trailing_stop"), ..) => refuse("trailing stop orders require no stop or limit price"),
            _ => refuse("invalid order type"),
        }
    }

    fn trail(&self) -> Result<Trail, ApiError> {
        match (&self.trail_price, &self.trail_percent) {
            (Some(price), None) => price.parse("trail_price").map(Trail::Price),
            (None, Some(percent)) => percent.parse("trail_percent").map(Trail::Percent),
            _ => Err(ApiError::parameter(
                "trailing stop orders must specify one of trail_price or trail_percent",
            )),
        }
    }
}

/// `PATCH /v2/orders/{id}`: what is missing or null is left alone.
#[derive(Debug, Deserialize)]
pub(crate) struct ReplaceBody {
    qty: Option<Decimal>,
    notional: Option<Decimal>,
    time_in_force: Option<String>,
    limit_price: Option<Decimal>,
    stop_price: Option<Decimal>,
    trail: Option<Decimal>,
    client_order_id: Option<String>,
}

impl ReplaceBody {
    /// The change for the venue.
    ///
    /// # Errors
    /// When a field is wrong.
    pub(crate) fn into_replacement(self) -> Result<Replacement, ApiError> {
        if self.notional.is_some() {
            return Err(ApiError::parameter("notional orders cannot be replaced"));
        }
        let time_in_force = self.time_in_force.as_deref().filter(|word| !word.is_empty());
        Ok(Replacement {
            qty: optional(&self.qty, "qty")?,
            time_in_force: time_in_force.map(|word| self::time_in_force(Some(word))).transpose()?,
            limit_price: optional(&self.limit_price, "limit_price")?,
            stop_price: optional(&self.stop_price, "stop_price")?,
            trail: optional(&self.trail, "trail")?,
            client_order_id: self.client_order_id.filter(|id| !id.is_empty()),
        })
    }
}

fn optional<T: FromStr>(value: &Option<Decimal>, field: &str) -> Result<Option<T>, ApiError> {
    value.as_ref().map(|value| value.parse(field)).transpose()
}

fn time_in_force(word: Option<&str>) -> Result<TimeInForce, ApiError> {
    match word {
        Some("day") => Ok(TimeInForce::Day),
        Some("gtc") => Ok(TimeInForce::Gtc),
        Some("opg") => Ok(TimeInForce::Opg),
        Some("cls") => Ok(TimeInForce::Cls),
        Some("ioc") => Ok(TimeInForce::Ioc),
        Some("fok") => Ok(TimeInForce::Fok),
        _ => Err(ApiError::parameter("invalid time_in_force")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(body: &str) -> Result<NewOrder, ApiError> {
        read::<OrderBody>(body.as_bytes())?.into_order(|name| Symbol::new(name))
    }

    /// A market order for one share, with these fields changed.
    fn with(change: &Value) -> Result<NewOrder, ApiError> {
        let mut body = json!({"symbol": "SPY", "qty": "1", "side": "buy", "type": "market",
            "time_in_force": "day"});
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        parse(&body.to_string())
    }

    fn price(text: &str) -> Price {
        text.parse().expect(text)
    }

    #[test]
    fn numbers_and_strings_are_the_same_order() {
        let numbers = r#"{"symbol":"SPY","qty":1.0,"side":"buy","type":"limit","time_in_force":"day",
            "limit_price":100.1,"extended_hours":false,"order_class":"bracket","unknown":{"a":1},
            "take_profit":{"limit_price":110.0},"stop_loss":{"stop_price":90,"limit_price":89.5}}"#;
        let strings = r#"{"symbol":"SPY","qty":"1","side":"buy","type":"limit","time_in_force":"day",
            "limit_price":"100.10","order_class":"bracket","client_order_id":"",
            "take_profit":{"limit_price":"110"},"stop_loss":{"stop_price":"90.00","limit_price":"89.5"}}"#;
        let order = parse(numbers).expect("sound");
        assert_eq!(order.amount.qty().map(|qty| qty.to_string()), Some("1".into()));
        assert_eq!(order.kind.limit_price(), Some(price("100.1")));
        let stop_loss = StopLoss { stop_price: price("90"), limit_price: Some(price("89.5")) };
        assert_eq!(order.class, Class::Bracket { take_profit: price("110"), stop_loss });
        assert_eq!(order, parse(strings).expect("sound"));
    }

    #[test]
    fn every_kind_and_class() {
        let stop_loss = StopLoss { stop_price: price("90"), limit_price: None };
        let check = |change: Value, kind: OrderKind, class: Class| {
            let order = with(&change).unwrap_or_else(|error| panic!("{change}: {error}"));
            assert_eq!((order.kind, order.class), (kind, class), "{change}");
        };
        let limit = OrderKind::Limit { limit_price: price("5") };
        let simple = Class::Simple;
        check(json!({"order_class": "simple"}), OrderKind::Market, simple);
        check(json!({"type": "limit", "limit_price": 5}), limit, simple);
        let stop = OrderKind::Stop { stop_price: price("5") };
        check(json!({"type": "stop", "stop_price": "5"}), stop, simple);
        let both = OrderKind::StopLimit { stop_price: price("5"), limit_price: price("6") };
        check(json!({"type": "stop_limit", "stop_price": 5, "limit_price": 6}), both, simple);
        let trailing = |trail| OrderKind::TrailingStop { trail };
        let by_price = trailing(Trail::Price(price("1.5")));
        check(json!({"type": "trailing_stop", "trail_price": 1.5}), by_price, simple);
        let by_percent = trailing(Trail::Percent("2".parse().expect("a number")));
        check(json!({"type": "trailing_stop", "trail_percent": "2"}), by_percent, simple);
        let oto = json!({"order_class": "oto", "take_profit": {"limit_price": 7}});
        check(oto, OrderKind::Market, Class::OtoTakeProfit { take_profit: price("7") });
        let oto = json!({"order_class": "oto", "stop_loss": {"stop_price": 90}, "take_profit": null});
        check(oto, OrderKind::Market, Class::OtoStopLoss { stop_loss });
        let exits = json!({"order_class": "oco", "type": "limit", "stop_loss": {"stop_price": 90},
            "take_profit": {"limit_price": 5}});
        check(exits, limit, Class::Oco { stop_loss });
        let alone = json!({"order_class": "oco", "type": "limit", "limit_price": 5,
            "stop_loss": {"stop_price": 90}});
        check(alone, limit, Class::Oco { stop_loss });
        let notional = with(&json!({"qty": null, "notional": 100.5})).expect("sound");
        assert_eq!(notional.amount.notional().map(|usd| usd.to_string()), Some("100.5".into()));
        let intent = with(&json!({"position_intent": "buy_to_close"})).expect("sound");
        assert_eq!(intent.position_intent, Some(PositionIntent::BuyToClose));
        for word in ["day", "gtc", "opg", "cls", "ioc", "fok"] {
            let order = with(&json!({"time_in_force": word})).expect(word);
            assert_eq!(order.time_in_force.as_str(), word);
        }
    }

    #[test]
    fn scientific_numbers_are_taken() {
        let check = |price: &str, expected: &str| {
            let body = format!(
                r#"{{"symbol":"SPY","qty":1e2,"side":"buy","type":"limit","time_in_force":"day",
                "limit_price":{price}}}"#
            );
            let order = parse(&body).expect(price);
            assert_eq!(order.amount.qty().map(|qty| qty.to_string()), Some("100".into()));
            let found = order.kind.limit_price().map(|price| price.to_string());
            assert_eq!(found.as_deref(), Some(expected));
        };
        check("1e-05", "0.00001");
        check("1E-05", "0.00001");
        check("\"1e-05\"", "0.00001");
        check("1.5e+2", "150");
        check("1e-7", "0.0000001");
    }

    #[test]
    fn what_is_wrong_is_said_in_the_brokers_words() {
        let check = |change: Value, message: &str| {
            let error = with(&change).expect_err(message);
            let expected = json!({"code": 40_010_001, "message": message});
            assert_eq!(error.to_string(), format!("422 {expected}"), "{change}");
        };
        check(json!({"symbol": null}), "symbol is required");
        check(json!({"qty": null}), "qty or notional is required");
        check(json!({"notional": 5}), "only one of qty or notional is accepted");
        for qty in ["one", "", " 1", "1_000", "1,000", "+", "NaN", "inf", "1e400", "0x10", &"9".repeat(31)] {
            check(json!({ "qty": qty }), "invalid qty");
        }
        check(json!({"qty": 1e30}), "invalid qty");
        check(json!({"qty": null, "notional": "x"}), "invalid notional");
        check(json!({"side": "hold"}), "invalid side");
        check(json!({"type": "iceberg"}), "invalid order type");
        check(json!({"type": null}), "invalid order type");
        check(json!({"type": "limit"}), "limit orders require a limit price");
        check(json!({"type": "stop"}), "stop orders require a stop price");
        let both = "stop limit orders require both stop and limit price";
        check(json!({"type": "stop_limit", "stop_price": 5}), both);
        check(json!({"type": "stop_limit", "limit_price": 5}), both);
        check(json!({"limit_price": 5}), "market orders require no stop or limit price");
        check(json!({"stop_price": 5}), "market orders require no stop or limit price");
        let one = "trailing stop orders must specify one of trail_price or trail_percent";
        check(json!({"type": "trailing_stop"}), one);
        check(json!({"type": "trailing_stop", "trail_price": 1, "trail_percent": 1}), one);
        check(json!({"time_in_force": "gtd"}), "invalid time_in_force");
        check(json!({"time_in_force": null}), "invalid time_in_force");
        check(json!({"order_class": "mleg"}), "invalid order_class");
        check(json!({"order_class": "bracket"}), "bracket orders require take_profit and stop_loss");
        check(json!({"order_class": "oto"}), "oto orders require one of take_profit or stop_loss");
        check(json!({"order_class": "oco"}), "oco orders require a stop_loss");
        check(json!({"take_profit": {}}), "take_profit.limit_price is required");
        check(json!({"stop_loss": {"limit_price": 1}}), "stop_loss.stop_price is required");
        check(json!({"stop_loss": {"stop_price": "x"}}), "invalid stop_loss.stop_price");
        check(json!({"position_intent": "buy"}), "invalid position_intent");
    }

    #[test]
    fn endless_numbers_are_refused_but_texts_may_be_long() {
        let digits = format!("0.{}", "1".repeat(40));
        for (body, expected) in [
            (format!(r#"{{"qty":{digits}}}"#), true),
            (format!(r#"{{"qty":"{digits}"}}"#), false),
            (format!(r#"{{"a":"\"{digits}"}}"#), false),
            (format!(r#"{{"a":"\\","qty":{digits}}}"#), true),
            (r#"{"qty":1,"limit_price":2.5}"#.to_owned(), false),
        ] {
            assert_eq!(has_endless_number(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn replacements_leave_alone_what_they_do_not_name() {
        let parse = |body: Value| read::<ReplaceBody>(body.to_string().as_bytes())?.into_replacement();
        assert_eq!(parse(json!({"qty": null})).expect("sound"), Replacement::default());
        let change = parse(json!({"qty": 4, "limit_price": "3.14", "stop_price": 3, "trail": "1.5",
            "time_in_force": "gtc", "client_order_id": "new"}));
        let expected = Replacement {
            qty: Some("4".parse().expect("shares")),
            time_in_force: Some(TimeInForce::Gtc),
            limit_price: Some(price("3.14")),
            stop_price: Some(price("3")),
            trail: Some("1.5".parse().expect("a number")),
            client_order_id: Some("new".into()),
        };
        assert_eq!(change.expect("sound"), expected);
        for wrong in [json!({"qty": "x"}), json!({"time_in_force": "x"}), json!({"notional": 5})] {
            assert!(parse(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
