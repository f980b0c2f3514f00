//! What of a snapshot goes to the page, bounded in size. Pure.

use serde_json::{Map, Value, json};

use super::Fence;
use crate::Snapshot;

/// Entries of a list that are shown; how many there are more is said.
const MAX_ENTRIES: usize = 100;
/// Characters of a text that are shown.
const MAX_CHARS: usize = 400;

/// What the page shows, or may.
const SHOWN: [&str; 18] = [
    "market_time",
    "mode",
    "epoch",
    "reconciled",
    "frozen",
    "paused",
    "lease_ms_left",
    "equity_usd",
    "equity_start_usd",
    "rss_bytes",
    "data",
    "orders",
    "strategies",
    "refused",
    "streams",
    "positions",
    "open_orders",
    "alerts",
];
/// What it shows of a budget.
const OF_A_BUDGET: [&str; 6] = ["name", "windows", "queued", "http_429", "broker_left", "pause_secs_left"];

/// One event of the page as JSON on one line.
pub(crate) fn view(snapshot: &Snapshot, fence: &Fence) -> String {
    let Ok(Value::Object(mut all)) = serde_json::to_value(snapshot) else { return "{}".to_owned() };
    let mut shown = Map::new();
    let mut more = Map::new();
    for key in SHOWN {
        let Some(mut value) = all.remove(key) else { continue };
        if let Value::Array(entries) = &mut value
            && entries.len() > MAX_ENTRIES
        {
            more.insert(key.to_owned(), json!(entries.len() - MAX_ENTRIES));
        }
        bound(&mut value);
        shown.insert(key.to_owned(), value);
    }
    let mut budgets = all.remove("budgets").unwrap_or_default();
    for budget in budgets.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        budget.retain(|key, _| OF_A_BUDGET.contains(&key.as_str()));
    }
    bound(&mut budgets);
    shown.insert("budgets".to_owned(), budgets);
    shown.insert("more".to_owned(), Value::Object(more));
    let mut fence = serde_json::to_value(fence).unwrap_or_default();
    bound(&mut fence);
    shown.insert("fence".to_owned(), fence);
    Value::Object(shown).to_string()
}

/// Cuts lists and texts, at every depth.
pub(crate) fn bound(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((at, _)) = text.char_indices().nth(MAX_CHARS) {
                text.truncate(at);
                text.push('…');
            }
        }
        Value::Array(entries) => {
            entries.truncate(MAX_ENTRIES);
            entries.iter_mut().for_each(bound);
        }
        Value::Object(fields) => fields.values_mut().for_each(bound),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BudgetFigures, StrategyFigures};

    #[test]
    fn it_is_one_line_and_bounded_whatever_the_host_holds() {
        let strategy = |at: usize| StrategyFigures {
            name: format!("s{at}"),
            last_error: Some("ä\n".repeat(5_000)),
            symbols: vec!["SPY".to_owned(); 5_000],
            ..StrategyFigures::default()
        };
        let budget = BudgetFigures { name: "trading".into(), requests: 7, ..BudgetFigures::default() };
        let snapshot = Snapshot {
            strategies: (0..500).map(strategy).collect(),
            budgets: vec![budget],
            ..Snapshot::default()
        };
        let text = view(&snapshot, &Fence { state: Some("killed".into()), ..Fence::default() });
        assert!(!text.contains('\n') && text.len() < 250_000, "{} bytes", text.len());
        let view: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(view["strategies"].as_array().map(Vec::len), Some(MAX_ENTRIES));
        assert_eq!(view["more"]["strategies"], 400);
        assert_eq!(view["fence"]["state"], "killed");
        assert_eq!(view["budgets"][0]["name"], "trading");
        assert!(view["budgets"][0]["requests"].is_null() && view["steps"].is_null());
    }
}
