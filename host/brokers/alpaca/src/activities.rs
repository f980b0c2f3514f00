//! The account's activities: what moved shares or money.

use std::time::Duration;

use reqwest::Method;
use sandpit_broker::BrokerError;
use sandpit_types::{Activity, MarketTime};

use crate::{
    Alpaca, map,
    oddities::Oddities,
    rest::Ask,
    wire::{
        activity::{ActivityHead, ActivityWire},
        market::Row,
    },
};

/// The most rows Alpaca gives a page, as a number and as it is asked for.
const ROWS_PER_PAGE: (usize, &str) = (100, "100");
/// More pages than this of one request are an error: 20 000 executions.
const MAX_PAGES: usize = 200;
/// `after` is exclusive, and the broker may cut stamps to milliseconds, as the ids of rows are.
const STAMP: Duration = Duration::from_millis(1);
/// Fees are booked a trading day late (fact sheet 2.3), a holiday's weekend may lie between, and whether
/// `after` goes by a row's date or by its booking is not told. So rows that are no executions are asked for
/// from so much earlier.
const LATE: Duration = Duration::from_secs(7 * 86_400);

/// What one answer said.
#[derive(Debug, Default)]
pub(crate) struct ActivityPage {
    /// What could be read.
    pub(crate) rows: Vec<Activity>,
    /// How many rows there were.
    pub(crate) count: usize,
    /// The id of the last one, which the next page begins after.
    pub(crate) last: Option<String>,
}

impl Alpaca {
    /// Executions of `since` or later, and everything else from a week before on, in the order of the rows'
    /// ids. Both are asked for apart: one request a page of each.
    pub(crate) async fn activities_since(&self, since: MarketTime) -> Result<Vec<Activity>, BrokerError> {
        let mut all = self.all_activities("trade_activity", since - STAMP).await?;
        all.retain(|row| row.time >= since);
        all.extend(self.all_activities("non_trade_activity", since - LATE).await?);
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all.dedup_by(|a, b| a.id == b.id);
        Ok(all)
    }

    /// All pages of one sort, oldest first.
    async fn all_activities(&self, category: &str, after: MarketTime) -> Result<Vec<Activity>, BrokerError> {
        let after = after.to_string();
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut query = vec![
                ("category", category),
                ("after", &*after),
                ("direction", "asc"),
                ("page_size", ROWS_PER_PAGE.1),
            ];
            query.extend(token.as_deref().map(|token| ("page_token", token)));
            let answer = self.trading.read(Method::GET, "/v2/account/activities", &query, Ask::POLL).await?;
            let page = page(&answer.value::<Vec<Row<'_>>>()?, &self.oddities);
            all.extend(page.rows);
            if page.count < ROWS_PER_PAGE.0 {
                return Ok(all);
            }
            if page.last.is_none() || page.last == token {
                let message = "a page of activities ends with a row that has no id of its own".to_owned();
                return Err(BrokerError::Malformed { message });
            }
            token = page.last;
        }
        Err(BrokerError::Malformed { message: format!("more than {MAX_PAGES} pages of activities") })
    }
}

/// Reads one answer. A row that cannot be read costs only itself; it is counted.
pub(crate) fn page(rows: &[Row<'_>], oddities: &Oddities) -> ActivityPage {
    let mut page = ActivityPage { count: rows.len(), ..ActivityPage::default() };
    for row in rows {
        let head: ActivityHead = row.good(&mut 0).unwrap_or_default();
        let kind = format!("activity {}", head.activity_type.unwrap_or_default());
        let read = row.read::<ActivityWire>().map_err(|error| error.to_string());
        match read.and_then(|wire| map::activity(wire).map_err(|error| error.to_string())) {
            Ok(row) => page.rows.push(row),
            Err(error) => oddities.unreadable(&kind, &error),
        }
        page.last = head.id;
    }
    page
}
