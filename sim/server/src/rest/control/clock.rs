//! `/sim/clock`.

use std::{sync::Arc, time::Duration};

use axum::{body::Bytes, extract::State, http::StatusCode, response::Response};
use jiff::SignedDuration;
use sandpit_types::MarketTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{busy, note, read, wrong};
use crate::{
    clock::MAX_SPEED,
    rest::{ApiError, ok},
    schedule::RunPhase,
    sim::{Desk, Sim},
};

/// Furthest that the clock is set forward in one go.
const MAX_ADVANCE: Duration = Duration::from_secs(366 * 86_400);

/// What to do with the clock, in this order: pause, speed, advance, resume.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Change {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pause: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advance_to: Option<MarketTime>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resume: bool,
}

/// How far the clock is set forward.
enum Advance {
    By(Duration),
    To(MarketTime),
}

impl Change {
    /// Notes it, and changes the gait before the clock is set forward.
    fn gait(&self, sim: &Sim, desk: &mut Desk, now: MarketTime) {
        note(desk, "clock", json!(self), now);
        if self.pause {
            sim.clock().set_paused(true);
        }
        if let Some(speed) = self.speed {
            sim.clock().set_speed(speed);
        }
    }

    /// Lets it go on in the end.
    fn let_go(&self, sim: &Sim) {
        if self.resume {
            sim.clock().set_paused(false);
        }
    }

    fn advance(&self) -> Result<Option<Advance>, ApiError> {
        let by = match &self.advance {
            Some(_) if self.advance_to.is_some() => {
                return Err(wrong("only one of advance and advance_to makes sense"));
            }
            None => return Ok(self.advance_to.map(Advance::To)),
            Some(text) => text.parse::<SignedDuration>().ok().and_then(|by| Duration::try_from(by).ok()),
        };
        let by = by.filter(|by| *by <= MAX_ADVANCE);
        by.map(|by| Some(Advance::By(by)))
            .ok_or_else(|| wrong("advance is a time like \"5m\", \"1h 30m\" or \"250ms\", at most a year"))
    }
}

pub(super) async fn show(State(sim): State<Arc<Sim>>) -> Response {
    ok(&state(&sim))
}

pub(super) async fn set(State(sim): State<Arc<Sim>>, body: Bytes) -> Result<Response, ApiError> {
    let change: Change = read(&body)?;
    let advance = change.advance()?;
    if change.speed.is_some_and(|speed| !(1..=MAX_SPEED).contains(&speed)) {
        return Err(wrong(format!("speed is a number from 1 to {MAX_SPEED}")));
    }
    let own = sim.clone();
    let done = sim.deeds.see_control_through(async move { work(&own, &change, advance).await }).await;
    done.unwrap_or_else(|| Err(busy()))?;
    Ok(ok(&state(&sim)))
}

/// Does what was asked for, to its end.
async fn work(sim: &Sim, change: &Change, advance: Option<Advance>) -> Result<(), ApiError> {
    let Some(advance) = advance else {
        sim.with(|desk, now| change.gait(sim, desk, now));
        change.let_go(sim);
        return Ok(());
    };
    let run = sim.with(|desk, _| desk.presence.run());
    let turn = sim.turn().await;
    let target = sim.with(|desk, now| {
        let target = match advance {
            _ if desk.presence.run() != run => {
                return Err(begun_anew());
            }
            Advance::By(by) => sim.clock().flow().saturating_add(by),
            Advance::To(at) if at < now => {
                return Err(wrong(format!("the clock is never set back: it is {now} already")));
            }
            Advance::To(at) => sim.schedule().played_at(at),
        };
        change.gait(sim, desk, now);
        Ok(target)
    })?;
    if !sim.advance_to(&turn, target).await {
        return Err(begun_anew());
    }
    change.let_go(sim);
    Ok(())
}

fn begun_anew() -> ApiError {
    ApiError::data(StatusCode::CONFLICT, "the run begins anew")
}

fn state(sim: &Sim) -> Value {
    sim.with(|_, now| {
        let phase = sim.phase(now);
        json!({
            "market_time": now,
            "paused": sim.clock().is_paused(),
            "speed": sim.clock().speed(),
            "phase": phase.as_str(),
            "ended": phase == RunPhase::Done,
        })
    })
}
