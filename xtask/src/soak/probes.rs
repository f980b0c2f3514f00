//! Asks the host's endpoints again and again, and measures how long each answer takes.
//!
//! Each endpoint has a thread and a connection of its own. An answer that takes longer than the time between
//! two questions keeps others from being asked: those are counted as well, with what they would have waited.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{PANEL_TOKEN, state::Endpoint};
use crate::ambient;

/// Between two questions.
const EVERY: Duration = Duration::from_millis(200);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Largest answer.
const MAX_BYTES: u64 = 64 << 20;
/// What is asked, and whether the answer has no end: then its first bytes count.
const ASKED: [(&str, bool); 5] =
    [("/health", false), ("/metrics", false), ("/status", false), ("/", false), ("/panel/events", true)];
/// What is not there is not measured.
const NOT_FOUND: u16 = 404;

/// Threads that ask.
pub(crate) struct Probes {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    address: String,
    endpoints: Mutex<BTreeMap<String, Endpoint>>,
    is_replaced: AtomicBool,
    stop: AtomicBool,
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Status(u16),
    Timeout,
    Refused,
}

impl Probes {
    /// Begins to ask the host at `address`. Nothing counts until [`Self::host_is_replaced`] is told `false`.
    pub(crate) fn start(address: &str) -> Self {
        let shared = Arc::new(Shared {
            address: address.to_owned(),
            endpoints: Mutex::default(),
            is_replaced: AtomicBool::new(true),
            stop: AtomicBool::new(false),
        });
        let ask = |(path, is_endless)| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.ask_on(path, is_endless))
        };
        let threads = ASKED.into_iter().map(ask).collect();
        Self { shared, threads }
    }

    /// Whether there is no host because the runner has ended it.
    pub(crate) fn host_is_replaced(&self, is_replaced: bool) {
        self.shared.is_replaced.store(is_replaced, Ordering::Relaxed);
    }

    /// What was measured since this was last called.
    pub(crate) fn take(&self) -> BTreeMap<String, Endpoint> {
        std::mem::take(&mut *self.shared.endpoints())
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic of a probe has been printed, and what it measured is kept.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn endpoints(&self) -> MutexGuard<'_, BTreeMap<String, Endpoint>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask_on(&self, path: &str, is_endless: bool) {
        let agent = agent(PATIENCE);
        let url = format!("http://{}{path}", self.address);
        let mut next = ambient::now();
        while !self.stop.load(Ordering::Relaxed) {
            let was_replaced = self.is_replaced.load(Ordering::Relaxed);
            let asked = ambient::now();
            let answer = ask(&agent, &url, is_endless);
            let taken = ambient::now().duration_since(asked);
            let is_replaced = was_replaced || self.is_replaced.load(Ordering::Relaxed);
            self.endpoints().entry(path.to_owned()).or_default().take(answer, taken, is_replaced);
            next += EVERY;
            let now = ambient::now();
            if next < now {
                next = now;
            }
            ambient::wait(next.duration_since(now));
        }
    }
}

/// An agent that takes an answer as it is.
pub(crate) fn agent(patience: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .into()
}

fn ask(agent: &ureq::Agent, url: &str, is_endless: bool) -> Answer {
    let request = agent.get(url).header("Authorization", format!("Bearer {PANEL_TOKEN}"));
    let answer = request.call().and_then(|mut answer| {
        if !is_endless {
            answer.body_mut().with_config().limit(MAX_BYTES).read_to_vec()?;
        }
        Ok(answer.status().as_u16())
    });
    match answer {
        Ok(status) => Answer::Status(status),
        Err(ureq::Error::Timeout(_)) => Answer::Timeout,
        Err(_) => Answer::Refused,
    }
}

impl Endpoint {
    fn take(&mut self, answer: Answer, taken: Duration, is_replaced: bool) {
        if is_replaced {
            self.while_replaced += 1;
            return;
        }
        match answer {
            Answer::Refused => {
                self.refused += 1;
                return;
            }
            Answer::Timeout => self.timeouts += 1,
            Answer::Status(status) => {
                *self.answers.entry(status).or_default() += 1;
                if status == NOT_FOUND {
                    return;
                }
            }
        }
        let mut waited = Some(taken);
        while let Some(one) = waited {
            self.latencies.add(u64::try_from(one.as_micros()).unwrap_or(u64::MAX));
            waited = one.checked_sub(EVERY).filter(|left| !left.is_zero());
        }
    }

    /// Takes what another run measured.
    pub(crate) fn merge(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        for (status, count) in other.answers {
            *self.answers.entry(status).or_default() += count;
        }
        self.timeouts += other.timeouts;
        self.refused += other.refused;
        self.while_replaced += other.while_replaced;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_asked_meanwhile_counts_as_well() {
        let mut endpoint = Endpoint::default();
        endpoint.take(Answer::Status(200), Duration::from_millis(3), false);
        assert_eq!(endpoint.latencies.count(), 1);
        endpoint.take(Answer::Timeout, Duration::from_millis(500), false);
        assert_eq!((endpoint.latencies.count(), endpoint.timeouts), (4, 1), "500, 300 and 100 ms");
        assert_eq!(endpoint.latencies.percentile_us(50.0), Some(100_000));
    }

    #[test]
    fn what_is_not_there_or_being_replaced_is_not_measured() {
        let mut endpoint = Endpoint::default();
        endpoint.take(Answer::Status(404), Duration::from_millis(1), false);
        endpoint.take(Answer::Timeout, PATIENCE, true);
        endpoint.take(Answer::Refused, Duration::ZERO, false);
        assert_eq!(endpoint.latencies.count(), 0);
        assert_eq!((endpoint.while_replaced, endpoint.refused, endpoint.answers[&404]), (1, 1, 1));
        let mut sum = endpoint.clone();
        sum.merge(endpoint);
        assert_eq!((sum.while_replaced, sum.refused, sum.answers[&404]), (2, 2, 2));
    }
}
