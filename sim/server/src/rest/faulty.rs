//! The faults of requests: what the core planned is done here, and nothing is decided.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Symbol};
use serde_json::Value;

use super::{ApiError, record};
use crate::{
    desk::skewed,
    faults::{self, Deed, Plan, Reading, Step},
    limit::Api,
    sim::{Desk, Sim},
    wire::clock::NewYork,
};

/// A request to an endpoint.
pub(super) async fn request(State(sim): State<Arc<Sim>>, request: Request, next: Next) -> Response {
    run(&sim, request, next, false).await
}

/// A request for a stream.
pub(super) async fn handshake(State(sim): State<Arc<Sim>>, request: Request, next: Next) -> Response {
    run(&sim, request, next, true).await
}

/// A request for the stream of the news, which shares its path with an endpoint.
pub(super) async fn news_handshake(State(sim): State<Arc<Sim>>, request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::UPGRADE) {
        return run(&sim, request, next, true).await;
    }
    next.run(request).await
}

async fn run(sim: &Sim, request: Request, next: Next, is_handshake: bool) -> Response {
    if !sim.has_request_faults() {
        return next.run(request).await;
    }
    let (path, method) = (request.uri().path(), request.method().as_str());
    let facts = faults::Request { api: Api::of_path(path), method, path, is_handshake };
    let plan = sim.with(|desk, now| desk.plan(facts, now));
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    match plan.end {
        Some((step, Deed::Undone)) => answer(step),
        Some((step, Deed::Done)) => {
            // The deed's own answer is what gets lost.
            drop(next.run(request).await);
            answer(step)
        }
        None => rewrite(next.run(request).await, &plan, sim.new_york()).await,
    }
}

fn answer(step: Step) -> Response {
    match step {
        Step::RateLimit => super::too_many_requests(),
        Step::ServerError(status) => server_error(status).into_response(),
        Step::Reset => severed(Duration::ZERO),
        Step::Timeout(hold) => severed(hold),
        Step::Html(status) => {
            let status = StatusCode::from_u16(status).expect("checked with the rule");
            let reason = status.canonical_reason().unwrap_or("Unknown Error");
            let title = format!("{} {reason}", status.as_u16());
            let page = format!(
                "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\
                 \r\n</body>\r\n</html>\r\n"
            );
            let mut response = (status, Html(page)).into_response();
            response.headers_mut().insert(header::SERVER, HeaderValue::from_static("proxy"));
            response
        }
    }
}

/// A server error in the broker's words, as far as they are known: those of 502 and 503 are ours.
pub(super) fn server_error(status: u16) -> ApiError {
    let words = match status {
        502 => "bad gateway",
        503 => "service unavailable",
        504 => "request timed out",
        _ => "internal server error",
    };
    let code = i64::from(status) * 100_000 + 10_000;
    ApiError::trading(StatusCode::from_u16(status).expect("checked with the rule"), code, words)
}

/// Does one of the things of a request about all, or lets it fail.
pub(super) fn item<T>(
    desk: &mut Desk,
    path: &str,
    symbol: &Symbol,
    now: MarketTime,
    deed: impl FnOnce(&mut Desk) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let Some((status, when)) = desk.fail_item(path, symbol, now) else { return deed(desk) };
    if when == Deed::Done {
        deed(desk)?;
    }
    Err(match status {
        404 => ApiError::not_found(format!("not found: {symbol}")),
        status @ (403 | 422) => {
            let code = i64::from(status) * 100_000 + 10_000;
            let status = StatusCode::from_u16(status).expect("checked with the rule");
            ApiError::trading(status, code, "request cannot be processed")
        }
        status => server_error(status),
    })
}

/// No answer. A server that cannot cut its connections sends this as it is.
pub(super) fn severed(after: Duration) -> Response {
    let mut response = StatusCode::BAD_GATEWAY.into_response();
    response.extensions_mut().insert(record::Severed(after));
    response
}

/// An account or a clock that shows something else.
async fn rewrite(response: Response, plan: &Plan, new_york: &NewYork) -> Response {
    if plan.equity.is_none() && plan.skew_secs == 0 || !response.status().is_success() {
        return response;
    }
    let (response, body) = record::look_into(response).await;
    let Ok(mut shown) = serde_json::from_slice::<Value>(&body) else { return response };
    if let Some(reading) = plan.equity {
        for name in ["equity", "portfolio_value"] {
            let true_equity = shown[name].as_str().and_then(|text| text.parse::<Decimal>().ok());
            let equity = match reading {
                Reading::Amount(amount) => amount,
                Reading::Factor(factor) => true_equity.unwrap_or_default().saturating_mul(factor),
            };
            shown[name] = equity.round_dp(2).normalize().to_string().into();
        }
    }
    if plan.skew_secs != 0 {
        let stamp = shown["timestamp"].as_str().and_then(|text| skew(text, plan.skew_secs, new_york));
        if let Some(stamp) = stamp {
            shown["timestamp"] = stamp.into();
        }
    }
    super::ok(&shown)
}

/// A stamp as a clock writes it that is wrong by so many seconds.
fn skew(text: &str, skew_secs: i64, new_york: &NewYork) -> Option<String> {
    let at = MarketTime::parse(text).ok()?;
    Some(new_york.stamp(skewed(at, skew_secs)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_stays_in_new_york() {
        let check = |text: &str, secs, expected: Option<&str>| {
            assert_eq!(skew(text, secs, &NewYork::new()).as_deref(), expected, "{text}");
        };
        check("2026-03-16T09:30:00.25-04:00", -30, Some("2026-03-16T09:29:30.25-04:00"));
        check("2026-03-06T23:59:59-05:00", 1, Some("2026-03-07T00:00:00-05:00"));
        check("never", 1, None);
    }

    #[test]
    fn server_errors_have_the_brokers_codes() {
        for (status, text) in [(500, "50010000"), (504, "50410000")] {
            assert!(server_error(status).to_string().contains(text), "{status}");
        }
    }
}
