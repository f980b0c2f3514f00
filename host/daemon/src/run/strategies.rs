//! The strategies that are there at the start.

use std::{collections::BTreeMap, sync::Arc};

use sandpit_broker::Broker;
use sandpit_cores::orders::Books;
use sandpit_execution::{Desk, DeskInput, DeskOutput, introduction};
use sandpit_types::{Account, Bar, StrategyName};

use super::prepare::{Parts, Plugins};
use crate::{
    outside::HostReviewer,
    plugins::Crew,
    strategies::{Beginning, Outlets, StrategiesError, Strategy},
};

/// Starts whoever was loaded. Who does not start leaves the roster, and the others trade.
pub(super) fn start_strategies<B: Broker>(
    prepared: &mut Parts,
    crew: &Crew,
    desk: &Desk<B, HostReviewer>,
    account: &Account,
    warmup: &[Bar],
    outlets: &Outlets,
) {
    let Plugins { loader, roster, owners, refusals, again, .. } = &mut prepared.plugins;
    for (index, strategy) in (0..).zip(&*roster.members()) {
        let seed = prepared.seed.wrapping_add(index);
        let version = strategy.version();
        if let Some(reason) = outlets.quarantines.sentence(&strategy.name, &version) {
            // The queue is empty: the desk does not run yet.
            let _ = outlets.desk.try_send(DeskInput::Quarantined { strategy: strategy.name.clone(), reason });
        }
        let outcome = match outlets.quarantines.reason(&strategy.name, &version) {
            Some(reason) => Err(StrategiesError::Quarantined { reason }),
            None => {
                let saved = outlets.snapshots.begin_from(&strategy.name).map(|kept| kept.snapshot);
                let engine = &loader.engine;
                strategy
                    .start(engine, &prepared.config, seed, saved, outlets.clone())
                    .map_err(StrategiesError::from)
            }
        };
        match outcome {
            Ok(runner) => {
                outlets.quarantines.runs(&strategy.name, &version);
                let told = introduction(desk.books(), &strategy.name);
                if let DeskOutput::Introduction { held, open, .. } = told {
                    Beginning { held, open, account, warmup, market: &[] }.feed(strategy);
                }
                // Nothing is closed before the host stands.
                let _ = crew.add(&strategy.name, runner, strategy.inbox.clone());
            }
            Err(error) => {
                roster.change(|members| members.retain(|member| member.name != strategy.name));
                owners.release(&strategy.name);
                let name = strategy.name.as_str();
                refusals.say(name, &error.to_string(), false);
                again.put(name, error.hope());
            }
        }
    }
    say_who_is_missing(desk.books(), &roster.members());
}

/// Whoever has something at stake and does not run: nobody looks after that.
fn say_who_is_missing(books: &Books, members: &[Arc<Strategy>]) {
    let mut at_stake: BTreeMap<&StrategyName, Vec<String>> = BTreeMap::new();
    for (strategy, symbol, book) in books.sub_books().filter(|(.., book)| !book.qty.is_zero()) {
        at_stake.entry(strategy).or_default().push(format!("{} {symbol}", book.qty));
    }
    for order in books.open_orders() {
        let (id, symbol) = (order.client_id(), &order.request.symbol);
        at_stake.entry(&id.strategy).or_default().push(format!("an open order in {symbol}"));
    }
    at_stake.retain(|strategy, _| members.iter().all(|member| member.name != **strategy));
    for (strategy, things) in at_stake {
        let things = things.join(", ");
        tracing::error!(strategy = strategy.as_str(), "the strategy does not run and has {things}");
    }
}
