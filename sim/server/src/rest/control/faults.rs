//! `/sim/faults`.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use sandpit_types::MarketTime;
use serde_json::json;

use super::{note, wrong};
use crate::{
    faults::{Kind, Rule},
    rest::{ApiError, json as answer, ok},
    sim::{Desk, Sim},
};

pub(super) async fn list(State(sim): State<Arc<Sim>>) -> Response {
    let rules = sim.with(|desk, _| {
        let show = |armed: &crate::faults::Armed| {
            json!({
                "id": armed.id,
                "rule": armed.rule.as_written(),
                "chances": armed.chances,
                "hits": armed.hits,
            })
        };
        desk.faults.rules().iter().map(show).collect::<Vec<_>>()
    });
    ok(&rules)
}

pub(super) async fn add(State(sim): State<Arc<Sim>>, body: Bytes) -> Result<Response, ApiError> {
    let rule = Rule::from_json(&body).map_err(wrong)?;
    let id = sim.with_rules(|desk, now| {
        check_in_run(&sim, desk, &rule, now).map_err(wrong)?;
        let written = json!(rule.as_written());
        let id = desk.faults.add(rule).map_err(|full| wrong(full.to_string()))?;
        note(desk, "add_fault", json!({"id": id, "rule": written}), now);
        Ok::<_, ApiError>(id)
    })?;
    Ok(answer(StatusCode::CREATED, &json!({"id": id})))
}

/// Whether a rule can hit anything in this run.
fn check_in_run(sim: &Sim, desk: &Desk, rule: &Rule, now: MarketTime) -> Result<(), String> {
    let (start, end) = (sim.schedule().start(), sim.schedule().end());
    if !rule.when.has_any(start, now, end) {
        return Err(format!("its time has no moment from {now} to the end of the run, {end}"));
    }
    match &rule.kind {
        Kind::Halt(symbol) if desk.engine.venue.resolve(symbol.as_str()).is_none() => {
            Err(format!("symbol not found: {symbol}"))
        }
        _ => Ok(()),
    }
}

impl Sim {
    /// Checks the rules of the settings against the run.
    ///
    /// # Errors
    /// When one of them can hit nothing in it; the text says which, and why.
    pub fn check_faults(&self) -> Result<(), String> {
        self.with(|desk, now| {
            let rules = self.settings().faults.iter().zip(1..);
            let mut checked = rules.map(|(rule, nth)| (nth, check_in_run(self, desk, rule, now)));
            checked
                .try_for_each(|(nth, checked)| checked.map_err(|why: String| format!("fault {nth}: {why}")))
        })
    }
}

pub(super) async fn remove(
    State(sim): State<Arc<Sim>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let known = id.parse().ok().filter(|id| {
        sim.with_rules(|desk, now| {
            let is_known = desk.faults.remove(*id);
            if is_known {
                desk.end_rule(Some(*id));
                note(desk, "remove_fault", json!({"id": id}), now);
            }
            is_known
        })
    });
    let id: u64 =
        known.ok_or_else(|| ApiError::data(StatusCode::NOT_FOUND, format!("there is no fault {id}")))?;
    Ok(ok(&json!({"id": id})))
}

pub(super) async fn remove_all(State(sim): State<Arc<Sim>>) -> Response {
    let removed = sim.with_rules(|desk, now| {
        let removed = desk.faults.clear();
        desk.end_rule(None);
        note(desk, "remove_faults", json!({"removed": removed}), now);
        removed
    });
    ok(&json!({"removed": removed}))
}
