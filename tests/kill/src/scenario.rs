//! The one door of the suite.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    judge::judge,
    rig::Rig,
    setup::{Scope, Setup},
    waiting::wait_for,
};

/// What is expected is true within this time.
const BOUND: Duration = Duration::from_secs(40);

/// The policy that leaves orders open.
const KEEPS: &str = "cancel-keep-stops";

/// How a scenario ends.
#[derive(Clone, Debug)]
pub struct Expect {
    /// The watchdog's state in the end.
    pub state: &'static str,
    /// What pulled the kill, one of these; none for no kill.
    pub layers: &'static [&'static str],
    /// What is proved at the broker; empty for nothing.
    pub proof: &'static str,
    /// How often the host was replaced.
    pub restarts: RangeInclusive<u64>,
    /// Orders that are open in the end: out of scope, or kept.
    pub left_open: u64,
    /// Whether the account is suspended.
    pub is_suspended: bool,
}

impl Expect {
    /// Killed by one of `layers`, with the whole proof, in scope `account`.
    pub const fn killed(layers: &'static [&'static str]) -> Self {
        Self {
            state: "killed",
            layers,
            proof: "CONFIRMED_ZERO",
            restarts: 0..=0,
            left_open: 0,
            is_suspended: true,
        }
    }

    /// Killed by the flag. The host looks for it, too, and says so if it sees it first.
    pub const fn flagged() -> Self {
        Self::killed(&["flag", "trip"])
    }

    fn fits(&self, status: &Value) -> bool {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        word(&status["state"]) == self.state
            && self.layers.contains(&&*word(&status["kill"]["layer"]))
            && word(&status["broker"]) == self.proof
    }
}

/// Starts a rig that trades, does `act` to it, waits for what is expected, and judges the whole story.
///
/// # Panics
/// When anything of that fails; with everything that was logged, and where the rest is kept.
pub fn scenario(setup: Setup, act: impl FnOnce(&mut Rig) -> anyhow::Result<()>, expect: Expect) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let seed = setup.seed;
    let mut rig = Rig::start(folder.path(), setup).expect("a rig");
    let outcome = rig.trade().and_then(|()| act(&mut rig)).and_then(|()| end(&rig, &expect));
    if let Err(error) = outcome {
        let (logs, status) = (rig.logs(), rig.status());
        drop(rig);
        let kept = folder.keep();
        panic!("{error:#}\nseed {seed}\n{status:?}\n{logs}\neverything is kept in {}", kept.display());
    }
}

fn end(rig: &Rig, expect: &Expect) -> anyhow::Result<()> {
    let mut last = None;
    let reached = wait_for("the expected end", BOUND, || {
        // What is wrong already need not be waited for.
        let wrong = judge(&rig.story.seen(), rig.setup().scope, &BTreeMap::new(), &open_now(rig)?);
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        last = rig.status()?;
        Ok(last.as_ref().filter(|status| expect.fits(status)).cloned())
    });
    let (status, _) = reached.with_context(|| format!("{expect:?}\n{last:?}"))?;
    let restarts = status["host_restarts"].as_u64().context("restarts")?;
    ensure!(expect.restarts.contains(&restarts), "{restarts} restarts, expected {:?}", expect.restarts);
    let state = |name: &str| rig.watchdog_dir().join(name).exists();
    ensure!(status["host_pid"].is_null() && status["lease_ms_left"] == 0, "{status}");
    ensure!(state("latch") && !state("armed"), "latch {}, armed {}", state("latch"), state("armed"));
    rig.sim.heal()?;
    ensure!(rig.sim.is_suspended()? == expect.is_suspended, "suspended: {}", !expect.is_suspended);
    let kept = open_now(rig)?;
    let mut wrong = judge(&rig.story.seen(), rig.setup().scope, &legs(rig)?, &kept);
    let open = rig.sim.figure("open_orders")?;
    if open != expect.left_open {
        wrong.push(format!("{open} orders are open, expected {}", expect.left_open));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What the policy leaves open is what is open in the end; how many that may be, each scenario says.
fn open_now(rig: &Rig) -> anyhow::Result<BTreeSet<String>> {
    let mut kept = BTreeSet::new();
    if rig.setup().policy == KEEPS {
        for nested in [true, false] {
            let path = format!("/v2/orders?status=open&limit=500&nested={nested}");
            note_ids(&rig.sim.get(&path)?, &mut kept);
        }
    }
    Ok(kept)
}

/// Those of orders and of their legs.
fn note_ids(orders: &Value, ids: &mut BTreeSet<String>) {
    for order in orders.as_array().into_iter().flatten() {
        ids.extend(order["id"].as_str().map(str::to_owned));
        note_ids(&order["legs"], ids);
    }
}

/// Ids of legs, each with the client id of the order it hangs on. Only scope `ours` asks whose a leg is.
fn legs(rig: &Rig) -> anyhow::Result<BTreeMap<String, String>> {
    let mut legs = BTreeMap::new();
    if rig.setup().scope == Scope::Account {
        return Ok(legs);
    }
    let orders = rig.sim.get("/v2/orders?status=all&nested=true&limit=500&direction=desc")?;
    for order in orders.as_array().into_iter().flatten() {
        for leg in order["legs"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            legs.insert(text(&leg["id"]), text(&order["client_order_id"]));
        }
    }
    Ok(legs)
}
