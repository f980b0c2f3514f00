//! What every request of the broker passes first and last: it is counted, and what may change something is
//! noted in the log, with its outcome as its sender sees it.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, FromRequest, Request, State},
    http::{HeaderName, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{ApiError, faulty, set_header, trading::is_huge};
use crate::{
    connection::Knife,
    journal::{Excerpt, Note},
    sim::Sim,
    wire::Text,
};

/// Longest body of an answer that is looked at, in bytes. What is looked at lists orders or positions.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A response that is not to be sent: after so much real time the connection is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Severed(pub(super) Duration);

/// Counts a request, notes it, and names it in the answer.
pub(super) async fn request(State(sim): State<Arc<Sim>>, request: Request, next: Next) -> Response {
    let number = sim.number_request();
    let knife = request.extensions().get::<ConnectInfo<Knife>>().map(|ConnectInfo(knife)| knife.clone());
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let response = if is_safe {
        sim.deeds.in_one_run(next.run(request)).await
    } else {
        // What was asked for happens even if the client does not wait for the answer.
        let own = sim.clone();
        let deed = async move { own.deeds.in_one_run(noted(&own, request, next)).await };
        let done = sim.deeds.see_through(deed).await;
        done.unwrap_or_else(|| Some(faulty::server_error(503).into_response()))
    };
    // The account that was asked is no more.
    let mut response = response.unwrap_or_else(|| faulty::severed(Duration::ZERO));
    if let Some(Severed(after)) = response.extensions_mut().remove() {
        tokio::time::sleep(after).await;
        if let Some(knife) = knife {
            knife.cut();
        }
    }
    // Two odd factors spread the count over all digits, as a client expects of an id.
    let (high, low) =
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    set_header(&mut response, HeaderName::from_static("x-request-id"), &format!("{high:016x}{low:016x}"));
    response
}

async fn noted(sim: &Sim, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let method = parts.method.clone();
    let note = |body: &[u8]| {
        let body = Text(Excerpt(body));
        let note = Note::Request { method: method.as_str(), path: &path, body };
        sim.with(|desk, now| desk.note(&note, now))
    };
    if is_huge(&parts.headers) {
        // Refused further in, before it is read.
        let number = note(&[]);
        return note_answer(sim, number, next.run(Request::from_parts(parts, body)).await).await;
    }
    // Read as an endpoint would, with the same limit.
    let mut whole = Request::new(body);
    *whole.extensions_mut() = parts.extensions.clone();
    let body = Bytes::from_request(whole, &()).await;
    let (number, response) = match body {
        Ok(bytes) => {
            let number = note(&bytes);
            (number, next.run(Request::from_parts(parts, Body::from(bytes))).await)
        }
        Err(rejection) => (note(&[]), ApiError::from(rejection).into_response()),
    };
    note_answer(sim, number, response).await
}

/// Notes how a request ended: its status and, when that does not say all, its body.
async fn note_answer(sim: &Sim, request: u64, response: Response) -> Response {
    let status = response.status();
    let is_severed = response.extensions().get::<Severed>().is_some();
    let (response, body) = if status.as_u16() >= 400 || status == StatusCode::MULTI_STATUS {
        let (response, body) = look_into(response).await;
        (response, Some(body))
    } else {
        (response, None)
    };
    let note = Note::Answer {
        request,
        status: (!is_severed).then(|| status.as_u16()),
        body: body.as_deref().filter(|_| !is_severed).map(|body| Text(Excerpt(body))),
    };
    sim.with(|desk, now| desk.note(&note, now));
    response
}

/// A response and its body.
pub(super) async fn look_into(response: Response) -> (Response, Bytes) {
    let (parts, body) = response.into_parts();
    // Our own bodies are whole and in memory; one that is too long is not shown, and not sent either.
    let body = to_bytes(body, MAX_ANSWER_BYTES).await.unwrap_or_default();
    (Response::from_parts(parts, Body::from(body.clone())), body)
}
