//! The script: one order a line, words with spaces between them; what comes after `#` is a remark.
//!
//! ```text
//! # time of the bar's end  symbol side shares kind        prices       time in force (day if not said)
//! 2013-10-07T13:31:00Z     SPY    buy  500    market
//! 2013-10-07T14:00:00Z     SPY    sell 500    limit       +0.15        gtc
//! 2013-10-07T14:00:00Z     IBM    sell 100    stop        181.20
//! 2013-10-07T14:30:00Z     IBM    buy  100    stop_limit  +0.10 +0.12  day
//! ```
//!
//! An order is sent when the bar of its symbol that ends at that moment is delivered; without such a bar it
//! is never sent. A price with a sign is added to the close of that bar, one without is the price. The times
//! in force are `day`, `gtc`, `ioc` and `fok`. Lines are counted from 1, remarks and empty lines with them.

use sandpit_sdk::{Price, Qty, Side, Time, TimeInForce};

/// Most lines of a script.
const MAX_LINES: usize = 10_000;

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which line of the script, from 1.
    pub number: usize,
    /// The end of the bar at which it is sent.
    pub at: Time,
    /// Of what.
    pub symbol: String,
    /// Which way.
    pub side: Side,
    /// How much.
    pub shares: Qty,
    /// At which prices.
    pub kind: Kind,
    /// How long it stays.
    pub lasts: TimeInForce,
}

/// What kind of order, with its prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// At whatever the market gives.
    Market,
    /// At this price or better.
    Limit(At),
    /// A market order once the price is there.
    Stop(At),
    /// A limit order (the second price) once the price is at the first.
    StopLimit(At, At),
}

/// A price as the script has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The price.
    Price(Price),
    /// The distance from the close of the bar.
    Away(Price),
}

impl At {
    /// The price, when that was the close.
    pub fn at(self, close: Price) -> Price {
        match self {
            Self::Price(price) => price,
            Self::Away(distance) => close + distance,
        }
    }
}

/// Reads a script.
///
/// # Errors
/// The first line that cannot be read, and why.
pub fn parse(script: &str) -> Result<Vec<Line>, String> {
    let mut found = Vec::new();
    for (number, text) in (1..).zip(script.lines()) {
        if number > MAX_LINES {
            return Err(format!("a script has at most {MAX_LINES} lines"));
        }
        let text = text.split('#').next().unwrap_or_default();
        let words: Vec<&str> = text.split_whitespace().collect();
        if !words.is_empty() {
            found.push(line(number, &words).map_err(|problem| format!("line {number}: {problem}"))?);
        }
    }
    Ok(found)
}

fn line(number: usize, words: &[&str]) -> Result<Line, String> {
    let [at, symbol, side, shares, kind, rest @ ..] = words else {
        return Err("it needs a time, a symbol, a side, shares and a kind".to_owned());
    };
    let at = time(at).ok_or_else(|| format!("{at} is no time as 2013-10-07T13:31:00Z"))?;
    let side = match *side {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        other => return Err(format!("{other} is not buy or sell")),
    };
    let shares = match shares.parse::<u32>() {
        Ok(shares) if shares > 0 => Qty::shares(shares.into()),
        Ok(_) | Err(_) => return Err(format!("{shares} is no number of shares")),
    };
    let (kind, rest) = match (*kind, rest) {
        ("market", rest) => (Kind::Market, rest),
        ("limit", [limit, rest @ ..]) => (Kind::Limit(price(limit)?), rest),
        ("stop", [stop, rest @ ..]) => (Kind::Stop(price(stop)?), rest),
        ("stop_limit", [stop, limit, rest @ ..]) => (Kind::StopLimit(price(stop)?, price(limit)?), rest),
        ("limit" | "stop" | "stop_limit", _) => return Err("a price is missing".to_owned()),
        (other, _) => return Err(format!("{other} is not market, limit, stop or stop_limit")),
    };
    let lasts = match rest {
        [] | ["day"] => TimeInForce::Day,
        ["gtc"] => TimeInForce::Gtc,
        ["ioc"] => TimeInForce::Ioc,
        ["fok"] => TimeInForce::Fok,
        other => return Err(format!("{} is not day, gtc, ioc or fok", other.join(" "))),
    };
    Ok(Line { number, at, symbol: (*symbol).to_owned(), side, shares, kind, lasts })
}

fn price(word: &str) -> Result<At, String> {
    let price = word.parse::<f64>().ok().and_then(Price::from_f64);
    let price = price.ok_or_else(|| format!("{word} is no price"))?;
    if word.starts_with(['+', '-']) {
        Ok(At::Away(price))
    } else if price.is_positive() {
        Ok(At::Price(price))
    } else {
        Err(format!("{word} is no price"))
    }
}

/// An instant as `YYYY-MM-DDTHH:MM:SSZ`.
fn time(word: &str) -> Option<Time> {
    let bytes = word.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if bytes.len() != 20 || !marks.iter().all(|&(place, mark)| bytes[place] == mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = word.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let fits = (1970..2262).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let days = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum::<i64>()
        + (1..month).map(|month| days_of(year, month)).sum::<i64>()
        + day
        - 1;
    fits.then(|| Time::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_or_refused() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let found = parse(text).map(|lines| match lines.as_slice() {
                [] => String::new(),
                [line, ..] => {
                    let Line { number, at, symbol, side, shares, kind, lasts } = line;
                    let at = at.nanos() / 1_000_000_000;
                    format!("{number} {at} {symbol} {side:?} {shares} {kind:?} {lasts:?}")
                }
            });
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        };
        let at = "2013-10-07T13:31:00Z";
        check("", Ok(""));
        check("# nothing\n\n", Ok(""));
        check(&format!("\n{at} SPY buy 5 market # x"), Ok("2 1381152660 SPY Buy 5 Market Day"));
        let limit = "1 1381152660 A Sell 5 Limit(Away(Price(-150000000))) Gtc";
        check(&format!("{at} A sell 5 limit -0.15 gtc"), Ok(limit));
        let stop = "1 1381152660 A Sell 5 Stop(Price(Price(1250000000))) Day";
        check(&format!("{at} A sell 5 stop 1.25 day"), Ok(stop));
        let both = "1 1381152660 A Buy 5 StopLimit(Away(Price(100000000)), Away(Price(120000000))) Fok";
        check(&format!("{at} A buy 5 stop_limit +0.1 +0.12 fok"), Ok(both));
        check("2000-02-29T00:00:00Z A buy 1 market ioc", Ok("1 951782400 A Buy 1 Market Ioc"));
        check("A", Err("line 1: it needs a time, a symbol, a side, shares and a kind"));
        check("now A buy 1 market", Err("line 1: now is no time as 2013-10-07T13:31:00Z"));
        for bad in
            ["2013-02-29T00:00:00Z", "2013-13-01T00:00:00Z", "2013-10-07T24:00:00Z", "2013-10-07T13:31:00é"]
        {
            let error = format!("line 1: {bad} is no time as 2013-10-07T13:31:00Z");
            check(&format!("{bad} A buy 1 market"), Err(&error));
        }
        check(&format!("{at} A short 1 market"), Err("line 1: short is not buy or sell"));
        check(&format!("{at} A buy 0 market"), Err("line 1: 0 is no number of shares"));
        check(&format!("{at} A buy 1 limit"), Err("line 1: a price is missing"));
        check(&format!("{at} A buy 1 limit 0"), Err("line 1: 0 is no price"));
        check(&format!("{at} A buy 1 limit x"), Err("line 1: x is no price"));
        check(&format!("{at} A buy 1 peg"), Err("line 1: peg is not market, limit, stop or stop_limit"));
        check(&format!("{at} A buy 1 market soon"), Err("line 1: soon is not day, gtc, ioc or fok"));
    }
}
