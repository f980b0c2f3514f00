//! The stream of orders.

use std::time::Duration;

use sandpit_faults::{Cut, Figures, Host, Lanes, Mode, OrderNews, Setup, Sim, millis, now, until};
use sandpit_ingest::Fall;
use serde_json::json;

use crate::common::{NOTICE, PATIENCE, secs};

/// A stream of orders may be quiet all day: our own pings tell a dead connection from a quiet one within
/// 15 s, and the return to the loop.
const DEAF: Duration = Duration::from_secs(16);

fn started(seed: u64) -> (Sim, Lanes, Host) {
    let sim = Sim::in_session(&["--seed", &seed.to_string()], secs(600), 1);
    let lanes = Lanes::to(&sim);
    let host = Host::with_orders(&sim, &lanes, &Setup::new(&sim, &["SPY"], seed));
    until("the stream of orders", PATIENCE, || host.updates.connection.opens() == 1);
    (sim, lanes, host)
}

/// An order that rests; its update comes over the stream.
fn order(sim: &Sim, host: &Host, seed: u64) {
    let before = host.orders.updates().len();
    let order = json!({"symbol": "SPY", "qty": "1", "side": "buy", "type": "limit", "limit_price": "1.00",
        "time_in_force": "day"});
    sim.order(&format!("K{seed}"), &order);
    until("its update", PATIENCE, || host.orders.updates().len() > before);
}

#[test]
fn order_stream_drops() {
    let (sim, lanes, host) = started(51);
    let (mut notices, mut returns) = (Vec::new(), Vec::new());
    for how in [Cut::Reset, Cut::End, Cut::Reset, Cut::End] {
        order(&sim, &host, 51);
        let (seen, opens) = (host.orders.clone(), host.updates.connection.opens());
        let began = lanes.orders.cut(how);
        until("the notice", PATIENCE, || seen.first(began, |news| matches!(news, OrderNews::Down)).is_some());
        let noticed = seen.first(began, |news| matches!(news, OrderNews::Down)).expect("just seen");
        notices.push(noticed - began);
        until("the return", secs(60), || host.updates.connection.opens() > opens);
        let back = seen.first(noticed, |news| matches!(news, OrderNews::Up));
        returns.push(back.expect("it is up again") - noticed);
    }
    order(&sim, &host, 51);
    Figures::of("order_stream_drops").times("notice", &notices).times("up again", &returns).tell();
    assert!(notices.iter().all(|notice| *notice <= NOTICE), "{notices:?}");
    let mut updates: Vec<_> = host.orders.updates().into_iter().map(|update| format!("{update:?}")).collect();
    let all = updates.len();
    updates.dedup();
    assert_eq!(updates.len(), all, "no update comes twice");
}

#[test]
fn half_open_order_stream() {
    let (sim, lanes, host) = started(52);
    order(&sim, &host, 52);
    let began = lanes.orders.set(Mode::Hole);
    until("the notice", DEAF + secs(30), || {
        host.orders.first(began, |news| matches!(news, OrderNews::Down)).is_some()
    });
    let noticed =
        host.orders.first(began, |news| matches!(news, OrderNews::Down)).expect("just seen") - began;
    lanes.orders.set(Mode::Open);
    until("the return", secs(60), || host.updates.connection.opens() >= 2);
    order(&sim, &host, 52);
    Figures::of("half_open_order_stream").and("notice", millis(noticed)).tell();
    assert!(noticed <= DEAF, "noticed after {noticed:?}");
}

/// The stream is open, answers pings and tells nothing: only REST shows it. The desk asks there and tells its
/// suspicion; the stream's part is to drop the mute connection at once and to make a new one.
#[test]
fn mute_order_stream() {
    let (sim, lanes, host) = started(53);
    order(&sim, &host, 53);
    let fault = sim.fault(&json!({"kind": "mute", "stream": "trades"}));
    let before = host.orders.updates().len();
    sim.order(
        "K53",
        &json!({"symbol": "SPY", "qty": "1", "side": "buy", "type": "market",
        "time_in_force": "day"}),
    );
    until("the mute", PATIENCE, || sim.hits(fault) > 0);
    let (began, seen, connections) = (now(), host.orders.clone(), lanes.orders.connections());
    host.suspect("an order that is filled");
    until("the notice", PATIENCE, || seen.first(began, |news| matches!(news, OrderNews::Down)).is_some());
    let noticed = seen.first(began, |news| matches!(news, OrderNews::Down)).expect("just seen") - began;
    sim.heal(fault);
    until("the return", secs(60), || host.updates.connection.opens() >= 2);
    assert_eq!(
        host.orders.updates().len(),
        before,
        "the stream told nothing: there was something to suspect"
    );
    order(&sim, &host, 53);
    let handshakes = lanes.orders.connections() - connections;
    Figures::of("mute_order_stream")
        .and("dropped after the suspicion", millis(noticed))
        .and("handshakes", handshakes)
        .tell();
    assert!(noticed <= NOTICE, "dropped after {noticed:?}");
    assert_eq!(host.updates.connection.falls_by(Fall::Suspected), 1);
}
