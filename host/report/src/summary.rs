//! The report on a terminal.

use std::fmt::Write as _;

use crate::{Fill, Report};

/// Reasons of refusals that are shown.
const REASONS: usize = 5;

/// A figure, or a dash.
pub(crate) fn or_dash(figure: Option<f64>, show: impl Fn(f64) -> String) -> String {
    figure.filter(|figure| figure.is_finite()).map_or_else(|| "–".to_owned(), show)
}

pub(crate) fn percent(figure: f64) -> String {
    format!("{:.2} %", 100.0 * figure)
}

pub(crate) fn ratio(figure: f64) -> String {
    format!("{figure:.2}")
}

/// US dollars with thousands apart.
pub(crate) fn money(figure: f64) -> String {
    let cents = (figure.abs() * 100.0).round();
    let (whole, rest) = ((cents / 100.0).trunc(), cents % 100.0);
    let digits = format!("{whole:.0}");
    let mut apart = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            apart.push(',');
        }
        apart.push(digit);
    }
    let sign = if figure < 0.0 && cents > 0.0 { "-" } else { "" };
    format!("{sign}{apart}.{rest:02.0} USD")
}

/// Some 25 lines for a terminal.
pub fn summary(report: &Report) -> String {
    let Report { subject, daily, trading, orders, .. } = report;
    let mut text = String::new();
    let mut line = |name: &str, figure: String| {
        let _ = writeln!(text, "  {name:<22}{figure}");
    };
    line("strategy", format!("{} {}", subject.strategy, subject.version));
    line("period", format!("{} to {}", subject.from, subject.to));
    line("events", subject.events.to_string());
    line("ended", subject.end.clone());
    line("equity", format!("{} from {}", money(report.equity), money(subject.cash)));
    line("total return", or_dash(daily.total_return, percent));
    line("annual return", or_dash(daily.annual_return, percent));
    line("annual volatility", or_dash(daily.annual_volatility, percent));
    line("Sharpe, Sortino", format!("{}, {}", or_dash(daily.sharpe, ratio), or_dash(daily.sortino, ratio)));
    let (deepest, days, longest) =
        (percent(report.max_drawdown), report.max_drawdown_days, report.longest_drawdown_days);
    line("max drawdown", format!("{deepest} of {days:.1} days, the longest {longest:.1} days"));
    line("Calmar", or_dash(daily.calmar, ratio));
    line("round trips", format!("{}, won {}", trading.trips, or_dash(trading.win_rate, percent)));
    line("profit factor", or_dash(trading.profit_factor, ratio));
    line(
        "exposure",
        format!("{}, in the market {}", percent(report.exposure), percent(report.time_in_market)),
    );
    line("turnover", or_dash(report.turnover, |turnover| format!("{turnover:.1} a year")));
    line("fees", money(report.fees));
    let bp = or_dash(report.slippage_bp, |bp| format!("{bp:.2} bp"));
    line("slippage", format!("{}, {bp}", or_dash(report.slippage, money)));
    line("orders", format!("{}, filled {} of the shares", orders.sent, or_dash(report.fill_rate, percent)));
    let mut refusals: Vec<_> = report.refusals.iter().collect();
    refusals.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), *reason));
    let reasons: Vec<_> =
        refusals.iter().take(REASONS).map(|(reason, count)| format!("{reason} {count}")).collect();
    line("refused", if reasons.is_empty() { "none".to_owned() } else { reasons.join(", ") });
    for note in &subject.notes {
        line("note", note.clone());
    }
    text
}

/// Every execution as CSV with a header.
pub fn fills_csv(fills: &[Fill]) -> String {
    let mut text = String::from("time,symbol,side,qty,price,reference,fee,order\n");
    for Fill { time, symbol, side, qty, price, reference, fee, order } in fills {
        let reference = reference.map_or_else(String::new, |reference| reference.to_string());
        let _ = writeln!(text, "{time},{symbol},{},{qty},{price},{reference},{fee},{order}", side.as_str());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_thousands_apart() {
        let shown = [0.0, 1.005, 999.999, -1_234_567.891, 100_000.0, -0.001].map(money);
        let expected =
            ["0.00 USD", "1.00 USD", "1,000.00 USD", "-1,234,567.89 USD", "100,000.00 USD", "0.00 USD"];
        assert_eq!(shown, expected);
    }
}
