//! The broker's rate limit: a sliding minute for each key and each of the two APIs.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::stream::data::Feed;

/// The window.
const WINDOW: Duration = Duration::from_secs(60);
/// Requests that come so close together are counted as one lot, which leaves the window with its newest.
const LOT: Duration = Duration::from_millis(100);
/// Most keys that are counted at once; beyond it the ones that have been silent for a minute are forgotten,
/// and if none has, a new key is told to wait.
const MAX_KEYS: usize = 1_024;

/// What the paths of the data API begin with, but for its streams.
const DATA_PATHS: [&str; 3] = ["/v2/stocks", "/v1beta1/", "/v1/"];

/// Which of the broker's two quotas a request falls under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Orders, positions, account.
    Trading,
    /// Market data.
    Data,
}

impl Api {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trading => "trading",
            Self::Data => "data",
        }
    }

    /// Whose path this is: trading has what data does not.
    pub fn of_path(path: &str) -> Self {
        let is_data = DATA_PATHS.iter().any(|start| path.starts_with(start))
            || Feed::ALL.iter().any(|feed| feed.path() == path);
        if is_data { Self::Data } else { Self::Trading }
    }

    /// Whether a path that begins with `prefix` can be of this API.
    pub fn has_any_below(self, prefix: &str) -> bool {
        match self {
            Self::Trading => !DATA_PATHS.iter().any(|start| prefix.starts_with(start)),
            Self::Data => {
                DATA_PATHS.iter().any(|start| prefix.starts_with(start) || start.starts_with(prefix))
                    || Feed::ALL.iter().any(|feed| feed.path().starts_with(prefix))
            }
        }
    }
}

/// Requests a minute of each API, for each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Of the trading API.
    pub trading: u32,
    /// Of the market-data API.
    pub data: u32,
}

impl Rates {
    /// What the broker grants with a basic data plan.
    pub const BASIC: Self = Self { trading: 200, data: 200 };
    /// What the broker grants with the paid data plan.
    pub const PLUS: Self = Self { trading: 200, data: 10_000 };

    /// The same for both.
    pub const fn both(requests_per_minute: u32) -> Self {
        Self { trading: requests_per_minute, data: requests_per_minute }
    }

    const fn of(self, api: Api) -> u32 {
        match api {
            Api::Trading => self.trading,
            Api::Data => self.data,
        }
    }
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
    rates: Rates,
    sent: HashMap<String, Windows>,
}

/// What one key sent, by API.
#[derive(Debug, Default)]
struct Windows {
    trading: Window,
    data: Window,
}

/// What was sent in the last minute, in at most 601 lots however many requests that are.
#[derive(Debug, Default)]
struct Window {
    lots: VecDeque<Lot>,
    sent: u32,
}

/// Requests close together.
#[derive(Debug)]
struct Lot {
    first: Duration,
    newest: Duration,
    sent: u32,
}

impl Window {
    /// Forgets what was sent a minute before `now`.
    fn pass(&mut self, now: Duration) {
        while let Some(lot) = self.lots.pop_front_if(|lot| lot.newest + WINDOW <= now) {
            self.sent -= lot.sent;
        }
    }

    fn add(&mut self, now: Duration) {
        self.sent += 1;
        match self.lots.back_mut().filter(|lot| now < lot.first + LOT) {
            Some(lot) => (lot.newest, lot.sent) = (now, lot.sent + 1),
            None => self.lots.push_back(Lot { first: now, newest: now, sent: 1 }),
        }
    }

    fn newest(&self) -> Option<Duration> {
        self.lots.back().map(|lot| lot.newest)
    }
}

impl Windows {
    fn is_over(&self, now: Duration) -> bool {
        let is_over = |window: &Window| window.newest().is_none_or(|at| at + WINDOW <= now);
        is_over(&self.trading) && is_over(&self.data)
    }
}

impl Quotas {
    /// Allows so many requests in any minute.
    pub fn new(rates: Rates) -> Self {
        Self { rates, sent: HashMap::new() }
    }

    /// A request of `key` at `now`, market time since the start. One that is turned away does not count.
    pub fn on_request(&mut self, key: &str, api: Api, now: Duration) -> Standing {
        let limit = self.rates.of(api);
        let Some(window) = self.window(key, api, now) else {
            return Standing { admitted: false, limit, remaining: 0, reset: WINDOW };
        };
        window.pass(now);
        let admitted = window.sent < limit;
        if admitted {
            window.add(now);
        }
        let remaining = limit - window.sent;
        let newest = window.newest().unwrap_or(now);
        Standing { admitted, limit, remaining, reset: (newest + WINDOW).saturating_sub(now) }
    }

    /// How a request stands that nobody is charged with: its keys are no good.
    pub fn of_nobody(&self, api: Api) -> Standing {
        let limit = self.rates.of(api);
        Standing { admitted: false, limit, remaining: limit, reset: Duration::ZERO }
    }

    /// Forgets everything that was sent.
    pub fn clear(&mut self) {
        self.sent.clear();
    }

    fn window(&mut self, key: &str, api: Api, now: Duration) -> Option<&mut Window> {
        if !self.sent.contains_key(key) {
            if self.sent.len() >= MAX_KEYS {
                self.sent.retain(|_, sent| !sent.is_over(now));
            }
            if self.sent.len() >= MAX_KEYS {
                return None;
            }
            self.sent.insert(key.to_owned(), Windows::default());
        }
        let windows = self.sent.get_mut(key)?;
        Some(match api {
            Api::Trading => &mut windows.trading,
            Api::Data => &mut windows.data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_limit_in_any_minute() {
        let mut quotas = Quotas::new(Rates::both(5));
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
    fn the_headers_count_down_and_keys_and_apis_are_apart() {
        let mut quotas = Quotas::new(Rates { trading: 2, data: 3 });
        let mut check = |key, api, secs, admitted, limit, remaining, reset_secs| {
            let standing = quotas.on_request(key, api, Duration::from_secs(secs));
            let reset = Duration::from_secs(reset_secs);
            assert_eq!(standing, Standing { admitted, limit, remaining, reset }, "{key} at {secs}");
        };
        check("a", Api::Trading, 0, true, 2, 1, 60);
        check("a", Api::Trading, 10, true, 2, 0, 60);
        check("a", Api::Trading, 20, false, 2, 0, 50);
        check("a", Api::Data, 20, true, 3, 2, 60);
        check("b", Api::Trading, 20, true, 2, 1, 60);
        check("a", Api::Trading, 60, true, 2, 0, 60);
        quotas.clear();
        let standing = quotas.on_request("a", Api::Trading, Duration::from_secs(60));
        assert_eq!((standing.admitted, standing.remaining), (true, 1), "forgotten");
    }

    #[test]
    fn a_large_quota_costs_little() {
        let mut quotas = Quotas::new(Rates::both(10_000_000));
        for n in 0..1_000_000_u64 {
            let now = Duration::from_micros(n * 200);
            assert!(quotas.on_request("key", Api::Data, now).admitted);
        }
        let window = &quotas.sent["key"].data;
        assert!(window.lots.len() <= 601, "{}", window.lots.len());
        assert!((300_000..=300_500).contains(&window.sent), "{} in the last minute", window.sent);
        assert_eq!(window.lots.iter().map(|lot| lot.sent).sum::<u32>(), window.sent);
    }

    #[test]
    fn keys_are_bounded() {
        let mut quotas = Quotas::new(Rates::both(2));
        for key in 0..MAX_KEYS {
            assert!(quotas.on_request(&key.to_string(), Api::Data, Duration::ZERO).admitted);
        }
        assert!(!quotas.on_request("one more", Api::Data, Duration::from_secs(59)).admitted);
        assert!(quotas.on_request("one more", Api::Data, Duration::from_secs(60)).admitted);
    }

    #[test]
    fn paths_of_the_data_api() {
        for path in ["/v2/stocks/bars", "/v2/iex", "/v1beta1/news"] {
            assert_eq!(Api::of_path(path), Api::Data, "{path}");
        }
        for path in ["/v2/orders", "/stream", "/v2/account", "/v2/events/trades"] {
            assert_eq!(Api::of_path(path), Api::Trading, "{path}");
        }
    }
}
