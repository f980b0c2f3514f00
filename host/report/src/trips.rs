//! Round trips: from flat to flat, or through zero to the other side.

use std::collections::BTreeMap;

use sandpit_types::{MarketTime, Side, Symbol};
use serde::Serialize;

use crate::Fill;

/// Shares below this are rounding.
const DUST: f64 = 1e-9;

/// One round trip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trip {
    /// Of which symbol.
    pub symbol: Symbol,
    /// Whether shares were bought first.
    pub is_long: bool,
    /// The first fill.
    pub opened: MarketTime,
    /// The last.
    pub closed: MarketTime,
    /// The most shares held.
    pub qty: f64,
    /// What was paid for all shares that were bought to open, or got for those sold to open, US dollars.
    pub entry_value: f64,
    /// What came of it, fees of the fills taken off, US dollars.
    pub pnl: f64,
}

/// What is open of a symbol.
#[derive(Default)]
struct Open {
    position: f64,
    /// Paid for what is held, negative when short.
    cost: f64,
    trip: Option<Trip>,
}

/// The round trips that the fills of all symbols make, in order of their ends. What is still open is none.
pub fn trips(fills: &[Fill]) -> Vec<Trip> {
    let mut open: BTreeMap<&Symbol, Open> = BTreeMap::new();
    let mut done = Vec::new();
    for fill in fills {
        let of = open.entry(&fill.symbol).or_default();
        let signed = match fill.side {
            Side::Buy => fill.qty,
            Side::Sell => -fill.qty,
        };
        let closes = if of.position * signed < 0.0 { signed.abs().min(of.position.abs()) } else { 0.0 };
        let fee = |qty: f64| if fill.qty > 0.0 { fill.fee * qty / fill.qty } else { 0.0 };
        if closes > 0.0 {
            done.extend(of.close(fill, closes, fee(closes)));
        }
        let opens = fill.qty - closes;
        if opens > DUST {
            of.open(fill, opens * signed.signum(), fee(opens));
        }
    }
    done
}

impl Open {
    fn open(&mut self, fill: &Fill, signed: f64, fee: f64) {
        self.position += signed;
        self.cost += signed * fill.price;
        let trip = self.trip.get_or_insert_with(|| Trip {
            symbol: fill.symbol.clone(),
            is_long: signed > 0.0,
            opened: fill.time,
            closed: fill.time,
            qty: 0.0,
            entry_value: 0.0,
            pnl: 0.0,
        });
        trip.entry_value += signed.abs() * fill.price;
        trip.qty = trip.qty.max(self.position.abs());
        trip.pnl -= fee;
    }

    fn close(&mut self, fill: &Fill, qty: f64, fee: f64) -> Option<Trip> {
        let (trip, average) = (self.trip.as_mut()?, self.cost / self.position);
        let signed = qty * self.position.signum();
        trip.pnl += signed * (fill.price - average) - fee;
        trip.closed = fill.time;
        self.position -= signed;
        self.cost -= signed * average;
        if self.position.abs() > DUST {
            return None;
        }
        (self.position, self.cost) = (0.0, 0.0);
        self.trip.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(second: i64, signed: f64, price: f64) -> Fill {
        let side = if signed > 0.0 { Side::Buy } else { Side::Sell };
        let (symbol, time) = (Symbol::new("SPY"), MarketTime::from_secs(second));
        Fill { time, symbol, side, qty: signed.abs(), price, reference: None, fee: 1.0, order: 1 }
    }

    #[test]
    fn trips_go_from_flat_to_flat() {
        let check = |fills: &[(f64, f64)], expected: &[(bool, f64, f64)]| {
            let fills: Vec<_> =
                (0..).zip(fills).map(|(second, (signed, price))| fill(second, *signed, *price)).collect();
            let found: Vec<_> = trips(&fills).iter().map(|trip| (trip.is_long, trip.qty, trip.pnl)).collect();
            assert_eq!(found, expected, "{fills:?}");
        };
        check(&[(10.0, 5.0), (-10.0, 6.0)], &[(true, 10.0, 8.0)]);
        check(&[(10.0, 5.0), (10.0, 7.0), (-5.0, 8.0), (-15.0, 8.0)], &[(true, 20.0, 36.0)]);
        check(&[(-10.0, 5.0), (10.0, 4.0)], &[(false, 10.0, 8.0)]);
        // Through zero: the fill is two, and so is its fee.
        check(&[(10.0, 5.0), (-20.0, 6.0), (10.0, 5.0)], &[(true, 10.0, 8.5), (false, 10.0, 8.5)]);
        check(&[(10.0, 5.0), (-4.0, 6.0)], &[]);
        check(&[], &[]);
    }
}
