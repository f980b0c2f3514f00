//! Quotes, trades and bars in JSON of the usual form, by hand: no blanks, the kind first, plain numbers,
//! plain text. Fields may come in any order.
//!
//! `None` means "look closer", never "wrong": serde reads the message then. The same message gives the same
//! event both ways (a property test says so), but for numbers of more than 15 digits, which are exact here.

use sandpit_types::{Bar, BarMark, MarketEvent, MarketTime, Quote, Symbol, Trade};

use super::MAX_SYMBOL_BYTES;
use crate::wire::{number, stamp};

/// So many digits fit into a float without loss, and so does their quotient by a power of ten.
const EXACT_DIGITS: usize = 15;
/// The powers of ten that a number of so many digits can need.
const POWERS: [f64; EXACT_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/// A whole number of more digits may not fit into 64 bits.
const MAX_WHOLE_DIGITS: usize = 18;

/// The message that `text` begins with, and its length.
pub(super) fn message(text: &[u8]) -> Option<(MarketEvent, usize)> {
    let [b'{', b'"', b'T', b'"', b':', b'"', kind, b'"', b',', fields @ ..] = text else { return None };
    let mut scan = Scan { rest: fields, seen: 0 };
    let event = match kind {
        b'q' => MarketEvent::Quote(quote(&mut scan)?),
        b't' => MarketEvent::Trade(trade(&mut scan)?),
        b'b' => MarketEvent::Bar(bar(&mut scan)?),
        b'u' => MarketEvent::MarkedBar(bar(&mut scan)?, BarMark::Corrected),
        _ => return None,
    };
    Some((event, text.len() - scan.rest.len()))
}

fn quote(scan: &mut Scan<'_>) -> Option<Quote> {
    let (mut symbol, mut time) = ("", MarketTime::from_nanos(0));
    let (mut bid, mut bid_size, mut ask, mut ask_size) = (0.0, 0, 0.0, 0);
    loop {
        match scan.rest {
            [b'"', b'S', b'"', b':', ..] => symbol = scan.field(1, 4)?.symbol()?,
            [b'"', b'b', b'p', b'"', b':', ..] => bid = scan.field(2, 5)?.price()?,
            [b'"', b'b', b's', b'"', b':', ..] => bid_size = scan.field(4, 5)?.whole()?,
            [b'"', b'a', b'p', b'"', b':', ..] => ask = scan.field(8, 5)?.price()?,
            [b'"', b'a', b's', b'"', b':', ..] => ask_size = scan.field(16, 5)?.whole()?,
            [b'"', b't', b'"', b':', ..] => time = scan.field(32, 4)?.stamp()?,
            _ => scan.skip_field()?,
        }
        if scan.is_last()? {
            break;
        }
    }
    (scan.seen == 63).then(|| Quote { symbol: Symbol::new(symbol), time, bid, bid_size, ask, ask_size })
}

fn trade(scan: &mut Scan<'_>) -> Option<Trade> {
    let (mut symbol, mut time, mut price, mut size) = ("", MarketTime::from_nanos(0), 0.0, 0);
    loop {
        match scan.rest {
            [b'"', b'S', b'"', b':', ..] => symbol = scan.field(1, 4)?.symbol()?,
            [b'"', b'p', b'"', b':', ..] => price = scan.field(2, 4)?.price()?,
            [b'"', b's', b'"', b':', ..] => size = scan.field(4, 4)?.whole()?,
            [b'"', b't', b'"', b':', ..] => time = scan.field(8, 4)?.stamp()?,
            _ => scan.skip_field()?,
        }
        if scan.is_last()? {
            break;
        }
    }
    (scan.seen == 15).then(|| Trade { symbol: Symbol::new(symbol), time, price, size })
}

fn bar(scan: &mut Scan<'_>) -> Option<Bar> {
    let (mut symbol, mut start, mut volume) = ("", MarketTime::from_nanos(0), 0);
    let [mut open, mut high, mut low, mut close, mut vwap] = [0.0; 5];
    loop {
        match scan.rest {
            [b'"', b'S', b'"', b':', ..] => symbol = scan.field(1, 4)?.symbol()?,
            [b'"', b'o', b'"', b':', ..] => open = scan.field(2, 4)?.price()?,
            [b'"', b'h', b'"', b':', ..] => high = scan.field(4, 4)?.price()?,
            [b'"', b'l', b'"', b':', ..] => low = scan.field(8, 4)?.price()?,
            [b'"', b'c', b'"', b':', ..] => close = scan.field(16, 4)?.price()?,
            [b'"', b'v', b'"', b':', ..] => volume = scan.field(32, 4)?.whole()?,
            [b'"', b'v', b'w', b'"', b':', ..] => vwap = scan.field(64, 5)?.price()?,
            [b'"', b't', b'"', b':', ..] => start = scan.field(128, 4)?.stamp()?,
            _ => scan.skip_field()?,
        }
        if scan.is_last()? {
            break;
        }
    }
    let symbol = (scan.seen == 255).then(|| Symbol::new(symbol))?;
    Some(Bar { symbol, start, open, high, low, close, volume, vwap })
}

/// What is left of the text, and which fields have come.
struct Scan<'t> {
    rest: &'t [u8],
    seen: u8,
}

impl<'t> Scan<'t> {
    /// Steps over the name of a field; one that came before makes the message odd.
    #[inline]
    fn field(&mut self, bit: u8, name_bytes: usize) -> Option<&mut Self> {
        if self.seen & bit != 0 {
            return None;
        }
        self.seen |= bit;
        self.rest = &self.rest[name_bytes..];
        Some(self)
    }

    /// Steps over what stands between fields.
    #[inline]
    fn is_last(&mut self) -> Option<bool> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        match byte {
            b',' => Some(false),
            b'}' => Some(true),
            _ => None,
        }
    }

    #[inline]
    fn symbol(&mut self) -> Option<&'t str> {
        let name = self.text()?;
        let fits = (1..=MAX_SYMBOL_BYTES).contains(&name.len());
        if fits { str::from_utf8(name).ok() } else { None }
    }

    /// Plain text: no escapes, nothing beyond ASCII.
    #[inline]
    fn text(&mut self) -> Option<&'t [u8]> {
        let text = self.rest.strip_prefix(b"\"")?;
        let end =
            text.iter().position(|&byte| !(b' '..0x7f).contains(&byte) || byte == b'"' || byte == b'\\')?;
        if text[end] != b'"' {
            return None;
        }
        self.rest = &text[end + 1..];
        Some(&text[..end])
    }

    #[inline]
    fn stamp(&mut self) -> Option<MarketTime> {
        let text = self.rest.strip_prefix(b"\"")?;
        let (time, length) = stamp::utc(text)?;
        self.rest = text[length..].strip_prefix(b"\"")?;
        Some(time)
    }

    #[inline]
    fn whole(&mut self) -> Option<u64> {
        let (value, length) = digits(self.rest);
        if !(1..=MAX_WHOLE_DIGITS).contains(&length) || has_leading_zero(self.rest, length) {
            return None;
        }
        self.rest = &self.rest[length..];
        self.at_end_of_value().then_some(value)
    }

    /// A number that is not negative, without an exponent.
    #[inline]
    fn price(&mut self) -> Option<f64> {
        let text = self.rest;
        let (whole, whole_length) = digits(text);
        if whole_length == 0 || has_leading_zero(text, whole_length) {
            return None;
        }
        let Some([b'.', decimals @ ..]) = text.get(whole_length..) else {
            self.rest = &text[whole_length..];
            return (whole_length <= EXACT_DIGITS && self.at_end_of_value()).then_some(whole as f64);
        };
        let (fraction, fraction_length) = digits(decimals);
        let length = whole_length + 1 + fraction_length;
        self.rest = &text[length..];
        if fraction_length == 0 || !self.at_end_of_value() {
            return None;
        }
        if whole_length + fraction_length > EXACT_DIGITS {
            let price = str::from_utf8(&text[..length]).ok()?.parse().ok()?;
            // One of hundreds of digits is infinite.
            return number::is_price(price).then_some(price);
        }
        let power = POWERS[fraction_length];
        Some((whole * power as u64 + fraction) as f64 / power)
    }

    fn at_end_of_value(&self) -> bool {
        matches!(self.rest.first(), Some(b',' | b'}' | b']'))
    }

    /// Steps over a field that we do not read (a second kind is not among them): text, a list of texts, a
    /// number, nothing.
    #[inline]
    fn skip_field(&mut self) -> Option<()> {
        if self.text()? == b"T" {
            return None;
        }
        self.rest = self.rest.strip_prefix(b":")?;
        match self.rest {
            [b'"', ..] => self.text().map(drop),
            [b'[', b']', ..] => {
                self.rest = &self.rest[2..];
                Some(())
            }
            [b'[', ..] => loop {
                self.rest = &self.rest[1..];
                self.text()?;
                match self.rest {
                    [b',', ..] => {}
                    [b']', rest @ ..] => {
                        self.rest = rest;
                        return Some(());
                    }
                    _ => return None,
                }
            },
            [b'n', b'u', b'l', b'l', rest @ ..] => {
                self.rest = rest;
                Some(())
            }
            _ => self.skip_number(),
        }
    }

    /// Ids may be longer than what fits into a number of ours.
    fn skip_number(&mut self) -> Option<()> {
        let (_, mut length) = digits(self.rest);
        if length == 0 || has_leading_zero(self.rest, length) {
            return None;
        }
        if let Some([b'.', decimals @ ..]) = self.rest.get(length..) {
            let (_, fraction_length) = digits(decimals);
            length = (fraction_length > 0).then_some(length + 1 + fraction_length)?;
        }
        self.rest = &self.rest[length..];
        self.at_end_of_value().then_some(())
    }
}

/// The digits that `text` begins with: their value, which wraps, and how many there are.
#[inline]
fn digits(text: &[u8]) -> (u64, usize) {
    let mut value = 0_u64;
    let mut length = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(digit.into());
        length += 1;
    }
    (value, length)
}

/// JSON knows `0` and `0.5`, but not `05`.
fn has_leading_zero(text: &[u8], length: usize) -> bool {
    length > 1 && text.first() == Some(&b'0')
}
