//! Where to quote: the reservation price, moved by the inventory, and a spread about it.

use sandpit_sdk::{Price, Quote, Side};

use crate::parameters::Parameters;

/// What to quote, on ticks; the bid is below the market's ask and the ask above its bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quotes {
    pub(crate) bid: Price,
    pub(crate) ask: Price,
}

/// How far the inventory is from its target: -1 with nothing held, 0 at the target, 1 at the most.
pub(crate) fn inventory(held: f64, parameters: &Parameters) -> f64 {
    let (target, most) = (f64::from(parameters.target_shares), f64::from(parameters.max_shares));
    let room = if held > target { most - target } else { target };
    ((held - target) / room).clamp(-1.0, 1.0)
}

impl Quotes {
    /// With that inventory in that market, where `sigma` is the standard deviation of the price over the
    /// horizon, US dollars. `None` where no such prices are.
    pub(crate) fn new(market: &Quote, inventory: f64, sigma: f64, parameters: &Parameters) -> Option<Self> {
        let mid = market.mid();
        let reservation = mid - inventory * parameters.risk_aversion * sigma;
        let half_spread =
            (mid * parameters.min_half_spread_bps / 1e4).max(parameters.half_spread_sigmas * sigma);
        let (market_bid, market_ask) = (market.beside(Side::Buy)?, market.beside(Side::Sell)?);
        // To rest, and not to pay the spread that it lives on.
        let highest_bid = (market_ask - market_ask.tick()).round_down_to_tick();
        let lowest_ask = (market_bid + market_bid.tick()).round_up_to_tick();
        let bid = Price::from_f64(reservation - half_spread)?.round_passive(Side::Buy).min(highest_bid);
        let ask = Price::from_f64(reservation + half_spread)?.round_passive(Side::Sell).max(lowest_ask);
        (bid.is_positive() && bid < ask).then_some(Self { bid, ask })
    }

    pub(crate) fn on(self, side: Side) -> Price {
        match side {
            Side::Buy => self.bid,
            Side::Sell => self.ask,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};
    use sandpit_sdk::{Instrument, Time};

    use super::*;

    fn market(bid: f64, ask: f64) -> Quote {
        let (instrument, time) = (Instrument(0), Time::default());
        Quote { instrument, time, bid, bid_size: 1.0, ask, ask_size: 1.0 }
    }

    fn price(value: f64) -> Price {
        Price::from_f64(value).expect("fits")
    }

    #[test]
    fn inventory_is_measured_from_its_target() {
        let parameters = Parameters { target_shares: 10, max_shares: 30, ..Parameters::default() };
        let found = [0.0, 5.0, 10.0, 20.0, 30.0, 40.0, -5.0].map(|held| inventory(held, &parameters));
        assert_eq!(found, [-1.0, -0.5, 0.0, 0.5, 1.0, 1.0, -1.0]);
    }

    #[test]
    fn quotes_lean_against_the_inventory() {
        let parameters =
            Parameters { min_half_spread_bps: 10.0, half_spread_sigmas: 0.5, ..Parameters::default() };
        let check = |inventory: f64, sigma: f64, bid: f64, ask: f64| {
            let found = Quotes::new(&market(99.9, 100.1), inventory, sigma, &parameters);
            assert_eq!(found, Some(Quotes { bid: price(bid), ask: price(ask) }), "{inventory} {sigma}");
        };
        // Ten basis points of 100 are more than half a sigma.
        check(0.0, 0.1, 99.9, 100.1);
        check(0.0, 0.4, 99.8, 100.2);
        check(1.0, 0.1, 99.8, 100.0);
        check(-1.0, 0.1, 100.0, 100.2);
        // Leaning further than the market's other side, it joins our own.
        check(1.0, 0.4, 99.4, 99.91);
        check(-1.0, 0.4, 100.09, 100.6);
    }

    #[test]
    fn a_broken_market_is_not_quoted() {
        let parameters = Parameters::default();
        for (bid, ask) in [(0.0, 100.0), (101.0, 100.0), (f64::NAN, 100.0)] {
            assert_eq!(Quotes::new(&market(bid, ask), 0.0, 0.1, &parameters), None);
        }
        assert_eq!(Quotes::new(&market(1.0, 1.01), 1.0, 5.0, &parameters), None, "a bid below zero");
    }

    proptest! {
        #[test]
        fn quotes_rest_and_lean(
            bid in 1.0..1_000.0_f64,
            spread in 0.0..0.01_f64,
            sigma in 0.0..0.02_f64,
            less in -1.0..1.0_f64,
            more in 0.0..1.0_f64,
        ) {
            let parameters = Parameters::default();
            let market = market(bid, bid * (1.0 + spread));
            let quotes = |inventory| Quotes::new(&market, inventory, sigma * bid, &parameters);
            if let (Some(lean), Some(full)) = (quotes(less), quotes((less + more).min(1.0))) {
                for Quotes { bid, ask } in [lean, full] {
                    prop_assert!(bid < ask && bid.is_on_tick() && ask.is_on_tick());
                    prop_assert!(bid.to_f64() < market.ask && ask.to_f64() > market.bid, "it would take");
                }
                prop_assert!(full.bid <= lean.bid && full.ask <= lean.ask, "more inventory, lower quotes");
            }
        }
    }
}
