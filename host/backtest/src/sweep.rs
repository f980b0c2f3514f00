//! Many runs of one strategy with other parameters, on all cores, in an order that does not depend on them.

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use sandpit_data::{DataError, Reel};
use sandpit_types::MarketTime;
use serde_json::{Map, Number, Value};

use crate::{BacktestError, Outcome, Settings, run};

/// Values of one axis, and variants of a sweep.
pub const VARIANTS_MAX: usize = 10_000;

/// One parameter and the values that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The parameter's name.
    pub parameter: String,
    /// Its values, in order.
    pub values: Vec<Value>,
}

impl Axis {
    /// Reads `NAME=A..B:STEP` (both ends included), `NAME=A..B` (steps of one) or `NAME=V,V,V`.
    ///
    /// # Errors
    /// One sentence when it is none of these, or has more than [`VARIANTS_MAX`] values.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{text:?}: {what}; write it like fast=5..30:5 or kind=a,b");
        let (parameter, values) = text.split_once('=').ok_or_else(|| wrong("there is no ="))?;
        if parameter.is_empty() {
            return Err(wrong("there is no name before the ="));
        }
        let values = match values.split_once("..") {
            Some((first, rest)) => {
                let (last, step) = rest.split_once(':').unwrap_or((rest, "1"));
                let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
                let (Some(first), Some(last), Some(step)) = (number(first), number(last), number(step))
                else {
                    return Err(wrong("a range has numbers"));
                };
                steps(first, last, step).map_err(wrong)?
            }
            None => values.split(',').map(value).collect(),
        };
        if values.is_empty() || values.contains(&Value::String(String::new())) {
            return Err(wrong("a value is empty"));
        }
        Ok(Self { parameter: parameter.to_owned(), values })
    }
}

/// A value as JSON has it: a number, true or false, else a text.
pub fn value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

fn steps(first: f64, last: f64, step: f64) -> Result<Vec<Value>, &'static str> {
    if step <= 0.0 || last < first {
        return Err("a range goes up, by steps above zero");
    }
    // A last step that rounding has made a little short is one.
    let count = ((last - first) / step + 1e-9).floor();
    if count >= VARIANTS_MAX as f64 {
        return Err("these are too many values");
    }
    let at = |index: usize| first + step * index as f64;
    Ok((0..=count as usize).map(|index| number(at(index))).collect())
}

/// A whole number as such: strategies that want an integer take no 5.0.
fn number(value: f64) -> Value {
    let tidy = (value * 1e9).round() / 1e9;
    if tidy.fract() == 0.0 && tidy.abs() < 1e15 {
        return Value::Number((tidy as i64).into());
    }
    Number::from_f64(tidy).map_or(Value::Null, Value::Number)
}

/// Every combination of the axes' values, the last axis fastest.
///
/// # Errors
/// One sentence when there are more than [`VARIANTS_MAX`].
pub fn variants(axes: &[Axis]) -> Result<Vec<Map<String, Value>>, String> {
    let count = axes.iter().try_fold(1_usize, |count, axis| {
        count.checked_mul(axis.values.len()).filter(|count| *count <= VARIANTS_MAX)
    });
    if count.is_none() {
        return Err(format!("these sweeps make more than {VARIANTS_MAX} variants: take larger steps"));
    }
    let mut all = vec![Map::new()];
    for Axis { parameter, values } in axes {
        let with = |of: &Map<String, Value>, value: &Value| {
            let mut more = of.clone();
            more.insert(parameter.clone(), value.clone());
            more
        };
        all = all.iter().flat_map(|of| values.iter().map(move |value| with(of, value))).collect();
    }
    Ok(all)
}

/// Opens the data anew for each run, within a range of time where one is given.
pub type Open<'o> = dyn Fn(Option<Range<MarketTime>>) -> Result<Box<dyn Reel + Send>, DataError> + Sync + 'o;

/// Runs each variant on `threads` threads; what came of them is in the order of the variants. `told` hears of
/// each that has ended, from whichever thread, and ends the sweep by saying false: what did not run then is
/// `None`.
pub fn sweep(
    settings: &Settings,
    variants: &[Map<String, Value>],
    range: Option<Range<MarketTime>>,
    open: &Open<'_>,
    threads: usize,
    told: &(dyn Fn(usize) -> bool + Sync),
) -> Vec<Option<Result<Outcome, BacktestError>>> {
    let (next, ended, is_over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let outcomes: Vec<_> = variants.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(parameters) = variants.get(at) else { return };
            let outcome =
                one(settings, parameters, range.clone(), open, &|| !is_over.load(Ordering::Relaxed));
            *outcomes[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            if !told(ended.fetch_add(1, Ordering::Relaxed) + 1) {
                is_over.store(true, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, variants.len().max(1)) {
            scope.spawn(work);
        }
    });
    outcomes.into_iter().map(|cell| cell.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// Runs the strategy with these parameters in the place of the manifest's.
fn one(
    settings: &Settings,
    parameters: &Map<String, Value>,
    range: Option<Range<MarketTime>>,
    open: &Open<'_>,
    goes_on: &dyn Fn() -> bool,
) -> Result<Outcome, BacktestError> {
    let mut settings = settings.clone();
    settings.manifest.parameters.extend(parameters.clone());
    let mut reel = open(range)?;
    run(&settings, &mut *reel, &mut |_| goes_on())
}
