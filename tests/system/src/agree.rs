//! Whether the host and the broker tell the same story.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use serde_json::Value;

use crate::{Demo, differences, doubled, recorded, wait_for};

/// How long they may take to agree: trading goes on meanwhile, so the two are read again until one look at
/// the broker agrees with one at the host.
const AGREE_WITHIN: Duration = Duration::from_secs(20);

impl Demo {
    /// A demo at `speed` in mid-session that has traded.
    ///
    /// # Panics
    /// When it does not trade.
    pub fn trading(speed: &str) -> Self {
        Self::trading_with(&["--speed", speed])
    }

    /// The same of one started with `args`.
    ///
    /// # Panics
    /// When it does not trade.
    pub fn trading_with(args: &[&str]) -> Self {
        let demo = Self::start(args);
        wait_for("fills", Duration::from_secs(120), || {
            (demo.sim_status()["fills"].as_u64() > Some(5)).then_some(())
        });
        demo
    }

    /// Waits until host and broker say the same of positions and open orders.
    ///
    /// # Panics
    /// When they never do.
    pub fn books_agree(&self) {
        let mut last = String::new();
        let agree = || {
            let host = self.host_status()?;
            let held = positions(&self.broker("/v2/positions"));
            let open = open_orders(&self.broker("/v2/orders?status=open&limit=500"));
            let (own_held, own_open) = (positions(&host["positions"]), open_orders(&host["open_orders"]));
            last = format!("broker {held:?} {open:?}\nhost   {own_held:?} {own_open:?}");
            (host["reconciled"] == true && held == own_held && open == own_open).then_some(())
        };
        let result = catch_unwind(AssertUnwindSafe(|| wait_for("books that agree", AGREE_WITHIN, agree)));
        assert!(result.is_ok(), "the books differ:\n{last}");
    }

    /// Every order the broker ever took is one that the host recorded, with the same fills; none that it took
    /// is missing; no entry was sent twice.
    ///
    /// # Panics
    /// When that is not so.
    pub fn nothing_lost_or_doubled(&self) {
        let database = self.path("host/paper/sandpit.db");
        let mut last = Vec::new();
        let agree = || {
            let orders = self.broker("/v2/orders?status=all&limit=500&direction=asc");
            let orders = orders.as_array().expect("a list");
            assert!((1..500).contains(&orders.len()), "{} orders do not fit one page", orders.len());
            let twice = doubled(orders, "sma_cross");
            assert!(twice.is_empty(), "{twice:?}\n{}", self.log());
            last = differences(orders, &recorded(&database));
            last.is_empty().then_some(())
        };
        let result = catch_unwind(AssertUnwindSafe(|| wait_for("records that agree", AGREE_WITHIN, agree)));
        assert!(result.is_ok(), "{last:#?}");
    }
}

/// Symbol to shares, as text.
fn positions(list: &Value) -> BTreeMap<String, String> {
    let entry = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_else(|| panic!("no {name} in {row}")).to_owned();
        (text("symbol"), text("qty"))
    };
    list.as_array().expect("a list").iter().map(entry).collect()
}

/// Client ids of open orders.
fn open_orders(list: &Value) -> BTreeSet<String> {
    let id = |row: &Value| row["client_order_id"].as_str().expect("an id").to_owned();
    list.as_array().expect("a list").iter().map(id).collect()
}
