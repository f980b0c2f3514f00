//! `sandpit plugin test`: fixtures in, intents compared with what is expected, and the cost with what it was.

use std::{collections::BTreeMap, io::Write, path::Path};

use crate::{
    Surroundings, Verdict, WorkbenchError,
    command::{TestArgs, say},
    desk::Desk,
    diff::{Done, Record},
    fixture::{Answers, Fixture, beside, read_text},
    loaded::{Loaded, plugin_file},
    play::Player,
    surroundings::write_changed,
};

/// Plays every fixture beside the plugin.
///
/// # Errors
/// When there is no plugin or fixture, or one of them cannot be used.
pub(crate) fn test(
    args: &TestArgs,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<Verdict, WorkbenchError> {
    let file = plugin_file(&args.path)?;
    let fixtures = beside(&file)?;
    let fixtures: Vec<Fixture> = fixtures.iter().map(|path| Fixture::read(path)).collect::<Result<_, _>>()?;
    let loaded = Loaded::open(&file, surroundings)?;
    let mut verdict = Verdict::Good;
    for fixture in &fixtures {
        let found = play(&loaded, fixture)?;
        let is_good = if args.bless { bless(fixture, &found, out)? } else { compare(fixture, &found, out)? };
        if !is_good {
            verdict = Verdict::Wrong;
        }
    }
    Ok(verdict)
}

fn play(loaded: &Loaded, fixture: &Fixture) -> Result<Record, WorkbenchError> {
    let desk = (fixture.answers == Answers::Fills).then(Desk::default);
    let mut player = Player::new(loaded.trial()?, desk);
    let mut done = BTreeMap::new();
    for (line, event) in &fixture.events {
        let outcome = player.tell(event);
        if outcome.intents.is_empty() && outcome.failures.is_empty() {
            continue;
        }
        let json = |intent| serde_json::to_value(intent).expect("intents are JSON");
        let intents = outcome.intents.iter().map(json).collect();
        done.insert(*line, Done { line: *line, intents, failures: outcome.failures });
    }
    let mut cost: BTreeMap<String, u64> =
        player.costs.iter().map(|(kind, cost)| (kind.to_owned(), cost.mean())).collect();
    cost.insert("start".into(), player.trial().start_fuel());
    Ok(Record { done, cost: Some(cost) })
}

fn bless(fixture: &Fixture, found: &Record, out: &mut dyn Write) -> Result<bool, WorkbenchError> {
    let path = fixture.expected();
    write_changed(&path, found.text().as_bytes())?;
    let count = intents(found);
    say(out, format_args!("blessed {}: {count} intents of {} events", name(&path), fixture.events.len()))?;
    Ok(true)
}

fn compare(fixture: &Fixture, found: &Record, out: &mut dyn Write) -> Result<bool, WorkbenchError> {
    let path = fixture.expected();
    let shown = name(&fixture.path);
    if !path.is_file() {
        let count = intents(found);
        say(
            out,
            format_args!(
                "wrong   {shown}: nothing is expected of it, it wanted {count} things: look at them with \
                 --bless, which writes {}",
                name(&path)
            ),
        )?;
        return Ok(false);
    }
    let expected = Record::parse(&read_text(&path)?)
        .map_err(|(line, what)| WorkbenchError::Project(format!("{}:{line}: {what}", path.display())))?;
    let differences = expected.differences(found);
    let dearer = expected.dearer(found);
    if differences.is_empty() && dearer.is_empty() {
        say(
            out,
            format_args!("good    {shown}: {} events, {} intents", fixture.events.len(), intents(found)),
        )?;
    }
    if !differences.is_empty() {
        let expected = name(&path);
        say(
            out,
            format_args!(
                "wrong   {shown}: not what is expected (line of the fixture, - {expected}, + found)"
            ),
        )?;
        differences.iter().try_for_each(|line| say(out, line))?;
    }
    for kind in &dearer {
        say(
            out,
            format_args!(
                "wrong   {shown}: {kind}: more than 10 % dearer; if that is meant, renew it with --bless"
            ),
        )?;
    }
    if expected.cost.is_none() {
        say(out, format_args!("note    {shown}: no cost is recorded yet: --bless does"))?;
    }
    for kind in expected.cheaper(found) {
        say(out, format_args!("note    {shown}: {kind}: cheaper; --bless holds it to that"))?;
    }
    Ok(differences.is_empty() && dearer.is_empty())
}

fn intents(record: &Record) -> usize {
    record.done.values().map(|done| done.intents.len()).sum()
}

/// The last part of a path.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
