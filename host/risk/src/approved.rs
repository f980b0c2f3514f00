//! The proof that an order passed every gate.

use sandpit_types::{StrategyName, Submit, Usd};

/// An order that passed every gate. Only [`Gates::check`](crate::Gates::check) makes one, and it cannot be
/// copied: one approval, one order.
///
/// ```
/// use sandpit_risk::Approved;
/// use sandpit_types::{StrategyName, Submit, Usd};
///
/// fn pass_on(approved: Approved) -> (StrategyName, Submit, bool, Usd) {
///     let (reduces, exposure) = (approved.reduces(), approved.exposure());
///     (approved.strategy().clone(), approved.submit().clone(), reduces, exposure)
/// }
/// ```
///
/// The same parts do not make one:
///
/// ```compile_fail,E0451
/// use sandpit_risk::Approved;
/// use sandpit_types::{StrategyName, Submit, Usd};
///
/// fn forge(strategy: StrategyName, submit: Submit) -> Approved {
///     Approved { strategy, submit, reduces: true, exposure: Usd::ZERO }
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an approval that is not sent still counts in the order rate"]
pub struct Approved {
    strategy: StrategyName,
    submit: Submit,
    reduces: bool,
    exposure: Usd,
}

impl Approved {
    pub(crate) const fn new(strategy: StrategyName, submit: Submit, reduces: bool, exposure: Usd) -> Self {
        Self { strategy, submit, reduces, exposure }
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

    /// What it adds to the exposure until it is seen in the books; zero when it reduces.
    pub const fn exposure(&self) -> Usd {
        self.exposure
    }
}
