//! The store over real files and a real server.

mod common;
mod files;
mod migration;
mod proxy;
mod records;
mod retention;
mod server;
