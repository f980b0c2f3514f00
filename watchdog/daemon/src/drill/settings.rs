//! `[drill]` of the configuration.

use std::time::Duration;

use serde::Deserialize;

use super::{
    address::Address,
    judge::{Figures, Step},
};

/// With everything else that a drill asks for, it stays within the broker's 200 requests a minute.
const MAX_ORDERS: usize = 50;
/// A year.
const MAX_EVERY_HOURS: u64 = 8784;
/// Ten minutes.
const MAX_BOUND_MS: u64 = 600_000;

/// `[drill]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DrillConfig {
    /// The drill account's broker; without it there are no drills.
    pub(crate) trading_url: Option<String>,
    /// How many orders are placed before each kill.
    pub(crate) orders: usize,
    /// What they would buy.
    pub(crate) symbol: String,
    /// Between two drills; 0 means never by itself.
    every_hours: u64,
    /// How long each step may take.
    pub(crate) bounds: Bounds,
}

/// `[drill.bounds]`, milliseconds from the flag on; `resume_ms` from the end of the first life on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bounds {
    fenced_ms: u64,
    host_dead_ms: u64,
    latched_ms: u64,
    suspended_ms: u64,
    first_cancel_ms: u64,
    zero_seen_ms: u64,
    resume_ms: u64,
}

impl Default for DrillConfig {
    fn default() -> Self {
        let bounds = Bounds::default();
        Self { trading_url: None, orders: 5, symbol: "SPY".into(), every_hours: 168, bounds }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            fenced_ms: 200,
            host_dead_ms: 300,
            latched_ms: 500,
            suspended_ms: 1000,
            first_cancel_ms: 500,
            zero_seen_ms: 3000,
            resume_ms: 5000,
        }
    }
}

impl Bounds {
    /// Those of every step that has one.
    pub(crate) fn figures(&self) -> Figures {
        Figures::from([
            (Step::Fenced, self.fenced_ms),
            (Step::HostDead, self.host_dead_ms),
            (Step::Latched, self.latched_ms),
            (Step::Suspended, self.suspended_ms),
            (Step::FirstCancel, self.first_cancel_ms),
            (Step::ZeroSeen, self.zero_seen_ms),
            (Step::Resumed, self.resume_ms),
        ])
    }
}

impl DrillConfig {
    /// Between two drills, when they are held by themselves.
    pub(crate) fn every(&self) -> Option<Duration> {
        let is_wanted = self.trading_url.is_some() && self.every_hours > 0;
        is_wanted.then(|| Duration::from_secs(self.every_hours * 3600))
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// With the rule that does not hold.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(url) = &self.trading_url {
            Address::parse(url).map_err(|why| format!("`[drill] trading_url`: {why}"))?;
        }
        let is_symbol = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        let rules = [
            ((1..=MAX_ORDERS).contains(&self.orders), "`[drill] orders` must be within 1..=50"),
            (
                (1..=12).contains(&self.symbol.len()) && self.symbol.chars().all(is_symbol),
                "`[drill] symbol` must be one symbol, such as \"SPY\"",
            ),
            (self.every_hours <= MAX_EVERY_HOURS, "`[drill] every_hours` must be within 0..=8784"),
            (
                self.bounds.figures().values().all(|ms| (1..=MAX_BOUND_MS).contains(ms)),
                "`[drill.bounds]` must hold milliseconds within 1..=600000",
            ),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, sentence)| Err((*sentence).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_named() {
        let check = |text: &str| toml::from_str::<DrillConfig>(text).expect(text).check();
        assert_eq!(check(""), Ok(()));
        assert_eq!(
            check("trading_url = 'http://127.0.0.1:1'\norders = 50\n[bounds]\nzero_seen_ms = 1"),
            Ok(())
        );
        for (text, word) in [
            ("trading_url = 'https://api.alpaca.markets'", "trading_url"),
            ("orders = 0", "orders"),
            ("orders = 51", "orders"),
            ("symbol = 'A B'", "symbol"),
            ("every_hours = 9000", "every_hours"),
            ("[bounds]\nresume_ms = 0", "bounds"),
        ] {
            let error = check(text).expect_err(text);
            assert!(error.contains(word), "{error}");
        }
        assert_eq!(DrillConfig::default().every(), None, "without an address there is nothing to drill");
    }
}
