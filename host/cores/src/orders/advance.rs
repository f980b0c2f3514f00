//! One event and one order: state, watermark and the broker's id after it, or nothing.

use sandpit_types::{ClientOrderId, Fill, Qty, Usd};

use super::{
    BookError, Order, OrderEvent, Stage,
    fills::{Piece, Reading},
    step,
};

/// State, watermark and broker's id of one order after `event`; all or nothing. An order that
/// `counts_no_more` fills nothing: its shares are in the report of the order that took its place.
pub(super) fn advance(
    order: &mut Order,
    event: &OrderEvent,
    counts_no_more: bool,
) -> Result<Vec<Fill>, BookError> {
    let client_id = order.client_id().clone();
    let next = || {
        step(order.state.clone(), event)
            .map_err(|cause| BookError::Impossible { client_id: client_id.clone(), cause })
    };
    let Some(shown) = event.shown() else {
        let state = next()?;
        let fills = if let OrderEvent::Activity { execution, cumulative } = event
            && !counts_no_more
        {
            wait_for_old(order, *cumulative)?;
            let (before, value_before) = order.taken.included();
            let (total, time) = (*cumulative - before, execution.time);
            let execution = Some(execution);
            let reading =
                Reading { execution, total, before, value_before, average: None, fallback: None, time };
            count(order, &reading, *cumulative)?
        } else {
            Vec::new()
        };
        order.state = state;
        return Ok(fills);
    };
    if order.broker_id.as_ref().is_some_and(|known| *known != shown.id) {
        return Err(BookError::Twin { client_id, broker_id: shown.id.clone() });
    }
    // A late snapshot: what it says of fills still counts, where it says the order stands does not.
    let is_late = order.state.is_at_broker()
        && !shown.status.is_terminal()
        && order.shown_at.is_some_and(|newest| shown.updated_at < newest);
    let state = if is_late { order.state.clone() } else { next()? };
    let fills = if counts_no_more {
        Vec::new()
    } else {
        wait_for_old(order, shown.filled_qty)?;
        let mut taken = order.taken.clone();
        // One from before the old order's last one says nothing about how the broker counts.
        if order.old_shown_at.is_none_or(|at| shown.updated_at >= at) {
            taken.read(order.request.qty, shown);
        }
        let (before, value_before) = taken.included();
        let execution = event.execution();
        let reading = Reading {
            execution,
            total: shown.filled_qty - before,
            before,
            value_before,
            average: shown.filled_avg_price,
            fallback: shown
                .filled_avg_price
                .or(execution.map(|execution| execution.price))
                .or(shown.limit_price),
            time: shown.updated_at,
        };
        let fills = count(order, &reading, shown.filled_qty)?;
        order.taken.apart = taken.apart;
        fills
    };
    order.state = state;
    order.broker_id = Some(shown.id.clone());
    order.shown_at = order.shown_at.max(Some(shown.updated_at));
    if shown.replaced_by.is_some() {
        order.replaced_by.clone_from(&shown.replaced_by);
    }
    Ok(fills)
}

/// How many shares of a replacement are its own is certain once the order that it replaces is over.
fn wait_for_old(order: &Order, filled: Qty) -> Result<(), BookError> {
    match &order.links.replaces {
        Some(old) if order.taken.stage == Stage::Open && filled.is_positive() => {
            Err(BookError::TooEarly { client_id: order.client_id().clone(), old: old.clone() })
        }
        Some(_) | None => Ok(()),
    }
}

/// Raises the watermark.
fn count(order: &mut Order, reading: &Reading<'_>, filled_qty: Qty) -> Result<Vec<Fill>, BookError> {
    let client_id = order.client_id().clone();
    let pieces = order
        .filled
        .advance(&client_id, reading)
        .ok_or_else(|| BookError::NoPrice { client_id: client_id.clone(), filled_qty })?;
    if filled_qty.is_positive() && order.links.replaces.is_some() {
        order.taken.stage = Stage::Fixed;
    }
    Ok(pieces.into_iter().map(|piece| fill(order, &client_id, piece)).collect())
}

fn fill(order: &Order, client_id: &ClientOrderId, piece: Piece) -> Fill {
    Fill {
        client_id: client_id.clone(),
        execution_id: piece.execution_id,
        symbol: order.request.symbol.clone(),
        side: order.request.side,
        qty: piece.qty,
        price: piece.price,
        time: piece.time,
    }
}

/// Shares filled and what they cost, those of the orders before it included.
pub(super) fn in_all(order: &Order) -> (Qty, Usd) {
    (order.taken.qty + order.filled.qty(), order.taken.value + order.filled.notional())
}
