//! What the operator may set.

use serde::Deserialize;

/// What the operator may set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Minutes after the open that make the range.
    pub range_minutes: u32,
    /// Minutes after the open from which on nothing is entered.
    pub last_entry_minutes: u32,
    /// The narrowest range that is traded, percent of the price.
    pub min_range_percent: f64,
    /// The widest.
    pub max_range_percent: f64,
    /// The profit lies this many heights of the range above its high.
    pub target_ranges: f64,
    /// The stop lies this many heights of the range below its high; 1 is its low.
    pub stop_ranges: f64,
    /// How far above the range's high an entry may pay, as a share of the range's height.
    pub chase_ranges: f64,
    /// Share of the equity that is lost when the stop is met.
    pub risk_fraction: f64,
    /// Share of the equity that one position may cost.
    pub fraction: f64,
    /// Minutes before the session's close from which on it only leaves.
    pub flatten_before_close_minutes: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            range_minutes: 15,
            last_entry_minutes: 120,
            min_range_percent: 0.2,
            max_range_percent: 3.0,
            target_ranges: 1.5,
            stop_ranges: 1.0,
            chase_ranges: 0.25,
            risk_fraction: 0.001,
            fraction: 0.05,
            flatten_before_close_minutes: 15,
        }
    }
}

impl sandpit_sdk::Parameters for Parameters {
    const SCHEMA: &'static str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "opening_range",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "range_minutes": {
      "type": "integer", "minimum": 1, "maximum": 240, "default": 15,
      "description": "Minutes after the open whose high and low are the opening range."
    },
    "last_entry_minutes": {
      "type": "integer", "minimum": 2, "maximum": 1440, "default": 120,
      "description": "Minutes after the open from which on nothing is entered."
    },
    "min_range_percent": {
      "type": "number", "minimum": 0.1, "maximum": 100, "default": 0.2,
      "description": "A range whose height is less than this many percent of its high is not traded."
    },
    "max_range_percent": {
      "type": "number", "minimum": 0.1, "maximum": 100, "default": 3,
      "description": "A range whose height is more than this many percent of its high is not traded."
    },
    "target_ranges": {
      "type": "number", "minimum": 0.5, "maximum": 20, "default": 1.5,
      "description": "The take-profit lies this many heights of the range above its high."
    },
    "stop_ranges": {
      "type": "number", "minimum": 0.5, "maximum": 5, "default": 1,
      "description": "The stop lies this many heights of the range below its high: 1 is its low."
    },
    "chase_ranges": {
      "type": "number", "minimum": 0, "maximum": 0.4, "default": 0.25,
      "description": "An entry pays at most this many heights of the range above its high."
    },
    "risk_fraction": {
      "type": "number", "exclusiveMinimum": 0, "maximum": 0.1, "default": 0.001,
      "description": "Share of the equity that is lost when the stop is met."
    },
    "fraction": {
      "type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.05,
      "description": "Share of the equity that one position may cost when it is opened, whatever the risk."
    },
    "flatten_before_close_minutes": {
      "type": "integer", "minimum": 1, "maximum": 389, "default": 15,
      "description": "Minutes before the session's close from which on it only leaves."
    }
  }
}"#;

    fn check(&self) -> Result<(), String> {
        let Self { range_minutes, last_entry_minutes, .. } = self;
        if range_minutes >= last_entry_minutes {
            return Err(format!(
                "range_minutes must be below last_entry_minutes, not {range_minutes} and \
                 {last_entry_minutes}"
            ));
        }
        let (least, most) = (self.min_range_percent, self.max_range_percent);
        if least > most {
            return Err(format!(
                "min_range_percent must not be above max_range_percent, {least} is above {most}"
            ));
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
        check(r#"{"range_minutes":30,"last_entry_minutes":31}"#, "");
        check(r#"{"range_minutes":120}"#, "must be below last_entry_minutes, not 120 and 120");
        check(r#"{"min_range_percent":4}"#, "4 is above 3");
        check(r#"{"stop_ranges":0}"#, "stop_ranges must be 0.5 to 5, not 0");
        check(r#"{"range":15}"#, "unknown field `range`");
    }

    #[test]
    fn schema_and_page_tell_names_and_defaults() {
        sandpit_sdk::assert_schema_fits::<Parameters>();
        sandpit_sdk::assert_page_fits::<Parameters>(include_str!("../README.md"));
    }
}
