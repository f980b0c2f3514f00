//! Who is connected, and what they say.

use sandpit_contract::{Layer, OLDEST_PROTOCOL, PROTOCOL, ToHost, ToObserver, ToWatchdog};

use super::Daemon;
use crate::{
    ambient,
    host::HostProcess,
    log::Level,
    machine::{Ending, Input},
    socket::{Connection, Received},
};

/// Connections at a time; a further one takes the place of the oldest that is not the host's.
const MAX_CONNECTIONS: usize = 16;
/// Messages read from one peer in one turn, so that a flood starves nobody.
const MAX_MESSAGES_A_TURN: usize = 32;
/// Messages read from a host that has ended: more than a socket's buffer holds, and no more can come.
const MAX_LAST_MESSAGES: usize = 4096;

/// Who a peer says that it is.
pub(super) struct Hello {
    pid: u32,
    epoch: u64,
    mode: String,
}

impl Daemon {
    pub(super) fn accept(&mut self) {
        // Until the next turn: it would be the same again.
        let most = if self.is_deaf { 0 } else { MAX_CONNECTIONS };
        for _ in 0..most {
            let connection = match self.listener.accept() {
                Ok(Some(connection)) => connection,
                Ok(None) => return,
                Err(error) => return self.pause_listening(&error),
            };
            self.said_short = false;
            if self.peers.len() >= MAX_CONNECTIONS {
                let oldest = self.peers.keys().copied().find(|id| Some(*id) != self.host_peer);
                oldest.and_then(|id| self.peers.remove(&id));
                self.held.retain(|id, _| self.peers.contains_key(id));
            }
            self.peers.insert(self.next_peer, connection);
            self.next_peer += 1;
        }
    }

    /// A caller that cannot be taken keeps the listener readable: until the next turn nobody waits for it.
    fn pause_listening(&mut self, error: &std::io::Error) {
        self.is_deaf = true;
        if !std::mem::replace(&mut self.said_short, true) {
            let text = format!("a caller at the socket cannot be taken, tried again every turn: {error}");
            self.log.write(Level::Error, text);
        }
    }

    pub(super) fn hear_peers(&mut self) {
        let ids: Vec<u64> = self.peers.keys().copied().collect();
        for id in ids {
            self.hear_one(id, MAX_MESSAGES_A_TURN);
        }
    }

    /// What the host said before its end: it must be heard before the end is judged.
    pub(super) fn hear_last_words(&mut self) {
        if let Some(id) = self.host_peer {
            self.hear_one(id, MAX_LAST_MESSAGES);
        }
    }

    fn hear_one(&mut self, id: u64, most: usize) {
        for _ in 0..most {
            if self.held.contains_key(&id) {
                return;
            }
            match self.peers.get(&id).map_or(Received::Closed, Connection::receive) {
                Received::Message(message) => self.hear(id, message),
                Received::Garbage(why) => self.drop_peer(id, &why),
                Received::Nothing => return,
                Received::Closed => return self.drop_peer(id, ""),
            }
        }
    }

    fn drop_peer(&mut self, id: u64, why: &str) {
        let gone = self.peers.remove(&id);
        if let (Some(peer), false) = (gone, why.is_empty()) {
            self.log.write(Level::Warning, format!("peer pid={} was cut off: {why}", peer.pid()));
        }
        if self.host_peer == Some(id) {
            self.host_peer = None;
            self.mouth.alarms.left();
            self.tell(Input::HostLeft);
        }
    }

    fn hear(&mut self, id: u64, message: ToWatchdog) {
        let is_host = self.host_peer == Some(id);
        match message {
            ToWatchdog::Hello { protocol, epoch, mode } => self.judge(id, protocol, epoch, mode),
            ToWatchdog::Beat(beat) if is_host => self.tell(Input::Beat(beat)),
            ToWatchdog::Trip { reason } if is_host => self.tell(Input::Trip { reason }),
            ToWatchdog::Bye { reason } if is_host => self.tell(Input::Bye { reason }),
            ToWatchdog::Alarm(alarm) if is_host && alarm.is_bounded() => {
                if let Some(news) = self.mouth.alarms.on(&alarm, ambient::boot_time()) {
                    self.pass_on(news);
                }
            }
            ToWatchdog::Beat(_) | ToWatchdog::Trip { .. } | ToWatchdog::Bye { .. } | ToWatchdog::Alarm(_) => {
                self.drop_peer(id, "it is not the host, or says more than a host does");
            }
            ToWatchdog::Status => self.answer_status(id),
            ToWatchdog::Kill { reason } => {
                self.tell(Input::Kill { layer: Layer::Operator, reason });
                self.send(id, &ToObserver::KillTaken);
            }
            ToWatchdog::Drilled(drill) if self.is_ours(id) => {
                self.tell(Input::Drilled(drill));
                self.answer_status(id);
            }
            ToWatchdog::Drilled(_) => self.drop_peer(id, "drills are told by the watchdog's own user only"),
        }
    }

    fn is_ours(&self, id: u64) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.uid() == rustix::process::getuid().as_raw())
    }

    fn judge(&mut self, id: u64, protocol: u32, epoch: u64, mode: String) {
        let Some(peer) = self.peers.get(&id) else {
            return;
        };
        let expected = self.config.host.uid.unwrap_or_else(|| rustix::process::getuid().as_raw());
        let (pid, uid) = (peer.pid(), peer.uid());
        if !(OLDEST_PROTOCOL..=PROTOCOL).contains(&protocol) {
            let known = format!("this watchdog {OLDEST_PROTOCOL} to {PROTOCOL}");
            self.refuse(id, format!("it speaks protocol {protocol}, {known}: use one version"));
        } else if uid != expected {
            self.refuse(id, format!("user {uid} is not the host's user {expected}: set `[host] user`"));
        } else if self.spawner.is_under_way() {
            // It may be the host itself, faster than the word that it was started.
            self.held.insert(id, Hello { pid, epoch, mode });
        } else {
            self.introduce(id, Hello { pid, epoch, mode });
        }
    }

    /// Whoever said hello during a start: now it is known who the host is.
    pub(super) fn judge_held(&mut self) {
        for (id, hello) in std::mem::take(&mut self.held) {
            self.introduce(id, hello);
        }
    }

    fn introduce(&mut self, id: u64, Hello { pid, epoch, mode }: Hello) {
        self.candidate = Some(id);
        self.tell(Input::HostJoined { pid, epoch, mode });
        self.candidate = None;
    }

    /// A refused host comes again and again: it is named once.
    pub(super) fn refuse(&mut self, id: u64, reason: String) {
        let pid = self.peers.get(&id).map(Connection::pid);
        if pid.is_some() && self.last_refused != pid {
            self.last_refused = pid;
            let text = format!("a host was refused pid={}: {reason}", pid.unwrap_or_default());
            self.log.write(Level::Warning, text);
        }
        self.send(id, &ToHost::Withheld { reason, nonce: 0 });
        self.drop_peer(id, "");
    }

    pub(super) fn accept_host(&mut self) {
        let Some(id) = self.candidate else {
            return;
        };
        if let Some(old) = self.host_peer.replace(id).filter(|old| *old != id) {
            self.peers.remove(&old);
        }
        self.mouth.alarms.joined(ambient::boot_time());
        if self.host.is_none() {
            let pidfd = self.peers.get_mut(&id).and_then(|peer| Some((peer.pid(), peer.take_pidfd()?)));
            match pidfd {
                Some((pid, pidfd)) => self.host = Some(HostProcess::adopt(pid, pidfd)),
                // Gone between its hello and now.
                None => self.tell(Input::HostEnded(Ending::default())),
            }
        }
    }

    fn answer_status(&mut self, id: u64) {
        let mut status = self.machine.status(self.host_rss, ambient::boot_time());
        if !self.send(id, &ToObserver::Status(Box::new(status.clone()))) {
            // Loop names can fill a packet; an answer without them is better than none.
            status.loops.clear();
            self.send(id, &ToObserver::Status(Box::new(status)));
        }
    }

    fn send<M: serde::Serialize>(&self, id: u64, message: &M) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.send(message))
    }

    pub(super) fn send_host(&self, message: &ToHost) {
        if let Some(id) = self.host_peer {
            self.send(id, message);
        }
    }
}
