//! The broker's rate limit: a sliding minute for each key and each of the two APIs.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// The window.
const WINDOW: Duration = Duration::from_secs(60);
/// Most keys that are counted at once; beyond it the ones that have been silent for a minute are forgotten,
/// and if none has, a new key is told to wait.
const MAX_KEYS: usize = 1_024;

/// Which of the broker's two quotas a request falls under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Orders, positions, account.
    Trading,
    /// Market data.
    Data,
}

/// How a request stands with its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is served.
    pub admitted: bool,
    /// Requests a minute.
    pub limit: u32,
    /// Requests left in the window.
    pub remaining: u32,
    /// When the whole quota is free again if nothing more is sent, from now.
    pub reset: Duration,
}

/// Counts requests in a sliding minute of market time.
#[derive(Debug)]
pub struct Quotas {
    limit: u32,
    sent: HashMap<(String, Api), VecDeque<Duration>>,
}

impl Quotas {
    /// Allows `limit` requests in any minute.
    pub fn new(limit: u32) -> Self {
        Self { limit, sent: HashMap::new() }
    }

    /// A request of `key` at `now`, market time since the start. One that is turned away does not count.
    pub fn on_request(&mut self, key: &str, api: Api, now: Duration) -> Standing {
        let limit = self.limit;
        let Some(sent) = self.window(key, api, now) else {
            return Standing { admitted: false, limit, remaining: 0, reset: WINDOW };
        };
        while sent.front().is_some_and(|&at| at + WINDOW <= now) {
            sent.pop_front();
        }
        let admitted = sent.len() < limit as usize;
        if admitted {
            sent.push_back(now);
        }
        let remaining = limit - u32::try_from(sent.len()).unwrap_or(limit).min(limit);
        let newest = sent.back().copied().unwrap_or(now);
        Standing { admitted, limit, remaining, reset: (newest + WINDOW).saturating_sub(now) }
    }

    fn window(&mut self, key: &str, api: Api, now: Duration) -> Option<&mut VecDeque<Duration>> {
        let name = (key.to_owned(), api);
        if self.sent.len() >= MAX_KEYS && !self.sent.contains_key(&name) {
            self.sent.retain(|_, sent| sent.back().is_some_and(|&at| at + WINDOW > now));
            if self.sent.len() >= MAX_KEYS {
                return None;
            }
        }
        Some(self.sent.entry(name).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_limit_in_any_minute() {
        let mut quotas = Quotas::new(5);
        let mut admitted = Vec::new();
        for tenth in 0..3_000_u64 {
            let now = Duration::from_millis(tenth * 100 + (tenth * tenth) % 97);
            if quotas.on_request("key", Api::Trading, now).admitted {
                admitted.push(now);
            }
        }
        for window in admitted.windows(6) {
            assert!(window[5] - window[0] >= WINDOW, "{window:?}");
        }
        assert!(admitted.len() >= 20, "{}", admitted.len());
    }

    #[test]
    fn the_headers_count_down_and_keys_are_apart() {
        let mut quotas = Quotas::new(2);
        let mut check = |key, api, secs, admitted, remaining, reset_secs| {
            let standing = quotas.on_request(key, api, Duration::from_secs(secs));
            let reset = Duration::from_secs(reset_secs);
            assert_eq!(standing, Standing { admitted, limit: 2, remaining, reset }, "{key} at {secs}");
        };
        check("a", Api::Trading, 0, true, 1, 60);
        check("a", Api::Trading, 10, true, 0, 60);
        check("a", Api::Trading, 20, false, 0, 50);
        check("a", Api::Data, 20, true, 1, 60);
        check("b", Api::Trading, 20, true, 1, 60);
        check("a", Api::Trading, 60, true, 0, 60);
    }

    #[test]
    fn keys_are_bounded() {
        let mut quotas = Quotas::new(2);
        for key in 0..MAX_KEYS {
            assert!(quotas.on_request(&key.to_string(), Api::Data, Duration::ZERO).admitted);
        }
        assert!(!quotas.on_request("one more", Api::Data, Duration::from_secs(59)).admitted);
        assert!(quotas.on_request("one more", Api::Data, Duration::from_secs(60)).admitted);
    }
}
