//! What the watchdog tells an observer: one picture of the lease, the host and the kill.

use serde::{Deserialize, Serialize};

use crate::Layer;

/// Where the watchdog stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No human has armed it: no lease, and no host is started.
    Disarmed,
    /// Armed, and no host is there.
    Armed,
    /// A host is there that has not proved all its loops yet: no lease.
    Starting,
    /// The host holds a lease.
    Leased,
    /// A loop of the host stands still: no lease.
    Suspect,
    /// The host was asked to save its state and end: no lease.
    Draining,
    /// The host was ended to be replaced, or its restart waits for the back-off.
    Restarting,
    /// The watchdog itself was asked to stop, and waits for its host.
    Stopping,
    /// Killed; the host is not gone yet, or the latch is not on disk yet.
    Killing,
    /// Killed, the host gone and the latch on disk. Only an operator's `arm` leads out.
    Killed,
}

/// What the broker's own answers prove about open orders since a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BrokerProof {
    /// Something is open, or nobody knows. The watchdog retries for ever.
    PendingAtBroker,
    /// A read showed nothing open.
    ZeroSeen,
    /// Every read of a whole window showed nothing open.
    ConfirmedZero,
}

impl BrokerProof {
    /// The word used in logs and answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::PendingAtBroker => "PENDING_AT_BROKER",
            Self::ZeroSeen => "ZERO_SEEN",
            Self::ConfirmedZero => "CONFIRMED_ZERO",
        }
    }
}

/// One loop of the host as the watchdog sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopStatus {
    /// Its name.
    pub name: String,
    /// Its newest progress counter.
    pub progress: u64,
    /// Milliseconds since that counter moved.
    pub age_ms: u64,
}

/// The kill in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillStatus {
    /// What pulled it.
    pub layer: Layer,
    /// In words.
    pub reason: String,
    /// Unix seconds.
    pub at_unix_s: u64,
}

/// The whole picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Where the watchdog stands.
    pub state: State,
    /// The proof at the broker, while killed.
    pub broker: Option<BrokerProof>,
    /// The connected host's life.
    pub epoch: Option<u64>,
    /// The host's process.
    pub host_pid: Option<u32>,
    /// The host's resident memory, bytes.
    pub host_rss_bytes: Option<u64>,
    /// Milliseconds until the newest lease ends; 0 when none is held.
    pub lease_ms_left: u64,
    /// The host's loops.
    pub loops: Vec<LoopStatus>,
    /// How often the host was started again since the watchdog started.
    pub host_restarts: u32,
    /// The kill in force.
    pub kill: Option<KillStatus>,
    /// Memory in use, per cent of the limit.
    pub memory_percent: Option<u32>,
}

/// From watchdog to an observer or operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ToObserver {
    /// The answer to `Status`.
    Status(Box<Status>),
    /// The answer to `Kill`: no lease is granted from now on.
    KillTaken,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_an_answer_are_the_documented_ones() {
        let status = Status {
            state: State::Killed,
            broker: Some(BrokerProof::ConfirmedZero),
            epoch: None,
            host_pid: None,
            host_rss_bytes: None,
            lease_ms_left: 0,
            loops: vec![LoopStatus { name: "ingest".into(), progress: 4, age_ms: 20 }],
            host_restarts: 0,
            kill: Some(KillStatus { layer: Layer::CrashLoop, reason: "x".into(), at_unix_s: 1 }),
            memory_percent: None,
        };
        let text = serde_json::to_string(&ToObserver::Status(Box::new(status))).expect("plain data");
        for word in
            [r#""kind":"status""#, r#""state":"killed""#, r#""broker":"CONFIRMED_ZERO""#, r#""crash-loop""#]
        {
            assert!(text.contains(word), "{word} is not in {text}");
        }
        for proof in [BrokerProof::PendingAtBroker, BrokerProof::ZeroSeen, BrokerProof::ConfirmedZero] {
            assert_eq!(serde_json::to_value(proof).expect("a word"), proof.word());
        }
    }
}
