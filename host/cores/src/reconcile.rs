//! The difference between the broker's truth and our books, as things to do.

mod cash;
mod claims;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

pub use cash::{Agreed, CashCheck, CashVerdict, Standing};
pub use claims::{Claim, claimed, derived, is_claimed, out_of_reach};
pub use rows::{KnownRows, Moved};
use sandpit_types::{BrokerOrder, ClientOrderId, Position, Qty, Symbol};

use crate::orders::{Books, OrderState};

/// One thing in which the broker's orders and our books may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Both have it: apply what the broker shows.
    Known {
        /// Our id.
        client_id: ClientOrderId,
        /// As the broker shows it.
        shown: BrokerOrder,
    },
    /// It is ours, by its prefix or by a claim, and the books lack it: ask the store, then adopt it.
    Lost {
        /// Our id of it.
        client_id: ClientOrderId,
        /// As the broker shows it.
        shown: BrokerOrder,
    },
    /// It is not ours: report it, leave it alone.
    Foreign {
        /// As the broker shows it.
        shown: BrokerOrder,
    },
    /// The books have it unsettled, the broker's list lacks it: ask for it by its id.
    Missing {
        /// Our id.
        client_id: ClientOrderId,
    },
}

/// A symbol of which the broker holds another quantity than the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionDifference {
    /// Which symbol.
    pub symbol: Symbol,
    /// Shares in our books, all strategies together.
    pub ours: Qty,
    /// Shares at the broker.
    pub broker: Qty,
}

/// Our id of an order that the broker shows: that of the order in the books that the broker knows by this id
/// (a leg, a claimed order), else its own, else that of a claim. What took the place of an order of ours
/// although we did not ask for it is ours, too.
pub fn name(books: &Books, claims: &[Claim], shown: &BrokerOrder) -> Option<ClientOrderId> {
    let replaces = || {
        let old = shown.replaces.as_ref().and_then(|old| books.by_broker_id(old));
        let old = old.or_else(|| books.owed_to(&shown.id))?;
        Some(derived(&old.strategy, &shown.id))
    };
    let known = books.by_broker_id(&shown.id).cloned();
    known.or_else(|| shown.ours()).or_else(|| claims::claimed(claims, shown)).or_else(replaces)
}

/// Compares the broker's list of open orders with the books. Orders that are not sent yet, or whose POST is
/// under way, are left out: the list may be older than they are.
pub fn orders(books: &Books, claims: &[Claim], open_at_broker: &[BrokerOrder]) -> Vec<Difference> {
    let names: Vec<_> = open_at_broker.iter().map(|shown| name(books, claims, shown)).collect();
    // A leg is listed by itself or within its parent.
    let legs = open_at_broker.iter().flat_map(|shown| &shown.legs).filter_map(|leg| name(books, claims, leg));
    let listed: BTreeSet<_> = names.iter().flatten().cloned().chain(legs).collect();
    let shown = open_at_broker.iter().zip(names).map(|(shown, name)| {
        let shown = shown.clone();
        match name {
            Some(client_id) if books.order(&client_id).is_some() => Difference::Known { client_id, shown },
            Some(client_id) => Difference::Lost { client_id, shown },
            None => Difference::Foreign { shown },
        }
    });
    let missing = books
        .unsettled()
        // A leg that the broker has not shown yet is found through its parent.
        .filter(|order| !(order.is_leg() && order.broker_id().is_none()))
        .filter(|order| match order.state() {
            OrderState::Unknown { .. }
            | OrderState::Working(_)
            | OrderState::Cancelling(_)
            | OrderState::Rejected { .. } => !listed.contains(order.client_id()),
            OrderState::Recorded
            | OrderState::Sending { .. }
            | OrderState::NotSent
            | OrderState::NeverArrived { .. }
            | OrderState::Terminal(_) => false,
        })
        .map(|order| Difference::Missing { client_id: order.client_id().clone() });
    shown.chain(missing).collect()
}

/// Compares the broker's positions with the sum of the sub-books, symbol by symbol.
pub fn positions(books: &Books, at_broker: &[Position]) -> Vec<PositionDifference> {
    let held: BTreeMap<&Symbol, Qty> = at_broker.iter().map(|held| (&held.symbol, held.qty)).collect();
    let mut symbols = books.exposed_symbols();
    symbols.extend(held.keys().copied().cloned());
    let difference = |symbol: Symbol| {
        let broker = held.get(&symbol).copied().unwrap_or_default();
        let ours = books.position(&symbol);
        (ours != broker).then_some(PositionDifference { symbol, ours, broker })
    };
    symbols.into_iter().filter_map(difference).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use sandpit_types::{
        BrokerOrderId, HostEpoch, MarketTime, OrderKind, OrderRequest, OrderStatus, Price, Side,
        StrategyName, StrategyOrderId, TimeInForce,
    };

    use super::*;
    use crate::orders::{NewOrder, OrderEvent};

    pub(crate) fn shown(client_id: &str) -> BrokerOrder {
        BrokerOrder {
            id: BrokerOrderId::new(format!("b-{client_id}")),
            client_id: client_id.to_owned(),
            symbol: Symbol::new("SPY"),
            side: Side::Buy,
            qty: Some(Qty::new(10.into())),
            filled_qty: Qty::ZERO,
            filled_avg_price: None,
            limit_price: None,
            stop_price: None,
            replaces: None,
            replaced_by: None,
            legs: Vec::new(),
            status: OrderStatus::New,
            submitted_at: MarketTime::EPOCH,
            updated_at: MarketTime::EPOCH,
        }
    }

    fn id(sequence: u64) -> ClientOrderId {
        ClientOrderId { strategy: StrategyName::parse("sma").expect("a name"), epoch: HostEpoch(1), sequence }
    }

    fn books(events: &[(u64, &[OrderEvent])]) -> Books {
        let mut books = Books::default();
        for (sequence, events) in events {
            let request = OrderRequest {
                client_id: id(*sequence),
                symbol: Symbol::new("SPY"),
                side: Side::Buy,
                qty: Qty::new(10.into()),
                kind: OrderKind::Market,
                time_in_force: TimeInForce::Day,
                extended_hours: false,
                class: sandpit_types::OrderClass::Simple,
            };
            let new = NewOrder {
                request,
                strategy_id: StrategyOrderId(*sequence),
                links: sandpit_types::Links::default(),
                incarnation: 0,
            };
            books.record(new, MarketTime::EPOCH).expect("fresh");
            for event in *events {
                books.apply(&id(*sequence), event).expect("possible");
            }
        }
        books
    }

    #[test]
    fn every_order_falls_into_one_class() {
        let at = MarketTime::EPOCH;
        let working = OrderEvent::Snapshot(shown(&id(3).to_string()));
        let books = books(&[
            (1, &[]),
            (2, &[OrderEvent::Sent]),
            (3, &[OrderEvent::Sent, working]),
            (4, &[OrderEvent::Sent, OrderEvent::OutcomeUnknown { at }]),
            (5, &[OrderEvent::Sent, OrderEvent::Rejected]),
        ]);
        let check = |listed: &[&str], expected: &[&str]| {
            let listed: Vec<BrokerOrder> = listed.iter().map(|client_id| shown(client_id)).collect();
            let claims = [Claim {
                client_id_prefix: "manual-".to_owned(),
                strategy: StrategyName::parse("sma").expect("a name"),
                symbols: BTreeSet::from([Symbol::new("SPY")]),
            }];
            let classes: Vec<String> = orders(&books, &claims, &listed)
                .into_iter()
                .map(|difference| match difference {
                    Difference::Known { client_id, .. } => format!("known {}", client_id.sequence),
                    Difference::Lost { shown, .. } if shown.ours().is_none() => {
                        format!("claimed {}", shown.client_id)
                    }
                    Difference::Lost { client_id, .. } => format!("lost {}", client_id.sequence),
                    Difference::Foreign { shown } => format!("foreign {}", shown.client_id),
                    Difference::Missing { client_id } => format!("missing {}", client_id.sequence),
                })
                .collect();
            assert_eq!(classes, expected, "{listed:?}");
        };
        let text = |sequence| id(sequence).to_string();
        check(&[], &["missing 3", "missing 4", "missing 5"]);
        check(&[&text(3), &text(4)], &["known 3", "known 4", "missing 5"]);
        check(&[&text(5), &text(3), &text(4)], &["known 5", "known 3", "known 4"]);
        check(&[&text(3), &text(4), &text(99)], &["known 3", "known 4", "lost 99", "missing 5"]);
        check(
            &[&text(5), "by-hand", ""],
            &["known 5", "foreign by-hand", "foreign ", "missing 3", "missing 4"],
        );
        check(&["manual-1", &text(3)], &["claimed manual-1", "known 3", "missing 4", "missing 5"]);
    }

    #[test]
    fn positions_are_compared_symbol_by_symbol() {
        let held = |symbol: &str, qty: i64| Position {
            symbol: Symbol::new(symbol),
            qty: Qty::new(qty.into()),
            qty_available: Qty::new(qty.into()),
            avg_entry_price: Price::new(100.into()),
            current_price: None,
        };
        let mut filled = shown(&id(1).to_string());
        filled.filled_qty = Qty::new(4.into());
        filled.filled_avg_price = Some(Price::new(100.into()));
        let books = books(&[(1, &[OrderEvent::Sent, OrderEvent::Snapshot(filled)])]);
        let check = |at_broker: &[Position], expected: &[(&str, i64, i64)]| {
            let found = positions(&books, at_broker);
            let expected: Vec<PositionDifference> = expected
                .iter()
                .map(|(symbol, ours, broker)| PositionDifference {
                    symbol: Symbol::new(*symbol),
                    ours: Qty::new((*ours).into()),
                    broker: Qty::new((*broker).into()),
                })
                .collect();
            assert_eq!(found, expected);
        };
        check(&[held("SPY", 4)], &[]);
        check(&[], &[("SPY", 4, 0)]);
        check(&[held("SPY", 4), held("QQQ", -2)], &[("QQQ", 0, -2)]);
        check(&[held("SPY", -4)], &[("SPY", 4, -4)]);
    }
}
