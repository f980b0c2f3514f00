//! Rules that apply: which of them hit what happens.

use std::{collections::BTreeSet, time::Duration};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use sandpit_types::{MarketTime, Symbol};

use super::rule::{Deed, Kind, Reading, Rule, Scope, Spread, Stream, Target};
use crate::limit::Api;

/// Most rules at one time; one more is refused.
pub const MAX_RULES: usize = 256;

/// One more rule than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {MAX_RULES} rules already; delete one first")]
pub struct TooManyRules;

/// A request, as far as rules look at it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Which API it is for.
    pub api: Api,
    /// Its method, in capitals.
    pub method: &'a str,
    /// Its path, without the query.
    pub path: &'a str,
    /// Whether it asks for a stream.
    pub is_handshake: bool,
}

/// A rule that hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The number of the rule.
    pub rule: u64,
    /// The word for its kind.
    pub fault: &'static str,
}

/// How a request ends instead of with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// 429.
    RateLimit,
    /// A server error with this status.
    ServerError(u16),
    /// The connection is cut.
    Reset,
    /// Nothing for so much real time, then the connection is cut.
    Timeout(Duration),
    /// An HTML page with this status.
    Html(u16),
}

/// What happens to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// How long it waits first.
    pub delay: Duration,
    /// How it ends instead of with its answer, and whether its deed is done before.
    pub end: Option<(Step, Deed)>,
    /// What its account shows.
    pub equity: Option<Reading>,
    /// How wrong its clock is, seconds.
    pub skew_secs: i64,
    /// The rules that did it.
    pub hits: Vec<Hit>,
}

/// What happens to a message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It and every connection are cut.
    Cut,
    /// It and those that come are not sent for so long, `None`: for ever, as the rule of this number wants.
    Mute(Option<Duration>, u64),
    /// It comes once more.
    Duplicate,
    /// It comes after the next one.
    Reorder,
    /// It, and all after it, come later.
    Slow(Duration),
    /// It does not come.
    Lose,
    /// The newest so many come again after it.
    Replay(usize),
    /// Its stamp is wrong by so many seconds.
    Skew(i64),
}

/// A rule that applies, and how it went so far.
#[derive(Debug)]
pub struct Armed {
    /// Its number, from 1.
    pub id: u64,
    /// The rule.
    pub rule: Rule,
    /// How many times it could have hit.
    pub chances: u64,
    /// How many times it did.
    pub hits: u64,
    from: Option<MarketTime>,
    until: Option<MarketTime>,
    chance: ChaCha8Rng,
    /// Of a venue's rule: whether it is in force.
    in_force: bool,
}

impl Armed {
    fn is_on(&self, now: MarketTime) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }

    /// Whether it hits this time, which is one of its times.
    fn try_hit(&mut self) -> bool {
        let how_often = self.rule.how_often;
        self.chances += 1;
        let hits = how_often.first.is_none_or(|first| self.chances <= first)
            && how_often.every.is_none_or(|every| self.chances.is_multiple_of(every))
            && how_often.at_most.is_none_or(|most| self.hits < most)
            && how_often.probability.is_none_or(|chance| unit(&mut self.chance) < chance);
        self.hits += u64::from(hits);
        hits
    }

    fn hit(&self) -> Hit {
        Hit { rule: self.id, fault: self.rule.name() }
    }
}

/// Every rule that applies, in the order in which they are asked.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    start: MarketTime,
    added: u64,
    rules: Vec<Armed>,
}

impl Faults {
    /// No rules yet, for a run that starts at `start`.
    pub fn new(seed: u64, start: MarketTime) -> Self {
        Self { seed, start, added: 0, rules: Vec::new() }
    }

    /// Arms a rule and returns its number.
    ///
    /// # Errors
    /// When there are too many.
    pub fn add(&mut self, rule: Rule) -> Result<u64, TooManyRules> {
        if self.rules.len() >= MAX_RULES {
            return Err(TooManyRules);
        }
        self.added += 1;
        let (id, (from, until)) = (self.added, rule.when.window(self.start));
        // An odd factor spreads the numbers over all seeds; the venue draws from the plain one.
        let seed = self.seed ^ id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.rules.push(Armed {
            id,
            chances: 0,
            hits: 0,
            from,
            until,
            chance: ChaCha8Rng::seed_from_u64(seed),
            in_force: false,
            rule,
        });
        Ok(id)
    }

    /// Takes a rule away; whether there was one.
    pub fn remove(&mut self, id: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|armed| armed.id != id);
        self.rules.len() < before
    }

    /// Takes all rules away and says how many there were.
    pub fn clear(&mut self) -> usize {
        std::mem::take(&mut self.rules).len()
    }

    /// The rules, in the order in which they are asked.
    pub fn rules(&self) -> &[Armed] {
        &self.rules
    }

    /// Whether any rule has this target.
    pub fn aim_at(&self, target: Target) -> bool {
        self.rules.iter().any(|armed| armed.rule.kind.target() == target)
    }

    /// Whether any rule may do something to messages of a stream.
    pub fn touch_messages(&self) -> bool {
        let touches = |kind: &Kind| {
            kind.target() == Target::Message || matches!(kind, Kind::ClockSkew(_, stamps) if *stamps)
        };
        self.rules.iter().any(|armed| touches(&armed.rule.kind))
    }

    /// What happens to a request.
    pub fn on_request(&mut self, request: Request<'_>, now: MarketTime) -> Plan {
        let mut plan = Plan::default();
        for armed in &mut self.rules {
            if !armed.is_on(now) || !applies(&armed.rule, request) || !armed.try_hit() {
                continue;
            }
            plan.hits.push(armed.hit());
            let end = match &armed.rule.kind {
                Kind::Latency(spread) => {
                    plan.delay += drawn(*spread, &mut armed.chance);
                    continue;
                }
                Kind::Equity(reading) => {
                    plan.equity = Some(*reading);
                    continue;
                }
                Kind::ClockSkew(secs, _) => {
                    plan.skew_secs += secs;
                    continue;
                }
                Kind::RateLimit | Kind::Handshake429 => (Step::RateLimit, Deed::Undone),
                Kind::ServerError(status, deed) => (Step::ServerError(*status), *deed),
                Kind::Reset(deed) => (Step::Reset, *deed),
                Kind::Timeout(hold, deed) => (Step::Timeout(*hold), *deed),
                Kind::Html(status, deed) => (Step::Html(*status), *deed),
                Kind::PartialFailure(..)
                | Kind::Drop
                | Kind::Mute(_)
                | Kind::Duplicate
                | Kind::Reorder
                | Kind::Slow(_)
                | Kind::Lose
                | Kind::Replay(_)
                | Kind::Ghost(_)
                | Kind::StuckCancels
                | Kind::Halt(_) => continue,
            };
            plan.end = Some(end);
            break;
        }
        plan
    }

    /// Whether one of the things that a request about all is about fails: its status, and whether the deed is
    /// done all the same.
    pub fn on_item(&mut self, path: &str, symbol: &Symbol, now: MarketTime) -> Option<(u16, Deed, Hit)> {
        self.rules.iter_mut().find_map(|armed| {
            let Kind::PartialFailure(status, deed) = armed.rule.kind else { return None };
            let scope = &armed.rule.scope;
            let fits = armed.is_on(now)
                && scope.path.as_ref().is_none_or(|prefix| path.starts_with(prefix.as_str()))
                && scope.symbol.as_ref().is_none_or(|only| only == symbol);
            (fits && armed.try_hit()).then(|| (status, deed, armed.hit()))
        })
    }

    /// What happens to a message of a stream, in the order in which it happens. After a rule that cuts, mutes
    /// or loses it no other rule is asked.
    pub fn on_message(
        &mut self,
        stream: Stream,
        symbol: Option<&Symbol>,
        now: MarketTime,
    ) -> Vec<(Effect, Hit)> {
        let mut effects = Vec::new();
        for armed in &mut self.rules {
            if !armed.is_on(now) || !is_about(&armed.rule.scope, stream, symbol) {
                continue;
            }
            let Some(effect) = Self::effect(armed) else { continue };
            effects.push((effect, armed.hit()));
            if matches!(effect, Effect::Cut | Effect::Mute(..) | Effect::Lose) {
                break;
            }
        }
        effects
    }

    fn effect(armed: &mut Armed) -> Option<Effect> {
        // A clock that is wrong is wrong all the time: how often is a matter of the endpoint.
        if let Kind::ClockSkew(secs, stamps) = armed.rule.kind {
            return stamps.then_some(Effect::Skew(secs));
        }
        if armed.rule.kind.target() != Target::Message || !armed.try_hit() {
            return None;
        }
        match &armed.rule.kind {
            Kind::Drop => Some(Effect::Cut),
            Kind::Mute(time) => Some(Effect::Mute(*time, armed.id)),
            Kind::Duplicate => Some(Effect::Duplicate),
            Kind::Reorder => Some(Effect::Reorder),
            Kind::Slow(spread) => Some(Effect::Slow(drawn(*spread, &mut armed.chance))),
            Kind::Lose => Some(Effect::Lose),
            Kind::Replay(count) => Some(Effect::Replay(*count)),
            Kind::Latency(_)
            | Kind::RateLimit
            | Kind::ServerError(..)
            | Kind::Reset(_)
            | Kind::Timeout(..)
            | Kind::Html(..)
            | Kind::Handshake429
            | Kind::Equity(_)
            | Kind::ClockSkew(..)
            | Kind::PartialFailure(..)
            | Kind::Ghost(_)
            | Kind::StuckCancels
            | Kind::Halt(_) => None,
        }
    }

    /// For how long a connection that goes now still counts.
    pub fn on_leave(&mut self, stream: Stream, now: MarketTime) -> Option<(Duration, Hit)> {
        self.rules.iter_mut().find_map(|armed| {
            let Kind::Ghost(time) = armed.rule.kind else { return None };
            let fits = armed.is_on(now) && armed.rule.scope.stream == Some(stream);
            (fits && armed.try_hit()).then(|| (time, armed.hit()))
        })
    }

    /// How the venue behaves from `now` on, and the rules that came into force with it.
    pub fn venue(&mut self, now: MarketTime) -> (Venue, Vec<Hit>) {
        let (mut venue, mut hits) = (Venue::default(), Vec::new());
        for armed in self.rules.iter_mut().filter(|armed| armed.rule.kind.target() == Target::Venue) {
            let is_on = armed.is_on(now);
            let was_in_force = std::mem::replace(&mut armed.in_force, is_on);
            if !armed.in_force {
                continue;
            }
            if !was_in_force {
                armed.chances += 1;
                armed.hits += 1;
                hits.push(armed.hit());
            }
            match &armed.rule.kind {
                Kind::Halt(symbol) => drop(venue.halted.insert(symbol.clone())),
                _ => venue.has_stuck_cancels = true,
            }
        }
        (venue, hits)
    }

    /// When the venue's behaviour changes next, after `now`.
    pub fn next_change(&self, now: MarketTime) -> Option<MarketTime> {
        let rules = self.rules.iter().filter(|armed| armed.rule.kind.target() == Target::Venue);
        rules.flat_map(|armed| [armed.from, armed.until]).flatten().filter(|at| *at > now).min()
    }
}

/// How the venue behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Venue {
    /// Cancels are not carried out.
    pub has_stuck_cancels: bool,
    /// These do not trade.
    pub halted: BTreeSet<Symbol>,
}

/// Whether a rule is about a request, given what it says and what its kind means.
fn applies(rule: &Rule, request: Request<'_>) -> bool {
    let Scope { api, method, path, .. } = &rule.scope;
    let is_meant = match rule.kind {
        Kind::Handshake429 => request.is_handshake,
        Kind::Equity(_) => request.method == "GET" && request.path == "/v2/account",
        Kind::ClockSkew(..) => request.method == "GET" && request.path == "/v2/clock",
        _ => rule.kind.target() == Target::Request,
    };
    is_meant
        && api.is_none_or(|api| api == request.api)
        && method.as_ref().is_none_or(|method| method == request.method)
        && path.as_ref().is_none_or(|prefix| request.path.starts_with(prefix.as_str()))
}

fn is_about(scope: &Scope, stream: Stream, symbol: Option<&Symbol>) -> bool {
    scope.stream.is_none_or(|only| only == stream)
        && scope.symbol.as_ref().is_none_or(|only| Some(only) == symbol)
}

fn unit(chance: &mut ChaCha8Rng) -> f64 {
    (chance.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

fn drawn(spread: Spread, chance: &mut ChaCha8Rng) -> Duration {
    let width = spread.most_ms - spread.least_ms + 1;
    Duration::from_millis(spread.least_ms + chance.next_u64() % width)
}
