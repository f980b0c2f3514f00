//! What the operator may set: from the JSON of a manifest to a strategy's own type.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A strategy's parameters: a type that serde reads, with a JSON Schema that people, tools and
/// [`Parameters::parse`] read.
///
/// Give the type `#[serde(default, deny_unknown_fields)]`, so that what is left out has its default and a
/// slip in a name is told.
pub trait Parameters: Default + DeserializeOwned {
    /// JSON Schema of the object. The `minimum`, `exclusiveMinimum` and `maximum` of a property are enforced.
    const SCHEMA: &'static str;

    /// Checks what the schema cannot say, such as that one parameter is below another.
    ///
    /// # Errors
    /// One sentence on what is wrong with which parameter.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Reads the operator's JSON; nothing at all means the defaults.
    ///
    /// # Errors
    /// One sentence on what is wrong with which parameter.
    fn parse(json: &str) -> Result<Self, String> {
        let json = if json.trim().is_empty() { "{}" } else { json };
        let read = serde_json::from_str::<Self>(json).map_err(|error| error.to_string());
        let checked = read.and_then(|parameters| {
            within_bounds(json, Self::SCHEMA)?;
            parameters.check()?;
            Ok(parameters)
        });
        checked.map_err(|problem| format!("parameters: {problem}"))
    }
}

/// Whether every number of the object is within the bounds that the schema gives to its property.
fn within_bounds(json: &str, schema: &str) -> Result<(), String> {
    let read = |text| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
    let (object, schema) = (read(json)?, read(schema)?);
    for (name, value) in object.as_object().into_iter().flatten() {
        if let Some(number) = value.as_f64() {
            within(name, number, &schema["properties"][name.as_str()])?;
        }
    }
    Ok(())
}

fn within(name: &str, number: f64, property: &Value) -> Result<(), String> {
    let bound = |key: &str| property[key].as_f64();
    let (least, above, most) = (bound("minimum"), bound("exclusiveMinimum"), bound("maximum"));
    let is_good = least.is_none_or(|least| number >= least)
        && above.is_none_or(|above| number > above)
        && most.is_none_or(|most| number <= most);
    if is_good {
        return Ok(());
    }
    let range = match (least, above, most) {
        (Some(least), _, Some(most)) => format!("{least} to {most}"),
        (Some(least), _, None) => format!("at least {least}"),
        (None, Some(above), Some(most)) => format!("above {above} and at most {most}"),
        (None, Some(above), None) => format!("above {above}"),
        (None, None, most) => format!("at most {}", most.unwrap_or(f64::INFINITY)),
    };
    Err(format!("{name} must be {range}, not {number}"))
}

/// For a test of a strategy's own: its schema names every parameter, and no other, with the default that the
/// type has.
///
/// # Panics
/// When it does not; that is the test.
#[cfg(not(target_arch = "wasm32"))]
pub fn assert_schema_fits<P: Parameters + PartialEq + std::fmt::Debug>() {
    let schema: Value = serde_json::from_str(P::SCHEMA).expect("the schema is JSON");
    let properties = schema["properties"].as_object().expect("the schema has properties");
    let with_default =
        properties.iter().filter_map(|(name, it)| Some((name.clone(), it.get("default")?.clone())));
    let defaults = Value::Object(with_default.collect()).to_string();
    assert_eq!(P::parse(&defaults), Ok(P::default()), "the defaults of the schema are not those of the type");
    let error = P::parse(r#"{"?":0}"#).expect_err("unknown parameters have to be refused");
    for name in properties.keys() {
        assert!(error.contains(&format!("`{name}`")), "no such parameter: {name}; {error}");
    }
    assert_eq!(error.matches('`').count(), 2 + 2 * properties.len(), "not in the schema: {error}");
}

/// For a test of a strategy's own: its page has a table whose rows begin with the name of a parameter and its
/// default (a dash when it has none), one for each parameter of the schema and for no other.
///
/// # Panics
/// When it has not; that is the test.
#[cfg(not(target_arch = "wasm32"))]
pub fn assert_page_fits<P: Parameters>(page: &str) {
    let schema: Value = serde_json::from_str(P::SCHEMA).expect("the schema is JSON");
    let properties = schema["properties"].as_object().expect("the schema has properties");
    for (name, property) in properties {
        let default = property.get("default").map_or_else(|| "–".to_owned(), Value::to_string);
        let row = format!("| `{name}` | {default} |");
        assert!(page.lines().any(|line| line.starts_with(&row)), "the page has no row that begins {row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, properties.len(), "the page has rows of no parameter");
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Two {
        bars: u32,
        share: f64,
        usd: Option<f64>,
        name: String,
    }

    impl Default for Two {
        fn default() -> Self {
            Self { bars: 20, share: 0.5, usd: None, name: "x".to_owned() }
        }
    }

    impl Parameters for Two {
        const SCHEMA: &'static str = r#"{"type":"object","properties":{
            "bars": {"type":"integer","minimum":2,"maximum":390,"default":20},
            "share": {"type":"number","exclusiveMinimum":0,"maximum":1,"default":0.5},
            "usd": {"type":"number","exclusiveMinimum":0},
            "name": {"type":"string","default":"x"}
        }}"#;

        fn check(&self) -> Result<(), String> {
            if self.bars == 13 { Err("bars must not be 13".to_owned()) } else { Ok(()) }
        }
    }

    #[test]
    fn parameters_are_read_or_refused() {
        let check = |json: &str, expected: Result<Two, &str>| {
            assert_eq!(Two::parse(json), expected.map_err(|it| format!("parameters: {it}")), "{json}");
        };
        check("", Ok(Two::default()));
        check(" {} ", Ok(Two::default()));
        check(r#"{"bars":2,"share":1,"usd":null}"#, Ok(Two { bars: 2, share: 1.0, ..Two::default() }));
        check(r#"{"bars":1}"#, Err("bars must be 2 to 390, not 1"));
        check(r#"{"bars":391}"#, Err("bars must be 2 to 390, not 391"));
        check(r#"{"bars":13}"#, Err("bars must not be 13"));
        check(r#"{"share":0}"#, Err("share must be above 0 and at most 1, not 0"));
        check(r#"{"share":1.5}"#, Err("share must be above 0 and at most 1, not 1.5"));
        check(r#"{"usd":-1}"#, Err("usd must be above 0, not -1"));
        check("[", Err("EOF while parsing a list at line 1 column 1"));
    }

    #[test]
    fn a_bound_is_told_as_it_is() {
        let check = |property: &str, number: f64, expected: &str| {
            let property: Value = serde_json::from_str(property).expect("JSON");
            assert_eq!(within("x", number, &property).err().unwrap_or_default(), expected);
        };
        check(r#"{"minimum":2}"#, 1.0, "x must be at least 2, not 1");
        check(r#"{"maximum":2}"#, 3.0, "x must be at most 2, not 3");
        check(r#"{"minimum":2}"#, 2.0, "");
        check("{}", -1e300, "");
        check("null", 3.0, "");
    }

    #[test]
    fn a_schema_that_fits_passes() {
        assert_schema_fits::<Two>();
    }

    /// Two's type with another schema.
    macro_rules! misfit {
        ($test:ident, $schema:literal) => {
            #[test]
            #[should_panic]
            fn $test() {
                #[derive(Debug, Default, PartialEq, Deserialize)]
                #[serde(default, deny_unknown_fields)]
                struct Misfit {
                    bars: u32,
                }
                impl Parameters for Misfit {
                    const SCHEMA: &'static str = $schema;
                }
                assert_schema_fits::<Misfit>();
            }
        };
    }

    #[test]
    fn a_page_has_a_row_for_each_parameter() {
        let page = "| Parameter | Default |\n|---|---|\n| `bars` | 20 | x |\n| `share` | 0.5 | x |\n\
                    | `usd` | – | x |\n| `name` | \"x\" | x |\n";
        let fits = |page: &str| std::panic::catch_unwind(|| assert_page_fits::<Two>(page)).is_ok();
        assert!(fits(page));
        assert!(!fits(&page.replace("| 20 |", "| 21 |")), "another default");
        assert!(!fits(&page.replace("usd", "eur")), "another name");
        assert!(!fits(&format!("{page}| `bar` | 1 |")), "a row too many");
    }

    misfit!(a_parameter_missing_from_the_schema_is_found, r#"{"properties":{}}"#);
    misfit!(another_default_is_found, r#"{"properties":{"bars":{"default":1}}}"#);
    misfit!(a_name_too_many_is_found, r#"{"properties":{"bars":{"default":0},"bar":{}}}"#);
}
