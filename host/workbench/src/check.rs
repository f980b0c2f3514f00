//! `sandpit plugin check`: everything that can be said of a plugin before it trades, a finding a line.

use std::{io::Write, path::Path};

use sandpit_strategy::{Bounds, INTERFACE_VERSION};

use crate::{
    Surroundings, Verdict, WorkbenchError,
    anatomy::Anatomy,
    command::say,
    desk::Desk,
    inspect::wants,
    loaded::{Loaded, plugin_file},
    play::{Outcome, Player},
    schema::Schema,
    tape::tape,
};

/// Failures that are shown.
const SHOWN: usize = 5;

/// Findings, said as they are made.
struct Findings<'a> {
    out: &'a mut dyn Write,
    is_wrong: bool,
}

impl Findings<'_> {
    fn good(&mut self, what: &str, words: impl std::fmt::Display) -> Result<(), WorkbenchError> {
        say(self.out, format_args!("good    {what:<12} {words}"))
    }

    fn note(&mut self, what: &str, words: impl std::fmt::Display) -> Result<(), WorkbenchError> {
        say(self.out, format_args!("note    {what:<12} {words}"))
    }

    fn wrong(&mut self, what: &str, words: impl std::fmt::Display) -> Result<(), WorkbenchError> {
        self.is_wrong = true;
        say(self.out, format_args!("wrong   {what:<12} {words}"))
    }

    fn verdict(&self) -> Verdict {
        if self.is_wrong { Verdict::Wrong } else { Verdict::Good }
    }
}

/// Checks a plugin.
///
/// # Errors
/// When there is no plugin, or it is no WebAssembly. What is wrong with a plugin is a finding.
pub(crate) fn check(
    path: &Path,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<Verdict, WorkbenchError> {
    let file = plugin_file(path)?;
    let anatomy = Anatomy::of(&file)?;
    let mut findings = Findings { out, is_wrong: false };
    names(&anatomy, &mut findings)?;
    let loaded = match Loaded::open(&file, surroundings) {
        Ok(loaded) => loaded,
        Err(WorkbenchError::Plugin(error)) => {
            findings.wrong("load", error)?;
            return Ok(findings.verdict());
        }
        Err(error) => return Err(error),
    };
    description(&loaded, &mut findings)?;
    run(&loaded, &mut findings)?;
    Ok(findings.verdict())
}

/// What its bytes say. Whether the names are right is judged when it is loaded.
fn names(anatomy: &Anatomy, findings: &mut Findings<'_>) -> Result<(), WorkbenchError> {
    let kind = if anatomy.is_component { "component" } else { "core module" };
    findings.good("file", format_args!("{kind}, {} bytes, sha256 {}", anatomy.bytes, anatomy.sha256))?;
    findings.good("imports", anatomy.imported().join(", "))?;
    findings.good("exports", anatomy.exported().join(", "))?;
    let versions = anatomy.interface_versions();
    if versions.is_empty() {
        return findings.note("interface", "it imports nothing of sandpit:strategy");
    }
    let words = format!("sandpit:strategy@{}, this host offers {INTERFACE_VERSION}", versions.join(", "));
    findings.good("interface", words)
}

/// What it says of itself, and whether its manifest fits that.
fn description(loaded: &Loaded, findings: &mut Findings<'_>) -> Result<(), WorkbenchError> {
    let it = loaded.plugin.description();
    findings.good(
        "description",
        format_args!(
            "{} {}: wants {}, {} bars of warm-up",
            it.name,
            it.version,
            wants(it.wants),
            it.warmup_bars
        ),
    )?;
    match Schema::parse(&it.parameters_schema) {
        Err(fault) => findings.wrong("schema", format_args!("the schema of the parameters: {fault}"))?,
        Ok(schema) => {
            let faults = schema.faults();
            faults.iter().try_for_each(|fault| findings.note("schema", fault))?;
            match schema.refuses(&loaded.manifest.parameters) {
                Some(fault) => findings.wrong("parameters", fault)?,
                None => {
                    let count = loaded.manifest.parameters.len();
                    findings
                        .good("parameters", format_args!("the {count} of the manifest fit the schema"))?;
                }
            }
        }
    }
    match loaded.plugin.instruments(&loaded.manifest) {
        Err(error) => findings.wrong("instruments", error),
        Ok(symbols) => {
            let symbols: Vec<_> = symbols.iter().map(|symbol| symbol.as_str()).collect();
            findings.good("instruments", symbols.join(", "))
        }
    }
}

/// Two lives through the same generated market.
fn run(loaded: &Loaded, findings: &mut Findings<'_>) -> Result<(), WorkbenchError> {
    let Ok(symbols) = loaded.plugin.instruments(&loaded.manifest) else { return Ok(()) };
    let events = tape(&symbols, loaded.plugin.description());
    let mut first = match loaded.trial() {
        Ok(trial) => Player::new(trial, Some(Desk::default())),
        Err(error) => return findings.wrong("start", error),
    };
    findings.good("start", format_args!("{} units of work", first.trial().start_fuel()))?;
    let outcomes: Vec<Outcome> = events.iter().map(|event| first.tell(event)).collect();
    failures(&outcomes, findings)?;
    for (kind, cost) in first.costs.iter() {
        let (mean, most, count) = (cost.mean(), cost.most, cost.events);
        findings.good(
            "cost",
            format_args!("{kind}: {mean} units of work on average, {most} at most, of {count}"),
        )?;
    }
    memory(first.trial().memory_bytes(), findings)?;
    let mut second = Player::new(loaded.trial()?, Some(Desk::default()));
    let differing = events.iter().zip(&outcomes).position(|(event, before)| second.tell(event) != *before);
    let intents: usize = outcomes.iter().map(|outcome| outcome.intents.len()).sum();
    let count = events.len();
    match differing {
        Some(at) => findings.wrong(
            "determinism",
            format_args!(
                "two runs differ at event {at} of {count} of a generated market: it has a state of its own?"
            ),
        ),
        None if second.costs != first.costs => {
            findings.wrong("determinism", "two runs want the same and do different work for it")
        }
        None => findings.good(
            "determinism",
            format_args!("two runs of {count} events: the same {intents} intents, the same work"),
        ),
    }
}

fn failures(outcomes: &[Outcome], findings: &mut Findings<'_>) -> Result<(), WorkbenchError> {
    let failures: Vec<_> = outcomes
        .iter()
        .enumerate()
        .flat_map(|(at, outcome)| outcome.failures.iter().map(move |failure| (at, failure)))
        .collect();
    for (at, failure) in failures.iter().take(SHOWN) {
        findings.wrong("run", format_args!("event {at} of a generated market: {failure}"))?;
    }
    if failures.len() > SHOWN {
        findings.wrong("run", format_args!("… and {} more failures", failures.len() - SHOWN))?;
    }
    Ok(())
}

fn memory(bytes: usize, findings: &mut Findings<'_>) -> Result<(), WorkbenchError> {
    let (used, granted) = (bytes.div_ceil(1 << 20), Bounds::default().memory_bytes >> 20);
    if used > granted {
        let words = format!(
            "{used} MiB, a host grants {granted} MiB unless its configuration says more: set `memory_mb` \
             under [strategies] there"
        );
        return findings.note("memory", words);
    }
    findings.good("memory", format_args!("{used} MiB of the {granted} MiB that a host grants"))
}
