//! The panel: what an operator sees and does from a browser, behind `PANEL_TOKEN`.
//!
//! The token is typed once and becomes a session, whose random id stands in a cookie that no script reads.
//! A deed wants more: a page of ours by the browser's word, and the session's key, which only that page
//! knows.
//! The page is three kinds of files, compiled in; it loads nothing from elsewhere and is built by nothing.

mod curve;
mod door;
mod feed;
mod guard;
mod host;
mod pages;
mod recall;
mod routes;
mod sessions;
mod stream;
#[cfg(test)]
mod tests;
mod view;
mod way;

use std::{net::IpAddr, sync::Arc, time::Duration};

pub use host::{AuditLine, Deeds, Denied, EquityPoint, Fence, History, PanicStep, Promise};

pub(crate) use self::{
    door::Door,
    guard::{Door as Kind, Verdict},
    routes::{Panel, routes},
};

/// Time since any fixed start, suspended or not.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What the panel is made of.
pub struct PanelParts {
    /// Names by which browsers may call it, beside this machine's own: `host` or `host:port`.
    pub hosts: Vec<String>,
    /// Proxies on the way, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Addresses that may sign in without TLS, beside this machine's own.
    pub plain_http_from: Vec<IpAddr>,
    /// Whether nothing may be done by it.
    pub is_read_only: bool,
    /// Fills a buffer with fresh randomness.
    pub random: fn(&mut [u8]) -> std::io::Result<()>,
    /// Time for sessions and lock-outs.
    pub clock: Clock,
    /// What can be done.
    pub deeds: Arc<dyn Deeds>,
    /// What is remembered.
    pub history: Arc<dyn History>,
}

impl PanelParts {
    pub(crate) fn ways(&self) -> way::Ways {
        way::Ways {
            hosts: self.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            proxies: self.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            plain: self.plain_http_from.iter().map(IpAddr::to_canonical).collect(),
        }
    }
}
