//! The interpreters that play a suite.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{Broker, Check, Suite, file, target};

/// Least checks of alpaca-py; raised when checks are added, so that none gets lost.
const LEAST_PYTHON: usize = 357;
/// Least checks of @alpacahq/alpaca-trade-api.
const LEAST_NODE: usize = 184;
const _: () = assert!(LEAST_PYTHON + LEAST_NODE >= 150, "the simulator promises 150 checks by official SDKs");

/// One official SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// alpaca-py.
    Python,
    /// @alpacahq/alpaca-trade-api.
    Node,
}

impl Sdk {
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
        }
    }

    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Python => "py",
            Self::Node => "js",
        }
    }

    /// How many checks there are at least.
    pub const fn least_checks(self) -> usize {
        match self {
            Self::Python => LEAST_PYTHON,
            Self::Node => LEAST_NODE,
        }
    }

    /// The interpreter with the SDK in its reach and nothing of the surroundings in its way.
    fn command(self) -> Command {
        let sdk = target(3).join("sdk").join(self.folder());
        assert!(sdk.exists(), "{} is not installed; run cargo xtask sdks", sdk.display());
        let mut command = match self {
            Self::Python => {
                let mut python = Command::new(sdk.join("bin/python"));
                // Our scripts leave no bytecode in the sources.
                python.args(["-B", "-E", "-s", "-u"]);
                python
            }
            Self::Node => {
                let mut node = Command::new("node");
                node.env("NODE_PATH", sdk.join("node_modules"));
                node
            }
        };
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(variable);
        }
        for variable in ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "APCA_API_OAUTH_TOKEN", "NODE_OPTIONS"] {
            command.env_remove(variable);
        }
        command
    }

    /// Plays one suite against a broker of its own.
    ///
    /// # Panics
    /// When the script does not end well, or says something else than checks.
    pub(crate) fn play(self, suite: &Suite) -> Vec<Check> {
        let broker = Broker::start(suite);
        let script: PathBuf = file(self.folder()).join(format!("run.{}", self.extension()));
        let output = self
            .command()
            .arg(script)
            .arg(broker.address())
            .args(suite.topics)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{self:?} does not run: {error}"));
        let said = String::from_utf8_lossy(&output.stdout);
        let noise = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{self:?}, suite {}: {}\n{said}\n{noise}",
            suite.name,
            output.status
        );
        let read = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?} is no check: {error}"))
        };
        said.lines().map(read).collect()
    }
}
