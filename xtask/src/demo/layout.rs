//! The files of a demo: plugins with their manifests, both configurations, state folders.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::{
    Options,
    process::{Binaries, Sim},
};

/// Where everything of one demo lies.
pub(crate) struct Layout {
    folder: PathBuf,
    pub(crate) host_config: PathBuf,
    pub(crate) watchdog_config: PathBuf,
    pub(crate) kill_flag: PathBuf,
    pub(crate) host_address: String,
    pub(crate) plugins_dir: PathBuf,
    /// The symbol that is left to a strategy of the user's own.
    pub(crate) free: Option<String>,
}

impl Layout {
    /// Writes all files under `folder`.
    pub(crate) fn write(
        folder: &Path,
        binaries: &Binaries,
        sim: &Sim,
        plugins: &[PathBuf],
        options: &Options,
    ) -> anyhow::Result<Self> {
        let mut layout = Self::folders(folder)?;
        let guests = guests(&layout.plugins_dir)?;
        let mut symbols: Vec<_> = sim.symbols()?.into_iter().filter(|it| !guests.contains(it)).collect();
        layout.free = take_free(&mut symbols);
        copy_plugins(plugins, &layout.plugins_dir, &symbols)?;
        layout.configure(binaries, sim, options.speed, options.database_url.as_deref())?;
        Ok(layout)
    }

    /// Makes the folders under `folder`, and finds an address for the host.
    pub(crate) fn folders(folder: &Path) -> anyhow::Result<Self> {
        let made = fs::create_dir_all(folder).and_then(|()| folder.canonicalize());
        let folder = made.with_context(|| format!("{} cannot be made", folder.display()))?;
        for name in ["plugins", "host", "watchdog"] {
            fs::create_dir_all(folder.join(name))?;
        }
        Ok(Self {
            host_config: folder.join("host.toml"),
            watchdog_config: folder.join("watchdog.toml"),
            kill_flag: folder.join("kill"),
            host_address: sandpit_ports::free_address()?,
            plugins_dir: folder.join("plugins"),
            free: None,
            folder,
        })
    }

    /// Writes both configurations, for a market at `speed` market seconds a real second. Without
    /// `database_url` the records are a file.
    pub(crate) fn configure(
        &self,
        binaries: &Binaries,
        sim: &Sim,
        speed: u32,
        database_url: Option<&str>,
    ) -> anyhow::Result<()> {
        fs::write(&self.host_config, self.host_text(sim, speed, database_url))?;
        fs::write(&self.watchdog_config, self.watchdog_text(binaries, sim))?;
        let addresses = serde_json::json!({"sim": sim.address, "host": self.host_address});
        fs::write(self.folder.join("addresses.json"), addresses.to_string())?;
        Ok(())
    }

    fn host_text(&self, sim: &Sim, speed: u32, database_url: Option<&str>) -> String {
        let folder = &self.folder;
        let database = database_url.map(|url| format!("\n[database]\nurl = {url:?}\n")).unwrap_or_default();
        format!(
            "mode = \"paper\"\nstate_dir = {state:?}\nplugins_dir = {plugins:?}\nlisten = \"{listen}\"\n\
             kill_switch_file = {kill:?}\n\n[broker]\nurl = \"http://{sim}\"\nclock_speed = {speed}.0\n\n\
             [watchdog]\nsocket = {socket:?}\n{database}",
            state = folder.join("host"),
            plugins = folder.join("plugins"),
            listen = self.host_address,
            kill = self.kill_flag,
            sim = sim.address,
            socket = folder.join("lease.sock"),
        )
    }

    fn watchdog_text(&self, binaries: &Binaries, sim: &Sim) -> String {
        let folder = &self.folder;
        format!(
            "state_dir = {state:?}\nsocket = {socket:?}\nkill_switch_file = {kill:?}\n\n\
             [host]\nmode = \"spawn\"\ncommand = [{host:?}, \"run\", \"--config\", {config:?}]\n\n\
             [broker]\ntrading_url = \"http://{sim}\"\n\n\
             [admin]\nlisten = \"off\"\n",
            state = folder.join("watchdog"),
            socket = folder.join("lease.sock"),
            kill = self.kill_flag,
            host = binaries.host,
            config = self.host_config,
            sim = sim.address,
        )
    }
}

/// The plugins that an earlier build left in `folder`.
pub(crate) fn built_plugins(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("no plugins in {}", folder.display()))?;
    let mut files: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    files.sort();
    Ok(files)
}

/// The strategies of a demo, of all that are built: they trade any number of symbols, and often.
const SHOWN: [&str; 2] = ["rebalance", "sma_cross"];

/// The symbols of the plugins that lie in `folder` already: those the demo's own strategies do without.
fn guests(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut symbols = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let manifest: Grant = toml::from_str(&fs::read_to_string(&path)?)
                .with_context(|| format!("{} is no manifest", path.display()))?;
            symbols.extend(manifest.instruments);
        }
    }
    Ok(symbols)
}

/// The symbol that `sandpit plugin new` writes into a manifest.
const FIRST_SYMBOL: &str = "SPY";

/// Leaves the symbol that a new strategy wants to it, unless the demo's own two have too few then.
fn take_free(symbols: &mut Vec<String>) -> Option<String> {
    let at = symbols.iter().position(|it| it == FIRST_SYMBOL)?;
    (symbols.len() > SHOWN.len()).then(|| symbols.remove(at))
}

/// What is read of a manifest.
#[derive(serde::Deserialize)]
struct Grant {
    #[serde(default)]
    instruments: Vec<String>,
}

/// Shares the symbols out: the moving-average strategy gets every second one, the rebalancer the others.
fn copy_plugins(plugins: &[PathBuf], folder: &Path, symbols: &[String]) -> anyhow::Result<()> {
    for plugin in plugins {
        let name = plugin.file_stem().context("a plugin has a name")?.to_string_lossy().into_owned();
        if !SHOWN.contains(&name.as_str()) {
            continue;
        }
        fs::copy(plugin, folder.join(format!("{name}.wasm")))?;
        let odd = usize::from(name == "rebalance");
        let own: Vec<_> = symbols.iter().skip(odd).step_by(2).collect();
        // A rebalancer that acts as often as this shows what it does within one session.
        let parameters = if name == "rebalance" { "every_minutes = 10\ndrift = 0.002\n" } else { "" };
        let manifest = format!("instruments = {own:?}\n\n[parameters]\n{parameters}");
        fs::write(folder.join(format!("{name}.toml")), manifest)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_is_there_already_keeps_its_symbols() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("mine.wasm"), "").expect("a file");
        let manifest = "instruments = [\"B\"]\n[parameters]\nfast = 3\n";
        fs::write(folder.path().join("mine.toml"), manifest).expect("a file");
        assert_eq!(guests(folder.path()).expect("readable"), ["B"]);
    }

    #[test]
    fn one_symbol_is_left_to_a_new_strategy_when_there_are_enough() {
        let check = |symbols: &[&str], free: Option<&str>, rest: &[&str]| {
            let mut symbols: Vec<_> = symbols.iter().map(ToString::to_string).collect();
            assert_eq!(take_free(&mut symbols).as_deref(), free);
            assert_eq!(symbols, rest);
        };
        check(&["AAPL", "SPY", "QQQ"], Some("SPY"), &["AAPL", "QQQ"]);
        check(&["AAPL", "SPY"], None, &["AAPL", "SPY"]);
        check(&["A", "B", "C"], None, &["A", "B", "C"]);
        let manifest = include_str!("../../../host/workbench/templates/manifest.toml.txt");
        assert!(manifest.contains(&format!("instruments = [{FIRST_SYMBOL:?}]")), "{manifest}");
    }

    #[test]
    fn a_demo_has_two_strategies_and_each_symbol_one_owner() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("plugins")).expect("a folder");
        let built = ["market_maker.wasm", "rebalance.wasm", "sma_cross.wasm"].map(path);
        built.iter().for_each(|file| fs::write(file, b"").expect("a file"));
        let symbols = ["A", "B", "C"].map(str::to_owned);
        copy_plugins(&built, &path("plugins"), &symbols).expect("copied");
        assert_eq!(built_plugins(&path("plugins")).expect("a folder").len(), 2);
        let instruments = |name: &str| {
            let text = fs::read_to_string(path("plugins").join(name)).expect("a manifest");
            text.lines().next().expect("a line").to_owned()
        };
        assert_eq!(instruments("sma_cross.toml"), "instruments = [\"A\", \"C\"]");
        assert_eq!(instruments("rebalance.toml"), "instruments = [\"B\"]");
    }
}
