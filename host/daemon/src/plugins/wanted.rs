//! What the strategies that run want to hear.

use std::{collections::BTreeMap, sync::Arc};

use sandpit_broker::Subscription;
use sandpit_types::{Price, Qty, StrategyName, Symbol};

use crate::{config::Config, strategies::Strategy};

/// What each strategy holds of each symbol, also those that have left, and at which average price.
type Held = BTreeMap<(StrategyName, Symbol), (Qty, Price)>;

/// Market data: quotes and bars of everything that is traded, because the gates need prices; quotes of what
/// is held though nobody trades it, because the limits of the account are reckoned with it; trades where they
/// are wanted.
pub(crate) fn subscription(
    strategies: &[Arc<Strategy>],
    held: impl IntoIterator<Item = Symbol>,
) -> Subscription {
    let wanting = strategies.iter().filter(|strategy| strategy.wants_trades());
    let trades = wanting.flat_map(|strategy| strategy.instruments.iter().cloned()).collect();
    let traded = strategies.iter().flat_map(|it| it.instruments.iter().cloned()).collect();
    Subscription { trades, ..priced(traded, held) }
}

fn priced(traded: Vec<Symbol>, held: impl IntoIterator<Item = Symbol>) -> Subscription {
    let mut quotes = traded.clone();
    for symbol in held {
        if !quotes.contains(&symbol) {
            quotes.push(symbol);
        }
    }
    Subscription { bars: traded, quotes, trades: Vec::new(), news: Vec::new() }
}

/// The symbols of which anybody holds anything.
pub(crate) fn held(sub_books: &Held) -> impl Iterator<Item = Symbol> {
    let there = sub_books.iter().filter(|(_, (qty, _))| !qty.is_zero());
    there.map(|((_, symbol), _)| symbol.clone())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_has_a_price_also_when_its_strategy_has_left() {
        let key = |strategy: &str, symbol: &str| {
            (StrategyName::parse(strategy).expect("a name"), Symbol::new(symbol))
        };
        let (ten, price) = (Qty::from_nanos(10_000_000_000), Price::from_nanos(1));
        let books = BTreeMap::from([
            (key("left", "DIA"), (ten, price)),
            (key("left", "IWM"), (Qty::ZERO, price)),
            (key("runs", "SPY"), (ten, price)),
        ]);
        let [spy, qqq, dia] = ["SPY", "QQQ", "DIA"].map(Symbol::new);
        let wanted = priced(vec![spy.clone(), qqq.clone()], held(&books));
        assert_eq!(wanted.quotes, [spy.clone(), qqq.clone(), dia]);
        assert_eq!(wanted.bars, [spy, qqq], "nobody wants its bars");
    }
}
