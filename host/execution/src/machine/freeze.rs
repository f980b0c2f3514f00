//! Freezes: only orders that reduce are sent, over restarts, until a person has looked.
//!
//! There are two, and neither hides the other. One is for cash that nothing explains: it ends with a new
//! agreement of what cash there should be, which is made at a start, when nothing is on its way; so the host
//! has to be stopped for it. The other is a person's own wish: nothing is in doubt, and a person ends it, the
//! host running or not. What cash is expected stays as it was: else a freeze and its end would be a way to
//! have missing money forgotten.

use std::collections::BTreeMap;

use sandpit_cores::orders::Order;
use sandpit_store::{Actor, Audit, Record, facts};
use sandpit_types::{ClientOrderId, MarketTime};
use tracing::error;

use super::{Machine, audit, errands::Errand};
use crate::{Answer, Review};

/// Why it is frozen.
#[derive(Debug, Default)]
pub(super) struct Freezes {
    /// Cash that nothing explains.
    cash: Option<String>,
    /// A person, with the name and the reason, or a signal of the rules, which a person lifts, too.
    operator: Option<String>,
}

impl Freezes {
    /// All reasons there are.
    fn reason(&self) -> Option<String> {
        let reasons: Vec<&str> =
            [&self.cash, &self.operator].into_iter().flatten().map(String::as_str).collect();
        (!reasons.is_empty()).then(|| reasons.join("; and "))
    }
}

impl<R: Review> Machine<R> {
    /// Takes in what earlier lives left.
    pub(super) fn restore_freezes(&mut self, stored: &BTreeMap<String, String>, now: MarketTime) {
        self.freezes.cash = stored.get(facts::FREEZE).cloned();
        self.freezes.operator = stored.get(facts::OPERATOR_FREEZE).cloned();
        if self.freezes.cash.is_some() {
            self.cash.restore_frozen();
        }
        self.show_freeze();
        if let Some(reason) = self.freezes.reason() {
            self.raise(format!("still frozen: {reason}"), now);
        }
    }

    /// Nothing may add risk until an operator has looked at the cash.
    pub(super) fn freeze_for_cash(&mut self, reason: String, now: MarketTime) {
        self.freezes.cash = Some(reason.clone());
        self.show_freeze();
        self.ledger.record(Record::Fact { name: facts::FREEZE, value: Some(reason.clone()) });
        self.cancel_entries(now);
        self.audit_freeze(Actor::Host, "freeze", reason.clone(), now);
        self.raise(
            format!(
                "frozen, only orders that reduce are sent: {reason}; look for money that moved at the \
                 broker, stop the host, then `sandpit unfreeze` (with `--rebase` if it is gone for good)"
            ),
            now,
        );
    }

    /// A person wants nothing sent that adds risk.
    pub(super) fn freeze_by_hand(&mut self, operator: &str, reason: &str, now: MarketTime) -> Answer {
        let before = self.freezes.reason();
        self.audit_freeze(Actor::Operator(operator.to_owned()), "freeze", reason.to_owned(), now);
        if self.freezes.operator.is_none() {
            let text = format!("{operator} froze it: {reason}");
            self.freezes.operator = Some(text.clone());
            self.show_freeze();
            self.ledger.record(Record::Fact { name: facts::OPERATOR_FREEZE, value: Some(text.clone()) });
            let told = format!("frozen, only orders that reduce are sent until `sandpit unfreeze`: {text}");
            self.raise(told, now);
        }
        Answer::Frozen { before, orders: self.cancel_entries(now) }
    }

    /// A signal wants nothing sent that adds risk, until a person has looked. What is frozen already stays
    /// frozen for its own reason.
    pub(super) fn freeze_by_rule(&mut self, signal: &str, now: MarketTime) {
        if self.freezes.reason().is_some() {
            return;
        }
        let text = format!("a signal fired: {signal}");
        error!(event = "frozen", "{text}");
        self.audit_freeze(Actor::Host, "freeze", text.clone(), now);
        self.freezes.operator = Some(text.clone());
        self.show_freeze();
        self.ledger.record(Record::Fact { name: facts::OPERATOR_FREEZE, value: Some(text.clone()) });
        self.cancel_entries(now);
        self.raise(format!("frozen, only orders that reduce are sent until `sandpit unfreeze`: {text}"), now);
    }

    /// A person lifts what a person froze.
    pub(super) fn unfreeze_by_hand(&mut self, operator: &str, reason: &str, now: MarketTime) -> Answer {
        if let Some(cash) = &self.freezes.cash {
            return Answer::StaysFrozen { reason: cash.clone() };
        }
        let Some(was) = self.freezes.operator.take() else { return Answer::NotFrozen };
        self.show_freeze();
        self.ledger.record(Record::Fact { name: facts::OPERATOR_FREEZE, value: None });
        let detail = format!("{reason} (frozen was: {was})");
        self.audit_freeze(Actor::Operator(operator.to_owned()), "unfreeze", detail, now);
        Answer::Unfrozen { was }
    }

    /// While it is frozen or its strategy is paused, what rests at the broker and would add when it fills is
    /// cancelled. Exits stay, and so does an entry that has filled in part and brings exits along: they would
    /// go with it. Which are cancelled.
    pub(super) fn cancel_entries(&mut self, now: MarketTime) -> Vec<ClientOrderId> {
        if self.books.frozen().is_none() && self.books.pauses().is_empty() {
            return Vec::new();
        }
        let adds = |order: &&Order| {
            let request = &order.request;
            let held = self.books.sub_book(order.strategy(), &request.symbol).qty;
            let takes =
                !held.is_zero() && request.side.signed(request.qty).is_positive() != held.is_positive();
            let brings = !request.class.legs().is_empty() && !order.filled().qty().is_zero();
            let is_held_back = self.books.is_held_back(order.strategy());
            is_held_back && order.links.leg_of.is_none() && !takes && !brings
        };
        let is_new = |id: &ClientOrderId| !self.errands.is_wanted(Errand::Cancel, id);
        let entries = self.books.open_orders().filter(adds).map(|order| order.client_id().clone());
        let entries: Vec<ClientOrderId> = entries.filter(is_new).collect();
        for id in &entries {
            let why = match self.books.frozen() {
                Some(_) => "it would add risk while frozen",
                None => "it would add risk while its strategy is paused",
            };
            self.ask_cancel(id, &audit::host(), why, now);
        }
        entries
    }

    fn show_freeze(&mut self) {
        let reason = self.freezes.reason();
        self.books.set_frozen(reason.clone());
        self.stats.write(|counts| counts.frozen = reason);
    }

    fn audit_freeze(&mut self, actor: Actor, action: &'static str, detail: String, now: MarketTime) {
        let (client_id, symbol) = (None, None);
        self.ledger.record(Record::Audit(Audit { time: now, actor, action, client_id, symbol, detail }));
    }
}
