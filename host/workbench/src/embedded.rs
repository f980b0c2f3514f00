//! What this program carries for strategies to be built from.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
