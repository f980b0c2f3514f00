//! A strategy without any sense, for the crash suite: it sends and cancels orders of every kind, every few quotes, by
//! seeded chance. It rests until a quote of [`WORK`] shares tells it to work, and rests again at one of [`REST`].

use sandpit_sdk::{
    Ctx, Description, EventKinds, Instrument, OpenOrder, Price, Qty, Quote, Side, Strategy, TimeInForce,
    export,
};
use serde::Deserialize;

/// The size of a bid at which it begins to work.
pub const WORK: f64 = 900_001.0;
/// The size of a bid at which it rests.
pub const REST: f64 = 900_002.0;

/// It acts at every so manieth quote.
const QUOTES_AN_ACT: u64 = 3;
/// Open orders from which on it only cancels.
const MAX_OPEN: usize = 16;
/// Most shares of an order.
const MAX_SHARES: u64 = 9;
/// Shares of a symbol from which on it only sells.
const MAX_HELD: i64 = 60;
/// The furthest a limit is away from the market, hundredths of a percent.
const MAX_AWAY: u64 = 30;

/// The strategy, and at once what the operator may set: whether it works from the start.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Churn {
    works: bool,
}

export!(Churn);

impl Strategy for Churn {
    fn describe() -> Description {
        Description {
            name: "Churn",
            version: env!("CARGO_PKG_VERSION"),
            instruments: &["SPY"],
            wants: EventKinds { quote: true, ..EventKinds::NONE },
            ..Description::DEFAULT
        }
    }

    fn init(parameters: &str, _instruments: &[String]) -> Result<Self, String> {
        serde_json::from_str(parameters).map_err(|error| format!("parameters: {error}"))
    }

    fn on_quote(&mut self, ctx: &mut Ctx<'_>, quote: &Quote) {
        if quote.bid_size == WORK || quote.bid_size == REST {
            self.works = quote.bid_size == WORK;
            return;
        }
        if self.works && quote.is_two_sided() && ctx.random().is_multiple_of(QUOTES_AN_ACT) {
            Act { ctx, quote }.any();
        }
    }
}

/// One deed at one quote.
struct Act<'a, 'c> {
    ctx: &'a mut Ctx<'c>,
    quote: &'a Quote,
}

impl Act<'_, '_> {
    fn any(mut self) {
        let open = self.ctx.open_orders();
        if open.len() >= MAX_OPEN {
            return self.cancel(&open);
        }
        match self.below(100) {
            0..50 => self.limit(),
            50..70 => self.market(),
            70..98 => self.cancel(&open),
            _ => self.ctx.cancel_all(),
        }
    }

    fn below(&self, end: u64) -> u64 {
        self.ctx.random() % end
    }

    /// Either way, as far as the position allows.
    fn side(&self) -> (Side, Qty) {
        let held = self.ctx.position(self.quote.instrument).quantity;
        let wanted = i64::try_from(1 + self.below(MAX_SHARES)).expect("a few shares");
        let can_sell = held.nanos() / 1_000_000_000;
        let wants_to_sell = self.below(2) == 0 || can_sell >= MAX_HELD;
        if wants_to_sell && can_sell > 0 {
            (Side::Sell, Qty::shares(wanted.min(can_sell)))
        } else {
            (Side::Buy, Qty::shares(wanted))
        }
    }

    /// A price somewhere around the market: half of them fill soon.
    fn price(&self, side: Side) -> Option<Price> {
        let away = (self.below(2 * MAX_AWAY) as f64 - MAX_AWAY as f64) / 10_000.0;
        let price = match side {
            Side::Buy => self.quote.ask * (1.0 - away),
            Side::Sell => self.quote.bid * (1.0 + away),
        };
        Some(Price::from_f64(price)?.round_passive(side)).filter(|price| price.is_positive())
    }

    fn limit(&mut self) {
        let (side, quantity) = self.side();
        let Some(price) = self.price(side) else { return };
        let lasts = if self.below(4) == 0 { TimeInForce::Ioc } else { TimeInForce::Day };
        self.ctx.order(self.instrument(), side, quantity).limit(price).time_in_force(lasts).send();
    }

    fn market(&mut self) {
        let (side, quantity) = self.side();
        self.ctx.order(self.instrument(), side, quantity).send();
    }

    fn cancel(&mut self, open: &[OpenOrder]) {
        if let Some(order) = self.one_of(open) {
            self.ctx.cancel(order.id);
        }
    }

    fn one_of(&self, open: &[OpenOrder]) -> Option<OpenOrder> {
        let count = u64::try_from(open.len()).ok().filter(|count| *count > 0)?;
        open.get(usize::try_from(self.below(count)).ok()?).copied()
    }

    const fn instrument(&self) -> Instrument {
        self.quote.instrument
    }
}

#[cfg(test)]
mod tests {
    use sandpit_sdk::Harness;

    use super::*;

    fn quotes(desk: &mut Harness<Churn>, count: u32) {
        for n in 0..count {
            let bid = 100.0 + f64::from(n % 7) / 100.0;
            desk.quote(0, bid, bid + 0.02);
        }
    }

    #[test]
    fn it_rests_until_it_is_told_to_work() {
        for (parameters, works) in [("{}", false), (r#"{"works":true}"#, true)] {
            let mut desk = Harness::<Churn>::new(parameters, &["SPY"]).expect("good parameters");
            desk.open_session();
            quotes(&mut desk, 400);
            assert_eq!(!desk.submits().is_empty(), works);
            assert_eq!(!desk.cancels().is_empty(), works);
        }
        assert!(Harness::<Churn>::new(r#"{"work":true}"#, &["SPY"]).is_err());
    }
}
