//! What a strategy costs: an event from the queue to the end of its handler, one strategy and a hundred, a
//! start with and without the cache, memory. Next to two floors in the same run: a bare call of the same
//! export by wasmtime alone, and the same strategy as native code.
//!
//! `--plugins DIR` names the built plugins, `--langs DIR` those in other languages, where there are any.

mod crowd;
mod dispatch;
mod floor;
mod life;
mod strategies;
mod world;

use std::path::PathBuf;

use crate::strategies::Yard;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, command, input, output] = args.as_slice()
        && command == "compile-plugin"
    {
        return strategies::compile(input.as_ref(), output.as_ref());
    }
    let folder = |name: &str| args.iter().skip_while(|arg| *arg != name).nth(1).map(PathBuf::from);
    let plugins = folder("--plugins").expect("--plugins DIR names the built plugins");
    let langs = folder("--langs");
    world::pin(world::CORE);
    let yard = Yard::new(plugins, langs);
    let raw = floor::raw_call();
    let native = floor::native_sma();
    dispatch::run(&yard, raw, native);
    life::cold_starts(&yard);
    life::swaps(&yard);
    life::memory(&yard);
    for count in [1, 10, 100] {
        crowd::waits(&yard, count);
    }
    crowd::load(&yard);
}
