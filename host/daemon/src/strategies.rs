//! The strategies of this host: found, loaded, started, and told what concerns them.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use sandpit_cores::orders::Books;
use sandpit_execution::{DeskInput, DeskOutput};
use sandpit_strategy::{
    Bounds, COMPILE_MEMORY_BYTES, Compiler, Engine, Inbox, Manifest, Plugin, PluginError, Runner, Start,
    StrategyEvent, StrategyOutput, WAITING_MAX, discover,
};
use sandpit_types::{Account, Bar, MarketClock, Pulse, StrategyName, Symbol, Times};
use tokio::sync::mpsc;

use crate::{config::Config, loops::Loops};

/// Bars of warm-up that one strategy may want in all: half of what its queue holds.
const WARMUP_MAX: usize = WAITING_MAX / 2;

/// What the monitor shows of one strategy.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Market events put into its inbox.
    pub(crate) events: AtomicU64,
    /// Intents it gave.
    pub(crate) intents: AtomicU64,
    /// Times its store was discarded.
    pub(crate) strikes: AtomicU64,
    /// From the coming of an event to its intents at the desk's door.
    pub(crate) answers: Mutex<Times>,
    /// 0 running, 1 quarantined, 2 stopped.
    state: AtomicU64,
}

const RUNNING: u64 = 0;
const QUARANTINED: u64 = 1;
const STOPPED: u64 = 2;

impl Counters {
    /// The state in a word.
    pub(crate) fn state(&self) -> &'static str {
        match self.state.load(Ordering::Relaxed) {
            RUNNING => "running",
            QUARANTINED => "quarantined",
            _ => "stopped",
        }
    }
}

/// One loaded strategy.
pub(crate) struct Strategy {
    /// Its name: that of its file.
    pub(crate) name: StrategyName,
    /// What it may trade.
    pub(crate) instruments: Vec<Symbol>,
    /// Where its events go.
    pub(crate) inbox: Arc<Inbox>,
    /// Its loop's pulse.
    pub(crate) pulse: Arc<Pulse>,
    /// For the monitor.
    pub(crate) counters: Arc<Counters>,
    plugin: Plugin,
    manifest: Manifest,
}

/// Why the strategies cannot be started. Each is one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StrategiesError {
    /// One of them is bad.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// There is none.
    #[error("there is no .wasm file in {0}: copy a strategy there")]
    None(std::path::PathBuf),
    /// Two want one symbol.
    #[error(
        "{first} and {second} both want {symbol}: give each its own `instruments` in the .toml beside its \
         .wasm"
    )]
    Shared {
        /// The first.
        first: StrategyName,
        /// The second.
        second: StrategyName,
        /// What both want.
        symbol: Symbol,
    },
    /// Its warm-up would not fit its queue.
    #[error(
        "{strategy} wants {bars} bars of warm-up for all its instruments, at most {limit} go: give it fewer"
    )]
    Warmup {
        /// Which.
        strategy: StrategyName,
        /// How many it wants.
        bars: usize,
        /// The most.
        limit: usize,
    },
    /// This program does not know its own path, and so cannot start its compiler.
    #[error("cannot find this program's own file to compile plugins with: {0}")]
    NoCompiler(std::io::Error),
}

/// Finds, checks and compiles everything in the plugins folder. Nothing runs yet.
///
/// # Errors
/// See [`StrategiesError`].
pub(crate) fn load(
    config: &Config,
    engine: &Engine,
    cache_dir: &Path,
) -> Result<Vec<Arc<Strategy>>, StrategiesError> {
    let program = std::env::current_exe().map_err(StrategiesError::NoCompiler)?;
    let compiler = Compiler {
        command: vec![program.into(), "compile-plugin".into()],
        cache_dir: cache_dir.to_owned(),
        memory_cap_bytes: COMPILE_MEMORY_BYTES,
    };
    let files = discover(&config.plugins_dir)?;
    if files.is_empty() {
        return Err(StrategiesError::None(config.plugins_dir.clone()));
    }
    let mut strategies = Vec::new();
    for file in files {
        let plugin = Plugin::load(engine, &compiler, &file)?;
        let manifest = Manifest::beside(&file)?;
        let name = plugin.name().clone();
        let instruments = plugin.instruments(&manifest)?;
        let bars = instruments.len().saturating_mul(plugin.description().warmup_bars as usize);
        if bars > WARMUP_MAX {
            return Err(StrategiesError::Warmup { strategy: name, bars, limit: WARMUP_MAX });
        }
        let inbox = Arc::new(Inbox::new(instruments.iter().cloned()));
        let (pulse, counters) = (Arc::default(), Arc::default());
        strategies.push(Arc::new(Strategy { name, instruments, inbox, pulse, counters, plugin, manifest }));
    }
    owners(&strategies)?;
    Ok(strategies)
}

/// Who trades which symbol; one symbol has one owner.
///
/// # Errors
/// [`StrategiesError::Shared`].
pub(crate) fn owners(
    strategies: &[Arc<Strategy>],
) -> Result<BTreeMap<Symbol, StrategyName>, StrategiesError> {
    let mut owners: BTreeMap<Symbol, StrategyName> = BTreeMap::new();
    for strategy in strategies {
        for symbol in &strategy.instruments {
            if let Some(first) = owners.insert(symbol.clone(), strategy.name.clone())
                && first != strategy.name
            {
                let (second, symbol) = (strategy.name.clone(), symbol.clone());
                return Err(StrategiesError::Shared { first, second, symbol });
            }
        }
    }
    Ok(owners)
}

/// What a strategy has to know before the first live event.
pub(crate) struct Beginning<'a> {
    /// The reconciled books.
    pub(crate) books: &'a Books,
    /// The account.
    pub(crate) account: &'a Account,
    /// Bars of the past, oldest first.
    pub(crate) warmup: &'a [Bar],
}

impl Strategy {
    /// Starts its thread and feeds it the beginning. Its intents go to the desk.
    ///
    /// # Errors
    /// When it does not accept its parameters or fails while starting.
    pub(crate) fn start(
        self: &Arc<Self>,
        engine: &Engine,
        config: &Config,
        seed: u64,
        beginning: &Beginning<'_>,
        desk: mpsc::Sender<DeskInput>,
        loops: &Arc<Loops>,
    ) -> Result<Runner, PluginError> {
        let bounds = Bounds {
            event_deadline: config.event_deadline,
            memory_bytes: config.strategy_memory_bytes,
            ..Bounds::default()
        };
        self.feed(beginning);
        let counters = self.counters.clone();
        let loops = loops.clone();
        let (inbox, pulse) = (self.inbox.clone(), self.pulse.clone());
        let own = inbox.clone();
        let output = move |output| forward(output, &counters, &own, &desk, &loops);
        Runner::spawn(engine, &self.plugin, &self.manifest, bounds, Start::new(seed), inbox, output, pulse)
    }

    /// How many bars of the past it wants.
    pub(crate) fn warmup_bars(&self) -> u32 {
        self.plugin.description().warmup_bars
    }

    /// Whether it wants every trade on the tape.
    pub(crate) fn wants_trades(&self) -> bool {
        self.plugin.description().wants.trades
    }

    /// Whether it wants news.
    pub(crate) fn wants_news(&self) -> bool {
        self.plugin.description().wants.news
    }

    /// The name of its loop.
    pub(crate) fn loop_name(&self) -> String {
        loop_name(&self.name)
    }

    fn feed(&self, beginning: &Beginning<'_>) {
        let Account { equity, buying_power, .. } = *beginning.account;
        self.inbox.push(StrategyEvent::Account { equity, buying_power });
        for (owner, symbol, held) in beginning.books.sub_books() {
            if *owner == self.name {
                let (symbol, qty, avg_price) = (symbol.clone(), held.qty, held.avg_price());
                self.inbox.push(StrategyEvent::Position { symbol, qty, avg_price });
            }
        }
        for (id, leg, order) in beginning.books.open_as_told(&self.name) {
            self.inbox.push(StrategyEvent::OpenOrder {
                id,
                leg,
                symbol: order.request.symbol.clone(),
                side: order.request.side,
                qty: order.request.qty,
                filled_qty: order.filled_in_all(),
                kind: order.request.kind,
                status: order.state().status(),
            });
        }
        for bar in own_warmup(beginning.warmup, &self.instruments, self.warmup_bars() as usize) {
            self.inbox.push(StrategyEvent::Warmup(bar.clone()));
        }
    }
}

/// Of all bars, in their order, the last `count` of each of these symbols: as many as the strategy asked for.
fn own_warmup<'a>(bars: &'a [Bar], symbols: &[Symbol], count: usize) -> impl Iterator<Item = &'a Bar> {
    let mut left: BTreeMap<&Symbol, usize> = symbols.iter().map(|symbol| (symbol, count)).collect();
    let wanted = |bar: &&Bar| match left.get_mut(&bar.symbol) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        Some(_) | None => false,
    };
    let mut own: Vec<_> = bars.iter().rev().filter(wanted).collect();
    own.reverse();
    own.into_iter()
}

fn loop_name(name: &StrategyName) -> String {
    format!("strategy:{name}")
}

/// From a strategy's thread to the desk. It waits when the desk's queue is full: the strategy is the one to
/// slow down.
fn forward(
    output: StrategyOutput,
    counters: &Counters,
    inbox: &Inbox,
    desk: &mpsc::Sender<DeskInput>,
    loops: &Loops,
) {
    match output {
        StrategyOutput::Intents { strategy, incarnation, intents, event_time: _ } => {
            counters.intents.fetch_add(intents.len() as u64, Ordering::Relaxed);
            counters.answers.lock().unwrap_or_else(PoisonError::into_inner).add(inbox.busy_for());
            // The desk is gone only when the host ends; then nobody wants the intents.
            let _ = desk.blocking_send(DeskInput::Intents { strategy, incarnation, intents });
        }
        StrategyOutput::Struck { strategy, reason, strikes } => {
            counters.strikes.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%strategy, %reason, strikes, "the strategy failed and is started afresh");
        }
        StrategyOutput::Quarantined { strategy, reason } => {
            counters.strikes.fetch_add(1, Ordering::Relaxed);
            counters.state.store(QUARANTINED, Ordering::Relaxed);
            tracing::error!(%strategy, %reason, "the strategy is quarantined; its orders are cancelled");
            let _ = desk.blocking_send(DeskInput::CancelStrategy(strategy));
        }
        // Nothing swaps yet, and nobody keeps states.
        StrategyOutput::Snapshot { .. }
        | StrategyOutput::Swapped { .. }
        | StrategyOutput::SwapFailed { .. } => {}
        StrategyOutput::Stopped { strategy } => {
            counters.state.store(STOPPED, Ordering::Relaxed);
            loops.remove(&loop_name(&strategy));
        }
    }
}

/// Tells strategies what became of their orders.
pub(crate) struct Mail {
    by_name: BTreeMap<StrategyName, Arc<Strategy>>,
    clock: Arc<dyn MarketClock>,
}

impl Mail {
    /// Mail for these strategies.
    pub(crate) fn new(strategies: &[Arc<Strategy>], clock: Arc<dyn MarketClock>) -> Self {
        let by_name = strategies.iter().map(|strategy| (strategy.name.clone(), strategy.clone())).collect();
        Self { by_name, clock }
    }

    /// Delivers one output of the desk. Never waits.
    pub(crate) fn deliver(&self, output: DeskOutput) {
        match output {
            DeskOutput::Order { strategy, update } => self.to(&strategy, StrategyEvent::Order(update)),
            DeskOutput::Fill { strategy, id, leg, fill } => {
                let (symbol, side, qty, price, time) =
                    (fill.symbol, fill.side, fill.qty, fill.price, fill.time);
                self.to(&strategy, StrategyEvent::Fill { id, leg, symbol, side, qty, price, time });
            }
            DeskOutput::Refused { strategy, id, refusal } => {
                let time = self.clock.now();
                self.to(&strategy, StrategyEvent::Refused { id, refusal, time });
            }
            DeskOutput::SubBook { strategy, symbol, qty, avg_price } => {
                self.to(&strategy, StrategyEvent::Position { symbol, qty, avg_price });
            }
            DeskOutput::Account(Account { equity, buying_power, .. }) => {
                for strategy in self.by_name.values() {
                    strategy.inbox.push(StrategyEvent::Account { equity, buying_power });
                }
            }
            // For whoever holds the order stream, not for strategies.
            DeskOutput::StreamSuspect { .. } => {}
            DeskOutput::Alert(text) => tracing::error!(alert = %text, "alert"),
        }
    }

    fn to(&self, name: &StrategyName, event: StrategyEvent) {
        // Orders of a strategy whose plugin was taken away have nobody to tell.
        if let Some(strategy) = self.by_name.get(name) {
            strategy.inbox.push(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::MarketTime;

    use super::*;

    #[test]
    fn warm_up_is_the_last_bars_of_the_own_symbols_in_order() {
        let bar = |symbol: &str, minute: i64| Bar {
            symbol: Symbol::new(symbol),
            start: MarketTime::from_secs(60 * minute),
            open: 1.0,
            high: 1.0,
            low: 1.0,
            close: 1.0,
            volume: 1,
            vwap: 1.0,
        };
        let bars = [bar("A", 1), bar("B", 1), bar("A", 2), bar("C", 2), bar("A", 3), bar("B", 3)];
        let own = [Symbol::new("A"), Symbol::new("B")];
        let got: Vec<_> = own_warmup(&bars, &own, 2).cloned().collect();
        assert_eq!(got, [bar("B", 1), bar("A", 2), bar("A", 3), bar("B", 3)]);
        assert_eq!(own_warmup(&bars, &own, 0).count(), 0);
    }
}
