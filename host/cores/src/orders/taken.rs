//! What a replacement takes over from the order in whose place it comes, so that no share counts twice.
//!
//! The quantity of a replacement is the total, shares already filled included (Alpaca-API#165), so we take
//! its `filled_qty` to include them as well: that is the only reading in which it is filled when both are
//! equal, and what the venue does. The facts are silent about it, so the other reading, in which every order
//! counts from zero, is recognised where the two differ for certain: some shares filled, but fewer than were
//! taken over; all filled although the sum of both orders makes the total; a quantity lowered by what was
//! taken over. What cannot be told apart is counted as included: rather one share too few, which the
//! comparison of positions brings to light, than one twice.
//!
//! How much was taken over is certain only when the broker has said that the old order is over. Until then a
//! report of the new one that shows fills is not applied: the old one is asked for first.

use sandpit_types::{BrokerOrder, OrderStatus, Qty, Usd};
use serde::{Deserialize, Serialize};

use super::OrderState;

/// What the orders filled of which a replacement took the place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Shares.
    pub qty: Qty,
    /// Shares times price of them.
    pub value: Usd,
    /// How certain that is.
    pub stage: Stage,
    /// Whether the broker is known not to include them in its report of the replacement.
    pub apart: bool,
}

/// How certain it is what was taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The old order may still fill.
    #[default]
    Open,
    /// The old order is over.
    Over,
    /// Shares of the replacement were counted beyond it: the old order counts nothing any more.
    Fixed,
}

impl Taken {
    /// Shares that a report of the replacement includes, and what they cost.
    pub(super) const fn included(&self) -> (Qty, Usd) {
        if self.apart { (Qty::ZERO, Usd::ZERO) } else { (self.qty, self.value) }
    }

    /// Looks for the signs that the broker counts the replacement from zero.
    pub(super) fn read(&mut self, total: Qty, shown: &BrokerOrder) {
        let filled = shown.filled_qty;
        if self.qty.is_zero() || !filled.is_positive() {
            return;
        }
        let is_below = filled < self.qty;
        let is_done = shown.status == OrderStatus::Filled && filled + self.qty == total;
        let is_lowered = shown.qty == Some(total - self.qty);
        self.apart |= is_below || is_done || is_lowered;
    }
}

/// Where an order stands, as it is spelled for the store: of a replacement, with what it took over; of one
/// that was replaced, with the wish to cancel what took its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Spelling", into = "Spelling")]
pub struct Words {
    /// Where it stands.
    pub state: OrderState,
    /// What it took over.
    pub taken: Taken,
    /// Of one that was replaced: whether what took its place is to be cancelled.
    pub unwanted: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Spelling {
    Linked {
        state: OrderState,
        taken: Taken,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unwanted: bool,
    },
    Plain(OrderState),
}

impl From<Spelling> for Words {
    fn from(spelling: Spelling) -> Self {
        match spelling {
            Spelling::Linked { state, taken, unwanted } => Self { state, taken, unwanted },
            Spelling::Plain(state) => Self { state, taken: Taken::default(), unwanted: false },
        }
    }
}

impl From<Words> for Spelling {
    fn from(Words { state, taken, unwanted }: Words) -> Self {
        if taken == Taken::default() && !unwanted {
            Self::Plain(state)
        } else {
            Self::Linked { state, taken, unwanted }
        }
    }
}
