//! A new migration has to rebuild this crate: the macro that embeds them does not see files appear.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
