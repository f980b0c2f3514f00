//! Follows the trend, long only: buys a fixed number of shares at the market when a fast exponential moving
//! average of the closes crosses above a slow one, sells them when it crosses below.
//!
//! It does little and can be compared: `tests/backtest/python` has the same strategy for other programs that
//! backtest. With `every` it trades by the count of bars instead, so that the cost of an order can be
//! measured.

mod parameters;
mod rule;

use std::time::Duration;

use sandpit_sdk::{
    Bar, Ctx, Description, EventKinds, Hours, OrderId, OrderStatus, OrderUpdate, Parameters as _, Qty,
    Refusal, Session, Strategy, Time, export,
};

pub use crate::parameters::Parameters;
use crate::rule::{Due, Rule};

/// A bar is known at the end of its minute.
const MINUTE: Duration = Duration::from_secs(60);

/// The strategy.
pub struct EmaCross {
    shares: Qty,
    session: Session,
    symbols: Vec<Symbol>,
}

/// One symbol: what its closes say, and the sale that is under way.
struct Symbol {
    rule: Rule,
    sale: Option<OrderId>,
}

export!(EmaCross);

impl Strategy for EmaCross {
    fn describe() -> Description {
        Description {
            name: "EMA cross",
            version: env!("CARGO_PKG_VERSION"),
            parameters_schema: Parameters::SCHEMA,
            instruments: &["SPY"],
            wants: EventKinds { bar: true, ..EventKinds::NONE },
            // It counts the bars of its own life: what a host has of the past changes no decision.
            warmup_bars: 0,
        }
    }

    fn init(parameters: &str, instruments: &[String]) -> Result<Self, String> {
        let parameters = Parameters::parse(parameters)?;
        let symbol = |_: &String| Symbol { rule: Rule::new(&parameters), sale: None };
        let symbols = instruments.iter().map(symbol).collect();
        Ok(Self { shares: Qty::shares(parameters.shares.into()), session: Session::default(), symbols })
    }

    fn on_bar(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {
        let symbol = &mut self.symbols[bar.instrument.index()];
        symbol.rule.push(bar.close);
        let Some(due) = symbol.rule.due else { return };
        // At the end of the session's last minute an order would come too late: the next session's first bar
        // sends it, if nothing else is due by then.
        if self.session.is_closed() || self.session.closes_within(bar.start + MINUTE, 0) {
            return;
        }
        if ctx.has_open_order(bar.instrument) {
            return;
        }
        symbol.rule.due = None;
        let held = ctx.position(bar.instrument).quantity;
        if held.is_zero() && due != Due::Sell {
            ctx.buy(bar.instrument, self.shares).send();
        } else if held.is_positive() && due != Due::Buy {
            symbol.sale = Some(ctx.sell(bar.instrument, held).send());
        }
    }

    fn on_order_update(&mut self, ctx: &mut Ctx<'_>, update: &OrderUpdate) {
        let is_lost =
            matches!(update.status, OrderStatus::Rejected | OrderStatus::Canceled | OrderStatus::Expired);
        if is_lost {
            self.on_lost(ctx, update.id, "over without being filled");
        }
    }

    fn on_refusal(&mut self, ctx: &mut Ctx<'_>, refusal: &Refusal) {
        self.session.on_refusal(refusal);
        self.on_lost(ctx, refusal.id, &refusal.reason);
    }

    fn on_session_open(&mut self, _ctx: &mut Ctx<'_>, hours: Hours) {
        self.session.open(hours);
    }

    fn on_session_close(&mut self, _ctx: &mut Ctx<'_>, _at: Time) {
        self.session.close();
    }
}

impl EmaCross {
    /// An order came to nothing: a purchase waits for the next cross, a sale is due again at the next bar.
    fn on_lost(&mut self, ctx: &mut Ctx<'_>, id: OrderId, reason: &str) {
        let OrderId(number) = id;
        ctx.signal(None, format!("order {number}: {reason}"));
        for symbol in self.symbols.iter_mut().filter(|symbol| symbol.sale == Some(id)) {
            symbol.rule.due = Some(Due::Sell);
        }
    }
}

#[cfg(test)]
mod tests;
