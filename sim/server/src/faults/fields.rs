//! A rule as it is written, field by field, and its check.

use std::{fmt::Display, time::Duration};

use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Symbol};
use serde::{Deserialize, Serialize};

use super::{
    reach,
    rule::{
        DEFAULT_GHOST_SECS, DEFAULT_HOLD_MS, Deed, HowOften, Kind, MAX_REPLAY, MAX_WAIT_MS, Reading, Rule,
        Scope, Spread, Stream, Target, When,
    },
};
use crate::limit::Api;

/// Largest error of a clock, seconds: a year.
const MAX_SKEW_SECS: i64 = 366 * 86_400;
/// Longest that anything lasts, seconds of market time: ten years.
const MAX_SECS: u64 = 10 * 366 * 86_400;
/// Statuses of a server error.
const SERVER_ERRORS: [u16; 4] = [500, 502, 503, 504];
/// Statuses of an HTML page.
const HTML_STATUSES: [u16; 8] = [401, 403, 429, 500, 502, 503, 504, 520];
/// Statuses of a failure inside a 207.
const ITEM_STATUSES: [u16; 4] = [403, 404, 422, 500];
/// Messages that a `replay` rule sends again when it does not say how many.
const DEFAULT_REPLAY: usize = 1;

/// The words for the kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindName {
    Latency,
    RateLimit,
    ServerError,
    Reset,
    Timeout,
    Html,
    #[serde(rename = "handshake_429")]
    Handshake429,
    Equity,
    ClockSkew,
    PartialFailure,
    Drop,
    Mute,
    Duplicate,
    Reorder,
    Slow,
    Lose,
    Replay,
    Ghost,
    StuckCancels,
    Halt,
}

/// What may stand in a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    pub(super) kind: KindName,
    #[serde(skip_serializing_if = "Option::is_none")]
    deed: Option<Deed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mute_secs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ghost_secs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skew_secs: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stamps: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<ApiName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Stream>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<Symbol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<MarketTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<MarketTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_secs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_secs: Option<u64>,
}

/// One figure or a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "delay_ms is a number of milliseconds, or [least, most]")]
enum Millis {
    Fixed(u64),
    Range([u64; 2]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ApiName {
    Trading,
    Data,
}

impl KindName {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::RateLimit => "rate_limit",
            Self::ServerError => "server_error",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Html => "html",
            Self::Handshake429 => "handshake_429",
            Self::Equity => "equity",
            Self::ClockSkew => "clock_skew",
            Self::PartialFailure => "partial_failure",
            Self::Drop => "drop",
            Self::Mute => "mute",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Slow => "slow",
            Self::Lose => "lose",
            Self::Replay => "replay",
            Self::Ghost => "ghost",
            Self::StuckCancels => "stuck_cancels",
            Self::Halt => "halt",
        }
    }

    /// The fields that only this kind, or a few like it, have.
    const fn own_fields(self) -> &'static [&'static str] {
        match self {
            Self::Latency | Self::Slow => &["delay_ms"],
            Self::ServerError | Self::Html | Self::PartialFailure => &["status", "deed"],
            Self::Reset => &["deed"],
            Self::Timeout => &["hold_ms", "deed"],
            Self::Equity => &["amount", "factor"],
            Self::ClockSkew => &["skew_secs", "stamps"],
            Self::Mute => &["mute_secs"],
            Self::Replay => &["count"],
            Self::Ghost => &["ghost_secs"],
            Self::RateLimit
            | Self::Handshake429
            | Self::Drop
            | Self::Duplicate
            | Self::Reorder
            | Self::Lose
            | Self::StuckCancels
            | Self::Halt => &[],
        }
    }
}

/// The fields that go with what a rule hits.
const fn scope_fields(target: Target) -> &'static [&'static str] {
    match target {
        Target::Request => &["api", "method", "path"],
        Target::Item => &["path", "symbol"],
        Target::Message => &["stream", "symbol"],
        Target::Leaver => &["stream"],
        Target::Venue => &["symbol"],
    }
}

const HOW_OFTEN: [&str; 4] = ["first", "every", "probability", "at_most"];
const ALWAYS: [&str; 5] = ["kind", "from", "until", "after_secs", "until_secs"];

impl Fields {
    /// The rule that is meant, or what is wrong with it.
    pub(super) fn check(self) -> Result<Rule, String> {
        let kind = self.kind()?;
        self.check_names(&kind)?;
        let is_message = kind.target() == Target::Message;
        if is_message && self.stream.is_none() {
            return Err(self.wants("stream = \"data\" or \"trades\""));
        }
        let scope = Scope {
            api: self.api.map(|api| if api == ApiName::Data { Api::Data } else { Api::Trading }),
            method: self.method.as_ref().map(|method| method.to_ascii_uppercase()),
            path: self.path.clone(),
            stream: self.stream.or((self.kind == KindName::Ghost).then_some(Stream::Data)),
            symbol: self.symbol.clone(),
        };
        if scope.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err("path begins with a slash".into());
        }
        let (when, how_often) = (self.when()?, self.how_often()?);
        reach::check(&kind, &scope, how_often)?;
        Ok(Rule { kind, scope, how_often, when, fields: self })
    }

    fn kind(&self) -> Result<Kind, String> {
        let deed = self.deed.unwrap_or_default();
        let secs = |secs: u64| Duration::from_secs(secs.min(MAX_SECS));
        Ok(match self.kind {
            KindName::Latency => Kind::Latency(self.spread()?),
            KindName::RateLimit => Kind::RateLimit,
            KindName::ServerError => Kind::ServerError(self.status(&SERVER_ERRORS, 500)?, deed),
            KindName::Reset => Kind::Reset(deed),
            KindName::Timeout => {
                let hold_ms = within("hold_ms", self.hold_ms.unwrap_or(DEFAULT_HOLD_MS), 1, MAX_WAIT_MS)?;
                Kind::Timeout(Duration::from_millis(hold_ms), deed)
            }
            KindName::Html => Kind::Html(self.status(&HTML_STATUSES, 502)?, deed),
            KindName::Handshake429 => Kind::Handshake429,
            KindName::Equity => Kind::Equity(self.reading()?),
            KindName::ClockSkew => {
                let skew_secs = self.skew_secs.ok_or_else(|| self.wants("skew_secs"))?;
                let skew_secs = within("skew_secs", skew_secs, -MAX_SKEW_SECS, MAX_SKEW_SECS)?;
                Kind::ClockSkew(skew_secs, self.stamps.unwrap_or(false))
            }
            KindName::PartialFailure => Kind::PartialFailure(self.status(&ITEM_STATUSES, 500)?, deed),
            KindName::Drop => Kind::Drop,
            KindName::Mute => Kind::Mute(self.mute_secs.map(secs)),
            KindName::Duplicate => Kind::Duplicate,
            KindName::Reorder => Kind::Reorder,
            KindName::Slow => Kind::Slow(self.spread()?),
            KindName::Lose => Kind::Lose,
            KindName::Replay => {
                Kind::Replay(within("count", self.count.unwrap_or(DEFAULT_REPLAY), 1, MAX_REPLAY)?)
            }
            KindName::Ghost => Kind::Ghost(secs(within(
                "ghost_secs",
                self.ghost_secs.unwrap_or(DEFAULT_GHOST_SECS),
                1,
                MAX_SECS,
            )?)),
            KindName::StuckCancels => Kind::StuckCancels,
            KindName::Halt => Kind::Halt(self.symbol.clone().ok_or_else(|| self.wants("symbol"))?),
        })
    }

    /// Every field that is given must mean something to this kind: a rule that does less than it says would
    /// prove nothing.
    fn check_names(&self, kind: &Kind) -> Result<(), String> {
        let given = serde_json::to_value(self).expect("fields are texts and numbers");
        let (own, scope) = (self.kind.own_fields(), scope_fields(kind.target()));
        let has_turns = kind.target() != Target::Venue;
        for name in given.as_object().into_iter().flatten().map(|(name, _)| name.as_str()) {
            let fits = ALWAYS.contains(&name)
                || own.contains(&name)
                || scope.contains(&name)
                || has_turns && HOW_OFTEN.contains(&name);
            if !fits || self.kind == KindName::StuckCancels && name == "symbol" {
                return Err(format!("`{name}` means nothing to a rule of kind `{}`", self.kind.as_str()));
            }
        }
        Ok(())
    }

    fn how_often(&self) -> Result<HowOften, String> {
        let positive = |name, value: Option<u64>| match value {
            Some(0) => Err(format!("{name} is at least 1")),
            value => Ok(value),
        };
        if self.probability.is_some_and(|chance| !(chance > 0.0 && chance <= 1.0)) {
            return Err("probability is a number above 0 and at most 1".into());
        }
        Ok(HowOften {
            first: positive("first", self.first)?,
            every: positive("every", self.every)?,
            probability: self.probability,
            at_most: positive("at_most", self.at_most)?,
        })
    }

    fn when(&self) -> Result<When, String> {
        let is_empty = self.from.zip(self.until).is_some_and(|(from, until)| from >= until)
            || self.after_secs.zip(self.until_secs).is_some_and(|(after, until)| after >= until);
        if is_empty {
            return Err("the rule ends before it begins".into());
        }
        let secs = |secs: Option<u64>| secs.map(|secs| Duration::from_secs(secs.min(MAX_SECS)));
        let (after, until_after) = (secs(self.after_secs), secs(self.until_secs));
        Ok(When { from: self.from, until: self.until, after, until_after })
    }

    fn spread(&self) -> Result<Spread, String> {
        let (least_ms, most_ms) = match self.delay_ms.ok_or_else(|| self.wants("delay_ms"))? {
            Millis::Fixed(ms) => (ms, ms),
            Millis::Range([least, most]) => (least, most),
        };
        if least_ms > most_ms {
            return Err("delay_ms ends before it begins".into());
        }
        Ok(Spread { least_ms, most_ms: within("delay_ms", most_ms, 0, MAX_WAIT_MS)? })
    }

    fn reading(&self) -> Result<Reading, String> {
        let decimal = |name, value: f64| {
            Decimal::try_from(value).map_err(|_| format!("{name} is no number that an account can show"))
        };
        match (self.amount, self.factor) {
            (Some(_), Some(_)) => Err("only one of amount and factor makes sense".into()),
            (None, Some(factor)) => Ok(Reading::Factor(decimal("factor", factor)?)),
            (amount, None) => Ok(Reading::Amount(decimal("amount", amount.unwrap_or(0.0))?)),
        }
    }

    fn status(&self, known: &[u16], default: u16) -> Result<u16, String> {
        let status = self.status.unwrap_or(default);
        if known.contains(&status) {
            return Ok(status);
        }
        let known: Vec<String> = known.iter().map(u16::to_string).collect();
        Err(format!("status {status} is none of {}", known.join(", ")))
    }

    fn wants(&self, what: &str) -> String {
        format!("a rule of kind `{}` needs {what}", self.kind.as_str())
    }
}

fn within<T: PartialOrd + Display + Copy>(name: &str, value: T, least: T, most: T) -> Result<T, String> {
    if value < least || value > most {
        return Err(format!("{name} is a number from {least} to {most}"));
    }
    Ok(value)
}

/// A parser's message; for a misspelt key or word, with the nearest valid one.
pub(super) fn explain(message: &str) -> String {
    let found = ["field", "variant"].into_iter().find_map(|what| {
        let mut names = message.strip_prefix("unknown ")?.strip_prefix(what)?.split('`').skip(1).step_by(2);
        let wrong = names.next()?;
        let distance = |name| strsim::damerau_levenshtein(wrong, name);
        let nearest =
            names.filter(|name| distance(name) <= name.len().div_ceil(2)).min_by_key(|n| distance(n));
        let what = if what == "field" { "key" } else { "word" };
        Some(match nearest {
            Some(nearest) => format!("unknown {what} `{wrong}`; did you mean `{nearest}`?"),
            None => format!("unknown {what} `{wrong}`; sandpit-sim --help lists what there is"),
        })
    });
    found.unwrap_or_else(|| message.to_owned())
}
