//! One step taken by the model: for the comparison, and for the author of scripts, who looks at what came of
//! it.

use sandpit_types::MarketTime;

use crate::{
    reference::{Model, Refusal},
    script::{Action, Pick},
};

/// What came of a step: the place of the order that was made, if one was.
pub(crate) type Answer = Result<Option<usize>, Refusal>;

/// The order that is meant.
pub(crate) fn pick(model: &Model, pick: Pick) -> Option<usize> {
    let (mut places, nth) = match pick {
        Pick::Open(symbol, nth) => {
            let mut open = model.open();
            open.retain(|&order| model.orders[order].symbol == symbol);
            (open, nth)
        }
        Pick::Any(nth) => ((0..model.orders.len()).collect(), nth),
        Pick::Unknown => return None,
    };
    places.reverse();
    (!places.is_empty()).then(|| places[nth % places.len()])
}

/// The model takes a step.
pub(crate) fn act(model: &mut Model, action: &Action, now: MarketTime) -> Answer {
    match action {
        Action::Quote { symbol, bid, bid_size, ask, ask_size, age_seconds } => {
            let time = earlier(now, *age_seconds);
            model.quote(*symbol, (*bid, *bid_size), (*ask, *ask_size), time);
        }
        Action::Trade { symbol, price, age_seconds } => {
            model.trade(*symbol, *price, earlier(now, *age_seconds));
        }
        Action::Bar { symbol, high, low, close, volume } => {
            model.bar(*symbol, (*high, *low, *close), *volume, now);
        }
        Action::Submit(order) => return model.submit(order, now).map(Some),
        Action::Replace(which, with) => {
            let place = pick(model, *which);
            return model.replace(place, with, now).map(Some);
        }
        Action::Cancel(which) => {
            let place = pick(model, *which);
            return model.cancel(place, now).map(|()| None);
        }
        Action::Close(symbol, part) => return model.close(*symbol, *part, now).map(Some),
        Action::Force(which, kind) => {
            let place = pick(model, *which);
            return model.force(place, *kind, now).map(|()| None);
        }
        Action::Halt(..)
        | Action::Suspend(_)
        | Action::NoShorting(_)
        | Action::Fractional(_)
        | Action::MarginLimit(_)
        | Action::StuckCancels(_)
        | Action::Pdt(_)
        | Action::Pass => switch(model, action, now),
    }
    Ok(None)
}

fn switch(model: &mut Model, action: &Action, now: MarketTime) {
    model.advance(now);
    match *action {
        Action::Halt(symbol, halted) => model.set_halted(symbol, halted),
        Action::Suspend(on) => model.suspended = on,
        Action::NoShorting(on) => model.no_shorting = on,
        Action::Fractional(on) => model.fractional = on,
        Action::MarginLimit(limit) => model.max_multiplier = limit,
        Action::StuckCancels(stuck) => model.set_stuck(stuck),
        Action::Pdt(check) => model.pdt_check = check,
        _ => {}
    }
}

pub(crate) fn earlier(now: MarketTime, seconds: u64) -> MarketTime {
    MarketTime::from_nanos(now.as_nanos() - i64::try_from(seconds).expect("small") * 1_000_000_000)
}
