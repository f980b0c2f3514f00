//! What became of the orders, for the report.

use std::collections::BTreeMap;

use sandpit_execution::DeskOutput;
use sandpit_report::{Fill, Orders};
use sandpit_types::{Intent, OrderStatus, OrderUpdate, Qty, StrategyOrderId, Symbol};

/// Notes that are kept, the first.
const NOTES_MAX: usize = 50;

/// An order that is not over.
#[derive(Default)]
struct Open {
    /// The newest price of its symbol when the strategy wanted it.
    reference: Option<f64>,
    asked: f64,
    filled: f64,
    is_sent: bool,
}

/// Everything that is written down.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) fills: Vec<Fill>,
    pub(crate) orders: Orders,
    pub(crate) refusals: BTreeMap<String, u64>,
    pub(crate) notes: Vec<String>,
    open: BTreeMap<StrategyOrderId, Open>,
}

impl Record {
    /// The strategy wants something.
    pub(crate) fn wanted(&mut self, intent: &Intent, last: impl FnOnce(&Symbol) -> Option<f64>) {
        let (id, symbol, qty) = match intent {
            Intent::Submit(submit) => (submit.id, Some(&submit.symbol), submit.qty),
            Intent::ClosePosition { id, symbol } => (*id, Some(symbol), Qty::ZERO),
            Intent::Replace(replace) => (replace.new_id, None, replace.change.qty.unwrap_or(Qty::ZERO)),
            _ => return,
        };
        let open = Open { reference: symbol.and_then(last), asked: qty.to_f64(), ..Open::default() };
        self.open.entry(id).or_insert(open);
    }

    /// The desk told something.
    pub(crate) fn told(&mut self, output: &DeskOutput) {
        match output {
            DeskOutput::Order { update, .. } => self.moved(update),
            DeskOutput::Fill { id, fill, .. } => {
                let open = self.open.entry(*id).or_default();
                let (qty, price) = (fill.qty.to_f64(), fill.price.to_f64());
                open.filled += qty;
                self.orders.filled_qty += qty;
                self.fills.push(Fill {
                    time: fill.time,
                    symbol: fill.symbol.clone(),
                    side: fill.side,
                    qty,
                    price,
                    reference: open.reference,
                    fee: 0.0,
                    order: id.0,
                });
            }
            DeskOutput::Refused { id, refusal, .. } => {
                *self.refusals.entry(refusal.to_string()).or_default() += 1;
                self.open.remove(id);
            }
            DeskOutput::Alert(text) => self.note(text.clone()),
            _ => {}
        }
    }

    /// Notes something for whoever reads the report.
    pub(crate) fn note(&mut self, text: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(text);
        }
    }

    /// Orders that are still open.
    pub(crate) fn still_open(&self) -> usize {
        self.open.values().filter(|open| open.is_sent).count()
    }

    fn moved(&mut self, update: &OrderUpdate) {
        let open = self.open.entry(update.id).or_default();
        if update.leg.is_none() && !std::mem::replace(&mut open.is_sent, true) {
            self.orders.sent += 1;
            self.orders.asked_qty += open.asked;
        }
        if !update.status.is_terminal() {
            return;
        }
        match update.status {
            OrderStatus::Filled => self.orders.filled += 1,
            OrderStatus::Canceled | OrderStatus::Replaced => self.orders.cancelled += 1,
            OrderStatus::Expired => self.orders.expired += 1,
            _ => self.orders.rejected += 1,
        }
        if update.status != OrderStatus::Filled && update.filled_qty.is_positive() {
            self.orders.partly += 1;
        }
        if update.leg.is_none() {
            self.open.remove(&update.id);
        }
    }
}
