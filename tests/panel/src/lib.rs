//! The panel in a real browser: the real host, watchdog and simulator behind it, driven over `WebDriver`.

mod browser;
mod rig;
mod stranger;

pub use browser::{Browser, Size};
pub use rig::{Beside, Rig, TOKEN};
pub use stranger::Stranger;
