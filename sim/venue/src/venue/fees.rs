//! Regulatory fees: the dated table, what a day has come to, and booking it.

use jiff::civil::{Date, Time, date};
use rust_decimal::{Decimal, RoundingStrategy};
use sandpit_types::{MarketTime, Price, Qty, Side, Usd};

use super::Venue;
use crate::{FeeCharge, FeeKind, account::decimal, ids::uuid_text};

/// What is paid from a day on.
struct Rates {
    since: Date,
    /// Of the worth of a sale.
    sec: Decimal,
    /// For each share sold.
    taf: Decimal,
    /// At most for one execution.
    taf_cap: Decimal,
}

/// Newest first. Before the first row its rates hold: no older ones are known here.
const RATES: [Rates; 5] = [
    Rates { since: date(2027, 1, 1), sec: decimal(206, 7), taf: decimal(232, 6), taf_cap: decimal(1161, 2) },
    Rates { since: date(2026, 4, 4), sec: decimal(206, 7), taf: decimal(195, 6), taf_cap: decimal(979, 2) },
    Rates { since: date(2026, 1, 1), sec: Decimal::ZERO, taf: decimal(195, 6), taf_cap: decimal(979, 2) },
    Rates { since: date(2025, 5, 14), sec: Decimal::ZERO, taf: decimal(166, 6), taf_cap: decimal(830, 2) },
    Rates { since: Date::MIN, sec: decimal(278, 7), taf: decimal(166, 6), taf_cap: decimal(830, 2) },
];

/// For each share bought or sold. The fact sheet calls it small and has no figure: this one is our guess.
const CAT_PER_SHARE: Decimal = decimal(35, 6);

/// The fees of a day, and those that were booked.
#[derive(Debug, Default)]
pub(super) struct Fees {
    /// The day in New York, and the midnight that ends it.
    day: Option<(Date, MarketTime)>,
    /// Not rounded, by kind: SEC, TAF, CAT.
    sums: [Decimal; 3],
    booked: Vec<FeeCharge>,
}

const KINDS: [FeeKind; 3] = [FeeKind::Sec, FeeKind::Taf, FeeKind::Cat];

impl Fees {
    pub(super) fn booked(&self) -> &[FeeCharge] {
        &self.booked
    }

    /// What the day has come to so far.
    pub(super) fn accrued(&self) -> Usd {
        self.sums.iter().filter(|sum| !sum.is_zero()).map(|&sum| in_cents(sum)).sum()
    }

    /// When the day's fees are booked, if there are any.
    pub(super) fn due(&self) -> Option<MarketTime> {
        self.day.map(|(_, end)| end)
    }
}

impl Venue {
    /// An execution pays its fees. Returns what they are, not rounded.
    pub(super) fn accrue_fees(&mut self, side: Side, qty: Qty, price: Price) -> Usd {
        if !self.config.realism.has_fees {
            return Usd::ZERO;
        }
        let (calendar, now) = (&self.calendar, self.now);
        let day = || (calendar.date(now), calendar.days_later(now, 1, Time::midnight()));
        // A day that is over was booked before anything else.
        let (date, _) = *self.fees.day.get_or_insert_with(day);
        let rates = RATES.iter().find(|rates| rates.since <= date).expect("the last row begins with time");
        let (sec, taf) = match side {
            Side::Sell => ((price * qty * rates.sec).get(), (qty.get() * rates.taf).min(rates.taf_cap)),
            Side::Buy => (Decimal::ZERO, Decimal::ZERO),
        };
        let own = [sec, taf, qty.get() * CAT_PER_SHARE];
        self.fees.sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        self.set_next_due();
        own.into_iter().map(Usd::new).sum()
    }

    /// The day is over: its fees leave the cash.
    pub(super) fn book_fees(&mut self) {
        let Some((date, _)) = self.fees.day.take() else { return };
        let sums = std::mem::take(&mut self.fees.sums);
        for (kind, sum) in KINDS.into_iter().zip(sums) {
            let amount = in_cents(sum);
            if amount.is_zero() {
                continue;
            }
            self.ledger.pay(amount);
            let id = uuid_text(self.ids.uuid());
            let description = format!("{} fee for the trades of {date}", kind.as_str());
            self.fees.booked.push(FeeCharge { id, kind, date, created_at: self.now, amount, description });
        }
    }
}

fn in_cents(sum: Decimal) -> Usd {
    Usd::new(sum.round_dp_with_strategy(2, RoundingStrategy::ToPositiveInfinity).normalize())
}
