//! Plugins that are not used, and why.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Refusals that are remembered. The folder holds no more files than that, see `listing`.
const REFUSALS_MAX: usize = 4_096;

/// The last sentence about each plugin that could not be taken.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<String, String>>);

impl Refusals {
    /// The plugin is not taken. Said once to the log for each reason; `goes_on` when an older one of that
    /// name runs.
    pub(crate) fn say(&self, plugin: &str, reason: &str, goes_on: bool) {
        let reason = &one_line(reason);
        let mut refusals = self.lock();
        if refusals.get(plugin).is_some_and(|said| said == reason) {
            return;
        }
        if goes_on {
            tracing::error!(
                plugin,
                event = "plugin-refused",
                "the plugin was changed and is not taken, the one before goes on: {reason}"
            );
        } else {
            tracing::error!(plugin, event = "plugin-refused", "the plugin is not used: {reason}");
        }
        if refusals.len() < REFUSALS_MAX {
            refusals.insert(plugin.to_owned(), reason.to_owned());
        }
    }

    /// The plugin is taken, or gone.
    pub(crate) fn forget(&self, plugin: &str) {
        self.lock().remove(plugin);
    }

    /// This reason does not hold any more; another one does.
    pub(crate) fn withdraw(&self, plugin: &str, reason: &str) {
        let mut refusals = self.lock();
        if refusals.get(plugin).is_some_and(|said| said == reason) {
            refusals.remove(plugin);
        }
    }

    /// All of them: the plugin, and why it is not used.
    pub(crate) fn all(&self) -> Vec<(String, String)> {
        self.lock().iter().map(|(plugin, reason)| (plugin.clone(), reason.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever names a file may write a line break into its name, and with it a line into our log.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_makes_no_line_of_the_log() {
        let refusals = Refusals::default();
        refusals.say("a", "cannot read a\n2026 INFO all is well\u{1b}[2J.wasm", false);
        let all = refusals.all();
        assert_eq!(all, [("a".to_owned(), "cannot read a 2026 INFO all is well [2J.wasm".to_owned())]);
    }
}
