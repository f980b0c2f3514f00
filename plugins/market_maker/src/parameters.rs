//! What the operator may set.

use serde::Deserialize;

/// What the operator may set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Shares of each quote.
    pub quote_shares: u32,
    /// Shares it wants to hold: it is short of them below, and long of them above.
    pub target_shares: u32,
    /// The most shares it ever holds.
    pub max_shares: u32,
    /// The least distance of a quote from the reservation price, basis points.
    pub min_half_spread_bps: f64,
    /// The same in standard deviations of the price over the horizon.
    pub half_spread_sigmas: f64,
    /// How far the reservation price moves at full inventory, standard deviations over the horizon.
    pub risk_aversion: f64,
    /// How long an inventory is expected to be held, seconds.
    pub horizon_seconds: u32,
    /// Seconds between two looks at the quotes.
    pub requote_seconds: u32,
    /// A quote that is off by less stays, basis points.
    pub tolerance_bps: f64,
    /// The loss in a session, US dollars, after which it leaves and stays out.
    pub max_loss_usd: f64,
    /// Minutes before the session's close from which on it only leaves.
    pub flatten_before_close_minutes: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            quote_shares: 2,
            target_shares: 5,
            max_shares: 10,
            min_half_spread_bps: 2.0,
            half_spread_sigmas: 0.5,
            risk_aversion: 1.0,
            horizon_seconds: 60,
            requote_seconds: 5,
            tolerance_bps: 0.5,
            max_loss_usd: 50.0,
            flatten_before_close_minutes: 15,
        }
    }
}

impl sandpit_sdk::Parameters for Parameters {
    const SCHEMA: &'static str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "market_maker",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "quote_shares": {
      "type": "integer", "minimum": 1, "maximum": 1000000, "default": 2,
      "description": "Shares of each quote."
    },
    "target_shares": {
      "type": "integer", "minimum": 1, "maximum": 1000000, "default": 5,
      "description": "Shares it wants to hold: quotes are skewed to come back to them. Nothing is sold short."
    },
    "max_shares": {
      "type": "integer", "minimum": 2, "maximum": 1000000, "default": 10,
      "description": "The most shares it ever holds, its bid counted as filled."
    },
    "min_half_spread_bps": {
      "type": "number", "minimum": 0.1, "maximum": 500, "default": 2,
      "description": "The least distance of a quote from the reservation price, basis points."
    },
    "half_spread_sigmas": {
      "type": "number", "minimum": 0, "maximum": 10, "default": 0.5,
      "description": "The same in standard deviations of the price over the horizon; the larger one counts."
    },
    "risk_aversion": {
      "type": "number", "minimum": 0, "maximum": 10, "default": 1,
      "description": "How far the reservation price moves at full inventory, standard deviations."
    },
    "horizon_seconds": {
      "type": "integer", "minimum": 1, "maximum": 23400, "default": 60,
      "description": "How long an inventory is expected to be held, seconds."
    },
    "requote_seconds": {
      "type": "integer", "minimum": 1, "maximum": 300, "default": 5,
      "description": "Seconds between two looks at the quotes: each may cost two requests a symbol."
    },
    "tolerance_bps": {
      "type": "number", "minimum": 0, "maximum": 100, "default": 0.5,
      "description": "A quote that is off by no more than this stays in its place, basis points."
    },
    "max_loss_usd": {
      "type": "number", "exclusiveMinimum": 0, "maximum": 1000000, "default": 50,
      "description": "The loss of a symbol in a session after which it is left until the next, US dollars."
    },
    "flatten_before_close_minutes": {
      "type": "integer", "minimum": 1, "maximum": 389, "default": 15,
      "description": "Minutes before the session's close from which on it only leaves."
    }
  }
}"#;

    fn check(&self) -> Result<(), String> {
        let Self { quote_shares, target_shares, max_shares, .. } = self;
        if target_shares >= max_shares {
            return Err(format!(
                "target_shares must be below max_shares, not {target_shares} and {max_shares}"
            ));
        }
        if quote_shares > max_shares {
            return Err(format!(
                "quote_shares must not be above max_shares, {quote_shares} is above {max_shares}"
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
        check(r#"{"target_shares":10}"#, "target_shares must be below max_shares, not 10 and 10");
        check(r#"{"quote_shares":11}"#, "11 is above 10");
        check(r#"{"requote_seconds":0}"#, "requote_seconds must be 1 to 300, not 0");
        check(r#"{"max_loss_usd":0}"#, "max_loss_usd must be above 0");
        check(r#"{"gamma":1}"#, "unknown field `gamma`");
    }

    #[test]
    fn schema_and_page_tell_names_and_defaults() {
        sandpit_sdk::assert_schema_fits::<Parameters>();
        sandpit_sdk::assert_page_fits::<Parameters>(include_str!("../README.md"));
    }
}
