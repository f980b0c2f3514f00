//! CSV as RFC 4180 has it, with a line of names.

use std::io::Write;

use super::{Cell, Column, Sink};
use crate::RecordsError;

pub(super) struct CsvFile {
    writer: csv::Writer<Box<dyn Write + Send>>,
}

impl CsvFile {
    pub(super) fn new(columns: &[Column], out: Box<dyn Write + Send>) -> Result<Self, RecordsError> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(columns.iter().map(|column| column.name)).map_err(|error| failed(&error))?;
        Ok(Self { writer })
    }
}

impl Sink for CsvFile {
    fn row(&mut self, cells: Vec<Cell>) -> Result<(), RecordsError> {
        let texts = cells.into_iter().map(|cell| match cell {
            Cell::Nothing => String::new(),
            Cell::Text(text) => text,
            Cell::Decimal(number) => number.normalize().to_string(),
            Cell::Time(time) => time.to_string(),
            Cell::Number(number) => number.to_string(),
            Cell::Flag(flag) => flag.to_string(),
        });
        self.writer.write_record(texts).map_err(|error| failed(&error))
    }

    fn end(mut self: Box<Self>) -> Result<(), RecordsError> {
        self.writer.flush().map_err(|error| failed(&error))
    }
}

fn failed(error: &dyn std::fmt::Display) -> RecordsError {
    RecordsError::Output(error.to_string())
}
