//! What the operator may set.

use serde::Deserialize;

/// The longest window, in bars: a trading day.
pub(crate) const MAX_BARS: u32 = 390;

/// What the operator may set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Bars over which mean and standard deviation are taken.
    pub window_bars: usize,
    /// It buys when the close is this many standard deviations below the mean.
    pub entry_z: f64,
    /// It leaves when the close is no more than this many standard deviations below the mean.
    pub exit_z: f64,
    /// The stop lies this many standard deviations below the price of the entry.
    pub stop_z: f64,
    /// But no further below it than this, in percent of the price.
    pub max_stop_percent: f64,
    /// Minutes after which it leaves whatever the price.
    pub max_hold_minutes: u32,
    /// Share of the equity that one position may cost.
    pub fraction: f64,
    /// Minutes before the session's close from which on it only leaves.
    pub flatten_before_close_minutes: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            window_bars: 30,
            entry_z: 2.0,
            exit_z: 0.0,
            stop_z: 2.0,
            max_stop_percent: 1.0,
            max_hold_minutes: 60,
            fraction: 0.05,
            flatten_before_close_minutes: 15,
        }
    }
}

impl sandpit_sdk::Parameters for Parameters {
    const SCHEMA: &'static str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "mean_reversion",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "window_bars": {
      "type": "integer", "minimum": 5, "maximum": 390, "default": 30,
      "description": "One-minute bars over which mean and standard deviation of the closes are taken."
    },
    "entry_z": {
      "type": "number", "minimum": 0.5, "maximum": 10, "default": 2,
      "description": "It buys when the close is this many standard deviations below the mean."
    },
    "exit_z": {
      "type": "number", "minimum": -5, "maximum": 5, "default": 0,
      "description": "It leaves when the close is no more than this many standard deviations below the mean."
    },
    "stop_z": {
      "type": "number", "minimum": 0.5, "maximum": 20, "default": 2,
      "description": "The stop lies this many standard deviations below the price of the entry."
    },
    "max_stop_percent": {
      "type": "number", "minimum": 0.3, "maximum": 10, "default": 1,
      "description": "The stop lies no further below the price of the entry than this many percent of it."
    },
    "max_hold_minutes": {
      "type": "integer", "minimum": 1, "maximum": 1440, "default": 60,
      "description": "Minutes after which it leaves whatever the price."
    },
    "fraction": {
      "type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.05,
      "description": "Share of the equity that one position may cost when it is opened."
    },
    "flatten_before_close_minutes": {
      "type": "integer", "minimum": 1, "maximum": 389, "default": 15,
      "description": "Minutes before the session's close from which on it only leaves."
    }
  }
}"#;

    fn check(&self) -> Result<(), String> {
        let Self { entry_z, exit_z, .. } = self;
        if exit_z >= entry_z {
            return Err(format!("exit_z must be below entry_z, not {exit_z} and {entry_z}"));
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
        check(r#"{"entry_z":1,"exit_z":0.9}"#, "");
        check(r#"{"entry_z":1,"exit_z":1}"#, "exit_z must be below entry_z, not 1 and 1");
        check(r#"{"window_bars":4}"#, "window_bars must be 5 to 390, not 4");
        check(r#"{"fraction":0}"#, "fraction must be above 0 and at most 1, not 0");
        check(r#"{"window":20}"#, "unknown field `window`");
    }

    #[test]
    fn schema_and_page_tell_names_and_defaults() {
        sandpit_sdk::assert_schema_fits::<Parameters>();
        sandpit_sdk::assert_page_fits::<Parameters>(include_str!("../README.md"));
    }
}
