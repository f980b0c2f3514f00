//! Calls that answer at once.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use sandpit_broker::BrokerError;
use tokio::task::unconstrained;
use tracing::error;

/// What a future brings when it is polled once; `None` when it would have to be waited for.
pub(super) fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    // Inside of a runtime, what its channels bring at a time is bounded.
    let future = pin!(unconstrained(future));
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// The answer of a call that changes nothing by itself.
pub(super) fn answer<T>(call: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    ready(call).unwrap_or_else(|| Err(pending()))
}

/// The answer of a POST: one that was begun may have come to be an order.
pub(super) fn post<T>(call: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    let lost = || match pending() {
        BrokerError::Unavailable { message } => BrokerError::OutcomeUnknown { message },
        other => other,
    };
    ready(call).unwrap_or_else(|| Err(lost()))
}

/// A call has to be waited for.
pub(super) fn pending() -> BrokerError {
    error!("a call of the broker in this process did not answer at once; this is a defect");
    BrokerError::Unavailable { message: "the broker in this process did not answer at once".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::future::{pending as never, ready as at_once};

    use super::*;

    #[test]
    fn what_does_not_answer_at_once_is_not_waited_for() {
        assert!(matches!(answer(at_once(Ok(1))), Ok(1)));
        assert!(matches!(post(at_once(Ok(1))), Ok(1)));
        assert!(matches!(answer::<()>(never()), Err(BrokerError::Unavailable { .. })));
        assert!(matches!(post::<()>(never()), Err(BrokerError::OutcomeUnknown { .. })));
    }
}
