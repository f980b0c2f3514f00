//! What comes in beside what strategies ask for, and how it is written on the wire.

use sandpit_types::Symbol;
use serde::{Deserialize, Serialize};

use super::file::MarketDataSection;

/// A symbol that is always quoted in market hours.
pub(super) const DEFAULT_CANARY: &str = "SPY";
/// The longest symbol: a share class or a unit has a suffix.
const MAX_SYMBOL_CHARS: usize = 16;
/// How many symbols the news may be of; all of them are one `*`.
const MAX_NEWS_SYMBOLS: usize = 500;

/// How the market-data stream writes its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    /// MessagePack, in binary frames.
    #[default]
    Msgpack,
    /// JSON, in text frames.
    Json,
}

/// The section, checked.
#[derive(Debug)]
pub(crate) struct MarketData {
    /// The symbol whose quotes are the pulse of the stream; `None` for none.
    pub(crate) canary: Option<Symbol>,
    /// How messages are written.
    pub(crate) encoding: Encoding,
    /// Symbols for news; `*` alone is all of them, nothing is no news.
    pub(crate) news: Vec<Symbol>,
}

impl MarketData {
    /// Checks what the file says.
    ///
    /// # Errors
    /// A sentence that names the key and what is allowed.
    pub(super) fn check(section: &MarketDataSection) -> Result<Self, String> {
        let canary = match section.canary.as_str() {
            "off" => None,
            text => Some(symbol(text).ok_or_else(|| {
                format!("market_data.canary is {text:?}, it must be a symbol such as \"SPY\", or \"off\"")
            })?),
        };
        let news = match section.news.as_slice() {
            [all] if all == "*" => vec![Symbol::new("*")],
            symbols if symbols.len() > MAX_NEWS_SYMBOLS => {
                let count = symbols.len();
                return Err(format!(
                    "market_data.news has {count} symbols, at most {MAX_NEWS_SYMBOLS} are allowed; \
                     [\"*\"] is all news"
                ));
            }
            symbols => symbols.iter().map(|text| news_symbol(text)).collect::<Result<_, _>>()?,
        };
        Ok(Self { canary, encoding: section.encoding, news })
    }
}

fn news_symbol(text: &str) -> Result<Symbol, String> {
    let what = || {
        format!("market_data.news has {text:?}, it must be [\"*\"] or a list of symbols such as [\"SPY\"]")
    };
    symbol(text).ok_or_else(what)
}

fn symbol(text: &str) -> Option<Symbol> {
    let plain = text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "./-".contains(c));
    (plain && (1..=MAX_SYMBOL_CHARS).contains(&text.len())).then(|| Symbol::new(text))
}
