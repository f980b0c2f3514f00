//! `/metrics`: the picture in Prometheus' text format. Base units, `_total` for counters, no money.

use std::fmt::Write;

use sandpit_contract::{BootTime, BrokerProof, State, Strain};

use super::board::View;
use crate::alerts::Firing;

/// What a strategy's loop is called by the host.
const STRATEGY: &str = "strategy:";

/// The page.
pub(super) fn render(view: &View, turned: BootTime, now: BootTime) -> String {
    let mut page = Page::default();
    watchdog(&mut page, view, turned, now);
    host(&mut page, view, now);
    memory(&mut page, view);
    strain(&mut page, &view.status.strain);
    page.text
}

fn watchdog(page: &mut Page, view: &View, turned: BootTime, now: BootTime) {
    let status = &view.status;
    let age = now.since(turned).as_secs_f64();
    page.gauge("loop_age_seconds", "Time since the main loop last came around", &[("", "", age)]);
    let states = STATES.map(|state| ("state", word(state), flag(state == status.state)));
    page.gauge("state", "1 for the state the watchdog is in, 0 for the others", &states);
    let proofs = PROOFS.map(|proof| ("proof", proof.word(), flag(status.broker == Some(proof))));
    let help = "1 for what the broker's own answers prove since the kill; all 0 while there is none";
    page.gauge("kill_proof", help, &proofs);
}

fn host(page: &mut Page, view: &View, now: BootTime) {
    let status = &view.status;
    // The picture has aged since it was drawn.
    let age = now.since(view.published).as_secs_f64();
    let left = (status.lease_ms_left as f64 / 1e3 - age).max(0.0);
    page.gauge("lease_remaining_seconds", "How long the host may still trade", &[("", "", left)]);
    page.gauge("host_up", "1 while a host is there", &[("", "", flag(status.host_pid.is_some()))]);
    let restarts = f64::from(status.host_restarts);
    let help = "Hosts started again since the watchdog started";
    page.counter("host_restarts_total", help, &[("", "", restarts)]);
    let Firing { info, warning, critical } = view.firing;
    let firing = [("info", info), ("warning", warning), ("critical", critical)];
    let help = "Signals of the host that fire, by its last word";
    page.gauge("host_signals_firing", help, &firing.map(|(how, count)| ("severity", how, count as f64)));
    let ages: Vec<_> =
        status.loops.iter().map(|one| ("loop", one.name.as_str(), one.age_ms as f64 / 1e3 + age)).collect();
    page.gauge("host_loop_age_seconds", "Time since a loop of the host last made progress", &ages);
    let progress: Vec<_> =
        status.loops.iter().map(|one| ("loop", one.name.as_str(), one.progress as f64)).collect();
    page.counter("host_loop_progress_total", "Steps of a loop of the host", &progress);
}

fn memory(page: &mut Page, view: &View) {
    let status = &view.status;
    if let Some(bytes) = status.host_rss_bytes {
        let help = "Resident memory of the host";
        page.gauge("host_resident_memory_bytes", help, &[("", "", bytes as f64)]);
    }
    if let Some(percent) = status.memory_percent {
        let help = "Memory of the host's in use, of its smallest limit";
        page.gauge("host_memory_used_ratio", help, &[("", "", f64::from(percent) / 100.0)]);
    }
    let strategies: Vec<_> = status
        .loops
        .iter()
        .filter(|one| one.memory_bytes > 0)
        .filter_map(|one| Some(("strategy", one.name.strip_prefix(STRATEGY)?, one.memory_bytes as f64)))
        .collect();
    page.gauge("strategy_memory_bytes", "Memory that a strategy holds", &strategies);
}

/// What is not known has no sample.
fn strain(page: &mut Page, strain: &Strain) {
    let mut known = |name: &str, help: &str, number: Option<f64>| {
        let samples: Vec<_> = number.map(|number| ("", "", number)).into_iter().collect();
        page.gauge(name, help, &samples);
    };
    let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
    let share = |permille: Option<u32>| permille.map(|permille| f64::from(permille) / 1e3);
    let used = bytes(strain.memory_used_bytes);
    known("host_memory_used_bytes", "Memory of the host's in use", used);
    let limit = bytes(strain.memory_limit_bytes);
    known("host_memory_limit_bytes", "Memory the host may use", limit);
    let slope = strain.memory_slope_bytes_per_minute.map(|slope| slope as f64 / 60.0);
    known("host_memory_slope_bytes_per_second", "How fast the host's memory grows", slope);
    let breaches = f64::from(strain.memory_breaches);
    known("host_memory_breaches", "Hosts ended for their memory within the last hour", Some(breaches));
    let pressure = share(strain.memory_pressure_permille);
    known("memory_pressure_ratio", "Share of ten seconds in which somebody waited for memory", pressure);
    let pressure = share(strain.cpu_pressure_permille);
    known("cpu_pressure_ratio", "Share of three seconds in which somebody waited for a processor", pressure);
    let steal = share(strain.steal_permille);
    known("cpu_steal_ratio", "Share of three seconds that the hypervisor took", steal);
    let late = Some(strain.late_ms as f64 / 1e3);
    known("loop_late_seconds", "How late the main loop's turns came within three seconds, in sum", late);
    let starved = Some(flag(strain.starved));
    known("starved", "1 while the machine is too slow for its loops", starved);
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

const STATES: [State; 10] = [
    State::Disarmed,
    State::Armed,
    State::Starting,
    State::Leased,
    State::Suspect,
    State::Draining,
    State::Restarting,
    State::Stopping,
    State::Killing,
    State::Killed,
];

const PROOFS: [BrokerProof; 5] = [
    BrokerProof::PendingAtBroker,
    BrokerProof::ZeroSeen,
    BrokerProof::ConfirmedZero,
    BrokerProof::StopsOnly,
    BrokerProof::Flat,
];

const fn word(state: State) -> &'static str {
    match state {
        State::Disarmed => "disarmed",
        State::Armed => "armed",
        State::Starting => "starting",
        State::Leased => "leased",
        State::Suspect => "suspect",
        State::Draining => "draining",
        State::Restarting => "restarting",
        State::Stopping => "stopping",
        State::Killing => "killing",
        State::Killed => "killed",
    }
}

/// A sample: label's name, empty for none; its value; the number.
type Sample<'s> = (&'static str, &'s str, f64);

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn gauge(&mut self, name: &str, help: &str, samples: &[Sample<'_>]) {
        self.family(name, help, "gauge", samples);
    }

    fn counter(&mut self, name: &str, help: &str, samples: &[Sample<'_>]) {
        self.family(name, help, "counter", samples);
    }

    /// A family without samples is left out.
    fn family(&mut self, name: &str, help: &str, kind: &str, samples: &[Sample<'_>]) {
        if samples.is_empty() {
            return;
        }
        let name = format!("sandpit_watchdog_{name}");
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (label, value, number) in samples {
            if label.is_empty() {
                self.put(format_args!("{name} {number}\n"));
            } else {
                self.put(format_args!("{name}{{{label}=\"{}\"}} {number}\n", escape(value)));
            }
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("a text takes everything");
    }
}

/// A label's value: names of loops are the host's words.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sandpit_contract::LoopStatus;

    use super::*;
    use crate::admin::board::tests::plain;

    fn rendered(change: impl FnOnce(&mut sandpit_contract::Status)) -> String {
        let mut status = plain(State::Leased);
        change(&mut status);
        let at = |seconds: u64| BootTime::from_nanos(seconds * 1_000_000_000);
        let firing = Firing { info: 0, warning: 1, critical: 3 };
        let view = View { status: Arc::new(status), published: at(100), firing, number: 1 };
        render(&view, at(101), at(103))
    }

    #[test]
    fn every_state_and_proof_has_its_word() {
        for state in STATES {
            assert_eq!(serde_json::to_value(state).expect("a word"), word(state));
        }
        let text = rendered(|_| {});
        assert_eq!(text.matches("sandpit_watchdog_state{").count(), STATES.len());
        assert!(text.contains("sandpit_watchdog_state{state=\"leased\"} 1\n"), "{text}");
        assert_eq!(text.matches("state{").count() + text.matches("proof{").count(), 15, "{text}");
        let is_on =
            |line: &&str| (line.contains("state{") || line.contains("proof{")) && line.ends_with(" 1");
        assert_eq!(text.lines().filter(is_on).count(), 1, "one state, no proof: {text}");
        let text = rendered(|status| status.broker = Some(BrokerProof::ZeroSeen));
        assert!(text.contains("sandpit_watchdog_kill_proof{proof=\"ZERO_SEEN\"} 1\n"), "{text}");
    }

    #[test]
    fn an_old_picture_is_told_as_old() {
        let text = rendered(|status| {
            status.lease_ms_left = 1500;
            status.memory_percent = Some(47);
            status.strain.memory_slope_bytes_per_minute = Some(-120);
            status.strain.steal_permille = Some(25);
            status.host_rss_bytes = Some(4096);
            let name = "strategy:a\"\\\nb".into();
            status.loops.push(LoopStatus { name, progress: 9, age_ms: 250, memory_bytes: 77 });
        });
        for line in [
            "sandpit_watchdog_loop_age_seconds 2",
            "sandpit_watchdog_lease_remaining_seconds 0",
            "sandpit_watchdog_host_memory_used_ratio 0.47",
            "sandpit_watchdog_host_resident_memory_bytes 4096",
            "sandpit_watchdog_host_memory_slope_bytes_per_second -2",
            "sandpit_watchdog_cpu_steal_ratio 0.025",
            "sandpit_watchdog_starved 0",
            "sandpit_watchdog_host_signals_firing{severity=\"info\"} 0",
            "sandpit_watchdog_host_signals_firing{severity=\"warning\"} 1",
            "sandpit_watchdog_host_signals_firing{severity=\"critical\"} 3",
            "sandpit_watchdog_host_loop_age_seconds{loop=\"strategy:a\\\"\\\\\\nb\"} 3.25",
            "sandpit_watchdog_strategy_memory_bytes{strategy=\"a\\\"\\\\\\nb\"} 77",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        assert!(!text.contains("pressure"), "what is not known is not told: {text}");
    }
}
