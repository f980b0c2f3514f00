//! `sandpit plugin inspect`: what a plugin is, wants, and was built with. It is asked to describe itself, and
//! nothing else of it is run.

use std::{io::Write, path::Path};

use sandpit_strategy::{Description, INTERFACE_VERSION, Wants};
use sandpit_types::Symbol;

use crate::{
    Surroundings, Verdict, WorkbenchError,
    anatomy::Anatomy,
    command::say,
    loaded::{Loaded, plugin_file},
    schema::Schema,
};

/// Says what it is.
///
/// # Errors
/// When there is no plugin, or it is no WebAssembly. One that this host cannot run is shown as far as it
/// goes, with the reason as the error.
pub(crate) fn inspect(
    path: &Path,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<Verdict, WorkbenchError> {
    let file = plugin_file(path)?;
    let anatomy = Anatomy::of(&file)?;
    say_anatomy(&file, &anatomy, out)?;
    let loaded = Loaded::open(&file, surroundings)?;
    say_description(loaded.plugin.description(), out)?;
    let granted = loaded.plugin.instruments(&loaded.manifest)?;
    row(out, "granted", list(&granted))?;
    Ok(Verdict::Good)
}

fn say_anatomy(file: &Path, anatomy: &Anatomy, out: &mut dyn Write) -> Result<(), WorkbenchError> {
    row(out, "file", file.display())?;
    row(out, "size", format_args!("{} bytes", anatomy.bytes))?;
    row(out, "sha256", &anatomy.sha256)?;
    let modules = anatomy.modules;
    row(
        out,
        "kind",
        if anatomy.is_component {
            format!("component of {modules} core modules")
        } else {
            "core module; the host makes a component of it".to_owned()
        },
    )?;
    let versions = anatomy.interface_versions();
    let versions = if versions.is_empty() { "none".to_owned() } else { versions.join(", ") };
    row(out, "interface", format_args!("sandpit:strategy {versions}; this host offers {INTERFACE_VERSION}"))?;
    row(out, "imports", anatomy.imported().join(", "))?;
    row(out, "exports", anatomy.exported().join(", "))?;
    for ((field, name), version) in &anatomy.producers {
        row(out, "built with", format_args!("{name} {version} ({field})"))?;
    }
    Ok(())
}

fn say_description(description: &Description, out: &mut dyn Write) -> Result<(), WorkbenchError> {
    row(out, "name", format_args!("{} {}", description.name, description.version))?;
    row(out, "wants", wants(description.wants))?;
    row(out, "warm-up", format_args!("{} bars of each symbol", description.warmup_bars))?;
    row(out, "symbols", list(&description.instruments))?;
    match Schema::parse(&description.parameters_schema) {
        Err(fault) => row(out, "parameters", format_args!("the schema cannot be used: {fault}")),
        Ok(schema) => {
            let rows = schema.rows();
            if rows.is_empty() {
                return row(out, "parameters", "none are described");
            }
            say(out, "\nparameter                 type      default     range                     meaning")?;
            rows.iter().try_for_each(|row| {
                let crate::schema::Row { name, kind, default, range, description } = row;
                say(out, format_args!("{name:<25} {kind:<9} {default:<11} {range:<25} {description}"))
            })
        }
    }
}

/// The kinds of market data it handles, in words.
pub(crate) fn wants(wants: Wants) -> String {
    let Wants { bars, quotes, trades, news } = wants;
    let kinds = [("bars", bars), ("quotes", quotes), ("trades", trades), ("news", news)];
    let wanted: Vec<_> = kinds.into_iter().filter(|(_, wanted)| *wanted).map(|(kind, _)| kind).collect();
    if wanted.is_empty() { "no market data".into() } else { wanted.join(", ") }
}

fn list(symbols: &[Symbol]) -> String {
    symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(", ")
}

fn row(out: &mut dyn Write, what: &str, value: impl std::fmt::Display) -> Result<(), WorkbenchError> {
    say(out, format_args!("{what:<11} {value}"))
}
