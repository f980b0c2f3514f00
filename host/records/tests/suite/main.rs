//! Backups, restores and exports on real databases and a real bucket.

mod bucket;
mod common;
mod databases;
mod exports;
