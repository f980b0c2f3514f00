//! The questions before the first page: what time it is, and which days are trading days.

use std::{future::Future, sync::Arc};

use sandpit_broker::BrokerError;
use sandpit_types::MarketClock;

use crate::{
    error::BackfillError,
    fault::{Fault, Tries},
    progress::{Reporter, hms},
};

/// Asks the brokers, one key pair each, until one answers: the next one when a key is not accepted, the same one
/// after a wait when it may work later.
///
/// # Errors
/// [`BackfillError::NoKey`] when none of the keys is accepted, [`BackfillError::Broker`] when the answer is no or
/// the last try failed.
pub async fn first_answer<B, T, F: Future<Output = Result<T, BrokerError>>>(
    brokers: &[Arc<B>],
    clock: &dyn MarketClock,
    reporter: &mut dyn Reporter,
    ask: impl Fn(Arc<B>) -> F,
) -> Result<T, BackfillError> {
    let mut tries = Tries::default();
    let mut last = "there is none".to_owned();
    for broker in brokers {
        loop {
            let error = match ask(Arc::clone(broker)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let text = error.to_string();
            let pause = match (Fault::from(&error), error) {
                (Fault::TooMany { after }, error) => tries.too_many(after).ok_or(error)?,
                (Fault::Unreachable { .. }, error) => tries.unreachable().ok_or(error)?,
                (Fault::Refused { .. }, error) => return Err(error.into()),
                (Fault::KeyRefused { message }, _) => {
                    last = message;
                    break;
                }
            };
            reporter.say(&format!("waiting {}: {text}", hms(pause)));
            tokio::time::sleep(clock.real_until(clock.now() + pause)).await;
        }
    }
    Err(BackfillError::NoKey { message: last })
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicI64, Ordering},
        },
        time::Duration,
    };

    use sandpit_types::MarketTime;

    use super::*;
    use crate::progress::Silent;

    /// A clock that jumps to whatever is waited for.
    struct JumpClock(AtomicI64);

    impl MarketClock for JumpClock {
        fn now(&self) -> MarketTime {
            MarketTime::from_nanos(self.0.load(Ordering::SeqCst))
        }

        fn real_until(&self, at: MarketTime) -> Duration {
            self.0.fetch_max(at.as_nanos(), Ordering::SeqCst);
            Duration::ZERO
        }
    }

    fn unavailable() -> BrokerError {
        BrokerError::Unavailable { message: "down".into() }
    }

    fn unauthorized() -> BrokerError {
        BrokerError::Unauthorized { message: "unauthorized.".into() }
    }

    /// Two brokers; each answer of the script is that of the one asked next.
    async fn check(script: Vec<Result<u32, BrokerError>>, expected: Result<u32, &str>, secs: i64) {
        let clock = JumpClock(AtomicI64::new(0));
        let script = Mutex::new(script.into_iter());
        let ask = |_: Arc<()>| {
            let answer = script.lock().expect("not poisoned").next().expect("no more questions");
            async { answer }
        };
        let found = first_answer(&[Arc::new(()), Arc::new(())], &clock, &mut Silent, ask).await;
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
        assert_eq!(clock.now(), MarketTime::from_secs(secs));
        assert!(script.lock().expect("not poisoned").next().is_none(), "questions are left");
    }

    #[tokio::test]
    async fn it_waits_for_a_broker_and_changes_keys() {
        let too_many = || BrokerError::RetryAfter { after: Duration::from_secs(60) };
        check(vec![Ok(7)], Ok(7), 0).await;
        check(vec![Err(unavailable()), Err(too_many()), Ok(7)], Ok(7), 90).await;
        check(vec![Err(unauthorized()), Ok(8)], Ok(8), 0).await;
        check(vec![Err(unauthorized()), Err(unauthorized())], Err("none of the key pairs"), 0).await;
        check((0..4).map(|_| Err(unavailable())).collect(), Err("cannot be reached"), 90).await;
        check(vec![Err(BrokerError::NotFound { message: "x".into() })], Err("no such thing"), 0).await;
    }
}
