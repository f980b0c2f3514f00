//! What is in the database, page by page: for exports and checks, beside a host that writes.

use std::collections::BTreeMap;

use sandpit_types::{Fill, MarketTime, Signal, StrategyName, Symbol, Usd};

use crate::{
    Database, OrderRow, Store, StoreError,
    connection::{Readers, Row},
    postgres,
    rows::{self, order_columns, parsed, required},
    sqlite,
    statements::Value,
};

/// Rows of a page, at most.
pub const PAGE_ROWS: usize = 1_000;

/// Which times are wanted, from the first one up to but without the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first time that is wanted.
    pub from: MarketTime,
    /// The first time that is no longer wanted.
    pub until: MarketTime,
}

impl Span {
    /// Everything.
    pub const ALL: Self =
        Self { from: MarketTime::from_nanos(i64::MIN), until: MarketTime::from_nanos(i64::MAX) };
}

/// Some rows in the order of their times, and how to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// At most [`PAGE_ROWS`].
    pub rows: Vec<T>,
    /// To be given for the next page; `None` after the last one.
    pub next: Option<Cursor>,
}

/// Where a page ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<Value>);

/// An order, and when it last changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRead {
    /// The order as it stands.
    pub order: OrderRow,
    /// When it came to stand so.
    pub changed_at: MarketTime,
}

/// What the account was worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EquityRead {
    /// When.
    pub time: MarketTime,
    /// Cash plus market values.
    pub equity: Usd,
    /// Cash.
    pub cash: Usd,
}

/// A strategy's recorded decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalRead {
    /// When.
    pub time: MarketTime,
    /// Whose.
    pub strategy: StrategyName,
    /// What and why.
    pub signal: Signal,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRead {
    /// When.
    pub time: MarketTime,
    /// What kind of actor: strategy, operator, host or broker.
    pub actor: String,
    /// Which one; empty for host and broker.
    pub name: String,
    /// What was done.
    pub action: String,
    /// To which order, if one.
    pub client_id: Option<String>,
    /// In which symbol, if one.
    pub symbol: Option<String>,
    /// In words.
    pub detail: String,
}

const AUDIT_LINES: &str = "SELECT COUNT(*) AS rows FROM audit";
const AUDIT_MISSING: &str =
    "SELECT COALESCE(MAX(sequence) - MIN(sequence) + 1, 0) - COUNT(*) AS rows FROM audit";
/// Legs are the broker's, and adopted orders have no strategy's id. What is older than the log was forgotten
/// together with it.
const AUDITED_ORDERS: &str = "SELECT COUNT(*) AS rows FROM orders WHERE leg_of IS NULL AND strategy_id IS \
                              NOT NULL AND recorded_at >= (SELECT MIN(time) FROM audit)";
const ORDERS_WITHOUT: &str = "SELECT COUNT(*) AS rows FROM orders WHERE leg_of IS NULL AND strategy_id IS \
                              NOT NULL AND recorded_at >= (SELECT MIN(time) FROM audit) AND NOT EXISTS \
                              (SELECT 1 FROM audit WHERE audit.client_id = orders.client_id AND action IN \
                              ('submit', 'replace'))";
const FILLS_WITHOUT: &str = "SELECT COUNT(*) AS rows FROM fills WHERE time >= (SELECT MIN(time) FROM audit) \
                             AND NOT EXISTS (SELECT 1 FROM audit WHERE audit.client_id = fills.client_id AND \
                             action = 'fill')";

/// How complete the audit log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditHoles {
    /// How many lines there are.
    pub lines: u64,
    /// How many lines are missing between the first and the last, by their numbers; always 0 on a server,
    /// whose numbers have gaps by nature.
    pub missing: u64,
    /// Orders of strategies that are as old as the log, or newer.
    pub orders: u64,
    /// How many of them no line tells of.
    pub orders_without: u64,
    /// Fills whose order no line of a fill tells of.
    pub fills_without: u64,
}

/// A way to read, and nothing else.
#[derive(Clone, Debug)]
pub struct Reader {
    readers: Readers,
}

const ORDERS: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM orders WHERE recorded_at >= $1 AND recorded_at < $2 AND (recorded_at, client_id) > ($3, $4) \
     ORDER BY recorded_at, client_id LIMIT $5"
);
const FILLS: &str = "SELECT client_id, execution_id, symbol, side, qty, price, time FROM fills WHERE time \
                     >= $1 AND time < $2 AND (time, client_id, execution_id) > ($3, $4, $5) ORDER BY time, \
                     client_id, execution_id LIMIT $6";
const EQUITY: &str = "SELECT sequence, time, equity, cash FROM equity WHERE time >= $1 AND time < $2 AND \
                      (time, sequence) > ($3, $4) ORDER BY time, sequence LIMIT $5";
const SIGNALS: &str = "SELECT sequence, time, strategy, symbol, reason FROM signals WHERE time >= $1 AND \
                       time < $2 AND (time, sequence) > ($3, $4) ORDER BY time, sequence LIMIT $5";
const AUDIT: &str = "SELECT sequence, time, actor, name, action, client_id, symbol, detail FROM audit WHERE \
                     time >= $1 AND time < $2 AND (time, sequence) > ($3, $4) ORDER BY time, sequence LIMIT \
                     $5";
const NEWEST_AUDIT: &str = "SELECT sequence, time, actor, name, action, client_id, symbol, detail FROM audit \
                            ORDER BY sequence DESC LIMIT $1";

const COUNTS: [(&str, &str); 15] = [
    ("activities", "SELECT COUNT(*) AS rows FROM activities"),
    ("alerts", "SELECT COUNT(*) AS rows FROM alerts"),
    ("audit", "SELECT COUNT(*) AS rows FROM audit"),
    ("corrections", "SELECT COUNT(*) AS rows FROM corrections"),
    ("equity", "SELECT COUNT(*) AS rows FROM equity"),
    ("facts", "SELECT COUNT(*) AS rows FROM facts WHERE name <> 'writer'"),
    ("fills", "SELECT COUNT(*) AS rows FROM fills"),
    ("host_starts", "SELECT COUNT(*) AS rows FROM host_starts"),
    ("notices", "SELECT COUNT(*) AS rows FROM notices"),
    ("order_changes", "SELECT COUNT(*) AS rows FROM order_changes"),
    ("orders", "SELECT COUNT(*) AS rows FROM orders"),
    ("refusals", "SELECT COUNT(*) AS rows FROM refusals"),
    ("signals", "SELECT COUNT(*) AS rows FROM signals"),
    ("strategy_state", "SELECT COUNT(*) AS rows FROM strategy_state"),
    ("sub_books", "SELECT COUNT(*) AS rows FROM sub_books"),
];

impl Store {
    /// Opens a database to read it, beside a host that writes it. It has to be of this version: nothing is
    /// migrated.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Damaged`] or [`StoreError::OtherVersion`].
    pub async fn read_only(database: &Database) -> Result<Reader, StoreError> {
        let readers = match database {
            Database::Sqlite(path) => Readers::Sqlite(sqlite::read_only(path).await?),
            Database::Postgres(url) => Readers::Postgres(postgres::read_only(url).await?),
        };
        let ask = "SELECT MAX(version) AS version FROM _sqlx_migrations";
        let rows = readers.rows(ask, &[]).await?;
        let found = rows.first().map(|row| row.int("version")).transpose()?.flatten();
        let wanted = match database {
            Database::Sqlite(_) => sqlite::version(),
            Database::Postgres(_) => postgres::version(),
        };
        if found != Some(wanted) {
            let cause = format!("its version is {}, wanted is {wanted}", found.unwrap_or(0));
            return Err(StoreError::OtherVersion { database: database.to_string(), cause });
        }
        Ok(Reader::new(readers))
    }
}

impl Reader {
    pub(crate) const fn new(readers: Readers) -> Self {
        Self { readers }
    }

    /// Orders by the time of their recording.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn orders(&self, span: Span, after: Option<&Cursor>) -> Result<Page<OrderRead>, StoreError> {
        let first = [time(i64::MIN), text("")];
        let read = |row: &Row| {
            Ok(OrderRead { order: rows::order(row)?, changed_at: rows::time(row, "changed_at")? })
        };
        let cursor = |read: &OrderRead, _: &Row| {
            Ok(vec![time(read.order.recorded_at.as_nanos()), text(&read.order.request.client_id)])
        };
        self.page(ORDERS, span, after, &first, read, cursor).await
    }

    /// Fills by their time.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn fills(&self, span: Span, after: Option<&Cursor>) -> Result<Page<Fill>, StoreError> {
        let first = [time(i64::MIN), text(""), text("")];
        let cursor = |fill: &Fill, _: &Row| {
            Ok(vec![time(fill.time.as_nanos()), text(&fill.client_id), text(&fill.execution_id)])
        };
        self.page(FILLS, span, after, &first, rows::fill, cursor).await
    }

    /// The equity curve.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn equity(&self, span: Span, after: Option<&Cursor>) -> Result<Page<EquityRead>, StoreError> {
        let read = |row: &Row| {
            let (equity, cash) = (parsed(row, "equity")?, parsed(row, "cash")?);
            Ok(EquityRead { time: rows::time(row, "time")?, equity, cash })
        };
        self.page(EQUITY, span, after, &FIRST, read, |_, row| numbered(row)).await
    }

    /// Recorded decisions by their time.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn signals(&self, span: Span, after: Option<&Cursor>) -> Result<Page<SignalRead>, StoreError> {
        let read = |row: &Row| {
            let signal =
                Signal { symbol: row.text("symbol")?.map(Symbol::new), reason: required(row, "reason")? };
            Ok(SignalRead { time: rows::time(row, "time")?, strategy: rows::strategy(row)?, signal })
        };
        self.page(SIGNALS, span, after, &FIRST, read, |_, row| numbered(row)).await
    }

    /// The audit log.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn audit(&self, span: Span, after: Option<&Cursor>) -> Result<Page<AuditRead>, StoreError> {
        self.page(AUDIT, span, after, &FIRST, audit, |_, row| numbered(row)).await
    }

    /// The newest lines of the audit log, the newest first; at most so many, and never more than
    /// [`PAGE_ROWS`].
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn newest_audit(&self, lines: usize) -> Result<Vec<AuditRead>, StoreError> {
        let lines = i64::try_from(lines.min(PAGE_ROWS)).expect("a page is small");
        self.readers.rows(NEWEST_AUDIT, &[Value::Int(lines)]).await?.iter().map(audit).collect()
    }

    /// Whether anything is missing in the audit log.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn audit_holes(&self) -> Result<AuditHoles, StoreError> {
        let count = async |ask| {
            let rows = self.readers.rows(ask, &[]).await?;
            let count = rows.first().map(|row| row.int("rows")).transpose()?.flatten();
            Ok::<_, StoreError>(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
        };
        let missing = match &self.readers {
            Readers::Sqlite(_) => count(AUDIT_MISSING).await?,
            // Its numbers have gaps by nature: what was rolled back keeps its number.
            Readers::Postgres(_) => 0,
        };
        Ok(AuditHoles {
            lines: count(AUDIT_LINES).await?,
            missing,
            orders: count(AUDITED_ORDERS).await?,
            orders_without: count(ORDERS_WITHOUT).await?,
            fills_without: count(FILLS_WITHOUT).await?,
        })
    }

    /// How many rows each table has.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn counts(&self) -> Result<BTreeMap<&'static str, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for (table, ask) in COUNTS {
            let rows = self.readers.rows(ask, &[]).await?;
            let count = rows.first().map(|row| row.int("rows")).transpose()?.flatten();
            counts.insert(table, count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0));
        }
        Ok(counts)
    }

    /// Closes its connections.
    pub async fn close(self) {
        self.readers.close().await;
    }

    async fn page<T>(
        &self,
        ask: &'static str,
        span: Span,
        after: Option<&Cursor>,
        first: &[Value],
        read: impl Fn(&Row) -> Result<T, StoreError>,
        cursor: impl Fn(&T, &Row) -> Result<Vec<Value>, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        let mut values = vec![time(span.from.as_nanos()), time(span.until.as_nanos())];
        values.extend_from_slice(after.map_or(first, |cursor| &cursor.0));
        values.push(Value::Int(i64::try_from(PAGE_ROWS).expect("a page is small")));
        let found = self.readers.rows(ask, &values).await?;
        let rows: Vec<T> = found.iter().map(read).collect::<Result<_, _>>()?;
        let next = match (rows.last(), found.last()) {
            (Some(last), Some(row)) if rows.len() == PAGE_ROWS => Some(Cursor(cursor(last, row)?)),
            _ => None,
        };
        Ok(Page { rows, next })
    }
}

fn audit(row: &Row) -> Result<AuditRead, StoreError> {
    Ok(AuditRead {
        time: rows::time(row, "time")?,
        actor: required(row, "actor")?,
        name: required(row, "name")?,
        action: required(row, "action")?,
        client_id: row.text("client_id")?,
        symbol: row.text("symbol")?,
        detail: required(row, "detail")?,
    })
}

/// Before the first row of a table that is numbered.
const FIRST: [Value; 2] = [Value::Int(i64::MIN), Value::Int(i64::MIN)];

fn numbered(row: &Row) -> Result<Vec<Value>, StoreError> {
    Ok(vec![time(rows::time(row, "time")?.as_nanos()), time(row.int("sequence")?.unwrap_or_default())])
}

const fn time(nanos: i64) -> Value {
    Value::Int(nanos)
}

fn text(value: impl ToString) -> Value {
    Value::Text(Some(value.to_string()))
}
