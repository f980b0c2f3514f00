//! The messages of the data stream, field by field as the broker's documents have them (2026). The same
//! shapes are read back when somebody puts a message of his own into the market.

use std::borrow::Cow;

use sandpit_types::{MarketTime, Symbol};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{EXCHANGE, Stamp, tape};
use crate::data::is_symbol;

/// A code or a word of the wire: mostly one of a few that are known beforehand.
pub type Word = Cow<'static, str>;

/// Highest price and largest size of a message from outside.
const MOST: f64 = 1e12;

/// One data message. As JSON it is exactly what the stream sends: `{"T":"t","S":"SPY","p":1.5,"s":2,...}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "T")]
pub enum MarketMessage {
    /// A trade.
    #[serde(rename = "t")]
    Trade(TradeMessage),
    /// A quote.
    #[serde(rename = "q")]
    Quote(QuoteMessage),
    /// The bar of a minute that has just ended.
    #[serde(rename = "b")]
    Bar(BarMessage),
    /// A minute's bar that late trades have changed.
    #[serde(rename = "u")]
    UpdatedBar(BarMessage),
    /// The bar of the day so far.
    #[serde(rename = "d")]
    DailyBar(BarMessage),
    /// Trading was halted or goes on.
    #[serde(rename = "s")]
    Status(StatusMessage),
    /// The limits up and down.
    #[serde(rename = "l")]
    Luld(LuldMessage),
    /// A trade was corrected.
    #[serde(rename = "c")]
    Correction(CorrectionMessage),
    /// A trade was canceled or was an error.
    #[serde(rename = "x")]
    CancelError(CancelErrorMessage),
    /// Orders are out of balance.
    #[serde(rename = "i")]
    Imbalance(ImbalanceMessage),
    /// An article.
    #[serde(rename = "n")]
    News(Box<Article>),
}

/// A trade: id, exchange, price, size, conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the broker's own field names; the type says what they are")]
pub struct TradeMessage {
    #[serde(rename = "S")]
    pub symbol: Symbol,
    /// Zero in a message from outside: the market numbers it.
    #[serde(default)]
    pub i: u64,
    #[serde(default = "exchange")]
    pub x: Word,
    pub p: f64,
    pub s: u64,
    #[serde(default = "regular_trade")]
    pub c: Vec<Word>,
    pub t: Stamp,
    #[serde(default)]
    pub z: Word,
}

/// A quote: exchange, price and shares of bid and ask, conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the broker's own field names; the type says what they are")]
pub struct QuoteMessage {
    #[serde(rename = "S")]
    pub symbol: Symbol,
    #[serde(default = "exchange")]
    pub bx: Word,
    pub bp: f64,
    pub bs: u64,
    #[serde(default = "exchange")]
    pub ax: Word,
    pub ap: f64,
    #[serde(rename = "as")]
    pub ask_size: u64,
    #[serde(default = "regular_quote")]
    pub c: Vec<Word>,
    pub t: Stamp,
    #[serde(default)]
    pub z: Word,
}

/// A bar: open, high, low, close, volume, trades, average price, start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the broker's own field names; the type says what they are")]
pub struct BarMessage {
    #[serde(rename = "S")]
    pub symbol: Symbol,
    pub o: f64,
    pub h: f64,
    pub l: f64,
    pub c: f64,
    pub v: u64,
    #[serde(default)]
    pub n: u64,
    pub vw: f64,
    pub t: Stamp,
}

/// A trading status: code and message of the status and of its reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the broker's own field names; the type says what they are")]
pub struct StatusMessage {
    #[serde(rename = "S")]
    pub symbol: Symbol,
    pub sc: Word,
    #[serde(default)]
    pub sm: Word,
    #[serde(default)]
    pub rc: Word,
    #[serde(default)]
    pub rm: Word,
    pub t: Stamp,
    #[serde(default)]
    pub z: Word,
}

/// Limit up, limit down: the two prices and the indicator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the broker's own field names; the type says what they are")]
pub struct LuldMessage {
    #[serde(rename = "S")]
    pub symbol: Symbol,
    pub u: f64,
    pub d: f64,
    #[serde(default)]
    pub i: Word,
    pub t: Stamp,
    #[serde(default)]
    pub z: Word,
}

/// A correction: id, price, size and conditions of the original trade and of the corrected one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the broker's own field names; the type says what they are")]
pub struct CorrectionMessage {
    #[serde(rename = "S")]
    pub symbol: Symbol,
    #[serde(default = "exchange")]
    pub x: Word,
    pub oi: u64,
    pub op: f64,
    pub os: u64,
    #[serde(default = "regular_trade")]
    pub oc: Vec<Word>,
    pub ci: u64,
    pub cp: f64,
    pub cs: u64,
    #[serde(default = "regular_trade")]
    pub cc: Vec<Word>,
    pub t: Stamp,
    #[serde(default)]
    pub z: Word,
}

/// A trade that does not count any more; `a` is "C" for canceled, "E" for an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the broker's own field names; the type says what they are")]
pub struct CancelErrorMessage {
    #[serde(rename = "S")]
    pub symbol: Symbol,
    pub i: u64,
    #[serde(default = "exchange")]
    pub x: Word,
    pub p: f64,
    pub s: u64,
    #[serde(default = "canceled")]
    pub a: Word,
    pub t: Stamp,
    #[serde(default)]
    pub z: Word,
}

/// An imbalance and its price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the broker's own field names; the type says what they are")]
pub struct ImbalanceMessage {
    #[serde(rename = "S")]
    pub symbol: Symbol,
    pub p: f64,
    pub t: Stamp,
    #[serde(default)]
    pub z: Word,
}

/// An article of the news.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the broker's own field names; the type says what they are")]
pub struct Article {
    /// Zero in a message from outside: the news desk numbers it.
    #[serde(default)]
    pub id: u64,
    pub headline: String,
    #[serde(default)]
    pub summary: String,
    #[serde(default)]
    pub author: String,
    pub created_at: Stamp,
    pub updated_at: Stamp,
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub content: String,
    #[serde(default)]
    pub symbols: Vec<Symbol>,
    #[serde(default)]
    pub source: String,
}

fn exchange() -> Word {
    EXCHANGE.into()
}

fn regular_trade() -> Vec<Word> {
    vec!["@".into()]
}

fn regular_quote() -> Vec<Word> {
    vec!["R".into()]
}

fn canceled() -> Word {
    "C".into()
}

impl From<StatusMessage> for MarketMessage {
    fn from(status: StatusMessage) -> Self {
        Self::Status(status)
    }
}

impl MarketMessage {
    /// Reads a message that somebody wants to put into the market. What he leaves out becomes ordinary: the
    /// time is `now`, the tape that of the symbol's exchange.
    ///
    /// # Errors
    /// When it is none of the messages above, a symbol is none, or a number is absurd; the text says which.
    pub fn read(mut value: Value, now: MarketTime) -> Result<Self, String> {
        let fields = value.as_object_mut().ok_or("a message is an object")?;
        let stamps: &[&str] = if fields.get("T").is_some_and(|kind| kind == "n") {
            &["created_at", "updated_at"]
        } else {
            &["t"]
        };
        for stamp in stamps {
            fields.entry(*stamp).or_insert_with(|| json!(now));
        }
        if let Some(symbol) = fields.get("S").and_then(Value::as_str).map(Symbol::new) {
            fields.entry("z").or_insert_with(|| tape(&symbol).into());
        }
        let message: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        message.check()?;
        Ok(message)
    }

    fn check(&self) -> Result<(), String> {
        let symbols = self.symbols();
        if let Some(symbol) = symbols.iter().find(|symbol| !is_symbol(symbol.as_str())) {
            return Err(format!("{symbol} is not a symbol"));
        }
        let numbers: &[f64] = match self {
            Self::Trade(trade) => &[trade.p, trade.s as f64],
            Self::Quote(quote) => &[quote.bp, quote.ap, quote.bs as f64, quote.ask_size as f64],
            Self::Bar(bar) | Self::UpdatedBar(bar) | Self::DailyBar(bar) => {
                &[bar.o, bar.h, bar.l, bar.c, bar.vw, bar.v as f64, bar.n as f64]
            }
            Self::Luld(limits) => &[limits.u, limits.d],
            Self::Correction(correction) => {
                &[correction.op, correction.cp, correction.os as f64, correction.cs as f64]
            }
            Self::CancelError(cancel) => &[cancel.p, cancel.s as f64],
            Self::Imbalance(imbalance) => &[imbalance.p],
            Self::Status(_) | Self::News(_) => &[],
        };
        if let Some(number) = numbers.iter().find(|number| !(0.0..=MOST).contains(*number)) {
            return Err(format!("{number} is neither a price nor a number of shares"));
        }
        Ok(())
    }

    /// The symbols it is about: one, but for an article any number.
    pub fn symbols(&self) -> &[Symbol] {
        let one = match self {
            Self::Trade(trade) => &trade.symbol,
            Self::Quote(quote) => &quote.symbol,
            Self::Bar(bar) | Self::UpdatedBar(bar) | Self::DailyBar(bar) => &bar.symbol,
            Self::Status(status) => &status.symbol,
            Self::Luld(limits) => &limits.symbol,
            Self::Correction(correction) => &correction.symbol,
            Self::CancelError(cancel) => &cancel.symbol,
            Self::Imbalance(imbalance) => &imbalance.symbol,
            Self::News(article) => return &article.symbols,
        };
        std::slice::from_ref(one)
    }

    /// Stamps it anew.
    pub(crate) fn set_time(&mut self, time: MarketTime) {
        let stamp = match self {
            Self::Trade(trade) => &mut trade.t,
            Self::Quote(quote) => &mut quote.t,
            Self::Bar(bar) | Self::UpdatedBar(bar) | Self::DailyBar(bar) => &mut bar.t,
            Self::Status(status) => &mut status.t,
            Self::Luld(limits) => &mut limits.t,
            Self::Correction(correction) => &mut correction.t,
            Self::CancelError(cancel) => &mut cancel.t,
            Self::Imbalance(imbalance) => &mut imbalance.t,
            Self::News(article) => &mut article.updated_at,
        };
        *stamp = time.into();
    }

    /// When it became true; a bar has the start of its time.
    pub fn time(&self) -> MarketTime {
        match self {
            Self::Trade(trade) => trade.t.0,
            Self::Quote(quote) => quote.t.0,
            Self::Bar(bar) | Self::UpdatedBar(bar) | Self::DailyBar(bar) => bar.t.0,
            Self::Status(status) => status.t.0,
            Self::Luld(limits) => limits.t.0,
            Self::Correction(correction) => correction.t.0,
            Self::CancelError(cancel) => cancel.t.0,
            Self::Imbalance(imbalance) => imbalance.t.0,
            Self::News(article) => article.updated_at.0,
        }
    }
}
