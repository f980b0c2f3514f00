//! The run: moments in their order, from the first event to the last.

use std::time::Duration;

use sandpit_data::Reel;
use sandpit_report::{Curve, Material, Subject};
use sandpit_types::{MarketEvent, MarketTime};

use crate::{
    BacktestError, End, Outcome, Settings,
    past::Past,
    stage::{Stage, Stop},
};

/// The account opens so long before the first event is known: a bar begins a minute before that.
const BEFORE: Duration = Duration::from_secs(60);

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events played.
    pub events: u64,
    /// The time that was reached.
    pub now: MarketTime,
}

/// Plays everything that `reel` holds. `watch` is told after each stretch of some thousand events, and ends
/// the run by saying false.
///
/// The same settings and data make the same outcome, to the bit.
///
/// # Errors
/// When the data cannot be used or holds nothing, or the strategy does not start. A strategy that fails later
/// ends the run: [`Outcome::end`].
pub fn run(
    settings: &Settings,
    reel: &mut dyn Reel,
    watch: &mut dyn FnMut(Progress) -> bool,
) -> Result<Outcome, BacktestError> {
    run_on(settings, None, reel, watch).map(|(outcome, _)| outcome)
}

/// The same, as one stretch of a longer one: `whole`, the curve of what was before, goes on through it. What
/// is
/// held at the end is counted as sold at the last price, for the next stretch begins with nothing but cash.
pub(crate) fn run_on(
    settings: &Settings,
    whole: Option<Curve>,
    reel: &mut dyn Reel,
    watch: &mut dyn FnMut(Progress) -> bool,
) -> Result<(Outcome, Option<Curve>), BacktestError> {
    let mut past = Past::new(settings);
    let mut events = past.until_start(reel)?;
    let Some(first) = events.first().map(MarketEvent::time) else { return Err(BacktestError::NoData) };
    let from = first - BEFORE;
    let mut stage = Stage::open(settings, from)?;
    stage.whole = whole;
    let mut progress = Progress { events: 0, now: from };
    let mut end = stage.warm_up(past.into_bars(), from).and_then(|()| stage.begin(from)).err();
    while end.is_none() && !events.is_empty() {
        let known = events.len();
        // The newest moment may go on in what is read next.
        let newest = events.last().map_or(first, MarketEvent::time);
        let whole = events.iter().rposition(|event| event.time() != newest).map_or(0, |last| last + 1);
        let played = stretch(&mut stage, &events[..whole], &mut progress)?;
        events.drain(..whole);
        end = played.err();
        reel.read(&mut events)?;
        if end.is_none() && events.len() == known - whole {
            end = stretch(&mut stage, &events, &mut progress)?.err();
            events.clear();
        }
        if end.is_none() && !watch(progress) {
            end = Some(Box::new(End::Interrupted { at: progress.now }));
        }
    }
    let end = end.map_or(End::Finished, |end| *end);
    stage.close();
    let whole = stage.whole.take();
    if whole.is_some() {
        stage.sell_out(progress.now);
    }
    Ok((outcome(settings, stage, end, from, progress), whole))
}

/// Plays moments, all of them whole.
fn stretch(
    stage: &mut Stage,
    mut events: &[MarketEvent],
    progress: &mut Progress,
) -> Result<Result<(), Stop>, BacktestError> {
    while let Some(first) = events.first() {
        let at = first.time();
        if at < progress.now {
            return Err(BacktestError::Unordered { before: progress.now, after: at });
        }
        let count = events.iter().position(|event| event.time() != at).unwrap_or(events.len());
        let (moment, rest) = events.split_at(count);
        events = rest;
        progress.now = at;
        progress.events += count as u64;
        if let Err(end) = stage.play(moment, at) {
            return Ok(Err(end));
        }
    }
    Ok(Ok(()))
}

fn outcome(
    settings: &Settings,
    mut stage: Stage,
    end: End,
    from: MarketTime,
    Progress { events, now }: Progress,
) -> Outcome {
    let fees_total = stage.fees();
    let held = stage.marks.held();
    if !held.is_empty() {
        stage.record.note(format!("still held at the end, at the last price: {}", held.join(", ")));
    }
    let open = stage.record.still_open();
    if open > 0 {
        stage.record.note(format!("{open} orders were still open at the end"));
    }
    let Settings { plugin, manifest, venue, realism, data, .. } = settings;
    let Stage { marks, curve, record, .. } = stage;
    let prices = marks.into_prices();
    let mut notes = vec![
        "Prices are taken to be free of corporate actions: splits and dividends are not accounted for."
            .to_owned(),
    ];
    notes.extend(record.notes);
    let subject = Subject {
        strategy: plugin.name().to_string(),
        version: plugin.description().version.clone(),
        sha256: plugin.sha256().to_owned(),
        parameters: serde_json::Value::Object(manifest.parameters.clone()),
        data: data.clone(),
        symbols: plugin.instruments(manifest).unwrap_or_default(),
        from,
        to: now,
        cash: venue.cash.to_f64(),
        realism: realism.clone(),
        seed: venue.seed,
        events,
        end: end.sentence(),
        is_whole: end.is_whole(),
        notes,
    };
    let (fills, orders, refusals) = (record.fills, record.orders, record.refusals);
    let material = Material { subject, curve, prices, fills, fees_total, orders, refusals };
    Outcome { end, material, events }
}
