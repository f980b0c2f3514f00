//! The paced executor: orders wait here, not as orders yet, while as many as may be are under way.
//!
//! When its turn comes an order is priced anew, passes the gates and is recorded, all at that moment. With
//! nothing waiting and a place free it does so at once.

use sandpit_cores::plan::{Plan, Planned, repriced};
use sandpit_types::{
    Links, MarketTime, OrderClass, OrderStatus, OrderUpdate, Price, Qty, Quote, Refusal, Side, StrategyName,
    StrategyOrderId, Submit, Symbol, Usd,
};

use super::{Machine, Mode};
use crate::{DeskOutput, Review};

/// The plan, and how much of it the monitor was shown.
#[derive(Debug, Default)]
pub(super) struct Planning {
    plan: Plan,
    shown: usize,
}

impl Planning {
    pub(super) fn deadline(&self) -> Option<MarketTime> {
        self.plan.deadline()
    }

    pub(super) fn holds(&self, strategy: &StrategyName, id: StrategyOrderId) -> bool {
        self.plan.holds(strategy, id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plan.is_empty()
    }

    /// Takes out the orders of a strategy that are meant.
    pub(super) fn take(
        &mut self,
        strategy: &StrategyName,
        is_meant: impl Fn(&Submit) -> bool,
    ) -> Vec<Planned> {
        self.plan.take(|planned| planned.strategy == *strategy && is_meant(&planned.submit))
    }

    /// All that waits.
    pub(super) fn all(&self) -> impl Iterator<Item = &Planned> {
        self.plan.iter()
    }

    /// What waits belongs to this life of the strategy from now on.
    pub(super) fn inherit(&mut self, strategy: &StrategyName, incarnation: u32) {
        self.plan.inherit(strategy, incarnation);
    }
}

impl<R: Review> Machine<R> {
    /// An order as it waits.
    pub(super) fn planned(
        &self,
        strategy: &StrategyName,
        incarnation: u32,
        submit: Submit,
        now: MarketTime,
    ) -> Planned {
        Planned {
            reduces: self.seems_to_reduce(strategy, &submit),
            value: self.seeming_value(&submit, now),
            strategy: strategy.clone(),
            incarnation,
            since: now,
            until: now + submit.time_to_live,
            submit,
            ends_begun: false,
        }
    }

    /// Takes one batch in, and lets leave what may.
    pub(super) fn plan(&mut self, mut batch: Vec<Planned>, now: MarketTime) {
        if let [only] = batch.as_slice()
            && self.planning.plan.is_empty()
            && self.sends.has_room(only.reduces)
        {
            return batch.pop().into_iter().for_each(|only| self.turn_of(only, now));
        }
        for full in self.planning.plan.add(batch) {
            self.refuse(&full.strategy, &full.submit, Refusal::OrderRate, now);
        }
        self.pump(now);
    }

    /// Lets leave what may, exits first, and refuses what must not wait any longer.
    pub(super) fn pump(&mut self, now: MarketTime) {
        if self.planning.plan.is_empty() && self.planning.shown == 0 {
            return;
        }
        self.drop_planned(now);
        for reduces in [true, false] {
            while self.sends.has_room(reduces) {
                let Some(planned) = self.planning.plan.next(reduces) else { break };
                self.turn_of(planned, now);
            }
        }
        let len = self.planning.plan.len();
        if std::mem::replace(&mut self.planning.shown, len) != len {
            self.stats.write(|counts| counts.planned = len as u64);
        }
    }

    fn drop_planned(&mut self, now: MarketTime) {
        let plan = &mut self.planning.plan;
        let mut dropped: Vec<(Planned, Refusal)> =
            plan.late(now).into_iter().map(|late| (late, Refusal::Late)).collect();
        let frozen = match self.mode {
            Mode::Stopping => plan.take(|_| true),
            Mode::Draining => plan.take(|planned| !planned.ends_begun),
            Mode::Open if self.books.frozen().is_some() => plan.take(|planned| !planned.reduces),
            Mode::Open => Vec::new(),
        };
        dropped.extend(frozen.into_iter().map(|planned| (planned, Refusal::Frozen)));
        let books = &self.books;
        let paused = plan.take(|planned| !planned.reduces && books.paused(&planned.strategy).is_some());
        dropped.extend(paused.into_iter().map(|planned| (planned, Refusal::Paused)));
        for (planned, refusal) in dropped {
            self.refuse(&planned.strategy, &planned.submit, refusal, now);
        }
    }

    /// An order's turn has come.
    fn turn_of(&mut self, planned: Planned, now: MarketTime) {
        let Planned { strategy, incarnation, mut submit, since, until, reduces, .. } = planned;
        if now > since {
            submit.time_to_live = until.since(now);
            if submit.reprice.is_some() {
                submit.kind = repriced(&submit, self.review.quote(&submit.symbol, now).as_ref());
            }
        }
        match self.approve(&strategy, &submit, None, now) {
            Ok(approved) => {
                let whose = (incarnation, reduces);
                self.record_order(&approved, submit.qty, Links::default(), whose, now);
            }
            Err(refusal) => self.refuse(&strategy, &submit, refusal, now),
        }
    }

    /// Nobody is there who could take back what only waits; an exit that has begun ends what was begun.
    pub(super) fn withdraw_planned(&mut self, strategy: &StrategyName, now: MarketTime) {
        let meant = |planned: &Planned| planned.strategy == *strategy && !planned.ends_begun;
        let withdrawn = self.planning.plan.take(meant);
        self.withdraw(withdrawn, now);
    }

    /// Orders that waited in the plan are over because somebody wanted them cancelled.
    pub(super) fn withdraw(&mut self, withdrawn: Vec<Planned>, now: MarketTime) {
        for Planned { strategy, submit, .. } in withdrawn {
            self.tell_given_up(&strategy, vec![(submit.id, submit.symbol)], now);
        }
    }

    /// Tells a strategy that orders which were none yet are over.
    pub(super) fn tell_given_up(
        &mut self,
        strategy: &StrategyName,
        given_up: Vec<(StrategyOrderId, Symbol)>,
        now: MarketTime,
    ) {
        for (id, symbol) in given_up {
            let update = OrderUpdate {
                id,
                leg: None,
                symbol,
                status: OrderStatus::Canceled,
                filled_qty: Qty::ZERO,
                time: now,
            };
            self.tell(DeskOutput::Order { strategy: strategy.clone(), update });
        }
    }

    /// Whether the order takes from what the books hold and cannot turn it round: in which lane it waits. The
    /// gates judge for themselves.
    fn seems_to_reduce(&self, strategy: &StrategyName, submit: &Submit) -> bool {
        let is_entry = matches!(submit.class, OrderClass::Bracket { .. } | OrderClass::Oto(_));
        let takes = |held: Qty| submit.qty <= -submit.side.signed(held);
        !is_entry
            && takes(self.books.sub_book(strategy, &submit.symbol).qty)
            && takes(self.books.position(&submit.symbol))
    }

    /// What an order is worth at its own price, else at the market's.
    fn seeming_value(&self, submit: &Submit, now: MarketTime) -> Usd {
        let own = submit.kind.limit_price().or(submit.kind.stop_price());
        let far = |quote: Quote| match submit.side {
            Side::Buy => quote.ask,
            Side::Sell => quote.bid,
        };
        let market = || Price::from_f64(far(self.review.quote(&submit.symbol, now)?)).ok();
        own.or_else(market).map_or(Usd::ZERO, |price| price * submit.qty)
    }
}
