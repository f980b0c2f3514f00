//! A plugin that was checked, compiled and asked what it is.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use sandpit_types::{StrategyName, Symbol};

use crate::{
    Bounds, Compiler, Engine, Failure, Manifest, PluginError, Trust,
    bindings::{StrategyPre, types},
    book::Book,
    bounds::{HISTORY_BARS, INSTRUMENTS_MAX, TEXT_BYTES, cut},
    cache::sha256,
    check::{INTERFACE_VERSION, one_line},
    compile::{file_name, read_plugin},
    guest::Guest,
    host::{Estate, Host},
};

/// Plugins one host runs. Each is a loop of its own in the beat to the watchdog, which names at most 120.
pub const PLUGINS_MAX: usize = 100;

/// What a strategy says of itself. It is a wish and a claim; the manifest decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// For people; the host names a strategy by its file.
    pub name: String,
    /// Of the strategy, not of the interface.
    pub version: String,
    /// JSON Schema of its parameters.
    pub parameters_schema: String,
    /// The symbols it wants when the operator names none.
    pub instruments: Vec<Symbol>,
    /// The kinds of market data it handles.
    pub wants: Wants,
    /// Bars of each instrument it wants before the first live event, at most [`HISTORY_BARS`].
    pub warmup_bars: u32,
}

/// The kinds of market data a strategy handles. It can read quotes and bars whether or not it handles them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// One-minute bars.
    pub bars: bool,
    /// Best bids and offers.
    pub quotes: bool,
    /// Trades on the tape.
    pub trades: bool,
    /// News.
    pub news: bool,
}

impl From<types::Description> for Description {
    fn from(from: types::Description) -> Self {
        Self {
            name: cut(&one_line(&from.name), TEXT_BYTES).to_owned(),
            version: cut(&one_line(&from.version), TEXT_BYTES).to_owned(),
            parameters_schema: from.parameters_schema,
            instruments: from.instruments.into_iter().map(Symbol::new).collect(),
            wants: Wants {
                bars: from.wants.contains(types::EventKinds::BAR),
                quotes: from.wants.contains(types::EventKinds::QUOTE),
                trades: from.wants.contains(types::EventKinds::TRADE),
                news: from.wants.contains(types::EventKinds::NEWS),
            },
            warmup_bars: from.warmup_bars.min(HISTORY_BARS as u32),
        }
    }
}

/// A strategy ready to run.
#[derive(Clone)]
pub struct Plugin {
    name: StrategyName,
    path: PathBuf,
    sha256: String,
    description: Description,
    component: StrategyPre<Host>,
}

impl Plugin {
    /// Checks and compiles the file in a child process (or takes it from the cache), then asks it to describe
    /// itself.
    ///
    /// # Errors
    /// When the file is not a strategy for this host, or fails to describe itself within [`Bounds::default`].
    pub fn load(engine: &Engine, compiler: &Compiler, path: &Path) -> Result<Self, PluginError> {
        Self::load_as(engine, compiler, path, named_by(path)?)
    }

    /// The same of a file that is not named as its strategy is, such as one of an archive.
    ///
    /// # Errors
    /// As [`Plugin::load`].
    pub fn load_as(
        engine: &Engine,
        compiler: &Compiler,
        path: &Path,
        name: StrategyName,
    ) -> Result<Self, PluginError> {
        let bytes = read_plugin(path)?;
        Self::of(engine, compiler, path, name, bytes)
    }

    /// The same of a file that must be the one that its manifest speaks of, and signed where the operator
    /// wants that. Nothing is compiled before.
    ///
    /// # Errors
    /// As [`Plugin::load`], and when the file is another one or its signature does not hold.
    pub fn load_granted(
        engine: &Engine,
        compiler: &Compiler,
        path: &Path,
        manifest: &Manifest,
        trust: &Trust,
    ) -> Result<Self, PluginError> {
        let name = named_by(path)?;
        let bytes = read_plugin(path)?;
        let granted = trust.admits(manifest, &bytes, &sha256(&bytes));
        granted.map_err(|detail| PluginError::Grant { file: file_name(path), detail })?;
        Self::of(engine, compiler, path, name, bytes)
    }

    fn of(
        engine: &Engine,
        compiler: &Compiler,
        path: &Path,
        name: StrategyName,
        bytes: Vec<u8>,
    ) -> Result<Self, PluginError> {
        let (file, sha256) = (file_name(path), sha256(&bytes));
        let component = compiler.component(engine, path, &bytes, &sha256)?;
        drop(bytes);
        let mismatch = |error: wasmtime::Error| PluginError::Mismatch {
            file: file.clone(),
            offered: INTERFACE_VERSION,
            detail: one_line(&format!("{error:#}")),
        };
        let component = engine.linker().instantiate_pre(&component).map_err(mismatch)?;
        let component = StrategyPre::new(component).map_err(mismatch)?;
        let description = describe(engine, &component, &name)
            .map_err(|failure| PluginError::Start { file: file.clone(), failure })?;
        Ok(Self { name, path: path.to_owned(), sha256, description, component })
    }

    /// The strategy's name: the file's without `.wasm`.
    pub fn name(&self) -> &StrategyName {
        &self.name
    }

    /// Where it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The checksum of the file, in hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The symbols it is granted: the manifest's, else its own wish. An instrument is an index into this
    /// list.
    ///
    /// # Errors
    /// When there are none, too many, one twice, or one that is no symbol.
    pub fn instruments(&self, manifest: &Manifest) -> Result<Vec<Symbol>, PluginError> {
        let symbols = manifest.instruments.as_ref().unwrap_or(&self.description.instruments);
        match fault(symbols) {
            Some(detail) => Err(PluginError::Instruments { file: file_name(&self.path), detail }),
            None => Ok(symbols.clone()),
        }
    }

    pub(crate) fn component(&self) -> &StrategyPre<Host> {
        &self.component
    }
}

/// The strategy's name by its file's.
fn named_by(path: &Path) -> Result<StrategyName, PluginError> {
    let name = path.file_stem().and_then(|stem| StrategyName::parse(stem.to_str()?).ok());
    name.ok_or_else(|| PluginError::Name { file: file_name(path) })
}

/// What is wrong with a list of symbols.
fn fault(symbols: &[Symbol]) -> Option<String> {
    // Marks stand between letters or digits: a symbol is a part of paths and must not lead out of one.
    let is_symbol = |text: &str| {
        (1..=16).contains(&text.len())
            && text
                .split(['.', '-', '/'])
                .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()))
    };
    if symbols.is_empty() {
        return Some("it names no instruments".into());
    }
    if symbols.len() > INSTRUMENTS_MAX {
        return Some(format!("it names {} instruments, at most {INSTRUMENTS_MAX} go", symbols.len()));
    }
    if let Some(symbol) = symbols.iter().find(|symbol| !is_symbol(symbol.as_str())) {
        return Some(format!("{:?} is no symbol", cut(symbol.as_str(), TEXT_BYTES)));
    }
    let mut seen = HashSet::new();
    symbols.iter().find(|symbol| !seen.insert(*symbol)).map(|symbol| format!("it names {symbol} twice"))
}

/// Asks an instance that is thrown away afterwards: each life calls `describe` once, before `init`.
fn describe(
    engine: &Engine,
    component: &StrategyPre<Host>,
    name: &StrategyName,
) -> Result<Description, Failure> {
    let bounds = Bounds::default();
    let host = Host::new(name.clone(), Box::new(Estate::new(Book::new(Vec::new()))), &bounds, 0, 0);
    let mut guest =
        Guest::new(engine, component, host, bounds.start_deadline).map_err(|dead| dead.failure)?;
    guest.describe().map(Description::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instruments_are_symbols_each_once() {
        let check = |symbols: &[&str], expected: Option<&str>| {
            let symbols: Vec<_> = symbols.iter().map(|symbol| Symbol::new(*symbol)).collect();
            assert_eq!(fault(&symbols).as_deref(), expected);
        };
        check(&["SPY", "BRK.B", "BTC/USD"], None);
        check(&[], Some("it names no instruments"));
        check(&["SPY", "QQQ", "SPY"], Some("it names SPY twice"));
        check(&["SP Y"], Some("\"SP Y\" is no symbol"));
        check(&["../x"], Some("\"../x\" is no symbol"));
        check(&["A/../B"], Some("\"A/../B\" is no symbol"));
        check(&["A."], Some("\"A.\" is no symbol"));
        check(&[""], Some("\"\" is no symbol"));
    }
}
