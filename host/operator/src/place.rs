//! Where everything of an installation lies.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use nix::unistd::{Gid, Uid, User};

use crate::{
    World,
    child::Program,
    keys::{KeyPair, Secret, secret_of},
};

/// Names of the credential files.
pub(crate) const HOST_KEY: [&str; 2] = ["host-key-id", "host-secret-key"];
pub(crate) const WATCHDOG_KEY: [&str; 2] = ["watchdog-key-id", "watchdog-secret-key"];
pub(crate) const PANIC_TOKEN: &str = "panic-token";

/// A machine whose key is in a chip takes its time.
const DECRYPT_WAIT: Duration = Duration::from_secs(10);

/// Where units are looked for, the first that has one counts.
const UNIT_FOLDERS: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"];

/// Where the files of an installation are.
#[derive(Args, Clone, Debug)]
pub struct PlaceArgs {
    /// The configuration of the host.
    #[arg(long, value_name = "FILE", default_value = "/etc/sandpit/sandpit.toml")]
    pub config: PathBuf,
    /// The configuration of the watchdog [default: watchdog.toml beside the host's].
    #[arg(long, value_name = "FILE")]
    pub watchdog_config: Option<PathBuf>,
    /// The folder of the credential files [default: credentials beside the host's configuration].
    #[arg(long, value_name = "DIR")]
    pub credentials: Option<PathBuf>,
    /// The user that the host runs as.
    #[arg(long, value_name = "USER", default_value = "sandpit")]
    pub host_user: String,
    /// The user that the watchdog runs as.
    #[arg(long, value_name = "USER", default_value = "sandpit-watchdog")]
    pub watchdog_user: String,
    /// Where the units are, for tests.
    #[arg(long, value_name = "DIR", hide = true)]
    pub unit_dir: Vec<PathBuf>,
}

impl PlaceArgs {
    /// The watchdog's configuration.
    pub(crate) fn watchdog_config(&self) -> PathBuf {
        self.watchdog_config.clone().unwrap_or_else(|| self.config.with_file_name("watchdog.toml"))
    }

    /// A credential file.
    pub(crate) fn credential(&self, name: &str) -> PathBuf {
        self.credentials().join(name)
    }

    /// The same, encrypted to this machine (systemd-creds(1)).
    pub(crate) fn encrypted(&self, name: &str) -> PathBuf {
        self.credentials().join(format!("{name}.cred"))
    }

    /// What is in a credential file, or as root in the encrypted one.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        secret_of(&self.credential(name)).or_else(|| decrypted(name, &self.encrypted(name)))
    }

    /// The folder of all of them.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.credentials.clone().unwrap_or_else(|| self.config.with_file_name("credentials"))
    }

    /// The host's keys as the variables that our programs read; none when they cannot be read.
    pub fn key_variables(&self, world: &World) -> BTreeMap<String, String> {
        self.host_keys(world).map(|keys| keys.variables()).unwrap_or_default()
    }

    /// The host's keys: from the environment, else from its credential files.
    pub(crate) fn host_keys(&self, world: &World) -> Option<KeyPair> {
        KeyPair::of_environment(&world.environment).or_else(|| self.key_files(HOST_KEY))
    }

    /// The watchdog's keys from its credential files.
    pub(crate) fn watchdog_keys(&self) -> Option<KeyPair> {
        self.key_files(WATCHDOG_KEY)
    }

    /// A pair of credential files, plain or encrypted.
    pub(crate) fn key_files(&self, [id, secret]: [&str; 2]) -> Option<KeyPair> {
        Some(KeyPair { id: self.secret(id)?, secret: self.secret(secret)? })
    }

    /// A unit's file.
    pub(crate) fn unit(&self, name: &str) -> Option<PathBuf> {
        let standard = || UNIT_FOLDERS.map(PathBuf::from).into();
        let folders: Vec<PathBuf> = if self.unit_dir.is_empty() { standard() } else { self.unit_dir.clone() };
        folders.into_iter().map(|folder| folder.join(name)).find(|path| path.exists())
    }
}

fn decrypted(name: &str, file: &Path) -> Option<Secret> {
    if !file.is_file() {
        return None;
    }
    let decrypt =
        Program::new("systemd-creds").args(["decrypt", "--name", name]).args([file, Path::new("-")]);
    let ended = decrypt.run(DECRYPT_WAIT).ok()?;
    Secret::new(&ended.out).filter(|_| ended.code == Some(0))
}

/// A user's numbers; `None` when there is no such user.
pub(crate) fn user(name: &str) -> Option<(Uid, Gid)> {
    User::from_name(name).ok().flatten().map(|user| (user.uid, user.gid))
}

/// Whose a folder is: a program that works in it as somebody else leaves files that its owner cannot write.
pub(crate) fn owner(path: &Path) -> Option<(u32, u32)> {
    fs::metadata(path).ok().map(|found| (found.uid(), found.gid()))
}

/// One of our programs: beside this one, else on the PATH.
pub fn program(name: &str, environment: &BTreeMap<String, String>) -> PathBuf {
    let own = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(name)));
    let beside = own.filter(|path| path.is_file());
    let path = environment.get("PATH").map_or("", String::as_str);
    let on_path = || path.split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    beside.or_else(on_path).unwrap_or_else(|| name.into())
}

/// This program.
pub(crate) fn own_program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| "sandpit".into())
}
