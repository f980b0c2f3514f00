//! The venue: the calls it takes.

mod admit;
mod cancel;
mod days;
mod election;
mod enter;
mod fees;
mod forget;
mod form;
mod legs;
mod life;
mod matching;
mod power;
mod questions;
mod replace;
mod walk;
mod wishes;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use foldhash::fast::FixedState;
use rust_decimal::{Decimal, RoundingStrategy};
use sandpit_types::{BrokerOrderId, MarketEvent, MarketTime, Price, Qty, Side, Symbol, Usd};
use uuid::Uuid;

use self::{days::DayTrades, fees::Fees, legs::Group, power::Margin};
use crate::{
    Amount, Calendar, Class, ClosePart, Listing, NewOrder, OrderKind, PdtCheck, Phase, Reject, TimeInForce,
    VenueConfig, VenueEvent, VenueOrder,
    book::{Book, OrderIx, Resting},
    ids::{Chance, Ids},
    kept::Kept,
    ledger::{Hold, Ledger},
};

/// How many orders a venue keeps, legs and replacements included: all that it ever took and did not forget.
const MAX_ORDERS: usize = 1 << 20;

/// Virtual time ends here (the year 2200): later stamps count as this one.
const END_OF_TIME: MarketTime = MarketTime::from_secs(7_258_118_400);

/// An order, and what the venue alone needs to know of it.
#[derive(Debug)]
struct Entry {
    order: VenueOrder,
    symbol: usize,
    /// The price at which its unfilled shares hold buying power.
    reserve: Price,
    /// Shares that a closing order by notional reserves.
    notional_shares: Qty,
    /// What the ledger holds for it now.
    hold: Hold,
    /// The limit that it works with; `None` for a market order and for a stop that is not elected.
    limit: Option<Price>,
    is_elected: bool,
    /// Whether it was `new` once.
    is_routed: bool,
    /// A held leg, or a replacement under way: it reserves nothing and is in no book.
    is_dormant: bool,
    /// Whether it is suspended, done for the day or being settled, whatever is under way besides.
    is_aside: bool,
    /// When it arrives, if it is on its way.
    arrives_at: Option<MarketTime>,
    /// The turn of its book in which it filled in part by chance.
    waits_since: u64,
    /// Its group, by place.
    group: Option<usize>,
    /// The order that is to take its place, while that is under way.
    replacement: Option<OrderIx>,
}

impl Entry {
    /// As it rests among the orders that can fill; `None` for a stop that is not elected.
    fn resting(&self, ix: OrderIx) -> Option<Resting> {
        let is_stop = self.order.kind.is_stop();
        (!is_stop || self.is_elected).then_some(Resting { ix, limit: self.limit, is_stop })
    }
}

/// What falls due for an order. At one instant in this order, then in order of submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Arrive(OrderIx),
    ArriveCancel(OrderIx),
    /// Of the new order.
    ArriveReplace(OrderIx),
    End(OrderIx),
}

/// A broker and its exchange in one: takes market data, orders and the passing of time, makes events.
///
/// Its clock is the newest time it was told, by any call, and never goes back.
#[derive(Debug)]
pub struct Venue {
    config: VenueConfig,
    calendar: Calendar,
    ids: Ids,
    chance: Chance,
    account_id: Arc<str>,
    account_number: Arc<str>,
    created_at: MarketTime,
    now: MarketTime,
    phase: Phase,
    /// When the phase began, as far as the venue was there.
    phase_since: MarketTime,
    next_change: MarketTime,
    /// The next change of phase, task or booking of fees.
    next_due: MarketTime,
    /// The end of session whose auction is over.
    auctioned_at: MarketTime,
    /// The closing auction is on: `cls` orders work and no others.
    in_auction: bool,
    suspended: bool,
    no_shorting: bool,
    no_fractions: bool,
    pdt_check: PdtCheck,
    last_equity: Usd,
    margin: Margin,
    day_trades: DayTrades,
    ledger: Ledger,
    fees: Fees,
    books: Vec<Book>,
    by_symbol: HashMap<Symbol, usize, FixedState>,
    /// In order of submission; an order's number is its name inside.
    entries: Kept<Entry>,
    groups: Kept<Group>,
    by_id: HashMap<Uuid, OrderIx>,
    by_client_id: HashMap<Arc<str>, OrderIx>,
    open: BTreeSet<OrderIx>,
    /// Orders that wait for their session.
    queued: BTreeSet<OrderIx>,
    /// Open orders for the close.
    closing: BTreeSet<OrderIx>,
    /// Orders that come back to work in the next session.
    aside: BTreeSet<OrderIx>,
    /// Orders whose cancel has arrived and does not end.
    stuck: BTreeSet<OrderIx>,
    has_stuck_cancels: bool,
    tasks: BTreeSet<(MarketTime, Task)>,
    events: Vec<VenueEvent>,
}

impl Venue {
    /// A venue with a fresh account that trades these symbols with every permission; one named twice counts
    /// once.
    pub fn new(config: VenueConfig, symbols: &[Symbol], now: MarketTime) -> Self {
        let listings: Vec<Listing> = symbols.iter().cloned().map(Listing::open).collect();
        Self::with_listings(config, &listings, now)
    }

    /// The same with the permissions of each symbol.
    pub fn with_listings(config: VenueConfig, listings: &[Listing], now: MarketTime) -> Self {
        let now = now.min(END_OF_TIME);
        let calendar = if config.always_open { Calendar::always_open() } else { Calendar::nyse() };
        let mut ids = Ids::new(config.seed);
        let (mut books, mut by_symbol) = (Vec::new(), HashMap::with_hasher(FixedState::default()));
        for listing in listings {
            by_symbol.entry(listing.symbol.clone()).or_insert_with(|| {
                books.push(Book::new(listing.clone()));
                books.len() - 1
            });
        }
        let next_change = calendar.next_change(now);
        let account_id: Arc<str> = ids.uuid().to_string().into();
        Self {
            account_number: format!("PA{}", account_id[..8].to_uppercase()).into(),
            account_id,
            chance: Chance::new(config.seed),
            created_at: now,
            now,
            phase: calendar.phase(now),
            phase_since: now,
            next_change,
            next_due: next_change,
            auctioned_at: MarketTime::from_nanos(i64::MIN),
            in_auction: false,
            suspended: false,
            no_shorting: false,
            no_fractions: false,
            pdt_check: PdtCheck::default(),
            last_equity: config.cash,
            margin: Margin::default(),
            day_trades: DayTrades::new(books.len()),
            ledger: Ledger::new(config.cash, books.iter().map(|book| !book.listing.marginable)),
            fees: Fees::default(),
            books,
            by_symbol,
            entries: Kept::new(),
            groups: Kept::new(),
            by_id: HashMap::new(),
            by_client_id: HashMap::new(),
            open: BTreeSet::new(),
            queued: BTreeSet::new(),
            closing: BTreeSet::new(),
            aside: BTreeSet::new(),
            stuck: BTreeSet::new(),
            has_stuck_cancels: false,
            tasks: BTreeSet::new(),
            events: Vec::new(),
            config,
            calendar,
            ids,
        }
    }

    /// Trades one symbol more from now on, with every permission; one that it trades already stays as it is.
    pub fn list_symbol(&mut self, symbol: &Symbol) {
        if self.by_symbol.contains_key(symbol) {
            return;
        }
        let listing = Listing::open(symbol.clone());
        self.by_symbol.insert(symbol.clone(), self.books.len());
        self.ledger.list(!listing.marginable);
        self.day_trades.list();
        self.books.push(Book::new(listing));
    }

    /// Takes one market event: quotes set the book, trades and bars the last price, and what they make
    /// possible fills. Time advances to the event's own (for a bar, the end of its minute, or the last moment
    /// before it if a phase ends with that minute). Symbols that the venue does not know are passed over, and
    /// so is a quote that is older than the standing one.
    pub fn on_market(&mut self, event: &MarketEvent) {
        self.advance_to(event);
        match event {
            MarketEvent::Quote(quote) => {
                let Some(&symbol) = self.by_symbol.get(&quote.symbol) else { return };
                if self.books[symbol].on_quote(quote) && self.books[symbol].has_open() {
                    self.on_new_quote(symbol);
                }
            }
            MarketEvent::Trade(trade) => {
                let Some(&symbol) = self.by_symbol.get(&trade.symbol) else { return };
                if let Some(price) = self.books[symbol].on_trade(trade) {
                    self.on_prices(symbol, price, price);
                }
                if self.books[symbol].has_waiting {
                    self.match_book(symbol);
                }
            }
            MarketEvent::Bar(bar) => {
                let Some(&symbol) = self.by_symbol.get(&bar.symbol) else { return };
                let spread_bp = self.config.realism.bar_spread_bp;
                let is_new_quote = self.books[symbol].on_bar(bar, event.time(), spread_bp);
                if let Some((low, high)) = self.books[symbol].bar_range(bar)
                    && self.is_in_session(bar.start)
                {
                    self.on_prices(symbol, low, high);
                }
                if is_new_quote && self.books[symbol].has_open() {
                    self.on_new_quote(symbol);
                }
            }
            MarketEvent::MarkedBar(..)
            | MarketEvent::News(_)
            | MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::Health(..) => {}
        }
    }

    /// Whether a moment that is past lies in a regular session, while one is on. Nearly always it is this
    /// one: no need to ask the calendar.
    fn is_in_session(&self, start: MarketTime) -> bool {
        let is_in_this = self.phase_since <= start && start < self.next_change;
        self.phase == Phase::Open && (is_in_this || self.calendar.is_open(start))
    }

    fn advance_to(&mut self, event: &MarketEvent) {
        let time = event.time();
        if matches!(event, MarketEvent::Bar(_)) {
            self.advance(MarketTime::from_nanos(time.as_nanos().saturating_sub(1)));
            if self.next_change == time {
                // What the last minute of a phase shows still counts in it.
                return;
            }
        }
        self.advance(time);
    }

    /// Lets time pass: sessions begin and end, orders arrive and expire, queued orders begin to work, fees
    /// are booked. A time that is past changes nothing.
    pub fn advance(&mut self, now: MarketTime) {
        let now = now.min(END_OF_TIME);
        while self.next_due <= now {
            self.now = self.now.max(self.next_due);
            self.next_step(self.next_due);
            self.set_next_due();
        }
        self.now = self.now.max(now);
    }

    /// When [`Venue::advance`] has something to do next: the closing auction, the arrival of a request, the
    /// end of an order, a change of phase, the booking of fees. Always later than [`Venue::now`].
    ///
    /// Exact in that nothing happens by itself before it, and that what happens then bears this time: a
    /// caller that advances from one to the next sees each thing at its moment. A lower bound in that it may
    /// bring no event: a phase changes over no order, a request arrives for an order that is over. Only a
    /// call that changes orders moves it to an earlier time: ask again after each. One behind the year 2200
    /// never comes.
    pub fn deadline(&self) -> MarketTime {
        self.next_due
    }

    /// Takes an order. It may be filled, or cancelled, when this returns; the events say how.
    ///
    /// # Errors
    /// See [`Reject`]; nothing changed then.
    pub fn submit(&mut self, order: NewOrder, now: MarketTime) -> Result<BrokerOrderId, Reject> {
        self.advance(now);
        let admitted = self.admit(&order)?;
        Ok(self.take(order, &admitted))
    }

    /// Sends the market day order that closes a position, or a part of it.
    ///
    /// # Errors
    /// [`Reject::NoPosition`], [`Reject::PercentInvalid`], or what [`Venue::submit`] says to that order.
    pub fn close_position(
        &mut self,
        symbol: &Symbol,
        part: ClosePart,
        now: MarketTime,
    ) -> Result<BrokerOrderId, Reject> {
        self.advance(now);
        let held = self.by_symbol.get(symbol).map_or(Qty::ZERO, |&symbol| self.ledger.holdings[symbol].qty);
        if held.is_zero() {
            return Err(Reject::NoPosition);
        }
        let order = NewOrder {
            client_order_id: None,
            symbol: symbol.clone(),
            side: if held.is_positive() { Side::Sell } else { Side::Buy },
            amount: Amount::Qty(part_of(held.abs(), part)?),
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: Class::Simple,
            position_intent: None,
        };
        self.submit(order, now)
    }

    /// What happened since the last call, in order. Nothing is ever dropped: drain after every call.
    pub fn drain_events(&mut self) -> Vec<VenueEvent> {
        std::mem::take(&mut self.events)
    }

    fn entry(&self, ix: OrderIx) -> &Entry {
        &self.entries[ix as usize]
    }

    fn entry_mut(&mut self, ix: OrderIx) -> &mut Entry {
        &mut self.entries[ix as usize]
    }

    /// Whether so many orders more can be kept and numbered.
    fn has_room(&self, more: usize) -> bool {
        let numbers = OrderIx::try_from(self.entries.next_number() + more);
        self.entries.len() + more <= MAX_ORDERS && numbers.is_ok()
    }

    fn index(&self, id: &BrokerOrderId) -> Option<OrderIx> {
        self.by_id.get(&Uuid::parse_str(id.as_str()).ok()?).copied()
    }
}

/// The shares that a part of `held` comes to.
fn part_of(held: Qty, part: ClosePart) -> Result<Qty, Reject> {
    match part {
        ClosePart::All => Ok(held),
        ClosePart::Qty(qty) => Ok(qty),
        ClosePart::Percent(percent) if percent > Decimal::ZERO && percent <= Decimal::ONE_HUNDRED => {
            let shares = held.get() * (percent / Decimal::ONE_HUNDRED);
            Ok(Qty::new(shares.round_dp_with_strategy(9, RoundingStrategy::ToZero).normalize()))
        }
        ClosePart::Percent(_) => Err(Reject::PercentInvalid),
    }
}
