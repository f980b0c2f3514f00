//! The account's cash against fills and activities, the freeze when nothing explains it, and what of this
//! outlives the process.

use std::collections::BTreeMap;

use sandpit_cores::reconcile::{Agreed, CashVerdict, Claim, KnownRows, Standing};
use sandpit_store::{Record, facts};
use sandpit_types::{Account, Fill, MarketTime, Usd};
use tracing::error;

use super::{Machine, activities};
use crate::{DeskError, Review};

/// What was last written of the two facts.
#[derive(Debug, Default)]
pub(super) struct Written {
    agreed: Option<Agreed>,
    rows: Option<KnownRows>,
}

impl<R: Review> Machine<R> {
    /// Takes in what earlier lives left. `newest` is the stamp of their newest record.
    pub(crate) fn restore_cash(
        &mut self,
        stored: &BTreeMap<String, String>,
        newest: Option<MarketTime>,
        now: MarketTime,
    ) -> Result<(), DeskError> {
        self.written.agreed = fact(stored, facts::AGREED_CASH)?;
        self.written.rows = fact(stored, facts::LAST_ACTIVITY)?;
        if let Some(agreed) = self.written.agreed {
            self.cash.restore(agreed);
        }
        self.rows.known.clone_from(&self.written.rows);
        self.rows.start = newest.unwrap_or(now) - activities::BEFORE_START;
        self.restore_freezes(stored, now);
        self.restore_pauses(fact(stored, facts::PAUSED)?);
        Ok(())
    }

    /// From when on activities are to be asked for.
    pub(crate) fn activities_since(&self) -> MarketTime {
        self.rows.since()
    }

    /// Whose orders become ours.
    pub(crate) fn claims(&self) -> &[Claim] {
        &self.config.claims
    }

    /// A fill was counted for the first time.
    pub(super) fn fill_counted(&mut self, fill: &Fill) {
        self.disputes.filled(&fill.symbol);
        self.cash.flow(fill.price * -fill.side.signed(fill.qty), fill.time);
    }

    /// The account is asked for.
    pub(crate) const fn begin_account(&mut self) {
        self.cash.begin();
    }

    /// Compares the account as it was asked for at `asked_at`.
    pub(crate) fn check_cash(&mut self, account: &Account, asked_at: MarketTime, now: MarketTime) {
        let was_doubtful = self.cash.is_doubtful();
        let verdict = self.cash.read(account, asked_at);
        if self.cash.is_doubtful() && !was_doubtful {
            self.stats.write(|counts| counts.differences += 1);
            // Shares may have moved with it, and an order of ours filled unheard.
            self.positions.hurry(now);
            self.list.hurry(now);
        }
        self.obey_cash(verdict, now);
        let unexplained = self.unexplained(account, asked_at);
        self.stats.write(|counts| counts.quality.unexplained = unexplained);
    }

    /// What of this reading nothing explains; `None` while that is not certain.
    fn unexplained(&self, account: &Account, asked_at: MarketTime) -> Option<Usd> {
        self.cash.agreed()?;
        match self.cash.standing(account, asked_at, self.books.is_order_stream_up()) {
            Standing::Explained => Some(Usd::ZERO),
            Standing::Unexplained(apart) => Some(apart),
            Standing::Unclear | Standing::Doubtful(_) => None,
        }
    }

    pub(super) fn obey_cash(&mut self, verdict: CashVerdict, now: MarketTime) {
        match verdict {
            CashVerdict::Quiet => {}
            CashVerdict::AskActivities => self.activities.hurry(now),
            CashVerdict::Freeze { cash, expected } => self.freeze(cash, expected, now),
        }
    }

    /// Nothing may add risk until an operator has looked.
    fn freeze(&mut self, cash: Usd, expected: Usd, now: MarketTime) {
        let difference = cash - expected;
        let reason = format!(
            "the broker's cash is {cash} USD, fills and activities make {expected}: {difference} USD are not \
             explained"
        );
        error!(event = "frozen", "{reason}");
        self.freeze_for_cash(reason, now);
    }

    /// Writes down what changed of the facts, in the commit of whatever changed them.
    pub(super) fn keep_cash_facts(&mut self) {
        if !self.ledger.keeps() {
            return;
        }
        let agreed = self.cash.agreed();
        if agreed != self.written.agreed {
            self.written.agreed = agreed;
            let value = agreed.map(|agreed| json(&agreed));
            self.ledger.record(Record::Fact { name: facts::AGREED_CASH, value });
        }
        if std::mem::take(&mut self.rows.are_new) && self.rows.known != self.written.rows {
            self.written.rows.clone_from(&self.rows.known);
            let value = self.rows.known.as_ref().map(json);
            self.ledger.record(Record::Fact { name: facts::LAST_ACTIVITY, value });
        }
    }
}

pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("numbers, times and texts, which JSON can hold")
}

fn fact<T: serde::de::DeserializeOwned>(
    stored: &BTreeMap<String, String>,
    name: &str,
) -> Result<Option<T>, DeskError> {
    let read = |text: &String| {
        serde_json::from_str(text)
            .map_err(|error| DeskError::Stored { what: format!("fact {name}: {text:?} ({error})") })
    };
    stored.get(name).map(read).transpose()
}
