//! The report of a backtest: its figures, a page of its own, a table for a terminal.
//!
//! Every figure is defined in `docs/backtest-report.md`. Figures are floats: nothing here becomes an order.
//! What is not defined (a ratio over no days, a factor over no losses) is `None`, never zero and never
//! infinity.
#![forbid(unsafe_code)]

mod curve;
mod daily;
mod figures;
mod luck;
mod material;
mod page;
mod prices;
mod summary;
mod svg;
mod sweep;
mod trips;
mod undefined;
mod walk;

pub use curve::{Curve, Point};
pub use daily::Daily;
pub use figures::{Report, SymbolFigures, Trading, report};
pub use luck::luck;
pub use material::{Fill, Material, Orders, Subject};
pub use page::page;
pub use prices::{Candle, Prices};
pub use summary::{fills_csv, summary};
pub use sweep::{Sweep, Variant};
pub use trips::{Trip, trips};
pub use walk::{WalkForward, WalkStep};
