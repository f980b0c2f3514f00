use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sandpit_types::{Quote, Trade};

use super::{
    memory::{MINUTES, REMEMBERED},
    *,
};

const GRACE: Duration = Duration::from_millis(300);
const AHEAD: Duration = Duration::from_secs(5);
const FRAME_MS: u32 = 20;
const NAMES: [&str; 4] = ["A", "B", "C", "D"];

#[expect(clippy::disallowed_methods, reason = "an Instant can be made in no other way; tests only add to it")]
fn zero() -> Instant {
    Instant::now()
}

fn at(secs: i64) -> MarketTime {
    MarketTime::from_secs(secs)
}

fn name(index: usize) -> Symbol {
    Symbol::new(NAMES[index])
}

fn bar_with(symbol: &Symbol, start: MarketTime, volume: u64) -> Bar {
    let (symbol, price) = (symbol.clone(), 1.0);
    let (open, high, low, close, vwap) = (price, price, price, price, price);
    Bar { symbol, start, open, high, low, close, volume, vwap }
}

fn bar(symbol: &Symbol, start: MarketTime) -> MarketEvent {
    MarketEvent::Bar(bar_with(symbol, start, 1))
}

fn quote(symbol: &Symbol, time: MarketTime) -> MarketEvent {
    let (symbol, bid, ask) = (symbol.clone(), 1.0, 2.0);
    MarketEvent::Quote(Quote { symbol, time, bid, bid_size: 1, ask, ask_size: 1 })
}

fn of(symbols: usize) -> Subscription {
    let names: Vec<Symbol> = (0..symbols).map(name).collect();
    Subscription { bars: names.clone(), quotes: names, trades: Vec::new(), news: Vec::new() }
}

fn sequence(symbols: usize, days: Vec<SessionDay>) -> Sequence {
    Sequence::new(&of(symbols), Some(&Symbol::new("Y")), days, at(0), GRACE, AHEAD)
}

const fn minute_of(start: MarketTime) -> i64 {
    start.as_nanos() / 60_000_000_000
}

/// A bar is a letter and its minute, its volume after a `=` when it is not 1, a mark in front: `lA1`,
/// `cA1=2`.
fn text(event: &MarketEvent) -> String {
    let of_bar = |bar: &Bar| {
        let volume = if bar.volume == 1 { String::new() } else { format!("={}", bar.volume) };
        format!("{}{}{volume}", bar.symbol, minute_of(bar.start))
    };
    match event {
        MarketEvent::Bar(bar) => of_bar(bar),
        MarketEvent::MarkedBar(bar, BarMark::Late) => format!("l{}", of_bar(bar)),
        MarketEvent::MarkedBar(bar, BarMark::Corrected) => format!("c{}", of_bar(bar)),
        MarketEvent::Quote(quote) => format!("{}@{}", quote.symbol, quote.time.as_millis() / 1_000),
        MarketEvent::Trade(trade) => format!("{}t{}", trade.symbol, trade.time.as_millis() / 1_000),
        MarketEvent::BarsComplete(start) => format!("done{}", minute_of(*start)),
        MarketEvent::SessionOpen(_) => "open".to_owned(),
        MarketEvent::SessionClose(_) => "close".to_owned(),
        MarketEvent::News(_) | MarketEvent::Health(..) => "other".to_owned(),
    }
}

/// A letter with a minute (`A2`, a bar; `A2=5` with a volume), or with a second (`A@130`, a quote).
fn event(word: &str) -> MarketEvent {
    let symbol = Symbol::new(&word[..1]);
    if let Some(second) = word[1..].strip_prefix('@') {
        return quote(&symbol, at(second.parse().expect("a second")));
    }
    let (minute, volume) = word[1..].split_once('=').unwrap_or((&word[1..], "1"));
    let start = at(minute.parse::<i64>().expect("a minute") * 60);
    MarketEvent::Bar(bar_with(&symbol, start, volume.parse().expect("a volume")))
}

/// Plays `SECOND:WORD`s to a sequence of A and B with the canary Y, in a session from second 60 to 300. A
/// word is an [`event`], over REST with an `r` in front (`R` when it was asked for before all else), a
/// correction of the stream with a `u`; or `hold`, `release`, or `tick` for the clock alone.
fn play(script: &str) -> (String, Counts) {
    let zero = zero();
    let mut sequence = sequence(2, vec![SessionDay { open: at(60), close: at(300) }]);
    let early = sequence.ask();
    let mut out = Vec::new();
    for step in script.split_whitespace() {
        let (second, word) = step.split_once(':').expect("a step");
        let second: f64 = second.parse().expect("a second");
        let real = zero + Duration::from_secs_f64(second);
        let now = Moment { real, market: MarketTime::from_nanos((second * 1e9) as i64) };
        match word {
            "hold" => sequence.hold(),
            "release" => sequence.release(now, &mut out),
            "tick" => {}
            word => {
                let (event, source) = if let Some(word) = word.strip_prefix('r') {
                    (event(word), Source::Rest { request: sequence.ask() })
                } else if let Some(word) = word.strip_prefix('R') {
                    (event(word), Source::Rest { request: early })
                } else if let Some(word) = word.strip_prefix('u') {
                    let MarketEvent::Bar(bar) = event(word) else { panic!("only bars are corrected") };
                    (MarketEvent::MarkedBar(bar, BarMark::Corrected), Source::Stream)
                } else {
                    (event(word), Source::Stream)
                };
                sequence.on(event, source, now, &mut out);
            }
        }
        sequence.on_time(now, &mut out);
    }
    (out.iter().map(text).collect::<Vec<_>>().join(" "), sequence.counts())
}

fn check(script: &str, expected: &str) {
    assert_eq!(play(script).0, expected, "{script}");
}

#[test]
fn a_minute_is_complete_once() {
    // All bars are in.
    check("120:A1 120:B1 180:B2 180:A2", "open A1 B1 done1 B2 A2 done2");
    // One symbol did not trade: the grace, counted from the newest bar, or the next minute.
    check("120:A1 120.2:tick 120.31:tick", "open A1 done1");
    check("120:A1 120.2:B1", "open A1 B1 done1");
    check("120:A1 180:A2 180:B2", "open A1 done1 A2 B2 done2");
    // A minute without any bar is never complete.
    check("120:A1 120:B1 240:A3 240:B3", "open A1 B1 done1 A3 B3 done3");
}

#[test]
fn a_bar_out_of_turn_is_late_not_lost() {
    // After its minute was complete; it completes nothing again.
    check("120:A1 120.4:tick 121:B1 122:tick", "open A1 done1 lB1");
    // After a newer one of its symbol, over either way.
    check("180:A2 180:A1 180:B2", "open A2 lA1 B2 done2");
    check("180:A2 180:B2 186:rA1 186:rB1", "open A2 B2 done2 lA1 lB1");
    // After a newer one of another symbol: a strategy has gone on to the next minute.
    check("180:A2 180.1:B1 180.2:B2", "open A2 lB1 B2 done2");
    // After the bell, and what came before all that was asked for.
    check("299:tick 301:tick 301.4:tick 302:A4", "open close lA4");
    let (out, counts) = play("120:A1 120:B1 121:A-1");
    assert_eq!((out.as_str(), counts.too_old), ("open A1 B1 done1", 1));
}

#[test]
fn other_figures_are_a_correction_and_the_same_are_a_repeat() {
    check("120:A1 120:B1 150:uA1=2 150:uB1 151:uA1=2", "open A1 B1 done1 cA1=2");
    check("120:A1 120:B1 126:rA1=2 126:rB1 127:rA1=2 128:rA1=3", "open A1 B1 done1 cA1=2 cA1=3");
    // Of a bar that was not delivered, the correction is the bar; the bar itself then says nothing new.
    check("120:B1 121:tick 150:uA1=2 151:A1", "open B1 done1 lA1=2");
    check("120:uA1=2 120:A1 120:B1", "open A1=2 B1 done1");
    check("125:rA1=2 125:rB1 126:A1", "open A1=2 B1 done1");
    // An answer is older than what the stream said after the question.
    check("120:A1 120:B1 150:uA1=2 151:RA1 152:rA1=2", "open A1 B1 done1 cA1=2");
    let (_, counts) = play("120:A1 120:B1 150:uA1=2 150:uB1 151:RA1");
    assert_eq!((counts.bars, counts.corrected_bars, counts.late_bars, counts.repeats), (2, 1, 0, 2));
}

#[test]
fn a_rounding_is_no_correction() {
    let (mut sequence, mut out) = (sequence(1, Vec::new()), Vec::new());
    let now = Moment { real: zero(), market: at(120) };
    let vwap = 3.170_731_707_317_073_f64;
    for vwap in [vwap, vwap.next_up(), vwap + 1e-9] {
        let bar = Bar { vwap, ..bar_with(&name(0), at(0), 1) };
        let request = sequence.ask();
        sequence.on(MarketEvent::Bar(bar), Source::Rest { request }, now, &mut out);
    }
    assert_eq!(out.iter().map(text).collect::<Vec<_>>().join(" "), "A0 done0 cA0");
}

#[test]
fn nothing_comes_twice_or_backwards() {
    check("120:A1 120:A1 120:B1 121:rA1", "open A1 B1 done1");
    check("70:A@70 71:A@70 72:A@69 73:rA@70 74:rA@71 74:rA@71", "open A@70 A@71");
    // Nobody asked for these; the canary is a pulse.
    let (out, counts) = play("70:Z@70 120:Z1 121:Y@121 122:Y1");
    assert_eq!((out.as_str(), counts.strangers, counts.pulses), ("open", 2, 2));
}

#[test]
fn quotes_of_one_stamp_differ() {
    let mut sequence = sequence(1, Vec::new());
    let (now, mut out) = (Moment { real: zero(), market: at(70) }, Vec::new());
    for (bid, source) in [
        (1.0, Source::Stream),
        (1.0, Source::Stream),
        (1.1, Source::Stream),
        (1.2, Source::Rest { request: 1 }),
    ] {
        let MarketEvent::Quote(mut quote) = quote(&name(0), at(70)) else { panic!("a quote") };
        quote.bid = bid;
        sequence.on(MarketEvent::Quote(quote), source, now, &mut out);
    }
    assert_eq!(out.len(), 2, "{out:?}");
    assert_eq!(sequence.counts().repeats, 2);
}

#[test]
fn a_frame_is_the_same_as_its_events_one_by_one() {
    let check = |words: &str, hold: bool| {
        let days = || vec![SessionDay { open: at(60), close: at(300) }];
        let (mut whole, mut single) = (sequence(2, days()), sequence(2, days()));
        let now = Moment { real: zero(), market: at(130) };
        let (mut at_once, mut one_by_one) = (Vec::new(), Vec::new());
        if hold {
            whole.hold();
            single.hold();
        }
        for _ in 0..2 {
            let mut came: Vec<_> = words.split_whitespace().map(event).collect();
            for event in came.clone() {
                single.on(event, Source::Stream, now, &mut one_by_one);
            }
            whole.frame(&mut came, now, &mut at_once);
            assert!(came.is_empty());
        }
        whole.release(now, &mut at_once);
        single.release(now, &mut one_by_one);
        assert_eq!(at_once, one_by_one, "{words}");
        assert_eq!(whole.counts(), single.counts(), "{words}");
    };
    for words in [
        "A@130 B@130 A@131",
        "A@130 Y@130 B@129 Z@130 A@131",
        "A@50 A@130 A1 B@131 B1 A@132",
        "A@130 A@9000 B@131",
        "A1 B1 A@130",
        "Y@130 Z@130",
        "",
    ] {
        check(words, false);
        check(words, true);
    }
}

#[test]
fn a_gap_comes_before_what_was_held() {
    check(
        "120:A1 120:B1 200:hold 241:A3 241:A@241 241:B3 242:rA2 242:rB2 242:rA3 243:release",
        "open A1 B1 done1 A@241 A2 B2 done2 A3 B3 done3",
    );
    // The connection falls: what it brought is delivered, and the gap's bars come late.
    check(
        "120:A1 120:B1 200:hold 241:A3 242:release 243:rA2 243:rB2 243:rA3",
        "open A1 B1 done1 A3 lA2 done3 lB2",
    );
}

#[test]
fn a_stamp_of_the_future_freezes_nothing() {
    check("70:A@75 71:A@77 76:A@76", "open A@75 A@76");
    check("70:A@9000 71:A@71 120:A9 120:A1 120:B1", "open A@71 A1 B1 done1");
    check("70:rA@9000 71:hold 71:A@9000 72:A@72 73:release", "open A@72");
    let mut sequence = sequence(1, Vec::new());
    let now = Moment { real: zero(), market: at(70) };
    for time in [75, 76, 9_000] {
        sequence.on(quote(&name(0), at(time)), Source::Stream, now, &mut Vec::new());
    }
    assert_eq!((sequence.counts().quotes, sequence.counts().too_early), (1, 2));
}

#[test]
fn bells_keep_their_place() {
    // Data is a clock too: the bell rings before the first data of its session, though our clock is slow.
    check("59:A@59 59.5:A@61 61:tick", "A@59 open A@61");
    // The last bars of the session come just after its end.
    check("299:tick 300:tick 300.1:A4 300.2:B4 300.6:tick", "open A4 B4 done4 close");
    check("299:tick 300:tick 300.2:A4 300.31:tick", "open A4 done4 close");
    check("299:tick 300:tick 300.1:A@301", "open A@301");
    // The close waits for them, though quotes come that are later.
    check(
        "299:tick 300:tick 300.1:A@300 300.15:A@301 300.2:A4 300.25:B4 300.6:tick",
        "open A@300 A@301 A4 B4 done4 close",
    );
    check("299:A@299 301:A@301 301.1:tick 301.31:tick", "open A@299 A@301 close");
    check("299:tick 361:A5", "open close A5");
    // They wait for a gap, whose bars come first.
    check("240:hold 301:tick 302:rA3 303:release 303.4:tick", "open A3 done3 close");
}

#[test]
fn what_is_remembered_is_bounded_and_the_oldest_goes() {
    let now = Moment { real: zero(), market: at(1_000_000) };
    let (mut sequence, mut out) = (sequence(1, Vec::new()), Vec::new());
    // Every second minute has a bar.
    let newest = 2 * MINUTES;
    for minute in (0..=newest).step_by(2) {
        sequence.on(bar(&name(0), at(minute * 60)), Source::Stream, now, &mut out);
    }
    out.clear();
    let request = sequence.ask();
    for _ in 0..2 {
        for minute in 0..newest {
            let event = MarketEvent::Bar(bar_with(&name(0), at(minute * 60), 1));
            sequence.on(event, Source::Rest { request }, now, &mut out);
        }
    }
    let late = |event: &MarketEvent| match event {
        MarketEvent::MarkedBar(bar, BarMark::Late) => minute_of(bar.start),
        other => panic!("{other:?}"),
    };
    // All that are owed, far behind the figures that are remembered, once; older ones are counted.
    let expected: Vec<i64> = (newest - MINUTES + 1..newest).step_by(2).collect();
    assert!(expected.len() > 2 * REMEMBERED);
    assert_eq!(out.iter().map(late).collect::<Vec<_>>(), expected);
    assert_eq!(sequence.counts().too_old, 2 * (newest - MINUTES + 1) as u64);
    assert_eq!(sequence.counts().forgotten, sequence.counts().too_old);
    // Of an old one, other figures are not known to be others.
    let old = bar_with(&name(0), at((newest - MINUTES + 1) * 60), 7);
    out.clear();
    let request = sequence.ask();
    sequence.on(MarketEvent::Bar(old), Source::Rest { request }, now, &mut out);
    assert!(out.is_empty(), "{out:?}");
}

#[test]
fn a_trade_out_of_order_is_no_repeat() {
    let wanted = Subscription { trades: vec![name(0)], ..Subscription::default() };
    let mut sequence = Sequence::new(&wanted, None, Vec::new(), at(0), GRACE, AHEAD);
    let (now, mut out) = (Moment { real: zero(), market: at(70) }, Vec::new());
    // Seconds and sizes: A, B, A, B of one stamp, one that is older, and a new one.
    let words = [(70, 1), (70, 2), (70, 1), (70, 2), (69, 3), (71, 1), (71, 1)];
    let trade = |(secs, size)| Trade { symbol: name(0), time: at(secs), price: 1.0, size };
    let mut came: Vec<_> = words.into_iter().map(|word| MarketEvent::Trade(trade(word))).collect();
    sequence.frame(&mut came, now, &mut out);
    let times: Vec<_> = out.iter().map(MarketEvent::time).collect();
    assert_eq!(times, [at(70), at(70), at(71)]);
    let Counts { trades, repeats, let_go, .. } = sequence.counts();
    assert_eq!((trades, repeats, let_go), (3, 3, 1));
}

#[test]
fn what_is_of_the_future_is_not_heard() {
    let mut sequence = sequence(1, Vec::new());
    let (now, mut out) = (Moment { real: zero(), market: at(70) }, Vec::new());
    let mut came = vec![quote(&name(0), at(76)), bar(&name(0), at(60))];
    assert!(!sequence.frame(&mut came, now, &mut out).any() && out.is_empty());
    let mut came = vec![quote(&name(0), at(76)), quote(&name(0), at(75))];
    let heard = sequence.frame(&mut came, now, &mut out);
    assert!(heard.any() && heard.quotes && !heard.bars && out.len() == 1);
}

/// One thing that may happen to a bar on its way, and when it gets to us.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Over the stream, this many milliseconds after its minute.
    Stream(u32),
    /// As a correction with this volume.
    Update(u32, u64),
    /// In an answer that was asked for so many milliseconds earlier, with this volume.
    Rest { came: u32, asked: u32, volume: u64 },
}

/// What happens at a moment of a random run.
#[derive(Clone, Debug)]
enum Doing {
    Event(MarketEvent, bool),
    Ask(usize),
    Answer(usize, Bar),
    Hold,
    Release,
}

fn ways() -> impl Strategy<Value = Vec<Way>> {
    let delay = || prop_oneof![6 => 0_u32..300, 2 => 300_u32..70_000, 1 => 70_000_u32..400_000];
    let volume = || prop_oneof![4 => Just(1_u64), 1 => 2_u64..4];
    let way = prop_oneof![
        5 => delay().prop_map(Way::Stream),
        1 => (delay(), volume()).prop_map(|(came, volume)| Way::Update(came, volume)),
        3 => (delay(), 0_u32..20_000, volume())
            .prop_map(|(came, asked, volume)| Way::Rest { came, asked, volume }),
    ];
    // No way at all is a minute without trades, or one that was lost on all of them.
    prop::collection::vec(way, 0..4)
}

/// The doings of a run, in order of time (ms), of which those at the same moment stay as they are listed.
fn timeline(bars: &[Vec<Vec<Way>>], holds: &[(u32, u32)], quotes: &[(u32, u8, u32)]) -> Vec<(u32, Doing)> {
    let mut doings = Vec::new();
    let mut answers = 0;
    for (symbol, minutes) in bars.iter().enumerate() {
        for (minute, ways) in minutes.iter().enumerate() {
            let (end, start) = (minute as u32 * 60_000 + 60_000, at(minute as i64 * 60));
            for &way in ways {
                match way {
                    Way::Stream(came) => {
                        doings.push((end + came, Doing::Event(bar(&name(symbol), start), true)));
                    }
                    Way::Update(came, volume) => {
                        let bar = bar_with(&name(symbol), start, volume);
                        let event = MarketEvent::MarkedBar(bar, BarMark::Corrected);
                        doings.push((end + came, Doing::Event(event, true)));
                    }
                    Way::Rest { came, asked, volume } => {
                        doings.push((end + came.saturating_sub(asked), Doing::Ask(answers)));
                        let bar = bar_with(&name(symbol), start, volume);
                        doings.push((end + came, Doing::Answer(answers, bar)));
                        answers += 1;
                    }
                }
            }
        }
    }
    for &(from, span) in holds {
        doings.push((from, Doing::Hold));
        doings.push((from + span, Doing::Release));
    }
    for &(came, symbol, age) in quotes {
        let symbol = name(usize::from(symbol) % bars.len());
        let stamp = MarketTime::from_nanos(i64::from(came.saturating_sub(age)) * 1_000_000);
        doings.push((came, Doing::Event(quote(&symbol, stamp), age % 3 != 0)));
    }
    doings.sort_by_key(|(when, _)| *when);
    doings
}

fn run(symbols: usize, doings: &[(u32, Doing)]) -> (Vec<MarketEvent>, Counts) {
    let zero = zero();
    let (mut sequence, mut out) = (sequence(symbols, Vec::new()), Vec::new());
    let mut requests = BTreeMap::new();
    let moment = |millis: u32| Moment {
        real: zero + Duration::from_millis(u64::from(millis)),
        market: MarketTime::from_nanos(i64::from(millis) * 1_000_000),
    };
    // What the stream brings within a few milliseconds comes as one frame.
    let (mut came, mut began) = (Vec::new(), 0);
    for (when, doing) in doings {
        let now = moment(*when);
        let joins = matches!(doing, Doing::Event(_, true)) && *when < began + FRAME_MS;
        if !joins {
            sequence.frame(&mut came, now, &mut out);
            began = *when;
        }
        sequence.on_time(now, &mut out);
        match doing {
            Doing::Event(event, true) => came.push(event.clone()),
            Doing::Event(event, false) => {
                sequence.on(event.clone(), Source::Rest { request: u32::MAX }, now, &mut out);
            }
            Doing::Ask(answer) => _ = requests.insert(*answer, sequence.ask()),
            Doing::Answer(answer, bar) => {
                let source = Source::Rest { request: requests[answer] };
                sequence.on(MarketEvent::Bar(bar.clone()), source, now, &mut out);
            }
            Doing::Hold => sequence.hold(),
            Doing::Release => sequence.release(now, &mut out),
        }
    }
    let end = moment(doings.last().map_or(0, |(when, _)| *when) + 1_000);
    sequence.frame(&mut came, end, &mut out);
    sequence.release(end, &mut out);
    sequence.on_time(Moment { real: end.real + GRACE, ..end }, &mut out);
    (out, sequence.counts())
}

/// What a run delivered, after each event was found to be in order.
#[derive(Debug)]
struct Order {
    delivered: BTreeMap<(Symbol, MarketTime), u64>,
    newest: BTreeMap<Symbol, MarketTime>,
    quoted: BTreeMap<Symbol, MarketTime>,
    complete: BTreeSet<MarketTime>,
    /// The newest minute of which an unmarked bar came.
    begun: MarketTime,
    late: u64,
}

impl Order {
    fn first_of(&mut self, bar: &Bar) -> bool {
        self.delivered.insert((bar.symbol.clone(), bar.start), bar.volume).is_none()
    }

    fn is_late(&self, bar: &Bar) -> bool {
        let overtaken = self.newest.get(&bar.symbol).is_some_and(|newest| *newest > bar.start);
        overtaken || self.complete.contains(&bar.start) || bar.start < self.begun
    }

    fn take(&mut self, event: &MarketEvent) -> Result<(), TestCaseError> {
        match event {
            MarketEvent::Bar(bar) => {
                prop_assert!(self.first_of(bar), "twice");
                prop_assert!(!self.is_late(bar), "unmarked");
                self.newest.insert(bar.symbol.clone(), bar.start);
                self.begun = bar.start;
            }
            MarketEvent::MarkedBar(bar, BarMark::Late) => {
                self.late += 1;
                prop_assert!(self.first_of(bar), "twice");
                prop_assert!(self.is_late(bar), "in its turn");
                let newest = self.newest.entry(bar.symbol.clone()).or_insert(bar.start);
                *newest = bar.start.max(*newest);
            }
            MarketEvent::MarkedBar(bar, BarMark::Corrected) => {
                let before = self.delivered.insert((bar.symbol.clone(), bar.start), bar.volume);
                prop_assert!(before.is_some_and(|before| before != bar.volume), "the same again");
            }
            MarketEvent::BarsComplete(start) => {
                prop_assert!(self.complete.last().is_none_or(|last| last < start), "in order, once");
                prop_assert!(self.complete.insert(*start) && self.begun == *start, "before any later bar");
            }
            MarketEvent::Quote(quote) => {
                let before = self.quoted.insert(quote.symbol.clone(), quote.time);
                prop_assert!(before.is_none_or(|before| before <= quote.time), "backwards");
            }
            other => prop_assert!(false, "{other:?}"),
        }
        Ok(())
    }
}

fn judge(out: &[MarketEvent]) -> Result<Order, TestCaseError> {
    let mut order = Order {
        delivered: BTreeMap::new(),
        newest: BTreeMap::new(),
        quoted: BTreeMap::new(),
        complete: BTreeSet::new(),
        begun: at(-60),
        late: 0,
    };
    for event in out {
        order.take(event).map_err(|error| TestCaseError::fail(format!("{}: {error}", text(event))))?;
    }
    Ok(order)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]
    #[test]
    fn whatever_comes_no_bar_is_lost_and_none_comes_twice(
        bars in (1_usize..4, 1_usize..10).prop_flat_map(|(symbols, minutes)| {
            prop::collection::vec(prop::collection::vec(ways(), minutes), symbols)
        }),
        holds in prop::collection::vec((0_u32..600_000, 0_u32..60_000), 0..4),
        quotes in prop::collection::vec((0_u32..600_000, any::<u8>(), 0_u32..3_000), 0..40),
    ) {
        let (out, counts) = run(bars.len(), &timeline(&bars, &holds, &quotes));
        let order = judge(&out)?;
        for (symbol, minutes) in bars.iter().enumerate() {
            for (minute, ways) in minutes.iter().enumerate() {
                let key = (name(symbol), at(minute as i64 * 60));
                prop_assert_eq!(order.delivered.contains_key(&key), !ways.is_empty(), "{:?}", key);
            }
        }
        prop_assert_eq!((counts.bars, counts.late_bars), (order.delivered.len() as u64, order.late));
        let is_complete = order.complete.last().is_none_or(|last| *last == order.begun);
        prop_assert!(is_complete, "the last minute is completed, too");
    }
}

#[test]
fn other_symbols_are_wanted_while_it_runs() {
    let zero = zero();
    let mut sequence = sequence(2, vec![SessionDay { open: at(60), close: at(600) }]);
    let named = |names: &str| {
        let names: Vec<_> = names.chars().map(|name| Symbol::new(name.to_string())).collect();
        Subscription { bars: names.clone(), quotes: names, ..Subscription::default() }
    };
    let mut play = |change: Option<(&str, &str, i64)>, script: &str, expected: &str| {
        if let Some((wanted, fresh, minute)) = change {
            let canary = Symbol::new("Y");
            sequence.resubscribe(&named(wanted), Some(&canary), &named(fresh).bars, at(60 * minute));
        }
        let mut out = Vec::new();
        for step in script.split_whitespace() {
            let (second, word) = step.split_once(':').expect("a step");
            let second: u64 = second.parse().expect("a second");
            let now = Moment { real: zero + Duration::from_secs(second), market: at(second as i64) };
            let (word, source) = match word.strip_prefix('r') {
                Some(word) => (word, Source::Rest { request: sequence.ask() }),
                None => (word, Source::Stream),
            };
            sequence.on(event(word), source, now, &mut out);
            sequence.on_time(now, &mut out);
        }
        assert_eq!(out.iter().map(text).collect::<Vec<_>>().join(" "), expected, "{script}");
    };
    play(None, "120:A1 120:B1 121:C1", "open A1 B1 done1");
    // C is new from minute 1 on: its bar of minute 0 is somebody else's, that of minute 1 late. A goes on as
    // before.
    play(Some(("ABC", "", 1)), "121:rA1 121:rC0 121:rC1 180:A2 180:B2 181:C2", "lC1 A2 B2 C2 done2");
    // B left: a minute is complete without it, and nobody is told of it.
    play(Some(("AC", "", 3)), "240:A3 240:B3 240:C3 240:B@240", "A3 C3 done3");
    // B comes back, and A has another owner, who is told of minutes 2 and 3 again.
    play(Some(("ABC", "A", 2)), "250:rA1 250:rA2 250:rA3 250:rB2 250:rC3", "lA2 lA3 lB2");
    // The canary is somebody's now.
    play(Some(("ABCY", "", 4)), "300:A4 300:B4 300:C4 300:Y4", "A4 B4 C4 Y4 done4");
}
