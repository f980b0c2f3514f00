//! Data files: CSV, plain or gzip, in three kinds told apart by their header.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;
use sandpit_types::{Bar, MarketEvent, MarketTime, Quote, Symbol, Trade};

use super::{MAX_SYMBOLS, Tick};

/// Longest line of a data file.
const MAX_LINE_BYTES: usize = 4_096;
/// Highest price of a share, US dollars: above it the columns are mixed up.
const MAX_PRICE: f64 = 10_000_000.0;
/// Most shares in one row: above it the columns are mixed up.
const MAX_SHARES: u64 = 1_000_000_000_000;
/// Shares taken for one trade where a file of bars does not count them.
const SHARES_PER_TRADE: u64 = 100;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A data file that cannot be used. Mend the file; nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// One line is broken.
    #[error("{file}:{line}: {why}")]
    Line {
        /// The file as it was named.
        file: String,
        /// Counted from 1, the header included.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The file as a whole cannot be used.
    #[error("{file}: {why}")]
    File {
        /// The file as it was named.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One-minute bars, stamped with the start of their minute.
    Bars,
    /// Best bids and offers.
    Quotes,
    /// Trades.
    Trades,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Bars, Self::Quotes, Self::Trades];

    /// The header line that announces this kind.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Bars => "timestamp,symbol,open,high,low,close,volume",
            Self::Quotes => "timestamp,symbol,bid_price,bid_size,ask_price,ask_size",
            Self::Trades => "timestamp,symbol,price,size,exchange",
        }
    }
}

/// The rows of one file, read as they are asked for.
pub struct Rows {
    file: String,
    input: Box<dyn BufRead + Send>,
    kind: Kind,
    line: u64,
    last: Option<MarketTime>,
    symbols: HashMap<String, Symbol>,
}

impl Rows {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When it cannot be read or the header is none of the three.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let file = path.display().to_string();
        let trouble = |error: std::io::Error| DataError::File { file: file.clone(), why: error.to_string() };
        let mut plain = BufReader::new(File::open(path).map_err(trouble)?);
        let is_gzip = plain.fill_buf().map_err(trouble)?.starts_with(&GZIP_MAGIC);
        let input: Box<dyn BufRead + Send> =
            if is_gzip { Box::new(BufReader::new(MultiGzDecoder::new(plain))) } else { Box::new(plain) };
        Self::read(file, input)
    }

    /// Reads from any input; `file` is what errors call it.
    ///
    /// # Errors
    /// When the header is none of the three.
    pub fn read(file: String, input: Box<dyn BufRead + Send>) -> Result<Self, DataError> {
        let mut rows = Self { file, input, kind: Kind::Bars, line: 0, last: None, symbols: HashMap::new() };
        let header = rows.next_line()?.unwrap_or_default();
        let header = header.trim_start_matches('\u{feff}');
        match Kind::ALL.into_iter().find(|kind| kind.header() == header) {
            Some(kind) => rows.kind = kind,
            None => {
                let known = Kind::ALL.map(Kind::header).join("\" or \"");
                rows.line = 1;
                return Err(rows.broken(format!("the header must be \"{known}\"")));
            }
        }
        Ok(rows)
    }

    /// What the file holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The next row, `None` at the end of the file.
    ///
    /// # Errors
    /// When the line is not a row of this kind, or lies before the row above it.
    pub fn next_tick(&mut self) -> Result<Option<Tick>, DataError> {
        let Some(text) = self.next_line()? else { return Ok(None) };
        let (stamp, tick) = self.parse(&text).map_err(|why| self.broken(why))?;
        if self.last.is_some_and(|last| stamp < last) {
            return Err(self.broken(format!("{stamp} is before the row above it; sort the file by time")));
        }
        self.last = Some(stamp);
        Ok(Some(tick))
    }

    /// The next line that is not empty, without its end.
    fn next_line(&mut self) -> Result<Option<String>, DataError> {
        loop {
            self.line += 1;
            let mut bytes = Vec::new();
            let read = (&mut self.input).take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut bytes);
            read.map_err(|error| self.broken(error.to_string()))?;
            if bytes.len() > MAX_LINE_BYTES {
                return Err(self.broken(format!("the line is longer than {MAX_LINE_BYTES} bytes")));
            }
            if bytes.is_empty() {
                return Ok(None);
            }
            let text = String::from_utf8(bytes).map_err(|_| self.broken("the line is not UTF-8".into()))?;
            let text = text.trim_end_matches(['\n', '\r']);
            if !text.is_empty() {
                return Ok(Some(text.to_owned()));
            }
        }
    }

    fn parse(&mut self, text: &str) -> Result<(MarketTime, Tick), String> {
        match self.kind {
            Kind::Bars => {
                let [time, symbol, open, high, low, close, volume] = fields(text)?;
                let start = stamp(time)?;
                let bar = bar(self.symbol(symbol)?, start, [open, high, low, close], volume)?;
                let trades = (bar.volume / SHARES_PER_TRADE).max(1);
                Ok((start, Tick { event: MarketEvent::Bar(bar), trades }))
            }
            Kind::Quotes => {
                let [time, symbol, bid, bid_size, ask, ask_size] = fields(text)?;
                let quote = Quote {
                    time: stamp(time)?,
                    symbol: self.symbol(symbol)?,
                    bid: price("bid_price", bid, true)?,
                    bid_size: shares("bid_size", bid_size)?,
                    ask: price("ask_price", ask, true)?,
                    ask_size: shares("ask_size", ask_size)?,
                };
                Ok((quote.time, Tick::new(MarketEvent::Quote(quote))))
            }
            Kind::Trades => {
                let [time, symbol, at, size, _exchange] = fields(text)?;
                let trade = Trade {
                    time: stamp(time)?,
                    symbol: self.symbol(symbol)?,
                    price: price("price", at, false)?,
                    size: shares("size", size)?,
                };
                Ok((trade.time, Tick::new(MarketEvent::Trade(trade))))
            }
        }
    }

    fn symbol(&mut self, text: &str) -> Result<Symbol, String> {
        if let Some(symbol) = self.symbols.get(text) {
            return Ok(symbol.clone());
        }
        let symbol = parse_symbol(text)?;
        if self.symbols.len() == MAX_SYMBOLS {
            return Err(format!("more than {MAX_SYMBOLS} symbols in one file"));
        }
        self.symbols.insert(text.to_owned(), symbol.clone());
        Ok(symbol)
    }

    fn broken(&self, why: String) -> DataError {
        DataError::Line { file: self.file.clone(), line: self.line, why }
    }
}

/// Whether a text has the form of a stock symbol.
pub(crate) fn is_symbol(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '.' || c == '-';
    (1..=16).contains(&text.len()) && text.chars().all(allowed)
}

/// Reads a stock symbol.
///
/// # Errors
/// When the text has another form; the message says which it should have.
pub fn parse_symbol(text: &str) -> Result<Symbol, String> {
    let fits = is_symbol(text).then(|| Symbol::new(text));
    fits.ok_or_else(|| format!("symbol {text:?} is not 1 to 16 of A-Z, 0-9, '.', '-'"))
}

fn fields<const N: usize>(text: &str) -> Result<[&str; N], String> {
    let mut fields = [""; N];
    let mut count = 0;
    for field in text.split(',') {
        if let Some(slot) = fields.get_mut(count) {
            *slot = field;
        }
        count += 1;
    }
    if count == N { Ok(fields) } else { Err(format!("{count} fields where the header has {N}")) }
}

fn stamp(text: &str) -> Result<MarketTime, String> {
    MarketTime::parse(text).map_err(|error| format!("timestamp {error}"))
}

fn price(column: &str, text: &str, may_be_zero: bool) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{column} {text:?} is not a number"))?;
    let least = if may_be_zero { 0.0 } else { f64::MIN_POSITIVE };
    if (least..=MAX_PRICE).contains(&value) {
        return Ok(value);
    }
    let bound = if may_be_zero { "zero or above" } else { "above zero" };
    Err(format!("{column} {text:?} must be {bound} and at most {MAX_PRICE}"))
}

fn shares(column: &str, text: &str) -> Result<u64, String> {
    let value = text.parse().ok().filter(|value| *value <= MAX_SHARES);
    value.ok_or_else(|| format!("{column} {text:?} is not a whole number from 0 to {MAX_SHARES}"))
}

fn bar(symbol: Symbol, start: MarketTime, prices: [&str; 4], volume: &str) -> Result<Bar, String> {
    let [open, high, low, close] = prices;
    let bar = Bar {
        symbol,
        start,
        open: price("open", open, false)?,
        high: price("high", high, false)?,
        low: price("low", low, false)?,
        close: price("close", close, false)?,
        volume: shares("volume", volume)?,
        vwap: 0.0,
    };
    if bar.start != bar.start.minute() {
        return Err(format!("timestamp {start} is not the start of a minute"));
    }
    if bar.low > bar.open.min(bar.close) || bar.high < bar.open.max(bar.close) {
        return Err(format!("open {open} and close {close} must lie between low {low} and high {high}"));
    }
    // The file does not say it; the typical price is the usual stand-in.
    let vwap = super::bars::rounded((bar.high + bar.low + bar.close) / 3.0);
    Ok(Bar { vwap, ..bar })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &'static str) -> Result<Vec<Tick>, String> {
        let mut rows = Rows::read("x.csv".into(), Box::new(text.as_bytes())).map_err(|e| e.to_string())?;
        let mut ticks = Vec::new();
        while let Some(tick) = rows.next_tick().map_err(|e| e.to_string())? {
            ticks.push(tick);
        }
        Ok(ticks)
    }

    #[test]
    fn the_header_tells_the_kind() {
        let check = |text: &'static str, expected: &str| {
            let ticks = rows(text).expect(text);
            assert_eq!(format!("{:?}", ticks[0].event).split('(').next(), Some(expected), "{text}");
        };
        check(
            "timestamp,symbol,open,high,low,close,volume\n2013-10-07T08:00:00.000Z,SPY,3,4,2,3.5,100",
            "Bar",
        );
        check(
            "timestamp,symbol,bid_price,bid_size,ask_price,ask_size\r\n\r\n\
             2013-10-07T08:00:00Z,SPY,0,0,167.27,20000\r\n",
            "Quote",
        );
        check(
            "\u{feff}timestamp,symbol,price,size,exchange\n2013-10-07T08:00:00.464Z,BRK.B,167.41,100,P\n",
            "Trade",
        );
    }

    #[test]
    fn a_broken_line_is_named_with_its_number_and_the_reason() {
        const BARS: &str =
            "timestamp,symbol,open,high,low,close,volume\n2013-10-07T08:00:00Z,SPY,1,1,1,1,1\n";
        let check = |line: &str, why: &str| {
            let text: &'static str = format!("{BARS}{line}\n").leak();
            let error = rows(text).expect_err(line);
            assert!(error.starts_with("x.csv:3: ") && error.contains(why), "{line}: {error}");
        };
        check("2013-10-07T08:01:00Z,SPY,1,1,1,1", "6 fields where the header has 7");
        check("yesterday,SPY,1,1,1,1,1", "is not an RFC 3339 time");
        check("2013-10-07T08:01:00Z,spy,1,1,1,1,1", "symbol \"spy\"");
        check("2013-10-07T08:01:00Z,SPY,one,1,1,1,1", "open \"one\" is not a number");
        check("2013-10-07T08:01:00Z,SPY,1,NaN,1,1,1", "high \"NaN\" must be above zero");
        check("2013-10-07T08:01:00Z,SPY,1,1,1,0,1", "close \"0\" must be above zero");
        check("2013-10-07T08:01:00Z,SPY,1,1,1,1,-5", "volume \"-5\" is not a whole number");
        check("2013-10-07T08:01:00Z,SPY,3,2,1,1,1", "must lie between low 1 and high 2");
        check("2013-10-07T08:01:30Z,SPY,1,1,1,1,1", "is not the start of a minute");
        check("2013-10-07T07:59:00Z,SPY,1,1,1,1,1", "is before the row above it");
        check(&"9".repeat(5_000), "longer than 4096 bytes");
    }

    #[test]
    fn a_foreign_header_is_refused() {
        for text in ["", "a,b,c\n1,2,3\n"] {
            let error = rows(text).expect_err(text);
            assert!(error.starts_with("x.csv:1: the header must be \"timestamp,symbol,open"), "{error}");
        }
    }
}
