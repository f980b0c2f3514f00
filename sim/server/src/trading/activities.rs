//! The account's activities: one row an execution, one a fee.

use std::{collections::VecDeque, sync::Arc};

use jiff::{civil::Date, tz::TimeZone};
use sandpit_types::{BrokerOrderId, MarketTime, Price, Qty, Side, Symbol, Usd};
use sandpit_venue::{EventKind, FeeCharge, OrderState, VenueEvent};

/// Most rows kept; the oldest go.
const MAX_ROWS: usize = 262_144;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Activity {
    /// When it was booked.
    pub(crate) at: MarketTime,
    /// A UUID, the second half of the row's id.
    pub(crate) uuid: Arc<str>,
    /// What it was.
    pub(crate) what: What,
}

/// What an activity was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// An execution.
    Fill(Fill),
    /// A regulatory fee.
    Fee(Fee),
}

/// An execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fill {
    pub(crate) order: BrokerOrderId,
    pub(crate) symbol: Symbol,
    pub(crate) side: Side,
    pub(crate) price: Price,
    /// Shares of this execution only.
    pub(crate) qty: Qty,
    /// Shares of the order filled so far.
    pub(crate) filled: Qty,
    /// Shares of the order still open.
    pub(crate) leaves: Qty,
    pub(crate) status: OrderState,
}

/// A fee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fee {
    /// The day it is for.
    pub(crate) date: Date,
    /// What it takes from the account; above zero.
    pub(crate) amount: Usd,
    /// The broker's word for its kind.
    pub(crate) kind: &'static str,
    pub(crate) description: String,
}

impl Activity {
    /// The row of an event, if it is an execution.
    pub(crate) fn of(event: &VenueEvent) -> Option<Self> {
        if !matches!(event.kind, EventKind::Fill | EventKind::PartialFill) {
            return None;
        }
        let order = &event.order;
        let fill = Fill {
            order: order.id.clone(),
            symbol: order.symbol.clone(),
            side: order.side,
            price: event.price?,
            qty: event.qty?,
            filled: order.filled_qty,
            leaves: order.remaining(),
            status: order.state,
        };
        let uuid = event.execution_id.as_ref()?.as_str().into();
        Some(Self { at: event.time, uuid, what: What::Fill(fill) })
    }

    /// The row of a fee.
    pub(crate) fn fee(charge: &FeeCharge) -> Self {
        let fee = Fee {
            date: charge.date,
            amount: charge.amount,
            kind: charge.kind.as_str(),
            description: charge.description.clone(),
        };
        Self { at: charge.created_at, uuid: charge.id.clone(), what: What::Fee(fee) }
    }

    /// The broker's word for it.
    pub(crate) fn kind(&self) -> &'static str {
        match self.what {
            What::Fill(_) => "FILL",
            What::Fee(_) => "FEE",
        }
    }
}

/// Which rows of the record are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The broker's words of the kinds; all without.
    pub(crate) kinds: Option<Vec<String>>,
    /// Only this day, in UTC as the broker counts it.
    pub(crate) date: Option<Date>,
    /// Only what came later.
    pub(crate) after: Option<MarketTime>,
    /// Only what came earlier.
    pub(crate) until: Option<MarketTime>,
    /// Oldest first.
    pub(crate) ascending: bool,
    /// The UUID of the last row of the page before.
    pub(crate) page: Option<String>,
    /// Most rows.
    pub(crate) most: usize,
}

/// The page begins after a row that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownPage;

impl Wanted {
    fn wants(&self, row: &Activity) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind == row.kind()))
            && self.after.is_none_or(|after| row.at > after)
            && self.until.is_none_or(|until| row.at < until)
            && self.date.is_none_or(|date| TimeZone::UTC.to_datetime(row.at.to_jiff()).date() == date)
    }
}

/// All rows that are kept, in the order they were booked.
#[derive(Debug, Default)]
pub(crate) struct Activities(VecDeque<Activity>);

impl Activities {
    /// Books a row.
    pub(crate) fn push(&mut self, row: Activity) {
        if self.0.len() == MAX_ROWS {
            self.0.pop_front();
        }
        self.0.push_back(row);
    }

    /// One page.
    pub(crate) fn page(&self, wanted: &Wanted) -> Result<Vec<&Activity>, UnknownPage> {
        let (mut from, mut to) = (0, self.0.len());
        if let Some(page) = &wanted.page {
            let place = self.0.iter().position(|row| *row.uuid == **page).ok_or(UnknownPage)?;
            *(if wanted.ascending { &mut from } else { &mut to }) = place + usize::from(wanted.ascending);
        }
        let rows = self.0.range(from..to).filter(|row| wanted.wants(row));
        Ok(if wanted.ascending {
            rows.take(wanted.most).collect()
        } else {
            rows.rev().take(wanted.most).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows named by their number, an hour apart; every third is a fee.
    fn row(number: usize) -> Activity {
        let what = if number.is_multiple_of(3) {
            What::Fee(Fee {
                date: Date::constant(2026, 3, 16),
                amount: Usd::ZERO,
                kind: "TAF",
                description: String::new(),
            })
        } else {
            What::Fill(Fill {
                order: BrokerOrderId::new("o"),
                symbol: Symbol::new("SPY"),
                side: Side::Buy,
                price: Price::ZERO,
                qty: Qty::ZERO,
                filled: Qty::ZERO,
                leaves: Qty::ZERO,
                status: OrderState::Filled,
            })
        };
        let at = MarketTime::from_secs(3_600 * i64::try_from(number).expect("small"));
        Activity { at, uuid: number.to_string().into(), what }
    }

    fn check(wanted: Wanted, expected: &str) {
        let mut rows = Activities::default();
        (0..30).for_each(|number| rows.push(row(number)));
        let found: Vec<&str> = rows.page(&wanted).expect("a page").iter().map(|row| &*row.uuid).collect();
        assert_eq!(found.join(" "), expected, "{wanted:?}");
    }

    #[test]
    fn pages_and_filters() {
        let hour = |number: i64| Some(MarketTime::from_secs(3_600 * number));
        let three = || Wanted { most: 3, ..Wanted::default() };
        check(three(), "29 28 27");
        check(Wanted { ascending: true, ..three() }, "0 1 2");
        check(Wanted { page: Some("27".into()), ..three() }, "26 25 24");
        check(Wanted { page: Some("2".into()), ascending: true, ..three() }, "3 4 5");
        check(Wanted { page: Some("1".into()), ..three() }, "0");
        check(Wanted { kinds: Some(vec!["FEE".into()]), ..three() }, "27 24 21");
        check(Wanted { kinds: Some(Vec::new()), ..three() }, "");
        check(Wanted { after: hour(4), until: hour(7), ..three() }, "6 5");
        check(Wanted { date: Some(Date::constant(1970, 1, 1)), ..three() }, "23 22 21");
    }

    #[test]
    fn the_record_is_bounded() {
        let mut rows = Activities::default();
        (0..=MAX_ROWS).for_each(|number| rows.push(row(number)));
        let wanted =
            |page: &str| Wanted { ascending: true, most: 1, page: Some(page.into()), ..Wanted::default() };
        assert_eq!(rows.0.len(), MAX_ROWS);
        assert_eq!(rows.page(&wanted("0")), Err(UnknownPage), "the oldest went");
        assert_eq!(rows.page(&wanted("1")).map(|page| page[0].uuid.clone()), Ok("2".into()));
    }
}
