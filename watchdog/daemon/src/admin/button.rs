//! The panic button: from a request into the main loop's mailbox.

use std::{sync::Arc, time::Duration};

use sandpit_contract::Layer;
use tokio::{sync::Semaphore, time};

use super::board::{Board, View};
use crate::{machine::Input, mailbox::Mailbox};

/// How long a caller waits for the word that the main loop took it. The kill does not depend on it.
const ANSWER_WAIT: Duration = Duration::from_millis(1500);
/// Between two tries at a full mailbox, and between two looks whether it was taken.
const PAUSE: Duration = Duration::from_millis(10);

/// Presses go into the mailbox.
pub(super) struct Button {
    mailbox: Mailbox,
    board: Arc<Board>,
    /// One press at a time is on its way: further ones meanwhile are the same kill.
    way: Arc<Semaphore>,
}

impl Button {
    /// Into `mailbox`; what comes of it is seen on `board`.
    pub(super) fn new(mailbox: Mailbox, board: Arc<Board>) -> Self {
        Self { mailbox, board, way: Arc::new(Semaphore::new(1)) }
    }

    /// Kills. The answer is what the main loop showed after it took it, or `None` when it has not taken it
    /// yet: it is delivered all the same, also when the caller is gone by then.
    pub(super) async fn press(&self, reason: String) -> Option<View> {
        if let Ok(mine) = Arc::clone(&self.way).try_acquire_owned() {
            let mailbox = self.mailbox.clone();
            tokio::spawn(async move {
                deliver(&mailbox, reason).await;
                drop(mine);
            });
        }
        time::timeout(ANSWER_WAIT, self.taken()).await.ok()
    }

    async fn taken(&self) -> View {
        // Closed it is never, so an error is impossible and would only end the wait.
        let _delivered = self.way.acquire().await;
        let number = || self.board.view().map_or(0, |view| view.number);
        // The first picture after the delivery may have been drawn just before the mail was read.
        let enough = number() + 2;
        loop {
            match self.board.view() {
                Some(view) if view.number >= enough => return view,
                Some(_) | None => time::sleep(PAUSE).await,
            }
        }
    }
}

/// Tries until there is room: a main loop that does not read its mail grants no lease either.
async fn deliver(mailbox: &Mailbox, reason: String) {
    let mut input = Input::Kill { layer: Layer::Panic, reason };
    while let Err(refused) = mailbox.offer(input) {
        input = refused;
        time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use sandpit_contract::{BootTime, State};

    use super::*;
    use crate::{admin::board::tests::plain, alerts::Firing, mailbox::mailbox};

    fn killed_by(input: &Input) -> Option<&str> {
        match input {
            Input::Kill { layer: Layer::Panic, reason } => Some(reason),
            _ => None,
        }
    }

    /// A press by a caller who hangs up at once.
    async fn hang_up(button: &Button, reason: &str) {
        let pressed = time::timeout(Duration::from_millis(1), button.press(reason.into())).await;
        assert!(pressed.is_err(), "nobody has taken it");
    }

    #[tokio::test]
    async fn a_press_is_delivered_though_the_mailbox_is_full_and_the_caller_gone() {
        let (mailbox, inbox) = mailbox().expect("descriptors");
        let filled = (0..).take_while(|_| mailbox.offer(Input::Tick).is_ok()).count();
        let button = Button::new(mailbox, Arc::default());
        hang_up(&button, "fire").await;
        hang_up(&button, "it joins the one on its way").await;
        assert_eq!(inbox.take().len(), filled);
        let delivered = time::timeout(Duration::from_secs(10), button.way.acquire()).await;
        drop(delivered.expect("there is room now"));
        hang_up(&button, "once more").await;
        let reasons: Vec<_> = inbox.take().iter().filter_map(killed_by).map(String::from).collect();
        assert_eq!(reasons, ["fire", "once more"]);
    }

    #[tokio::test]
    async fn the_answer_is_a_picture_drawn_after_the_mail_was_read() {
        let (mailbox, inbox) = mailbox().expect("descriptors");
        let board = Arc::new(Board::default());
        board.publish(BootTime::from_nanos(1), plain(State::Leased), Firing::default());
        let button = Button::new(mailbox, Arc::clone(&board));
        let mut press = std::pin::pin!(button.press("fire".into()));
        let mut waits = async || time::timeout(3 * PAUSE, &mut press).await;
        assert!(waits().await.is_err());
        board.publish(BootTime::from_nanos(2), plain(State::Leased), Firing::default());
        assert!(waits().await.is_err(), "this picture may have been drawn before the mail was read");
        assert_eq!(inbox.take().iter().filter_map(killed_by).collect::<Vec<_>>(), ["fire"]);
        board.publish(BootTime::from_nanos(3), plain(State::Killing), Firing::default());
        let view = press.await.expect("taken");
        assert_eq!(view.status.state, State::Killing);
    }
}
