//! Sixty kills on each database.

use sandpit_crash::campaign::{self, POINTS};
use sandpit_postgres::{Options, Server};

const KILLS: u32 = 60;
/// The market, the faults and the ends of a run, unless the environment names another seed.
const SEED: u64 = 5;

fn check(database: &str, postgres: Option<String>) {
    let seed = std::env::var("SANDPIT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let result = campaign::run(folder.path(), seed, KILLS, postgres, |_| Ok(()));
    let tally = result.unwrap_or_else(|error| {
        let kept = folder.keep();
        panic!(
            "{error:#}\nseed {seed}; repeat: cargo xtask soak crash --database {database} --seed {seed} \
             --kills {KILLS}\neverything is kept in {}",
            kept.display()
        )
    });
    println!("{tally}");
    assert_eq!(tally.kills, KILLS);
    for (name, _) in POINTS {
        assert!(tally.at_points.contains_key(name), "nobody came to {name}, seed {seed}: {tally}");
    }
}

#[test]
fn sixty_kills_on_sqlite() {
    check("sqlite", None);
}

#[test]
fn sixty_kills_on_postgres() {
    let server = Server::with(Options { fsync: false }).expect("a PostgreSQL server");
    check("postgres", Some(server.url()));
}
