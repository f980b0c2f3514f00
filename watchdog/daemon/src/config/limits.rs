//! `[limits]`: what the account may lose before the watchdog kills. The defaults are the ceilings.

use std::time::Duration;

use serde::Deserialize;

use super::BrokerConfig;
use crate::limits::{Money, Terms};

/// Hundredths in one per cent.
const HUNDREDTHS: f64 = 100.0;

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsConfig {
    drawdown_percent: f64,
    half_hour_loss_percent: f64,
    day_loss_percent: f64,
    gross_percent: f64,
    orders_per_minute: u32,
    nav_usd: Option<u32>,
    blind_ms: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            drawdown_percent: 10.0,
            half_hour_loss_percent: 1.0,
            day_loss_percent: 2.0,
            gross_percent: 150.0,
            orders_per_minute: 150,
            nav_usd: None,
            blind_ms: 120_000,
        }
    }
}

impl LimitsConfig {
    /// Limits can be tightened, never loosened.
    pub(super) fn check(&self) -> Result<(), String> {
        let ceilings = Terms::CEILINGS;
        let shares = [
            ("drawdown_percent", self.drawdown_percent, ceilings.drawdown),
            ("half_hour_loss_percent", self.half_hour_loss_percent, ceilings.half_hour_loss),
            ("day_loss_percent", self.day_loss_percent, ceilings.day_loss),
            ("gross_percent", self.gross_percent, ceilings.gross),
        ];
        for (key, percent, ceiling) in shares {
            let ceiling = f64::from(ceiling) / HUNDREDTHS;
            if !(0.01..=ceiling).contains(&percent) {
                return Err(format!(
                    "`[limits] {key}` must be within 0.01..={ceiling}: the limit can only be tightened"
                ));
            }
        }
        if !(1..=ceilings.orders_per_minute).contains(&self.orders_per_minute) {
            return Err(format!(
                "`[limits] orders_per_minute` must be within 1..={}: the limit can only be tightened",
                ceilings.orders_per_minute
            ));
        }
        if self.nav_usd == Some(0) {
            return Err("`[limits] nav_usd` must be at least 1".into());
        }
        if !(1_000..=3_600_000).contains(&self.blind_ms) {
            return Err("`[limits] blind_ms` must be within 1000..=3600000".into());
        }
        Ok(())
    }

    /// For the limits. No broker with real money speaks plain HTTP: that one is a simulator.
    pub(super) fn terms(&self, broker: &BrokerConfig) -> Terms {
        Terms {
            drawdown: basis_points(self.drawdown_percent),
            half_hour_loss: basis_points(self.half_hour_loss_percent),
            day_loss: basis_points(self.day_loss_percent),
            gross: basis_points(self.gross_percent),
            orders_per_minute: self.orders_per_minute,
            nav: self.nav_usd.map(|nav| Money::whole(nav.into())),
            blind: Duration::from_millis(self.blind_ms),
            requests_per_minute: broker.requests_per_minute,
            may_be_simulated: broker.trading_url.starts_with("http://"),
        }
    }
}

/// Rounded; [`LimitsConfig::check`] has seen that it is small and not below zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be small and positive"
)]
fn basis_points(percent: f64) -> u32 {
    (percent * HUNDREDTHS).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> LimitsConfig {
        toml::from_str(text).expect("its shape")
    }

    #[test]
    fn limits_can_only_be_tightened() {
        let broker = |url: &str| BrokerConfig { trading_url: url.into(), requests_per_minute: 20 };
        let expected = Terms { may_be_simulated: true, ..Terms::CEILINGS };
        assert_eq!(parse("").terms(&broker("http://127.0.0.1:1")), expected);
        assert_eq!(parse("").terms(&broker("https://paper-api.alpaca.markets")), Terms::CEILINGS);
        assert_eq!(parse("").check(), Ok(()));
        assert_eq!(parse("drawdown_percent = 0.5\nday_loss_percent = 1").check(), Ok(()));
        assert_eq!(parse("drawdown_percent = 0.55").terms(&broker("https://x")).drawdown, 55);
        for (text, key) in [
            ("drawdown_percent = 10.01", "drawdown_percent` must be within 0.01..=10:"),
            ("half_hour_loss_percent = 1.5", "half_hour_loss_percent` must be within 0.01..=1:"),
            ("day_loss_percent = 0", "day_loss_percent"),
            ("gross_percent = nan", "gross_percent"),
            ("drawdown_percent = -1", "drawdown_percent"),
            ("orders_per_minute = 151", "orders_per_minute` must be within 1..=150:"),
            ("orders_per_minute = 0", "orders_per_minute"),
            ("nav_usd = 0", "nav_usd"),
            ("blind_ms = 999", "blind_ms"),
        ] {
            let said = parse(text).check();
            assert!(said.as_ref().is_err_and(|said| said.contains(key)), "{text}: {said:?}");
        }
    }
}
