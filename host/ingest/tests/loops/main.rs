//! The loops with feeds that a test plays by hand: what falls, what carries on, what is told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fakes;
mod market;
mod news;
mod updates;
