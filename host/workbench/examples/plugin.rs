//! The commands without the host: what the tests run. `sandpit plugin …` is the same.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use sandpit_workbench::{Blame, PluginCommand, Surroundings, Verdict, run};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Plugin(PluginCommand),
    #[command(hide = true)]
    Compile { input: PathBuf, output: PathBuf },
}

fn main() -> ExitCode {
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_target(false).with_ansi(false);
    log.init();
    let command = match Cli::parse().command {
        Command::Plugin(command) => command,
        Command::Compile { input, output } => {
            return match sandpit_strategy::compile_metered(&input, &output) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::from(11)
                }
            };
        }
    };
    let program = env::current_exe().expect("a program has a path");
    let surroundings = Surroundings::new(vec![program.into(), "compile".into()], &env::vars().collect());
    // A configuration is a file that holds nothing but the folder's path.
    let plugins_of = |config: &Path| {
        let text =
            std::fs::read_to_string(config).map_err(|error| format!("{}: {error}", config.display()))?;
        Ok(PathBuf::from(text.trim()))
    };
    match run(&command, &surroundings, &plugins_of, &mut io::stdout()) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Wrong) => ExitCode::from(11),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(match error.blame() {
                Blame::Usage => 2,
                Blame::Config => 10,
                Blame::Plugin => 11,
                Blame::Files => 12,
            })
        }
    }
}
