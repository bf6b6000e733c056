//! A table that is written a group of rows at a time, so that memory is bounded whatever its length.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::{self, Write},
    mem::take,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use parquet::{
    basic::{Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel},
    data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::{ColumnPath, Type},
};

use crate::{
    text::{escape, time::rfc3339},
    view::event::Source,
};

/// Some tens of megabytes while they are gathered. Readers work on groups in parallel, and leave out those that a query does not
/// need.
const ROWS_IN_GROUP: usize = 1 << 17;

const ROOT: &str = "memtrace";

/// One field of a row, by its type. None is NULL.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    Text(Option<Cow<'a, str>>),
    /// A moment by the wall clock.
    Time(Option<SystemTime>),
    Count(Option<u64>),
    /// What may be below 0.
    Signed(Option<i64>),
    Pid(Option<u32>),
    /// In the kernel.
    Address(Option<u64>),
    Flag(Option<bool>),
}

/// A row: its fields, with the names of their columns, always the same ones in the same order.
pub type Row<'a, const N: usize> = [(&'static str, Cell<'a>); N];

impl<'a> Cell<'a> {
    pub fn bytes(text: Option<&'a [u8]>) -> Self {
        Self::Text(text.map(escape::column))
    }

    pub fn text(text: &'a str) -> Self {
        Self::bytes(Some(text.as_bytes()))
    }
}

pub struct Table<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<Column>,
    rows: usize,
}

/// What was gathered of a column.
struct Column {
    /// 1 where there is a value, 0 where it is NULL.
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Long(Vec<i64>),
    Int(Vec<i32>),
    Flag(Vec<bool>),
    /// Texts repeat: each is kept once.
    Text(Vec<ByteArray>, HashMap<String, ByteArray>),
}

impl<W: Write + Send> Table<W> {
    /// A table whose rows are like the example, whatever that one's values are. What it says of its source stands in the file's
    /// metadata.
    pub fn start<const N: usize>(
        out: W,
        source: &Source,
        more: &[(&str, String)],
        example: &Row<'_, N>,
    ) -> io::Result<Self> {
        let fields = example.iter().map(|(name, cell)| field(name, cell).map(Arc::new));
        let schema = Type::group_type_builder(ROOT)
            .with_fields(fields.collect::<Result<_, _>>().map_err(io_error)?)
            .build()
            .map_err(io_error)?;
        let properties = properties(metadata(source, more), example);
        let writer =
            SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(io_error)?;
        let columns = example.iter().map(|(_, cell)| Column::of(cell)).collect();
        Ok(Self { writer, columns, rows: 0 })
    }

    pub fn push<const N: usize>(&mut self, row: Row<'_, N>) -> io::Result<()> {
        for (column, (_, cell)) in self.columns.iter_mut().zip(row) {
            column.push(cell);
        }
        self.rows += 1;
        if self.rows == ROWS_IN_GROUP { self.write_group() } else { Ok(()) }
    }

    /// Without this the file cannot be read.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.finish().map_err(io_error)?;
        self.writer.inner_mut().flush()
    }

    fn write_group(&mut self) -> io::Result<()> {
        let mut group = self.writer.next_row_group().map_err(io_error)?;
        for column in &mut self.columns {
            if let Some(mut writer) = group.next_column().map_err(io_error)? {
                column.write(&mut writer).map_err(io_error)?;
                writer.close().map_err(io_error)?;
            }
        }
        group.close().map_err(io_error)?;
        self.rows = 0;
        Ok(())
    }
}

impl Column {
    fn of(cell: &Cell<'_>) -> Self {
        let values = match cell {
            Cell::Text(_) => Values::Text(Vec::new(), HashMap::new()),
            Cell::Time(_) | Cell::Count(_) | Cell::Signed(_) | Cell::Address(_) => Values::Long(Vec::new()),
            Cell::Pid(_) => Values::Int(Vec::new()),
            Cell::Flag(_) => Values::Flag(Vec::new()),
        };
        Self { levels: Vec::new(), values }
    }

    /// A value of another type than the column's cannot come from rows of one type.
    fn push(&mut self, cell: Cell<'_>) {
        let is_some = match (&mut self.values, cell) {
            (Values::Text(values, known), Cell::Text(text)) => {
                put(values, text.map(|text| once(known, text)))
            }
            (Values::Flag(values), Cell::Flag(flag)) => put(values, flag),
            (Values::Int(values), Cell::Pid(pid)) => put(values, pid.map(|pid| pid as i32)),
            (Values::Long(values), Cell::Time(time)) => put(values, time.map(nanos)),
            (Values::Long(values), Cell::Count(count)) => {
                put(values, count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)))
            }
            (Values::Long(values), Cell::Signed(number)) => put(values, number),
            (Values::Long(values), Cell::Address(address)) => {
                put(values, address.map(|address| address as i64))
            }
            _ => false,
        };
        self.levels.push(is_some.into());
    }

    /// What was gathered; the next group begins with nothing.
    fn write(&mut self, writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = take(&mut self.levels);
        let levels = Some(&levels[..]);
        match &mut self.values {
            Values::Long(values) => writer.typed::<Int64Type>().write_batch(&take(values), levels, None),
            Values::Int(values) => writer.typed::<Int32Type>().write_batch(&take(values), levels, None),
            Values::Flag(values) => writer.typed::<BoolType>().write_batch(&take(values), levels, None),
            Values::Text(values, known) => {
                known.clear();
                writer.typed::<ByteArrayType>().write_batch(&take(values), levels, None)
            }
        }
        .map(drop)
    }
}

/// Whether there is a value.
fn put<T>(values: &mut Vec<T>, value: Option<T>) -> bool {
    let is_some = value.is_some();
    values.extend(value);
    is_some
}

fn once(known: &mut HashMap<String, ByteArray>, text: Cow<'_, str>) -> ByteArray {
    if let Some(value) = known.get(text.as_ref()) {
        return value.clone();
    }
    let value = ByteArray::from(text.as_bytes().to_vec());
    known.insert(text.into_owned(), value.clone());
    value
}

fn nanos(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn field(name: &str, cell: &Cell<'_>) -> Result<Type, ParquetError> {
    let (physical, logical) = match cell {
        Cell::Text(_) => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        Cell::Time(_) => (PhysicalType::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
        Cell::Count(_) | Cell::Signed(_) => (PhysicalType::INT64, None),
        Cell::Address(_) => (PhysicalType::INT64, Some(LogicalType::integer(64, false))),
        Cell::Pid(_) => (PhysicalType::INT32, None),
        Cell::Flag(_) => (PhysicalType::BOOLEAN, None),
    };
    Type::primitive_type_builder(name, physical)
        .with_logical_type(logical)
        .with_repetition(Repetition::OPTIONAL)
        .build()
}

/// Texts repeat, and so do numbers; times and addresses do not, but lie near each other.
fn properties<const N: usize>(metadata: Vec<KeyValue>, example: &Row<'_, N>) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("memtrace ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(metadata));
    for (name, _) in example.iter().filter(|(_, cell)| matches!(cell, Cell::Time(_) | Cell::Address(_))) {
        builder = builder
            .set_column_dictionary_enabled(ColumnPath::from(*name), false)
            .set_column_encoding(ColumnPath::from(*name), Encoding::DELTA_BINARY_PACKED);
    }
    builder.build()
}

fn metadata(source: &Source, more: &[(&str, String)]) -> Vec<KeyValue> {
    let Source { host, kernel, boot_id, started, tool } = source;
    let own = [
        ("host", host.clone()),
        ("kernel", kernel.clone()),
        ("boot_id", boot_id.clone()),
        ("started", rfc3339(*started)),
        ("tool", tool.clone()),
    ];
    let pairs = own.iter().chain(more);
    let clean = |text: &String| escape::column(text.as_bytes()).into_owned();
    pairs.map(|(key, value)| KeyValue::new(format!("{ROOT}.{key}"), clean(value))).collect()
}

/// Where writing failed it says how.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        error => io::Error::other(error),
    }
}
