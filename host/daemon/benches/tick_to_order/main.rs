//! From a quote to its order: how long after the first byte of a quote is written to a socket the last byte
//! of the order that answers it has been read from another one.
//!
//! Three subjects, one after the other, at one broker, a quote every 20 ms, over loopback without TLS:
//! - `tick_to_order`: the real host under a real watchdog. A WASM strategy answers each quote with a limit
//!   order; the quote passes decoder, sequence and fan-out, the order passes all gates and is committed to
//!   the database before the budget, the permit and the POST. Between two quotes the fill comes back and is
//!   recorded, too; the account is polled as always. The parts are the host's own figures.
//! - `tick_to_order_floor`: finds a text in the frame and writes an order that was made before, no more.
//! - `tick_to_order_alpaca_py`: a bot as the documentation shows it; `--python FILE` names a Python for it.
//!
//! With `--alone` only the host is measured.
//!
//! Not in it: TLS, the network, a strategy that thinks, a queue of quotes, waits for the request budget. 50
//! orders a second are more than the limits allow, which nothing can lift: so the market is compressed 60
//! times, and the limits, which count in market time, see 50 orders a minute. Only deadlines and polls of the
//! host notice, and polls are the more frequent for it. Nothing is pinned to a core.

mod broker;
mod host;
mod http;
mod parts;
mod peers;
mod plugin;
mod quotes;
mod streams;
mod tally;
mod world;

use std::ffi::OsStr;

use crate::{
    broker::Broker,
    host::{Host, SPEED},
    peers::Peer,
    tally::Tally,
};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, word, address] = args.as_slice()
        && word == peers::FLOOR
    {
        return peers::floor(address);
    }
    if args.iter().any(|arg| arg == "--alone") {
        host();
        return;
    }
    let floor = peer("tick_to_order_floor", Peer::floor);
    let ours = host();
    match args.iter().skip_while(|arg| *arg != "--python").nth(1) {
        Some(python) => {
            let python = OsStr::new(python);
            let bot = peer("tick_to_order_alpaca_py", |broker| Peer::bot(python, broker));
            println!("tick_to_order_alpaca_py_times {:.1} x", bot.micros(50) / ours.micros(50));
        }
        None => eprintln!("no alpaca-py: --python FILE names a Python that has it"),
    }
    for percent in [50, 99] {
        let times = ours.micros(percent) / floor.micros(percent);
        println!("tick_to_order_times_floor_p{percent} {times:.2} x");
    }
}

fn peer(name: &str, start: impl FnOnce(&Broker) -> Peer) -> Tally {
    let broker = Broker::start(1.0);
    let _peer = start(&broker);
    let first = tally::warm_up(&broker);
    let tally = tally::count(&broker, first);
    tally.print(name);
    tally.check(name);
    tally
}

fn host() -> Tally {
    let broker = Broker::start(SPEED);
    let host = Host::start(&broker);
    let first = tally::warm_up(&broker);
    let before = host.status();
    let tally = tally::count(&broker, first);
    let after = host.status();
    tally.print("tick_to_order");
    parts::print("tick_to_order", &before, &after, tally.micros(50));
    println!("tick_to_order_refused {} orders", after["orders"]["refused"]);
    tally.check("tick_to_order");
    tally
}
