//! @alpacahq/alpaca-trade-api against the simulator.

use sandpit_conformance::{Sdk, assert_all, play};

#[test]
fn alpaca_trade_api_cannot_tell_the_difference() {
    assert_all(&play(Sdk::Node), Sdk::Node.least_checks());
}
