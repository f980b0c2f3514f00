//! Prices between two ticks, where the manifest lets the host round them.
//!
//! A limit price goes to the tick that pays less or asks more. A stop price goes away from the market: it wakes
//! its order a little later, never at once.

use sandpit_types::{Change, Exit, OrderClass, OrderKind, Price, Side, StopLoss, Submit};

pub(super) fn submit(submit: &mut Submit) {
    let side = submit.side;
    let exit = match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    };
    match &mut submit.kind {
        OrderKind::Market | OrderKind::TrailingStop { .. } => {}
        OrderKind::Limit { limit_price } => limit(limit_price, side),
        OrderKind::Stop { stop_price } => stop(stop_price, side),
        OrderKind::StopLimit { stop_price, limit_price } => {
            stop(stop_price, side);
            limit(limit_price, side);
        }
    }
    match &mut submit.class {
        OrderClass::Simple => {}
        OrderClass::Bracket { take_profit, stop_loss } => {
            limit(take_profit, exit);
            loss(stop_loss, exit);
        }
        // The order itself is an exit, so the other one goes the same way.
        OrderClass::Oco { stop_loss } => loss(stop_loss, side),
        OrderClass::Oto(Exit::TakeProfit(price)) => limit(price, exit),
        OrderClass::Oto(Exit::StopLoss(stop_loss)) => loss(stop_loss, exit),
    }
    if let Some(reprice) = &mut submit.reprice {
        limit(&mut reprice.worst, side);
    }
}

pub(super) fn change(change: &mut Change, side: Side) {
    if let Some(price) = &mut change.limit_price {
        limit(price, side);
    }
    if let Some(price) = &mut change.stop_price {
        stop(price, side);
    }
}

fn loss(of: &mut StopLoss, side: Side) {
    stop(&mut of.stop_price, side);
    if let Some(price) = &mut of.limit_price {
        limit(price, side);
    }
}

fn limit(price: &mut Price, side: Side) {
    *price = to_tick(*price, side == Side::Sell);
}

fn stop(price: &mut Price, side: Side) {
    *price = to_tick(*price, side == Side::Buy);
}

/// What is no price stays what it is: the gates refuse it.
fn to_tick(price: Price, up: bool) -> Price {
    if !price.is_positive() {
        return price;
    }
    let (value, tick) = (price.get(), price.tick().get());
    let rest = value % tick;
    let down = value - rest;
    Price::new(if up && !rest.is_zero() { down + tick } else { down })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_pay_less_and_stops_wait_longer() {
        let price = |text: &str| text.parse::<Price>().expect("a price");
        let check = |round: fn(&mut Price, Side), side, from: &str, expected: &str| {
            let mut found = price(from);
            round(&mut found, side);
            assert_eq!(found, price(expected), "{side:?} {from}");
        };
        for (side, down) in [(Side::Buy, true), (Side::Sell, false)] {
            for (from, low, high) in [
                ("10.019", "10.01", "10.02"),
                ("10.01", "10.01", "10.01"),
                ("0.99999", "0.9999", "1"),
                ("0.12345", "0.1234", "0.1235"),
                ("-3.001", "-3.001", "-3.001"),
                ("0", "0", "0"),
            ] {
                check(limit, side, from, if down { low } else { high });
                check(stop, side, from, if down { high } else { low });
            }
        }
    }
}
