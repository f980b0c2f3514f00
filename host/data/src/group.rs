//! Rows of one time, until one of a later time comes: what is there twice shows here.

use std::{collections::VecDeque, path::Path};

use sandpit_types::{MarketEvent, MarketTime};

use crate::{Findings, Kind, Trouble, mend::Keep, row::Row};

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

    /// Adds a row. If it is of a later time, the rows before it go to `into`, and that is said.
    pub(crate) fn add(
        &mut self,
        row: Row,
        is_sample: bool,
        into: &mut VecDeque<MarketEvent>,
        findings: &mut Findings,
        path: &Path,
    ) -> Result<bool, Trouble> {
        let is_later = self.last != Some(row.stamp);
        let closed = is_later && self.end(is_sample, into);
        self.last = Some(row.stamp);
        // At one time a symbol may trade, and be quoted, often; a minute has one bar and one sample.
        let is_once = matches!(self.kind, Kind::Bars) || is_sample;
        let twin = self.rows.iter_mut().find(|other| is_once && other.symbol == row.symbol);
        let Some(twin) = twin else {
            self.rows.push(row);
            return Ok(closed);
        };
        let (line, symbol, time) = (row.line, row.symbol.clone(), row.stamp);
        let what = match (twin.says_the_same(&row), self.keep) {
            (true, _) => "identical rows left out",
            (false, Some(Keep::First)) => "rows left out for an earlier one",
            (false, Some(Keep::Last)) => {
                *twin = row;
                "rows that took the place of an earlier one"
            }
            (false, None) => return Err(Trouble::Twice { symbol, time }),
        };
        findings.add(what, || format!("{}:{line}: {symbol} at {time}", path.display()));
        Ok(closed)
    }

    /// Gives out the rows of the time that is over: bars by symbol, others as they came. Whether there were
    /// any.
    pub(crate) fn end(&mut self, is_sample: bool, into: &mut VecDeque<MarketEvent>) -> bool {
        if self.kind == Kind::Bars {
            self.rows.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        }
        let had_any = !self.rows.is_empty();
        into.extend(self.rows.drain(..).map(|row| row.event(self.kind, is_sample)));
        had_any
    }
}
