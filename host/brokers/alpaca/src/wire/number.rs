//! Numbers that come as JSON numbers or as text, or not at all.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// A decimal as text (`"100.5"`) or number (`100.5`); `null` and `""` are `None`. Use with `default`.
pub(crate) fn decimal<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct Decimal<T>(PhantomData<T>);

    impl<T: FromStr> Visitor<'_> for Decimal<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a decimal number, as text or number")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            if text.is_empty() {
                return Ok(None);
            }
            text.parse().map(Some).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
            self.visit_str(&value.to_string())
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
            self.visit_str(&value.to_string())
        }

        fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
            self.visit_str(&value.to_string())
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Decimal(PhantomData))
}

/// Whether a number can be a price; zero is the price of an empty side.
pub(crate) fn is_price(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

/// A price. Use without `default`: a bar without its close is none.
pub(crate) fn price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    let unexpected = || de::Error::invalid_value(de::Unexpected::Float(value), &"a price");
    if is_price(value) { Ok(value) } else { Err(unexpected()) }
}

/// A price that may be `null`. Use with `default`.
pub(crate) fn maybe_price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let value = Option::<f64>::deserialize(deserializer)?;
    let odd = value.filter(|&value| !is_price(value));
    let unexpected = |value| de::Error::invalid_value(de::Unexpected::Float(value), &"a price");
    odd.map_or(Ok(value), |odd| Err(unexpected(odd)))
}

/// The price of one side of a quote; `null` means, as zero does, that the side is empty. Use with `default`.
pub(crate) fn side_price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    maybe_price(deserializer).map(Option::unwrap_or_default)
}

/// A count of shares as an integer; a fraction is cut off, `null` is zero. Use with `default`.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Count;

    /// 2^64: what does not fit below it.
    const TOO_MANY: f64 = 18_446_744_073_709_551_616.0;

    impl Visitor<'_> for Count {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number of shares")
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_f64<E: de::Error>(self, value: f64) -> Result<u64, E> {
            let fits = (0.0..TOO_MANY).contains(&value);
            if fits { Ok(value as u64) } else { Err(E::invalid_value(de::Unexpected::Float(value), &self)) }
        }

        fn visit_unit<E: de::Error>(self) -> Result<u64, E> {
            Ok(0)
        }
    }

    deserializer.deserialize_any(Count)
}

/// The code of an error: 0 when it is absent or none of ours.
pub(crate) fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let code = match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Number(number) => number.as_u64(),
        serde_json::Value::String(text) => text.parse().ok(),
        _ => None,
    };
    Ok(code.and_then(|code| code.try_into().ok()).unwrap_or_default())
}

/// A whole number that names something, written as a number or as text.
pub(crate) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Id;

    impl Visitor<'_> for Id {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an id of 64 bits")
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
            text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    deserializer.deserialize_any(Id)
}

#[cfg(test)]
mod tests {
    use sandpit_types::Qty;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Both {
        #[serde(default, deserialize_with = "decimal")]
        qty: Option<Qty>,
        #[serde(default, deserialize_with = "count")]
        size: u64,
    }

    #[test]
    fn numbers_come_in_many_forms() {
        let check = |json: &str, qty: Option<&str>, size: u64| {
            let both: Both = serde_json::from_str(json).expect(json);
            assert_eq!(both.qty.map(|q| q.to_string()).as_deref(), qty, "{json}");
            assert_eq!(both.size, size, "{json}");
        };
        check(r#"{"qty":"0.000000001","size":12}"#, Some("0.000000001"), 12);
        check(r#"{"qty":10,"size":12.7}"#, Some("10"), 12);
        check(r#"{"qty":-1.5,"size":null}"#, Some("-1.5"), 0);
        check(r#"{"qty":"-3.00"}"#, Some("-3"), 0);
        check(r#"{"qty":null}"#, None, 0);
        check(r#"{"qty":""}"#, None, 0);
        check("{}", None, 0);
        for bad in [
            r#"{"qty":"ten"}"#,
            r#"{"qty":[]}"#,
            r#"{"size":"x"}"#,
            r#"{"size":-1}"#,
            r#"{"size":-0.5}"#,
            r#"{"size":18446744073709551616}"#,
            r#"{"size":1e400}"#,
        ] {
            assert!(serde_json::from_str::<Both>(bad).is_err(), "{bad}");
        }
    }
}
