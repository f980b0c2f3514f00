//! The reference model: the venue's rules once more, as simply as they can be written. Everything is a plain
//! list that is searched from its start; nothing is kept that can be counted anew.

mod admit;
mod fills;
mod groups;
mod life;
mod money;
mod replace;
mod stops;

use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Side};
use sandpit_venue::{
    Calendar, Class, EventKind, Listing, OrderKind, OrderState, PdtCheck, TimeInForce, VenueConfig,
};

/// HTTP status and the broker's code.
pub(crate) type Refusal = (u16, i64);

/// One event, as both sides tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) order: usize,
    /// Shares and price of this execution, shares held after it.
    pub(crate) execution: Option<(Decimal, Decimal, Decimal)>,
    pub(crate) state: OrderState,
}

/// What is shown on one side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    pub(crate) price: Decimal,
    pub(crate) size: Decimal,
}

/// One symbol: what is known of its market, what is held of it.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    pub(crate) listing: Listing,
    /// What is for sale now.
    pub(crate) bid: Option<Level>,
    pub(crate) ask: Option<Level>,
    /// The newest quote, whenever it was: time, bid, ask.
    pub(crate) quote: Option<(MarketTime, Decimal, Decimal)>,
    /// Whether that one was made from a bar.
    pub(crate) made: bool,
    /// The last price, of a trade or a bar, and when that was.
    pub(crate) last: Option<Decimal>,
    pub(crate) seen: Option<MarketTime>,
    /// Whether there ever was a trade (not only bars).
    pub(crate) traded: bool,
    pub(crate) halted: bool,
    pub(crate) held: Decimal,
    pub(crate) cost: Decimal,
    /// The day on which shares were opened that none has closed since.
    pub(crate) opened: Option<jiff::civil::Date>,
}

/// What an order does in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Single,
    Entry,
    TakeProfit,
    StopLoss,
}

/// What an order does in the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Waits for its stop.
    Waits,
    Market,
    Limit(Decimal),
}

#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) client_id: Option<String>,
    pub(crate) symbol: usize,
    pub(crate) side: Side,
    pub(crate) qty: Option<Decimal>,
    pub(crate) notional: Option<Decimal>,
    pub(crate) kind: OrderKind,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) extended: bool,
    pub(crate) class: Class,
    pub(crate) role: Role,
    pub(crate) parent: Option<usize>,
    pub(crate) legs: Vec<usize>,
    pub(crate) state: OrderState,
    /// Whether it is at the exchange and not set aside there.
    pub(crate) routed: bool,
    /// Whether it ever was there.
    pub(crate) begun: bool,
    /// Whether it waits for its session.
    pub(crate) queued: bool,
    pub(crate) filled: Decimal,
    pub(crate) filled_cost: Decimal,
    /// Whether it adds to a position.
    pub(crate) opens: bool,
    /// What each unfilled share holds of the buying power.
    pub(crate) hold: Decimal,
    /// The shares that a closing order by notional reserves.
    pub(crate) reserve: Decimal,
    pub(crate) work: Work,
    pub(crate) high_water: Option<Decimal>,
    pub(crate) expires: MarketTime,
    pub(crate) replaced_by: Option<usize>,
    pub(crate) replaces: Option<usize>,
}

/// The model.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) config: VenueConfig,
    pub(crate) calendar: Calendar,
    pub(crate) now: MarketTime,
    pub(crate) markets: Vec<Market>,
    pub(crate) orders: Vec<Order>,
    pub(crate) events: Vec<Event>,
    pub(crate) cash: Decimal,
    pub(crate) realized: Decimal,
    pub(crate) last_equity: Decimal,
    pub(crate) last_maintenance: Decimal,
    /// What the positions took of an intraday buying power at the last close.
    pub(crate) last_used: Decimal,
    /// Closes in a row with more margin needed than there is equity, and until when that restricts.
    pub(crate) deficits: u32,
    pub(crate) restricted_until: Option<jiff::civil::Date>,
    /// The days of the day trades.
    pub(crate) day_trades: Vec<jiff::civil::Date>,
    pub(crate) suspended: bool,
    pub(crate) no_shorting: bool,
    pub(crate) fractional: bool,
    pub(crate) max_multiplier: u32,
    pub(crate) stuck: bool,
    pub(crate) pdt_check: PdtCheck,
    pub(crate) pattern: bool,
    /// Whether the closing auction is on.
    pub(crate) closing: bool,
    /// How often a stop or a trailing stop was elected.
    pub(crate) elections: [usize; 3],
}

impl Model {
    pub(crate) fn new(config: &VenueConfig, listings: &[Listing], now: MarketTime) -> Self {
        let market = |listing: &Listing| Market {
            listing: listing.clone(),
            bid: None,
            ask: None,
            quote: None,
            made: false,
            last: None,
            seen: None,
            traded: false,
            halted: false,
            held: Decimal::ZERO,
            cost: Decimal::ZERO,
            opened: None,
        };
        Self {
            config: config.clone(),
            calendar: if config.always_open { Calendar::always_open() } else { Calendar::nyse() },
            now,
            markets: listings.iter().map(market).collect(),
            orders: Vec::new(),
            events: Vec::new(),
            cash: config.cash.get(),
            realized: Decimal::ZERO,
            last_equity: config.cash.get(),
            last_maintenance: Decimal::ZERO,
            last_used: Decimal::ZERO,
            deficits: 0,
            restricted_until: None,
            day_trades: Vec::new(),
            suspended: false,
            no_shorting: false,
            fractional: true,
            max_multiplier: 4,
            stuck: false,
            pdt_check: PdtCheck::default(),
            pattern: false,
            closing: false,
            elections: [0; 3],
        }
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The orders to which something may still happen, in order of submission.
    pub(crate) fn open(&self) -> Vec<usize> {
        (0..self.orders.len()).filter(|&order| self.orders[order].is_open()).collect()
    }

    fn say(&mut self, kind: EventKind, order: usize) {
        let state = self.orders[order].state;
        self.events.push(Event { kind, order, execution: None, state });
    }

    /// An order gets a state, and the event of that name is told.
    fn turn(&mut self, order: usize, state: OrderState, kind: EventKind) {
        self.orders[order].state = state;
        self.say(kind, order);
    }

    /// An order goes to the exchange; a cancel that is under way stays so.
    fn turn_new(&mut self, place: usize) {
        let order = &mut self.orders[place];
        (order.routed, order.begun) = (true, true);
        let state = match order.state {
            OrderState::PendingCancel => OrderState::PendingCancel,
            OrderState::PendingNew | OrderState::Accepted | OrderState::Held => OrderState::New,
            _ if order.filled.is_zero() => OrderState::New,
            _ => OrderState::PartiallyFilled,
        };
        self.turn(place, state, EventKind::New);
    }
}

impl Order {
    pub(crate) const fn is_open(&self) -> bool {
        !matches!(
            self.state,
            OrderState::Filled
                | OrderState::Canceled
                | OrderState::Expired
                | OrderState::Rejected
                | OrderState::Replaced
        )
    }

    /// Shares not filled; an order by notional has none to count.
    pub(crate) fn left(&self) -> Decimal {
        self.qty.map_or(Decimal::ZERO, |qty| qty - self.filled)
    }

    pub(crate) fn average(&self) -> Option<Decimal> {
        (!self.filled.is_zero()).then(|| self.filled_cost / self.filled)
    }

    /// Whether the broker fills it from its own shares, whatever the size shown.
    pub(crate) fn is_fractional(&self) -> bool {
        self.qty.is_none_or(|qty| !qty.fract().is_zero())
    }

    /// Plus one for buys, minus one for sells.
    pub(crate) const fn sign(&self) -> Decimal {
        match self.side {
            Side::Buy => Decimal::ONE,
            Side::Sell => Decimal::NEGATIVE_ONE,
        }
    }
}

/// The smallest step of a price.
pub(crate) fn tick(price: Decimal) -> Decimal {
    if price >= Decimal::ONE { Decimal::new(1, 2) } else { Decimal::new(1, 4) }
}

/// `value` without what is beyond nine decimals.
pub(crate) fn cut(value: Decimal) -> Decimal {
    value.trunc_with_scale(9).normalize()
}
