//! The service suite: the package is installed on a machine of its own, with a real systemd as process 1 and
//! a real journald, and everything happens to it that happens to a service.
//!
//! [`Lab`] is the machine, made of namespaces by `tests/systemd/lab.sh`; [`Stage`] is the package on it, with
//! keys, a broker and a strategy. Where no lab can be had a test says so and ends; with the variable
//! `SANDPIT_LAB=required` it fails.

mod lab;
mod stage;

pub use lab::{Lab, Said};
pub use stage::{HOST, SECRET, SPEED, Stage, WATCHDOG, nanos};
