//! The toolchains that make plugins: found, or made, without installing anything on the machine.
//!
//! What needs one says which: [`Toolchain`] is that of Rust; [`js`], [`python`] and [`c`] each have one
//! function that builds a strategy. The first two also install packages for whoever needs others.

pub mod c;
mod debian;
mod error;
pub mod js;
mod path;
pub mod python;
mod rust;
mod tools;

pub use error::ToolError;
pub use path::on_path;
pub use rust::{PROFILE, TARGET, Toolchain};
