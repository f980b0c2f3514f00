//! Cash that neither trades nor known transfers explain.
//!
//! The cash of one reading is compared with that of the one before and with what the change of the positions
//! has cost at present prices. The difference is in *doubt*: it may be the owner's money, which is neither
//! profit nor loss, or what a round trip made or lost. The rows of the broker's activities tell; what two
//! answers do not explain is a profit or a loss like any other. A row may come before its money, or after it
//! was counted: both are remembered for an hour.

use std::{collections::BTreeMap, time::Duration};

use sandpit_contract::BootTime;

use super::{Position, money::Money};

/// A difference up to this, or...
const TOLERANCE: Money = Money::whole(5);
/// ...up to this part of the equity, hundredths of a per cent, is a fee or a rounding, and counts at once.
const TOLERANCE_OF_EQUITY: u32 = 10;
/// Answers of the activities that have to be silent about a difference before it counts.
const ANSWERS: u32 = 2;
/// What came without its row, or the other way round, is remembered so long...
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);
/// ...and at most so many of them: the oldest is forgotten.
const MAX_REMEMBERED: usize = 16;

/// One difference, not explained yet.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    amount: Money,
    /// Answers that did not explain it.
    answers: u32,
}

/// Amounts that wait for their other half.
#[derive(Clone, Debug, Default)]
struct Pot(Vec<(Money, BootTime)>);

impl Pot {
    /// What comes back takes away what went.
    fn put(&mut self, amount: Money, now: BootTime) {
        let amount = amount + self.take(-amount, now);
        if !amount.is_zero() {
            if self.0.len() == MAX_REMEMBERED {
                self.0.remove(0);
            }
            self.0.push((amount, now));
        }
    }

    /// As much of `wanted` as is there, with the same sign.
    fn take(&mut self, wanted: Money, now: BootTime) -> Money {
        self.0.retain(|(_, at)| now.since(*at) < REMEMBERED_FOR);
        let mut left = wanted;
        for (amount, _) in &mut self.0 {
            let part = amount.shared(left);
            *amount -= part;
            left -= part;
        }
        self.0.retain(|(amount, _)| !amount.is_zero());
        wanted - left
    }
}

/// Shares and value of each symbol.
type Held = BTreeMap<String, (Money, Money)>;

/// What a row means for money that has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Explained {
    /// Of money that is in doubt, or was seen just now.
    pub(super) fresh: Money,
    /// Of money that was counted as a profit or a loss before.
    pub(super) late: Money,
}

/// The cash and its doubts.
#[derive(Clone, Debug, Default)]
pub(super) struct Cash {
    base: Option<(Money, Held)>,
    /// All of one sign, the oldest first; at most two.
    doubts: Vec<Doubt>,
    /// Rows whose money was not seen yet.
    announced: Pot,
    /// Money that was counted without a row.
    counted: Pot,
    /// The activities have to be asked: nothing was heard of them since the newest reading.
    wants_rows: bool,
}

impl Cash {
    /// Takes a reading in. What comes back is the owner's money that was announced and has moved now.
    pub(super) fn on(&mut self, cash: Money, positions: &[Position], equity: Money, now: BootTime) -> Money {
        self.settle(now);
        let held = held(positions);
        let apart =
            self.base.as_ref().map_or(Money::ZERO, |(before, had)| cash - *before + spent(had, &held));
        self.base = Some((cash, held));
        let known = self.announced.take(apart, now);
        self.add(apart - known);
        let tolerance = equity.abs().part(TOLERANCE_OF_EQUITY).max(TOLERANCE);
        if self.doubt().abs() <= tolerance {
            self.doubts.clear();
        }
        self.wants_rows = !self.doubts.is_empty();
        known
    }

    /// What is in doubt: above zero when there is more cash than is explained.
    pub(super) fn doubt(&self) -> Money {
        self.doubts.iter().map(|doubt| doubt.amount).sum()
    }

    /// Whether the activities have to be asked.
    pub(super) const fn wants_rows(&self) -> bool {
        self.wants_rows
    }

    /// The owner's money: a row that was not known. `is_of_now` when it may be about money that is still to
    /// come.
    pub(super) fn transfer(&mut self, net: Money, is_of_now: bool, now: BootTime) -> Explained {
        let mut left = net;
        for doubt in &mut self.doubts {
            let part = doubt.amount.shared(left);
            doubt.amount -= part;
            left -= part;
        }
        self.doubts.retain(|doubt| !doubt.amount.is_zero());
        let fresh = net - left;
        let late = self.counted.take(left, now);
        if is_of_now {
            self.announced.put(left - late, now);
        }
        Explained { fresh, late }
    }

    /// Every row of an answer was told.
    pub(super) fn rows_read(&mut self) {
        self.wants_rows = false;
        for doubt in &mut self.doubts {
            doubt.answers += 1;
        }
    }

    /// A human accepts whatever was in doubt.
    pub(super) fn begin_anew(&mut self) {
        self.doubts.clear();
        self.wants_rows = false;
    }

    /// What stays unexplained counts from now on.
    fn settle(&mut self, now: BootTime) {
        let counted = &mut self.counted;
        self.doubts.retain(|doubt| {
            let counts = doubt.answers >= ANSWERS;
            if counts {
                counted.put(doubt.amount, now);
            }
            !counts
        });
    }

    /// What comes back takes away what went, the newest first; the rest is a doubt of its own, or joins the
    /// second one, which then waits for its answers anew.
    fn add(&mut self, amount: Money) {
        let mut left = amount;
        for doubt in self.doubts.iter_mut().rev() {
            let back = (-left).shared(doubt.amount);
            doubt.amount -= back;
            left += back;
        }
        self.doubts.retain(|doubt| !doubt.amount.is_zero());
        if left.is_zero() {
            return;
        }
        match self.doubts.get_mut(1) {
            Some(second) => *second = Doubt { amount: second.amount + left, answers: 0 },
            None => self.doubts.push(Doubt { amount: left, answers: 0 }),
        }
    }
}

fn held(positions: &[Position]) -> Held {
    let with_value = positions.iter().filter_map(|position| Some((position, position.value?)));
    with_value.map(|(position, value)| (position.symbol.clone(), (position.qty, value))).collect()
}

/// What the change of the positions has cost at present prices; at the last ones for what is gone.
fn spent(had: &Held, has: &Held) -> Money {
    let nothing = (Money::ZERO, Money::ZERO);
    let cost = |symbol: &String| {
        let (before, old_value) = had.get(symbol).copied().unwrap_or(nothing);
        let (after, value) = has.get(symbol).copied().unwrap_or(nothing);
        let (qty, value) = if after.is_zero() { (before, old_value) } else { (after, value) };
        // What cannot be reckoned explains nothing.
        value.times(after - before, qty).unwrap_or(Money::ZERO)
    };
    let gone = had.keys().filter(|symbol| !has.contains_key(*symbol));
    has.keys().chain(gone).map(cost).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos(seconds * 1_000_000_000)
    }

    fn position(qty: i64, price: i64) -> Position {
        Position { symbol: "A".into(), qty: Money::whole(qty), value: Some(Money::whole(qty * price)) }
    }

    enum Step {
        /// Cash, shares, their price; and what is in doubt then.
        Read(i64, i64, i64, i64),
        /// A new row, and what it explains of fresh and of late money.
        Row(i64, i64, i64),
        /// An answer of the activities ends.
        Answer,
    }
    use Step::{Answer, Read, Row};

    fn check(steps: &[Step]) {
        let mut cash = Cash::default();
        for (n, step) in steps.iter().enumerate() {
            let now = at(n as u64);
            match *step {
                Read(money, qty, price, doubt) => {
                    let held: Vec<_> = (qty != 0).then(|| position(qty, price)).into_iter().collect();
                    cash.on(Money::whole(money), &held, Money::whole(10_000), now);
                    assert_eq!(cash.doubt(), Money::whole(doubt), "step {n}");
                    assert_eq!(cash.wants_rows(), doubt != 0, "step {n}");
                }
                Row(net, fresh, late) => {
                    let explained = cash.transfer(Money::whole(net), true, now);
                    let expected = Explained { fresh: Money::whole(fresh), late: Money::whole(late) };
                    assert_eq!(explained, expected, "step {n}");
                }
                Answer => cash.rows_read(),
            }
        }
    }

    #[test]
    fn trades_explain_themselves() {
        check(&[
            Read(10_000, 0, 0, 0),
            Read(9_000, 10, 100, 0),
            Read(9_500, 5, 100, 0),
            Read(10_000, 0, 0, 0),
        ]);
        // A short, and a price that moved since the fill, within the tolerance of ten.
        check(&[Read(10_000, 0, 0, 0), Read(11_000, -10, 101, 0), Read(11_000, -10, 150, 0)]);
    }

    #[test]
    fn a_row_explains_and_silence_counts() {
        check(&[
            Read(10_000, 0, 0, 0),
            Read(9_000, 0, 0, -1_000),
            Row(-1_000, -1_000, 0),
            Answer,
            Read(9_000, 0, 0, 0),
        ]);
        // A round trip that lost: two answers say nothing.
        let read = || Read(9_000, 0, 0, -1_000);
        check(&[Read(10_000, 0, 0, 0), read(), Answer, read(), Answer, Read(9_000, 0, 0, 0)]);
        check(&[Read(10_000, 0, 0, 0), read(), read(), read()]);
        // It came back.
        check(&[Read(10_000, 0, 0, 0), read(), Answer, Read(10_000, 0, 0, 0)]);
        // What comes later waits for answers of its own.
        check(&[
            Read(10_000, 0, 0, 0),
            read(),
            Answer,
            Read(8_000, 0, 0, -2_000),
            Answer,
            Read(8_000, 0, 0, -1_000),
            Answer,
            Read(8_000, 0, 0, 0),
        ]);
    }

    #[test]
    fn a_row_before_its_money_or_long_after_it() {
        check(&[Read(10_000, 0, 0, 0), Row(500, 0, 0), Answer, Read(10_500, 0, 0, 0)]);
        let late = || Read(10_500, 0, 0, 500);
        check(&[
            Read(10_000, 0, 0, 0),
            late(),
            Answer,
            late(),
            Answer,
            Read(10_500, 0, 0, 0),
            Row(500, 0, 500),
        ]);
    }

    proptest! {
        /// Nothing stays in doubt without an end, and no more is in doubt than has moved.
        #[test]
        fn every_doubt_ends(moves in proptest::collection::vec(-2000_i64..2000, 1..40)) {
            let mut cash = Cash::default();
            let (mut money, mut moved, mut n) = (100_000, 0_i64, 0);
            cash.on(Money::whole(money), &[], Money::whole(1000), at(n));
            for one in moves {
                money += one;
                moved += one.abs();
                n += 1;
                cash.on(Money::whole(money), &[], Money::whole(1000), at(n));
                prop_assert!(cash.doubt().abs() <= Money::whole(moved));
                cash.rows_read();
            }
            for _ in 0..5 {
                n += 1;
                cash.on(Money::whole(money), &[], Money::whole(1000), at(n));
                cash.rows_read();
            }
            prop_assert!(cash.doubt().is_zero() && !cash.wants_rows());
        }
    }
}
