//! Lives of the host, one after the other, each of which ends by a SIGKILL; after each restart the books have to agree.

use std::{collections::BTreeMap, fmt, path::Path, time::Duration};

use anyhow::{Context, bail};
use rust_decimal::Decimal;

use crate::{
    agreement::{BrokerStory, HostStory, differences},
    broker::CASH,
    database::Database,
    dice::Dice,
    rig::{Rig, Setup},
    waiting::{pass, wait_for},
};

/// The points of `host/execution/src/crash.rs`, each with how often at most it is passed before it ends the host.
pub const POINTS: [(&str, u64); 7] = [
    ("before-commit", 40),
    ("after-commit", 40),
    ("before-post", 20),
    ("after-post", 20),
    ("before-answer-stored", 20),
    ("mid-replace", 3),
    ("mid-cancel", 6),
];

/// Market seconds in a real second: a minute in which it is open whether the broker has an order takes half a second.
const SPEED: u32 = 120;
/// How long the host may take to come to a point; then it is killed where it is.
const POINT_BOUND: Duration = Duration::from_secs(4);
/// Longest life of work, milliseconds.
const WORK_MS: u64 = 700;
/// The longest that a life which does not get to work may last, milliseconds.
const EARLY_MS: u64 = 350;
/// How long broker, host and records may take to agree.
const AGREE_BOUND: Duration = Duration::from_secs(20);

/// How a life ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// At a point, the so manieth time.
    At(&'static str, u64),
    /// So long after it began to work.
    Working(Duration),
    /// So long after its start: before it is reconciled, or just after.
    Early(Duration),
}

impl End {
    fn draw(dice: &mut Dice, round: u32) -> Self {
        match dice.below(100) {
            // In turn, so that each is come to.
            0..60 => {
                let (name, most) = POINTS[round as usize % POINTS.len()];
                Self::At(name, 1 + dice.below(most))
            }
            60..88 => Self::Working(dice.below_ms(WORK_MS)),
            _ => Self::Early(dice.below_ms(EARLY_MS)),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(name, nth) => write!(f, "{name}:{nth}"),
            Self::Working(after) => write!(f, "{after:?} after it began to work"),
            Self::Early(after) => write!(f, "{after:?} after its start"),
        }
    }
}

/// What a campaign saw.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Lives that a SIGKILL ended.
    pub kills: u32,
    /// Of these, how many ended at each point.
    pub at_points: BTreeMap<&'static str, u32>,
    /// From the start of the process to reconciled books, of every life that came so far.
    pub restarts: Vec<Duration>,
    /// Orders that the broker took.
    pub orders: usize,
    /// Fills it gave.
    pub fills: u64,
}

impl Tally {
    /// The restart that so many percent are not longer than.
    pub fn restart(&self, percent: usize) -> Duration {
        let mut sorted = self.restarts.clone();
        sorted.sort();
        let at = sorted.len().saturating_sub(1) * percent / 100;
        sorted.get(at).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, most) = (self.restart(50).as_millis(), self.restart(100).as_millis());
        writeln!(f, "kills {}\norders {}\nfills {}", self.kills, self.orders, self.fills)?;
        for (name, count) in &self.at_points {
            writeln!(f, "kills_{} {count}", name.replace('-', "_"))?;
        }
        write!(f, "restart_to_reconciled_p50 {p50} ms\nrestart_to_reconciled_max {most} ms")
    }
}

/// Kills the host `kills` times under one broker and over one database, in `folder`. `tell` hears of every kill that
/// came out well.
///
/// # Errors
/// The first difference, with the round in which it was found.
pub fn run(
    folder: &Path,
    seed: u64,
    kills: u32,
    postgres: Option<String>,
    mut tell: impl FnMut(&Tally) -> anyhow::Result<()>,
) -> anyhow::Result<Tally> {
    let setup = Setup { postgres, ..Setup::new(seed, SPEED) };
    let mut rig = Rig::start(folder, setup)?;
    let (database, mut dice, mut tally) = (rig.database()?, Dice::new(seed), Tally::default());
    for round in 0..kills {
        let end = End::draw(&mut dice, round);
        live(&mut rig, &database, &end, &mut tally).with_context(|| format!("life {round}, to end {end}"))?;
        tell(&tally)?;
    }
    rig.start_host(None)?;
    rig.reconciled()?.context("the last host ended by itself")?;
    agree(&mut rig, &database, &mut tally).context("after the last kill")?;
    rig.work()?;
    Ok(tally)
}

/// One life, from its start to its end.
fn live(rig: &mut Rig, database: &Database, end: &End, tally: &mut Tally) -> anyhow::Result<()> {
    let place = match end {
        End::At(name, nth) => Some(format!("{name}:{nth}")),
        End::Working(_) | End::Early(_) => None,
    };
    rig.start_host(place.as_deref())?;
    let died_there = match end {
        End::Early(after) => {
            pass(*after);
            !rig.kill_host()?
        }
        End::At(..) | End::Working(_) => match rig.reconciled()? {
            Some(taken) => {
                tally.restarts.push(taken);
                if agree(rig, database, tally)? { work(rig, end)? } else { rig.died(Duration::ZERO)? }
            }
            None => rig.died(Duration::ZERO)?,
        },
    };
    if let (End::At(name, _), true) = (end, died_there) {
        *tally.at_points.entry(name).or_default() += 1;
    }
    tally.kills += 1;
    Ok(())
}

/// Lets the strategies work until the host dies. `true`: it did by itself.
fn work(rig: &mut Rig, end: &End) -> anyhow::Result<bool> {
    rig.work()?;
    let died = match end {
        End::At(..) => rig.died(POINT_BOUND)?,
        End::Working(after) | End::Early(after) => {
            pass(*after);
            false
        }
    };
    Ok(died || !rig.kill_host()?)
}

/// Waits until broker, host and records agree. `false`: the host has ended meanwhile.
///
/// # Errors
/// When they never do; the differences that stay.
pub fn agree(rig: &mut Rig, database: &Database, tally: &mut Tally) -> anyhow::Result<bool> {
    let mut last = Vec::new();
    let agreed = wait_for("books that agree", AGREE_BOUND, || {
        let Some(status) = rig.status() else {
            return Ok(rig.is_over()?.then_some(false));
        };
        let host = HostStory::read(&status).context("the host's figures")?;
        let records = database.read()?;
        let (positions, cash) = (rig.broker.positions()?, rig.broker.cash()?);
        let orders = rig.broker.orders()?;
        tally.orders = orders.len();
        let story = BrokerStory { orders, positions, cash_change: cash - Decimal::from(CASH) };
        last = differences(&story, &host, &records);
        Ok(last.is_empty().then_some(true))
    });
    let agreed = match agreed {
        Ok((agreed, _)) => agreed,
        Err(error) if last.is_empty() => return Err(error),
        Err(_) => bail!("broker, host and records differ:\n  {}", last.join("\n  ")),
    };
    let twice = rig.broker.sent_twice()?;
    if !twice.is_empty() {
        bail!("sent more than once: {}", twice.join(", "));
    }
    tally.fills = rig.broker.figure("fills")?;
    Ok(agreed)
}
