//! The admin port: the panic button, and what may be seen of the watchdog, over HTTP on loopback.
//!
//! It has one thread of its own and shares with the main loop two things only: the loop publishes on the
//! [`Board`], and a press of the button is put into the loop's mailbox. Whatever happens here, a slow client,
//! a flood or a panic, the loop goes on.

mod answer;
mod board;
mod button;
mod config;
mod gate;
mod metrics;
mod page;
mod routes;
mod server;

use std::{
    ffi::OsString,
    io,
    net::{SocketAddr, TcpListener},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};

#[cfg(test)]
pub(crate) use self::board::tests::plain as plain_status;
pub(crate) use self::{board::Board, config::AdminConfig};
use self::{button::Button, gate::Gate, routes::Shared, server::Places};
use crate::{
    ambient,
    error::Error,
    log::{Level, Log},
    machine::Input,
    mailbox::Mailbox,
    secret::{Secret, secret},
};

/// Holds the token.
pub(crate) const TOKEN_VARIABLE: &str = "PANIC_TOKEN";
/// A shorter token could be guessed.
const MIN_TOKEN_CHARS: usize = 16;
/// A longer one would not fit into a request's head with everything else.
const MAX_TOKEN_CHARS: usize = 1024;
/// The thread's name, by which the panic hook knows it.
const THREAD: &str = "admin";
/// How much later than the main loop the thread gets its turn when everybody wants the processor.
const NICENESS: i32 = 5;
/// Between two tries to have the address.
const BIND_PAUSE: Duration = Duration::from_secs(2);
/// After a failure of the server itself.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The token from the environment.
///
/// # Errors
/// When it is no secret, or its length is not within 16..=1024 characters.
pub(crate) fn token(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Secret>, Error> {
    let token = secret(variable, TOKEN_VARIABLE)?;
    match token.as_ref().map(|token| token.expose().len()) {
        Some(length) if !(MIN_TOKEN_CHARS..=MAX_TOKEN_CHARS).contains(&length) => {
            Err(Error::Config(format!(
                "{TOKEN_VARIABLE} has {length} characters: give it {MIN_TOKEN_CHARS} to {MAX_TOKEN_CHARS}, \
                 such as those of `openssl rand -hex 24`"
            )))
        }
        Some(_) | None => Ok(token),
    }
}

/// Whether the thread that asks is the admin port's: its panics end nothing but the request they came from.
pub(crate) fn is_own_thread() -> bool {
    std::thread::current().name() == Some(THREAD)
}

/// The port, wanted; nobody is answered yet.
pub(crate) struct Admin {
    config: AdminConfig,
    wanted: SocketAddr,
    token: Option<Secret>,
}

/// The port, bound, with everything that serving takes.
struct Open {
    runtime: Runtime,
    places: Places,
    listener: tokio::net::TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// `None` when the port is turned off.
    pub(crate) fn new(config: &AdminConfig, token: Option<Secret>) -> Option<Self> {
        config.address().map(|wanted| Self { config: config.clone(), wanted, token })
    }

    /// Starts the thread that binds the address and answers. An address that is taken keeps no watchdog from
    /// guarding: it is said, and tried again.
    ///
    /// # Errors
    /// When the system refuses the thread.
    pub(crate) fn start(self, board: Arc<Board>, mailbox: Mailbox, log: Log) -> io::Result<()> {
        let serve = move || self.serve(board, mailbox, log);
        std::thread::Builder::new().name(THREAD.into()).stack_size(crate::STACK_BYTES).spawn(serve)?;
        Ok(())
    }

    fn serve(self, board: Arc<Board>, mailbox: Mailbox, log: Log) {
        // Best effort: the main loop goes first.
        let _: rustix::io::Result<()> = rustix::process::setpriority_process(None, NICENESS);
        let Some(open) = self.keep_opening(&mailbox, &log) else {
            return;
        };
        let off = "; without PANIC_TOKEN the panic button and /status are off";
        let without = if self.token.is_some() { "" } else { off };
        log.write(Level::Notice, format!("admin port at http://{}{without}", open.address));
        let gate = Mutex::new(Gate::new(self.config.hosts(open.address), self.token));
        let button = Button::new(mailbox, Arc::clone(&board));
        keep_serving(open, &Arc::new(Shared { gate, board, button, log }));
    }

    /// Until the address could be had; `None` when the main loop is gone.
    fn keep_opening(&self, mailbox: &Mailbox, log: &Log) -> Option<Open> {
        let mut is_said = false;
        loop {
            let cause = match self.open() {
                Ok(open) if is_said => return mailbox.post(Input::AdminPort(None)).then_some(open),
                Ok(open) => return Some(open),
                Err(cause) => cause,
            };
            if !is_said {
                is_said = true;
                let text = format!(
                    "the admin address {} cannot be used: {cause}; there is no panic button, it is tried \
                     again every {} s; type the token into nothing else that listens there",
                    self.wanted,
                    BIND_PAUSE.as_secs()
                );
                log.write(Level::Error, text.clone());
                if !mailbox.post(Input::AdminPort(Some(text))) {
                    return None;
                }
            }
            ambient::pause(BIND_PAUSE);
        }
    }

    fn open(&self) -> io::Result<Open> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let places = Places::new()?;
        let listener = TcpListener::bind(self.wanted)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        Ok(Open { runtime, places, listener, address })
    }
}

/// A request that panics ends alone; should the server itself panic, it begins again.
fn keep_serving(open: Open, shared: &Arc<Shared>) {
    let Open { runtime, mut places, listener, .. } = open;
    loop {
        let answer = {
            let shared = Arc::clone(shared);
            move |request| routes::answer(Arc::clone(&shared), request)
        };
        let _: Result<(), _> = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(server::serve(&listener, &mut places, answer));
        }));
        shared.log.write(Level::Error, "the admin port failed and begins again".into());
        ambient::pause(RESTART_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_could_be_guessed_is_refused() {
        let of =
            |text: &'static str| token(move |name| (name == TOKEN_VARIABLE).then(|| OsString::from(text)));
        assert!(token(|_| None).expect("none is no error").is_none());
        assert!(of("0123456789abcdef").is_ok_and(|token| token.is_some()));
        let error = of("0123456789abcde").expect_err("short").to_string();
        assert!(error.contains("15 characters") && !error.contains("0123456789abcde"), "{error}");
    }

    #[test]
    fn a_panic_of_another_thread_is_not_ours() {
        assert!(!is_own_thread());
        let own = std::thread::Builder::new().name(THREAD.into()).spawn(is_own_thread).expect("a thread");
        assert!(own.join().expect("it ends"));
    }
}
