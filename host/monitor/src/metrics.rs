//! `/metrics`: the snapshot in Prometheus' text format. Base units, `_total` for counters, bounded labels.

use prometheus::{Encoder, TextEncoder, proto};

use crate::Snapshot;

/// The text of `/metrics`.
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let mut page = Page::default();
    process(&mut page, snapshot);
    orders(&mut page, snapshot);
    strategies(&mut page, snapshot);
    streams_and_budgets(&mut page, snapshot);
    page.text()
}

fn process(page: &mut Page, snapshot: &Snapshot) {
    page.gauge(
        "sandpit_reconciled",
        "1 once the books agree with the broker",
        &[(&[], flag(snapshot.reconciled))],
    );
    page.gauge(
        "sandpit_resident_memory_bytes",
        "Resident memory of the host",
        &[(&[], snapshot.rss_bytes as f64)],
    );
    if let Some(ms) = snapshot.lease_ms_left {
        page.gauge(
            "sandpit_lease_seconds_left",
            "Real time the right to trade still lasts",
            &[(&[], ms as f64 / 1e3)],
        );
    }
    if let Some(equity) = snapshot.equity_usd {
        page.gauge("sandpit_equity_usd", "Equity as the broker last said", &[(&[], equity)]);
    }
    for entry in &snapshot.loops {
        let labels = [("loop", entry.name.as_str())];
        page.counter(
            "sandpit_loop_progress_total",
            "Work done by each loop",
            &[(&labels, entry.progress as f64)],
        );
    }
    let data = snapshot.data;
    for (kind, count) in [("bar", data.bars), ("quote", data.quotes), ("trade", data.trades)] {
        let labels = [("kind", kind)];
        page.counter("sandpit_market_events_total", "Market data delivered", &[(&labels, count as f64)]);
    }
}

fn orders(page: &mut Page, snapshot: &Snapshot) {
    let orders = snapshot.orders;
    let mut one = |name, help, value: u64| page.counter(name, help, &[(&[], value as f64)]);
    one("sandpit_intents_total", "Intents that strategies gave", orders.intents);
    one("sandpit_orders_submitted_total", "Orders the broker took", orders.submitted);
    one("sandpit_orders_rejected_total", "Orders the broker rejected", orders.rejected);
    one("sandpit_fills_total", "Fills", orders.fills);
    one("sandpit_cancels_total", "Cancels asked for", orders.cancels);
    page.gauge("sandpit_orders_open", "Orders open now", &[(&[], orders.open as f64)]);
    page.gauge(
        "sandpit_orders_outcome_unknown",
        "Orders whose outcome is not known",
        &[(&[], orders.unknown as f64)],
    );
    for (reason, count) in &snapshot.refusals {
        let labels = [("reason", reason.as_str())];
        page.counter("sandpit_refusals_total", "Intents refused by a risk gate", &[(&labels, *count as f64)]);
    }
}

fn strategies(page: &mut Page, snapshot: &Snapshot) {
    for strategy in &snapshot.strategies {
        let labels = [("strategy", strategy.name.as_str())];
        let mut counter = |name, help, value: u64| page.counter(name, help, &[(&labels, value as f64)]);
        counter("sandpit_strategy_events_total", "Events a strategy handled", strategy.events);
        counter("sandpit_strategy_orders_total", "Orders of a strategy the broker took", strategy.orders);
        counter("sandpit_strategy_fills_total", "Fills of a strategy", strategy.fills);
        counter("sandpit_strategy_strikes_total", "Times a strategy's store was discarded", strategy.strikes);
        let running = flag(strategy.state == "running");
        page.gauge("sandpit_strategy_running", "1 while a strategy runs", &[(&labels, running)]);
        let help = "Realised profit and loss of a strategy's fills";
        page.gauge("sandpit_strategy_realised_usd", help, &[(&labels, strategy.realised_usd)]);
        let help = "Unrealised profit and loss of a strategy's position";
        page.gauge("sandpit_strategy_unrealised_usd", help, &[(&labels, strategy.unrealised_usd)]);
    }
}

fn streams_and_budgets(page: &mut Page, snapshot: &Snapshot) {
    for stream in &snapshot.streams {
        let labels = [("stream", stream.name.as_str())];
        page.gauge(
            "sandpit_stream_live",
            "1 while a stream delivers",
            &[(&labels, flag(stream.state == "live"))],
        );
        let help = "Connections made after the first";
        page.counter("sandpit_stream_reconnects_total", help, &[(&labels, stream.reconnects as f64)]);
    }
    for budget in &snapshot.budgets {
        let labels = [("budget", budget.name.as_str())];
        let help = "Requests let out in the last minute of market time";
        page.gauge("sandpit_requests_in_window", help, &[(&labels, budget.used as f64)]);
        page.gauge("sandpit_requests_limit", "Requests a minute may hold", &[(&labels, budget.limit as f64)]);
        page.gauge("sandpit_requests_queued", "Requests that wait", &[(&labels, budget.queued as f64)]);
        page.counter("sandpit_requests_total", "Requests let out", &[(&labels, budget.requests as f64)]);
        page.counter("sandpit_http_429_total", "Answers of 429", &[(&labels, budget.http_429 as f64)]);
    }
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

/// One series: its labels and its value.
type Series<'a> = (&'a [(&'a str, &'a str)], f64);

/// Metric families in the order of their first mention.
#[derive(Default)]
struct Page(Vec<proto::MetricFamily>);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, series: &[Series<'_>]) {
        self.add(name, help, proto::MetricType::GAUGE, series);
    }

    fn counter(&mut self, name: &str, help: &str, series: &[Series<'_>]) {
        self.add(name, help, proto::MetricType::COUNTER, series);
    }

    fn add(&mut self, name: &str, help: &str, kind: proto::MetricType, series: &[Series<'_>]) {
        let at = self.0.iter().position(|family| family.name() == name).unwrap_or_else(|| {
            let mut family = proto::MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            self.0.push(family);
            self.0.len() - 1
        });
        for (labels, value) in series {
            self.0[at].mut_metric().push(metric(kind, labels, *value));
        }
    }

    fn text(&self) -> String {
        let mut out = Vec::new();
        match TextEncoder::new().encode(&self.0, &mut out) {
            Ok(()) => String::from_utf8_lossy(&out).into_owned(),
            // Only a family without any series is an error, and `add` makes none of these.
            Err(error) => format!("# {error}\n"),
        }
    }
}

fn metric(kind: proto::MetricType, labels: &[(&str, &str)], value: f64) -> proto::Metric {
    let mut metric = proto::Metric::default();
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    metric.set_label(labels.iter().map(pair).collect());
    if kind == proto::MetricType::COUNTER {
        let mut counter = proto::Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoopFigures, StrategyFigures};

    #[test]
    fn a_family_is_written_once_with_all_its_series() {
        let loops = ["ingest", "store"]
            .map(|name| LoopFigures { name: name.into(), progress: 7 })
            .into_iter()
            .collect();
        let strategies =
            vec![StrategyFigures { name: "sma_cross".into(), fills: 3, ..StrategyFigures::default() }];
        let snapshot = Snapshot { loops, strategies, ..Snapshot::default() };
        let text = render(&snapshot);
        assert_eq!(text.matches("# TYPE sandpit_loop_progress_total counter").count(), 1, "{text}");
        assert!(text.contains("sandpit_loop_progress_total{loop=\"store\"} 7"), "{text}");
        assert!(text.contains("sandpit_strategy_fills_total{strategy=\"sma_cross\"} 3"), "{text}");
        assert!(!text.contains("sandpit_lease_seconds_left"), "{text}");
    }
}
