//! `config show`.

use sandpit_contract::Exit;
use serde_json::{Value, json};

use super::{
    Common, Told,
    table::{Align, table},
};
use crate::{
    ambient,
    config::{Shown, show},
    run::Failure,
};

/// The configuration in force.
///
/// # Errors
/// [`Exit::Config`] when it is not valid.
pub(super) fn effective(common: &Common) -> Result<Told, Failure> {
    let all = show(&common.config, &ambient::environment());
    let all = all.map_err(|error| Failure::new(Exit::Config, error))?;
    let heads = [("KEY", Align::Left), ("FROM", Align::Left), ("VALUE", Align::Left)];
    let row = |Shown { key, value, from }: &Shown| {
        let value = match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        vec![key.clone(), from.clone(), value]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let values: Vec<Value> = all
        .into_iter()
        .map(|Shown { key, value, from }| json!({"key": key, "value": value, "from": from}))
        .collect();
    let file = common.config.display().to_string();
    Ok(Told { text: table(&heads, &rows), json: json!({"file": file, "values": values}), exit: Exit::Ok })
}
