//! The staging host: takes a lease like the real one, places the drill's orders under it, and stays until it
//! is killed.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    socket_with,
};
use sandpit_contract::{
    Beat, BootTime, Exit, LoopBeat, MAX_MESSAGE_BYTES, PROTOCOL, ToHost, ToWatchdog, decode, encode,
};
use serde::{Deserialize, Serialize};

use super::account::{DrillAccount, DrillOrder, Guard, PREFIX};
use crate::{ambient, config::Credentials, error::Error};

/// One order in so many is a bracket.
const BRACKET_EVERY: usize = 5;
/// The first lease, or one that ended in between, is waited for so long.
const LEASE_WAIT: Duration = Duration::from_secs(30);

/// What it is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Of the staging watchdog.
    pub(crate) socket: PathBuf,
    /// The drill account's broker.
    pub(crate) trading_url: String,
    /// The drill account's id: there and nowhere else orders are placed.
    pub(crate) account: String,
    /// What is bought.
    pub(crate) symbol: String,
    /// How many orders.
    pub(crate) orders: usize,
    /// Where the report goes.
    pub(crate) report: PathBuf,
}

/// What it has done, written once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placed {
    /// Begins the client ids of these orders, and of no others.
    pub(crate) prefix: String,
    /// The broker's ids.
    pub(crate) ids: Vec<String>,
    /// How many of them are brackets.
    pub(crate) brackets: usize,
    /// Why there are not more.
    pub(crate) failure: Option<String>,
}

/// Runs until the watchdog ends it.
///
/// # Errors
/// When the plan, the account or the watchdog cannot be had.
pub(crate) fn run(plan: &Path) -> Result<Exit, Error> {
    let unread = |cause| Error::StateUnusable { path: plan.into(), cause };
    let bytes = fs::read(plan).map_err(unread)?;
    let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| Error::Config(error.to_string()))?;
    let key = Credentials::of(ambient::variable)?;
    let account = DrillAccount::open(&plan.trading_url, key, &Guard::Exactly(&plan.account))?;
    let socket = dial(&plan.socket)?;
    let epoch = ambient::boot_time().as_nanos();
    say(&socket, &ToWatchdog::Hello { protocol: PROTOCOL, epoch, mode: "paper".into() })?;
    let lease = Arc::new(Lease::default());
    let held = Arc::clone(&lease);
    let id = plan.account.clone();
    let trade = move || report(&plan, &place_all(&plan, &account, epoch, &held));
    std::thread::Builder::new().name("execution".into()).stack_size(crate::STACK_BYTES).spawn(trade)?;
    answer(&socket, epoch, &id, &lease)
}

/// The right to trade, as the watchdog grants it.
#[derive(Default)]
struct Lease {
    until: Mutex<BootTime>,
    changed: Condvar,
}

impl Lease {
    fn set(&self, until: BootTime) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        self.changed.notify_all();
    }

    fn stands(&self) -> bool {
        ambient::boot_time() < *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one stands within [`LEASE_WAIT`].
    fn wait(&self) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = |until: &mut BootTime| *until <= ambient::boot_time();
        let waited = self.changed.wait_timeout_while(until, LEASE_WAIT, ended);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

fn place_all(plan: &Plan, account: &DrillAccount, epoch: u64, lease: &Lease) -> Placed {
    let mut placed = Placed { prefix: format!("{PREFIX}{epoch:x}-"), ..Placed::default() };
    for n in 0..plan.orders {
        if !lease.wait() {
            placed.failure = Some(format!("no lease within {} s", LEASE_WAIT.as_secs()));
            break;
        }
        if let Err(error) = place_one(plan, account, lease, n, &mut placed) {
            placed.failure = Some(error.to_string());
            break;
        }
    }
    placed
}

/// An account that takes no brackets is drilled without.
fn place_one(
    plan: &Plan,
    account: &DrillAccount,
    lease: &Lease,
    n: usize,
    placed: &mut Placed,
) -> Result<(), Error> {
    let order = |client_id: &str, is_bracket| {
        let order = DrillOrder { symbol: &plan.symbol, client_id, is_bracket };
        account.place(&order, || lease.stands())
    };
    if n.is_multiple_of(BRACKET_EVERY) {
        match order(&format!("{}{n}b", placed.prefix), true) {
            Ok(id) => {
                placed.ids.push(id);
                placed.brackets += 1;
                return Ok(());
            }
            Err(Error::BrokerStatus { status: 400 | 403 | 422, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    placed.ids.push(order(&format!("{}{n}", placed.prefix), false)?);
    Ok(())
}

/// Renamed into place: whoever finds it finds the whole of it.
fn report(plan: &Plan, placed: &Placed) {
    let fresh = plan.report.with_extension("new");
    let text = serde_json::to_vec(placed).expect("texts and numbers are JSON");
    // Without a report the drill fails, and says so.
    let _: io::Result<()> = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &plan.report));
}

/// Brings every nonce back through both loops. A lease that is withheld is gone at once.
fn answer(socket: &OwnedFd, epoch: u64, account: &str, lease: &Lease) -> Result<Exit, Error> {
    let mut packet = vec![0; MAX_MESSAGE_BYTES];
    for sequence in 1.. {
        let (bytes, _) = recv(socket, &mut packet[..], RecvFlags::empty()).map_err(io::Error::from)?;
        if bytes == 0 {
            return Ok(Exit::Ok);
        }
        let nonce = match decode(&packet[..bytes]).map_err(io::Error::other)? {
            ToHost::Lease { deadline, nonce, .. } => {
                lease.set(deadline);
                nonce
            }
            ToHost::Withheld { nonce, .. } => {
                lease.set(BootTime::default());
                nonce
            }
            ToHost::Drain { .. } => return Ok(Exit::Drained),
            ToHost::Quarantine { .. } => continue,
        };
        let one = |name: &str| LoopBeat { name: name.into(), progress: sequence, nonce, memory_bytes: 0 };
        let loops = vec![one("execution"), one("store")];
        say(socket, &ToWatchdog::Beat(Beat { epoch, account: Some(account.into()), sequence, loops }))?;
    }
    Ok(Exit::Ok)
}

fn dial(path: &Path) -> Result<OwnedFd, Error> {
    let connected = || -> io::Result<OwnedFd> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(socket)
    };
    connected().map_err(|cause| Error::NoWatchdog { path: path.into(), cause })
}

fn say(socket: &OwnedFd, message: &ToWatchdog) -> Result<(), Error> {
    let packet = encode(message).map_err(io::Error::other)?;
    send(socket, &packet, SendFlags::NOSIGNAL).map_err(io::Error::from)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_stands_until_it_ends_or_is_withheld() {
        let lease = Lease::default();
        assert!(!lease.stands());
        lease.set(ambient::boot_time() + Duration::from_secs(60));
        assert!(lease.wait() && lease.stands());
        lease.set(BootTime::default());
        assert!(!lease.stands());
    }
}
