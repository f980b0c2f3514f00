//! Streams that are open and say nothing.

use std::time::{Duration, Instant};

use sandpit_faults::{Figures, Heard, Host, Lanes, Mode, Setup, Sim, millis, now, until};
use sandpit_types::MarketEvent;
use serde_json::json;

use crate::common::{FALLBACK, PATIENCE, SYMBOLS, assert_whole, first_data, notice, secs};

/// A mute stream with quotes is noticed within this.
const MUTE_WITH_QUOTES: Duration = Duration::from_secs(15);
/// A mute stream of bars alone.
const MUTE_WITH_BARS: Duration = Duration::from_secs(75);
/// So much more is waited, so that a miss has a figure.
const MORE: Duration = Duration::from_secs(90);

/// Nothing is compressed. The market stands 20 s before the turn of a minute, so that a bar falls into the
/// silence.
fn sim(seed: &str) -> Sim {
    Sim::in_session(&["--seed", seed], secs(640), 1)
}

/// The figures and bounds of a silence that began at `since`; `heal` ends it. What was missed comes over REST
/// or with the next connection, whichever is first.
fn check(name: &'static str, sim: &Sim, host: &Host, since: Instant, bound: Duration, heal: impl FnOnce()) {
    let noticed = notice(host, since, bound + MORE);
    let fallback = first_data(host, since + noticed);
    heal();
    let ledger = host.settle(sim, PATIENCE);
    Figures::of(name)
        .and("bars", ledger.told())
        .and("notice", millis(noticed))
        .and("first fallback", millis(fallback))
        .tell();
    assert_whole(&ledger);
    assert!(noticed <= bound, "noticed after {noticed:?}");
    assert!(fallback <= FALLBACK, "data after {fallback:?}");
}

#[test]
fn mute_stream_with_quotes() {
    let sim = sim("11");
    let lanes = Lanes::to(&sim);
    let host = Host::start(&sim, &lanes, &Setup::new(&sim, &SYMBOLS, 11));
    host.live();
    let fault = sim.fault(&json!({"kind": "mute", "stream": "data", "at_most": 1}));
    until("the silence", secs(20), || sim.hits(fault) > 0);
    check("mute_stream_with_quotes", &sim, &host, now(), MUTE_WITH_QUOTES, || sim.heal(fault));
}

#[test]
fn mute_stream_bars_only() {
    let sim = sim("12");
    let lanes = Lanes::to(&sim);
    let host = Host::start(&sim, &lanes, &Setup::new(&sim, &SYMBOLS, 12).bars_only());
    let started = now();
    until("a bar of the stream", secs(60), || {
        // The bars before are those of the gap; the first minute of ours ends after 20 s.
        started.elapsed() > secs(10) && host.tape.first(started + secs(10), Heard::is_data).is_some()
    });
    let fault = sim.fault(&json!({"kind": "mute", "stream": "data"}));
    check("mute_stream_bars_only", &sim, &host, now(), MUTE_WITH_BARS, || sim.heal(fault));
}

/// The user's own symbols are few: the canary's quotes are the pulse, and never delivered.
#[test]
fn mute_stream_of_thin_symbols() {
    let sim = sim("14");
    let lanes = Lanes::to(&sim);
    let host = Host::start(&sim, &lanes, &Setup::new(&sim, &["F"], 14));
    host.live();
    let pulses = host.stats.pulses();
    until("the canary", PATIENCE, || host.stats.pulses() > pulses);
    let fault = sim.fault(&json!({"kind": "mute", "stream": "data", "at_most": 1}));
    until("the silence", secs(20), || sim.hits(fault) > 0);
    check("mute_stream_of_thin_symbols", &sim, &host, now(), MUTE_WITH_QUOTES, || sim.heal(fault));
    let is_canary = |heard: &Heard| match &heard.event {
        MarketEvent::Quote(quote) => quote.symbol.as_str() != "F",
        MarketEvent::Bar(bar) => bar.symbol.as_str() != "F",
        _ => false,
    };
    assert!(!host.tape.any(is_canary), "the canary is delivered to nobody");
}

#[test]
fn half_open_tcp() {
    let sim = sim("13");
    let lanes = Lanes::to(&sim);
    let host = Host::start(&sim, &lanes, &Setup::new(&sim, &SYMBOLS, 13));
    host.live();
    let since = lanes.stream.set(Mode::Hole);
    check("half_open_tcp", &sim, &host, since, MUTE_WITH_QUOTES, || {
        lanes.stream.set(Mode::Open);
    });
}
