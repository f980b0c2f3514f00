//! The venue: the calls it takes and the questions it answers.

mod admit;
mod life;
mod matching;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use rust_decimal::{Decimal, RoundingStrategy};
use sandpit_types::{BrokerOrderId, MarketEvent, MarketTime, Price, Qty, Quote, Side, Symbol, Usd};
use uuid::Uuid;

use crate::{
    Amount, Calendar, CancelReject, Class, ClosePart, EventKind, FeeCharge, ForceReject, ImpossibleEvent,
    Listing, NewOrder, OrderKind, PdtCheck, Phase, Reject, ReplaceReject, Replacement, TimeInForce,
    VenueAccount, VenueConfig, VenueEvent, VenueOrder, VenuePosition,
    account::{average, decimal},
    book::{Book, OrderIx},
    ids::Ids,
    ledger::{Holding, Ledger, Worth},
};

/// How many orders a venue takes in its life; client order ids are remembered for ever.
const MAX_ORDERS: usize = 1 << 20;

/// Virtual time ends here (the year 2200): later stamps count as this one.
const END_OF_TIME: MarketTime = MarketTime::from_secs(7_258_118_400);

/// An order, and the price at which its unfilled shares are reserved.
#[derive(Debug)]
struct Entry {
    order: VenueOrder,
    symbol: usize,
    reserve: Price,
}

/// A broker and its exchange in one: takes market data, orders and the passing of time, makes events.
///
/// Its clock is the newest time it was told, by any call, and never goes back.
#[derive(Debug)]
pub struct Venue {
    config: VenueConfig,
    calendar: Calendar,
    ids: Ids,
    account_id: Arc<str>,
    created_at: MarketTime,
    now: MarketTime,
    phase: Phase,
    next_change: MarketTime,
    /// The next change of phase or end of an order.
    next_due: MarketTime,
    suspended: bool,
    no_shorting: bool,
    last_equity: Usd,
    ledger: Ledger,
    books: Vec<Book>,
    by_symbol: HashMap<Symbol, usize>,
    /// In order of submission; an order's index is its name inside.
    entries: Vec<Entry>,
    by_id: HashMap<Uuid, OrderIx>,
    by_client_id: HashMap<Arc<str>, OrderIx>,
    open: BTreeSet<OrderIx>,
    /// Orders that wait for their session.
    queued: BTreeSet<OrderIx>,
    /// When the time of each open order runs out.
    timers: BTreeSet<(MarketTime, OrderIx)>,
    events: Vec<VenueEvent>,
}

impl Venue {
    /// A venue with a fresh account that trades these symbols; one named twice counts once.
    pub fn new(config: VenueConfig, symbols: &[Symbol], now: MarketTime) -> Self {
        let listings: Vec<Listing> = symbols.iter().cloned().map(Listing::open).collect();
        Self::with_listings(config, &listings, now)
    }

    /// The same with the permissions of each symbol.
    pub fn with_listings(config: VenueConfig, listings: &[Listing], now: MarketTime) -> Self {
        let now = now.min(END_OF_TIME);
        let calendar = if config.always_open { Calendar::always_open() } else { Calendar::nyse() };
        let mut ids = Ids::new(config.seed);
        let (mut books, mut by_symbol) = (Vec::new(), HashMap::new());
        for listing in listings {
            by_symbol.entry(listing.symbol.clone()).or_insert_with(|| {
                books.push(Book::new(listing.clone()));
                books.len() - 1
            });
        }
        let next_change = calendar.next_change(now);
        Self {
            account_id: ids.uuid().to_string().into(),
            created_at: now,
            now,
            phase: calendar.phase(now),
            next_change,
            next_due: next_change,
            suspended: false,
            no_shorting: false,
            last_equity: config.cash,
            ledger: Ledger::new(config.cash, books.len()),
            books,
            by_symbol,
            entries: Vec::new(),
            by_id: HashMap::new(),
            by_client_id: HashMap::new(),
            open: BTreeSet::new(),
            queued: BTreeSet::new(),
            timers: BTreeSet::new(),
            events: Vec::new(),
            config,
            calendar,
            ids,
        }
    }

    /// Takes one market event: quotes set the book, trades and bars the last price, and what they make
    /// possible fills. Time advances to the event's own (for a bar, the end of its minute). Symbols that the
    /// venue does not know are passed over, and so is a quote that is older than the standing one.
    pub fn on_market(&mut self, event: &MarketEvent) {
        self.advance(event.time());
        let (symbol, is_new_quote) = match event {
            MarketEvent::Quote(quote) => {
                let Some(&symbol) = self.by_symbol.get(&quote.symbol) else { return };
                (symbol, self.books[symbol].on_quote(quote))
            }
            MarketEvent::Trade(trade) => {
                let Some(&symbol) = self.by_symbol.get(&trade.symbol) else { return };
                self.books[symbol].on_trade(trade);
                (symbol, false)
            }
            MarketEvent::Bar(bar) => {
                let Some(&symbol) = self.by_symbol.get(&bar.symbol) else { return };
                (symbol, self.books[symbol].on_bar(bar, event.time()))
            }
            MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::Health(..) => return,
        };
        if is_new_quote && self.books[symbol].has_open() {
            self.match_book(symbol);
        }
    }

    /// Lets time pass: sessions begin and end, orders expire, queued orders begin to work. A time that is
    /// past changes nothing.
    pub fn advance(&mut self, now: MarketTime) {
        let now = now.min(END_OF_TIME);
        while self.next_due <= now {
            self.now = self.now.max(self.next_due);
            match self.timers.first().copied() {
                // At the same moment orders end first: a day order does not see the phase after its own.
                Some((at, ix)) if at <= self.next_change => self.run_out(ix),
                Some(_) | None => self.change_phase(),
            }
            self.set_next_due();
        }
        self.now = self.now.max(now);
    }

    /// When [`Venue::advance`] has something to do next.
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
        Ok(self.take(order, admitted))
    }

    /// Cancels an order at once. The id may be written with or without dashes.
    ///
    /// # Errors
    /// When there is no such order, or it is done.
    pub fn cancel(&mut self, id: &BrokerOrderId, now: MarketTime) -> Result<(), CancelReject> {
        self.advance(now);
        let Some(ix) = self.index(id) else { return Err(CancelReject::NotFound { id: id.clone() }) };
        let state = self.entry(ix).order.state;
        if state.is_terminal() {
            return Err(CancelReject::Terminal { state });
        }
        self.end(ix, EventKind::Canceled);
        Ok(())
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

    /// Replaces a working order: a new order takes its place, with its fills and with new time priority.
    /// Returns the new order's id.
    ///
    /// # Errors
    /// See [`ReplaceReject`]; nothing changed then.
    pub fn replace(
        &mut self,
        id: &BrokerOrderId,
        change: Replacement,
        now: MarketTime,
    ) -> Result<BrokerOrderId, ReplaceReject> {
        self.advance(now);
        let _ = change;
        self.index(id).ok_or_else(|| ReplaceReject::NotFound { id: id.clone() })?;
        Err(ReplaceReject::Order(Reject::NotOffered))
    }

    /// Makes something happen to an order from outside: `new` (back to work), `rejected`, `done_for_day`,
    /// `stopped`, `suspended`, `calculated`, `canceled` or `expired`.
    ///
    /// # Errors
    /// When there is no such order, or it cannot have that event; nothing changed then.
    pub fn force(
        &mut self,
        id: &BrokerOrderId,
        event: EventKind,
        now: MarketTime,
    ) -> Result<(), ForceReject> {
        self.advance(now);
        let ix = self.index(id).ok_or_else(|| ForceReject::NotFound { id: id.clone() })?;
        let state = self.entry(ix).order.state;
        Err(ImpossibleEvent { state, event }.into())
    }

    /// Halts a symbol, or lets it trade again. While it is halted orders are taken, and nothing fills or is
    /// elected; after it the next quote counts.
    pub fn set_halted(&mut self, symbol: &Symbol, halted: bool) {
        let _ = (symbol, halted);
    }

    /// Whether a symbol is halted.
    pub fn is_halted(&self, symbol: &Symbol) -> bool {
        let _ = symbol;
        false
    }

    /// While set, cancels stay in `pending_cancel`; clearing it lets them finish.
    pub fn set_stuck_cancels(&mut self, stuck: bool) {
        let _ = stuck;
    }

    /// The account configuration `max_margin_multiplier`: 1, 2 or 4, at first 4.
    pub fn set_margin_limit(&mut self, max_multiplier: u32) {
        let _ = max_multiplier;
    }

    /// The account configuration `fractional_trading`, at first on.
    pub fn set_fractional(&mut self, allowed: bool) {
        let _ = allowed;
    }

    /// The account configuration `pdt_check`, of use under the old rule only.
    pub fn set_pdt_check(&mut self, check: PdtCheck) {
        let _ = check;
    }

    /// The account configuration `suspend_trade`: while it is set, new orders are rejected.
    pub fn set_suspended(&mut self, suspended: bool) {
        self.suspended = suspended;
    }

    /// Whether new orders are rejected at the owner's wish.
    pub const fn suspended(&self) -> bool {
        self.suspended
    }

    /// The account configuration `no_shorting`: while it is set, short sales are rejected.
    pub fn set_no_shorting(&mut self, no_shorting: bool) {
        self.no_shorting = no_shorting;
    }

    /// What happened since the last call, in order. Nothing is ever dropped: drain after every call.
    pub fn drain_events(&mut self) -> Vec<VenueEvent> {
        std::mem::take(&mut self.events)
    }
}

/// Questions.
impl Venue {
    /// The venue's clock.
    pub const fn now(&self) -> MarketTime {
        self.now
    }

    /// What the exchange is doing now.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The calendar the venue goes by.
    pub const fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The symbols that are traded, in the order they were given.
    pub fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.books.iter().map(|book| &book.symbol)
    }

    /// The id of a symbol, a UUID that is the same in every run; `None` when the venue does not know it.
    pub fn asset_id(&self, symbol: &Symbol) -> Option<&Arc<str>> {
        self.by_symbol.get(symbol).map(|&symbol| &self.books[symbol].asset_id)
    }

    /// The symbol that a text means: its own name, or its id with or without dashes.
    pub fn resolve(&self, symbol_or_id: &str) -> Option<&Symbol> {
        if let Some(&symbol) = self.by_symbol.get(symbol_or_id) {
            return Some(&self.books[symbol].symbol);
        }
        let id = Uuid::parse_str(symbol_or_id).ok()?.to_string();
        self.books.iter().find(|book| *book.asset_id == *id).map(|book| &book.symbol)
    }

    /// One order. The id may be written with or without dashes.
    pub fn order(&self, id: &BrokerOrderId) -> Option<&VenueOrder> {
        self.index(id).map(|ix| &self.entry(ix).order)
    }

    /// The place of an order among [`Venue::orders`].
    pub fn place(&self, id: &BrokerOrderId) -> Option<usize> {
        self.index(id).map(|ix| ix as usize)
    }

    /// One order by its sender's id.
    pub fn by_client_id(&self, client_order_id: &str) -> Option<&VenueOrder> {
        self.by_client_id.get(client_order_id).map(|&ix| &self.entry(ix).order)
    }

    /// All orders ever taken, in order of submission.
    pub fn orders(&self) -> impl DoubleEndedIterator<Item = &VenueOrder> + ExactSizeIterator {
        self.entries.iter().map(|entry| &entry.order)
    }

    /// Orders to which something may still happen, in order of submission.
    pub fn open_orders(&self) -> impl DoubleEndedIterator<Item = &VenueOrder> + ExactSizeIterator {
        self.open.iter().map(|&ix| &self.entry(ix).order)
    }

    /// Fees that were booked, in order.
    pub fn fees(&self) -> &[FeeCharge] {
        &[]
    }

    /// The last quote of a symbol, a made one if it has only bars; `None` before the first.
    pub fn last_quote(&self, symbol: &Symbol) -> Option<&Quote> {
        self.books[*self.by_symbol.get(symbol)?].quote()
    }

    /// The account now.
    pub fn account(&self) -> VenueAccount {
        let worth = self.worth();
        let free = worth.equity - worth.gross() - self.ledger.held_power;
        VenueAccount {
            id: self.account_id.clone(),
            account_number: format!("PA{}", self.account_id[..8].to_uppercase()).into(),
            created_at: self.created_at,
            cash: self.ledger.cash,
            equity: worth.equity,
            last_equity: self.last_equity,
            long_market_value: worth.long,
            short_market_value: worth.short,
            initial_margin: worth.gross() * decimal(5, 1),
            maintenance_margin: worth.maintenance,
            last_maintenance_margin: Usd::ZERO,
            sma: (worth.equity - worth.gross() * decimal(5, 1)).max(Usd::ZERO),
            accrued_fees: Usd::ZERO,
            buying_power: self.ledger.buying_power(&worth),
            regt_buying_power: self.ledger.buying_power(&worth),
            intraday_buying_power: self.ledger.buying_power(&worth),
            day_trade_count: 0,
            pattern_day_trader: false,
            restricted: false,
            non_marginable_buying_power: free.max(Usd::ZERO),
            held_for_orders: self.ledger.held_power,
            multiplier: worth.multiplier(),
            realized_pl: self.ledger.realized,
            shorting_enabled: self.may_short(&worth),
            suspended: self.suspended,
        }
    }

    /// Everything that is held, in the order of the symbols.
    pub fn positions(&self) -> impl Iterator<Item = VenuePosition> {
        (0..self.books.len()).filter_map(|symbol| self.position_at(symbol))
    }

    /// What is held of one symbol; `None` when flat.
    pub fn position(&self, symbol: &Symbol) -> Option<VenuePosition> {
        self.position_at(*self.by_symbol.get(symbol)?)
    }

    fn position_at(&self, symbol: usize) -> Option<VenuePosition> {
        let (book, holding) = (&self.books[symbol], &self.ledger.holdings[symbol]);
        let avg_entry_price = average(holding.cost, holding.qty)?;
        let current_price = self.mark(symbol, holding);
        let market_value = current_price * holding.qty;
        let side = if holding.qty.is_positive() { Side::Buy } else { Side::Sell };
        Some(VenuePosition {
            symbol: book.symbol.clone(),
            asset_id: book.asset_id.clone(),
            qty: holding.qty,
            qty_available: side.signed(holding.available()),
            avg_entry_price,
            cost_basis: holding.cost,
            current_price,
            market_value,
            unrealized_pl: market_value - holding.cost,
            lastday_price: book.last_close,
        })
    }

    fn worth(&self) -> Worth {
        self.ledger.worth(|symbol, holding| self.mark(symbol, holding))
    }

    fn may_short(&self, worth: &Worth) -> bool {
        self.config.shorting && !self.no_shorting && worth.has_margin()
    }

    fn mark(&self, symbol: usize, holding: &Holding) -> Price {
        self.books[symbol].mark().or_else(|| average(holding.cost, holding.qty)).unwrap_or(Price::ZERO)
    }

    fn entry(&self, ix: OrderIx) -> &Entry {
        &self.entries[ix as usize]
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
