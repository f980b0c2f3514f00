//! Rows of one time, until one of a later time comes: what is there twice shows here.

use std::{collections::VecDeque, path::Path};

use sandpit_types::{MarketEvent, MarketTime};

use crate::{Findings, Kind, Trouble, mend::Keep, row::Row};

/// What is told of rows of which one of two stays.
pub(crate) const IDENTICAL: &str = "identical rows left out";
pub(crate) const EARLIER_STAYS: &str = "rows left out for an earlier one";
pub(crate) const LATER_STAYS: &str = "rows that took the place of an earlier one";

/// The rows of one time.
pub(crate) struct Group {
    kind: Kind,
    keep: Option<Keep>,
    rows: Vec<Row>,
    last: Option<MarketTime>,
}

impl Group {
    pub(crate) const fn new(kind: Kind, keep: Option<Keep>) -> Self {
        Self { kind, keep, rows: Vec::new(), last: None }
    }

    /// The newest time.
    pub(crate) const fn last(&self) -> Option<MarketTime> {
        self.last
    }

    /// Adds a row, of this time or, after [`Self::end`], of a later one.
    pub(crate) fn add(&mut self, row: Row) {
        self.last = Some(row.stamp);
        self.rows.push(row);
    }

    /// Gives out the rows of the time that is over: by symbol, and those of one
    /// symbol as they came. Whether there were any; or which line is wrong, and why.
    pub(crate) fn end(
        &mut self,
        is_sample: bool,
        into: &mut VecDeque<MarketEvent>,
        findings: &mut Findings,
        path: &Path,
    ) -> Result<bool, (u64, Trouble)> {
        // At one time a symbol may trade, and be quoted, often; a minute has one bar and one sample.
        let is_once = matches!(self.kind, Kind::Bars) || is_sample;
        self.rows.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        let had_any = !self.rows.is_empty();
        let mut kept: Option<Row> = None;
        for row in self.rows.drain(..) {
            kept = Some(match kept {
                Some(twin) if is_once && twin.symbol == row.symbol => {
                    one_of(twin, row, self.keep, findings, path)?
                }
                Some(other) => {
                    into.push_back(other.event(self.kind, is_sample));
                    row
                }
                None => row,
            });
        }
        into.extend(kept.map(|row| row.event(self.kind, is_sample)));
        Ok(had_any)
    }
}

/// Which of two rows of one symbol and time stays.
fn one_of(
    twin: Row,
    row: Row,
    keep: Option<Keep>,
    findings: &mut Findings,
    path: &Path,
) -> Result<Row, (u64, Trouble)> {
    let (line, symbol, time) = (row.line, row.symbol.clone(), row.stamp);
    let (what, kept) = match (twin.says_the_same(&row), keep) {
        (true, _) => (IDENTICAL, twin),
        (false, Some(Keep::First)) => (EARLIER_STAYS, twin),
        (false, Some(Keep::Last)) => (LATER_STAYS, row),
        (false, None) => return Err((line, Trouble::Twice { symbol, time })),
    };
    findings.add(what, || format!("{}:{line}: {symbol} at {time}", path.display()));
    Ok(kept)
}
