//! What can go wrong with a plugin, each with what to do about it.

use std::{borrow::Cow, io, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

/// Why a plugin is not loaded or not started. Every message is one sentence that names the file and the
/// remedy.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// There is no plugins folder.
    #[error("there is no plugins folder {}: create it, or configure another", path.display())]
    NoFolder {
        /// The folder that was looked for.
        path: PathBuf,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file name makes no strategy name.
    #[error("{file}: the file name must be 1 to 32 of a-z, 0-9 and _, a letter first, then .wasm: rename it")]
    Name {
        /// The file.
        file: String,
    },
    /// The file is larger than any plugin should be.
    #[error("{file} has more than {limit_bytes} bytes: build it in release mode, without debug information")]
    TooLarge {
        /// The file.
        file: String,
        /// The most it may have.
        limit_bytes: u64,
    },
    /// Not WASM at all.
    #[error(
        "{file} is not a WebAssembly file: build the strategy for wasm32-unknown-unknown, copy its .wasm here"
    )]
    NotWasm {
        /// The file.
        file: String,
    },
    /// It starts as WASM but does not go on so.
    #[error("{file} is damaged ({detail}): build or copy it again")]
    Damaged {
        /// The file.
        file: String,
        /// What the parser says.
        detail: String,
    },
    /// A core module without the section that says what interface it has.
    #[error("{file} does not say what interface it has: export the strategy with the SDK's macro")]
    NoInterface {
        /// The file.
        file: String,
    },
    /// It wants something that no strategy gets.
    #[error("{file} imports {import}, which is not offered: {remedy}")]
    ForeignImport {
        /// The file.
        file: String,
        /// What it wants.
        import: String,
        /// What to do.
        remedy: &'static str,
    },
    /// It was built against another version of the interface.
    #[error(
        "{file} is built for sandpit:strategy@{wanted}, this host offers {offered}: rebuild it with the SDK \
         of this host, or update the host"
    )]
    Version {
        /// The file.
        file: String,
        /// The version it was built for.
        wanted: String,
        /// The version this host has.
        offered: &'static str,
    },
    /// A function of the interface is not there.
    #[error("{file} does not export {missing}: export the strategy with the SDK's macro")]
    MissingExport {
        /// The file.
        file: String,
        /// What is missing, separated by commas.
        missing: String,
    },
    /// Names are right, types are not.
    #[error(
        "{file} does not fit sandpit:strategy@{offered} ({detail}): rebuild it with the SDK of this host"
    )]
    Mismatch {
        /// The file.
        file: String,
        /// The version this host has.
        offered: &'static str,
        /// The first difference.
        detail: String,
    },
    /// The compiler will not have it.
    #[error(
        "{file} does not compile ({detail}): build it with a stock toolchain, without optional WASM features"
    )]
    Compile {
        /// The file.
        file: String,
        /// What the compiler says.
        detail: String,
    },
    /// The compiling child refused it; its sentence stands for itself.
    #[error("{0}")]
    Refused(String),
    /// The compiling child died: a damaged file, or one that needs more memory than the cap.
    #[error(
        "{file} kills the compiler ({detail}): it is damaged, or needs more than {} MiB to compile: build or \
         copy it again, or make it smaller",
        limit_bytes >> 20
    )]
    CompilerDied {
        /// The file.
        file: String,
        /// Its memory cap.
        limit_bytes: u64,
        /// How it ended.
        detail: String,
    },
    /// The compiling child used up its processor time.
    #[error("{file} takes more than {} s of processor time to compile: make it smaller", limit.as_secs())]
    CompilerLong {
        /// The file.
        file: String,
        /// How much it had.
        limit: Duration,
    },
    /// The compiling child did not come to an end and was killed.
    #[error(
        "{file} did not compile within {} s: make it smaller, or copy it again when the machine is less busy",
        limit.as_secs()
    )]
    CompilerSlow {
        /// The file.
        file: String,
        /// How long it had, real time.
        limit: Duration,
    },
    /// The compiling child could not be started.
    #[error("cannot start the compiler {command}: {source}")]
    NoCompiler {
        /// The command.
        command: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The cache folder is open to others: what lies there is executed.
    #[error("the plugin cache {} must belong to this user with mode 0700: {problem}", path.display())]
    CacheNotPrivate {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The manifest beside the plugin is wrong.
    #[error("{file}:{line}: {detail}")]
    Manifest {
        /// The manifest.
        file: String,
        /// Where, counted from one.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// Nothing to trade, or something that is no symbol.
    #[error("{file}: {detail}: set `instruments` in the .toml beside it")]
    Instruments {
        /// The plugin.
        file: String,
        /// What is wrong.
        detail: String,
    },
    /// The manifest grants more than the host has, or the file is not the one it speaks of.
    #[error("{file}: {detail}: see the .toml beside it")]
    Grant {
        /// The plugin.
        file: String,
        /// What does not fit.
        detail: String,
    },
    /// It failed before its first event.
    #[error("{file} does not start: {failure}")]
    Start {
        /// The plugin.
        file: String,
        /// What happened.
        failure: Failure,
    },
    /// The engine does not run on this machine.
    #[error("the WASM engine cannot start here: {detail}")]
    Engine {
        /// What it says.
        detail: String,
    },
    /// No thread could be started.
    #[error("cannot start a thread: {source}")]
    Thread {
        /// Why.
        source: io::Error,
    },
}

impl PluginError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

impl Failure {
    /// Whether it depends on the machine, so that a replay cannot make it happen again.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Stack { .. })
    }
}

/// How a running strategy failed. Each is a strike; [`Failure::Overflow`] quarantines at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// It used up the time for one event, or for its start.
    #[error("{call} ran out of time ({} ms): look for an endless loop, or do less", deadline.as_millis())]
    Timeout {
        /// What was called.
        call: Cow<'static, str>,
        /// The time it had.
        deadline: Duration,
    },
    /// It asked for more memory than it may have.
    #[error("{call} asked for {wanted} {unit}, at most {limit} are granted")]
    Memory {
        /// What was called.
        call: Cow<'static, str>,
        /// How much it would have been.
        wanted: usize,
        /// How much it may have.
        limit: usize,
        /// Of what.
        unit: Cow<'static, str>,
    },
    /// It called itself too deeply.
    #[error("{call} trapped: call stack exhausted: recurse less deeply")]
    Stack {
        /// What was called.
        call: Cow<'static, str>,
    },
    /// It panicked, divided by zero, or passed nonsense to the host.
    #[error("{call} trapped: {message}")]
    Trap {
        /// What was called.
        call: Cow<'static, str>,
        /// What and where; a panic's own words are in the strategy's log.
        message: String,
    },
    /// `init` said no.
    #[error("init refused: {message}")]
    Init {
        /// Its words.
        message: String,
    },
    /// `load` said no.
    #[error("load refused: {message}")]
    Load {
        /// Its words.
        message: String,
    },
    /// `save` gave too much.
    #[error("save gave more than {limit} bytes of state: keep less")]
    State {
        /// The bound.
        limit: usize,
    },
    /// More intents than one event may cause.
    #[error("one event caused {count} intents, at most {limit} are taken")]
    TooManyIntents {
        /// How many.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// More intents than one minute may bring.
    #[error("more than {limit} intents in one minute")]
    IntentRate {
        /// The bound.
        limit: u32,
    },
    /// More timers than one strategy may have.
    #[error("it set more than {limit} timers")]
    TooManyTimers {
        /// The bound.
        limit: usize,
    },
    /// Its queue overflowed with events that may not be dropped.
    #[error("it is {limit} events behind: events were lost, so its view of the world is wrong")]
    Overflow {
        /// The length of the queue.
        limit: usize,
    },
    /// A new version was granted other instruments than the one it should take over from.
    #[error("the new version has other instruments: stop the strategy and start it anew")]
    Instruments,
    /// There is nothing that a new version could take over: events were lost, or the host panicked.
    #[error("what it knew is lost: stop the strategy and start it anew")]
    Lost,
    /// Our own code panicked on its behalf. What it is owed is not known any more.
    #[error("the host panicked while it served this strategy: {message}: report it, then restart the host")]
    Host {
        /// The words of the panic.
        message: String,
    },
    /// More came while a new version was told the past than is kept for it.
    #[error(
        "the new version learns too slowly: {waiting} events wait to be told to it: swap when less happens, \
         or make it quicker"
    )]
    Behind {
        /// How many.
        waiting: usize,
    },
}
