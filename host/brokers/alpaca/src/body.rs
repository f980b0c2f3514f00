//! The body of an order: it asks for the right to trade when it is polled, which is immediately before its
//! bytes are written, and it remembers whether that ever happened.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use sandpit_broker::{GateError, Permit};

/// Whether an order's bytes were given to the connection. Settled once, by whoever comes first: the
/// connection that wants the bytes, or the caller who gives up. So "not written" is never said of bytes that
/// go out later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate(Arc<OnceLock<Written>>);

/// How it was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The bytes were handed out: the order may exist.
    Yes,
    /// The right to trade was gone; nothing was written.
    Refused(GateError),
    /// The caller gave up before; nothing was written, nothing will be.
    Abandoned,
}

impl Fate {
    /// Gives up: after this, the bytes stay here unless they are already out.
    pub(crate) fn abandon(&self) -> Written {
        self.0.get_or_init(|| Written::Abandoned).clone()
    }

    fn ask(&self, permit: &dyn Permit) -> Written {
        let mut first = false;
        let written = self.0.get_or_init(|| {
            first = true;
            permit.check().map_or_else(Written::Refused, |()| Written::Yes)
        });
        // Bytes go out once: a second poll of the same body would be a repeated order.
        if first { written.clone() } else { Written::Abandoned }
    }
}

/// The bytes of an order, behind the permit.
pub(crate) struct OrderBody {
    bytes: Option<Bytes>,
    permit: Arc<dyn Permit>,
    fate: Fate,
}

/// Why the connection did not get the bytes; the reason is in [`Fate`].
#[derive(Debug, thiserror::Error)]
#[error("the order was held back")]
pub(crate) struct HeldBack;

impl OrderBody {
    /// A body that gives `bytes` out once, if `permit` says yes at that moment.
    pub(crate) fn new(bytes: Bytes, permit: Arc<dyn Permit>, fate: Fate) -> Self {
        Self { bytes: Some(bytes), permit, fate }
    }
}

impl Body for OrderBody {
    type Data = Bytes;
    type Error = HeldBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HeldBack>>> {
        let Some(bytes) = self.bytes.take() else { return Poll::Ready(None) };
        match self.fate.ask(&*self.permit) {
            Written::Yes => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Written::Refused(_) | Written::Abandoned => Poll::Ready(Some(Err(HeldBack))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Says(Result<(), GateError>);
    impl Permit for Says {
        fn check(&self) -> Result<(), GateError> {
            self.0.clone()
        }
    }

    #[test]
    fn bytes_leave_once_and_only_with_the_right() {
        let check = |says: Result<(), GateError>, given_up: bool, leaves: bool, fate_after: Written| {
            let fate = Fate::default();
            let mut body = OrderBody::new(Bytes::from_static(b"{}"), Arc::new(Says(says)), fate.clone());
            if given_up {
                fate.abandon();
            }
            let mut context = Context::from_waker(std::task::Waker::noop());
            let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut context) else {
                panic!("a body of one frame");
            };
            assert_eq!(frame.is_ok(), leaves);
            assert!(body.is_end_stream());
            assert!(matches!(Pin::new(&mut body).poll_frame(&mut context), Poll::Ready(None)));
            assert_eq!(fate.abandon(), fate_after);
            assert_eq!(fate.ask(&Says(Ok(()))), Written::Abandoned, "never twice");
        };
        check(Ok(()), false, true, Written::Yes);
        check(Err(GateError::NoLease), false, false, Written::Refused(GateError::NoLease));
        check(Ok(()), true, false, Written::Abandoned);
    }
}
