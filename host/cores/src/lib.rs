//! Pure state machines: no I/O, no clock, no unseeded chance.
//!
//! One shape everywhere: an input and the time go in, a decision comes out, and `deadline()` says when to ask
//! again without an input. The edges wait, ask and act.

mod backoff;
mod breaker;
mod limiter;
pub mod orders;
pub mod plan;
pub mod reconcile;
mod staleness;

pub use backoff::{Backoff, Reconnect, Retry};
pub use breaker::{LossBreaker, LossLimits, Reading, Trip};
pub use limiter::{
    Bound, DEFAULT_PAUSE, FEW, KEPT_PLACES, Limiter, MAX_MOMENTS, MAX_PAUSE, MAX_WAITING, MAX_WAITING_EACH,
    MIN_PAUSE, Priority, QueueError, Quota, Request, Tally, Ticket, Unit, Usage, Verdict, WAIT_BUCKETS_MS,
    Waits, Window, WindowUsage,
};
pub use staleness::{Channel, Health, Staleness, Watch};
