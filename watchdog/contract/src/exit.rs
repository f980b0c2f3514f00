//! Exit codes of both binaries: the service manager and the watchdog decide by them.

/// Why a process ended. The numbers are part of the interface: units and scripts refer to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Stopped as asked.
    Ok,
    /// The command line was wrong.
    Usage,
    /// The configuration was wrong: unknown key, bad value, missing secret.
    Config,
    /// A plugin folder or plugin was wrong.
    Plugin,
    /// The state directory or database cannot be used.
    State,
    /// An address to listen on is taken or not ours.
    Address,
    /// A data file is broken.
    Data,
    /// The broker could not be reached or did not accept the key at start.
    Broker,
    /// Part of what was asked for could not be had, or it was stopped before the end: run it again.
    Incomplete,
    /// A session that is replayed does not do what was recorded.
    Differs,
    /// An operator's command found no host that runs, or had no answer of it in time.
    NoHost,
    /// An operator's command is not for this user.
    NotAllowed,
    /// Killed: by the flag, a limit, an operator. Never restarted automatically.
    Killed,
    /// Drained and ended on request of the watchdog; to be restarted.
    Drained,
    /// An internal failure, said in the log; to be restarted.
    Failed,
}

impl Exit {
    /// Every code, for tables in documents and tests.
    pub const ALL: [Self; 15] = [
        Self::Ok,
        Self::Usage,
        Self::Config,
        Self::Plugin,
        Self::State,
        Self::Address,
        Self::Data,
        Self::Broker,
        Self::Incomplete,
        Self::Differs,
        Self::NoHost,
        Self::NotAllowed,
        Self::Killed,
        Self::Drained,
        Self::Failed,
    ];

    /// The number given to the operating system.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Usage => 2,
            Self::Config => 10,
            Self::Plugin => 11,
            Self::State => 12,
            Self::Address => 13,
            Self::Data => 14,
            Self::Broker => 15,
            Self::Incomplete => 16,
            Self::Differs => 17,
            Self::NoHost => 18,
            Self::NotAllowed => 19,
            Self::Killed => 20,
            Self::Drained => 30,
            Self::Failed => 31,
        }
    }

    /// The meaning of a number.
    pub fn of(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| i32::from(exit.code()) == code)
    }

    /// Whether a supervisor may start the process again by itself. One that has just restarted the process
    /// may also try [`Exit::Address`] again: the predecessor's address may take a moment to come free.
    pub const fn may_restart(self) -> bool {
        match self {
            Self::Broker | Self::Incomplete | Self::Drained | Self::Failed => true,
            Self::Ok
            | Self::Usage
            | Self::Config
            | Self::Plugin
            | Self::State
            | Self::Address
            | Self::Data
            | Self::Differs
            | Self::NoHost
            | Self::NotAllowed
            | Self::Killed => false,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_known() {
        for exit in Exit::ALL {
            assert_eq!(Exit::of(i32::from(exit.code())), Some(exit));
        }
        assert_eq!(Exit::of(101), None);
    }
}
