//! News, from the stream and REST alike.

use serde::Deserialize;

use super::{market::Row, number::id, stamp::Stamp};

/// A piece of news. Texts may be null, a source nobody named is empty; of the stamps one is enough.
#[derive(Debug, Deserialize)]
pub(crate) struct NewsWire {
    #[serde(deserialize_with = "id")]
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) headline: Option<String>,
    #[serde(default)]
    pub(crate) summary: Option<String>,
    #[serde(default)]
    pub(crate) author: Option<String>,
    #[serde(default)]
    pub(crate) source: Option<String>,
    #[serde(default)]
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) created_at: Option<Stamp>,
    #[serde(default)]
    pub(crate) updated_at: Option<Stamp>,
    #[serde(default)]
    pub(crate) symbols: Option<Vec<String>>,
}

/// A page of `GET /v1beta1/news`: rows of [`NewsWire`].
#[derive(Debug, Deserialize)]
pub(crate) struct NewsPageWire<'a> {
    #[serde(default, borrow)]
    pub(crate) news: Option<Vec<Row<'a>>>,
    #[serde(default)]
    pub(crate) next_page_token: Option<String>,
}
