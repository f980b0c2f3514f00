//! What is forgotten, and when. In small pieces between the commits.

use std::time::Duration;

use sandpit_types::MarketTime;
use tokio::time::sleep;

use crate::{
    Store, StoreError, facts,
    statements::{Statement, Value, change, fact, text},
};

/// Rows that go at once, and orders with all that hangs on them: a few milliseconds of the writer.
const MAX_ROWS: i64 = 200;
/// How long commits have the writer for themselves between two pieces.
const PAUSE: Duration = Duration::from_millis(20);

/// The broker shows activities again that are weeks old, and each must count once: they, and the audit, are
/// kept so long at least.
const MIN_LEDGER_DAYS: u32 = 90;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Of the equity every row is kept for so long.
const EQUITY_DETAIL_DAYS: u32 = 7;

/// How long records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Signals, refusals, notices and alerts; after it one row of the equity a day is left.
    pub keep_days: u32,
    /// Orders that are over, with their changes and fills, the audit log and activities; `None` is for ever.
    /// What the present life of the host has changed stays in any case, as it knows it and may change it
    /// again; so do the audit log and activities of 90 days.
    pub keep_orders_days: Option<u32>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep_days: 90, keep_orders_days: None }
    }
}

macro_rules! oldest {
    ($table:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE time < $1 AND time <= (SELECT MAX(time) FROM (SELECT time FROM ",
            $table,
            " ORDER BY time LIMIT $2) AS oldest) RETURNING time"
        )
    };
}

const STORY: [&str; 4] = [oldest!("signals"), oldest!("refusals"), oldest!("notices"), oldest!("alerts")];
const LEDGER: [&str; 2] = [oldest!("audit"), oldest!("activities")];

/// Orders that are over, have no leg that is open and were replaced by none that is: its report may include
/// what they have filled.
macro_rules! old_orders {
    () => {
        "orders AS old WHERE recorded_at < $1 AND changed_at < $1 AND NOT is_open AND NOT EXISTS (SELECT \
         1 FROM orders AS kin WHERE kin.is_open AND (kin.leg_of = old.client_id OR kin.replaces = \
         old.client_id))"
    };
}

macro_rules! of_old_orders {
    ($what:literal) => {
        concat!(
            "DELETE FROM ",
            $what,
            " WHERE client_id IN (SELECT client_id FROM ",
            old_orders!(),
            " ORDER BY recorded_at, client_id LIMIT $2)"
        )
    };
}

/// That there are fewer fills than the sub-books were made of stands in [`facts::ORDERS_FORGOTTEN`] before.
const ORDERS: [&str; 4] = [
    concat!(
        "INSERT INTO facts (name, value) SELECT 'orders-forgotten', CAST($1 AS TEXT) WHERE EXISTS (SELECT 1 ",
        "FROM ",
        old_orders!(),
        ") ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    ),
    of_old_orders!("fills"),
    of_old_orders!("order_changes"),
    concat!(of_old_orders!("orders"), " RETURNING client_id"),
];

/// The first row of each piece of time stays.
const THIN: &str = "DELETE FROM equity WHERE time >= $1 AND time < $2 AND EXISTS (SELECT 1 FROM equity AS \
                    earlier WHERE earlier.time >= equity.time - equity.time % $3 AND earlier.time <= \
                    equity.time AND (earlier.time < equity.time OR earlier.sequence < equity.sequence)) \
                    RETURNING sequence";

/// One row of the equity in each `grain` is left once it is `keep_days` old. So much time is thinned at once.
struct Thinning {
    grain: i64,
    step: i64,
    keep_days: u32,
    until: &'static str,
}

impl Store {
    /// Forgets what is older than it has to be kept, and returns how many rows (and orders) went.
    ///
    /// # Errors
    /// As [`Store::commit`]; what went before stays gone, the rest is for the next time.
    pub async fn retain(&self, retention: Retention, now: MarketTime) -> Result<u64, StoreError> {
        let mut gone = 0;
        for piece in STORY {
            gone += self.forget(&[piece], before(now, retention.keep_days)).await?;
        }
        if let Some(days) = retention.keep_orders_days {
            let until = self.life_start().await?.map_or(i64::MAX, MarketTime::as_nanos);
            gone += self.forget(&ORDERS, before(now, days).min(until)).await?;
            for piece in LEDGER {
                gone += self.forget(&[piece], before(now, days.max(MIN_LEDGER_DAYS))).await?;
            }
        }
        let minutes = Thinning {
            grain: 60 * SECOND,
            step: 600 * SECOND,
            keep_days: EQUITY_DETAIL_DAYS,
            until: facts::EQUITY_THINNED,
        };
        let days = Thinning {
            grain: DAY,
            step: DAY,
            keep_days: retention.keep_days.max(EQUITY_DETAIL_DAYS),
            until: facts::EQUITY_DAYS,
        };
        gone += self.thin(&minutes, now).await?;
        gone += self.thin(&days, now).await?;
        Ok(gone)
    }

    /// Runs the statements until the last of them finds nothing more.
    async fn forget(&self, pieces: &[&'static str], before: i64) -> Result<u64, StoreError> {
        let mut gone = 0;
        loop {
            let statement =
                |text: &&'static str| change(text, vec![Value::Int(before), Value::Int(MAX_ROWS)]);
            let found = self.write(pieces.iter().map(statement).collect(), true).await?;
            if found == 0 {
                return Ok(gone);
            }
            gone += found as u64;
            sleep(PAUSE).await;
        }
    }

    /// How far it has come stands in the facts, so that a day's work is a day's.
    async fn thin(&self, thinning: &Thinning, now: MarketTime) -> Result<u64, StoreError> {
        let Thinning { grain, step, keep_days, until } = thinning;
        let end = before(now, *keep_days);
        let end = end - end.rem_euclid(*step);
        let mut from = self.thinned(until).await?;
        let mut gone = 0;
        loop {
            let ask = "SELECT MIN(time) AS time FROM equity WHERE time >= $1";
            let rows = self.readers.rows(ask, &[Value::Int(from)]).await?;
            let Some(next) = rows.first().map(|row| row.int("time")).transpose()?.flatten() else {
                return Ok(gone);
            };
            from = next - next.rem_euclid(*step);
            if from >= end {
                return Ok(gone);
            }
            let to = from + step;
            let values = [from, to, *grain].map(Value::Int).to_vec();
            let pieces: Vec<Statement> = vec![change(THIN, values), fact(until, Some(&to.to_string()))];
            gone += self.write(pieces, true).await? as u64;
            from = to;
            sleep(PAUSE).await;
        }
    }

    /// When the present life of the host began, if one is recorded.
    async fn life_start(&self) -> Result<Option<MarketTime>, StoreError> {
        let rows = self.readers.rows("SELECT MAX(time) AS time FROM host_starts", &[]).await?;
        let start = rows.first().map(|row| row.int("time")).transpose()?.flatten();
        Ok(start.map(MarketTime::from_nanos))
    }

    async fn thinned(&self, name: &str) -> Result<i64, StoreError> {
        let rows = self.readers.rows(facts::READ, &[text(name)]).await?;
        let value = rows.first().map(|row| row.text("value")).transpose()?.flatten();
        value.map_or(Ok(i64::MIN), |value| value.parse().map_err(StoreError::reading))
    }
}

fn before(now: MarketTime, days: u32) -> i64 {
    now.as_nanos().saturating_sub(DAY.saturating_mul(days.into()))
}
