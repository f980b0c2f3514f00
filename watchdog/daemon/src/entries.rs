//! Exits whose entry is over. Of these Alpaca's lists of open orders show only what works, as rows with ids
//! that the broker made up: not whose they are, and not the stop that is held beside a take-profit. Both
//! stand with the entry, which is listed as closed (fact sheet 2.5, 9; `host/brokers/alpaca/src/orders.rs`
//! has the table). Without it a kill would call an exit of ours somebody else's, and cancel a take-profit
//! that takes the kept stop along.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    broker::PAGE,
    error::Error,
    replies::page_end,
    rows::{lost_legs, text},
};

/// So many pages of orders that are over are searched, the newest first.
const MAX_PAGES: usize = 2;
/// More symbols are not named in one request.
const MAX_SYMBOLS: usize = 200;

/// The entries, with all their legs, of those legs in `flat` that are not in `nested`; asks nothing where
/// there are none. `page` reads closed orders: of which, and up to when. An exit whose entry is older than
/// what is read stays a row by itself.
///
/// # Errors
/// Those of `page`.
pub(crate) fn entries(
    nested: &[Value],
    flat: &[Value],
    page: impl Fn(&str, Option<&str>) -> Result<Vec<Value>, Error>,
) -> Result<Vec<Value>, Error> {
    let mut search = Search::new(nested, flat);
    let mut until = None;
    for _ in 0..MAX_PAGES {
        let Some(symbols) = search.symbols() else {
            break;
        };
        let page = page(&format!("nested=true&symbols={symbols}"), until.as_deref())?;
        until = if page.len() < PAGE { None } else { page_end(&page).ok() };
        search.on(page);
        if until.is_none() {
            break;
        }
    }
    Ok(search.found)
}

/// The search for the entries of exits that are in no group.
struct Search<'a> {
    left: BTreeSet<&'a str>,
    symbols: String,
    /// The entries so far, with all their legs.
    found: Vec<Value>,
}

impl<'a> Search<'a> {
    /// For those legs in `flat` that are not in `nested`.
    fn new(nested: &[Value], flat: &'a [Value]) -> Self {
        let lost = lost_legs(nested, flat);
        let symbols: BTreeSet<&str> = lost.iter().filter_map(|leg| text(leg, "symbol")).collect();
        let symbols: Vec<String> = symbols.into_iter().take(MAX_SYMBOLS).map(in_query).collect();
        let left = lost.iter().filter_map(|leg| text(leg, "id")).collect();
        Self { left, symbols: symbols.join(","), found: Vec::new() }
    }

    /// Of which symbols more closed orders are to be read; `None` when all is found.
    fn symbols(&self) -> Option<&str> {
        (!self.left.is_empty()).then_some(self.symbols.as_str())
    }

    /// Takes a page of closed orders in.
    fn on(&mut self, page: Vec<Value>) {
        for entry in page {
            let legs = entry.get("legs").and_then(Value::as_array).into_iter().flatten();
            let found = legs.filter(|leg| text(leg, "id").is_some_and(|id| self.left.remove(id))).count();
            if found > 0 {
                self.found.push(entry);
            }
        }
    }
}

/// Of a symbol only what one is made of; of a pair the slash.
fn in_query(symbol: &str) -> String {
    let plain = symbol.chars().filter(|c| c.is_ascii_alphanumeric() || "./-".contains(*c));
    plain.collect::<String>().replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use sandpit_contract::Policy;

    use crate::{
        broker::tests::{client_of, serve},
        proof::Scope,
    };

    const POSITION: &str = r#"[{"symbol":"A","qty":"5","qty_available":"0"}]"#;
    const TAKE_PROFIT: &str = r#"[{"id":"t","status":"new","symbol":"A","order_class":"bracket",
        "client_order_id":"x","type":"limit","side":"sell","qty":"5"}]"#;

    fn entry(client_id: &str) -> String {
        format!(
            r#"[{{"id":"e0","status":"filled","symbol":"A","client_order_id":"sp-other","legs":null}},
            {{"id":"e","status":"filled","symbol":"A","client_order_id":"{client_id}","order_class":"bracket",
            "legs":[{{"id":"t","status":"new","symbol":"A","type":"limit","side":"sell","qty":"5"}},
            {{"id":"s","status":"held","symbol":"A","type":"stop","side":"sell","qty":"5"}}]}}]"#
        )
    }

    #[test]
    fn an_entry_that_is_over_says_whose_its_exits_are() {
        let check = |client_id: &str, open: &[&str], foreign: &[&str]| {
            let (address, told) = serve(vec![
                (200, "[]".to_owned()),
                (200, POSITION.into()),
                (200, TAKE_PROFIT.into()),
                (200, entry(client_id)),
            ]);
            let seen = client_of(&address, Scope::Ours).look(Policy::Cancel, &mut |_| ()).expect("read");
            let ids: Vec<_> = seen.open.iter().map(|order| order.id.as_str()).collect();
            assert_eq!(ids, open, "{client_id}");
            assert!(seen.foreign.iter().eq(foreign), "{client_id}: {:?}", seen.foreign);
            let asked = "GET /v2/orders?status=closed&limit=500&direction=desc&nested=true&symbols=A";
            assert_eq!(told.iter().last().as_deref(), Some(asked));
        };
        check("sp-a-1-1", &["t", "s"], &[]);
        check("hand", &[], &["A"]);
    }

    #[test]
    fn the_stop_that_is_held_is_seen_beside_its_take_profit() {
        let answers = vec![
            (200, "[]".to_owned()),
            (200, POSITION.into()),
            (200, TAKE_PROFIT.into()),
            (200, entry("x")),
        ];
        let (address, _told) = serve(answers);
        let seen =
            client_of(&address, Scope::Account).look(Policy::CancelKeepStops, &mut |_| ()).expect("read");
        let groups: Vec<_> = seen.open.iter().map(|order| (order.id.as_str(), order.group)).collect();
        assert!(matches!(groups[..], [("t", one), ("s", other)] if one == other), "{groups:?}");
    }
}
