//! One text column of a Parquet file, row by row.

use crate::ffi::{guarded, Bytes, Failure, Sink};
use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::fs::File;

/// Rows that are decoded at once: of a page, or of two.
const ROWS_AT_ONCE: usize = 64;

pub struct Rows {
    file: SerializedFileReader<File>,
    column: usize,
    group: usize,
    reader: Option<ColumnReaderImpl<ByteArrayType>>,
    nullable: bool,
    done: u64,
}

fn column_of(file: &SerializedFileReader<File>, field: &str) -> Result<usize, Failure> {
    let columns = file.metadata().file_metadata().schema_descr_ptr();
    let names: Vec<String> = columns.columns().iter().map(|c| c.path().string()).collect();
    let Some(column) = names.iter().position(|name| name == field) else {
        return Err(format!("no field \"{}\"; there are {}", field, names.join(", ")).into());
    };
    let description = columns.column(column);
    if description.physical_type() != Type::BYTE_ARRAY || description.max_rep_level() > 0 {
        return Err(format!("field \"{field}\": is no text").into());
    }
    Ok(column)
}

fn open(path: &str, field: &str) -> Result<Rows, Failure> {
    let file = SerializedFileReader::new(File::open(path)?)?;
    let column = column_of(&file, field)?;
    let description = file.metadata().file_metadata().schema_descr_ptr().column(column);
    let nullable = description.max_def_level() > 0;
    Ok(Rows { file, column, group: 0, reader: None, nullable, done: 0 })
}

impl Rows {
    /// Whether there is one; opens the next group of rows when the last is through.
    fn open_group(&mut self) -> Result<bool, Failure> {
        if self.reader.is_some() {
            return Ok(true);
        }
        if self.group == self.file.num_row_groups() {
            return Ok(false);
        }
        let group = self.file.get_row_group(self.group)?;
        self.group += 1;
        match group.get_column_reader(self.column)? {
            ColumnReader::ByteArrayColumnReader(reader) => self.reader = Some(reader),
            _ => return Err("the groups of rows differ in their types".into()),
        }
        Ok(true)
    }

    /// Some rows; none at the end.
    fn some(&mut self) -> Result<Vec<ByteArray>, Failure> {
        while self.open_group()? {
            let reader = self.reader.as_mut().ok_or("no group of rows")?;
            let mut values = Vec::with_capacity(ROWS_AT_ONCE);
            let mut levels = Vec::with_capacity(ROWS_AT_ONCE);
            let defined = if self.nullable { Some(&mut levels) } else { None };
            let (rows, present, _) = reader.read_records(ROWS_AT_ONCE, defined, None, &mut values)?;
            if present < rows {
                let highest = levels.iter().max().copied().unwrap_or(0).max(1);
                let absent = levels.iter().position(|level| *level < highest).unwrap_or(0);
                return Err(format!("row {}: the field is null", self.done + absent as u64 + 1).into());
            }
            if rows > 0 {
                self.done += rows as u64;
                return Ok(values);
            }
            self.reader = None;
        }
        Ok(Vec::new())
    }
}

#[no_mangle]
pub unsafe extern "C" fn ws_rows_open(path: Bytes, field: Bytes, out: *mut *mut Rows, error: Sink) -> bool {
    guarded(error, || {
        *out = Box::into_raw(Box::new(open(path.text()?, field.text()?)?));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn ws_rows_close(rows: *mut Rows) {
    if !rows.is_null() {
        drop(Box::from_raw(rows));
    }
}

#[no_mangle]
pub unsafe extern "C" fn ws_rows_count(rows: *const Rows) -> u64 {
    (*rows).file.metadata().file_metadata().num_rows().max(0) as u64
}

#[no_mangle]
pub unsafe extern "C" fn ws_rows_next(rows: *mut Rows, bytes_min: usize, row: Sink, error: Sink) -> bool {
    guarded(error, || {
        let mut given = 0;
        while given < bytes_min {
            let some = (*rows).some()?;
            if some.is_empty() {
                break;
            }
            for value in &some {
                given += value.len();
                row.bytes(value.data());
            }
        }
        Ok(())
    })
}
