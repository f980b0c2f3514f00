//! Many variants of one strategy.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use sandpit_backtest::{BacktestError, End, Outcome, sweep as run_all, variants};
use sandpit_contract::Exit;
use sandpit_data::{Reel, open};
use sandpit_report::{Sweep, Variant};
use serde_json::{Map, Value};

use super::{Asked, BacktestArgs, progress, write};
use crate::run::Failure;

/// Variants that are shown on the terminal: the best.
const SHOWN: usize = 10;

/// Runs every variant, and says which came out best.
///
/// # Errors
/// When there is nothing to run, or nothing to run it on.
pub(super) fn sweep(
    args: &BacktestArgs,
    asked: &Asked,
    goes_on: &AtomicBool,
) -> Result<(Exit, String), Failure> {
    let variants = variants(&args.sweep).map_err(|what| Failure::new(Exit::Usage, what))?;
    // Once, before many: bad data is said once.
    drop(open(&args.data, asked.wanted.clone()).map_err(crate::data::failure)?);
    let reel =
        |_| open(&args.data, asked.wanted.clone()).map(|files| Box::new(files) as Box<dyn Reel + Send>);
    let threads = threads(args);
    let bar = progress(variants.len() as u64);
    let told = |ended: usize| {
        bar.set_position(ended as u64);
        goes_on.load(Ordering::Relaxed)
    };
    let outcomes = run_all(&asked.settings, &variants, None, &reel, threads, &told);
    bar.finish_and_clear();
    let sweep = compared(args, asked, &variants, outcomes);
    if let Some(file) = &args.json {
        let json = serde_json::to_string_pretty(&sweep).unwrap_or_default();
        write(file, &format!("{json}\n"))?;
    }
    write(&args.report, &sweep.page())?;
    if args.json.as_deref() != Some("-".as_ref()) {
        show(&sweep);
    }
    let whole = sweep.variants.iter().filter(|variant| variant.report.is_some()).count();
    let exit = if whole == variants.len() { Exit::Ok } else { Exit::Incomplete };
    Ok((exit, format!("{} {whole} ran; the report is {}", sweep.warning(), args.report.display())))
}

/// Runs at a time.
pub(super) fn threads(args: &BacktestArgs) -> usize {
    args.threads.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from)
}

/// What came of each variant, as a sweep.
pub(super) fn compared(
    args: &BacktestArgs,
    asked: &Asked,
    variants: &[Map<String, Value>],
    outcomes: Vec<Option<Result<Outcome, BacktestError>>>,
) -> Sweep {
    let values = |variant: &Map<String, Value>| {
        args.sweep.iter().filter_map(|axis| variant.get(&axis.parameter).cloned()).collect()
    };
    Sweep {
        strategy: asked.settings.plugin.name().to_string(),
        axes: args.sweep.iter().map(|axis| (axis.parameter.clone(), axis.values.clone())).collect(),
        by: args.by.clone(),
        variants: variants.iter().zip(outcomes).map(|(of, outcome)| variant(values(of), outcome)).collect(),
    }
}

fn variant(values: Vec<Value>, outcome: Option<Result<Outcome, BacktestError>>) -> Variant {
    match outcome {
        None => Variant { values, report: None, end: "not run".to_owned() },
        Some(Err(error)) => Variant { values, report: None, end: error.to_string() },
        Some(Ok(outcome)) => {
            let is_whole = matches!(outcome.end, End::Finished | End::Tripped { .. });
            let report = is_whole.then(|| sandpit_report::report(&outcome.material));
            Variant { values, report, end: outcome.end.sentence() }
        }
    }
}

/// The best on the terminal.
fn show(sweep: &Sweep) {
    let names: Vec<&str> = sweep.axes.iter().map(|(name, _)| name.as_str()).collect();
    println!("  {:<30} {:>12}  ended", names.join(" "), sweep.by);
    for (variant, figure) in sweep.ranked().into_iter().take(SHOWN) {
        let values: Vec<String> = variant.values.iter().map(ToString::to_string).collect();
        let figure = figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.4}"));
        println!("  {:<30} {figure:>12}  {}", values.join(" "), variant.end);
    }
}
