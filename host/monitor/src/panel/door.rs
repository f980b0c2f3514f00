//! The one place where the token is judged: for the sign-in and for every bearer.

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::http::{HeaderMap, header};

use super::{
    Clock, Kind, Verdict,
    guard::Guard,
    way::{Way, Ways, only},
};

/// The token with all who guess it.
pub(crate) struct Door {
    guard: Mutex<Guard>,
    pub(crate) ways: Ways,
    pub(crate) now: Clock,
}

impl Door {
    pub(crate) fn new(token: &str, ways: Ways, now: Clock) -> Self {
        Self { guard: Mutex::new(Guard::new(token)), ways, now }
    }

    /// Judges the bearer token of a request from `peer`; `None` when it has none.
    pub(crate) fn bearer(&self, peer: IpAddr, headers: &HeaderMap) -> Option<Verdict> {
        let given = only(headers, &header::AUTHORIZATION)?.strip_prefix("Bearer ")?;
        let way = self.ways.way(peer, headers);
        Some(self.guard().judge(way.client, given, Kind::Bearer, (self.now)()))
    }

    /// Judges what was typed into the sign-in page.
    pub(crate) fn sign_in(&self, way: Way, given: &str) -> Verdict {
        self.guard().judge(way.client, given, Kind::SignIn, (self.now)())
    }

    fn guard(&self) -> MutexGuard<'_, Guard> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
