//! What the benchmark reads of the machine, and how it prints a figure.

use std::{process::Command, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// The core of what is measured.
pub(crate) const CORE: usize = 0;
/// The core of everything else.
pub(crate) const OTHER_CORE: usize = 1;

/// Nanoseconds of the machine's steady clock.
pub(crate) fn nanos() -> u64 {
    read(ClockId::Monotonic)
}

/// Nanoseconds of processor time that this process has used, all its threads together.
pub(crate) fn process_nanos() -> u64 {
    read(ClockId::ProcessCPUTime)
}

/// The same of the calling thread.
pub(crate) fn thread_nanos() -> u64 {
    read(ClockId::ThreadCPUTime)
}

/// Keeps the calling thread, and those that it starts, on one core, where there is more than one.
pub(crate) fn pin(core: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let thread = std::fs::read_link("/proc/thread-self").expect("Linux");
    let thread = thread.file_name().expect("a thread").to_owned();
    let mut taskset = Command::new("taskset");
    taskset.args(["-cp", &core.to_string()]).arg(thread);
    let is_pinned = cores.max(2) > core && taskset.output().is_ok_and(|output| output.status.success());
    if !is_pinned {
        eprintln!("a thread is not pinned to core {core}: there is no such core, or no `taskset`");
    }
}

/// Waits until the steady clock reads `due`.
#[expect(clippy::disallowed_methods, reason = "a benchmark keeps its own pace")]
pub(crate) fn sleep_until(due: u64) {
    let wait = due.saturating_sub(nanos());
    if wait > 0 {
        std::thread::sleep(Duration::from_nanos(wait));
    }
}

/// Waits until `is_so`, a minute at most.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = nanos() + 60_000_000_000;
    while !is_so() {
        assert!(nanos() < end, "a minute went by without this: {what}");
        sleep_until(nanos() + 500_000);
    }
}

/// Memory of this process, bytes.
pub(crate) fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * rustix::param::page_size() as u64
}

/// One figure, with what it should be beside it.
pub(crate) fn print(name: &str, value: f64, unit: &str, goal: &str) {
    let goal = if goal.is_empty() { String::new() } else { format!("  (goal {goal})") };
    println!("{name} {value:.1} {unit}{goal}");
}

/// The value that so many in a thousand are not above; sorts.
pub(crate) fn quantile(values: &mut [u64], per_mille: usize) -> f64 {
    values.sort_unstable();
    values[(values.len() * per_mille / 1_000).min(values.len() - 1)] as f64
}

/// Nanoseconds of processor time that one of many like it takes: the median of batches, so that neither other
/// programs on this machine nor what disturbs a few batches shows. `prepare` makes a batch, `act` does one
/// of it.
pub(crate) fn each<T>(mut prepare: impl FnMut(usize) -> Vec<T>, mut act: impl FnMut(&T)) -> f64 {
    const BATCHES: usize = 60;
    const WARM: usize = 10;
    let mut batches = Vec::new();
    for batch in 0..BATCHES + WARM {
        let all = prepare(batch);
        let began = thread_nanos();
        all.iter().for_each(&mut act);
        let took = thread_nanos() - began;
        if batch >= WARM {
            // In picoseconds: whole numbers sort.
            batches.push(took * 1_000 / all.len() as u64);
        }
    }
    quantile(&mut batches, 500) / 1_000.0
}

fn read(clock: ClockId) -> u64 {
    let time = Duration::try_from(clock_gettime(clock)).expect("a clock that counts upwards");
    u64::try_from(time.as_nanos()).expect("centuries are to come")
}
