//! What is said about a replay: both sides of a difference on standard output, the verdict as one sentence.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use sandpit_contract::Exit;
use sandpit_journal::{Decision, End, Rerun, Turn, decisions, difference};
use sandpit_strategy::Entry;
use sandpit_types::{MarketTime, StrategyName};

use super::Judge;

/// How a session ends, as the end of a sentence; nothing where it was ended in good order.
pub(super) fn end(end: &End) -> String {
    match end {
        End::Closed => String::new(),
        End::Open => "; the host was killed, or records still".to_owned(),
        End::Torn { path, offset } => {
            format!("; {} stops within a frame at byte {offset}, which was left out", path.display())
        }
    }
}

/// Market time of what was told last, by strand: not every event has a time.
#[derive(Debug, Default)]
struct Times(BTreeMap<u32, MarketTime>);

impl Times {
    /// The time of this turn, as the end of a phrase.
    fn of(&mut self, turn: &Turn) -> String {
        if let Entry::Event(event) = &turn.input
            && let Some(time) = event.time()
        {
            self.0.insert(turn.strand, time);
        }
        self.0.get(&turn.strand).map(|time| format!(", {time}")).unwrap_or_default()
    }
}

/// Whether everything is as it was recorded.
#[derive(Debug, Default)]
pub(super) struct Sameness {
    strategies: BTreeSet<StrategyName>,
    inputs: u64,
    effects: u64,
    times: Times,
}

impl Judge for Sameness {
    fn look(&mut self, rerun: &Rerun) -> Option<(Exit, String)> {
        let Rerun { turn, replayed } = rerun;
        let when = self.times.of(turn);
        if let Some(found) = difference(&turn.effects, replayed, turn.is_whole) {
            let (strategy, number, nth) = (&turn.strategy, turn.number, found.alike + 1);
            println!("told      {:?}", turn.input);
            println!("recorded  {}", side(found.recorded.as_ref()));
            println!("replayed  {}", side(found.replayed.as_ref()));
            let sentence = format!(
                "the replay differs: of what came of entry {number} of {strategy}{when}, number {nth} is \
                 another"
            );
            return Some((Exit::Differs, sentence));
        }
        self.strategies.insert(turn.strategy.clone());
        self.inputs += 1;
        self.effects += turn.effects.len() as u64;
        None
    }

    fn verdict(&self, session: &str) -> (Exit, String) {
        let Self { strategies, inputs, effects, .. } = self;
        let names: Vec<_> = strategies.iter().map(StrategyName::as_str).collect();
        let sentence = format!(
            "identical: all {effects} effects of {inputs} inputs of {} in session {session} are the same to \
             the byte",
            names.join(", ")
        );
        (Exit::Ok, sentence)
    }
}

/// Which decisions another component changes.
#[derive(Debug)]
pub(super) struct Changes {
    strategy: StrategyName,
    file: PathBuf,
    /// Turns with a decision, then or now.
    decided: u64,
    changed: u64,
    only_then: u64,
    only_now: u64,
    last: String,
    times: Times,
}

impl Changes {
    /// No change yet.
    pub(super) fn new(strategy: &StrategyName, file: &Path) -> Self {
        Self {
            strategy: strategy.clone(),
            file: file.to_owned(),
            decided: 0,
            changed: 0,
            only_then: 0,
            only_now: 0,
            last: String::new(),
            times: Times::default(),
        }
    }
}

impl Judge for Changes {
    fn look(&mut self, rerun: &Rerun) -> Option<(Exit, String)> {
        let Rerun { turn, replayed } = rerun;
        let when = self.times.of(turn);
        let (then, now) = (decisions(&turn.effects), decisions(replayed));
        // What the log was cut off from may have been the same.
        if then.is_empty() && now.is_empty() || !turn.is_whole {
            return None;
        }
        self.decided += 1;
        if then == now {
            return None;
        }
        if self.changed == 0 {
            println!("first changed decision: entry {} of {}{when}", turn.number, self.strategy);
            println!("told      {:?}", turn.input);
            println!("recorded  {}", all(&then));
            println!("now       {}", all(&now));
        }
        self.changed += 1;
        self.only_then += u64::from(now.is_empty());
        self.only_now += u64::from(then.is_empty());
        self.last = format!("entry {}{when}", turn.number);
        None
    }

    fn verdict(&self, session: &str) -> (Exit, String) {
        let Self { strategy, file, decided, changed, only_then, only_now, last, .. } = self;
        let file = file.display();
        if *changed == 0 {
            let sentence =
                format!("{file} makes all {decided} decisions of {strategy} in session {session} alike");
            return (Exit::Ok, sentence);
        }
        let sentence = format!(
            "{file} changes {changed} of {decided} decisions of {strategy} in session {session} ({only_then} \
             are not made any more, {only_now} are new), the last at {last}"
        );
        (Exit::Differs, sentence)
    }
}

fn all(decisions: &[Decision]) -> String {
    match decisions {
        [] => "nothing".to_owned(),
        decisions => decisions.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join("\n          "),
    }
}

fn side(entry: Option<&Entry>) -> String {
    entry.map_or_else(|| "nothing".to_owned(), |entry| format!("{entry:?}"))
}

#[cfg(test)]
mod tests {
    use sandpit_strategy::{LogLevel, StrategyEvent, StrategyOutput};
    use sandpit_types::Intent;

    use super::*;

    fn name() -> StrategyName {
        StrategyName::parse("sma_cross").expect("a name")
    }

    fn wants(intents: Vec<Intent>) -> Entry {
        let (strategy, event_time) = (name(), MarketTime::EPOCH);
        Entry::Output(StrategyOutput::Intents { strategy, incarnation: 0, intents, event_time })
    }

    fn log() -> Entry {
        Entry::Log { level: LogLevel::Info, line: "x".into() }
    }

    /// A turn at so many seconds, as it was and as it is.
    fn rerun(second: i64, then: &[Entry], now: &[Entry], is_whole: bool) -> Rerun {
        let input = Entry::Event(StrategyEvent::Tick(MarketTime::from_secs(second)));
        let (number, effects) = (second.unsigned_abs(), then.to_vec());
        let turn = Turn { strand: 0, strategy: name(), number, input, effects, is_whole };
        Rerun { turn: Box::new(turn), replayed: now.to_vec() }
    }

    #[test]
    fn the_first_difference_ends_a_comparison() {
        let mut judge = Sameness::default();
        assert_eq!(judge.look(&rerun(1, &[log()], &[log()], true)), None);
        let (exit, sentence) = judge.verdict("S");
        let expected =
            "identical: all 1 effects of 1 inputs of sma_cross in session S are the same to the byte";
        assert_eq!((exit, sentence.as_str()), (Exit::Ok, expected));
        assert_eq!(judge.look(&rerun(2, &[log()], &[log(), log()], false)), None, "the log was cut off");
        let then_now = rerun(3, &[log(), log()], &[log()], true);
        let (exit, sentence) = judge.look(&then_now).expect("one is missing");
        let expected = "the replay differs: of what came of entry 3 of sma_cross, 1970-01-01T00:00:03Z, \
                        number 2 is another";
        assert_eq!((exit, sentence.as_str()), (Exit::Differs, expected));
    }

    #[test]
    fn changed_decisions_are_counted() {
        let (buy, nothing) = (wants(vec![Intent::CancelAll]), log());
        let mut judge = Changes::new(&name(), Path::new("new.wasm"));
        let look = |judge: &mut Changes, second, then: &Entry, now: &Entry, is_whole| {
            let (then, now) = (std::slice::from_ref(then), std::slice::from_ref(now));
            assert_eq!(judge.look(&rerun(second, then, now, is_whole)), None);
        };
        look(&mut judge, 1, &buy, &buy, true);
        look(&mut judge, 2, &nothing, &nothing, true);
        let (exit, sentence) = judge.verdict("S");
        assert_eq!(exit, Exit::Ok);
        assert_eq!(sentence, "new.wasm makes all 1 decisions of sma_cross in session S alike");
        look(&mut judge, 3, &buy, &nothing, true);
        look(&mut judge, 4, &nothing, &buy, true);
        look(&mut judge, 5, &buy, &wants(vec![Intent::CancelAll, Intent::CancelAll]), true);
        look(&mut judge, 6, &nothing, &buy, false);
        let (exit, sentence) = judge.verdict("S");
        assert_eq!(exit, Exit::Differs);
        let expected = "new.wasm changes 3 of 4 decisions of sma_cross in session S (1 are not made any \
                        more, 1 are new), the last at entry 5, 1970-01-01T00:00:05Z";
        assert_eq!(sentence, expected);
    }

    #[test]
    fn an_end_that_is_none_is_told() {
        assert_eq!(end(&End::Closed), "");
        assert!(end(&End::Open).contains("was killed"));
        let torn = End::Torn { path: "0001.journal".into(), offset: 9 };
        assert_eq!(end(&torn), "; 0001.journal stops within a frame at byte 9, which was left out");
    }
}
