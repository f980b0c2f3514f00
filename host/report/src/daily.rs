//! Figures of a series of daily equities, as the field defines them.

use serde::Serialize;

/// Trading days of a year.
const YEAR: f64 = 252.0;

/// Figures of daily closes. Each is `None` where it is not defined: of an account that was ever at or below
/// zero at a close, only the total return and the deepest fall are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Daily {
    /// Days that have a return.
    pub days: usize,
    /// The last equity by the first, less one.
    pub total_return: Option<f64>,
    /// The same for a year of 252 days, compounded.
    pub annual_return: Option<f64>,
    /// Standard deviation (of a sample) of the daily returns, for a year.
    pub annual_volatility: Option<f64>,
    /// Mean daily return by its standard deviation, for a year; the risk-free rate is zero.
    pub sharpe: Option<f64>,
    /// The same by the downside deviation below zero, over all days.
    pub sortino: Option<f64>,
    /// The deepest fall of a close below the highest close before it: zero or less.
    pub max_drawdown: Option<f64>,
    /// Annual return by the deepest fall.
    pub calmar: Option<f64>,
    /// The best day.
    pub best_day: Option<f64>,
    /// The worst day.
    pub worst_day: Option<f64>,
    /// The share of days that gained.
    pub winning_days: Option<f64>,
}

impl Daily {
    /// Of these equities at closes, the first being the start.
    pub fn of(equities: &[f64]) -> Self {
        let returns = returns(equities);
        let (Some(first), Some(last)) = (equities.first(), equities.last()) else { return Self::default() };
        if returns.is_empty() || *first <= 0.0 {
            return Self::default();
        }
        let days = returns.len() as f64;
        let mean = returns.iter().sum::<f64>() / days;
        let deviation = (returns.len() > 1).then(|| {
            let squares: f64 = returns.iter().map(|daily| (daily - mean).powi(2)).sum();
            (squares / (days - 1.0)).sqrt()
        });
        let below: f64 = returns.iter().map(|daily| daily.min(0.0).powi(2)).sum();
        let downside = (below / days).sqrt();
        let total = last / first - 1.0;
        let annual = (1.0 + total).powf(YEAR / days) - 1.0;
        let drawdown = drawdown(equities);
        if equities.iter().any(|equity| *equity <= 0.0) {
            // A return on nothing, or on debts, is no return.
            let (total_return, max_drawdown) = (Some(total), Some(drawdown));
            return Self { days: returns.len(), total_return, max_drawdown, ..Self::default() };
        }
        let by = |figure: f64, by: f64| (by > 1e-15).then(|| figure / by);
        Self {
            days: returns.len(),
            total_return: Some(total),
            annual_return: Some(annual).filter(|annual| annual.is_finite()),
            annual_volatility: deviation.map(|deviation| deviation * YEAR.sqrt()),
            sharpe: deviation.and_then(|deviation| by(mean * YEAR.sqrt(), deviation)),
            sortino: by(mean * YEAR.sqrt(), downside),
            max_drawdown: Some(drawdown),
            calmar: by(annual, -drawdown).filter(|calmar| calmar.is_finite()),
            best_day: returns.iter().copied().reduce(f64::max),
            worst_day: returns.iter().copied().reduce(f64::min),
            winning_days: Some(returns.iter().filter(|daily| **daily > 0.0).count() as f64 / days),
        }
    }
}

/// Simple returns from close to close.
pub(crate) fn returns(equities: &[f64]) -> Vec<f64> {
    let pairs = equities.windows(2).filter(|pair| pair[0] > 0.0);
    pairs.map(|pair| pair[1] / pair[0] - 1.0).collect()
}

fn drawdown(equities: &[f64]) -> f64 {
    let (mut peak, mut deepest) = (f64::NEG_INFINITY, 0.0_f64);
    for equity in equities {
        peak = peak.max(*equity);
        deepest = deepest.min(equity / peak - 1.0);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// Values of `empyrical`, by `tests/golden.py`.
    #[derive(Deserialize)]
    struct Golden {
        name: String,
        equities: Vec<f64>,
        total_return: f64,
        annual_return: f64,
        annual_volatility: f64,
        sharpe: f64,
        sortino: f64,
        max_drawdown: f64,
        calmar: f64,
    }

    #[test]
    fn figures_are_those_of_an_independent_library() {
        let golden: Vec<Golden> = serde_json::from_str(include_str!("../tests/golden.json")).expect("good");
        assert!(golden.len() >= 4);
        for Golden { name, equities, .. } in &golden {
            let found = Daily::of(equities);
            let of = golden.iter().find(|golden| golden.name == *name).expect("itself");
            for (figure, found, expected) in [
                ("total_return", found.total_return, of.total_return),
                ("annual_return", found.annual_return, of.annual_return),
                ("annual_volatility", found.annual_volatility, of.annual_volatility),
                ("sharpe", found.sharpe, of.sharpe),
                ("sortino", found.sortino, of.sortino),
                ("max_drawdown", found.max_drawdown, of.max_drawdown),
                ("calmar", found.calmar, of.calmar),
            ] {
                let found = found.unwrap_or_else(|| panic!("{name} has no {figure}"));
                assert!(
                    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
                    "{name} {figure}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_defined_is_absent() {
        assert_eq!(Daily::of(&[]), Daily::default());
        assert_eq!(Daily::of(&[100.0]), Daily::default());
        let one = Daily::of(&[100.0, 101.0]);
        assert_eq!((one.annual_volatility, one.sharpe, one.sortino, one.calmar), (None, None, None, None));
        // Ten thousand times in a day: 252 such days are beyond what a float holds.
        let wild = Daily::of(&[1.0, 1e4]);
        assert_eq!((wild.total_return, wild.annual_return, wild.calmar), (Some(9_999.0), None, None));
        for ruin in [[100.0, 50.0, -10.0], [100.0, -10.0, 50.0], [100.0, 0.0, 50.0]] {
            let of = Daily::of(&ruin);
            assert!(of.total_return.is_some() && of.max_drawdown.is_some(), "{ruin:?}");
            let (days, total_return, max_drawdown) = (of.days, of.total_return, of.max_drawdown);
            let rest = Daily { days, total_return, max_drawdown, ..Daily::default() };
            assert_eq!(of, rest, "{ruin:?}");
        }
        let flat = Daily::of(&[100.0, 100.0, 100.0]);
        assert_eq!(
            (flat.total_return, flat.sharpe, flat.sortino, flat.calmar),
            (Some(0.0), None, None, None)
        );
    }
}
