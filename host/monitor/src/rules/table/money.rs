//! What is won, lost and held.

use super::*;

pub(super) const ROWS: &[Signal] = &[
    Signal {
        id: Id::DailyLoss,
        name: "daily-loss",
        what: "what a strategy lost within 24 hours, of equity",
        unit: Unit::Ratio,
        test: Loss { window: ONE_DAY },
        limit: 0.02,
        clears: 0.015,
        severity: Critical,
        to_do: "Look at its positions and pause it if the loss is no plan of its own.",
        source: Value(
            "-delta((sandpit_strategy_realised_usd + sandpit_strategy_unrealised_usd)[{window}:5m]) \
             / on (instance, job) group_left () (sandpit_equity_usd > 0)",
            "",
        ),
        ..ROW
    },
    Signal {
        id: Id::Drawdown,
        name: "drawdown",
        what: "what a strategy lost since its best moment of 7 days, of equity",
        unit: Unit::Ratio,
        test: Drawdown { window: SEVEN_DAYS },
        limit: 0.05,
        clears: 0.04,
        severity: Critical,
        to_do: "Decide whether it goes on: pause it, or accept the loss.",
        source: Value(
            "(max_over_time((sandpit_strategy_realised_usd + sandpit_strategy_unrealised_usd)[{window}:15m]) \
             - (sandpit_strategy_realised_usd + sandpit_strategy_unrealised_usd)) \
             / on (instance, job) group_left () (sandpit_equity_usd > 0)",
            "",
        ),
        ..ROW
    },
    Signal {
        id: Id::Inventory,
        name: "inventory",
        what: "what is held of a symbol, long or short, of equity",
        unit: Unit::Ratio,
        limit: 0.10,
        clears: 0.09,
        hold: secs(30),
        to_do: "Look at who holds it in `sandpit positions`, and reduce it if it is not meant.",
        source: Value(
            "abs(sandpit_position_value_usd) / on (instance, job) group_left () (sandpit_equity_usd > 0)",
            "",
        ),
        ..ROW
    },
    Signal {
        id: Id::GrossExposure,
        name: "gross-exposure",
        what: "what is held of all symbols, long and short together, of equity",
        unit: Unit::Ratio,
        limit: 1.0,
        clears: 0.95,
        hold: secs(30),
        to_do: "Look at `sandpit positions`: more is held than equity pays for.",
        source: Value("sandpit_gross_exposure_usd / (sandpit_equity_usd > 0)", ""),
        ..ROW
    },
    Signal {
        id: Id::Balance,
        name: "balance",
        what: "cash at the broker that the books do not explain",
        unit: Unit::Usd,
        limit: 1.0,
        severity: Critical,
        action: Freeze,
        // The desk's own check, which knows what may still be under way, has five minutes.
        hold: secs(330),
        to_do: "Compare the broker's activities with `sandpit db check`, then `sandpit unfreeze`.",
        source: Value("abs(sandpit_unexplained_cash_usd)", ""),
        ..ROW
    },
    Signal {
        id: Id::Frozen,
        name: "frozen",
        what: "only orders that reduce are sent",
        unit: Unit::Flag,
        settle: secs(10),
        severity: Critical,
        to_do: "Read why in `sandpit status`, put it right, then `sandpit unfreeze`.",
        source: Value("sandpit_frozen", ""),
        ..ROW
    },
    Signal {
        id: Id::Slippage,
        name: "slippage",
        what: "average slippage of the fills of an hour, of what was traded",
        unit: Unit::BasisPoints,
        test: Share { window: ONE_HOUR, at_least: 1_000.0 },
        limit: 0.000_5,
        clears: 0.000_4,
        to_do: "Use limits, trade smaller or later: the market moves away from the orders.",
        source: Value(
            "increase(sandpit_slippage_usd_total[{window}]) / increase(sandpit_traded_usd_total[{window}])",
            "increase(sandpit_traded_usd_total[{window}])",
        ),
        ..ROW
    },
    Signal {
        id: Id::OrderSurge,
        name: "order-surge",
        what: "orders of a strategy within an hour, by the median hour of 7 days",
        test: Surge { at_least: 20.0 },
        limit: 3.0,
        clears: 2.5,
        to_do: "Look at what it does in `sandpit orders`, and pause it if nobody knows why.",
        source: Condition(
            "increase(sandpit_strategy_orders_total[1h]) > {limit} * quantile_over_time(0.5, \
             (increase(sandpit_strategy_orders_total[1h]) > 0)[7d:1h] offset 1h) \
             and increase(sandpit_strategy_orders_total[1h]) > 20 \
             and count_over_time((increase(sandpit_strategy_orders_total[1h]) > 0)[7d:1h] offset 1h) >= 24",
        ),
        ..ROW
    },
];
