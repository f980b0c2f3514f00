//! Where plugins are loaded: compiling takes minutes where a machine is busy, and a plugin that is removed
//! meanwhile has to stop at once. So that is done one after the other on threads of their own, and whoever
//! asked comes for the results.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// How a plugin is loaded, by its name.
type Load<T> = Arc<dyn Fn(&str) -> T + Send + Sync>;

/// Plugins that are to be loaded; the folder holds a bounded number, see `listing`, and each waits once. `T`
/// is what comes of one.
pub(crate) struct Workshop<T> {
    load: Load<T>,
    waiting: VecDeque<String>,
    under_way: Option<(String, Receiver<T>)>,
    /// Whether what is under way is wanted still.
    is_wanted: bool,
}

impl<T: Send + 'static> Workshop<T> {
    /// A workshop that loads in this way.
    pub(crate) fn new(load: Load<T>) -> Self {
        Self { load, waiting: VecDeque::new(), under_way: None, is_wanted: false }
    }

    /// This plugin is to be loaded. One that is being loaded just now is loaded again: it was another file.
    pub(crate) fn add(&mut self, name: &str) {
        if self.under_way.as_ref().is_some_and(|(of, _)| of == name) {
            self.is_wanted = false;
        }
        if !self.waiting.iter().any(|waiting| waiting == name) {
            self.waiting.push_back(name.to_owned());
        }
    }

    /// This plugin is gone.
    pub(super) fn forget(&mut self, name: &str) {
        self.waiting.retain(|waiting| waiting != name);
        if self.under_way.as_ref().is_some_and(|(of, _)| of == name) {
            self.is_wanted = false;
        }
    }

    /// Those that are to be loaded yet.
    pub(crate) fn left(&self) -> impl Iterator<Item = &str> {
        let under_way = self.under_way.iter().map(|(name, _)| name).filter(|_| self.is_wanted);
        under_way.chain(&self.waiting).map(String::as_str)
    }

    /// The next plugin that is loaded, if one is within this time. Real time.
    ///
    /// # Panics
    /// When loading does, or there can be no thread.
    pub(crate) fn next(&mut self, within: Duration) -> Option<(String, T)> {
        loop {
            if self.under_way.is_none() {
                self.under_way = Some(self.begin()?);
                self.is_wanted = true;
            }
            let (name, result) = self.under_way.take().expect("one is under way");
            match result.recv_timeout(within) {
                Ok(loaded) if self.is_wanted => return Some((name, loaded)),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.under_way = Some((name, result));
                    return None;
                }
                Err(RecvTimeoutError::Disconnected) => panic!("loading {name} panicked"),
            }
        }
    }

    fn begin(&mut self) -> Option<(String, Receiver<T>)> {
        let name = self.waiting.pop_front()?;
        let (done, result) = mpsc::sync_channel(1);
        let (load, of) = (Arc::clone(&self.load), name.clone());
        let work = move || {
            // Nobody waits for it when the host ends.
            let _ = done.send(load(&of));
        };
        thread::Builder::new().name("loader".into()).spawn(work).expect("a thread can be started");
        Some((name, result))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc::Sender};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(1);

    /// Each load ends when the test says so, with a number of the test.
    fn workshop() -> (Workshop<(String, u32)>, Sender<u32>) {
        let (end, ends) = mpsc::channel();
        let ends = Mutex::new(ends);
        let load = move |name: &str| {
            let number = ends.lock().expect("one at a time").recv().expect("the test says");
            (name.to_owned(), number)
        };
        (Workshop::new(Arc::new(load)), end)
    }

    fn found(name: &str, number: u32) -> Option<(String, (String, u32))> {
        Some((name.to_owned(), (name.to_owned(), number)))
    }

    #[test]
    fn one_after_the_other_and_nobody_waits_for_a_long_one() {
        let (mut workshop, end) = workshop();
        assert_eq!(workshop.next(LONG), None, "nothing is to be done");
        ["a", "b", "b"].into_iter().for_each(|name| workshop.add(name));
        assert_eq!(workshop.next(SHORT), None);
        assert_eq!(workshop.next(SHORT), None);
        assert_eq!(workshop.left().collect::<Vec<_>>(), ["a", "b"]);
        end.send(1).expect("it waits");
        assert_eq!(workshop.next(LONG), found("a", 1));
        assert_eq!(workshop.left().collect::<Vec<_>>(), ["b"]);
        end.send(2).expect("it waits");
        assert_eq!(workshop.next(LONG), found("b", 2));
        assert_eq!(workshop.next(LONG), None, "each once");
    }

    #[test]
    fn what_is_gone_or_changed_meanwhile_is_not_taken() {
        let (mut workshop, end) = workshop();
        ["a", "b", "c"].into_iter().for_each(|name| workshop.add(name));
        assert_eq!(workshop.next(SHORT), None);
        // It is being loaded, and gone; so is one that waits.
        workshop.forget("a");
        workshop.forget("b");
        [1, 2].into_iter().for_each(|number| end.send(number).expect("it waits"));
        assert_eq!(workshop.next(LONG), found("c", 2));
        // It is being loaded, and another one.
        workshop.add("d");
        assert_eq!(workshop.next(SHORT), None);
        workshop.add("d");
        [3, 4].into_iter().for_each(|number| end.send(number).expect("it waits"));
        assert_eq!(workshop.next(LONG), found("d", 4));
        assert_eq!(workshop.next(LONG), None);
    }

    #[test]
    #[should_panic(expected = "loading a panicked")]
    fn a_panic_is_not_kept_secret() {
        let mut workshop = Workshop::<()>::new(Arc::new(|_| panic!("broken")));
        workshop.add("a");
        workshop.next(LONG);
    }
}
