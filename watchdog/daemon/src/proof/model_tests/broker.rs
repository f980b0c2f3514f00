//! The account at a broker of which chance decides what goes wrong.

use super::*;

/// splitmix64
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn hits(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }
}

/// What goes wrong, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// No answer; it may have happened.
    pub(super) silent: u64,
    /// 429.
    pub(super) busy: u64,
    /// 5xx.
    pub(super) broken: u64,
    /// Of a bulk request.
    pub(super) row: u64,
    /// Late orders, in each tenth of a second.
    pub(super) late: u64,
    /// A cancel that takes seconds.
    pub(super) dying: u64,
    /// Reads whose orders are listed, and which fail then.
    pub(super) blind: u64,
    /// And so long.
    pub(super) blind_until: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Working {
    pub(super) order: Order,
    pub(super) is_ours: bool,
    /// It waits for its entry.
    pub(super) is_leg: bool,
    pub(super) hidden_until: u64,
    pub(super) dies_at: Option<u64>,
    pub(super) stubborn_until: u64,
}

/// The account. Symbols `L…` are only held long, `S…` only short.
pub(super) struct Model {
    pub(super) ms: u64,
    pub(super) chance: Chance,
    pub(super) faults: Faults,
    pub(super) working: Vec<Working>,
    pub(super) positions: BTreeMap<String, i128>,
    pub(super) is_suspended: bool,
    pub(super) opens_at: u64,
    pub(super) count: usize,
    /// Protective stops that a cancel took away.
    pub(super) unprotected: Vec<String>,
}

impl Model {
    pub(super) fn new(seed: u64, faults: Faults, orders: u64, has_people: bool) -> Self {
        let mut model = Self {
            ms: 0,
            chance: Chance(seed),
            faults,
            working: Vec::new(),
            positions: BTreeMap::new(),
            is_suspended: false,
            opens_at: 0,
            count: 0,
            unprotected: Vec::new(),
        };
        for symbol in ["L1", "L2", "S1"] {
            let qty = 10 * (1 + i128::from(model.chance.below(3)));
            if model.chance.hits(700) {
                model.positions.insert(symbol.into(), if symbol.starts_with('L') { qty } else { -qty });
            }
        }
        for _ in 0..orders {
            let is_ours = !has_people || model.chance.hits(600);
            model.arrive(is_ours);
        }
        model
    }

    pub(super) fn put(
        &mut self,
        symbol: &str,
        kind: Kind,
        buys: bool,
        qty: i128,
        group: Option<usize>,
    ) -> &mut Working {
        self.count += 1;
        self.working.push(Working {
            order: Order {
                id: format!("o{}", self.count),
                symbol: symbol.into(),
                kind,
                buys: Some(buys),
                left: Some(qty),
                group: group.unwrap_or(self.count),
            },
            is_ours: true,
            is_leg: false,
            hidden_until: 0,
            dies_at: None,
            stubborn_until: 0,
        });
        self.working.last_mut().expect("just put")
    }

    /// An order of somebody: an entry, a bracket, or an exit of what is held.
    pub(super) fn arrive(&mut self, is_ours: bool) {
        if self.is_suspended {
            return;
        }
        let symbols = if is_ours { ["L1", "L2", "S1"] } else { ["L7", "L8", "S7"] };
        let symbol = symbols[usize::try_from(self.chance.below(3)).expect("small")];
        let is_long = symbol.starts_with('L');
        let first = self.working.len();
        let (dice, qty) = (self.chance.below(6), 1 + i128::from(self.chance.below(5)));
        let left = self.positions.get(symbol).map_or(0, |qty| qty.abs()) - self.held(symbol);
        match dice {
            0 => _ = self.put(symbol, Kind::Other, is_long, qty, None),
            1 => _ = self.put(symbol, Kind::Stop, is_long, qty, None),
            2 => {
                let group = self.put(symbol, Kind::Other, is_long, qty, None).order.group;
                for kind in [Kind::Other, Kind::Stop] {
                    self.put(symbol, kind, !is_long, qty, Some(group)).is_leg = true;
                }
            }
            _ if left < qty => {}
            3 => _ = self.put(symbol, Kind::Other, !is_long, qty, None),
            4 => _ = self.put(symbol, Kind::Stop, !is_long, qty, None),
            _ => {
                let group = self.put(symbol, Kind::Other, !is_long, qty, None).order.group;
                self.put(symbol, Kind::Stop, !is_long, qty, Some(group));
            }
        }
        let stubborn = if self.chance.hits(self.faults.dying) { self.chance.below(CALM_MS) } else { 0 };
        let hidden = if self.chance.hits(self.faults.row) { self.chance.below(CALM_MS) } else { 0 };
        for working in &mut self.working[first..] {
            (working.is_ours, working.stubborn_until) = (is_ours, stubborn);
            // Only what holds shares can be found without being listed.
            let is_exit = !working.is_leg && working.order.buys == Some(!is_long);
            working.hidden_until = if is_exit { hidden } else { 0 };
        }
    }

    pub(super) fn is_exit(working: &Working) -> bool {
        !working.is_leg && working.order.buys == Some(working.order.symbol.starts_with('S'))
    }

    /// Shares that exits hold; those of one group hold the same.
    pub(super) fn held(&self, symbol: &str) -> i128 {
        let mut groups: BTreeMap<usize, i128> = BTreeMap::new();
        for one in self.working.iter().filter(|one| one.order.symbol == symbol && Self::is_exit(one)) {
            let held = groups.entry(one.order.group).or_default();
            *held = (*held).max(one.order.left.unwrap_or(0));
        }
        groups.values().sum()
    }

    pub(super) fn live(&mut self) {
        let (ms, is_open) = (self.ms, self.opens_at <= self.ms);
        self.working.retain(|one| one.dies_at.is_none_or(|dies| dies > ms));
        if ms < CALM_MS / 2 && ms.is_multiple_of(100) && self.chance.hits(self.faults.late) {
            self.arrive(true);
        }
        for index in (0..self.working.len()).rev() {
            let Some(one) = self.working.get(index) else {
                continue;
            };
            let odds = if one.order.kind == Kind::Market { 30 } else { 1 };
            let is_time = odds > 1 || (ms < QUIET_MS && self.chance.hits(100));
            if is_open && !one.is_leg && self.chance.hits(odds) && is_time {
                self.execute(index);
            }
        }
    }

    pub(super) fn execute(&mut self, index: usize) {
        let Order { symbol, buys, left, group, .. } = self.working[index].order.clone();
        let left = left.expect("every order here has a size");
        let part = if self.chance.hits(500) { left } else { 1 + left / 2 };
        let is_entry = !Self::is_exit(&self.working[index]);
        let qty = self.positions.entry(symbol.clone()).or_default();
        *qty += if buys == Some(true) { part } else { -part };
        self.positions.retain(|_, qty| *qty != 0);
        for one in self.working.iter_mut().filter(|one| one.order.group == group) {
            if !one.is_leg {
                one.order.left = one.order.left.map(|left| left - part);
            }
        }
        self.working.retain(|one| one.order.left != Some(0));
        if is_entry && part == left {
            self.working.iter_mut().filter(|one| one.order.group == group).for_each(|one| one.is_leg = false);
        }
    }

    /// A cancel takes the whole group, an entry its legs; at once, or after a while. False: it fails.
    pub(super) fn cancel(&mut self, id: &str) -> bool {
        let Some(one) = self.working.iter().find(|one| one.order.id == id) else {
            return true;
        };
        if one.stubborn_until > self.ms {
            return false;
        }
        let (group, was_kept) = (one.order.group, is_kept(&self.working, &self.positions, one));
        if was_kept {
            self.unprotected.push(id.into());
        }
        let delay = if self.chance.hits(self.faults.dying) { self.chance.below(8000) } else { 0 };
        let dies_at = self.ms + delay;
        for one in self.working.iter_mut().filter(|one| one.order.group == group) {
            one.dies_at.get_or_insert(dies_at);
        }
        self.working.retain(|one| one.dies_at.is_none_or(|dies| dies > dies_at - delay));
        true
    }

    pub(super) fn close(&mut self, symbol: &str, closes: &mut Closes) {
        let Some(qty) = self.positions.get(symbol).copied() else {
            return;
        };
        if self.is_suspended {
            closes.refused += 1;
        } else if self.held(symbol) > 0 {
            let holders = self.working.iter().filter(|one| one.order.symbol == symbol && Self::is_exit(one));
            closes.holders.extend(holders.map(|one| one.order.id.clone()));
        } else {
            // The broker may take it and reject it a moment later.
            if !self.chance.hits(self.faults.row) {
                self.put(symbol, Kind::Market, qty < 0, qty.abs(), None);
            }
            closes.taken += 1;
        }
    }

    /// What the request does; `None` when nothing answers.
    pub(super) fn act(&mut self, command: &Command) -> Option<Report> {
        let is_troubled = self.ms < CALM_MS;
        let hits = |model: &mut Self, odds| is_troubled && model.chance.hits(odds);
        let trouble = |cause: &str, seconds: Option<u64>| Trouble {
            pause: seconds.map(Duration::from_secs),
            ..Trouble::from(cause)
        };
        if hits(self, self.faults.busy) {
            let seconds = self.chance.hits(700).then(|| self.chance.below(100));
            return Some(failed(command, trouble("429", seconds)));
        }
        if hits(self, self.faults.broken) {
            return Some(failed(command, trouble("5xx", None)));
        }
        if hits(self, self.faults.silent) && self.chance.hits(500) {
            return None;
        }
        let report = match command {
            Command::Suspend { .. } => {
                self.is_suspended = true;
                Report::Suspended(Ok(()))
            }
            Command::Lift => {
                self.is_suspended = false;
                Report::Lifted(Ok(()))
            }
            Command::Check => Report::Checked(Ok(self.is_suspended)),
            Command::CancelAll => Report::Cancelled(Ok(self.cancel_all(is_troubled))),
            Command::CancelEach(ids) => {
                let done: Vec<bool> = ids.iter().map(|id| self.cancel(id)).collect();
                Report::Cancelled(if done.contains(&false) {
                    Err(trouble("5xx", None))
                } else {
                    Ok(Cancels { taken: ids.len(), failed: Vec::new() })
                })
            }
            Command::CloseAll => {
                self.cancel_all(is_troubled);
                let symbols: Vec<String> = self.positions.keys().cloned().collect();
                Report::Closed(Ok(self.close_each(&symbols)))
            }
            Command::CloseEach(symbols) => Report::Closed(Ok(self.close_each(symbols))),
            Command::Touch => Report::Touched,
            Command::Account(_) | Command::Warm | Command::Read(_) => {
                panic!("{command:?} is not one to act on")
            }
        };
        if hits(self, self.faults.silent) { None } else { Some(report) }
    }

    pub(super) fn cancel_all(&mut self, is_troubled: bool) -> Cancels {
        let mut cancels = Cancels::default();
        let ids: Vec<String> = self.working.iter().map(|one| one.order.id.clone()).collect();
        for id in ids {
            if (is_troubled && self.chance.hits(self.faults.row)) || !self.cancel(&id) {
                cancels.failed.push(id);
            } else {
                cancels.taken += 1;
            }
        }
        cancels
    }

    pub(super) fn close_each(&mut self, symbols: &[String]) -> Closes {
        let mut closes = Closes::default();
        symbols.iter().for_each(|symbol| self.close(symbol, &mut closes));
        closes
    }
}

/// What the policy `cancel-keep-stops` promises to keep: nothing on the symbol exceeds the position.
pub(super) fn is_kept(working: &[Working], positions: &BTreeMap<String, i128>, one: &Working) -> bool {
    let group = |number: usize| working.iter().filter(move |one| one.order.group == number);
    let is_stopped = |number: usize| group(number).any(|one| one.order.kind == Kind::Stop);
    let is_exit = |number: usize| group(number).all(Model::is_exit);
    let numbers: BTreeSet<usize> = working
        .iter()
        .filter(|other| other.order.symbol == one.order.symbol)
        .map(|other| other.order.group)
        .filter(|number| is_stopped(*number) && is_exit(*number))
        .collect();
    let size = |number: &usize| group(*number).filter_map(|one| one.order.left).max().unwrap_or(0);
    let held = positions.get(&one.order.symbol).map_or(0, |qty| qty.abs());
    numbers.contains(&one.order.group) && numbers.iter().map(size).sum::<i128>() <= held
}

pub(super) fn failed(command: &Command, trouble: Trouble) -> Report {
    match command {
        Command::Suspend { .. } => Report::Suspended(Err(trouble)),
        Command::Lift => Report::Lifted(Err(trouble)),
        Command::Check => Report::Checked(Err(trouble)),
        Command::CancelAll | Command::CancelEach(_) => Report::Cancelled(Err(trouble)),
        Command::CloseAll | Command::CloseEach(_) => Report::Closed(Err(trouble)),
        Command::Touch => Report::Touched,
        Command::Warm | Command::Account(_) | Command::Read(_) => {
            panic!("{command:?} has an answer of its own")
        }
    }
}
