//! What we know of our orders and positions: the life of one order, its fills, and the books of all of them.
//!
//! The books are folded from events only. Every source (the POST's answer, the stream, a replay, REST)
//! arrives as an [`OrderEvent`], in any order and any number of times, and ends in the same quantities.

mod books;
mod exposure;
mod fills;
mod lifecycle;
mod order;
mod sub_book;
#[cfg(test)]
mod tests;

pub use books::{Applied, BookError, Books, MAX_CLOSED, NewOrder};
pub use fills::{Execution, Filled};
pub use lifecycle::{INCONCLUSIVE, ImpossiblePair, OrderEvent, OrderState, step};
pub use order::{Order, StoredOrder};
pub use sub_book::SubBook;
