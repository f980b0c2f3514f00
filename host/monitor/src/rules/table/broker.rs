//! What goes between host and broker: orders, answers, streams, requests.

use super::*;

/// How many fills were timed.
const FILLS_TIMED: &str = "sum by (instance, job) (increase(sandpit_fill_latency_seconds_count[{window}]))";

pub(super) const ROWS: &[Signal] = &[
    Signal {
        id: Id::FillRate,
        name: "fill-rate",
        what: "orders that had to fill and did within 30 s, of an hour",
        unit: Unit::Ratio,
        test: Share { window: ONE_HOUR, at_least: 20.0 },
        side: Below,
        limit: 0.95,
        clears: 0.97,
        to_do: "Look at `sandpit orders` for limits far from the market and for a halted symbol.",
        source: Value(
            "increase(sandpit_orders_in_time_total[{window}]) / increase(sandpit_orders_due_total[{window}])",
            "increase(sandpit_orders_due_total[{window}])",
        ),
        ..ROW
    },
    Signal {
        id: Id::ErrorRate,
        name: "error-rate",
        what: "answers of 4xx and 5xx among all of the broker's within 5 minutes",
        unit: Unit::Ratio,
        test: Share { window: FIVE_MINUTES, at_least: 20.0 },
        limit: 0.10,
        clears: 0.05,
        to_do: "Read the log for the broker's words and its status page.",
        source: Value(
            "sum by (instance, job) (increase(sandpit_rest_errors_total[{window}])) \
             / sum by (instance, job) (increase(sandpit_rest_answers_total[{window}]))",
            "sum by (instance, job) (increase(sandpit_rest_answers_total[{window}]))",
        ),
        ..ROW
    },
    Signal {
        id: Id::KeyRotated,
        name: "key-rotated",
        what: "answers of 401 within a minute, as after a key was rotated",
        test: Growth { window: ONE_MINUTE },
        limit: 2.0,
        settle: FIVE_MINUTES,
        severity: Critical,
        action: StopEntries,
        to_do: "The key was rotated or withdrawn: put the new one in place and restart the host.",
        source: Value("increase(sandpit_rest_unauthorised_total[{window}])", ""),
        ..ROW
    },
    Signal {
        id: Id::BrokerErrors,
        name: "broker-errors",
        what: "answers of 5xx within a minute",
        test: Growth { window: ONE_MINUTE },
        limit: 9.0,
        clears: 2.0,
        settle: secs(120),
        severity: Critical,
        action: StopEntries,
        to_do: "Entries wait until the broker answers again; read its status page.",
        source: Value("increase(sandpit_rest_errors_total{class=\"5xx\"}[{window}])", ""),
        ..ROW
    },
    Signal {
        id: Id::OrderRejects,
        name: "order-rejects",
        what: "orders that the broker rejected, of all within 5 minutes",
        unit: Unit::Ratio,
        test: Share { window: FIVE_MINUTES, at_least: 10.0 },
        limit: 0.10,
        clears: 0.05,
        to_do: "Read why in `sandpit logs`; pause the strategy that asks for what the broker does not take.",
        source: Value(
            "increase(sandpit_orders_rejected_total[{window}]) / \
             (increase(sandpit_orders_rejected_total[{window}]) \
             + increase(sandpit_orders_submitted_total[{window}]))",
            "increase(sandpit_orders_rejected_total[{window}]) \
             + increase(sandpit_orders_submitted_total[{window}])",
        ),
        ..ROW
    },
    Signal {
        id: Id::OutcomeUnknown,
        name: "outcome-unknown",
        what: "orders of which nobody knows whether the broker has them",
        hold: ONE_MINUTE,
        to_do: "Compare `sandpit orders` with the broker's own page; entries of their symbols wait.",
        source: Value("sandpit_orders_outcome_unknown", ""),
        ..ROW
    },
    Signal {
        id: Id::FillLatencyP50,
        name: "fill-latency-p50",
        what: "median time from a strategy's signal to the fill within 5 minutes",
        test: quantile(0.50),
        limit: 1.0,
        clears: 0.8,
        source: Value(
            "histogram_quantile(0.5, sum by (instance, job, le) \
             (increase(sandpit_fill_latency_seconds_bucket[{window}])))",
            FILLS_TIMED,
        ),
        ..SLOW
    },
    Signal {
        id: Id::FillLatencyP95,
        name: "fill-latency-p95",
        what: "95th percentile of the time from a strategy's signal to the fill within 5 minutes",
        test: quantile(0.95),
        limit: 5.0,
        clears: 4.0,
        source: Value(
            "histogram_quantile(0.95, sum by (instance, job, le) \
             (increase(sandpit_fill_latency_seconds_bucket[{window}])))",
            FILLS_TIMED,
        ),
        ..SLOW
    },
    Signal {
        id: Id::FillLatencyP99,
        name: "fill-latency-p99",
        what: "99th percentile of the time from a strategy's signal to the fill within 5 minutes",
        test: quantile(0.99),
        limit: 15.0,
        clears: 12.0,
        source: Value(
            "histogram_quantile(0.99, sum by (instance, job, le) \
             (increase(sandpit_fill_latency_seconds_bucket[{window}])))",
            FILLS_TIMED,
        ),
        ..SLOW
    },
    Signal {
        id: Id::AnswerLatency,
        name: "answer-latency",
        what: "99th percentile of the time that the broker took to answer an order within 5 minutes",
        test: quantile(0.99),
        limit: 0.5,
        clears: 0.4,
        to_do: "Look at the network and the broker's status page.",
        source: Value(
            "histogram_quantile(0.99, sum by (instance, job, le) \
             (increase(sandpit_order_step_seconds_bucket{step=\"answer\"}[{window}])))",
            "sum by (instance, job) (increase(sandpit_order_step_seconds_count{step=\"answer\"}[{window}]))",
        ),
        ..SLOW
    },
    Signal {
        id: Id::RateLimited,
        name: "rate-limited",
        what: "answers of 429 within 5 minutes",
        test: Growth { window: FIVE_MINUTES },
        settle: FIVE_MINUTES,
        to_do: "Find who else uses the key: the host's own budget stays below the broker's limit.",
        source: Value("increase(sandpit_http_429_total[{window}])", ""),
        ..ROW
    },
    Signal {
        id: Id::BudgetUse,
        name: "budget-use",
        what: "what is used of a window of a request budget",
        unit: Unit::Ratio,
        limit: 0.90,
        clears: 0.80,
        hold: secs(120),
        to_do: "Fewer symbols, slower polls or a larger plan; orders wait when it is used up.",
        source: Value("sandpit_budget_used / (sandpit_budget_limit > 0)", ""),
        ..ROW
    },
    Signal {
        id: Id::StreamDown,
        name: "stream-down",
        what: "a stream does not deliver",
        unit: Unit::Flag,
        hold: secs(120),
        settle: secs(30),
        to_do: "REST carries its data meanwhile; read the reason in `sandpit status` and in the log.",
        source: Value("1 - sandpit_stream_live", ""),
        ..ROW
    },
];
