//! What the operator may set.

use serde::Deserialize;

/// The longest average, in bars: a trading day.
pub(crate) const MAX_BARS: usize = 390;

/// What the operator may set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Bars in the fast average.
    pub fast: usize,
    /// Bars in the slow average.
    pub slow: usize,
    /// Share of the equity that one position may cost.
    pub fraction: f64,
    /// US dollars that one position may cost, instead.
    pub usd: Option<f64>,
    /// Minutes before the session's close from which on it only sells.
    pub flatten_before_close_minutes: Option<u32>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { fast: 5, slow: 20, fraction: 0.05, usd: None, flatten_before_close_minutes: None }
    }
}

impl sandpit_sdk::Parameters for Parameters {
    const SCHEMA: &'static str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "sma_cross",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "fast": {
      "type": "integer", "minimum": 1, "maximum": 389, "default": 5,
      "description": "Bars in the fast average; fewer than in the slow one."
    },
    "slow": {
      "type": "integer", "minimum": 2, "maximum": 390, "default": 20,
      "description": "Bars in the slow average."
    },
    "fraction": {
      "type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.05,
      "description": "Share of the equity that one position may cost when it is opened."
    },
    "usd": {
      "type": "number", "exclusiveMinimum": 0, "maximum": 1000000000,
      "description": "US dollars that one position may cost when it is opened, instead of fraction."
    },
    "flatten_before_close_minutes": {
      "type": "integer", "minimum": 1, "maximum": 389,
      "description": "Minutes before the session's close from which on positions are sold and none is opened."
    }
  }
}"#;

    fn check(&self) -> Result<(), String> {
        let Self { fast, slow, .. } = self;
        if fast >= slow {
            return Err(format!("fast must be below slow, not {fast} and {slow}"));
        }
        Ok(())
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
        check("{}", Ok(Parameters::default()));
        check(r#"{"fast":2,"slow":3}"#, Ok(Parameters { fast: 2, slow: 3, ..Parameters::default() }));
        check(r#"{"usd":5000}"#, Ok(Parameters { usd: Some(5000.0), ..Parameters::default() }));
        check(r#"{"fsat":2}"#, Err("unknown field `fsat`, expected one of `fast`"));
        check(r#"{"fast":"2"}"#, Err("invalid type: string \"2\""));
        check(r#"{"fast":20}"#, Err("not 20 and 20"));
        check(r#"{"fast":0}"#, Err("fast must be 1 to 389"));
        check(r#"{"slow":391}"#, Err("slow must be 2 to 390"));
        check(r#"{"fraction":1.5}"#, Err("fraction must be"));
        check(r#"{"usd":-1}"#, Err("usd must be"));
        check(r#"{"flatten_before_close_minutes":0}"#, Err("1 to 389"));
        check("[", Err("parameters: EOF"));
    }

    #[test]
    fn schema_and_page_tell_names_and_defaults() {
        sandpit_sdk::assert_schema_fits::<Parameters>();
        sandpit_sdk::assert_page_fits::<Parameters>(include_str!("../README.md"));
    }
}
