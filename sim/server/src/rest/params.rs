//! The query string, read the way real clients write it.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::{StatusCode, request::Parts},
};
use jiff::civil::Date;
use sandpit_types::MarketTime;
use serde::de::DeserializeOwned;

use super::ApiError;
use crate::wire::clock::NewYork;

/// Length of a date as it is written, `2025-01-02`.
const DATE_BYTES: usize = 10;

/// The parameters of a query; of one that comes twice, the last counts.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

/// A parameter has a value that it cannot have; the caller words it for its API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadParam(pub(crate) &'static str);

impl From<BadParam> for ApiError {
    fn from(bad: BadParam) -> Self {
        Self::parameter(format!("invalid {}", bad.0))
    }
}

/// A moment, or a whole day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// A moment.
    Moment(MarketTime),
    /// A day.
    Day(Date),
}

impl When {
    /// Its first moment, a day being one of this clock's.
    pub(crate) fn first_moment(self, clock: &NewYork) -> MarketTime {
        match self {
            Self::Moment(moment) => moment,
            Self::Day(day) => clock.midnight(day).unwrap_or(MarketTime::EPOCH),
        }
    }
}

impl Params {
    /// The text of a parameter; an empty one is none.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A yes or no; Python clients write it with a capital. Missing means no.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, BadParam> {
        match self.text(name) {
            None | Some("false" | "False" | "0") => Ok(false),
            Some("true" | "True" | "1") => Ok(true),
            Some(_) => Err(BadParam(name)),
        }
    }

    /// A number between 1 and `most`, or `default` when it is missing.
    pub(crate) fn count(&self, name: &'static str, default: usize, most: usize) -> Result<usize, BadParam> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().ok().filter(|count| (1..=most).contains(count)).ok_or(BadParam(name))
    }

    /// One of several words; the first is the default. Returns its place.
    pub(crate) fn word(&self, name: &'static str, words: &[&str]) -> Result<usize, BadParam> {
        let Some(text) = self.text(name) else { return Ok(0) };
        words.iter().position(|word| *word == text).ok_or(BadParam(name))
    }

    /// A comma-joined list without empty parts; `None` when the parameter is missing.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<&str>> {
        Some(self.text(name)?.split(',').filter(|part| !part.is_empty()).collect())
    }

    /// A time. Without an offset it is UTC, as the official SDK means it.
    pub(crate) fn when(&self, name: &'static str) -> Result<Option<When>, BadParam> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if let Some(date) =
            Some(text).filter(|text| text.len() == DATE_BYTES).and_then(|text| text.parse().ok())
        {
            return Ok(Some(When::Day(date)));
        }
        // A plus sign that was not escaped arrives as a space.
        let text = text.replace(' ', "+");
        let moment = MarketTime::parse(&text).or_else(|_| MarketTime::parse(&format!("{text}Z")));
        moment.map(|moment| Some(When::Moment(moment))).map_err(|_| BadParam(name))
    }

    /// A day. Of a moment it is the one that is written, whatever day it is then in New York: the JavaScript
    /// SDK sends a day as its midnight UTC.
    pub(crate) fn day(&self, name: &'static str) -> Result<Option<Date>, BadParam> {
        if self.when(name)?.is_none() {
            return Ok(None);
        }
        let written =
            self.text(name).and_then(|text| text.get(..DATE_BYTES)).and_then(|day| day.parse().ok());
        written.map(Some).ok_or(BadParam(name))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let invalid = || ApiError::parameter("invalid query");
        // The parser would put a replacement sign in the place of what is no text.
        if !parts.uri.query().is_none_or(is_text) {
            return Err(invalid());
        }
        let query = Query::try_from_uri(&parts.uri);
        query.map(|Query(pairs)| Self(pairs)).map_err(|_| invalid())
    }
}

/// Whether the bytes that a query means, escapes included, are UTF-8.
fn is_text(query: &str) -> bool {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(query.len());
    let mut rest = query.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'%', [high, low, tail @ ..]) if let (Some(high), Some(low)) = (digit(*high), digit(*low)) => {
                bytes.push(high << 4 | low);
                rest = tail;
            }
            _ => bytes.push(byte),
        }
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// Variable parts of a path of the trading API.
#[derive(Debug)]
pub(crate) struct Segments<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    /// What is no text names nothing.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let segments = Path::from_request_parts(parts, state).await;
        segments.map(|Path(segments)| Self(segments)).map_err(|_| ApiError::parameter("invalid path"))
    }
}

/// Variable parts of a path of the market-data API.
#[derive(Debug)]
pub(crate) struct DataSegments<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for DataSegments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let segments = Path::from_request_parts(parts, state).await;
        let invalid = |_| ApiError::data(StatusCode::BAD_REQUEST, "invalid path");
        segments.map(|Path(segments)| Self(segments)).map_err(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        Params(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn flags_counts_and_words() {
        let given = params(&[("nested", "True"), ("off", "false"), ("limit", "7"), ("limit", "501")]);
        assert_eq!(given.flag("nested"), Ok(true));
        assert_eq!(given.flag("off"), Ok(false));
        assert_eq!(given.flag("missing"), Ok(false));
        assert_eq!(given.count("limit", 50, 500), Err(BadParam("limit")), "the last one counts");
        assert_eq!(given.count("missing", 50, 500), Ok(50));
        assert_eq!(params(&[("s", "b,,c")]).list("s"), Some(vec!["b", "c"]));
        assert_eq!(params(&[("d", "asc")]).word("d", &["desc", "asc"]), Ok(1));
        assert_eq!(params(&[("d", "up")]).word("d", &["desc", "asc"]), Err(BadParam("d")));
    }

    #[test]
    fn queries_that_are_no_text() {
        for (query, expected) in [
            ("", true),
            ("a=b&c=%C3%A9+%zz%4", true),
            ("a=%C3", false),
            ("a=%ff", false),
            ("a=%C3%28", false),
            ("a=\u{e9}", true),
        ] {
            assert_eq!(is_text(query), expected, "{query}");
        }
    }

    #[test]
    fn times_in_all_the_ways_clients_write_them() {
        let check = |text: &str, expected: Option<&str>| {
            let when = params(&[("t", text)]).when("t");
            let shown = when.map(|when| match when {
                Some(When::Moment(moment)) => moment.to_string(),
                Some(When::Day(day)) => day.to_string(),
                None => String::new(),
            });
            assert_eq!(shown.ok().as_deref(), expected, "{text}");
        };
        check("", Some(""));
        check("2024-01-01", Some("2024-01-01"));
        check("2024-01-01T00:00:00Z", Some("2024-01-01T00:00:00Z"));
        check("2024-01-01T00:00:00.000123+00:00", Some("2024-01-01T00:00:00.000123Z"));
        check("2024-01-01T00:00:00 00:00", Some("2024-01-01T00:00:00Z"));
        check("2024-01-01T00:00:00", Some("2024-01-01T00:00:00Z"));
        check("yesterday", None);
    }

    #[test]
    fn days_are_those_that_are_written() {
        let check = |text: &str, expected: Option<&str>| {
            let day = params(&[("t", text)]).day("t");
            let shown = day.map(|day| day.map(|day| day.to_string()).unwrap_or_default());
            assert_eq!(shown.ok().as_deref(), expected, "{text}");
        };
        check("", Some(""));
        check("2025-01-02", Some("2025-01-02"));
        check("2025-01-02T00:00:00.000Z", Some("2025-01-02"));
        check("2025-01-02T23:59:59-05:00", Some("2025-01-02"));
        check("2025-01-02T00:00:00", Some("2025-01-02"));
        check("20250102T000000Z", None);
        check("2025-01-02T", None);
        check("2025-02-30T00:00:00Z", None);
        check("yesterday", None);
    }
}
