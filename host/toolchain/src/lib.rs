//! The toolchains that make plugins: found, or made, without installing anything on the machine.
//!
//! What needs one says which: [`Toolchain`] is that of Rust.

mod debian;
mod error;
mod path;
mod rust;

pub use error::ToolError;
pub use path::on_path;
pub use rust::{PROFILE, TARGET, Toolchain};
