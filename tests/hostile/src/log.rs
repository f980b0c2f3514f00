//! What strategies write into the host's log.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

/// Bytes that are kept of it; all are counted.
const KEPT_BYTES: usize = 1 << 20;

static LOGGED: Mutex<Logged> = Mutex::new(Logged { text: Vec::new(), bytes: 0, longest_line: 0 });

/// What was written.
#[derive(Clone, Debug, Default)]
pub struct Logged {
    /// The newest of it.
    pub text: Vec<u8>,
    /// All of it, bytes.
    pub bytes: u64,
    /// The longest line, bytes.
    pub longest_line: usize,
}

/// Listens to the log of this process from now on, and begins anew.
pub fn listen() {
    // Whoever comes second finds the same listener.
    let _ = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Pen).try_init();
    *logged() = Logged::default();
}

impl Logged {
    /// What was written since [`listen`].
    pub fn so_far() -> Self {
        logged().clone()
    }

    /// Its text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

fn logged() -> std::sync::MutexGuard<'static, Logged> {
    LOGGED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one event of the log at a time.
struct Pen;

impl io::Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut logged = logged();
        logged.bytes += bytes.len() as u64;
        logged.longest_line = logged.longest_line.max(bytes.len());
        if logged.text.len() + bytes.len() > KEPT_BYTES {
            logged.text.clear();
        }
        logged.text.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
