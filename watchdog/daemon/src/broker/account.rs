//! What the limits read: account and positions, the owner's transfers, new orders, the broker's clock.
//! What the answers mean, says `limits/reading.rs`.

use std::time::Duration;

use serde_json::Value;

use super::{Client, PAGE};
use crate::{
    ambient,
    error::Error,
    limits::{
        Ask, Cursor, Listed, Reading, Row, Told,
        reading::{TRANSFERS, clock, is_of_one_moment, listed, reading, transfers},
    },
    proof::{Report, Scope},
};

/// All requests of one read together: a kill's own reads wait behind it on their lane.
const READ_WAIT: Duration = Duration::from_secs(2);
/// What is left for the last of them, at the least.
const LEAST_WAIT: Duration = Duration::from_millis(100);
/// Rows of the activities that are read, the newest; the broker's own ceiling.
const ROWS: usize = 100;
/// One read: its requests share a deadline.
struct Session<'a> {
    client: &'a Client,
    end: sandpit_contract::BootTime,
    requests: usize,
}

impl Session<'_> {
    fn ask(&mut self, path: &str) -> Result<Value, Error> {
        self.requests += 1;
        let left = self.end.since(ambient::boot_time()).max(LEAST_WAIT);
        self.client.call("GET", path, None, left)
    }
}

impl Client {
    /// Reads what the limits ask for.
    pub(crate) fn account(&self, ask: &Ask) -> Report {
        let end = ambient::boot_time() + READ_WAIT;
        let mut session = Session { client: self, end, requests: 0 };
        let words = |error: Error| error.to_string();
        let told = match ask {
            Ask::Account => Told::Account(session.reading().map_err(words)),
            Ask::Transfers => Told::Transfers(session.transfers().map_err(words)),
            Ask::Orders(cursor) => Told::Orders(cursor.clone(), session.orders(cursor).map_err(words)),
            Ask::Clock => Told::Clock(session.clock().map_err(words)),
        };
        Report::Account { told: Box::new(told), requests: session.requests }
    }
}

impl Session<'_> {
    /// Two requests are not of one moment: a fill in between makes cash and positions disagree, and then one
    /// more of each tells.
    fn reading(&mut self) -> Result<Reading, Error> {
        let mut account = self.ask("/v2/account")?;
        let mut positions = self.ask("/v2/positions")?;
        for step in 0..2 {
            let reading = reading(&account, &positions)?;
            if is_of_one_moment(&reading) {
                return Ok(reading);
            }
            match step {
                0 => account = self.ask("/v2/account")?,
                _ => positions = self.ask("/v2/positions")?,
            }
        }
        reading(&account, &positions)
    }

    fn transfers(&mut self) -> Result<Vec<Row>, Error> {
        let kinds = TRANSFERS.join(",");
        let path = format!("/v2/account/activities?activity_types={kinds}&direction=desc&page_size={ROWS}");
        transfers(&self.ask(&path)?)
    }

    fn orders(&mut self, cursor: &Cursor) -> Result<Vec<Listed>, Error> {
        let after = match cursor {
            Cursor::Newest => {
                return listed(&self.ask("/v2/orders?status=all&limit=1&nested=true")?, Scope::Account);
            }
            Cursor::Start => String::new(),
            Cursor::After(stamp) => format!("&after={}", stamp.replace('+', "%2B")),
        };
        let page = self.ask(&format!("/v2/orders?status=all{after}&limit={PAGE}&nested=true"))?;
        listed(&page, self.client.scope)
    }

    fn clock(&mut self) -> Result<i128, Error> {
        clock(&self.ask("/v2/clock")?)
    }
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
