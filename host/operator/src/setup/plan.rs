//! What is to be written, before the first byte is.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use sandpit_contract::Exit;

use super::{
    Human, SetupArgs,
    answers::{Answers, is_strategy},
    edit::Edit,
};
use crate::{
    Failure, World,
    files::Settings,
    keys::{KeyPair, Secret, hex},
    place::{HOST_KEY, PANIC_TOKEN, WATCHDOG_KEY, user},
    write::{Rights, is_there, replace},
};

const HOST_TEMPLATE: &str = include_str!("../../templates/sandpit.toml");
const WATCHDOG_TEMPLATE: &str = include_str!("../../templates/watchdog.toml");
/// A panic token's randomness.
const TOKEN_BYTES: usize = 24;
/// An example that is larger is none.
const MAX_EXAMPLE_BYTES: u64 = 64 << 20;

/// A file that is to be.
struct Planned {
    path: PathBuf,
    bytes: Vec<u8>,
    rights: Rights,
    words: Vec<String>,
}

/// A folder that is to be, and whose.
struct Folder {
    path: PathBuf,
    mode: u32,
    owner: Option<(u32, u32)>,
}

/// All that is to be written.
pub(super) struct Plan {
    folders: Vec<Folder>,
    files: Vec<Planned>,
    /// A live configuration becomes another one, or one becomes live.
    touches_live: Option<PathBuf>,
}

impl Plan {
    /// What makes the files on the disk those of the `answers`.
    ///
    /// # Errors
    /// [`Exit::Config`] when a file that is there is no TOML, [`Exit::State`] when it cannot be read.
    pub(super) fn make(args: &SetupArgs, answers: &Answers, world: &World) -> Result<Self, Failure> {
        let there = Settings::read(&args.place);
        let was_live = args.place.config.exists() && there.mode() == "live";
        let host = host_file(args, answers)?;
        let watchdog = watchdog_file(args, answers)?;
        let is_touched = host.is_some() || watchdog.is_some();
        let becomes_live = answers.mode == "live" && there.mode() != "live";
        let credentials = credentials(args, answers, world)?;
        let new_keys = was_live && !credentials.is_empty();
        let touches = becomes_live || was_live && is_touched || new_keys;
        let mut files = credentials;
        files.extend(strategy(args, answers, &there)?);
        // The host's last: it is what names the mode.
        files.extend(watchdog.into_iter().chain(host));
        let touches_live = touches.then(|| args.place.config.clone());
        Ok(Self { folders: folders(args, &there), files, touches_live })
    }

    /// Whether all is as it shall be.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.is_empty()
    }

    /// A live configuration is never changed in passing.
    ///
    /// # Errors
    /// [`Exit::Config`] unless the flag says so, or the human types `live`.
    pub(super) fn refuse_live(&self, args: &SetupArgs, human: &mut Human) -> Result<(), Failure> {
        let Some(path) = self.touches_live.as_ref().filter(|_| !args.overwrite_live) else { return Ok(()) };
        let path = path.display();
        if human.asks() && human.text(&format!("{path}: real money. Type live to go on"), None)? == "live" {
            return Ok(());
        }
        let what = format!(
            "{path} is, or would become, mode = \"live\", and something of it would change; nothing was \
             written. If that is meant, add --overwrite-live"
        );
        Err(Failure::new(Exit::Config, what))
    }

    /// One line for each thing that will change; no secret in any.
    pub(super) fn describe(&self) -> Vec<String> {
        let folders = self.folders.iter().map(|folder| format!("{}/ is made", folder.path.display()));
        let words = |file: &Planned| {
            let path = file.path.display().to_string();
            file.words.iter().map(move |words| format!("{path}: {words}")).collect::<Vec<_>>()
        };
        folders.chain(self.files.iter().flat_map(words)).collect()
    }

    /// Writes it, each file as a whole.
    ///
    /// # Errors
    /// [`Exit::State`]; what was written before stays, and another run goes on from there.
    pub(super) fn write(self) -> Result<Vec<PathBuf>, Failure> {
        let failed = |path: &Path, error: io::Error| {
            let what =
                format!("cannot write {}: {error}; run it as root, or name other places", path.display());
            Failure::new(Exit::State, what)
        };
        for folder in &self.folders {
            make(folder).map_err(|error| failed(&folder.path, error))?;
        }
        let mut written = Vec::new();
        for file in self.files {
            replace(&file.path, &file.bytes, file.rights).map_err(|error| failed(&file.path, error))?;
            written.push(file.path);
        }
        Ok(written)
    }
}

fn make(folder: &Folder) -> io::Result<()> {
    if let Some(parent) = folder.path.parent() {
        fs::create_dir_all(parent)?;
    }
    if !folder.path.is_dir() {
        fs::DirBuilder::new().mode(0o700).create(&folder.path)?;
    }
    if let Some((user, group)) = folder.owner {
        chown(&folder.path, Some(user), Some(group))?;
    }
    fs::set_permissions(&folder.path, fs::Permissions::from_mode(folder.mode))
}

/// Root's, where this is root.
fn root() -> Option<(u32, u32)> {
    nix::unistd::geteuid().is_root().then_some((0, 0))
}

fn folders(args: &SetupArgs, there: &Settings) -> Vec<Folder> {
    let etc = args.place.config.parent().map(Path::to_owned);
    let plugins = Settings::path(there.host(&["plugins_dir"]), "/etc/sandpit/plugins");
    let ours = etc.into_iter().chain([plugins]).map(|path| Folder { path, mode: 0o755, owner: root() });
    // The host may pull its own kill switch; nobody but root removes what is not his own.
    let host = user(&args.place.host_user).filter(|_| nix::unistd::geteuid().is_root());
    let kill = there.kill_file().parent().map(|path| match host {
        Some((_, group)) => Folder { path: path.into(), mode: 0o1775, owner: Some((0, group.as_raw())) },
        None => Folder { path: path.into(), mode: 0o755, owner: root() },
    });
    let services =
        [(there.state_dir(), &args.place.host_user), (there.watchdog_dir(), &args.place.watchdog_user)];
    let services = services.into_iter().filter_map(|(path, name)| {
        // Root's own folder would be of no use to a service that is somebody else.
        let owner = user(name).map(|(user, group)| (user.as_raw(), group.as_raw()));
        let is_root = nix::unistd::geteuid().is_root();
        (!is_root || owner.is_some()).then(|| Folder { path, mode: 0o700, owner: owner.filter(|_| is_root) })
    });
    let mut all: Vec<_> = ours.chain(kill).chain(services).filter(|folder| !folder.path.exists()).collect();
    let credentials = args.place.credentials();
    let is_narrow = fs::metadata(&credentials).is_ok_and(|found| {
        found.mode() & 0o777 == 0o700 && root().is_none_or(|root| root == (found.uid(), found.gid()))
    });
    if !is_narrow {
        all.push(Folder { path: credentials, mode: 0o700, owner: root() });
    }
    all
}

/// The files of the keys that are not as they shall be.
fn credentials(args: &SetupArgs, answers: &Answers, world: &World) -> Result<Vec<Planned>, Failure> {
    let mut files = Vec::new();
    let mut plan = |name: &str, secret: &Secret| {
        let (path, encrypted) = (args.place.credential(name), args.place.encrypted(name));
        if encrypted.exists() && !path.exists() {
            return keep(&encrypted, args.place.secret(name).as_ref() == Some(secret));
        }
        let bytes = format!("{}\n", secret.expose()).into_bytes();
        let rights = Rights { mode: 0o600, owner: root() };
        if !is_there(&path, &bytes, rights) {
            files.push(Planned {
                path,
                bytes,
                rights,
                words: vec!["a secret, readable by root alone".into()],
            });
        }
        Ok(())
    };
    let pairs = [(HOST_KEY, &answers.host_keys), (WATCHDOG_KEY, &answers.watchdog_keys)];
    for ([id, secret], keys) in pairs {
        if let Some(KeyPair { id: own, secret: key }) = keys {
            plan(id, own)?;
            plan(secret, key)?;
        }
    }
    let token = args.place.credential(PANIC_TOKEN);
    if !token.exists() && !args.place.encrypted(PANIC_TOKEN).exists() {
        let mut bytes = [0; TOKEN_BYTES];
        (world.random)(&mut bytes).map_err(|error| Failure::new(Exit::Failed, error))?;
        let token = Secret::new(&hex(&bytes)).expect("hex is one word");
        plan(PANIC_TOKEN, &token)?;
    }
    Ok(files)
}

/// What is encrypted is the operator's: it stays, and is not laid beside itself in the clear.
fn keep(encrypted: &Path, is_same: bool) -> Result<(), Failure> {
    if is_same {
        return Ok(());
    }
    let what = format!(
        "{} holds another key, encrypted: encrypt the new one with systemd-creds as its drop-in says; \
         nothing was written",
        encrypted.display()
    );
    Err(Failure::new(Exit::Config, what))
}

/// A file's text, or the one it begins with.
fn text_of(path: &Path, template: &str) -> Result<(String, Rights), Failure> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let found = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
            let owner = root().map(|_| (found.uid(), found.gid()));
            Ok((text, Rights { mode: found.mode() & 0o7777, owner }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok((template.to_owned(), Rights { mode: 0o644, owner: root() }))
        }
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::State, format!("cannot read {}: {error}", path.display()))
}

fn changed(path: &Path, template: &str, change: impl FnOnce(&mut Edit)) -> Result<Option<Planned>, Failure> {
    let (text, rights) = text_of(path, template)?;
    let mut edit = Edit::of(&text).map_err(|error| {
        let what =
            format!("{} is no TOML ({}): mend it, nothing was written", path.display(), error.message());
        Failure::new(Exit::Config, what)
    })?;
    change(&mut edit);
    let is_new = !path.exists();
    let mut words = std::mem::take(&mut edit.changes);
    if is_new {
        words.insert(0, "a new file".into());
    }
    let planned = Planned { path: path.into(), bytes: edit.text().into_bytes(), rights, words };
    Ok((is_new || !planned.words.is_empty()).then_some(planned))
}

fn host_file(args: &SetupArgs, answers: &Answers) -> Result<Option<Planned>, Failure> {
    changed(&args.place.config, HOST_TEMPLATE, |edit| {
        edit.set("", "mode", &*answers.mode);
        edit.set("broker", "name", &*answers.broker);
        match &answers.url {
            Some(url) => edit.set("broker", "url", &**url),
            None => edit.remove("broker", "url"),
        }
        if let Some(first) = answers.symbols.first() {
            edit.set("market_data", "canary", &**first);
        }
    })
}

fn watchdog_file(args: &SetupArgs, answers: &Answers) -> Result<Option<Planned>, Failure> {
    let path = args.place.watchdog_config();
    let (host, watchdog) = (user(&args.place.host_user), user(&args.place.watchdog_user));
    let attaches = Settings::read(&args.place).watchdog(&["host", "mode"]).unwrap_or("attach") == "attach";
    changed(&path, WATCHDOG_TEMPLATE, |edit| {
        edit.set("broker", "trading_url", &*answers.trading_url);
        // It lets nobody but its own user connect, unless told of the host's; by name or by number, not both.
        if let (Some((host, _)), Some((watchdog, _))) = (host, watchdog)
            && host != watchdog
            && attaches
        {
            edit.remove("host", "uid");
            edit.set("host", "user", &*args.place.host_user);
        }
    })
}

/// The symbols go into the manifest of a strategy that has none yet; an example is copied to be that one.
fn strategy(args: &SetupArgs, answers: &Answers, there: &Settings) -> Result<Vec<Planned>, Failure> {
    let name = &args.strategy;
    if answers.symbols.is_empty() {
        return Ok(Vec::new());
    }
    if !is_strategy(name) {
        let what = format!("--strategy {name:?} is no name of a strategy: 1 to 32 of a-z, 0-9 and _");
        return Err(Failure::new(Exit::Usage, what));
    }
    let plugins = Settings::path(there.host(&["plugins_dir"]), "/etc/sandpit/plugins");
    let (wasm, manifest) = (plugins.join(format!("{name}.wasm")), plugins.join(format!("{name}.toml")));
    let example = args.examples.join(format!("{name}.wasm"));
    if manifest.exists() || !wasm.exists() && !example.exists() {
        return Ok(Vec::new());
    }
    let rights = Rights { mode: 0o644, owner: root() };
    let list: Vec<String> = answers.symbols.iter().map(|symbol| format!("{symbol:?}")).collect();
    let text = format!("instruments = [{}]     # one strategy owns a symbol\n", list.join(", "));
    let words = vec![format!("strategy {name} trades {}", answers.symbols.join(", "))];
    let manifest = Planned { path: manifest, bytes: text.into_bytes(), rights, words };
    let mut files = Vec::new();
    if !wasm.exists() {
        let size = fs::metadata(&example).map_err(|error| unreadable(&example, &error))?.len();
        if size > MAX_EXAMPLE_BYTES {
            let what = format!("{} is too large to be an example", example.display());
            return Err(Failure::new(Exit::Config, what));
        }
        let bytes = fs::read(&example).map_err(|error| unreadable(&example, &error))?;
        let words = vec![format!("a copy of {}", example.display())];
        files.push(Planned { path: wasm, bytes, rights, words });
    }
    // Last: where it is, nothing is added any more.
    files.push(manifest);
    Ok(files)
}
