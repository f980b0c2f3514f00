//! A running `sandpit-sim`.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::{Suite, file, target};

/// The real binary on a port of its own; ends when it is dropped.
pub struct Broker {
    child: Child,
    address: String,
}

impl Broker {
    /// Starts the broker of a suite and waits until it listens.
    ///
    /// # Panics
    /// When it is not built, or does not come up.
    pub fn start(suite: &Suite) -> Self {
        let binary = target(2).join("sandpit-sim");
        assert!(binary.exists(), "{} is not built; run cargo xtask test", binary.display());
        let mut command = Command::new(binary);
        command.args(["--listen", "127.0.0.1:0"]).args(suite.flags);
        if !suite.data.is_empty() {
            command.arg("--data").args(suite.data.iter().map(|name| file("data").join(name)));
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("sandpit-sim starts");
        let mut said = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut said).expect("sandpit-sim says where it listens");
        let address = said.strip_prefix("listening ").map(|address| address.trim_end().to_owned());
        let mut broker = Self { child, address: address.unwrap_or_default() };
        if broker.address.is_empty() {
            let status = broker.child.wait();
            panic!("suite {}: sandpit-sim said {said:?} and ended with {status:?}", suite.name);
        }
        broker
    }

    /// `ADDR:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
