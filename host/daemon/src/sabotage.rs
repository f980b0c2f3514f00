//! What the kill suite does to a running host: a loop stands still or spins while the others go on, or memory
//! leaks. Only a build with debug assertions has it.
//!
//! With `SANDPIT_SABOTAGE=DIR` a file in that folder is a deed. The host that does it removes it first, so
//! that the host after this one is whole:
//!
//! | file | what happens |
//! |---|---|
//! | `hang-LOOP` | the loop stands still at its next piece of work, as in a deadlock |
//! | `spin-LOOP` | it takes a whole core instead |
//! | `leak` | as many bytes a second as the file says are taken and never given back |
//!
//! A loop has the name that the watchdog shows: `execution`, `store`, `ingest`, `strategy:NAME`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use nix::poll::{PollTimeout, poll};
use sandpit_types::Halt;

use crate::loops::Loops;

const VARIABLE: &str = "SANDPIT_SABOTAGE";
/// How often the folder is looked at, and how often the leak grows; milliseconds of real time.
const LOOK_MS: u16 = 20;
/// The leak ends here, bytes: the machine has other things to do.
const MAX_LEAK_BYTES: u64 = 8 << 30;

/// Begins to look, if the environment asks for it.
///
/// # Panics
/// When no thread can be started.
pub(crate) fn watch(environment: &BTreeMap<String, String>, loops: &Arc<Loops>) {
    let Some(folder) = environment.get(VARIABLE).map(PathBuf::from) else { return };
    let loops = loops.clone();
    let look = move || {
        let mut hoard = Hoard::default();
        loop {
            look(&folder, &loops, &mut hoard);
            hoard.grow();
            let _ = poll(&mut [], PollTimeout::from(LOOK_MS));
        }
    };
    std::thread::Builder::new().name("sabotage".into()).spawn(look).expect("a test has threads to spare");
}

/// What has leaked.
#[derive(Default)]
struct Hoard {
    bytes_a_second: u64,
    total: u64,
    kept: Vec<Vec<u8>>,
}

impl Hoard {
    fn grow(&mut self) {
        let bytes = self.bytes_a_second * u64::from(LOOK_MS) / 1_000;
        if bytes > 0 && self.total < MAX_LEAK_BYTES {
            self.total += bytes;
            // Written to: only then it is in memory.
            self.kept.push(vec![1; usize::try_from(bytes).unwrap_or(0)]);
        }
    }
}

fn look(folder: &Path, loops: &Loops, hoard: &mut Hoard) {
    let Ok(files) = fs::read_dir(folder) else { return };
    for file in files.flatten() {
        let name = file.file_name();
        let Some(name) = name.to_str() else { continue };
        let halt = [("hang-", Halt::Asleep), ("spin-", Halt::Spinning)]
            .into_iter()
            .find_map(|(prefix, how)| Some((name.strip_prefix(prefix)?, how)));
        if let Some((pulse, how)) = halt.and_then(|(name, how)| Some((loops.pulse(name)?, how)))
            && fs::remove_file(file.path()).is_ok()
        {
            tracing::warn!(name, "sabotage");
            pulse.halt(how);
        }
        let rate = fs::read_to_string(file.path()).ok().and_then(|text| text.trim().parse().ok());
        if let Some(rate) = rate.filter(|_| name == "leak")
            && fs::remove_file(file.path()).is_ok()
        {
            tracing::warn!(rate, "sabotage");
            hoard.bytes_a_second = rate;
        }
    }
}
