//! Between the words of the interface and those of the host.

mod orders;

use std::time::Duration;

use sandpit_types::{
    Bar, BarMark, Intent, Leg, MarketEvent, MarketTime, News, OrderStatus, Quote, Refusal, SessionDay,
    Signal, StrategyOrderId, StreamHealth,
};

use crate::{
    Rounding, StrategyEvent,
    bindings::types,
    book::{Book, Instrument, Row},
    bounds::{NEWS_TEXT_BYTES, TEXT_BYTES, cut},
    host::nanos,
};

/// An order refused here, because it cannot even be said in the host's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalRefusal {
    pub(crate) id: StrategyOrderId,
    pub(crate) refusal: Refusal,
}

/// Reads one intent and notes the orders it makes in the book.
pub(crate) fn intent(
    from: types::Intent,
    book: &mut Book,
    default_time_to_live: Duration,
    rounding: Rounding,
) -> Result<Intent, LocalRefusal> {
    let refuse = |id| move |refusal| LocalRefusal { id: StrategyOrderId(id), refusal };
    Ok(match from {
        types::Intent::Submit(from) => {
            let submit = orders::submit(&from, book, default_time_to_live, rounding);
            Intent::Submit(submit.map_err(refuse(from.id))?)
        }
        types::Intent::Replace(from) => {
            let replace = orders::replace(&from, book, default_time_to_live, rounding);
            Intent::Replace(replace.map_err(refuse(from.new_id))?)
        }
        types::Intent::ClosePosition(types::ClosePosition { id, instrument }) => {
            let unknown = refuse(id)(Refusal::UnknownInstrument);
            let symbol = book.symbol(instrument).ok_or(unknown)?.clone();
            let held = book.slot(instrument).ok_or(unknown)?.qty;
            let id = StrategyOrderId(id);
            book.orders.close(id, instrument, held).map_err(refuse(id.0))?;
            Intent::ClosePosition { id, symbol }
        }
        types::Intent::Cancel(id) => Intent::Cancel(StrategyOrderId(id)),
        types::Intent::CancelAll => Intent::CancelAll,
        types::Intent::SetTimer(timer) => {
            Intent::SetTimer { id: timer.id, at: MarketTime::from_nanos(timer.at) }
        }
        types::Intent::CancelTimer(id) => Intent::CancelTimer(id),
        types::Intent::Signal(signal) => Intent::Signal(Signal {
            symbol: signal.instrument.and_then(|of| book.symbol(of).cloned()),
            reason: cut(&signal.reason, TEXT_BYTES).to_owned(),
        }),
    })
}

/// An event as `on-event` takes it; `None` for those that have a handler of their own or none at all.
pub(crate) fn event(from: &StrategyEvent, book: &Book) -> Option<types::Event> {
    Some(match from {
        StrategyEvent::Market(MarketEvent::BarsComplete(start)) => {
            types::Event::BarsComplete(start.as_nanos())
        }
        StrategyEvent::Market(MarketEvent::SessionOpen(day)) => types::Event::SessionOpen(day.into()),
        StrategyEvent::Market(MarketEvent::SessionClose(time)) => types::Event::SessionClose(time.as_nanos()),
        StrategyEvent::Market(MarketEvent::Health(health, _)) => types::Event::StreamHealth((*health).into()),
        StrategyEvent::Order(update) => types::Event::OrderUpdate(types::OrderUpdate {
            id: update.id.0,
            leg: update.leg.map(types::Leg::from),
            instrument: book.number(&update.symbol)?,
            status: status(&update.status),
            filled: nanos(update.filled_qty.to_nanos(), true),
        }),
        StrategyEvent::Fill { id, leg, symbol, side, qty, price, .. } => types::Event::Fill(types::Fill {
            id: id.0,
            leg: leg.map(types::Leg::from),
            instrument: book.number(symbol)?,
            side: (*side).into(),
            quantity: nanos(qty.to_nanos(), true),
            price: nanos(price.to_nanos(), true),
        }),
        StrategyEvent::Refused { id, refusal: reason, .. } => refused(*id, *reason),
        StrategyEvent::Market(MarketEvent::MarkedBar(bar, mark)) => {
            let of = book.number(&bar.symbol)?;
            match mark {
                BarMark::Late => types::Event::LateBar(whole_bar(of, bar)),
                BarMark::Corrected => types::Event::CorrectedBar(whole_bar(of, bar)),
            }
        }
        StrategyEvent::Market(MarketEvent::News(news)) => types::Event::News(about(news, book)?),
        StrategyEvent::Market(MarketEvent::Bar(_) | MarketEvent::Quote(_) | MarketEvent::Trade(_))
        | StrategyEvent::Warmup(_)
        | StrategyEvent::Account { .. }
        | StrategyEvent::Position { .. }
        | StrategyEvent::OpenOrder { .. }
        | StrategyEvent::Tick(_)
        | StrategyEvent::Probe(_)
        | StrategyEvent::Stop(_) => return None,
    })
}

fn whole_bar(instrument: Instrument, bar: &Bar) -> types::Bar {
    let Row { start, open, high, low, close, volume } = bar.into();
    types::Bar { instrument, start: start.as_nanos(), open, high, low, close, volume }
}

/// News as `on-event` takes it; `None` when it speaks of other symbols only.
fn about(news: &News, book: &Book) -> Option<types::News> {
    let instruments: Vec<_> = news.symbols.iter().filter_map(|symbol| book.number(symbol)).collect();
    if instruments.is_empty() && !news.symbols.is_empty() {
        return None;
    }
    let text = |text: &str| cut(text, NEWS_TEXT_BYTES).to_owned();
    Some(types::News {
        id: news.id,
        created: news.created.as_nanos(),
        updated: news.updated.as_nanos(),
        headline: text(&news.headline),
        summary: text(&news.summary),
        source: text(&news.source),
        url: text(&news.url),
        instruments,
    })
}

/// A refusal as `on-event` takes it.
pub(crate) fn refused(id: StrategyOrderId, refusal: Refusal) -> types::Event {
    types::Event::Refusal(types::Refusal { id: id.0, reason: refusal.to_string() })
}

/// Where an order stands, in the fewer words that a strategy needs. Words we do not know are not terminal.
pub(crate) fn status(from: &OrderStatus) -> types::OrderStatus {
    match from {
        OrderStatus::PendingNew | OrderStatus::Accepted => types::OrderStatus::Pending,
        OrderStatus::New
        | OrderStatus::PendingCancel
        | OrderStatus::PendingReplace
        | OrderStatus::DoneForDay
        | OrderStatus::Other(_) => types::OrderStatus::Working,
        OrderStatus::PartiallyFilled => types::OrderStatus::PartiallyFilled,
        OrderStatus::Filled => types::OrderStatus::Filled,
        OrderStatus::Canceled => types::OrderStatus::Canceled,
        OrderStatus::Expired => types::OrderStatus::Expired,
        OrderStatus::Rejected => types::OrderStatus::Rejected,
        OrderStatus::Held => types::OrderStatus::Held,
        OrderStatus::Replaced => types::OrderStatus::Replaced,
    }
}

impl From<&Quote> for types::Quote {
    fn from(quote: &Quote) -> Self {
        Self {
            time: quote.time.as_nanos(),
            bid: quote.bid,
            bid_size: quote.bid_size as f64,
            ask: quote.ask,
            ask_size: quote.ask_size as f64,
        }
    }
}

impl From<&SessionDay> for types::Session {
    fn from(day: &SessionDay) -> Self {
        Self { open: day.open.as_nanos(), close: day.close.as_nanos() }
    }
}

impl From<Leg> for types::Leg {
    fn from(leg: Leg) -> Self {
        match leg {
            Leg::TakeProfit => Self::TakeProfit,
            Leg::StopLoss => Self::StopLoss,
        }
    }
}

impl From<StreamHealth> for types::StreamHealth {
    fn from(health: StreamHealth) -> Self {
        match health {
            StreamHealth::Live => Self::Live,
            StreamHealth::Stale => Self::Stale,
            StreamHealth::Fallback => Self::Fallback,
        }
    }
}
