//! Symbols of which the broker holds another quantity than the books.
//!
//! A fill may be under way while we ask, so a difference is believed when two reads in succession find it,
//! nothing of ours filled from the start of the first to the end of the second, and the order stream was up.
//! Until a later read agrees, the broker's quantity stands in the books as disputed.

use std::collections::BTreeSet;

use sandpit_broker::BrokerError;
use sandpit_cores::reconcile::{self, PositionDifference};
use sandpit_store::{Actor, Audit, Record};
use sandpit_types::{ClientOrderId, MarketTime, Position, Symbol};
use tracing::{info, warn};

use super::{Machine, errands::Errand};
use crate::Review;

/// Orders taken for gone that are asked for when a symbol is disputed, the newest ones.
const MAX_CONCLUDED: usize = 20;

/// What is remembered from one read to the next.
#[derive(Debug, Default)]
pub(super) struct Disputes {
    /// Different at the last read; nothing of ours has filled since it began.
    suspected: BTreeSet<Symbol>,
    /// Filled since the last read began.
    filled: BTreeSet<Symbol>,
    /// Disputes that a human was told of.
    told: BTreeSet<Symbol>,
}

impl Disputes {
    /// A read of the positions begins.
    pub(super) fn begin(&mut self) {
        self.filled.clear();
    }

    /// An order of ours filled: what differs now may be a fill that one side has seen already.
    pub(super) fn filled(&mut self, symbol: &Symbol) {
        self.suspected.remove(symbol);
        self.filled.insert(symbol.clone());
    }
}

impl<R: Review> Machine<R> {
    /// The read at the start, when there is no earlier one: every difference is disputed at once. Those are
    /// returned, and told, that no order can explain which is still to be looked up or may be filling.
    pub(crate) fn first_positions(
        &mut self,
        positions: &[Position],
        now: MarketTime,
    ) -> Vec<PositionDifference> {
        let mut found = reconcile::positions(&self.books, positions);
        self.shares.priced(positions);
        self.shares.begin(&found);
        self.disputes.suspected = found.iter().map(|difference| difference.symbol.clone()).collect();
        for difference in &found {
            self.books.set_disputed(&difference.symbol, Some(difference.broker));
        }
        found.retain(|difference| {
            !self.books.unsettled().any(|order| order.request.symbol == difference.symbol)
        });
        for difference in &found {
            self.dispute(difference, now);
        }
        found
    }

    pub(super) fn positions_read(&mut self, result: Result<Vec<Position>, BrokerError>, now: MarketTime) {
        let is_new = self.positions.ended(result.is_ok(), now, self.chance.next());
        let mut found = match result {
            Ok(positions) => {
                self.shares.priced(&positions);
                reconcile::positions(&self.books, &positions)
            }
            Err(error) => return warn!(%error, "the positions cannot be read"),
        };
        let filled = std::mem::take(&mut self.disputes.filled);
        self.shares_read(&found, &filled, is_new, now);
        found.retain(|difference| !filled.contains(&difference.symbol));
        let different: BTreeSet<Symbol> = found.iter().map(|difference| difference.symbol.clone()).collect();
        let agreed = |symbol: &&Symbol| !different.contains(*symbol) && !filled.contains(*symbol);
        let over: Vec<Symbol> = self.books.disputes().keys().filter(agreed).cloned().collect();
        for symbol in over {
            self.agree(&symbol, now);
        }
        let last = std::mem::take(&mut self.disputes.suspected);
        if !different.is_subset(&last) {
            // Shares that moved unheard: the orders tell whether they are ours. That the stream is to blame
            // is not said before they do, because trades made by hand look the same here.
            self.list.hurry(now);
        }
        // Without the stream, fills are not heard of as they happen: a difference proves nothing, and entries
        // are refused anyway.
        let is_proof = self.books.is_order_stream_up();
        if is_proof {
            self.disputes.suspected = different;
        }
        for difference in found {
            if is_proof && last.contains(&difference.symbol) {
                self.dispute(&difference, now);
            } else if self.books.disputed(&difference.symbol).is_some() {
                self.books.set_disputed(&difference.symbol, Some(difference.broker));
            }
        }
    }

    fn dispute(&mut self, real: &PositionDifference, now: MarketTime) {
        self.books.set_disputed(&real.symbol, Some(real.broker));
        if self.disputes.told.insert(real.symbol.clone()) {
            let PositionDifference { symbol, ours, broker } = real;
            let detail = format!("the broker holds {broker} {symbol}, the books say {ours}");
            self.raise(
                format!(
                    "{detail}: only orders that reduce it are sent until they agree; look for trades made by \
                     hand or by another program"
                ),
                now,
            );
            self.stats.write(|counts| counts.differences += 1);
            self.audit_dispute("dispute", symbol, detail, now);
            // The rows tell whose trades they were.
            self.activities.hurry(now);
            self.ask_for_concluded(&real.symbol, now);
        }
    }

    /// An order may have come to the broker long after we took it for gone, and the stream that would have
    /// told may be mute.
    fn ask_for_concluded(&mut self, symbol: &Symbol, now: MarketTime) {
        let concluded = self.books.concluded_on(symbol, MAX_CONCLUDED);
        let ids: Vec<ClientOrderId> = concluded.into_iter().map(|order| order.client_id().clone()).collect();
        for id in ids {
            self.errands.want(Errand::LookUp, &id, now);
        }
    }

    fn agree(&mut self, symbol: &Symbol, now: MarketTime) {
        self.books.set_disputed(symbol, None);
        if self.disputes.told.remove(symbol) {
            let detail = format!("the broker and the books agree on {symbol} again");
            info!("{detail}");
            self.audit_dispute("dispute-over", symbol, detail, now);
        }
    }

    fn audit_dispute(&mut self, action: &'static str, symbol: &Symbol, detail: String, now: MarketTime) {
        let (actor, symbol) = (Actor::Host, Some(symbol.clone()));
        let audit = Audit { time: now, actor, action, client_id: None, symbol, detail };
        self.ledger.record(Record::Audit(audit));
    }
}
