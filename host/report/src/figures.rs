//! All figures of a run.

use std::{collections::BTreeMap, time::Duration};

use sandpit_types::{MarketTime, Symbol};
use serde::Serialize;

use crate::{Daily, Fill, Material, Orders, Subject, Trip, trips::trips, undefined::undefined};

/// Days of a year, for the length of a run.
const YEAR_DAYS: f64 = 365.25;

/// The report: what was run, and every figure. Names are stable.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What was run.
    pub subject: Subject,
    /// Equity at the end, US dollars.
    pub equity: f64,
    /// Of the closes of the days.
    pub daily: Daily,
    /// The deepest fall below a peak, at every minute: zero or less.
    pub max_drawdown: f64,
    /// The peak before it.
    pub max_drawdown_from: MarketTime,
    /// Its lowest point.
    pub max_drawdown_low: MarketTime,
    /// When that peak was reached again; `None` if it was not by the end.
    pub max_drawdown_to: Option<MarketTime>,
    /// From that peak until then, or to the end: calendar days.
    pub max_drawdown_days: f64,
    /// The longest time below a peak, calendar days, to the end if it was not over.
    pub longest_drawdown_days: f64,
    /// The average of what was held (without sign) by the equity, over the time with data.
    pub exposure: f64,
    /// The most of that.
    pub exposure_max: f64,
    /// The share of time with anything held.
    pub time_in_market: f64,
    /// Bought and sold, US dollars.
    pub traded: f64,
    /// The same by the average equity, a year.
    pub turnover: Option<f64>,
    /// All fees, US dollars.
    pub fees: f64,
    /// What fills cost beyond the price when the order was wanted, US dollars; below zero if less. `None`
    /// when no fill has such a price.
    pub slippage: Option<f64>,
    /// The same by what was traded with a known price, basis points.
    pub slippage_bp: Option<f64>,
    /// Of round trips.
    pub trading: Trading,
    /// What became of the orders.
    pub orders: Orders,
    /// Shares filled by shares asked for.
    pub fill_rate: Option<f64>,
    /// By symbol.
    pub symbols: BTreeMap<Symbol, SymbolFigures>,
    /// Orders that the gates did not let pass, by reason.
    pub refusals: BTreeMap<String, u64>,
    /// Return of each month: year, month, from the close before it to its last.
    pub months: Vec<(i16, i8, f64)>,
    /// Why each figure above that is `None` is not defined, by its name; those of single symbols are
    /// not here.
    pub undefined: BTreeMap<&'static str, &'static str>,
}

impl Report {
    /// A figure by its name in the JSON, such as `daily.sharpe`; `None` where it is not defined.
    pub fn figure(&self, name: &str) -> Option<f64> {
        let json = serde_json::to_value(self).ok()?;
        json.pointer(&format!("/{}", name.replace('.', "/")))?.as_f64()
    }
}

/// Figures of round trips.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trading {
    /// How many.
    pub trips: usize,
    /// The share that gained.
    pub win_rate: Option<f64>,
    /// What the winners gained by what the losers lost.
    pub profit_factor: Option<f64>,
    /// The average, US dollars.
    pub average: Option<f64>,
    /// The best, US dollars.
    pub best: Option<f64>,
    /// The worst, US dollars.
    pub worst: Option<f64>,
    /// Average time from the first fill to the last, minutes.
    pub minutes_held: Option<f64>,
}

/// Figures of one symbol.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SymbolFigures {
    /// Executions.
    pub fills: usize,
    /// Bought and sold, US dollars.
    pub traded: f64,
    /// Fees of the fills, US dollars.
    pub fees: f64,
    /// What its fills cost beyond the price when the order was wanted, US dollars; `None` without such a
    /// price.
    pub slippage: Option<f64>,
    /// Its round trips.
    pub trading: Trading,
    /// What its round trips came to, US dollars.
    pub pnl: f64,
}

/// Makes the report.
pub fn report(material: &Material) -> Report {
    let Material { subject, curve, fills, fees_total, orders, refusals, .. } = material;
    let trips = trips(fills);
    let days = curve.days();
    let (start, cash) = curve.start();
    let equities: Vec<f64> = std::iter::once(cash).chain(days.iter().map(|(_, equity)| *equity)).collect();
    let (end, equity) = curve.end();
    let (exposure, exposure_max, time_in_market) = curve.exposure();
    let traded: f64 = fills.iter().map(|fill| fill.qty * fill.price).sum();
    let years = end.since(start).as_secs_f64() / 86_400.0 / YEAR_DAYS;
    let average = equities.iter().sum::<f64>() / equities.len() as f64;
    let (slippage, of) = slippage(fills.iter());
    let fall = curve.fall();
    let mut report = Report {
        subject: subject.clone(),
        equity,
        daily: Daily::of(&equities),
        max_drawdown: fall.depth,
        max_drawdown_from: fall.from,
        max_drawdown_low: fall.low,
        max_drawdown_to: fall.over,
        max_drawdown_days: fall.over.unwrap_or(end).since(fall.from).as_secs_f64() / 86_400.0,
        longest_drawdown_days: curve.longest().as_secs_f64() / 86_400.0,
        exposure,
        exposure_max,
        time_in_market,
        traded,
        turnover: (years > 0.0 && average > 0.0).then(|| traded / average / years),
        fees: *fees_total,
        slippage: (of > 0.0).then_some(slippage),
        slippage_bp: (of > 0.0).then(|| slippage / of * 1e4),
        trading: Trading::of(&trips.iter().collect::<Vec<_>>()),
        orders: orders.clone(),
        fill_rate: (orders.asked_qty > 0.0).then(|| orders.filled_qty / orders.asked_qty),
        symbols: by_symbol(&subject.symbols, fills, &trips),
        refusals: refusals.clone(),
        months: months(cash, &days),
        undefined: BTreeMap::new(),
    };
    report.undefined = undefined(&report, equities.iter().any(|equity| *equity <= 0.0));
    report
}

impl Trading {
    /// Of these round trips.
    fn of(trips: &[&Trip]) -> Self {
        if trips.is_empty() {
            return Self::default();
        }
        let count = trips.len() as f64;
        let pnl = || trips.iter().map(|trip| trip.pnl);
        let won: f64 = pnl().filter(|pnl| *pnl > 0.0).sum();
        let lost: f64 = -pnl().filter(|pnl| *pnl < 0.0).sum::<f64>();
        let minutes: f64 = trips.iter().map(|trip| trip.closed.since(trip.opened).as_secs_f64() / 60.0).sum();
        Self {
            trips: trips.len(),
            win_rate: Some(pnl().filter(|pnl| *pnl > 0.0).count() as f64 / count),
            profit_factor: (lost > 0.0).then(|| won / lost),
            average: Some(pnl().sum::<f64>() / count),
            best: pnl().reduce(f64::max),
            worst: pnl().reduce(f64::min),
            minutes_held: Some(minutes / count),
        }
    }
}

/// What fills cost beyond their reference, and what was traded of those that have one, US dollars.
fn slippage<'f>(fills: impl Iterator<Item = &'f Fill>) -> (f64, f64) {
    let known = fills.filter_map(|fill| Some((fill, fill.reference?)));
    known.fold((0.0, 0.0), |(cost, of), (fill, reference)| {
        let worse = match fill.side {
            sandpit_types::Side::Buy => fill.price - reference,
            sandpit_types::Side::Sell => reference - fill.price,
        };
        (cost + worse * fill.qty, of + reference * fill.qty)
    })
}

fn by_symbol(symbols: &[Symbol], fills: &[Fill], trips: &[Trip]) -> BTreeMap<Symbol, SymbolFigures> {
    let mut all: BTreeMap<Symbol, SymbolFigures> =
        symbols.iter().map(|symbol| (symbol.clone(), SymbolFigures::default())).collect();
    for fill in fills {
        let of = all.entry(fill.symbol.clone()).or_default();
        of.fills += 1;
        of.traded += fill.qty * fill.price;
        of.fees += fill.fee;
        let (cost, known) = slippage(std::iter::once(fill));
        if known > 0.0 {
            of.slippage = Some(of.slippage.unwrap_or(0.0) + cost);
        }
    }
    for (symbol, of) in &mut all {
        let own: Vec<&Trip> = trips.iter().filter(|trip| trip.symbol == *symbol).collect();
        of.pnl = own.iter().map(|trip| trip.pnl).sum();
        of.trading = Trading::of(&own);
    }
    all
}

/// The return of each month, by the days in New York at which the closes are.
fn months(cash: f64, days: &[(MarketTime, f64)]) -> Vec<(i16, i8, f64)> {
    let zone = jiff::tz::TimeZoneDatabase::bundled()
        .get("America/New_York")
        .expect("the time zone database in this program has New York");
    let mut months: Vec<(i16, i8, f64)> = Vec::new();
    let (mut before, mut last) = (cash, cash);
    for (close, equity) in days {
        // A close at midnight is that of the day before.
        let date = zone.to_datetime((*close - Duration::from_nanos(1)).to_jiff()).date();
        let month = (date.year(), date.month());
        if months.last().is_none_or(|(year, of, _)| (*year, *of) != month) {
            before = last;
            months.push((month.0, month.1, 0.0));
        }
        if let Some((.., gain)) = months.last_mut() {
            *gain = if before > 0.0 { equity / before - 1.0 } else { 0.0 };
        }
        last = *equity;
    }
    months
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_go_from_close_to_close() {
        let at = |text: &str| MarketTime::parse(text).expect(text);
        let days = [
            (at("2013-10-30T20:00:00Z"), 110.0),
            (at("2013-10-31T20:00:00Z"), 121.0),
            (at("2013-11-01T20:00:00Z"), 60.5),
            // The last of November in New York, though not in London.
            (at("2013-12-01T01:00:00Z"), 121.0),
            (at("2013-12-02T21:00:00Z"), 121.0),
            // Midnight in New York: the last of December where the market never closes.
            (at("2014-01-01T05:00:00Z"), 121.0),
        ];
        let found = months(100.0, &days);
        let rounded: Vec<_> =
            found.iter().map(|(year, month, gain)| (*year, *month, (gain * 1e6).round() / 1e6)).collect();
        assert_eq!(rounded, [(2013, 10, 0.21), (2013, 11, 0.0), (2013, 12, 0.0)]);
    }
}
