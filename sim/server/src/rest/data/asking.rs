//! What the requests about market data have in common: symbols, feeds, times, pages.

use std::time::Duration;

use axum::http::StatusCode;
use jiff::{ToSpan, civil::Date};
use sandpit_types::{MarketTime, Symbol};

use super::{Params, refuse};
use crate::{
    data::MAX_SYMBOLS,
    history::{PageToken, Query, Span},
    rest::{
        ApiError,
        params::{BadParam, When},
    },
    sim::{Desk, Sim},
    stream::data::Plan,
    wire::clock::NewYork,
};

/// Rows of a page when the client does not say how many.
const DEFAULT_LIMIT: usize = 1_000;
/// Most rows of a page.
const MAX_LIMIT: usize = 10_000;
/// What the free plan may not see of the SIP, and how late the delayed feed is.
const RECENT: Duration = Duration::from_secs(15 * 60);
/// The words of adjustments; they combine. Nothing here is ever split and nothing pays a dividend, so that
/// all of them show the same.
const ADJUSTMENTS: [&str; 5] = ["raw", "split", "dividend", "spin-off", "all"];

/// Where an answer's data comes from. This market knows no difference between exchanges, trades nothing over
/// the counter and sleeps at night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataFeed {
    Sip,
    Iex,
    DelayedSip,
    /// Nothing of this market is traded there.
    Elsewhere,
}

impl DataFeed {
    /// Whether there is anything to be seen.
    pub(super) fn has_data(self) -> bool {
        self != Self::Elsewhere
    }

    fn read(params: &Params, words: &[(&str, Self)]) -> Result<Option<Self>, ApiError> {
        let Some(text) = params.text("feed") else { return Ok(None) };
        let known = words.iter().find(|(word, _)| *word == text);
        known.map(|(_, feed)| Some(*feed)).ok_or_else(|| refuse(BadParam("feed")))
    }

    /// The feed of a request about the past; the SIP by default, whatever the plan.
    fn historical(params: &Params) -> Result<Self, ApiError> {
        let words =
            [("sip", Self::Sip), ("iex", Self::Iex), ("boats", Self::Elsewhere), ("otc", Self::Elsewhere)];
        Ok(Self::read(params, &words)?.unwrap_or(Self::Sip))
    }

    /// The feed of a request about the present: by default the best one that the plan has.
    pub(super) fn latest(params: &Params, plan: Plan) -> Result<Self, ApiError> {
        let words = [
            ("sip", Self::Sip),
            ("iex", Self::Iex),
            ("delayed_sip", Self::DelayedSip),
            ("boats", Self::Elsewhere),
            ("overnight", Self::Elsewhere),
            ("otc", Self::Elsewhere),
        ];
        match (Self::read(params, &words)?, plan) {
            (Some(Self::Sip), Plan::Basic) => Err(too_recent()),
            (Some(feed), Plan::Basic | Plan::AlgoTraderPlus) => Ok(feed),
            (None, Plan::Basic) => Ok(Self::Iex),
            (None, Plan::AlgoTraderPlus) => Ok(Self::Sip),
        }
    }

    /// The moment that is the present to this feed.
    pub(super) fn present(self, now: MarketTime) -> MarketTime {
        match self {
            Self::DelayedSip => now - RECENT,
            Self::Sip | Self::Iex | Self::Elsewhere => now,
        }
    }
}

fn too_recent() -> ApiError {
    ApiError::data(StatusCode::FORBIDDEN, "subscription does not permit querying recent SIP data")
}

/// A request about the past, read but not yet placed in time.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) feed: DataFeed,
    /// Shown in the answer, if it was asked for.
    pub(super) currency: Option<&'static str>,
    symbols: Vec<Symbol>,
    start: Option<When>,
    end: Option<When>,
    limit: usize,
    descending: bool,
    after: Option<PageToken>,
}

impl Asking {
    /// Reads the parameters.
    ///
    /// # Errors
    /// 400 when one of them is wrong.
    pub(super) fn read(params: &Params, symbols: Vec<Symbol>) -> Result<Self, ApiError> {
        let adjustments = params.list("adjustment").unwrap_or_default();
        if adjustments.iter().any(|word| !ADJUSTMENTS.contains(word)) {
            return Err(refuse(BadParam("adjustment")));
        }
        // `-` means: symbols as they are named today.
        if params.text("asof").is_some_and(|day| day != "-" && day.parse::<Date>().is_err()) {
            return Err(refuse(BadParam("asof")));
        }
        let currency = match params.text("currency") {
            None => None,
            Some("USD") => Some("USD"),
            // Prices are known in dollars only.
            Some(_) => return Err(refuse(BadParam("currency"))),
        };
        let token = params.text("page_token").map(PageToken::parse);
        let (start, end) = (params.when("start").map_err(refuse)?, params.when("end").map_err(refuse)?);
        Ok(Self {
            feed: DataFeed::historical(params)?,
            currency,
            symbols,
            start,
            end,
            limit: params.count("limit", DEFAULT_LIMIT, MAX_LIMIT).map_err(refuse)?,
            descending: params.word("sort", &["asc", "desc"]).map_err(refuse)? == 1,
            after: token.map(|token| token.ok_or(refuse(BadParam("page_token")))).transpose()?,
        })
    }

    /// The question, with the defaults of this moment: from the start of today until now.
    ///
    /// # Errors
    /// 400 when it ends before it starts, 403 when it asks for more than the plan has.
    pub(super) fn place(self, sim: &Sim, desk: &Desk, now: MarketTime) -> Result<Query, ApiError> {
        let clock = sim.new_york();
        let is_limited = self.feed == DataFeed::Sip && sim.settings().plan == Plan::Basic;
        let today = desk.engine.venue.calendar().date(now);
        let start = self.start.unwrap_or(When::Day(today)).first_moment(clock);
        let latest = if is_limited { now - RECENT } else { now };
        let end = self.end.map_or(latest.max(start), |end| last_moment(end, clock));
        if end < start {
            return Err(ApiError::data(StatusCode::BAD_REQUEST, "end should not be before start"));
        }
        if is_limited && self.end.is_some() && end > latest {
            return Err(too_recent());
        }
        let span = Span { start, end, descending: self.descending };
        Ok(Query { symbols: self.symbols, span, limit: self.limit, after: self.after })
    }
}

/// The last moment of an `end`: of a day, the whole day counts.
pub(super) fn last_moment(end: When, clock: &NewYork) -> MarketTime {
    match end {
        When::Day(day) => {
            let next = clock.midnight(day.saturating_add(1.day()));
            next.unwrap_or(MarketTime::from_nanos(i64::MAX)) - Duration::from_nanos(1)
        }
        When::Moment(moment) => moment,
    }
}

/// The symbols asked for, sorted, none twice.
///
/// # Errors
/// 400 when there are none or too many, or one of them is no symbol.
pub(super) fn symbols(params: &Params) -> Result<Vec<Symbol>, ApiError> {
    let names = params.list("symbols").filter(|names| (1..=MAX_SYMBOLS).contains(&names.len()));
    let names = names.ok_or_else(|| refuse(BadParam("symbols")))?;
    let mut symbols = names.into_iter().map(symbol).collect::<Result<Vec<Symbol>, ApiError>>()?;
    symbols.sort();
    symbols.dedup();
    Ok(symbols)
}

/// One symbol.
///
/// # Errors
/// 400 when it is none.
pub(super) fn symbol(name: &str) -> Result<Symbol, ApiError> {
    if !crate::data::is_symbol(name) {
        return Err(ApiError::data(StatusCode::BAD_REQUEST, format!("invalid symbol: {name}")));
    }
    Ok(Symbol::new(name))
}
