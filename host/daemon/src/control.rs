//! The control socket: what an operator wants becomes an input of the desk, and its answer goes back.
//!
//! The same gates and records apply as to anybody else's wish. The desk never waits for an operator: who asks
//! waits here, for so long and no longer.

mod clerk;
mod tickets;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::unistd::{Uid, User, geteuid};
use sandpit_control::{ControlServer, Obey, Peer, Refused, Source, Wish};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

pub(crate) use self::{clerk::Clerk, tickets::Tickets};
use crate::{ambient, config::Config};

/// Where it lies under systemd: a folder that comes and goes with the unit.
pub(crate) const UNDER_SYSTEMD: &str = "/run/sandpit-host";
/// Its name in its folder.
pub(crate) const FILE: &str = "control.sock";
/// How long the name of a user may take to be found, real time: it may stand on another machine.
const NAMED_WITHIN: Duration = Duration::from_millis(500);
/// How often a socket that cannot be made is tried again, real time.
const AGAIN: Duration = Duration::from_secs(2);

/// What the control socket needs of the host.
pub(crate) struct Control {
    /// The folder by which commands know this host.
    pub(crate) state_dir: PathBuf,
    /// Where the socket is.
    pub(crate) socket: PathBuf,
    /// Who has the desk do what is wanted.
    pub(crate) clerk: Arc<Clerk>,
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
        let figures = self.clerk.figures.clone();
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
        let operator = named(peer, wish.operator.as_deref()).await;
        let done = self.clerk.obey(&wish, operator).await?;
        Ok(serde_json::to_string(&done).expect("texts, which JSON can hold"))
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
