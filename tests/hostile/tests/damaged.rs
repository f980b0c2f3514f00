//! Truncated and bit-flipped files of a built plugin, very many: each is judged by what the host's child
//! finds out, and those that pass go the whole way: compiled by the real child, started, told quotes. The
//! host lives, and every refusal is one sentence that names the file.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use sandpit_hostile::{Mutation, Stage, Yard, child, deeds, manifest, mutations, now};
use sandpit_strategy::{Bounds, StrategyOutput};

/// Damaged files.
const FILES: usize = 10_000;
/// Of those that pass the judge, so many go the whole way: each is a compilation of its own.
const WHOLE_WAYS: usize = 100;
/// Children at a time.
const CHILDREN: usize = 2;
/// Deaths of the judging child that are a matter of the files: more, and something else is wrong.
const DEATHS_MAX: usize = 500;

/// What became of all the files.
#[derive(Debug, Default)]
struct Judged {
    passed: Vec<usize>,
    refused: usize,
    /// They ended the child that looked at them.
    deadly: Vec<usize>,
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn check_sentence(words: &str, what: &dyn std::fmt::Debug) {
    assert!(words.contains("damaged.wasm"), "{what:?}: {words:?} does not name the file");
    assert!(words.len() < 3_000 && !words.contains(['\n', '\u{2424}']), "{what:?}: {words:?}");
}

/// Judges the mutations from `first` to `end`, in as many children as it takes.
fn judge(seed: u64, mut first: usize, end: usize) -> Judged {
    let mut judged = Judged::default();
    while first < end {
        let mut child = Command::new(child())
            .arg("judge")
            .arg(deeds())
            .args([seed.to_string(), end.to_string(), first.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the judge starts");
        for line in BufReader::new(child.stdout.take().expect("piped")).split(b'\n') {
            let line = String::from_utf8(line.expect("readable")).expect("text");
            let (number, verdict) = line.split_once(' ').expect("a number and a verdict");
            assert_eq!(number, first.to_string());
            match verdict {
                // It said which one is next, and no more.
                "" => judged.deadly.push(first),
                "passes" => judged.passed.push(first),
                words => {
                    check_sentence(words, &first);
                    judged.refused += 1;
                }
            }
            first += 1;
        }
        let status = child.wait().expect("our own child");
        assert!(status.success() == (first == end), "{status} at {first}");
        assert!(judged.deadly.len() <= DEATHS_MAX, "{:?} end the child", judged.deadly);
    }
    judged
}

/// Judges all, several at a time.
fn judge_all(seed: u64, files: usize) -> Judged {
    let part = files.div_ceil(CHILDREN);
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..CHILDREN)
            .map(|n| scope.spawn(move || judge(seed, n * part, ((n + 1) * part).min(files))))
            .collect();
        let mut all = Judged::default();
        for part in parts {
            let part = part.join().expect("a judge that does not panic");
            all.passed.extend(part.passed);
            all.refused += part.refused;
            all.deadly.extend(part.deadly);
        }
        all
    })
}

/// The host's way with one file, to its end: how that was.
fn whole_way(yard: &Yard, stage: &Stage, mutation: &Mutation, whole: &[u8]) -> &'static str {
    yard.forget();
    let plugin = match yard.load("damaged.wasm", &mutation.of(whole)) {
        Ok(plugin) => plugin,
        Err(error) => {
            check_sentence(&error.to_string(), mutation);
            return "refused";
        }
    };
    let live = match stage.start(yard, &plugin, &manifest(r#"{"deed":"echo"}"#), Bounds::default()) {
        Ok(live) => live,
        Err(error) => {
            check_sentence(&error.to_string(), mutation);
            return "does not start";
        }
    };
    (0..100).for_each(|number| stage.tell(number));
    live.answers(1);
    let outputs = live.stop();
    let fell = |output: &StrategyOutput| {
        matches!(output, StrategyOutput::Struck { .. } | StrategyOutput::Quarantined { .. })
    };
    if outputs.iter().any(fell) { "fails" } else { "runs" }
}

#[test]
fn damaged_files_are_judged_and_hurt_nobody() {
    let seed = number("SANDPIT_FIRST_SEED", 0x5eed) as u64;
    let (files, ways) = (number("SANDPIT_DAMAGED", FILES), number("SANDPIT_WHOLE_WAYS", WHOLE_WAYS));
    println!("seed {seed}, {files} damaged files (SANDPIT_FIRST_SEED, SANDPIT_DAMAGED, SANDPIT_WHOLE_WAYS)");
    let start = now();
    let judged = judge_all(seed, files);
    println!(
        "{} refused, {} pass, {} end the child ({:?}), in {:?}",
        judged.refused,
        judged.passed.len(),
        judged.deadly.len(),
        &judged.deadly[..judged.deadly.len().min(10)],
        now() - start,
    );
    assert_eq!(judged.refused + judged.passed.len() + judged.deadly.len(), files);
    assert!(judged.refused > files / 2, "most damage is found before anything is compiled");

    // Those that end the child and an even choice of those that pass.
    let whole = fs::read(deeds()).expect("readable");
    let all: Vec<Mutation> = mutations(seed, &whole, files).collect();
    let step = judged.passed.len().div_ceil(ways).max(1);
    let chosen: Vec<usize> =
        judged.deadly.iter().take(ways / 10).chain(judged.passed.iter().step_by(step)).copied().collect();
    let (next, ends) = (AtomicUsize::new(0), Mutex::new(std::collections::BTreeMap::<_, u32>::new()));
    let start = now();
    std::thread::scope(|scope| {
        for _ in 0..CHILDREN {
            scope.spawn(|| {
                let (yard, stage) = (Yard::new(), Stage::default());
                while let Some(number) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let end = whole_way(&yard, &stage, &all[*number], &whole);
                    *ends.lock().unwrap_or_else(PoisonError::into_inner).entry(end).or_default() += 1;
                }
            });
        }
    });
    let ends = ends.into_inner().expect("nobody panicked");
    println!("{} of them go the whole way: {ends:?}, in {:?}", chosen.len(), now() - start);
    assert!(ends.contains_key("runs"), "some damage changes nothing that matters: {ends:?}");
}
