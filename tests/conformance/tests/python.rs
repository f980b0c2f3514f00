//! alpaca-py against the simulator.

use sandpit_conformance::{Sdk, assert_all, play};

#[test]
fn alpaca_py_cannot_tell_the_difference() {
    assert_all(&play(Sdk::Python), Sdk::Python.least_checks());
}
