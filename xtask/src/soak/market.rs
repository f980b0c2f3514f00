//! One segment of a run: everything is started, watched, made to fail, compared and stopped.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    machine,
    plan::{Deed, Manner, Plan},
    probes::Probes,
    rig::{Rig, signal},
    state::{Life, State},
    words::Tail,
};
use crate::ambient;

/// How often the market's time is looked at, and what is due is done.
const LOOK: Duration = Duration::from_millis(250);
/// How often the host's process and figures are looked at.
const LOOK_AT_HOST: Duration = Duration::from_secs(1);
/// How often memory is read.
const SAMPLE: Duration = Duration::from_secs(5);
/// How often the state is written, and the broker's log read on.
const SAVE: Duration = Duration::from_secs(10);
/// How long a host may take to answer after its start or the end of the one before: plugins are compiled.
const START_BOUND: Duration = Duration::from_secs(150);
/// A step of market time that is longer is a jump over a night.
const MOST_STEP_SECS: f64 = 600.0;
/// How long what was left of an earlier run may take to end.
const LEFT_BOUND: Duration = Duration::from_secs(20);
/// Figures of the host that are summed over its lives: name, and where in `/status`.
const SUMMED: [(&str, &str); 13] = [
    ("gaps_filled", "/sequence/gaps_filled"),
    ("gaps_open", "/sequence/gaps_open"),
    ("late_bars", "/sequence/late_bars"),
    ("quotes", "/data/quotes"),
    ("orders", "/orders/submitted"),
    ("fills", "/orders/fills"),
    ("refused", "/orders/refused"),
    ("rejected", "/orders/rejected"),
    ("suspicions", "/orders/suspicions"),
    ("differences", "/orders/differences"),
    ("commits_failed", "/records/commits_failed"),
    ("journal_lost", "/journal/lost"),
    ("journal_failures", "/journal/failures"),
];

/// How many looks found the host frozen: it only reduces then, and carries no load.
pub(crate) const FROZEN: &str = "frozen_looks";

/// Runs until the market's hours are over or somebody presses Ctrl-C. What was seen is in `state` and in
/// `folder`, also when it fails.
pub(crate) fn run(root: &Path, bin: &Path, folder: &Path, state: &mut State) -> anyhow::Result<()> {
    end_left(state)?;
    for life in state.lives.iter_mut().chain(&mut state.watchdogs).filter(|life| life.end.is_empty()) {
        "with the runner".clone_into(&mut life.end);
    }
    let asked_to_stop = Arc::new(AtomicBool::new(false));
    let flag = asked_to_stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
    let plan = Plan::new(state.seed, state.total_secs);
    let place = folder.join(format!("run-{}", state.seed));
    let rig = Rig::start(root, bin, &place, state, &plan, |state| state.write(folder))?;
    state.remember(&rig.children());
    state.write(folder)?;
    state.watchdogs.push(Life {
        segment: state.segments,
        pid: rig.children()[0],
        from_secs: state.done_secs,
        ..Life::default()
    });
    let mut segment = Segment::new(rig, state);
    let result = segment.go(&plan, folder, state, &asked_to_stop);
    segment.bar.finish_and_clear();
    segment.take_readings(state);
    let stopped = segment.end(state);
    // A log that cannot be read any more must not hide why the run failed.
    result.and(stopped)
}

/// Ends what a runner left behind that was killed itself.
fn end_left(state: &mut State) -> anyhow::Result<()> {
    let alive = |(pid, born): &(u32, u64)| machine::born(*pid) == Some(*born);
    for child in state.children.drain(..).filter(alive) {
        signal("-TERM", child.0)?;
        let since = ambient::now();
        while alive(&child) {
            ensure!(ambient::now().duration_since(since) < LEFT_BOUND, "process {} does not end", child.0);
            ambient::wait(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// A segment under way.
struct Segment {
    rig: Rig,
    probes: Probes,
    tail: Tail,
    bar: ProgressBar,
    start: Instant,
    /// Real time of the segments before.
    before_secs: f64,
    /// Market time of the last look, when the market was open.
    open_at: Option<f64>,
    host: Host,
    /// Rules that are armed, and when they go.
    armed: Vec<(u64, Vec<u64>)>,
    broker: Value,
}

/// What is known of the host's process.
enum Host {
    /// None answers yet; since when, and which one it is not.
    Awaited { since: Instant, not: Option<u32> },
    /// The process that answers is the newest of the lives.
    Up,
}

impl Segment {
    fn new(rig: Rig, state: &State) -> Self {
        let bar = ProgressBar::new(state.total_secs);
        let style = "{elapsed_precise} {wide_bar} {percent:>3} %  {msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("a template"));
        let (probes, start) = (Probes::start(&rig.host), ambient::now());
        Self {
            rig,
            probes,
            tail: Tail::default(),
            bar,
            start,
            before_secs: state.real_secs,
            open_at: None,
            host: Host::Awaited { since: start, not: None },
            armed: Vec::new(),
            broker: Value::Null,
        }
    }

    fn go(
        &mut self,
        plan: &Plan,
        folder: &Path,
        state: &mut State,
        asked_to_stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        let mut due = plan.after(state.done_secs.ceil() as u64).iter().peekable();
        let (mut looked, mut sampled, mut saved) = (self.start, self.start, self.start);
        while state.left_secs() > 0.0 && !asked_to_stop.load(Ordering::Relaxed) {
            self.rig.check_alive()?;
            self.advance(state)?;
            self.disarm(state)?;
            let now = ambient::now();
            let is_due = |last: &mut Instant, every| {
                let is_due = now.duration_since(*last) >= every;
                if is_due {
                    *last = now;
                }
                is_due
            };
            if is_due(&mut looked, LOOK_AT_HOST) {
                self.look_at_host(state)?;
            }
            // A host that is not up yet cannot be ended: what is due waits for it.
            if matches!(self.host, Host::Up)
                && let Some((_, deed)) = due.next_if(|(at, _)| *at as f64 <= state.done_secs)
            {
                self.act(deed, state)?;
            }
            if is_due(&mut sampled, SAMPLE) {
                self.sample(state);
            }
            if is_due(&mut saved, SAVE) {
                self.rig.ask("read")?;
                self.take_readings(state);
                state.write(folder)?;
            }
            ambient::wait(LOOK);
        }
        if state.left_secs() <= 0.0 {
            self.compare(state)?;
        }
        Ok(())
    }

    /// Counts the open market since the last look.
    fn advance(&mut self, state: &mut State) -> anyhow::Result<()> {
        self.broker = self.rig.broker()?;
        ensure!(self.broker["ended"] != true, "the market ended before its time");
        let time = self.broker["market_time"].as_str().and_then(unix_secs);
        let time = time.context("the market's time")?;
        let is_open = self.broker["phase"] == "open";
        if let (Some(before), true) = (self.open_at, is_open) {
            let step = time - before;
            state.done_secs += if step < MOST_STEP_SECS { step } else { 0.0 };
        }
        self.open_at = is_open.then_some(time);
        state.real_secs = self.before_secs + ambient::now().duration_since(self.start).as_secs_f64();
        self.bar.set_position(state.done_secs as u64);
        Ok(())
    }

    fn act(&mut self, deed: &Deed, state: &mut State) -> anyhow::Result<()> {
        match deed {
            Deed::Fault(fault) => {
                let until = state.done_secs as u64 + fault.for_secs;
                self.armed.push((until, self.rig.arm(fault)?));
                *state.faults.entry(fault.name.to_owned()).or_default() += 1;
            }
            Deed::Restart(manner) => self.restart(*manner, state)?,
        }
        Ok(())
    }

    fn disarm(&mut self, state: &State) -> anyhow::Result<()> {
        let (over, left) = self.armed.drain(..).partition(|(until, _)| *until as f64 <= state.done_secs);
        self.armed = left;
        let over: Vec<(u64, Vec<u64>)> = over;
        over.iter().try_for_each(|(_, rules)| self.rig.disarm(rules))
    }

    fn restart(&mut self, manner: Manner, state: &mut State) -> anyhow::Result<()> {
        self.sample(state);
        let life = state.lives.last_mut().context("a host that is up has a life")?;
        self.probes.host_is_replaced(true);
        self.rig.end_host(life.pid, manner)?;
        life.end = manner.as_str().to_owned();
        self.host = Host::Awaited { since: ambient::now(), not: Some(life.pid) };
        Ok(())
    }

    /// Notices a new host, one that has ended by itself, and a kill.
    fn look_at_host(&mut self, state: &mut State) -> anyhow::Result<()> {
        let Some(watchdog) = self.rig.watchdog_status() else {
            // A watchdog that is busy answers the next time; one that is gone ends the run.
            return Ok(());
        };
        if !watchdog["kill"].is_null() {
            bail!("the watchdog killed: {}", watchdog["kill"]);
        }
        let pid = watchdog["host_pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let status = self.rig.host_status().filter(|status| status["pid"].as_u64() == pid.map(u64::from));
        match (&self.host, pid, status) {
            (Host::Awaited { not, .. }, Some(pid), Some(status)) if Some(pid) != *not => {
                self.probes.host_is_replaced(false);
                self.host = Host::Up;
                let (segment, from_secs) = (state.segments, state.done_secs);
                state.lives.push(Life { segment, pid, from_secs, ..Life::default() });
                self.take_figures(&status, state);
            }
            (Host::Awaited { since, .. }, ..) => {
                let waited = ambient::now().duration_since(*since);
                ensure!(waited < START_BOUND, "no host answers for {START_BOUND:?}");
            }
            (Host::Up, Some(pid), status) => {
                let life = state.lives.last_mut().context("a host that is up has a life")?;
                if life.pid == pid {
                    if let Some(status) = status {
                        self.take_figures(&status, state);
                    }
                } else {
                    life.end = "by itself".to_owned();
                    self.host = Host::Awaited { since: ambient::now(), not: Some(life.pid) };
                }
            }
            (Host::Up, None, _) => {}
        }
        Ok(())
    }

    fn take_figures(&self, status: &Value, state: &mut State) {
        let Some(life) = state.lives.last_mut() else { return };
        for (name, pointer) in SUMMED {
            if let Some(value) = status.pointer(pointer).and_then(Value::as_u64) {
                life.figures.insert(name.to_owned(), value);
            }
        }
        for stream in status["streams"].as_array().into_iter().flatten() {
            let (name, falls) = (stream["name"].as_str().unwrap_or_default(), &stream["falls"]);
            let falls: u64 = falls.as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
            life.figures.insert(format!("falls_{name}"), falls);
        }
        if !status["frozen"].is_null() {
            *life.figures.entry(FROZEN.to_owned()).or_default() += 1;
        }
        let rss_mb = life.samples.last().map_or(0, |sample| sample.rss_kb / 1_000);
        let (lives, faults) = (state.lives.len(), state.faults.values().sum::<u64>());
        self.bar.set_message(format!("life {lives}, {faults} faults, host {rss_mb} MB"));
    }

    fn sample(&self, state: &mut State) {
        let at_secs = state.done_secs;
        let is_up = matches!(self.host, Host::Up);
        let host = state.lives.last_mut().filter(|_| is_up);
        for life in host.into_iter().chain(state.watchdogs.last_mut()) {
            if let Some(usage) = machine::usage(life.pid) {
                life.take(at_secs, usage);
            }
        }
        state.loads.extend(machine::load());
    }

    /// Moves what threads and files have into the state.
    fn take_readings(&mut self, state: &mut State) {
        for (path, endpoint) in self.probes.take() {
            state.endpoints.entry(path).or_default().merge(endpoint);
        }
        if let Err(error) = self.tail.count(&self.rig.log, &mut state.log) {
            self.bar.println(format!("the log cannot be read: {error:#}"));
        }
    }

    /// Lets the market stand, and compares broker, host and records.
    fn compare(&mut self, state: &mut State) -> anyhow::Result<()> {
        let rules: Vec<u64> = self.armed.drain(..).flat_map(|(_, rules)| rules).collect();
        self.rig.disarm(&rules)?;
        ensure!(matches!(self.host, Host::Up), "there is no host to compare at the end");
        self.rig.pause()?;
        self.bar.set_message("comparing the books");
        state.books.push(self.rig.ask("agree")?);
        Ok(())
    }

    fn end(self, state: &mut State) -> anyhow::Result<()> {
        self.sample(state);
        let shown =
            ["orders_accepted", "orders_rejected", "fills", "cancels", "quotes", "requests", "http_429"];
        let broker: BTreeMap<_, _> = shown.map(|name| (name, self.broker[name].clone())).into();
        state.brokers.push(serde_json::to_value(broker)?);
        for life in state.lives.last_mut().into_iter().chain(state.watchdogs.last_mut()) {
            if life.end.is_empty() {
                life.end = "at the end".to_owned();
            }
        }
        // Probes of a host that ends would count its end.
        drop(self.probes);
        self.rig.stop()
    }
}

/// Seconds since 1970 of an RFC 3339 time.
fn unix_secs(text: &str) -> Option<f64> {
    Some(text.parse::<Timestamp>().ok()?.as_duration().as_secs_f64())
}
