//! What an operator is told of the plugins before a host runs them.

use std::{fs, path::PathBuf, time::Duration};

use sandpit_contract::Exit;

use crate::{
    ambient,
    config::Config,
    run::{Failure, load_plugins},
};

/// Checks and compiles every plugin of the folder as a host would, and says of each that is refused why.
///
/// # Errors
/// When there is no such folder, or nothing can be compiled here.
pub(crate) fn check(config: &Config) -> Result<Exit, Failure> {
    let place = Place::new()?;
    let loaded =
        load_plugins(config, &place.0, Duration::MAX).map_err(|error| Failure::new(Exit::Plugin, error))?;
    let refused = loaded.refusals.all();
    for (plugin, reason) in &refused {
        eprintln!("error: the plugin {plugin} is not used: {reason}");
    }
    Ok(if refused.is_empty() { Exit::Ok } else { Exit::Plugin })
}

/// A folder for what is compiled here: that of a host may be in use.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self, Failure> {
        let number = ambient::fresh_u64().map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(Self(std::env::temp_dir().join(format!("sandpit-check-{number:016x}"))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // It may not even have been made; what is left in the folder for temporary files goes with the next
        // boot.
        let _ = fs::remove_dir_all(&self.0);
    }
}
