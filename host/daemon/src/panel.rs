//! The panel's hands in the host: what an operator does there goes the way of the control socket, and what
//! the page remembers comes from the records.

mod watchdog;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use sandpit_control::{Deed, Done, Refused, Scope, Wish};
use sandpit_monitor::{
    AuditLine, Deeds, Denied, EquityPoint, Fence, History, PanelParts, PanicStep, Promise,
};
use sandpit_store::{Reader, Span};
use sandpit_types::{MarketClock, MarketTime};
use tokio::sync::mpsc;

use crate::{
    ambient,
    clock::BrokerClock,
    config::Config,
    control::Clerk,
    flag,
    run::{Ending, Endings},
};

/// Who asks, in the audit log: the token does not say who holds it.
const OPERATOR: &str = "panel";
/// Steps of a panic that may wait for a page.
const PANIC_STEPS: usize = 64;
/// The plot begins so long before now, market time.
const CURVE_BACK: Duration = Duration::from_secs(7 * 86_400);
const NANOS_A_MS: i64 = 1_000_000;

/// What the panel does, once there is a host to do it.
pub(crate) struct Hands {
    watchdog_socket: PathBuf,
    kill_switch_file: PathBuf,
    clock: Arc<BrokerClock>,
    endings: OnceLock<Endings>,
    clerk: OnceLock<Arc<Clerk>>,
    records: OnceLock<Reader>,
}

impl Hands {
    /// Hands of a host that has not begun to trade.
    pub(crate) fn new(config: &Config, clock: Arc<BrokerClock>) -> Self {
        Self {
            watchdog_socket: config.watchdog_socket.clone(),
            kill_switch_file: config.kill_switch_file.clone(),
            clock,
            endings: OnceLock::new(),
            clerk: OnceLock::new(),
            records: OnceLock::new(),
        }
    }

    /// The way to end the host. Called once in a life, as are the next two.
    pub(crate) fn set_endings(&self, endings: Endings) {
        let _ = self.endings.set(endings);
    }

    /// The records are open.
    pub(crate) fn set_records(&self, reader: Reader) {
        let _ = self.records.set(reader);
    }

    /// The desk runs.
    pub(crate) fn set_clerk(&self, clerk: Arc<Clerk>) {
        let _ = self.clerk.set(clerk);
    }

    fn obey(&self, deed: Deed, reason: &'static str) -> Promise<Result<String, Denied>> {
        let clerk = self.clerk.get().cloned();
        Box::pin(async move {
            let clerk = clerk
                .ok_or_else(|| Denied::Busy("the host is still starting: nothing was done".to_owned()))?;
            let wish = Wish { deed, reason: reason.to_owned(), operator: None };
            clerk.obey(&wish, OPERATOR.to_owned()).await.map(said).map_err(denied)
        })
    }
}

/// The panel's parts of a host with this configuration.
pub(crate) fn parts(config: &Config, hands: &Arc<Hands>) -> PanelParts {
    let section = &config.panel;
    let mut hosts = section.hosts.clone();
    hosts.push(config.listen.to_string());
    PanelParts {
        hosts,
        trusted_proxies: section.trusted_proxies.clone(),
        plain_http_from: section.plain_http_from.clone(),
        is_read_only: section.read_only,
        random: ambient::fill,
        clock: Arc::new(|| Duration::from_nanos(ambient::boot_now().as_nanos())),
        deeds: hands.clone(),
        history: hands.clone(),
    }
}

fn denied(refused: Refused) -> Denied {
    match refused {
        Refused::Wrong(what) | Refused::NotAllowed(what) | Refused::OtherHost(what) => Denied::Wrong(what),
        Refused::Busy(what) => Denied::Busy(what),
        Refused::Unanswered(what) => Denied::Unanswered(what),
    }
}

fn said(done: Done) -> String {
    match done {
        Done::Cancelling { .. } => {
            "The order is being cancelled; it may still fill until the broker says that it is over."
                .to_owned()
        }
        Done::Over { status, filled } => {
            format!("The order is over already: {status}, {filled} shares filled.")
        }
        Done::Unknown => "There is no such order.".to_owned(),
        Done::Paused { before: None, orders } => {
            format!("Paused; {} of its open entries are being cancelled.", orders.len())
        }
        Done::Paused { before: Some(before), .. } => format!("It was paused already: {before}."),
        Done::Resumed { was } => format!("It goes on. It was paused for: {was}."),
        Done::NotPaused => "It was not paused.".to_owned(),
        Done::Frozen { .. } | Done::Unfrozen { .. } | Done::NotFrozen | Done::StaysFrozen { .. } => {
            "Done.".to_owned()
        }
    }
}

impl Deeds for Hands {
    fn cancel(&self, client_order_id: String) -> Promise<Result<String, Denied>> {
        self.obey(Deed::Cancel(Scope::Order(client_order_id)), "cancelled in the panel")
    }

    fn pause(&self, strategy: String) -> Promise<Result<String, Denied>> {
        self.obey(Deed::Pause { strategy }, "paused in the panel")
    }

    fn resume(&self, strategy: String) -> Promise<Result<String, Denied>> {
        self.obey(Deed::Resume { strategy }, "resumed in the panel")
    }

    fn panic(&self, reason: String) -> mpsc::Receiver<PanicStep> {
        let (steps, told) = mpsc::channel(PANIC_STEPS);
        let (socket, file) = (self.watchdog_socket.clone(), self.kill_switch_file.clone());
        let endings = self.endings.get().cloned();
        let reason = format!("panel: {}", if reason.trim().is_empty() { "no reason given" } else { &reason });
        tracing::error!(%reason, event = "killed", "[KILL] the panic button of the panel");
        // Not on the runtime: what hangs there must not keep a kill waiting.
        let pull = {
            let (steps, reason) = (steps.clone(), reason.clone());
            move || {
                if !watchdog::kill(&socket, &reason, &steps) {
                    by_flag(&file, endings, &reason, &steps);
                }
            }
        };
        if std::thread::Builder::new().name("panic".into()).spawn(pull).is_err() {
            by_flag(&self.kill_switch_file, self.endings.get().cloned(), &reason, &steps);
        }
        told
    }

    fn fence(&self) -> Promise<Fence> {
        let socket = self.watchdog_socket.clone();
        Box::pin(async move {
            let ask = tokio::task::spawn_blocking(move || watchdog::fence(&socket));
            ask.await.ok().flatten().unwrap_or_default()
        })
    }
}

/// Nobody answers at the watchdog's socket: its flag, which it finds as soon as it runs, and the host's own
/// end.
fn by_flag(file: &std::path::Path, endings: Option<Endings>, reason: &str, steps: &mpsc::Sender<PanicStep>) {
    let is_there = flag::raise(file, reason);
    let file = file.display();
    let step = if is_there {
        let sentence = format!(
            "The watchdog does not answer. The kill switch file {file} is there now: this host ends, and a \
             watchdog kills as soon as it runs. Nobody proves yet that nothing is open at the broker."
        );
        PanicStep::Flag { sentence }
    } else {
        let sentence = format!(
            "The watchdog does not answer, and the kill switch file {file} cannot be written. This host ends \
             and sends nothing more; cancel what is open at the broker itself."
        );
        PanicStep::Failed { sentence }
    };
    // The page may be gone; the kill goes on.
    let _ = steps.try_send(step);
    if let Some(endings) = endings {
        endings.give(Ending::Kill { reason: reason.to_owned() });
    }
}

impl History for Hands {
    fn audit(&self, lines: usize) -> Promise<Result<Vec<AuditLine>, String>> {
        let records = self.records.get().cloned();
        Box::pin(async move {
            let records = records.ok_or_else(not_open)?;
            let rows = records.newest_audit(lines).await.map_err(|error| error.to_string())?;
            let line = |row: sandpit_store::AuditRead| AuditLine {
                time: row.time.to_string(),
                actor: row.actor,
                name: row.name,
                action: row.action,
                client_id: row.client_id,
                symbol: row.symbol,
                detail: row.detail,
            };
            Ok(rows.into_iter().map(line).collect())
        })
    }

    fn equity(&self, after_ms: Option<i64>) -> Promise<Result<Vec<EquityPoint>, String>> {
        let records = self.records.get().cloned();
        let begin = self.clock.now() - CURVE_BACK;
        let from = after_ms.map_or(begin, |ms| MarketTime::from_nanos((ms + 1).saturating_mul(NANOS_A_MS)));
        Box::pin(async move {
            let records = records.ok_or_else(not_open)?;
            let page = records.equity(Span { from, ..Span::ALL }, None).await;
            let rows = page.map_err(|error| error.to_string())?.rows;
            let point = |row: &sandpit_store::EquityRead| EquityPoint {
                at_ms: row.time.as_nanos() / NANOS_A_MS,
                usd: row.equity.to_f64(),
            };
            Ok(rows.iter().map(point).collect())
        })
    }
}

fn not_open() -> String {
    "the records are not open yet".to_owned()
}

#[cfg(test)]
mod tests;
