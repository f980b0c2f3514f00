//! A dashboard for Grafana: a panel a signal, with its threshold.

use serde_json::{Value, json};

use super::super::{
    Table,
    prometheus::{record, span},
    signal::{Severity, Side, Signal, Source, Test, Unit},
};

/// It never changes, so that a newer dashboard takes the older one's place.
const UID: &str = "sandpit-signals";
const WIDTH: u64 = 8;
const HEIGHT: u64 = 7;
const COLUMNS: u64 = 3;

/// The dashboard, JSON: of the signals that are judged, with the thresholds in force.
pub fn dashboard(table: &Table) -> String {
    let mut panels = vec![firing()];
    panels.extend(table.signals().zip(0..).map(|(signal, at)| panel(signal, at)));
    let dashboard = json!({
        "uid": UID,
        "title": "Sandpit: signals",
        "tags": ["sandpit"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "refresh": "15s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
            {
                "name": "instance", "label": "Host", "type": "query", "datasource": source(),
                "query": {"query": "label_values(sandpit_reconciled, instance)", "refId": "instance"},
                "refresh": 2, "includeAll": true, "multi": true, "allValue": ".*",
            },
        ]},
        "panels": panels,
    });
    let mut text = serde_json::to_string_pretty(&dashboard).expect("texts and numbers, which JSON can hold");
    text.push('\n');
    text
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// All that fires, on top.
fn firing() -> Value {
    json!({
        "id": 1,
        "type": "table",
        "title": "What fires",
        "datasource": source(),
        "gridPos": {"x": 0, "y": 0, "w": WIDTH * COLUMNS, "h": HEIGHT},
        "targets": [{
            "refId": "A", "instant": true, "format": "table", "datasource": source(),
            "expr": "sandpit_signal_firing{instance=~\"$instance\"} > 0",
        }],
    })
}

fn panel(signal: &Signal, at: u64) -> Value {
    let unit = match signal.unit {
        Unit::Ratio | Unit::BasisPoints => "percentunit",
        Unit::Seconds => "s",
        Unit::Usd => "currencyUSD",
        Unit::Count | Unit::Flag => "short",
    };
    let bad = if signal.severity == Severity::Info { "orange" } else { "red" };
    let steps = match (signal.side, limit(signal)) {
        (_, None) => json!([{"color": "green", "value": null}]),
        (Side::Above, Some(limit)) => {
            json!([{"color": "green", "value": null}, {"color": bad, "value": limit}])
        }
        (Side::Below, Some(limit)) => {
            json!([{"color": bad, "value": null}, {"color": "green", "value": limit}])
        }
    };
    json!({
        "id": at + 2,
        "type": "timeseries",
        "title": signal.name,
        "description": format!("{}. To do: {}", signal.what, signal.to_do),
        "datasource": source(),
        "gridPos": {
            "x": at % COLUMNS * WIDTH, "y": HEIGHT + at / COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT,
        },
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "custom": {"thresholdsStyle": {"mode": "line"}},
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "targets": [{"refId": "A", "datasource": source(), "expr": expression(signal)}],
    })
}

/// The line to be drawn; none where the threshold moves, or where the panel shows how many series fire.
fn limit(signal: &Signal) -> Option<f64> {
    match (signal.source, signal.test) {
        (Source::Value(..), Test::Usual(_)) => None,
        (Source::Value(..), _) => Some(signal.limit),
        // How many of its series fire.
        (Source::Condition(_) | Source::BuiltInOnly, _) => Some(0.5),
    }
}

fn expression(signal: &Signal) -> String {
    match (signal.source, signal.test) {
        // What the recording rule keeps, so that the panel shows what is compared with the usual.
        (Source::Value(..), Test::Usual(_)) => record(signal),
        (Source::Value(value, _), _) => value.replace("{window}", &span(signal.window())),
        (Source::Condition(_) | Source::BuiltInOnly, _) => {
            format!("sandpit_signal_firing{{signal=\"{}\",instance=~\"$instance\"}}", signal.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fmt::Write as _, fs, process::Command};

    use super::*;
    use crate::rules::{Own, prometheus::condition, table};

    #[test]
    fn a_threshold_of_an_operator_is_the_line_that_is_drawn() {
        let own = Own { threshold: Some(0.001), enabled: None };
        let table = Table::with(&[("slippage".to_owned(), own)].into()).expect("it may be");
        let dashboard: Value = serde_json::from_str(&dashboard(&table)).expect("JSON");
        let panels = dashboard["panels"].as_array().expect("panels");
        let panel = panels.iter().find(|panel| panel["title"] == "slippage").expect("it is judged");
        assert_eq!(panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"], 0.001);
    }

    #[test]
    fn every_signal_has_its_panel_and_no_two_lie_on_each_other() {
        let dashboard: Value = serde_json::from_str(&dashboard(&Table::default())).expect("JSON");
        assert_eq!(dashboard["uid"], UID);
        let panels = dashboard["panels"].as_array().expect("panels");
        assert_eq!(panels.len(), table::signals().count() + 1);
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in panels {
            assert!(ids.insert(panel["id"].as_u64()), "two panels of one id");
            let grid = |name: &str| panel["gridPos"][name].as_u64().expect("a number");
            assert!(grid("x") + grid("w") <= 24);
            for cell in (grid("x")..grid("x") + grid("w"))
                .flat_map(|x| (grid("y")..grid("y") + grid("h")).map(move |y| (x, y)))
            {
                assert!(taken.insert(cell), "{} lies on another one", panel["title"]);
            }
            assert_eq!(panel["targets"][0]["datasource"]["uid"], "${datasource}");
        }
        for signal in table::signals() {
            let panel = panels.iter().find(|panel| panel["title"] == signal.name).expect(signal.name);
            let steps = &panel["fieldConfig"]["defaults"]["thresholds"]["steps"];
            let shows = matches!(signal.source, Source::Value(..)) && !matches!(signal.test, Test::Usual(_));
            assert!(!shows || steps[1]["value"] == signal.limit, "{}: {steps}", signal.name);
            assert!(condition(signal).is_some() || signal.source == Source::BuiltInOnly);
        }
    }

    #[test]
    fn prometheus_understands_every_expression() {
        if Command::new("promtool").arg("--version").output().is_err() {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr().lock(), "SKIPPED, promtool is not on the PATH");
            return;
        }
        let dashboard: Value = serde_json::from_str(&dashboard(&Table::default())).expect("JSON");
        let mut rules = String::from("groups:\n- name: panels\n  rules:\n");
        for (at, panel) in dashboard["panels"].as_array().expect("panels").iter().enumerate() {
            let expression = panel["targets"][0]["expr"].as_str().expect("an expression");
            let expression = expression.replace("$instance", ".*").replace('\'', "''");
            let _ = writeln!(rules, "  - record: panel:{at}:of\n    expr: '{expression}'");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("panels.yml");
        fs::write(&path, rules).expect("written");
        let out = Command::new("promtool").args(["check", "rules"]).arg(&path).output().expect("promtool");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
}
