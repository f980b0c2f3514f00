//! `sandpit alerts`: what fires, the table of signals for other programs, and a test of the ways out.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use clap::{Args, Subcommand, ValueEnum};
use sandpit_contract::Exit;
use sandpit_monitor::rules::{Table, documents, prometheus};
use sandpit_types::MarketTime;
use serde_json::{Value, json};

use super::{CONFIG, Common, Told, ask, config};
use crate::{ambient, run::Failure};

/// What fires of the rules of a running host.
///
/// What fires reaches a human through the watchdog. `--format` needs no host: it prints the table of signals,
/// with the thresholds of `[alerts]` in the configuration if there is one, as a file for another program.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AlertsArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Print the table of signals in this form instead.
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(subcommand)]
    action: Option<AlertsAction>,
}

#[derive(Subcommand)]
enum AlertsAction {
    /// Send a test over every way out of the watchdog, as `sandpit-watchdog alert-test` does.
    Test {
        /// The configuration file of the watchdog.
        #[arg(long, value_name = "FILE", default_value = "/etc/sandpit/watchdog.toml")]
        config: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A rule file for Prometheus.
    Prometheus,
    /// Unit tests of it for promtool; they look for it as `rules.yml` beside them. Signals with a threshold
    /// of your own are left out.
    PrometheusTests,
    /// A dashboard for Grafana.
    Grafana,
    /// Telegraf's configuration for scraping into InfluxDB.
    Telegraf,
    /// docs/signals.md.
    Markdown,
}

/// Runs it.
///
/// # Errors
/// [`Exit::NoHost`] and [`Exit::NotAllowed`] as of every command that looks; of a test what the watchdog's
/// program ends with.
pub(super) fn alerts(args: &AlertsArgs) -> Result<Told, Failure> {
    match (&args.action, args.format) {
        (Some(AlertsAction::Test { config }), _) => test(config),
        (None, Some(format)) => {
            let text = written(format, &in_force(&args.common)?);
            let json = json!({ "text": text });
            Ok(Told { text, json, exit: Exit::Ok })
        }
        (None, None) => Ok(listed(&ask::snapshot(&config(&args.common)?)?)),
    }
}

/// The thresholds of the configuration. Where none was installed and none is named, those of the program.
fn in_force(common: &Common) -> Result<Table, Failure> {
    if common.config == Path::new(CONFIG) && !common.config.exists() {
        return Ok(Table::default());
    }
    Ok(config(common)?.alerts)
}

fn written(format: Format, table: &Table) -> String {
    match format {
        Format::Prometheus => prometheus::rules(table),
        Format::PrometheusTests => prometheus::tests("rules.yml", prometheus::Pace::Minutes, table),
        Format::Grafana => documents::dashboard(table),
        Format::Telegraf => documents::telegraf(),
        Format::Markdown => documents::markdown(),
    }
}

/// What fires, worst first as it stands in the table.
fn listed(host: &Value) -> Told {
    let alerts = host["alerts"].clone();
    let word = |alert: &Value, name: &str| alert[name].as_str().unwrap_or("-").replace(char::is_control, " ");
    let entry = |alert: &Value| {
        let labels = alert["labels"].as_array().into_iter().flatten();
        let labels: Vec<String> = labels
            .map(|pair| format!("{} {}", pair[0].as_str().unwrap_or("-"), pair[1].as_str().unwrap_or("-")))
            .collect();
        let series = if labels.is_empty() { String::new() } else { format!(" ({})", labels.join(", ")) };
        let series = series.replace(char::is_control, " ");
        let since =
            alert["since_unix_s"].as_i64().map_or("-".to_owned(), |s| MarketTime::from_secs(s).to_string());
        let (severity, name) = (word(alert, "severity").to_uppercase(), word(alert, "name"));
        let (sentence, to_do) = (word(alert, "sentence"), word(alert, "to_do"));
        format!("{severity} {name}{series} since {since}\n  {sentence}\n  To do: {to_do}")
    };
    let text = match alerts.as_array().map(Vec::as_slice) {
        None => "this host is of a version without alerts".to_owned(),
        Some([]) => "nothing fires".to_owned(),
        Some(all) => all.iter().map(entry).collect::<Vec<_>>().join("\n"),
    };
    Told { text, json: json!({ "alerts": alerts }), exit: Exit::Ok }
}

/// The watchdog has the ways out: its program sends the test, says what came of it, and how it ended is how
/// this ends.
fn test(config: &PathBuf) -> Result<Told, Failure> {
    let program = sandpit_operator::program("sandpit-watchdog", &ambient::environment());
    let ended = Command::new(&program).arg("alert-test").arg("--config").arg(config).status();
    let ended = ended.map_err(|error| {
        let what = format!("{} cannot be run: {error}; install it beside sandpit", program.display());
        Failure::new(Exit::Failed, what)
    })?;
    let exit = ended.code().and_then(Exit::of).unwrap_or(Exit::Failed);
    Ok(Told { text: String::new(), json: Value::Null, exit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fires_is_shown_with_what_to_do_about_it() {
        let check = |alerts: Value, expected: &str| {
            let told = listed(&json!({ "alerts": alerts.clone() }));
            assert_eq!((told.text.as_str(), told.exit), (expected, Exit::Ok));
            assert_eq!(told.json, json!({ "alerts": alerts }));
        };
        check(json!([]), "nothing fires");
        check(Value::Null, "this host is of a version without alerts");
        let alert = json!({
            "name": "stream-down", "labels": [["stream", "ne\u{1b}ws"]], "severity": "warning",
            "action": "tell", "since_unix_s": 0, "sentence": "It does not deliver.", "to_do": "Read on.",
        });
        let text = "WARNING stream-down (stream ne ws) since 1970-01-01T00:00:00Z\n  It does not deliver.\n  \
                    To do: Read on.";
        check(json!([alert]), text);
    }

    #[test]
    fn every_format_is_something() {
        for format in Format::value_variants() {
            assert!(written(*format, &Table::default()).len() > 500);
        }
    }
}
