//! What becomes of a host that runs out of memory: drained or replaced at once; the second time within the
//! hour the largest strategy is quarantined; the fourth time it is a kill.

use std::{collections::VecDeque, time::Duration};

use sandpit_contract::{BootTime, Event as Mark, Layer, State, Strain};

use super::{DRAIN_WAIT, Ending, Event, Machine, Now, Output, Severity, table::Action, table::decide};
use crate::{
    log::Level,
    memory::{Bounds, Condemned, Judge, Judgement, Usage, WAITING_MAX},
    starvation::Figures,
};

/// Breaches are counted over so long.
const HOUR: Duration = Duration::from_secs(3600);
/// From this breach within the hour on the largest strategy is quarantined.
const QUARANTINE_FROM: usize = 2;
/// This breach within the hour is a kill.
const KILL_AT: usize = 4;
/// A quarantine that the host does not show is asked for again.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// A host that trades has so long to show it; then a human is told.
const ASK_FOR: Duration = Duration::from_secs(30);
/// Strategies named in a line.
const NAMED_MAX: usize = 3;

/// The host's memory, and what earlier hosts' memory came to.
#[derive(Debug, Default)]
pub(super) struct Memory {
    judge: Judge,
    breaches: VecDeque<BootTime>,
    /// No more than [`WAITING_MAX`].
    quarantines: Vec<Quarantine>,
    /// The host is being ended, or was, for its memory.
    is_taking: bool,
}

/// One that the host is to be told of, or does not show yet.
#[derive(Debug)]
struct Quarantine {
    who: Condemned,
    /// When it is asked for again; none until the next host has joined: the one that is ended for its memory
    /// shows its strategies no more either.
    ask_at: Option<BootTime>,
    /// Since a host trades that shows the strategy all the same.
    give_up_at: Option<BootTime>,
}

impl Quarantine {
    const fn new(who: Condemned) -> Self {
        Self { who, ask_at: None, give_up_at: None }
    }

    fn ask(&self) -> Output {
        let Condemned { strategy, reason } = self.who.clone();
        Output::Quarantine { strategy, reason }
    }
}

impl Memory {
    /// Per cent of the limit, of the newest sample.
    pub(super) fn percent(&self) -> Option<u32> {
        self.judge.newest().map(Usage::percent)
    }

    /// The host is gone, and its samples with it. The newest of them.
    pub(super) fn forget_host(&mut self) -> Option<Usage> {
        std::mem::take(&mut self.judge).newest()
    }

    /// Whether the host that has gone was ended for its memory; asked once.
    pub(super) fn took_host(&mut self) -> bool {
        std::mem::take(&mut self.is_taking)
    }

    /// A human looked at it. What is to be quarantined stays so.
    pub(super) fn reset(&mut self) {
        self.breaches.clear();
        self.is_taking = false;
    }

    fn breaches_by(&self, now: BootTime) -> usize {
        self.breaches.iter().filter(|at| now.since(**at) < HOUR).count()
    }

    /// One more; how many that makes within the hour.
    fn count(&mut self, now: BootTime) -> usize {
        self.breaches.push_back(now);
        while self.breaches.len() > KILL_AT || self.breaches.front().is_some_and(|at| now.since(*at) >= HOUR)
        {
            self.breaches.pop_front();
        }
        self.breaches.len()
    }
}

impl Machine {
    pub(super) fn on_memory(&mut self, usage: Usage, now: Now) {
        let is_draining = self.state == State::Draining;
        let left = self.deadline.filter(|_| is_draining).map(|deadline| deadline.since(now.boot));
        let bounds = Bounds {
            drain_percent: self.settings.drain_percent,
            kill_percent: self.settings.kill_percent,
            drain_left: left.unwrap_or(DRAIN_WAIT),
            is_draining,
        };
        match self.memory.judge.on(usage, bounds, now.boot) {
            Judgement::Lasts => {}
            Judgement::Drain(why) => self.out_of_memory(Event::Leaking, &why, now),
            Judgement::Kill(why) => self.out_of_memory(Event::Overweight, &why, now),
        }
    }

    /// A breach is what ends a host; whatever follows until its end belongs to the same.
    fn out_of_memory(&mut self, event: Event, why: &str, now: Now) {
        let action = decide(self.state, event);
        let ends_host = action == Action::Drain || action == Action::Replace && !self.memory.is_taking;
        let figures = self.memory_figures(self.memory.judge.newest(), &self.largest());
        if ends_host && self.is_fatal(why, &figures, &self.largest(), now) {
            return;
        }
        self.memory.is_taking |= ends_host;
        self.step(event, why, now);
    }

    /// The host's process was killed, and not by us: with memory that full it was the kernel, for want of it.
    /// True when that was once too often, and is a kill now.
    pub(super) fn ended_for_memory(
        &mut self,
        ending: Ending,
        last: Option<Usage>,
        largest: &[(String, u64)],
        now: Now,
    ) -> bool {
        let was_trading = matches!(self.state, State::Starting | State::Leased | State::Suspect);
        let is_full = last.is_some_and(|usage| usage.percent() >= self.settings.drain_percent);
        // Of a host that others run nobody tells how it ended: it has said no goodbye, and that has to do.
        let is_killed = ending.signal == Some(9) || ending == Ending::default();
        if !was_trading || !is_full || !is_killed {
            return false;
        }
        let percent = last.map_or(0, Usage::percent);
        let why = format!("killed from outside with memory at {percent} % of its limit");
        let figures = self.memory_figures(last, largest);
        self.memory.is_taking = true;
        self.is_fatal(&why, &figures, largest, now)
    }

    /// Counts a breach, and tells of it. True when it was once too often, and is a kill now.
    fn is_fatal(&mut self, why: &str, figures: &str, largest: &[(String, u64)], now: Now) -> bool {
        let count = self.memory.count(now.boot);
        let text = format!("memory ran out, {count}. time within the hour: {why}; {figures}");
        self.mark(Mark::MemoryShort, Level::Warning, text.clone());
        let key = if count < QUARANTINE_FROM { "memory" } else { "memory-again" };
        self.alert(Severity::Warning, key, text);
        if count >= KILL_AT {
            let text = format!("memory keeps running out: {count} times within the hour; last: {why}");
            self.step(Event::Kill(Layer::CrashLoop), &text, now);
            return true;
        }
        if count >= QUARANTINE_FROM {
            self.quarantine(count, largest);
        }
        false
    }

    fn quarantine(&mut self, count: usize, largest: &[(String, u64)]) {
        let Some((strategy, bytes)) = largest.iter().find(|(_, bytes)| *bytes > 0) else {
            let text = "no strategy says that it holds memory: none can be quarantined for it";
            self.log(Level::Warning, text.into());
            self.alert(Severity::Warning, "memory-nobody", text.into());
            return;
        };
        let held = bytes >> 20;
        let reason = format!("memory ran out {count} times within the hour, and it held the most: {held} MB");
        let all = &mut self.memory.quarantines;
        if all.iter().all(|one| one.who.strategy != *strategy) && all.len() < WAITING_MAX {
            all.push(Quarantine::new(Condemned { strategy: strategy.clone(), reason: reason.clone() }));
            self.keep_quarantines();
        }
        let text = format!("strategy {strategy} is to be quarantined: {reason}");
        self.mark(Mark::Quarantined, Level::Warning, text.clone());
        self.alert(Severity::Warning, "memory-quarantine", text);
    }

    /// An earlier life of the watchdog did not see them obeyed: the next host that joins is told.
    pub(crate) fn await_quarantines(&mut self, waiting: Vec<Condemned>) {
        self.memory.quarantines = waiting.into_iter().map(Quarantine::new).collect();
    }

    fn keep_quarantines(&mut self) {
        let waiting = self.memory.quarantines.iter().map(|one| one.who.clone()).collect();
        self.out.push(Output::KeepQuarantines(waiting));
    }

    /// A host joined: it is told before it can have a lease.
    pub(super) fn offer_quarantines(&mut self, now: Now) {
        for one in &mut self.memory.quarantines {
            one.ask_at = Some(now.boot + ASK_EVERY);
            one.give_up_at = None;
            self.out.push(one.ask());
        }
    }

    /// Asks again until the strategy is gone from the beats of a host whose loops all advance.
    pub(super) fn follow_quarantines(&mut self, is_advancing: bool, now: Now) {
        let Some(host) = self.host.as_ref().filter(|host| host.is_connected) else {
            return;
        };
        let mut lines = Vec::new();
        self.memory.quarantines.retain_mut(|one| {
            let Some(ask_at) = one.ask_at else {
                return true;
            };
            let name = &one.who.strategy;
            if is_advancing && !host.loops.has_strategy(name) {
                lines.push((true, format!("strategy {name} is quarantined: the host shows it no more")));
                return false;
            }
            if is_advancing && *one.give_up_at.get_or_insert(now.boot + ASK_FOR) <= now.boot {
                lines.push((false, format!("the host does not quarantine strategy {name}: remove its file")));
                return false;
            }
            if ask_at <= now.boot {
                one.ask_at = Some(now.boot + ASK_EVERY);
                self.out.push(one.ask());
            }
            true
        });
        if !lines.is_empty() {
            self.keep_quarantines();
        }
        for (is_done, text) in lines {
            self.log(if is_done { Level::Notice } else { Level::Error }, text.clone());
            if !is_done {
                self.alert(Severity::Critical, "memory-not-quarantined", text);
            }
        }
    }

    /// The strategies of the host's newest beat, the largest first.
    pub(super) fn largest(&self) -> Vec<(String, u64)> {
        self.host.as_ref().map(|host| host.loops.strategies()).unwrap_or_default()
    }

    fn memory_figures(&self, usage: Option<Usage>, largest: &[(String, u64)]) -> String {
        let mb = |bytes: u64| bytes >> 20;
        let known = |figure: Option<String>| figure.unwrap_or_else(|| "unknown".into());
        let slope = self.memory.judge.slope();
        let a_second = known(slope.per_second().map(|slope| format!("{} kB/s", slope >> 10)));
        let a_minute = known(slope.per_minute().map(|slope| format!("{} kB/min", slope >> 10)));
        let psi = usage.and_then(|usage| usage.psi_permille);
        let psi = known(psi.map(|share| format!("{}.{} %", share / 10, share % 10)));
        let named = largest.iter().take(NAMED_MAX).map(|(name, bytes)| format!("{name} {} MB", mb(*bytes)));
        let named = named.collect::<Vec<_>>().join(", ");
        let (used, limit, rss) = usage.map_or((0, 0, 0), |usage| (usage.used, usage.limit, usage.rss));
        format!(
            "used={} MB limit={} MB rss={} MB slope={a_second}, {a_minute} pressure={psi} largest={}",
            mb(used),
            mb(limit),
            mb(rss),
            if named.is_empty() { "none" } else { &named },
        )
    }

    /// The lease goes at once, starved or not.
    pub(super) fn stalled(&mut self, which: &str, machine: Figures, now: Now) {
        self.said_put_off = false;
        let starved =
            if machine.is_starved() { format!("; the machine is starved: {machine}") } else { String::new() };
        self.step(Event::Stalled, &format!("{which}{starved}"), now);
    }

    /// It would be replaced by now, if the machine were not starved.
    pub(super) fn put_off(&mut self, which: &str, machine: Figures, now: Now) {
        if !std::mem::replace(&mut self.said_put_off, true) {
            let text = format!("the host is not replaced yet: {which}; the machine is starved: {machine}");
            self.log(Level::Warning, text);
        }
        self.step(Event::Stalled, which, now);
    }

    /// For observers.
    pub(super) fn strain(&self, now: BootTime) -> Strain {
        let usage = self.memory.judge.newest();
        let machine = self.starvation.figures(now);
        Strain {
            memory_used_bytes: usage.map(|usage| usage.used),
            memory_limit_bytes: usage.map(|usage| usage.limit),
            memory_slope_bytes_per_minute: self.memory.judge.slope().per_minute(),
            memory_pressure_permille: usage.and_then(|usage| usage.psi_permille),
            memory_breaches: u32::try_from(self.memory.breaches_by(now)).unwrap_or(u32::MAX),
            quarantining: self.memory.quarantines.iter().map(|one| one.who.strategy.clone()).collect(),
            cpu_pressure_permille: machine.pressure_permille,
            steal_permille: machine.steal_permille,
            late_ms: machine.late_ms,
            starved: machine.is_starved(),
        }
    }
}
