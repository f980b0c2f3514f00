//! Refusals of the API, with the broker's statuses, codes and words.

use axum::{
    extract::rejection::BytesRejection,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sandpit_types::BrokerOrderId;
use sandpit_venue::{CancelReject, Reject, ReplaceReject};
use serde_json::{Value, json};

/// A status and the body that says why.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: Value,
}

impl ApiError {
    /// An error of the trading API: code and message.
    pub(crate) fn trading(status: StatusCode, code: i64, message: impl Into<String>) -> Self {
        Self { status, body: json!({"code": code, "message": message.into()}) }
    }

    /// An error without a code, as the market-data API has them.
    pub(crate) fn data(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, body: json!({"message": message.into()}) }
    }

    /// A parameter is wrong.
    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::trading(StatusCode::UNPROCESSABLE_ENTITY, 40_010_001, message)
    }

    /// The body is not JSON of the right shape.
    pub(crate) fn malformed(why: impl std::fmt::Display) -> Self {
        let message = format!("request body format is invalid: {why}");
        Self::trading(StatusCode::BAD_REQUEST, 40_010_000, message)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::trading(StatusCode::NOT_FOUND, 40_410_000, message)
    }

    /// The status, for answers that hold several.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The body, for answers that hold several.
    pub(crate) fn into_body(self) -> Value {
        self.body
    }

    fn from_http((status, code, message): (u16, Option<i64>, String)) -> Self {
        let status = StatusCode::from_u16(status).expect("the venue's statuses are HTTP's");
        match code {
            Some(code) => Self::trading(status, code, message),
            None => Self::data(status, message),
        }
    }

    /// With further fields in the body.
    fn with(mut self, fields: Vec<(&'static str, String)>, related_orders: &[BrokerOrderId]) -> Self {
        for (name, value) in fields {
            self.body[name] = value.into();
        }
        if !related_orders.is_empty() {
            self.body["related_orders"] = json!(related_orders);
        }
        self
    }
}

impl From<BytesRejection> for ApiError {
    /// The body is too large, or the client broke off.
    fn from(rejection: BytesRejection) -> Self {
        let status = rejection.status();
        let why = rejection.body_text();
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::trading(status, 41_310_000, format!("request body is too large: {why}"));
        }
        Self::malformed(why)
    }
}

impl From<Reject> for ApiError {
    fn from(reject: Reject) -> Self {
        Self::from_http(reject.http()).with(reject.fields(), reject.related_orders())
    }
}

impl From<ReplaceReject> for ApiError {
    fn from(reject: ReplaceReject) -> Self {
        Self::from_http(reject.http()).with(reject.fields(), reject.related_orders())
    }
}

impl From<CancelReject> for ApiError {
    fn from(reject: CancelReject) -> Self {
        Self::from_http(reject.http())
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.body)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        super::json(self.status, &self.body)
    }
}
