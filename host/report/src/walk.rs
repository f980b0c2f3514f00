//! A walk-forward: what was chosen on some days, and what came of it on the days after them.

use std::fmt::Write as _;

use sandpit_types::MarketTime;
use serde::Serialize;
use serde_json::Value;

use crate::{
    Material, Report, page,
    summary::{or_dash, percent},
    sweep::shown,
};

/// Steps on the page and the terminal, at most: the first.
const STEPS_MAX: usize = 200;

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WalkStep {
    /// The days of the choice begin.
    pub train_from: MarketTime,
    /// And end: the midnight of New York at which the trial begins.
    pub train_to: MarketTime,
    /// The trial ends at this midnight.
    pub test_to: MarketTime,
    /// The values that were chosen, in the order of the axes; `None` when no variant had the figure, and
    /// nothing was traded.
    pub values: Option<Vec<Value>>,
    /// The figure by which it was chosen, over the days of the choice.
    pub in_sample: Option<f64>,
    /// The same figure over the days of the trial.
    pub out_of_sample: Option<f64>,
    /// The annual return over the days of the choice.
    pub train_annual_return: Option<f64>,
    /// The return of the trial, from its start to its end.
    pub test_return: Option<f64>,
    /// How the trial ended.
    pub end: String,
}

/// A walk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WalkForward {
    /// The strategy.
    pub strategy: String,
    /// The swept parameters: name and values.
    pub axes: Vec<(String, Vec<Value>)>,
    /// By which figure of the report variants were chosen.
    pub by: String,
    /// Trading days of a choice; of the first, when all begin with the first day.
    pub train_days: usize,
    /// Trading days of a trial.
    pub test_days: usize,
    /// Whether the days of each choice begin with the first of all.
    pub is_anchored: bool,
    /// Variants that were tried for each choice.
    pub variants: usize,
    /// The steps, in order of time.
    pub steps: Vec<WalkStep>,
    /// Steps that were to be made.
    pub planned: usize,
    /// Why it ended early.
    pub early: Option<String>,
    /// The days of all trials as one; `None` when there was not one trial.
    pub report: Option<Report>,
}

impl WalkForward {
    /// Annual return of all trials by the average annual return of the choices they were made by (Pardo's
    /// walk-forward efficiency): near one, what was chosen held; `None` when the choices gained nothing.
    pub fn efficiency(&self) -> Option<f64> {
        let chosen: Vec<f64> = self.steps.iter().filter_map(|step| step.train_annual_return).collect();
        let average = chosen.iter().sum::<f64>() / chosen.len() as f64;
        let tried = self.report.as_ref()?.daily.annual_return?;
        (average > 0.0).then(|| tried / average)
    }

    /// What has to be said of it.
    pub fn warning(&self) -> String {
        let Self { variants, steps, planned, early, .. } = self;
        let mut text = format!(
            "{variants} variants were tried for each of {} choices; the figures are of the days after each, \
             which it had not seen. Between the trials the account is in cash. Whoever walks again with \
             other ranges or lengths until it pleases has chosen on these days, too.",
            steps.len()
        );
        if let Some(early) = early {
            let _ = write!(text, " It ended after {} of {planned} steps: {early}", steps.len());
        }
        text
    }

    /// A page: the steps, and the report of all trials as one.
    pub fn page(&self, material: Option<&Material>) -> String {
        let warning = format!("<div class=\"warn\">{}</div>", page::escaped(&self.warning()));
        let (Some(report), Some(material)) = (&self.report, material) else {
            let name = page::escaped(&self.strategy);
            let head = page::head(&format!("{name}: walk-forward"));
            return format!("{head}<h1>{name}</h1>{warning}{}</body></html>\n", self.table());
        };
        page::page_with(material, report, &(warning + &self.table()))
    }

    fn table(&self) -> String {
        let heads: String =
            self.axes.iter().map(|(name, _)| format!("<th>{}</th>", page::escaped(name))).collect();
        let by = page::escaped(&self.by);
        let mut text = format!(
            "<h2>Walk-forward, efficiency {}</h2><div class=\"scroll\"><table><tr><th>chosen \
             from</th><th>tried from</th><th>before</th>{heads}<th>{by} chosen</th><th>{by} \
             tried</th><th>return</th><th>ended</th></tr>",
            or_dash(self.efficiency(), |figure| format!("{figure:.2}"))
        );
        for step in self.steps.iter().take(STEPS_MAX) {
            let values = match &step.values {
                Some(values) => values.iter().map(|value| format!("<td>{}</td>", shown(value))).collect(),
                None => "<td>–</td>".repeat(self.axes.len()),
            };
            let figure = |figure| or_dash(figure, |figure: f64| format!("{figure:.4}"));
            let _ = write!(
                text,
                "<tr><td>{}</td><td>{}</td><td>{}</td>{values}<td>{}</td><td>{}</td><td>{}</td>\
                 <td>{}</td></tr>",
                day(step.train_from),
                day(step.train_to),
                day(step.test_to),
                figure(step.in_sample),
                figure(step.out_of_sample),
                or_dash(step.test_return, percent),
                page::escaped(&step.end)
            );
        }
        text + "</table></div>"
    }

    /// Some lines for a terminal.
    pub fn summary(&self) -> String {
        let names: Vec<&str> = self.axes.iter().map(|(name, _)| name.as_str()).collect();
        let mut text = format!(
            "  {:<12}{:<12}{:<24} {:>10} {:>10} {:>10}  ended\n",
            "tried from",
            "before",
            names.join(" "),
            "chosen",
            "tried",
            "return"
        );
        for step in self.steps.iter().take(STEPS_MAX) {
            let values: Vec<String> = step.values.iter().flatten().map(ToString::to_string).collect();
            let figure = |figure| or_dash(figure, |figure: f64| format!("{figure:.4}"));
            let _ = writeln!(
                text,
                "  {:<12}{:<12}{:<24} {:>10} {:>10} {:>10}  {}",
                day(step.train_to),
                day(step.test_to),
                values.join(" "),
                figure(step.in_sample),
                figure(step.out_of_sample),
                or_dash(step.test_return, percent),
                step.end
            );
        }
        let efficiency = or_dash(self.efficiency(), |figure| format!("{figure:.2}"));
        let _ = writeln!(text, "  walk-forward efficiency {efficiency}");
        text
    }
}

/// The day that begins at a midnight of New York.
fn day(midnight: MarketTime) -> String {
    midnight.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(annual: &[Option<f64>], report: Option<Report>) -> WalkForward {
        let step = |train: &Option<f64>| WalkStep {
            train_from: MarketTime::EPOCH,
            train_to: MarketTime::from_secs(86_400),
            test_to: MarketTime::from_secs(2 * 86_400),
            values: train.map(|_| vec![Value::from("<b>")]),
            in_sample: *train,
            out_of_sample: None,
            train_annual_return: *train,
            test_return: None,
            end: "finished".to_owned(),
        };
        WalkForward {
            strategy: "<s>".to_owned(),
            axes: vec![("a&b".to_owned(), vec![1.into()])],
            by: "daily.sharpe".to_owned(),
            train_days: 1,
            test_days: 1,
            is_anchored: false,
            variants: 1,
            steps: annual.iter().map(step).collect(),
            planned: 3,
            early: (annual.len() < 3).then(|| "the <strategy> failed".to_owned()),
            report,
        }
    }

    #[test]
    fn a_page_has_every_step_and_no_markup_of_others() {
        let mut material = crate::material::tests::empty();
        material.curve.push(MarketTime::from_secs(86_400), 1_010.0, 0.0, 0.0);
        material.curve.end_day(MarketTime::from_secs(86_400));
        for report in [None, Some(crate::report(&material))] {
            let page = walk(&[Some(0.1), None], report).page(Some(&material));
            assert_eq!(page.matches("1970-01-02").count(), 2, "{page}");
            assert!(
                page.contains("&lt;b&gt;") && page.contains("a&amp;b") && page.contains("&lt;strategy&gt;")
            );
            assert!(page.contains("after 2 of 3 steps"), "{page}");
        }
    }

    #[test]
    fn efficiency_is_what_trials_made_of_what_choices_promised() {
        let mut material = crate::material::tests::empty();
        for (day, equity) in [(1, 1_000.0), (2, 1_001.0), (366, 1_100.0)] {
            let close = MarketTime::from_secs(86_400 * day);
            material.curve.push(close, equity, 0.0, 0.0);
            material.curve.end_day(close);
        }
        let report = crate::report(&material);
        let annual = report.daily.annual_return.expect("a year");
        let check = |choices: &[Option<f64>], expected: Option<f64>| {
            assert_eq!(walk(choices, Some(report.clone())).efficiency(), expected);
        };
        check(&[Some(0.25), None, Some(0.5)], Some(annual / 0.375));
        check(&[Some(-0.2), Some(0.1)], None);
        check(&[None], None);
    }
}
