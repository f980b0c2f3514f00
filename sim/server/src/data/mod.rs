//! Where the market comes from: files of real data, or the seeded generator. Both are lazy: a day is never
//! held whole.

mod bars;
mod chance;
mod csv;
mod fill_in;
mod generator;
mod merge;
mod survey;

pub use bars::BarBuilder;
pub(crate) use chance::Chance;
pub(crate) use csv::is_symbol;
pub use csv::{DataError, Kind, Rows, parse_symbol};
pub use fill_in::FillIn;
pub use generator::Generator;
pub use merge::Merge;
pub use survey::{Survey, replay};

use sandpit_types::MarketEvent;

/// Most data files of one run.
pub const MAX_FILES: usize = 64;
/// Most symbols of one run.
pub const MAX_SYMBOLS: usize = 2_000;

/// One event of the market, with what the wire shows beyond the event itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// A quote, a trade or a bar.
    pub event: MarketEvent,
    /// How many trades a bar holds; zero for the others.
    pub trades: u64,
}

impl Tick {
    /// A quote or a trade.
    pub fn new(event: MarketEvent) -> Self {
        Self { event, trades: 0 }
    }

    /// Which kind goes first at the same instant: what a bar sums up is known before the bar.
    fn rank(&self) -> u8 {
        match self.event {
            MarketEvent::Quote(_) => 0,
            MarketEvent::Trade(_) => 1,
            MarketEvent::Bar(_) => 2,
            MarketEvent::MarkedBar(..)
            | MarketEvent::News(_)
            | MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::Health(..) => 3,
        }
    }
}

/// The market's events in the order of their time, made as they are asked for.
pub type Feed = Box<dyn Iterator<Item = Tick> + Send>;
