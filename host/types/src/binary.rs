//! The binary form of what text formats write with tags, or as text: a format that is not for people has no
//! names of fields to find the case by, and reads decimals as what they are.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Exit, OrderClass, OrderKind, OrderStatus, Price, StopLoss, Trail};

/// Decimals: text for people, else their sixteen bytes, which keep the trailing zeros.
pub(crate) mod decimal {
    use rust_decimal::Decimal;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Serialize::serialize(value, serializer)
        } else {
            Serialize::serialize(&value.serialize(), serializer)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        if deserializer.is_human_readable() {
            return Deserialize::deserialize(deserializer);
        }
        let bytes = <[u8; 16]>::deserialize(deserializer)?;
        // Bits that mean nothing are dropped, a scale that no decimal has is an error.
        let flags = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let scale = (flags >> 16) & 0xff;
        if scale > Decimal::MAX_SCALE {
            return Err(serde::de::Error::custom(format!("{scale} decimals are more than a decimal has")));
        }
        Ok(Decimal::deserialize(bytes))
    }
}

#[derive(Serialize, Deserialize)]
enum Kind {
    Market,
    Limit(Price),
    Stop(Price),
    StopLimit(Price, Price),
    TrailingStop(Trail),
}

#[derive(Serialize, Deserialize)]
enum Class {
    Simple,
    Bracket(Price, StopLoss),
    Oco(StopLoss),
    Oto(Exit),
}

impl From<OrderKind> for Kind {
    fn from(kind: OrderKind) -> Self {
        match kind {
            OrderKind::Market => Self::Market,
            OrderKind::Limit { limit_price } => Self::Limit(limit_price),
            OrderKind::Stop { stop_price } => Self::Stop(stop_price),
            OrderKind::StopLimit { stop_price, limit_price } => Self::StopLimit(stop_price, limit_price),
            OrderKind::TrailingStop { trail } => Self::TrailingStop(trail),
        }
    }
}

impl From<Kind> for OrderKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Market => Self::Market,
            Kind::Limit(limit_price) => Self::Limit { limit_price },
            Kind::Stop(stop_price) => Self::Stop { stop_price },
            Kind::StopLimit(stop_price, limit_price) => Self::StopLimit { stop_price, limit_price },
            Kind::TrailingStop(trail) => Self::TrailingStop { trail },
        }
    }
}

impl From<OrderClass> for Class {
    fn from(class: OrderClass) -> Self {
        match class {
            OrderClass::Simple => Self::Simple,
            OrderClass::Bracket { take_profit, stop_loss } => Self::Bracket(take_profit, stop_loss),
            OrderClass::Oco { stop_loss } => Self::Oco(stop_loss),
            OrderClass::Oto(exit) => Self::Oto(exit),
        }
    }
}

impl From<Class> for OrderClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Simple => Self::Simple,
            Class::Bracket(take_profit, stop_loss) => Self::Bracket { take_profit, stop_loss },
            Class::Oco(stop_loss) => Self::Oco { stop_loss },
            Class::Oto(exit) => Self::Oto(exit),
        }
    }
}

/// Text formats get the tagged form that the type's own derive makes, the others `$packed`.
macro_rules! two_forms {
    ($name:ident, $packed:ty) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    return Self::serialize(self, serializer);
                }
                Serialize::serialize(&<$packed>::from(*self), serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    return Self::deserialize(deserializer);
                }
                <$packed as Deserialize>::deserialize(deserializer).map(Self::from)
            }
        }
    };
}

two_forms!(OrderKind, Kind);
two_forms!(OrderClass, Class);

/// The word, in every format.
impl Serialize for OrderStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Self::serialize(self, serializer);
        }
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for OrderStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Self::deserialize(deserializer);
        }
        let word = String::deserialize(deserializer)?;
        Self::deserialize(serde::de::value::StringDeserializer::<D::Error>::new(word))
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::{MarketTime, Qty};

    /// The same value comes out of bytes and of text, and the text is this.
    fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T, text: &str) {
        let bytes = postcard::to_allocvec(&value).expect("bytes");
        assert_eq!(postcard::from_bytes::<T>(&bytes).expect("the same bytes"), value);
        assert_eq!(serde_json::to_string(&value).expect("text"), text);
        assert_eq!(serde_json::from_str::<T>(text).expect("the same text"), value);
    }

    #[test]
    fn everything_passes_through_bytes_and_text() {
        let price = |text: &str| text.parse::<Price>().expect("a price");
        let (stop_price, limit_price) = (price("1.5"), price("1.25"));
        let stop_loss = StopLoss { stop_price, limit_price: Some(limit_price) };
        check(MarketTime::from_nanos(1_000_000_001), "\"1970-01-01T00:00:01.000000001Z\"");
        check(MarketTime::from_nanos(i64::MIN), "\"1677-09-21T00:12:43.145224192Z\"");
        check(price("-12.3400"), "\"-12.3400\"");
        check("0.000000001".parse::<Qty>().expect("a quantity"), "\"0.000000001\"");
        check(OrderKind::Market, r#"{"type":"market"}"#);
        check(OrderKind::Limit { limit_price }, r#"{"type":"limit","limit_price":"1.25"}"#);
        check(OrderKind::Stop { stop_price }, r#"{"type":"stop","stop_price":"1.5"}"#);
        check(
            OrderKind::StopLimit { stop_price, limit_price },
            r#"{"type":"stop_limit","stop_price":"1.5","limit_price":"1.25"}"#,
        );
        let trail = Trail::Percent(price("0.5").get());
        check(OrderKind::TrailingStop { trail }, r#"{"type":"trailing_stop","trail":{"percent":"0.5"}}"#);
        check(OrderClass::Simple, r#"{"class":"simple"}"#);
        check(
            OrderClass::Bracket { take_profit: limit_price, stop_loss },
            r#"{"class":"bracket","take_profit":"1.25","stop_loss":{"stop_price":"1.5","limit_price":"1.25"}}"#,
        );
        check(
            OrderClass::Oco { stop_loss },
            r#"{"class":"oco","stop_loss":{"stop_price":"1.5","limit_price":"1.25"}}"#,
        );
        check(OrderClass::Oto(Exit::TakeProfit(stop_price)), r#"{"class":"oto","take_profit":"1.5"}"#);
        for (status, word) in [
            (OrderStatus::PendingNew, "pending_new"),
            (OrderStatus::Accepted, "accepted"),
            (OrderStatus::New, "new"),
            (OrderStatus::PartiallyFilled, "partially_filled"),
            (OrderStatus::Filled, "filled"),
            (OrderStatus::PendingCancel, "pending_cancel"),
            (OrderStatus::Canceled, "canceled"),
            (OrderStatus::Expired, "expired"),
            (OrderStatus::Rejected, "rejected"),
            (OrderStatus::PendingReplace, "pending_replace"),
            (OrderStatus::Replaced, "replaced"),
            (OrderStatus::Held, "held"),
            (OrderStatus::DoneForDay, "done_for_day"),
            (OrderStatus::Other("in_doubt".into()), "in_doubt"),
        ] {
            assert_eq!(status.word(), word);
            check(status, &format!("{word:?}"));
        }
    }

    #[test]
    fn a_scale_that_no_decimal_has_is_refused() {
        let mut bytes = [0; 16];
        bytes[2] = 29;
        assert!(postcard::from_bytes::<Price>(&bytes).is_err());
        bytes[2] = 28;
        assert!(postcard::from_bytes::<Price>(&bytes).is_ok());
    }
}
