//! `sandpit plugin dev`: at every change of the sources the plugin is built and handed to a host, whose log
//! of it is shown meanwhile.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::Duration,
};

use sandpit_toolchain::ToolError;

use crate::{
    Surroundings, Verdict, WorkbenchError,
    build::build,
    command::{DevArgs, say},
    project::Project,
    surroundings::write_changed,
    tail::Tail,
    watch::{Watch, wait},
};

/// How long a look at the host's log may come late, real time.
const LOOK: Duration = Duration::from_millis(250);
/// How long nothing has to change before it is built: editors save several files at once. Real time.
const QUIET: Duration = Duration::from_millis(150);

/// Works until it is interrupted.
///
/// # Errors
/// When there is no strategy or plugins folder, or the system cannot watch. A build that fails is said, and
/// the next change is waited for.
pub(crate) fn dev(
    args: &DevArgs,
    surroundings: &Surroundings,
    plugins_of: &dyn Fn(&Path) -> Result<PathBuf, String>,
    out: &mut dyn Write,
) -> Result<Verdict, WorkbenchError> {
    let project = Project::find(&args.folder)?;
    let plugins = plugins_folder(args, plugins_of)?;
    let mut tail = tail(args, &project, out)?;
    let cannot_watch = || WorkbenchError::io("watch", &args.folder);
    loop {
        // Begun before the build, so that a change while it builds is not missed; and each time, so that new
        // folders are watched, too.
        let watch = Watch::new(&args.folder).map_err(cannot_watch())?;
        match build(&args.folder, &args.how, surroundings, out) {
            Ok(file) => hand_over(&file, &plugins, out)?,
            Err(error) => say(out, format_args!("{error}; the host keeps what it has"))?,
        }
        let mut changed = watch.changed().map_err(cannot_watch())?;
        while !changed {
            match tail.as_mut().map_or_else(|| Ok(Vec::new()), Tail::lines) {
                Ok(lines) => lines.into_iter().try_for_each(|line| say(out, line))?,
                Err(error) => {
                    tail = None;
                    say(out, format_args!("the host's log is not shown any more: {error}"))?;
                }
            }
            let mut files = vec![watch.as_fd()];
            files.extend(tail.as_ref().and_then(Tail::wakes));
            wait(&files, LOOK).map_err(cannot_watch())?;
            changed = watch.changed().map_err(cannot_watch())?;
        }
        while changed {
            wait(&[watch.as_fd()], QUIET).map_err(cannot_watch())?;
            changed = watch.changed().map_err(cannot_watch())?;
        }
    }
}

fn plugins_folder(
    args: &DevArgs,
    plugins_of: &dyn Fn(&Path) -> Result<PathBuf, String>,
) -> Result<PathBuf, WorkbenchError> {
    let folder = match (&args.plugins, &args.config) {
        (Some(folder), _) => folder.clone(),
        (None, Some(config)) => plugins_of(config).map_err(WorkbenchError::Config)?,
        (None, None) => return Err(WorkbenchError::Usage("name --plugins or --config".into())),
    };
    if folder.is_dir() {
        return Ok(folder);
    }
    let words =
        format!("there is no plugins folder {}: name that of the host, or create it", folder.display());
    Err(WorkbenchError::Usage(words))
}

fn tail(args: &DevArgs, project: &Project, out: &mut dyn Write) -> Result<Option<Tail>, WorkbenchError> {
    match (&args.log, &args.journal) {
        (Some(log), _) => {
            if let Err(error) = fs::File::open(log) {
                say(out, format_args!("{} cannot be read yet: {error}", log.display()))?;
            }
            Ok(Some(Tail::of_file(log, &project.name)))
        }
        (None, Some(unit)) => {
            let missing = |error| ToolError::Missing {
                what: format!("journalctl ({error})"),
                remedy: "name the host's log with --log FILE".into(),
            };
            Ok(Some(Tail::of_journal(unit, &project.name).map_err(missing)?))
        }
        (None, None) => Ok(None),
    }
}

/// Puts the plugin into the folder of a host. The manifest goes first, since a host reads it with the plugin;
/// one that is there already is the operator's and stays, with a word if it differs.
fn hand_over(file: &Path, plugins: &Path, out: &mut dyn Write) -> Result<(), WorkbenchError> {
    let manifest = file.with_extension("toml");
    let to = plugins.join(file.file_name().unwrap_or_default());
    let theirs = to.with_extension("toml");
    if let Some(text) = read_if_there(&manifest)? {
        match read_if_there(&theirs)? {
            None => write_changed(&theirs, &text)?,
            Some(there) if there != text => {
                say(out, format_args!("{} differs from the strategy's own and stays", theirs.display()))?;
            }
            Some(_) => {}
        }
    }
    let bytes = fs::read(file).map_err(WorkbenchError::io("read", file))?;
    write_changed(&to, &bytes)?;
    say(out, format_args!("handed to the host: {}", to.display()))
}

/// A file's bytes; `None` only when there is no such file: one that cannot be read is somebody's all the
/// same.
fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, WorkbenchError> {
    match fs::read(path) {
        // A link whose file is not there now is no free place either.
        Err(error) if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => Ok(None),
        Err(error) => Err(WorkbenchError::io("read", path)(error)),
        Ok(bytes) => Ok(Some(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_handed_over_and_the_operators_manifest_stays() {
        let (from, to) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let (file, there) = (from.path().join("a.wasm"), to.path().join("a.wasm"));
        fs::write(&file, "1").expect("a plugin");
        fs::write(file.with_extension("toml"), "own").expect("a manifest");
        let hand = || {
            let mut said = Vec::new();
            hand_over(&file, to.path(), &mut said).expect("handed over");
            let read = |path: &Path| fs::read_to_string(path).expect("it is there");
            (read(&there), read(&there.with_extension("toml")), String::from_utf8(said).expect("text"))
        };
        let (plugin, manifest, said) = hand();
        assert_eq!((plugin.as_str(), manifest.as_str()), ("1", "own"));
        assert!(said.starts_with("handed to the host: /"), "{said}");
        fs::write(there.with_extension("toml"), "the operator's").expect("a manifest");
        fs::write(&file, "2").expect("a plugin");
        let (plugin, manifest, said) = hand();
        assert_eq!((plugin.as_str(), manifest.as_str()), ("2", "the operator's"));
        assert!(said.contains("differs from the strategy's own and stays"), "{said}");
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_not_replaced() {
        let (from, to) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let (file, theirs) = (from.path().join("a.wasm"), to.path().join("a.toml"));
        fs::write(&file, "1").expect("a plugin");
        fs::write(file.with_extension("toml"), "own").expect("a manifest");
        let check = || {
            let error = hand_over(&file, to.path(), &mut Vec::new()).expect_err("refused").to_string();
            assert!(error.starts_with("cannot read ") && error.contains("a.toml: "), "{error}");
            assert!(!to.path().join("a.wasm").exists(), "nothing is handed over without its manifest");
        };
        fs::create_dir(&theirs).expect("what no read works on");
        check();
        fs::remove_dir(&theirs).expect("removed");
        std::os::unix::fs::symlink(to.path().join("gone"), &theirs).expect("a link");
        check();
        assert!(fs::symlink_metadata(&theirs).expect("it is there").is_symlink());
    }
}
