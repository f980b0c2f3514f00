//! From a file to a strategy that can be started.

use std::path::Path;

use rust_decimal::Decimal;
use sandpit_risk::Grant;
use sandpit_strategy::{
    Bounds, COMPILE_MEMORY_BYTES, Candidate, Compiler, Engine, Failure, Manifest, PLUGINS_MAX, Plugin,
    PluginError, Trust, WAITING_MAX,
};
use sandpit_types::{StrategyName, Symbol, Usd};

use crate::config::Config;

/// Bars of warm-up that one strategy may want in all: half of what its queue holds.
const WARMUP_MAX: usize = WAITING_MAX / 2;

/// Why a strategy cannot be started. Each is one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StrategiesError {
    /// It is bad.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Another one has a symbol that it wants.
    #[error(
        "{first} and {second} both want {symbol}, and {first} keeps it: give each its own `instruments` in \
         the .toml beside its .wasm"
    )]
    Shared {
        /// Who has it.
        first: StrategyName,
        /// Who wants it, too.
        second: StrategyName,
        /// What both want.
        symbol: Symbol,
    },
    /// The new version was started and did not take over.
    #[error("it did not take over: {0}")]
    NotTakenOver(Failure),
    /// The strategy's thread did not come to the new version yet.
    #[error("the strategy that runs is too busy to let it take over: it does once that is done")]
    Busy,
    /// There are enough.
    #[error("{limit} strategies run, more do not go: split them over several hosts")]
    TooMany {
        /// How many may run.
        limit: usize,
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

impl StrategiesError {
    /// No more strategies than these.
    pub(crate) const TOO_MANY: Self = Self::TooMany { limit: PLUGINS_MAX };

    /// Whether it may go as soon as another strategy leaves.
    pub(crate) const fn waits_for_others(&self) -> bool {
        matches!(self, Self::Shared { .. } | Self::TooMany { .. })
    }
}

/// A plugin that can be started, with what the operator grants it.
pub(crate) struct Loaded {
    /// The component.
    pub(crate) plugin: Plugin,
    /// The operator's word.
    pub(crate) manifest: Manifest,
    /// What it may trade.
    pub(crate) instruments: Vec<Symbol>,
}

impl Loaded {
    /// What the operator grants it beside the limits of all.
    pub(crate) fn grant(&self) -> Grant {
        let limits = &self.manifest.limits;
        // The manifest takes positive numbers only; one beyond a decimal bounds nothing.
        let decimal = |value: f64| Decimal::try_from(value).ok();
        Grant {
            budget_share: self.manifest.budget_share.and_then(decimal),
            order_notional: limits.order_notional_usd.and_then(decimal).map(Usd::new),
            position_notional: limits.position_notional_usd.and_then(decimal).map(Usd::new),
            orders_per_minute: limits.orders_per_minute,
        }
    }
}

/// What a strategy may use at most.
pub(crate) fn bounds(config: &Config) -> Bounds {
    Bounds {
        event_deadline: config.event_deadline,
        memory_bytes: config.strategy_memory_bytes,
        ..Bounds::default()
    }
}

/// Checks and compiles plugins, in child processes, and remembers what they became.
#[derive(Clone)]
pub(crate) struct Loader {
    pub(crate) engine: Engine,
    compiler: Compiler,
    trust: Trust,
    bounds: Bounds,
}

impl Loader {
    /// A loader that keeps compiled plugins in `cache_dir`.
    ///
    /// # Errors
    /// When this machine runs no strategies, or this program cannot start itself as a compiler.
    pub(crate) fn new(config: &Config, cache_dir: &Path) -> Result<Self, StrategiesError> {
        let program = std::env::current_exe().map_err(StrategiesError::NoCompiler)?;
        let compiler = Compiler {
            command: vec![program.into(), "compile-plugin".into()],
            cache_dir: cache_dir.to_owned(),
            memory_cap_bytes: COMPILE_MEMORY_BYTES,
        };
        Ok(Self { engine: Engine::new()?, compiler, trust: config.trust.clone(), bounds: bounds(config) })
    }

    /// Loads the plugin at `file`. It takes as long as a compilation does, and nothing of it runs but its
    /// `describe`.
    ///
    /// # Errors
    /// See [`StrategiesError`].
    pub(crate) fn load(&self, file: &Path) -> Result<Loaded, StrategiesError> {
        let manifest = Manifest::beside(file)?;
        let plugin = Plugin::load_granted(&self.engine, &self.compiler, file, &manifest, &self.trust)?;
        let instruments = plugin.instruments(&manifest)?;
        let bars = instruments.len().saturating_mul(plugin.description().warmup_bars as usize);
        if bars > WARMUP_MAX {
            let strategy = plugin.name().clone();
            return Err(StrategiesError::Warmup { strategy, bars, limit: WARMUP_MAX });
        }
        Ok(Loaded { plugin, manifest, instruments })
    }

    /// Starts a version that is to take over from the one that runs.
    ///
    /// # Errors
    /// When it fails or refuses to start.
    pub(crate) fn candidate(&self, loaded: &Loaded, seed: u64) -> Result<Candidate, StrategiesError> {
        Ok(Candidate::prepare(&self.engine, &loaded.plugin, &loaded.manifest, self.bounds, seed)?)
    }
}
