//! Lists of orders, legs included. No list of Alpaca's has them all (fact sheet 2.5, 9):
//!
//! | | flat | nested |
//! |---|---|---|
//! | an order by itself | a row | a row |
//! | the entry of a group, while it is open | a row | a row |
//! | its legs, held | missing from `open` (alpaca-trade-api-python#322) | in the row of the entry |
//! | legs that work, the entry filled | rows | nothing: the group belongs to its entry (js#80, #87) |
//! | the stop-loss held beside them | missing from `open` | in its entry, which only `closed` shows |
//!
//! So the flat list is read first; the same nested only if it shows an order of a group; and the entries that
//! are over only if a bracket's leg is open without its entry. That is one request without groups, two while
//! entries wait, three while exits of brackets work.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use reqwest::Method;
use sandpit_broker::BrokerError;
use sandpit_types::{BrokerOrder, BrokerOrderId, MarketTime};

use crate::{
    Alpaca,
    broker::malformed,
    map,
    rest::Ask,
    wire::order::{OrderWire, is_group},
};

/// Alpaca gives at most this many orders a page; in a nested list, legs are not counted.
const ORDERS_PER_PAGE: usize = 500;
/// Longer lists are an error: an account of ours never has 10 000 open orders, and never forgets as many.
const MAX_ORDER_PAGES: usize = 20;
/// So many pages of orders that are over are searched for the entries of open legs. What is older stays out
/// of the list; by its id it can be asked for all the same.
const MAX_ENTRY_PAGES: usize = 2;
/// More symbols are not named in one request.
const MAX_SYMBOLS: usize = 200;
/// Bounds of a list are exclusive, and the broker may cut stamps to this: so much more keeps the rows on the
/// bound, and those that share the stamp of a page's last.
const STAMP: Duration = Duration::from_micros(1);

/// Which orders.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    /// Those that are not over.
    Open,
    /// All that were submitted then or later.
    Since(MarketTime),
}

/// Orders by the broker's id, in the order in which they were first seen.
#[derive(Default)]
struct Listed {
    orders: Vec<BrokerOrder>,
    places: BTreeMap<BrokerOrderId, usize>,
}

impl Listed {
    /// Notes an order. A later answer is newer; one that shows no legs takes none away.
    fn note(&mut self, mut order: BrokerOrder) {
        let Some(&place) = self.places.get(&order.id) else {
            self.places.insert(order.id.clone(), self.orders.len());
            return self.orders.push(order);
        };
        let known = &mut self.orders[place];
        if order.legs.is_empty() {
            order.legs = std::mem::take(&mut known.legs);
        }
        *known = order;
    }

    /// The symbols of these orders, as a list asks for them; `None` for too many, which are not named then.
    fn symbols(&self, ids: &BTreeSet<BrokerOrderId>) -> Option<String> {
        let rows = self.orders.iter().filter(|order| ids.contains(&order.id));
        let names: BTreeSet<&str> = rows.map(|order| order.symbol.as_str()).collect();
        (names.len() <= MAX_SYMBOLS).then(|| names.into_iter().collect::<Vec<_>>().join(","))
    }
}

/// What one list said.
struct Rows {
    orders: Vec<BrokerOrder>,
    /// Whether an order of a group was among them.
    has_groups: bool,
    /// Orders of brackets, entries and legs.
    of_brackets: BTreeSet<BrokerOrderId>,
}

impl Alpaca {
    /// All orders of `span`, legs as rows of their own and, if they are shown there, in their parents.
    pub(crate) async fn orders_of(&self, span: Span) -> Result<Vec<BrokerOrder>, BrokerError> {
        let flat = self.all_pages(span, false).await?;
        let mut listed = Listed::default();
        flat.orders.into_iter().for_each(|order| listed.note(order));
        if !flat.has_groups {
            return Ok(listed.orders);
        }
        let nested = self.all_pages(span, true).await?;
        let mut inside: BTreeSet<BrokerOrderId> = BTreeSet::new();
        for order in nested.orders {
            inside.extend(order.legs.iter().map(|leg| leg.id.clone()));
            inside.extend(Some(order.id.clone()).filter(|_| !order.legs.is_empty()));
            listed.note(order);
        }
        let orphans: BTreeSet<_> = flat.of_brackets.difference(&inside).cloned().collect();
        if matches!(span, Span::Open) && !orphans.is_empty() {
            self.find_siblings(orphans, &mut listed).await?;
        }
        Ok(listed.orders)
    }

    /// Looks among the orders that are over for the entries of open legs, and adds what else hangs on them: a
    /// stop-loss that is held while its take-profit works is in no list of open orders.
    async fn find_siblings(
        &self,
        mut orphans: BTreeSet<BrokerOrderId>,
        listed: &mut Listed,
    ) -> Result<(), BrokerError> {
        let symbols = listed.symbols(&orphans);
        let mut query = vec![("status", "closed"), ("nested", "true"), ("direction", "desc")];
        query.extend(symbols.as_deref().map(|symbols| ("symbols", symbols)));
        let mut until = None;
        for _ in 0..MAX_ENTRY_PAGES {
            let page = self.order_page(&query, "until", until).await?;
            let next = (page.len() == ORDERS_PER_PAGE).then(|| last_stamp(&page)).flatten();
            let mut rows = Vec::new();
            map::flatten(page, &mut rows).map_err(malformed)?;
            for entry in rows.into_iter().filter(|entry| !entry.legs.is_empty()) {
                // The entry itself, if it has filled between two of our questions.
                let is_wanted = orphans.remove(&entry.id);
                let is_wanted =
                    entry.legs.iter().fold(is_wanted, |is_wanted, leg| orphans.remove(&leg.id) || is_wanted);
                if is_wanted {
                    entry.legs.iter().cloned().for_each(|leg| listed.note(leg));
                    listed.note(entry);
                }
            }
            if orphans.is_empty() || next.is_none() {
                break;
            }
            until = next.map(|stamp| stamp + STAMP);
        }
        if !orphans.is_empty() {
            tracing::warn!(legs = orphans.len(), "the entries of open legs are not among the newest orders");
        }
        Ok(())
    }

    /// Every row of a list, page by page.
    async fn all_pages(&self, span: Span, nested: bool) -> Result<Rows, BrokerError> {
        let nested = if nested { "true" } else { "false" };
        let (status, direction, bound) = match span {
            Span::Open => ("open", "desc", "until"),
            Span::Since(_) => ("all", "asc", "after"),
        };
        let query = [("status", status), ("nested", nested), ("direction", direction)];
        let mut rows = Rows { orders: Vec::new(), has_groups: false, of_brackets: BTreeSet::new() };
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut from = match span {
            Span::Open => None,
            Span::Since(since) => Some(since - STAMP),
        };
        for _ in 0..MAX_ORDER_PAGES {
            let mut page = self.order_page(&query, bound, from).await?;
            let is_last = page.len() < ORDERS_PER_PAGE;
            let last = last_stamp(&page);
            page.retain(|row| seen.insert(row.id.clone()));
            let brought_any = !page.is_empty();
            rows.take(page)?;
            if is_last {
                if let Span::Since(since) = span {
                    rows.orders.retain(|order| order.submitted_at >= since);
                }
                return Ok(rows);
            }
            from = last.map(|stamp| match span {
                Span::Open => stamp + STAMP,
                Span::Since(_) => stamp - STAMP,
            });
            if from.is_none() || !brought_any {
                break;
            }
        }
        Err(BrokerError::Malformed { message: format!("the list of {status} orders does not end") })
    }

    /// One page of a list, as far as `bound`.
    async fn order_page(
        &self,
        query: &[(&str, &str)],
        bound: &str,
        time: Option<MarketTime>,
    ) -> Result<Vec<OrderWire>, BrokerError> {
        let limit = ORDERS_PER_PAGE.to_string();
        let time = time.map(|time| time.to_string());
        let mut query = query.to_vec();
        query.push(("limit", &*limit));
        query.extend(time.as_deref().map(|time| (bound, time)));
        self.trading.read(Method::GET, "/v2/orders", &query, Ask::POLL).await?.value()
    }
}

impl Rows {
    fn take(&mut self, page: Vec<OrderWire>) -> Result<(), BrokerError> {
        for row in &page {
            self.has_groups |= is_group(row.order_class.as_deref())
                || row.legs.as_ref().is_some_and(|legs| !legs.is_empty());
            if row.order_class.as_deref() == Some("bracket") {
                self.of_brackets.insert(map::order_id(&row.id));
            }
        }
        map::flatten(page, &mut self.orders).map_err(malformed)
    }
}

/// The stamp by which a list is sorted, of a page's last row.
fn last_stamp(page: &[OrderWire]) -> Option<MarketTime> {
    page.last().and_then(|row| row.submitted_at.or(row.created_at)).map(|stamp| stamp.0)
}
