//! The WASM side: the component's exports, and the host's imports behind [`Host`].

mod orders;

use std::sync::Once;

use self::bindings::{
    Guest,
    sandpit::strategy::{host, types as wit},
};
use crate::{
    Account, Bar, Bars, Event, EventKinds, Fill, Host, Hours, Instrument, Intent, Leg, Level, News,
    OpenOrder, OrderId, OrderStatus, OrderUpdate, Position, Price, Qty, Quote, Refusal, Runner, Side,
    Strategy, StreamHealth, Time, Trade, Usd,
};

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/strategy-0.1.0",
        world: "strategy",
        pub_export_macro: true,
        export_macro_name: "export_component",
    });
}

/// What `export!` makes of a strategy: the one runner of this component.
pub trait Plugin {
    /// The strategy.
    type Strategy: Strategy;

    /// Acts on the runner. The host calls one export at a time, and no export calls another.
    fn with<R>(act: impl FnOnce(&mut Runner<Self::Strategy>) -> R) -> R;
}

impl<P: Plugin> Guest for P {
    fn describe() -> wit::Description {
        report_panics();
        let it = P::Strategy::describe();
        wit::Description {
            name: it.name.into(),
            version: it.version.into(),
            parameters_schema: it.parameters_schema.into(),
            instruments: it.instruments.iter().map(|&symbol| symbol.into()).collect(),
            wants: event_kinds(it.wants),
            warmup_bars: it.warmup_bars,
        }
    }

    fn init(parameters: String, instruments: Vec<String>) -> Result<(), String> {
        report_panics();
        P::with(|runner| runner.init(&parameters, &instruments))
    }

    fn on_bar(
        instrument: u32,
        start: i64,
        open: f64,
        high: f64,
        low: f64,
        close: f64,
        volume: f64,
    ) -> Vec<wit::Intent> {
        let (instrument, start) = (Instrument(instrument), Time::from_nanos(start));
        let bar = Bar { instrument, start, open, high, low, close, volume };
        wished(P::with(|runner| runner.on_bar(&Imports, &bar)))
    }

    fn on_quote(
        instrument: u32,
        at: i64,
        bid: f64,
        bid_size: f64,
        ask: f64,
        ask_size: f64,
    ) -> Vec<wit::Intent> {
        let (instrument, time) = (Instrument(instrument), Time::from_nanos(at));
        let quote = Quote { instrument, time, bid, bid_size, ask, ask_size };
        wished(P::with(|runner| runner.on_quote(&Imports, &quote)))
    }

    fn on_trade(instrument: u32, at: i64, price: f64, size: f64) -> Vec<wit::Intent> {
        let trade = Trade { instrument: Instrument(instrument), time: Time::from_nanos(at), price, size };
        wished(P::with(|runner| runner.on_trade(&Imports, &trade)))
    }

    fn on_event(event: wit::Event) -> Vec<wit::Intent> {
        let event = told(event);
        wished(P::with(|runner| runner.on_event(&Imports, &event)))
    }

    fn save() -> Vec<u8> {
        P::with(Runner::save)
    }

    fn load(version: String, state: Vec<u8>) -> Result<(), String> {
        P::with(|runner| runner.load(&version, &state))
    }

    fn stop(reason: String) {
        P::with(|runner| runner.stop(&reason));
    }
}

/// Sends the message and place of a panic to the host's log; the trap that follows carries neither.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| host::log(wit::Level::Error, &panic.to_string())));
    });
}

/// The host of this component.
struct Imports;

impl Host for Imports {
    fn now(&self) -> Time {
        Time::from_nanos(host::now())
    }

    fn position(&self, of: Instrument) -> Position {
        let position = host::position(of.0);
        Position {
            quantity: Qty::from_nanos(position.quantity),
            average_price: Price::from_nanos(position.average_price),
        }
    }

    fn open_orders(&self) -> Vec<OpenOrder> {
        host::open_orders().into_iter().map(open_order).collect()
    }

    fn account(&self) -> Account {
        let account = host::account();
        Account {
            equity: Usd::from_nanos(account.equity),
            buying_power: Usd::from_nanos(account.buying_power),
        }
    }

    fn last_quote(&self, of: Instrument) -> Option<Quote> {
        let wit::Quote { time, bid, bid_size, ask, ask_size } = host::last_quote(of.0)?;
        Some(Quote { instrument: of, time: Time::from_nanos(time), bid, bid_size, ask, ask_size })
    }

    fn history(&self, of: Instrument, count: u32) -> Bars {
        let wit::Bars { start, open, high, low, close, volume } = host::history(of.0, count);
        Bars { start: start.into_iter().map(Time::from_nanos).collect(), open, high, low, close, volume }
    }

    fn random(&self) -> u64 {
        host::random()
    }

    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => wit::Level::Debug,
            Level::Info => wit::Level::Info,
            Level::Warn => wit::Level::Warn,
            Level::Error => wit::Level::Error,
        };
        host::log(level, message);
    }
}

fn event_kinds(wants: EventKinds) -> wit::EventKinds {
    let EventKinds { bar, quote, trade, news } = wants;
    let choose = |is_wanted: bool, kind| if is_wanted { kind } else { wit::EventKinds::empty() };
    choose(bar, wit::EventKinds::BAR)
        | choose(quote, wit::EventKinds::QUOTE)
        | choose(trade, wit::EventKinds::TRADE)
        | choose(news, wit::EventKinds::NEWS)
}

fn told(event: wit::Event) -> Event {
    match event {
        wit::Event::BarsComplete(start) => Event::BarsComplete(Time::from_nanos(start)),
        wit::Event::OrderUpdate(update) => Event::OrderUpdate(OrderUpdate {
            id: OrderId(update.id),
            leg: update.leg.map(leg),
            instrument: Instrument(update.instrument),
            status: order_status(update.status),
            filled: Qty::from_nanos(update.filled),
        }),
        wit::Event::Fill(fill) => Event::Fill(Fill {
            id: OrderId(fill.id),
            leg: fill.leg.map(leg),
            instrument: Instrument(fill.instrument),
            side: side(fill.side),
            quantity: Qty::from_nanos(fill.quantity),
            price: Price::from_nanos(fill.price),
        }),
        wit::Event::Refusal(refusal) => {
            Event::Refusal(Refusal { id: OrderId(refusal.id), reason: refusal.reason })
        }
        wit::Event::Timer(id) => Event::Timer(id),
        wit::Event::SessionOpen(wit::Session { open, close }) => {
            Event::SessionOpen(Hours { open: Time::from_nanos(open), close: Time::from_nanos(close) })
        }
        wit::Event::SessionClose(at) => Event::SessionClose(Time::from_nanos(at)),
        wit::Event::StreamHealth(health) => Event::StreamHealth(match health {
            wit::StreamHealth::Live => StreamHealth::Live,
            wit::StreamHealth::Stale => StreamHealth::Stale,
            wit::StreamHealth::Fallback => StreamHealth::Fallback,
        }),
        wit::Event::LateBar(it) => Event::LateBar(bar(it)),
        wit::Event::CorrectedBar(it) => Event::CorrectedBar(bar(it)),
        wit::Event::News(it) => Event::News(news(it)),
    }
}

fn bar(bar: wit::Bar) -> Bar {
    let wit::Bar { instrument, start, open, high, low, close, volume } = bar;
    Bar { instrument: Instrument(instrument), start: Time::from_nanos(start), open, high, low, close, volume }
}

fn news(news: wit::News) -> News {
    News {
        id: news.id,
        created: Time::from_nanos(news.created),
        updated: Time::from_nanos(news.updated),
        headline: news.headline,
        summary: news.summary,
        source: news.source,
        url: news.url,
        instruments: news.instruments.into_iter().map(Instrument).collect(),
    }
}

fn open_order(order: wit::OpenOrder) -> OpenOrder {
    OpenOrder {
        id: OrderId(order.id),
        leg: order.leg.map(leg),
        instrument: Instrument(order.instrument),
        side: side(order.side),
        quantity: Qty::from_nanos(order.quantity),
        filled: Qty::from_nanos(order.filled),
        kind: orders::kind(order.kind),
        status: order_status(order.status),
    }
}

fn leg(leg: wit::Leg) -> Leg {
    match leg {
        wit::Leg::TakeProfit => Leg::TakeProfit,
        wit::Leg::StopLoss => Leg::StopLoss,
    }
}

fn side(side: wit::Side) -> Side {
    match side {
        wit::Side::Buy => Side::Buy,
        wit::Side::Sell => Side::Sell,
    }
}

fn order_status(status: wit::OrderStatus) -> OrderStatus {
    match status {
        wit::OrderStatus::Pending => OrderStatus::Pending,
        wit::OrderStatus::Working => OrderStatus::Working,
        wit::OrderStatus::PartiallyFilled => OrderStatus::PartiallyFilled,
        wit::OrderStatus::Filled => OrderStatus::Filled,
        wit::OrderStatus::Canceled => OrderStatus::Canceled,
        wit::OrderStatus::Expired => OrderStatus::Expired,
        wit::OrderStatus::Rejected => OrderStatus::Rejected,
        wit::OrderStatus::Held => OrderStatus::Held,
        wit::OrderStatus::Replaced => OrderStatus::Replaced,
    }
}

fn wished(intents: Vec<Intent>) -> Vec<wit::Intent> {
    intents.into_iter().map(orders::intent).collect()
}
