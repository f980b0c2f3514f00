//! The questions that the venue answers.

use std::sync::Arc;

use sandpit_types::{BrokerOrderId, MarketTime, Price, Quote, Side, Symbol, Usd};
use uuid::Uuid;

use super::Venue;
use crate::{
    Calendar, FeeCharge, Phase, VenueAccount, VenueOrder, VenuePosition,
    account::average,
    ledger::{Holding, Worth},
};

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

    /// The place of an order among [`Venue::orders`]; a lower one after [`Venue::forget_closed_before`].
    pub fn place(&self, id: &BrokerOrderId) -> Option<usize> {
        self.index(id).map(|ix| ix as usize - self.entries.gone())
    }

    /// One order by its sender's id.
    pub fn by_client_id(&self, client_order_id: &str) -> Option<&VenueOrder> {
        self.by_client_id.get(client_order_id).map(|&ix| &self.entry(ix).order)
    }

    /// All orders that were taken and not forgotten, in order of submission.
    pub fn orders(&self) -> impl DoubleEndedIterator<Item = &VenueOrder> + ExactSizeIterator {
        self.entries.iter().map(|entry| &entry.order)
    }

    /// The orders at these places, in order of submission.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn orders_at(
        &self,
        places: std::ops::Range<usize>,
    ) -> impl DoubleEndedIterator<Item = &VenueOrder> + ExactSizeIterator {
        self.entries.at(places).map(|entry| &entry.order)
    }

    /// How many orders come before the first one submitted when it was not `early` any more.
    pub fn orders_while(&self, early: impl Fn(MarketTime) -> bool) -> usize {
        self.entries.partition_point(|entry| early(entry.order.submitted_at))
    }

    /// Orders to which something may still happen, in order of submission.
    pub fn open_orders(&self) -> impl DoubleEndedIterator<Item = &VenueOrder> + ExactSizeIterator {
        self.open.iter().map(|&ix| &self.entry(ix).order)
    }

    /// Fees that were booked, in order.
    pub fn fees(&self) -> &[FeeCharge] {
        self.fees.booked()
    }

    /// Whether a symbol is halted.
    pub fn is_halted(&self, symbol: &Symbol) -> bool {
        self.by_symbol.get(symbol).is_some_and(|&symbol| self.books[symbol].is_halted())
    }

    /// The last quote of a symbol, a made one if it has only bars; `None` before the first.
    pub fn last_quote(&self, symbol: &Symbol) -> Option<&Quote> {
        self.books[*self.by_symbol.get(symbol)?].quote()
    }

    /// The account's equity now, exactly that of [`Venue::account`] and several times as quick.
    pub fn equity(&self) -> Usd {
        self.ledger.equity(|symbol, holding| self.mark(symbol, holding))
    }

    /// The account now.
    pub fn account(&self) -> VenueAccount {
        let worth = self.worth();
        let power = self.power(&worth);
        let initial_margin = worth.initial_margin();
        VenueAccount {
            id: self.account_id.clone(),
            account_number: self.account_number.clone(),
            created_at: self.created_at,
            cash: self.ledger.cash,
            equity: worth.equity,
            last_equity: self.last_equity,
            long_market_value: worth.long,
            short_market_value: worth.short,
            initial_margin,
            maintenance_margin: worth.maintenance,
            last_maintenance_margin: self.margin.last_maintenance,
            sma: (worth.equity - initial_margin).max(Usd::ZERO),
            accrued_fees: self.fees.accrued(),
            buying_power: power.now,
            regt_buying_power: power.regt,
            intraday_buying_power: power.intraday,
            non_marginable_buying_power: power.non_marginable,
            held_for_orders: self.ledger.held_of(1),
            multiplier: power.multiplier,
            day_trade_count: self.counted_day_trades(),
            pattern_day_trader: self.is_pattern_day_trader(),
            restricted: self.is_restricted(&worth),
            realized_pl: self.ledger.realized,
            shorting_enabled: self.may_short(&worth),
            suspended: self.suspended,
        }
    }

    /// Everything that is held, in the order of the symbols.
    pub fn positions(&self) -> impl Iterator<Item = VenuePosition> {
        self.ledger.held().filter_map(|symbol| self.position_at(symbol))
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

    pub(super) fn worth(&self) -> Worth {
        self.ledger.worth(|symbol, holding| self.mark(symbol, holding))
    }

    pub(super) fn may_short(&self, worth: &Worth) -> bool {
        self.config.shorting && !self.no_shorting && self.margin.limit > 1 && worth.has_margin()
    }

    pub(super) fn mark(&self, symbol: usize, holding: &Holding) -> Price {
        self.books[symbol].mark().or_else(|| average(holding.cost, holding.qty)).unwrap_or(Price::ZERO)
    }
}
