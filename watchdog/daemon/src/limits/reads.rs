//! Which read comes next, within the watchdog's share of the account's requests.
//!
//! Account and positions every 10 s, orders every 20 s, the activities when cash has moved unexplained: with
//! the default share of 20 a minute. Another share makes the pauses longer or shorter in proportion. While
//! the equity is unknown the next reading comes sooner, as far as the share allows.

use std::{collections::VecDeque, time::Duration};

use sandpit_contract::BootTime;

use super::orders::Cursor;

/// Between two readings of the account, with the default share.
const ACCOUNT_EVERY: Duration = Duration::from_secs(10);
/// The default share.
const DEFAULT_SHARE: u64 = 20;
/// With whatever share, no reading comes sooner after another.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// What the other two lanes take to keep their connections warm, requests a minute.
const WARM_SHARE: u64 = 2;
/// The market's clock is compared with ours after so long, then after so many pauses between two readings.
const CLOCK_FIRST: Duration = Duration::from_secs(5);
const CLOCK_PAUSES: u32 = 6;
/// One reading of the account.
const ACCOUNT_REQUESTS: usize = 2;
const MINUTE: Duration = Duration::from_secs(60);

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The account and its positions.
    Account,
    /// The owner's transfers.
    Transfers,
    /// Orders that are new.
    Orders(Cursor),
    /// The broker's clock.
    Clock,
}

/// What is wanted beyond the usual.
#[derive(Clone, Debug)]
pub(super) struct Wants {
    /// The owner's transfers.
    pub(super) transfers: bool,
    /// They have not been read yet, and nothing is judged without them.
    pub(super) first_transfers: bool,
    /// The next reading, soon.
    pub(super) hurry: bool,
    /// The broker's clock now and then.
    pub(super) clock: bool,
    /// Where to read orders from.
    pub(super) cursor: Cursor,
}

/// The schedule.
#[derive(Debug)]
pub(super) struct Reads {
    every: Duration,
    share: usize,
    is_busy: bool,
    account_due: BootTime,
    account_at: BootTime,
    /// When anything else was asked for.
    other_at: BootTime,
    orders_due: BootTime,
    transfers_due: BootTime,
    clock_due: BootTime,
    clocks: u32,
    /// When requests were sent, of the newest minute.
    sent: VecDeque<BootTime>,
}

impl Reads {
    /// Everything is due at once, one after the other.
    pub(super) fn new(requests_per_minute: u64, now: BootTime) -> Self {
        let share = requests_per_minute.max(1);
        let scaled = ACCOUNT_EVERY.as_millis() as u64 * DEFAULT_SHARE / share;
        Self {
            every: Duration::from_millis(scaled).max(LEAST_PAUSE),
            share: usize::try_from(share.saturating_sub(WARM_SHARE)).unwrap_or(usize::MAX),
            is_busy: false,
            account_due: now,
            account_at: now,
            other_at: now,
            orders_due: now,
            transfers_due: now,
            clock_due: now,
            clocks: 0,
            sent: VecDeque::new(),
        }
    }

    /// Between two readings.
    pub(super) const fn every(&self) -> Duration {
        self.every
    }

    /// The next reading of the account is due.
    pub(super) fn soon(&mut self, now: BootTime) {
        self.account_due = self.account_due.min(now);
    }

    /// What to send now. Each must be answered by one report.
    pub(super) fn due(&mut self, wants: Wants, now: BootTime) -> Option<Ask> {
        if self.is_busy {
            return None;
        }
        if wants.hurry {
            self.account_due = self.account_due.min(self.account_at + self.every / 5);
        }
        // The smallest shares have no room in a minute for the account and anything else: they take turns.
        let is_small = self.share <= ACCOUNT_REQUESTS;
        let is_accounts_turn = is_small && self.account_due <= now && self.account_at < self.other_at;
        let is_starved = is_small && self.orders_due + self.every * 2 <= now && !wants.hurry;
        let ask = if is_accounts_turn && !self.has_room(ACCOUNT_REQUESTS, now) {
            return None;
        } else if is_accounts_turn {
            Ask::Account
        } else if wants.transfers && self.transfers_due <= now && self.has_room(1, now) {
            self.transfers_due = now + if wants.first_transfers { self.every / 2 } else { self.every * 2 };
            Ask::Transfers
        } else if wants.clock && self.clock_due <= now && self.has_room(1, now) {
            self.clocks = self.clocks.saturating_add(1);
            self.clock_due = now + if self.clocks == 1 { CLOCK_FIRST } else { self.every * CLOCK_PAUSES };
            Ask::Clock
        } else if !is_starved && self.account_due <= now && self.has_room(ACCOUNT_REQUESTS, now) {
            Ask::Account
        } else if self.orders_due <= now && !wants.hurry && self.has_room(1, now) {
            self.orders_due = now + self.every * 2;
            Ask::Orders(wants.cursor)
        } else {
            return None;
        };
        if ask == Ask::Account {
            self.account_at = now;
            self.account_due = now + self.every;
        } else {
            self.other_at = now;
        }
        self.is_busy = true;
        Some(ask)
    }

    /// The answer has come, after so many requests.
    pub(super) fn answered(&mut self, requests: usize, now: BootTime) {
        self.is_busy = false;
        self.sent.extend(std::iter::repeat_n(now, requests));
    }

    /// The first of a minute always has room, so that the smallest share reads at all.
    fn has_room(&mut self, requests: usize, now: BootTime) -> bool {
        while self.sent.front().is_some_and(|at| now.since(*at) >= MINUTE) {
            self.sent.pop_front();
        }
        self.sent.is_empty() || self.sent.len() + requests <= self.share
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wants(transfers: bool, hurry: bool) -> Wants {
        Wants { transfers, first_transfers: hurry, hurry, clock: true, cursor: Cursor::Newest }
    }

    /// Runs for so many seconds, and returns when each request was sent.
    fn run(share: u64, seconds: u64, mut wants: impl FnMut(u64) -> Wants) -> Vec<(u64, Ask)> {
        let at = |tenths: u64| BootTime::from_nanos(tenths * 100_000_000);
        let mut reads = Reads::new(share, at(0));
        let mut sent = Vec::new();
        for tenths in 0..seconds * 10 {
            if let Some(ask) = reads.due(wants(tenths), at(tenths)) {
                assert_eq!(reads.due(wants(tenths), at(tenths)), None, "one at a time");
                let requests = if ask == Ask::Account { 2 } else { 1 };
                sent.extend(std::iter::repeat_n((tenths, ask), requests));
                reads.answered(requests, at(tenths));
            }
        }
        sent
    }

    fn most_in_a_minute(sent: &[(u64, Ask)]) -> usize {
        let within = |from: u64| sent.iter().filter(|(at, _)| (from..from + 600).contains(at)).count();
        sent.iter().map(|(at, _)| within(*at)).max().unwrap_or(0)
    }

    #[test]
    fn the_usual_minute_is_within_the_share() {
        let sent = run(20, 600, |_| wants(false, false));
        let of = |wanted: fn(&Ask) -> bool| sent.iter().filter(|(_, ask)| wanted(ask)).count();
        assert_eq!(of(|ask| *ask == Ask::Account), 120);
        assert_eq!(of(|ask| matches!(ask, Ask::Orders(_))), 30);
        assert_eq!(of(|ask| *ask == Ask::Clock), 11);
        assert!(most_in_a_minute(&sent) <= 17);
    }

    #[test]
    fn a_small_share_reads_rarely_and_a_large_one_often() {
        let accounts = |share| {
            run(share, 600, |_| wants(false, false)).iter().filter(|(_, ask)| *ask == Ask::Account).count()
                / 2
        };
        assert!((28..=30).contains(&accounts(10)), "{}", accounts(10));
        assert_eq!(accounts(40), 120);
        assert!((2..=4).contains(&accounts(1)), "{}", accounts(1));
        assert!(accounts(180) >= 400, "{}", accounts(180));
    }

    #[test]
    fn no_share_starves_the_orders_or_the_account() {
        for share in 1..=180 {
            let sent = run(share, 3600, |_| wants(false, false));
            let every = Reads::new(share, BootTime::from_nanos(0)).every().as_millis() as u64 / 100;
            let longest = |wanted: fn(&Ask) -> bool| {
                let at = sent.iter().filter(|(_, ask)| wanted(ask)).map(|(at, _)| *at);
                let at: Vec<u64> = std::iter::once(0).chain(at).chain([36_000]).collect();
                at.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
            };
            let accounts = longest(|ask| *ask == Ask::Account);
            // Before `limits-blind` has something to say.
            assert!(accounts < 1200.max(every * 3), "{share}: {accounts} tenths without the account");
            let orders = longest(|ask| matches!(ask, Ask::Orders(_)));
            assert!(orders <= every * 6, "{share}: {orders} tenths without orders");
        }
    }

    #[test]
    fn the_first_transfers_are_read_again_soon() {
        let of = |first_transfers| {
            let wants = Wants { first_transfers, ..wants(true, false) };
            let sent = run(20, 60, |_| wants.clone());
            sent.iter().filter(|(_, ask)| *ask == Ask::Transfers).count()
        };
        assert_eq!(of(false), 3);
        assert!((8..=12).contains(&of(true)), "{}", of(true));
    }

    #[test]
    fn an_unknown_equity_is_read_again_soon() {
        let sent = run(20, 60, |tenths| wants(false, tenths >= 300));
        let soon = sent.iter().filter(|(at, ask)| *ask == Ask::Account && (301..=345).contains(at)).count();
        assert!(soon >= 2, "{sent:?}");
    }

    proptest! {
        #[test]
        fn never_more_than_the_share(
            share in 4_u64..=180, asks in proptest::collection::vec((any::<bool>(), any::<bool>()), 60)
        ) {
            let sent = run(share, 180, |tenths| {
                let (transfers, hurry) = asks[(tenths / 30) as usize];
                wants(transfers, hurry)
            });
            prop_assert!(most_in_a_minute(&sent) as u64 <= share - WARM_SHARE, "{:?}", sent);
        }
    }
}
