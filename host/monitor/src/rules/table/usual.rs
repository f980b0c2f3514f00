//! What departs from the usual of 7 days.

use super::*;

pub(super) const ROWS: &[Signal] = &[
    Signal {
        id: Id::UsualPnl,
        name: "unusual-pnl",
        what: "what a strategy won or lost within an hour, of equity",
        unit: Unit::Ratio,
        test: Usual(Departure { hour: Hour::Change, both_sides: true, floor: 0.002, ..DEPARTURE }),
        to_do: "Look at its fills: a market that moves, or prices and sizes that are wrong.",
        source: Value(
            "(delta((sandpit_strategy_realised_usd + sandpit_strategy_unrealised_usd)[1h:5m]) \
             / on (instance, job) group_left () (sandpit_equity_usd > 0)) != 0",
            "",
        ),
        ..UNUSUAL
    },
    Signal {
        id: Id::UsualLatency,
        name: "unusual-latency",
        what: "mean time that the broker took to answer an order within an hour",
        unit: Unit::Seconds,
        test: Usual(Departure { hour: Hour::Mean, floor: 0.05, ..DEPARTURE }),
        to_do: "Look at the network and the broker's status page.",
        source: Value(
            "increase(sandpit_order_step_seconds_sum{step=\"answer\"}[1h]) \
             / (increase(sandpit_order_step_seconds_count{step=\"answer\"}[1h]) > 0)",
            "",
        ),
        ..UNUSUAL
    },
    Signal {
        id: Id::UsualErrors,
        name: "unusual-errors",
        what: "rejected orders, answers of 429 and polls that failed within an hour",
        test: Usual(Departure { hour: Hour::Growth, floor: 10.0, ..DEPARTURE }),
        to_do: "Read the log of the last hour for what fails.",
        source: Value(
            "sum by (instance, job) (increase({__name__=~\"sandpit_orders_rejected_total|\
             sandpit_http_429_total|sandpit_stream_polls_failed_total\"}[1h]))",
            "",
        ),
        ..UNUSUAL
    },
    Signal {
        id: Id::UsualCost,
        name: "unusual-cost",
        what: "fees and slippage by fill within an hour",
        unit: Unit::Usd,
        test: Usual(Departure { hour: Hour::Mean, floor: 0.10, ..DEPARTURE }),
        to_do: "Look at fees, spreads and sizes of the last fills.",
        source: Value(
            "(increase(sandpit_slippage_usd_total[1h]) + increase(sandpit_fees_usd_total[1h])) \
             / (increase(sandpit_fills_priced_total[1h]) > 0)",
            "",
        ),
        ..UNUSUAL
    },
];
