//! The configuration in force, key by key, and where each value comes from. Secrets are never in it.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value};

use super::{
    Config, ConfigError, KEYS, Unusable, bad_variable, database, error::invalid, read, variable, with_files,
};

/// One value in force.
#[derive(Debug, PartialEq)]
pub(crate) struct Shown {
    /// The key as in the file, with its section; a variable of the environment by its name.
    pub(crate) key: String,
    /// The value; `null` where there is none.
    pub(crate) value: Value,
    /// `file`, `default`, or `environment NAME`.
    pub(crate) from: String,
}

/// Variables that go over a key of the file.
const OVER: [(&str, &str); 4] = [
    ("DRY_RUN", "mode"),
    ("KILL_SWITCH_FILE", "kill_switch_file"),
    ("NAV_USD", "limits.nav_usd"),
    ("DATABASE_URL", "database.url"),
];
/// The panel's secret; the broker's are [`KEYS`].
const PANEL_TOKEN: &str = "PANEL_TOKEN";

/// Every value in force, in the order of the file's sections.
///
/// # Errors
/// Those of [`Config::load`], but for keys that are missing.
pub(crate) fn show(path: &Path, env: &BTreeMap<String, String>) -> Result<Vec<Shown>, ConfigError> {
    let config = Config::without_keys(path, env)?;
    let mut file = read(path)?;
    let text = std::fs::read_to_string(path)
        .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
    let written: toml::Table = text.parse().map_err(|error| invalid(path, &text, &error))?;
    file.mode = config.mode;
    file.kill_switch_file.clone_from(&config.kill_switch_file);
    file.limits = config.limits.in_force();
    file.alerts = config.alerts.in_force();
    file.database.keep_days = Some(config.records.retention.keep_days);
    let value = serde_json::to_value(&file).expect("what was read from text can be written as text");
    let mut shown = Vec::new();
    flatten("", &value, &written, &mut shown);
    let unusable = |Unusable { variable, message }| bad_variable(variable, message);
    let read = with_files(env, ["DATABASE_URL"]).map_err(unusable)?;
    for one in &mut shown {
        in_force(one, &config, env, &read);
    }
    for name in KEYS.into_iter().chain([PANEL_TOKEN]) {
        let file = format!("{name}_FILE");
        let from = [name, &file].into_iter().find(|name| variable(env, name).is_some());
        let value = if from.is_some() { "set, not shown" } else { "not set" };
        let from = from.map_or("default".to_owned(), |name| format!("environment {name}"));
        shown.push(Shown { key: name.to_owned(), value: value.into(), from });
    }
    Ok(shown)
}

/// What the environment and built-in rules make of a value; `read` is the environment with what its files
/// hold.
fn in_force(
    one: &mut Shown,
    config: &Config,
    env: &BTreeMap<String, String>,
    read: &BTreeMap<String, String>,
) {
    let over = OVER.iter().find(|(name, key)| *key == one.key && variable(read, name).is_some());
    if let Some((name, _)) = over {
        let file = if variable(env, name).is_none() { "_FILE" } else { "" };
        one.from = format!("environment {name}{file}");
        if *name == "DATABASE_URL" {
            one.value = variable(read, name).map(database::shown).into();
        }
    }
    match one.key.as_str() {
        "broker.url" if one.value.is_null() => one.value = config.endpoints.trading_url.as_str().into(),
        "control_socket" if one.value.is_null() => {
            one.value = crate::control::place(config, None).display().to_string().into();
        }
        _ => {}
    }
}

/// Every value of nested sections; lists are one value.
fn flatten(section: &str, value: &Value, written: &toml::Table, shown: &mut Vec<Shown>) {
    let empty = Map::new();
    for (name, value) in value.as_object().unwrap_or(&empty) {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        let there = written.get(name);
        match value {
            Value::Object(_) => {
                let none = toml::Table::new();
                flatten(&key, value, there.and_then(toml::Value::as_table).unwrap_or(&none), shown);
            }
            value => {
                let from = if there.is_some() { "file" } else { "default" };
                shown.push(Shown { key, value: value.clone(), from: from.to_owned() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, env: &[(&str, &str)]) -> Vec<Shown> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sandpit.toml");
        std::fs::write(&path, text).expect("written");
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        show(&path, &env).expect("good")
    }

    const GOOD: &str = "state_dir = \"s\"\nplugins_dir = \"p\"\n[budget]\ndata_per_minute = 90\n\
     [limits]\nopen_orders = 7\n[alerts]\nslippage = { threshold = 0.001 }\n";

    #[test]
    fn every_value_has_its_source_and_secrets_are_not_shown() {
        let env = [
            ("APCA_API_KEY_ID", "hunter2hunter2"),
            ("APCA_API_SECRET_KEY_FILE", "/c/secret"),
            ("DRY_RUN", "0"),
            ("NAV_USD", "2500.50"),
            ("DATABASE_URL", "postgres://u:hunter2@db/books"),
            ("PANEL_TOKEN", "hunter2hunter2hunter2"),
        ];
        let all = shown(GOOD, &env);
        let check = |key: &str, value: &str, from: &str| {
            let one = all.iter().find(|one| one.key == key).unwrap_or_else(|| panic!("no {key}"));
            assert_eq!((one.value.to_string().as_str(), one.from.as_str()), (value, from), "{key}");
        };
        check("state_dir", "\"s\"", "file");
        check("mode", "\"dry-run\"", "environment DRY_RUN");
        check("listen", "\"127.0.0.1:8080\"", "default");
        check("control_socket", "\"s/control.sock\"", "default");
        check("broker.url", "\"http://127.0.0.1:8090\"", "default");
        check("budget.data_per_minute", "90", "file");
        check("budget.trading_per_minute", "160", "default");
        check("limits.open_orders", "7", "file");
        check("limits.position_percent", "\"10\"", "default");
        check("limits.nav_usd", "\"2500.50\"", "environment NAV_USD");
        check("database.url", "\"postgres://db:5432/books\"", "environment DATABASE_URL");
        check("strategies.memory_mb", "64", "default");
        check("database.keep_days", "90", "default");
        check("alerts.slippage.threshold", "0.001", "file");
        check("alerts.slippage.enabled", "true", "default");
        check("alerts.stream-down.enabled", "true", "default");
        check("APCA_API_KEY_ID", "\"set, not shown\"", "environment APCA_API_KEY_ID");
        check("APCA_API_SECRET_KEY", "\"set, not shown\"", "environment APCA_API_SECRET_KEY_FILE");
        check("PANEL_TOKEN", "\"set, not shown\"", "environment PANEL_TOKEN");
        assert!(!format!("{all:?}").contains("hunter2"), "{all:?}");
        let in_file = format!("{GOOD}[database]\nurl = \"postgres://u:hunter2@db/books\"\n");
        assert!(!format!("{:?}", shown(&in_file, &[])).contains("hunter2"));
        let secret = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(secret.path(), "postgres://u:hunter2@db/books\n").expect("written");
        let path = secret.path().display().to_string();
        let all = shown(GOOD, &[("DATABASE_URL_FILE", path.as_str())]);
        let one = all.iter().find(|one| one.key == "database.url").expect("shown");
        assert_eq!(one.value.to_string(), "\"postgres://db:5432/books\"");
        assert_eq!(one.from, "environment DATABASE_URL_FILE");
    }

    /// The file's reader names the keys of a section when it meets a strange one: each has to be shown.
    #[test]
    fn no_key_of_the_file_is_left_out() {
        let all: Vec<String> = shown(GOOD, &[]).into_iter().map(|one| one.key).collect();
        let sections =
            ["broker", "market_data", "budget", "orders", "watchdog", "journal", "strategies", "limits"];
        for section in [""].into_iter().chain(sections) {
            let strange = match section {
                "" => "zzz = 1\nstate_dir = \"s\"\nplugins_dir = \"p\"\n".to_owned(),
                section => format!("state_dir = \"s\"\nplugins_dir = \"p\"\n[{section}]\nzzz = 1\n"),
            };
            let error =
                toml::from_str::<super::super::file::File>(&strange).expect_err("strange").to_string();
            let names = error.split("expected").nth(1).expect("its names").split('`').skip(1).step_by(2);
            for name in names {
                let key = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
                let is_there = |shown: &String| *shown == key || shown.starts_with(&format!("{key}."));
                assert!(all.iter().any(is_there), "{key} is not among {all:?}");
            }
        }
    }
}
