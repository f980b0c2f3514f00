//! Bars a second through a whole run: `backtest SANDPIT PLUGIN.wasm BARS [name=value…]`.
#![allow(missing_docs)]

use std::time::Duration;

use sandpit_backtest::{Settings, run, value};
use sandpit_risk::{Grant, Limits};
use sandpit_strategy::{Bounds, COMPILE_MEMORY_BYTES, Compiler, Engine, Manifest, Plugin};
use sandpit_types::{Bar, MarketEvent, MarketTime, Symbol};
use sandpit_venue::{Calendar, VenueConfig};

fn bars(count: usize) -> Vec<MarketEvent> {
    let (calendar, mut date, mut price, mut x) =
        (Calendar::nyse(), jiff::civil::date(2013, 1, 2), 150.0_f64, 88172645463325252_u64);
    let mut events = Vec::with_capacity(count);
    while events.len() < count {
        if let Some(day) = calendar.session(date) {
            let mut start = day.open;
            while start < day.close && events.len() < count {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                let open = price;
                price = (price * 100.0 + ((x % 21) as f64 - 10.0) * 0.6).round() / 100.0;
                price = price.clamp(50.0, 400.0);
                events.push(MarketEvent::Bar(Bar {
                    symbol: Symbol::new("SPY"),
                    start,
                    open,
                    high: open.max(price),
                    low: open.min(price),
                    close: price,
                    volume: 100_000,
                    vwap: price,
                }));
                start = start + Duration::from_secs(60);
            }
        }
        date = date.tomorrow().expect("in range");
    }
    events
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let (Some(program), Some(plugin), Some(count)) = (args.next(), args.next(), args.next()) else { return };
    let cache = std::env::temp_dir().join("sandpit-bench-backtest");
    let compiler = Compiler {
        command: vec![program.into(), "compile-plugin".into()],
        cache_dir: cache,
        memory_cap_bytes: COMPILE_MEMORY_BYTES,
    };
    let engine = Engine::new().expect("an engine");
    let plugin = Plugin::load(&engine, &compiler, plugin.as_ref()).expect("a plugin");
    let mut manifest = Manifest { instruments: Some(vec![Symbol::new("SPY")]), ..Manifest::default() };
    for arg in args {
        let (name, text) = arg.split_once('=').expect("name=value");
        manifest.parameters.insert(name.to_owned(), value(text));
    }
    let settings = Settings {
        engine,
        plugin,
        manifest,
        bounds: Bounds::default(),
        grant: Grant::default(),
        limits: Limits::default(),
        venue: VenueConfig::default(),
        realism: "exact".to_owned(),
        data: vec![],
    };
    let events = bars(count.parse().expect("a number"));
    let mut reel = events.into_iter();
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    let begun = std::time::Instant::now();
    let outcome = run(&settings, &mut reel, &mut |_| true).expect("it runs");
    let took = begun.elapsed();
    let orders = &outcome.material.orders;
    println!(
        "{} events, {} orders, {} fills, refused {:?}, {:?}: {:.3} s, {:.0} a second, {:.0} ns each",
        outcome.events,
        orders.sent,
        outcome.material.fills.len(),
        outcome.material.refusals,
        outcome.end.sentence(),
        took.as_secs_f64(),
        outcome.events as f64 / took.as_secs_f64(),
        took.as_nanos() as f64 / outcome.events as f64,
    );
    if std::env::var_os("FILLS").is_some() {
        for fill in outcome.material.fills.iter().take(60) {
            println!("{} {:?} {} {}", fill.time, fill.side, fill.qty, fill.price);
        }
    }
    println!("{:?} {:?}", outcome.material.curve, outcome.material.subject.notes);
}
