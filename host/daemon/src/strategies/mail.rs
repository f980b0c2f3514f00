//! What the desk tells strategies, and how a strategy comes to be told anything at all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sandpit_execution::{DeskOutput, KnownOrder};
use sandpit_fanout::Roster;
use sandpit_strategy::{Inbox, StrategyEvent};
use sandpit_types::{Account, Bar, MarketClock, MarketEvent, Price, Qty, StrategyName, Symbol};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    Strategy,
    held::Held,
    letters::{FILL_WITHIN, Letter, Letters},
};

/// What a strategy has to know before the first live event.
pub(crate) struct Beginning<'a> {
    /// What it holds, and at which average price.
    pub(crate) held: Vec<(Symbol, Qty, Price)>,
    /// Its open orders.
    pub(crate) open: Vec<KnownOrder>,
    /// The account.
    pub(crate) account: &'a Account,
    /// Bars of the past, oldest first.
    pub(crate) warmup: &'a [Bar],
    /// What the market said of itself that still holds: the session that is on, the health of the data.
    pub(crate) market: &'a [MarketEvent],
}

impl Beginning<'_> {
    /// Puts it into the strategy's queue.
    pub(crate) fn feed(self, strategy: &Strategy) {
        let Account { equity, buying_power, .. } = *self.account;
        let push = |event| strategy.inbox.push(event);
        push(StrategyEvent::Account { equity, buying_power });
        for (symbol, qty, avg_price) in self.held {
            push(StrategyEvent::Position { symbol, qty, avg_price });
        }
        for KnownOrder { id, leg, symbol, side, qty, filled_qty, kind, status } in self.open {
            push(StrategyEvent::OpenOrder { id, leg, symbol, side, qty, filled_qty, kind, status });
        }
        for bar in own_warmup(self.warmup, &strategy.instruments, strategy.warmup_bars() as usize) {
            push(StrategyEvent::Warmup(bar.clone()));
        }
        for event in self.market {
            push(StrategyEvent::Market(event.clone()));
        }
    }
}

/// Of all bars, in their order, the last `count` of each of these symbols: as many as the strategy asked for.
fn own_warmup<'a>(bars: &'a [Bar], symbols: &[Symbol], count: usize) -> impl Iterator<Item = &'a Bar> {
    let mut left: BTreeMap<&Symbol, usize> = symbols.iter().map(|symbol| (symbol, count)).collect();
    let wanted = |bar: &&Bar| match left.get_mut(&bar.symbol) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        Some(_) | None => false,
    };
    let mut own: Vec<_> = bars.iter().rev().filter(wanted).collect();
    own.reverse();
    own.into_iter()
}

/// A strategy that waits for the desk's introduction.
pub(crate) struct Arrival {
    /// Who.
    pub(crate) strategy: Arc<Strategy>,
    /// Bars of the past.
    pub(crate) warmup: Vec<Bar>,
    /// See [`Beginning::market`]; asked at the last moment, for the bell may ring before.
    pub(crate) market: Box<dyn Fn() -> Vec<MarketEvent> + Send>,
    /// Told when it is on the roster.
    pub(crate) joined: oneshot::Sender<()>,
}

/// Strategies on their way onto the roster, and questions whether the desk answers, by name.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    callers: BTreeMap<StrategyName, Caller>,
    /// Mail for those who are between two versions.
    held: Held,
}

/// Who waits for an introduction.
enum Caller {
    /// A strategy that comes.
    Arrival(Box<Arrival>),
    /// Somebody who only wants to know that the desk answers.
    Asking(oneshot::Sender<()>),
}

impl Arrivals {
    /// One more. The desk has to be asked for its introduction after this.
    pub(crate) fn expect(&self, arrival: Arrival) {
        let name = arrival.strategy.name.clone();
        self.lock().callers.insert(name, Caller::Arrival(Box::new(arrival)));
    }

    /// Tells when the desk answers. It has to be asked to introduce this strategy after this.
    pub(crate) fn ask(&self, name: &StrategyName) -> oneshot::Receiver<()> {
        let (answered, answer) = oneshot::channel();
        self.lock().callers.insert(name.clone(), Caller::Asking(answered));
        answer
    }

    /// A version is about to leave, and another one of that name will come: what becomes of its orders
    /// meanwhile is kept for that one.
    pub(crate) fn hold_mail(&self, name: &StrategyName) {
        self.lock().held.begin(name);
    }

    /// The version that left did not get to these.
    pub(crate) fn hold_rest(&self, name: &StrategyName, events: Vec<StrategyEvent>) {
        self.lock().held.left(name, events);
    }

    /// Nobody of that name comes.
    pub(crate) fn drop_mail(&self, name: &StrategyName) {
        drop(self.lock().held.end(name));
    }

    /// Nobody waits for this introduction any more: should it come yet, it is passed over. Whether somebody
    /// did; if not, it came.
    pub(crate) fn forget(&self, name: &StrategyName) -> bool {
        self.take(name).is_some()
    }

    /// Puts these into the queue of a strategy, or keeps them for its next version. Under the lock, for the
    /// one before takes out what waits in its queue, and after that they would be put into it for nobody.
    /// Orders of a strategy whose plugin was taken away have nobody to tell.
    fn post(
        &self,
        name: &StrategyName,
        events: Vec<StrategyEvent>,
        inbox: impl FnOnce() -> Option<Arc<Inbox>>,
    ) {
        let mut waiting = self.lock();
        if waiting.held.is_away(name) {
            waiting.held.came(name, events);
        } else if let Some(inbox) = inbox() {
            inbox.push_together(events);
        }
    }

    fn take(&self, name: &StrategyName) -> Option<Caller> {
        self.lock().callers.remove(name)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells strategies what became of their orders.
pub(crate) struct Mail {
    roster: Arc<Roster<Strategy>>,
    arrivals: Arc<Arrivals>,
    letters: Letters,
    /// The newest.
    account: Account,
    clock: Arc<dyn MarketClock>,
}

impl Mail {
    /// Mail for whoever is on the roster.
    pub(crate) fn new(
        roster: Arc<Roster<Strategy>>,
        arrivals: Arc<Arrivals>,
        account: Account,
        clock: Arc<dyn MarketClock>,
    ) -> Self {
        Self { roster, arrivals, letters: Letters::default(), account, clock }
    }

    /// Waits for what the desk tells next; `None` at its end. What was held back for that is delivered after
    /// a while without it.
    pub(crate) async fn next(&mut self, outputs: &mut mpsc::Receiver<DeskOutput>) -> Option<DeskOutput> {
        if self.letters.is_waiting() {
            match timeout(FILL_WITHIN, outputs.recv()).await {
                Ok(Some(output)) => return Some(output),
                Ok(None) | Err(_) => self.deliver_rest(),
            }
        }
        outputs.recv().await
    }

    /// Delivers one output of the desk. Never waits.
    pub(crate) fn deliver(&mut self, output: DeskOutput) {
        match output {
            DeskOutput::Order { strategy, update } => self.to(strategy, StrategyEvent::Order(update)),
            DeskOutput::Fill { strategy, id, leg, fill } => {
                let (symbol, side, qty, price, time) =
                    (fill.symbol, fill.side, fill.qty, fill.price, fill.time);
                self.to(strategy, StrategyEvent::Fill { id, leg, symbol, side, qty, price, time });
            }
            DeskOutput::Refused { strategy, id, refusal } => {
                let time = self.clock.now();
                self.to(strategy, StrategyEvent::Refused { id, refusal, time });
            }
            DeskOutput::SubBook { strategy, symbol, qty, avg_price } => {
                self.to(strategy, StrategyEvent::Position { symbol, qty, avg_price });
            }
            DeskOutput::Introduction { strategy, held, open } => {
                self.deliver_rest();
                self.introduce(&strategy, held, open);
            }
            DeskOutput::Account(account) => {
                self.deliver_rest();
                let Account { equity, buying_power, .. } = account;
                for strategy in &*self.roster.members() {
                    strategy.inbox.push(StrategyEvent::Account { equity, buying_power });
                }
                self.account = account;
            }
            // For whoever holds the order stream, and for operators: not for strategies.
            DeskOutput::StreamSuspect { .. } | DeskOutput::Answer { .. } => {}
            DeskOutput::Alert(text) => tracing::error!(alert = %text, event = "alert", "alert"),
        }
    }

    /// What came before this is in it, and everything later finds the strategy on the roster.
    fn introduce(&self, name: &StrategyName, held: Vec<(Symbol, Qty, Price)>, open: Vec<KnownOrder>) {
        let Arrival { strategy, warmup, market, joined } = match self.arrivals.take(name) {
            Some(Caller::Arrival(arrival)) => *arrival,
            Some(Caller::Asking(answered)) => {
                // Who does not wait any more asks again.
                let _ = answered.send(());
                return;
            }
            None => return,
        };
        let (account, warmup, market) = (&self.account, &warmup, &market());
        Beginning { held, open, account, warmup, market }.feed(&strategy);
        // All of it came before the introduction: what is open or held now is in that.
        let missed = self.arrivals.lock().held.end(name);
        strategy.inbox.push_together(missed);
        self.roster.change(|members| members.push(strategy));
        // Who does not wait any more sees it on the roster.
        let _ = joined.send(());
    }

    fn to(&mut self, name: StrategyName, event: StrategyEvent) {
        let letters = self.letters.add(name, event);
        letters.into_iter().for_each(|letter| self.post(letter));
    }

    fn deliver_rest(&mut self) {
        if let Some(letter) = self.letters.rest() {
            self.post(letter);
        }
    }

    fn post(&self, Letter { to, events }: Letter) {
        let inbox = || {
            let members = self.roster.members();
            members.iter().find(|strategy| strategy.name == to).map(|strategy| strategy.inbox.clone())
        };
        self.arrivals.post(&to, events, inbox);
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{MarketTime, Refusal, StrategyOrderId, Usd};

    use super::*;
    use crate::{ambient::boot_now, clock::BrokerClock};

    #[test]
    fn warm_up_is_the_last_bars_of_the_own_symbols_in_order() {
        let bar = |symbol: &str, minute: i64| Bar {
            symbol: Symbol::new(symbol),
            start: MarketTime::from_secs(60 * minute),
            open: 1.0,
            high: 1.0,
            low: 1.0,
            close: 1.0,
            volume: 1,
            vwap: 1.0,
        };
        let bars = [bar("A", 1), bar("B", 1), bar("A", 2), bar("C", 2), bar("A", 3), bar("B", 3)];
        let own = [Symbol::new("A"), Symbol::new("B")];
        let got: Vec<_> = own_warmup(&bars, &own, 2).cloned().collect();
        assert_eq!(got, [bar("B", 1), bar("A", 2), bar("A", 3), bar("B", 3)]);
        assert_eq!(own_warmup(&bars, &own, 0).count(), 0);
    }

    #[test]
    fn mail_for_one_that_is_leaving_is_for_its_next_version() {
        let (arrivals, inbox) = (Arrivals::default(), Arc::new(Inbox::new([])));
        let sma = StrategyName::parse("sma").expect("a name");
        let refused = |id: u64| {
            let (id, refusal) = (StrategyOrderId(id), Refusal::Late);
            vec![StrategyEvent::Refused { id, refusal, time: MarketTime::EPOCH }]
        };
        let post = |id: u64| {
            arrivals.post(&sma, refused(id), || {
                assert!(arrivals.0.try_lock().is_err(), "it could leave meanwhile");
                Some(inbox.clone())
            });
        };
        post(1);
        arrivals.hold_mail(&sma);
        // It is on the roster still.
        post(2);
        arrivals.hold_rest(&sma, inbox.rest());
        post(3);
        assert_eq!(inbox.rest(), []);
        assert_eq!(arrivals.lock().held.end(&sma), [refused(1), refused(2), refused(3)].concat());
        post(4);
        assert_eq!(inbox.rest(), refused(4));
    }

    #[test]
    fn an_introduction_answers_whoever_still_waits_for_it() {
        let (roster, arrivals) = (Arc::new(Roster::default()), Arc::new(Arrivals::default()));
        let clock = Arc::new(BrokerClock::new(MarketTime::EPOCH, 1.0, boot_now));
        let account = Account {
            id: String::new(),
            equity: Usd::ZERO,
            last_equity: Usd::ZERO,
            cash: Usd::ZERO,
            buying_power: Usd::ZERO,
            trading_blocked: false,
        };
        let mut mail = Mail::new(roster.clone(), arrivals.clone(), account, clock);
        let sma = StrategyName::parse("sma").expect("a name");
        let mut introduce = || {
            let (held, open) = (Vec::new(), Vec::new());
            mail.deliver(DeskOutput::Introduction { strategy: sma.clone(), held, open });
        };
        introduce();
        let mut answer = arrivals.ask(&sma);
        answer.try_recv().expect_err("not yet");
        introduce();
        assert_eq!(answer.try_recv(), Ok(()));
        assert!(!arrivals.forget(&sma), "it came");
        let mut late = arrivals.ask(&sma);
        assert!(arrivals.forget(&sma));
        introduce();
        late.try_recv().expect_err("it was given up");
        assert!(roster.members().is_empty());
    }
}
