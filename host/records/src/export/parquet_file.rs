//! Parquet: columns of a row group are collected, written and forgotten.

use std::{fmt::Write as _, io::Write, sync::Arc};

use parquet::{
    basic::Compression,
    data_type::{
        BoolType, ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
    },
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use rust_decimal::{Decimal, RoundingStrategy};

use super::{Cell, Column, Kind, Sink};
use crate::RecordsError;

/// Counts up whenever a column changes.
const SCHEMA_VERSION: u32 = 1;
/// Rows of a row group: a few megabytes of memory.
const GROUP_ROWS: usize = 16_384;
/// Digits after the point: those of 10^-9, in which values cross the strategy interface.
const SCALE: u32 = 9;

pub(super) struct ParquetFile {
    columns: &'static [Column],
    rows: Vec<Vec<Cell>>,
    file: SerializedFileWriter<Box<dyn Write + Send>>,
}

impl ParquetFile {
    pub(super) fn new(
        name: &str,
        columns: &'static [Column],
        out: Box<dyn Write + Send>,
    ) -> Result<Self, RecordsError> {
        let schema = parse_message_type(&schema(name, columns)).map_err(failed)?;
        let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("sandpit {}", env!("CARGO_PKG_VERSION")))
            .set_key_value_metadata(Some(vec![
                pair("sandpit.kind", name.to_owned()),
                pair("sandpit.schema", SCHEMA_VERSION.to_string()),
                pair("sandpit.version", env!("CARGO_PKG_VERSION").to_owned()),
            ]))
            .build();
        let file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
        Ok(Self { columns, rows: Vec::new(), file })
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.file.next_row_group()?;
        for (at, column) in self.columns.iter().enumerate() {
            let cells = || rows.iter().map(|row| &row[at]);
            match column.kind {
                Kind::Text => put::<ByteArrayType>(&mut group, *column, cells(), as_text)?,
                Kind::Decimal => put::<FixedLenByteArrayType>(&mut group, *column, cells(), as_decimal)?,
                Kind::Time | Kind::Number => put::<Int64Type>(&mut group, *column, cells(), as_number)?,
                Kind::Flag => put::<BoolType>(&mut group, *column, cells(), as_flag)?,
            }
        }
        group.close().map(drop)
    }
}

impl Sink for ParquetFile {
    fn row(&mut self, cells: Vec<Cell>) -> Result<(), RecordsError> {
        self.rows.push(cells);
        if self.rows.len() < GROUP_ROWS {
            return Ok(());
        }
        self.write_group().map_err(failed)
    }

    fn end(mut self: Box<Self>) -> Result<(), RecordsError> {
        if !self.rows.is_empty() {
            self.write_group().map_err(failed)?;
        }
        self.file.finish().map_err(failed)?;
        self.file.inner_mut().flush().map_err(|error| RecordsError::Output(error.to_string()))
    }
}

fn schema(name: &str, columns: &[Column]) -> String {
    let mut text = format!("message {name} {{\n");
    for Column { name, kind, is_optional } in columns {
        let repetition = if *is_optional { "OPTIONAL" } else { "REQUIRED" };
        let (physical, logical) = match kind {
            Kind::Text => ("BYTE_ARRAY", " (STRING)"),
            Kind::Decimal => ("FIXED_LEN_BYTE_ARRAY(16)", " (DECIMAL(38,9))"),
            Kind::Time => ("INT64", " (TIMESTAMP(NANOS,true))"),
            Kind::Number => ("INT64", " (INTEGER(64,false))"),
            Kind::Flag => ("BOOLEAN", ""),
        };
        writeln!(text, "    {repetition} {physical} {name}{logical};").expect("a string takes everything");
    }
    text + "}"
}

/// One column. Of one that may be empty, the levels say which rows have a value.
fn put<'c, T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Box<dyn Write + Send>>,
    column: Column,
    cells: impl Iterator<Item = &'c Cell>,
    value: fn(&Cell) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for cell in cells {
        let found = value(cell);
        if found.is_none() && !matches!((cell, column.is_optional), (Cell::Nothing, true)) {
            return Err(ParquetError::General(format!("column {}: {cell:?} does not fit", column.name)));
        }
        levels.push(i16::from(found.is_some()));
        values.extend(found);
    }
    let mut writer = group.next_column()?.expect("the schema has as many columns as are filled");
    let levels = column.is_optional.then_some(levels);
    writer.typed::<T>().write_batch(&values, levels.as_deref(), None)?;
    writer.close()
}

fn as_text(cell: &Cell) -> Option<ByteArray> {
    match cell {
        Cell::Text(text) => Some(ByteArray::from(text.as_str())),
        _ => None,
    }
}

/// Two's complement, the highest byte first.
fn as_decimal(cell: &Cell) -> Option<FixedLenByteArray> {
    let Cell::Decimal(number) = cell else { return None };
    scaled(*number).map(|scaled| FixedLenByteArray::from(scaled.to_be_bytes().to_vec()))
}

fn scaled(number: Decimal) -> Option<i128> {
    let number = number.round_dp_with_strategy(SCALE, RoundingStrategy::MidpointNearestEven).normalize();
    let missing = SCALE - number.scale();
    number.mantissa().checked_mul(10_i128.pow(missing)).filter(|scaled| scaled.abs() < 10_i128.pow(38))
}

fn as_number(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Time(time) => Some(time.as_nanos()),
        // The column says that the bits are unsigned.
        Cell::Number(number) => Some(number.cast_signed()),
        _ => None,
    }
}

fn as_flag(cell: &Cell) -> Option<bool> {
    match cell {
        Cell::Flag(flag) => Some(*flag),
        _ => None,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn failed(error: ParquetError) -> RecordsError {
    RecordsError::Output(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_to_the_last_of_nine_digits() {
        let check = |text: &str, expected: Option<i128>| {
            assert_eq!(scaled(text.parse().expect("a decimal")), expected, "{text}");
        };
        check("0", Some(0));
        check("-0.000000001", Some(-1));
        check("1.50", Some(1_500_000_000));
        check("0.0000000005", Some(0));
        check("0.0000000015", Some(2));
        check("79228162514264337593543950335", Some(79_228_162_514_264_337_593_543_950_335_000_000_000));
        assert_eq!(as_decimal(&Cell::Decimal(Decimal::NEGATIVE_ONE)).expect("fits").data()[0], 0xff);
    }
}
