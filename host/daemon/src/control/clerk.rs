//! Who has the desk do what an operator wants, by whatever way he says so, and brings the answer back.

use std::{sync::Arc, time::Duration};

use sandpit_control::{Deed, Done, Refused, Scope, Wish};
use sandpit_execution::{self as execution, Answer, CancelScope, DeskInput, Instruction};
use sandpit_types::{StrategyName, Symbol};
use tokio::{sync::mpsc, time::timeout};

use super::Tickets;
use crate::figures::Figures;

/// How long the desk may take to answer, real time: its commit is waited for.
const ANSWERED_WITHIN: Duration = Duration::from_secs(4);
/// The longest symbol that is believed.
const MAX_SYMBOL_CHARS: usize = 32;
/// Strategies that may be paused at a time, those included that are not there any more.
const MAX_PAUSED: usize = 1_000;

/// Takes wishes to the desk.
pub(crate) struct Clerk {
    /// What is shown, and who is known.
    pub(crate) figures: Arc<Figures>,
    /// The desk's queue.
    pub(crate) inputs: mpsc::Sender<DeskInput>,
    /// Who waits for an answer.
    pub(crate) tickets: Arc<Tickets>,
}

impl Clerk {
    /// Has the desk do it, in the name of `operator`, which goes to the audit log. What is told is in the
    /// records.
    ///
    /// # Errors
    /// [`Refused::Wrong`] for what cannot be meant, with nothing done; [`Refused::Busy`] when nothing was
    /// done; [`Refused::Unanswered`] when it may have been.
    pub(crate) async fn obey(&self, wish: &Wish, operator: String) -> Result<Done, Refused> {
        wish.check()?;
        let deed = deed(&wish.deed)?;
        self.is_known(&deed)?;
        let reason = wish.reason.trim().to_owned();
        let (ticket, answer) = self.tickets.draw();
        tracing::warn!(%operator, %reason, ?deed, "an operator asks");
        let input = DeskInput::Instruction(Instruction { ticket: ticket.number(), operator, reason, deed });
        self.inputs.try_send(input).map_err(|_| {
            Refused::Busy("the desk has no room for it, or the host is ending: nothing was done".to_owned())
        })?;
        match timeout(ANSWERED_WITHIN, answer).await {
            Ok(Ok(answer)) => Ok(done(answer)),
            Ok(Err(_)) | Err(_) => Err(Refused::Unanswered(format!(
                "the host has not confirmed it within {ANSWERED_WITHIN:?}, as when the database takes \
                 nothing or the host is ending: it may be done or not; see `sandpit status`"
            ))),
        }
    }

    /// A misspelt name must not look like a strategy that is paused now. One that was paused and is gone can
    /// be resumed.
    fn is_known(&self, deed: &execution::Deed) -> Result<(), Refused> {
        let (execution::Deed::Pause(strategy) | execution::Deed::Resume(strategy)) = deed else {
            return Ok(());
        };
        let (there, paused) = (self.figures.strategy_names(), self.figures.paused());
        if paused.contains_key(strategy) {
            return Ok(());
        }
        if matches!(deed, execution::Deed::Pause(_)) && paused.len() >= MAX_PAUSED {
            let what = format!("{MAX_PAUSED} strategies are paused already: resume those that are gone");
            return Err(Refused::Wrong(what));
        }
        if there.contains(strategy) { Ok(()) } else { Err(unknown(strategy.as_str(), there.iter())) }
    }
}

/// There is no such strategy; which there are, and which one may be meant.
fn unknown(name: &str, known: impl Iterator<Item = impl ToString>) -> Refused {
    let known: Vec<String> = known.map(|name| name.to_string()).collect();
    if known.is_empty() {
        return Refused::Wrong(format!("there is no strategy {name}, and no other one runs"));
    }
    let distances = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), known));
    let nearest = distances.filter(|(distance, name)| *distance <= name.len().div_ceil(2)).min();
    let meant = nearest.map(|(_, name)| format!("did you mean {name}? ")).unwrap_or_default();
    Refused::Wrong(format!("there is no strategy {name}; {meant}there are: {}", known.join(", ")))
}

fn deed(deed: &Deed) -> Result<execution::Deed, Refused> {
    let wrong = |error: &dyn std::fmt::Display| Refused::Wrong(error.to_string());
    let named = |name: &String| StrategyName::parse(name).map_err(|error| wrong(&error));
    Ok(match deed {
        Deed::Freeze => execution::Deed::Freeze,
        Deed::Unfreeze => execution::Deed::Unfreeze,
        Deed::Pause { strategy } => execution::Deed::Pause(named(strategy)?),
        Deed::Resume { strategy } => execution::Deed::Resume(named(strategy)?),
        Deed::Cancel(scope) => execution::Deed::Cancel(match scope {
            Scope::All => CancelScope::All,
            Scope::Order(id) => CancelScope::Order(id.parse().map_err(|error| wrong(&error))?),
            Scope::Strategy(name) => CancelScope::Strategy(named(name)?),
            Scope::Symbol(symbol) if symbol.chars().count() > MAX_SYMBOL_CHARS => {
                return Err(wrong(&"there is no symbol of that length"));
            }
            Scope::Symbol(symbol) => CancelScope::Symbol(Symbol::new(symbol)),
        }),
    })
}

fn done(answer: Answer) -> Done {
    let texts = |orders: Vec<sandpit_types::ClientOrderId>| orders.iter().map(ToString::to_string).collect();
    match answer {
        Answer::Cancelling { orders, withdrawn } => Done::Cancelling { orders: texts(orders), withdrawn },
        Answer::Over { status, filled } => {
            Done::Over { status: status.word().to_owned(), filled: filled.to_string() }
        }
        Answer::Unknown => Done::Unknown,
        Answer::Frozen { before, orders } => Done::Frozen { before, orders: texts(orders) },
        Answer::Unfrozen { was } => Done::Unfrozen { was },
        Answer::NotFrozen => Done::NotFrozen,
        Answer::Paused { before, orders } => Done::Paused { before, orders: texts(orders) },
        Answer::Resumed { was } => Done::Resumed { was },
        Answer::NotPaused => Done::NotPaused,
        Answer::StaysFrozen { reason } => Done::StaysFrozen { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wish for one must never become one for all.
    #[test]
    fn what_is_wanted_is_what_the_desk_is_told() {
        let cancel = |scope: Scope| deed(&Deed::Cancel(scope));
        let (strategy, id) = ("sma", "sp-sma-00000000000000aa-77");
        let check = |scope: Scope, expected: CancelScope| {
            assert_eq!(cancel(scope).expect("well formed"), execution::Deed::Cancel(expected));
        };
        check(Scope::All, CancelScope::All);
        check(
            Scope::Strategy(strategy.into()),
            CancelScope::Strategy(StrategyName::parse(strategy).expect("a name")),
        );
        check(Scope::Symbol("SPY".into()), CancelScope::Symbol(Symbol::new("SPY")));
        check(Scope::Order(id.into()), CancelScope::Order(id.parse().expect("an id")));
        assert_eq!(deed(&Deed::Freeze).expect("well formed"), execution::Deed::Freeze);
        assert_eq!(deed(&Deed::Unfreeze).expect("well formed"), execution::Deed::Unfreeze);
        let name = || StrategyName::parse(strategy).expect("a name");
        let pause = deed(&Deed::Pause { strategy: strategy.into() }).expect("well formed");
        assert_eq!(pause, execution::Deed::Pause(name()));
        let resume = deed(&Deed::Resume { strategy: strategy.into() }).expect("well formed");
        assert_eq!(resume, execution::Deed::Resume(name()));
        assert!(matches!(deed(&Deed::Pause { strategy: "Not a name".into() }), Err(Refused::Wrong(_))));
        for wrong in [
            Scope::Order("all".into()),
            Scope::Strategy("not a name!".into()),
            Scope::Symbol("X".repeat(MAX_SYMBOL_CHARS + 1)),
        ] {
            let refused = cancel(wrong.clone()).expect_err("not well formed");
            assert!(matches!(refused, Refused::Wrong(_)), "{wrong:?}: {refused:?}");
        }
    }

    #[test]
    fn a_name_that_nobody_has_is_refused_with_the_nearest() {
        let known = ["sma_cross", "rebalance"].map(str::to_owned);
        let check = |name: &str, known: &[String], sentence: &str| {
            let refused = unknown(name, known.iter());
            assert_eq!(refused, Refused::Wrong(sentence.to_owned()), "{name}");
        };
        let there = "there are: sma_cross, rebalance";
        check("smacross", &known, &format!("there is no strategy smacross; did you mean sma_cross? {there}"));
        check("zzz", &known, &format!("there is no strategy zzz; {there}"));
        check("zzz", &[], "there is no strategy zzz, and no other one runs");
    }
}
