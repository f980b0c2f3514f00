//! What we know of our orders and positions: the life of one order, its fills, and the books of all of them.
//!
//! The books are folded from events only. Every source (the POST's answer, the stream, a replay, REST, the
//! account's activities) arrives as an [`OrderEvent`], in any order and any number of times, and ends in the
//! same quantities.

mod advance;
mod books;
mod closed;
#[cfg(test)]
mod closed_tests;
mod event;
mod exposure;
mod fills;
mod kin;
#[cfg(test)]
mod kin_tests;
mod lifecycle;
mod line;
#[cfg(test)]
mod line_tests;
mod names;
mod order;
mod standing;
mod sub_book;
mod table;
#[cfg(test)]
mod table_tests;
mod taken;
#[cfg(test)]
mod tests;

pub use books::{Applied, BookError, Books, NewOrder};
pub use closed::{MAX_CLOSED, REMEMBERED};
pub use event::OrderEvent;
pub use fills::{Execution, Filled};
pub use lifecycle::{INCONCLUSIVE, OrderState};
pub use order::{Order, StoredOrder};
pub use sub_book::SubBook;
pub use table::{ImpossiblePair, step};
pub use taken::{Stage, Taken, Words};
