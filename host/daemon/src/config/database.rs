//! Where the records are, and how long they are kept.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, path::Path};

use sandpit_alpaca::Secret;
use sandpit_store::{Database, PostgresUrl, Retention};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{ConfigError, Mode, bad_variable, variable};

/// Records of less than a week are no help the day after something went wrong; the longest is a century.
const KEEP_DAYS: RangeInclusive<u32> = 7..=36_500;
/// The broker shows orders of weeks ago again, and those that are not known are taken for another's.
const KEEP_ORDERS_DAYS: RangeInclusive<u32> = 30..=36_500;

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DatabaseSection {
    /// It may hold a password.
    #[serde(deserialize_with = "hidden", serialize_with = "without_password")]
    pub(super) url: Option<Secret>,
    #[serde(deserialize_with = "days")]
    pub(super) keep_days: Option<u32>,
    #[serde(deserialize_with = "days")]
    pub(super) keep_orders_days: Option<u32>,
}

/// The section as a part of the file. What serde says of a text in its place quotes it, and the likeliest
/// text is an address with a password.
pub(super) fn section<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DatabaseSection, D::Error> {
    struct Section;
    impl<'de> Visitor<'de> for Section {
        type Value = DatabaseSection;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a section [database]")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DatabaseSection, A::Error> {
            DatabaseSection::deserialize(MapAccessDeserializer::new(map))
        }

        fn visit_str<E: Error>(self, _text: &str) -> Result<DatabaseSection, E> {
            Err(E::custom("database must be a section: [database], and in it url = \"postgres://...\""))
        }
    }
    deserializer.deserialize_any(Section)
}

fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let days = u32::deserialize(deserializer);
    days.map(Some).map_err(|_| D::Error::custom("this key of [database] must be a whole number of days"))
}

fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    // What serde says of another type quotes the value.
    let text = String::deserialize(deserializer)
        .map_err(|_| D::Error::custom("database.url must be a text in quotes"))?;
    Ok(Some(Secret::new(text)))
}

/// An address with neither user nor password: for whoever looks at the configuration.
fn without_password<S: Serializer>(url: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_ref().map(|url| shown(url.expose())).serialize(serializer)
}

/// The same of one address. What is none is not shown at all: it may be a password.
pub(super) fn shown(url: &str) -> String {
    let url = url.parse::<PostgresUrl>().map(|url| Database::Postgres(url).to_string());
    url.unwrap_or_else(|_| "not an address".to_owned())
}

/// The section, checked.
#[derive(Debug)]
pub(crate) struct Records {
    server: Option<PostgresUrl>,
    /// How long records are kept.
    pub(crate) retention: Retention,
}

impl Records {
    /// Checks what the file and the variable `DATABASE_URL` say; the variable counts more.
    ///
    /// # Errors
    /// The outer one about the variable, the inner one a sentence that names the key and what is allowed.
    pub(super) fn check(
        section: &DatabaseSection,
        env: &BTreeMap<String, String>,
    ) -> Result<Result<Self, String>, ConfigError> {
        if env.get("DATABASE_URL").is_some_and(|url| url.trim().is_empty()) {
            let what = "is set but empty; give the server's address, or unset it to use what the file says";
            return Err(bad_variable("DATABASE_URL", what.to_owned()));
        }
        let from_env = variable(env, "DATABASE_URL").map(str::parse::<PostgresUrl>).transpose();
        let from_env = from_env.map_err(|error| bad_variable("DATABASE_URL", error.to_string()))?;
        Ok(Self::of_section(section, from_env))
    }

    fn of_section(section: &DatabaseSection, from_env: Option<PostgresUrl>) -> Result<Self, String> {
        let from_file = section.url.as_ref().map(|url| url.expose().parse::<PostgresUrl>()).transpose();
        let from_file = from_file.map_err(|error| format!("database.url: {error}"))?;
        let within = |key: &str, days: u32, allowed: RangeInclusive<u32>| {
            let (least, most) = (allowed.start(), allowed.end());
            let what = || format!("database.{key} is {days}, it must be {least} to {most}");
            allowed.contains(&days).then_some(days).ok_or_else(what)
        };
        let keep_days = section.keep_days.unwrap_or(Retention::default().keep_days);
        let keep_days = within("keep_days", keep_days, KEEP_DAYS)?;
        let keep_orders_days = section.keep_orders_days;
        let keep_orders_days =
            keep_orders_days.map(|days| within("keep_orders_days", days, KEEP_ORDERS_DAYS)).transpose()?;
        let retention = Retention { keep_days, keep_orders_days };
        Ok(Self { server: from_env.or(from_file), retention })
    }

    /// The database of a host in this mode, whose folder this is. A dry run has its own file always: what is
    /// not real must not stand among what is.
    pub(crate) fn database(&self, mode: Mode, folder: &Path) -> Database {
        match &self.server {
            Some(url) if mode.posts() => Database::Postgres(url.clone()),
            Some(_) | None => Database::Sqlite(folder.join("sandpit.db")),
        }
    }
}
