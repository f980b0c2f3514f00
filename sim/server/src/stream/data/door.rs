//! Who may come in to the data streams: the plan, and one place a connection.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::Feed;
use crate::keys::KeyPair;

/// What the account has paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plan {
    /// The free one: no SIP in real time, thirty symbols of trades and quotes.
    Basic,
    /// Everything is allowed.
    #[default]
    AlgoTraderPlus,
}

/// Counts the authenticated connections of each feed and key. There are never more keys than connections.
#[derive(Debug)]
pub struct Door {
    plan: Plan,
    most: u32,
    taken: Mutex<BTreeMap<(Feed, Owner), u32>>,
}

impl Door {
    /// Grants `most` places to each key at each feed.
    pub fn new(plan: Plan, most: u32) -> Arc<Self> {
        Arc::new(Self { plan, most, taken: Mutex::default() })
    }

    /// What the account has paid for.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// A place at a feed, free again when it is dropped; `None` when all are taken.
    pub fn place(self: &Arc<Self>, feed: Feed, pair: &KeyPair) -> Option<Place> {
        let name = (feed, Owner(pair.owner().to_owned()));
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.get(&name).copied().unwrap_or_default();
        if count >= self.most {
            return None;
        }
        taken.insert(name.clone(), count + 1);
        drop(taken);
        Some(Place { door: self.clone(), name })
    }
}

/// Whose place it is. May be a token, which stays out of logs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Owner(String);

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Owner")
    }
}

/// A connection's place.
#[derive(Debug)]
pub struct Place {
    door: Arc<Door>,
    name: (Feed, Owner),
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.door.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_feed_and_key_and_freed() {
        let door = Door::new(Plan::Basic, 2);
        let pair = |key: &str, secret: &str| KeyPair { key: key.into(), secret: secret.into() };
        let first = door.place(Feed::Iex, &pair("K", "S"));
        let second = door.place(Feed::Iex, &pair("K", "S"));
        assert!(first.is_some() && second.is_some());
        assert!(door.place(Feed::Iex, &pair("K", "S")).is_none());
        let others = [door.place(Feed::Sip, &pair("K", "S")), door.place(Feed::Iex, &pair("L", "S"))];
        assert!(others.iter().all(Option::is_some));
        drop(first);
        assert!(door.place(Feed::Iex, &pair("K", "S")).is_some());
        drop((second, others));
        assert!(door.taken.lock().expect("unharmed").is_empty());
        let tokens = ["a", "b"].map(|token| door.place(Feed::News, &pair("oauth", token)));
        assert_eq!(door.taken.lock().expect("unharmed").len(), 2, "{tokens:?}");
        let one = door.place(Feed::News, &pair("oauth", "shy"));
        assert!(!format!("{one:?} {door:?}").contains("shy"), "tokens stay out of logs");
    }
}
