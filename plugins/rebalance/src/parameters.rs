//! What the operator may set.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The largest share of the equity for one symbol when weights are equal: below the host's default limit of a
/// tenth, with room for prices to move.
const MAX_EQUAL_WEIGHT: f64 = 0.09;

/// What the operator may set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Share of the equity for each symbol.
    pub weights: Option<BTreeMap<String, f64>>,
    /// Share of the equity for all symbols together, when no weights are given.
    pub capital_fraction: f64,
    /// Minutes between two rebalances.
    pub every_minutes: u32,
    /// The share of the target by which a position may be off.
    pub drift: f64,
    /// Minutes an order may rest before it crosses the spread.
    pub patience_minutes: u32,
    /// How far an order that crosses may follow the quote while it waits in the host's queue, as a share of
    /// its price.
    pub slippage: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            weights: None,
            capital_fraction: 0.5,
            every_minutes: 30,
            drift: 0.01,
            patience_minutes: 2,
            slippage: 0.002,
        }
    }
}

impl sandpit_sdk::Parameters for Parameters {
    const SCHEMA: &'static str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "rebalance",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "weights": {
      "type": "object",
      "additionalProperties": { "type": "number", "minimum": 0, "maximum": 1 },
      "description": "Share of the equity per symbol; one left out is sold. Equal weights when absent."
    },
    "capital_fraction": {
      "type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.5,
      "description": "Share of the equity for all symbols, at most 0.09 each, when weights is absent."
    },
    "every_minutes": {
      "type": "integer", "minimum": 1, "maximum": 1440, "default": 30,
      "description": "Minutes between two rebalances."
    },
    "drift": {
      "type": "number", "minimum": 0, "maximum": 1, "default": 0.01,
      "description": "A position this near to its target, as a share of the target, is left alone."
    },
    "patience_minutes": {
      "type": "integer", "minimum": 0, "maximum": 1440, "default": 2,
      "description": "Minutes an order rests on our side of the spread before it crosses; 0 crosses at once."
    },
    "slippage": {
      "type": "number", "minimum": 0, "maximum": 0.1, "default": 0.002,
      "description": "Share of its price by which a crossing order may follow the quote while it waits."
    }
  }
}"#;

    fn check(&self) -> Result<(), String> {
        let weights = self.weights.iter().flatten();
        if let Some((symbol, weight)) = weights.clone().find(|(_, weight)| !(0.0..=1.0).contains(*weight)) {
            return Err(format!("the weight of {symbol} must be 0 to 1, not {weight}"));
        }
        let sum: f64 = weights.map(|(_, weight)| weight).sum();
        if sum > 1.0 + 1e-9 {
            return Err(format!("the weights add up to {sum}, at most 1 is allowed"));
        }
        Ok(())
    }
}

impl Parameters {
    /// The share of the equity for each of these symbols.
    ///
    /// # Errors
    /// When a weight is given for a symbol that is not among them.
    pub fn weights_of(&self, symbols: &[String]) -> Result<Vec<f64>, String> {
        let Some(weights) = &self.weights else {
            let equal = self.capital_fraction / symbols.len().max(1) as f64;
            return Ok(vec![equal.min(MAX_EQUAL_WEIGHT); symbols.len()]);
        };
        if let Some(stranger) = weights.keys().find(|symbol| !symbols.contains(symbol)) {
            return Err(format!(
                "parameters: weights names {stranger}, which is not among this strategy's symbols ({})",
                symbols.join(", ")
            ));
        }
        Ok(symbols.iter().map(|symbol| weights.get(symbol).copied().unwrap_or(0.0)).collect())
    }
}

#[cfg(test)]
mod tests {
    use sandpit_sdk::Parameters as _;

    use super::*;

    #[test]
    fn parameters_are_read_or_refused() {
        let check = |json: &str, expected: Result<Parameters, &str>| match (Parameters::parse(json), expected)
        {
            (Ok(found), expected) => assert_eq!(Ok(found), expected, "{json}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{json}: {error}"),
            (Err(error), Ok(_)) => panic!("{json}: {error}"),
        };
        check("", Ok(Parameters::default()));
        check(r#"{"every_minutes":5}"#, Ok(Parameters { every_minutes: 5, ..Parameters::default() }));
        let weights = Some(BTreeMap::from([("SPY".to_owned(), 0.05)]));
        check(r#"{"weights":{"SPY":0.05}}"#, Ok(Parameters { weights, ..Parameters::default() }));
        check(r#"{"weight":{}}"#, Err("unknown field `weight`, expected one of `weights`"));
        check(r#"{"weights":{"SPY":-0.1}}"#, Err("the weight of SPY must be 0 to 1"));
        check(r#"{"weights":{"A":0.6,"B":0.6}}"#, Err("add up to 1.2"));
        check(r#"{"capital_fraction":0}"#, Err("capital_fraction must be above 0"));
        check(r#"{"every_minutes":0}"#, Err("every_minutes must be 1"));
        check(r#"{"drift":2}"#, Err("drift must be 0 to 1"));
        check(r#"{"slippage":0.2}"#, Err("slippage must be 0 to 0.1"));
        check(r#"{"patience_minutes":1441}"#, Err("patience_minutes must be 0"));
    }

    #[test]
    fn weights_fit_the_symbols() {
        let check = |json: &str, symbols: &[&str], expected: Result<&[f64], &str>| {
            let symbols: Vec<String> = symbols.iter().map(|&symbol| symbol.to_owned()).collect();
            match (Parameters::parse(json).expect(json).weights_of(&symbols), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{json}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{json}: {error}"),
                (found, expected) => panic!("{json}: {found:?}, expected {expected:?}"),
            }
        };
        check("", &["A", "B"], Ok(&[0.09, 0.09]));
        check("", &["A"; 10], Ok(&[0.05; 10]));
        check("", &[], Ok(&[]));
        check(r#"{"capital_fraction":0.1}"#, &["A", "B"], Ok(&[0.05, 0.05]));
        check(r#"{"weights":{"B":0.3}}"#, &["A", "B"], Ok(&[0.0, 0.3]));
        check(r#"{"weights":{"C":0.3}}"#, &["A", "B"], Err("names C, which is not among"));
    }

    #[test]
    fn schema_and_page_tell_names_and_defaults() {
        sandpit_sdk::assert_schema_fits::<Parameters>();
        sandpit_sdk::assert_page_fits::<Parameters>(include_str!("../README.md"));
    }
}
