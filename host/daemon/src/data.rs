//! `sandpit data`: the command line and the progress; the work is that of `sandpit_data`.

use std::{
    collections::BTreeSet,
    io::{IsTerminal, Write, stderr, stdout},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;
use sandpit_backfill::{Day, parse_symbol};
use sandpit_contract::Exit;
use sandpit_data::{DataError, Mend, Survey, Wanted, import, survey};
use sandpit_types::Symbol;

use crate::run::Failure;

/// What stands below the flags.
const MORE: &str = "\
Files: .csv, .csv.gz and .parquet, or folders of them; a header says what a file holds, in any order:
  bars    timestamp,symbol,open,high,low,close,volume[,vwap]   of one minute, stamped at its start
  quotes  timestamp,symbol,bid_price,bid_size,ask_price,ask_size
  trades  timestamp,symbol,price,size
  Prices are US dollars, taken to be free of splits and dividends; sizes are whole shares. A timestamp is
  RFC 3339 with its offset, or a whole number since 1970 in s, ms, us or ns. Bars longer than a minute are
  refused: taken for minutes they would show the future. Quotes of whole minutes only are known at its end.

Refused, with file and line: empty files; times that go back; two rows of one symbol and time that differ;
  cells that are empty or no number; prices of zero and below; a high under a low, an open or close outside
  of them; a bid above the offer; times without a zone, or of several zones; files that are cut off.

Repairs (--repair, repeatable), always told:
  sort          files whose times go back, 40 million rows at most
  drop          leave rows out that cannot be
  first, last   which of two rows of one symbol and time stays; of two files, by their names
  offsets       times of several zones in one file, each as it says
  zone=NAME     what times mean that say no zone, such as zone=America/New_York

Told, not refused: identical rows (one stays), minutes of a regular session without bars (holidays and short
  days are not known), outliers that come back at once, jumps overnight that look like a split, hours that
  look like those of another zone, columns passed over, sizes cut to whole shares.

Import: OUT/bars/SYMBOL/YYYY-MM-DD.parquet, quotes and trades likewise, as a backfill writes bars; days are
  New York's. All is written aside first: of refused data nothing is seen. Files with the same rows stay.

Examples:
  sandpit data check bars.csv.gz
  sandpit data info data --symbols SPY --json
  sandpit data import vendor/ --repair sort --repair zone=America/New_York --out data

Exit codes:
  0   good; check: nothing was found
  2   wrong usage; a word that is no repair
  12  OUT cannot be written, has a file with other rows, or another import writes there
  14  the data cannot be used; the message has file and line
  16  check: something was found that somebody should look at";

/// Look at market data of the past, check it, bring it into Parquet files.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Say what files hold: symbols, kinds, days, rows, and what is odd
    #[command(after_long_help = MORE)]
    Info(LookArgs),
    /// Say what is wrong or odd in files; nothing else is shown
    #[command(after_long_help = MORE)]
    Check(LookArgs),
    /// Write Parquet files, one a symbol and day of New York, out of files of any kind
    #[command(after_long_help = MORE)]
    Import(ImportArgs),
}

/// Which data.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Files, or folders with all files below them
    #[arg(value_name = "FILE|DIR", required = true)]
    data: Vec<PathBuf>,

    /// Only these symbols, such as SPY,BRK.B; repeatable
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = parse_symbol)]
    symbols: Vec<Symbol>,

    /// First day, New York
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_date)]
    from: Option<Date>,

    /// Last day, New York
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_date)]
    to: Option<Date>,

    /// What is repaired instead of refused; repeatable
    #[arg(long, value_name = "WORD")]
    repair: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LookArgs {
    #[command(flatten)]
    data: DataArgs,

    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    data: DataArgs,

    /// The folder of the files
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Replace files there that have other rows
    #[arg(long)]
    replace: bool,
}

fn parse_date(text: &str) -> Result<Date, String> {
    let date = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    date.ok_or_else(|| "not a day such as 2026-03-16".to_owned())
}

/// Does what is asked for; what comes of it, in one sentence for people.
///
/// # Errors
/// When the data or the folder cannot be used: one sentence and an exit code.
pub(crate) fn data(command: &DataCommand) -> Result<(Exit, String), Failure> {
    match command {
        DataCommand::Info(args) => {
            let survey = look(&args.data)?;
            print(&if args.json { line(&survey.json()) } else { survey.text() });
            Ok((Exit::Ok, rows(&survey)))
        }
        DataCommand::Check(args) => {
            let survey = look(&args.data)?;
            print(&if args.json { line(&survey.json()) } else { survey.findings.text() });
            Ok(match survey.findings.faults() {
                0 => (Exit::Ok, format!("nothing was found in {}", rows(&survey))),
                1 => (Exit::Incomplete, format!("1 thing to look at in {}", rows(&survey))),
                many => (Exit::Incomplete, format!("{many} things to look at in {}", rows(&survey))),
            })
        }
        DataCommand::Import(args) => bring(args),
    }
}

fn look(args: &DataArgs) -> Result<Survey, Failure> {
    let bar = progress();
    let outcome = survey(&args.data, wanted(args)?, &mut |read, total| show(&bar, read, total));
    bar.finish_and_clear();
    outcome.map_err(failure)
}

fn bring(args: &ImportArgs) -> Result<(Exit, String), Failure> {
    let (bar, wanted) = (progress(), wanted(&args.data)?);
    let mut watch = |read, total| show(&bar, read, total);
    let outcome = import(&args.data.data, wanted, &args.out, args.replace, &mut watch);
    bar.finish_and_clear();
    let imported = outcome.map_err(failure)?;
    print(&imported.findings.text());
    let (rows, written, same) = (imported.rows, imported.written, imported.same);
    let out = args.out.display();
    let (all, new) = (plural(rows), plural(written));
    let sentence = format!("{rows} row{all} in {out}: {written} file{new} written, {same} there already");
    Ok((Exit::Ok, sentence))
}

fn wanted(args: &DataArgs) -> Result<Wanted, Failure> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && to < from
    {
        return Err(Failure::new(Exit::Usage, "--to is before --from"));
    }
    let mend = Mend::parse(args.repair.iter().map(String::as_str)).map_err(failure)?;
    let symbols: BTreeSet<Symbol> = args.symbols.iter().cloned().collect();
    Ok(Wanted {
        symbols: (!symbols.is_empty()).then_some(symbols),
        from: args.from.map(|date| Day::new(date).start),
        to: args.to.map(|date| Day::new(date).end),
        mend,
    })
}

/// What a failure of the data ends a command with.
pub(crate) fn failure(error: DataError) -> Failure {
    let exit = match &error {
        DataError::Mend { .. } => Exit::Usage,
        DataError::Write { .. } | DataError::InUse { .. } | DataError::Exists { .. } => Exit::State,
        DataError::Io { .. }
        | DataError::NoFiles { .. }
        | DataError::NoRows { .. }
        | DataError::Name { .. }
        | DataError::File { .. }
        | DataError::Row { .. } => Exit::Data,
    };
    Failure::new(exit, error)
}

fn rows(survey: &Survey) -> String {
    let rows: u64 = survey.symbols.values().map(|of| of.rows).sum();
    let names: BTreeSet<&Symbol> = survey.symbols.keys().map(|(symbol, _)| symbol).collect();
    let symbols = names.len() as u64;
    format!("{rows} row{} of {symbols} symbol{}", plural(rows), plural(symbols))
}

const fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn line(json: &serde_json::Value) -> String {
    format!("{json}\n")
}

/// A terminal that has gone must not end it in a panic: the exit code still tells how it went.
fn print(text: &str) {
    let _ = stdout().write_all(text.as_bytes());
}

/// A bar on a terminal, nothing elsewhere.
fn progress() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {elapsed} of {duration}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, read: u64, total: u64) {
    bar.set_length(total);
    bar.set_position(read);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: DataCommand,
    }

    fn run(flags: &[&str]) -> Result<(Exit, String), Failure> {
        let line = Line::try_parse_from([&["data"], flags].concat());
        data(&line.unwrap_or_else(|error| panic!("{flags:?}: {error}")).command)
    }

    fn path(folder: &Path, name: &str, rows: &str) -> String {
        let path = folder.join(name);
        let header = "timestamp,symbol,open,high,low,close,volume\n";
        fs::write(&path, format!("{header}{rows}")).expect("written");
        path.display().to_string()
    }

    #[test]
    fn wrong_usage_is_refused_before_anything_is_touched() {
        let check = |flags: &[&str], is_good: bool| {
            let good = Line::try_parse_from([&["data"], flags].concat());
            assert_eq!(good.is_ok(), is_good, "{flags:?}: {good:?}");
        };
        check(&["info", "a.csv", "b", "--symbols", "SPY,BRK.B", "--json"], true);
        check(&["check", "a.csv", "--repair", "sort", "--repair", "drop"], true);
        check(&["import", "a.csv", "--out", "data", "--replace"], true);
        check(&["import", "a.csv"], false);
        check(&["info"], false);
        check(&["info", "a.csv", "--from", "16.03.2026"], false);
        check(&["info", "a.csv", "--symbols", "../../etc"], false);
        let exit = |flags: &[&str]| run(flags).expect_err("wrong").exit;
        assert_eq!(exit(&["info", "a.csv", "--repair", "mend"]), Exit::Usage);
        assert_eq!(exit(&["info", "a.csv", "--from", "2026-03-17", "--to", "2026-03-16"]), Exit::Usage);
        assert_eq!(exit(&["info", "/nowhere/a.csv"]), Exit::Data);
    }

    #[test]
    fn what_comes_of_data_is_its_exit_code() {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, second) =
            ("2013-10-07T13:30:00Z,SPY,10,11,9,10,100\n", "2013-10-07T13:31:00Z,SPY,10,11,9,10,100\n");
        let good = path(folder.path(), "good.csv", &format!("{first}{second}"));
        let unsorted = path(folder.path(), "unsorted.csv", &format!("{second}{first}"));
        let out = folder.path().join("out").display().to_string();
        let check = |flags: &[&str], exit: Exit, part: &str| {
            let (found, sentence) = match run(flags) {
                Ok(outcome) => outcome,
                Err(failure) => (failure.exit, failure.sentence),
            };
            assert_eq!(found, exit, "{flags:?}: {sentence}");
            assert!(sentence.contains(part), "{flags:?}: {sentence}\nlacks {part:?}");
        };
        check(&["check", &good], Exit::Ok, "nothing was found in 2 rows of 1 symbol");
        check(&["info", &good, "--json"], Exit::Ok, "2 rows of 1 symbol");
        check(&["info", &good, "--from", "2013-10-07", "--to", "2013-10-07"], Exit::Ok, "2 rows");
        check(&["info", &good, "--from", "2013-10-08"], Exit::Data, "the files have no row from 2013-10-08");
        check(&["check", &unsorted], Exit::Data, "unsorted.csv:3: the time goes back");
        check(&["check", &unsorted, "--repair", "sort"], Exit::Incomplete, "1 thing to look at");
        check(&["import", &unsorted, "--out", &out], Exit::Data, "the time goes back");
        check(&["import", &good, "--out", &out], Exit::Ok, "1 file written, 0 there already");
        check(&["import", &good, "--out", &out], Exit::Ok, "0 files written, 1 there already");
        check(&["check", &out], Exit::Ok, "nothing was found in 2 rows");
        let other = path(folder.path(), "other.csv", first);
        check(&["import", &other, "--out", &out], Exit::State, "is there already with other rows");
        check(&["import", &other, "--out", &out, "--replace"], Exit::Ok, "1 file written");
    }
}
