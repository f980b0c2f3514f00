//! Longer bars out of shorter ones.

use super::{Candle, Periods, Span};

/// Sums `candles` up to the periods whose start lies in `span`; both run in the direction of the span.
pub(super) fn sums<'a>(
    candles: impl Iterator<Item = &'a Candle> + 'a,
    periods: Periods,
    span: Span,
) -> impl Iterator<Item = Candle> + 'a {
    let mut candles = candles.peekable();
    let whole = std::iter::from_fn(move || {
        let first = candles.next()?;
        let start = periods.start_of(first.start);
        let mut sum = Candle { start, ..*first };
        while let Some(next) = candles.next_if(|next| periods.start_of(next.start) == start) {
            if span.descending {
                sum.prepend(next);
            } else {
                sum.append(next);
            }
        }
        Some(sum)
    });
    whole.filter(move |sum| (span.start..=span.end).contains(&sum.start))
}
