//! What the best of many variants shows when none of them has any skill.

/// Euler's constant.
const GAMMA: f64 = 0.577_215_664_901_532_9;

/// Trading days of a year.
const YEAR: f64 = 252.0;

/// The yearly Sharpe ratio to be expected of the best of `variants` independent strategies whose true one
/// is zero, measured over `days` daily returns; `None` for fewer than two variants or no days.
///
/// After Bailey and López de Prado, "The Deflated Sharpe Ratio" (2014): the expected maximum of that many
/// normal values, times the deviation of an estimated Sharpe ratio, `sqrt(252 / days)`. Neighbouring
/// variants are alike, so that a real sweep has fewer independent ones and the true value is smaller.
pub fn luck(variants: u64, days: u64) -> Option<f64> {
    if variants < 2 || days == 0 {
        return None;
    }
    let (many, e) = (variants as f64, std::f64::consts::E);
    let largest = (1.0 - GAMMA) * -below(1.0 / many) + GAMMA * -below(1.0 / (many * e));
    Some(largest * (YEAR / days as f64).sqrt())
}

/// The value below which a normal value lies with this chance: 0 < chance <= 0.5. Acklam's approximation,
/// whose relative error is below 1.15e-9.
fn below(chance: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    let of = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    if chance < 0.024_25 {
        let q = (-2.0 * chance.ln()).sqrt();
        return of(&C, q) / of(&D, q);
    }
    let q = chance - 0.5;
    q * of(&A, q * q) / of(&B, q * q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_is_that_of_an_independent_library() {
        // scipy 1.17.1: (1 - g) * norm.ppf(1 - 1/n) + g * norm.ppf(1 - 1/(n*e)), times sqrt(252/days).
        let check = |variants: u64, days: u64, expected: Option<f64>| {
            let found = luck(variants, days);
            let is_close = match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() < 1e-6,
                (found, expected) => found == expected,
            };
            assert!(is_close, "{variants} variants, {days} days: {found:?}, not {expected:?}");
        };
        check(2, 252, Some(0.519755344));
        check(10, 252, Some(1.5745983));
        check(41, 60, Some(4.50706086));
        check(100, 252, Some(2.53060289));
        check(1_000, 1_260, Some(1.4557346));
        check(10_000, 21, Some(13.3737354));
        check(1, 252, None);
        check(10, 0, None);
    }

    #[test]
    fn more_variants_are_more_luck_and_more_days_less() {
        let counts = [2, 3, 7, 30, 41, 42, 100, 1_000, 10_000, u64::MAX];
        assert!(counts.is_sorted_by(|a, b| luck(*a, 252) < luck(*b, 252)));
        assert!(luck(100, 20) > luck(100, 2_520));
    }
}
