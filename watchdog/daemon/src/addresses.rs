//! Where the broker's name leads to, remembered: a kill must not wait for a resolver, nor need a descriptor
//! or a thread for one, as long as its connection stands. (The HTTP client resolves the name before each
//! request, whether or not it then needs a new connection.)

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sandpit_contract::BootTime;
use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

use crate::{ambient, lookup::Lookup};

/// Addresses are asked for again after so long; until an answer comes the old ones serve.
const FRESH: Duration = Duration::from_secs(600);
/// A resolver that does not answer in time is asked again after so long.
const AGAIN: Duration = Duration::from_secs(30);
/// Where nobody answers at them, they are asked for again as soon: the broker may have moved.
const DOUBTFUL_AGAIN: Duration = Duration::from_secs(5);
/// With addresses at hand nobody waits longer for newer ones...
const WAIT: Duration = Duration::from_millis(100);
/// ...or so long, when nobody answers at those.
const DOUBTFUL_WAIT: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Known {
    addresses: Vec<SocketAddr>,
    asked: BootTime,
    due: BootTime,
    is_doubtful: bool,
}

/// The addresses of one host: a client has one.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    resolver: Lookup,
    known: Shared,
}

type Shared = Arc<Mutex<Option<Known>>>;

impl Addresses {
    /// Whoever uses them says by it when nobody answers there.
    pub(crate) fn doubt(&self) -> Doubt {
        Doubt(Arc::clone(&self.known))
    }
}

/// The way to say that nobody answers at the addresses.
#[derive(Debug)]
pub(crate) struct Doubt(Shared);

impl Doubt {
    /// Nobody answered.
    pub(crate) fn raise(&self) {
        if let Some(known) = lock(&self.0).as_mut() {
            known.is_doubtful = true;
            known.due = known.due.min(known.asked + DOUBTFUL_AGAIN);
        }
    }
}

#[cfg(test)]
impl Doubt {
    pub(crate) fn is_raised(&self) -> bool {
        lock(&self.0).as_ref().is_some_and(|known| known.is_doubtful)
    }
}

fn lock(known: &Shared) -> MutexGuard<'_, Option<Known>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resolver for Addresses {
    fn resolve(&self, uri: &Uri, config: &Config, wait: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let now = ambient::boot_time();
        let mut known = lock(&self.known);
        let mut longest = None;
        if let Some(known) = known.as_mut() {
            if known.due > now {
                return Ok(self.listed(&known.addresses));
            }
            (known.asked, known.due) = (now, now + AGAIN);
            longest = Some(if std::mem::take(&mut known.is_doubtful) { DOUBTFUL_WAIT } else { WAIT });
        }
        let wait = match longest {
            Some(longest) if *wait.after > longest => NextTimeout { after: longest.into(), ..wait },
            Some(_) | None => wait,
        };
        match (self.resolver.resolve(uri, config, wait), &*known) {
            (Ok(found), _) => {
                let addresses = found.iter().copied().collect();
                *known = Some(Known { addresses, asked: now, due: now + FRESH, is_doubtful: false });
                Ok(found)
            }
            (Err(_), Some(known)) => Ok(self.listed(&known.addresses)),
            (Err(error), None) => Err(error),
        }
    }
}

impl Addresses {
    fn listed(&self, addresses: &[SocketAddr]) -> ResolvedSocketAddrs {
        let mut listed = self.empty();
        // As many as it gave us.
        addresses.iter().for_each(|address| listed.push(*address));
        listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_at_which_nobody_answers_are_asked_for_again() {
        let addresses = Addresses::default();
        let first = |addresses: &Addresses| {
            let wait = NextTimeout { after: Duration::from_secs(5).into(), ..NextTimeout::default() };
            let uri = Uri::from_static("http://127.0.0.1:7");
            addresses.resolve(&uri, &Config::default(), wait).expect("a number")[0].to_string()
        };
        let now = ambient::boot_time();
        let gone = vec!["127.0.0.9:7".parse().expect("an address")];
        let known = |asked| Known { addresses: gone.clone(), asked, due: now + FRESH, is_doubtful: false };
        *lock(&addresses.known) = Some(known(BootTime::from_nanos(0)));
        assert_eq!(first(&addresses), "127.0.0.9:7", "remembered");
        addresses.doubt().raise();
        assert_eq!(first(&addresses), "127.0.0.1:7", "the broker has moved");
        // A resolver is not asked at every try.
        *lock(&addresses.known) = Some(known(now + FRESH));
        addresses.doubt().raise();
        assert_eq!(first(&addresses), "127.0.0.9:7");
    }
}
