//! What an operator does with the records: back them up, restore and check them, and export them.
#![forbid(unsafe_code)]
