//! The parts of the screen that have rows.

/// One part of the screen, by its number key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// What is held.
    Positions,
    /// The open orders.
    Orders,
    /// The strategies, and plugins that are not used.
    Strategies,
    /// Streams and request budgets.
    Streams,
    /// What fires.
    Alerts,
}

impl Pane {
    /// All, from top to bottom.
    pub const ALL: [Self; 5] = [Self::Positions, Self::Orders, Self::Strategies, Self::Streams, Self::Alerts];

    /// Its place from above, from 0.
    pub fn at(self) -> usize {
        Self::ALL.iter().position(|pane| *pane == self).expect("all of them are there")
    }

    /// The next one below, and the first after the last.
    pub(crate) fn next(self) -> Self {
        Self::ALL[(self.at() + 1) % Self::ALL.len()]
    }

    /// The next one above, and the last before the first.
    pub(crate) fn before(self) -> Self {
        Self::ALL[(self.at() + Self::ALL.len() - 1) % Self::ALL.len()]
    }

    /// What stands above it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Positions => "Positions",
            Self::Orders => "Open orders",
            Self::Strategies => "Strategies",
            Self::Streams => "Streams and requests",
            Self::Alerts => "Alerts",
        }
    }

    /// Heads of its columns; those of numbers begin with a space.
    pub(crate) const fn heads(self) -> &'static [&'static str] {
        match self {
            Self::Positions => &["SYMBOL", " QTY", " AVERAGE", " VALUE", " GAIN", "STRATEGY"],
            Self::Orders => &["SYMBOL", "SIDE", " QTY", " FILLED", "PRICE", " AGE", "STATUS", "ORDER"],
            Self::Strategies => {
                &["STRATEGY", "STATE", " ORDERS", " FILLS", " REALISED", " UNREALISED", "LAST WORD"]
            }
            Self::Streams => &["NAME", "STATE", "DETAIL"],
            Self::Alerts => &["SEVERITY", "ALERT", "WHAT"],
        }
    }
}
