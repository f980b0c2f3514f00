//! alpaca-py against the simulator.

use sandpit_conformance::{Sdk, assert_all, play};

/// With the checks of the other SDK at least 150; raised when checks are added.
const LEAST_CHECKS: usize = 90;

#[test]
fn alpaca_py_cannot_tell_the_difference() {
    assert_all(&play(Sdk::Python), LEAST_CHECKS);
}
