//! What goes back: a status, a kind, a text, and the headers that every answer has.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
        RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

use super::{gate, page};

/// For everything that is not the page.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
    allow: Option<&'static str>,
}

impl Answer {
    /// One sentence.
    pub(super) fn sentence(status: StatusCode, text: &'static str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", Bytes::from(format!("{text}\n")))
    }

    /// The method is not one of `allow`.
    pub(super) fn wrong_method(allow: &'static str) -> Self {
        let refused = Self::sentence(StatusCode::METHOD_NOT_ALLOWED, "this is not asked by that method");
        Self { allow: Some(allow), ..refused }
    }

    /// One JSON object.
    pub(super) fn json(status: StatusCode, value: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("plain words and numbers are JSON");
        Self::new(status, "application/json", body.into())
    }

    /// Metrics.
    pub(super) fn metrics(text: String) -> Self {
        Self::new(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.into())
    }

    /// The page.
    pub(super) fn page() -> Self {
        Self::new(StatusCode::OK, page::TYPE, Bytes::from_static(page::HTML.as_bytes()))
    }

    fn new(status: StatusCode, kind: &'static str, body: Bytes) -> Self {
        Self { status, kind, body, allow: None }
    }

    /// As hyper wants it.
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let policy = if self.kind == page::TYPE { page::POLICY } else { NOTHING };
        let always = [
            (CONTENT_TYPE, self.kind),
            (CONTENT_SECURITY_POLICY, policy),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
        ];
        let headers = response.headers_mut();
        headers.extend(always.map(|(name, value)| (name, HeaderValue::from_static(value))));
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sandpit-watchdog\""));
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, HeaderValue::from(gate::PAUSE.as_secs()));
        }
        response
    }
}
