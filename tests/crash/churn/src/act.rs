//! One deed at one quote.

use sandpit_sdk::{Ctx, OpenOrder, OrderKind, OrderTicket, Price, Qty, Quote, Side, TimeInForce};

/// Open orders from which on it only cancels.
const MAX_OPEN: usize = 16;
/// Most shares of an order.
const MAX_SHARES: u64 = 9;
/// Shares of a symbol from which on it only sells.
const MAX_HELD: i64 = 60;
/// The furthest a limit is away from the market, hundredths of a percent.
const MAX_AWAY: u64 = 30;
/// How far away from the market exits are, and stops: between these, hundredths of a percent.
const EXIT_AWAY: (u64, u64) = (5, 60);

/// Chooses and does.
pub(crate) struct Act<'a, 'c> {
    ctx: &'a mut Ctx<'c>,
    quote: &'a Quote,
}

impl<'a, 'c> Act<'a, 'c> {
    pub(crate) const fn new(ctx: &'a mut Ctx<'c>, quote: &'a Quote) -> Self {
        Self { ctx, quote }
    }

    /// Something; with `simple`, nothing but market and limit orders by themselves, and cancels.
    pub(crate) fn any(mut self, simple: bool) {
        let open = self.ctx.open_orders();
        if open.len() >= MAX_OPEN {
            return self.cancel(&open);
        }
        let deed = self.below(100);
        if simple {
            return match deed {
                0..50 => self.limit(),
                50..70 => self.market(),
                70..98 => self.cancel(&open),
                _ => self.ctx.cancel_all(),
            };
        }
        let done = match deed {
            0..28 => return self.limit(),
            28..38 => return self.market(),
            38..46 => self.stop(),
            46..56 => self.entry_with_exits(),
            56..62 => self.exits(),
            62..82 => self.replace(&open),
            82..96 => return self.cancel(&open),
            96..98 => {
                self.ctx.close_position(self.quote.instrument);
                return;
            }
            _ => return self.ctx.cancel_all(),
        };
        if done.is_none() {
            self.limit();
        }
    }

    fn below(&self, end: u64) -> u64 {
        self.ctx.random() % end
    }

    fn some_shares(&self) -> Qty {
        Qty::shares(i64::try_from(1 + self.below(MAX_SHARES)).expect("a few shares"))
    }

    /// Whole shares that are held.
    fn held(&self) -> i64 {
        self.ctx.position(self.quote.instrument).quantity.nanos() / 1_000_000_000
    }

    /// Either way, as far as the position allows.
    fn side(&self) -> (Side, Qty) {
        let (wanted, held) = (self.some_shares(), self.held());
        let wants_to_sell = self.below(2) == 0 || held >= MAX_HELD;
        if wants_to_sell && held > 0 {
            (Side::Sell, wanted.min(Qty::shares(held)))
        } else {
            (Side::Buy, wanted)
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

    /// A price above the market.
    fn above(&self) -> Option<Price> {
        Some(Price::from_f64(self.quote.ask * (1.0 + self.exit_away()))?.round_up_to_tick())
    }

    /// A price below the market.
    fn beneath(&self) -> Option<Price> {
        let price = Price::from_f64(self.quote.bid * (1.0 - self.exit_away()))?.round_down_to_tick();
        Some(price).filter(|price| price.is_positive())
    }

    fn exit_away(&self) -> f64 {
        (EXIT_AWAY.0 + self.below(EXIT_AWAY.1 - EXIT_AWAY.0)) as f64 / 10_000.0
    }

    fn order(&mut self, side: Side, shares: Qty) -> OrderTicket<'_, 'c> {
        self.ctx.order(self.quote.instrument, side, shares)
    }

    fn limit(&mut self) {
        let (side, shares) = self.side();
        let Some(price) = self.price(side) else { return };
        let lasts = if self.below(4) == 0 { TimeInForce::Ioc } else { TimeInForce::Day };
        self.order(side, shares).limit(price).time_in_force(lasts).send();
    }

    fn market(&mut self) {
        let (side, shares) = self.side();
        self.order(side, shares).send();
    }

    /// An order that sleeps.
    fn stop(&mut self) -> Option<()> {
        let (side, shares) = self.side();
        let stop = match side {
            Side::Buy => self.above()?,
            Side::Sell => self.beneath()?,
        };
        let trail = Price::from_f64(self.quote.ask / 500.0)?.round_up_to_tick();
        let way = self.below(3);
        let order = self.order(side, shares);
        match way {
            0 => order.stop(stop).send(),
            1 => order.stop(stop).limit(stop).send(),
            _ => order.trailing_stop(trail).send(),
        };
        Some(())
    }

    /// A purchase, and what is to become of it.
    fn entry_with_exits(&mut self) -> Option<()> {
        if self.held() >= MAX_HELD {
            return None;
        }
        let (profit, loss, limit, shares) =
            (self.above()?, self.beneath()?, self.price(Side::Buy)?, self.some_shares());
        let (at_market, way) = (self.below(2) == 0, self.below(3));
        let order = self.order(Side::Buy, shares);
        // The exits have to lie on both sides of the limit, too.
        let order = if at_market || limit >= profit || limit <= loss { order } else { order.limit(limit) };
        match way {
            0 => order.bracket(profit, loss).send(),
            1 => order.oto_stop_loss(loss).send(),
            _ => order.oto_take_profit(profit).send(),
        };
        Some(())
    }

    /// Two ways out of what is held.
    fn exits(&mut self) -> Option<()> {
        let held = Some(self.held()).filter(|held| *held > 0)?;
        let (profit, loss, shares) = (self.above()?, self.beneath()?, self.some_shares());
        self.order(Side::Sell, shares.min(Qty::shares(held))).limit(profit).oco(loss).send();
        Some(())
    }

    /// Another price, and now and then another size, for an order that works.
    fn replace(&mut self, open: &[OpenOrder]) -> Option<()> {
        let open: Vec<_> = open.iter().filter(|order| order.leg.is_none()).copied().collect();
        let order = self.one_of(&open)?;
        let (limit, stop) = match order.kind {
            OrderKind::Limit(_) => (Some(self.price(order.side)?), None),
            OrderKind::Stop(_) if order.side == Side::Sell => (None, Some(self.beneath()?)),
            OrderKind::Stop(_) => (None, Some(self.above()?)),
            OrderKind::Market | OrderKind::StopLimit { .. } | OrderKind::TrailingStop(_) => return None,
        };
        let shares = (order.side == Side::Buy && self.below(3) == 0).then(|| self.some_shares());
        let shares = shares.filter(|shares| *shares > order.filled);
        let mut change = self.ctx.replace(order.id);
        change = limit.into_iter().fold(change, |change, price| change.limit(price));
        change = stop.into_iter().fold(change, |change, price| change.stop(price));
        shares.into_iter().fold(change, |change, shares| change.quantity(shares)).send();
        Some(())
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
}
