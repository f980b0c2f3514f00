//! Trade updates as server-sent events: `GET /v2/events/trades`, which the Go SDK reads.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use futures_util::stream::{self, Stream};
use jiff::civil::Date;
use sandpit_types::MarketTime;

use super::{
    ApiError, Params,
    params::{BadParam, When},
};
use crate::{
    sim::Sim,
    trading::updates::{MAX_READERS, Reading, Since, Until, Update},
    wire::{clock::NewYork, update::EventJson},
};

/// Real time after which a silent stream says that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Most updates put into one write.
const MAX_BATCH: usize = 64;

/// A stream goes on until it is read as far as the client wants, the client goes, or it does not keep up.
pub(super) async fn trades(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let (since, until) = window(&params)?;
    let reading = sim.with(|desk, _| desk.trading.updates.read(since, until)).ok_or_else(|| {
        let why = format!("no more than {MAX_READERS} event streams are allowed");
        ApiError::trading(StatusCode::TOO_MANY_REQUESTS, 42_910_000, why)
    })?;
    let mut response =
        Response::new(Body::from_stream(frames(Reader { sim, reading, until, greeted: false })));
    for (name, value) in [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// From where and how far is to be told. As in the broker's documents of its event streams, an end needs a
/// beginning of the same kind, and there is one of each. A day as an end counts wholly.
fn window(params: &Params) -> Result<(Since, Until), ApiError> {
    let moment = |name, of_day: fn(Date) -> Date| -> Result<Option<MarketTime>, BadParam> {
        Ok(params.when(name)?.map(|when| match when {
            When::Moment(moment) => moment,
            When::Day(day) => When::Day(of_day(day)).first_moment(&NewYork::utc()),
        }))
    };
    let id = |name| params.text(name).map(|text| text.parse().map_err(|_| BadParam(name))).transpose();
    let next = |day: Date| day.tomorrow().unwrap_or(day);
    let (since, until) = (moment("since", |day| day)?, moment("until", next)?);
    let (since_id, until_id) = (id("since_id")?, id("until_id")?);
    match (since, since_id, until, until_id) {
        (Some(_), Some(_), ..) => Err(ApiError::parameter("only one of since or since_id is accepted")),
        (_, _, Some(_), Some(_)) => Err(ApiError::parameter("only one of until or until_id is accepted")),
        (None, _, Some(_), _) => Err(ApiError::parameter("since is required if until is specified")),
        (_, None, _, Some(_)) => Err(ApiError::parameter("since_id is required if until_id is specified")),
        (Some(since), _, Some(until), _) if since > until => {
            Err(ApiError::parameter("since must be before until"))
        }
        (since, since_id, until, until_id) => Ok((
            since.map(Since::Moment).or(since_id.map(Since::After)).unwrap_or_default(),
            until.map(Until::Moment).or(until_id.map(Until::Update)).unwrap_or_default(),
        )),
    }
}

/// A client's place in the stream.
struct Reader {
    sim: Arc<Sim>,
    reading: Reading,
    until: Until,
    greeted: bool,
}

fn frames(reader: Reader) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(reader, async |mut reader| Some((Ok(reader.next().await?.into()), reader)))
}

impl Reader {
    /// What is to be written next; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        // Something to read at once, so that the client knows that it is connected.
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(": connected\n\n".to_owned());
        }
        let past = &mut self.reading.past;
        if !past.is_empty() {
            return Some(past.drain(..past.len().min(MAX_BATCH)).map(|update| write(&update)).collect());
        }
        // Too slow: what still waits is not worth more of our memory.
        if self.reading.coming.is_closed() {
            return None;
        }
        let until = self.until;
        // Without an end there is nothing to ask the desk about.
        if until != Until::Ever
            && self.reading.coming.is_empty()
            && self.sim.with(|desk, now| desk.is_all_told(until, now))
            && self.reading.coming.is_empty()
        {
            return None;
        }
        let mut batch = Vec::new();
        let waiting = self.reading.coming.recv_many(&mut batch, MAX_BATCH);
        match tokio::time::timeout(KEEP_ALIVE, waiting).await {
            Ok(0) => None,
            Ok(_) => Some(batch.iter().map(|update| write(update)).collect()),
            Err(_) => Some(": keep-alive\n\n".to_owned()),
        }
    }
}

fn write(update: &Update) -> String {
    let json = serde_json::to_string(&EventJson::from(update));
    format!("data: {}\n\n", json.expect("numbers and texts are always JSON"))
}
