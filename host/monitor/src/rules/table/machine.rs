//! Host, database, memory, lease.

use super::*;

pub(super) const ROWS: &[Signal] = &[
    Signal {
        id: Id::Heartbeat,
        name: "heartbeat",
        what: "time since a loop of the host moved",
        unit: Unit::Seconds,
        test: Stall,
        limit: 60.0,
        clears: 10.0,
        settle: secs(10),
        severity: Critical,
        to_do: "Read `sandpit status` and the log of the host; the watchdog replaces a host that hangs.",
        source: Condition(
            "increase(sandpit_loop_progress_total[{limit}]) == 0 or absent(sandpit_loop_progress_total)",
        ),
        ..ROW
    },
    Signal {
        id: Id::StrategyDown,
        name: "strategy-down",
        what: "a strategy does not run",
        unit: Unit::Flag,
        hold: FIVE_MINUTES,
        to_do: "Read its last error in `sandpit strategies`.",
        source: Value("1 - sandpit_strategy_running", ""),
        ..ROW
    },
    Signal {
        id: Id::Database,
        name: "database",
        what: "commits of records that failed, came late or were refused within 5 minutes",
        test: Growth { window: FIVE_MINUTES },
        settle: FIVE_MINUTES,
        severity: Critical,
        to_do: "Look at the disk and the database: no order is sent before its record is kept.",
        source: Value(
            "increase(sandpit_commits_failed_total[{window}]) \
             + increase(sandpit_commits_late_total[{window}]) \
             + increase(sandpit_records_put_aside_total[{window}])",
            "",
        ),
        ..ROW
    },
    Signal {
        id: Id::Memory,
        name: "memory",
        what: "memory of the host, of its limit",
        unit: Unit::Ratio,
        limit: 0.85,
        clears: 0.80,
        hold: secs(15),
        severity: Critical,
        to_do: "See in `sandpit-watchdog status` which strategy grows; the drain at 80 % did not help.",
        source: Value("sandpit_watchdog_host_memory_used_ratio", ""),
        ..ROW
    },
    Signal {
        id: Id::Lease,
        name: "lease",
        what: "what is left of the watchdog's lease to trade",
        unit: Unit::Seconds,
        side: Below,
        limit: 0.1,
        clears: 0.1,
        hold: secs(15),
        settle: secs(15),
        severity: Critical,
        to_do: "Nothing may be sent: read why in `sandpit-watchdog status`.",
        source: Value("sandpit_lease_seconds_left", ""),
        ..ROW
    },
    Signal {
        id: Id::Blind,
        name: "blind",
        what: "time since a signal had all its figures",
        unit: Unit::Seconds,
        limit: 600.0,
        clears: 0.0,
        to_do: "The signal cannot be judged, and does not fire: find out why its figures are missing.",
        ..ROW
    },
];
