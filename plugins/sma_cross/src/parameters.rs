//! What the operator may set.

use serde::Deserialize;

/// The longest average, in bars: a trading day.
pub(crate) const MAX_BARS: usize = 390;

/// JSON Schema of [`Parameters`].
pub(crate) const SCHEMA: &str = r#"{
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
    "flatten_after_minutes": {
      "type": "integer", "minimum": 1, "maximum": 1440,
      "description": "Minutes after the session's open from which on positions are sold and none is opened."
    }
  }
}"#;

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
    /// Minutes after the session's open from which on it only sells.
    pub flatten_after_minutes: Option<u32>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { fast: 5, slow: 20, fraction: 0.05, usd: None, flatten_after_minutes: None }
    }
}

impl Parameters {
    /// Reads the operator's JSON; nothing at all means the defaults.
    ///
    /// # Errors
    /// One sentence on what is wrong with which parameter.
    pub fn parse(json: &str) -> Result<Self, String> {
        let json = if json.trim().is_empty() { "{}" } else { json };
        let parameters: Self = serde_json::from_str(json).map_err(|error| format!("parameters: {error}"))?;
        parameters.check()?;
        Ok(parameters)
    }

    fn check(&self) -> Result<(), String> {
        let Self { fast, slow, fraction, usd, flatten_after_minutes } = self;
        if !(1..*slow).contains(fast) || *slow > MAX_BARS {
            return Err(format!(
                "parameters: 1 <= fast < slow <= {MAX_BARS} must hold, not {fast} and {slow}"
            ));
        }
        if !(*fraction > 0.0 && *fraction <= 1.0) {
            return Err(format!("parameters: fraction must be above 0 and at most 1, not {fraction}"));
        }
        if usd.is_some_and(|usd| !(usd > 0.0 && usd <= 1e9)) {
            return Err("parameters: usd must be above 0 and at most 1000000000".to_owned());
        }
        if flatten_after_minutes.is_some_and(|minutes| !(1..=1440).contains(&minutes)) {
            return Err("parameters: flatten_after_minutes must be 1 to 1440".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
        check(r#"{"fast":0}"#, Err("1 <= fast"));
        check(r#"{"slow":391}"#, Err("<= 390"));
        check(r#"{"fraction":1.5}"#, Err("fraction must be"));
        check(r#"{"usd":-1}"#, Err("usd must be"));
        check(r#"{"flatten_after_minutes":0}"#, Err("1 to 1440"));
        check("[", Err("parameters: EOF"));
    }

    #[test]
    fn the_schema_tells_names_and_defaults() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("JSON");
        let properties = schema["properties"].as_object().expect("an object");
        let with_default =
            properties.iter().filter_map(|(name, it)| Some((name.clone(), it.get("default")?.clone())));
        let defaults: serde_json::Map<_, _> = with_default.collect();
        let json = serde_json::Value::Object(defaults).to_string();
        assert_eq!(Parameters::parse(&json), Ok(Parameters::default()));
        let error = Parameters::parse(r#"{"?":0}"#).expect_err("no such parameter");
        for name in properties.keys() {
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
        assert_eq!(error.matches('`').count(), 2 + 2 * properties.len(), "{error}");
    }
}
