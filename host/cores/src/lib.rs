//! Pure state machines: no I/O, no clock, no unseeded chance.
//!
//! One shape everywhere: an input and the time go in, a decision comes out, and `deadline()` says when to ask
//! again without an input. The edges wait, ask and act.

mod backoff;
mod breaker;
mod limiter;
pub mod orders;
pub mod reconcile;
mod staleness;

pub use backoff::{Backoff, Reconnect, Retry};
pub use breaker::{LossBreaker, LossLimits, Trip};
pub use limiter::{
    DEFAULT_PAUSE, Full, Limiter, MAX_PAUSE, MAX_WAITING, MAX_WAITING_EACH, Priority, Quota, Request, Ticket,
    Usage, Verdict, Window,
};
pub use staleness::{Channel, Health, Staleness, Watch};
