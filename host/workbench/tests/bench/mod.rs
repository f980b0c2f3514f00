//! An empty folder, and the commands as processes in it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// How long a build may take on a busy machine, real time.
const PATIENCE: Duration = Duration::from_secs(280);

/// An empty folder.
pub(crate) struct Bench {
    folder: TempDir,
}

/// How a command ended.
pub(crate) struct Outcome {
    code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// It went well, and said `part`.
    #[track_caller]
    pub(crate) fn good(&self, part: &str) {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        assert!(self.out.contains(part), "no {part:?} in\n{}\n{}", self.out, self.err);
    }

    /// It ended with `code`, and said `part`.
    #[track_caller]
    pub(crate) fn bad(&self, code: i32, part: &str) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        assert!(
            self.out.contains(part) || self.err.contains(part),
            "no {part:?} in\n{}\n{}",
            self.out,
            self.err
        );
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where plugins of this checkout are built, too: what they have in common is built once.
    pub(crate) fn shared_target(&self) -> String {
        target().join("wasm").display().to_string()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let output = self.command(arguments).envs(variables.iter().copied()).output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Outcome { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("it starts");
        let stdout = child.stdout.take().expect("it is piped");
        let (send, lines) = channel();
        thread::spawn(move || {
            let whole = BufReader::new(stdout).lines().map_while(Result::ok);
            whole.take_while(|line| send.send(line.clone()).is_ok()).for_each(drop);
        });
        Running { child, lines, seen: String::new() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let cache = self.path("cache");
        let toolchain = cache.join("sandpit/wasm-toolchain");
        let unpacked = target().join("wasm-toolchain");
        if unpacked.exists() && !toolchain.exists() {
            std::fs::create_dir_all(toolchain.parent().expect("a folder")).expect("a folder");
            std::os::unix::fs::symlink(unpacked, &toolchain).expect("a link");
        }
        let mut command = Command::new(target().join("debug/examples/plugin"));
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command.env("XDG_CACHE_HOME", cache).env("CARGO_NET_OFFLINE", "true");
        command
    }
}

/// A command that has not ended; it is ended with this.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Running {
    /// Reads on to a line that contains `part`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, part: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {part:?} came after\n{}", self.seen));
            self.seen += &format!("{line}\n");
            if line.contains(part) {
                return;
            }
        }
    }

    pub(crate) fn seen(&self) -> &str {
        &self.seen
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The target folder of this checkout.
fn target() -> PathBuf {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR"));
    own.parent().expect("it lies in the target folder").to_owned()
}
