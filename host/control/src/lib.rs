//! How an operator's command talks to a running host: the control socket, and `/status` over loopback.
//!
//! The socket is a file that only its owner and root can open, and whoever connects is asked of the kernel
//! again. What goes over it is HTTP: one request a connection, one answer, each bounded in size and time. A
//! request says which state folder it means and until when it is worth anything: another host does nothing
//! for it, and a host that was stopped and goes on does nothing late.
//!
//! Nothing here decides anything. The server gives a [`Wish`] to whoever made it, the client gives back what
//! came.
#![forbid(unsafe_code)]

mod client;
mod server;
mod wire;

pub use client::{ANSWER_WITHIN, AskError, Asker};
pub use server::{ControlServer, Obey, Source};
pub use wire::{Deed, Done, MAX_REASON_CHARS, Peer, Refused, Scope, Wish, place_of};
