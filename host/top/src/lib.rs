//! `sandpit top`: a running host on one screen of a terminal, as over SSH, and what an operator does there.
//!
//! What is known and what a key means is a model ([`Top`]), which reads no clock and touches no terminal;
//! what it looks like is drawn from it ([`draw`]). The edge ([`run`]) reads keys, asks the host on threads of
//! its own, and gives the terminal back however it ends.

mod edge;
mod figures;
mod model;
mod pane;
mod prompt;
mod view;

pub use edge::{Ask, Do, Ended, Host, picture, run};
pub use figures::Shown;
pub use model::{Act, Effect, Input, Key, Top};
pub use pane::Pane;
pub use view::{Look, draw};
