//! What the limits are told, and in which terms they answer.

use std::time::Duration;

use super::{Ask, Cursor, Listed, Money};

/// What may be lost, in hundredths of a per cent of the capital, and what else is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// From the peak.
    pub(crate) drawdown: u32,
    /// Within 30 minutes.
    pub(crate) half_hour_loss: u32,
    /// Since the session's start.
    pub(crate) day_loss: u32,
    /// All positions together.
    pub(crate) gross: u32,
    /// Orders accepted in a minute.
    pub(crate) orders_per_minute: u32,
    /// Capital that may be used; without it all equity is.
    pub(crate) nav: Option<Money>,
    /// Without a good reading for so long the account is out of sight.
    pub(crate) blind: Duration,
    /// The watchdog's share of the account's requests.
    pub(crate) requests_per_minute: u64,
    /// The broker may be a simulator with a clock of its own.
    pub(crate) may_be_simulated: bool,
}

impl Terms {
    /// The loosest that can be configured, and the default.
    pub(crate) const CEILINGS: Self = Self {
        drawdown: 1_000,
        half_hour_loss: 100,
        day_loss: 200,
        gross: 15_000,
        orders_per_minute: 150,
        nav: None,
        blind: Duration::from_secs(120),
        requests_per_minute: 20,
        may_be_simulated: false,
    };

    pub(super) fn capital(&self, equity: Money) -> Money {
        self.nav.map_or(equity, |nav| nav.min(equity))
    }

    pub(super) fn is_lost(&self, from: Money, to: Money, limit: u32) -> bool {
        from > to && from - to >= self.capital(from).part(limit)
    }

    pub(super) fn share_lost(&self, from: Money, to: Money) -> i64 {
        if from > to { (from - to).share_of(self.capital(from)) } else { 0 }
    }
}

/// One position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Its symbol.
    pub(crate) symbol: String,
    /// Shares; below zero when short.
    pub(crate) qty: Money,
    /// What it is worth; below zero when short. `None` while the broker has no price.
    pub(crate) value: Option<Money>,
}

/// What the broker says of account and positions. Whatever it does not say, or not as a number, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The account's id.
    pub(crate) account: Option<String>,
    /// Its equity.
    pub(crate) equity: Option<Money>,
    /// The equity at the last close.
    pub(crate) last_equity: Option<Money>,
    /// The day of that close.
    pub(crate) close_day: Option<String>,
    /// Its cash.
    pub(crate) cash: Option<Money>,
    /// Its positions; `None` when one of them makes no sense.
    pub(crate) positions: Option<Vec<Position>>,
}

/// A row of the activities: the owner's money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The broker's id; later ones are larger.
    pub(crate) id: String,
    /// Its day, `YYYY-MM-DD`.
    pub(crate) day: String,
    /// What came (above zero) or went; nothing when it was canceled.
    pub(crate) net: Money,
}

/// An answer of the broker.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// To [`Ask::Account`].
    Account(Result<Reading, String>),
    /// To [`Ask::Transfers`].
    Transfers(Result<Vec<Row>, String>),
    /// To [`Ask::Orders`], with what was asked for.
    Orders(Cursor, Result<Vec<Listed>, String>),
    /// To [`Ask::Clock`]: nanoseconds since 1970 by the broker.
    Clock(Result<i128, String>),
}

impl Told {
    /// The answer when there is none.
    pub(crate) fn failed(ask: &Ask, cause: String) -> Self {
        match ask {
            Ask::Account => Self::Account(Err(cause)),
            Ask::Transfers => Self::Transfers(Err(cause)),
            Ask::Orders(cursor) => Self::Orders(cursor.clone(), Err(cause)),
            Ask::Clock => Self::Clock(Err(cause)),
        }
    }
}

/// Why there is no lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What it is about, when a human has to know.
    pub(crate) key: Option<&'static str>,
    /// In words.
    pub(crate) text: String,
}
