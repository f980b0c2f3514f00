//! The panel in a real browser: the real host, watchdog and simulator behind it, driven over `WebDriver`.

mod browser;
mod rig;

pub use browser::{Browser, Size};
pub use rig::{Rig, TOKEN};
