//! What a read changes.

use sandpit_contract::{BootTime, BrokerProof, Policy};

use super::{
    AGREE, Proof,
    closing::Closing,
    is_final,
    judge::{Judged, certain, judge},
    pace::backoff,
    vocabulary::{Kind, Order, Scope, Sighting, Trouble},
};

impl Proof {
    /// A read lists orders, and goes on. What has to go whatever it finds is cancelled at once: it may fail.
    pub(super) fn listed(&mut self, open: Vec<Order>, started: BootTime, now: BootTime) {
        if let Some(closing) = &mut self.closing {
            closing.may_be_at_work(open.iter().filter(|order| order.kind == Kind::Market).count());
        }
        let ids = certain(self.terms.policy, open);
        self.listed = Some(ids.len());
        if ids.is_empty() {
            return;
        }
        self.since = None;
        self.level = BrokerProof::PendingAtBroker;
        self.targets = self.unasked(ids, started);
        if !self.targets.is_empty() && !self.is_bulk() {
            self.cancel.by(if self.rounds <= 1 { now } else { now + backoff(self.rounds) });
        }
    }

    /// A read failed, after it listed the orders or before. It proves nothing, but cancels go on.
    pub(super) fn unread(&mut self, trouble: &Trouble, now: BootTime) -> Vec<String> {
        self.read.failed(trouble.pause, now);
        if !is_final(self.level) {
            self.since = None;
        }
        let listed = self.listed.take();
        if let Some(is) = listed {
            let was = if self.known > 0 { self.known } else { self.last.unwanted.len() };
            self.rounds = if is == 0 || is < was { 1 } else { self.rounds.saturating_add(1) };
            self.known = is;
        }
        // A cancel that was lost is not seen: it is repeated as often as the read.
        if self.is_bulk() && self.level == BrokerProof::PendingAtBroker && !self.cancel.busy {
            let again = self.read.due.unwrap_or(now);
            self.cancel.due.get_or_insert(again);
        }
        let open = listed.map_or(String::new(), |open| format!(" listed={open}"));
        vec![format!("{}{open} read failed, tried again: {}", self.level.word(), trouble.cause)]
    }

    /// Without those whose cancel the list may not show yet.
    fn unasked(&mut self, mut ids: Vec<String>, started: BootTime) -> Vec<String> {
        self.asked.retain(|_, answered| answered.is_none_or(|answered| answered > started));
        ids.retain(|id| !self.asked.contains_key(id));
        ids
    }

    /// Elsewhere each sighting that shows progress is acted upon at once.
    fn is_bulk(&self) -> bool {
        self.terms.scope == Scope::Account && self.terms.policy != Policy::CancelKeepStops
    }

    pub(super) fn saw(&mut self, sighting: Sighting, started: BootTime, now: BootTime) -> Vec<String> {
        let mut judged = judge(self.terms.policy, &sighting);
        // One that came between the lists holds nothing yet.
        judged.unsure += judged.kept.difference(&self.last.kept).count();
        let (was, is) = (self.last.open(), judged.open());
        self.rounds = if is == 0 || is < was { 1 } else { self.rounds.saturating_add(1) };
        let next = if self.rounds == 1 { now } else { now + backoff(self.rounds) };
        if let Some(closing) = &mut self.closing {
            closing.saw(&mut judged, sighting.market, started, next, now);
        }
        let before = std::mem::replace(&mut self.last, judged);
        let ids = self.to_cancel(&before);
        self.targets = self.unasked(ids, started);
        (self.listed, self.known) = (None, 0);
        self.failed.clear();
        if is == 0 { self.saw_zero(started, now) } else { self.saw_open(now) }
    }

    /// What is unwanted, and what was found to hold the shares of a position.
    fn to_cancel(&self, before: &Judged) -> Vec<String> {
        let judged = &self.last;
        let is_sure = |id: &&String| {
            let sizes = judged.doubtful.get(*id);
            !judged.legs.contains(*id) && (sizes.is_none() || before.doubtful.get(*id) == sizes)
        };
        let mut ids: Vec<_> = judged.unwanted.iter().filter(is_sure).cloned().collect();
        let holders = self.closing.iter().flat_map(|closing| &closing.holders);
        let at_work = |id: &&String| judged.closing.iter().any(|(closing, _)| closing == *id);
        let unseen: Vec<_> = holders.filter(|id| !ids.contains(id) && !at_work(id)).cloned().collect();
        ids.extend(unseen);
        ids
    }

    fn saw_open(&mut self, now: BootTime) -> Vec<String> {
        self.since = None;
        self.level = BrokerProof::PendingAtBroker;
        let later = now + backoff(self.rounds);
        if self.terms.policy == Policy::Flatten && self.targets.is_empty() {
            self.cancel.due = None;
        } else {
            self.cancel.by(if self.rounds == 1 && !self.is_bulk() { now } else { later });
        }
        self.read.by(later);
        if self.terms.policy == Policy::Flatten {
            self.suspend.due = None;
        }
        let judged = &self.last;
        let mut text = format!("open={}", judged.unwanted.len() + judged.closing.len());
        if self.closing.is_some() {
            text += &format!(" positions={}", judged.positions);
        }
        if self.terms.policy == Policy::CancelKeepStops {
            text += &format!(" kept={} unsure={}", judged.kept.len(), judged.unsure);
        }
        text += &format!(" reserved={}", judged.reserved);
        let waits = self.closing.as_ref().map(Closing::waits_for).unwrap_or_default();
        let said = format!("{text}{waits}");
        if self.said == said {
            return Vec::new();
        }
        self.said = said;
        vec![format!("PENDING_AT_BROKER {text} after_ms={}{waits}", self.after_ms(now))]
    }

    fn saw_zero(&mut self, started: BootTime, now: BootTime) -> Vec<String> {
        self.rounds = 0;
        self.said.clear();
        if let Some(closing) = &mut self.closing {
            closing.saw_zero();
            self.cancel.due = None;
            if closing.is_suspended != Some(true) && !self.suspend.busy && self.suspend.due.is_none() {
                self.suspend.by(now);
            }
        }
        let since = *self.since.get_or_insert(now);
        self.agreed = if since == now { 1 } else { self.agreed.saturating_add(1) };
        let was = self.level;
        if !is_final(was) {
            let is_whole = started >= since + self.terms.confirm && self.agreed >= AGREE;
            // Flat is what cannot be undone by an order: only under the suspension.
            let is_fenced = self.closing.as_ref().is_none_or(|closing| closing.is_suspended == Some(true));
            let is_sure = is_whole && is_fenced && !self.is_host_alive;
            self.level = if is_sure { self.goal() } else { BrokerProof::ZeroSeen };
        }
        self.read.by(now + self.pace());
        let kept = match self.terms.policy {
            Policy::Cancel => String::new(),
            Policy::CancelKeepStops => format!(" kept={}", self.last.kept.len()),
            Policy::Flatten => " positions=0".into(),
        };
        let line = || format!("{} open=0{kept} after_ms={}", self.level.word(), self.after_ms(now));
        (was != self.level).then(line).into_iter().collect()
    }

    /// The word that the policy ends in.
    fn goal(&self) -> BrokerProof {
        match self.terms.policy {
            Policy::Cancel => BrokerProof::ConfirmedZero,
            Policy::CancelKeepStops => BrokerProof::StopsOnly,
            Policy::Flatten => BrokerProof::Flat,
        }
    }
}
