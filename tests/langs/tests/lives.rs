//! A real strategy that is struck out or replaced in mid-session looks after its money all the same.

use sandpit_langs_tests::{Live, Yard, bounds, built_of_rust};
use sandpit_strategy::{StrategyEvent, StrategyOutput};
use sandpit_types::{Intent, MarketEvent, MarketTime, Quote, SessionDay, StreamHealth, Symbol, Usd};
use serde_json::{Value, json};

const COMPILE: &str = env!("CARGO_BIN_EXE_sandpit-langs-compile");
/// 2026-11-20, 14:30 UTC.
const OPEN_SECS: i64 = 1_795_185_000;

fn market(event: MarketEvent) -> StrategyEvent {
    StrategyEvent::Market(event)
}

/// What it wants about a quote at that time, and the look that follows.
fn look(live: &mut Live, secs: i64, price: f64) -> Vec<Intent> {
    let (symbol, time) = (Symbol::new("SPY"), MarketTime::from_secs(OPEN_SECS + secs));
    let quote = Quote { symbol, time, bid: price - 0.01, bid_size: 100, ask: price + 0.01, ask_size: 100 };
    let tick = StrategyEvent::Tick(MarketTime::from_secs(OPEN_SECS + secs + 1));
    let outputs = [market(MarketEvent::Quote(quote)), tick].map(|event| live.tell(event)).concat();
    let intents = outputs.into_iter().flat_map(|output| match output {
        StrategyOutput::Intents { intents, .. } => intents,
        other => panic!("{other:?}"),
    });
    intents.collect()
}

/// A market maker whose bid rests, five minutes after the open, and is not answered.
fn resting(yard: &Yard, parameters: &Value) -> Live {
    let plugin = yard.load(&built_of_rust("market_maker")).unwrap_or_else(|error| panic!("{error}"));
    let mut live = Live::start(yard, &plugin, parameters, bounds()).unwrap_or_else(|error| panic!("{error}"));
    let usd = |dollars: i64| Usd::from_nanos(dollars * 1_000_000_000);
    live.tell(StrategyEvent::Account { equity: usd(100_000), buying_power: usd(200_000) });
    let [open, close] = [0, 390 * 60].map(|secs| MarketTime::from_secs(OPEN_SECS + secs));
    live.tell(market(MarketEvent::SessionOpen(SessionDay { open, close })));
    let wanted = (0..60).flat_map(|step| look(&mut live, 5 * step, 100.0 + (step % 2) as f64 * 0.01));
    assert!(wanted.collect::<Vec<_>>().iter().any(|it| matches!(it, Intent::Submit(_))), "it quotes");
    live
}

#[test]
fn a_new_version_of_the_market_maker_goes_on_in_mid_session() {
    let yard = Yard::new(COMPILE);
    let parameters = json!({"quote_shares": 4, "target_shares": 6, "max_shares": 10});
    let mut live = resting(&yard, &parameters);
    live.swap(&yard, &yard.load(&built_of_rust("market_maker")).expect("as before"), &parameters);
    // It has to measure the market anew: until then its bid is taken down, which only an open session does.
    let wanted = look(&mut live, 300, 99.0);
    assert!(wanted.iter().any(|it| matches!(it, Intent::Cancel(_))), "{wanted:?}");
    live.stop();
}

#[test]
fn a_new_version_of_the_market_maker_knows_that_data_are_stale() {
    let yard = Yard::new(COMPILE);
    let parameters = json!({"quote_shares": 4, "target_shares": 6, "max_shares": 10});
    let mut live = resting(&yard, &parameters);
    live.tell(market(MarketEvent::Health(StreamHealth::Stale, MarketTime::from_secs(OPEN_SECS + 299))));
    live.swap(&yard, &yard.load(&built_of_rust("market_maker")).expect("as before"), &parameters);
    let wanted: Vec<_> = (60..120).flat_map(|step| look(&mut live, 5 * step, 100.0)).collect();
    assert!(!wanted.iter().any(|it| matches!(it, Intent::Submit(_))), "{wanted:?}");
    live.stop();
}
