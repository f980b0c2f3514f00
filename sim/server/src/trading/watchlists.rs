//! Named lists of symbols that a client keeps at the broker.

use sandpit_types::{MarketTime, Symbol};
use uuid::Uuid;

/// Most lists; one more is refused.
const MAX_LISTS: usize = 200;
/// Most symbols of one list; more are refused.
const MAX_SYMBOLS: usize = 1_000;
/// Longest name.
const MAX_NAME_CHARS: usize = 64;

/// A list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watchlist {
    /// Its id.
    pub(crate) id: Uuid,
    /// What the client calls it.
    pub(crate) name: String,
    /// When it was made.
    pub(crate) created_at: MarketTime,
    /// When it last changed.
    pub(crate) updated_at: MarketTime,
    /// What is on it, in the client's order, none twice.
    pub(crate) symbols: Vec<Symbol>,
}

/// How a list is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// By its id.
    Id(Uuid),
    /// By its name.
    Name(String),
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WatchlistError {
    /// There is no such list.
    #[error("watchlist not found")]
    NotFound,
    /// Another list has that name.
    #[error("watchlist name must be unique")]
    NameTaken,
    /// There is no name, or it is too long.
    #[error("watchlist name must have 1 to {MAX_NAME_CHARS} characters")]
    Name,
    /// There are as many lists as there may be.
    #[error("no more than {MAX_LISTS} watchlists are allowed")]
    TooManyLists,
    /// There are more symbols than there may be.
    #[error("no more than {MAX_SYMBOLS} symbols are allowed in a watchlist")]
    TooManySymbols,
    /// The symbol is not on the list.
    #[error("symbol not found: {0}")]
    NotListed(Symbol),
}

/// All lists, in the order they were made.
#[derive(Debug, Default)]
pub(crate) struct Watchlists(Vec<Watchlist>);

impl Watchlists {
    /// All of them.
    pub(crate) fn all(&self) -> &[Watchlist] {
        &self.0
    }

    /// One of them.
    pub(crate) fn find(&self, which: &Which) -> Result<&Watchlist, WatchlistError> {
        self.place(which).map(|place| &self.0[place])
    }

    /// Makes a list.
    pub(crate) fn create(
        &mut self,
        id: Uuid,
        name: String,
        symbols: Vec<Symbol>,
        now: MarketTime,
    ) -> Result<&Watchlist, WatchlistError> {
        self.check_name(&name, None)?;
        if self.0.len() >= MAX_LISTS {
            return Err(WatchlistError::TooManyLists);
        }
        let symbols = check_symbols(symbols)?;
        self.0.push(Watchlist { id, name, created_at: now, updated_at: now, symbols });
        Ok(&self.0[self.0.len() - 1])
    }

    /// Gives a list another name or other symbols, whichever is there.
    pub(crate) fn change(
        &mut self,
        which: &Which,
        name: Option<String>,
        symbols: Option<Vec<Symbol>>,
        now: MarketTime,
    ) -> Result<&Watchlist, WatchlistError> {
        let place = self.place(which)?;
        if let Some(name) = &name {
            self.check_name(name, Some(place))?;
        }
        let symbols = symbols.map(check_symbols).transpose()?;
        let list = &mut self.0[place];
        list.name = name.unwrap_or_else(|| list.name.clone());
        list.symbols = symbols.unwrap_or_else(|| std::mem::take(&mut list.symbols));
        list.updated_at = now;
        Ok(list)
    }

    /// Puts a symbol at the end of a list; one that is on it stays where it is (what the broker does then is
    /// not known).
    pub(crate) fn add(
        &mut self,
        which: &Which,
        symbol: Symbol,
        now: MarketTime,
    ) -> Result<&Watchlist, WatchlistError> {
        let mut symbols = self.find(which)?.symbols.clone();
        symbols.push(symbol);
        self.change(which, None, Some(symbols), now)
    }

    /// Takes a symbol off a list.
    pub(crate) fn remove(
        &mut self,
        which: &Which,
        symbol: &Symbol,
        now: MarketTime,
    ) -> Result<&Watchlist, WatchlistError> {
        let mut symbols = self.find(which)?.symbols.clone();
        let place = symbols.iter().position(|listed| listed == symbol);
        symbols.remove(place.ok_or_else(|| WatchlistError::NotListed(symbol.clone()))?);
        self.change(which, None, Some(symbols), now)
    }

    /// Forgets a list.
    pub(crate) fn delete(&mut self, which: &Which) -> Result<(), WatchlistError> {
        let place = self.place(which)?;
        self.0.remove(place);
        Ok(())
    }

    fn place(&self, which: &Which) -> Result<usize, WatchlistError> {
        let is_meant = |list: &Watchlist| match which {
            Which::Id(id) => list.id == *id,
            Which::Name(name) => list.name == *name,
        };
        self.0.iter().position(is_meant).ok_or(WatchlistError::NotFound)
    }

    /// Whether the list at `place`, or a new one, may have this name.
    fn check_name(&self, name: &str, place: Option<usize>) -> Result<(), WatchlistError> {
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
            return Err(WatchlistError::Name);
        }
        match self.0.iter().position(|list| list.name == name) {
            Some(other) if Some(other) != place => Err(WatchlistError::NameTaken),
            Some(_) | None => Ok(()),
        }
    }
}

/// The symbols, none twice.
fn check_symbols(symbols: Vec<Symbol>) -> Result<Vec<Symbol>, WatchlistError> {
    let mut seen = std::collections::BTreeSet::new();
    let symbols: Vec<Symbol> = symbols.into_iter().filter(|symbol| seen.insert(symbol.clone())).collect();
    if symbols.len() > MAX_SYMBOLS { Err(WatchlistError::TooManySymbols) } else { Ok(symbols) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_symbols_are_bounded_and_names_unique() {
        let now = MarketTime::EPOCH;
        let mut lists = Watchlists::default();
        let mut create = |number: usize, name: String, symbols: usize| {
            let symbols = (0..symbols).map(|n| Symbol::new(n.to_string())).collect();
            lists.create(Uuid::from_u128(number as u128), name, symbols, now).map(|list| list.symbols.len())
        };
        assert_eq!(create(0, "0".into(), MAX_SYMBOLS), Ok(MAX_SYMBOLS));
        assert_eq!(create(1, "1".into(), MAX_SYMBOLS + 1), Err(WatchlistError::TooManySymbols));
        assert_eq!(create(1, "0".into(), 0), Err(WatchlistError::NameTaken));
        assert_eq!(create(1, String::new(), 0), Err(WatchlistError::Name));
        assert_eq!(create(1, "é".repeat(65), 0), Err(WatchlistError::Name));
        for number in 1..MAX_LISTS {
            assert_eq!(create(number, format!("{number}{}", "é".repeat(60)), 0), Ok(0));
        }
        assert_eq!(create(MAX_LISTS, "one more".into(), 0), Err(WatchlistError::TooManyLists));
        let full = lists.add(&Which::Name("0".into()), Symbol::new("SPY"), now);
        assert_eq!(full, Err(WatchlistError::TooManySymbols));
        assert_eq!(lists.delete(&Which::Name("0".into())), Ok(()));
        assert_eq!(lists.delete(&Which::Id(Uuid::from_u128(0))), Err(WatchlistError::NotFound));
        assert_eq!(lists.all().len(), MAX_LISTS - 1);
    }

    #[test]
    fn a_list_keeps_its_own_name_and_its_order() {
        let (first, later) = (MarketTime::from_secs(1), MarketTime::from_secs(2));
        let mut lists = Watchlists::default();
        let id = Which::Id(Uuid::from_u128(7));
        let symbols = |names: &str| names.split(' ').map(Symbol::new).collect::<Vec<_>>();
        lists.create(Uuid::from_u128(7), "a".into(), symbols("C A C B"), first).expect("sound");
        let shown = |list: Result<&Watchlist, WatchlistError>| {
            let list = list.expect("there");
            let names: Vec<&str> = list.symbols.iter().map(Symbol::as_str).collect();
            (list.name.clone(), names.join(" "), list.updated_at)
        };
        assert_eq!(shown(lists.find(&id)), ("a".into(), "C A B".into(), first));
        assert_eq!(shown(lists.change(&id, Some("a".into()), None, later)).1, "C A B");
        assert_eq!(shown(lists.add(&id, Symbol::new("A"), later)), ("a".into(), "C A B".into(), later));
        assert_eq!(shown(lists.remove(&id, &Symbol::new("C"), later)).1, "A B");
        let gone = lists.remove(&id, &Symbol::new("C"), later);
        assert_eq!(gone, Err(WatchlistError::NotListed(Symbol::new("C"))));
        assert_eq!(shown(lists.change(&id, Some("b".into()), Some(Vec::new()), later)).0, "b");
    }
}
