//! How a commit that the database refuses is taken apart.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sandpit_store::Record;
use sandpit_types::ClientOrderId;

/// What may be written apart from the rest, in order: what one moment changed of one order (a watermark
/// without its sub-book would be wrong for good), or one record that is about none.
pub(super) fn groups(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut groups: Vec<Vec<Record>> = Vec::new();
    // Of one moment: sub-books are written as they stand, so an older one must not come after a newer one.
    let mut of_order: BTreeMap<ClientOrderId, usize> = BTreeMap::new();
    let mut was_change = false;
    for record in records {
        let is_change = matches!(record, Record::Order(_) | Record::Change(_));
        if is_change && !was_change {
            of_order.clear();
        }
        was_change = is_change;
        match family(&record) {
            None => groups.push(vec![record]),
            Some(id) => {
                let at = *of_order.entry(id.clone()).or_insert(groups.len());
                match groups.get_mut(at) {
                    Some(group) => group.push(record),
                    None => groups.push(vec![record]),
                }
            }
        }
    }
    groups
}

/// The commits that records make: one, unless an outcast is among them, whose records go by themselves.
pub(super) fn parts(records: Vec<Record>, outcasts: &BTreeSet<ClientOrderId>) -> VecDeque<Vec<Record>> {
    let is_outcast = |record: &Record| subject(record).is_some_and(|id| outcasts.contains(id));
    if outcasts.is_empty() || !records.iter().any(is_outcast) {
        return VecDeque::from([records]);
    }
    let mut parts: VecDeque<Vec<Record>> = VecDeque::new();
    let mut was_outcast = true;
    for group in groups(records) {
        let is_apart = group.iter().any(is_outcast);
        match parts.back_mut() {
            Some(part) if !is_apart && !was_outcast => part.extend(group),
            _ => parts.push_back(group),
        }
        was_outcast = is_apart;
    }
    parts
}

/// The order a record is about.
pub(super) fn subject(record: &Record) -> Option<&ClientOrderId> {
    match record {
        Record::Order(row) => Some(&row.request.client_id),
        Record::Change(change) => Some(&change.client_id),
        Record::Fill { fill, .. } => Some(&fill.client_id),
        Record::Audit(audit) => audit.client_id.as_ref(),
        Record::Correction { .. }
        | Record::Equity { .. }
        | Record::Signal { .. }
        | Record::Refusal { .. }
        | Record::HostStart { .. }
        | Record::Activity(_)
        | Record::Fact { .. }
        | Record::StrategyState { .. }
        | Record::Alert { .. }
        | Record::Notice { .. } => None,
    }
}

/// The order with which a record is written or refused: new legs go with their parent.
fn family(record: &Record) -> Option<&ClientOrderId> {
    match record {
        Record::Order(row) => Some(row.links.leg_of.as_ref().map_or(&row.request.client_id, |(id, _)| id)),
        other => subject(other),
    }
}
