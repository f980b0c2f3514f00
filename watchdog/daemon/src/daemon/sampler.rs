//! The host's memory, measured on a thread of its own. What `/proc` says of a command line waits for the lock
//! on that process's memory, and one that runs out of memory may hold it for seconds: just when the loop has
//! to act.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use crate::{
    memory::{self, Usage},
    starvation::{self, Counts},
};

/// What was measured.
#[derive(Debug)]
pub(super) struct Sample {
    /// Of which process.
    pid: u32,
    /// Its memory; `None` when it is gone.
    pub(super) usage: Option<Usage>,
    /// The machine's processors.
    pub(super) counts: Counts,
}

/// The way to the thread and back.
pub(super) struct Sampler {
    asked: SyncSender<u32>,
    samples: Receiver<Sample>,
}

impl Sampler {
    /// Starts the thread; `budget` in bytes.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(budget: Option<u64>) -> io::Result<Self> {
        let files = memory::Files::default();
        let mut newest = 0;
        Self::with(move |pid| {
            if std::mem::replace(&mut newest, pid) != pid {
                // A number may mean another process now.
                files.forget();
            }
            let read = |path: &str| files.read(path);
            let usage = memory::measure(pid, budget, &read);
            let counts = starvation::counts(&read);
            files.end_sample();
            Sample { pid, usage, counts }
        })
    }

    fn with(mut measure: impl FnMut(u32) -> Sample + Send + 'static) -> io::Result<Self> {
        // Nothing waits in either: one is measured, one is the newest.
        let (asked, questions) = sync_channel(0);
        let (tell, samples) = sync_channel(1);
        let work = move || {
            while let Ok(pid) = questions.recv() {
                if tell.send(measure(pid)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("memory".into()).stack_size(crate::STACK_BYTES).spawn(work)?;
        Ok(Self { asked, samples })
    }

    /// Asks for a sample; never waits. False while the last one is still measured.
    pub(super) fn ask(&self, pid: u32) -> bool {
        self.asked.try_send(pid).is_ok()
    }

    /// The sample that is there, if it is of this process.
    pub(super) fn take(&self, pid: u32) -> Option<Sample> {
        self.samples.try_iter().filter(|sample| sample.pid == pid).last()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn until<T>(mut ready: impl FnMut() -> Option<T>) -> T {
        (0..100_000_000)
            .find_map(|_| {
                std::thread::yield_now();
                ready()
            })
            .expect("it comes")
    }

    #[test]
    fn a_process_that_lets_nobody_look_keeps_nobody() {
        let (release, locked) = channel();
        let counts = Counts::default();
        let measure = move |pid| {
            let _: Result<(), _> = locked.recv();
            Sample { pid, usage: None, counts }
        };
        let sampler = Sampler::with(measure).expect("a thread");
        until(|| sampler.ask(7).then_some(()));
        // It is being measured, and does not come: neither waits.
        assert!(!sampler.ask(7) && sampler.take(7).is_none());
        release.send(()).expect("it waits");
        assert_eq!(until(|| sampler.take(7)).pid, 7);
        // That of a host before is none of this one's.
        until(|| sampler.ask(7).then_some(()));
        release.send(()).expect("it waits");
        release.send(()).expect("it waits");
        assert!((0..10_000).all(|_| sampler.take(8).is_none()));
        until(|| sampler.ask(8).then_some(()));
        assert_eq!(until(|| sampler.take(8)).pid, 8);
    }

    #[test]
    fn it_measures() {
        let sampler = Sampler::start(Some(1 << 40)).expect("a thread");
        let pid = std::process::id();
        until(|| sampler.ask(pid).then_some(()));
        assert!(until(|| sampler.take(pid)).usage.is_some_and(|usage| usage.rss > 0));
    }
}
