//! What is written, as SQL: one text for both databases.
//!
//! Placeholders are `$1…`, decimals and states are text, times are `BIGINT`. Every statement may be run again
//! with the same values and changes nothing then: when a connection breaks around a `COMMIT`, nobody knows
//! whether it was done, and the records are written again. Rows that are only ever added have no key by which
//! a second one would be known; they are looked for by their time and compared.

use sandpit_types::{Activity, Deed, Exit, Fill, MarketTime, OrderClass, OrderKind, StopLoss, Trail};

use crate::{Actor, Audit, OrderChange, OrderRow, Record, SubBookRow};

/// A value for a placeholder. NULL is a missing text: no column of another kind is ever NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Option<String>),
    Int(i64),
    Flag(bool),
    Bytes(Vec<u8>),
}

/// One statement with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) text: &'static str,
    pub(crate) values: Vec<Value>,
    /// Whether all it does is to add a row: then it does not care what else the same commit does.
    pub(crate) only_adds: bool,
}

const ADD_EXECUTION: &str = "INSERT INTO activities (id, time, kind, broker_id, symbol, side, qty, price, \
     cumulative, net) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING";
const KEEP_ACTIVITY: &str = "INSERT INTO activities (id, time, kind, broker_id, symbol, side, qty, price, \
     cumulative, net) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO UPDATE SET \
     qty = excluded.qty, net = excluded.net";
const ADD_CORRECTION: &str = "INSERT INTO corrections (strategy, symbol, time, qty, cash) VALUES ($1, $2, \
                              $3, $4, $5) ON CONFLICT (strategy, symbol, time) DO NOTHING";
const ADD_HOST_START: &str =
    "INSERT INTO host_starts (epoch, mode, time) VALUES ($1, $2, $3) ON CONFLICT (epoch) DO NOTHING";
const ADD_EQUITY: &str = "INSERT INTO equity (time, equity, cash) SELECT $1, $2, $3 WHERE NOT EXISTS \
                          (SELECT 1 FROM equity WHERE time = $1 AND equity = $2 AND cash = $3)";
const ADD_SIGNAL: &str = "INSERT INTO signals (time, strategy, symbol, reason) SELECT $1, $2, $3, $4 WHERE \
                          NOT EXISTS (SELECT 1 FROM signals WHERE time = $1 AND strategy = $2 AND symbol IS \
                          NOT DISTINCT FROM $3 AND reason = $4)";
const ADD_REFUSAL: &str = "INSERT INTO refusals (time, strategy, strategy_id, reason) SELECT $1, $2, $3, $4 \
                           WHERE NOT EXISTS (SELECT 1 FROM refusals WHERE time = $1 AND strategy = $2 AND \
                           strategy_id = $3 AND reason = $4)";
const ADD_ALERT: &str = "INSERT INTO alerts (time, text) SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM \
                         alerts WHERE time = $1 AND text = $2)";
const ADD_NOTICE: &str = "INSERT INTO notices (time, subject, detail) SELECT $1, $2, $3 WHERE NOT EXISTS \
                          (SELECT 1 FROM notices WHERE time = $1 AND subject = $2 AND detail = $3)";
const KEEP_STATE: &str = "INSERT INTO strategy_state (strategy, time, version, state) VALUES ($1, $2, $3, \
                          $4) ON CONFLICT (strategy) DO UPDATE SET time = excluded.time, version = \
                          excluded.version, state = excluded.state";

/// The statements that write a record, in order.
pub(crate) fn statements(record: &Record) -> Vec<Statement> {
    let one = match record {
        Record::Order(row) => order(row),
        Record::Change(change) => return changed(change).into(),
        Record::Fill { fill, after } => return vec![filled(fill), sub_book(after)],
        Record::Correction { time, qty, cash, after } => {
            let SubBookRow { strategy, symbol, .. } = after;
            let values = vec![text(strategy), text(symbol), at(*time), text(qty), text(cash)];
            return vec![add(ADD_CORRECTION, values), sub_book(after)];
        }
        Record::Activity(row) => activity(row),
        Record::Fact { name, value } => fact(name, value.as_deref()),
        Record::StrategyState { time, strategy, version, state } => {
            let state = Value::Bytes(state.clone());
            change(KEEP_STATE, vec![text(strategy), at(*time), text(version), state])
        }
        Record::HostStart { epoch, mode, time } => {
            add(ADD_HOST_START, vec![text(epoch), text(mode), at(*time)])
        }
        Record::Equity { time, equity, cash } => add(ADD_EQUITY, vec![at(*time), text(equity), text(cash)]),
        Record::Signal { time, strategy, signal } => {
            let symbol = maybe(signal.symbol.as_ref());
            add(ADD_SIGNAL, vec![at(*time), text(strategy), symbol, text(&signal.reason)])
        }
        Record::Refusal { time, strategy, id, refusal } => {
            add(ADD_REFUSAL, vec![at(*time), text(strategy), text(id), text(refusal)])
        }
        Record::Alert { time, text: words } => add(ADD_ALERT, vec![at(*time), text(words)]),
        Record::Audit(line) => audit(line),
        Record::Notice { time, subject, detail } => {
            add(ADD_NOTICE, vec![at(*time), text(subject), text(detail)])
        }
    };
    vec![one]
}

fn audit(line: &Audit) -> Statement {
    let (actor, name) = match &line.actor {
        Actor::Strategy(name) => ("strategy", name.as_str()),
        Actor::Operator(name) => ("operator", name.as_str()),
        Actor::Host => ("host", ""),
        Actor::Broker => ("broker", ""),
    };
    add(
        "INSERT INTO audit (time, actor, name, action, client_id, symbol, detail) SELECT $1, $2, $3, $4, \
         $5, $6, $7 WHERE NOT EXISTS (SELECT 1 FROM audit WHERE time = $1 AND actor = $2 AND name = $3 AND \
         action = $4 AND client_id IS NOT DISTINCT FROM $5 AND symbol IS NOT DISTINCT FROM $6 AND detail = \
         $7)",
        vec![
            at(line.time),
            text(actor),
            text(name),
            text(line.action),
            maybe(line.client_id.as_ref()),
            maybe(line.symbol.as_ref()),
            text(&line.detail),
        ],
    )
}

/// An order that is there already stays: the changes that followed stand in its row.
fn order(row: &OrderRow) -> Statement {
    let request = &row.request;
    let (trail_price, trail_percent) = match request.kind {
        OrderKind::TrailingStop { trail: Trail::Price(price) } => (Some(price.to_string()), None),
        OrderKind::TrailingStop { trail: Trail::Percent(percent) } => (None, Some(percent.to_string())),
        OrderKind::Market
        | OrderKind::Limit { .. }
        | OrderKind::Stop { .. }
        | OrderKind::StopLimit { .. } => (None, None),
    };
    let (take_profit, stop_loss) = match request.class {
        OrderClass::Simple => (None, None),
        OrderClass::Bracket { take_profit, stop_loss } => (Some(take_profit), Some(stop_loss)),
        OrderClass::Oco { stop_loss } | OrderClass::Oto(Exit::StopLoss(stop_loss)) => (None, Some(stop_loss)),
        OrderClass::Oto(Exit::TakeProfit(price)) => (Some(price), None),
    };
    let stop_loss_limit = stop_loss.and_then(|StopLoss { limit_price, .. }| limit_price);
    let (leg_of, leg) = row.links.leg_of.as_ref().map(|(parent, leg)| (parent, leg.as_str())).unzip();
    add(
        "INSERT INTO orders (client_id, strategy, epoch, incarnation, strategy_id, symbol, side, qty, kind, \
         limit_price, stop_price, trail_price, trail_percent, class, take_profit, stop_loss, \
         stop_loss_limit, time_in_force, extended_hours, leg_of, leg, replaces, state, is_open, broker_id, \
         filled_qty, filled_notional, recorded_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
         $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, \
         $28) ON CONFLICT (client_id) DO NOTHING",
        vec![
            text(&request.client_id),
            text(&request.client_id.strategy),
            text(request.client_id.epoch),
            Value::Int(row.incarnation.into()),
            maybe(row.strategy_id),
            text(&request.symbol),
            text(request.side.as_str()),
            text(request.qty),
            text(request.kind.as_str()),
            maybe(request.kind.limit_price()),
            maybe(request.kind.stop_price()),
            Value::Text(trail_price),
            Value::Text(trail_percent),
            text(request.class.as_str()),
            maybe(take_profit),
            maybe(stop_loss.map(|loss| loss.stop_price)),
            maybe(stop_loss_limit),
            text(request.time_in_force.as_str()),
            Value::Flag(request.extended_hours),
            maybe(leg_of),
            maybe(leg),
            maybe(row.links.replaces.as_ref()),
            text(&row.state),
            Value::Flag(row.is_open),
            maybe(row.broker_id.as_ref()),
            text(row.filled_qty),
            text(row.filled_notional),
            at(row.recorded_at),
        ],
    )
}

/// The change of an order that is not there breaks a foreign key, before the second statement finds nothing.
fn changed(row: &OrderChange) -> [Statement; 2] {
    let story = change(
        "INSERT INTO order_changes (client_id, change_number, time, state, filled_qty, note) SELECT $1, \
         COALESCE(MAX(change_number), 0) + 1, $2, $3, $4, $5 FROM order_changes WHERE client_id = $1 HAVING \
         COUNT(CASE WHEN time = $2 AND state = $3 AND filled_qty = $4 AND note = $5 THEN 1 END) = 0",
        vec![text(&row.client_id), at(row.time), text(&row.state), text(row.filled_qty), text(&row.note)],
    );
    let state = change(
        "UPDATE orders SET state = $2, is_open = $3, broker_id = $4, filled_qty = $5, filled_notional = $6, \
         changed_at = $7 WHERE client_id = $1",
        vec![
            text(&row.client_id),
            text(&row.state),
            Value::Flag(row.is_open),
            maybe(row.broker_id.as_ref()),
            text(row.filled_qty),
            text(row.filled_notional),
            at(row.time),
        ],
    );
    [story, state]
}

fn filled(fill: &Fill) -> Statement {
    change(
        "INSERT INTO fills (client_id, execution_id, strategy, symbol, side, qty, price, time) VALUES ($1, \
         $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (client_id, execution_id) DO NOTHING",
        vec![
            text(&fill.client_id),
            text(&fill.execution_id),
            text(&fill.client_id.strategy),
            text(&fill.symbol),
            text(fill.side.as_str()),
            text(fill.qty),
            text(fill.price),
            at(fill.time),
        ],
    )
}

fn sub_book(row: &SubBookRow) -> Statement {
    change(
        "INSERT INTO sub_books (strategy, symbol, qty, cost, cash) VALUES ($1, $2, $3, $4, $5) ON CONFLICT \
         (strategy, symbol) DO UPDATE SET qty = excluded.qty, cost = excluded.cost, cash = excluded.cash",
        vec![text(&row.strategy), text(&row.symbol), text(row.qty), text(row.cost), text(row.cash)],
    )
}

fn activity(row: &Activity) -> Statement {
    let mut values = vec![text(&row.id), at(row.time)];
    values.extend(match &row.deed {
        Deed::Fill { order, symbol, side, qty, price, cumulative } => [
            text("FILL"),
            text(order),
            text(symbol),
            text(side.as_str()),
            text(qty),
            text(price),
            text(cumulative),
            maybe(None::<&str>),
        ],
        Deed::Other { kind, net, symbol, qty, per_share: _ } => {
            let nothing = || maybe(None::<&str>);
            let (symbol, qty) = (maybe(symbol.as_ref()), maybe(*qty));
            [text(kind), nothing(), symbol, nothing(), qty, nothing(), nothing(), text(net)]
        }
    });
    match &row.deed {
        Deed::Fill { .. } => add(ADD_EXECUTION, values),
        // The broker may cancel it, and then it moves nothing.
        Deed::Other { .. } => change(KEEP_ACTIVITY, values),
    }
}

pub(crate) fn fact(name: &str, value: Option<&str>) -> Statement {
    match value {
        Some(value) => change(
            "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = \
             excluded.value",
            vec![text(name), text(value)],
        ),
        None => change("DELETE FROM facts WHERE name = $1", vec![text(name)]),
    }
}

const fn add(text: &'static str, values: Vec<Value>) -> Statement {
    Statement { text, values, only_adds: true }
}

pub(crate) const fn change(text: &'static str, values: Vec<Value>) -> Statement {
    Statement { text, values, only_adds: false }
}

pub(crate) fn text(value: impl ToString) -> Value {
    maybe(Some(value))
}

/// PostgreSQL has no U+0000 in texts, and one in the words of a strategy or the broker must not keep a commit
/// from it.
fn maybe(value: Option<impl ToString>) -> Value {
    Value::Text(value.map(|value| {
        let text = value.to_string();
        if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text }
    }))
}

const fn at(time: MarketTime) -> Value {
    Value::Int(time.as_nanos())
}
