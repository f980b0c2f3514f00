//! Reading back what a new life of the host needs.

use std::collections::{BTreeMap, BTreeSet};

use sandpit_types::{BrokerOrderId, ClientOrderId, ExecutionId, HostEpoch, MarketTime};

use crate::{
    OrderRow, Store, StoreError, SubBookRow, facts,
    rows::{self, order_columns, parsed, required},
    statements::{Value, text},
};

/// Lives of the host that are read back, the newest ones.
const MAX_EPOCHS: i64 = 10_000;

const OPEN_ORDERS: &str =
    concat!("SELECT ", order_columns!(), " FROM orders WHERE is_open ORDER BY recorded_at, client_id");
const OPEN_FILLS: &str = "SELECT fills.client_id, fills.execution_id FROM orders JOIN fills ON \
                          fills.client_id = orders.client_id WHERE orders.is_open";
const SUB_BOOKS: &str = "SELECT strategy, symbol, qty, cost, cash FROM sub_books ORDER BY strategy, symbol";
const FACTS: &str = "SELECT name, value FROM facts WHERE name <> $1";
const EPOCHS: &str = "SELECT epoch FROM host_starts ORDER BY time DESC LIMIT $1";
/// Each of them is the end of an index. Only what a host writes that trades: a line that a command adds to
/// the audit says nothing of what the last life may have lost.
const NEWEST: &str = "SELECT MAX(time) AS time FROM (SELECT MAX(recorded_at) AS time FROM orders UNION ALL \
                      SELECT MAX(time) FROM fills UNION ALL SELECT MAX(time) FROM equity) AS newest";
const ORDER: &str = concat!("SELECT ", order_columns!(), " FROM orders WHERE client_id = $1");
const ORDER_AT_BROKER: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM orders WHERE broker_id = $1 ORDER BY is_open DESC, recorded_at DESC LIMIT 1"
);
const FILLS: &str = "SELECT execution_id FROM fills WHERE client_id = $1";

/// What a new life of the host needs of the earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Orders that may still change, in the order in which they were recorded, each with the executions
    /// counted.
    pub open_orders: Vec<(OrderRow, BTreeSet<ExecutionId>)>,
    /// Every sub-book.
    pub sub_books: Vec<SubBookRow>,
    /// Every fact but the store's own mark, by its name.
    pub facts: BTreeMap<String, String>,
    /// When the newest order, fill or equity was written. What happened before it is here; what came after
    /// it, a death of the machine or a restored backup may have lost.
    pub newest: Option<MarketTime>,
    /// The lives of the host that are known here, this one included once its start is recorded. An order of
    /// ours at the broker with another epoch is from a life after the backup that this database was
    /// restored from.
    pub epochs: BTreeSet<HostEpoch>,
}

impl Store {
    /// What a new life of the host needs, by a fixed number of queries.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn load(&self) -> Result<Stored, StoreError> {
        let mut executions: BTreeMap<ClientOrderId, BTreeSet<ExecutionId>> = BTreeMap::new();
        for row in self.readers.rows(OPEN_FILLS, &[]).await? {
            let id = ExecutionId::new(required(&row, "execution_id")?);
            executions.entry(parsed(&row, "client_id")?).or_default().insert(id);
        }
        let mut open_orders = Vec::new();
        for row in self.readers.rows(OPEN_ORDERS, &[]).await? {
            let order = rows::order(&row)?;
            let executions = executions.remove(&order.request.client_id).unwrap_or_default();
            open_orders.push((order, executions));
        }
        let sub_books = self.readers.rows(SUB_BOOKS, &[]).await?;
        let facts = self.readers.rows(FACTS, &[text(facts::WRITER)]).await?;
        let newest = self.readers.rows(NEWEST, &[]).await?;
        let newest = newest.first().map(|row| row.int("time")).transpose()?.flatten();
        let epochs = self.readers.rows(EPOCHS, &[Value::Int(MAX_EPOCHS)]).await?;
        let epoch = |text: String| u64::from_str_radix(&text, 16).map(HostEpoch).map_err(StoreError::reading);
        Ok(Stored {
            open_orders,
            sub_books: sub_books.iter().map(rows::sub_book).collect::<Result<_, _>>()?,
            facts: facts
                .iter()
                .map(|row| Ok((required(row, "name")?, required(row, "value")?)))
                .collect::<Result<_, StoreError>>()?,
            newest: newest.map(MarketTime::from_nanos),
            epochs: epochs.iter().map(|row| epoch(required(row, "epoch")?)).collect::<Result<_, _>>()?,
        })
    }

    /// One order, open or not, with the executions counted.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn order(
        &self,
        client_id: &ClientOrderId,
    ) -> Result<Option<(OrderRow, BTreeSet<ExecutionId>)>, StoreError> {
        self.one_order(ORDER, client_id.to_string()).await
    }

    /// The same of the order that the broker calls `broker_id`.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn order_at_broker(
        &self,
        broker_id: &BrokerOrderId,
    ) -> Result<Option<(OrderRow, BTreeSet<ExecutionId>)>, StoreError> {
        self.one_order(ORDER_AT_BROKER, broker_id.to_string()).await
    }

    async fn one_order(
        &self,
        select: &'static str,
        id: String,
    ) -> Result<Option<(OrderRow, BTreeSet<ExecutionId>)>, StoreError> {
        let found = self.readers.rows(select, &[Value::Text(Some(id))]).await?;
        let Some(order) = found.first().map(rows::order).transpose()? else {
            return Ok(None);
        };
        let id = [Value::Text(Some(order.request.client_id.to_string()))];
        let executions = self.readers.rows(FILLS, &id).await?;
        let execution = |row| required(row, "execution_id").map(ExecutionId::new);
        Ok(Some((order, executions.iter().map(execution).collect::<Result<_, _>>()?)))
    }

    /// What a strategy gave to be kept, and the version of the strategy that wrote it.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn strategy_state(
        &self,
        strategy: &sandpit_types::StrategyName,
    ) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        let name = [Value::Text(Some(strategy.to_string()))];
        let ask = "SELECT version, state FROM strategy_state WHERE strategy = $1";
        let found = self.readers.rows(ask, &name).await?;
        found.first().map(|row| Ok((required(row, "version")?, row.bytes("state")?))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sandpit_postgres::{Options, Server};

    use super::*;
    use crate::Database;

    /// What is read at a start, by the name of the index that it must be found by.
    const FOUND_BY: [(&str, &str); 5] = [
        (OPEN_ORDERS, "orders_open"),
        (OPEN_FILLS, "orders_open"),
        (NEWEST, "orders_recorded"),
        (NEWEST, "fills_time"),
        (ORDER_AT_BROKER, "orders_broker"),
    ];

    #[tokio::test]
    async fn a_start_does_not_read_the_past() {
        let directory = tempfile::tempdir().expect("tempdir");
        let file = Database::Sqlite(directory.path().join("host.db"));
        let store = Store::open(&file, Arc::default()).await.expect("opens");
        let server = Server::with(Options { fsync: false }).unwrap_or_else(|error| panic!("{error}"));
        let url = server.url().parse().expect("an address");
        Store::open(&Database::Postgres(url), Arc::default()).await.expect("opens").close().await;
        for (select, index) in FOUND_BY {
            let explain: &'static str = format!("EXPLAIN QUERY PLAN {select}").leak();
            let rows = store.readers.rows(explain, &[]).await.expect("explains");
            let plan: Vec<_> =
                rows.iter().map(|row| row.text("detail").expect("text").unwrap_or_default()).collect();
            let plan = plan.join("\n");
            let is_scan = |line: &str| line.starts_with("SCAN orders") && !line.contains("INDEX orders_open");
            assert!(plan.contains(index) && !plan.lines().any(is_scan), "{select}\n{plan}");
            // A table of a few rows is read as a whole if that is allowed.
            let plan = server
                .query(&format!("SET enable_seqscan = off; EXPLAIN {}", select.replace("$1", "'b'")))
                .expect("explains");
            assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{select}\n{plan}");
        }
        store.close().await;
    }
}
