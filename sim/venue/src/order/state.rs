//! Where an order stands, and the table of what may happen to it. The diagram is in the parent module.

use sandpit_types::OrderStatus;

use super::EventKind;

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// Taken, not yet routed.
    PendingNew,
    /// Queued until its session begins.
    Accepted,
    /// Working.
    New,
    /// Working, part done.
    PartiallyFilled,
    /// Done.
    Filled,
    /// A cancel is under way; it may still fill.
    PendingCancel,
    /// A replace is under way; it may still fill.
    PendingReplace,
    /// Cancelled; may have filled in part before.
    Canceled,
    /// Its time ran out; may have filled in part before.
    Expired,
    /// The exchange would not have it.
    Rejected,
    /// Another order took its place; may have filled in part before.
    Replaced,
    /// A leg that waits for its parent, or beside the leg that works.
    Held,
    /// It fills no more today; works again from the next session on, unless its time ends before.
    DoneForDay,
    /// Its fill is guaranteed and still to come.
    Stopped,
    /// It may not trade for now.
    Suspended,
    /// It is being settled; fills no more today.
    Calculated,
}

/// An event that cannot happen to an order in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {state:?} cannot have the event {event:?}")]
pub struct ImpossibleEvent {
    /// Where the order stood.
    pub state: OrderState,
    /// What was to happen.
    pub event: EventKind,
}

impl OrderState {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::PendingNew,
        Self::Accepted,
        Self::New,
        Self::PartiallyFilled,
        Self::Filled,
        Self::PendingCancel,
        Self::PendingReplace,
        Self::Canceled,
        Self::Expired,
        Self::Rejected,
        Self::Replaced,
        Self::Held,
        Self::DoneForDay,
        Self::Stopped,
        Self::Suspended,
        Self::Calculated,
    ];

    /// The wire word of the order's `status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingNew => "pending_new",
            Self::Accepted => "accepted",
            Self::New => "new",
            Self::PartiallyFilled => "partially_filled",
            Self::Filled => "filled",
            Self::PendingCancel => "pending_cancel",
            Self::PendingReplace => "pending_replace",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
            Self::Held => "held",
            Self::DoneForDay => "done_for_day",
            Self::Stopped => "stopped",
            Self::Suspended => "suspended",
            Self::Calculated => "calculated",
        }
    }

    /// Whether the order can neither fill nor be changed any more.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Canceled | Self::Expired | Self::Rejected | Self::Replaced)
    }

    /// Whether the order may fill in this state.
    pub const fn may_fill(self) -> bool {
        matches!(
            self,
            Self::New | Self::PartiallyFilled | Self::PendingCancel | Self::PendingReplace | Self::Stopped
        )
    }

    /// The state after an event. `has_filled` says whether some of its shares have filled: an order that
    /// goes back to work goes back to `partially_filled` then.
    ///
    /// # Errors
    /// When the pair cannot happen.
    pub const fn after(self, event: EventKind, has_filled: bool) -> Result<Self, ImpossibleEvent> {
        let next = match self {
            Self::PendingNew => unrouted(event),
            Self::Accepted => queued(event),
            Self::New | Self::PartiallyFilled => routed(event, has_filled),
            Self::PendingCancel => canceling(event, has_filled),
            Self::PendingReplace => replacing(event, has_filled),
            Self::Held => held(event),
            Self::DoneForDay | Self::Suspended | Self::Calculated => aside(event, has_filled),
            Self::Stopped => stopped(event, has_filled),
            Self::Filled | Self::Canceled | Self::Expired | Self::Rejected | Self::Replaced => {
                over(self, event)
            }
        };
        match next {
            Some(next) => Ok(next),
            None => Err(ImpossibleEvent { state: self, event }),
        }
    }
}

use EventKind as E;
use OrderState as S;

/// Where an order goes that goes back to work.
const fn working(has_filled: bool) -> OrderState {
    if has_filled { S::PartiallyFilled } else { S::New }
}

/// What has filled was not rejected.
const fn rejected(has_filled: bool) -> Option<OrderState> {
    if has_filled { None } else { Some(S::Rejected) }
}

const fn unrouted(event: EventKind) -> Option<OrderState> {
    match event {
        E::PendingNew => Some(S::PendingNew),
        E::Accepted => Some(S::Accepted),
        E::New => Some(S::New),
        E::Held => Some(S::Held),
        E::PendingCancel => Some(S::PendingCancel),
        E::Canceled => Some(S::Canceled),
        E::Expired => Some(S::Expired),
        E::Rejected => Some(S::Rejected),
        E::PartialFill
        | E::Fill
        | E::PendingReplace
        | E::Replaced
        | E::CancelRejected
        | E::ReplaceRejected
        | E::DoneForDay
        | E::Stopped
        | E::Suspended
        | E::Calculated => None,
    }
}

const fn queued(event: EventKind) -> Option<OrderState> {
    match event {
        E::PendingNew => Some(S::PendingNew),
        E::New => Some(S::New),
        E::PendingCancel => Some(S::PendingCancel),
        E::Canceled => Some(S::Canceled),
        E::Expired => Some(S::Expired),
        E::Rejected => Some(S::Rejected),
        E::Accepted
        | E::Held
        | E::PartialFill
        | E::Fill
        | E::PendingReplace
        | E::Replaced
        | E::CancelRejected
        | E::ReplaceRejected
        | E::DoneForDay
        | E::Stopped
        | E::Suspended
        | E::Calculated => None,
    }
}

const fn routed(event: EventKind, has_filled: bool) -> Option<OrderState> {
    match event {
        E::PartialFill => Some(S::PartiallyFilled),
        E::Fill => Some(S::Filled),
        E::PendingCancel => Some(S::PendingCancel),
        E::PendingReplace => Some(S::PendingReplace),
        E::Canceled => Some(S::Canceled),
        E::Expired => Some(S::Expired),
        E::Rejected => rejected(has_filled),
        E::Replaced => Some(S::Replaced),
        E::DoneForDay => Some(S::DoneForDay),
        E::Stopped => Some(S::Stopped),
        E::Suspended => Some(S::Suspended),
        E::Calculated => Some(S::Calculated),
        E::PendingNew | E::Accepted | E::New | E::Held | E::CancelRejected | E::ReplaceRejected => None,
    }
}

const fn canceling(event: EventKind, has_filled: bool) -> Option<OrderState> {
    match event {
        // Routed, or filled in part, before its cancel arrives.
        E::New | E::PartialFill => Some(S::PendingCancel),
        E::Fill => Some(S::Filled),
        E::Canceled => Some(S::Canceled),
        E::Expired => Some(S::Expired),
        E::Rejected => rejected(has_filled),
        E::CancelRejected => Some(working(has_filled)),
        E::PendingNew
        | E::Accepted
        | E::Held
        | E::PendingCancel
        | E::PendingReplace
        | E::Replaced
        | E::ReplaceRejected
        | E::DoneForDay
        | E::Stopped
        | E::Suspended
        | E::Calculated => None,
    }
}

const fn replacing(event: EventKind, has_filled: bool) -> Option<OrderState> {
    match event {
        E::PartialFill => Some(S::PendingReplace),
        E::Fill => Some(S::Filled),
        E::Canceled => Some(S::Canceled),
        E::Expired => Some(S::Expired),
        E::Rejected => rejected(has_filled),
        E::Replaced => Some(S::Replaced),
        E::ReplaceRejected => Some(working(has_filled)),
        E::PendingNew
        | E::Accepted
        | E::New
        | E::Held
        | E::PendingCancel
        | E::PendingReplace
        | E::CancelRejected
        | E::DoneForDay
        | E::Stopped
        | E::Suspended
        | E::Calculated => None,
    }
}

const fn held(event: EventKind) -> Option<OrderState> {
    match event {
        E::New => Some(S::New),
        E::Accepted => Some(S::Accepted),
        E::PendingCancel => Some(S::PendingCancel),
        E::Canceled => Some(S::Canceled),
        E::Rejected => Some(S::Rejected),
        E::Replaced => Some(S::Replaced),
        E::PendingNew
        | E::PartialFill
        | E::Fill
        | E::PendingReplace
        | E::Expired
        | E::Held
        | E::CancelRejected
        | E::ReplaceRejected
        | E::DoneForDay
        | E::Stopped
        | E::Suspended
        | E::Calculated => None,
    }
}

const fn aside(event: EventKind, has_filled: bool) -> Option<OrderState> {
    match event {
        E::New => Some(working(has_filled)),
        E::PendingCancel => Some(S::PendingCancel),
        E::Canceled => Some(S::Canceled),
        E::Expired => Some(S::Expired),
        E::DoneForDay => Some(S::DoneForDay),
        E::Calculated => Some(S::Calculated),
        E::PendingNew
        | E::Accepted
        | E::PartialFill
        | E::Fill
        | E::PendingReplace
        | E::Rejected
        | E::Replaced
        | E::Held
        | E::CancelRejected
        | E::ReplaceRejected
        | E::Stopped
        | E::Suspended => None,
    }
}

const fn stopped(event: EventKind, has_filled: bool) -> Option<OrderState> {
    match event {
        E::New => Some(working(has_filled)),
        E::PartialFill => Some(S::PartiallyFilled),
        E::Fill => Some(S::Filled),
        E::PendingCancel => Some(S::PendingCancel),
        E::Canceled => Some(S::Canceled),
        E::Expired => Some(S::Expired),
        E::DoneForDay => Some(S::DoneForDay),
        E::PendingNew
        | E::Accepted
        | E::PendingReplace
        | E::Rejected
        | E::Replaced
        | E::Held
        | E::CancelRejected
        | E::ReplaceRejected
        | E::Stopped
        | E::Suspended
        | E::Calculated => None,
    }
}

const fn over(state: OrderState, event: EventKind) -> Option<OrderState> {
    match event {
        // What came too late is said, and changes nothing.
        E::CancelRejected | E::ReplaceRejected => Some(state),
        E::PendingNew
        | E::Accepted
        | E::New
        | E::PartialFill
        | E::Fill
        | E::PendingCancel
        | E::PendingReplace
        | E::Canceled
        | E::Expired
        | E::Rejected
        | E::Replaced
        | E::Held
        | E::DoneForDay
        | E::Stopped
        | E::Suspended
        | E::Calculated => None,
    }
}

impl From<OrderState> for OrderStatus {
    fn from(state: OrderState) -> Self {
        match state {
            S::PendingNew => Self::PendingNew,
            S::Accepted => Self::Accepted,
            S::New => Self::New,
            S::PartiallyFilled => Self::PartiallyFilled,
            S::Filled => Self::Filled,
            S::PendingCancel => Self::PendingCancel,
            S::PendingReplace => Self::PendingReplace,
            S::Canceled => Self::Canceled,
            S::Expired => Self::Expired,
            S::Rejected => Self::Rejected,
            S::Replaced => Self::Replaced,
            S::Held => Self::Held,
            S::DoneForDay => Self::DoneForDay,
            S::Stopped | S::Suspended | S::Calculated => Self::Other(state.as_str().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events that can happen, and where they lead.
    fn check(state: OrderState, has_filled: bool, expected: &str) {
        let row: Vec<String> = EventKind::ALL
            .into_iter()
            .filter_map(|event| {
                let next = state.after(event, has_filled).ok()?;
                Some(format!("{event:?}>{next:?}"))
            })
            .collect();
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(row, expected, "{state:?} {has_filled}");
    }

    #[test]
    fn the_table_of_an_orders_life() {
        check(
            S::PendingNew,
            false,
            "PendingNew>PendingNew Accepted>Accepted New>New PendingCancel>PendingCancel Canceled>Canceled
             Expired>Expired Rejected>Rejected Held>Held",
        );
        check(
            S::Accepted,
            false,
            "PendingNew>PendingNew New>New PendingCancel>PendingCancel Canceled>Canceled Expired>Expired
             Rejected>Rejected",
        );
        let routed = "PartialFill>PartiallyFilled Fill>Filled PendingCancel>PendingCancel
             PendingReplace>PendingReplace Canceled>Canceled Expired>Expired Rejected>Rejected
             Replaced>Replaced DoneForDay>DoneForDay Stopped>Stopped Suspended>Suspended
             Calculated>Calculated";
        check(S::New, false, routed);
        check(S::PartiallyFilled, true, &routed.replace("Rejected>Rejected", ""));
        let reject = "Rejected>Rejected ";
        let canceling = "New>PendingCancel PartialFill>PendingCancel Fill>Filled Canceled>Canceled
             Expired>Expired Rejected>Rejected CancelRejected>New";
        check(S::PendingCancel, false, canceling);
        check(
            S::PendingCancel,
            true,
            &canceling.replace("CancelRejected>New", "CancelRejected>PartiallyFilled").replace(reject, ""),
        );
        let replacing = "PartialFill>PendingReplace Fill>Filled Canceled>Canceled Expired>Expired
             Rejected>Rejected Replaced>Replaced ReplaceRejected>New";
        check(S::PendingReplace, false, replacing);
        check(
            S::PendingReplace,
            true,
            &replacing.replace("ReplaceRejected>New", "ReplaceRejected>PartiallyFilled").replace(reject, ""),
        );
        check(
            S::Held,
            false,
            "Accepted>Accepted New>New PendingCancel>PendingCancel Canceled>Canceled Rejected>Rejected
             Replaced>Replaced",
        );
        let aside = "New>New PendingCancel>PendingCancel Canceled>Canceled Expired>Expired
             DoneForDay>DoneForDay Calculated>Calculated";
        for state in [S::DoneForDay, S::Suspended, S::Calculated] {
            check(state, false, aside);
            check(state, true, &aside.replace("New>New", "New>PartiallyFilled"));
        }
        check(
            S::Stopped,
            false,
            "New>New PartialFill>PartiallyFilled Fill>Filled PendingCancel>PendingCancel Canceled>Canceled
             Expired>Expired DoneForDay>DoneForDay",
        );
        for state in OrderState::ALL.into_iter().filter(|state| state.is_terminal()) {
            check(state, true, &format!("CancelRejected>{state:?} ReplaceRejected>{state:?}"));
        }
    }

    #[test]
    fn words_are_the_brokers() {
        for state in OrderState::ALL {
            let status = OrderStatus::from(state);
            assert_eq!(status.is_terminal(), state.is_terminal());
            assert!(!state.is_terminal() || !state.may_fill());
            match status {
                OrderStatus::Other(word) => assert_eq!(word, state.as_str()),
                known => assert_eq!(format!("{known:?}"), format!("{state:?}")),
            }
        }
    }
}
