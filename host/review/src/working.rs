//! The open orders of a symbol as the gates see them: which of them stand for the same shares, and which
//! cannot fill yet.

use sandpit_cores::orders::{Books, Order};
use sandpit_risk::OpenOrder;
use sandpit_types::{ClientOrderId, OrderClass, Symbol};

/// What is open in a symbol besides an order that comes. If that takes the place of another one, it stands
/// for that one and for the exits that cancel it. What took the place of one of ours and is not in the books
/// yet is open, too, with the rest of that one.
pub(super) fn open_orders(books: &Books, symbol: &Symbol, replaces: Option<&Order>) -> Vec<OpenOrder> {
    let place = replaces.map(|old| (old.request.side, group(books, old)));
    let owing = books.owing_orders().filter(|order| order.request.symbol == *symbol);
    let open = books.open_on(symbol).chain(owing).filter(|order| order.rest().is_positive());
    let seen = open.map(|order| OpenOrder {
        strategy: order.strategy().clone(),
        side: order.request.side,
        remaining: order.rest(),
        kind: order.request.kind,
        group: Some(group(books, order)),
        in_class: is_in_class(order),
        dormant: is_dormant(books, order),
    });
    seen.filter(|order| {
        place.as_ref().is_none_or(|(side, of)| order.side != *side || order.group.as_ref() != Some(of))
    })
    .collect()
}

/// Whether it belongs to a bracket, an OCO or an OTO.
pub(super) fn is_in_class(order: &Order) -> bool {
    order.request.class != OrderClass::Simple || order.links.leg_of.is_some()
}

/// The order that all others of its group go back to: exits to their entry, replacements to what they
/// replaced.
fn group(books: &Books, order: &Order) -> ClientOrderId {
    let first = books.origin(order.client_id());
    let entry = books.order(first).unwrap_or(order).links.leg_of.as_ref();
    entry.map_or(first, |(parent, _)| books.origin(parent)).clone()
}

/// Whether it is an exit whose entry has not filled: while the entry, or what took its place, is open.
fn is_dormant(books: &Books, order: &Order) -> bool {
    let Some(entry) = books.head(order).filter(|_| order.links.leg_of.is_some()) else { return false };
    entry.state().is_open() && !matches!(entry.request.class, OrderClass::Oco { .. })
}
