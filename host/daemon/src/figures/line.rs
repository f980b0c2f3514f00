//! How the host stands, in one line: what `systemctl status` shows.

use sandpit_execution::DeskCounts;
use sandpit_types::StreamHealth;

use super::{Figures, Running};
use crate::ambient;

impl Figures {
    /// Mode, freeze, strategies, open orders, lease and streams, at this moment.
    pub(crate) fn line(&self) -> String {
        let desk = self.running.get().map(|running| running.desk.read()).unwrap_or_default();
        let lease = self.lease.as_ref().map(|lease| lease.holds(ambient::boot_now()));
        let lease = match lease {
            Some(true) => "; lease held",
            Some(false) => "; NO LEASE: nothing is sent",
            None => "",
        };
        let streams = self.running.get().map(streams).unwrap_or_default();
        format!("{}; {}; {}{lease}{streams}", self.stance(&desk), self.who_runs(&desk), orders(&desk))
    }

    fn stance(&self, desk: &DeskCounts) -> String {
        match &desk.frozen {
            Some(why) => format!("{}, FROZEN ({why})", self.mode),
            None => format!("{}, trading", self.mode),
        }
    }

    fn who_runs(&self, desk: &DeskCounts) -> String {
        let now = sandpit_types::MarketClock::now(&*self.clock);
        let strategies = self.roster.members();
        let others: Vec<String> = strategies
            .iter()
            .map(|strategy| (strategy, strategy.counters.state(now)))
            .filter(|(_, state)| *state != "running")
            .map(|(strategy, state)| format!("{} {state}", strategy.name))
            .chain(desk.paused.keys().map(|name| format!("{name} PAUSED")))
            .chain(self.refusals.all().into_iter().map(|(plugin, _)| format!("{plugin} refused")))
            .collect();
        let running = strategies.iter().filter(|strategy| strategy.counters.state(now) == "running").count();
        let noun = if running == 1 { "strategy" } else { "strategies" };
        let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
        format!("{running} {noun}{others}")
    }
}

fn orders(desk: &DeskCounts) -> String {
    let noun = if desk.open == 1 { "order" } else { "orders" };
    format!("{} {noun} open", desk.open)
}

fn streams(running: &Running) -> String {
    let data = match running.ingest.health() {
        StreamHealth::Live => "live",
        StreamHealth::Fallback => "over REST",
        StreamHealth::Stale => "STALE",
    };
    format!("; data {data}; order stream {}", running.updates.connection.state().as_str())
}
