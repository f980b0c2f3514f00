//! The child of the hostile suite: compiles one plugin, as the host's own child does, or judges many damaged
//! ones and says of each what it found.

use std::{
    error::Error,
    ffi::OsString,
    io::{Write, stdout},
    path::Path,
    process::ExitCode,
};

use sandpit_hostile::mutations;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [what, input, output] if what == "compile-plugin" => {
            sandpit_strategy::compile_file(Path::new(input), Path::new(output)).map_err(Box::from)
        }
        [what, input, seed, count, first] if what == "judge" => judge(Path::new(input), [seed, count, first]),
        other => {
            Err(format!("compile-plugin INPUT OUTPUT, or judge INPUT SEED COUNT FIRST: {other:?}").into())
        }
    };
    outcome.map_or_else(
        |error| {
            eprintln!("{error}");
            ExitCode::from(2)
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Judges the mutations of `input` from the one numbered `first` on. Says which one is next before it looks
/// at it, so that whoever started this knows which one ended it.
fn judge(input: &Path, numbers: [&OsString; 3]) -> Result<(), Box<dyn Error>> {
    let mut parsed = numbers.into_iter().map(|text| text.to_str().and_then(|text| text.parse::<u64>().ok()));
    let (Some(Some(seed)), Some(Some(count)), Some(Some(first))) =
        (parsed.next(), parsed.next(), parsed.next())
    else {
        return Err(format!("no numbers: {numbers:?}").into());
    };
    let whole = std::fs::read(input)?;
    let mut out = stdout().lock();
    let (count, first) = (usize::try_from(count)?, usize::try_from(first)?);
    for (number, mutation) in mutations(seed, &whole, count).enumerate().skip(first) {
        write!(out, "{number} ")?;
        out.flush()?;
        match sandpit_strategy::judge("damaged.wasm", &mutation.of(&whole)) {
            Ok(()) => writeln!(out, "passes")?,
            // What breaks the line shows.
            Err(error) => writeln!(out, "{}", error.to_string().replace(char::is_control, "\u{2424}"))?,
        }
    }
    Ok(())
}
