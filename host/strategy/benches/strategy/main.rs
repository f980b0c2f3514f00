//! What a strategy costs: an event from the queue to the end of its handler, one strategy and a hundred, a
//! start with and without the cache, memory. Next to two floors in the same run: a bare call of the same
//! export by wasmtime alone, and the same strategy as native code.
//!
//! `--plugins DIR` names the built plugins, `--langs DIR` those in other languages, where there are any,
//! and `--only dispatch|life|crowd|load` runs one part.

mod crowd;
mod dispatch;
mod floor;
mod journal;
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
    if let [_, command, plugin, folder] = args.as_slice()
        && command == "weigh"
    {
        return life::weigh(&Yard::at(folder.into()), plugin.as_ref());
    }
    let folder = |name: &str| args.iter().skip_while(|arg| *arg != name).nth(1).map(PathBuf::from);
    let plugins = folder("--plugins").expect("--plugins DIR names the built plugins");
    let langs = folder("--langs");
    world::pin(world::CORE);
    let yard = Yard::new(plugins, langs);
    let only = folder("--only");
    let wants = |part: &str| only.as_ref().is_none_or(|only| only.as_os_str() == part);
    if wants("dispatch") {
        let (raw, native) = (floor::raw_call(), floor::native_sma());
        dispatch::run(&yard, raw, native);
    }
    if wants("life") {
        life::cold_starts(&yard);
        life::swaps(&yard);
        life::memory(&yard);
    }
    if wants("crowd") {
        let floor = floor::wake();
        crowd::waits(&yard, floor);
    }
    if wants("load") {
        crowd::load(&yard);
    }
}
