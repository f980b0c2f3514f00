//! Reading back what was written.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use sandpit_types::{
    BrokerOrderId, ClientOrderId, ExecutionId, MarketTime, OrderKind, OrderRequest, Side, StrategyName,
    StrategyOrderId, Symbol, TimeInForce,
};
use sqlx::{Row, query, query_scalar, sqlite::SqliteRow};

use crate::{OrderRow, Store, StoreError, SubBookRow};

/// What a new life of the host needs of the earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Orders that may still change, each with the executions counted.
    pub open_orders: Vec<(OrderRow, BTreeSet<ExecutionId>)>,
    /// Every sub-book.
    pub sub_books: Vec<SubBookRow>,
    /// Every value that outlives the process, by its name.
    pub facts: BTreeMap<String, String>,
    /// The newest stamp of an order, a fill or a reading of the account.
    pub newest: Option<MarketTime>,
}

impl Store {
    /// The orders that may still change, and all sub-books.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn load(&self) -> Result<Stored, StoreError> {
        let rows = query("SELECT * FROM orders WHERE is_open ORDER BY recorded_at, client_id")
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::reading)?;
        let mut open_orders = Vec::with_capacity(rows.len());
        for row in &rows {
            let order = order_row(row)?;
            let executions = self.executions(&order.request.client_id).await?;
            open_orders.push((order, executions));
        }
        let rows = query("SELECT * FROM sub_books ORDER BY strategy, symbol")
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::reading)?;
        let sub_books = rows.iter().map(sub_book_row).collect::<Result<_, _>>()?;
        Ok(Stored { open_orders, sub_books, facts: BTreeMap::new(), newest: None })
    }

    /// One order, open or not, with the executions counted.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub async fn order(
        &self,
        client_id: &ClientOrderId,
    ) -> Result<Option<(OrderRow, BTreeSet<ExecutionId>)>, StoreError> {
        let row = query("SELECT * FROM orders WHERE client_id = $1")
            .bind(client_id.to_string())
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::reading)?;
        match row {
            Some(row) => Ok(Some((order_row(&row)?, self.executions(client_id).await?))),
            None => Ok(None),
        }
    }

    async fn executions(&self, client_id: &ClientOrderId) -> Result<BTreeSet<ExecutionId>, StoreError> {
        let ids: Vec<String> = query_scalar("SELECT execution_id FROM fills WHERE client_id = $1")
            .bind(client_id.to_string())
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::reading)?;
        Ok(ids.into_iter().map(ExecutionId::new).collect())
    }
}

fn order_row(row: &SqliteRow) -> Result<OrderRow, StoreError> {
    let limit_price = text(row, "limit_price")?.map(|price| price.parse()).transpose();
    let kind = match limit_price.map_err(StoreError::reading)? {
        Some(limit_price) => OrderKind::Limit { limit_price },
        None => OrderKind::Market, // FOUNDATION: all kinds
    };
    let strategy_id = text(row, "strategy_id")?.map(|id| id.parse().map(StrategyOrderId)).transpose();
    let incarnation: i64 = row.try_get("incarnation").map_err(StoreError::reading)?;
    Ok(OrderRow {
        request: OrderRequest {
            client_id: parsed(row, "client_id")?,
            symbol: Symbol::new(required(row, "symbol")?),
            side: side(&required(row, "side")?)?,
            qty: parsed(row, "qty")?,
            kind,
            time_in_force: time_in_force(&required(row, "time_in_force")?)?,
            extended_hours: row.try_get("extended_hours").map_err(StoreError::reading)?,
            class: sandpit_types::OrderClass::Simple,
        },
        strategy_id: strategy_id.map_err(StoreError::reading)?,
        links: sandpit_types::Links::default(), // FOUNDATION
        incarnation: u32::try_from(incarnation).map_err(StoreError::reading)?,
        state: required(row, "state")?,
        is_open: row.try_get("is_open").map_err(StoreError::reading)?,
        broker_id: text(row, "broker_id")?.map(BrokerOrderId::new),
        filled_qty: parsed(row, "filled_qty")?,
        filled_notional: parsed(row, "filled_notional")?,
        recorded_at: MarketTime::from_nanos(row.try_get("recorded_at").map_err(StoreError::reading)?),
    })
}

fn sub_book_row(row: &SqliteRow) -> Result<SubBookRow, StoreError> {
    Ok(SubBookRow {
        strategy: StrategyName::parse(&required(row, "strategy")?).map_err(StoreError::reading)?,
        symbol: Symbol::new(required(row, "symbol")?),
        qty: parsed(row, "qty")?,
        cost: parsed(row, "cost")?,
        cash: parsed(row, "cash")?,
    })
}

fn text(row: &SqliteRow, column: &str) -> Result<Option<String>, StoreError> {
    row.try_get(column).map_err(StoreError::reading)
}

fn required(row: &SqliteRow, column: &str) -> Result<String, StoreError> {
    row.try_get(column).map_err(StoreError::reading)
}

fn parsed<T: FromStr>(row: &SqliteRow, column: &str) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    required(row, column)?.parse().map_err(|error| StoreError::reading(format!("column {column}: {error}")))
}

fn side(word: &str) -> Result<Side, StoreError> {
    [Side::Buy, Side::Sell]
        .into_iter()
        .find(|side| side.as_str() == word)
        .ok_or_else(|| StoreError::reading(format!("{word:?} is not a side")))
}

fn time_in_force(word: &str) -> Result<TimeInForce, StoreError> {
    [TimeInForce::Day, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok]
        .into_iter()
        .find(|time_in_force| time_in_force.as_str() == word)
        .ok_or_else(|| StoreError::reading(format!("{word:?} is not a time in force")))
}
