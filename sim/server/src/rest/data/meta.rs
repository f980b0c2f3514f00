//! Reference data: codes of exchanges and conditions, corporate actions.

use std::collections::BTreeMap;

use axum::{http::StatusCode, response::Response};
use serde_json::json;

use super::{Params, ok, refuse};
use crate::rest::{
    ApiError,
    params::{BadParam, DataSegments},
};

/// Exchange codes, as the tapes define them.
const EXCHANGES: [(&str, &str); 19] = [
    ("A", "NYSE American (AMEX)"),
    ("B", "NASDAQ OMX BX"),
    ("C", "National Stock Exchange"),
    ("D", "FINRA ADF"),
    ("E", "Market Independent"),
    ("H", "MIAX"),
    ("I", "International Securities Exchange"),
    ("J", "Cboe EDGA"),
    ("K", "Cboe EDGX"),
    ("L", "Long Term Stock Exchange"),
    ("M", "Chicago Stock Exchange"),
    ("N", "New York Stock Exchange"),
    ("P", "NYSE Arca"),
    ("Q", "NASDAQ OMX"),
    ("U", "Members Exchange"),
    ("V", "IEX"),
    ("W", "CBOE"),
    ("X", "NASDAQ OMX PSX"),
    ("Y", "Cboe BYX"),
];
/// Conditions of trades that this market uses or that say something about a bar.
const TRADE_CONDITIONS: [(&str, &str); 12] = [
    (" ", "Regular Sale"),
    ("@", "Regular Sale"),
    ("B", "Bunched Trade"),
    ("C", "Cash Sale"),
    ("F", "Intermarket Sweep"),
    ("I", "Odd Lot Trade"),
    ("M", "Market Center Official Close"),
    ("O", "Opening Prints"),
    ("Q", "Market Center Official Open"),
    ("T", "Form T"),
    ("U", "Extended Trading Hours (Sold Out of Sequence)"),
    ("Z", "Sold (Out of Sequence)"),
];
/// Conditions of quotes.
const QUOTE_CONDITIONS: [(&str, &str); 8] = [
    ("A", "Manual Ask Automated Bid"),
    ("B", "Manual Bid Automated Ask"),
    ("H", "Manual Bid And Ask"),
    ("L", "Closed Quote"),
    ("N", "Non Firm Quote"),
    ("O", "Opening Quote"),
    ("R", "Regular Two Sided Open"),
    ("Y", "Regular One Sided Open"),
];
const TAPES: [&str; 3] = ["A", "B", "C"];
/// The kinds of corporate actions.
const ACTIONS: [&str; 15] = [
    "cash_dividend",
    "cash_merger",
    "forward_split",
    "name_change",
    "partial_call",
    "redemption",
    "reorganization",
    "reverse_split",
    "rights_distribution",
    "spin_off",
    "stock_and_cash_merger",
    "stock_dividend",
    "stock_merger",
    "unit_split",
    "worthless_removal",
];
const MAX_ACTIONS: usize = 1_000;

pub(super) async fn exchanges() -> Response {
    ok(&BTreeMap::from(EXCHANGES))
}

/// Conditions of trades or quotes on a tape; here they are the same on all tapes.
pub(super) async fn conditions(
    DataSegments(kind): DataSegments<String>,
    params: Params,
) -> Result<Response, ApiError> {
    if !params.text("tape").is_some_and(|tape| TAPES.contains(&tape)) {
        return Err(refuse(BadParam("tape")));
    }
    match kind.as_str() {
        "trade" => Ok(ok(&BTreeMap::from(TRADE_CONDITIONS))),
        "quote" => Ok(ok(&BTreeMap::from(QUOTE_CONDITIONS))),
        _ => Err(ApiError::data(StatusCode::BAD_REQUEST, format!("invalid ticktype: {kind}"))),
    }
}

/// Nothing is ever split or merged here and nothing pays a dividend: the set is empty.
pub(super) async fn corporate_actions(params: Params) -> Result<Response, ApiError> {
    let kinds = params.list("types").unwrap_or_default();
    if kinds.iter().any(|kind| !ACTIONS.contains(kind)) {
        return Err(refuse(BadParam("types")));
    }
    params.count("limit", 100, MAX_ACTIONS).map_err(refuse)?;
    params.word("sort", &["asc", "desc"]).map_err(refuse)?;
    for moment in ["start", "end"] {
        params.when(moment).map_err(refuse)?;
    }
    Ok(ok(&json!({"corporate_actions": {}, "next_page_token": null})))
}
