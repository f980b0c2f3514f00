//! Where a host is asked, and what no answer means.

use std::path::{Path, PathBuf};

use sandpit_contract::Exit;
use sandpit_control::{ANSWER_WITHIN, AskError, Asker, Done, Refused, Wish};
use serde_json::Value;

use crate::{ambient, config::Config, control, run::Failure};

/// The snapshot of the host.
///
/// # Errors
/// [`Exit::NoHost`] and [`Exit::NotAllowed`].
pub(super) fn snapshot(config: &Config) -> Result<Value, Failure> {
    let asker = asker(config);
    let text = run(async {
        if config.listen.port() == 0 {
            // Nobody but the host knows which one it got.
            return over_sockets(config, async |socket| asker.status(socket).await).await;
        }
        match asker.monitor(config.listen, None).await {
            Err(AskError::WantsToken { at }) => {
                // Whoever may use the control socket needs no token, and whoever has one shows it to nobody
                // but for that.
                match over_sockets(config, async |socket| asker.status(socket).await).await {
                    Ok(text) => Ok(text),
                    Err(_) => match &config.panel_token {
                        Some(token) => asker.monitor(config.listen, Some(token.expose())).await,
                        None => Err(AskError::WantsToken { at }),
                    },
                }
            }
            answer => answer,
        }
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(Exit::NoHost, format!("what answers is no sandpit host: {error}")))
}

/// Has the host do something.
///
/// # Errors
/// [`Exit::NoHost`], [`Exit::NotAllowed`], and [`Exit::Usage`] for what cannot be meant.
pub(super) fn wish(config: &Config, wish: &Wish) -> Result<Done, Failure> {
    let asker = asker(config);
    run(over_sockets(config, async |socket| asker.wish(socket, wish).await))
}

/// The same; `None` where nobody listens.
///
/// # Errors
/// Those of [`wish`].
pub(super) fn wish_if_there_is_a_host(config: &Config, wish: &Wish) -> Result<Option<Done>, Failure> {
    let asker = asker(config);
    run(async {
        match over_sockets(config, async |socket| asker.wish(socket, wish).await).await {
            Err(AskError::NoHost { .. } | AskError::Refused { refused: Refused::OtherHost(_) }) => Ok(None),
            done => done.map(Some),
        }
    })
}

fn asker(config: &Config) -> Asker<'_> {
    Asker { state_dir: &config.state_dir, now_ms: ambient::boot_ms, within: ANSWER_WITHIN }
}

/// Asks at every place where the socket of this host may be, until somebody answers who is meant.
async fn over_sockets<T>(
    config: &Config,
    ask: impl AsyncFn(&Path) -> Result<T, AskError>,
) -> Result<T, AskError> {
    let mut missed = None;
    for socket in sockets(config) {
        match ask(&socket).await {
            // Of two places the first is the likelier: what is said of it is told.
            Err(error @ (AskError::NoHost { .. } | AskError::Refused { refused: Refused::OtherHost(_) })) => {
                missed = missed.or(Some(error))
            }
            answer => return answer,
        }
    }
    Err(missed.expect("there is a place to ask"))
}

fn sockets(config: &Config) -> Vec<PathBuf> {
    let usual = [&config.state_dir, Path::new(control::UNDER_SYSTEMD)];
    match &config.control_socket {
        Some(socket) => vec![socket.clone()],
        None => usual.into_iter().map(|folder| folder.join(control::FILE)).collect(),
    }
}

fn run<T>(ask: impl Future<Output = Result<T, AskError>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    runtime.block_on(ask).map_err(|error| Failure::new(exit_of(&error), error))
}

const fn exit_of(error: &AskError) -> Exit {
    match error {
        AskError::NotAllowed { .. } | AskError::WantsToken { .. } => Exit::NotAllowed,
        AskError::Refused { refused: Refused::NotAllowed(_) } => Exit::NotAllowed,
        AskError::Refused { refused: Refused::Wrong(_) } => Exit::Usage,
        AskError::Refused { refused: Refused::OtherHost(_) | Refused::Busy(_) | Refused::Unanswered(_) }
        | AskError::NoHost { .. }
        | AskError::Silent { .. }
        | AskError::Cut { .. }
        | AskError::Strange { .. } => Exit::NoHost,
    }
}
