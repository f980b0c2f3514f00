//! `/metrics`: the snapshot in Prometheus' text format. Base units, `_total` for counters, bounded labels.

mod page;
mod quality;

use self::page::Page;
use crate::{BudgetFigures, Snapshot, StreamFigures};

/// Positions that are shown.
const MAX_POSITIONS: usize = 100;

/// Whether the reader may know what is money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Money {
    /// He has the token, or none is set.
    Told,
    /// He has not.
    LeftOut,
}

/// The text of `/metrics`.
pub(crate) fn render(snapshot: &Snapshot, money: Money) -> String {
    let mut page = Page::default();
    process(&mut page, snapshot);
    orders(&mut page, snapshot);
    quality::quality(&mut page, snapshot, money);
    records(&mut page, snapshot);
    journal(&mut page, snapshot);
    strategies(&mut page, snapshot);
    match money {
        Money::Told => self::money(&mut page, snapshot),
        Money::LeftOut => {}
    }
    sequence(&mut page, snapshot);
    snapshot.streams.iter().for_each(|stream| self::stream(&mut page, stream));
    snapshot.budgets.iter().for_each(|budget| self::budget(&mut page, budget));
    page.text()
}

fn process(page: &mut Page, snapshot: &Snapshot) {
    page.gauge(
        "sandpit_reconciled",
        "1 once the books agree with the broker",
        &[(&[], flag(snapshot.reconciled))],
    );
    page.gauge(
        "sandpit_frozen",
        "1 while only orders that reduce are sent, until an operator lifts it",
        &[(&[], flag(snapshot.frozen.is_some()))],
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
    if let Some(secs) = snapshot.plugins_look_secs_ago {
        let help = "Real time since the plugins folder was looked at";
        page.gauge("sandpit_plugins_look_age_seconds", help, &[(&[], secs)]);
    }
    for entry in &snapshot.loops {
        let labels = [("loop", entry.name.as_str())];
        page.counter(
            "sandpit_loop_progress_total",
            "Work done by each loop",
            &[(&labels, entry.progress as f64)],
        );
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
    let help = "Times the order stream was suspected of not telling what REST shows";
    one("sandpit_order_stream_suspicions_total", help, orders.suspicions);
    let help = "Times the broker's truth and the books differed";
    one("sandpit_reconciliation_differences_total", help, orders.differences);
    one("sandpit_orders_foreign_total", "Orders of others, left alone", orders.foreign);
    let help = "Time since the broker's activities could be read wholly, market time";
    page.gauge("sandpit_activities_incomplete_seconds", help, &[(&[], orders.activities_incomplete_secs)]);
    page.gauge("sandpit_orders_open", "Orders open now", &[(&[], orders.open as f64)]);
    let help = "Orders that wait now for a place among those under way";
    page.gauge("sandpit_orders_planned", help, &[(&[], orders.planned as f64)]);
    page.gauge(
        "sandpit_orders_outcome_unknown",
        "Orders whose outcome is not known",
        &[(&[], orders.unknown as f64)],
    );
    for step in &snapshot.steps {
        let help = "Real time that each step of an order took, from a market event to the broker's answer";
        page.histogram("sandpit_order_step_seconds", help, &[("step", step.step)], &step.times);
    }
    for (reason, count) in &snapshot.refusals {
        let labels = [("reason", reason.as_str())];
        page.counter("sandpit_refusals_total", "Intents refused by a risk gate", &[(&labels, *count as f64)]);
    }
}

fn records(page: &mut Page, snapshot: &Snapshot) {
    let records = snapshot.records;
    for (name, help, count) in [
        ("sandpit_commits_failed_total", "Commits of records that failed", records.commits_failed),
        ("sandpit_commits_late_total", "Commits of records not answered in time", records.commits_late),
        ("sandpit_records_put_aside_total", "Records the database refused for good", records.put_aside),
    ] {
        page.counter(name, help, &[(&[], count as f64)]);
    }
}

fn journal(page: &mut Page, snapshot: &Snapshot) {
    let Some(journal) = snapshot.journal else { return };
    for (name, help, count) in [
        ("sandpit_journal_entries_total", "Entries written to the journal", journal.entries),
        ("sandpit_journal_bytes_total", "Bytes written to the journal", journal.bytes),
        ("sandpit_journal_lost_total", "Entries that the journal could not keep", journal.lost),
        ("sandpit_journal_failures_total", "Writes to the journal that failed", journal.failures),
    ] {
        page.counter(name, help, &[(&[], count as f64)]);
    }
}

const IS_RUNNING: &str = "1 while a strategy runs, 0 also for a plugin that is refused";

fn strategies(page: &mut Page, snapshot: &Snapshot) {
    for strategy in &snapshot.strategies {
        let labels = [("strategy", strategy.name.as_str())];
        let mut counter = |name, help, value: u64| page.counter(name, help, &[(&labels, value as f64)]);
        counter("sandpit_strategy_events_total", "Events a strategy handled", strategy.events);
        counter("sandpit_strategy_orders_total", "Orders of a strategy the broker took", strategy.orders);
        counter("sandpit_strategy_fills_total", "Fills of a strategy", strategy.fills);
        counter("sandpit_strategy_strikes_total", "Times a strategy's store was discarded", strategy.strikes);
        let running = flag(strategy.state == "running");
        page.gauge("sandpit_strategy_running", IS_RUNNING, &[(&labels, running)]);
    }
    let is_listed = |name: &str| snapshot.strategies.iter().any(|strategy| strategy.name == name);
    for refused in snapshot.refused.iter().filter(|refused| !is_listed(&refused.plugin)) {
        page.gauge("sandpit_strategy_running", IS_RUNNING, &[(&[("strategy", &refused.plugin)], 0.0)]);
    }
}

fn money(page: &mut Page, snapshot: &Snapshot) {
    if let Some(equity) = snapshot.equity_usd {
        page.gauge("sandpit_equity_usd", "Equity as the broker last said", &[(&[], equity)]);
    }
    for strategy in &snapshot.strategies {
        let labels = [("strategy", strategy.name.as_str())];
        let help = "Realised profit and loss of a strategy's fills";
        page.gauge("sandpit_strategy_realised_usd", help, &[(&labels, strategy.realised_usd)]);
        if let Some(unrealised) = strategy.unrealised_usd {
            let help = "Unrealised profit and loss of a strategy's position";
            page.gauge("sandpit_strategy_unrealised_usd", help, &[(&labels, unrealised)]);
        }
    }
    if snapshot.reconciled {
        positions(page, snapshot);
    }
}

/// The largest positions, and the sum of all without their signs. Symbols are as many as the universe has, so
/// the number of series is bounded here.
fn positions(page: &mut Page, snapshot: &Snapshot) {
    let valued = snapshot.positions.iter();
    let mut valued: Vec<_> =
        valued.filter_map(|held| Some((held.symbol.as_str(), held.value_usd?))).collect();
    let gross: f64 = valued.iter().map(|(_, value)| value.abs()).sum();
    let help = "What all positions with a price are worth, long and short added up";
    page.gauge("sandpit_gross_exposure_usd", help, &[(&[], gross)]);
    valued.sort_by(|(_, left), (_, right)| right.abs().total_cmp(&left.abs()));
    for (symbol, value) in valued.into_iter().take(MAX_POSITIONS) {
        let help = "What a position is worth, negative when short; the 100 largest";
        page.gauge("sandpit_position_value_usd", help, &[(&[("symbol", symbol)], value)]);
    }
}

fn sequence(page: &mut Page, snapshot: &Snapshot) {
    let (data, sequence) = (snapshot.data, snapshot.sequence);
    let mut counter = |name: &str, help: &str, label: &str, counts: &[(&str, u64)]| {
        for (value, count) in counts {
            page.counter(name, help, &[(&[(label, value)], *count as f64)]);
        }
    };
    let delivered = [("bar", data.bars), ("quote", data.quotes), ("trade", data.trades), ("news", data.news)];
    counter("sandpit_market_events_total", "Market data delivered", "kind", &delivered);
    let marked = [("late", sequence.late_bars), ("corrected", sequence.corrected_bars)];
    counter("sandpit_market_bars_marked_total", "Bars delivered with a mark", "mark", &marked);
    let dropped = [
        ("repeat", sequence.repeats),
        ("too-old", sequence.too_old),
        ("pulse", sequence.pulses),
        ("stranger", sequence.strangers),
        ("let-go", sequence.let_go),
        ("too-early", sequence.too_early),
    ];
    counter("sandpit_market_events_dropped_total", "Market data not delivered", "reason", &dropped);
    let gaps = [("filled", sequence.gaps_filled), ("open", sequence.gaps_open)];
    counter("sandpit_market_gaps_total", "Gaps after a stream was down", "outcome", &gaps);
    let unknown: Vec<_> = snapshot.unknown_messages.iter().map(|(what, n)| (what.as_str(), *n)).collect();
    counter("sandpit_unknown_messages_total", "What the broker sent and nobody knows", "what", &unknown);
    for (name, help, count) in [
        ("sandpit_bar_periods_total", "One-minute periods of market data completed", sequence.minutes),
        ("sandpit_market_audits_total", "Times a live stream was compared with REST", sequence.audits),
        ("sandpit_market_audit_finds_total", "Bars that only an audit found", sequence.audit_finds),
        ("sandpit_market_quiet_total", "Silences of the market, not of the stream", sequence.quiet),
    ] {
        page.counter(name, help, &[(&[], count as f64)]);
    }
    let help = "Symbols whose quotes come over REST only";
    page.gauge("sandpit_market_quotes_over_rest", help, &[(&[], sequence.quotes_over_rest as f64)]);
}

fn stream(page: &mut Page, stream: &StreamFigures) {
    let name = ("stream", stream.name.as_str());
    let mut gauge = |metric, help, value| page.gauge(metric, help, &[(&[name], value)]);
    gauge("sandpit_stream_live", "1 while a stream delivers", flag(stream.delivers()));
    gauge("sandpit_stream_fallback", "1 while polls carry its data", flag(stream.health == "fallback"));
    gauge("sandpit_stream_silence_seconds", "The newest silence, when noticed", stream.silence_secs);
    gauge("sandpit_stream_fallback_seconds", "From a fall to the first data over REST", stream.fallback_secs);
    gauge("sandpit_stream_failures_in_a_row", "Failures since it last delivered", stream.failures as f64);
    for (reason, count) in &stream.falls {
        let help = "Connections lost or not made";
        let labels = [name, ("reason", reason)];
        page.counter("sandpit_stream_falls_total", help, &[(&labels, *count as f64)]);
    }
    let mut counter = |metric, help, value: u64| page.counter(metric, help, &[(&[name], value as f64)]);
    counter("sandpit_stream_reconnects_total", "Connections made after the first", stream.reconnects);
    counter("sandpit_stream_pages_total", "Times a human should have been called", stream.pages);
    counter("sandpit_stream_messages_total", "Messages that were of use", stream.messages);
    counter("sandpit_stream_polls_total", "Polls in place of a stream", stream.polls);
    counter("sandpit_stream_polls_failed_total", "Polls that failed", stream.polls_failed);
}

fn budget(page: &mut Page, budget: &BudgetFigures) {
    let source = ("source", budget.name.as_str());
    for window in &budget.windows {
        let span = window.span_secs.to_string();
        let labels = [source, ("unit", window.unit.as_str()), ("window_seconds", span.as_str())];
        let help = "Let out within the window that ends now, market time";
        page.gauge("sandpit_budget_used", help, &[(&labels, window.used as f64)]);
        page.gauge("sandpit_budget_limit", "What the window may hold", &[(&labels, window.limit as f64)]);
    }
    for figures in &budget.priorities {
        let labels = [source, ("priority", figures.priority.as_str())];
        page.gauge("sandpit_requests_queued", "Requests that wait", &[(&labels, figures.queued as f64)]);
        let help = "How long requests waited until they were let out, market time";
        page.histogram("sandpit_request_wait_seconds", help, &labels, &figures.waits);
        let mut counter = |name, help, value: u64| page.counter(name, help, &[(&labels, value as f64)]);
        counter("sandpit_requests_total", "Requests let out", figures.waits.count);
        counter("sandpit_requests_delayed_total", "Requests that did not go at once", figures.delayed);
        counter("sandpit_requests_late_total", "Requests that waited until their deadline", figures.late);
        counter("sandpit_requests_full_total", "Requests not taken: the queue was full", figures.full);
    }
    let mut counter = |name, help, value: u64| page.counter(name, help, &[(&[source], value as f64)]);
    counter("sandpit_requests_too_large_total", "Requests that no window can hold", budget.too_large);
    counter("sandpit_http_429_total", "Answers of 429", budget.http_429);
    let help = "How long the pause after a 429 still lasts, market time";
    page.gauge("sandpit_budget_pause_seconds_left", help, &[(&[source], budget.pause_secs_left)]);
    if let Some(left) = budget.broker_left {
        let help = "Requests that remain to us by the broker's own count";
        page.gauge("sandpit_budget_broker_left", help, &[(&[source], left as f64)]);
    }
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        HistogramFigures, JournalFigures, LoopFigures, OrderFigures, PositionFigures, PriorityFigures,
        RecordFigures, StrategyFigures, WindowFigures,
    };

    #[test]
    fn a_family_is_written_once_with_all_its_series() {
        let loops = ["ingest", "store"]
            .map(|name| LoopFigures { name: name.into(), progress: 7 })
            .into_iter()
            .collect();
        let strategies =
            vec![StrategyFigures { name: "sma_cross".into(), fills: 3, ..StrategyFigures::default() }];
        let orders = OrderFigures { suspicions: 2, ..OrderFigures::default() };
        let snapshot = Snapshot { loops, strategies, orders, ..Snapshot::default() };
        let text = render(&snapshot, Money::Told);
        assert_eq!(text.matches("# TYPE sandpit_loop_progress_total counter").count(), 1, "{text}");
        assert!(text.contains("sandpit_loop_progress_total{loop=\"store\"} 7"), "{text}");
        assert!(text.contains("sandpit_order_stream_suspicions_total 2"), "{text}");
        assert!(text.contains("sandpit_strategy_fills_total{strategy=\"sma_cross\"} 3"), "{text}");
        assert!(!text.contains("sandpit_lease_seconds_left"), "{text}");
    }

    #[test]
    fn a_keeper_that_hangs_is_seen() {
        let age = |secs| {
            let snapshot = Snapshot { plugins_look_secs_ago: secs, ..Snapshot::default() };
            let text = render(&snapshot, Money::LeftOut);
            let line = text.lines().find(|line| line.starts_with("sandpit_plugins_look_age_seconds"));
            line.map(str::to_owned)
        };
        assert_eq!(age(None), None, "nobody has looked yet");
        assert_eq!(age(Some(181.5)).as_deref(), Some("sandpit_plugins_look_age_seconds 181.5"));
    }

    #[test]
    fn what_an_operator_has_to_look_after_is_shown_from_the_start() {
        let text = render(&Snapshot::default(), Money::LeftOut);
        for line in [
            "sandpit_activities_incomplete_seconds 0",
            "sandpit_commits_failed_total 0",
            "sandpit_commits_late_total 0",
            "sandpit_records_put_aside_total 0",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in {text}");
        }
        let orders = OrderFigures { activities_incomplete_secs: 61.5, ..OrderFigures::default() };
        let records = RecordFigures { commits_failed: 1, commits_late: 2, put_aside: 3 };
        let text = render(&Snapshot { orders, records, ..Snapshot::default() }, Money::LeftOut);
        for (kind, line) in [
            ("gauge", "sandpit_activities_incomplete_seconds 61.5"),
            ("counter", "sandpit_commits_failed_total 1"),
            ("counter", "sandpit_commits_late_total 2"),
            ("counter", "sandpit_records_put_aside_total 3"),
        ] {
            let name = line.split_once(' ').expect("a name and a value").0;
            assert!(text.lines().any(|shown| shown == line), "{line} is not in {text}");
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind} in {text}");
        }
    }

    #[test]
    fn the_journal_is_shown_when_there_is_one() {
        let text = render(&Snapshot::default(), Money::LeftOut);
        assert!(!text.contains("journal"), "{text}");
        let journal = Some(JournalFigures { entries: 1, bytes: 2, lost: 3, failures: 4 });
        let text = render(&Snapshot { journal, ..Snapshot::default() }, Money::LeftOut);
        for line in [
            "sandpit_journal_entries_total 1",
            "sandpit_journal_bytes_total 2",
            "sandpit_journal_lost_total 3",
            "sandpit_journal_failures_total 4",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in {text}");
        }
    }

    #[test]
    fn the_largest_positions_are_shown_to_who_may_know() {
        let held = |at: u32| PositionFigures {
            symbol: format!("S{at}"),
            value_usd: (at > 0).then(|| if at.is_multiple_of(2) { f64::from(at) } else { -f64::from(at) }),
            ..PositionFigures::default()
        };
        let positions = (0..=150).map(held).collect();
        let snapshot = Snapshot { reconciled: true, positions, ..Snapshot::default() };
        let text = render(&snapshot, Money::Told);
        assert!(text.contains("sandpit_gross_exposure_usd 11325\n"), "{text}");
        assert!(text.contains("sandpit_position_value_usd{symbol=\"S149\"} -149\n"), "{text}");
        assert_eq!(text.matches("sandpit_position_value_usd{").count(), MAX_POSITIONS, "{text}");
        assert!(!text.contains("symbol=\"S50\""), "{text}");
        assert!(!render(&snapshot, Money::LeftOut).contains("_usd"));
        let snapshot = Snapshot { reconciled: false, ..snapshot };
        assert!(!render(&snapshot, Money::Told).contains("_exposure_usd"), "the books are not known yet");
    }

    #[test]
    fn budgets_and_streams_have_a_source_label_each() {
        let waits = HistogramFigures { count: 3, sum_secs: 1.5, within_secs: vec![(0.5, 1), (1.0, 2)] };
        let priority = PriorityFigures { priority: "cancel".into(), waits, ..PriorityFigures::default() };
        let window = |unit: &str, span_secs, used| WindowFigures {
            unit: unit.into(),
            span_secs,
            used,
            ..WindowFigures::default()
        };
        let budgets = vec![BudgetFigures {
            name: "llm".into(),
            windows: vec![window("requests", 62, 7), window("tokens", 86_402, 9_000)],
            priorities: vec![priority],
            ..BudgetFigures::default()
        }];
        let falls = [("silent".to_owned(), 4)].into();
        let streams = vec![StreamFigures { name: "news".into(), falls, ..StreamFigures::default() }];
        let text = render(&Snapshot { budgets, streams, ..Snapshot::default() }, Money::Told);
        for line in [
            r#"sandpit_budget_used{source="llm",unit="requests",window_seconds="62"} 7"#,
            r#"sandpit_budget_used{source="llm",unit="tokens",window_seconds="86402"} 9000"#,
            r#"sandpit_request_wait_seconds_bucket{source="llm",priority="cancel",le="0.5"} 1"#,
            r#"sandpit_request_wait_seconds_bucket{source="llm",priority="cancel",le="+Inf"} 3"#,
            r#"sandpit_request_wait_seconds_sum{source="llm",priority="cancel"} 1.5"#,
            r#"sandpit_requests_total{source="llm",priority="cancel"} 3"#,
            r#"sandpit_stream_falls_total{stream="news",reason="silent"} 4"#,
            r#"sandpit_market_bars_marked_total{mark="late"} 0"#,
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert!(!text.contains("sandpit_budget_broker_left"), "the broker has said nothing: {text}");
    }
}
