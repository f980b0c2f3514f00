//! What the operator may set.

use serde::Deserialize;

/// The longest window, in minutes: a trading day.
pub(crate) const MAX_MINUTES: u32 = 390;

/// What the operator may set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Minutes over which the hedge ratio, the spread's deviation and its half-life are estimated.
    pub window_minutes: usize,
    /// It trades when the spread is this many standard deviations from its mean.
    pub entry_z: f64,
    /// It leaves when it is no more than this many from it.
    pub exit_z: f64,
    /// It gives up when it is this many from it.
    pub stop_z: f64,
    /// The longest half-life of a deviation that is traded, minutes.
    pub max_half_life_minutes: f64,
    /// It gives up after so many half-lives.
    pub max_hold_half_lives: f64,
    /// Share of the equity that both legs together may cost.
    pub fraction: f64,
    /// Whether to sell the rich leg short.
    pub shorts: bool,
    /// Minutes before the session's close from which on it only leaves.
    pub flatten_before_close_minutes: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            window_minutes: 120,
            entry_z: 2.0,
            exit_z: 0.5,
            stop_z: 4.0,
            max_half_life_minutes: 30.0,
            max_hold_half_lives: 3.0,
            fraction: 0.1,
            shorts: false,
            flatten_before_close_minutes: 15,
        }
    }
}

impl sandpit_sdk::Parameters for Parameters {
    const SCHEMA: &'static str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "pairs",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "window_minutes": {
      "type": "integer", "minimum": 20, "maximum": 390, "default": 120,
      "description": "Minutes over which hedge ratio, deviation and half-life of the spread are estimated."
    },
    "entry_z": {
      "type": "number", "minimum": 0.5, "maximum": 10, "default": 2,
      "description": "It trades when the spread is this many standard deviations from its mean."
    },
    "exit_z": {
      "type": "number", "minimum": -5, "maximum": 5, "default": 0.5,
      "description": "It leaves when the spread is no more than this many standard deviations from its mean."
    },
    "stop_z": {
      "type": "number", "minimum": 1, "maximum": 20, "default": 4,
      "description": "It gives up when the spread is this many standard deviations from its mean."
    },
    "max_half_life_minutes": {
      "type": "number", "minimum": 1, "maximum": 390, "default": 30,
      "description": "A spread whose deviations take longer than this to halve is not traded."
    },
    "max_hold_half_lives": {
      "type": "number", "minimum": 0.5, "maximum": 20, "default": 3,
      "description": "It gives up after so many half-lives of the spread."
    },
    "fraction": {
      "type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.1,
      "description": "Share of the equity that both legs together may cost when they are opened."
    },
    "shorts": {
      "type": "boolean", "default": false,
      "description": "Whether to sell the rich leg short. Without, only the cheap leg is bought, unhedged."
    },
    "flatten_before_close_minutes": {
      "type": "integer", "minimum": 1, "maximum": 389, "default": 15,
      "description": "Minutes before the session's close from which on it only leaves."
    }
  }
}"#;

    fn check(&self) -> Result<(), String> {
        let Self { entry_z, exit_z, stop_z, .. } = self;
        if !(exit_z < entry_z && entry_z < stop_z) {
            return Err(format!("exit_z < entry_z < stop_z must hold, not {exit_z}, {entry_z} and {stop_z}"));
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
        let check = |json: &str, expected: &str| {
            let found = Parameters::parse(json).err().unwrap_or_default();
            assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{json}: {found}");
        };
        check("", "");
        check(r#"{"shorts":true}"#, "");
        check(r#"{"entry_z":4}"#, "must hold, not 0.5, 4 and 4");
        check(r#"{"exit_z":2}"#, "must hold, not 2, 2 and 4");
        check(r#"{"window_minutes":19}"#, "window_minutes must be 20 to 390, not 19");
        check(r#"{"shorts":1}"#, "invalid type: integer `1`, expected a boolean");
        check(r#"{"short":true}"#, "unknown field `short`");
    }

    #[test]
    fn schema_and_page_tell_names_and_defaults() {
        sandpit_sdk::assert_schema_fits::<Parameters>();
        sandpit_sdk::assert_page_fits::<Parameters>(include_str!("../README.md"));
    }
}
