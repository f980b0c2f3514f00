//! A strategy on the calling thread, for a backtest: the session of a host without thread, inbox, record,
//! snapshots and second lives.
//!
//! It is the same session, so that a strategy sees no difference but one: it is never asked to save its state
//! while it runs. The first failure is the end: in a backtest nobody wants to know what comes after a strike.

use std::sync::Arc;

use sandpit_types::{Intent, MarketEvent, MarketTime, Symbol};

use crate::{
    Bounds, Engine, Failure, Manifest, Plugin, PluginError, Start, StrategyEvent, StrategyOutput, Wants,
    session::Session,
};

/// One strategy, told by hand.
pub struct Inline {
    session: Session,
    wants: Wants,
    instruments: Vec<Symbol>,
}

impl Inline {
    /// Starts the strategy: `describe` and `init`.
    ///
    /// # Errors
    /// When it is granted no instruments, fails or refuses to start.
    pub fn start(
        engine: &Engine,
        plugin: &Plugin,
        manifest: &Manifest,
        bounds: Bounds,
        start: Start,
    ) -> Result<Self, PluginError> {
        let mut session = Session::start(engine, plugin, manifest, bounds, start, Arc::default())?;
        session.never_save();
        let (wants, instruments) = (plugin.description().wants, plugin.instruments(manifest)?);
        Ok(Self { session, wants, instruments })
    }

    /// Tells it one thing. What it wants is appended to `intents`.
    ///
    /// # Errors
    /// When it fails: it must not be told anything more. What it wanted before counts.
    pub fn on(&mut self, event: &StrategyEvent, intents: &mut Vec<Intent>) -> Result<(), Failure> {
        let mut failed = None;
        self.session.on(event, &mut |output| match output {
            StrategyOutput::Intents { intents: wanted, .. } => intents.extend(wanted),
            StrategyOutput::Struck { reason, .. } | StrategyOutput::Quarantined { reason, .. } => {
                failed.get_or_insert(reason);
            }
            StrategyOutput::Snapshot { .. }
            | StrategyOutput::Swapped { .. }
            | StrategyOutput::SwapFailed { .. }
            | StrategyOutput::Stopped { .. } => {}
        });
        failed.map_or(Ok(()), Err)
    }

    /// Tells it what the market says.
    ///
    /// # Errors
    /// As [`Inline::on`].
    pub fn on_market(&mut self, event: &MarketEvent, intents: &mut Vec<Intent>) -> Result<(), Failure> {
        self.on(&StrategyEvent::Market(event.clone()), intents)
    }

    /// When its next timer is due.
    pub fn deadline(&self) -> Option<MarketTime> {
        self.session.deadline()
    }

    /// The kinds of market data it handles. It can read quotes and bars all the same.
    pub const fn wants(&self) -> Wants {
        self.wants
    }

    /// What it may trade.
    pub fn instruments(&self) -> &[Symbol] {
        &self.instruments
    }

    /// Its linear memory, bytes.
    pub fn memory_bytes(&self) -> usize {
        self.session.memory_bytes()
    }
}
