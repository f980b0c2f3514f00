//! The installation that is looked at, and what several checks want to know of it.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use serde_json::Value;

use crate::{
    PlaceArgs, World,
    child::{Ended, NoEnd, Program},
    files::Settings,
    keys::KeyPair,
    place::{own_program, program},
};

/// A watchdog answers within 2 s.
const STATUS_WAIT: Duration = Duration::from_secs(8);

/// The installation.
pub(super) struct Site {
    pub(super) place: PlaceArgs,
    pub(super) world: World,
    pub(super) settings: Settings,
    pub(super) host_keys: Option<KeyPair>,
    pub(super) watchdog_keys: Option<KeyPair>,
    pub(super) sandpit: PathBuf,
    pub(super) watchdog: PathBuf,
    status: OnceLock<Result<Ended, NoEnd>>,
}

impl Site {
    pub(super) fn of(place: PlaceArgs, world: World) -> Self {
        let settings = Settings::read(&place);
        let host_keys = place.host_keys(&world);
        let watchdog_keys = place.watchdog_keys().or_else(|| KeyPair::of_environment(&world.environment));
        let watchdog = program("sandpit-watchdog", &world.environment);
        let status = OnceLock::new();
        Self { place, world, settings, host_keys, watchdog_keys, sandpit: own_program(), watchdog, status }
    }

    /// How `sandpit-watchdog status` ended; asked once.
    pub(super) fn status(&self) -> &Result<Ended, NoEnd> {
        self.status.get_or_init(|| {
            let asked = Program::new(&self.watchdog).args(["status", "--json", "--config"]);
            asked.args([self.place.watchdog_config()]).run(STATUS_WAIT)
        })
    }

    /// What a watchdog that answers says of itself.
    pub(super) fn watchdog_says(&self) -> Option<Value> {
        let ended = self.status().as_ref().ok()?;
        serde_json::from_str(&ended.out).ok()
    }

    /// Whether the watchdog knows of a host that runs.
    pub(super) fn has_host(&self) -> bool {
        self.watchdog_says().is_some_and(|status| status["host_pid"].is_u64())
    }
}

/// Whether this user may look into a folder; one that is not there may be looked for.
pub(super) fn may_look(folder: &Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::PermissionDenied,
    }
}
