//! What the watchdog tells an observer: one picture of the lease, the host and the kill.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{DrillStatus, Layer};

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
    /// Every read of a whole window showed nothing open but stops that the policy keeps.
    StopsOnly,
    /// Every read of a whole window showed nothing open and no position.
    Flat,
}

impl BrokerProof {
    /// The word used in logs and answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::PendingAtBroker => "PENDING_AT_BROKER",
            Self::ZeroSeen => "ZERO_SEEN",
            Self::ConfirmedZero => "CONFIRMED_ZERO",
            Self::StopsOnly => "STOPS_ONLY",
            Self::Flat => "FLAT",
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
    /// What the loop's strategy holds, bytes; 0 for a loop that is no strategy's.
    #[serde(default)]
    pub memory_bytes: u64,
}

/// How the host's memory and the machine fare. What is not known, or not known yet, is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Strain {
    /// The host's memory in use.
    pub memory_used_bytes: Option<u64>,
    /// What it may use.
    pub memory_limit_bytes: Option<u64>,
    /// How fast that grows, over the last ten minutes; known after one.
    pub memory_slope_bytes_per_minute: Option<i64>,
    /// For so much of the last ten seconds somebody waited for memory, per mille.
    pub memory_pressure_permille: Option<u32>,
    /// How often the host had to be ended for its memory within the last hour.
    pub memory_breaches: u32,
    /// Strategies that the host has been, or is to be, told to quarantine, and still shows.
    pub quarantining: Vec<String>,
    /// For so much of the last three seconds somebody waited for a processor, per mille.
    pub cpu_pressure_permille: Option<u32>,
    /// So much of the last three seconds the hypervisor took, per mille.
    pub steal_permille: Option<u32>,
    /// So late the watchdog's own turns came in the last three seconds, in sum.
    pub late_ms: u64,
    /// The machine is too slow for its loops: one that stands still is replaced later than else.
    pub starved: bool,
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

impl fmt::Display for Strain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |figure: Option<String>| figure.unwrap_or_else(|| "?".into());
        let share = |share: Option<u32>| known(share.map(|share| format!("{}.{}", share / 10, share % 10)));
        let mb = |bytes: Option<u64>| known(bytes.map(|bytes| (bytes >> 20).to_string()));
        let slope = self.memory_slope_bytes_per_minute;
        write!(
            formatter,
            "memory {} of {} MB, {} kB/min, pressure {} %, ran out {} times within the hour; \
             cpu pressure {} %, steal {} %, own turns late {} ms{}",
            mb(self.memory_used_bytes),
            mb(self.memory_limit_bytes),
            known(slope.map(|bytes| (bytes >> 10).to_string())),
            share(self.memory_pressure_permille),
            self.memory_breaches,
            share(self.cpu_pressure_permille),
            share(self.steal_permille),
            self.late_ms,
            if self.starved { ": starved" } else { "" },
        )?;
        if self.quarantining.is_empty() {
            return Ok(());
        }
        write!(formatter, "; to be quarantined: {}", self.quarantining.join(", "))
    }
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
    /// How memory and machine fare.
    #[serde(default)]
    pub strain: Strain,
    /// The newest drill that this watchdog knows of.
    #[serde(default)]
    pub last_drill: Option<DrillStatus>,
    /// The account as the watchdog itself reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsStatus>,
}

/// The account, and how far it is from the limits that the watchdog watches. A `bp` is a hundredth of a per
/// cent of the capital.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsStatus {
    /// Whether a limit would kill: not before a host has come, and not in a dry run.
    pub is_judged: bool,
    /// The end of the account's id.
    pub account: Option<String>,
    /// The equity of the last reading; `None` while it is unknown.
    pub equity_cents: Option<i64>,
    /// The highest equity.
    pub peak_cents: Option<i64>,
    /// Lost from the peak.
    pub drawdown_bp: i64,
    /// Lost within 30 minutes.
    pub half_hour_loss_bp: i64,
    /// Lost since the session's start.
    pub day_loss_bp: i64,
    /// All positions together.
    pub gross_bp: i64,
    /// Orders that the broker accepted within a minute.
    pub orders_a_minute: u32,
    /// Milliseconds since the last good reading; `None` before the first.
    pub read_ms_ago: Option<u64>,
    /// Why there is no lease, when it is for the account.
    pub withheld: Option<String>,
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
    fn strain_is_one_line_and_a_status_without_it_is_read() {
        let text = Strain::default().to_string();
        assert_eq!(
            text,
            "memory ? of ? MB, ? kB/min, pressure ? %, ran out 0 times within the hour; \
             cpu pressure ? %, steal ? %, own turns late 0 ms"
        );
        let strain = Strain {
            memory_used_bytes: Some(3 << 20),
            memory_slope_bytes_per_minute: Some(-2048),
            cpu_pressure_permille: Some(734),
            quarantining: vec!["a".into(), "b".into()],
            starved: true,
            ..Strain::default()
        };
        let text = strain.to_string();
        for words in
            ["memory 3 of ?", "-2 kB/min", "cpu pressure 73.4 %", "0 ms: starved; to be quarantined: a, b"]
        {
            assert!(text.contains(words), "{words} is not in {text}");
        }
        assert_eq!(serde_json::from_str::<Strain>("{}").expect("all have defaults"), Strain::default());
    }

    #[test]
    fn the_words_of_an_answer_are_the_documented_ones() {
        let status = Status {
            state: State::Killed,
            broker: Some(BrokerProof::ConfirmedZero),
            epoch: None,
            host_pid: None,
            host_rss_bytes: None,
            lease_ms_left: 0,
            loops: vec![LoopStatus { name: "ingest".into(), progress: 4, age_ms: 20, memory_bytes: 0 }],
            host_restarts: 0,
            kill: Some(KillStatus { layer: Layer::CrashLoop, reason: "x".into(), at_unix_s: 1 }),
            memory_percent: None,
            strain: Strain::default(),
            last_drill: None,
            limits: None,
        };
        let text = serde_json::to_string(&ToObserver::Status(Box::new(status))).expect("plain data");
        for word in
            [r#""kind":"status""#, r#""state":"killed""#, r#""broker":"CONFIRMED_ZERO""#, r#""crash-loop""#]
        {
            assert!(text.contains(word), "{word} is not in {text}");
        }
        use BrokerProof as B;
        for proof in [B::PendingAtBroker, B::ZeroSeen, B::ConfirmedZero, B::StopsOnly, B::Flat] {
            assert_eq!(serde_json::to_value(proof).expect("a word"), proof.word());
        }
    }
}
