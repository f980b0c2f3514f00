//! A strategy that takes all the memory.

use std::time::Duration;

use anyhow::ensure;
use nix::sys::signal::Signal;
use sandpit_kill_tests::{Expect, Rig, Setup, scenario, wait_for};

const BOUND: Duration = Duration::from_secs(40);
/// A breach of the memory until an order of the next host: the goal is 3 s, of a release build by itself.
const AGAIN_MS: u64 = 6_000;

/// The first strategy grows until the host is ended for it; the next one trades soon, and nothing is lost.
fn breach(rig: &Rig) -> anyhow::Result<()> {
    let mark = rig.story.mark();
    let breach = rig.grow()?;
    rig.said(mark, "lease granted", BOUND)?;
    rig.sent_orders(rig.story.mark(), 1)?;
    let moments = rig.moments(0, breach.by_ms)?;
    println!(
        "{:?}\nbreach to lease again {:?} ms, to an order again {:?} ms",
        breach.what, moments.leased_again_ms, moments.trading_again_ms
    );
    ensure!(moments.trading_again_ms.is_some_and(|ms| ms <= AGAIN_MS), "{moments:?}");
    rig.books_agree()
}

#[test]
fn a_strategy_that_grows_is_quarantined_the_second_time_and_the_other_trades_on() {
    let setup = Setup { sections: "[memory]\nbudget_mb = 600", grow_mb: 480, ..Setup::default() };
    let act = |rig: &mut Rig| {
        let note = rig.path("host/paper/quarantined/churn_a");
        let mark = rig.story.mark();
        breach(rig)?;
        rig.traded(mark, "churn_a")?;
        ensure!(!note.exists(), "quarantined the first time");
        let mark = rig.story.mark();
        breach(rig)?;
        rig.said(mark, "strategy churn_a is quarantined", BOUND)?;
        ensure!(note.exists(), "the disk does not know it");
        wait_for("its orders to be cancelled", BOUND, || {
            Ok(rig.open_of("churn_a")?.is_empty().then_some(()))
        })?;
        let mark = rig.story.mark();
        rig.traded(mark, "churn_b")?;
        // Nor does the next host start it.
        rig.signal_host(Signal::SIGKILL)?;
        rig.said(mark, "lease granted", BOUND)?;
        rig.traded(rig.story.mark(), "churn_b")?;
        ensure!(rig.orders_of(mark, "churn_a") == 0, "it trades on");
        ensure!(note.exists(), "the disk knows it no more");
        rig.put_flag().map(drop)
    };
    scenario(setup, act, Expect { restarts: 3..=3, ..Expect::flagged() });
}
