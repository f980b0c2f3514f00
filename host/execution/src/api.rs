//! What goes in and out of the desk.

mod instruction;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sandpit_broker::BrokerError;
use sandpit_cores::{
    orders::Books,
    reconcile::{Claim, PositionDifference, Standing},
};
use sandpit_risk::Approved;
use sandpit_store::StoreError;
use sandpit_types::{
    Account, ClientOrderId, Fill, HostEpoch, Intent, Leg, MarketTime, OrderKind, OrderStatus, OrderUpdate,
    Price, Qty, Quote, Refusal, Side, StrategyName, StrategyOrderId, Submit, Symbol, TradeUpdate, Usd,
};

pub use self::instruction::{Answer, CancelScope, Deed, Instruction};

/// Box 3 as the desk sees it.
pub trait Review: Send + 'static {
    /// Passes an order through the gates. `replaces` is the order whose place it takes: what that one may
    /// still fill is not counted beside it.
    ///
    /// # Errors
    /// The first objection. The order is not sent.
    fn review(
        &mut self,
        strategy: &StrategyName,
        submit: &Submit,
        replaces: Option<&ClientOrderId>,
        books: &Books,
        now: MarketTime,
    ) -> Result<Approved, Refusal>;

    /// Whether an order that leaves a symbol would pass if the strategy's own open orders in it were gone.
    /// Nothing is approved or counted by it.
    ///
    /// # Errors
    /// The first objection.
    fn may_leave(
        &self,
        strategy: &StrategyName,
        exit: &Submit,
        books: &Books,
        now: MarketTime,
    ) -> Result<(), Refusal>;

    /// The account was read again. It was asked for at `asked_at`: what happened since may not be in it.
    /// `cash` is how its cash stands to what fills and activities make. No account is told of before the
    /// activities were read in this life.
    fn account(&mut self, account: &Account, cash: Standing, asked_at: MarketTime);

    /// The owner put money in (above zero) or took it out: no profit and no loss. The broker dates it
    /// `dated`, which for a row that has only a date is the start of that day, and it is learned `now`.
    fn transfer(&mut self, net: Usd, dated: MarketTime, now: MarketTime);

    /// The newest quote of a symbol, if it is young enough to trade on.
    fn quote(&self, symbol: &Symbol, now: MarketTime) -> Option<Quote>;

    /// A fill was counted; all our strategies together hold `held` of its symbol after it.
    fn filled(&mut self, _fill: &Fill, _held: Qty) {}

    /// What earlier lives gave to be kept, by name: said once, before anything else.
    fn restore(&mut self, _facts: &BTreeMap<String, String>) {}

    /// What has to outlive the process and has changed since it was last asked for, by name.
    fn facts(&mut self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// What the desk is told.
#[expect(clippy::large_enum_variant, reason = "most inputs are updates; a box would cost each an allocation")]
#[derive(Clone, Debug)]
pub enum DeskInput {
    /// A strategy wants something. Timers are not the desk's: they are passed over.
    Intents {
        /// Who.
        strategy: StrategyName,
        /// Which life of it, counted within this life of the host.
        incarnation: u32,
        /// What, in order.
        intents: Vec<Intent>,
    },
    /// The order stream brought something.
    Update(TradeUpdate),
    /// The order stream is up, possibly again: what it missed is asked for before entries are allowed.
    OrderStreamUp,
    /// The order stream is down: fills are not seen as they happen.
    OrderStreamDown,
    /// A strategy was taken away: cancel all its orders.
    CancelStrategy(StrategyName),
    /// A strategy was taken away and its orders are kept: what only waits for its place is none, and is
    /// withdrawn. What has begun goes on: symbols that are being left.
    WithdrawPlanned(StrategyName),
    /// A strategy is quarantined: tell a human, and cancel all its orders.
    Quarantined {
        /// Who.
        strategy: StrategyName,
        /// Why.
        reason: String,
    },
    /// A strategy trades these no longer: cancel its orders in them.
    CancelSymbols {
        /// Whose.
        strategy: StrategyName,
        /// Which.
        symbols: Vec<Symbol>,
    },
    /// A strategy comes while the desk works: tell what it holds and what of its orders is open.
    Introduce(StrategyName),
    /// Whose orders become ours from now on, though others placed them.
    Claims(Vec<Claim>),
    /// A person wants something, and is told what came of it: [`DeskOutput::Answer`].
    Instruction(Instruction),
    /// A signal of the host's rules wants nothing sent that adds risk until a person lifts it.
    Freeze {
        /// Which, in one sentence.
        reason: String,
    },
    /// Answer this nonce by the pulse.
    Probe(u64),
    /// Take no more orders, resolve what is open-ended, save, and end.
    Drain,
    /// Save and end.
    Stop,
}

/// An open order as its strategy is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOrder {
    /// The strategy's id of it; of a leg, that of the order it belongs to.
    pub id: StrategyOrderId,
    /// Which exit, when it is a leg.
    pub leg: Option<Leg>,
    /// Which symbol.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// Shares asked for.
    pub qty: Qty,
    /// Shares filled so far.
    pub filled_qty: Qty,
    /// What kind, with its prices.
    pub kind: OrderKind,
    /// Where it stands.
    pub status: OrderStatus,
}

/// What a strategy has to know at its start, by the books: [`DeskOutput::Introduction`].
pub fn introduction(books: &Books, strategy: &StrategyName) -> DeskOutput {
    let held = books.sub_books().filter(|(owner, ..)| *owner == strategy);
    let held = held.map(|(_, symbol, book)| (symbol.clone(), book.qty, book.avg_price())).collect();
    let open = books.open_as_told(strategy).map(|(id, leg, order)| KnownOrder {
        id,
        leg,
        symbol: order.request.symbol.clone(),
        side: order.request.side,
        qty: order.request.qty,
        filled_qty: order.filled_in_all(),
        kind: order.request.kind,
        status: order.state().status(),
    });
    DeskOutput::Introduction { strategy: strategy.clone(), held, open: open.collect() }
}

/// What the desk tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeskOutput {
    /// An order stands elsewhere now.
    Order {
        /// Whose it is.
        strategy: StrategyName,
        /// How it stands.
        update: OrderUpdate,
    },
    /// An order filled, in part or wholly.
    Fill {
        /// Whose it is.
        strategy: StrategyName,
        /// The strategy's id of the order; of a leg, that of the order it belongs to.
        id: StrategyOrderId,
        /// Which exit, when a leg filled.
        leg: Option<Leg>,
        /// The fill.
        fill: Fill,
    },
    /// An intent was not carried out.
    Refused {
        /// Whose it was.
        strategy: StrategyName,
        /// The strategy's id of the order.
        id: StrategyOrderId,
        /// Why.
        refusal: Refusal,
    },
    /// What a strategy holds of a symbol now. Sent for everything held at the start, then after every fill.
    SubBook {
        /// Whose.
        strategy: StrategyName,
        /// Of what.
        symbol: Symbol,
        /// Shares; negative when short.
        qty: Qty,
        /// Average price of the shares held; zero when flat.
        avg_price: Price,
    },
    /// What a strategy has to know at its start. What became of its orders before is in it, and everything
    /// that it is told later comes after it.
    Introduction {
        /// Whose.
        strategy: StrategyName,
        /// What it holds: of what, how many shares, at which average price.
        held: Vec<(Symbol, Qty, Price)>,
        /// Its open orders, by the names that it has for them.
        open: Vec<KnownOrder>,
    },
    /// The account, as the broker has just reported it.
    Account(Account),
    /// The order stream does not tell what REST shows: drop it and open a new one. Said once; then not again
    /// before it has been down and up.
    StreamSuspect {
        /// Which connection: how many times the desk had been told that the stream is up.
        connection: u64,
        /// What it has not told.
        reason: String,
    },
    /// What came of what a person wanted.
    Answer {
        /// That of the [`Instruction`].
        ticket: u64,
        /// What.
        answer: Answer,
    },
    /// Something a human has to see.
    Alert(String),
}

/// How the desk works. Spans are market time unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskConfig {
    /// This life of the host.
    pub epoch: HostEpoch,
    /// The mode of the host, such as `paper`: a database belongs to one account in one mode.
    pub mode: &'static str,
    /// How often open orders are asked for while there are any and the order stream is up: the fill event of
    /// an acknowledged order may never arrive (Lean.Brokerages.Alpaca#28), and a mute stream has to be
    /// noticed within 75 s, [`Self::stream_grace`] and the requests included.
    pub poll_every: Duration,
    /// The same while the order stream is down: nothing else tells of them. These polls cannot starve behind
    /// entries, which are refused then.
    pub poll_every_down: Duration,
    /// How long the order stream may owe what REST has shown, before it is suspect.
    pub stream_grace: Duration,
    /// How often the account is read.
    pub account_every: Duration,
    /// How often positions are compared with the books.
    pub positions_every: Duration,
    /// How often the activities are read, unless something asks for them sooner.
    pub activities_every: Duration,
    /// Whose orders become ours, though others placed them.
    pub claims: Vec<Claim>,
    /// How long a commit may take before new orders are refused.
    pub commit_within: Duration,
    /// How long a drain may take, real time; what is unresolved then is resolved by the next life.
    pub drain_within: Duration,
}

impl DeskConfig {
    /// Open orders are never listed more often than this, real time.
    pub const POLL_FLOOR: Duration = Duration::from_secs(1);
    /// Nor than this while the order stream is down.
    pub const POLL_DOWN_FLOOR: Duration = Duration::from_millis(500);
    /// The order stream may always be so far behind REST, real time.
    pub const GRACE_FLOOR: Duration = Duration::from_secs(2);
    /// Activities are never read more often than this without a reason, real time.
    pub const ACTIVITIES_FLOOR: Duration = Duration::from_secs(5);

    /// A disk may always take so long, real time.
    pub const COMMIT_FLOOR: Duration = Duration::from_secs(3);

    /// The usual spans for one life of the host.
    pub const fn new(epoch: HostEpoch) -> Self {
        Self {
            epoch,
            mode: "paper",
            poll_every: Duration::from_secs(25),
            poll_every_down: Duration::from_secs(5),
            stream_grace: Duration::from_secs(5),
            account_every: Duration::from_secs(10),
            positions_every: Duration::from_secs(60),
            activities_every: Duration::from_secs(60),
            claims: Vec::new(),
            commit_within: Self::COMMIT_FLOOR,
            drain_within: Duration::from_secs(5),
        }
    }

    /// For a market that runs `speed` times faster: what has to do with the order stream stays long enough in
    /// real time, because requests, messages and disks do not get faster.
    #[must_use]
    pub fn at_speed(mut self, speed: f64) -> Self {
        let floor = |span: Duration, real: Duration| span.max(real.mul_f64(speed.max(1.0)));
        self.poll_every = floor(self.poll_every, Self::POLL_FLOOR);
        self.poll_every_down = floor(self.poll_every_down, Self::POLL_DOWN_FLOOR);
        self.stream_grace = floor(self.stream_grace, Self::GRACE_FLOOR);
        self.activities_every = floor(self.activities_every, Self::ACTIVITIES_FLOOR);
        self.commit_within = floor(self.commit_within, Self::COMMIT_FLOOR);
        self
    }
}

/// What reconciling at the start found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciled {
    /// The account.
    pub account: Account,
    /// Orders of ours that are open now.
    pub open: usize,
    /// Orders of ours that the store lacked and the broker has.
    pub adopted: usize,
    /// Open orders that are not ours; they are left alone.
    pub foreign: usize,
    /// Orders of ours that the broker's list lacks. They are looked up while the desk runs, and until
    /// that is done no entries are taken.
    pub missing: usize,
    /// Fills that happened while no host was looking, of the orders that are still open at the broker.
    pub fills: usize,
    /// Symbols of which the broker holds another quantity than the books, and no open order of ours can be
    /// the reason. They are disputed in the books, as are those that an order may yet explain.
    pub positions: Vec<PositionDifference>,
    /// The lives of the host that the store knew before this one.
    pub lives: BTreeSet<HostEpoch>,
}

/// Why the desk cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker does not answer, or not to us.
    #[error("cannot reconcile with the broker: {0}")]
    Broker(#[from] BrokerError),
    /// The records are another account's, or of another mode. Nothing of them was taken in.
    #[error(
        "the database holds the records of {stored} and this host trades {ours}; give each account a \
        database \
         of its own"
    )]
    OtherAccount {
        /// Whose they are: mode and account.
        stored: String,
        /// What is traded now.
        ours: String,
    },
    /// The store holds something that this version does not understand.
    #[error(
        "the database holds what this version of sandpit does not understand: {what}; run the version that \
         wrote it"
    )]
    Stored {
        /// What is not understood.
        what: String,
    },
}

/// How the desk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeskEnd {
    /// Drained as asked.
    Drained {
        /// Orders whose outcome is not known yet.
        unresolved: usize,
    },
    /// Stopped as asked, or because nobody holds the other ends of its queues any more.
    Stopped,
    /// Nothing can be recorded any more: only another start helps.
    Broken {
        /// Why.
        why: String,
    },
}
