//! The adapter against real sockets on loopback: what each kind of answer, or of silence, means to the
//! caller.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod activities;
mod archive;
mod classes;
mod data;
mod lists;
mod orders;
mod packed;
mod rest;
mod support;
