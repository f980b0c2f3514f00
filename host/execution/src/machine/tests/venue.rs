//! A broker in memory: orders, their legs, their replacements, and what the stream tells of them.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use sandpit_types::{
    Account, Activity, BrokerOrder, BrokerOrderId, Change, ClientOrderId, Deed, ExecutionId, HostEpoch, Leg,
    MarketTime, OrderClass, OrderKind, OrderRequest, OrderStatus, Price, Qty, Side, TimeInForce, TradeEvent,
    TradeUpdate, Usd,
};

use super::world::{name, qty, spy};

/// A request that reaches the broker, now or later.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    Post(OrderRequest),
    Patch { old: BrokerOrderId, by: ClientOrderId, change: Change },
}

pub(super) struct VenueOrder {
    pub(super) shown: BrokerOrder,
    executions: u32,
    /// Shares that the orders before it filled, whether or not its report includes them.
    before: Qty,
    kin: Option<Kin>,
    /// The order that is to take its place.
    replaced_by: Option<usize>,
    /// Whether the broker made it for another order.
    is_leg: bool,
    /// It waits for the order that it replaces.
    waits: bool,
    /// Whether that one is a leg that is not in force.
    was_held: bool,
}

/// How it belongs to a group.
#[derive(Clone, Copy, Debug)]
struct Kin {
    group: usize,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Entry,
    TakeProfit,
    StopLoss,
}

#[derive(Default)]
pub(super) struct Venue {
    pub(super) orders: Vec<VenueOrder>,
    pub(super) posts: BTreeMap<ClientOrderId, u32>,
    pub(super) stream: VecDeque<TradeUpdate>,
    /// Whether orders are queued, as for the next session, and not announced before they are routed.
    pub(super) queues: bool,
    /// Whether a replacement stays under way until it is finished by hand.
    pub(super) replaces_slowly: bool,
    /// Whether it gives a replacement another client id than it was asked to.
    pub(super) renames: bool,
    /// An order that it does not show when it is asked for.
    pub(super) hidden: Option<usize>,
    /// Whether the report of a replacement counts from zero, not from what the old order has filled.
    pub(super) counts_apart: bool,
    /// Whether nothing is told of the end of legs (alpaca-py#198).
    pub(super) hides_ends_of_legs: bool,
    /// Whether legs are shown with their parent only when it is asked for by the broker's id.
    pub(super) hides_legs: bool,
    /// Whether it is asked where its legs are not known yet.
    pub(super) lacks_legs: bool,
    /// Whether the list of open orders is empty.
    pub(super) lists_nothing: bool,
    /// Whether held legs are missing in lists (alpaca-trade-api-python#322).
    pub(super) lists_no_held: bool,
    /// Rows of the account's activities, in order.
    pub(super) rows: Vec<Activity>,
    /// Cash beside that of the rows: what nothing explains.
    pub(super) unexplained: Usd,
    pub(super) on_the_way: Vec<(MarketTime, Sent)>,
    groups: usize,
    ids: usize,
    now: MarketTime,
}

impl Venue {
    pub(super) fn take(&mut self, sent: Sent) -> Result<BrokerOrder, ()> {
        match sent {
            Sent::Post(request) => Ok(self.accept(&request)),
            Sent::Patch { old, by, change } => {
                let by = if self.renames { format!("other-{by}") } else { by.to_string() };
                self.replace(&old, by, change)
            }
        }
    }

    pub(super) fn accept(&mut self, request: &OrderRequest) -> BrokerOrder {
        let index = self.push(request, request.client_id.to_string(), request.side, request.kind);
        let is_oco = matches!(request.class, OrderClass::Oco { .. });
        if request.class != OrderClass::Simple {
            self.groups += 1;
            let group = self.groups;
            let role = if is_oco { Role::TakeProfit } else { Role::Entry };
            self.orders[index].kin = Some(Kin { group, role });
            let exit_side = match (is_oco, request.side) {
                (true, side) => side,
                (false, Side::Buy) => Side::Sell,
                (false, Side::Sell) => Side::Buy,
            };
            for (leg, kind) in request.class.legs() {
                let name = format!("leg-{}", self.orders.len());
                let at = self.push(request, name, exit_side, kind);
                self.orders[at].is_leg = true;
                let role = if leg == Leg::TakeProfit { Role::TakeProfit } else { Role::StopLoss };
                self.orders[at].kin = Some(Kin { group, role });
                self.orders[at].shown.status = OrderStatus::Held;
                self.tell(at, TradeEvent::Other("held".into()), None);
            }
        }
        if !self.queues {
            self.route(index);
        }
        self.flat(index)
    }

    fn push(&mut self, request: &OrderRequest, client_id: String, side: Side, kind: OrderKind) -> usize {
        let id = self.next_id();
        let shown = BrokerOrder {
            id,
            client_id,
            symbol: request.symbol.clone(),
            side,
            qty: Some(request.qty),
            filled_qty: Qty::ZERO,
            filled_avg_price: None,
            limit_price: kind.limit_price(),
            stop_price: kind.stop_price(),
            replaces: None,
            replaced_by: None,
            legs: Vec::new(),
            status: OrderStatus::Accepted,
            submitted_at: self.now,
            updated_at: self.now,
        };
        let order = VenueOrder {
            shown,
            executions: 0,
            before: Qty::ZERO,
            kin: None,
            replaced_by: None,
            is_leg: false,
            waits: false,
            was_held: false,
        };
        self.orders.push(order);
        self.orders.len() - 1
    }

    fn next_id(&mut self) -> BrokerOrderId {
        self.ids += 1;
        BrokerOrderId::new(format!("b{}", self.ids))
    }

    /// As a POST, a list or a question by our id shows it.
    pub(super) fn flat(&self, index: usize) -> BrokerOrder {
        if self.hides_legs { self.orders[index].shown.clone() } else { self.whole(index) }
    }

    /// With its legs.
    pub(super) fn whole(&self, index: usize) -> BrokerOrder {
        let order = &self.orders[index];
        let mut shown = order.shown.clone();
        if let Some(kin) = order.kin.filter(|_| !order.is_leg && !self.lacks_legs) {
            let legs = self
                .orders
                .iter()
                .filter(|other| other.kin.is_some_and(|other| other.group == kin.group) && other.is_leg);
            shown.legs = legs.map(|leg| leg.shown.clone()).collect();
        }
        shown
    }

    /// Whether the list of open orders has it.
    pub(super) fn is_listed(&self, index: usize) -> bool {
        let is_held = self.orders[index].shown.status == OrderStatus::Held;
        !(self.lists_nothing || self.lists_no_held && is_held)
    }

    pub(super) fn by_id(&self, id: &BrokerOrderId) -> Option<usize> {
        let found = self.orders.iter().position(|order| order.shown.id == *id);
        found.filter(|index| self.hidden != Some(*index))
    }

    /// The newest order that is no leg.
    pub(super) fn newest(&self) -> usize {
        let is_ours = |order: &VenueOrder| order.shown.ours().is_some();
        self.orders.iter().rposition(is_ours).expect("there is one")
    }

    /// The exchange takes a queued order.
    pub(super) fn route(&mut self, index: usize) {
        let shown = &mut self.orders[index].shown;
        if shown.status == OrderStatus::Accepted {
            shown.status = OrderStatus::New;
            shown.updated_at = self.now;
            self.tell(index, TradeEvent::New, None);
        }
    }

    pub(super) fn place_by_hand(&mut self) {
        self.place_by_hand_of(1);
    }

    pub(super) fn place_by_hand_of(&mut self, shares: i64) {
        let client_id = ClientOrderId { strategy: name(), epoch: HostEpoch(0), sequence: 0 };
        let request = OrderRequest {
            client_id,
            symbol: spy(),
            side: Side::Buy,
            qty: qty(shares),
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: OrderClass::Simple,
        };
        self.accept(&request);
        for order in [
            &mut self.orders.last_mut().expect("it was accepted").shown,
            &mut self.stream.back_mut().expect("it was announced").order,
        ] {
            order.client_id = "by-hand".into();
        }
    }

    fn tell(&mut self, index: usize, event: TradeEvent, execution: Option<(ExecutionId, Qty, Price)>) {
        let order = self.orders[index].shown.clone();
        if self.orders[index].is_leg && self.hides_ends_of_legs && event == TradeEvent::Canceled {
            return;
        }
        let (execution_id, (qty, price)) = match execution {
            Some((id, qty, price)) => (Some(id), (Some(qty), Some(price))),
            None => (None, (None, None)),
        };
        self.stream.push_back(TradeUpdate { event, execution_id, price, qty, time: self.now, order });
    }

    /// Tells something that no state stands behind, such as a bust.
    pub(super) fn tell_oddity(&mut self, index: usize, word: &str, shares: i64) {
        let execution = (ExecutionId::new("bust"), qty(shares), Price::new(100.into()));
        self.tell(index, TradeEvent::Other(word.into()), Some(execution));
    }

    /// Sets a status that the table of statuses knows.
    pub(super) fn stand(&mut self, index: usize, status: OrderStatus) {
        let shown = &mut self.orders[index].shown;
        shown.status = status;
        shown.updated_at = self.now;
        self.tell(index, TradeEvent::Other("pending".into()), None);
    }

    /// Shares that this order itself has filled.
    pub(super) fn own(&self, index: usize) -> Qty {
        let order = &self.orders[index];
        let included = if self.counts_apart || order.waits { Qty::ZERO } else { order.before };
        (order.shown.filled_qty - included).max(Qty::ZERO)
    }

    fn room(&self, index: usize) -> Qty {
        let order = &self.orders[index];
        order.shown.qty.expect("by quantity") - order.before - self.own(index)
    }

    /// Fills up to `shares` of an order that is open.
    pub(super) fn fill(&mut self, index: usize, shares: i64) {
        let shares = self.room(index).min(qty(shares));
        let order = &self.orders[index];
        let status = &order.shown.status;
        let is_idle = matches!(status, OrderStatus::Accepted | OrderStatus::PendingNew) || order.waits;
        if status.is_terminal() || is_idle || !shares.is_positive() {
            return;
        }
        if *status == OrderStatus::Held && !self.fire(index) {
            return;
        }
        let left = self.room(index) - shares;
        let order = &mut self.orders[index];
        order.executions += 1;
        let price = Price::new((100 + order.executions).into());
        let shown = &mut order.shown;
        let value = shown.filled_avg_price.unwrap_or_default() * shown.filled_qty + price * shares;
        shown.filled_qty += shares;
        shown.filled_avg_price = Some(Price::new(value.get() / shown.filled_qty.get()));
        let is_done = !left.is_positive();
        if is_done {
            shown.status = OrderStatus::Filled;
        } else if shown.status != OrderStatus::PendingReplace && shown.status != OrderStatus::PendingCancel {
            shown.status = OrderStatus::PartiallyFilled;
        }
        shown.updated_at = self.now;
        let id = ExecutionId::new(format!("x{index}-{}", order.executions));
        let event = if is_done { TradeEvent::Fill } else { TradeEvent::PartialFill };
        let (order, symbol, side) = (shown.id.clone(), shown.symbol.clone(), shown.side);
        let cumulative = shown.filled_qty;
        self.add_row(Deed::Fill { order, symbol, side, qty: shares, price, cumulative });
        self.tell(index, event, Some((id, shares, price)));
        self.after_fill(index, is_done);
    }

    /// Money that comes (above zero) or goes without an order.
    pub(super) fn move_cash(&mut self, kind: &str, net: i64) {
        let deed = Deed::Other {
            kind: kind.into(),
            net: Usd::new(net.into()),
            symbol: None,
            qty: None,
            per_share: None,
        };
        self.add_row(deed);
    }

    /// Shares that the owner brings (above zero) or takes, with what the broker says of one.
    pub(super) fn move_shares(&mut self, kind: &str, shares: i64, each: Option<i64>) {
        let per_share = each.map(|each| Price::new(each.into()));
        let (symbol, qty) = (Some(spy()), Some(qty(shares)));
        self.add_row(Deed::Other { kind: kind.into(), net: Usd::ZERO, symbol, qty, per_share });
    }

    /// The newest row is canceled.
    pub(super) fn cancel_row(&mut self) {
        let row = self.rows.last_mut().expect("a row");
        let Deed::Other { net, qty, .. } = &mut row.deed else { panic!("an execution stays") };
        (*net, *qty) = (Usd::ZERO, None);
    }

    fn add_row(&mut self, deed: Deed) {
        let id = format!("a{:06}", self.rows.len());
        self.rows.push(Activity { id, time: self.now, deed });
    }

    pub(super) fn activities(&self, since: MarketTime) -> Vec<Activity> {
        self.rows.iter().filter(|row| row.time >= since).cloned().collect()
    }

    pub(super) fn account(&self) -> Account {
        let net = |row: &Activity| match &row.deed {
            Deed::Fill { side, qty, price, .. } => *price * -side.signed(*qty),
            Deed::Other { net, .. } => *net,
        };
        let cash = Usd::new(100_000.into()) + self.rows.iter().map(net).sum() + self.unexplained;
        let equity = Usd::new(100_000.into());
        Account {
            id: "a".to_owned(),
            equity,
            last_equity: equity,
            cash,
            buying_power: equity,
            trading_blocked: false,
        }
    }

    /// A stop-loss that is held takes over from its sibling. `false` while its entry is not filled.
    fn fire(&mut self, index: usize) -> bool {
        let Some(kin) = self.orders[index].kin else { return false };
        if let Some(entry) = self.member(kin.group, Role::Entry)
            && self.orders[entry].shown.status != OrderStatus::Filled
        {
            return false;
        }
        self.orders[index].shown.status = OrderStatus::New;
        if let Some(sibling) = self.member(kin.group, Role::TakeProfit).filter(|sibling| *sibling != index) {
            self.end(sibling);
        }
        true
    }

    /// The newest order with this role in a group.
    fn member(&self, group: usize, role: Role) -> Option<usize> {
        let is_it = |order: &VenueOrder| {
            order.kin.is_some_and(|kin| kin.group == group && kin.role == role) && !order.waits
        };
        self.orders.iter().rposition(is_it)
    }

    fn after_fill(&mut self, index: usize, is_done: bool) {
        let Some(kin) = self.orders[index].kin else { return };
        let stop_loss = self.member(kin.group, Role::StopLoss);
        match kin.role {
            Role::Entry if is_done => {
                let first = self.member(kin.group, Role::TakeProfit).or(stop_loss);
                if let Some(first) =
                    first.filter(|first| self.orders[*first].shown.status == OrderStatus::Held)
                {
                    self.orders[first].shown.status = OrderStatus::New;
                    self.orders[first].shown.updated_at = self.now;
                    self.tell(first, TradeEvent::New, None);
                }
            }
            Role::TakeProfit => {
                let left = self.room(index);
                if let Some(stop_loss) = stop_loss {
                    if is_done {
                        self.end(stop_loss);
                    } else if !self.orders[stop_loss].shown.status.is_terminal() {
                        self.orders[stop_loss].shown.qty = Some(left);
                    }
                }
            }
            Role::Entry | Role::StopLoss => {}
        }
    }

    /// An order ends without being filled, and with it those that do not live without it.
    pub(super) fn cancel(&mut self, index: usize) -> bool {
        let order = &self.orders[index];
        let is_replacing = order.shown.status == OrderStatus::PendingReplace || order.waits;
        if order.shown.status.is_terminal() || is_replacing {
            return false;
        }
        self.end(index);
        true
    }

    fn end(&mut self, index: usize) {
        if self.orders[index].shown.status.is_terminal() {
            return;
        }
        if let Some(next) = self.orders[index].replaced_by.take() {
            self.orders[next].shown.status = OrderStatus::Rejected;
            self.orders[next].shown.updated_at = self.now;
            self.tell(next, TradeEvent::Rejected, None);
        }
        let shown = &mut self.orders[index].shown;
        shown.status = OrderStatus::Canceled;
        shown.updated_at = self.now;
        self.tell(index, TradeEvent::Canceled, None);
        let Some(kin) = self.orders[index].kin else { return };
        for role in [Role::TakeProfit, Role::StopLoss] {
            if let Some(other) = self.member(kin.group, role).filter(|other| *other != index) {
                // An exit that has taken over is not cancelled with the one that it took over from.
                let has_fired = role == Role::StopLoss
                    && kin.role == Role::TakeProfit
                    && self.orders[other].shown.status != OrderStatus::Held;
                if !has_fired {
                    self.end(other);
                }
            }
        }
    }

    fn replace(&mut self, old: &BrokerOrderId, by: String, change: Change) -> Result<BrokerOrder, ()> {
        let (old, new_id) = (self.by_id(old).ok_or(())?, self.next_id());
        let order = &self.orders[old].shown;
        let is_open =
            matches!(order.status, OrderStatus::New | OrderStatus::PartiallyFilled | OrderStatus::Held);
        let total = change.qty.or(order.qty).expect("by quantity");
        let filled = self.orders[old].before + self.own(old);
        if !is_open || total <= filled {
            return Err(());
        }
        let was_held = order.status == OrderStatus::Held;
        let mut shown = order.clone();
        shown.id = new_id;
        shown.client_id = by;
        shown.qty = Some(total);
        shown.limit_price = change.limit_price.or(shown.limit_price);
        shown.stop_price = change.stop_price.or(shown.stop_price);
        (shown.filled_qty, shown.filled_avg_price) = (Qty::ZERO, None);
        (shown.submitted_at, shown.updated_at) = (self.now, self.now);
        shown.replaces = Some(order.id.clone());
        shown.status = OrderStatus::PendingNew;
        let (kin, is_leg) = (self.orders[old].kin, self.orders[old].is_leg);
        let before = Qty::ZERO;
        let (replaced_by, waits) = (None, true);
        let next = VenueOrder { shown, executions: 0, before, kin, replaced_by, is_leg, waits, was_held };
        self.orders.push(next);
        let new = self.orders.len() - 1;
        self.orders[old].replaced_by = Some(new);
        self.stand(old, OrderStatus::PendingReplace);
        if !self.replaces_slowly {
            self.finish_replace(old);
        }
        Ok(self.flat(new))
    }

    /// The replacement that is under way succeeds, or fails because the old order has filled too far.
    pub(super) fn finish_replace(&mut self, old: usize) {
        let Some(new) = self.orders[old].replaced_by.take() else { return };
        let filled = self.orders[old].before + self.own(old);
        let is_over = self.orders[old].shown.status.is_terminal();
        if is_over || self.orders[new].shown.qty.is_some_and(|total| total <= filled) {
            if !is_over {
                self.orders[old].shown.status =
                    if filled.is_zero() { OrderStatus::New } else { OrderStatus::PartiallyFilled };
                self.orders[old].shown.updated_at = self.now;
                self.tell(old, TradeEvent::Other("order_replace_rejected".into()), None);
            }
            self.orders[new].shown.status = OrderStatus::Rejected;
            self.orders[new].shown.updated_at = self.now;
            self.tell(new, TradeEvent::Rejected, None);
            return;
        }
        let new_id = self.orders[new].shown.id.clone();
        let shown = &mut self.orders[old].shown;
        (shown.status, shown.replaced_by) = (OrderStatus::Replaced, Some(new_id));
        shown.updated_at = self.now;
        let (filled_qty, average) = (shown.filled_qty, shown.filled_avg_price);
        self.tell(old, TradeEvent::Replaced, None);
        let next = &mut self.orders[new];
        (next.before, next.waits) = (filled, false);
        if !self.counts_apart {
            (next.shown.filled_qty, next.shown.filled_avg_price) = (filled_qty, average);
        }
        next.shown.status = if next.was_held { OrderStatus::Held } else { OrderStatus::New };
        next.shown.updated_at = self.now;
        self.tell(new, TradeEvent::New, None);
    }

    /// Somebody replaces an order at the broker's own site. Its place among the orders; `None` when it cannot
    /// be.
    pub(super) fn replace_by_hand(&mut self, index: usize, change: Change) -> Option<usize> {
        if self.orders[index].kin.is_some() && change.qty.is_some() {
            return None;
        }
        let old = self.orders[index].shown.id.clone();
        let by = format!("hand-{}", self.orders.len());
        self.replace(&old, by, change).ok()?;
        Some(self.orders.len() - 1)
    }

    /// Forgets which orders belong together.
    pub(super) fn tear_apart(&mut self) {
        self.orders.iter_mut().for_each(|order| order.kin = None);
    }

    pub(super) fn position(&self) -> Qty {
        (0..self.orders.len()).map(|index| self.orders[index].shown.side.signed(self.own(index))).sum()
    }

    pub(super) fn open(&self) -> Vec<usize> {
        (0..self.orders.len()).filter(|index| !self.orders[*index].shown.status.is_terminal()).collect()
    }

    pub(super) fn by_client_id(&self, id: &ClientOrderId) -> Option<usize> {
        self.orders.iter().position(|order| order.shown.ours().as_ref() == Some(id))
    }

    /// Requests that were long on the way arrive.
    pub(super) fn arrive(&mut self, now: MarketTime) {
        self.now = now;
        let on_the_way = std::mem::take(&mut self.on_the_way);
        let (arrived, still): (Vec<_>, Vec<_>) = on_the_way.into_iter().partition(|(at, _)| *at <= now);
        self.on_the_way = still;
        for (_, sent) in arrived {
            self.take(sent).ok();
        }
    }
}

/// Long enough for every doubt to be resolved.
pub(super) const RESOLVED: Duration = Duration::from_secs(300);
