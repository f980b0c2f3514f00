//! The account's activities.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use jiff::tz::TimeZone;
use sandpit_types::MarketTime;

use super::{
    ApiError, Params, Segments, ok,
    params::{BadParam, When},
};
use crate::{
    sim::Sim,
    trading::activities::{Activity, Wanted},
    wire::{activity::ActivityJson, clock::NewYork},
};

/// Most rows of a page, and as many as there are when the client does not say.
const MAX_PAGE: usize = 100;

/// The broker's kinds. Only FILL and FEE happen here.
const KINDS: [&str; 42] = [
    "FILL", "TRANS", "MISC", "ACATC", "ACATS", "CFEE", "CGD", "CSD", "CSW", "DIV", "DIVCGL", "DIVCGS",
    "DIVFEE", "DIVFT", "DIVNRA", "DIVROC", "DIVTW", "DIVTXEX", "FEE", "FOPT", "INT", "INTNRA", "INTTW",
    "JNL", "JNLC", "JNLS", "MA", "NC", "OPASN", "OPCA", "OPCSH", "OPEXC", "OPEXP", "OPTRD", "PTC", "PTR",
    "REORG", "SPIN", "SPLIT", "SSO", "SSP", "WH",
];

pub(super) async fn list(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let kinds = params.list("activity_types").map(|kinds| kinds.into_iter().map(str::to_owned).collect());
    let category = params.word("category", &["", "trade_activity", "non_trade_activity"])?;
    let kinds = match (kinds, category) {
        (kinds, 0) => kinds,
        (None, 1) => Some(vec!["FILL".to_owned()]),
        (None, _) => Some(KINDS[1..].iter().map(|kind| (*kind).to_owned()).collect()),
        (Some(_), _) => {
            return Err(ApiError::parameter("only one of category or activity_types is accepted"));
        }
    };
    answer(&sim, &params, kinds)
}

pub(super) async fn list_of(
    State(sim): State<Arc<Sim>>,
    Segments(kind): Segments<String>,
    params: Params,
) -> Result<Response, ApiError> {
    answer(&sim, &params, Some(vec![kind]))
}

fn answer(sim: &Sim, params: &Params, kinds: Option<Vec<String>>) -> Result<Response, ApiError> {
    if let Some(unknown) = kinds.iter().flatten().find(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(ApiError::parameter(format!("invalid activity type: {unknown}")));
    }
    let moment = |name| -> Result<Option<MarketTime>, BadParam> {
        Ok(params.when(name)?.map(|when| when.first_moment(&NewYork::utc())))
    };
    let date = params.when("date")?.map(|when| match when {
        When::Moment(moment) => TimeZone::UTC.to_datetime(moment.to_jiff()).date(),
        When::Day(day) => day,
    });
    let bad_token = || ApiError::from(BadParam("page_token"));
    let page = params.text("page_token").map(|token| {
        let (_, uuid) = token.split_once("::").ok_or_else(bad_token)?;
        Ok::<_, ApiError>(uuid.to_owned())
    });
    let wanted = Wanted {
        kinds,
        date,
        after: moment("after")?,
        until: moment("until")?,
        ascending: params.word("direction", &["desc", "asc"])? == 1,
        page: page.transpose()?,
        most: params.count("page_size", MAX_PAGE, MAX_PAGE)?,
    };
    let rows: Vec<Activity> = sim.with(|desk, _| {
        let rows = desk.trading.activities.page(&wanted).map_err(|_| bad_token())?;
        Ok::<_, ApiError>(rows.into_iter().cloned().collect())
    })?;
    Ok(ok(&rows.iter().map(|row| ActivityJson::new(row, sim.new_york())).collect::<Vec<_>>()))
}
