//! The streams of a trading host go bad: nothing is lost, nothing doubled, and the host finds out by itself.

use std::time::Duration;

use sandpit_system_tests::{Demo, monotonic_ms, wait_for};
use serde_json::{Value, json};

/// Market seconds a real second.
const SPEED: u64 = 60;

fn stream<'s>(status: &'s Value, name: &str) -> &'s Value {
    let streams = status["streams"].as_array().expect("a list");
    streams.iter().find(|stream| stream["name"] == name).expect("a stream of that name")
}

/// The order stream is open, answers pings and tells nothing: only a comparison with REST can notice.
#[test]
fn a_mute_order_stream_is_replaced() {
    let demo = Demo::trading(&SPEED.to_string());
    let status = || demo.host_status().expect("the host answers");
    let fills = || demo.sim_status()["fills"].as_u64().expect("a number");
    let before = fills();
    let mute = json!({"kind": "mute", "stream": "trades"});
    let noticed = demo.with_fault(&mute, || {
        wait_for("a fill that the stream does not tell", Duration::from_secs(120), || {
            (fills() > before).then_some(())
        });
        let from = monotonic_ms();
        wait_for("a suspicion", Duration::from_secs(30), || {
            (status()["orders"]["suspicions"].as_u64() > Some(0)).then_some(())
        });
        monotonic_ms() - from
    });
    println!(
        "mute_order_stream_noticed {noticed} ms of real time, {} s of market time",
        noticed * SPEED / 1000
    );
    wait_for("the stream to be back", Duration::from_secs(120), || {
        let status = status();
        let falls = stream(&status, "trade-updates")["falls"]["suspected"].as_u64();
        (falls > Some(0) && stream(&status, "trade-updates")["state"] == "live").then_some(())
    });
    let before = fills();
    wait_for("trading after that", Duration::from_secs(120), || (fills() > before).then_some(()));
    demo.nothing_lost_or_doubled();
    demo.books_agree();
}

/// Both streams are cut again and again, in the middle of trading.
#[test]
fn streams_that_are_cut_lose_and_double_nothing() {
    let demo = Demo::trading(&SPEED.to_string());
    let falls = |name: &str| {
        let status = demo.host_status().expect("the host answers");
        stream(&status, name)["falls"]["down"].as_u64().expect("a number")
    };
    let prices = json!({"kind": "drop", "stream": "data", "every": 2000, "at_most": 3});
    let fills = json!({"kind": "drop", "stream": "trades", "every": 3, "at_most": 2});
    let both = || {
        wait_for("falls of both streams", Duration::from_secs(120), || {
            (falls("market-data") >= 2 && falls("trade-updates") >= 1).then_some(())
        })
    };
    demo.with_fault(&prices, || demo.with_fault(&fills, both));
    let live = || {
        let status = demo.host_status()?;
        let is_live = |name: &str| stream(&status, name)["state"] == "live";
        (is_live("market-data") && is_live("trade-updates")).then_some(())
    };
    wait_for("both streams to be back", Duration::from_secs(120), live);
    let before = demo.sim_status()["fills"].as_u64();
    wait_for("trading after that", Duration::from_secs(120), || {
        (demo.sim_status()["fills"].as_u64() > before).then_some(())
    });
    demo.nothing_lost_or_doubled();
    demo.books_agree();
}
