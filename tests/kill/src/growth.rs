//! What a rig does with a strategy that takes memory; the bid sizes are those of `tests/crash/churn`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use serde_json::Value;

use crate::{
    rig::Rig,
    setup::STRATEGIES,
    sim::{SYMBOLS, agent},
    story::{Seen, What},
    waiting::wait_for,
};

/// Sizes of a bid that make a strategy work, rest, and grow.
const WORK: u64 = 900_001;
const REST: u64 = 900_002;
const GROW: u64 = 900_003;
/// It has grown, a strategy is heard of within this time.
const BOUND: Duration = Duration::from_secs(40);
/// Host and broker agree within this time: an order that was recorded, and whose request died with the host,
/// is given up after a minute of answers that nobody knows it.
const AGREE_BOUND: Duration = Duration::from_secs(90);

impl Rig {
    /// Makes the first strategy grow, see [`crate::Setup::grow_mb`], until the watchdog says that memory ran
    /// out: that line.
    ///
    /// # Errors
    /// When it never says so.
    pub fn grow(&self) -> anyhow::Result<Seen> {
        let mark = self.story.mark();
        let breach = wait_for("a breach of the memory", BOUND, || {
            let seen = self.story.first(mark, |what| what.says("memory ran out"));
            if seen.is_none() {
                self.sim.tell_quote(SYMBOLS[0], GROW)?;
            }
            Ok(seen)
        });
        Ok(breach?.0)
    }

    /// Lets the strategies rest until host and broker say the same of positions and open orders; then they
    /// work again.
    ///
    /// # Errors
    /// When they never do.
    pub fn books_agree(&self) -> anyhow::Result<()> {
        let mut last = String::new();
        let agree = wait_for("books that agree", AGREE_BOUND, || {
            self.tell_strategies(REST)?;
            let Some(host) = self.host_status() else { return Ok(None) };
            let positions_of = |list: &Value| entries(rows(list), "symbol", "qty");
            // A replacement's client id is the broker's own, while the host keeps the one that it began with.
            let symbols_of = |list: &[Value]| {
                let mut symbols: Vec<_> = entries(list, "client_order_id", "symbol").into_values().collect();
                symbols.sort_unstable();
                symbols
            };
            let held = positions_of(&self.sim.get("/v2/positions")?);
            let open = symbols_of(&self.sim.open_orders()?);
            let own = (positions_of(&host["positions"]), symbols_of(rows(&host["open_orders"])));
            last = format!("broker {held:?} {open:?}\nhost {own:?}");
            Ok((host["reconciled"] == true && (held, open) == own).then_some(()))
        });
        agree.with_context(|| last)?;
        let mark = self.story.mark();
        wait_for("strategies that work", BOUND, || {
            self.tell_strategies(WORK)?;
            Ok(self.story.first(mark, |what| what.asks("POST", "/v2/orders")).map(drop))
        })?;
        Ok(())
    }

    /// Client ids of orders of a strategy's that are open at the broker.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn open_of(&self, strategy: &str) -> anyhow::Result<Vec<String>> {
        let ids = entries(&self.sim.open_orders()?, "client_order_id", "symbol").into_keys();
        Ok(ids.filter(|id| id.starts_with(&format!("sp-{strategy}-"))).collect())
    }

    /// Waits until a strategy sends an order, after a mark.
    ///
    /// # Errors
    /// When it does not.
    pub fn traded(&self, mark: usize, strategy: &str) -> anyhow::Result<Seen> {
        self.saw(mark, "an order of a strategy's", BOUND, |what| is_order_of(what, strategy))
    }

    /// How often a strategy has sent an order, since a mark.
    pub fn orders_of(&self, mark: usize, strategy: &str) -> usize {
        let seen = self.story.seen();
        seen.iter().skip(mark).filter(|seen| is_order_of(&seen.what, strategy)).count()
    }

    fn tell_strategies(&self, bid_size: u64) -> anyhow::Result<()> {
        SYMBOLS[..STRATEGIES.len()].iter().try_for_each(|symbol| self.sim.tell_quote(symbol, bid_size))
    }

    fn host_status(&self) -> Option<Value> {
        let url = format!("http://{}/status", self.listen());
        let text = agent(BOUND).get(url).call().ok()?.body_mut().read_to_string().ok()?;
        serde_json::from_str(&text).ok()
    }
}

fn is_order_of(what: &What, strategy: &str) -> bool {
    matches!(what, What::Asked { method, client_id, .. }
        if method == "POST" && client_id.starts_with(&format!("sp-{strategy}-")))
}

fn rows(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// One field of each row to another.
fn entries(rows: &[Value], key: &str, value: &str) -> BTreeMap<String, String> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    rows.iter().map(|row| (text(row, key), text(row, value))).collect()
}
