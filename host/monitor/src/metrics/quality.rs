//! How well the broker answers and orders fill, and what fires.

use super::{Money, Page};
use crate::{Snapshot, rules::table};

/// Answers, fills, costs (which are money), memory's limit and the signals.
pub(super) fn quality(page: &mut Page, snapshot: &Snapshot, money: Money) {
    let quality = &snapshot.quality;
    let mut counter = |name, help, labels: &[(&str, &str)], value: f64| {
        page.counter(name, help, &[(labels, value)]);
    };
    if let Some(answered) = quality.answered {
        let help = "Answers of the broker's over REST, none within its time included";
        counter("sandpit_rest_answers_total", help, &[], answered.all as f64);
        let help = "Of these, errors; none at all is one of 5xx";
        for (class, count) in [("4xx", answered.errors_4xx), ("5xx", answered.errors_5xx)] {
            counter("sandpit_rest_errors_total", help, &[("class", class)], count as f64);
        }
        counter("sandpit_rest_unauthorised_total", "Answers of 401", &[], answered.unauthorised as f64);
    }
    if let Some(fills) = quality.fills.filter(|_| snapshot.reconciled) {
        let help = "Orders that had to fill, once it is known whether they did in time";
        counter("sandpit_orders_due_total", help, &[], fills.due as f64);
        let help = "Of these, filled within 30 s, market time";
        counter("sandpit_orders_in_time_total", help, &[], fills.in_time as f64);
    }
    if let Some(costs) = quality.costs.filter(|_| snapshot.reconciled && money == Money::Told) {
        counter(
            "sandpit_fills_priced_total",
            "Fills with a price to be compared with",
            &[],
            costs.fills as f64,
        );
        counter("sandpit_traded_usd_total", "What these traded", &[], costs.traded_usd);
        let help = "What these were worse than the price at the strategy's signal";
        counter("sandpit_slippage_usd_total", help, &[], costs.slippage_usd);
        counter("sandpit_fees_usd_total", "Fees, by the broker's activities", &[], costs.fees_usd);
    }
    if let Some(latency) = quality.fill_latency.as_ref().filter(|_| snapshot.reconciled) {
        let help = "From a strategy's signal to the whole fill of orders that had to fill, market time";
        page.histogram("sandpit_fill_latency_seconds", help, &[], latency);
    }
    if let Some(usd) = quality.unexplained_usd.filter(|_| snapshot.reconciled && money == Money::Told) {
        let help = "Cash at the broker that the books do not explain; zero while all is explained";
        page.gauge("sandpit_unexplained_cash_usd", help, &[(&[], usd)]);
    }
    if let Some(bytes) = quality.memory_limit_bytes {
        page.gauge(
            "sandpit_memory_limit_bytes",
            "What the host's memory is limited to",
            &[(&[], bytes as f64)],
        );
    }
    for signal in table::signals() {
        let fires = snapshot.alerts.iter().filter(|alert| alert.name == signal.name).count();
        let labels = [("signal", signal.name), ("severity", signal.severity.as_str())];
        page.gauge("sandpit_signal_firing", "Series of a signal that fire", &[(&labels, fires as f64)]);
    }
}
