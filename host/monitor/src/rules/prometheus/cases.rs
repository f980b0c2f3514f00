//! Series that make the rules of Prometheus fire, and such that do not. A case fires with one series.

use crate::rules::Id;

/// How fast the time of a case passes, which is the same for a file of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A reading every 15 s.
    Minutes,
    /// A reading every ten minutes, judged every hour.
    Days,
}

/// Names of series, and their values in promtool's notation.
type Series = &'static [(&'static str, &'static str)];

/// A signal's two cases.
pub(super) struct Case {
    pub(super) id: Id,
    pub(super) pace: Pace,
    /// When it is looked whether it fires.
    pub(super) at: &'static str,
    pub(super) firing: Series,
    pub(super) quiet: Series,
}

const fn case(id: Id, at: &'static str, firing: Series, quiet: Series) -> Case {
    Case { id, pace: Pace::Minutes, at, firing, quiet }
}

const fn days(id: Id, at: &'static str, firing: Series, quiet: Series) -> Case {
    Case { id, pace: Pace::Days, at, firing, quiet }
}

const EQUITY: (&str, &str) = ("sandpit_equity_usd", "100000x400");
const REALISED: &str = "sandpit_strategy_realised_usd{strategy=\"a\"}";
const UNREALISED: &str = "sandpit_strategy_unrealised_usd{strategy=\"a\"}";
const EQUITY_DAYS: (&str, &str) = ("sandpit_equity_usd", "100000x2000");
const NOUGHT_DAYS: (&str, &str) = (UNREALISED, "0x2000");
const ERRORS_429: (&str, &str) = ("sandpit_http_429_total{source=\"data\"}", "0x400");
const POLLS: &str = "sandpit_stream_polls_failed_total{stream=\"news\"}";
const ANSWERED: &str = "sandpit_order_step_seconds_count{step=\"answer\"}";
const TOOK: &str = "sandpit_order_step_seconds_sum{step=\"answer\"}";
const FAST: &str = "sandpit_order_step_seconds_bucket{step=\"answer\",le=\"0.2\"}";
const ONE: &str = "sandpit_order_step_seconds_bucket{step=\"answer\",le=\"1\"}";
const ALL: &str = "sandpit_order_step_seconds_bucket{step=\"answer\",le=\"+Inf\"}";
const REJECTED: &str = "sandpit_orders_rejected_total";
const SUBMITTED: &str = "sandpit_orders_submitted_total";
const ORDERS: &str = "sandpit_strategy_orders_total{strategy=\"a\"}";
const BUDGET: &str = "sandpit_budget_used{source=\"trading\",unit=\"requests\",window_seconds=\"62\"}";
const BUDGET_LIMIT: &str = "sandpit_budget_limit{source=\"trading\",unit=\"requests\",window_seconds=\"62\"}";

const DUE: &str = "sandpit_orders_due_total";
const IN_TIME: &str = "sandpit_orders_in_time_total";
const ANSWERS: &str = "sandpit_rest_answers_total";
const ERRORS_4XX: &str = "sandpit_rest_errors_total{class=\"4xx\"}";
const ERRORS_5XX: &str = "sandpit_rest_errors_total{class=\"5xx\"}";
const UNAUTHORISED: &str = "sandpit_rest_unauthorised_total";
const FILLED: &str = "sandpit_fill_latency_seconds_count";
const FILLED_ALL: (&str, &str) = ("sandpit_fill_latency_seconds_bucket{le=\"+Inf\"}", "0+10x60");
const FILLED_2: &str = "sandpit_fill_latency_seconds_bucket{le=\"2\"}";
const FILLED_10: &str = "sandpit_fill_latency_seconds_bucket{le=\"10\"}";
const SLIPPED: &str = "sandpit_slippage_usd_total";
const TRADED: &str = "sandpit_traded_usd_total";
const PRICED: &str = "sandpit_fills_priced_total";
const FEES: &str = "sandpit_fees_usd_total";

pub(super) const CASES: &[Case] = &[
    case(
        Id::FillRate,
        "70m",
        &[(DUE, "0+1x300"), (IN_TIME, "0+0.9x300")],
        &[(DUE, "0+1x300"), (IN_TIME, "0+0.97x300")],
    ),
    case(
        Id::ErrorRate,
        "10m",
        &[(ANSWERS, "0+10x60"), (ERRORS_4XX, "0+1x60"), (ERRORS_5XX, "0+0.5x60")],
        &[(ANSWERS, "0+10x60"), (ERRORS_4XX, "0+0.4x60"), (ERRORS_5XX, "0+0.5x60")],
    ),
    case(Id::KeyRotated, "5m", &[(UNAUTHORISED, "0x8 3x60")], &[(UNAUTHORISED, "0x8 1x60")]),
    case(
        Id::BrokerErrors,
        "4m",
        &[(ERRORS_4XX, "0x60"), (ERRORS_5XX, "0x8 20x60")],
        &[(ERRORS_4XX, "0x8 20x60"), (ERRORS_5XX, "0x8 5x60")],
    ),
    case(
        Id::FillLatencyP50,
        "10m",
        &[(FILLED_2, "0+2x60"), (FILLED_10, "0+10x60"), FILLED_ALL, (FILLED, "0+10x60")],
        &[(FILLED_2, "0+10x60"), (FILLED_10, "0+10x60"), FILLED_ALL, (FILLED, "0+1x60")],
    ),
    case(
        Id::FillLatencyP95,
        "10m",
        &[(FILLED_2, "0+9x60"), (FILLED_10, "0+10x60"), FILLED_ALL, (FILLED, "0+10x60")],
        &[(FILLED_2, "0+10x60"), (FILLED_10, "0+10x60"), FILLED_ALL, (FILLED, "0+10x60")],
    ),
    case(
        Id::FillLatencyP99,
        "10m",
        &[
            (FILLED_10, "0+9x60"),
            ("sandpit_fill_latency_seconds_bucket{le=\"30\"}", "0+10x60"),
            FILLED_ALL,
            (FILLED, "0+10x60"),
        ],
        &[
            (FILLED_10, "0+10x60"),
            ("sandpit_fill_latency_seconds_bucket{le=\"30\"}", "0+10x60"),
            FILLED_ALL,
            (FILLED, "0+10x60"),
        ],
    ),
    case(
        Id::Balance,
        "10m",
        &[("sandpit_unexplained_cash_usd", "-5x60")],
        &[("sandpit_unexplained_cash_usd", "-5x16 0x60")],
    ),
    case(
        Id::Slippage,
        "70m",
        &[(SLIPPED, "0+0.6x300"), (TRADED, "0+1000x300")],
        &[(SLIPPED, "0+0.4x300"), (TRADED, "0+1000x300")],
    ),
    case(
        Id::Heartbeat,
        "5m",
        &[("sandpit_loop_progress_total{loop=\"store\"}", "0+9x8 72x60")],
        &[("sandpit_loop_progress_total{loop=\"store\"}", "0+9x60")],
    ),
    case(
        Id::OrderRejects,
        "10m",
        &[(REJECTED, "0+1x60"), (SUBMITTED, "0+4x60")],
        &[(REJECTED, "0+1x60"), (SUBMITTED, "0+40x60")],
    ),
    case(
        Id::OutcomeUnknown,
        "5m",
        &[("sandpit_orders_outcome_unknown", "0x4 1x60")],
        &[("sandpit_orders_outcome_unknown", "0x17 1 0x60")],
    ),
    case(
        Id::DailyLoss,
        "1h",
        &[EQUITY, (REALISED, "0x100 -2500x300"), (UNREALISED, "0x400")],
        &[EQUITY, (REALISED, "0x100 -2500x300"), (UNREALISED, "0x100 1000x300")],
    ),
    case(
        Id::Drawdown,
        "1h",
        &[EQUITY, (REALISED, "9000x100 3000x300"), (UNREALISED, "0x400")],
        &[EQUITY, (REALISED, "9000x100 5000x300"), (UNREALISED, "0x400")],
    ),
    case(
        Id::Inventory,
        "5m",
        &[EQUITY, ("sandpit_position_value_usd{symbol=\"AAPL\"}", "-10100x60")],
        &[EQUITY, ("sandpit_position_value_usd{symbol=\"AAPL\"}", "-9900x60")],
    ),
    case(
        Id::GrossExposure,
        "5m",
        &[EQUITY, ("sandpit_gross_exposure_usd", "100100x60")],
        &[EQUITY, ("sandpit_gross_exposure_usd", "99900x60")],
    ),
    case(
        Id::AnswerLatency,
        "10m",
        &[(FAST, "0+9x60"), (ONE, "0+10x60"), (ALL, "0+10x60"), (ANSWERED, "0+10x60")],
        &[(FAST, "0+10x60"), (ONE, "0+10x60"), (ALL, "0+10x60"), (ANSWERED, "0+10x60")],
    ),
    case(
        Id::RateLimited,
        "8m",
        &[("sandpit_http_429_total{source=\"trading\"}", "0x24 1x60")],
        &[("sandpit_http_429_total{source=\"trading\"}", "7x60")],
    ),
    case(
        Id::BudgetUse,
        "5m",
        &[(BUDGET, "181x60"), (BUDGET_LIMIT, "200x60")],
        &[(BUDGET, "179x60"), (BUDGET_LIMIT, "200x60")],
    ),
    case(Id::Frozen, "5m", &[("sandpit_frozen", "0x4 1x60")], &[("sandpit_frozen", "0x60")]),
    case(
        Id::StreamDown,
        "5m",
        &[("sandpit_stream_live{stream=\"news\"}", "1x4 0x60")],
        &[("sandpit_stream_live{stream=\"news\"}", "1x13 0x60")],
    ),
    case(
        Id::StrategyDown,
        "10m",
        &[("sandpit_strategy_running{strategy=\"a\"}", "1x4 0x60")],
        &[("sandpit_strategy_running{strategy=\"a\"}", "1x22 0x60")],
    ),
    case(
        Id::Database,
        "5m",
        &[
            ("sandpit_commits_failed_total", "0x60"),
            ("sandpit_commits_late_total", "0x8 1x60"),
            ("sandpit_records_put_aside_total", "0x60"),
        ],
        &[
            ("sandpit_commits_failed_total", "3x60"),
            ("sandpit_commits_late_total", "2x60"),
            ("sandpit_records_put_aside_total", "0x60"),
        ],
    ),
    case(
        Id::Memory,
        "5m",
        &[("sandpit_watchdog_host_memory_used_ratio", "0.86x60")],
        &[("sandpit_watchdog_host_memory_used_ratio", "0.84x60")],
    ),
    case(
        Id::Lease,
        "5m",
        &[("sandpit_lease_seconds_left", "2x8 0x60")],
        &[("sandpit_lease_seconds_left", "2x19 0 2x60")],
    ),
    // Four orders every ten minutes are the usual.
    days(Id::OrderSurge, "50h", &[(ORDERS, "0+4x288 1152+15x60")], &[(ORDERS, "0+4x288 1152+11x60")]),
    // It wins 48 USD an hour.
    days(
        Id::UsualPnl,
        "51h",
        &[EQUITY_DAYS, NOUGHT_DAYS, (REALISED, "0+8x288 2304-200x60")],
        &[EQUITY_DAYS, NOUGHT_DAYS, (REALISED, "0+8x288 2304-20x60")],
    ),
    days(
        Id::UsualLatency,
        "51h",
        &[(TOOK, "0+0.5x288 144+3x60"), (ANSWERED, "0+10x400")],
        &[(TOOK, "0+0.5x288 144+1x60"), (ANSWERED, "0+10x400")],
    ),
    // Half a dollar a fill.
    days(
        Id::UsualCost,
        "51h",
        &[(SLIPPED, "0+5x288 1440+30x60"), (FEES, "0x400"), (PRICED, "0+10x400")],
        &[(SLIPPED, "0+5x288 1440+7x60"), (FEES, "0x400"), (PRICED, "0+10x400")],
    ),
    days(
        Id::UsualErrors,
        "51h",
        &[(REJECTED, "0x288 0+1x60"), ERRORS_429, (POLLS, "0x288 0+1x60")],
        &[(REJECTED, "0x288 0+1x60"), ERRORS_429, (POLLS, "0x400")],
    ),
];
