//! A real PostgreSQL server of a test's own: in a temporary directory, on a free port of loopback and on a
//! Unix socket, with a password. It ends when it is dropped.
//!
//! PostgreSQL does not run as root: under root everything is done as user `postgres`, or `nobody`.
#![forbid(unsafe_code)]

mod install;

use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, chown, geteuid},
};
use tempfile::TempDir;

/// The role that tests log in as; it may do everything.
const ROLE: &str = "sandpit";
/// Its password. A test can look for it where it must not be.
pub const PASSWORD: &str = "s3cret-of-the-test";
/// How long a start or a stop may take.
const WITHIN_SECS: &str = "60";
/// Ports that are tried: another process may take one between the look and the start.
const MAX_PORTS: usize = 5;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The machine has no PostgreSQL.
    #[error(
        "PostgreSQL is not installed (no {program} on PATH or in /usr/lib/postgresql/*/bin); install it: \
         apt-get install --no-install-recommends postgresql"
    )]
    Missing {
        /// What was looked for.
        program: &'static str,
    },
    /// PostgreSQL refuses to run as root, and there is nobody else to run it.
    #[error("PostgreSQL does not run as root, and there is neither a user postgres nor nobody; add one")]
    NobodyToRunIt,
    /// The system refused something.
    #[error("cannot {what}: {cause}")]
    System {
        /// What was to be done.
        what: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed:\n{output}")]
    Failed {
        /// Which program.
        program: &'static str,
        /// What it said, and the end of the server's log.
        output: String,
    },
}

/// How the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are cut off, their transactions rolled back, everything is written.
    Fast,
    /// At once, as by a crash: the next start recovers from the log.
    Immediate,
}

/// What a server is to be like.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether commits wait for the disk. Without it a test is faster, and proves nothing about power cuts.
    pub fsync: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { fsync: true }
    }
}

/// A running (or stopped) server.
#[derive(Debug)]
pub struct Server {
    directory: TempDir,
    programs: PathBuf,
    runs_as: Option<(u32, u32)>,
    port: u16,
    options: Options,
}

impl Server {
    /// Makes a server with an empty database and starts it.
    ///
    /// # Errors
    /// [`ServerError`]; each says what to do.
    pub fn new() -> Result<Self, ServerError> {
        Self::with(Options::default())
    }

    /// As [`Server::new`], of another kind.
    ///
    /// # Errors
    /// [`ServerError`]; each says what to do.
    pub fn with(options: Options) -> Result<Self, ServerError> {
        let programs = install::programs()?;
        let directory =
            tempfile::Builder::new().prefix("sandpit-pg-").tempdir().map_err(system("make a directory"))?;
        let runs_as = runs_as()?;
        let mut server = Self { directory, programs, runs_as, port: 0, options };
        server.initialise()?;
        let mut tries = 1;
        loop {
            server.port = sandpit_ports::free_port().map_err(system("find a free port"))?;
            match server.start() {
                Err(ServerError::Failed { output, .. })
                    if output.contains("Address already in use") && tries < MAX_PORTS =>
                {
                    tries += 1;
                }
                outcome => return outcome.map(|()| server),
            }
        }
    }

    /// Where it answers, over TCP, with the role's password. The address stays the same over a restart.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// As [`Server::url`], of another database.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// As [`Server::url`], through the Unix socket.
    pub fn socket_url(&self) -> String {
        let socket = self.directory.path().display();
        format!("postgres://{ROLE}:{PASSWORD}@localhost:{}/postgres?host={socket}", self.port)
    }

    /// The port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where the programs are, such as `pg_dump`.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// Makes an empty database beside the first one, and says where it is.
    ///
    /// # Errors
    /// [`ServerError::Failed`] when there is one of that name, or the server is stopped.
    pub fn create_database(&self, name: &str) -> Result<String, ServerError> {
        let port = self.port.to_string();
        let arguments = ["-h", "127.0.0.1", "-p", &port, "-U", ROLE, name];
        self.run("createdb", &arguments).map(|_| self.url_of(name))
    }

    /// What a statement returns, one line a row, columns parted by `|`.
    ///
    /// # Errors
    /// [`ServerError::Failed`] when the statement fails or the server is stopped.
    pub fn query(&self, statement: &str) -> Result<String, ServerError> {
        let port = self.port.to_string();
        let to = ["-h", "127.0.0.1", "-p", &port, "-U", ROLE, "-d", "postgres"];
        let how = ["-v", "ON_ERROR_STOP=1", "--no-psqlrc", "-qAtc", statement];
        self.run("psql", &[to.as_slice(), how.as_slice()].concat())
    }

    /// Ends the server and waits until it has.
    ///
    /// # Errors
    /// [`ServerError::Failed`] when it runs no more.
    pub fn stop(&self, how: Stop) -> Result<(), ServerError> {
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        let data = self.data();
        self.run("pg_ctl", &["stop", "-w", "-t", WITHIN_SECS, "-m", mode, "-D", &data]).map(drop)
    }

    /// Starts the server again, on the same port with the same data, and waits until it takes connections.
    ///
    /// # Errors
    /// [`ServerError::Failed`] with the end of its log.
    pub fn start(&self) -> Result<(), ServerError> {
        let fsync = if self.options.fsync { "on" } else { "off" };
        let settings = format!(
            "-p {} -k '{}' -c listen_addresses=127.0.0.1 -c fsync={fsync} -c max_connections=50 -c \
             shared_buffers=32MB",
            self.port,
            self.directory.path().display(),
        );
        let (data, log) = (self.data(), self.log().display().to_string());
        let arguments = [
            "start",
            "-w",
            "-t",
            WITHIN_SECS,
            "-D",
            data.as_str(),
            "-l",
            log.as_str(),
            "-o",
            settings.as_str(),
        ];
        self.run("pg_ctl", &arguments).map(drop)
    }

    /// Holds the server and all its sessions still, as a machine that does not answer, or lets them go on.
    ///
    /// # Errors
    /// [`ServerError::System`] when it runs no more.
    pub fn hold(&self, is_held: bool) -> Result<(), ServerError> {
        let signal = if is_held { Signal::SIGSTOP } else { Signal::SIGCONT };
        let server = self.pid()?;
        let sessions = fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
        let sessions = sessions.map_err(system("list the sessions"))?;
        let sessions = sessions.split_whitespace().filter_map(|pid| pid.parse().ok());
        for pid in std::iter::once(server).chain(sessions) {
            match kill(Pid::from_raw(pid), signal) {
                // A session that has just ended.
                Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
                Err(error) => return Err(system("signal the server")(error.into())),
            }
        }
        Ok(())
    }

    fn pid(&self) -> Result<i32, ServerError> {
        let file = self.directory.path().join("data/postmaster.pid");
        let text = fs::read_to_string(file).map_err(system("read the server's process id"))?;
        let first = text.lines().next().and_then(|line| line.trim().parse().ok());
        first.ok_or_else(|| system("read the server's process id")(io::ErrorKind::InvalidData.into()))
    }

    fn initialise(&self) -> Result<(), ServerError> {
        let password = self.directory.path().join("password");
        fs::write(&password, PASSWORD).map_err(system("write the password"))?;
        if let Some((user, group)) = self.runs_as {
            for path in [self.directory.path(), &password] {
                chown(path, Some(user.into()), Some(group.into()))
                    .map_err(|error| system("give the directory away")(error.into()))?;
            }
        }
        let (data, password) = (self.data(), format!("--pwfile={}", password.display()));
        let how = ["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "-U", ROLE];
        self.run("initdb", &[how.as_slice(), &[password.as_str(), "-D", data.as_str()]].concat()).map(drop)
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn run(&self, program: &'static str, arguments: &[&str]) -> Result<String, ServerError> {
        let output_file = tempfile::tempfile().map_err(system("make a file"))?;
        let copy = || output_file.try_clone().map(Stdio::from).map_err(system("make a file"));
        // A file, not a pipe: the server that `pg_ctl` leaves behind would hold the pipe open.
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).stdin(Stdio::null()).stdout(copy()?).stderr(copy()?);
        command.current_dir(self.directory.path()).env("PGPASSWORD", PASSWORD).env("LC_ALL", "C");
        if let Some((user, group)) = self.runs_as {
            command.uid(user).gid(group);
        }
        let status = command.status().map_err(system(&format!("run {program}")))?;
        let mut output = String::new();
        io::Seek::rewind(&mut &output_file).map_err(system("read what it said"))?;
        io::Read::read_to_string(&mut &output_file, &mut output).map_err(system("read what it said"))?;
        if status.success() {
            return Ok(output.trim_end().to_owned());
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let end: Vec<_> = log.lines().rev().take(20).collect();
        output.extend(end.iter().rev().flat_map(|line| [line, "\n"]));
        Err(ServerError::Failed { program, output })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that was stopped already says so; there is nothing else to do about either.
        self.hold(false).ok();
        self.stop(Stop::Immediate).ok();
    }
}

fn system(what: &str) -> impl FnOnce(io::Error) -> ServerError {
    move |cause| ServerError::System { what: what.to_owned(), cause }
}

/// Who runs the programs, when it cannot be us.
fn runs_as() -> Result<Option<(u32, u32)>, ServerError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
    user.map(|user| Some((user.uid.as_raw(), user.gid.as_raw()))).ok_or(ServerError::NobodyToRunIt)
}
