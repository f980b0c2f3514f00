//! What the strategies that run want to hear.

use std::sync::Arc;

use sandpit_broker::Subscription;
use sandpit_types::Symbol;

use crate::{config::Config, strategies::Strategy};

/// Market data: quotes and bars of everything that is traded, because the gates need prices; trades where
/// they are wanted.
pub(crate) fn subscription(strategies: &[Arc<Strategy>]) -> Subscription {
    let symbols: Vec<Symbol> = strategies.iter().flat_map(|it| it.instruments.iter().cloned()).collect();
    let wanting = strategies.iter().filter(|strategy| strategy.wants_trades());
    Subscription {
        bars: symbols.clone(),
        quotes: symbols,
        trades: wanting.flat_map(|strategy| strategy.instruments.iter().cloned()).collect(),
        news: Vec::new(),
    }
}

/// The symbols that the news is to be of: what the configuration lists, else the instruments of the
/// strategies that want news. Nothing where none does.
pub(crate) fn news(config: &Config, strategies: &[Arc<Strategy>]) -> Vec<Symbol> {
    let wanting = || strategies.iter().filter(|strategy| strategy.wants_news());
    match config.market_data.news.as_slice() {
        _ if wanting().next().is_none() => Vec::new(),
        [] => wanting().flat_map(|strategy| strategy.instruments.iter().cloned()).collect(),
        listed => listed.to_vec(),
    }
}
