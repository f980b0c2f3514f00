//! The broker's JSON, field by field as its documents have it (2026).

pub(crate) mod account;
pub(crate) mod activity;
pub(crate) mod asset;
pub(crate) mod clock;
pub(crate) mod market;
pub(crate) mod order;
pub(crate) mod position;
pub(crate) mod request;
pub(crate) mod update;
pub(crate) mod watchlist;

use std::fmt::Display;

use serde::{Serialize, Serializer};

/// A value that goes over the wire as text: decimals, ids, times.
pub(crate) struct Text<T>(pub T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A field that is there and says nothing.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Null(Option<()>);
