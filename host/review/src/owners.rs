//! Who trades which symbol just now, and what each strategy is granted.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sandpit_risk::Grant;
use sandpit_types::{StrategyName, Symbol};

/// Grants that are kept. When so many are there, those of strategies that own nothing are forgotten.
const GRANTS_MAX: usize = 1_024;

/// One symbol has one owner. Written when strategies come and go, read with every order.
#[derive(Debug, Default)]
pub struct Owners(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    symbols: BTreeMap<Symbol, StrategyName>,
    grants: BTreeMap<StrategyName, Grant>,
}

impl Owners {
    /// Gives a strategy these symbols, and takes from it what is not among them.
    ///
    /// # Errors
    /// Gives back who owns one of them already, and which. Nothing changes then.
    pub fn take(
        &self,
        strategy: &StrategyName,
        symbols: &[Symbol],
        grant: Grant,
    ) -> Result<(), (StrategyName, Symbol)> {
        let mut held = self.lock();
        for symbol in symbols {
            if let Some(owner) = held.symbols.get(symbol).filter(|owner| *owner != strategy) {
                return Err((owner.clone(), symbol.clone()));
            }
        }
        held.symbols.retain(|_, owner| owner != strategy);
        held.symbols.extend(symbols.iter().map(|symbol| (symbol.clone(), strategy.clone())));
        if held.grants.len() >= GRANTS_MAX {
            let Held { symbols, grants } = &mut *held;
            grants.retain(|name, _| symbols.values().any(|owner| owner == name));
        }
        held.grants.insert(strategy.clone(), grant);
        Ok(())
    }

    /// The strategy owns nothing any more. What it was granted stays: orders of it may still be on their way
    /// to the gates.
    pub fn release(&self, strategy: &StrategyName) {
        let mut held = self.lock();
        held.symbols.retain(|_, owner| owner != strategy);
    }

    /// Whose a symbol is.
    pub fn of(&self, symbol: &Symbol) -> Option<StrategyName> {
        self.lock().symbols.get(symbol).cloned()
    }

    /// What a strategy is granted beside the limits of all.
    pub fn grant(&self, strategy: &StrategyName) -> Grant {
        self.lock().grants.get(strategy).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_has_one_owner_and_the_first_one_keeps_it() {
        let name = |text: &str| StrategyName::parse(text).expect(text);
        let (a, b) = (name("a"), name("b"));
        let owners = Owners::default();
        let take = |of: &StrategyName, symbols: &[&str]| {
            let symbols: Vec<_> = symbols.iter().map(Symbol::new).collect();
            let outcome = owners.take(of, &symbols, Grant::default());
            outcome.map_err(|(owner, symbol)| format!("{owner} {symbol}"))
        };
        let owner = |symbol: &str| owners.of(&Symbol::new(symbol)).map(|owner| owner.to_string());
        assert_eq!(take(&a, &["SPY", "QQQ"]), Ok(()));
        assert_eq!(take(&b, &["IWM", "QQQ"]), Err("a QQQ".to_owned()));
        assert_eq!((owner("IWM"), owner("QQQ").as_deref()), (None, Some("a")), "all or nothing");
        assert_eq!(take(&a, &["SPY", "DIA"]), Ok(()), "other symbols");
        assert_eq!(take(&b, &["IWM", "QQQ"]), Ok(()), "it is free now");
        owners.release(&a);
        assert_eq!((owner("SPY"), owner("IWM").as_deref()), (None, Some("b")));
    }

    #[test]
    fn grants_outlive_their_strategy_until_there_are_too_many() {
        let a = StrategyName::parse("a").expect("a name");
        let owners = Owners::default();
        let grant = Grant { orders_per_minute: Some(3), ..Grant::default() };
        owners.take(&a, &[], grant.clone()).expect("nobody else is there");
        assert_eq!(owners.grant(&a), grant);
        owners.release(&a);
        assert_eq!(owners.grant(&a), grant);
        owners.take(&a, &[], Grant::default()).expect("it is back");
        assert_eq!(owners.grant(&a), Grant::default(), "as it is granted now");
        for n in 0..GRANTS_MAX {
            let name = StrategyName::parse(&format!("s{n}")).expect("a name");
            owners.take(&name, &[Symbol::new(format!("S{n}"))], grant.clone()).expect("a symbol of its own");
        }
        let first = StrategyName::parse("s0").expect("a name");
        assert_eq!(owners.grant(&first), grant, "it still owns its symbol");
        assert!(owners.lock().grants.len() <= GRANTS_MAX);
    }
}
