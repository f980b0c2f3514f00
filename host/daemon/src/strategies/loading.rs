//! From a file to a strategy that can be started.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use rust_decimal::Decimal;
use sandpit_risk::Grant;
use sandpit_strategy::{
    Bounds, COMPILE_MEMORY_BYTES, Candidate, Compiler, Engine, Failure, Limits, Manifest, PLUGINS_MAX,
    Plugin, PluginError, Trust, WAITING_MAX,
};
use sandpit_types::{StrategyName, Symbol, Usd};

use crate::{
    config::Config,
    plugins::{Hope, Version},
};

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
    /// A version of the same component is on its way still.
    #[error("the change before it, of the same .wasm, has not taken over yet: it is tried after that")]
    AfterAnother,
    /// It failed and rests; what it did since it last saved its state is told to its own next life only.
    #[error("the strategy that runs failed and rests: the change to other symbols waits until it runs again")]
    Resting,
    /// It was quarantined, maybe in a life of the host before this one.
    #[error("it is quarantined, until its .wasm or .toml changes: {reason}")]
    Quarantined {
        /// Why.
        reason: String,
    },
    /// Our own code panicked.
    #[error("the host panicked while it loaded it: {message}: report it, and remove the plugin")]
    Panicked {
        /// The words of the panic.
        message: String,
    },
    /// It will be taken once it is compiled.
    #[error("it is still being compiled: it is started once that is done, the others trade meanwhile")]
    Compiling,
    /// The desk did not answer in time what the strategy holds.
    #[error("the desk does not say what the strategy holds, its records may be away: it is tried again")]
    DeskSilent,
    /// What bound the version that runs is not there any more.
    #[error(
        "its .toml is gone or says nothing, and it bound the strategy: put it back, or remove the .wasm as \
         well"
    )]
    Unbound,
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

    /// Whether it may go without a change of the plugin.
    pub(crate) const fn hope(&self) -> Hope {
        match self {
            Self::Shared { .. } | Self::TooMany { .. } => Hope::OthersLeave,
            Self::DeskSilent | Self::NoCompiler(_) => Hope::ItPasses,
            Self::AfterAnother | Self::Resting => Hope::Soon,
            Self::Plugin(error) if is_of_the_compiler(error) => Hope::Perhaps,
            Self::Plugin(error) if is_passing(error) => Hope::ItPasses,
            Self::Plugin(_)
            | Self::NotTakenOver(_)
            | Self::Busy
            | Self::Unbound
            | Self::Quarantined { .. }
            | Self::Panicked { .. }
            | Self::Compiling
            | Self::Warmup { .. } => Hope::None,
        }
    }
}

/// Whether it was not compiled: the machine was busy or lacked memory, or the plugin is too much for any.
const fn is_of_the_compiler(error: &PluginError) -> bool {
    matches!(error, PluginError::CompilerSlow { .. } | PluginError::CompilerDied { .. })
}

/// Whether the machine is to blame, not the plugin: it was busy, or lacked memory, room or files.
const fn is_passing(error: &PluginError) -> bool {
    let machine =
        matches!(error, PluginError::NoCompiler { .. } | PluginError::Io { .. } | PluginError::Thread { .. });
    machine || matches!(error, PluginError::Start { failure: Failure::Timeout { .. }, .. })
}

/// Whether a manifest that bound its strategy is gone, or as good as gone: a limit is not lifted by an
/// absence, such as that of a folder which is not mounted.
pub(crate) fn is_unbound(old: &Manifest, new: &Manifest) -> bool {
    let Manifest { sha256, signature, budget_share, limits, .. } = old;
    let bound =
        sha256.is_some() || signature.is_some() || budget_share.is_some() || *limits != Limits::default();
    bound && *new == Manifest::default()
}

/// A plugin that can be started, with what the operator grants it.
#[derive(Clone)]
pub(crate) struct Loaded {
    /// The component.
    pub(crate) plugin: Plugin,
    /// The operator's word.
    pub(crate) manifest: Manifest,
    /// What it may trade.
    pub(crate) instruments: Vec<Symbol>,
}

impl Loaded {
    /// Which version it is.
    pub(crate) fn version(&self) -> Version {
        Version::of(&self.plugin, &self.manifest)
    }

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
        guarded(|| self.loaded(file))
    }

    fn loaded(&self, file: &Path) -> Result<Loaded, StrategiesError> {
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
        guarded(|| Ok(Candidate::prepare(&self.engine, &loaded.plugin, &loaded.manifest, self.bounds, seed)?))
    }
}

/// A panic over one plugin is no end of the host: that plugin would still be there at its next start.
fn guarded<T>(work: impl FnOnce() -> Result<T, StrategiesError>) -> Result<T, StrategiesError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(StrategiesError::Panicked { message })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_may_be_the_machines_fault_is_tried_again() {
        let file = || "a.wasm".to_owned();
        let io = || std::io::Error::other("no space left");
        let timeout = || Failure::Timeout { call: "init".into(), deadline: Duration::from_secs(2) };
        let refused = || Failure::Init { message: "no".into() };
        let check = |error: StrategiesError, expected: Hope| {
            assert_eq!(error.hope(), expected, "{error}");
        };
        let of_plugin = |error: PluginError, expected| check(error.into(), expected);
        let (limit, limit_bytes, detail) = (Duration::from_secs(60), 1, String::new);
        of_plugin(PluginError::CompilerSlow { file: file(), limit }, Hope::Perhaps);
        of_plugin(PluginError::CompilerDied { file: file(), limit_bytes, detail: detail() }, Hope::Perhaps);
        of_plugin(PluginError::NoCompiler { command: file(), source: io() }, Hope::ItPasses);
        of_plugin(PluginError::Io { action: "read", path: file().into(), source: io() }, Hope::ItPasses);
        of_plugin(PluginError::Thread { source: io() }, Hope::ItPasses);
        of_plugin(PluginError::Start { file: file(), failure: timeout() }, Hope::ItPasses);
        of_plugin(PluginError::Start { file: file(), failure: refused() }, Hope::None);
        of_plugin(PluginError::NotWasm { file: file() }, Hope::None);
        check(StrategiesError::DeskSilent, Hope::ItPasses);
        check(StrategiesError::NoCompiler(io()), Hope::ItPasses);
        check(StrategiesError::TOO_MANY, Hope::OthersLeave);
        check(StrategiesError::NotTakenOver(timeout()), Hope::None);
        check(StrategiesError::Unbound, Hope::None);
        check(StrategiesError::Quarantined { reason: detail() }, Hope::None);
        check(StrategiesError::Resting, Hope::Soon);
    }

    #[test]
    fn a_panic_over_one_plugin_is_a_refusal() {
        let panics = |word: &str| guarded::<()>(|| panic!("a {word}")).expect_err("it panics");
        let error = panics("surprise");
        assert!(
            error.to_string().starts_with("the host panicked while it loaded it: a surprise:"),
            "{error}"
        );
        assert_eq!(error.hope(), Hope::None);
        assert_eq!(guarded(|| Ok(5)).ok(), Some(5));
    }

    #[test]
    fn limits_do_not_go_with_their_file() {
        let parse = |text: &str| Manifest::parse("a.toml", text).expect(text);
        let none = Manifest::default();
        let pin = format!("sha256 = \"{}\"", "ab".repeat(32));
        for bound in [&pin, "budget_share = 5.0", "[limits]\nmemory_mb = 8", "signature = \"eA==\""] {
            assert!(is_unbound(&parse(bound), &none), "{bound}");
            assert!(is_unbound(&parse(bound), &parse("# emptied")), "{bound}");
            assert!(!is_unbound(&parse(bound), &parse("instruments = [\"SPY\"]")), "lifted by hand");
        }
        for free in ["", "instruments = [\"SPY\"]", "[parameters]\nfast = 3"] {
            assert!(!is_unbound(&parse(free), &none), "{free}");
        }
    }
}
