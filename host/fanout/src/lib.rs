//! From ingest to everybody who wants to know: the tape, and the strategies' inboxes.
//!
//! This is the end of the way that every quote takes, so a batch is paid for once: one lock of the tape, one
//! lock and at most one waking of each strategy, one addition to each counter. An event costs one look-up of
//! its symbol, which names its place on the tape and in each inbox. Who listens is a [`Roster`], which
//! changes while the market speaks.

#![forbid(unsafe_code)]

mod roster;
mod tape;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::fast::FixedState;
pub use roster::Roster;
use sandpit_ingest::MarketSink;
use sandpit_strategy::{Inbox, Seat};
use sandpit_types::{MarketEvent, News, Symbol};
pub use tape::{Last, Tape};

/// Events of one round. A longer batch takes several, so that no lock is held for longer and the lists stay
/// short.
const ROUND_EVENTS: usize = 1_024;

/// Market data delivered since the start.
#[derive(Debug, Default)]
pub struct DataCounts {
    /// One-minute bars, those out of turn included.
    pub bars: AtomicU64,
    /// Quotes.
    pub quotes: AtomicU64,
    /// Trades.
    pub trades: AtomicU64,
    /// Pieces of news.
    pub news: AtomicU64,
}

/// Who is told of the market: a strategy.
pub trait Listener: Send + Sync {
    /// What it trades.
    fn instruments(&self) -> &[Symbol];

    /// Whether it wants news.
    fn wants_news(&self) -> bool;

    /// Where its events go.
    fn inbox(&self) -> &Inbox;

    /// So many events were put there.
    fn count(&self, events: u64);
}

/// Delivers each event to whom it concerns. It never waits: an inbox takes or conflates at once.
///
/// Data of a symbol goes to every listener that trades it. News goes to those that want news and trade one of
/// the symbols it speaks of, once; when it names none, to all that want news. Everything else concerns all.
///
/// Listeners come and go: each batch looks at the number of the roster, which is one relaxed read, and only
/// when that is another one are the routes laid anew. Who left may be told of one batch more.
pub struct FanOut<L, F> {
    first: F,
    tape: Arc<Tape>,
    counts: Arc<DataCounts>,
    roster: Arc<Roster<L>>,
    /// The number of the roster that the routes are of.
    laid: u64,
    listeners: Arc<[Arc<L>]>,
    routes: HashMap<Symbol, Route, FixedState>,
    /// The ends of all routes, those of one route together.
    stops: Vec<Stop>,
    /// For each listener, what of this round is for it; empty between rounds.
    piles: Vec<Pile>,
}

/// Where the data of one symbol goes.
#[derive(Clone, Copy, Debug)]
struct Route {
    place: tape::Place,
    first: u32,
    end: u32,
}

/// One listener of a route, and the symbol's seat in its inbox.
#[derive(Clone, Copy, Debug)]
struct Stop {
    listener: u32,
    seat: Seat,
}

/// Indices into the round, rising, each with the seat of its symbol.
type Pile = Vec<(u32, Option<Seat>)>;

/// Counts of one round, added to [`DataCounts`] at its end.
#[derive(Default)]
struct Round {
    bars: u64,
    quotes: u64,
    trades: u64,
    news: u64,
}

impl<L: Listener, F: FnMut(&[MarketEvent])> FanOut<L, F> {
    /// `first` is shown each batch before anybody else: the clock, and the venue of a dry run.
    pub fn new(first: F, tape: Arc<Tape>, counts: Arc<DataCounts>, roster: Arc<Roster<L>>) -> Self {
        let mut fan_out = Self {
            first,
            tape,
            counts,
            roster,
            laid: 0,
            listeners: Arc::new([]),
            routes: HashMap::with_hasher(FixedState::default()),
            stops: Vec::new(),
            piles: Vec::new(),
        };
        fan_out.lay();
        fan_out
    }

    /// Lays the routes to whoever is on the roster now.
    #[cold]
    fn lay(&mut self) {
        let Self { tape, roster, laid, listeners, routes, stops, piles, .. } = self;
        (*laid, *listeners) = roster.numbered();
        routes.clear();
        stops.clear();
        for symbol in listeners.iter().flat_map(|listener| listener.instruments()) {
            if !routes.contains_key(symbol) {
                let begin = stops.len();
                stops.extend((0..).zip(listeners.iter()).filter_map(|(listener, it)| {
                    it.inbox().seat(symbol).map(|seat| Stop { listener, seat })
                }));
                let index = |at: usize| u32::try_from(at).expect("strategies and instruments are few");
                let (place, first, end) = (tape.place(symbol), index(begin), index(stops.len()));
                routes.insert(symbol.clone(), Route { place, first, end });
            }
        }
        *piles = listeners.iter().map(|_| Pile::new()).collect();
    }

    fn round(&mut self, events: &[MarketEvent]) {
        let round = self.sort(events);
        for (listener, pile) in self.listeners.iter().zip(&mut self.piles) {
            if !pile.is_empty() {
                listener.count(pile.len() as u64);
                listener.inbox().push_market(pile.drain(..).map(|(at, seat)| (&events[at as usize], seat)));
            }
        }
        let add = |counter: &AtomicU64, count: u64| {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        };
        add(&self.counts.bars, round.bars);
        add(&self.counts.quotes, round.quotes);
        add(&self.counts.trades, round.trades);
        add(&self.counts.news, round.news);
    }

    /// Notes prices on the tape and puts each event on the piles of its listeners.
    fn sort(&mut self, events: &[MarketEvent]) -> Round {
        let mut round = Round::default();
        let mut pen = self.tape.pen();
        for (at, event) in (0..).zip(events) {
            let symbol = match event {
                MarketEvent::Quote(quote) => {
                    round.quotes += 1;
                    &quote.symbol
                }
                MarketEvent::Trade(trade) => {
                    round.trades += 1;
                    &trade.symbol
                }
                MarketEvent::Bar(bar) | MarketEvent::MarkedBar(bar, _) => {
                    round.bars += 1;
                    &bar.symbol
                }
                MarketEvent::News(news) => {
                    round.news += 1;
                    news_to(news, at, &self.listeners, &mut self.piles);
                    continue;
                }
                MarketEvent::BarsComplete(_)
                | MarketEvent::SessionOpen(_)
                | MarketEvent::SessionClose(_)
                | MarketEvent::Health(..) => {
                    self.piles.iter_mut().for_each(|pile| pile.push((at, None)));
                    continue;
                }
            };
            let Some(route) = self.routes.get(symbol) else {
                // Nobody trades it, but somebody may hold it: what that is worth counts in the limits.
                let place = pen.place(symbol);
                pen.note(place, event);
                continue;
            };
            pen.note(route.place, event);
            for stop in &self.stops[route.first as usize..route.end as usize] {
                self.piles[stop.listener as usize].push((at, Some(stop.seat)));
            }
        }
        round
    }
}

fn news_to<L: Listener>(news: &News, at: u32, listeners: &[Arc<L>], piles: &mut [Pile]) {
    let is_for = |listener: &L| {
        let trades = |symbol| listener.inbox().seat(symbol).is_some();
        listener.wants_news() && (news.symbols.is_empty() || news.symbols.iter().any(trades))
    };
    for (listener, pile) in listeners.iter().zip(piles) {
        if is_for(listener) {
            pile.push((at, None));
        }
    }
}

impl<L: Listener, F: FnMut(&[MarketEvent]) + Send> MarketSink for FanOut<L, F> {
    fn deliver(&mut self, events: &[MarketEvent]) {
        (self.first)(events);
        if self.roster.number() != self.laid {
            self.lay();
        }
        for round in events.chunks(ROUND_EVENTS) {
            self.round(round);
        }
    }
}

#[cfg(test)]
mod tests;
