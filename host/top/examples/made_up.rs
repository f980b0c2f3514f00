//! `sandpit top` of a host that is made up: what it says grows, and what is done is written into a file. With
//! a second argument it panics when it is asked to do something.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nix::time::{ClockId, clock_gettime};
use sandpit_top::{Host, Look, run};
use serde_json::json;

fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every Linux has it");
    u64::try_from(now.tv_sec() * 1_000 + now.tv_nsec() / 1_000_000).expect("not negative")
}

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (log, panics) = (arguments.next().expect("a file"), arguments.next().is_some());
    let asked = AtomicU64::new(0);
    let host = Host {
        ask: Arc::new(move || {
            let count = asked.fetch_add(1, Ordering::Relaxed);
            let order = |id: &str| json!({"client_order_id": id, "symbol": "SPY", "side": "buy", "qty": "1"});
            Ok(json!({"mode": "paper", "reconciled": true, "orders": {"open": 2, "planned": count},
                "open_orders": [order("first"), order("second")],
                "strategies": [{"name": "evil\u{1b}[2J\u{7}name", "state": "running"}]}))
        }),
        act: Arc::new(move |act| {
            assert!(!panics, "made up");
            fs::write(&log, format!("{act:?}")).map_err(|error| error.to_string())?;
            Ok("it is done".to_owned())
        }),
        now_ms,
    };
    run(&host, Look { has_colour: true }).map(|ended| println!("ended: {ended:?}"))
}
