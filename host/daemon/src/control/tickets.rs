//! Who waits for which answer of the desk.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use sandpit_execution::Answer;
use tokio::sync::oneshot;

/// The operators that wait. There are no more than connections to the control socket.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Answer>>>,
}

/// A place among those who wait; given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    number: u64,
    of: Arc<Tickets>,
}

impl Ticket {
    /// What stands in the instruction and in its answer.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.of.waiting().remove(&self.number);
    }
}

impl Tickets {
    /// A new one, and where its answer comes.
    pub(crate) fn draw(self: &Arc<Self>) -> (Ticket, oneshot::Receiver<Answer>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(number, sender);
        (Ticket { number, of: self.clone() }, receiver)
    }

    /// Gives an answer to whoever waits for it; nobody may any more.
    pub(crate) fn answer(&self, number: u64, answer: Answer) {
        if let Some(waiting) = self.waiting().remove(&number) {
            // He may be gone in this moment.
            let _ = waiting.send(answer);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_to_whoever_drew_the_ticket() {
        let tickets = Arc::new(Tickets::default());
        let ((first, mut of_first), (second, mut of_second)) = (tickets.draw(), tickets.draw());
        tickets.answer(second.number(), Answer::Unknown);
        assert_eq!(of_second.try_recv().expect("answered"), Answer::Unknown);
        assert!(of_first.try_recv().is_err(), "not his");
        let number = first.number();
        drop(first);
        tickets.answer(number, Answer::NotFrozen);
        assert!(of_first.try_recv().is_err(), "he does not wait any more");
        assert!(tickets.waiting().is_empty(), "nobody is left behind");
    }
}
