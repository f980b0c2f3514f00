//! Makes a failing script short: whatever can be left out without the two agreeing again is left out.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    run::{Difference, Tally, run},
    script::Script,
};

/// How often a script is run to shorten it.
const TRIES: usize = 2_000;

/// Runs a script; a panic is a difference too.
pub(crate) fn attempt(script: &Script, tally: &mut Tally) -> Result<(), Difference> {
    match catch_unwind(AssertUnwindSafe(|| run(script, tally))) {
        Ok(result) => result,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Difference { step: usize::MAX, text: format!("panic: {}", text.unwrap_or_default()) })
        }
    }
}

/// The shortest script found that still fails, and how it fails.
pub(crate) fn shrink(script: &Script, first: Difference) -> (Script, Difference) {
    let (mut best, mut difference) = (script.clone(), first);
    if difference.step < best.steps.len() {
        best.steps.truncate(difference.step + 1);
    }
    let mut tries = 0;
    let mut size = best.steps.len() / 2;
    while size > 0 && tries < TRIES {
        let mut from = 0;
        let mut shorter_found = false;
        while from < best.steps.len() && tries < TRIES {
            let mut shorter = best.clone();
            let end = (from + size).min(shorter.steps.len());
            shorter.steps.drain(from..end);
            tries += 1;
            match attempt(&shorter, &mut Tally::default()) {
                Err(next) => {
                    (best, difference) = (shorter, next);
                    shorter_found = true;
                }
                Ok(()) => from += size,
            }
        }
        if !(shorter_found && size == 1) {
            size /= 2;
        }
    }
    (best, difference)
}
