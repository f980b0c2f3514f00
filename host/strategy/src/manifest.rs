//! What the operator grants a plugin: `NAME.toml` beside `NAME.wasm`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use rustix::fs::OFlags;
use sandpit_types::Symbol;
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use toml::Spanned;

use crate::{Bounds, PluginError, Rounding, compile::file_name};

/// The largest manifest that is read, bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// The operator's word on one plugin. Without a file, everything is as the plugin describes itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// What `init` gets, as a JSON object.
    pub parameters: Map<String, Value>,
    /// The symbols it may trade; `None` leaves it to its own wishes.
    pub instruments: Option<Vec<Symbol>>,
    /// The checksum that the file must have, in hexadecimal digits.
    pub sha256: Option<String>,
    /// An ed25519 signature of the file's bytes, in base64.
    pub signature: Option<String>,
    /// The most that its positions may be worth together, percent of the equity.
    pub budget_share: Option<f64>,
    /// What becomes of its orders when its file is removed.
    pub on_removal: OnRemoval,
    /// What becomes of prices between two ticks.
    pub rounding: Rounding,
    /// What it may use. None loosens what the host grants.
    pub limits: Limits,
}

/// What becomes of the orders of a strategy whose file is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnRemoval {
    /// They are cancelled.
    #[default]
    Cancel,
    /// They stay at the broker.
    Keep,
}

/// The `[limits]` of a manifest; each is `None` where the host's own holds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Time for one event, milliseconds.
    pub event_deadline_ms: Option<u64>,
    /// Linear memory, MiB.
    pub memory_mb: Option<u64>,
    /// Intents in one minute of market time.
    pub intents_per_minute: Option<u32>,
    /// Log lines in one minute of market time, KiB.
    pub log_kb_per_minute: Option<u64>,
    /// What one order may be worth, US dollars.
    pub order_notional_usd: Option<f64>,
    /// What its position in one symbol may be worth, US dollars.
    pub position_notional_usd: Option<f64>,
    /// Orders in one minute.
    pub orders_per_minute: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    parameters: Option<Spanned<toml::Table>>,
    instruments: Option<Vec<Symbol>>,
    sha256: Option<Spanned<String>>,
    signature: Option<Spanned<String>>,
    budget_share: Option<Spanned<f64>>,
    #[serde(default)]
    on_removal: OnRemoval,
    #[serde(default)]
    rounding: Rounding,
    limits: Option<Spanned<Limits>>,
}

impl Manifest {
    /// Reads the manifest beside `plugin`.
    ///
    /// # Errors
    /// When there is one but it is no regular file, cannot be read, is too long, is not TOML, or has a key
    /// that means nothing.
    pub fn beside(plugin: &Path) -> Result<Self, PluginError> {
        let path = plugin.with_extension("toml");
        let name = file_name(&path);
        let file = match open(&path) {
            // A link to nothing is no absence: what it leads to bounds the strategy, and may be back soon.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                return Ok(Self::default());
            }
            outcome => outcome.map_err(PluginError::io("read", &path))?,
        };
        if !file.metadata().map_err(PluginError::io("read", &path))?.is_file() {
            return Err(error(&name, 1, "no regular file: put a plain text file there".into()));
        }
        let mut bytes = Vec::new();
        file.take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(PluginError::io("read", &path))?;
        if bytes.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(error(&name, 1, format!("longer than {MANIFEST_BYTES_MAX} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| error(&name, 1, "not UTF-8 text".into()))?;
        Self::parse(&name, &text)
    }

    /// Reads the text of a manifest; `file` is its name in messages.
    ///
    /// # Errors
    /// When it is not TOML, or has a key that means nothing.
    pub fn parse(file: &str, text: &str) -> Result<Self, PluginError> {
        let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let read: Text = toml::from_str(text).map_err(|problem| {
            let start = problem.span().map_or(0, |span| span.start);
            error(file, line(start), problem.message().to_owned())
        })?;
        let parameters = match read.parameters {
            None => Map::new(),
            Some(table) => {
                let start = table.span().start;
                object(table.into_inner()).map_err(|detail| error(file, line(start), detail))?
            }
        };
        let checked = |outcome: Result<(), String>, start: usize| {
            outcome.map_err(|detail| error(file, line(start), detail))
        };
        if let Some(text) = &read.sha256 {
            checked(is_sha256(text.get_ref()), text.span().start)?;
        }
        if let Some(share) = &read.budget_share {
            let fits = *share.get_ref() > 0.0 && *share.get_ref() <= 100.0;
            let what = || format!("budget_share = {} is no percentage above zero", share.get_ref());
            checked(fits.then_some(()).ok_or_else(what), share.span().start)?;
        }
        if let Some(limits) = &read.limits {
            checked(limits.get_ref().check(), limits.span().start)?;
        }
        Ok(Self {
            parameters,
            instruments: read.instruments,
            sha256: read.sha256.map(|text| text.into_inner().to_ascii_lowercase()),
            signature: read.signature.map(Spanned::into_inner),
            budget_share: read.budget_share.map(Spanned::into_inner),
            on_removal: read.on_removal,
            rounding: read.rounding,
            limits: read.limits.map(Spanned::into_inner).unwrap_or_default(),
        })
    }

    /// What the strategy may use where the host grants this.
    ///
    /// # Errors
    /// When it says more than the host grants: the words of the limit and of both.
    pub fn bounds(&self, host: Bounds) -> Result<Bounds, String> {
        let Limits { event_deadline_ms, memory_mb, intents_per_minute, log_kb_per_minute, .. } = self.limits;
        let deadline_ms = u64::try_from(host.event_deadline.as_millis()).unwrap_or(u64::MAX);
        let tighter = |name: &str, own: Option<u64>, host: u64| match own {
            Some(own) if own > host => Err(format!(
                "{name} = {own} is more than the {host} that the host grants: a limit only tightens"
            )),
            own => Ok(own),
        };
        let deadline = tighter("event_deadline_ms", event_deadline_ms, deadline_ms)?;
        let memory = tighter("memory_mb", memory_mb, (host.memory_bytes >> 20) as u64)?;
        let intents =
            tighter("intents_per_minute", intents_per_minute.map(u64::from), host.intents_per_minute.into())?;
        let log = tighter("log_kb_per_minute", log_kb_per_minute, (host.log_bytes >> 10) as u64)?;
        Ok(Bounds {
            event_deadline: deadline.map_or(host.event_deadline, Duration::from_millis),
            memory_bytes: memory.map_or(host.memory_bytes, |mb| (mb as usize) << 20),
            intents_per_minute: intents.map_or(host.intents_per_minute, |count| count as u32),
            log_bytes: log.map_or(host.log_bytes, |kb| (kb as usize) << 10),
            ..host
        })
    }
}

impl Limits {
    /// Nothing that would forbid everything, or mean nothing.
    fn check(&self) -> Result<(), String> {
        let whole = [
            ("event_deadline_ms", self.event_deadline_ms),
            ("memory_mb", self.memory_mb),
            ("intents_per_minute", self.intents_per_minute.map(u64::from)),
            ("log_kb_per_minute", self.log_kb_per_minute),
            ("orders_per_minute", self.orders_per_minute.map(u64::from)),
        ];
        if let Some((name, _)) = whole.iter().find(|(_, value)| *value == Some(0)) {
            return Err(format!("{name} = 0 would stop everything: leave it out, or remove the strategy"));
        }
        let usd = [
            ("order_notional_usd", self.order_notional_usd),
            ("position_notional_usd", self.position_notional_usd),
        ];
        let is_amount = |value: f64| value.is_finite() && value > 0.0;
        match usd.iter().find(|(_, value)| value.is_some_and(|value| !is_amount(value))) {
            Some((name, _)) => Err(format!("{name} is no amount of US dollars above zero")),
            None => Ok(()),
        }
    }
}

fn is_sha256(text: &str) -> Result<(), String> {
    let fits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then_some(())
        .ok_or_else(|| "sha256 is not 64 hexadecimal digits, as sha256sum prints them".to_owned())
}

/// Without waiting: opening a pipe would last until somebody writes to it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

fn error(file: &str, line: usize, detail: String) -> PluginError {
    PluginError::Manifest { file: file.to_owned(), line, detail }
}

fn object(table: toml::Table) -> Result<Map<String, Value>, String> {
    let pair = |(key, value)| match json(value) {
        Ok(value) => Ok((key, value)),
        Err(detail) => Err(format!("{key}: {detail}")),
    };
    table.into_iter().map(pair).collect()
}

/// TOML as JSON. Times become text; a number that JSON lacks is an error.
fn json(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::Number(number.into()),
        toml::Value::Float(number) => Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| format!("{number} is no number that a parameter can have"))?,
        toml::Value::Boolean(yes) => Value::Bool(yes),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => Value::Object(object(table)?),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_regular_files_of_bounded_length_are_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let check = |name: &str, expected: &str| {
            let found = Manifest::beside(&dir.path().join(name).with_extension("wasm"));
            let shown = found.map_or_else(|error| error.to_string(), |it| format!("{:?}", it.instruments));
            assert_eq!(shown, expected);
        };
        let path = |name: &str| dir.path().join(name).with_extension("toml");
        check("none", "None");
        std::fs::write(path("file"), "instruments = [\"SPY\"]").expect("a file");
        std::os::unix::fs::symlink(path("file"), path("link")).expect("a link");
        check("link", &format!("{:?}", Some([Symbol::new("SPY")])));
        std::os::unix::fs::symlink("/dev/zero", path("zero")).expect("a link");
        check("zero", "zero.toml:1: no regular file: put a plain text file there");
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().expect("runs");
        assert!(made.success());
        check("pipe", "pipe.toml:1: no regular file: put a plain text file there");
        std::fs::create_dir(path("folder")).expect("a folder");
        check("folder", "folder.toml:1: no regular file: put a plain text file there");
        std::os::unix::fs::symlink("nothing", path("away")).expect("a link");
        let away = Manifest::beside(&path("away")).expect_err("it leads nowhere").to_string();
        assert!(away.contains("No such file"), "{away}");
        std::fs::write(path("long"), vec![b' '; MANIFEST_BYTES_MAX as usize + 1]).expect("a file");
        check("long", "long.toml:1: longer than 1048576 bytes");
        std::fs::write(path("full"), vec![b' '; MANIFEST_BYTES_MAX as usize]).expect("a file");
        check("full", "None");
        std::fs::write(path("binary"), b"\xff").expect("a file");
        check("binary", "binary.toml:1: not UTF-8 text");
    }

    #[test]
    fn limits_only_tighten() {
        let host = Bounds::default();
        let check = |text: &str, expected: Result<Bounds, &str>| {
            let text = format!("[limits]\n{text}");
            let found = Manifest::parse("x.toml", &text).expect("a manifest").bounds(host);
            assert_eq!(found.as_ref().map_err(String::as_str), expected.as_ref().map_err(|text| *text));
        };
        check("", Ok(host));
        check(
            "event_deadline_ms = 50\nmemory_mb = 8\nintents_per_minute = 7\nlog_kb_per_minute = 1",
            Ok(Bounds {
                event_deadline: Duration::from_millis(50),
                memory_bytes: 8 << 20,
                intents_per_minute: 7,
                log_bytes: 1 << 10,
                ..host
            }),
        );
        check(
            "memory_mb = 65",
            Err("memory_mb = 65 is more than the 64 that the host grants: a limit only tightens"),
        );
        check(
            "event_deadline_ms = 101",
            Err("event_deadline_ms = 101 is more than the 100 that the host grants: a limit only tightens"),
        );
    }

    #[test]
    fn manifests_are_read_or_refused_by_line() {
        let check = |text: &str, expected: Result<(Value, Option<&[&str]>), &str>| {
            let found = Manifest::parse("x.toml", text);
            match (found, expected) {
                (Ok(manifest), Ok((parameters, instruments))) => {
                    assert_eq!(Value::Object(manifest.parameters), parameters, "{text}");
                    let symbols = instruments.map(|list| list.iter().map(|s| Symbol::new(*s)).collect());
                    assert_eq!(manifest.instruments, symbols, "{text}");
                }
                (Err(error), Err(start)) => {
                    assert!(error.to_string().starts_with(start), "{error} is not {start}");
                }
                (found, expected) => panic!("{text}: {found:?} is not {expected:?}"),
            }
        };
        check("", Ok((json!({}), None)));
        check("sha256 = \"abc\"\n", Err("x.toml:1: sha256 is not 64 hexadecimal digits"));
        check("\nbudget_share = 0\n", Err("x.toml:2: "));
        check("\nbudget_share = 101.0\n", Err("x.toml:2: budget_share = 101 is no percentage"));
        check("on_removal = \"sell\"\n", Err("x.toml:1: unknown variant `sell`"));
        check("[limits]\nmemory_mb = 0\n", Err("x.toml:1: memory_mb = 0 would stop everything"));
        check("[limits]\norder_notional_usd = -1.0\n", Err("x.toml:1: order_notional_usd is no amount"));
        check("[limits]\nmemory = 1\n", Err("x.toml:2: unknown field `memory`"));
        check(
            "instruments = [\"SPY\", \"BRK.B\"]\n[parameters]\nfast = 5\nwhen = 09:30:00\nlist = [1.5]\n",
            Ok((json!({"fast": 5, "when": "09:30:00", "list": [1.5]}), Some(&["SPY", "BRK.B"]))),
        );
        check("\ninstrumnets = [\"SPY\"]\n", Err("x.toml:2: unknown field `instrumnets`"));
        check("instruments = \"SPY\"\n", Err("x.toml:1: "));
        check("[parameters]\nfast = \n", Err("x.toml:2: "));
        check("[parameters]\na = 1\nfast = nan\n", Err("x.toml:1: fast: NaN is no number"));
    }
}
