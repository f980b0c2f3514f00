//! Manual pages and completions, made from the command line itself, so that they cannot say something else.

use std::{fs, io, path::Path};

use clap::Command;
use clap_complete::{Shell, generate_to};
use sandpit_contract::Exit;

use crate::Failure;

/// Where the completions of a shell go, below `completions`.
const SHELLS: [(Shell, &str); 3] = [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")];

/// Writes `man1/NAME.1` for the command and each of its subcommands, and `completions/SHELL/…`.
///
/// # Errors
/// [`Exit::State`] when a file cannot be written.
pub fn write(command: Command, out: &Path) -> Result<(), Failure> {
    // Else there is a page of help for every page.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    manuals(&command, &out.join("man1"))
        .and_then(|()| completions(&mut command, &out.join("completions")))
        .map_err(|error| Failure::new(Exit::State, format!("cannot write into {}: {error}", out.display())))
}

fn manuals(command: &Command, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command.clone(), folder)
}

fn completions(command: &mut Command, folder: &Path) -> io::Result<()> {
    let name = command.get_name().to_owned();
    for (shell, of) in SHELLS {
        let folder = folder.join(of);
        fs::create_dir_all(&folder)?;
        let made = generate_to(shell, command, &name, &folder)?;
        // Debian's place for bash wants the bare name.
        if shell == Shell::Bash {
            fs::rename(made, folder.join(&name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_every_shell_a_completion() {
        let folder = tempfile::tempdir().expect("a folder");
        let hidden = Command::new("inner").hide(true);
        let command =
            Command::new("tool").subcommand(Command::new("arm").about("Allow it")).subcommand(hidden);
        write(command, folder.path()).expect("written");
        let there = |name: &str| folder.path().join(name).is_file();
        for name in ["man1/tool.1", "man1/tool-arm.1", "completions/bash/tool", "completions/zsh/_tool"] {
            assert!(there(name), "{name}");
        }
        assert!(there("completions/fish/tool.fish"));
        assert!(!there("man1/tool-inner.1") && !there("man1/tool-help.1"), "what is hidden has no page");
        let page = fs::read_to_string(folder.path().join("man1/tool-arm.1")).expect("a page");
        assert!(page.contains("Allow it"), "{page}");
    }
}
