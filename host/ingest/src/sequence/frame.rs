//! What comes in one go over the stream.

use sandpit_types::{MarketEvent, MarketTime};

use super::{Moment, Sequence, Source, symbols::Fate};
use crate::sessions::Bell;

/// Which kinds of data a frame held, events of the future aside: nobody was told of those.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// Bars, corrected ones too.
    pub(crate) bars: bool,
    /// Quotes.
    pub(crate) quotes: bool,
    /// Trades.
    pub(crate) trades: bool,
}

impl Heard {
    /// Whether there was any.
    pub(crate) const fn any(self) -> bool {
        self.bars || self.quotes || self.trades
    }

    const fn note(&mut self, event: &MarketEvent) {
        match event {
            MarketEvent::Bar(_) | MarketEvent::MarkedBar(..) => self.bars = true,
            MarketEvent::Quote(_) => self.quotes = true,
            MarketEvent::Trade(_) => self.trades = true,
            MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::News(_)
            | MarketEvent::Health(..) => {}
        }
    }
}

impl Sequence {
    /// Takes in what the stream brought at once, all of `came`, which is empty then. Says what was among it.
    ///
    /// Nearly all of it is quotes and trades that go on as they are: those are judged in their place, and the
    /// whole vector changes hands. The first event that needs more than that ends the short way.
    pub(crate) fn frame(
        &mut self,
        came: &mut Vec<MarketEvent>,
        now: Moment,
        out: &mut Vec<MarketEvent>,
    ) -> Heard {
        let mut heard = Heard::default();
        let (future, latest) = (self.latest(now.market), self.passes_until(now.market));
        let (mut judged, mut is_short) = (0, true);
        came.retain(|event| {
            if event.time() <= future {
                heard.note(event);
            }
            if is_short && let Some(fate) = self.pass(event, latest) {
                let is_wanted = self.is_wanted(fate);
                judged += usize::from(is_wanted);
                return is_wanted;
            }
            is_short = false;
            true
        });
        if is_short && out.is_empty() {
            std::mem::swap(came, out);
            return heard;
        }
        out.extend(came.drain(..judged));
        for event in came.drain(..) {
            self.on(event, Source::Stream, now, out);
        }
        heard
    }

    /// Up to which stamp quotes and trades pass without ringing a bell, and are not of the future.
    fn passes_until(&self, market: MarketTime) -> MarketTime {
        let latest = self.latest(market);
        match self.sessions.next() {
            Some(Bell::Open(day)) => latest.min(day.open),
            Some(Bell::Close(_)) | None => latest,
        }
    }

    /// The fate of a quote or a trade of the stream that is stamped up to `latest`; `None` of all else.
    fn pass(&mut self, event: &MarketEvent, latest: MarketTime) -> Option<Fate> {
        match event {
            MarketEvent::Quote(quote) if quote.time <= latest => {
                let known = self.symbols.find(&quote.symbol);
                let fate = known.map_or(Fate::Stranger, |known| known.quote(quote, Source::Stream));
                self.counts.quotes += u64::from(fate == Fate::Deliver);
                Some(fate)
            }
            MarketEvent::Trade(trade) if trade.time <= latest => {
                let known = self.symbols.find(&trade.symbol);
                let fate = known.map_or(Fate::Stranger, |known| known.trade(trade, Source::Stream));
                self.counts.trades += u64::from(fate == Fate::Deliver);
                Some(fate)
            }
            _ => None,
        }
    }
}
