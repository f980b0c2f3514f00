//! One row as a file has it, and the event that it makes.

use sandpit_types::{Bar, MarketEvent, MarketTime, Quote, Symbol, Trade};

use crate::{Kind, Trouble};

/// Figures of the widest row.
pub(crate) const FIGURES: usize = 6;

/// A minute, nanoseconds.
pub(crate) const MINUTE: i64 = 60_000_000_000;

/// No price and no count of shares is as large; whole numbers up to here are exact.
const FIGURE_MAX: f64 = 9.0e15;

/// Times before 1900 and after 2199 are mistakes, seconds since 1970.
const ERA: std::ops::Range<i64> = -2_208_988_800..7_258_118_400;

/// One row. Figures are in the order of [`Kind::figures`]; NaN where there is none.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) symbol: Symbol,
    pub(crate) stamp: MarketTime,
    pub(crate) figures: [f64; FIGURES],
    pub(crate) line: u64,
}

impl Row {
    /// Whether it says the same as another one of its symbol and time.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
        self.figures.iter().zip(&other.figures).all(same)
    }

    /// What is impossible in it.
    pub(crate) fn check(&self, kind: Kind) -> Result<(), Trouble> {
        let names = kind.figures();
        let wrong = |what: String| Err(Trouble::Impossible { what });
        if !ERA.contains(&self.stamp.as_nanos().div_euclid(1_000_000_000)) {
            return wrong(format!("timestamp is {}, not of the years 1900 to 2199", self.stamp));
        }
        for (name, figure) in names.iter().zip(&self.figures) {
            let is_absent = *name == "vwap" && figure.is_nan();
            if !is_absent && !(0.0..=FIGURE_MAX).contains(figure) {
                return wrong(format!("{name} is {figure}"));
            }
        }
        let [a, b, c, d, ..] = self.figures;
        match kind {
            // A side of a quote may be empty, which is a price of zero.
            Kind::Quotes if a > 0.0 && c > 0.0 && a > c => {
                wrong(format!("the bid {a} is above the offer {c}"))
            }
            Kind::Trades if a == 0.0 => wrong("price is 0".to_owned()),
            Kind::Bars if [a, b, c, d].contains(&0.0) => wrong("a price is 0".to_owned()),
            Kind::Bars if b < c => wrong(format!("high {b} is below low {c}")),
            Kind::Bars if !(c..=b).contains(&a) => {
                wrong(format!("open {a} is outside of low {c} to high {b}"))
            }
            Kind::Bars if !(c..=b).contains(&d) => {
                wrong(format!("close {d} is outside of low {c} to high {b}"))
            }
            Kind::Bars | Kind::Quotes | Kind::Trades => Ok(()),
        }
    }

    /// Whether a size is not whole: it is cut to whole shares.
    pub(crate) fn is_cut(&self, kind: Kind) -> bool {
        kind.sizes().iter().any(|at| self.figures[*at].fract() != 0.0)
    }

    /// The event, at the time at which it is known; a sample is known at the end of its minute.
    pub(crate) fn event(self, kind: Kind, is_sample: bool) -> MarketEvent {
        let Self { symbol, stamp, figures: [a, b, c, d, e, f], .. } = self;
        let shares = |figure: f64| figure as u64;
        match kind {
            Kind::Bars => {
                // Some write zero where there is none.
                let vwap = if f > 0.0 { f } else { (b + c + d) / 3.0 };
                let (open, high, low, close) = (a, b, c, d);
                MarketEvent::Bar(Bar {
                    symbol,
                    start: stamp,
                    open,
                    high,
                    low,
                    close,
                    volume: shares(e),
                    vwap,
                })
            }
            Kind::Quotes => {
                let time =
                    if is_sample { MarketTime::from_nanos(stamp.as_nanos() + MINUTE - 1) } else { stamp };
                let (bid_size, ask_size) = (shares(b), shares(d));
                MarketEvent::Quote(Quote { symbol, time, bid: a, bid_size, ask: c, ask_size })
            }
            Kind::Trades => MarketEvent::Trade(Trade { symbol, time: stamp, price: a, size: shares(b) }),
        }
    }
}
