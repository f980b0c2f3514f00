//! Why a figure is not defined.

use std::collections::BTreeMap;

use crate::{Daily, Report, Trading};

/// A reason for each figure of the report that is `None`, by its name in JSON. `is_ruined` says whether the
/// account was at or below zero at a close.
pub(crate) fn undefined(report: &Report, is_ruined: bool) -> BTreeMap<&'static str, &'static str> {
    let Report { daily, trading, turnover, slippage, slippage_bp, fill_rate, max_drawdown_to, .. } = report;
    let rows = daily_rows(daily, is_ruined).into_iter().chain(trading_rows(trading)).chain([
        ("turnover", *turnover, "the run has no length, or the account was worth nothing"),
        ("slippage", *slippage, "no fill has a price from when its order was wanted"),
        ("slippage_bp", *slippage_bp, "no fill has a price from when its order was wanted"),
        ("fill_rate", *fill_rate, "no shares were asked for"),
        ("max_drawdown_to", max_drawdown_to.map(|_| 0.0), "the peak was not reached again"),
    ]);
    rows.filter(|(_, figure, _)| figure.is_none()).map(|(name, _, reason)| (name, reason)).collect()
}

type Row = (&'static str, Option<f64>, &'static str);

fn daily_rows(daily: &Daily, is_ruined: bool) -> [Row; 10] {
    let none = "there is no day with a return";
    let of = |reason: &'static str| match daily.days {
        0 => none,
        _ if is_ruined => "the account was at or below zero at a close",
        _ => reason,
    };
    let deviation = if daily.days < 2 { "one day has no deviation" } else { "all days have the same return" };
    [
        ("daily.total_return", daily.total_return, of(none)),
        ("daily.annual_return", daily.annual_return, of("it is beyond what a float holds")),
        ("daily.annual_volatility", daily.annual_volatility, of(deviation)),
        ("daily.sharpe", daily.sharpe, of(deviation)),
        ("daily.sortino", daily.sortino, of("no day lost")),
        ("daily.max_drawdown", daily.max_drawdown, of(none)),
        (
            "daily.calmar",
            daily.calmar,
            of("no close fell below an earlier one, or there is no annual return"),
        ),
        ("daily.best_day", daily.best_day, of(none)),
        ("daily.worst_day", daily.worst_day, of(none)),
        ("daily.winning_days", daily.winning_days, of(none)),
    ]
}

fn trading_rows(trading: &Trading) -> [Row; 6] {
    let none = "there is no round trip";
    let factor = if trading.trips == 0 { none } else { "no round trip lost" };
    [
        ("trading.win_rate", trading.win_rate, none),
        ("trading.profit_factor", trading.profit_factor, factor),
        ("trading.average", trading.average, none),
        ("trading.best", trading.best, none),
        ("trading.worst", trading.worst, none),
        ("trading.minutes_held", trading.minutes_held, none),
    ]
}
