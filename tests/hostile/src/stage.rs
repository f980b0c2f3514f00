//! Strategies in their threads, and the feeder that tells them all the same quotes.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver},
    },
    time::Duration,
};

use sandpit_strategy::{
    Bounds, Inbox, Manifest, Plugin, PluginError, Runner, Start, StrategyEvent, StrategyOutput,
};
use sandpit_types::{Bar, MarketEvent, MarketTime, Pulse, Quote, Symbol};

use crate::{Yard, ambient::until};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What everybody trades.
const SYMBOL: &str = "SPY";
/// Quotes of one minute of market time: rests after a strike last a few of them, an hour lasts longer than a
/// test.
const QUOTES_A_MINUTE: u64 = 600;
/// 2026-03-16T14:30:00Z, in mid-session.
const START_SECS: i64 = 1_773_671_400;
/// Outputs kept of one strategy: far more than a deed brings about before it ends.
const OUTPUTS_MAX: usize = 100_000;

/// Where strategies are told quotes.
#[derive(Default)]
pub struct Stage {
    inboxes: Mutex<Vec<Arc<Inbox>>>,
}

impl Stage {
    /// Tells everybody quote number `number`, and at each full minute a bar.
    pub fn tell(&self, number: u64) {
        let is_full = number > 0 && number.is_multiple_of(QUOTES_A_MINUTE);
        let (quote, bar) = (quote(number), is_full.then(|| bar(number)));
        for inbox in self.inboxes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            inbox.push(quote.clone());
            bar.iter().for_each(|bar| inbox.push(bar.clone()));
        }
    }

    /// Starts a strategy here; it is told every quote from now on.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(
        &self,
        yard: &Yard,
        plugin: &Plugin,
        manifest: &Manifest,
        bounds: Bounds,
    ) -> Result<Live<'_>, PluginError> {
        let inbox = Arc::new(Inbox::new([Symbol::new(SYMBOL)]));
        let (pulse, (sender, outputs)) = (Arc::new(Pulse::default()), mpsc::sync_channel(OUTPUTS_MAX));
        // A test that has ended does not listen any more.
        let output = move |output| drop(sender.try_send(output));
        let (box_of_it, pulse_of_it) = (Arc::clone(&inbox), Arc::clone(&pulse));
        let runner = Runner::spawn(
            yard.engine(),
            plugin,
            manifest,
            bounds,
            Start::new(1),
            box_of_it,
            output,
            pulse_of_it,
        )?;
        self.admit(Arc::clone(&inbox));
        Ok(Live { stage: self, runner: Some(runner), inbox, pulse, outputs })
    }

    pub(crate) fn admit(&self, inbox: Arc<Inbox>) {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner).push(inbox);
    }

    pub(crate) fn dismiss(&self, inbox: &Arc<Inbox>) {
        let mut inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        inboxes.retain(|it| !Arc::ptr_eq(it, inbox));
    }
}

/// A strategy in its thread.
pub struct Live<'s> {
    stage: &'s Stage,
    runner: Option<Runner>,
    inbox: Arc<Inbox>,
    pulse: Arc<Pulse>,
    outputs: Receiver<StrategyOutput>,
}

impl Live<'_> {
    /// What it does next.
    ///
    /// # Panics
    /// When it does nothing for [`PATIENCE`].
    pub fn next(&self) -> StrategyOutput {
        self.outputs.recv_timeout(PATIENCE).expect("an output in time")
    }

    /// Waits until it has done so many pieces of work, failures and rests included.
    ///
    /// # Panics
    /// When it does not.
    pub fn works(&self, pieces: u64) {
        until("work", PATIENCE, || (self.pulse.progress() >= pieces).then_some(()));
    }

    /// What it has done so far and nobody has asked for yet.
    pub fn so_far(&self) -> Vec<StrategyOutput> {
        self.outputs.try_iter().collect()
    }

    /// Tells it alone.
    pub fn tell(&self, event: StrategyEvent) {
        self.inbox.push(event);
    }

    /// Waits until it answers a nonce: its thread is alive, whatever its strategy does.
    ///
    /// # Panics
    /// When it does not.
    pub fn answers(&self, nonce: u64) {
        self.inbox.push(StrategyEvent::Probe(nonce));
        until("the answer to a nonce", PATIENCE, || (self.pulse.nonce() == nonce).then_some(()));
    }

    /// Lets it go, and waits for the end of its thread; what it did meanwhile.
    ///
    /// # Panics
    /// When the thread does not end well.
    pub fn stop(mut self) -> Vec<StrategyOutput> {
        self.stage.dismiss(&self.inbox);
        self.inbox.push(StrategyEvent::Stop("the test is over".into()));
        let mut last = Vec::new();
        while !matches!(last.last(), Some(StrategyOutput::Stopped { .. })) {
            last.push(self.next());
        }
        assert!(self.runner.take().expect("stopped once").join(), "its thread panicked");
        last
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.stage.dismiss(&self.inbox);
        self.inbox.push(StrategyEvent::Stop("the test has failed".into()));
    }
}

/// Market time of a quote.
pub(crate) fn time_of(number: u64) -> MarketTime {
    let step = Duration::from_secs(60) / u32::try_from(QUOTES_A_MINUTE).expect("few");
    let nanos = i64::try_from(step.as_nanos()).expect("short") * i64::try_from(number).expect("few");
    MarketTime::from_nanos(START_SECS * 1_000_000_000 + nanos)
}

/// The number of a quote at that time.
pub(crate) fn number_at(time: MarketTime) -> u64 {
    let since = time.since(time_of(0));
    u64::try_from(since.as_nanos() * u128::from(QUOTES_A_MINUTE) / 60_000_000_000).expect("few")
}

fn quote(number: u64) -> StrategyEvent {
    let (symbol, cents) = (Symbol::new(SYMBOL), (number % 100) as f64 / 100.0);
    let quote = Quote {
        symbol,
        time: time_of(number),
        bid: 500.0 + cents,
        bid_size: 3,
        ask: 500.01 + cents,
        ask_size: 4,
    };
    StrategyEvent::Market(MarketEvent::Quote(quote))
}

fn bar(number: u64) -> StrategyEvent {
    let start = time_of(number - QUOTES_A_MINUTE);
    StrategyEvent::Market(MarketEvent::Bar(Bar {
        symbol: Symbol::new(SYMBOL),
        start,
        open: 500.0,
        high: 501.0,
        low: 499.0,
        close: 500.5,
        volume: 1_000,
        vwap: 500.2,
    }))
}
