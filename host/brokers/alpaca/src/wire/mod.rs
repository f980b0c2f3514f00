//! What goes over the wire, as Alpaca writes it: tolerant of missing fields, of numbers as text, of unknown
//! words.

pub(crate) mod account;
pub(crate) mod activity;
pub(crate) mod market;
pub(crate) mod news;
pub(crate) mod number;
pub(crate) mod order;
pub(crate) mod stamp;
