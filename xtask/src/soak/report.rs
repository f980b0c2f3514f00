//! What a run has found, with a verdict on each goal.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::Value;

use super::{
    figures::common_slope,
    market::FROZEN,
    plan::HOUR_SECS,
    state::{Life, State},
};

/// Most rise of resident memory in an hour of market time, megabytes.
const MAX_SLOPE_MB_PER_HOUR: f64 = 1.0;
/// Longest answer that 99 of 100 keep to, microseconds.
const MAX_P99_US: u64 = 50_000;
/// A life's first hour does not count: caches fill.
const WARM_UP_SECS: f64 = HOUR_SECS as f64;
/// A slope over less than this says nothing.
const LEAST_SLOPE_SECS: f64 = 2.0 * HOUR_SECS as f64;
/// Bytes of a kernel's kB, and of a megabyte.
const BYTES_OF_KB: f64 = 1_024.0;
const BYTES_OF_MB: f64 = 1_000_000.0;
/// So many groups of log lines are shown; all are in the file.
const SHOWN_GROUPS: usize = 40;

/// Everything, as it is written to `report.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seed: u64,
    speed: u32,
    market_hours: f64,
    of_hours: f64,
    real_minutes: f64,
    /// Starts with a broker of their own.
    segments: u32,
    goals: Vec<Goal>,
    hosts: Vec<Memory>,
    watchdogs: Vec<Memory>,
    endpoints: Vec<Answers>,
    /// Figures of the hosts, summed over their lives.
    figures: BTreeMap<String, u64>,
    brokers: Vec<Value>,
    books: Vec<Value>,
    faults: BTreeMap<String, u64>,
    faults_in_all: u64,
    restarts: BTreeMap<String, u64>,
    load_mean: f64,
    load_max: f64,
    log: BTreeMap<String, u64>,
    failure: Option<String>,
}

/// A goal, and whether it was met; `None` when there is too little to tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Goal {
    name: String,
    found: String,
    wanted: String,
    is_met: Option<bool>,
}

/// Memory over one life of a process.
#[derive(Debug, Serialize)]
struct Memory {
    segment: u32,
    pid: u32,
    from_hours: f64,
    hours: f64,
    end: String,
    /// Resident when the first hour was over.
    rss_after_an_hour_mb: Option<f64>,
    rss_peak_mb: f64,
    rss_last_mb: f64,
    /// Of it, what no file stands behind.
    anonymous_last_mb: f64,
    /// Rise an hour after the first, least squares.
    slope_mb_per_hour: Option<f64>,
    anonymous_slope_mb_per_hour: Option<f64>,
    threads: u64,
    cpu_secs: f64,
    figures: BTreeMap<String, u64>,
}

/// Latencies of one endpoint, milliseconds.
#[derive(Debug, Serialize)]
struct Answers {
    path: String,
    count: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    answers: BTreeMap<u16, u64>,
    useless: u64,
    timeouts: u64,
    refused: u64,
    while_replaced: u64,
}

impl Report {
    /// Of what was seen so far.
    pub(crate) fn new(state: &State) -> Self {
        let hours = |secs: f64| secs / HOUR_SECS as f64;
        let hosts: Vec<_> = state.lives.iter().map(Memory::new).collect();
        let mut figures = BTreeMap::new();
        for (name, value) in state.lives.iter().flat_map(|life| &life.figures) {
            *figures.entry(name.clone()).or_default() += value;
        }
        let mut restarts = BTreeMap::new();
        for life in &state.lives {
            *restarts.entry(life.end.clone()).or_default() += 1;
        }
        let answers = state.endpoints.iter().map(|(path, endpoint)| {
            let ms = |us: Option<u64>| us.unwrap_or(0) as f64 / 1_000.0;
            Answers {
                path: path.clone(),
                count: endpoint.latencies.count(),
                p50_ms: ms(endpoint.latencies.percentile_us(50.0)),
                p99_ms: ms(endpoint.latencies.percentile_us(99.0)),
                max_ms: ms(Some(endpoint.latencies.max_us())),
                answers: endpoint.answers.clone(),
                useless: endpoint.useless,
                timeouts: endpoint.timeouts,
                refused: endpoint.refused,
                while_replaced: endpoint.while_replaced,
            }
        });
        Self {
            seed: state.seed,
            speed: state.speed,
            market_hours: hours(state.done_secs),
            of_hours: hours(state.total_secs as f64),
            real_minutes: state.real_secs / 60.0,
            segments: state.segments,
            goals: goals(state),
            hosts,
            watchdogs: state.watchdogs.iter().map(Memory::new).collect(),
            endpoints: answers.collect(),
            figures,
            brokers: state.brokers.clone(),
            books: state.books.clone(),
            faults: state.faults.clone(),
            faults_in_all: state.faults.values().sum(),
            restarts,
            load_mean: state.loads.iter().sum::<f64>() / (state.loads.len().max(1) as f64),
            load_max: state.loads.iter().copied().fold(0.0, f64::max),
            log: state.log.clone(),
            failure: state.failure.clone(),
        }
    }

    /// Whether no goal was missed.
    pub(crate) fn is_good(&self) -> bool {
        self.failure.is_none() && self.goals.iter().all(|goal| goal.is_met != Some(false))
    }
}

/// The points of a life after its first hour: hours of market, megabytes.
fn points(life: &Life, kb: impl Fn(&super::state::Sample) -> u64) -> Vec<(f64, f64)> {
    let warm = life.samples.iter().filter(|sample| sample.at_secs - life.from_secs >= WARM_UP_SECS);
    let point = |sample| -> (f64, f64) {
        let sample: &super::state::Sample = sample;
        (sample.at_secs / HOUR_SECS as f64, kb(sample) as f64 * BYTES_OF_KB / BYTES_OF_MB)
    };
    let points: Vec<_> = warm.map(point).collect();
    let span = points.last().zip(points.first()).map_or(0.0, |(last, first)| last.0 - first.0);
    if span * HOUR_SECS as f64 >= LEAST_SLOPE_SECS { points } else { Vec::new() }
}

fn goals(state: &State) -> Vec<Goal> {
    let mut goals = vec![
        memory("host: worst slope of resident memory", &state.lives),
        memory("watchdog: worst slope of resident memory", &state.watchdogs),
    ];
    for (path, endpoint) in &state.endpoints {
        let p99 = endpoint.latencies.percentile_us(99.0);
        goals.push(Goal {
            name: format!("p99 of {path}"),
            found: p99.map_or("not answered".into(), |us| format!("{:.1} ms", us as f64 / 1_000.0)),
            wanted: format!("at most {} ms", MAX_P99_US / 1_000),
            is_met: p99.map(|us| us <= MAX_P99_US),
        });
    }
    let nothing = |name: &str, found: Option<u64>| Goal {
        name: name.into(),
        found: found.map_or("not compared".into(), |count| count.to_string()),
        wanted: "0".into(),
        is_met: found.map(|count| count == 0),
    };
    let of_books = |name: &str| {
        // A comparison that failed is a difference.
        let count = |books: &Value| books[name].as_array().map_or(1, |found| found.len() as u64);
        (!state.books.is_empty()).then(|| state.books.iter().map(count).sum())
    };
    let by_itself = state.lives.iter().filter(|life| life.end == "by itself").count();
    let frozen = state.lives.iter().filter_map(|life| life.figures.get(FROZEN)).sum();
    let panics = state.log.iter().filter(|(group, _)| group.contains("panicked at"));
    goals.push(nothing("orders lost, doubled or different at the end", of_books("differences")));
    goals.push(nothing("orders sent twice", of_books("sent_twice")));
    goals.push(nothing("ends of the host by itself", Some(by_itself as u64)));
    goals.push(nothing("looks that found the host frozen", Some(frozen)));
    goals.push(nothing("panics in the log", Some(panics.map(|(_, count)| count).sum())));
    goals
}

fn memory(name: &str, lives: &[Life]) -> Goal {
    let lines: Vec<_> = lives.iter().map(|life| points(life, |sample| sample.rss_kb)).collect();
    let each = lines.iter().filter_map(|line| common_slope(std::slice::from_ref(line)));
    let worst = each.fold(None, |worst: Option<f64>, slope| Some(worst.map_or(slope, |w| w.max(slope))));
    let (long, common) = (lines.iter().filter(|line| !line.is_empty()).count(), common_slope(&lines));
    let found = worst.zip(common).map_or("no life is long enough".into(), |(worst, common)| {
        format!("{worst:+.2} MB/h ({long} long lives, {common:+.2} MB/h over all of them)")
    });
    Goal {
        name: name.into(),
        found,
        wanted: format!("at most {MAX_SLOPE_MB_PER_HOUR} MB/h after the first hour"),
        is_met: worst.map(|slope| slope <= MAX_SLOPE_MB_PER_HOUR),
    }
}

impl Memory {
    fn new(life: &Life) -> Self {
        let mb = |kb: u64| kb as f64 * BYTES_OF_KB / BYTES_OF_MB;
        let slope = |line: Vec<(f64, f64)>| common_slope(&[line]);
        let warm = life.samples.iter().find(|sample| sample.at_secs - life.from_secs >= WARM_UP_SECS);
        let last = life.samples.last();
        Self {
            segment: life.segment,
            pid: life.pid,
            from_hours: life.from_secs / HOUR_SECS as f64,
            hours: (life.to_secs - life.from_secs).max(0.0) / HOUR_SECS as f64,
            end: life.end.clone(),
            rss_after_an_hour_mb: warm.map(|sample| mb(sample.rss_kb)),
            rss_peak_mb: mb(life.samples.iter().map(|sample| sample.rss_kb).max().unwrap_or(0)),
            rss_last_mb: mb(last.map_or(0, |sample| sample.rss_kb)),
            anonymous_last_mb: mb(last.map_or(0, |sample| sample.anonymous_kb)),
            slope_mb_per_hour: slope(points(life, |sample| sample.rss_kb)),
            anonymous_slope_mb_per_hour: slope(points(life, |sample| sample.anonymous_kb)),
            threads: life.threads,
            cpu_secs: life.cpu_ms as f64 / 1_000.0,
            figures: life.figures.clone(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "soak of seed {}: {:.1} of {:.1} hours of open market at {}x, {:.1} minutes, {} segment(s), load \
             {:.1} on average and {:.1} at most",
            self.seed,
            self.market_hours,
            self.of_hours,
            self.speed,
            self.real_minutes,
            self.segments,
            self.load_mean,
            self.load_max
        )?;
        for (name, lives) in [("host", &self.hosts), ("watchdog", &self.watchdogs)] {
            lives.iter().try_for_each(|life| writeln!(f, "  {name:<9} {life}"))?;
        }
        self.endpoints.iter().try_for_each(|answers| writeln!(f, "  {answers}"))?;
        writeln!(f, "  faults {}: {}", self.faults_in_all, list(&self.faults))?;
        writeln!(f, "  ends of lives: {}", list(&self.restarts))?;
        writeln!(f, "  sums over the host's lives: {}", list(&self.figures))?;
        self.brokers.iter().try_for_each(|broker| writeln!(f, "  broker {broker}"))?;
        for books in &self.books {
            let text: String = books.to_string().chars().take(2_000).collect();
            writeln!(f, "  books {text}")?;
        }
        writeln!(f, "  warnings and errors, {} groups:", self.log.len())?;
        let mut groups: Vec<_> = self.log.iter().collect();
        groups.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (group, count) in groups.into_iter().take(SHOWN_GROUPS) {
            writeln!(f, "  {count:>8}  {group}")?;
        }
        for Goal { name, found, wanted, is_met } in &self.goals {
            let verdict = match is_met {
                Some(true) => "met   ",
                Some(false) => "MISSED",
                None => "open  ",
            };
            writeln!(f, "{verdict}  {name}: {found} (wanted: {wanted})")?;
        }
        match &self.failure {
            Some(failure) => writeln!(f, "FAILED: {failure}"),
            None => Ok(()),
        }
    }
}

/// `name count` by name.
fn list<N: fmt::Display>(counts: &BTreeMap<String, N>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |figure: Option<f64>| figure.map_or("-".into(), |figure| format!("{figure:+.2}"));
        write!(
            f,
            "from {:>5.1} h for {:>5.1} h ({}): RSS {:.1} MB at the end, {:.1} at most, {} after an hour; \
             {} MB/h ({} without files); {} threads, {:.1} s of CPU",
            self.from_hours,
            self.hours,
            self.end,
            self.rss_last_mb,
            self.rss_peak_mb,
            self.rss_after_an_hour_mb.map_or("-".into(), |mb| format!("{mb:.1}")),
            or_none(self.slope_mb_per_hour),
            or_none(self.anonymous_slope_mb_per_hour),
            self.threads,
            self.cpu_secs
        )
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, count, p50_ms, p99_ms, max_ms, answers, .. } = self;
        let Self { useless, timeouts, refused, while_replaced, .. } = self;
        write!(
            f,
            "{path:<14} {count:>7} answers, p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, longest {max_ms:.1} ms; \
             by status {answers:?}, {useless} useless, {timeouts} timeouts, {refused} refused, \
             {while_replaced} while the host was replaced"
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::soak::machine::Usage;

    /// A life whose memory grows by so many kB an hour after an hour in which it grows by 50,000.
    fn life(from_hours: f64, hours: u32, kb_per_hour: f64) -> Life {
        let from_secs = from_hours * 3_600.0;
        let mut life = Life { from_secs, end: "killed".into(), ..Life::default() };
        for step in 0..=hours * 12 {
            let age = f64::from(step) / 12.0;
            let grown = 50_000.0 * age.min(1.0) + kb_per_hour * (age - 1.0).max(0.0);
            let usage = Usage { rss_kb: 100_000 + grown as u64, ..Usage::default() };
            life.take(from_secs + age * 3_600.0, usage);
        }
        life
    }

    fn good() -> State {
        let mut state = State::new(7, 86_400, 60);
        state.done_secs = 86_400.0;
        state.lives = vec![life(0.0, 8, 100.0), life(8.0, 2, 9_000.0), life(10.0, 8, 0.0)];
        state.watchdogs = vec![life(0.0, 18, 0.0)];
        state.endpoints.entry("/health".into()).or_default().latencies.add(900);
        state.books = vec![json!({"orders": 3, "differences": [], "sent_twice": []})];
        state
    }

    #[test]
    fn every_goal_can_be_missed() {
        let check = |change: &dyn Fn(&mut State), missed: Option<&str>| {
            let mut state = good();
            change(&mut state);
            let report = Report::new(&state);
            assert_eq!(report.is_good(), missed.is_none(), "{report}");
            let found: Vec<_> = report.goals.iter().filter(|goal| goal.is_met == Some(false)).collect();
            assert_eq!(found.len(), usize::from(missed.is_some()), "{report}");
            assert!(found.iter().all(|goal| goal.name.contains(missed.unwrap_or_default())), "{report}");
        };
        // The first hour, and a life of two hours, say nothing.
        check(&|_| {}, None);
        check(&|state| state.lives.push(life(18.0, 8, 1_200.0)), Some("host: worst slope"));
        check(&|state| state.watchdogs[0] = life(0.0, 18, 1_200.0), Some("watchdog: worst slope"));
        let slow = |state: &mut State| {
            let latencies = &mut state.endpoints.entry("/metrics".into()).or_default().latencies;
            (0..98).for_each(|_| latencies.add(1_000));
            (0..2).for_each(|_| latencies.add(51_000));
        };
        check(&slow, Some("p99 of /metrics"));
        check(&|state| state.books[0]["differences"] = json!(["one"]), Some("orders lost"));
        check(&|state| state.books[0]["sent_twice"] = json!(["one"]), Some("sent twice"));
        check(&|state| state.lives[0].end = "by itself".into(), Some("by itself"));
        let frozen = |state: &mut State| state.lives[1].figures.extend([(FROZEN.to_owned(), 1)]);
        check(&frozen, Some("frozen"));
        let panic = |state: &mut State| state.log.extend([("thread panicked at #".to_owned(), 1)]);
        check(&panic, Some("panics"));
    }

    #[test]
    fn what_there_is_too_little_of_is_left_open() {
        let mut state = good();
        state.lives.truncate(2);
        state.lives[0] = life(0.0, 2, 9_000.0);
        state.books.clear();
        let report = Report::new(&state);
        assert!(report.is_good());
        assert_eq!(report.goals.iter().filter(|goal| goal.is_met.is_none()).count(), 3, "{report}");
        state.books = vec![json!({"error": "the host does not answer"})];
        assert!(!Report::new(&state).is_good(), "a comparison that failed is no agreement");
        state.books.clear();
        state.failure = Some("killed".into());
        assert!(!Report::new(&state).is_good());
    }
}
