//! One Parquet file, row by row. A group of rows is in memory until it is full, and no more than that.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tempfile::NamedTempFile;

use super::Cell;
use crate::levels::Failed;

/// Rows of a group: some 30 MB of paths and digests.
const GROUP: usize = 1 << 17;

/// The values of a column that aren't written yet.
enum Column {
    Text(Vec<ByteArray>),
    Number(Vec<i64>),
}

/// A file in the making. It has its name once it is complete.
pub(super) struct Writer {
    file: NamedTempFile,
    writer: SerializedFileWriter<File>,
    columns: Vec<Column>,
    rows: usize,
}

impl Writer {
    /// A new file in this directory, with columns of numbers and texts by a Parquet schema.
    pub(super) fn create(directory: &Path, schema: &str) -> Result<Self, Failed> {
        let schema = Arc::new(parse_message_type(schema)?);
        let column = |field: &Arc<parquet::schema::types::Type>| match field.get_physical_type() {
            parquet::basic::Type::INT64 => Column::Number(Vec::new()),
            _ => Column::Text(Vec::new()),
        };
        let columns = schema.get_fields().iter().map(column).collect();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("plinth ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let file = NamedTempFile::new_in(directory)?;
        let writer = SerializedFileWriter::new(file.reopen()?, schema, Arc::new(properties))?;
        Ok(Self { file, writer, columns, rows: 0 })
    }

    /// Adds a row: a value for each column, in their order.
    pub(super) fn row<const N: usize>(&mut self, cells: [Cell<'_>; N]) -> Result<(), Failed> {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Column::Text(texts), Cell::Text(text)) => {
                    texts.push(ByteArray::from(text.into_owned().into_bytes()));
                }
                (Column::Number(numbers), Cell::Number(number)) => numbers.push(number),
                _ => return Err("a value of the wrong type".into()),
            }
        }
        self.rows += 1;
        if self.rows == GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failed> {
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            let Some(mut writer) = group.next_column()? else { return Err("a column too many".into()) };
            match column {
                Column::Text(texts) => {
                    writer.typed::<ByteArrayType>().write_batch(texts, None, None)?;
                    texts.clear();
                }
                Column::Number(numbers) => {
                    writer.typed::<Int64Type>().write_batch(numbers, None, None)?;
                    numbers.clear();
                }
            }
            writer.close()?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    /// Completes the file and gives it its name.
    pub(super) fn finish(mut self, path: &Path) -> Result<(), Failed> {
        if self.rows > 0 {
            self.flush()?;
        }
        self.writer.close()?;
        // A temporary file is its owner's alone; a table is as public as any other file.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            self.file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        self.file.persist(path)?;
        Ok(())
    }
}
