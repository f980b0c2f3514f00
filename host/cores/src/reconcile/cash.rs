//! Whether the broker's cash is what fills and activities make of it.
//!
//! *Expected* is the cash of the first reading that was believed, plus every flow learned since: fills as the
//! books count them, and the rows of the broker's activities that are no fills of ours. Nothing else moves
//! it, so that each flow counts once in whatever order readings, stream and rows arrive.
//!
//! ```text
//! Unknown ──read──> Candidate ──rows read, nothing moved meanwhile──> Calm
//! Calm ──read that flows do not explain──> First ──rows read, read again, still so──> Second
//! Second ──rows read again, minutes after First, and neither reading is explained──> Frozen
//! First, Second ──a reading agrees──> Calm
//! ```
//!
//! What is learned around a reading may or may not be in it, so it widens what that reading may be. A part
//! that stays below the tolerance (a fee that is booked the day after, averages that the broker rounds) is
//! carried along as *residual*: a reading agrees when it lies between the residual and nothing, give or
//! take the tolerance. All that was ever carried along is bounded: a leak is found, however slow.
//!
//! A row may be listed minutes after its money. What is in doubt withholds entries at once and is over by
//! itself ([`CashCheck::standing`]); only what stays so for [`DOUBT_FOR`] freezes.

use std::time::Duration;

use rust_decimal::Decimal;
use sandpit_types::{Account, MarketTime, Usd};
use serde::{Deserialize, Serialize};

/// A difference up to this is never unexplained...
const TOLERANCE: Decimal = Decimal::from_parts(5, 0, 0, false, 0);
/// ...nor one up to this part of the equity.
const TOLERANCE_OF_EQUITY: Decimal = Decimal::from_parts(1, 0, 0, false, 3);

/// What is carried along without an explanation is never more than so many times that, in all.
const MOST_CARRIED: Decimal = Decimal::from_parts(5, 0, 0, false, 0);
/// A difference that stays so long, market time, is no row that is late. The fact sheet is silent about how
/// long rows lag behind the money; fees come the day after, and they are small.
const DOUBT_FOR: Duration = Duration::from_secs(300);

/// What the books and the broker last agreed upon: it has to survive the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// Cash as flows make it.
    pub expected: Usd,
    /// By how much the last agreed reading was above it.
    pub residual: Usd,
}

/// What to do about a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CashVerdict {
    /// Nothing.
    Quiet,
    /// Ask for the activities: they may explain it.
    AskActivities,
    /// Nothing explains it: freeze.
    Freeze {
        /// The broker's cash.
        cash: Usd,
        /// What flows make of it.
        expected: Usd,
    },
}

/// How a reading's cash stands to what flows make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is that, or nothing was agreed upon yet to measure it by.
    Explained,
    /// It may be that: money moved by itself about when it was taken, and the next one tells.
    Unclear,
    /// It is not that, but a fill may be under way, so that nobody knows by how much: an account shows a fill
    /// before anybody has told of it, and its shares with it. At most so much is missing, zero or more.
    Doubtful(Usd),
    /// There is more (above zero) or less by so much, and was when the reading before was taken.
    Unexplained(Usd),
}

/// Flows that a reading may or may not contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slack {
    came: Usd,
    went: Usd,
}

impl Slack {
    fn add(&mut self, net: Usd) {
        if net.is_positive() {
            self.came += net;
        } else {
            self.went += net;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    cash: Usd,
    tolerance: Usd,
    asked_at: MarketTime,
    /// Learned since the reading before this one began.
    slack: Slack,
    /// Whether something moved that this reading may or may not contain, by its time.
    moved: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    None,
    /// Nothing is expected yet: this reading may be the one to begin with.
    Candidate(Reading),
    /// One reading is not explained. `asked` when activities have been read since.
    First {
        first: Reading,
        asked: bool,
    },
    /// A second one is not either.
    Second {
        first: Reading,
        second: Reading,
    },
    Frozen,
}

/// The check of the account's cash.
#[derive(Debug)]
pub struct CashCheck {
    /// How far the broker's stamps and ours may be apart.
    grace: Duration,
    agreed: Option<Agreed>,
    doubt: Doubt,
    /// Learned since the last reading began, and between the one before and that.
    since_last: Slack,
    before_last: Slack,
    /// Whether such a flow came without shares, since the last reading began and between the one before and
    /// that.
    alone_since: bool,
    alone_before: bool,
    /// The newest stamp of a flow.
    newest: MarketTime,
    /// By how much the newest reading was not explained, with nothing moving since the one before began...
    apart: Option<Usd>,
    /// ...and whether the one before was so, too, by as much.
    stays_apart: bool,
}

impl CashCheck {
    /// Nothing is known yet. `grace` is how far a reading may be behind what is known already, market time.
    pub const fn new(grace: Duration) -> Self {
        let nothing = Slack { came: Usd::ZERO, went: Usd::ZERO };
        Self {
            grace,
            agreed: None,
            doubt: Doubt::None,
            since_last: nothing,
            before_last: nothing,
            alone_since: false,
            alone_before: false,
            newest: MarketTime::EPOCH,
            apart: None,
            stays_apart: false,
        }
    }

    /// As an earlier life left it.
    pub const fn restore(&mut self, agreed: Agreed) {
        self.agreed = Some(agreed);
    }

    /// Begins anew with the next reading: some flow may have been told twice.
    pub const fn begin_anew(&mut self) {
        if !matches!(self.doubt, Doubt::Frozen) {
            self.agreed = None;
            self.doubt = Doubt::None;
        }
    }

    /// Frozen by an earlier life: readings prove nothing until the freeze is lifted.
    pub const fn restore_frozen(&mut self) {
        self.doubt = Doubt::Frozen;
    }

    /// What has to survive the process.
    pub const fn agreed(&self) -> Option<Agreed> {
        self.agreed
    }

    /// Whether a reading is in doubt.
    pub const fn is_doubtful(&self) -> bool {
        matches!(self.doubt, Doubt::First { .. } | Doubt::Second { .. })
    }

    /// Money came (above zero) or went at `time`, by a fill or by a row of the activities that is no fill of
    /// ours. Each flow is to be told once.
    pub fn flow(&mut self, net: Usd, time: MarketTime) {
        if let Some(agreed) = &mut self.agreed {
            agreed.expected += net;
        }
        self.newest = self.newest.max(time);
        self.since_last.add(net);
        match &mut self.doubt {
            Doubt::Candidate(first) => first.moved |= time + self.grace >= first.asked_at,
            Doubt::First { first, .. } => first.slack.add(net),
            Doubt::Second { first, second } => {
                first.slack.add(net);
                second.slack.add(net);
            }
            Doubt::None | Doubt::Frozen => {}
        }
    }

    /// The same of money that moved without shares: equity moved with it.
    pub fn flow_alone(&mut self, net: Usd, time: MarketTime) {
        self.flow(net, time);
        self.alone_since = true;
    }

    /// How the newest reading stands to what is known by now. `hears_fills` as in [`Self::activities_read`].
    pub fn standing(&self, account: &Account, asked_at: MarketTime, hears_fills: bool) -> Standing {
        let Some(agreed) = self.agreed else { return Standing::Explained };
        let reading = self.reading(account, asked_at);
        let is_still = reading.slack == Slack::default();
        let apart = reading.cash - agreed.expected - agreed.residual;
        if agreed.admits(&reading, Slack::default()) {
            Standing::Explained
        } else if agreed.admits(&reading, reading.slack) {
            if self.alone_since || self.alone_before { Standing::Unclear } else { Standing::Explained }
        } else if is_still && hears_fills && self.is_proved(apart) {
            Standing::Unexplained(apart)
        } else {
            // What went last may not be in the reading.
            Standing::Doubtful((Usd::ZERO - apart - reading.slack.went).max(Usd::ZERO))
        }
    }

    /// Whether no fill can make the difference. With less cash the account is worth what it was, at worst too
    /// much; with more it would have lost that, which has to have stood for [`DOUBT_FOR`].
    fn is_proved(&self, apart: Usd) -> bool {
        match self.doubt {
            Doubt::Frozen => self.stays_apart,
            Doubt::Second { .. } => self.stays_apart && !apart.is_positive(),
            Doubt::None | Doubt::Candidate(_) | Doubt::First { .. } => false,
        }
    }

    /// The account is asked for now.
    pub const fn begin(&mut self) {
        self.alone_before = self.alone_since;
        self.alone_since = false;
        self.before_last = self.since_last;
        self.since_last = Slack { came: Usd::ZERO, went: Usd::ZERO };
    }

    fn reading(&self, account: &Account, asked_at: MarketTime) -> Reading {
        let slack = Slack {
            came: self.before_last.came + self.since_last.came,
            went: self.before_last.went + self.since_last.went,
        };
        let moved = self.newest + self.grace >= asked_at;
        let tolerance = tolerance(account.equity);
        Reading { cash: account.cash, tolerance, asked_at, slack, moved }
    }

    /// The account as it was asked for at `asked_at`.
    pub fn read(&mut self, account: &Account, asked_at: MarketTime) -> CashVerdict {
        let reading = self.reading(account, asked_at);
        self.compare(&reading);
        let Some(agreed) = &mut self.agreed else {
            return self.candidate(reading);
        };
        let residual = reading.cash - agreed.expected;
        match self.doubt {
            Doubt::Frozen => return CashVerdict::Quiet,
            _ if agreed.admits(&reading, Slack::default()) => {
                agreed.residual = residual;
                self.doubt = Doubt::None;
                return CashVerdict::Quiet;
            }
            // It may be or not: whatever is doubted stays so.
            _ if agreed.admits(&reading, reading.slack) => return CashVerdict::Quiet,
            Doubt::First { first, asked: true } if !agreed.admits(&first, first.slack) => {
                self.doubt = Doubt::Second { first, second: reading };
            }
            // Activities are still to be read: it is they who delay, not the difference.
            Doubt::First { asked: false, .. } => {}
            Doubt::Second { first, .. } => self.doubt = Doubt::Second { first, second: reading },
            Doubt::None | Doubt::Candidate(_) | Doubt::First { asked: true, .. } => {
                self.doubt = Doubt::First { first: reading, asked: false };
            }
        }
        CashVerdict::AskActivities
    }

    /// Whether the reading is apart from the books by as much as the one before.
    fn compare(&mut self, reading: &Reading) {
        let is_still = reading.slack == Slack::default();
        let apart = self.agreed.filter(|_| is_still).map(|agreed| reading.cash - agreed.expected);
        let before = std::mem::replace(&mut self.apart, apart);
        self.stays_apart =
            before.zip(apart).is_some_and(|(before, now)| (now - before).abs() <= reading.tolerance);
    }

    fn candidate(&mut self, reading: Reading) -> CashVerdict {
        if self.doubt == Doubt::Frozen {
            return CashVerdict::Quiet;
        }
        self.doubt = Doubt::Candidate(reading);
        CashVerdict::AskActivities
    }

    /// The activities were read, asked for after the last verdict, and every row of theirs was told.
    /// `hears_fills`: the order stream is up and caught up with; without it fills come late, and nothing is
    /// proved.
    pub fn activities_read(&mut self, hears_fills: bool) -> CashVerdict {
        match (self.doubt, self.agreed) {
            (Doubt::Candidate(first), _) => {
                // Whatever is in the reading is known by now. What moved about when it was taken may be in it
                // or not, and then the next reading is to begin with.
                if !first.moved {
                    self.agreed = Some(Agreed { expected: first.cash, residual: Usd::ZERO });
                }
                self.doubt = Doubt::None;
                CashVerdict::Quiet
            }
            (Doubt::First { first, .. }, Some(agreed)) => {
                let is_explained = agreed.admits(&first, first.slack);
                self.doubt = if is_explained { Doubt::None } else { Doubt::First { first, asked: true } };
                CashVerdict::Quiet
            }
            (Doubt::Second { first, second }, Some(agreed)) => {
                if agreed.admits(&second, second.slack) {
                    self.doubt = Doubt::None;
                } else if agreed.admits(&first, first.slack) {
                    self.doubt = Doubt::First { first: second, asked: true };
                } else if hears_fills && second.asked_at.since(first.asked_at) >= DOUBT_FOR {
                    self.doubt = Doubt::Frozen;
                    return CashVerdict::Freeze { cash: second.cash, expected: agreed.expected };
                }
                CashVerdict::Quiet
            }
            (Doubt::None | Doubt::Frozen, _) | (Doubt::First { .. } | Doubt::Second { .. }, None) => {
                CashVerdict::Quiet
            }
        }
    }
}

impl Agreed {
    /// Whether the reading can be right, when any of the flows in `slack` may be missing in it.
    fn admits(&self, reading: &Reading, slack: Slack) -> bool {
        let residual = reading.cash - self.expected;
        let most = reading.tolerance * MOST_CARRIED;
        let low = (self.residual.min(Usd::ZERO) - reading.tolerance).max(-most) - slack.came;
        let high = (self.residual.max(Usd::ZERO) + reading.tolerance).min(most) - slack.went;
        (low..=high).contains(&residual)
    }
}

fn tolerance(equity: Usd) -> Usd {
    Usd::new(TOLERANCE.max(equity.get() * TOLERANCE_OF_EQUITY))
}

#[cfg(test)]
mod tests;
