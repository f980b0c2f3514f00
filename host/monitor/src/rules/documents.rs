//! The [table] for people and for other programs: docs/signals.md, a dashboard, an example of scraping.

mod grafana;

use std::fmt::Write;

pub use self::grafana::dashboard;
use super::{
    prometheus::{alert_name, span, threshold},
    signal::{Action, Side, Signal, Source, Test},
    table,
};

/// docs/signals.md.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Signals\n\n\
         Made by `sandpit alerts --format markdown` from the one table of signals; do not edit it by \
         hand.\n\n\
         A signal fires when its value is beyond its threshold for as long as *held*, and is over when it \
         has been good for as long as *settles*. What is not known fires nothing and ends \
         nothing; a signal that had its figures and lacks them for ten minutes fires `blind`.\n\n\
         While a signal that *stops entries* fires, orders that add risk are refused as `entries-stopped`; \
         exits and cancels go on, and entries are taken again when it is over. One that *freezes* freezes \
         the host until an operator says `sandpit unfreeze`.\n\n\
         `[alerts]` in sandpit.toml changes a threshold or leaves a signal out, such as \
         `slippage = { threshold = 0.001 }` or `budget-use = { enabled = false }`, in the base units of the \
         table: 0.02 is 2 %, 0.0005 is 5 bp. One that stops entries or freezes can only be tightened.\n",
    );
    for (severity, heading) in [
        (super::Severity::Critical, "Critical: somebody has to look at it now"),
        (super::Severity::Warning, "Warning: somebody has to look at it today"),
        (super::Severity::Info, "Info: worth knowing by day"),
    ] {
        let _ = write!(out, "\n## {heading}\n");
        for signal in table::signals().filter(|signal| signal.severity == severity) {
            section(&mut out, signal);
        }
    }
    out
}

fn section(out: &mut String, signal: &Signal) {
    let side = match signal.side {
        Side::Above => "above",
        Side::Below => "below",
    };
    let (limit, window) = (threshold(signal), signal.window());
    let _ = write!(out, "\n### {}\n\n{}.\n\n", signal.name, capital(signal.what));
    let _ = match signal.test {
        Test::Usual(_) => writeln!(out, "- fires: further from {limit} than that"),
        _ => writeln!(out, "- fires: {side} {limit}"),
    };
    let _ = write!(out, "- held {}, settles {}", span(signal.hold), span(signal.settle));
    if !window.is_zero() {
        let _ = write!(out, ", window {}", span(window));
    }
    let _ = writeln!(out);
    let _ = match signal.action {
        Action::Tell => Ok(()),
        Action::StopEntries => writeln!(out, "- the host stops entries"),
        Action::Freeze => writeln!(out, "- the host freezes"),
    };
    let _ = match signal.source {
        Source::BuiltInOnly => writeln!(out, "- in Prometheus: not there; only the host judges it"),
        Source::Value(..) | Source::Condition(_) => {
            writeln!(out, "- in Prometheus: `{}`", alert_name(signal))
        }
    };
    let _ = writeln!(out, "- to do: {}", signal.to_do);
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// An example for Telegraf: both pages into InfluxDB.
pub fn telegraf() -> String {
    "# Made by `sandpit alerts --format telegraf`: the pages of host and watchdog into InfluxDB 2.\n\
     # Set PANEL_TOKEN (the host's, without which it shows no money) and INFLUX_TOKEN in Telegraf's \
     environment.\n\
     [agent]\n\
     \x20 interval = \"15s\"\n\n\
     [[inputs.prometheus]]\n\
     \x20 urls = [\"http://127.0.0.1:8080/metrics\"]\n\
     \x20 metric_version = 2\n\
     \x20 timeout = \"5s\"\n\
     \x20 [inputs.prometheus.http_headers]\n\
     \x20   Authorization = \"Bearer ${PANEL_TOKEN}\"\n\n\
     [[inputs.prometheus]]\n\
     \x20 urls = [\"http://127.0.0.1:8081/metrics\"]\n\
     \x20 metric_version = 2\n\
     \x20 timeout = \"5s\"\n\n\
     [[outputs.influxdb_v2]]\n\
     \x20 urls = [\"http://127.0.0.1:8086\"]\n\
     \x20 token = \"${INFLUX_TOKEN}\"\n\
     \x20 organization = \"sandpit\"\n\
     \x20 bucket = \"sandpit\"\n"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/signals.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        let says = "docs/signals.md is not what the table makes: sandpit alerts --format markdown";
        assert!(page == markdown(), "{says}");
        for signal in table::signals() {
            assert_eq!(page.matches(&format!("### {}\n", signal.name)).count(), 1, "{}", signal.name);
        }
    }

    #[test]
    fn the_example_for_telegraf_scrapes_both_and_holds_no_secret() {
        let text = telegraf();
        assert_eq!(text.matches("[[inputs.prometheus]]").count(), 2);
        assert!(text.contains("Bearer ${PANEL_TOKEN}"));
    }
}
