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

/// A count of shares as an integer; a fraction is cut off, `null` is zero. Use with `default`.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Count;

    impl Visitor<'_> for Count {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number of shares")
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_f64<E: de::Error>(self, value: f64) -> Result<u64, E> {
            // `as` saturates: below zero and NaN become zero.
            Ok(value as u64)
        }

        fn visit_unit<E: de::Error>(self) -> Result<u64, E> {
            Ok(0)
        }
    }

    deserializer.deserialize_any(Count)
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

/// The price of one side of a quote; `null` means, as zero does, that the side is empty. Use with `default`.
pub(crate) fn side_price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or_default())
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
        for bad in [r#"{"qty":"ten"}"#, r#"{"qty":[]}"#, r#"{"size":"x"}"#] {
            assert!(serde_json::from_str::<Both>(bad).is_err(), "{bad}");
        }
    }
}
