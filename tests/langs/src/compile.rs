//! The compiling child of these tests.

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [input, output] = paths.as_slice() else {
        eprintln!("two paths are wanted, of a plugin and of its compiled form");
        return ExitCode::from(64);
    };
    match sandpit_strategy::compile_file(input, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
