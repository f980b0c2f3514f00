//! What two lists of orders and one of positions say about what is open.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    error::Error,
    proof::{Kind, Order, Position, Scope, Sighting},
};

/// Begins every client order id of ours.
pub(crate) const PREFIX: &str = "sp-";
/// States of an order that is over. Any other, known or not, is open.
const OVER: [&str; 5] = ["filled", "canceled", "expired", "rejected", "replaced"];
/// Decimals of a quantity.
const DECIMALS: usize = 9;

/// What is open. `nested` lists orders with their legs inside; `flat`, where it is read, has a row for each
/// leg, those of a parent that is over included.
pub(crate) fn sighting(
    nested: &[Value],
    flat: &[Value],
    positions: &Value,
    scope: Scope,
) -> Result<Sighting, Error> {
    let positions = positions.as_array().ok_or(Error::BrokerUnproven("the positions are not a list"))?;
    let mut seen = Sighting::default();
    let mut known = BTreeSet::new();
    for order in nested {
        note_ids(order, &mut known);
    }
    let hidden = flat.iter().filter(|row| text(row, "id").is_none_or(|id| !known.contains(id)));
    let rows = nested.iter().map(|order| (order, false)).chain(hidden.map(|order| (order, is_leg(order))));
    let (mut orphans, mut nobodys) = (Vec::new(), BTreeSet::new());
    for (group, (order, is_orphan)) in rows.enumerate() {
        let is_ours = text(order, "client_order_id").is_some_and(|id| id.starts_with(PREFIX));
        if scope == Scope::Account || is_ours {
            let first = seen.open.len();
            put_open(order, group, &mut seen.open)?;
            orphans.extend((first..seen.open.len()).filter(|_| is_orphan));
        } else if is_orphan {
            nobodys.extend(text(order, "symbol"));
        } else {
            seen.foreign.extend(text(order, "symbol").map(String::from));
        }
    }
    // Somebody else's order explains no reservation beside an exit of which nobody knows whose it is.
    seen.foreign.retain(|symbol| !nobodys.contains(&symbol.as_str()));
    let flat_rows: BTreeMap<&str, &Value> =
        flat.iter().filter_map(|row| Some((text(row, "id")?, row))).collect();
    seen.is_moving = nested.iter().any(|order| has_moved(order, &flat_rows));
    pair(&orphans, &mut seen.open);
    seen.positions = positions.iter().filter_map(position).collect();
    Ok(seen)
}

/// The open orders alone, when the positions are not known.
///
/// # Errors
/// When one has no id that can be cancelled.
pub(crate) fn open_orders(nested: &[Value], flat: &[Value], scope: Scope) -> Result<Vec<Order>, Error> {
    sighting(nested, flat, &Value::Array(Vec::new()), scope).map(|seen| seen.open)
}

/// Whether an order that was open is over by now, or more of it is executed. A leg that is held may be left
/// out of the flat list.
fn has_moved(order: &Value, flat: &BTreeMap<&str, &Value>) -> bool {
    let status = text(order, "status").unwrap_or_default();
    let has_moved = match text(order, "id").and_then(|id| flat.get(id)) {
        None => !OVER.contains(&status) && status != "held",
        Some(row) => left(row) != left(order),
    };
    let legs = order.get("legs").and_then(Value::as_array);
    has_moved || legs.into_iter().flatten().any(|leg| self::has_moved(leg, flat))
}

fn left(order: &Value) -> Option<i128> {
    Some(number(order, "qty")? - number(order, "filled_qty").unwrap_or(0))
}

/// Which leg without a parent belongs to which no list says: a stop and the exit of the same size beside it.
fn pair(orphans: &[usize], open: &mut [Order]) {
    let mut stops: Vec<usize> = orphans.iter().copied().filter(|at| open[*at].kind == Kind::Stop).collect();
    for &at in orphans.iter().filter(|at| !stops.contains(at)).collect::<Vec<_>>() {
        let order = &open[at];
        let is_other = |stop: &&usize| {
            let stop = &open[**stop];
            (&stop.symbol, stop.buys, stop.left) == (&order.symbol, order.buys, order.left)
        };
        if let Some(stop) = stops.iter().find(is_other).copied() {
            stops.retain(|left| *left != stop);
            open[at].group = open[stop].group;
        }
    }
}

/// A leg has an id that the broker made up: whose it is, its parent said. Without that one it explains no
/// reservation.
fn is_leg(order: &Value) -> bool {
    !matches!(text(order, "order_class"), None | Some("" | "simple"))
}

/// Legs in `flat` that are in no group of `nested`: their entry is over, and stands in neither list.
pub(crate) fn lost_legs<'a>(nested: &[Value], flat: &'a [Value]) -> Vec<&'a Value> {
    let mut known = BTreeSet::new();
    for order in nested {
        note_ids(order, &mut known);
    }
    let is_lost = |row: &&Value| text(row, "id").is_some_and(|id| !known.contains(id)) && is_leg(row);
    flat.iter().filter(is_lost).collect()
}

fn note_ids<'a>(order: &'a Value, known: &mut BTreeSet<&'a str>) {
    known.extend(text(order, "id"));
    for leg in order.get("legs").and_then(Value::as_array).into_iter().flatten() {
        note_ids(leg, known);
    }
}

/// The order and its legs, as far as they are not over.
fn put_open(order: &Value, group: usize, open: &mut Vec<Order>) -> Result<(), Error> {
    if !text(order, "status").is_some_and(|status| OVER.contains(&status)) {
        let id = text(order, "id").ok_or(Error::BrokerUnproven("an order has no id"))?;
        // It goes into a path.
        if !is_plain(id) {
            return Err(Error::BrokerUnproven("an order's id is not one"));
        }
        open.push(Order {
            id: id.into(),
            symbol: text(order, "symbol").unwrap_or_default().into(),
            kind: kind(order),
            buys: match text(order, "side") {
                Some("buy") => Some(true),
                Some("sell") => Some(false),
                Some(_) | None => None,
            },
            left: left(order),
            group,
        });
    }
    let legs = order.get("legs").and_then(Value::as_array);
    legs.into_iter().flatten().try_for_each(|leg| put_open(leg, group, open))
}

/// `type` and `order_type` say the same.
fn kind(order: &Value) -> Kind {
    match text(order, "type").or_else(|| text(order, "order_type")) {
        Some("stop" | "stop_limit" | "trailing_stop") => Kind::Stop,
        Some("market") if !is_leg(order) && !matches!(text(order, "time_in_force"), Some("opg" | "cls")) => {
            Kind::Market
        }
        Some(_) | None => Kind::Other,
    }
}

/// A row of nothing is none. A quantity that is not a number counts as held.
fn position(row: &Value) -> Option<Position> {
    let qty = number(row, "qty").map(|qty| if text(row, "side") == Some("short") { -qty.abs() } else { qty });
    let held = match row.get("qty_available") {
        None | Some(Value::Null) => 0,
        Some(_) => match (number(row, "qty_available"), qty) {
            (Some(available), Some(qty)) => qty.abs() - available.abs(),
            (None, _) | (_, None) => i128::MAX,
        },
    };
    let symbol = text(row, "symbol").unwrap_or_default();
    let key = text(row, "asset_id").filter(|id| is_plain(id) && !id.is_empty()).unwrap_or(symbol);
    let is_none = qty == Some(0) && held <= 0;
    (!is_none).then(|| Position { symbol: symbol.into(), key: key.into(), qty, held })
}

/// A decimal text or a number, 10^-9; further decimals are cut off.
fn number(row: &Value, key: &str) -> Option<i128> {
    let text = match row.get(key)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (sign, digits) = text.strip_prefix('-').map_or((1, text.as_str()), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let part: String = part.chars().chain(std::iter::repeat('0')).take(DECIMALS).collect();
    let all = format!("{whole}{part}");
    let is_number = !whole.is_empty() && all.len() <= 30 && all.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { all.parse::<i128>().ok().map(|nanos| sign * nanos) } else { None }
}

/// Nothing but what an id is made of.
pub(crate) fn is_plain(id: &str) -> bool {
    id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Ids under a key, as far as they are any.
pub(crate) fn id_list(row: &Value, key: &str) -> Vec<String> {
    let ids = row.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    ids.filter(|id| is_plain(id)).map(String::from).collect()
}

/// A text of a row.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
