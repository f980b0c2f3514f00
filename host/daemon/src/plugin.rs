//! `sandpit plugin …`: the work is that of `sandpit_workbench`.

use std::{
    io::stdout,
    path::{Path, PathBuf},
};

use sandpit_contract::Exit;
use sandpit_workbench::{Blame, PluginCommand, Surroundings, Verdict, run};

use crate::{ambient, run::Failure};

/// Begins, builds, checks or tries a strategy.
///
/// # Errors
/// One sentence and an exit code.
pub(crate) fn plugin(command: &PluginCommand) -> Result<Exit, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot find this program's own file: {error}"))
    })?;
    let compiler = vec![program.into(), "compile-plugin".into(), "--metered".into()];
    let surroundings = Surroundings::new(compiler, &ambient::environment());
    match run(command, &surroundings, &plugins_of, &mut stdout()) {
        Ok(Verdict::Good) => Ok(Exit::Ok),
        Ok(Verdict::Wrong) => Ok(Exit::Plugin),
        Err(error) => {
            let exit = match error.blame() {
                Blame::Usage => Exit::Usage,
                Blame::Config => Exit::Config,
                Blame::Plugin => Exit::Plugin,
                Blame::Files => Exit::State,
            };
            Err(Failure::new(exit, error))
        }
    }
}

/// The plugins folder of a configuration file. Nothing else of it is looked at: whoever writes a strategy
/// need not have the keys of the account.
fn plugins_of(config: &Path) -> Result<PathBuf, String> {
    let shown = config.display();
    let text = std::fs::read_to_string(config).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let table: toml::Table = text.parse().map_err(|error| format!("{shown} is no configuration: {error}"))?;
    let folder = table.get("plugins_dir").and_then(toml::Value::as_str);
    folder.map(PathBuf::from).ok_or_else(|| format!("{shown} names no plugins_dir: add it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugins_folder_is_read_without_any_keys() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("sandpit.toml");
        let check = |text: &str, expected: Result<&str, &str>| {
            std::fs::write(&file, text).expect("a file");
            match (plugins_of(&file), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, Path::new(expected)),
                (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        };
        check("plugins_dir = \"/p\"\nmode = \"paper\"\n", Ok("/p"));
        check("mode = \"paper\"\n", Err("names no plugins_dir: add it"));
        check("mode = \n", Err("is no configuration: "));
        let none = plugins_of(&folder.path().join("none")).expect_err("none");
        assert!(none.starts_with("cannot read /"), "{none}");
    }
}
