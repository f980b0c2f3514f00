//! Whether parameters fit the JSON Schema that a plugin gives for them: the keywords that parameters use.

use serde_json::{Map, Value};

/// Keywords that are looked at, or say nothing to be looked at.
const KNOWN: [&str; 18] = [
    "$schema",
    "additionalProperties",
    "default",
    "description",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "properties",
    "required",
    "title",
    "type",
    "unit",
];
/// Schemas within schemas that are followed.
const DEPTH_MAX: usize = 16;

/// The schema of a plugin's parameters.
pub(crate) struct Schema {
    schema: Value,
}

/// One parameter, for a table.
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: String,
    pub(crate) default: String,
    pub(crate) range: String,
    pub(crate) description: &'a str,
}

impl Schema {
    /// Reads it; an empty text allows anything.
    ///
    /// # Errors
    /// When it is not the schema of an object, in one sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        let schema: Value =
            serde_json::from_str(text).map_err(|error| format!("it is not JSON ({error})"))?;
        if !schema.is_object() {
            return Err("it is not a JSON object".into());
        }
        if schema.get("type").is_some_and(|kind| kind != "object") {
            return Err("its `type` is not \"object\": parameters are one".into());
        }
        if schema.get("properties").is_some_and(|it| !it.is_object()) {
            return Err("its `properties` are no object".into());
        }
        Ok(Self { schema })
    }

    /// What is wrong with the schema itself: defaults that do not fit, and keywords that nobody looks at.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, property) in self.properties() {
            if let Some(default) = property.get("default") {
                let fault = fault(name, default, property, 0);
                found.extend(fault.map(|fault| format!("its own default does not fit: {fault}")));
            }
            for keyword in property.as_object().into_iter().flat_map(Map::keys) {
                if !KNOWN.contains(&keyword.as_str()) {
                    found.push(format!("{name}: `{keyword}` is not looked at here"));
                }
            }
        }
        found
    }

    /// What is wrong with parameters, if anything.
    pub(crate) fn refuses(&self, parameters: &Map<String, Value>) -> Option<String> {
        fault("parameters", &Value::Object(parameters.clone()), &self.schema, 0)
    }

    /// Each parameter.
    pub(crate) fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        for (name, property) in self.properties() {
            rows.push(Row {
                name,
                kind: property.get("type").map_or_else(|| "any".into(), words),
                default: property.get("default").map(Value::to_string).unwrap_or_default(),
                range: range(property),
                description: property.get("description").and_then(Value::as_str).unwrap_or_default(),
            });
        }
        rows
    }

    fn properties(&self) -> impl Iterator<Item = (&str, &Value)> {
        let properties = self.schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, property)| (name.as_str(), property))
    }
}

/// Text without its quotation marks, anything else as JSON.
fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn range(property: &Value) -> String {
    let bound = |key: &str, words: &str| property.get(key).map(|bound| format!("{words} {bound}"));
    let bounds = [
        bound("minimum", "from"),
        bound("exclusiveMinimum", "above"),
        bound("maximum", "to"),
        bound("exclusiveMaximum", "below"),
    ];
    let mut parts: Vec<_> = bounds.into_iter().flatten().collect();
    if let Some(Value::Array(choices)) = property.get("enum") {
        parts.push(choices.iter().map(words).collect::<Vec<_>>().join("|"));
    }
    parts.join(" ")
}

/// The first thing wrong with a value, in words.
fn fault(name: &str, value: &Value, schema: &Value, depth: usize) -> Option<String> {
    if depth > DEPTH_MAX {
        return Some(format!("{name} is nested too deeply"));
    }
    if let Some(kind) = schema.get("type").filter(|kind| !is_of(value, kind)) {
        return Some(format!("{name} must be of type {}, not {value}", words(kind)));
    }
    if let Some(Value::Array(choices)) = schema.get("enum")
        && !choices.contains(value)
    {
        let choices: Vec<_> = choices.iter().map(Value::to_string).collect();
        return Some(format!("{name} must be one of {}, not {value}", choices.join(", ")));
    }
    let number = value.as_f64().and_then(|number| out_of_bounds(number, schema));
    if let Some(bound) = number {
        return Some(format!("{name} must be {bound}, not {value}"));
    }
    match value {
        Value::Object(object) => object_fault(name, object, schema, depth),
        Value::Array(items) => {
            let limit = |key: &str| schema.get(key).and_then(Value::as_u64);
            let length = items.len() as u64;
            if limit("minItems").is_some_and(|least| length < least)
                || limit("maxItems").is_some_and(|most| length > most)
            {
                return Some(format!("{name} has {length} items, which is not allowed"));
            }
            let of = schema.get("items")?;
            items.iter().find_map(|item| fault(&format!("an item of {name}"), item, of, depth + 1))
        }
        _ => None,
    }
}

fn object_fault(name: &str, object: &Map<String, Value>, schema: &Value, depth: usize) -> Option<String> {
    let properties = schema.get("properties");
    let required = schema.get("required").and_then(Value::as_array);
    let missing =
        required.into_iter().flatten().filter_map(Value::as_str).find(|it| !object.contains_key(*it));
    if let Some(missing) = missing {
        return Some(format!("{missing} is missing in {name}"));
    }
    object.iter().find_map(|(key, value)| {
        match (properties.and_then(|it| it.get(key)), schema.get("additionalProperties")) {
            (Some(property), _) => fault(key, value, property, depth + 1),
            (None, Some(Value::Bool(false))) => Some(format!("{key} is not known in {name}")),
            (None, Some(other @ Value::Object(_))) => fault(key, value, other, depth + 1),
            (None, _) => None,
        }
    })
}

fn is_of(value: &Value, kind: &Value) -> bool {
    match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| is_of(value, kind)),
        Value::String(kind) => match kind.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "number" => value.is_number(),
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            _ => false,
        },
        _ => false,
    }
}

fn out_of_bounds(number: f64, schema: &Value) -> Option<String> {
    type Fits = fn(f64, f64) -> bool;
    let bounds: [(&str, &str, Fits); 4] = [
        ("minimum", "at least", |number, bound| number >= bound),
        ("exclusiveMinimum", "above", |number, bound| number > bound),
        ("maximum", "at most", |number, bound| number <= bound),
        ("exclusiveMaximum", "below", |number, bound| number < bound),
    ];
    bounds.into_iter().find_map(|(key, words, fits)| {
        let bound = schema.get(key)?.as_f64()?;
        (!fits(number, bound)).then(|| format!("{words} {bound}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_are_read_or_refused() {
        let check = |text: &str, expected: &str| {
            let found = Schema::parse(text).map_or_else(|error| error, |it| it.faults().join("; "));
            assert!(
                found.starts_with(expected) && found.is_empty() == expected.is_empty(),
                "{text}: {found}"
            );
        };
        check("", "");
        check("{", "it is not JSON (");
        check("[]", "it is not a JSON object");
        check(r#"{"type":"array"}"#, "its `type` is not \"object\"");
        check(r#"{"properties":[]}"#, "its `properties` are no object");
        check(
            r#"{"properties":{"a":{"type":"integer","default":"x"}}}"#,
            "its own default does not fit: a must be",
        );
        check(r#"{"properties":{"a":{"pattern":"x"}}}"#, "a: `pattern` is not looked at here");
        assert!(KNOWN.is_sorted());
    }

    #[test]
    fn parameters_fit_or_are_refused() {
        let schema = Schema::parse(
            r#"{"type":"object","additionalProperties":false,"required":["n"],"properties":{
              "n":{"type":"integer","minimum":2,"maximum":5},
              "x":{"type":["number","null"],"exclusiveMinimum":0,"exclusiveMaximum":1},
              "w":{"type":"object","additionalProperties":{"type":"number","minimum":0}},
              "l":{"type":"array","items":{"type":"string"},"minItems":1},
              "e":{"enum":["a","b"]},
              "b":{"type":"boolean"}}}"#,
        )
        .expect("a schema");
        let check = |parameters: Value, expected: Option<&str>| {
            let found = schema.refuses(parameters.as_object().expect("an object"));
            assert_eq!(found.as_deref(), expected, "{parameters}");
        };
        check(json!({"n": 2, "x": null, "w": {"A": 0.5}, "l": ["x"], "e": "b", "b": true}), None);
        check(json!({"n": 3.0}), None);
        check(json!({}), Some("n is missing in parameters"));
        check(json!({"n": 2.5}), Some("n must be of type integer, not 2.5"));
        check(json!({"n": 1}), Some("n must be at least 2, not 1"));
        check(json!({"n": 6}), Some("n must be at most 5, not 6"));
        check(json!({"n": 2, "x": 0}), Some("x must be above 0, not 0"));
        check(json!({"n": 2, "x": 1}), Some("x must be below 1, not 1"));
        check(json!({"n": 2, "m": 2}), Some("m is not known in parameters"));
        check(json!({"n": 2, "w": {"A": -1}}), Some("A must be at least 0, not -1"));
        check(json!({"n": 2, "l": [1]}), Some("an item of l must be of type string, not 1"));
        check(json!({"n": 2, "l": []}), Some("l has 0 items, which is not allowed"));
        check(json!({"n": 2, "e": "c"}), Some("e must be one of \"a\", \"b\", not \"c\""));
        check(json!({"n": 2, "b": 1}), Some("b must be of type boolean, not 1"));
    }
}
