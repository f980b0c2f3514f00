//! Scripts for the venue, one command a line, and the log they make.
//!
//! ```text
//! at 10:00[:30]                      let time pass: New York, Monday 2013-10-07; a day later: at 1d 10:00
//! quote SYM BID SIZE ASK SIZE        trade SYM PRICE        bar SYM CLOSE VOLUME
//! buy|sell SYM QTY market|PRICE [day|gtc|ioc|fok] [ext]     orders are called 1, 2, 3 ... in the log
//! cancel N        close SYM [QTY]        suspend        resume
//! account FIELD        position SYM        order N
//! ```

use std::time::Duration;

use sandpit_types::{Bar, BrokerOrderId, MarketEvent, MarketTime, Quote, Side, Symbol, Trade};
use sandpit_venue::{
    Amount, Class, ClosePart, NewOrder, OrderKind, Reject, TimeInForce, Venue, VenueConfig, VenueEvent,
};

/// Midnight in New York, Monday 2013-10-07.
pub(crate) const MONDAY: &str = "2013-10-07T00:00:00-04:00";

/// A venue and the log of what it did.
pub(crate) struct Bench {
    venue: Venue,
    now: MarketTime,
    log: Vec<String>,
    ids: Vec<BrokerOrderId>,
}

/// Runs a script on a venue that trades A and B, and compares the log: events as `N event [QTY@PRICE]`,
/// rejects as `reject STATUS: MESSAGE`, answers as they are.
pub(crate) fn check(script: &str, expected: &str) {
    check_with(VenueConfig::default(), script, expected);
}

/// The same with another set-up.
pub(crate) fn check_with(config: VenueConfig, script: &str, expected: &str) {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    };
    let mut bench = Bench::new(config);
    for line in lines(script) {
        bench.run(&line);
    }
    assert_eq!(bench.log, lines(expected), "script:\n{script}");
}

impl Bench {
    fn new(config: VenueConfig) -> Self {
        let now = MarketTime::parse(MONDAY).expect("a time");
        let venue = Venue::new(config, &[Symbol::new("A"), Symbol::new("B")], now);
        Self { venue, now, log: Vec::new(), ids: Vec::new() }
    }

    fn run(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["at", ref time @ ..] => {
                self.now = time_of(time);
                self.venue.advance(self.now);
            }
            ["quote" | "trade" | "bar", ..] => self.venue.on_market(&market(&words, self.now)),
            ["buy" | "sell", ..] => {
                let order = order(&words);
                let result = self.venue.submit(order, self.now);
                self.submitted(result);
            }
            ["close", symbol, ref qty @ ..] => {
                let part =
                    qty.first().map_or(ClosePart::All, |qty| ClosePart::Qty(qty.parse().expect("qty")));
                let result = self.venue.close_position(&Symbol::new(symbol), part, self.now);
                self.submitted(result);
            }
            ["cancel", name] => {
                let id = self.ids[name.parse::<usize>().expect("a name") - 1].clone();
                if let Err(reject) = self.venue.cancel(&id, self.now) {
                    let (status, _, message) = reject.http();
                    self.log.push(format!("reject {status}: {message}"));
                }
            }
            ["suspend"] => self.venue.set_suspended(true),
            ["resume"] => self.venue.set_suspended(false),
            ["account", field] => self.log.push(self.account(field)),
            ["position", symbol] => self.log.push(self.position(symbol)),
            ["order", name] => self.log.push(self.order_text(name)),
            _ => panic!("no such command: {line}"),
        }
        for event in self.venue.drain_events() {
            self.log.push(self.event_text(&event));
        }
    }

    fn submitted(&mut self, result: Result<BrokerOrderId, Reject>) {
        match result {
            Ok(id) => self.ids.push(id),
            Err(reject) => {
                let (status, _, message) = reject.http();
                self.log.push(format!("reject {status}: {message}"));
            }
        }
    }

    fn event_text(&self, event: &VenueEvent) -> String {
        let name = 1 + self.ids.iter().position(|id| *id == event.order.id).expect("an order of the script");
        let execution = event.qty.zip(event.price).map(|(qty, price)| format!(" {qty}@{price}"));
        format!("{name} {}{}", event.kind.as_str(), execution.unwrap_or_default())
    }

    fn account(&self, field: &str) -> String {
        let account = self.venue.account();
        let value = match field {
            "cash" => account.cash,
            "equity" => account.equity,
            "last_equity" => account.last_equity,
            "power" => account.buying_power,
            "held" => account.held_for_orders,
            "realized" => account.realized_pl,
            _ => panic!("no such field: {field}"),
        };
        format!("{field} {value}")
    }

    fn position(&self, symbol: &str) -> String {
        self.venue.position(&Symbol::new(symbol)).map_or("flat".to_owned(), |position| {
            let (qty, free, average) = (position.qty, position.qty_available, position.avg_entry_price);
            format!("{qty} ({free} free) at {average}")
        })
    }

    fn order_text(&self, name: &str) -> String {
        let id = &self.ids[name.parse::<usize>().expect("a name") - 1];
        let order = self.venue.order(id).expect("an order of the script");
        let expires = order.expires_at.expect("every order has an end");
        let intent = order.position_intent.as_str();
        format!(
            "{} {intent} {}/{} until {expires}",
            order.state.as_str(),
            order.filled_qty,
            order.qty().expect("shares")
        )
    }
}

fn time_of(words: &[&str]) -> MarketTime {
    let (days, clock) = match words {
        [days, clock] => (days.trim_end_matches('d').parse::<u64>().expect("days"), clock),
        [clock] => (0, clock),
        _ => panic!("not a time: {words:?}"),
    };
    let parts: Vec<u64> = clock.split(':').map(|part| part.parse().expect("a number")).collect();
    let seconds = parts[0] * 3600 + parts[1] * 60 + parts.get(2).copied().unwrap_or(0);
    MarketTime::parse(MONDAY).expect("a time") + Duration::from_secs(days * 86_400 + seconds)
}

fn market(words: &[&str], now: MarketTime) -> MarketEvent {
    let symbol = Symbol::new(words[1]);
    let float = |place: usize| words[place].parse::<f64>().expect("a number");
    let size = |place: usize| words[place].parse::<u64>().expect("a size");
    match words[0] {
        "quote" => MarketEvent::Quote(Quote {
            symbol,
            time: now,
            bid: float(2),
            bid_size: size(3),
            ask: float(4),
            ask_size: size(5),
        }),
        "trade" => MarketEvent::Trade(Trade { symbol, time: now, price: float(2), size: 100 }),
        _ => MarketEvent::Bar(Bar {
            symbol,
            start: now - Duration::from_secs(60),
            open: float(2),
            high: float(2),
            low: float(2),
            close: float(2),
            volume: size(3),
            vwap: float(2),
        }),
    }
}

fn order(words: &[&str]) -> NewOrder {
    let kind = match words[3] {
        "market" => OrderKind::Market,
        price => OrderKind::Limit { limit_price: price.parse().expect("a price") },
    };
    let time_in_force = match words.get(4).copied() {
        None | Some("day" | "ext") => TimeInForce::Day,
        Some("gtc") => TimeInForce::Gtc,
        Some("ioc") => TimeInForce::Ioc,
        Some("fok") => TimeInForce::Fok,
        Some(other) => panic!("no such time in force: {other}"),
    };
    NewOrder {
        client_order_id: None,
        symbol: Symbol::new(words[1]),
        side: if words[0] == "buy" { Side::Buy } else { Side::Sell },
        amount: Amount::Qty(words[2].parse().expect("qty")),
        kind,
        time_in_force,
        extended_hours: words.contains(&"ext"),
        class: Class::Simple,
        position_intent: None,
    }
}
