use std::{cell::RefCell, rc::Rc};

use super::*;
use crate::{
    Amount, Ctx, Description, Fill, Hours, Leg, OrderClass, OrderKind, OrderStatus, OrderUpdate, Percent,
    Price, Refusal, Replace, Side, StopLoss, Submit, TimeInForce, UNHEARD_FOR,
};

mod classes;

thread_local! {
    static TOLD: Rc<RefCell<Told>> = Rc::default();
}

/// What the scripted strategy does at the next quote, and what it was told.
#[derive(Default)]
struct Told {
    act: Option<fn(&mut Ctx<'_>)>,
    lines: Vec<String>,
    lives: u32,
}

/// Does as the test says, and writes down what it is told.
struct Scripted(Rc<RefCell<Told>>);

impl Scripted {
    fn write(&self, line: impl Into<String>) {
        self.0.borrow_mut().lines.push(line.into());
    }
}

impl Strategy for Scripted {
    fn describe() -> Description {
        Description { version: "7", ..Description::DEFAULT }
    }

    fn init(parameters: &str, _instruments: &[String]) -> Result<Self, String> {
        let told = TOLD.with(Rc::clone);
        told.borrow_mut().lives += 1;
        if parameters.is_empty() { Err("no parameters".into()) } else { Ok(Self(told)) }
    }

    fn on_quote(&mut self, ctx: &mut Ctx<'_>, _quote: &Quote) {
        let act = self.0.borrow_mut().act.take();
        if let Some(act) = act {
            act(ctx);
        }
    }

    fn on_trade(&mut self, _ctx: &mut Ctx<'_>, trade: &Trade) {
        self.write(format!("trade {} {}", trade.price, trade.size));
    }

    fn on_bars_complete(&mut self, ctx: &mut Ctx<'_>, start: Time) {
        let seconds = |time: Time| time.nanos() / 1_000_000_000;
        self.write(format!("bars {} at {}", seconds(start), seconds(ctx.now())));
    }

    fn on_order_update(&mut self, ctx: &mut Ctx<'_>, update: &OrderUpdate) {
        let OrderUpdate { leg, instrument, status, filled, .. } = update;
        let of = leg_name(*leg);
        self.write(format!("{of}{status:?} {filled} open {}", ctx.has_open_order(*instrument)));
    }

    fn on_fill(&mut self, ctx: &mut Ctx<'_>, fill: &Fill) {
        let held = ctx.position(fill.instrument).quantity;
        let of = leg_name(fill.leg);
        self.write(format!("{of}{:?} {} at {} held {held}", fill.side, fill.quantity, fill.price));
    }

    fn on_refusal(&mut self, ctx: &mut Ctx<'_>, refusal: &Refusal) {
        self.write(format!("refused {} open {}", refusal.reason, ctx.open_orders().len()));
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, id: u64) {
        self.write(format!("timer {id} at {}", ctx.now().nanos() / 1_000_000_000));
    }

    fn on_session_open(&mut self, _ctx: &mut Ctx<'_>, _hours: Hours) {
        self.write("open");
    }

    fn on_session_close(&mut self, _ctx: &mut Ctx<'_>, _at: Time) {
        self.write("close");
    }

    fn on_late_bar(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {
        self.write(format!("late {} of {:?}", bar.close, ctx.history(bar.instrument, 9).close));
    }

    fn on_corrected_bar(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {
        self.write(format!("corrected {} of {:?}", bar.close, ctx.history(bar.instrument, 9).close));
    }

    fn on_news(&mut self, ctx: &mut Ctx<'_>, news: &News) {
        let seconds = ctx.now().nanos() / 1_000_000_000;
        self.write(format!("{} about {} at {seconds}", news.headline, news.instruments.len()));
    }

    fn on_stream_health(&mut self, _ctx: &mut Ctx<'_>, health: StreamHealth) {
        self.write(format!("{health:?}"));
    }

    fn save(&self) -> Vec<u8> {
        b"state".to_vec()
    }

    fn load(&mut self, version: &str, state: &[u8]) -> Result<(), String> {
        self.write(format!("load {version} {}", String::from_utf8_lossy(state)));
        Ok(())
    }

    fn stop(&mut self, reason: &str) {
        self.write(format!("stop {reason}"));
    }
}

const SYMBOL: Instrument = Instrument(0);

/// How the lines begin that are about a leg.
fn leg_name(leg: Option<Leg>) -> &'static str {
    match leg {
        None => "",
        Some(Leg::TakeProfit) => "profit: ",
        Some(Leg::StopLoss) => "loss: ",
    }
}

fn desk() -> Harness<Scripted> {
    Harness::new("{}", &["SPY", "IBM"]).expect("it takes these")
}

/// Lets the strategy act at a quote of 99.99 to 100.01.
fn act(desk: &mut Harness<Scripted>, act: fn(&mut Ctx<'_>)) {
    TOLD.with(|told| told.borrow_mut().act = Some(act));
    desk.quote(0, 99.99, 100.01);
}

fn told() -> Vec<String> {
    TOLD.with(|told| std::mem::take(&mut told.borrow_mut().lines))
}

fn price(value: f64) -> Price {
    Price::from_f64(value).expect("fits")
}

/// One order, and what the strategy is told of it at once.
fn check(order: fn(&mut Ctx<'_>), expected: &[&str]) {
    let mut desk = desk();
    act(&mut desk, order);
    assert_eq!(told(), expected);
}

const TAKEN: [&str; 2] = ["Pending 0 open true", "Working 0 open true"];
const BOUGHT: [&str; 4] =
    ["Pending 0 open true", "Working 0 open true", "Buy 3 at 100.01 held 3", "Filled 3 open false"];

#[test]
fn orders_fill_against_the_quote() {
    check(
        |ctx| {
            ctx.buy(SYMBOL, Qty::shares(3)).send();
        },
        &BOUGHT,
    );
    check(
        |ctx| {
            ctx.buy(SYMBOL, Qty::shares(3)).limit(price(100.01)).send();
        },
        &BOUGHT,
    );
    check(
        |ctx| {
            ctx.buy(SYMBOL, Qty::shares(3)).limit(price(100.0)).send();
        },
        &TAKEN,
    );
    check(
        |ctx| {
            ctx.sell(SYMBOL, Qty::shares(3)).limit(price(100.0)).send();
        },
        &TAKEN,
    );
    let sold =
        ["Pending 0 open true", "Working 0 open true", "Sell 3 at 99.99 held -3", "Filled 3 open false"];
    check(
        |ctx| {
            ctx.sell(SYMBOL, Qty::shares(3)).limit(price(99.99)).send();
        },
        &sold,
    );
}

#[test]
fn orders_that_must_fill_at_once_or_not_at_all_do() {
    let gone = ["Pending 0 open true", "Working 0 open true", "Canceled 0 open false"];
    let ioc = |ctx: &mut Ctx<'_>| {
        let ticket = ctx.buy(SYMBOL, Qty::shares(3)).limit(price(99.0));
        ticket.time_in_force(TimeInForce::Ioc).send();
    };
    check(ioc, &gone);
    let fok = |ctx: &mut Ctx<'_>| {
        ctx.buy(SYMBOL, Qty::shares(3)).time_in_force(TimeInForce::Fok).send();
    };
    check(fok, &BOUGHT);
    let mut desk = desk();
    desk.limit_fills(Some(Qty::shares(2)));
    act(&mut desk, fok);
    assert_eq!(told(), gone);
}

#[test]
fn resting_orders_fill_in_parts_and_expire() {
    let mut desk = desk();
    act(&mut desk, |ctx| {
        ctx.buy(SYMBOL, Qty::shares(3)).limit(price(100.0)).send();
    });
    desk.limit_fills(Some(Qty::shares(2)));
    told();
    desk.quote(0, 99.5, 99.6);
    assert_eq!(told(), ["Buy 2 at 99.6 held 2", "PartiallyFilled 2 open true"]);
    assert_eq!(desk.open_orders()[0].filled, Qty::shares(2));
    desk.close_session();
    assert_eq!(told(), ["close", "Expired 2 open false"]);
    assert!(desk.open_orders().is_empty());
}

#[test]
fn updates_may_come_before_fills() {
    let mut desk = desk();
    desk.updates_first(true);
    act(&mut desk, |ctx| {
        ctx.buy(SYMBOL, Qty::shares(3)).send();
    });
    assert_eq!(told()[2..], ["Filled 3 open false", "Buy 3 at 100.01 held 3"]);
}

#[test]
fn without_a_quote_the_last_close_is_the_market() {
    let mut desk = desk();
    act(&mut desk, |ctx| {
        ctx.buy(Instrument(1), Qty::shares(1)).send();
    });
    assert_eq!(told(), TAKEN);
    desk.close(1, 50.0);
    assert_eq!(told(), ["Buy 1 at 50 held 1", "Filled 1 open false", "bars 0 at 60"]);
}

#[test]
fn cancels_and_refusals_are_told() {
    let mut desk = desk();
    act(&mut desk, |ctx| {
        ctx.buy(SYMBOL, Qty::shares(3)).limit(price(99.0)).send();
    });
    told();
    act(&mut desk, |ctx| {
        let open = ctx.open_orders();
        ctx.cancel(open[0].id);
    });
    assert_eq!(told(), ["Canceled 0 open false"]);
    act(&mut desk, |ctx| ctx.cancel(OrderId(12)));
    assert_eq!(told(), ["refused unknown-order open 0"]);
    desk.refuse(Some("position-limit"));
    act(&mut desk, |ctx| {
        ctx.buy(SYMBOL, Qty::shares(3)).send();
    });
    assert_eq!(told(), ["refused position-limit open 0"]);
    desk.refuse(None);
    act(&mut desk, |ctx| {
        ctx.buy(SYMBOL, Qty::shares(3)).limit(price(99.0)).send();
        ctx.buy(Instrument(1), Qty::shares(3)).limit(price(9.0)).send();
    });
    act(&mut desk, |ctx| {
        assert_eq!(ctx.open_orders().len(), 2);
        ctx.cancel_all();
    });
    assert!(desk.open_orders().is_empty());
    assert_eq!(desk.cancels(), [desk.submits()[0].id, OrderId(12)]);
}

#[test]
fn an_order_is_open_from_the_moment_it_is_sent() {
    let mut desk = desk();
    act(&mut desk, |ctx| {
        assert!(!ctx.has_open_order(SYMBOL));
        let id = ctx.buy(SYMBOL, Qty::shares(3)).limit(price(99.0)).send();
        let expected = OpenOrder {
            id,
            leg: None,
            instrument: SYMBOL,
            side: Side::Buy,
            quantity: Qty::shares(3),
            filled: Qty::ZERO,
            kind: OrderKind::Limit(price(99.0)),
            status: OrderStatus::Pending,
        };
        assert_eq!(ctx.open_orders(), [expected]);
    });
    assert_eq!(told(), TAKEN);
}

#[test]
fn an_order_the_host_never_heard_of_is_forgotten() {
    let mut desk = desk();
    desk.ignore_intents(true);
    act(&mut desk, |ctx| {
        ctx.buy(SYMBOL, Qty::shares(3)).time_to_live(Duration::from_secs(30)).send();
    });
    desk.pass(UNHEARD_FOR + Duration::from_secs(29));
    act(&mut desk, |ctx| assert!(ctx.has_open_order(SYMBOL)));
    desk.pass(Duration::from_secs(1));
    act(&mut desk, |ctx| assert!(!ctx.has_open_order(SYMBOL)));
    assert!(told().is_empty());
}

#[test]
fn ids_are_new_in_every_life_and_follow_time() {
    let mut desk = desk();
    let two = |ctx: &mut Ctx<'_>| {
        ctx.buy(SYMBOL, Qty::shares(1)).send();
        ctx.buy(SYMBOL, Qty::shares(1)).send();
    };
    act(&mut desk, two);
    desk.pass(Duration::from_secs(1));
    act(&mut desk, two);
    desk.pass(Duration::from_secs(1));
    desk.restart("{}", &["SPY", "IBM"]).expect("it takes these");
    // The desk panics at an id that was used before.
    act(&mut desk, two);
    let ids: Vec<u64> = desk.submits().iter().map(|it| it.id.0).collect();
    assert_eq!(ids, [1, 2, 1_000_000, 1_000_001, 2_000_000, 2_000_001]);
}

#[test]
fn a_ticket_says_what_is_sent() {
    let mut desk = desk();
    act(&mut desk, |ctx| {
        let ticket = ctx.sell(SYMBOL, Qty::shares(2)).limit(price(101.5)).time_in_force(TimeInForce::Gtc);
        ticket.reprice(price(101.0)).extended_hours().time_to_live(Duration::from_millis(1500)).send();
        ctx.signal(SYMBOL, "because");
        ctx.signal(None, "and so");
    });
    let submit = Submit {
        id: OrderId(1),
        instrument: SYMBOL,
        side: Side::Sell,
        amount: Amount::Shares(Qty::shares(2)),
        kind: OrderKind::Limit(price(101.5)),
        class: OrderClass::Simple,
        reprice: Some(price(101.0)),
        time_in_force: TimeInForce::Gtc,
        extended_hours: true,
        time_to_live: Duration::from_millis(1500),
    };
    assert_eq!(
        *desk.intents(),
        [
            Intent::Submit(submit),
            Intent::Signal { instrument: Some(SYMBOL), reason: "because".into() },
            Intent::Signal { instrument: None, reason: "and so".into() },
        ]
    );
}

#[test]
fn what_befalls_lasts_until_it_is_eased() {
    let mut desk = desk();
    let buy = |desk: &mut Harness<Scripted>| {
        act(desk, |ctx| _ = ctx.buy(Instrument(0), Qty::shares(9)).send());
        told().last().cloned().expect("it was told something")
    };
    desk.befall(Fate::FillsUpTo(Qty::shares(4)));
    assert_eq!(buy(&mut desk), "PartiallyFilled 4 open true");
    desk.befall(Fate::Refuses("no-lease"));
    assert_eq!((buy(&mut desk).as_str(), desk.is_refusing()), ("refused no-lease open 1", true));
    desk.befall(Fate::UpdatesFirst(true));
    desk.ease();
    assert!(!desk.is_refusing());
    assert_eq!(buy(&mut desk), "Buy 9 at 100.01 held 18");
    desk.befall(Fate::Restarts);
    desk.befall(Fate::Quiet);
    let kinds: std::collections::BTreeSet<String> = (0..24 * 200)
        .map(|number| format!("{:?}", Fate::pick(number)).split('(').next().expect("a word").to_owned())
        .collect();
    assert_eq!(kinds.len(), 8, "{kinds:?}");
}

#[test]
fn a_quoted_minute_has_a_fresh_quote() {
    let mut desk = desk();
    desk.quoted_closes(&[(1, 10.0)], 0.5);
    let quote = desk.host().last_quote(Instrument(1)).expect("it was fed");
    assert_eq!((quote.bid, quote.ask, quote.time), (9.75, 10.25, Time::from_secs(59)));
    desk.quoted_closes(&[(1, 10.0)], 0.5);
    assert_eq!(told(), ["bars 0 at 60", "bars 60 at 120"]);
    let is_fresh = |age| {
        let mut orders = crate::runner::Orders::default();
        Ctx::new(desk.host(), &mut orders).fresh_quote(Instrument(1), Duration::from_secs(age)).is_some()
    };
    assert_eq!([is_fresh(0), is_fresh(1)], [false, true]);
}

#[test]
fn timers_fire_in_order() {
    let mut desk = desk();
    act(&mut desk, |ctx| {
        for (id, at) in [(1, 30), (2, 10), (3, 20), (4, 15), (2, 40), (5, 99)] {
            ctx.set_timer(id, Time::from_secs(at));
        }
        ctx.cancel_timer(4);
    });
    desk.pass(Duration::from_secs(60));
    assert_eq!(told(), ["timer 3 at 20", "timer 1 at 30", "timer 2 at 40"]);
    assert_eq!(desk.now(), Time::from_secs(60));
}

#[test]
fn timers_fire_before_the_bar_that_ends_after_them() {
    let mut desk = desk();
    act(&mut desk, |ctx| {
        ctx.set_timer(1, Time::from_secs(59));
        ctx.set_timer(2, Time::from_secs(61));
    });
    desk.close(0, 10.0);
    desk.close(0, 10.0);
    assert_eq!(told(), ["timer 1 at 59", "bars 0 at 60", "timer 2 at 61", "bars 60 at 120"]);
}

#[test]
fn everything_else_is_handed_on() {
    let mut desk = desk();
    desk.open_session();
    desk.trade(0, 100.5, 20.0);
    desk.stream_health(StreamHealth::Stale);
    desk.closes(&[(0, 100.0), (1, 50.0)]);
    desk.close(0, 101.0);
    desk.restart("{}", &["SPY"]).expect("it takes these");
    let expected = [
        "open",
        "trade 100.5 20",
        "Stale",
        "bars 0 at 60",
        "bars 60 at 120",
        "stop restart",
        "load 7 state",
        "open",
        "Stale",
    ];
    assert_eq!(told(), expected);
    assert!(Harness::<Scripted>::new("", &["SPY"]).is_err());
}

#[test]
fn money_follows_the_fills() {
    let mut desk = desk();
    act(&mut desk, |ctx| {
        ctx.buy(SYMBOL, Qty::shares(10)).send();
    });
    desk.quote(0, 110.0, 112.0);
    let account = desk.account();
    // Paid 1,000.10; marked at the middle.
    assert_eq!(account.buying_power, START_EQUITY - Usd::from_nanos(1_000_100_000_000));
    assert_eq!(account.equity, account.buying_power + Usd::dollars(1110));
    desk.quote(0, 110.0, 110.03);
    TOLD.with(|told| {
        told.borrow_mut().act = Some(|ctx| {
            ctx.buy(SYMBOL, Qty::shares(10)).send();
        });
    });
    desk.quote(0, 110.0, 110.03);
    assert_eq!(desk.position(0), Position { quantity: Qty::shares(20), average_price: price(105.02) });
    act(&mut desk, |ctx| {
        ctx.sell(SYMBOL, Qty::shares(25)).send();
    });
    assert_eq!(desk.position(0), Position { quantity: Qty::shares(-5), average_price: price(99.99) });
}

#[test]
fn history_and_chance_are_there() {
    let mut desk = desk();
    (1..=5).for_each(|step| desk.close(0, f64::from(step)));
    let bars = desk.host().history(SYMBOL, 2);
    assert_eq!((bars.len(), bars.close), (2, vec![4.0, 5.0]));
    assert_eq!(bars.start, [Time::from_secs(180), Time::from_secs(240)]);
    assert_eq!(desk.host().history(SYMBOL, 9).len(), 5);
    assert!(desk.host().history(Instrument(1), 9).is_empty());
    // The first numbers of SplitMix64 from zero.
    assert_eq!(desk.host().random(), 0xe220_a839_7b1d_cdaf);
    assert_eq!(desk.host().random(), 0x6e78_9e6a_a1b9_65f4);
}

#[test]
#[should_panic(expected = "off tick")]
fn a_price_between_ticks_is_a_mistake() {
    act(&mut desk(), |ctx| {
        ctx.buy(SYMBOL, Qty::shares(1)).limit(price(100.001)).send();
    });
}

#[test]
#[should_panic(expected = "an order for nothing")]
fn a_quantity_of_zero_is_a_mistake() {
    act(&mut desk(), |ctx| {
        ctx.buy(SYMBOL, Qty::ZERO).send();
    });
}

#[test]
fn bars_out_of_turn_take_their_place_and_news_is_told() {
    let mut desk = desk();
    let minute = |minute: i64, close: f64| Bar {
        instrument: Instrument(0),
        start: Time::from_nanos(minute * 60_000_000_000),
        open: 1.0,
        high: 9.0,
        low: 1.0,
        close,
        volume: 100.0,
    };
    desk.bar(minute(1, 1.0));
    desk.bar(minute(3, 3.0));
    desk.bar_out_of_turn(minute(2, 2.0));
    desk.bar_out_of_turn(minute(1, 1.5));
    let updated = Time::from_nanos(300_000_000_000);
    let news =
        News { updated, headline: "It moved".into(), instruments: vec![Instrument(0)], ..News::default() };
    desk.news(news);
    assert_eq!(
        told(),
        ["late 2 of [1.0, 2.0, 3.0]", "corrected 1.5 of [1.5, 2.0, 3.0]", "It moved about 1 at 240"]
    );
}
