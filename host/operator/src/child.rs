//! Other programs, each with a bound: one that hangs is ended with all it has started.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io::{Read, Write},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// Of what a program says, no more is read.
const MAX_OUTPUT_BYTES: u64 = 256 * 1024;

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it said on standard output.
    pub(crate) out: String,
    /// What it said on standard error.
    pub(crate) err: String,
}

impl Ended {
    /// The last line that says something: the sentence of one of our programs.
    pub(crate) fn sentence(&self) -> String {
        let last = |text: &str| text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(owned);
        let line = last(&self.err).or_else(|| last(&self.out)).unwrap_or_else(|| "it said nothing".into());
        line.trim_start_matches("error: ").trim_start_matches("sandpit-watchdog: ").to_owned()
    }
}

fn owned(text: &str) -> String {
    text.to_owned()
}

/// Why there is no end to speak of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoEnd {
    /// It could not be started: not installed, or not for this user.
    NotStarted(String),
    /// It did not end in time, and was killed.
    Hung,
}

/// A program to be run.
pub(crate) struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    environment: BTreeMap<String, String>,
    user: Option<(u32, u32)>,
    input: Vec<u8>,
}

impl Program {
    /// `path` without arguments, in this process's environment.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        let (args, environment) = (Vec::new(), BTreeMap::new());
        Self { path: path.into(), args, environment, user: None, input: Vec::new() }
    }

    /// Arguments: everybody on the machine can read them, so never a secret.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Variables beside those of this process.
    pub(crate) fn environment(mut self, variables: &BTreeMap<String, String>) -> Self {
        self.environment.extend(variables.iter().map(|(name, value)| (name.clone(), value.clone())));
        self
    }

    /// As another user and group, if this process is root's: what it makes has to belong to the service.
    pub(crate) fn by_user(mut self, user: Option<(u32, u32)>) -> Self {
        self.user = user.filter(|_| nix::unistd::geteuid().is_root());
        self
    }

    /// What it reads on standard input.
    pub(crate) fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// Runs it for `bound` at most.
    ///
    /// # Errors
    /// [`NoEnd`].
    pub(crate) fn run(self, bound: Duration) -> Result<Ended, NoEnd> {
        let mut command = Command::new(&self.path);
        command.args(&self.args).envs(&self.environment).process_group(0);
        // The two ways to name a key exclude each other.
        for name in self.environment.keys() {
            command.env_remove(format!("{name}_FILE"));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        let path = self.path.display();
        let child = command.spawn().map_err(|error| NoEnd::NotStarted(format!("{path}: {error}")))?;
        let group = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        let (ended, end) = mpsc::channel();
        let input = self.input;
        // Left behind when the program's end is; it ends with the pipes.
        std::thread::spawn(move || ended.send(attend(child, &input)));
        end.recv_timeout(bound).map_err(|_| {
            let _ = killpg(group, Signal::SIGKILL);
            NoEnd::Hung
        })
    }
}

fn attend(mut child: Child, input: &[u8]) -> Ended {
    if let Some(mut pipe) = child.stdin.take() {
        // It may end without reading.
        let _ = pipe.write_all(input);
    }
    let err = child.stderr.take().map(|pipe| std::thread::spawn(|| read(pipe)));
    let out = child.stdout.take().map(read).unwrap_or_default();
    let err = err.and_then(|reader| reader.join().ok()).unwrap_or_default();
    let code = child.wait().ok().and_then(|status| status.code());
    Ended { code, out, err }
}

fn read(pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    let mut pipe = pipe.take(MAX_OUTPUT_BYTES);
    let _ = pipe.read_to_end(&mut bytes);
    // The rest is read and forgotten: a full pipe would stop it.
    let _ = std::io::copy(&mut pipe.into_inner(), &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_run_and_bounded() {
        let shell = |script: &str| Program::new("/bin/sh").args(["-c", script]);
        let ended = shell("cat; echo why >&2; exit 3").input(b"hello".to_vec()).run(Duration::from_secs(10));
        let ended = ended.expect("it ends");
        assert_eq!((ended.code, &*ended.out, &*ended.sentence()), (Some(3), "hello", "why"));
        let hung = shell("sleep 600 & sleep 600").run(Duration::from_millis(50));
        assert_eq!(hung.expect_err("too long"), NoEnd::Hung);
        let none = Program::new("/nowhere/at/all").run(Duration::from_secs(1));
        assert!(matches!(none, Err(NoEnd::NotStarted(_))));
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_all_it_has_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {file:?}; sleep 600");
        // A slow machine may need more than the first bound to come so far.
        let pid = [100, 1_000, 10_000].into_iter().find_map(|bound_ms| {
            let hung = Program::new("/bin/sh").args(["-c", &script]).run(Duration::from_millis(bound_ms));
            assert_eq!(hung.expect_err("too long"), NoEnd::Hung);
            std::fs::read_to_string(&file).ok()?.trim().parse::<u32>().ok()
        });
        let stat = format!("/proc/{}/stat", pid.expect("it was started"));
        // Nobody may be there to wait for an orphan: a zombie has ended, too.
        let is_over = || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with(['Z', 'X']))
        };
        let (_never, pause) = mpsc::channel::<()>();
        let ended = (0..1_000).any(|_| is_over() || pause.recv_timeout(Duration::from_millis(10)).is_ok());
        assert!(ended, "what it has started is still there");
    }

    /// Not a test: a process with a variable of its own, which starts a program.
    #[test]
    #[ignore = "it is the process of another test"]
    fn starts_a_program() {
        let own = BTreeMap::from([("OWN".to_owned(), "inline".to_owned())]);
        let ended = Program::new("env").environment(&own).run(Duration::from_secs(10)).expect("it ends");
        println!("{}", ended.out);
    }

    #[test]
    fn a_program_is_not_told_of_a_secret_in_two_ways() {
        let mut own = Command::new("/proc/self/exe");
        own.args(["--exact", "child::tests::starts_a_program", "--ignored", "--nocapture"]);
        let output = own.env("OWN_FILE", "/a/file").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("OWN=inline") && !said.contains("OWN_FILE"), "{said}");
    }
}
