//! The report as a page that needs nothing else: no script, no network, no other file.

use std::fmt::Write as _;

use sandpit_types::Side;

use crate::{
    Curve, Fill, Material, Prices, Report, Trading,
    daily::returns,
    summary::{money, or_dash, percent, ratio},
    svg::{Chart, columns},
    trips,
};

/// Marks of trades on one chart, at most; then every so many-th is shown.
const MARKS_MAX: usize = 600;
/// Charts of prices, at most.
const CHARTS_MAX: usize = 12;
/// Rows of the tables of round trips, at most: the best and the worst.
const TRIPS_MAX: usize = 15;
/// Rows of the tables of symbols and of refusals, at most.
const ROWS_MAX: usize = 200;
/// Notes, at most.
const NOTES_MAX: usize = 100;
/// Letters of a text of somebody else's that are shown.
const LETTERS_MAX: usize = 2_000;
/// Columns of the distribution of daily returns.
const BINS: usize = 31;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#59636e;--line:#d1d9e0;--paper:#fff;--card:#f6f8fa;
--blue:#0969da;
--green:#1a7f37;--red:#cf222e}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9198a1;--line:#3d444d;--paper:#0d1117;
--card:#151b23;
--blue:#4493f8;--green:#3fb950;--red:#f85149}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1000px;
margin:0 auto;
padding:1.2rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .6rem}p{margin:.3rem 0;color:var(--dim)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(160px,1fr));gap:.6rem;margin:1rem 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.55rem .7rem}
.card b{display:block;font-size:1.15rem;font-variant-numeric:tabular-nums}.card span{color:var(--dim);
font-size:.8rem}
.warn{border-left:4px solid var(--red);background:var(--card);padding:.5rem .8rem;margin:.8rem 0;
color:var(--ink)}
.note{border-left:4px solid var(--blue);background:var(--card);padding:.4rem .8rem;margin:.4rem 0;
color:var(--ink)}
svg{width:100%;height:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}
svg text{font:11px system-ui,sans-serif;fill:var(--dim)}.grid{stroke:var(--line);stroke-width:.7;fill:none}
.equity,.price{stroke:var(--blue);stroke-width:1.4;fill:none}.band{fill:var(--blue);opacity:.22}
.drawdown{fill:var(--red);opacity:.55}.exposure{fill:var(--blue);opacity:.45}.buy{fill:var(--green)}
.sell{fill:var(--red)}
.column{fill:var(--blue)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;
font-size:.88rem}
th,td{padding:.28rem .55rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}.up{color:var(--green)}.down{color:var(--red)}
code{font-size:.85rem;word-break:break-all}
@media(max-width:600px){svg{min-width:600px}svg text{font-size:15px}}
";

/// Makes the page.
pub fn page(material: &Material, report: &Report) -> String {
    page_with(material, report, "")
}

/// The same with more before the figures; that is markup already.
pub(crate) fn page_with(material: &Material, report: &Report, more: &str) -> String {
    let subject = &report.subject;
    let name = escaped(&subject.strategy);
    let mut page = head(&format!("{name}: backtest"));
    let _ = write!(
        page,
        "<h1>{name} <small>{}</small></h1><p>{} to {}, {} events, {}</p>",
        escaped(&subject.version),
        subject.from,
        subject.to,
        subject.events,
        escaped(&subject.symbols.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    );
    if !subject.is_whole {
        let _ = write!(page, "<div class=\"warn\">{}</div>", escaped(&subject.end));
    }
    for note in subject.notes.iter().take(NOTES_MAX) {
        let _ = write!(page, "<div class=\"note\">{}</div>", escaped(note));
    }
    if let Some(more) = subject.notes.len().checked_sub(NOTES_MAX).filter(|more| *more > 0) {
        let _ = write!(page, "<div class=\"note\">{more} more notes are in the JSON.</div>");
    }
    page += more;
    page += &cards(report);
    page += &account(&material.curve);
    page += &prices(&material.prices, &material.fills);
    page += &months(report);
    page += &distribution(&material.curve);
    page += &symbols(report);
    page += &round_trips(&material.fills);
    page += &refusals(report);
    page += &undefined(report);
    page += &about(report);
    page + "</body></html>\n"
}

/// Everything before the first heading; the title is markup already.
pub(crate) fn head(title: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"><title>{title}</title>\
         <style>{STYLE}</style><body>"
    )
}

fn cards(report: &Report) -> String {
    let Report { daily, trading, .. } = report;
    let cards = [
        ("equity at the end", money(report.equity)),
        ("total return", or_dash(daily.total_return, percent)),
        ("annual return", or_dash(daily.annual_return, percent)),
        ("annual volatility", or_dash(daily.annual_volatility, percent)),
        ("Sharpe", or_dash(daily.sharpe, ratio)),
        ("Sortino", or_dash(daily.sortino, ratio)),
        ("max drawdown", percent(report.max_drawdown)),
        ("its length", format!("{:.1} days", report.max_drawdown_days)),
        ("longest drawdown", format!("{:.1} days", report.longest_drawdown_days)),
        ("Calmar", or_dash(daily.calmar, ratio)),
        ("round trips", trading.trips.to_string()),
        ("win rate", or_dash(trading.win_rate, percent)),
        ("profit factor", or_dash(trading.profit_factor, ratio)),
        ("exposure, average", percent(report.exposure)),
        ("in the market", percent(report.time_in_market)),
        ("turnover a year", or_dash(report.turnover, |turnover| format!("{turnover:.1}×"))),
        ("fees", money(report.fees)),
        ("slippage", or_dash(report.slippage_bp, |bp| format!("{bp:.2} bp"))),
        ("fill rate", or_dash(report.fill_rate, percent)),
    ];
    let card = |(name, value): (&str, String)| {
        format!("<div class=\"card\"><b>{value}</b><span>{name}</span></div>")
    };
    format!("<div class=\"cards\">{}</div>", cards.map(card).concat())
}

fn account(curve: &Curve) -> String {
    let points = curve.points();
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let low = points.iter().map(|point| point.low).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|point| point.high).fold(f64::NEG_INFINITY, f64::max);
    let mut equity = Chart::new(260.0, first.time, last.time, low, high);
    let band: Vec<_> = points.iter().map(|point| (point.time, point.low, point.high)).collect();
    equity.band("band", &band);
    equity.line("equity", points.iter().map(|point| (point.time, point.last)));
    let deepest = points.iter().map(|point| point.drawdown).fold(0.0, f64::min);
    let mut fall = Chart::new(130.0, first.time, last.time, 0.0, 0.0).based_at(deepest.min(-1e-4), 0.0);
    fall.area("drawdown", &points.iter().map(|point| (point.time, point.drawdown)).collect::<Vec<_>>());
    let most = points.iter().map(|point| point.exposure).fold(0.0, f64::max);
    let mut held = Chart::new(110.0, first.time, last.time, 0.0, 0.0).based_at(0.0, most.max(1e-3));
    held.area("exposure", &points.iter().map(|point| (point.time, point.exposure)).collect::<Vec<_>>());
    format!(
        "<h2>Equity, USD</h2>{}<h2>Drawdown from the peak</h2>{}<h2>Gross exposure by equity</h2>{}",
        equity.finish("equity over time", |value| format!("{value:.0}")),
        fall.finish("drawdown over time", percent),
        held.finish("exposure over time", percent)
    )
}

fn prices(all: &[Prices], fills: &[Fill]) -> String {
    let mut text = String::new();
    for prices in all.iter().take(CHARTS_MAX) {
        let candles = prices.candles();
        let (Some(first), Some(last)) = (candles.first(), candles.last()) else { continue };
        let own: Vec<&Fill> = fills.iter().filter(|fill| fill.symbol == *prices.symbol()).collect();
        let low = candles.iter().map(|candle| candle.low).fold(f64::INFINITY, f64::min);
        let high = candles.iter().map(|candle| candle.high).fold(f64::NEG_INFINITY, f64::max);
        let mut chart = Chart::new(240.0, first.time, last.time, low, high);
        let band: Vec<_> = candles.iter().map(|candle| (candle.time, candle.low, candle.high)).collect();
        chart.band("band", &band);
        chart.line("price", candles.iter().map(|candle| (candle.time, candle.close)));
        let every = own.len().div_ceil(MARKS_MAX).max(1);
        for fill in own.iter().step_by(every) {
            chart.mark(fill.side == Side::Buy, fill.time, fill.price);
        }
        let symbol = escaped(prices.symbol().as_str());
        let thinned = if every > 1 { format!(", one in {every} shown") } else { String::new() };
        let _ = write!(
            text,
            "<h2>{symbol}, USD, with {} fills{thinned}</h2><p><span class=\"up\">▲</span> buy <span \
             class=\"down\">▼</span> sell</p>",
            own.len()
        );
        text += &chart.finish(&format!("price of {symbol} with trades"), |value| format!("{value:.2}"));
    }
    if all.len() > CHARTS_MAX {
        let _ = write!(text, "<p>Charts of the first {CHARTS_MAX} of {} symbols.</p>", all.len());
    }
    text
}

fn months(report: &Report) -> String {
    const NAMES: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut years: Vec<i16> = report.months.iter().map(|(year, ..)| *year).collect();
    years.dedup();
    let heads: String = NAMES.iter().map(|name| format!("<th>{name}</th>")).collect();
    let row = |year: &i16| {
        let of = |month: usize| {
            report
                .months
                .iter()
                .find(|(in_year, of, _)| in_year == year && usize::from(of.unsigned_abs()) == month)
        };
        let cell =
            |month: usize| of(month).map_or("<td></td>".to_owned(), |(.., gain)| signed(*gain, percent));
        let whole = (1..=12).filter_map(of).fold(1.0, |product, (.., gain)| product * (1.0 + gain)) - 1.0;
        let cells: String = (1..=12).map(cell).collect();
        format!("<tr><td>{year}</td>{cells}{}</tr>", signed(whole, percent))
    };
    let rows: String = years.iter().map(row).collect();
    format!(
        "<h2>Monthly returns</h2><div class=\"scroll\"><table><tr><th></th>{heads}<th>year</th>\
         </tr>{rows}</table></div>"
    )
}

fn distribution(curve: &Curve) -> String {
    let equities: Vec<f64> =
        std::iter::once(curve.start().1).chain(curve.days().iter().map(|(_, equity)| *equity)).collect();
    let daily = returns(&equities);
    let widest = daily.iter().map(|gain| gain.abs()).fold(0.0, f64::max);
    if daily.len() < 5 || widest <= 0.0 {
        return String::new();
    }
    let mut bins = vec![0.0; BINS];
    for gain in &daily {
        let at = ((gain / widest + 1.0) / 2.0 * (BINS - 1) as f64).round() as usize;
        bins[at.min(BINS - 1)] += 1.0;
    }
    let middle = |at: usize| (at as f64 / (BINS - 1) as f64 * 2.0 - 1.0) * widest;
    let values: Vec<_> =
        bins.into_iter().enumerate().map(|(at, count)| (percent(middle(at)), count)).collect();
    let chart = columns(180.0, "distribution of daily returns", &values, |count| format!("{count:.0}"));
    format!("<h2>Daily returns: how many days</h2>{chart}")
}

fn symbols(report: &Report) -> String {
    let row = |(symbol, of): (&sandpit_types::Symbol, &crate::SymbolFigures)| {
        let Trading { trips, win_rate, profit_factor, .. } = of.trading;
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{trips}</td><td>{}</td><td>{}</td>{}<td>{}</td>\
             <td>{}</td></tr>",
            escaped(symbol.as_str()),
            of.fills,
            money(of.traded),
            or_dash(win_rate, percent),
            or_dash(profit_factor, ratio),
            signed(of.pnl, money),
            money(of.fees),
            or_dash(of.slippage, money),
        )
    };
    let mut rows: String = report.symbols.iter().take(ROWS_MAX).map(row).collect();
    rows += &more(report.symbols.len(), 9);
    format!(
        "<h2>Symbols</h2><div class=\"scroll\"><table><tr><th>symbol</th><th>fills</th><th>traded</th>\
         <th>round \
         trips</th><th>win rate</th><th>profit factor</th><th>P&amp;L of them</th><th>fees</th>\
         <th>slippage</th>\
         </tr>{rows}</table></div>"
    )
}

fn round_trips(fills: &[Fill]) -> String {
    let mut all = trips(fills);
    if all.is_empty() {
        return String::new();
    }
    all.sort_by(|a, b| b.pnl.total_cmp(&a.pnl));
    let row = |trip: &crate::Trip| {
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{}</tr>",
            escaped(trip.symbol.as_str()),
            if trip.is_long { "long" } else { "short" },
            trip.opened,
            trip.closed,
            trip.qty,
            signed(trip.pnl, money)
        )
    };
    let (best, worst) = if all.len() > 2 * TRIPS_MAX {
        (&all[..TRIPS_MAX], &all[all.len() - TRIPS_MAX..])
    } else {
        (&all[..], &all[all.len()..])
    };
    let left = all.len() - best.len() - worst.len();
    let between =
        if left > 0 { format!("<tr><td colspan=\"6\">{left} more</td></tr>") } else { String::new() };
    let rows = |trips: &[crate::Trip]| trips.iter().map(row).collect::<String>();
    format!(
        "<h2>Round trips, best first</h2><div class=\"scroll\"><table><tr><th>symbol</th><th>side</th>\
         <th>opened</th><th>closed</th><th>shares</th><th>P&amp;L</th></tr>{}{between}{}</table></div>",
        rows(best),
        rows(worst)
    )
}

fn refusals(report: &Report) -> String {
    let orders = &report.orders;
    let row =
        |(reason, count): (&String, &u64)| format!("<tr><td>{}</td><td>{count}</td></tr>", escaped(reason));
    let mut refusals: Vec<_> = report.refusals.iter().collect();
    refusals.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), *reason));
    let mut rows: String = refusals.into_iter().take(ROWS_MAX).map(row).collect();
    rows += &more(report.refusals.len(), 2);
    let refused = if rows.is_empty() {
        "<p>The gates refused nothing.</p>".to_owned()
    } else {
        format!("<table><tr><th>refused by the gates</th><th>orders</th></tr>{rows}</table>")
    };
    format!(
        "<h2>Orders</h2><p>{} sent: {} filled, {} filled in part, {} cancelled or replaced, {} expired, {} \
         rejected.</p>{refused}",
        orders.sent, orders.filled, orders.partly, orders.cancelled, orders.expired, orders.rejected
    )
}

/// Why there are dashes.
fn undefined(report: &Report) -> String {
    let row = |(name, reason): (&&str, &&str)| format!("<tr><td>{name}</td><td>{reason}</td></tr>");
    let rows: String = report.undefined.iter().map(row).collect();
    if rows.is_empty() {
        return rows;
    }
    format!("<h2>Not defined</h2><div class=\"scroll\"><table>{rows}</table></div>")
}

fn about(report: &Report) -> String {
    let subject = &report.subject;
    let parameters = serde_json::to_string(&subject.parameters).unwrap_or_default();
    format!(
        "<h2>What was run</h2><p>Component <code>{}</code></p><p>Parameters <code>{}</code></p><p>Data \
         <code>{}</code></p><p>Realism {}, seed {}, cash {}; ended: {}.</p><p>Definitions: \
         docs/backtest-report.md of sandpit.</p>",
        escaped(&subject.sha256),
        escaped(&parameters),
        escaped(&subject.data.join(", ")),
        escaped(&subject.realism),
        subject.seed,
        money(subject.cash),
        escaped(&subject.end)
    )
}

/// A last row for those that are not shown.
fn more(all: usize, columns: usize) -> String {
    let left = all.saturating_sub(ROWS_MAX);
    if left == 0 {
        return String::new();
    }
    format!("<tr><td colspan=\"{columns}\">{left} more, in the JSON</td></tr>")
}

fn signed(figure: f64, show: impl Fn(f64) -> String) -> String {
    let class = if figure < 0.0 { "down" } else { "up" };
    format!("<td class=\"{class}\">{}</td>", show(figure))
}

/// Whatever it is, it is text and no markup, and not longer than a page can take.
pub(crate) fn escaped(text: &str) -> String {
    let end = text.char_indices().nth(LETTERS_MAX).map_or(text.len(), |(end, _)| end);
    let mut escaped = String::with_capacity(end);
    for letter in text[..end].chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    if end < text.len() {
        escaped.push('…');
    }
    escaped
}
