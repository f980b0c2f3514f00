//! What the host has written down, read by somebody else.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::Context;
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, Row, postgres::PgConnection, sqlite::SqliteConnectOptions};
use tokio::{runtime::Runtime, time::timeout};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of the host's own.
    Sqlite(PathBuf),
    /// A server's.
    Postgres(String),
}

/// An order as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderRecord {
    /// Our id.
    pub client_id: String,
    /// Whose.
    pub strategy: String,
    /// The strategy's id; `None` when the order was adopted, and for a leg.
    pub strategy_id: Option<String>,
    /// Whether it is a leg, which never leaves under our id.
    pub is_leg: bool,
    /// Where it stands.
    pub state: String,
    /// Whether the next life loads it: it is open, somebody needs it for its legs, or its end is to be
    /// confirmed.
    pub is_kept: bool,
    /// The broker's id, once it is known.
    pub broker_id: Option<String>,
    /// Shares filled.
    pub filled: Decimal,
    /// Shares of all its recorded fills.
    pub fills: Decimal,
}

impl OrderRecord {
    /// Whether it may still fill.
    pub fn is_open(&self) -> bool {
        let written = self.written();
        let state = written.get("state").unwrap_or(&written);
        let open = ["recorded", "sending", "unknown", "working", "cancelling"];
        open.iter().any(|word| state == word || state.get(word).is_some())
    }
}

impl OrderRecord {
    /// Of a replacement, what it has taken over stands beside its state.
    fn written(&self) -> Value {
        serde_json::from_str(&self.state).unwrap_or_default()
    }

    /// Shares that the broker counts as filled: a replacement's figure begins with what the one before it
    /// had.
    pub fn filled_at_broker(&self) -> Decimal {
        let written = self.written();
        let taken: Option<Decimal> = written["taken"]["qty"].as_str().and_then(|qty| qty.parse().ok());
        let is_counted = written["taken"]["apart"] != true;
        self.filled + taken.filter(|_| is_counted).unwrap_or_default()
    }
}

/// Everything that is compared with the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// All orders.
    pub orders: Vec<OrderRecord>,
    /// Symbol to shares, summed over the strategies; what is flat is left out.
    pub positions: BTreeMap<String, Decimal>,
    /// Money received less money paid, of all sub-books.
    pub cash: Decimal,
}

/// Reads [`Records`] from a connection of either kind: the statements are the same, the types of the rows are
/// not.
macro_rules! records {
    ($connection:expr) => {{
        let mut moment = $connection.begin().await?;
        let mut records = Records::default();
        let mut fills: BTreeMap<String, Decimal> = BTreeMap::new();
        for row in sqlx::query("SELECT client_id, qty FROM fills").fetch_all(&mut *moment).await? {
            *fills.entry(row.get("client_id")).or_default() += decimal(row.get("qty"))?;
        }
        for row in sqlx::query("SELECT * FROM orders ORDER BY recorded_at").fetch_all(&mut *moment).await? {
            let client_id: String = row.get("client_id");
            // Databases of before have no such columns.
            let link = |name: &str| row.try_get::<Option<String>, _>(name).ok().flatten();
            records.orders.push(OrderRecord {
                strategy: row.get("strategy"),
                strategy_id: row.get("strategy_id"),
                is_leg: link("leg_of").is_some(),
                state: row.get("state"),
                is_kept: row.get("is_open"),
                broker_id: row.get("broker_id"),
                filled: decimal(row.get("filled_qty"))?,
                fills: fills.remove(&client_id).unwrap_or_default(),
                client_id,
            });
        }
        for row in sqlx::query("SELECT symbol, qty, cash FROM sub_books").fetch_all(&mut *moment).await? {
            *records.positions.entry(row.get("symbol")).or_default() += decimal(row.get("qty"))?;
            records.cash += decimal(row.get("cash"))?;
        }
        records.positions.retain(|_, qty| !qty.is_zero());
        moment.rollback().await?;
        Ok(records)
    }};
}

/// A reader of one database.
pub struct Database {
    place: Place,
    runtime: Runtime,
}

impl Database {
    /// A reader.
    ///
    /// # Errors
    /// When there is no runtime for it.
    pub fn new(place: Place) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { place, runtime })
    }

    /// Reads everything, at one moment.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self) -> anyhow::Result<Records> {
        let read = async { timeout(PATIENCE, self.place.read()).await.context("it does not answer")? };
        self.runtime.block_on(read).with_context(|| format!("{:?} cannot be read", self.place))
    }
}

impl Place {
    async fn read(&self) -> anyhow::Result<Records> {
        match self {
            Self::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).read_only(true);
                let mut connection = options.busy_timeout(PATIENCE).connect().await?;
                records!(connection)
            }
            Self::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await?;
                records!(connection)
            }
        }
    }
}

fn decimal(text: &str) -> anyhow::Result<Decimal> {
    text.parse().with_context(|| format!("{text:?} is no decimal"))
}
