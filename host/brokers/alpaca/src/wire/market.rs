//! Market data, from streams and REST alike.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    number::{code, count, maybe_price, price, side_price},
    stamp::Stamp,
};

/// A row of an answer, not read yet: whatever is wrong in it, a number out of range or another type, costs
/// only itself.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Row<'a>(#[serde(borrow)] &'a RawValue);

impl<'a> Row<'a> {
    /// The row, if it can be read; else it is counted.
    pub(crate) fn good<T: Deserialize<'a>>(self, skipped: &mut u64) -> Option<T> {
        let row = self.read().ok();
        *skipped += u64::from(row.is_none());
        row
    }

    /// The row.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read<T: Deserialize<'a>>(self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }
}

/// A bar; over REST its symbol is the key it stands under.
#[derive(Debug, Deserialize)]
pub(crate) struct BarWire<'a> {
    #[serde(rename = "S", default, borrow)]
    pub(crate) symbol: Cow<'a, str>,
    pub(crate) t: Stamp,
    #[serde(deserialize_with = "price")]
    pub(crate) o: f64,
    #[serde(deserialize_with = "price")]
    pub(crate) h: f64,
    #[serde(deserialize_with = "price")]
    pub(crate) l: f64,
    #[serde(deserialize_with = "price")]
    pub(crate) c: f64,
    #[serde(default, deserialize_with = "count")]
    pub(crate) v: u64,
    #[serde(default, deserialize_with = "maybe_price")]
    pub(crate) vw: Option<f64>,
}

/// A quote. Sizes are shares (since 2025-11-03); a price of 0 means that the side is empty.
#[derive(Debug, Deserialize)]
pub(crate) struct QuoteWire<'a> {
    #[serde(rename = "S", default, borrow)]
    pub(crate) symbol: Cow<'a, str>,
    pub(crate) t: Stamp,
    #[serde(default, deserialize_with = "side_price")]
    pub(crate) bp: f64,
    #[serde(default, deserialize_with = "count")]
    pub(crate) bs: u64,
    #[serde(default, deserialize_with = "side_price")]
    pub(crate) ap: f64,
    #[serde(rename = "as", default, deserialize_with = "count")]
    pub(crate) ask_size: u64,
}

/// A trade.
#[derive(Debug, Deserialize)]
pub(crate) struct TradeWire<'a> {
    #[serde(rename = "S", default, borrow)]
    pub(crate) symbol: Cow<'a, str>,
    pub(crate) t: Stamp,
    #[serde(deserialize_with = "price")]
    pub(crate) p: f64,
    #[serde(default, deserialize_with = "count")]
    pub(crate) s: u64,
}

/// `success` and `error` messages of the data stream.
#[derive(Debug, Deserialize)]
pub(crate) struct NoticeWire {
    #[serde(default, deserialize_with = "code")]
    pub(crate) code: u16,
    #[serde(default)]
    pub(crate) msg: Option<String>,
}

/// The `subscription` message: always the complete current set.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct SubscriptionWire {
    #[serde(default)]
    pub(crate) bars: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) quotes: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) trades: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) news: Option<Vec<String>>,
}

/// A page of `GET /v2/stocks/bars`: rows of [`BarWire`].
#[derive(Debug, Deserialize)]
pub(crate) struct BarsWire<'a> {
    #[serde(default, borrow)]
    pub(crate) bars: Option<BTreeMap<String, Option<Vec<Row<'a>>>>>,
    #[serde(default)]
    pub(crate) next_page_token: Option<String>,
}

/// `GET /v2/stocks/quotes/latest`: rows of [`QuoteWire`].
#[derive(Debug, Deserialize)]
pub(crate) struct QuotesWire<'a> {
    #[serde(default, borrow)]
    pub(crate) quotes: Option<BTreeMap<String, Option<Row<'a>>>>,
}
