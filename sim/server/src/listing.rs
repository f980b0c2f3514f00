//! The symbols the synthetic market lists, and what is known of others.

use sandpit_types::Symbol;

/// What a symbol is called, where it is listed and how it trades.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Listing {
    /// The symbol.
    pub symbol: &'static str,
    /// The company or fund.
    pub name: &'static str,
    /// The listing exchange, in the broker's words.
    pub exchange: &'static str,
    /// Where a synthetic price starts, US dollars.
    pub price: f64,
    /// Deviation of a year's return.
    pub volatility: f64,
    /// Average shares of one trade.
    pub trade_shares: f64,
}

const fn listing(
    symbol: &'static str,
    name: &'static str,
    exchange: &'static str,
    price: f64,
    volatility: f64,
    trade_shares: f64,
) -> Listing {
    Listing { symbol, name, exchange, price, volatility, trade_shares }
}

/// Twenty-five liquid US symbols: the default market.
pub const LISTINGS: [Listing; 25] = [
    listing("SPY", "SPDR S&P 500 ETF Trust", "ARCA", 680.0, 0.16, 400.0),
    listing("QQQ", "Invesco QQQ Trust", "NASDAQ", 610.0, 0.20, 350.0),
    listing("IWM", "iShares Russell 2000 ETF", "ARCA", 245.0, 0.22, 350.0),
    listing("DIA", "SPDR Dow Jones Industrial Average ETF", "ARCA", 480.0, 0.15, 150.0),
    listing("AAPL", "Apple Inc.", "NASDAQ", 255.0, 0.26, 300.0),
    listing("MSFT", "Microsoft Corporation", "NASDAQ", 480.0, 0.24, 250.0),
    listing("NVDA", "NVIDIA Corporation", "NASDAQ", 180.0, 0.42, 500.0),
    listing("AMZN", "Amazon.com Inc.", "NASDAQ", 225.0, 0.30, 300.0),
    listing("GOOGL", "Alphabet Inc. Class A", "NASDAQ", 310.0, 0.28, 250.0),
    listing("META", "Meta Platforms Inc.", "NASDAQ", 650.0, 0.32, 150.0),
    listing("TSLA", "Tesla Inc.", "NASDAQ", 430.0, 0.55, 400.0),
    listing("AMD", "Advanced Micro Devices Inc.", "NASDAQ", 210.0, 0.48, 350.0),
    listing("INTC", "Intel Corporation", "NASDAQ", 40.0, 0.45, 500.0),
    listing("NFLX", "Netflix Inc.", "NASDAQ", 95.0, 0.34, 250.0),
    listing("JPM", "JPMorgan Chase & Co.", "NYSE", 310.0, 0.22, 200.0),
    listing("BAC", "Bank of America Corporation", "NYSE", 54.0, 0.24, 500.0),
    listing("XOM", "Exxon Mobil Corporation", "NYSE", 118.0, 0.22, 250.0),
    listing("KO", "The Coca-Cola Company", "NYSE", 71.0, 0.14, 300.0),
    listing("PEP", "PepsiCo Inc.", "NASDAQ", 145.0, 0.17, 200.0),
    listing("WMT", "Walmart Inc.", "NYSE", 103.0, 0.20, 250.0),
    listing("HD", "The Home Depot Inc.", "NYSE", 350.0, 0.22, 150.0),
    listing("UNH", "UnitedHealth Group Incorporated", "NYSE", 330.0, 0.33, 150.0),
    listing("DIS", "The Walt Disney Company", "NYSE", 112.0, 0.26, 250.0),
    listing("F", "Ford Motor Company", "NYSE", 13.4, 0.34, 700.0),
    listing("T", "AT&T Inc.", "NYSE", 24.5, 0.20, 600.0),
];

/// The default symbols.
pub fn default_symbols() -> Vec<Symbol> {
    LISTINGS.iter().map(|listing| Symbol::new(listing.symbol)).collect()
}

/// What is known of a symbol; one that is not in the table gets a listing that depends on its name only.
pub fn find(symbol: &str) -> Listing {
    LISTINGS.into_iter().find(|listing| listing.symbol == symbol).unwrap_or_else(|| {
        let spread = symbol.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let price = 20.0 + (spread % 280) as f64;
        listing("", "", "NYSE", price, 0.3, 250.0)
    })
}

/// The tape a listing exchange reports to: A for NYSE, C for NASDAQ, B for the others.
pub fn tape(exchange: &str) -> &'static str {
    match exchange {
        "NYSE" => "A",
        "NASDAQ" => "C",
        _ => "B",
    }
}
