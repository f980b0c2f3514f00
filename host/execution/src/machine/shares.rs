//! Shares that go by no order of ours are no loss: the account as the loss limits are to see it.
//!
//! What shares are worth moves with the broker's positions, and the row that tells of them comes at another
//! time, if ever. So the rows only tell a human, and the positions count: when equity falls, the reading
//! waits for positions that were asked for after it. Shares that are gone in those, by the books, are a doubt
//! of their worth, so that what is a loss in any case trips; when they stay gone, the limits are re-based by
//! as much, once. Shares that come are a profit until they go again.
//!
//! Never more is forgiven than the equity fell. What differs at a start was so before this life.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sandpit_cores::reconcile::{PositionDifference, Standing};
use sandpit_types::{Account, MarketTime, Position, Price, Qty, Symbol, Usd};
use tracing::warn;

use super::Machine;
use crate::Review;

/// Equity that fell by one part in so many since the last reading waits for the positions.
const PARTS: u64 = 1_000;
/// No longer than this, market time: then the reading counts as it is.
const WAITS: Duration = Duration::from_secs(30);
/// Reads of the positions that agree, before what differs is taken for lasting.
const READS: u32 = 2;
/// Prices that are kept. When full, all are forgotten, and the next read brings those that are held.
const MAX_PRICES: usize = 1_000;

/// By how many shares the broker holds more than the books.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// What lasts.
    known: BTreeMap<Symbol, Qty>,
    /// What was read since and is something else.
    new: BTreeMap<Symbol, New>,
    /// What the broker last said of one share. Those of symbols that are held no more stay.
    prices: BTreeMap<Symbol, Price>,
    /// The equity before anything was new.
    before: Option<Usd>,
    /// A reading that waits for the positions, when it was asked for.
    waiting: Option<(Account, MarketTime)>,
    waits_since: Option<MarketTime>,
}

#[derive(Clone, Copy, Debug)]
struct New {
    more: Qty,
    reads: u32,
    since: MarketTime,
}

impl Shares {
    /// What the positions are worth.
    pub(super) fn priced(&mut self, positions: &[Position]) {
        if self.prices.len() >= MAX_PRICES {
            self.prices.clear();
        }
        let price = |held: &Position| Some((held.symbol.clone(), held.current_price?));
        self.prices.extend(positions.iter().filter_map(price));
    }

    /// The positions at the start.
    pub(super) fn begin(&mut self, found: &[PositionDifference]) {
        self.known = found.iter().map(|one| (one.symbol.clone(), one.broker - one.ours)).collect();
    }

    fn more(&self, symbol: &Symbol) -> Qty {
        self.known.get(symbol).copied().unwrap_or_default()
    }

    /// Takes in a read of the positions, begun since nothing of ours filled in the symbols found.
    fn read(&mut self, found: &[PositionDifference], is_left_out: impl Fn(&Symbol) -> bool, now: MarketTime) {
        let mut all: BTreeMap<Symbol, Qty> =
            self.known.keys().chain(self.new.keys()).map(|symbol| (symbol.clone(), Qty::ZERO)).collect();
        all.extend(found.iter().map(|one| (one.symbol.clone(), one.broker - one.ours)));
        for (symbol, more) in all {
            if is_left_out(&symbol) {
                if let Some(new) = self.new.get_mut(&symbol) {
                    new.reads = 0;
                }
            } else if more == self.more(&symbol) {
                self.new.remove(&symbol);
            } else {
                let fresh = New { more, reads: 0, since: now };
                let new = self.new.entry(symbol).or_insert(fresh);
                if new.more != more {
                    *new = fresh;
                }
                new.reads += 1;
            }
        }
    }
}

impl<R: Review> Machine<R> {
    /// Tells the review of an account, at once or when the positions are known that belong to it.
    pub(super) fn show_account(&mut self, account: Account, asked_at: MarketTime, now: MarketTime) {
        let fell = self.shares.before.is_some_and(|before| before - account.equity >= part_of(before));
        if !fell && self.shares.new.is_empty() {
            self.shares.waits_since = None;
            return self.judge(&account, asked_at, now);
        }
        let since = *self.shares.waits_since.get_or_insert(now);
        if now.since(since) >= WAITS && self.shares.waiting.take().is_some() {
            // The positions cannot be had.
            return self.judge(&account, asked_at, now);
        }
        self.shares.waiting = Some((account, asked_at));
        self.positions.hurry(now);
    }

    /// The positions were read: `found` differs. Of what `filled` since they were asked for they say nothing.
    pub(super) fn shares_read(
        &mut self,
        found: &[PositionDifference],
        filled: &BTreeSet<Symbol>,
        is_new: bool,
        now: MarketTime,
    ) {
        self.shares.read(found, |symbol| filled.contains(symbol), now);
        if let Some((account, asked_at)) = self.shares.waiting.take_if(|_| is_new) {
            self.shares.waits_since = None;
            self.judge(&account, asked_at, now);
        }
    }

    fn judge(&mut self, account: &Account, asked_at: MarketTime, now: MarketTime) {
        let cash = self.cash.standing(account, asked_at, self.books.is_order_stream_up());
        let before = self.shares.before.unwrap_or(account.equity);
        let new = std::mem::take(&mut self.shares.new);
        let gone = new.iter().map(|(symbol, new)| self.worth(symbol, self.shares.more(symbol) - new.more));
        let gone = gone.filter(|worth| worth.is_positive()).sum::<Usd>();
        let gone = gone.min(before - account.equity).max(Usd::ZERO);
        if gone.is_zero() {
            self.shares.before = Some(account.equity);
        }
        let is_sure = matches!(cash, Standing::Explained | Standing::Unexplained(_));
        let lasts = |new: &New| new.reads >= READS && asked_at >= new.since;
        let standing = if is_sure && self.books.is_order_stream_up() && new.values().all(lasts) {
            if gone.is_positive() {
                warn!(worth = %gone, "shares went by no order; the loss limits are re-based");
                self.review.transfer(Usd::ZERO - gone, now, now);
            }
            self.shares.known.extend(new.into_iter().map(|(symbol, new)| (symbol, new.more)));
            self.shares.known.retain(|_, more| !more.is_zero());
            self.shares.before = Some(account.equity);
            cash
        } else {
            self.shares.new = new;
            without(cash, gone)
        };
        self.review.account(account, standing, asked_at);
        self.keep_facts();
    }

    /// What shares are worth: by the broker's newest price, else by what they have cost.
    fn worth(&self, symbol: &Symbol, shares: Qty) -> Usd {
        let cost = || {
            let mut books =
                self.books.sub_books().filter(|(_, held, book)| *held == symbol && !book.qty.is_zero());
            books.next().map(|(.., book)| book.avg_price())
        };
        self.shares.prices.get(symbol).copied().or_else(cost).map_or(Usd::ZERO, |price| price * shares)
    }
}

fn part_of(equity: Usd) -> Usd {
    Usd::new(equity.get() / Usd::new(PARTS.into()).get())
}

/// The same, with shares of so much worth gone, or not.
fn without(cash: Standing, gone: Usd) -> Standing {
    match cash {
        _ if gone.is_zero() => cash,
        Standing::Explained => Standing::Doubtful(gone),
        Standing::Unexplained(more) => Standing::Doubtful((gone - more).max(Usd::ZERO)),
        Standing::Doubtful(missing) => Standing::Doubtful(missing + gone),
        Standing::Unclear => Standing::Unclear,
    }
}
