//! The control socket: what an operator wants becomes an input of the desk, and its answer goes back.
//!
//! The same gates and records apply as to anybody else's wish. The desk never waits for an operator: who asks
//! waits here, for so long and no longer.

mod tickets;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::unistd::{Uid, User, geteuid};
use sandpit_control::{ControlServer, Deed, Done, Obey, Peer, Refused, Scope, Source, Wish};
use sandpit_execution::{self as execution, Answer, CancelScope, DeskInput, Instruction};
use sandpit_types::{StrategyName, Symbol};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

pub(crate) use self::tickets::Tickets;
use crate::{ambient, config::Config, figures::Figures};

/// Where it lies under systemd: a folder that comes and goes with the unit.
pub(crate) const UNDER_SYSTEMD: &str = "/run/sandpit-host";
/// Its name in its folder.
pub(crate) const FILE: &str = "control.sock";
/// How long the desk may take to answer, real time: its commit is waited for.
const ANSWERED_WITHIN: Duration = Duration::from_secs(4);
/// How long the name of a user may take to be found, real time: it may stand on another machine.
const NAMED_WITHIN: Duration = Duration::from_millis(500);
/// How often a socket that cannot be made is tried again, real time.
const AGAIN: Duration = Duration::from_secs(2);
/// The longest symbol that is believed.
const MAX_SYMBOL_CHARS: usize = 32;

/// What the control socket needs of the host.
pub(crate) struct Control {
    /// The folder by which commands know this host.
    pub(crate) state_dir: PathBuf,
    /// Where the socket is.
    pub(crate) socket: PathBuf,
    /// What is shown.
    pub(crate) figures: Arc<Figures>,
    /// The desk's queue.
    pub(crate) inputs: mpsc::Sender<DeskInput>,
    /// Who waits for an answer.
    pub(crate) tickets: Arc<Tickets>,
}

/// Where a host makes its control socket: where the configuration says, else in the folder that systemd made
/// for it, else in its state folder.
pub(crate) fn place(config: &Config, runtime_directory: Option<&str>) -> PathBuf {
    let given = runtime_directory.and_then(|list| list.split(':').find(|folder| !folder.is_empty()));
    let folder = given.map_or(config.state_dir.as_path(), Path::new);
    config.control_socket.clone().unwrap_or_else(|| folder.join(FILE))
}

impl Control {
    /// Serves until `stopped`. A socket that cannot be made is said once and tried again: a host that cannot
    /// be asked trades all the same, and is stopped by other means.
    pub(crate) async fn serve(self, mut stopped: watch::Receiver<bool>) {
        let (state_dir, socket) = (self.state_dir.clone(), self.socket.clone());
        let figures = self.figures.clone();
        let source: Source = Arc::new(move || {
            serde_json::to_string(&figures.snapshot()).expect("figures, which JSON can hold")
        });
        let host = Arc::new(self);
        let obey: Obey = Arc::new(move |wish, peer| {
            let host = host.clone();
            Box::pin(async move { host.obey(wish, peer).await })
        });
        let mut is_said = false;
        loop {
            let owner = geteuid().as_raw();
            let (source, obey) = (source.clone(), obey.clone());
            match ControlServer::bind(&socket, &state_dir, owner, ambient::boot_ms, source, obey).await {
                Ok(server) => {
                    tracing::info!(socket = %socket.display(), "operators are heard");
                    return server.serve(stopped).await;
                }
                Err(error) if !is_said => {
                    let socket = socket.display();
                    tracing::error!(
                        "no operator is heard at {socket}: {error}; name another place as `control_socket`"
                    );
                    is_said = true;
                }
                Err(_) => {}
            }
            tokio::select! {
                () = sleep(AGAIN) => {}
                // An error means that the host is gone, which is a stop too.
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn obey(&self, wish: Wish, peer: Peer) -> Result<String, Refused> {
        let deed = deed(&wish.deed)?;
        let operator = named(peer, wish.operator.as_deref()).await;
        let reason = wish.reason.trim().to_owned();
        let (ticket, answer) = self.tickets.draw();
        tracing::warn!(%operator, %reason, ?deed, "an operator asks");
        let input = DeskInput::Instruction(Instruction { ticket: ticket.number(), operator, reason, deed });
        self.inputs.try_send(input).map_err(|_| {
            Refused::Busy("the desk has no room for it, or the host is ending: nothing was done".to_owned())
        })?;
        match timeout(ANSWERED_WITHIN, answer).await {
            Ok(Ok(answer)) => Ok(serde_json::to_string(&done(answer)).expect("texts, which JSON can hold")),
            Ok(Err(_)) | Err(_) => Err(Refused::Unanswered(format!(
                "the host has not confirmed it within {ANSWERED_WITHIN:?}, as when the database takes \
                 nothing or the host is ending: it may be done or not; see `sandpit status`"
            ))),
        }
    }
}

/// The kernel's word for who asks, and his own where it says more.
async fn named(peer: Peer, own: Option<&str>) -> String {
    let look = tokio::task::spawn_blocking(move || User::from_uid(Uid::from_raw(peer.uid)).ok().flatten());
    let found = timeout(NAMED_WITHIN, look).await;
    let name = found.ok().and_then(Result::ok).flatten().map(|user| user.name);
    let uid = peer.uid;
    match (own.map(str::trim).filter(|own| !own.is_empty()), name) {
        (Some(own), Some(name)) if own != name => format!("{own} as {name} (uid {uid})"),
        (Some(own), None) => format!("{own} (uid {uid})"),
        (Some(_) | None, Some(name)) => format!("{name} (uid {uid})"),
        (None, None) => format!("uid {uid}"),
    }
}

fn deed(deed: &Deed) -> Result<execution::Deed, Refused> {
    let wrong = |error: &dyn std::fmt::Display| Refused::Wrong(error.to_string());
    Ok(match deed {
        Deed::Freeze => execution::Deed::Freeze,
        Deed::Unfreeze => execution::Deed::Unfreeze,
        Deed::Cancel(scope) => execution::Deed::Cancel(match scope {
            Scope::All => CancelScope::All,
            Scope::Order(id) => CancelScope::Order(id.parse().map_err(|error| wrong(&error))?),
            Scope::Strategy(name) => {
                CancelScope::Strategy(StrategyName::parse(name).map_err(|error| wrong(&error))?)
            }
            Scope::Symbol(symbol) if symbol.chars().count() > MAX_SYMBOL_CHARS => {
                return Err(wrong(&"there is no symbol of that length"));
            }
            Scope::Symbol(symbol) => CancelScope::Symbol(Symbol::new(symbol)),
        }),
    })
}

fn done(answer: Answer) -> Done {
    let texts = |orders: Vec<sandpit_types::ClientOrderId>| orders.iter().map(ToString::to_string).collect();
    match answer {
        Answer::Cancelling { orders, withdrawn } => Done::Cancelling { orders: texts(orders), withdrawn },
        Answer::Over { status, filled } => {
            Done::Over { status: status.word().to_owned(), filled: filled.to_string() }
        }
        Answer::Unknown => Done::Unknown,
        Answer::Frozen { before, orders } => Done::Frozen { before, orders: texts(orders) },
        Answer::Unfrozen { was } => Done::Unfrozen { was },
        Answer::NotFrozen => Done::NotFrozen,
        Answer::StaysFrozen { reason } => Done::StaysFrozen { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wish for one must never become one for all.
    #[test]
    fn what_is_wanted_is_what_the_desk_is_told() {
        let cancel = |scope: Scope| deed(&Deed::Cancel(scope));
        let (strategy, id) = ("sma", "sp-sma-00000000000000aa-77");
        let check = |scope: Scope, expected: CancelScope| {
            assert_eq!(cancel(scope).expect("well formed"), execution::Deed::Cancel(expected));
        };
        check(Scope::All, CancelScope::All);
        check(
            Scope::Strategy(strategy.into()),
            CancelScope::Strategy(StrategyName::parse(strategy).expect("a name")),
        );
        check(Scope::Symbol("SPY".into()), CancelScope::Symbol(Symbol::new("SPY")));
        check(Scope::Order(id.into()), CancelScope::Order(id.parse().expect("an id")));
        assert_eq!(deed(&Deed::Freeze).expect("well formed"), execution::Deed::Freeze);
        assert_eq!(deed(&Deed::Unfreeze).expect("well formed"), execution::Deed::Unfreeze);
        for wrong in [
            Scope::Order("all".into()),
            Scope::Strategy("not a name!".into()),
            Scope::Symbol("X".repeat(MAX_SYMBOL_CHARS + 1)),
        ] {
            let refused = cancel(wrong.clone()).expect_err("not well formed");
            assert!(matches!(refused, Refused::Wrong(_)), "{wrong:?}: {refused:?}");
        }
    }
}
