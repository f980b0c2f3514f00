//! Both configuration files, read leniently: what is wrong in them is for the programs themselves to say.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::place::PlaceArgs;

/// Where `sandpit-sim` listens unless told otherwise.
const SIM_URL: &str = "http://127.0.0.1:8090";
const PAPER_URL: &str = "https://paper-api.alpaca.markets";
const LIVE_URL: &str = "https://api.alpaca.markets";

/// Both files.
#[derive(Debug)]
pub(crate) struct Settings {
    host: Table,
    watchdog: Table,
}

impl Settings {
    /// Reads what can be read; the rest counts as empty.
    pub(crate) fn read(place: &PlaceArgs) -> Self {
        Self { host: table(&place.config), watchdog: table(&place.watchdog_config()) }
    }

    /// A text of the host's file.
    pub(crate) fn host(&self, keys: &[&str]) -> Option<&str> {
        look(&self.host, keys)?.as_str()
    }

    /// A whole number of the host's file.
    pub(crate) fn host_number(&self, keys: &[&str]) -> Option<u64> {
        look(&self.host, keys).and_then(Value::as_integer).and_then(|number| u64::try_from(number).ok())
    }

    /// A text of the watchdog's file.
    pub(crate) fn watchdog(&self, keys: &[&str]) -> Option<&str> {
        look(&self.watchdog, keys)?.as_str()
    }

    /// A whole number of the watchdog's file.
    pub(crate) fn watchdog_number(&self, keys: &[&str]) -> Option<u64> {
        look(&self.watchdog, keys).and_then(Value::as_integer).and_then(|number| u64::try_from(number).ok())
    }

    /// A section of the watchdog's file.
    pub(crate) fn watchdog_section(&self, name: &str) -> Option<&Table> {
        self.watchdog.get(name)?.as_table()
    }

    /// A path of either file.
    pub(crate) fn path(of: Option<&str>, default: &str) -> PathBuf {
        of.unwrap_or(default).into()
    }

    /// The host's mode.
    pub(crate) fn mode(&self) -> &str {
        self.host(&["mode"]).unwrap_or("dry-run")
    }

    /// Where the state of the host is, all modes together.
    pub(crate) fn state_dir(&self) -> PathBuf {
        Self::path(self.host(&["state_dir"]), "/var/lib/sandpit")
    }

    /// Where the state of the watchdog is.
    pub(crate) fn watchdog_dir(&self) -> PathBuf {
        Self::path(self.watchdog(&["state_dir"]), "/var/lib/sandpit-watchdog")
    }

    /// The kill switch file, as the watchdog sees it.
    pub(crate) fn kill_file(&self) -> PathBuf {
        let file = self.watchdog(&["kill_switch_file"]).or_else(|| self.host(&["kill_switch_file"]));
        Self::path(file, "/run/sandpit/kill")
    }

    /// The broker that the host trades at.
    pub(crate) fn trading_url(&self) -> String {
        let name = self.host(&["broker", "name"]).unwrap_or("sim");
        trading_url(name, self.host(&["broker", "url"]), self.mode())
    }
}

/// The trading address that a broker's name, an address of its own and the mode come to.
pub(crate) fn trading_url(name: &str, url: Option<&str>, mode: &str) -> String {
    let own = match (name, mode) {
        ("alpaca", "live") => LIVE_URL,
        ("alpaca", _) => PAPER_URL,
        _ => SIM_URL,
    };
    url.unwrap_or(own).trim_end_matches('/').to_owned()
}

fn table(path: &Path) -> Table {
    std::fs::read_to_string(path).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn look<'a>(table: &'a Table, keys: &[&str]) -> Option<&'a Value> {
    let (last, sections) = keys.split_last()?;
    let table = sections.iter().try_fold(table, |table, name| table.get(*name)?.as_table())?;
    table.get(*last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_follows_from_broker_and_mode() {
        assert_eq!(trading_url("alpaca", None, "paper"), PAPER_URL);
        assert_eq!(trading_url("alpaca", None, "dry-run"), PAPER_URL);
        assert_eq!(trading_url("alpaca", None, "live"), LIVE_URL);
        assert_eq!(trading_url("sim", None, "live"), SIM_URL);
        assert_eq!(trading_url("alpaca", Some("http://x/"), "live"), "http://x");
    }
}
