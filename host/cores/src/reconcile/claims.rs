//! Orders that others placed and that a strategy is to own: told by how their client id begins.
//!
//! A claimed order has an id of ours in our books only. It follows from the broker's id, so that every life
//! of the host gives the same order the same id, and none is taken in twice.
//!
//! An order in a symbol that its strategy does not trade stays foreign: the strategy hears no prices of it,
//! and another one may own the symbol.

use std::collections::BTreeSet;

use sandpit_types::{BrokerOrder, BrokerOrderId, ClientOrderId, HostEpoch, StrategyName, Symbol};

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// How the client ids of the orders begin; not empty, and not as ours do.
    pub client_id_prefix: String,
    /// Whose they become.
    pub strategy: StrategyName,
    /// What that strategy trades.
    pub symbols: BTreeSet<Symbol>,
}

/// The first rule whose prefix fits an order counts, whatever its strategy trades.
fn rule<'a>(rules: &'a [Claim], shown: &BrokerOrder) -> Option<&'a Claim> {
    rules.iter().find(|rule| shown.client_id.starts_with(rule.client_id_prefix.as_str()))
}

/// Our id of an order that is not ours and is claimed.
pub fn claimed(rules: &[Claim], shown: &BrokerOrder) -> Option<ClientOrderId> {
    let rule = rule(rules, shown).filter(|rule| rule.symbols.contains(&shown.symbol))?;
    Some(derived(&rule.strategy, &shown.id))
}

/// Our id of an order that the broker does not know by one of ours, and that is to be this strategy's.
pub fn derived(strategy: &StrategyName, broker_id: &BrokerOrderId) -> ClientOrderId {
    let [epoch, sequence] = SEEDS.map(|seed| hash(seed, broker_id.as_str()));
    ClientOrderId { strategy: strategy.clone(), epoch: HostEpoch(epoch), sequence }
}

/// Whose an order would be if that strategy traded its symbol.
pub fn out_of_reach<'a>(rules: &'a [Claim], shown: &BrokerOrder) -> Option<&'a StrategyName> {
    rule(rules, shown).filter(|rule| !rule.symbols.contains(&shown.symbol)).map(|rule| &rule.strategy)
}

/// Whether our id of the order is [`derived`], so that the broker does not know it by that.
pub fn is_claimed(id: &ClientOrderId, broker_id: &BrokerOrderId) -> bool {
    [id.epoch.0, id.sequence] == SEEDS.map(|seed| hash(seed, broker_id.as_str()))
}

/// Two, so that ids of different orders are 128 bits apart.
const SEEDS: [u64; 2] = [0xcbf2_9ce4_8422_2325, 0x6c62_272e_07bb_0142];

/// FNV-1a: it must never change, because ids in the database come from it.
fn hash(seed: u64, text: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(seed, fold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::tests::shown;

    #[test]
    fn the_first_rule_that_fits_counts_and_the_id_stays_the_same() {
        let name = |text: &str| StrategyName::parse(text).expect(text);
        let rule = |prefix: &str, strategy: &str| Claim {
            client_id_prefix: prefix.to_owned(),
            strategy: name(strategy),
            symbols: BTreeSet::from([Symbol::new("SPY")]),
        };
        let rules = [rule("manual-sma-", "sma"), rule("manual-", "other")];
        let check = |client_id: &str, expected: Option<&str>| {
            let id = claimed(&rules, &shown(client_id));
            assert_eq!(id.map(|id| id.to_string()).as_deref(), expected, "{client_id}");
        };
        check("manual-sma-1", Some("sp-sma-01ecd6528751c322-12580874837548620481"));
        check("manual-1", Some("sp-other-7d4d8678d487eda0-7258088974236249623"));
        check("by-hand", None);
        check("", None);
        assert_eq!(claimed(&[], &shown("manual-1")), None);
        let order = shown("manual-1");
        let id = claimed(&rules, &order).expect("it fits");
        assert!(is_claimed(&id, &order.id) && !is_claimed(&id, &shown("manual-2").id));
    }

    #[test]
    fn an_order_outside_the_symbols_of_its_strategy_stays_foreign() {
        let rule = |prefix: &str, strategy: &str, symbol: &str| Claim {
            client_id_prefix: prefix.to_owned(),
            strategy: StrategyName::parse(strategy).expect(strategy),
            symbols: BTreeSet::from([Symbol::new(symbol)]),
        };
        let order = shown("manual-1");
        let check = |rules: &[Claim], expected: (Option<&str>, Option<&str>)| {
            let owner = claimed(rules, &order).map(|id| id.strategy.to_string());
            let other = out_of_reach(rules, &order).map(ToString::to_string);
            assert_eq!((owner.as_deref(), other.as_deref()), expected, "{rules:?}");
        };
        check(&[rule("manual-", "sma", "QQQ")], (None, Some("sma")));
        check(&[rule("manual-", "sma", "SPY")], (Some("sma"), None));
        check(&[rule("by-", "sma", "QQQ")], (None, None));
        // A rule further down is no second choice: it was written for other orders.
        check(&[rule("manual-1", "sma", "QQQ"), rule("manual-", "other", "SPY")], (None, Some("sma")));
    }
}
