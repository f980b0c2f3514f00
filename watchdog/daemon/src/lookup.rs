//! From a name to addresses, in a thread that may hang and may be refused.
//!
//! The HTTP client's own resolver panics when the system refuses it a thread, as it does when a wild host has
//! used them up: the alert of that very kill would end the watchdog in the middle of it.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::Duration,
};

use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// Look-ups that hang at a time; with as many a further one fails at once.
const MAX_HANGING: usize = 8;
/// The most that the client takes.
const MAX_ADDRESSES: usize = 16;

/// Asks the system.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    under_way: Arc<AtomicUsize>,
    stack_bytes: usize,
}

impl Default for Lookup {
    fn default() -> Self {
        Self { under_way: Arc::default(), stack_bytes: crate::STACK_BYTES }
    }
}

impl Resolver for Lookup {
    fn resolve(&self, uri: &Uri, _: &Config, wait: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let name = uri.scheme().zip(uri.authority());
        let name = name.and_then(|(scheme, authority)| DefaultResolver::host_and_port(scheme, authority));
        let name = name.ok_or(Error::HostNotFound)?;
        let found = match name.parse::<SocketAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.ask(name, *wait.after, || Error::Timeout(wait.reason))?,
        };
        let mut listed = self.empty();
        found.into_iter().take(MAX_ADDRESSES).for_each(|address| listed.push(address));
        if listed.is_empty() { Err(Error::HostNotFound) } else { Ok(listed) }
    }
}

impl Lookup {
    /// The addresses of `name:port`; `None` when there are none, or none in time.
    pub(crate) fn addresses(&self, name: String, wait: Duration) -> Option<Vec<SocketAddr>> {
        self.ask(name, wait, || Error::HostNotFound).ok().filter(|found| !found.is_empty())
    }

    fn ask(&self, name: String, wait: Duration, late: impl Fn() -> Error) -> Result<Vec<SocketAddr>, Error> {
        let place = Place::take(&self.under_way).ok_or_else(&late)?;
        let (tell, told) = sync_channel(1);
        let thread = std::thread::Builder::new().name("lookup".into()).stack_size(self.stack_bytes);
        let ask = move || {
            let found = name.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            drop(place);
            // Whoever asked may have given up.
            let _: Result<(), _> = tell.try_send(found);
        };
        thread.spawn(ask).map_err(Error::Io)?;
        match told.recv_timeout(wait) {
            Ok(found) => Ok(found?),
            Err(RecvTimeoutError::Timeout) => Err(late()),
            Err(RecvTimeoutError::Disconnected) => Err(Error::Io(io::ErrorKind::Interrupted.into())),
        }
    }
}

/// One of [`MAX_HANGING`].
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(under_way: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(under_way));
        (under_way.fetch_add(1, Ordering::Relaxed) < MAX_HANGING).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use ureq::Agent;

    use super::*;

    fn get(lookup: Lookup, url: &str) -> Result<u16, Error> {
        let config = Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build();
        let agent =
            Agent::with_parts(config, ureq::unversioned::transport::DefaultConnector::default(), lookup);
        agent.get(url).call().map(|response| response.status().as_u16())
    }

    #[test]
    fn a_thread_that_is_refused_is_an_error_and_ends_nothing() {
        // No machine has room for such a stack.
        let refused = || Lookup { stack_bytes: usize::MAX / 4, ..Lookup::default() };
        let result = get(refused(), "http://localhost:9/");
        assert!(matches!(result, Err(Error::Io(_))), "{result:?}");
        let lookup = refused();
        let under_way = Arc::clone(&lookup.under_way);
        assert!(get(lookup, "http://localhost:9/").is_err());
        assert_eq!(under_way.load(Ordering::Relaxed), 0, "its place is free again");
        // An address needs neither thread nor system: nobody listens there, and that is what is said.
        let result = get(refused(), "http://127.0.0.1:9/");
        assert!(matches!(&result, Err(Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused));
    }

    #[test]
    fn look_ups_that_hang_are_bounded() {
        let lookup = Lookup::default();
        let places: Vec<_> = (0..MAX_HANGING).map_while(|_| Place::take(&lookup.under_way)).collect();
        assert_eq!(places.len(), MAX_HANGING);
        assert!(Place::take(&lookup.under_way).is_none());
        drop(places);
        let found = lookup.ask("localhost:9".into(), Duration::from_secs(10), || Error::HostNotFound);
        assert!(found.is_ok_and(|found| found.iter().all(|address| address.ip().is_loopback())));
    }
}
