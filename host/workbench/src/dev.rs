//! `sandpit plugin dev`: at every change of the sources the plugin is built and handed to a host, whose log
//! of it is shown meanwhile.

use std::{
    fs,
    io::Write,
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
    let mut tail = tail(args, &project)?;
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
            for line in tail.as_mut().map_or_else(|| Ok(Vec::new()), Tail::lines).map_err(cannot_watch())? {
                say(out, line)?;
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

fn tail(args: &DevArgs, project: &Project) -> Result<Option<Tail>, WorkbenchError> {
    match (&args.log, &args.journal) {
        (Some(log), _) => Ok(Some(Tail::of_file(log, &project.name))),
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
    if let Ok(text) = fs::read(&manifest) {
        match fs::read(&theirs) {
            Err(_) => write_changed(&theirs, &text)?,
            Ok(there) if there != text => {
                say(out, format_args!("{} differs from the strategy's own and stays", theirs.display()))?;
            }
            Ok(_) => {}
        }
    }
    let bytes = fs::read(file).map_err(WorkbenchError::io("read", file))?;
    write_changed(&to, &bytes)?;
    say(out, format_args!("handed to the host: {}", to.display()))
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
}
