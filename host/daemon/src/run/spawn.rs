//! The loops of a running host, each started with its pulse, its probe and its way to end.

use std::{sync::Arc, time::Duration};

use sandpit_alpaca::AlpacaNews;
use sandpit_broker::{Broker, BrokerError, OrderFeed};
use sandpit_execution::{Desk, DeskEnd, DeskInput, DeskOutput};
use sandpit_ingest::{
    Ingest, IngestConfig, IngestStats, MarketSink, NewsConfig, NewsLoop, NewsStats, Reins, Resubscription,
    Suspicion, UpdateLoop, UpdateSink, UpdateStats,
};
use sandpit_local::LocalBroker;
use sandpit_store::Store;
use sandpit_strategy::StrategyEvent;
use sandpit_types::{Account, MarketClock, MarketTime, Pulse, Symbol, TradeUpdate};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, interval_at},
};

use super::{
    calendar::Almanac,
    ending::{Ending, Endings},
    prepare::Parts,
};
use crate::{
    ambient,
    control::{self, Clerk, Control, Tickets},
    fan_out::fan_out,
    outside::HostReviewer,
    plugins::{Said, wanted_data, wanted_news},
    strategies::{Arrivals, Mail},
};

/// Outputs of the desk that may wait for the strategies.
const DESK_OUTPUTS: usize = 4_096;
/// Suspicions that may wait for the order stream. One ends the connection, so what is past it says no more.
const SUSPICIONS: usize = 4;
/// Changes of what is wanted that may wait for a loop. One more makes the keeper of the plugins wait.
const CHANGES: usize = 4;
/// Nonces that may wait for a loop.
const PROBES: usize = 16;
/// How often strategies learn of the time, and without a watchdog every loop is probed; real time.
const TICK: Duration = Duration::from_millis(100);
/// How often it is judged whether the plugins are looked at, real time.
const LOOKS_JUDGED_EVERY: Duration = Duration::from_secs(1);
/// How often the broker is asked for the time, market time.
const CLOCK_EVERY: Duration = Duration::from_secs(60);
/// When old records are forgotten for the first time, and how often; real time.
const RETENTION_AFTER: Duration = Duration::from_secs(300);
const RETENTION_EVERY: Duration = Duration::from_secs(86_400);
/// And never more often than this, real time.
const CLOCK_FLOOR: Duration = Duration::from_secs(2);
/// An answer about the time that took longer is not used, real time.
const CLOCK_LATE: Duration = Duration::from_secs(1);

/// What every loop is started with.
pub(super) struct Spawner<'a> {
    pub(super) prepared: &'a Parts,
    pub(super) endings: &'a Endings,
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) inputs: &'a mpsc::Sender<DeskInput>,
}

impl Spawner<'_> {
    /// Registers the store's writer, which runs already.
    pub(super) fn store(&self, store: &Store, pulse: Arc<Pulse>) {
        let store = store.clone();
        let probe = Box::new(move |nonce| {
            let _ = store.probe(nonce);
        });
        self.prepared.figures.loops.add("store", pulse, probe);
    }

    /// Forgets old records once a day. A failure is no reason to end: the next day is soon enough.
    pub(super) fn retention(&self, store: &Store) {
        let (store, clock) = (store.clone(), self.prepared.clock.clone());
        let (retention, mut stopped) = (self.prepared.config.records.retention, self.stopped.clone());
        let forget = async move {
            let mut days = interval_at(Instant::now() + RETENTION_AFTER, RETENTION_EVERY);
            loop {
                days.tick().await;
                match store.retain(retention, clock.now()).await {
                    Ok(gone) => tracing::info!(gone, "old records are forgotten"),
                    Err(error) => tracing::warn!(%error, "old records cannot be forgotten"),
                }
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                () = forget => {}
                // Also when the host is gone.
                _ = stopped.wait_for(|is_stopped| *is_stopped) => {}
            }
        });
    }

    /// Box 1, market data, also of what is `held` though nobody trades it; and the way to other
    /// subscriptions.
    pub(super) fn ingest(
        &self,
        since: MarketTime,
        held: Vec<Symbol>,
        dry_run: Option<LocalBroker>,
    ) -> (Arc<IngestStats>, mpsc::Sender<Resubscription>) {
        let prepared = self.prepared;
        let subscription = wanted_data(&prepared.strategies(), held);
        let canary = prepared.config.market_data.canary.clone();
        let config = IngestConfig {
            watches: IngestConfig::usual_watches(&subscription, canary.as_ref()),
            subscription,
            canary,
            days: prepared.sessions.days().to_vec(),
            since,
            bars_grace: IngestConfig::BARS_GRACE,
            // A second of ours is as long as the market is compressed.
            ahead: IngestConfig::AHEAD.max(Duration::from_secs(1).mul_f64(prepared.config.clock_speed)),
            seed: prepared.seed,
        };
        let sink = self.fan_out(dry_run);
        let (changer, changes) = mpsc::channel(CHANGES);
        let alpaca = prepared.alpaca.clone();
        let ingest =
            Ingest::new(config, alpaca.clone(), alpaca, prepared.clock.clone()).with_changes(changes);
        let stats = ingest.stats();
        self.endings.watch_task("ingest", tokio::spawn(ingest.run(sink, self.reins("ingest"))));
        (stats, changer)
    }

    /// Box 1, news; and the way to say whose. It rests while no strategy wants any.
    pub(super) fn news(&self, since: MarketTime) -> (Arc<NewsStats>, mpsc::Sender<Vec<Symbol>>) {
        let symbols = wanted_news(&self.prepared.config, &self.prepared.strategies());
        let (alpaca, clock) = (self.prepared.alpaca.clone(), self.prepared.clock.clone());
        let config = NewsConfig { symbols, since, seed: self.prepared.seed.rotate_left(2) };
        let (changer, changes) = mpsc::channel(CHANGES);
        let news = NewsLoop::new(config, Arc::new(AlpacaNews(alpaca.clone())), alpaca, clock);
        let news = news.with_changes(changes);
        let stats = news.stats();
        let loop_ = news.run(self.fan_out(None), self.reins("news"));
        self.endings.watch_task("news", tokio::spawn(loop_));
        (stats, changer)
    }

    /// Where events go. The venue of a dry run has no use for news.
    fn fan_out(&self, dry_run: Option<LocalBroker>) -> impl MarketSink + 'static {
        let (prepared, figures) = (self.prepared, &self.prepared.figures);
        let (tape, counts) = (figures.tape.clone(), figures.data.clone());
        fan_out(prepared.clock.clone(), dry_run, tape, counts, prepared.plugins.roster.clone())
    }

    /// Box 1, trade updates. `suspicions` are the desk's: what REST showed and the stream did not tell.
    pub(super) fn updates<O: OrderFeed>(
        &self,
        orders: Arc<O>,
        suspicions: mpsc::Receiver<Suspicion>,
    ) -> Arc<UpdateStats> {
        let updates = UpdateLoop::new(orders, self.prepared.seed.rotate_left(1)).with_suspicions(suspicions);
        let stats = updates.stats();
        let sink = ToDesk(self.inputs.clone());
        self.endings.watch_task("trade updates", tokio::spawn(updates.run(sink, self.reins("updates"))));
        stats
    }

    /// Hears what operators want. It decides nothing, so nothing ends when it does.
    pub(super) fn control(&self, tickets: Arc<Tickets>) {
        let (config, figures) = (&self.prepared.config, self.prepared.figures.clone());
        let environment = ambient::environment();
        let socket = control::place(config, environment.get("RUNTIME_DIRECTORY").map(String::as_str));
        let (state_dir, inputs) = (config.state_dir.clone(), self.inputs.clone());
        let clerk = Arc::new(Clerk { figures, inputs, tickets });
        self.prepared.hands.set_clerk(clerk.clone());
        let control = Control { state_dir, socket, clerk };
        tokio::spawn(control.serve(self.stopped.clone()));
    }

    /// Box 4, and the mail from it to the strategies, to the order stream and to operators.
    pub(super) fn desk<B: Broker>(
        &self,
        desk: Desk<B, HostReviewer>,
        inputs: mpsc::Receiver<DeskInput>,
        arrivals: Arc<Arrivals>,
        account: Account,
        tickets: Arc<Tickets>,
    ) -> (JoinHandle<DeskEnd>, mpsc::Receiver<Suspicion>) {
        let (outputs, mail) = mpsc::channel(DESK_OUTPUTS);
        let probes = self.inputs.clone();
        // A full queue drops the nonce; the desk then proves its life by working through the queue.
        let probe = Box::new(move |nonce| drop(probes.try_send(DeskInput::Probe(nonce))));
        self.prepared.figures.loops.add("execution", desk.pulse(), probe);
        let (suspects, suspicions) = mpsc::channel(SUSPICIONS);
        let roster = self.prepared.plugins.roster.clone();
        let post = Mail::new(roster, arrivals, account, self.prepared.clock.clone());
        self.mail(post, mail, suspects, tickets);
        let (task, endings) = (tokio::spawn(desk.run(inputs, outputs)), self.endings.clone());
        let watched = tokio::spawn(async move {
            let ended = task.await;
            endings.give(Ending::Broken { what: format!("execution ended: {ended:?}") });
            ended.unwrap_or(DeskEnd::Stopped)
        });
        (watched, suspicions)
    }

    fn mail(
        &self,
        mut mail: Mail,
        mut outputs: mpsc::Receiver<DeskOutput>,
        suspects: mpsc::Sender<Suspicion>,
        tickets: Arc<Tickets>,
    ) {
        let figures = self.prepared.figures.clone();
        let deliver = async move {
            while let Some(output) = mail.next(&mut outputs).await {
                match &output {
                    DeskOutput::Account(account) => figures.set_equity(account.equity),
                    DeskOutput::StreamSuspect { connection, reason } => {
                        // A full queue means that one is about to be heard.
                        let _ =
                            suspects.try_send(Suspicion { connection: *connection, what: reason.clone() });
                    }
                    DeskOutput::Answer { ticket, answer } => tickets.answer(*ticket, answer.clone()),
                    DeskOutput::Order { .. }
                    | DeskOutput::Fill { .. }
                    | DeskOutput::Refused { .. }
                    | DeskOutput::SubBook { .. }
                    | DeskOutput::Introduction { .. }
                    | DeskOutput::Alert(_) => {}
                }
                mail.deliver(output);
            }
        };
        self.endings.watch_task("mail", tokio::spawn(deliver));
    }

    /// Keeps market time by the broker's clock, and asks for a restart when the calendar changes or runs out.
    pub(super) fn clock(&self) {
        let (clock, alpaca) = (self.prepared.clock.clone(), self.prepared.alpaca.clone());
        let (endings, mut stopped) = (self.endings.clone(), self.stopped.clone());
        let mut almanac = Almanac::new(self.prepared.sessions.clone(), clock.now());
        let keep = async move {
            loop {
                let wait = clock.real_until(clock.now() + CLOCK_EVERY).max(CLOCK_FLOOR);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = stopped.wait_for(|stop| *stop) => return,
                }
                let asked = Instant::now();
                let told = alpaca.clock().await;
                let unheard =
                    |error: &BrokerError| tracing::debug!(%error, "the broker did not say the time");
                let mut told = told.inspect_err(unheard).ok();
                // An answer that was long under way tells an old time.
                if asked.elapsed() < CLOCK_LATE
                    && let Some(answer) = told
                    && !clock.correct(answer.now)
                {
                    let told_now = answer.now;
                    tracing::warn!(%told_now, "the broker tells a wild time: its next answer has to agree");
                    told = None;
                }
                if let Some(reason) = almanac.keep(&*alpaca, told, clock.now()).await {
                    endings.give(Ending::Drain { reason });
                    return;
                }
            }
        };
        self.endings.watch_task("the clock", tokio::spawn(keep));
    }

    /// Tells strategies the time, and proves every loop's life where no watchdog does.
    pub(super) fn ticks(&self) {
        let (clock, loops) = (self.prepared.clock.clone(), self.prepared.figures.loops.clone());
        let (roster, lease) = (self.prepared.plugins.roster.clone(), self.prepared.lease.clone());
        let mut stopped = self.stopped.clone();
        let tick = async move {
            let mut nonce = 0;
            loop {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    _ = stopped.wait_for(|stop| *stop) => return,
                }
                let now = clock.now();
                for strategy in &*roster.members() {
                    strategy.inbox.push(StrategyEvent::Tick(now));
                }
                if !lease.is_watched() {
                    nonce += 1;
                    loops.probe(nonce);
                }
            }
        };
        self.endings.watch_task("the ticker", tokio::spawn(tick));
    }

    /// Says when the folder of the plugins is not looked at any more.
    pub(super) fn looks(&self) {
        let (looks, mut stopped) = (self.prepared.figures.looks.clone(), self.stopped.clone());
        let judge = async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(LOOKS_JUDGED_EVERY) => {}
                    _ = stopped.wait_for(|stop| *stop) => return,
                }
                looks.judge(ambient::boot_now()).into_iter().for_each(Said::log);
            }
        };
        self.endings.watch_task("the judge of the looks", tokio::spawn(judge));
    }

    fn reins(&self, name: &'static str) -> Reins {
        let (sender, probes) = mpsc::channel(PROBES);
        let pulse = Arc::new(Pulse::default());
        let probe = Box::new(move |nonce| {
            let _ = sender.try_send(nonce);
        });
        self.prepared.figures.loops.add(name, pulse.clone(), probe);
        Reins { pulse, probes, shutdown: self.stopped.clone() }
    }
}

/// Trade updates go to the desk's queue; a full queue makes the stream wait, no update is dropped.
struct ToDesk(mpsc::Sender<DeskInput>);

impl ToDesk {
    async fn send(&self, input: DeskInput) {
        // The desk is gone only when the host ends.
        let _ = self.0.send(input).await;
    }
}

impl UpdateSink for ToDesk {
    async fn update(&mut self, update: TradeUpdate) {
        self.send(DeskInput::Update(update)).await;
    }

    async fn up(&mut self) {
        self.send(DeskInput::OrderStreamUp).await;
    }

    async fn down(&mut self) {
        self.send(DeskInput::OrderStreamDown).await;
    }
}
