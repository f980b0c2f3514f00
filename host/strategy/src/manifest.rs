//! What the operator grants a plugin: `NAME.toml` beside `NAME.wasm`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;
use sandpit_types::Symbol;
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use toml::Spanned;

use crate::{PluginError, compile::file_name};

/// The largest manifest that is read, bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// The operator's word on one plugin. Without a file, everything is as the plugin describes itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// What `init` gets, as a JSON object.
    pub parameters: Map<String, Value>,
    /// The symbols it may trade; `None` leaves it to its own wishes.
    pub instruments: Option<Vec<Symbol>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    parameters: Option<Spanned<toml::Table>>,
    instruments: Option<Vec<Symbol>>,
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
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
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
        Ok(Self { parameters, instruments: read.instruments })
    }
}

/// Without waiting: opening a pipe would last until somebody writes to it.
fn open(path: &Path) -> io::Result<File> {
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
        std::fs::write(path("long"), vec![b' '; MANIFEST_BYTES_MAX as usize + 1]).expect("a file");
        check("long", "long.toml:1: longer than 1048576 bytes");
        std::fs::write(path("full"), vec![b' '; MANIFEST_BYTES_MAX as usize]).expect("a file");
        check("full", "None");
        std::fs::write(path("binary"), b"\xff").expect("a file");
        check("binary", "binary.toml:1: not UTF-8 text");
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
