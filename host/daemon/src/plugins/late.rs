//! New versions that did not come to take over while somebody waited for it: they still may.

use std::collections::BTreeMap;

use sandpit_types::StrategyName;

/// At most one for each strategy that runs. `T` is what it takes to finish the change.
#[derive(Debug)]
pub(super) struct Late<T>(BTreeMap<StrategyName, T>);

impl<T> Default for Late<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Late<T> {
    /// A version of this strategy is waited for no longer. It takes the place of one before it.
    pub(super) fn add(&mut self, name: &StrategyName, version: T) {
        self.0.insert(name.clone(), version);
    }

    /// The strategy is gone, or the next version was handed over in its place.
    pub(super) fn forget(&mut self, name: &StrategyName) {
        self.0.remove(name);
    }

    /// The version to which this strategy may change any moment.
    pub(super) fn get(&self, name: &StrategyName) -> Option<&T> {
        self.0.get(name)
    }

    /// Takes out those that have come to an end, each with what `ended` says of it.
    pub(super) fn ended<R>(&mut self, ended: impl Fn(&T) -> Option<R>) -> Vec<(T, R)> {
        let over: Vec<_> =
            self.0.iter().filter_map(|(name, version)| Some((name.clone(), ended(version)?))).collect();
        over.into_iter().filter_map(|(name, how)| Some((self.0.remove(&name)?, how))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_given_out_once_when_it_has_ended() {
        let [a, b, c] = ["a", "b", "c"].map(StrategyName::new);
        let mut late = Late::default();
        for (name, version) in [(&a, 1), (&b, 2), (&c, 3), (&b, 4)] {
            late.add(name, version);
        }
        late.forget(&c);
        assert_eq!([&a, &b, &c].map(|name| late.get(name)), [Some(&1), Some(&4), None]);
        let odd = |version: &i32| (version % 2 == 1).then_some("odd");
        assert_eq!(late.ended(odd), [(1, "odd")]);
        assert_eq!(late.ended(odd), []);
        assert_eq!([&a, &b].map(|name| late.get(name)), [None, Some(&4)]);
        assert_eq!(late.ended(|_| Some(())), [(4, ())], "the newer of the two");
    }
}
