//! The trait a strategy author implements.

use crate::{Bar, Ctx, Fill, Hours, News, OrderUpdate, Quote, Refusal, StreamHealth, Time, Trade};

/// Which market events a strategy wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKinds {
    /// One-minute bars, in and out of turn.
    pub bar: bool,
    /// Quotes.
    pub quote: bool,
    /// Trades.
    pub trade: bool,
    /// News.
    pub news: bool,
}

impl EventKinds {
    /// No market events.
    pub const NONE: Self = Self { bar: false, quote: false, trade: false, news: false };
}

/// What a strategy is and wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// For people; the host names a strategy by its file.
    pub name: &'static str,
    /// Handed to [`Strategy::load`] of a later version.
    pub version: &'static str,
    /// JSON Schema of the parameters that [`Strategy::init`] takes.
    pub parameters_schema: &'static str,
    /// The symbols it wants when the operator names none.
    pub instruments: &'static [&'static str],
    /// Which market events it wants.
    pub wants: EventKinds,
    /// Bars of history it wants delivered before the first live event, with what it wants then ignored.
    pub warmup_bars: u32,
}

impl Description {
    /// No name, any parameters, no symbols, no events, no warm-up: to be overwritten with
    /// `..Description::DEFAULT`.
    pub const DEFAULT: Self = Self {
        name: "",
        version: "",
        parameters_schema: r#"{"type":"object"}"#,
        instruments: &[],
        wants: EventKinds::NONE,
        warmup_bars: 0,
    };
}

/// A trading strategy: a deterministic function of what it is told.
///
/// Every handler does nothing unless it is written. What it wants it says to the [`Ctx`].
#[allow(unused_variables, reason = "the defaults do nothing, their arguments are named for the reader")]
pub trait Strategy: Sized + 'static {
    /// What this is and wants. Called before [`Strategy::init`].
    fn describe() -> Description;

    /// Starts with the operator's parameters (a JSON object) and the symbols it was granted; an
    /// [`crate::Instrument`] is an index into that list.
    ///
    /// # Errors
    /// When it cannot run with these: the text goes to the operator and says what to change.
    fn init(parameters: &str, instruments: &[String]) -> Result<Self, String>;

    /// A minute is complete.
    fn on_bar(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {}

    /// A bar came late: after [`Strategy::on_bars_complete`] of its minute, or after a newer bar of its
    /// symbol. It was not delivered before; [`Ctx::history`] has it at its place already.
    fn on_late_bar(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {}

    /// A bar delivered before has other figures, because late trades changed it; [`Ctx::history`] has them
    /// already.
    fn on_corrected_bar(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {}

    /// News that speaks of a symbol of this strategy, or of none at all; a new version of it has the same id.
    fn on_news(&mut self, ctx: &mut Ctx<'_>, news: &News) {}

    /// The best prices changed.
    fn on_quote(&mut self, ctx: &mut Ctx<'_>, quote: &Quote) {}

    /// Somebody traded.
    fn on_trade(&mut self, ctx: &mut Ctx<'_>, trade: &Trade) {}

    /// Every bar of the minute that starts at `start` is in: for strategies over several symbols.
    fn on_bars_complete(&mut self, ctx: &mut Ctx<'_>, start: Time) {}

    /// An order of this strategy changed.
    fn on_order_update(&mut self, ctx: &mut Ctx<'_>, update: &OrderUpdate) {}

    /// An order of this strategy filled, wholly or in part.
    fn on_fill(&mut self, ctx: &mut Ctx<'_>, fill: &Fill) {}

    /// An order of this strategy was not sent.
    fn on_refusal(&mut self, ctx: &mut Ctx<'_>, refusal: &Refusal) {}

    /// A timer it had set is due.
    fn on_timer(&mut self, ctx: &mut Ctx<'_>, id: u64) {}

    /// The regular session opens, and will close when the exchange's calendar says.
    fn on_session_open(&mut self, ctx: &mut Ctx<'_>, hours: Hours) {}

    /// The regular session closes.
    fn on_session_close(&mut self, ctx: &mut Ctx<'_>, at: Time) {}

    /// Market data became live, stale, or arrives by a fallback.
    fn on_stream_health(&mut self, ctx: &mut Ctx<'_>, health: StreamHealth) {}

    /// State to carry over a restart. Empty means none.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes back what [`Strategy::save`] gave, possibly of an older version of this strategy.
    ///
    /// # Errors
    /// When the state is of no use: the text goes to the operator.
    fn load(&mut self, version: &str, state: &[u8]) -> Result<(), String> {
        Ok(())
    }

    /// The host is about to let go of the strategy.
    fn stop(&mut self, reason: &str) {}
}
