//! What a connection wants to hear.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{Channel, Encoding, Feed, Plan};
use crate::wire::market::MarketMessage;

/// Most symbols of one connection over all channels.
const MAX_SUBSCRIBED: usize = 10_000;
/// Most symbols of trades and quotes under the free plan.
const MAX_BASIC: usize = 30;
/// Channels that come and go with trades.
const WITH_TRADES: [Channel; 2] = [Channel::Corrections, Channel::CancelErrors];
/// All symbols.
const EVERYTHING: &str = "*";

/// Symbols, or `*`, by channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted(BTreeMap<Channel, BTreeSet<Arc<str>>>);

/// Why a subscription stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoChange {
    /// A list is none, or holds something that is no symbol.
    Syntax,
    /// The feed has no such channel.
    Channel,
    /// Too many symbols.
    Limit,
}

impl Wanted {
    /// What is wanted after a subscribe or unsubscribe message.
    pub(super) fn after(&self, message: &Value, add: bool, feed: Feed, plan: Plan) -> Result<Self, NoChange> {
        let mut wanted = self.clone();
        let fields = message.as_object().into_iter().flatten().filter(|(name, _)| *name != "action");
        for (name, symbols) in fields {
            let symbols = symbol_list(symbols).ok_or(NoChange::Syntax)?;
            let channel = feed.channels().iter().find(|channel| channel.as_str() == name);
            let Some(&channel) = channel else {
                // SDKs send the empty lists of other feeds along.
                if symbols.is_empty() {
                    continue;
                }
                return Err(NoChange::Channel);
            };
            wanted.change(channel, &symbols, add);
            if channel == Channel::Trades && feed.channels().contains(&Channel::Corrections) {
                WITH_TRADES.into_iter().for_each(|companion| wanted.change(companion, &symbols, add));
            }
        }
        if add && wanted.is_too_much(plan) { Err(NoChange::Limit) } else { Ok(wanted) }
    }

    fn change(&mut self, channel: Channel, symbols: &[Arc<str>], add: bool) {
        let set = self.0.entry(channel).or_default();
        for symbol in symbols {
            if add {
                set.insert(symbol.clone());
            } else {
                set.remove(symbol);
            }
        }
        if set.is_empty() {
            self.0.remove(&channel);
        }
    }

    /// The free plan counts each symbol of trades and of quotes; everything is too many.
    fn is_too_much(&self, plan: Plan) -> bool {
        let limited = self.0.iter().filter(|(channel, _)| channel.is_limited()).map(|(_, set)| set);
        let basic: usize =
            limited.map(|set| if set.contains(EVERYTHING) { MAX_BASIC + 1 } else { set.len() }).sum();
        let all: usize = self.0.values().map(BTreeSet::len).sum();
        all > MAX_SUBSCRIBED || plan == Plan::Basic && basic > MAX_BASIC
    }

    /// Whether a message is wanted.
    fn wants(&self, message: &MarketMessage) -> bool {
        let Some(set) = self.0.get(&Channel::of(message)) else { return false };
        set.contains(EVERYTHING) || message.symbols().iter().any(|symbol| set.contains(symbol.as_str()))
    }

    /// The acknowledgement: always the complete set.
    pub(super) fn acknowledgement(&self, feed: Feed) -> Value {
        let mut message = serde_json::Map::new();
        message.insert("T".into(), "subscription".into());
        for channel in feed.channels() {
            let symbols = self.0.get(channel);
            if symbols.is_some() || channel.is_always_shown() {
                let symbols = symbols.into_iter().flatten().map(|symbol| Value::from(&**symbol));
                message.insert(channel.as_str().into(), symbols.collect());
            }
        }
        json!([message])
    }
}

/// An array of `*` or stock symbols; null is an empty one.
fn symbol_list(value: &Value) -> Option<Vec<Arc<str>>> {
    if value.is_null() {
        return Some(Vec::new());
    }
    let symbols = value.as_array()?.iter().map(|symbol| {
        let symbol = symbol.as_str().filter(|name| *name == EVERYTHING || crate::data::is_symbol(name))?;
        Some(Arc::from(symbol))
    });
    symbols.collect()
}

/// What a listener of the hub wants, and how. Whoever wants nothing has the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    pub(super) feed: Feed,
    pub(super) encoding: Encoding,
    wanted: Arc<Wanted>,
}

impl Subscription {
    pub(super) fn new(feed: Feed, encoding: Encoding, wanted: &Arc<Wanted>) -> Self {
        if wanted.0.is_empty() {
            return Self::default();
        }
        Self { feed, encoding, wanted: wanted.clone() }
    }

    /// Whether a message of one of these feeds is wanted.
    pub(super) fn wants(&self, feeds: &[Feed], message: &MarketMessage) -> bool {
        feeds.contains(&self.feed) && self.wanted.wants(message)
    }
}
