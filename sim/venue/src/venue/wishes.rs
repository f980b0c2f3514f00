//! What the owner of the account and the exchange set.

use sandpit_types::Symbol;

use super::Venue;
use crate::PdtCheck;

/// Settings.
impl Venue {
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

    /// The account configuration `max_margin_multiplier`: 1, 2 or 4, at first 4. With 1 there are neither
    /// margin nor short sales.
    pub fn set_margin_limit(&mut self, max_multiplier: u32) {
        self.margin.limit = max_multiplier.max(1);
    }

    /// The account configuration `fractional_trading`, at first on.
    pub fn set_fractional(&mut self, allowed: bool) {
        self.no_fractions = !allowed;
    }

    /// The account configuration `pdt_check`, of use under the old rule only.
    pub fn set_pdt_check(&mut self, check: PdtCheck) {
        self.pdt_check = check;
    }

    /// Halts a symbol, or lets it trade again. While it is halted orders are taken, and nothing fills or is
    /// elected; after it the next quote counts. A symbol that the venue does not know is passed over.
    pub fn set_halted(&mut self, symbol: &Symbol, halted: bool) {
        if let Some(&symbol) = self.by_symbol.get(symbol) {
            self.books[symbol].set_halted(halted);
        }
    }
}
