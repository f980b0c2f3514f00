//! Scripts for the venue, one command a line, and the log they make.
//!
//! ```text
//! at 10:00[:30]                      let time pass: New York, Monday 2013-10-07; a day later: at 1d 10:00
//! until 16:00                        the same, but what falls due waits for the next command
//! date 2026-06-04                    the day that `at` means from now on (before any other command)
//! quote SYM BID SIZE ASK SIZE        trade SYM PRICE        bar SYM CLOSE VOLUME [LOW HIGH]
//! buy|sell SYM QTY|$USD KIND [day|gtc|ioc|fok|opg|cls] [ext] [as INTENT] [tp PRICE] [sl STOP[/LIMIT]] [oco]
//!     KIND: market, PRICE, stop=PRICE, stop=PRICE/LIMIT, trail=PRICE, trail=PERCENT%
//!     orders are called 1, 2, 3 ... in the log, with their legs 1a, 1b
//! replace N [qty=Q] [limit=P] [stop=P] [trail=T] [tif=T]        the new order gets the next name
//! cancel N        close SYM [QTY|PERCENT%]        suspend        resume        force N EVENT
//! halt SYM        unhalt SYM        stick        unstick
//! margin 1|2|4        whole-shares        pdt CHECK
//! account FIELD        position SYM        order N        fees        accrued (of the last fill)
//! ```

use std::time::Duration;

use sandpit_types::{Bar, BrokerOrderId, MarketEvent, MarketTime, Price, Quote, Side, Symbol, Trade, Usd};
use sandpit_venue::{
    Amount, Calendar, Class, ClosePart, EventKind, Listing, NewOrder, OrderKind, PdtCheck, PositionIntent,
    Reject, Replacement, StopLoss, TimeInForce, Trail, Venue, VenueConfig, VenueEvent,
};

/// The day of a script that does not name one, a Monday.
const MONDAY_DATE: &str = "2013-10-07";

/// A venue and the log of what it did.
pub(crate) struct Bench {
    venue: Venue,
    config: VenueConfig,
    listings: Vec<Listing>,
    date: String,
    now: MarketTime,
    log: Vec<String>,
    /// Orders and legs by name.
    ids: Vec<(String, BrokerOrderId)>,
    orders: usize,
    /// What the last execution added to the fees.
    accrued: Usd,
}

/// Runs a script on a venue that trades A and B, and compares the log: events as `N event [QTY@PRICE]`,
/// rejects as `reject STATUS: MESSAGE`, answers as they are.
pub(crate) fn check(script: &str, expected: &str) {
    check_with(VenueConfig::default(), script, expected);
}

/// The same with another set-up.
pub(crate) fn check_with(config: VenueConfig, script: &str, expected: &str) {
    check_listed(config, &["A", "B"].map(|name| Listing::open(Symbol::new(name))), script, expected);
}

/// The same with other symbols.
pub(crate) fn check_listed(config: VenueConfig, listings: &[Listing], script: &str, expected: &str) {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    };
    let mut bench = Bench::new(config, listings);
    for line in lines(script) {
        bench.run(&line);
    }
    let (got, expected) = (bench.log.join("\n"), lines(expected).join("\n"));
    assert!(got == expected, "script:\n{script}\n\nexpected:\n{expected}\n\ngot:\n{got}\n");
}

impl Bench {
    fn new(config: VenueConfig, listings: &[Listing]) -> Self {
        let now = midnight(MONDAY_DATE);
        let venue = Venue::with_listings(config.clone(), listings, now);
        Self {
            venue,
            config,
            listings: listings.to_vec(),
            date: MONDAY_DATE.to_owned(),
            now,
            log: Vec::new(),
            ids: Vec::new(),
            orders: 0,
            accrued: Usd::ZERO,
        }
    }

    fn run(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["date", date] => {
                self.date = date.to_owned();
                self.now = midnight(date);
                self.venue = Venue::with_listings(self.config.clone(), &self.listings, self.now);
            }
            ["at", ref time @ ..] => {
                self.now = time_of(&self.date, time);
                self.venue.advance(self.now);
            }
            ["until", ref time @ ..] => self.now = time_of(&self.date, time),
            ["quote" | "trade" | "bar", ..] => self.venue.on_market(&market(&words, self.now)),
            ["buy" | "sell", ..] => {
                let result = self.venue.submit(order(&words), self.now);
                self.submitted(result);
            }
            ["close", symbol, ref part @ ..] => {
                let result = self.venue.close_position(&Symbol::new(symbol), close_part(part), self.now);
                self.submitted(result);
            }
            ["replace", name, ref changes @ ..] => {
                let id = self.id(name);
                match self.venue.replace(&id, replacement(changes), self.now) {
                    Ok(id) => self.name(id),
                    Err(reject) => self.rejected(reject.http()),
                }
            }
            ["cancel", name] => {
                let id = self.id(name);
                if let Err(reject) = self.venue.cancel(&id, self.now) {
                    self.rejected(reject.http());
                }
            }
            ["force", name, event] => {
                let id = self.id(name);
                let event = EventKind::ALL.into_iter().find(|kind| kind.as_str() == event).expect("an event");
                if let Err(reject) = self.venue.force(&id, event, self.now) {
                    self.log.push(format!("reject: {reject}"));
                }
            }
            ["account", field] => self.log.push(self.account(field)),
            ["position", symbol] => self.log.push(self.position(symbol)),
            ["order", name] => self.log.push(self.order_text(name)),
            ["fees"] => {
                let fees = self.venue.fees().iter();
                self.log.extend(fees.map(|fee| format!("{} {} {}", fee.kind.as_str(), fee.date, fee.amount)));
            }
            ["accrued"] => self.log.push(format!("accrued {}", self.accrued)),
            _ => self.configure(&words),
        }
        for event in self.venue.drain_events() {
            self.accrued = event.fees.unwrap_or(self.accrued);
            let text = self.event_text(&event);
            self.log.push(text);
        }
    }

    fn configure(&mut self, words: &[&str]) {
        match words {
            ["suspend"] => self.venue.set_suspended(true),
            ["resume"] => self.venue.set_suspended(false),
            ["halt", symbol] => self.venue.set_halted(&Symbol::new(*symbol), true),
            ["unhalt", symbol] => self.venue.set_halted(&Symbol::new(*symbol), false),
            ["stick"] => self.venue.set_stuck_cancels(true),
            ["unstick"] => self.venue.set_stuck_cancels(false),
            ["margin", limit] => self.venue.set_margin_limit(limit.parse().expect("a number")),
            ["whole-shares"] => self.venue.set_fractional(false),
            ["pdt", "entry"] => self.venue.set_pdt_check(PdtCheck::Entry),
            ["pdt", "exit"] => self.venue.set_pdt_check(PdtCheck::Exit),
            ["pdt", "both"] => self.venue.set_pdt_check(PdtCheck::Both),
            _ => panic!("no such command: {words:?}"),
        }
    }

    fn id(&self, name: &str) -> BrokerOrderId {
        let known = self.ids.iter().find(|(known, _)| known == name);
        known.unwrap_or_else(|| panic!("no order is called {name}")).1.clone()
    }

    /// Names a new order, and its legs with letters.
    fn name(&mut self, id: BrokerOrderId) {
        self.orders += 1;
        let legs = self.venue.order(&id).expect("it was taken").legs.clone();
        for (leg, letter) in legs.into_iter().zip(["a", "b"]) {
            // A leg of an order that was replaced keeps its name.
            if !self.ids.iter().any(|(_, known)| *known == leg) {
                self.ids.push((format!("{}{letter}", self.orders), leg));
            }
        }
        self.ids.push((self.orders.to_string(), id));
    }

    fn submitted(&mut self, result: Result<BrokerOrderId, Reject>) {
        match result {
            Ok(id) => self.name(id),
            Err(reject) => self.rejected(reject.http()),
        }
    }

    fn rejected(&mut self, (status, _, message): (u16, Option<i64>, String)) {
        self.log.push(format!("reject {status}: {message}"));
    }

    fn event_text(&self, event: &VenueEvent) -> String {
        let known = self.ids.iter().find(|(_, id)| *id == event.order.id);
        let name = &known.expect("an order of the script").0;
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
            "regt" => account.regt_buying_power,
            "non_marginable" => account.non_marginable_buying_power,
            "held" => account.held_for_orders,
            "realized" => account.realized_pl,
            "accrued" => account.accrued_fees,
            "multiplier" => return format!("{field} {}", account.multiplier),
            "day_trades" => {
                let pattern = if account.pattern_day_trader { " pattern" } else { "" };
                return format!("{field} {}{pattern}", account.day_trade_count);
            }
            "restricted" => return format!("{field} {}", account.restricted),
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
        let order = self.venue.order(&self.id(name)).expect("an order of the script");
        let expires = order.expires_at.expect("every order has an end");
        let intent = order.position_intent.as_str();
        let all = order.qty().map_or_else(
            || format!("${}", order.notional().expect("shares or dollars")),
            |qty| qty.to_string(),
        );
        let stop = match (order.stop_price, order.hwm) {
            (Some(stop), Some(best)) => format!(" stop {stop} best {best}"),
            (Some(stop), None) => format!(" stop {stop}"),
            (None, _) => String::new(),
        };
        format!("{} {intent} {}/{all}{stop} until {expires}", order.state.as_str(), order.filled_qty)
    }
}

fn midnight(date: &str) -> MarketTime {
    // Both zones of New York: the one that is right gives back the same day at midnight.
    let calendar = Calendar::nyse();
    let winter = MarketTime::parse(&format!("{date}T00:00:00-05:00")).expect("a time");
    let summer = MarketTime::parse(&format!("{date}T00:00:00-04:00")).expect("a time");
    if calendar.date(summer) == calendar.date(winter) { summer } else { winter }
}

fn time_of(date: &str, words: &[&str]) -> MarketTime {
    let (days, clock) = match words {
        [days, clock] => (days.trim_end_matches('d').parse::<u64>().expect("days"), clock),
        [clock] => (0, clock),
        _ => panic!("not a time: {words:?}"),
    };
    let parts: Vec<f64> = clock.split(':').map(|part| part.parse().expect("a number")).collect();
    let seconds = parts[0] * 3600.0 + parts[1] * 60.0 + parts.get(2).copied().unwrap_or(0.0);
    midnight(date)
        + Duration::from_secs(days * 86_400)
        + Duration::from_micros((seconds * 1e6).round() as u64)
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
            high: if words.len() > 5 { float(5) } else { float(2) },
            low: if words.len() > 4 { float(4) } else { float(2) },
            close: float(2),
            volume: size(3),
            vwap: float(2),
        }),
    }
}

fn price(text: &str) -> Price {
    text.parse().unwrap_or_else(|_| panic!("not a price: {text}"))
}

fn stop_loss(text: &str) -> StopLoss {
    match text.split_once('/') {
        Some((stop, limit)) => StopLoss { stop_price: price(stop), limit_price: Some(price(limit)) },
        None => StopLoss { stop_price: price(text), limit_price: None },
    }
}

fn kind(text: &str) -> OrderKind {
    if text == "market" {
        return OrderKind::Market;
    }
    match text.split_once('=') {
        None => OrderKind::Limit { limit_price: price(text) },
        Some(("stop", stop)) => match stop_loss(stop) {
            StopLoss { stop_price, limit_price: Some(limit_price) } => {
                OrderKind::StopLimit { stop_price, limit_price }
            }
            StopLoss { stop_price, limit_price: None } => OrderKind::Stop { stop_price },
        },
        Some(("trail", trail)) => match trail.strip_suffix('%') {
            Some(percent) => {
                OrderKind::TrailingStop { trail: Trail::Percent(percent.parse().expect("a number")) }
            }
            None => OrderKind::TrailingStop { trail: Trail::Price(price(trail)) },
        },
        Some(_) => panic!("no such kind: {text}"),
    }
}

fn time_in_force(word: &str) -> Option<TimeInForce> {
    use TimeInForce::{Cls, Day, Fok, Gtc, Ioc, Opg};
    [Day, Gtc, Opg, Cls, Ioc, Fok].into_iter().find(|known| known.as_str() == word)
}

fn close_part(words: &[&str]) -> ClosePart {
    match words {
        [] => ClosePart::All,
        [part] => match part.strip_suffix('%') {
            Some(percent) => ClosePart::Percent(percent.parse().expect("a number")),
            None => ClosePart::Qty(part.parse().expect("qty")),
        },
        _ => panic!("not a part: {words:?}"),
    }
}

fn replacement(words: &[&str]) -> Replacement {
    let mut change = Replacement::default();
    for word in words {
        match word.split_once('=').expect("a change") {
            ("qty", qty) => change.qty = Some(qty.parse().expect("qty")),
            ("limit", limit) => change.limit_price = Some(price(limit)),
            ("stop", stop) => change.stop_price = Some(price(stop)),
            ("trail", trail) => change.trail = Some(trail.parse().expect("a number")),
            ("tif", word) => change.time_in_force = time_in_force(word),
            ("id", id) => change.client_order_id = Some(id.to_owned()),
            _ => panic!("no such change: {word}"),
        }
    }
    change
}

fn order(words: &[&str]) -> NewOrder {
    let after = |word: &str| {
        let place = words.iter().position(|known| *known == word)?;
        Some(words[place + 1])
    };
    let class = match (after("tp").map(price), after("sl").map(stop_loss), words.contains(&"oco")) {
        (None, Some(stop_loss), true) => Class::Oco { stop_loss },
        (Some(take_profit), Some(stop_loss), _) => Class::Bracket { take_profit, stop_loss },
        (Some(take_profit), None, _) => Class::OtoTakeProfit { take_profit },
        (None, Some(stop_loss), false) => Class::OtoStopLoss { stop_loss },
        (None, None, _) => Class::Simple,
    };
    let intents = [
        PositionIntent::BuyToOpen,
        PositionIntent::BuyToClose,
        PositionIntent::SellToOpen,
        PositionIntent::SellToClose,
    ];
    let amount = match words[2].strip_prefix('$') {
        Some(dollars) => Amount::Notional(dollars.parse().expect("dollars")),
        None => Amount::Qty(words[2].parse().expect("qty")),
    };
    NewOrder {
        client_order_id: None,
        symbol: Symbol::new(words[1]),
        side: if words[0] == "buy" { Side::Buy } else { Side::Sell },
        amount,
        kind: kind(words[3]),
        time_in_force: words.iter().find_map(|word| time_in_force(word)).unwrap_or(TimeInForce::Day),
        extended_hours: words.contains(&"ext"),
        class,
        position_intent: after("as")
            .and_then(|word| intents.into_iter().find(|known| known.as_str() == word)),
    }
}
