//! The watchdog's own limits, from its own reads of the account.
//!
//! A reading that is missing, zero or jumping is *unknown*: the lease is withheld until it is real
//! (`belief.rs`). What the owner puts in or takes out is no profit and no loss (`cash.rs`). What is left is
//! measured (`losses.rs`), with the gross exposure and the orders a minute (`orders.rs`). What is read when,
//! says `reads.rs`; what survives the watchdog, `saved.rs`. Nothing here reads a clock or does I/O, but for
//! the file of `saved.rs`.

mod belief;
mod cash;
mod losses;
mod money;
mod orders;
pub(crate) mod reading;
mod reads;
pub(crate) mod saved;
mod standing;
#[cfg(test)]
pub(crate) mod tests;
mod transfers;
mod vocabulary;

use std::time::Duration;

use sandpit_contract::BootTime;

use self::{
    belief::{Belief, Figures},
    cash::Cash,
    losses::{Close, Losses, Lost, Seen, percent},
    orders::Orders,
    reads::{Reads, Wants},
    transfers::Transfers,
};
pub(crate) use self::{
    money::Money,
    orders::{Cursor, Listed, nanos},
    reads::Ask,
    saved::Saved,
    vocabulary::{Block, Position, Reading, Row, Terms, Told},
};

/// The sliding window.
const HALF_HOUR: Duration = Duration::from_secs(30 * 60);
/// A market that runs no faster than this runs by the clock: requests take their time.
const REAL_TIME: i128 = 2;
/// Between two looks at the market's clock.
const LEAST_APART: Duration = Duration::from_secs(4);

/// The newest figures.
#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    equity: Option<Money>,
    gross: Money,
    lost: Lost,
}

/// A fall between two readings, hundredths of a per cent of the capital, from which on the next comes sooner.
const FALL_BP: i64 = 25;

/// The limits over the account.
#[derive(Debug)]
pub(crate) struct Limits {
    terms: Terms,
    reads: Reads,
    belief: Belief,
    cash: Cash,
    losses: Losses,
    transfers: Transfers,
    orders: Orders,
    /// The account behind the key, and the one that was shown instead.
    account: Option<String>,
    stranger: Option<String>,
    /// The account that the host trades, by its own word.
    of_host: Option<String>,
    /// Whether a host trades this account in earnest.
    is_judged: bool,
    /// Which arming the figures belong to.
    arming: Option<String>,
    /// The last good reading, and whether there was one in this life.
    good_at: BootTime,
    is_seen: bool,
    /// Since when readings are expected, and whether the first good one has not come.
    watched_from: BootTime,
    is_awaited: bool,
    latest: Latest,
    /// The last good reading before the newest one, and the gross exposure in it.
    before: Option<(Seen, Money)>,
    /// The newest reading shows a fall that the one before it does not.
    is_falling: bool,
    breach: Option<String>,
    burst: Option<String>,
    /// The market's clock at a moment of ours, and the window's length by it.
    clock: Option<(BootTime, i128)>,
    window: Duration,
    last_failure: Option<String>,
    is_changed: bool,
}

impl Limits {
    /// Begins, with what an earlier life has kept.
    pub(crate) fn new(terms: Terms, saved: Option<Saved>, now: BootTime) -> Self {
        let saved = saved.unwrap_or_default();
        Self {
            terms,
            reads: Reads::new(terms.requests_per_minute, now),
            belief: Belief::restored(saved.equity),
            cash: Cash::default(),
            losses: saved.losses,
            transfers: Transfers::restored(saved.rows),
            orders: Orders::default(),
            account: saved.account,
            stranger: None,
            of_host: None,
            is_judged: false,
            arming: saved.arming,
            good_at: now,
            is_seen: false,
            watched_from: now,
            is_awaited: true,
            latest: Latest::default(),
            before: None,
            is_falling: false,
            breach: None,
            burst: None,
            clock: None,
            // Of a real broker the clock is never asked: a window of a simulator would stay for ever.
            window: saved
                .window_ms
                .filter(|_| terms.may_be_simulated)
                .map_or(HALF_HOUR, Duration::from_millis)
                .min(HALF_HOUR),
            last_failure: None,
            is_changed: false,
        }
    }

    /// What to ask the broker now. Each must be answered by [`Self::on`].
    pub(crate) fn due(&mut self, now: BootTime) -> Option<Ask> {
        let wants = Wants {
            transfers: self.cash.wants_rows() || !self.transfers.are_read(),
            first_transfers: !self.transfers.are_read(),
            hurry: !self.is_seen
                || self.is_falling
                || self.belief.why_unknown().is_some()
                || self.stranger.is_some(),
            clock: self.terms.may_be_simulated,
            cursor: self.orders.cursor(),
        };
        self.reads.due(wants, now)
    }

    /// Takes an answer in, which took so many requests; a line for the log, when it is news.
    pub(crate) fn on(&mut self, told: Told, requests: usize, now: BootTime) -> Option<String> {
        self.reads.answered(requests, now);
        let failure = match told {
            Told::Account(Ok(reading)) => {
                self.on_reading(&reading, now);
                None
            }
            Told::Transfers(Ok(rows)) => {
                self.on_rows(rows, now);
                None
            }
            Told::Orders(asked, Ok(listed)) => {
                self.orders.on(&asked, listed, now);
                let (orders, limit) = (self.orders.a_minute(now), self.terms.orders_per_minute);
                let text =
                    || format!("order rate: {orders} orders accepted in a minute, the limit is {limit}");
                self.burst = (orders > limit).then(text);
                None
            }
            Told::Clock(Ok(nanos)) => {
                self.on_clock(nanos, now);
                None
            }
            // Not every broker has one: then it runs by ours.
            Told::Clock(Err(_)) => return None,
            Told::Account(Err(cause)) | Told::Transfers(Err(cause)) | Told::Orders(_, Err(cause)) => {
                Some(cause)
            }
        };
        let is_news = failure.is_some() && failure != self.last_failure;
        self.last_failure = failure;
        is_news.then(|| self.last_failure.clone()).flatten()
    }

    fn on_reading(&mut self, reading: &Reading, now: BootTime) {
        match (&self.account, &reading.account) {
            (Some(ours), Some(shown)) if ours != shown => {
                self.stranger = Some(shown.clone());
                return;
            }
            (None, Some(shown)) => self.account = Some(shown.clone()),
            (Some(_), Some(_) | None) | (None, None) => {}
        }
        self.stranger = None;
        let positions = reading.positions.as_deref();
        let values = positions.and_then(|all| all.iter().map(|one| one.value).sum_all());
        let gross = positions.and_then(|all| all.iter().map(|one| one.value.map(Money::abs)).sum_all());
        let figures = Figures {
            equity: reading.equity,
            cash: reading.cash,
            values,
            has_positions: positions.is_some_and(|all| !all.is_empty()),
        };
        let equity = self.belief.on(figures);
        self.latest.equity = equity;
        let (Some(equity), Some(cash), Some(gross), Some(positions)) =
            (equity, reading.cash, gross, positions)
        else {
            return;
        };
        let known = self.cash.on(cash, positions, equity, now);
        self.shift(known);
        self.latest.gross = gross;
        if !self.transfers.are_read() {
            return;
        }
        self.good_at = now;
        self.is_seen = true;
        self.is_awaited = false;
        self.is_changed = true;
        let close = reading.last_equity.map(|equity| Close { equity, day: reading.close_day.clone() });
        self.judge(equity, gross, close, now);
    }

    fn judge(&mut self, equity: Money, gross: Money, close: Option<Close>, now: BootTime) {
        let explained = equity - self.cash.doubt();
        let seen = Seen { low: equity.min(explained), high: equity.max(explained) };
        // A bad print in one reading is neither a peak nor a loss: what counts is what two show.
        let (before, gross_before) = self.before.replace((seen, gross)).unwrap_or((seen, gross));
        self.is_falling = self.terms.share_lost(before.high, seen.high) >= FALL_BP;
        let both = Seen { low: seen.low.min(before.low), high: seen.high.max(before.high) };
        let gross = gross.min(gross_before);
        let (lost, beyond) = self.losses.on(both, close, &self.terms, self.window, now);
        self.latest.lost = lost;
        let capital = self.terms.capital(equity);
        let too_much = gross > capital.part(self.terms.gross);
        self.breach = if !equity.is_positive() && !both.high.is_positive() {
            Some(format!("nothing is left: the account's equity is {equity}"))
        } else if beyond.is_some() {
            beyond
        } else if too_much {
            let limit = percent(self.terms.gross);
            Some(format!(
                "gross exposure: positions of {gross} on a capital of {capital}, the limit is {limit} %"
            ))
        } else {
            None
        };
    }

    fn on_rows(&mut self, rows: Vec<Row>, now: BootTime) {
        let day = self.losses.close_day().map(str::to_owned);
        let was_watched = self.transfers.are_read();
        // What came and what went between two readings leaves nothing but its sum.
        let (mut recent, mut older) = (Money::ZERO, Money::ZERO);
        for moved in self.transfers.on(rows) {
            self.losses.note_move(&moved.day, moved.net);
            let is_recent = day.as_ref().is_none_or(|day| moved.day >= *day);
            match (moved.is_history, is_recent) {
                (true, _) => {}
                (false, true) => recent += moved.net,
                (false, false) => older += moved.net,
            }
        }
        if was_watched {
            for (net, is_recent) in [(recent, true), (older, false)] {
                let explained = self.cash.transfer(net, is_recent, now);
                self.shift(explained.fresh);
                self.losses.shift_late(explained.late);
            }
        } else {
            // It moved while nobody watched.
            self.shift(recent);
        }
        self.cash.rows_read();
        self.is_changed = true;
    }

    fn shift(&mut self, net: Money) {
        if !net.is_zero() {
            self.belief.shift(net);
            self.losses.shift(net);
            if let Some((before, _)) = &mut self.before {
                before.low += net;
                before.high += net;
            }
        }
    }

    /// How fast the market runs: the window is half an hour of its time, when that is shorter than ours.
    fn on_clock(&mut self, nanos: i128, now: BootTime) {
        let Some((at, before)) = self.clock else {
            self.clock = Some((now, nanos));
            return;
        };
        let ours = now.since(at);
        if ours < LEAST_APART {
            return;
        }
        self.clock = Some((now, nanos));
        let theirs = nanos - before;
        let real = i128::try_from(ours.as_nanos()).unwrap_or(i128::MAX);
        self.window = if theirs > real.saturating_mul(REAL_TIME) {
            let window = HALF_HOUR.as_nanos().saturating_mul(ours.as_nanos());
            let window = window / u128::try_from(theirs).unwrap_or(u128::MAX);
            Duration::from_nanos(u64::try_from(window).unwrap_or(u64::MAX))
        } else {
            HALF_HOUR
        };
    }

    /// The file `armed` as it is now: another one than the figures belong to is a human who accepts them.
    pub(crate) fn armed_as(&mut self, arming: &str, now: BootTime) -> bool {
        if self.arming.as_deref() == Some(arming) {
            return false;
        }
        self.arming = Some(arming.to_owned());
        self.losses.begin_anew();
        self.cash.begin_anew();
        self.belief = Belief::default();
        self.orders = Orders::default();
        (self.account, self.stranger) = (None, None);
        (self.before, self.is_falling) = (None, false);
        (self.breach, self.burst) = (None, None);
        self.is_changed = true;
        self.watch_anew(now);
        true
    }

    /// Somebody arms: what was not read before, or was read for somebody else, is no blindness; a lease
    /// waits for the first good reading from here on, which comes soon.
    pub(crate) fn watch_anew(&mut self, now: BootTime) {
        self.watched_from = now;
        self.is_awaited = true;
        self.reads.soon(now);
    }

    /// A host is there, in this mode; in a dry run nothing of the account is its doing.
    pub(crate) fn host_joined(&mut self, mode: &str) {
        self.is_judged = mode != "dry-run";
        self.of_host = None;
    }

    /// The account that the host trades, once it knows.
    pub(crate) fn host_trades(&mut self, account: Option<&String>) {
        if account.is_some() && self.of_host.as_ref() != account {
            self.of_host = account.cloned();
        }
    }

    /// Whoever slept with us has missed no reading.
    pub(crate) fn slept(&mut self, gap: Duration) {
        self.good_at = self.good_at + gap;
        self.watched_from = self.watched_from + gap;
    }

    /// Which limit is reached.
    pub(crate) fn breach(&self) -> Option<&str> {
        self.breach.as_deref().or(self.burst.as_deref()).filter(|_| self.is_judged)
    }

    /// What has to survive, when it has changed.
    pub(crate) fn take_saved(&mut self) -> Option<Saved> {
        std::mem::take(&mut self.is_changed).then(|| Saved {
            boot: String::new(),
            account: self.account.clone(),
            arming: self.arming.clone(),
            equity: self.belief.last(),
            window_ms: Some(u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX)),
            losses: self.losses.clone(),
            rows: self.transfers.to_keep(),
        })
    }
}

/// The sum, if every part of it is known.
trait SumAll {
    fn sum_all(self) -> Option<Money>;
}

impl<I: Iterator<Item = Option<Money>>> SumAll for I {
    fn sum_all(self) -> Option<Money> {
        self.sum()
    }
}
