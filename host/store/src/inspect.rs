//! Whether what is in a database can be true.
//!
//! Everything is read within one transaction, orders and what hangs on them in pages, so that a host may
//! write meanwhile and a large database needs no more memory than a small one.

use std::collections::BTreeMap;

use sandpit_types::{Fill, Qty, Side, StrategyName, Symbol, Usd};

use crate::{
    Database, OrderRow, Snapshot, StoreError, SubBookRow,
    connection::Row,
    facts,
    rows::{self, order_columns, parsed, required},
    statements::Value,
};

/// What is wrong is told up to so many sentences.
pub const MAX_FINDINGS: usize = 100;
/// Orders that are looked at together.
const PAGE_ORDERS: usize = 500;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// What is wrong, at most [`MAX_FINDINGS`] sentences; empty when nothing is.
    pub wrong: Vec<String>,
    /// What could not be looked at, and why.
    pub skipped: Vec<String>,
}

const ORDERS: &str =
    concat!("SELECT ", order_columns!(), " FROM orders WHERE client_id > $1 ORDER BY client_id LIMIT $2");
const FILLS: &str = "SELECT client_id, execution_id, symbol, side, qty, price, time FROM fills WHERE \
                     client_id > $1 AND client_id <= $2";
const CHANGES: &str = "SELECT client_id, COUNT(*) AS rows, MIN(change_number) AS lowest, \
                       MAX(change_number) AS highest FROM order_changes WHERE client_id > $1 AND \
                       client_id <= $2 GROUP BY client_id";
const ORPHANS: &str = "SELECT \"table\" AS name, COUNT(*) AS rows FROM pragma_foreign_key_check GROUP BY 1";
const SUB_BOOKS: &str = "SELECT strategy, symbol, qty, cost, cash FROM sub_books";
const CORRECTIONS: &str = "SELECT strategy, symbol, qty, cash FROM corrections";
const FORGOTTEN: &str = "SELECT value FROM facts WHERE name = $1";

/// Shares and cash of one strategy in one symbol, by its fills and by what operators set.
type Sums = BTreeMap<(StrategyName, Symbol), (Qty, Usd)>;

impl Snapshot {
    /// Whether the file is whole, and the rows fit each other.
    ///
    /// # Errors
    /// [`StoreError::Read`], or [`StoreError::Damaged`] when it cannot be read to the end.
    pub async fn inspect(&mut self) -> Result<Inspection, StoreError> {
        let mut found = Inspection { wrong: self.integrity().await?, skipped: Vec::new() };
        if !found.wrong.is_empty() {
            found.skipped.push("the rows, because the file is damaged".into());
            return Ok(found);
        }
        let version = self.contents().await?.schema_version;
        let wanted = self.wanted_version();
        if version != Some(wanted) {
            let is = version.map_or_else(|| "none".to_owned(), |version| version.to_string());
            found.skipped.push(format!("the rows, because the schema's version is {is} and not {wanted}"));
            return Ok(found);
        }
        let mut sums = self.orders(&mut found).await?;
        for row in self.rows(CORRECTIONS, &[]).await? {
            let symbol = Symbol::new(required(&row, "symbol")?);
            let sum = sums.entry((rows::strategy(&row)?, symbol)).or_default();
            let (qty, cash): (Qty, Usd) = (parsed(&row, "qty")?, parsed(&row, "cash")?);
            *sum = (sum.0 + qty, sum.1 + cash);
        }
        self.sub_books(&sums, &mut found).await?;
        Ok(found)
    }

    /// What is wrong with the file's own structure, at most [`MAX_FINDINGS`] sentences. A PostgreSQL server
    /// checks its pages and references itself: nothing is found there.
    ///
    /// # Errors
    /// [`StoreError::Read`], or [`StoreError::Damaged`] when it cannot be read to the end.
    pub async fn integrity(&mut self) -> Result<Vec<String>, StoreError> {
        let mut wrong = Vec::new();
        if matches!(self.database(), Database::Postgres(_)) {
            return Ok(wrong);
        }
        for row in self.rows(format!("PRAGMA integrity_check({MAX_FINDINGS})"), &[]).await? {
            let text = required(&row, "integrity_check")?;
            wrong.extend((text != "ok").then_some(text));
        }
        for row in self.rows(ORPHANS, &[]).await? {
            let (name, rows) = (required(&row, "name")?, row.int("rows")?.unwrap_or(0));
            wrong.push(format!("{rows} rows of {name} belong to an order that is not there"));
        }
        wrong.truncate(MAX_FINDINGS);
        Ok(wrong)
    }

    /// Each order against its changes and fills; returns the sums of the fills.
    async fn orders(&mut self, found: &mut Inspection) -> Result<Sums, StoreError> {
        let mut sums = Sums::new();
        let mut after = String::new();
        let limit = i64::try_from(PAGE_ORDERS).expect("a page is small");
        loop {
            let text = |value: &str| Value::Text(Some(value.to_owned()));
            let page = self.rows(ORDERS, &[text(&after), Value::Int(limit)]).await?;
            let Some(last) = page.last() else {
                return Ok(sums);
            };
            let range = [text(&after), text(&required(last, "client_id")?)];
            let fills = self.rows(FILLS, &range).await?;
            let fills = by_order(&fills, &mut sums, found)?;
            let mut changes = BTreeMap::new();
            for row in self.rows(CHANGES, &range).await? {
                changes.insert(required(&row, "client_id")?, gap(&row)?);
            }
            for row in &page {
                let id = required(row, "client_id")?;
                if let Some(Some(gap)) = changes.get(&id) {
                    found.say(format!("order {id}: {gap}"));
                }
                match rows::order(row) {
                    Ok(order) => order_against(&order, fills.get(&id).copied(), found),
                    Err(error) => found.say(format!("order {id}: {error}")),
                }
            }
            after = required(last, "client_id")?;
        }
    }

    async fn sub_books(&mut self, sums: &Sums, found: &mut Inspection) -> Result<(), StoreError> {
        let forgotten =
            self.rows(FORGOTTEN, &[Value::Text(Some(facts::ORDERS_FORGOTTEN.to_owned()))]).await?;
        if !forgotten.is_empty() {
            let why = "the sub-books against all fills, because old fills were forgotten (keep_orders_days)";
            found.skipped.push(why.into());
            return Ok(());
        }
        let mut books = BTreeMap::new();
        for row in self.rows(SUB_BOOKS, &[]).await? {
            let SubBookRow { strategy, symbol, qty, cash, .. } = rows::sub_book(&row)?;
            books.insert((strategy, symbol), (qty, cash));
        }
        let keys: std::collections::BTreeSet<_> = books.keys().chain(sums.keys()).collect();
        for key in keys {
            let zero = (Qty::ZERO, Usd::ZERO);
            let (is, should) = (books.get(key).unwrap_or(&zero), sums.get(key).unwrap_or(&zero));
            if is != should {
                found.say(format!(
                    "sub-book of {} in {}: it holds {} shares and {} USD, fills and corrections make {} \
                     and {}",
                    key.0, key.1, is.0, is.1, should.0, should.1
                ));
            }
        }
        Ok(())
    }
}

impl Inspection {
    fn say(&mut self, what: impl Into<String>) {
        if self.wrong.len() < MAX_FINDINGS {
            self.wrong.push(what.into());
        }
    }
}

/// Shares and value of each order's fills, which are added to the sums.
fn by_order(
    fills: &[Row],
    sums: &mut Sums,
    found: &mut Inspection,
) -> Result<BTreeMap<String, (Qty, Usd)>, StoreError> {
    let mut orders: BTreeMap<String, (Qty, Usd)> = BTreeMap::new();
    for row in fills {
        let id = required(row, "client_id")?;
        let fill = match rows::fill(row) {
            Ok(fill) => fill,
            Err(error) => {
                found.say(format!("a fill of order {id}: {error}"));
                continue;
            }
        };
        let Fill { client_id, symbol, side, qty, price, .. } = fill;
        let value = price * qty;
        let order = orders.entry(id).or_default();
        *order = (order.0 + qty, order.1 + value);
        let sum = sums.entry((client_id.strategy, symbol)).or_default();
        let cash = match side {
            Side::Buy => sum.1 - value,
            Side::Sell => sum.1 + value,
        };
        *sum = (sum.0 + side.signed(qty), cash);
    }
    Ok(orders)
}

/// Numbers of changes go from 1 up without a gap.
fn gap(row: &Row) -> Result<Option<String>, StoreError> {
    let (rows, lowest, highest) = (row.int("rows")?, row.int("lowest")?, row.int("highest")?);
    let is_whole = lowest == Some(1) && highest == rows;
    let (rows, lowest, highest) = (rows.unwrap_or(0), lowest.unwrap_or(0), highest.unwrap_or(0));
    Ok((!is_whole).then(|| format!("its {rows} changes are numbered {lowest} to {highest}, one is missing")))
}

/// That an order, open or not, has a client id of ours shows in that it can be read at all.
fn order_against(order: &OrderRow, fills: Option<(Qty, Usd)>, found: &mut Inspection) {
    let (qty, value) = fills.unwrap_or_default();
    let id = &order.request.client_id;
    if order.filled_qty != qty {
        found.say(format!("order {id}: {} shares are filled, its fills make {qty}", order.filled_qty));
    }
    if order.filled_notional != value {
        found.say(format!("order {id}: filled for {} USD, its fills make {value}", order.filled_notional));
    }
    if qty > order.request.qty {
        found.say(format!("order {id}: {qty} shares are filled of {}", order.request.qty));
    }
}
