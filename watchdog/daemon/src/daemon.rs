//! The loop: wait for an observation or the next turn, ask the machine, perform what it says. Nothing here
//! decides, and nothing here waits for anybody.

mod drills;
mod mouth;
mod peers;
mod sampler;
mod spawner;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    time::Duration,
};

use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sandpit_contract::{BootTime, Event, Exit, Latch, ToHost};

use self::{
    mouth::Mouth,
    sampler::{Sample, Sampler},
    spawner::Spawner,
};
use crate::{
    admin::{Admin, Board},
    alerts::entry,
    ambient,
    broker::Client,
    config::Config,
    drill,
    error::Error,
    host::HostProcess,
    lanes::Lanes,
    latch::{self, LatchWriter},
    limits::{
        Told,
        saved::{self, Keeper},
    },
    log::{Entry, Level, Log},
    machine::{Input, Machine, Now, Output},
    mailbox::{Inbox, Mailbox, mailbox},
    manager::Manager,
    memory,
    proof::{Command, Report, Unread},
    secret::Secret,
    socket::{Connection, Listener},
};

/// Length of a turn: how often files are looked at and time is told.
const TURN: Duration = Duration::from_millis(50);
/// How often memory is measured.
const MEMORY_EVERY: Duration = Duration::from_millis(250);
/// Latches that wait for the disk: one is written, one is the next try.
const LATCH_DEPTH: usize = 2;

/// Everything at the edges.
pub(crate) struct Daemon {
    config: Config,
    machine: Machine,
    listener: Listener,
    signals: SignalFd,
    inbox: Inbox,
    board: Arc<Board>,
    lanes: Lanes,
    latches: SyncSender<Latch>,
    mouth: Mouth,
    keeper: Keeper,
    quarantines: memory::Waiting,
    log: Log,
    /// Nobody can be taken in; tried again at the next turn, and said once.
    is_deaf: bool,
    said_short: bool,
    peers: BTreeMap<u64, Connection>,
    next_peer: u64,
    /// The peer that is the host.
    host_peer: Option<u64>,
    /// The peer whose hello is being judged.
    candidate: Option<u64>,
    /// Peers that said hello while a start is under way, and may be its host.
    held: BTreeMap<u64, peers::Hello>,
    spawner: Spawner,
    host: Option<HostProcess>,
    host_rss: Option<u64>,
    last_refused: Option<u32>,
    memory_due: BootTime,
    sampler: Sampler,
    /// For drills that end.
    mailbox: Mailbox,
    exit: bool,
}

impl Daemon {
    /// Opens everything that a kill will need.
    ///
    /// # Errors
    /// When the state directory, the socket, a thread or a descriptor is refused.
    pub(crate) fn open(
        config: Config,
        client: Client,
        token: Option<Secret>,
        signals: SignalFd,
        log: Log,
    ) -> Result<Self, Error> {
        let writer = LatchWriter::prepare(&config.state_dir)?;
        if !writer.has_space() {
            let text = "the disk of `state_dir` is full: a kill would not last over a restart; free it";
            log.enter(Entry::of(Event::DiskFull, Level::Error, text.into()));
        }
        let unusable = |cause| Error::StateUnusable { path: config.state_dir.clone(), cause };
        let found = writer.resume(config.policy()).map_err(unusable)?;
        if found.is_some() {
            let text = "[KILL] latch found: killed until an operator re-arms";
            log.enter(Entry::of(Event::Killed, Level::Error, text.into()));
        }
        let address = |cause| Error::Address { path: config.socket.clone(), cause };
        let listener = Listener::bind(&config.socket).map_err(address)?;
        let (mailbox, inbox) = mailbox()?;
        let lanes = Lanes::start(&client, &mailbox)?;
        let board = Arc::new(Board::default());
        let admin = Admin::new(&config.admin, token);
        admin.map_or(Ok(()), |admin| admin.start(Arc::clone(&board), mailbox.clone(), log.clone()))?;
        let mouth = Mouth::open(&config, &board, &mailbox, &log)?;
        let latches = start_latch_thread(writer, mailbox.clone())?;
        let sampler = Sampler::start(config.budget_bytes())?;
        let spawner = Spawner::start(config.host.command.clone(), mailbox.clone())?;
        let keeper = Keeper::start(&config.state_dir, log.clone())?;
        let (quarantines, condemned) = memory::Waiting::open(&config.state_dir, log.clone())?;
        let now = ambient::now();
        // Nonces of an earlier life are below: a host cannot answer this one with what it heard from that
        // one.
        let settings = config.settings(now.boot.as_nanos());
        let mut machine = Machine::new(settings, found, now);
        machine.await_quarantines(condemned);
        machine.plan_drills(config.drill.every(), drill::last(&config.state_dir), now);
        Ok(Self {
            machine,
            config,
            listener,
            signals,
            inbox,
            board,
            lanes,
            latches,
            mouth,
            keeper,
            quarantines,
            log,
            is_deaf: false,
            said_short: false,
            peers: BTreeMap::new(),
            next_peer: 0,
            host_peer: None,
            candidate: None,
            held: BTreeMap::new(),
            spawner,
            host: None,
            host_rss: None,
            last_refused: None,
            memory_due: now.boot,
            sampler,
            mailbox,
            exit: false,
        })
    }

    /// Runs until it is told to stop.
    pub(crate) fn run(mut self, mut manager: Option<Manager>) -> Exit {
        let text = format!("watching at {}", self.config.socket.display());
        self.log.enter(Entry::of(Event::Started, Level::Notice, text));
        let (kept, complaint) = saved::load(&self.config.state_dir);
        self.tell(Input::Limits(kept.map(Box::new), complaint));
        let mut turn_due = ambient::boot_time();
        while !self.exit {
            let now = ambient::boot_time();
            if turn_due <= now {
                self.turn(&mut manager);
                turn_due = now + TURN;
            }
            self.wait(turn_due.since(ambient::boot_time()));
            self.collect();
        }
        self.log.enter(Entry::of(Event::Stopped, Level::Notice, "stopped: no lease is granted".into()));
        manager.iter_mut().for_each(Manager::stopping);
        self.mouth.alerts.finish();
        self.log.flush();
        Exit::Ok
    }

    /// What happens every turn, whoever speaks. The flag is looked at before any lease is granted.
    fn turn(&mut self, manager: &mut Option<Manager>) {
        self.is_deaf = false;
        let files = latch::look(&self.config.state_dir, &self.config.kill_switch_file);
        if let Some(arming) = saved::arming(&self.config.state_dir) {
            self.tell(Input::ArmedAs(arming));
        }
        self.tell(Input::Files(files));
        self.measure();
        self.tell(Input::Tick);
        let now = ambient::boot_time();
        for news in self.mouth.alarms.turn(now) {
            self.pass_on(news);
        }
        let status = self.machine.status(self.host_rss, now);
        if let Some(manager) = manager {
            manager.turn(&status, now);
        }
        self.board.publish(now, status, self.mouth.alarms.firing());
    }

    fn wait(&self, longest: Duration) {
        let mut waiting =
            vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.inbox, PollFlags::IN)];
        waiting.extend((!self.is_deaf).then(|| PollFd::new(&self.listener, PollFlags::IN)));
        waiting.extend(self.host.iter().map(|host| PollFd::new(host, PollFlags::IN)));
        let heard = self.peers.iter().filter(|(id, _)| !self.held.contains_key(id));
        waiting.extend(heard.map(|(_, peer)| PollFd::new(peer, PollFlags::IN)));
        let longest = Timespec::try_from(longest.min(TURN)).expect("a turn is short");
        // Interrupted or not: everything is looked at without waiting.
        let _: rustix::io::Result<usize> = poll(&mut waiting, Some(&longest));
    }

    fn collect(&mut self) {
        while let Ok(Some(_)) = self.signals.read_signal() {
            self.tell(Input::Stop);
        }
        for input in self.inbox.take() {
            self.tell(input);
        }
        self.welcome();
        // The host's last words come before its end: a trip must not be taken for a crash.
        self.hear_peers();
        self.reap();
        self.accept();
    }

    fn reap(&mut self) {
        let has_ended = |host: &HostProcess| {
            let mut ended = [PollFd::new(host, PollFlags::IN)];
            poll(&mut ended, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
        };
        if !self.host.as_ref().is_some_and(has_ended) {
            return;
        }
        self.hear_last_words();
        if let Some(host) = self.host.take() {
            if let Some(id) = self.host_peer.take() {
                self.peers.remove(&id);
            }
            self.host_rss = None;
            self.mouth.alarms.left();
            self.tell(Input::HostEnded(host.ending()));
        }
    }

    fn measure(&mut self) {
        let now = ambient::boot_time();
        let Some(pid) = self.host.as_ref().map(HostProcess::pid) else {
            return;
        };
        if self.memory_due <= now && self.sampler.ask(pid) {
            self.memory_due = now + MEMORY_EVERY;
        }
        if let Some(Sample { usage, counts, .. }) = self.sampler.take(pid) {
            self.host_rss = usage.map(|usage| usage.rss);
            self.tell(Input::Machine(counts));
            if let Some(usage) = usage {
                self.tell(Input::Memory(usage));
            }
        }
    }

    /// Tells the machine and performs what it answers; what comes of that is told next.
    fn tell(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = ambient::now();
            for output in self.machine.on(input, now) {
                inputs.extend(self.perform(output, now));
            }
        }
    }

    fn perform(&mut self, output: Output, now: Now) -> Option<Input> {
        match output {
            Output::Grant { epoch, deadline, nonce } => {
                self.send_host(&ToHost::Lease { epoch, deadline, nonce });
            }
            Output::Withhold { reason, nonce } => self.send_host(&ToHost::Withheld { reason, nonce }),
            Output::Drain { reason } => self.send_host(&ToHost::Drain { reason }),
            Output::Quarantine { strategy, reason } => {
                self.send_host(&ToHost::Quarantine { strategy, reason });
            }
            Output::Accept => self.accept_host(),
            Output::Refuse { reason } => {
                if let Some(id) = self.candidate {
                    self.refuse(id, reason);
                }
            }
            Output::SignalKill => {
                self.spawner.take_back();
                self.signal(HostProcess::kill);
            }
            Output::SignalTerm => self.signal(HostProcess::terminate),
            Output::StartHost => {
                if !self.spawner.ask() {
                    return Some(Input::SpawnFailed { cause: "its thread is gone".into() });
                }
            }
            Output::WriteLatch(latch) => {
                if self.latches.try_send(latch).is_err() {
                    return Some(Input::LatchWritten(Err("the disk does not answer".into())));
                }
            }
            Output::Broker(command) => return self.ask_broker(command, now),
            Output::StartDrill => return self.start_drill(),
            Output::Alert(alert) => {
                self.enter(entry(&alert));
                self.mouth.alerts.raise(&alert, self.machine.status(None, now.boot).state, now.unix_s);
            }
            Output::KeepLimits(saved) => self.keeper.keep(*saved),
            Output::KeepQuarantines(waiting) => self.quarantines.keep(waiting),
            Output::Log(level, text) => self.enter(Entry::new(level, text)),
            Output::Marked(event, level, text) => self.enter(Entry::of(event, level, text)),
            Output::Exit => self.exit = true,
            Output::Remain => self.exit = false,
        }
        None
    }

    /// With what every line of the machine carries.
    fn enter(&self, entry: Entry) {
        let (epoch, layer) = self.machine.stamp();
        self.log.enter(Entry { epoch, layer, ..entry });
    }

    /// Every command is answered, also the one that finds its lane full.
    fn ask_broker(&self, command: Command, now: Now) -> Option<Input> {
        let full = "the lane is full";
        let report = match &command {
            Command::Warm => Report::Warmed(Err(Unread::Other(full.into()))),
            Command::Touch => Report::Touched,
            Command::Check => Report::Checked(Err(full.into())),
            Command::Suspend { .. } => Report::Suspended(Err(full.into())),
            Command::Lift => Report::Lifted(Err(full.into())),
            Command::CancelAll | Command::CancelEach(_) => Report::Cancelled(Err(full.into())),
            Command::CloseAll | Command::CloseEach(_) => Report::Closed(Err(full.into())),
            Command::Account(ask) => {
                Report::Account { told: Box::new(Told::failed(ask, full.into())), requests: 0 }
            }
            Command::Read(_) => Report::Read { started: now.boot, result: Err(full.into()) },
        };
        (!self.lanes.send(command)).then_some(Input::Broker(report))
    }
}

/// A disk may hang for ever: it gets a thread of its own.
fn start_latch_thread(mut writer: LatchWriter, mailbox: Mailbox) -> Result<SyncSender<Latch>, Error> {
    let (latches, waiting) = sync_channel::<Latch>(LATCH_DEPTH);
    let write = move || {
        while let Ok(latch) = waiting.recv() {
            let result = writer.write(&latch).map_err(|error| error.to_string());
            if !mailbox.post(Input::LatchWritten(result)) {
                return;
            }
            // Best effort: without it the next latch takes its space when it is written.
            let _: std::io::Result<()> = writer.refill();
        }
    };
    std::thread::Builder::new().name("latch".into()).stack_size(crate::STACK_BYTES).spawn(write)?;
    Ok(latches)
}
