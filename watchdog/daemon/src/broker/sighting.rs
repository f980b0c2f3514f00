//! What two lists of orders and one of positions say about open orders.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    error::Error,
    proof::{Scope, Sighting},
};

/// Begins every client order id of ours.
const PREFIX: &str = "sp-";
/// States of an order that is over. Any other, known or not, is open.
const OVER: [&str; 5] = ["filled", "canceled", "expired", "rejected", "replaced"];

/// What is open. `nested` lists orders with their legs inside; `flat`, read in scope `ours` only, has a row
/// for each leg, those of a parent that is over included.
pub(super) fn sighting(
    nested: &[Value],
    flat: &[Value],
    positions: &Value,
    scope: Scope,
) -> Result<Sighting, Error> {
    let positions = positions.as_array().ok_or(Error::BrokerUnproven("the positions are not a list"))?;
    let mut seen = Sighting::default();
    let mut foreign = Vec::new();
    let mut known = BTreeSet::new();
    for order in nested {
        note_ids(order, &mut known);
    }
    let hidden = flat.iter().filter(|row| text(row, "id").is_none_or(|id| !known.contains(id)));
    let rows = nested.iter().map(|order| (order, false)).chain(hidden.map(|order| (order, is_leg(order))));
    for (order, is_orphan) in rows {
        let is_ours = text(order, "client_order_id").is_some_and(|id| id.starts_with(PREFIX));
        if scope == Scope::Account || is_ours {
            open_ids(order, &mut seen.open)?;
        } else if !is_orphan {
            foreign.extend(text(order, "symbol"));
        }
    }
    for position in positions {
        let symbol = text(position, "symbol").unwrap_or_default();
        // In scope `ours` a foreign order on the symbol explains a reservation.
        if is_reserved(position) && !foreign.contains(&symbol) {
            seen.reserved.push(symbol.into());
        }
    }
    Ok(seen)
}

/// A leg has an id that the broker made up: whose it is, its parent said. Without that one it explains no
/// reservation.
fn is_leg(order: &Value) -> bool {
    !matches!(text(order, "order_class"), None | Some("" | "simple"))
}

fn note_ids<'a>(order: &'a Value, known: &mut BTreeSet<&'a str>) {
    known.extend(text(order, "id"));
    for leg in order.get("legs").and_then(Value::as_array).into_iter().flatten() {
        note_ids(leg, known);
    }
}

/// The order's id and those of its legs, as far as they are not over.
fn open_ids(order: &Value, ids: &mut Vec<String>) -> Result<(), Error> {
    if !text(order, "status").is_some_and(|status| OVER.contains(&status)) {
        let id = text(order, "id").ok_or(Error::BrokerUnproven("an order has no id"))?;
        // It goes into a path: nothing but what an id is made of.
        if !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(Error::BrokerUnproven("an order's id is not one"));
        }
        ids.push(id.into());
    }
    let legs = order.get("legs").and_then(Value::as_array);
    legs.into_iter().flatten().try_for_each(|leg| open_ids(leg, ids))
}

/// Part of the position is held for an order, listed or not. A quantity that is not a number counts as held.
fn is_reserved(position: &Value) -> bool {
    let number = |key| match position.get(key) {
        Some(Value::String(text)) => text.parse::<f64>().ok().map(f64::abs),
        Some(Value::Number(number)) => number.as_f64().map(f64::abs),
        Some(_) | None => None,
    };
    match position.get("qty_available") {
        None | Some(Value::Null) => false,
        Some(_) => match (number("qty_available"), number("qty")) {
            (Some(available), Some(all)) => available < all,
            (None, _) | (_, None) => true,
        },
    }
}

/// A text of a row.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}
