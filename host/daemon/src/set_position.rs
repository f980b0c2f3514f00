//! `sandpit set-position`: an operator says what a strategy holds, where its fills cannot: after a split,
//! after shares were sold or moved by hand.

use std::path::PathBuf;

use clap::Args;
use sandpit_contract::Exit;
use sandpit_cores::orders::SubBook;
use sandpit_store::{Actor, Audit, Record, Store, Stored, SubBookRow};
use sandpit_types::{MarketTime, Price, Qty, StrategyName, Symbol};

use crate::{
    config::Config,
    run::{Failure, usable_folder},
    stopped::with_records,
    strategies::Loader,
};

/// More shares than this are a slip of the finger.
const MAX_SHARES: i64 = 1_000_000_000;

/// What stands below the flags.
const MORE: &str = "\
Examples:
  sandpit set-position --config sandpit.toml sma_cross SPY 40 --reason \"60 of 100 sold in the app\"
  sandpit set-position --config sandpit.toml sma_cross NVDA 1000 --same-cost --reason \"split 10:1\"
  sandpit set-position --config sandpit.toml sma_cross SPY 25 --average 512.40 --reason \"moved in\"

Exit codes:
  0   done, or nothing to change
  2   wrong usage: no reason, a strategy that neither holds the symbol nor trades it, no price to count with
  10  the configuration is wrong
  11  the plugins cannot be read, which tell what a strategy trades
  12  a host runs, or the database cannot be used";

/// Say what a strategy holds of a symbol, after a split or a sale by hand: the host must be stopped. Nothing
/// is sent to the broker, and nothing is won or lost by it: what was realised stays.
#[derive(Args)]
#[command(after_long_help = MORE)]
pub(crate) struct SetPositionArgs {
    /// The configuration file of the host.
    #[arg(long, value_name = "FILE", default_value = crate::operator::CONFIG)]
    pub(crate) config: PathBuf,
    /// Whose.
    #[arg(value_parser = |text: &str| StrategyName::parse(text))]
    pub(crate) strategy: StrategyName,
    /// Of what.
    #[arg(value_parser = |text: &str| Ok::<_, std::convert::Infallible>(Symbol::new(text)))]
    pub(crate) symbol: Symbol,
    /// Shares that it holds; below zero when it is short.
    #[arg(allow_negative_numbers = true)]
    pub(crate) qty: Qty,
    /// Why; it is kept in the audit log with your name.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// What one of them has cost on average [default: as it is].
    #[arg(long, value_name = "PRICE", conflicts_with = "same_cost")]
    pub(crate) average: Option<Price>,
    /// All of them have cost what they had cost before, as after a split.
    #[arg(long)]
    pub(crate) same_cost: bool,
}

/// Changes the sub-book, and says from what to what.
///
/// # Errors
/// [`Exit::Usage`] when it cannot be meant; [`Exit::Plugin`] when the plugins cannot be read; [`Exit::State`]
/// while a host runs, or when the database cannot be used.
pub(crate) fn set_position(
    config: &Config,
    args: &SetPositionArgs,
    operator: &str,
) -> Result<String, Failure> {
    if !config.mode.posts() {
        let what = "a dry run starts flat each time: there is nothing to set; name a configuration with mode \
                    paper or live";
        return Err(Failure::new(Exit::Usage, what));
    }
    with_records(config, &args.reason, async |store, reason, time| {
        set(store, args, reason, operator, time, || instruments(config, &args.strategy)).await
    })
}

/// What a strategy trades, by its plugin; `None` when there is none of that name.
fn instruments(config: &Config, strategy: &StrategyName) -> Result<Option<Vec<Symbol>>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Plugin, error);
    let path = config.plugins_dir.join(format!("{strategy}.wasm"));
    if !path.exists() {
        return Ok(None);
    }
    let loader =
        Loader::new(config, &usable_folder(config)?.join("compiled")).map_err(|error| failed(&error))?;
    loader.load(&path).map(|loaded| Some(loaded.instruments)).map_err(|error| failed(&error))
}

async fn set(
    store: &Store,
    args: &SetPositionArgs,
    reason: &str,
    operator: &str,
    time: MarketTime,
    instruments: impl FnOnce() -> Result<Option<Vec<Symbol>>, Failure>,
) -> Result<String, Failure> {
    let failed = |error| Failure::new(Exit::State, error);
    let usage = |what: String| Failure::new(Exit::Usage, what);
    let SetPositionArgs { strategy, symbol, .. } = args;
    let stored = store.load().await.map_err(failed)?;
    let before = match held(&stored, strategy, symbol) {
        Some(book) => book,
        None => {
            // What it has held once it may be rid of; a new holding it must be able to trade.
            is_traded(strategy, symbol, instruments()?).map_err(usage)?;
            SubBook::default()
        }
    };
    let after = corrected(&before, args).map_err(usage)?;
    let told = |book: &SubBook| format!("{} at {}", book.qty, book.avg_price());
    let (was, is) = (told(&before), told(&after));
    if before == after {
        return Ok(format!("nothing to change: {strategy} holds {is} of {symbol}"));
    }
    let SubBook { qty, cost, cash } = after;
    let row = SubBookRow { strategy: strategy.clone(), symbol: symbol.clone(), qty, cost, cash };
    let audit = Audit {
        time,
        actor: Actor::Operator(operator.to_owned()),
        action: "set-position",
        client_id: None,
        symbol: Some(symbol.clone()),
        detail: format!("{reason} ({strategy} held {was} and holds {is})"),
    };
    let (qty, cash) = (qty - before.qty, cash - before.cash);
    let records = vec![Record::Correction { time, qty, cash, after: row }, Record::Audit(audit)];
    store.commit(records).await.map_err(failed)?;
    Ok(format!("{strategy} held {was} of {symbol} and holds {is} now{}", warning(&stored, strategy, symbol)))
}

fn held(stored: &Stored, strategy: &StrategyName, symbol: &Symbol) -> Option<SubBook> {
    let row = stored.sub_books.iter().find(|row| row.strategy == *strategy && row.symbol == *symbol)?;
    Some(SubBook { qty: row.qty, cost: row.cost, cash: row.cash })
}

fn is_traded(
    strategy: &StrategyName,
    symbol: &Symbol,
    instruments: Option<Vec<Symbol>>,
) -> Result<(), String> {
    match instruments {
        None => Err(format!("there is no strategy {strategy}: it has held no {symbol}, and has no plugin")),
        Some(all) if all.contains(symbol) => Ok(()),
        Some(all) => {
            let all = all.iter().map(Symbol::as_str).collect::<Vec<_>>().join(", ");
            Err(format!("{strategy} has held no {symbol} and does not trade it, its instruments are {all}"))
        }
    }
}

/// What is to stand in the books.
fn corrected(before: &SubBook, args: &SetPositionArgs) -> Result<SubBook, String> {
    let qty = args.qty;
    if qty.abs() > Qty::new(MAX_SHARES.into()) {
        return Err(format!("{qty} shares are more than {MAX_SHARES}, which nobody holds"));
    }
    let is_same_side = before.qty.is_positive() == qty.is_positive() && !before.qty.is_zero();
    let cost = match args.average {
        Some(_) if qty.is_zero() => return Err("no shares have no average price: leave --average out".into()),
        Some(average) if average <= Price::ZERO => {
            return Err(format!("--average {average} is no price, it must be above 0"));
        }
        Some(average) => average * qty,
        None if args.same_cost && (qty.is_zero() || !is_same_side) => {
            return Err(format!(
                "--same-cost spreads what the shares have cost over others of the same side, and {} \
                 become {qty}",
                before.qty
            ));
        }
        None if args.same_cost => before.cost,
        None if qty == before.qty => before.cost,
        None if qty.is_zero() || is_same_side => before.avg_price() * qty,
        None => {
            return Err(format!(
                "what {qty} shares have cost is not known, {} are held: name it with --average",
                before.qty
            ));
        }
    };
    Ok(before.corrected(qty, cost))
}

/// Orders that may still change what was set.
fn warning(stored: &Stored, strategy: &StrategyName, symbol: &Symbol) -> String {
    let is_of = |request: &sandpit_types::OrderRequest| {
        request.client_id.strategy == *strategy && request.symbol == *symbol
    };
    match stored.open_orders.iter().filter(|(row, _)| is_of(&row.request)).count() {
        0 => String::new(),
        count => format!(
            "; {count} of its orders in {symbol} were open when the host stopped: what they have filled \
             since counts on top of it"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sandpit_store::Database;

    use super::*;
    use crate::{
        run::{lock, open_database},
        unfreeze::tests::config,
    };

    fn args(qty: &str, average: Option<&str>, same_cost: bool) -> SetPositionArgs {
        SetPositionArgs {
            config: PathBuf::new(),
            strategy: StrategyName::parse("sma").expect("a name"),
            symbol: Symbol::new("SPY"),
            qty: qty.parse().expect("qty"),
            reason: "split".to_owned(),
            average: average.map(|price| price.parse().expect("price")),
            same_cost,
        }
    }

    /// 100 shares at 50, with 25 USD realised.
    fn book() -> SubBook {
        let usd = |text: &str| text.parse().expect("usd");
        SubBook { qty: "100".parse().expect("qty"), cost: usd("5000"), cash: usd("-4975") }
    }

    #[test]
    fn the_average_price_stays_or_is_given_and_nothing_is_won() {
        let check = |before: SubBook, change: SetPositionArgs, expected: &str| {
            let after = corrected(&before, &change);
            let told = after.map(|after| {
                assert_eq!(after.realised(), before.realised(), "{expected}");
                format!("{} at {}", after.qty, after.avg_price())
            });
            let told = told.unwrap_or_else(|why| why);
            assert!(told.contains(expected), "{told:?} and not {expected:?}");
        };
        check(book(), args("40", None, false), "40 at 50");
        check(book(), args("0", None, false), "0 at 0");
        check(book(), args("1000", None, true), "1000 at 5");
        check(book(), args("100", Some("49.5"), false), "100 at 49.5");
        check(book(), args("-5", Some("60"), false), "-5 at 60");
        check(SubBook::default(), args("25", Some("512.40"), false), "25 at 512.4");
        check(book(), args("-5", None, false), "what -5 shares have cost is not known, 100 are held");
        check(SubBook::default(), args("5", None, false), "what 5 shares have cost is not known, 0 are held");
        check(SubBook::default(), args("5", None, true), "--same-cost spreads");
        check(book(), args("0", None, true), "--same-cost spreads");
        check(book(), args("0", Some("5"), false), "no shares have no average price");
        check(book(), args("5", Some("0"), false), "--average 0 is no price");
        check(book(), args("1000000001", None, true), "are more than 1000000000");
    }

    #[tokio::test]
    async fn what_is_set_is_what_the_next_host_finds_and_the_check_agrees() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::Sqlite(folder.path().join("sandpit.db"));
        let store = open_database(&database, Arc::default()).await.expect("opens");
        let set = async |args: &SetPositionArgs, second: i64, instruments: Option<&[&str]>| {
            let all = instruments.map(|all| all.iter().map(Symbol::new).collect());
            let time = MarketTime::from_secs(second);
            super::set(&store, args, "split", "kim", time, || Ok(all))
                .await
                .map_err(|no| (no.exit, no.sentence))
        };
        let new = args("100", Some("50"), false);
        let refused = set(&new, 1, None).await.expect_err("nobody");
        assert_eq!(
            refused,
            (Exit::Usage, "there is no strategy sma: it has held no SPY, and has no plugin".into())
        );
        let refused = set(&new, 1, Some(&["QQQ", "IWM"])).await.expect_err("not its own").1;
        assert_eq!(refused, "sma has held no SPY and does not trade it, its instruments are QQQ, IWM");
        assert_eq!(
            set(&new, 1, Some(&["SPY"])).await.expect("taken"),
            "sma held 0 at 0 of SPY and holds 100 at 50 now"
        );
        // What it holds needs no plugin.
        let split = set(&args("1000", None, true), 2, None).await.expect("taken");
        assert_eq!(split, "sma held 100 at 50 of SPY and holds 1000 at 5 now");
        let again = set(&args("1000", None, false), 3, None).await.expect("no change");
        assert_eq!(again, "nothing to change: sma holds 1000 at 5 of SPY");
        let row = store.load().await.expect("reads").sub_books.pop().expect("one");
        assert_eq!((row.qty.to_string(), row.cost.to_string()), ("1000".into(), "5000".into()));
        let counts = store.reader().counts().await.expect("reads");
        assert_eq!((counts["corrections"], counts["audit"]), (2, 2));
        store.close().await;
        let mut snapshot = Store::snapshot(&database).await.expect("opens");
        assert_eq!(snapshot.inspect().await.expect("reads"), sandpit_store::Inspection::default());
    }

    #[test]
    fn the_command_line_takes_short_positions_and_refuses_what_is_no_number() {
        use clap::Parser;

        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            args: SetPositionArgs,
        }
        let parse = |words: &str| {
            let all = ["sandpit", "--config", "f", "--reason", "r"].into_iter().chain(words.split(' '));
            Line::try_parse_from(all).map(|line| line.args).map_err(|error| error.exit_code())
        };
        let short = parse("sma SPY -5.5 --average 60").unwrap_or_else(|code| panic!("{code}"));
        assert_eq!((short.qty.to_string(), short.strategy.as_str()), ("-5.5".into(), "sma"));
        let usage = Some(i32::from(Exit::Usage.code()));
        for bad in [
            "sma SPY many",
            "sma SPY",
            "Sma! SPY 1",
            "sma SPY 1 --average x",
            "sma SPY 1 --average 1 --same-cost",
        ] {
            assert_eq!(parse(bad).err(), usage, "{bad}");
        }
    }

    #[test]
    fn it_needs_a_reason_a_mode_that_trades_and_a_host_that_is_stopped() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path());
        let check = |config: &Config, args: &SetPositionArgs, exit: Exit, sentence: &str| {
            let failure = set_position(config, args, "kim").expect_err(sentence);
            assert_eq!(failure.exit, exit);
            assert!(failure.sentence.contains(sentence), "{}", failure.sentence);
        };
        let good = args("0", None, false);
        check(
            &config,
            &SetPositionArgs { reason: " ".into(), ..args("0", None, false) },
            Exit::Usage,
            "--reason",
        );
        let host = lock(&usable_folder(&config).expect("usable")).expect("free");
        check(&config, &good, Exit::State, "another host runs with this state_dir; stop it first");
        drop(host);
        let dry = Config { mode: crate::config::Mode::DryRun, ..config };
        check(&dry, &good, Exit::Usage, "a dry run starts flat each time");
    }
}
