//! `cargo xtask bench SUITE`: figures, one a line: `name value unit`.

use std::{ffi::OsStr, path::Path};

use clap::{Args, ValueEnum};

/// Which suite to run.
#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    suite: Suite,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Suite {
    /// The matching engine alone, market events and orders a second; then the server over real sockets.
    Venue,
    /// Quotes a second from a socket to a strategy's queue, and how long one takes to its handler; next to
    /// an alpaca-py handler in the same run.
    Ingest,
    /// How long after a quote its order leaves, through the whole host, with a committed record; next to an
    /// alpaca-py bot and to a bare floor in the same run.
    TickToOrder,
    /// What a strategy costs: an event, a start, a swap, memory, a hundred of them on one core; next to a
    /// bare call by wasmtime and to the same strategy as native code in the same run. The rows of other
    /// languages need `cargo xtask plugins --all-langs` before.
    Strategy,
    /// From a hang, the flag or the panic button to a host that is dead and an account without open orders;
    /// next to a script with alpaca-py in the same run. It takes half an hour on a quiet machine.
    Kill,
    /// Bars a second through a whole backtest, and what an order costs; next to NautilusTrader and
    /// backtesting.py in the same run, where `SANDPIT_PEERS` names a Python that has them
    /// (tests/backtest/python/README.md).
    Backtest,
}

/// Runs a suite, optimised as for a release.
pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    match options.suite {
        Suite::Venue => {
            crate::cargo(root, ["bench", "--quiet", "--package", "sandpit-venue", "--bench", "venue"])?;
            crate::cargo(root, ["bench", "--quiet", "--package", "sandpit-sim", "--bench", "server"])
        }
        Suite::Ingest => {
            let python = crate::sdks::python(root, &crate::target_dir(root).join("sdk"))?;
            let bench = ["bench", "--quiet", "--package", "sandpit-fanout", "--bench", "ingest", "--"];
            let peer = [OsStr::new("--python"), python.as_os_str()];
            crate::cargo(root, bench.map(OsStr::new).into_iter().chain(peer))
        }
        Suite::Strategy => {
            let target = crate::target_dir(root);
            let (plugins, langs) = (target.join("plugins"), target.join("plugins-langs"));
            crate::plugins::build(root, &plugins)?;
            let bench = ["bench", "--quiet", "--package", "sandpit-strategy", "--bench", "strategy", "--"];
            let of_rust = [OsStr::new("--plugins"), plugins.as_os_str()];
            let of_others = [OsStr::new("--langs"), langs.as_os_str()];
            crate::cargo(root, bench.map(OsStr::new).into_iter().chain(of_rust).chain(of_others))
        }
        Suite::Kill => {
            crate::plugins::build_all(root, &crate::target_dir(root))?;
            let python = crate::sdks::python(root, &crate::target_dir(root).join("sdk"))?;
            let parts = ["sandpit", "sandpit-watchdog", "sandpit-sim", "sandpit-kill-tests"];
            let of_packages = parts.into_iter().flat_map(|name| ["--package", name]);
            crate::cargo(root, ["build", "--quiet", "--release", "--bins"].into_iter().chain(of_packages))?;
            let run = ["run", "--quiet", "--release", "--package", "sandpit-kill-tests", "--bin"];
            let bench = ["sandpit-kill-bench", "--", "--python"].map(OsStr::new);
            let run = run.map(OsStr::new).into_iter().chain(bench).chain([python.as_os_str()]);
            crate::cargo(root, run)
        }
        Suite::Backtest => {
            let plugins = crate::target_dir(root).join("plugins");
            crate::plugins::build(root, &plugins)?;
            crate::cargo(root, ["build", "--quiet", "--release", "--package", "sandpit"])?;
            let (sandpit, scripts) =
                (crate::target_dir(root).join("release/sandpit"), root.join("tests/backtest/python"));
            let bench = ["bench", "--quiet", "--package", "sandpit-backtest", "--bench", "backtest", "--"];
            let mut words = vec![
                OsStr::new("--sandpit"),
                sandpit.as_os_str(),
                OsStr::new("--plugins"),
                plugins.as_os_str(),
                OsStr::new("--scripts"),
                scripts.as_os_str(),
            ];
            let python =
                std::env::var_os("SANDPIT_PEERS").map(|folder| Path::new(&folder).join("bin/python"));
            if let Some(python) = &python {
                words.extend([OsStr::new("--python"), python.as_os_str()]);
            }
            crate::cargo(root, bench.map(OsStr::new).into_iter().chain(words))
        }
        Suite::TickToOrder => {
            let python = crate::sdks::python(root, &crate::target_dir(root).join("sdk"))?;
            // The benchmark finds it beside the host's binary, which cargo builds with the benchmark.
            crate::cargo(root, ["build", "--quiet", "--release", "--package", "sandpit-watchdog"])?;
            let bench = ["bench", "--quiet", "--package", "sandpit", "--bench", "tick_to_order", "--"];
            let peer = [OsStr::new("--python"), python.as_os_str()];
            crate::cargo(root, bench.map(OsStr::new).into_iter().chain(peer))
        }
    }
}
