//! A strategy that does what a script says, and nothing else: at the end of that minute that order. What has
//! to come of it can be computed by hand, or by `tests/backtest/python/week.py`. The format is that of
//! [`script`].

pub mod script;

use std::{collections::BTreeMap, time::Duration};

use sandpit_sdk::{
    Bar, Ctx, Description, EventKinds, OrderId, OrderStatus, OrderUpdate, Price, Refusal, Strategy, Time,
    export,
};
use serde::Deserialize;

use crate::script::{Kind, Line};

/// A bar is known at the end of its minute.
const MINUTE: Duration = Duration::from_secs(60);

/// What the test sets.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    /// One order a line: see [`script`].
    script: String,
}

impl sandpit_sdk::Parameters for Parameters {
    const SCHEMA: &'static str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "scripted",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "script": {
      "type": "string", "default": "",
      "description": "One order a line: end of the bar, symbol, side, shares, kind, prices, time in force."
    }
  }
}"#;
}

/// The strategy.
pub struct Scripted {
    /// The lines that are left, by symbol and moment.
    lines: BTreeMap<(u32, Time), Vec<Line>>,
    /// Which line an order is of, for what is said about it.
    sent: BTreeMap<u64, usize>,
}

export!(Scripted);

impl Strategy for Scripted {
    fn describe() -> Description {
        Description {
            name: "Scripted",
            version: env!("CARGO_PKG_VERSION"),
            parameters_schema: <Parameters as sandpit_sdk::Parameters>::SCHEMA,
            instruments: &["SPY"],
            wants: EventKinds { bar: true, ..EventKinds::NONE },
            warmup_bars: 0,
        }
    }

    fn init(parameters: &str, instruments: &[String]) -> Result<Self, String> {
        let parameters = <Parameters as sandpit_sdk::Parameters>::parse(parameters)?;
        let mut lines: BTreeMap<_, Vec<Line>> = BTreeMap::new();
        for line in script::parse(&parameters.script)? {
            let place = instruments.iter().position(|symbol| *symbol == line.symbol);
            let place = place.and_then(|place| u32::try_from(place).ok());
            let Some(symbol) = place else {
                return Err(format!("line {}: {} is none of its symbols", line.number, line.symbol));
            };
            lines.entry((symbol, line.at)).or_default().push(line);
        }
        Ok(Self { lines, sent: BTreeMap::new() })
    }

    fn on_bar(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {
        let due = self.lines.remove(&(bar.instrument.0, bar.start + MINUTE));
        for line in due.into_iter().flatten() {
            let OrderId(id) = match send(ctx, bar, &line) {
                Some(id) => id,
                None => {
                    ctx.signal(bar.instrument, format!("line {}: no such price", line.number));
                    continue;
                }
            };
            self.sent.insert(id, line.number);
        }
    }

    fn on_order_update(&mut self, ctx: &mut Ctx<'_>, update: &OrderUpdate) {
        if update.status == OrderStatus::Rejected {
            self.tell(ctx, update.id, "rejected");
        }
    }

    fn on_refusal(&mut self, ctx: &mut Ctx<'_>, refusal: &Refusal) {
        self.tell(ctx, refusal.id, &format!("refused: {}", refusal.reason));
    }
}

impl Scripted {
    fn tell(&self, ctx: &mut Ctx<'_>, id: OrderId, what: &str) {
        let OrderId(id) = id;
        let line = self.sent.get(&id).copied().unwrap_or(0);
        ctx.signal(None, format!("line {line}: {what}"));
    }
}

/// Sends the order of a line; `None` when a price of it cannot be one.
fn send(ctx: &mut Ctx<'_>, bar: &Bar, line: &Line) -> Option<OrderId> {
    let close = Price::from_f64(bar.close)?;
    let ticket = ctx.order(bar.instrument, line.side, line.shares).time_in_force(line.lasts);
    let ticket = match line.kind {
        Kind::Market => ticket,
        Kind::Limit(limit) => ticket.limit(limit.at(close)),
        Kind::Stop(stop) => ticket.stop(stop.at(close)),
        Kind::StopLimit(stop, limit) => ticket.stop(stop.at(close)).limit(limit.at(close)),
    };
    Some(ticket.send())
}

#[cfg(test)]
mod tests;
