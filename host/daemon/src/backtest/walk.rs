//! A walk-forward over many variants of one strategy.

use std::sync::atomic::{AtomicBool, Ordering};

use sandpit_backtest::{Step, Walk, Walked, Window, variants, walk_forward};
use sandpit_contract::Exit;
use sandpit_data::{Reel, Wanted, open, trading_days};
use sandpit_report::{Variant, WalkForward, WalkStep};

use super::{
    Asked, BacktestArgs, failed,
    many::{compared, threads},
    progress, write,
};
use crate::run::Failure;

/// What was chosen at a step: the variant, its figure and its annual return on the days of the choice.
type Chosen = Option<(Variant, f64)>;

/// Walks, and says what came of the days that no choice had seen.
///
/// # Errors
/// When there is nothing to run, or nothing to run it on.
pub(super) fn walk(
    args: &BacktestArgs,
    asked: &Asked,
    walk: Walk,
    goes_on: &AtomicBool,
) -> Result<(Exit, String), Failure> {
    let usage = |what: String| Failure::new(Exit::Usage, what);
    let walk = Walk { is_anchored: args.anchored, ..walk };
    let variants = variants(&args.sweep).map_err(usage)?;
    let within = Wanted { from: asked.settings.start, ..asked.wanted.clone() };
    let mut files = open(&args.data, within).map_err(crate::data::failure)?;
    let days = trading_days(&mut files).map_err(crate::data::failure)?;
    let windows = walk.windows(&days).map_err(usage)?;
    let bar = progress((windows.len() * variants.len()) as u64);
    let told = |ended: usize| {
        bar.set_position(ended as u64);
        goes_on.load(Ordering::Relaxed)
    };
    let reel = |range: Option<std::ops::Range<_>>| {
        let (from, to) = range.map_or((None, None), |range| (Some(range.start), Some(range.end)));
        let wanted = Wanted { from, to, ..asked.wanted.clone() };
        open(&args.data, wanted).map(|files| Box::new(files) as Box<dyn Reel + Send>)
    };
    let mut chosen: Vec<Chosen> = Vec::new();
    let mut choose = |_: &Window, outcomes| {
        let mut sweep = compared(args, asked, &variants, outcomes);
        let best = sweep.best();
        chosen.push(best.map(|(at, figure)| (sweep.variants.swap_remove(at), figure)));
        best.map(|(at, _)| at)
    };
    let walked = walk_forward(&asked.settings, &variants, &windows, &reel, threads(args), &mut choose, &told);
    bar.finish_and_clear();
    let Walked { steps, mut material, early } = walked.map_err(failed)?;
    if let Some(material) = &mut material {
        material.subject.notes.extend(files.findings().lines());
        if let Some(early) = &early {
            material.subject.end.clone_from(early);
        }
    }
    let found = WalkForward {
        strategy: asked.settings.plugin.name().to_string(),
        axes: args.sweep.iter().map(|axis| (axis.parameter.clone(), axis.values.clone())).collect(),
        by: args.by.clone(),
        train_days: walk.train,
        test_days: walk.test,
        is_anchored: walk.is_anchored,
        variants: variants.len(),
        steps: windows
            .iter()
            .zip(steps)
            .zip(chosen)
            .map(|((at, step), of)| told_of(args, at, step, of))
            .collect(),
        planned: windows.len(),
        early,
        report: material.as_ref().map(sandpit_report::report),
    };
    if let Some(file) = &args.json {
        let json = serde_json::to_string_pretty(&found).unwrap_or_default();
        write(file, &format!("{json}\n"))?;
    }
    write(&args.report, &found.page(material.as_ref()))?;
    if args.json.as_deref() != Some("-".as_ref()) {
        print!("{}", found.summary());
        found.report.iter().for_each(|report| print!("{}", sandpit_report::summary(report)));
    }
    let exit = if found.early.is_none() { Exit::Ok } else { Exit::Incomplete };
    Ok((exit, format!("{} The report is {}", found.warning(), args.report.display())))
}

/// One step, for the report.
fn told_of(args: &BacktestArgs, window: &Window, step: Step, chosen: Chosen) -> WalkStep {
    let tried = step.tried.as_ref().map(|outcome| sandpit_report::report(&outcome.material));
    let (values, in_sample, train_annual_return) = match chosen {
        Some((Variant { values, report, .. }, figure)) => {
            (Some(values), Some(figure), report.and_then(|report| report.daily.annual_return))
        }
        None => (None, None, None),
    };
    let end = match &step.tried {
        Some(outcome) => outcome.end.sentence(),
        None => format!("no variant has {} on the days of the choice: nothing was traded", args.by),
    };
    WalkStep {
        train_from: window.train.start,
        train_to: window.train.end,
        test_to: window.tried().end,
        values,
        in_sample,
        out_of_sample: tried.as_ref().and_then(|report| report.figure(&args.by)),
        train_annual_return,
        test_return: tried.and_then(|report| report.daily.total_return),
        end,
    }
}
