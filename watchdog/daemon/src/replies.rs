//! What the broker's answers to a command mean, and where a next page begins.

use std::time::Duration;

use serde_json::Value;
use ureq::{
    Body,
    http::{HeaderMap, Response},
};

use crate::{
    ambient,
    error::Error,
    proof::{Cancels, Closes, Market},
    rows::{id_list, is_plain, text},
};

/// Quotas are counted by the minute: a pause that is longer than one is no word of theirs.
const MAX_PAUSE_S: u64 = 60;
/// An answer is never longer: 500 orders with legs take about 2 MB.
const MAX_BODY_BYTES: u64 = 16 << 20;
/// Of an answer without success so much is kept.
const MAX_MESSAGE_CHARS: usize = 1000;

/// What was answered, when that is JSON or nothing and says success.
///
/// # Errors
/// [`Error::BrokerBusy`], [`Error::BrokerStatus`], [`Error::BrokerUnproven`].
pub(crate) fn answer(mut response: Response<Body>) -> Result<Value, Error> {
    let status = response.status();
    if status.as_u16() == 429 {
        return Err(Error::BrokerBusy { pause: pause(response.headers(), ambient::now().unix_s) });
    }
    let text = response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_string()?;
    if !status.is_success() {
        let message = text.chars().take(MAX_MESSAGE_CHARS).collect();
        return Err(Error::BrokerStatus { status: status.as_u16(), message });
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).map_err(|_| Error::BrokerUnproven("it is not JSON"))
}

/// Whether trading is suspended.
///
/// # Errors
/// When the answer does not say.
pub(crate) fn suspension(body: &Value) -> Result<bool, Error> {
    let word = body.get("suspend_trade").and_then(Value::as_bool);
    word.ok_or(Error::BrokerUnproven("no `suspend_trade` in it"))
}

/// Of the answer to the cancel of all orders. One that is over already (404, 422) is no failure: the next
/// read tells.
pub(crate) fn cancels(body: &Value) -> Cancels {
    let mut cancels = Cancels::default();
    for row in body.as_array().into_iter().flatten() {
        match row_status(row) {
            200..300 => cancels.taken += 1,
            404 | 422 => {}
            _ => cancels.failed.extend(text(row, "id").filter(|id| is_plain(id)).map(String::from)),
        }
    }
    cancels
}

/// Of the answer to the close of all positions.
pub(crate) fn closes(body: &Value) -> Closes {
    let mut closes = Closes::default();
    for row in body.as_array().into_iter().flatten() {
        count_close(row_status(row), row.get("body").unwrap_or(&Value::Null), &mut closes);
    }
    closes
}

/// Of the answer to the close of one.
pub(crate) fn count_close(status: u64, body: &Value, closes: &mut Closes) {
    let holders = id_list(body, "related_orders");
    match status {
        200..300 => closes.taken += 1,
        403 if holders.is_empty() => closes.refused += 1,
        _ => closes.holders.extend(holders),
    }
}

/// Of the market's clock.
pub(crate) fn market(clock: &Value) -> Option<Market> {
    let is_open = clock.get("is_open").and_then(Value::as_bool)?;
    let next_open = text(clock, "next_open").filter(|at| is_moment(at)).unwrap_or("?").to_owned();
    Some(Market { is_open, next_open })
}

/// How long the broker wants to be left alone: `Retry-After`, seconds, else the moment of its quota's reset.
pub(crate) fn pause(headers: &HeaderMap, unix_s: u64) -> Option<Duration> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let until_reset = || Some(number("x-ratelimit-reset")?.saturating_sub(unix_s));
    // A reset far ahead is that of another clock.
    let until_reset = || until_reset().filter(|seconds| *seconds <= MAX_PAUSE_S);
    number("retry-after").or_else(until_reset).map(|seconds| Duration::from_secs(seconds.min(MAX_PAUSE_S)))
}

/// Where the next page begins: `until` is exclusive, and the page may have cut orders of one moment in two,
/// so the moment before the last one counts. What comes twice is known by its id.
pub(crate) fn page_end(page: &[Value]) -> Result<String, Error> {
    let moments = page.iter().rev().map(|order| text(order, "submitted_at"));
    let moments: Option<Vec<&str>> = moments.collect();
    let moments = moments.ok_or(Error::BrokerUnproven("an order has no `submitted_at`"))?;
    let end = moments.iter().find(|moment| Some(*moment) != moments.first() && is_moment(moment));
    end.map(|end| (*end).to_owned()).ok_or(Error::BrokerUnproven("a whole page of orders is of one moment"))
}

/// Of one row of an answer with status 207.
fn row_status(row: &Value) -> u64 {
    row.get("status").and_then(Value::as_u64).unwrap_or(0)
}

fn is_moment(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "+-:.".contains(c))
}
