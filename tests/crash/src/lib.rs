//! The crash suite: the real host dies at random and at named points, under strategies that trade and a broker that
//! errs, and nothing is lost or doubled.
//!
//! [`rig`] starts the real processes, [`campaign`] lets the host live and die, [`agreement`] compares what the broker,
//! the host and its records say. A failure prints the seed and the command that repeats it; threads and real time are
//! not in the seed's hand, so it may take more than one try.
#![forbid(unsafe_code)]

pub mod agreement;
pub mod broker;
pub mod campaign;
pub mod database;
mod dice;
pub mod rig;
pub mod waiting;
