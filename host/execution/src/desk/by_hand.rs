//! The desk without its loop, for tests that need to know when it rests.

use sandpit_broker::Broker;
use sandpit_types::TradeUpdate;

use super::Desk;
use crate::{
    DeskInput, DeskOutput, Review,
    machine::{Machine, Outcome},
};

impl<B: Broker, R: Review> Desk<B, R> {
    /// Its decisions.
    pub(crate) const fn machine_mut(&mut self) -> &mut Machine<R> {
        &mut self.machine
    }

    /// Takes an input as its loop would.
    pub(crate) fn hand(&mut self, input: DeskInput) {
        self.take(Some(input));
    }

    /// Works until nothing is left to do at this moment, on a disk that is quicker than the broker. All that
    /// is under way ends, then what `heard` brings is heard. What is told goes to `told`.
    pub(crate) async fn rest(
        &mut self,
        mut heard: impl FnMut() -> Vec<TradeUpdate>,
        told: &mut Vec<DeskOutput>,
    ) {
        for _ in 0..10_000 {
            for update in heard() {
                self.hand(DeskInput::Update(update));
            }
            let mut answers = Vec::new();
            let mut is_at_rest = true;
            loop {
                is_at_rest &= !self.turn() && self.outbox.is_empty();
                told.extend(self.outbox.drain(..));
                let mut has_written = false;
                while let Some(ended) = self.tasks.join_next_with_id().await {
                    if matches!(ended, Ok((_, Outcome::Committed(_)))) {
                        has_written = true;
                        self.ended(ended);
                    } else {
                        answers.push(ended);
                    }
                }
                if !has_written {
                    break;
                }
            }
            if is_at_rest {
                return;
            }
            answers.into_iter().for_each(|answer| self.ended(answer));
        }
        panic!("the desk finds no rest");
    }
}
