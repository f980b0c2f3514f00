//! What the machine asks of the edge, and how it ended.

use std::{collections::BTreeSet, time::Duration};

use sandpit_broker::{BrokerError, Class};
use sandpit_store::{OrderRow, Record, StoreError};
use sandpit_types::{
    Account, Activity, BrokerOrder, BrokerOrderId, Change, ClientOrderId, ExecutionId, MarketTime,
    OrderRequest, Position,
};

use crate::DeskOutput;

/// What the edge has to do. Each but `Tell` ends in one [`Outcome`].
#[derive(Debug)]
pub(crate) enum Action {
    Commit(Vec<Record>),
    Submit {
        request: OrderRequest,
        class: Class,
        deadline: MarketTime,
    },
    Cancel {
        id: ClientOrderId,
        broker_id: BrokerOrderId,
    },
    /// A PATCH of the order `broker_id`, whose place `id` takes; it ends as a POST does.
    Replace {
        id: ClientOrderId,
        broker_id: BrokerOrderId,
        change: Change,
        class: Class,
        deadline: MarketTime,
    },
    /// One order by our id, as long as the broker's is not known...
    LookUp(ClientOrderId),
    /// ...and by the broker's afterwards: that shows its legs, and a leg itself has no other.
    Ask {
        id: ClientOrderId,
        broker_id: BrokerOrderId,
    },
    /// An order that a row of the activities names and the books do not have.
    Identify(BrokerOrderId),
    List,
    ReadAccount,
    ReadPositions,
    ReadActivities(MarketTime),
    /// An order by our id from the store, or by the broker's: it may be there under another name of ours.
    Fetch {
        id: ClientOrderId,
        broker_id: BrokerOrderId,
    },
    /// An order from the store that only the broker's id is known of.
    Recall(BrokerOrderId),
    Tell(DeskOutput),
}

/// An order as the store has it, with the executions counted.
pub(crate) type Fetched = Option<(OrderRow, BTreeSet<ExecutionId>)>;

/// How an action ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Committed(Result<(), StoreError>),
    Submitted {
        id: ClientOrderId,
        result: Result<BrokerOrder, BrokerError>,
        took: Duration,
    },
    Cancelled {
        id: ClientOrderId,
        result: Result<(), BrokerError>,
    },
    LookedUp {
        id: ClientOrderId,
        result: Result<BrokerOrder, BrokerError>,
    },
    /// The end of an [`Action::Ask`]: with all legs there are.
    Asked {
        id: ClientOrderId,
        result: Result<BrokerOrder, BrokerError>,
    },
    /// The end of an [`Action::Identify`].
    Identified {
        broker_id: BrokerOrderId,
        result: Result<BrokerOrder, BrokerError>,
    },
    Listed(Result<Vec<BrokerOrder>, BrokerError>),
    Account(Result<Account, BrokerError>),
    Positions(Result<Vec<Position>, BrokerError>),
    Activities(Result<Vec<Activity>, BrokerError>),
    Fetched {
        id: ClientOrderId,
        result: Result<Fetched, StoreError>,
    },
    Recalled {
        broker_id: BrokerOrderId,
        result: Result<Fetched, StoreError>,
    },
}
