//! The old rule of day trades, for those who ask for it.

use super::Venue;
use crate::{DayTradeRule, PdtCheck, PositionIntent, Reject};

/// Sessions that are looked over, the present one included.
const SESSIONS: usize = 5;
/// So many day trades within them make a pattern day trader.
const PATTERN: u32 = 4;

/// Day trades, and what could become one.
///
/// A day trade is a closing execution in a symbol in which something was opened the same day; what is closed
/// after it counts again only when something was opened again.
#[derive(Debug)]
pub(super) struct DayTrades {
    /// The present session last.
    counts: [u32; SESSIONS],
    /// By symbol: whether something was opened today and not closed since.
    opened: Vec<bool>,
    is_pattern: bool,
}

impl DayTrades {
    pub(super) fn new(symbols: usize) -> Self {
        Self { counts: [0; SESSIONS], opened: vec![false; symbols], is_pattern: false }
    }

    /// One symbol more.
    pub(super) fn list(&mut self) {
        self.opened.push(false);
    }

    pub(super) fn on_fill(&mut self, symbol: usize, intent: PositionIntent) {
        if intent.opens() {
            self.opened[symbol] = true;
        } else if std::mem::take(&mut self.opened[symbol]) {
            self.counts[SESSIONS - 1] += 1;
            self.is_pattern |= self.count() >= PATTERN;
        }
    }

    /// A new trading day begins.
    pub(super) fn next_day(&mut self) {
        self.counts.rotate_left(1);
        self.counts[SESSIONS - 1] = 0;
        self.opened.fill(false);
    }

    fn count(&self) -> u32 {
        self.counts.iter().sum()
    }
}

impl Venue {
    fn counts_day_trades(&self) -> bool {
        self.config.day_trade_rule == DayTradeRule::Legacy
    }

    pub(super) fn counted_day_trades(&self) -> u32 {
        if self.counts_day_trades() { self.day_trades.count() } else { 0 }
    }

    pub(super) fn is_pattern_day_trader(&self) -> bool {
        self.counts_day_trades() && self.day_trades.is_pattern
    }

    /// Whether an order could make the fourth day trade within five sessions with too little equity.
    pub(super) fn check_day_trades(&self, symbol: usize, intent: PositionIntent) -> Result<(), Reject> {
        if self.counted_day_trades() + 1 < PATTERN || self.has_day_trader_equity() {
            return Ok(());
        }
        let is_checked = match self.pdt_check {
            PdtCheck::Entry => intent.opens(),
            PdtCheck::Exit => !intent.opens(),
            PdtCheck::Both => true,
        };
        let is_denied = is_checked && (intent.opens() || self.day_trades.opened[symbol]);
        if is_denied { Err(Reject::PatternDayTrading) } else { Ok(()) }
    }
}
