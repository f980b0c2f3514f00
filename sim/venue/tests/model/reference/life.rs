//! Time, sessions and the ends of orders.

use jiff::civil::time;
use sandpit_types::MarketTime;
use sandpit_venue::{EventKind, OrderState, Phase, TimeInForce};

use super::{Model, Refusal};

/// Closes in a row with a deficit after which an account is restricted, and for how many days.
const DEFICITS: u32 = 5;
const RESTRICTED_DAYS: i64 = 90;
/// Days that an order good till cancelled lives.
const GTC_DAYS: i64 = 90;

impl Model {
    /// Time passes, one moment after the other.
    pub(crate) fn advance(&mut self, now: MarketTime) {
        loop {
            let ends = self.open().into_iter().map(|order| self.orders[order].expires);
            let ends = ends.filter(|&end| end > self.now);
            let next = ends.chain([self.calendar.next_change(self.now)]).min().expect("there is a change");
            if next > now {
                break;
            }
            let before = self.calendar.phase(self.now);
            self.now = self.now.max(next);
            self.moment(before);
        }
        self.now = self.now.max(now);
    }

    /// What is due now: closing orders, the ends of orders, the close, the opening.
    fn moment(&mut self, before: Phase) {
        let closes = before == Phase::Open && self.closes_now();
        if closes {
            self.closing = true;
            self.closing_orders();
            self.closing = false;
        }
        for place in self.open() {
            let order = &self.orders[place];
            // Held legs end with their group.
            if order.expires <= self.now && order.is_open() && !order.is_held_leg() {
                self.run_out(place);
            }
        }
        if closes {
            self.strike();
        }
        if self.calendar.phase(self.now) != before && matches!(before, Phase::Closed | Phase::Pre) {
            // What was quoted before the session is not for sale in it.
            for market in &mut self.markets {
                (market.bid, market.ask) = (None, None);
            }
        }
        let begins = self.calendar.phase(self.now) == Phase::Open && (before != Phase::Open || closes);
        // What was set aside for the day comes back, then what is queued begins.
        for place in self.open() {
            let aside = matches!(self.orders[place].state, OrderState::DoneForDay | OrderState::Calculated);
            if begins && aside && self.in_session(place) {
                self.wake(place);
            }
        }
        for place in self.open() {
            let order = &self.orders[place];
            let queued = match order.state {
                OrderState::Accepted => true,
                OrderState::PendingCancel => order.queued,
                _ => false,
            };
            if queued && self.in_session(place) {
                self.wake(place);
            }
        }
    }

    fn wake(&mut self, place: usize) {
        let first = self.orders[place].queued;
        self.orders[place].queued = false;
        self.turn_new(place);
        if first {
            self.start_trail(place);
        } else {
            self.attempt(place);
        }
    }

    /// The figures of the close.
    fn strike(&mut self) {
        self.last_equity = self.equity();
        self.last_maintenance = self.maintenance_margin();
        self.last_used = self.markets.iter().map(|market| market.used(4)).sum();
        if !self.intraday_margin() {
            return;
        }
        self.deficits = if self.initial_margin() > self.last_equity { self.deficits + 1 } else { 0 };
        if self.deficits == DEFICITS {
            self.deficits = 0;
            let until = self.calendar.date(self.now).saturating_add(jiff::Span::new().days(RESTRICTED_DAYS));
            self.restricted_until = Some(until);
        }
    }

    fn closes_now(&self) -> bool {
        self.calendar.next_close(MarketTime::from_nanos(self.now.as_nanos() - 1)) == self.now
    }

    fn run_out(&mut self, place: usize) {
        let (state, kind) = match self.orders[place].time_in_force {
            TimeInForce::Day => (OrderState::Expired, EventKind::Expired),
            _ => (OrderState::Canceled, EventKind::Canceled),
        };
        self.end(place, state, kind);
    }

    /// The trading day of a fill now: the closing auction belongs to the session that ends.
    pub(super) fn fill_date(&self) -> jiff::civil::Date {
        let before = MarketTime::from_nanos(self.now.as_nanos() - i64::from(self.closing));
        self.calendar.date(before)
    }

    /// Orders on the close meet what stands, then end.
    fn closing_orders(&mut self) {
        for symbol in 0..self.markets.len() {
            for place in self.queue(symbol, |order| order.time_in_force == TimeInForce::Cls) {
                if self.works_in(place, Phase::Open) {
                    self.take(place);
                }
            }
        }
        for place in self.open() {
            let order = &self.orders[place];
            if order.time_in_force == TimeInForce::Cls && order.expires <= self.now {
                self.end(place, OrderState::Canceled, EventKind::Canceled);
            }
        }
    }

    /// Whether the session of an order is on.
    pub(super) fn in_session(&self, place: usize) -> bool {
        match self.calendar.phase(self.now) {
            Phase::Open => true,
            Phase::Pre | Phase::Post => self.orders[place].extended,
            Phase::Closed => false,
        }
    }

    /// An order begins to work, or is queued until its session.
    pub(super) fn begin(&mut self, place: usize) {
        if !self.in_session(place) {
            self.orders[place].state = OrderState::Accepted;
            self.orders[place].queued = true;
            return;
        }
        self.turn_new(place);
        self.start_trail(place);
        self.attempt(place);
    }

    /// When the time of an order that is sent now runs out.
    pub(super) fn end_of(&self, time_in_force: TimeInForce, extended: bool) -> MarketTime {
        match time_in_force {
            TimeInForce::Gtc => {
                let date = self.calendar.date(self.now).saturating_add(jiff::Span::new().days(GTC_DAYS));
                let zone = jiff::tz::TimeZone::get("America/New_York").expect("it is built in");
                let zoned = zone.to_zoned(date.to_datetime(time(16, 15, 0, 0))).expect("a time");
                zoned.timestamp().into()
            }
            _ if extended => self.calendar.next_post_close(self.now),
            _ => self.calendar.next_close(self.now),
        }
    }

    /// The owner wants an order gone.
    pub(crate) fn cancel(&mut self, place: Option<usize>, now: MarketTime) -> Result<(), Refusal> {
        self.advance(now);
        let Some(place) = place else { return Err((404, 40_410_000)) };
        if !self.orders[place].is_open() {
            return Err((422, 42_210_000));
        }
        if self.stuck {
            if self.orders[place].state != OrderState::PendingCancel {
                self.turn(place, OrderState::PendingCancel, EventKind::PendingCancel);
            }
        } else {
            self.end(place, OrderState::Canceled, EventKind::Canceled);
        }
        Ok(())
    }

    pub(crate) fn set_stuck(&mut self, stuck: bool) {
        self.stuck = stuck;
        if stuck {
            return;
        }
        for place in self.open() {
            if self.orders[place].state == OrderState::PendingCancel {
                self.end(place, OrderState::Canceled, EventKind::Canceled);
            }
        }
    }

    pub(crate) fn set_halted(&mut self, symbol: usize, halted: bool) {
        let market = &mut self.markets[symbol];
        if market.halted && !halted {
            (market.bid, market.ask) = (None, None);
        }
        market.halted = halted;
    }

    /// An event from the exchange that nobody asked for.
    pub(crate) fn force(
        &mut self,
        place: Option<usize>,
        kind: EventKind,
        now: MarketTime,
    ) -> Result<(), Refusal> {
        self.advance(now);
        let place = place.ok_or((404, 0))?;
        let order = &self.orders[place];
        // From outside come ends, and an order is set aside and brought back; no fills, no routing.
        let aside = matches!(
            order.state,
            OrderState::DoneForDay | OrderState::Suspended | OrderState::Calculated | OrderState::Stopped
        );
        let outside = match kind {
            EventKind::New => aside,
            EventKind::Rejected
            | EventKind::Canceled
            | EventKind::Expired
            | EventKind::DoneForDay
            | EventKind::Stopped
            | EventKind::Suspended
            | EventKind::Calculated => true,
            _ => false,
        };
        if !outside {
            return Err((422, 0));
        }
        let state = order.state.after(kind, !order.filled.is_zero()).map_err(|_| (422, 0))?;
        if matches!(kind, EventKind::Rejected | EventKind::Canceled | EventKind::Expired) {
            self.end(place, state, kind);
        } else {
            self.orders[place].routed = kind == EventKind::New || kind == EventKind::Stopped;
            self.turn(place, state, kind);
            if kind == EventKind::New {
                self.attempt(place);
            }
        }
        Ok(())
    }
}
