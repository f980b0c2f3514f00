//! A list that grows at its end and forgets its beginning: an item keeps its number for ever.

use std::{
    collections::VecDeque,
    ops::{Index, IndexMut, Range},
};

/// Items with running numbers, the oldest of which may be gone.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    items: VecDeque<T>,
    /// How many are gone: the number of the first that is kept.
    gone: usize,
}

impl<T> Kept<T> {
    pub(crate) const fn new() -> Self {
        Self { items: VecDeque::new(), gone: 0 }
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many are gone: the number of the first that is kept.
    pub(crate) const fn gone(&self) -> usize {
        self.gone
    }

    /// The number that the next item will have.
    pub(crate) fn next_number(&self) -> usize {
        self.gone + self.items.len()
    }

    pub(crate) fn push(&mut self, item: T) {
        self.items.push_back(item);
    }

    /// The oldest that is kept.
    pub(crate) fn first(&self) -> Option<&T> {
        self.items.front()
    }

    /// Forgets the oldest.
    pub(crate) fn pop_first(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        self.gone += 1;
        Some(item)
    }

    /// Those that are kept, the oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.items.iter()
    }

    /// Those at these places among the kept ones.
    pub(crate) fn at(&self, places: Range<usize>) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.items.range(places)
    }

    /// How many of the kept ones come before the first for which `early` is false.
    pub(crate) fn partition_point(&self, early: impl Fn(&T) -> bool) -> usize {
        self.items.partition_point(early)
    }
}

/// By its number. Panics when the item is gone, or was never there.
impl<T> Index<usize> for Kept<T> {
    type Output = T;
    fn index(&self, number: usize) -> &T {
        &self.items[number - self.gone]
    }
}

impl<T> IndexMut<usize> for Kept<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        &mut self.items[number - self.gone]
    }
}
