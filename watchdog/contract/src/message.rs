//! The messages of the lease: one JSON object a packet, over a Unix `SOCK_SEQPACKET` socket.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Alarm, BootTime, DrillStatus};

/// Version of these messages.
pub const PROTOCOL: u32 = 3;

/// The oldest version whose hosts a watchdog of this one takes: 2 knows no [`ToWatchdog::Alarm`] and is equal
/// otherwise. A peer of any other version is refused at `Hello`.
pub const OLDEST_PROTOCOL: u32 = 2;

/// A packet is never longer than this; a longer one is an error.
pub const MAX_MESSAGE_BYTES: usize = 24 * 1024;

/// A beat names at most so many loops.
pub const MAX_LOOPS: usize = 120;

/// A packet that is not a message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Longer than [`MAX_MESSAGE_BYTES`].
    #[error("a message of {bytes} bytes is longer than {MAX_MESSAGE_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not JSON of the expected shape.
    #[error("a message is not understood: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// How far one loop of the host has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopBeat {
    /// Its name: `ingest`, `execution`, `store`, `strategy:NAME`.
    pub name: String,
    /// Counts up only by that loop's own work, or by it answering a nonce through its own queue.
    pub progress: u64,
    /// The newest nonce that came back through the loop's own queue.
    pub nonce: u64,
    /// What the loop's strategy holds, bytes; 0 for a loop that is no strategy's.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub memory_bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// What a host reports several times a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The host's life.
    pub epoch: u64,
    /// The broker's id of the account that the host trades, once the host has read it.
    #[serde(default)]
    pub account: Option<String>,
    /// Counts beats.
    pub sequence: u64,
    /// One entry a loop; at most [`MAX_LOOPS`].
    pub loops: Vec<LoopBeat>,
}

/// From host to watchdog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ToWatchdog {
    /// The first message of a connection. Who sent it, the kernel says.
    Hello {
        /// [`PROTOCOL`] of the sender.
        protocol: u32,
        /// The host's life.
        epoch: u64,
        /// `paper`, `live` or `dry-run`.
        mode: String,
    },
    /// A report.
    Beat(Beat),
    /// A signal of the host's own rules began to fire or is over: a human is to be told.
    Alarm(Alarm),
    /// The host found a reason to be killed, and is about to end.
    Trip {
        /// Which flag or limit.
        reason: String,
    },
    /// The host ends as asked; its orders stay as they are.
    Bye {
        /// Why.
        reason: String,
    },
    /// An observer asks for [`crate::Status`]. Needs no `Hello`.
    Status,
    /// An operator on the machine kills. Needs no `Hello`.
    Kill {
        /// The human's reason.
        reason: String,
    },
    /// A drill has ended. From the watchdog's own user only; needs no `Hello`, answered by [`crate::Status`].
    Drilled(DrillStatus),
}

/// From watchdog to host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ToHost {
    /// The right to trade until `deadline`, for one epoch only.
    Lease {
        /// The life it is granted to.
        epoch: u64,
        /// When it ends. One read later than that is already expired.
        deadline: BootTime,
        /// To be sent through every loop's own queue and back.
        nonce: u64,
    },
    /// No right to trade now; a nonce keeps the proof of life going.
    Withheld {
        /// Why: not armed, killed, a stuck loop, unknown equity.
        reason: String,
        /// As in `Lease`.
        nonce: u64,
    },
    /// Take no new intents, resolve outcomes, save state, end with [`crate::Exit::Drained`].
    Drain {
        /// Why.
        reason: String,
    },
    /// Quarantine this strategy, as after its third strike: memory ran out twice, and it holds the most.
    Quarantine {
        /// Its name, without `strategy:`.
        strategy: String,
        /// Why.
        reason: String,
    },
}

/// Writes a message.
///
/// # Errors
/// When it is longer than [`MAX_MESSAGE_BYTES`].
pub fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, MessageError> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > MAX_MESSAGE_BYTES {
        Err(MessageError::TooLong { bytes: bytes.len() })
    } else {
        Ok(bytes)
    }
}

/// Reads a message.
///
/// # Errors
/// When it is too long or not of the expected shape.
pub fn decode<M: DeserializeOwned>(packet: &[u8]) -> Result<M, MessageError> {
    if packet.len() > MAX_MESSAGE_BYTES {
        return Err(MessageError::TooLong { bytes: packet.len() });
    }
    Ok(serde_json::from_slice(packet)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{AlarmSeverity, AlarmStanding, MAX_ALARM_TEXT};

    #[test]
    fn the_largest_beat_fits_a_packet() {
        let name = format!("strategy:{}", "x".repeat(32));
        let one = LoopBeat { name, progress: u64::MAX, nonce: u64::MAX, memory_bytes: u64::MAX };
        let beat = Beat {
            epoch: u64::MAX,
            account: Some("x".repeat(64)),
            sequence: u64::MAX,
            loops: vec![one; MAX_LOOPS],
        };
        encode(&ToWatchdog::Beat(beat)).expect("fits");
    }

    #[test]
    fn the_longest_alarm_fits_a_packet_and_a_longer_one_is_cut_at_a_character() {
        let longest = |bytes: usize| "\u{1}".repeat(bytes);
        let alarm = |bytes| Alarm {
            key: longest(bytes),
            severity: AlarmSeverity::Critical,
            standing: AlarmStanding::Firing,
            text: longest(bytes),
            remedy: longest(bytes),
            since_unix_s: u64::MAX,
        };
        let cut = alarm(10_000).bounded();
        assert!(cut.is_bounded() && cut.text.len() == MAX_ALARM_TEXT && !alarm(10_000).is_bounded());
        let packet = encode(&ToWatchdog::Alarm(cut)).expect("six bytes a character at the most");
        assert!(packet.len() > 6 * 2 * MAX_ALARM_TEXT, "it was the worst case: {}", packet.len());
        let wide = Alarm { text: "ä".repeat(MAX_ALARM_TEXT), ..alarm(0) }.bounded();
        assert_eq!(wide.text.len(), MAX_ALARM_TEXT);
        let odd = Alarm { text: format!("x{}", "ä".repeat(MAX_ALARM_TEXT)), ..alarm(0) }.bounded();
        assert_eq!(odd.text.len(), MAX_ALARM_TEXT - 1);
    }

    proptest! {
        #[test]
        fn messages_round_trip(epoch in any::<u64>(), nanos in any::<u64>(), nonce in any::<u64>()) {
            let lease = ToHost::Lease { epoch, deadline: BootTime::from_nanos(nanos), nonce };
            prop_assert_eq!(decode::<ToHost>(&encode(&lease).expect("short")).expect("own text"), lease);
        }

        #[test]
        fn any_packet_is_an_answer_not_a_panic(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _: Result<ToWatchdog, _> = decode(&packet);
        }
    }
}
