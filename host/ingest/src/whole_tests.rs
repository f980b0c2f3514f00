//! The schedule of REST and the sequence together, second by second, against a broker that loses bars, a
//! stream that comes and goes, and a REST that does: in the end every bar was delivered, and once.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use sandpit_broker::Subscription;
use sandpit_types::{Bar, BarMark, MarketEvent, MarketTime, Symbol};

use crate::{
    fetch::{Errand, Purpose},
    rest::{Mode, Rest},
    sequence::{Moment, Sequence, Source},
};

const GRACE: Duration = Duration::from_millis(300);
const WITHIN: Duration = Duration::from_secs(20);
/// What the last audits need after all is well again: two rounds of them.
const AFTERMATH: i64 = 700;

/// What is true of one bar.
#[derive(Clone, Copy, Debug)]
struct Made {
    /// How many seconds after its minute the stream sends it.
    delay: i64,
    /// The stream loses it.
    lost: bool,
}

/// A broker on a bad day.
#[derive(Clone, Debug)]
struct Broker {
    /// By symbol and minute; a minute without trades has no bar.
    bars: Vec<Vec<Option<Made>>>,
    /// How many seconds after its minute REST has a bar.
    lag: i64,
    /// How many seconds an answer takes.
    latency: i64,
    /// When the stream comes or goes.
    switches: Vec<i64>,
    /// When REST is away: from a second on, for so many.
    outages: Vec<(i64, i64)>,
}

fn at(secs: i64) -> MarketTime {
    MarketTime::from_secs(secs)
}

fn bar(symbol: usize, minute: usize) -> MarketEvent {
    let symbol = Symbol::new(["A", "B", "C"][symbol]);
    let (open, high, low, close, vwap) = (1.0, 1.0, 1.0, 1.0, 1.0);
    let start = at(minute as i64 * 60);
    MarketEvent::Bar(Bar { symbol, start, open, high, low, close, volume: 1, vwap })
}

impl Broker {
    /// All bars for which `is` holds, in order of time, then symbol.
    fn all(&self, is: impl Fn(i64, Made) -> bool) -> Vec<MarketEvent> {
        let minutes = self.bars.first().map_or(0, Vec::len);
        (0..minutes)
            .flat_map(|minute| (0..self.bars.len()).map(move |symbol| (symbol, minute)))
            .filter(|&(symbol, minute)| {
                self.bars[symbol][minute].is_some_and(|made| is(minute as i64 * 60, made))
            })
            .map(|(symbol, minute)| bar(symbol, minute))
            .collect()
    }

    fn stream(&self, second: i64) -> Vec<MarketEvent> {
        self.all(|start, made| !made.lost && start + 60 + made.delay == second)
    }

    fn rest(&self, from: MarketTime, to: MarketTime, second: i64) -> Option<Vec<MarketEvent>> {
        let away = self.outages.iter().any(|(begin, span)| (*begin..begin + span).contains(&second));
        let has = |start: i64, _| from <= at(start) && at(start) < to && start + 60 + self.lag <= second;
        (!away).then(|| self.all(has))
    }
}

/// Does what the loop does.
fn live_through(broker: &Broker, zero: Instant) -> Vec<MarketEvent> {
    let minutes = broker.bars.first().map_or(0, Vec::len) as i64;
    let outages = broker.outages.iter().map(|(from, span)| from + span);
    let well = outages.chain(broker.switches.iter().copied()).chain([minutes * 60]).max().unwrap_or(0) + 5;
    let symbols: Vec<Symbol> = ["A", "B", "C"][..broker.bars.len()].iter().map(Symbol::new).collect();
    let wanted = Subscription { bars: symbols, ..Subscription::default() };
    let mut sequence = Sequence::new(&wanted, None, Vec::new(), at(0), GRACE, Duration::from_secs(5));
    let moment = |second: i64| Moment { real: zero + Duration::from_secs(second as u64), market: at(second) };
    let mut rest = Rest::new(broker.bars.len(), at(0), moment(0));
    let (mut up, mut asking, mut out) = (false, None::<(i64, Errand, u32)>, Vec::new());
    for second in 0..well + AFTERMATH {
        let now = moment(second);
        if broker.switches.contains(&second) || (second == well && !up) {
            up = !up;
            asking = None;
            if !up {
                sequence.release(now, &mut out);
                rest.fell(now);
            } else if rest.opened(now, WITHIN) {
                sequence.hold();
            }
        }
        if up {
            sequence.frame(&mut broker.stream(second), now, &mut out);
        }
        let mode = if up { Mode::Audit } else { Mode::Carry };
        if asking.is_none()
            && let Some(errand) = rest.ask_bars(mode, now)
        {
            asking = Some((second + broker.latency, errand, sequence.ask()));
        }
        if let Some((_, Errand::Bars { from, to, purpose }, request)) =
            asking.take_if(|(due, ..)| *due <= second)
        {
            match broker.rest(from, to, second) {
                None => rest.bars_failed(purpose, now, second as u64),
                Some(events) => {
                    let before = sequence.counts().bars;
                    for event in events {
                        sequence.on(event, Source::Rest { request }, now, &mut out);
                    }
                    let found = sequence.counts().bars > before;
                    if rest.bars_came((from, to, purpose), found, None, now) {
                        assert_eq!(purpose, Purpose::Fill, "nothing else fills a gap");
                        sequence.release(now, &mut out);
                    }
                }
            }
        }
        if rest.give_up(now).is_some() {
            asking = None;
            sequence.release(now, &mut out);
        }
        sequence.on_time(now, &mut out);
    }
    out
}

fn brokers() -> impl Strategy<Value = Broker> {
    // Most bars come at once, some late; a few get lost; some minutes have none.
    let delay = prop_oneof![5 => 0_i64..4, 1 => 4_i64..55];
    let made = (delay, prop::bool::weighted(0.1)).prop_map(|(delay, lost)| Made { delay, lost });
    let made = prop::option::weighted(0.8, made);
    (1_usize..4, 1_usize..25).prop_flat_map(move |(symbols, minutes)| {
        (
            prop::collection::vec(prop::collection::vec(made.clone(), minutes), symbols),
            0_i64..=4,
            0_i64..4,
            prop::collection::vec(0_i64..1_500, 0..12),
            prop::collection::vec((0_i64..1_500, 1_i64..400), 0..3),
        )
            .prop_map(|(bars, lag, latency, switches, outages)| Broker {
                bars,
                lag,
                latency,
                switches,
                outages,
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn on_a_bad_day_every_bar_is_delivered_once(broker in brokers()) {
        #[expect(clippy::disallowed_methods, reason = "an Instant can be made in no other way")]
        let out = live_through(&broker, Instant::now());
        let mut delivered: BTreeMap<(Symbol, MarketTime), u32> = BTreeMap::new();
        for event in &out {
            match event {
                MarketEvent::Bar(bar) | MarketEvent::MarkedBar(bar, BarMark::Late) => {
                    *delivered.entry((bar.symbol.clone(), bar.start)).or_default() += 1;
                }
                MarketEvent::BarsComplete(_) => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }
        for event in broker.all(|_, _| true) {
            let MarketEvent::Bar(bar) = event else { continue };
            prop_assert_eq!(delivered.remove(&(bar.symbol.clone(), bar.start)), Some(1), "{:?}", bar);
        }
        prop_assert!(delivered.is_empty(), "of nothing: {delivered:?}");
    }
}
