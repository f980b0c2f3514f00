//! The fault suite: the real ingest, adapter and request budget against the real `sandpit-sim`, over sockets
//! that go wrong.
//!
//! ```text
//! Host (thread: Ingest, UpdateLoop, Alpaca, Budget) ──> Wire x 4 (cut, hole, delay) ──> sandpit-sim
//!   └─> Tape (everything delivered, with its moment)          truth: the sim's own history ──> Ledger
//! ```
//!
//! Each test makes one kind of trouble, prints its figures ([`Figures`]) and holds them to their bounds. What
//! a [`Ledger`] says is the same for all: no bar lost, none delivered twice, none out of turn without a mark.
//! `cargo xtask test` builds the simulator before it runs these.

mod ambient;
mod clock;
mod dice;
mod figures;
mod host;
mod ledger;
mod measure;
mod sim;
mod tape;
mod wire;

pub use ambient::{cpu_of_this_thread, now, pass, until};
pub use clock::TestClock;
pub use dice::Dice;
pub use figures::{Figures, millis};
pub use host::{Host, Lanes, Nowhere, OrderNews, OrdersSeen, Parts, Setup, reins};
pub use ledger::Ledger;
pub use measure::{open_files, resident_kib};
pub use sim::Sim;
pub use tape::{Heard, Tape};
pub use wire::{Cut, Mode, Wire};
