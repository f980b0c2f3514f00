//! What the operator may set.

use serde::Deserialize;

/// What the operator may set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Bars in the fast average.
    pub fast: u32,
    /// Bars in the slow average, and how many bars pass before the first decision.
    pub slow: u32,
    /// Shares of each order.
    pub shares: u32,
    /// An order each so many bars, whatever the averages say; 0: an order each cross.
    pub every: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { fast: 10, slow: 20, shares: 100, every: 0 }
    }
}

impl sandpit_sdk::Parameters for Parameters {
    const SCHEMA: &'static str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "ema_cross",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "fast": {
      "type": "integer", "minimum": 1, "maximum": 999999, "default": 10,
      "description": "Bars in the fast average; fewer than in the slow one."
    },
    "slow": {
      "type": "integer", "minimum": 2, "maximum": 1000000, "default": 20,
      "description": "Bars in the slow average, and before the first decision."
    },
    "shares": {
      "type": "integer", "minimum": 1, "maximum": 1000000, "default": 100,
      "description": "Shares of each order."
    },
    "every": {
      "type": "integer", "minimum": 0, "maximum": 1000000, "default": 0,
      "description": "An order each so many bars instead of each cross; 0 for crosses."
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
        let default = Parameters::default();
        check("", Ok(default.clone()));
        check(
            r#"{"fast":2000,"slow":20000}"#,
            Ok(Parameters { fast: 2000, slow: 20_000, ..default.clone() }),
        );
        check(r#"{"every":10,"shares":1}"#, Ok(Parameters { every: 10, shares: 1, ..default }));
        check(r#"{"fsat":2}"#, Err("unknown field `fsat`, expected one of `fast`"));
        check(r#"{"fast":20}"#, Err("not 20 and 20"));
        check(r#"{"fast":0}"#, Err("fast must be 1 to 999999"));
        check(r#"{"slow":1000001}"#, Err("slow must be 2 to 1000000"));
        check(r#"{"shares":0}"#, Err("shares must be 1 to 1000000"));
        check(r#"{"every":-1}"#, Err("invalid value: integer `-1`"));
        check("[", Err("parameters: EOF"));
    }

    #[test]
    fn schema_and_page_tell_names_and_defaults() {
        sandpit_sdk::assert_schema_fits::<Parameters>();
        sandpit_sdk::assert_page_fits::<Parameters>(include_str!("../README.md"));
    }
}
