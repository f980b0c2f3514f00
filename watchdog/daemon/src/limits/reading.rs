//! What the broker's answers about the account mean to the limits.
//!
//! Tolerant: a field that is missing or no number is `None`, and the limits say what that means.

use serde_json::Value;

use super::{Listed, Money, Position, Reading, Row, nanos};
use crate::{
    error::Error,
    proof::Scope,
    rows::{PREFIX, text},
};

/// The activities that are the owner's money coming and going (fact sheet 2.3; which of the kinds move money
/// of the owner's it does not say, these do by their names). Shares that move are not among what is
/// understood.
pub(crate) const TRANSFERS: [&str; 9] =
    ["TRANS", "CSD", "CSW", "JNL", "JNLC", "JNLS", "ACATC", "ACATS", "FOPT"];
/// Equity and cash plus market values that differ by more than this part were not of one moment.
const APART_BASIS_POINTS: u32 = 100;

/// What account and positions say.
///
/// # Errors
/// When the one is no account or the others are no list.
pub(crate) fn reading(account: &Value, positions: &Value) -> Result<Reading, Error> {
    if !account.is_object() {
        return Err(Error::BrokerUnproven("the account is none"));
    }
    let positions = positions.as_array().ok_or(Error::BrokerUnproven("the positions are not a list"))?;
    let money = |key: &str| Money::of(account.get(key));
    let words = |key: &str| text(account, key).filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(Reading {
        account: words("id"),
        equity: money("equity"),
        last_equity: money("last_equity"),
        close_day: words("balance_asof"),
        cash: money("cash"),
        positions: positions.iter().map(position).collect(),
    })
}

/// The value is null at odd hours (fact sheet 2.6): then the shares count at the newest price that is there.
fn position(row: &Value) -> Option<Position> {
    let qty = Money::of(row.get("qty"))?;
    let at = |key: &str| qty.at(Money::of(row.get(key))?);
    let value =
        Money::of(row.get("market_value")).or_else(|| at("current_price")).or_else(|| at("lastday_price"));
    Some(Position { symbol: text(row, "symbol")?.to_owned(), qty, value })
}

/// Whether equity, cash and positions may be of one moment; also when one of them is not known, because one
/// more look would not say more.
pub(crate) fn is_of_one_moment(reading: &Reading) -> bool {
    let values = || reading.positions.as_ref()?.iter().map(|one| one.value).sum::<Option<Money>>();
    match (reading.equity, reading.cash, values()) {
        (Some(equity), Some(cash), Some(values)) => {
            (equity - cash - values).abs() <= equity.abs().part(APART_BASIS_POINTS).max(Money::whole(1))
        }
        (_, _, _) => true,
    }
}

/// The owner's transfers in a page of activities. A canceled row moves nothing.
///
/// # Errors
/// When it is no list, or a row has no id.
pub(crate) fn transfers(page: &Value) -> Result<Vec<Row>, Error> {
    let page = page.as_array().ok_or(Error::BrokerUnproven("the activities are not a list"))?;
    let is_transfer = |row: &&Value| text(row, "activity_type").is_some_and(|kind| TRANSFERS.contains(&kind));
    let one = |row: &Value| {
        let net = match text(row, "status") {
            Some("canceled") => Money::ZERO,
            // Shares move without an amount.
            Some(_) | None => Money::of(row.get("net_amount")).unwrap_or_default(),
        };
        let day = text(row, "date").unwrap_or_default().to_owned();
        text(row, "id").map(|id| Row { id: id.to_owned(), day, net })
    };
    let all: Option<Vec<Row>> = page.iter().filter(is_transfer).map(one).collect();
    all.ok_or(Error::BrokerUnproven("a row of the activities has no id"))
}

/// The orders of a page that are in the scope.
///
/// # Errors
/// When it is no list, or an order has no id or no time.
pub(crate) fn listed(page: &Value, scope: Scope) -> Result<Vec<Listed>, Error> {
    let page = page.as_array().ok_or(Error::BrokerUnproven("the orders are not a list"))?;
    let is_in_scope = |row: &&Value| {
        scope == Scope::Account || text(row, "client_order_id").is_some_and(|id| id.starts_with(PREFIX))
    };
    let is_plain = |stamp: &&str| stamp.chars().all(|c| c.is_ascii_alphanumeric() || "+-:.".contains(c));
    let one = |row: &Value| {
        let submitted_at = text(row, "submitted_at").or_else(|| text(row, "created_at")).filter(is_plain)?;
        Some(Listed { id: text(row, "id")?.to_owned(), submitted_at: submitted_at.to_owned() })
    };
    let all: Option<Vec<Listed>> = page.iter().filter(is_in_scope).map(one).collect();
    all.ok_or(Error::BrokerUnproven("an order has no id or no time"))
}

/// The broker's time, nanoseconds since 1970.
///
/// # Errors
/// When there is none.
pub(crate) fn clock(answer: &Value) -> Result<i128, Error> {
    let stamp = text(answer, "timestamp").and_then(nanos);
    stamp.ok_or(Error::BrokerUnproven("the clock has no time"))
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
