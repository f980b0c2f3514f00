//! What the gates know of the world: plain data, built by the host from books, quotes and account.

use sandpit_types::{ClientOrderId, MarketTime, OrderKind, Price, Qty, Quote, Side, StrategyName, Usd};

use crate::Grant;

/// The last price seen, from a trade or a completed bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastPrice {
    /// US dollars a share.
    pub price: Price,
    /// When it was true: for a bar, the end of its minute.
    pub time: MarketTime,
}

/// An order of ours that may still fill, one whose outcome is unknown or that was approved a moment ago
/// included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// Whose it is.
    pub strategy: StrategyName,
    /// Which way.
    pub side: Side,
    /// Shares that may still fill; above zero.
    pub remaining: Qty,
    /// What kind, with its prices.
    pub kind: OrderKind,
    /// Orders of one group and one side stand for the same shares, be it two exits of which one cancels the
    /// other, or an order and the one that takes its place: only the largest of them counts. `None` stands
    /// alone.
    pub group: Option<ClientOrderId>,
    /// It belongs to a bracket, an OCO or an OTO.
    pub in_class: bool,
    /// An exit whose entry has not filled: nothing of it can fill before.
    pub dormant: bool,
}

/// What the day-trade rule of old counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayTrading {
    /// Day trades in five business days up to today, those that open orders may yet complete included.
    pub count: u32,
    /// Shares of the symbol were opened today: to close any is a day trade.
    pub opened_today: bool,
    /// Orders that close are open in the symbol already: one more is part of the same day trade.
    pub closing: bool,
    /// The account's equity at the last close.
    pub last_equity: Option<Usd>,
}

/// The world as of one order. It has to include every order approved before, or a burst could pass one by one
/// what it may not pass together. The default is a world in which nothing is allowed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Situation {
    /// Trading is frozen: only risk-reducing orders pass.
    pub frozen: bool,
    /// The strategy is paused: only its risk-reducing orders pass.
    pub paused: bool,
    /// A signal of the rules stops entries for now: only risk-reducing orders pass.
    pub entries_stopped: bool,
    /// The watchdog's lease is valid.
    pub lease: bool,
    /// The books agree with the broker.
    pub reconciled: bool,
    /// Trade updates arrive, by stream or by the polling that replaces it.
    pub order_stream_up: bool,
    /// The regular session is open.
    pub session_open: bool,
    /// The market is open for orders that ask for extended hours: before, in and after the regular session.
    pub extended_open: bool,
    /// The newest quote of the symbol.
    pub quote: Option<Quote>,
    /// The newest price of the symbol.
    pub last_price: Option<LastPrice>,
    /// The account's equity; `None` while it is not known for certain, and then no risk may be added.
    pub equity: Option<Usd>,
    /// The broker's buying power as last reported.
    pub buying_power: Option<Usd>,
    /// What the strategy holds of the symbol in its own book; negative when short.
    pub position: Qty,
    /// What the account holds of the symbol, by whomever; negative when short. It has to follow our fills at
    /// once: a figure from the last poll would refuse the exit of what was bought since.
    pub account_position: Qty,
    /// Orders of ours in the symbol, of every strategy. The order that this one takes the place of is not
    /// among them.
    pub open_orders: Vec<OpenOrder>,
    /// Of the order that this one takes the place of: what may still fill; what has filled is not in this
    /// one's quantity here. While both live the larger of the
    /// two is what may fill.
    pub replaced_remaining: Qty,
    /// What that is worth at the other order's own price: exposure and buying power have it in them already.
    pub replaced_value: Usd,
    /// The order that this one takes the place of belongs to a bracket, an OCO or an OTO.
    pub replaces_in_class: bool,
    /// Open orders of ours in all symbols.
    pub open_order_count: usize,
    /// What all positions are worth, without sign, plus all open orders that add to one.
    pub gross_exposure: Usd,
    /// What the strategy's own positions are worth, without sign, plus its open orders that add to one.
    pub own_exposure: Usd,
    /// What the operator grants the strategy.
    pub grant: Grant,
    /// What open orders that add risk will cost and `buying_power` does not reflect yet.
    pub pending_exposure: Usd,
    /// The strategy that owns the symbol; `None` when nobody does or the operator allows sharing.
    pub owner: Option<StrategyName>,
    /// The strategy used this order id before.
    pub known_id: bool,
    /// Where the broker's day-trade rule of old stands.
    pub day_trading: DayTrading,
}
