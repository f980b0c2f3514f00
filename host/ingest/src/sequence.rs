//! One ordered sequence out of stream and REST: no bar missing, none twice.
//!
//! Per symbol, bars are delivered in order of time, whatever their source. While a gap is being filled, what
//! the stream brings is held back, so that the gap's bars go first; then the held events follow, without
//! those that the gap brought already. A minute is complete when every subscribed symbol has its bar, or a
//! later bar comes, or no further bar has come for the grace: minutes without trades have no bars, so one
//! cannot wait for all of them.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use sandpit_broker::Subscription;
use sandpit_types::{Bar, MarketEvent, MarketTime, SessionDay, Symbol};

use crate::sessions::{Bell, MINUTE, Sessions};

/// Quotes and trades held back at most; when full, the oldest goes. Bars are never let go.
const MAX_HELD: usize = 65_536;
/// How far before the last complete minute a gap begins: a bar that came after its minute was complete may
/// have been lost with the connection.
const OVERLAP: Duration = Duration::from_secs(60);

/// Where an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The stream.
    Stream,
    /// A request.
    Rest,
}

/// When something happens, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// On the machine's clock, which graces are counted by.
    pub(crate) real: Instant,
    /// On the market's clock, as we know it.
    pub(crate) market: MarketTime,
}

/// How many events were delivered, and how many were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Bars delivered.
    pub(crate) bars: u64,
    /// Quotes delivered.
    pub(crate) quotes: u64,
    /// Trades delivered.
    pub(crate) trades: u64,
    /// Minutes completed.
    pub(crate) minutes: u64,
    /// Bars delivered after their minute had been completed.
    pub(crate) late_bars: u64,
    /// Events that were delivered before, or are older than what was.
    pub(crate) repeats: u64,
    /// Events of symbols that nobody subscribed to.
    pub(crate) strangers: u64,
    /// Quotes and trades that did not fit while a gap was filled.
    pub(crate) let_go: u64,
    /// Events stamped in the future: one of them would make all that follow look old.
    pub(crate) too_early: u64,
}

/// The newest of each kind that was delivered of one symbol.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    bar: Option<MarketTime>,
    quote: Option<MarketTime>,
    trade: Option<MarketTime>,
}

/// The minute whose bars are coming in.
#[derive(Clone, Copy, Debug)]
struct Gathering {
    start: MarketTime,
    bars: usize,
    complete_at: Instant,
}

/// The sequencer of one subscription.
#[derive(Debug)]
pub(crate) struct Sequence {
    newest: HashMap<Symbol, Newest>,
    bar_symbols: usize,
    grace: Duration,
    ahead: Duration,
    since: MarketTime,
    gathering: Option<Gathering>,
    complete: Option<MarketTime>,
    sessions: Sessions,
    close_at: Option<Instant>,
    held: Option<VecDeque<MarketEvent>>,
    held_ticks: usize,
    counts: Counts,
}

impl Sequence {
    /// A sequence of bars from the minute of `since` on, and of quotes and trades from now on. After the
    /// newest bar of a minute, others are waited for during `grace`, real time. Events stamped more than
    /// `ahead` after our market time are dropped.
    pub(crate) fn new(
        subscription: &Subscription,
        days: Vec<SessionDay>,
        since: MarketTime,
        grace: Duration,
        ahead: Duration,
    ) -> Self {
        let all = [&subscription.bars, &subscription.quotes, &subscription.trades];
        let mut bar_symbols = subscription.bars.clone();
        bar_symbols.sort();
        bar_symbols.dedup();
        Self {
            newest: all.into_iter().flatten().map(|symbol| (symbol.clone(), Newest::default())).collect(),
            bar_symbols: bar_symbols.len(),
            grace,
            ahead,
            since: since.minute(),
            gathering: None,
            complete: None,
            sessions: Sessions::new(days, since),
            close_at: None,
            held: None,
            held_ticks: 0,
            counts: Counts::default(),
        }
    }

    /// What was delivered so far.
    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    /// The calendar.
    pub(crate) const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Bars from here on may be missing: where a request for the gap begins.
    pub(crate) fn gap_start(&self) -> MarketTime {
        self.complete.map_or(self.since, |complete| (complete - OVERLAP).max(self.since))
    }

    /// Holds back what the stream brings until [`Self::release`].
    pub(crate) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Whether events are held back.
    pub(crate) const fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Forgets what is held: its connection is gone, and the next gap will bring its bars again.
    pub(crate) fn forget(&mut self) {
        self.held = None;
        self.held_ticks = 0;
    }

    /// The gap is filled: delivers what was held, in the order it came.
    pub(crate) fn release(&mut self, now: Moment, emit: &mut impl FnMut(&MarketEvent)) {
        let held = self.held.take().unwrap_or_default();
        self.held_ticks = 0;
        for event in held {
            self.on(event, Source::Stream, now, emit);
        }
    }

    /// Takes an event in and delivers what follows from it.
    pub(crate) fn on(
        &mut self,
        event: MarketEvent,
        source: Source,
        now: Moment,
        emit: &mut impl FnMut(&MarketEvent),
    ) {
        if self.is_too_early(&event, now.market) {
            return;
        }
        if source == Source::Stream && self.is_holding() {
            return self.hold_back(event);
        }
        if !self.is_news(&event, source) {
            return;
        }
        self.ring_before(&event, emit);
        match event {
            MarketEvent::Bar(bar) => self.bar(bar, now.real, emit),
            MarketEvent::Quote(_) => {
                self.counts.quotes += 1;
                emit(&event);
            }
            MarketEvent::Trade(_) => {
                self.counts.trades += 1;
                emit(&event);
            }
            // Only this sequence makes these; a broker that did would be a second source of them.
            MarketEvent::MarkedBar(..)
            | MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::News(_)
            | MarketEvent::Health(..) => self.counts.strangers += 1,
        }
    }

    /// Lets time pass: completes a minute whose grace is over, rings bells that are due.
    pub(crate) fn on_time(&mut self, market: MarketTime, now: Instant, emit: &mut impl FnMut(&MarketEvent)) {
        if self.gathering.is_some_and(|minute| minute.complete_at <= now) {
            self.finish_minute(emit);
        }
        // Bells wait while a gap is filled: its bars come first.
        while !self.is_holding()
            && let Some(bell) = self.sessions.next().filter(|bell| bell.time() <= market)
        {
            // The last bars of the session arrive just after its end, so the closing bell waits for the
            // grace.
            let at = match bell {
                Bell::Open(_) => now,
                Bell::Close(_) => *self.close_at.get_or_insert(now + self.grace),
            };
            if now < at {
                break;
            }
            self.ring(bell, emit);
        }
    }

    /// When [`Self::on_time`] has something to do: a moment of market time, a moment of real time.
    pub(crate) fn deadline(&self) -> (Option<MarketTime>, Option<Instant>) {
        let minute = self.gathering.map(|minute| minute.complete_at);
        let bell = self.sessions.next().filter(|_| !self.is_holding());
        match (bell, self.close_at) {
            (Some(Bell::Close(_)), Some(at)) => (None, Some(minute.map_or(at, |minute| minute.min(at)))),
            (bell, _) => (bell.map(Bell::time), minute),
        }
    }

    fn is_too_early(&mut self, event: &MarketEvent, market: MarketTime) -> bool {
        let is_too_early = event.time().since(market) > self.ahead;
        if is_too_early {
            if self.counts.too_early == 0 {
                tracing::error!(time = %event.time(), now = %market, "an event from the future is dropped");
            }
            self.counts.too_early += 1;
        }
        is_too_early
    }

    fn hold_back(&mut self, event: MarketEvent) {
        let Some(held) = &mut self.held else { return };
        if !matches!(event, MarketEvent::Bar(_)) {
            if self.held_ticks >= MAX_HELD {
                let oldest = held.iter().position(|event| !matches!(event, MarketEvent::Bar(_)));
                oldest.map(|at| held.remove(at));
                self.counts.let_go += 1;
            } else {
                self.held_ticks += 1;
            }
        }
        held.push_back(event);
    }

    /// Whether an event is newer than what was delivered of its symbol and kind. Several quotes and trades of
    /// the stream may share one stamp; over REST an equal stamp is the same quote again.
    fn is_news(&mut self, event: &MarketEvent, source: Source) -> bool {
        let (symbol, time) = match event {
            MarketEvent::Bar(bar) => (&bar.symbol, bar.start),
            MarketEvent::Quote(quote) => (&quote.symbol, quote.time),
            MarketEvent::Trade(trade) => (&trade.symbol, trade.time),
            MarketEvent::MarkedBar(..)
            | MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::News(_)
            | MarketEvent::Health(..) => return true,
        };
        let Some(newest) = self.newest.get_mut(symbol) else {
            self.counts.strangers += 1;
            return false;
        };
        let (last, equal_is_news) = match event {
            MarketEvent::Quote(_) => (&mut newest.quote, source == Source::Stream),
            MarketEvent::Trade(_) => (&mut newest.trade, source == Source::Stream),
            _ => (&mut newest.bar, false),
        };
        let is_news = last.is_none_or(|last| time > last || (equal_is_news && time == last));
        if is_news {
            *last = Some(time);
        } else {
            self.counts.repeats += 1;
        }
        is_news
    }

    fn bar(&mut self, bar: Bar, now: Instant, emit: &mut impl FnMut(&MarketEvent)) {
        let start = bar.start;
        if start < self.since {
            return;
        }
        if self.gathering.is_some_and(|minute| minute.start < start) {
            self.finish_minute(emit);
        }
        let complete_at = now + self.grace;
        let late = self.complete.is_some_and(|complete| start <= complete)
            || self.gathering.is_some_and(|minute| start < minute.start);
        if late {
            self.counts.late_bars += 1;
        } else {
            let bars = self.gathering.map_or(0, |minute| minute.bars) + 1;
            self.gathering = Some(Gathering { start, bars, complete_at });
        }
        self.counts.bars += 1;
        emit(&MarketEvent::Bar(bar));
        if self.gathering.is_some_and(|minute| minute.bars >= self.bar_symbols) {
            self.finish_minute(emit);
        }
    }

    fn finish_minute(&mut self, emit: &mut impl FnMut(&MarketEvent)) {
        let Some(minute) = self.gathering.take() else { return };
        self.complete = Some(minute.start);
        self.counts.minutes += 1;
        emit(&MarketEvent::BarsComplete(minute.start));
    }

    /// Bells that rang before an event: data is a clock too, and never runs ahead of its session. The closing
    /// bell waits for a bar or for the grace: quotes and trades of the minute after overtake the last bars.
    fn ring_before(&mut self, event: &MarketEvent, emit: &mut impl FnMut(&MarketEvent)) {
        let is_bar = matches!(event, MarketEvent::Bar(_));
        while let Some(bell) = self.sessions.next().filter(|bell| bell.time() < event.time())
            && (is_bar || matches!(bell, Bell::Open(_)))
        {
            self.ring(bell, emit);
        }
    }

    fn ring(&mut self, bell: Bell, emit: &mut impl FnMut(&MarketEvent)) {
        if self.gathering.is_some_and(|minute| minute.start + MINUTE <= bell.time()) {
            self.finish_minute(emit);
        }
        self.sessions.ring();
        self.close_at = None;
        emit(&bell.event());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sandpit_types::Quote;

    use super::*;

    const GRACE: Duration = Duration::from_millis(300);
    const AHEAD: Duration = Duration::from_secs(5);

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can be made in no other way; tests only add to it"
    )]
    fn zero() -> Instant {
        Instant::now()
    }

    fn at(secs: i64) -> MarketTime {
        MarketTime::from_secs(secs)
    }

    fn name(index: usize) -> Symbol {
        Symbol::new(["A", "B", "C", "D"][index])
    }

    fn bar(symbol: &Symbol, start: MarketTime) -> MarketEvent {
        let (symbol, price) = (symbol.clone(), 1.0);
        let (open, high, low, close, vwap) = (price, price, price, price, price);
        MarketEvent::Bar(Bar { symbol, start, open, high, low, close, volume: 1, vwap })
    }

    fn quote(symbol: &Symbol, time: MarketTime) -> MarketEvent {
        let (symbol, bid, ask) = (symbol.clone(), 1.0, 2.0);
        MarketEvent::Quote(Quote { symbol, time, bid, bid_size: 1, ask, ask_size: 1 })
    }

    fn of(symbols: usize) -> Subscription {
        let names: Vec<Symbol> = (0..symbols).map(name).collect();
        Subscription { bars: names.clone(), quotes: names, trades: Vec::new(), news: Vec::new() }
    }

    fn text(event: &MarketEvent) -> String {
        match event {
            MarketEvent::Bar(bar) => format!("{}{}", bar.symbol, bar.start.as_nanos() / 60_000_000_000),
            MarketEvent::Quote(quote) => format!("{}@{}", quote.symbol, quote.time.as_millis() / 1_000),
            MarketEvent::Trade(trade) => format!("{}t{}", trade.symbol, trade.time.as_millis() / 1_000),
            MarketEvent::BarsComplete(start) => format!("done{}", start.as_nanos() / 60_000_000_000),
            MarketEvent::SessionOpen(_) => "open".to_owned(),
            MarketEvent::SessionClose(_) => "close".to_owned(),
            MarketEvent::MarkedBar(..) | MarketEvent::News(_) | MarketEvent::Health(..) => "other".to_owned(),
        }
    }

    /// Plays `SECOND:WORD`s to a sequence of A and B in a session from second 60 to 300. A word is a symbol
    /// with a minute (`A2`, a bar), a symbol with a second (`A@130`, a quote), `hold`, `release`, `forget`,
    /// or `tick` for the clock alone; `rA2` comes over REST.
    fn check(script: &str, expected: &str) {
        let zero = zero();
        let days = vec![SessionDay { open: at(60), close: at(300) }];
        let mut sequence = Sequence::new(&of(2), days, at(0), GRACE, AHEAD);
        let mut out = Vec::new();
        let mut emit = |event: &MarketEvent| out.push(text(event));
        for step in script.split_whitespace() {
            let (second, word) = step.split_once(':').expect("a step");
            let second: f64 = second.parse().expect("a second");
            let now = zero + Duration::from_secs_f64(second);
            let market = MarketTime::from_nanos((second * 1e9) as i64);
            let moment = Moment { real: now, market };
            let (source, word) = match word.strip_prefix('r').filter(|rest| rest.starts_with(['A', 'B'])) {
                Some(rest) => (Source::Rest, rest),
                None => (Source::Stream, word),
            };
            match word {
                "hold" => sequence.hold(),
                "release" => sequence.release(moment, &mut emit),
                "forget" => sequence.forget(),
                "tick" => {}
                word => {
                    let symbol = Symbol::new(&word[..1]);
                    let event = match word[1..].strip_prefix('@') {
                        Some(second) => quote(&symbol, at(second.parse().expect("a second"))),
                        None => bar(&symbol, at(word[1..].parse::<i64>().expect("a minute") * 60)),
                    };
                    sequence.on(event, source, moment, &mut emit);
                }
            }
            sequence.on_time(market, now, &mut emit);
        }
        assert_eq!(out.join(" "), expected, "{script}");
    }

    #[test]
    fn a_minute_is_complete_once() {
        // All bars are in.
        check("120:A1 120:B1 180:B2 180:A2", "open A1 B1 done1 B2 A2 done2");
        // One symbol did not trade: the grace, counted from the newest bar, or the next minute.
        check("120:A1 120.2:tick 120.31:tick", "open A1 done1");
        check("120:A1 120.2:B1", "open A1 B1 done1");
        check("120:A1 180:A2 180:B2", "open A1 done1 A2 B2 done2");
        // A bar after that is late, but not lost, and completes nothing again.
        check("120:A1 120.4:tick 121:B1 122:tick", "open A1 done1 B1");
        // A minute without any bar is never complete.
        check("120:A1 120:B1 240:A3 240:B3", "open A1 B1 done1 A3 B3 done3");
    }

    #[test]
    fn nothing_comes_twice_or_backwards() {
        check("120:A1 120:A1 120:B1 121:rA1", "open A1 B1 done1");
        check("180:A2 180:A1 180:B2", "open A2 B2 done2");
        check("70:A@70 71:A@70 72:A@69 73:rA@70 74:rA@71", "open A@70 A@70 A@71");
        // Nobody asked for these.
        check("70:Z@70 120:Z1", "open");
    }

    #[test]
    fn a_gap_comes_before_what_was_held() {
        check(
            "120:A1 120:B1 200:hold 241:A3 241:A@241 241:B3 242:rA2 242:rB2 242:rA3 243:release",
            "open A1 B1 done1 A2 B2 done2 A3 A@241 B3 done3",
        );
        check(
            "120:A1 120:B1 200:hold 241:A3 242:forget 243:rA2 243:rB2 243:rA3",
            "open A1 B1 done1 A2 B2 done2 A3",
        );
    }

    #[test]
    fn a_stamp_of_the_future_freezes_nothing() {
        check("70:A@75 71:A@77 76:A@76", "open A@75 A@76");
        check("70:A@9000 71:A@71 120:A9 120:A1 120:B1", "open A@71 A1 B1 done1");
        check("70:rA@9000 71:hold 71:A@9000 72:A@72 73:release", "open A@72");
        let mut sequence = Sequence::new(&of(1), Vec::new(), at(0), GRACE, AHEAD);
        let now = Moment { real: zero(), market: at(70) };
        for time in [75, 76, 9_000] {
            sequence.on(quote(&name(0), at(time)), Source::Stream, now, &mut |_| {});
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
    fn what_is_held_is_bounded_and_the_newest_stays() {
        let zero = Moment { real: zero(), market: at(1_000_000) };
        let mut sequence = Sequence::new(&of(1), Vec::new(), at(0), GRACE, AHEAD);
        let mut out = Vec::new();
        sequence.hold();
        sequence.on(bar(&name(0), at(0)), Source::Stream, zero, &mut |_| {});
        for second in 0..MAX_HELD as i64 + 10 {
            sequence.on(quote(&name(0), at(60 + second)), Source::Stream, zero, &mut |_| {});
        }
        sequence.release(zero, &mut |event| out.push(event.clone()));
        assert_eq!(out.len(), 2 + MAX_HELD, "the bar, its minute, the newest quotes");
        assert_eq!(out[2].time(), at(70));
        assert_eq!(sequence.counts().let_go, 10);
    }

    /// A broker with a truth: which symbol has a bar in which minute, and when the stream sends it.
    #[derive(Clone, Debug)]
    struct Truth {
        symbols: usize,
        /// By symbol and minute: how many seconds after the minute the stream sends the bar, if there is
        /// one.
        delays: Vec<Vec<Option<i64>>>,
        rest_lag: i64,
    }

    impl Truth {
        fn rest(&self, from: MarketTime, to: MarketTime, second: i64) -> Vec<MarketEvent> {
            let minutes = self.delays[0].len();
            let mut bars = Vec::new();
            for minute in 0..minutes as i64 {
                let start = at(minute * 60);
                let visible = minute * 60 + 60 + self.rest_lag <= second;
                for symbol in (0..self.symbols).filter(|_| visible && from <= start && start < to) {
                    if self.delays[symbol][minute as usize].is_some() {
                        bars.push(bar(&name(symbol), start));
                    }
                }
            }
            bars
        }

        fn stream(&self, second: i64) -> Vec<MarketEvent> {
            let sent = |symbol: &usize, minute: &i64| {
                let delay = self.delays[*symbol][*minute as usize];
                delay.is_some_and(|delay| minute * 60 + 60 + delay == second)
            };
            let minutes = 0..self.delays[0].len() as i64;
            minutes
                .flat_map(|minute| (0..self.symbols).map(move |symbol| (symbol, minute)))
                .filter(|(symbol, minute)| sent(symbol, minute))
                .map(|(symbol, minute)| bar(&name(symbol), at(minute * 60)))
                .collect()
        }

        fn all(&self, symbol: usize) -> Vec<i64> {
            let has = |&minute: &usize| self.delays[symbol][minute].is_some();
            (0..self.delays[symbol].len()).filter(has).map(|minute| minute as i64).collect()
        }
    }

    /// Does what the loop does, second by second, with a connection that changes at each of `switches`.
    fn live_through(truth: &Truth, switches: &[i64]) -> (Vec<MarketEvent>, Counts) {
        const SETTLE: Duration = Duration::from_secs(5);
        let zero = zero();
        let mut sequence = Sequence::new(&of(truth.symbols), Vec::new(), at(0), GRACE, AHEAD);
        let mut out = Vec::new();
        let end = truth.delays[0].len() as i64 * 60 + 120;
        let (mut up, mut fill) = (false, None::<(MarketTime, MarketTime)>);
        for second in 0..end {
            let (market, now) = (at(second), zero + Duration::from_secs(second as u64));
            let moment = Moment { real: now, market };
            let emit = &mut |event: &MarketEvent| out.push(event.clone());
            // The last connection holds, so that the books can be closed.
            let flips = switches.contains(&second) || (second == end - 60 && !up);
            if flips && second <= end - 60 {
                up = !up;
                sequence.forget();
                fill = None;
                if up {
                    sequence.hold();
                    let to = (market + SETTLE).minute();
                    fill = Some((if sequence.gap_start() < to { to + SETTLE } else { market }, to));
                }
            }
            if up {
                for event in truth.stream(second) {
                    sequence.on(event, Source::Stream, moment, emit);
                }
            }
            let poll = (!up && second % 15 == 0).then(|| (market - SETTLE).minute());
            let filled = fill.take_if(|(when, _)| *when <= market).map(|(_, to)| to);
            if let Some(to) = poll.or(filled) {
                for event in truth.rest(sequence.gap_start(), to, second) {
                    sequence.on(event, Source::Rest, moment, emit);
                }
            }
            if filled.is_some() {
                sequence.release(moment, emit);
            }
            sequence.on_time(market, now, emit);
        }
        let counts = sequence.counts();
        (out, counts)
    }

    fn truths() -> impl Strategy<Value = Truth> {
        // Most bars come at once, some late, some minutes have none.
        let delay =
            prop_oneof![5 => (0_i64..4).prop_map(Some), 1 => (4_i64..55).prop_map(Some), 2 => Just(None)];
        (1_usize..4, 1_usize..25, 0_i64..=4).prop_flat_map(move |(symbols, minutes, rest_lag)| {
            prop::collection::vec(prop::collection::vec(delay.clone(), minutes), symbols)
                .prop_map(move |delays| Truth { symbols, delays, rest_lag })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn no_bar_missing_none_twice(
            truth in truths(), switches in prop::collection::vec(0_i64..1_500, 0..12)
        ) {
            let (out, counts) = live_through(&truth, &switches);
            for symbol in 0..truth.symbols {
                let got: Vec<i64> = out.iter().filter_map(|event| match event {
                    MarketEvent::Bar(bar) if bar.symbol == name(symbol) => {
                        Some(bar.start.as_nanos() / 60_000_000_000)
                    }
                    _ => None,
                }).collect();
                prop_assert_eq!(got, truth.all(symbol), "{}", name(symbol));
            }
            let mut newest_bar = at(-60);
            let mut complete = at(-60);
            let mut late = 0;
            for event in &out {
                match event {
                    MarketEvent::Bar(bar) => {
                        late += u64::from(bar.start < newest_bar || bar.start <= complete);
                        newest_bar = newest_bar.max(bar.start);
                    }
                    MarketEvent::BarsComplete(start) => {
                        prop_assert!(*start > complete, "in order, once");
                        prop_assert!(newest_bar <= *start, "before any later bar");
                        complete = *start;
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert_eq!(complete, newest_bar, "the last minute is completed too");
            prop_assert_eq!(counts.late_bars, late);
        }
    }
}
