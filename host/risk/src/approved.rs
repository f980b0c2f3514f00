//! The proof that an order passed every gate.

use sandpit_types::{StrategyName, Submit};

/// An order that passed every gate. Only [`Gates::check`](crate::Gates::check) makes one, and it cannot be
/// copied: one approval, one order.
///
/// ```
/// use sandpit_risk::Approved;
/// use sandpit_types::{StrategyName, Submit};
///
/// fn pass_on(approved: Approved) -> (StrategyName, Submit, bool) {
///     (approved.strategy().clone(), approved.submit().clone(), approved.reduces())
/// }
/// ```
///
/// The same parts do not make one:
///
/// ```compile_fail,E0451
/// use sandpit_risk::Approved;
/// use sandpit_types::{StrategyName, Submit};
///
/// fn forge(strategy: StrategyName, submit: Submit) -> Approved {
///     Approved { strategy, submit, reduces: true }
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an approval that is not sent still counts in the order rate"]
pub struct Approved {
    strategy: StrategyName,
    submit: Submit,
    reduces: bool,
}

impl Approved {
    pub(crate) const fn new(strategy: StrategyName, submit: Submit, reduces: bool) -> Self {
        Self { strategy, submit, reduces }
    }

    /// The strategy that asked for it.
    pub const fn strategy(&self) -> &StrategyName {
        &self.strategy
    }

    /// The order.
    pub const fn submit(&self) -> &Submit {
        &self.submit
    }

    /// Whether it lowers the risk: it takes from the position and cannot turn it round.
    pub const fn reduces(&self) -> bool {
        self.reduces
    }
}
