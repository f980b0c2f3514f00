//! The loops of a running host, each started with its pulse, its probe and its way to end.

use std::{sync::Arc, time::Duration};

use sandpit_broker::{Broker, OrderFeed, Subscription};
use sandpit_execution::{Desk, DeskEnd, DeskInput, DeskOutput};
use sandpit_ingest::{Ingest, IngestConfig, IngestStats, Reins, UpdateLoop, UpdateSink, UpdateStats};
use sandpit_store::Store;
use sandpit_strategy::StrategyEvent;
use sandpit_types::{MarketClock, MarketTime, Pulse, TradeUpdate};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};

use super::{
    ending::{Ending, Endings},
    prepare::Parts,
};
use crate::{dry_run::DryRun, fan_out::fan_out, review::Reviewer, strategies::Mail};

/// Outputs of the desk that may wait for the strategies.
const DESK_OUTPUTS: usize = 4_096;
/// Nonces that may wait for a loop.
const PROBES: usize = 16;
/// How often strategies learn of the time, and without a watchdog every loop is probed; real time.
const TICK: Duration = Duration::from_millis(100);
/// How often the broker is asked for the time, market time.
const CLOCK_EVERY: Duration = Duration::from_secs(60);
/// And never more often than this, real time.
const CLOCK_FLOOR: Duration = Duration::from_secs(2);
/// An answer about the time that took longer is not used, real time.
const CLOCK_LATE: Duration = Duration::from_secs(1);
/// With less of the calendar left the host asks to be restarted, market time.
const CALENDAR_LEFT: Duration = Duration::from_secs(3 * 86_400);

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

    /// Box 1, market data.
    pub(super) fn ingest(&self, since: MarketTime, dry_run: Option<DryRun>) -> Arc<IngestStats> {
        let prepared = self.prepared;
        let symbols = prepared.symbols();
        let subscription = Subscription {
            bars: symbols.clone(),
            quotes: symbols.clone(),
            trades: prepared.trade_symbols(),
            news: Vec::new(),
        };
        let config = IngestConfig {
            watches: IngestConfig::usual_watches(&subscription, None),
            subscription,
            canary: None,
            days: prepared.sessions.days().to_vec(),
            since,
            bars_grace: IngestConfig::BARS_GRACE,
            // A second of ours is as long as the market is compressed.
            ahead: IngestConfig::AHEAD.max(Duration::from_secs(1).mul_f64(prepared.config.clock_speed)),
            seed: prepared.seed,
        };
        let figures = &prepared.figures;
        let (tape, counts) = (figures.tape.clone(), figures.data.clone());
        let sink = fan_out(prepared.clock.clone(), dry_run, tape, counts, prepared.strategies.clone());
        let alpaca = prepared.alpaca.clone();
        let ingest = Ingest::new(config, alpaca.clone(), alpaca, prepared.clock.clone());
        let stats = ingest.stats();
        self.endings.watch_task("ingest", tokio::spawn(ingest.run(sink, self.reins("ingest"))));
        stats
    }

    /// Box 1, trade updates.
    pub(super) fn updates<O: OrderFeed>(&self, orders: Arc<O>) -> Arc<UpdateStats> {
        let updates = UpdateLoop::new(orders, self.prepared.seed.rotate_left(1));
        let stats = updates.stats();
        let sink = ToDesk(self.inputs.clone());
        self.endings.watch_task("trade updates", tokio::spawn(updates.run(sink, self.reins("updates"))));
        stats
    }

    /// Box 4, and the mail from it to the strategies.
    pub(super) fn desk<B: Broker>(
        &self,
        desk: Desk<B, Reviewer>,
        inputs: mpsc::Receiver<DeskInput>,
    ) -> JoinHandle<DeskEnd> {
        let (outputs, mail) = mpsc::channel(DESK_OUTPUTS);
        let probes = self.inputs.clone();
        // A full queue drops the nonce; the desk then proves its life by working through the queue.
        let probe = Box::new(move |nonce| drop(probes.try_send(DeskInput::Probe(nonce))));
        self.prepared.figures.loops.add("execution", desk.pulse(), probe);
        self.mail(mail);
        let (task, endings) = (tokio::spawn(desk.run(inputs, outputs)), self.endings.clone());
        tokio::spawn(async move {
            let ended = task.await;
            endings.give(Ending::Broken { what: format!("execution ended: {ended:?}") });
            ended.unwrap_or(DeskEnd::Stopped)
        })
    }

    fn mail(&self, mut outputs: mpsc::Receiver<DeskOutput>) {
        let mail = Mail::new(&self.prepared.strategies, self.prepared.clock.clone());
        let figures = self.prepared.figures.clone();
        let deliver = async move {
            while let Some(output) = outputs.recv().await {
                if let DeskOutput::Account(account) = &output {
                    figures.set_equity(account.equity);
                }
                mail.deliver(output);
            }
        };
        self.endings.watch_task("mail", tokio::spawn(deliver));
    }

    /// Keeps market time by the broker's clock, and asks for a restart before the calendar runs out.
    pub(super) fn clock(&self) {
        let (clock, alpaca) = (self.prepared.clock.clone(), self.prepared.alpaca.clone());
        let (endings, mut stopped) = (self.endings.clone(), self.stopped.clone());
        let last_close = self.prepared.sessions.days().last().map(|day| day.close);
        let renew_at = last_close.map(|close| close - CALENDAR_LEFT).filter(|at| *at > clock.now());
        let keep = async move {
            loop {
                let wait = clock.real_until(clock.now() + CLOCK_EVERY).max(CLOCK_FLOOR);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = stopped.wait_for(|stop| *stop) => return,
                }
                let asked = Instant::now();
                match alpaca.clock().await {
                    // An answer that was long under way tells an old time.
                    Ok(told) if asked.elapsed() < CLOCK_LATE => clock.set(told.now),
                    Ok(_) => tracing::debug!("the broker's answer about the time came late"),
                    Err(error) => tracing::debug!(%error, "the broker did not say the time"),
                }
                if renew_at.is_some_and(|at| clock.now() > at) {
                    endings.give(Ending::Drain { reason: "the calendar has to be read again".into() });
                    return;
                }
            }
        };
        self.endings.watch_task("the clock", tokio::spawn(keep));
    }

    /// Tells strategies the time, and proves every loop's life where no watchdog does.
    pub(super) fn ticks(&self) {
        let (clock, loops) = (self.prepared.clock.clone(), self.prepared.figures.loops.clone());
        let (strategies, lease) = (self.prepared.strategies.clone(), self.prepared.lease.clone());
        let mut stopped = self.stopped.clone();
        let tick = async move {
            let mut nonce = 0;
            loop {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    _ = stopped.wait_for(|stop| *stop) => return,
                }
                let now = clock.now();
                for strategy in &strategies {
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
