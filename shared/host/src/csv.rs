//! CSV files of tills, 1C and Excel, as rows with line numbers.
//!
//! The header line decides which [`Table`] a file is. A bad line is a value, [`BadRow`], and stops nothing but itself; a
//! file that was cut or whose quotes do not close is an error, and a caller [`check`]s a file to its end before applying
//! its first line. This module decides nothing about stock.
//!
//! The records are split here and not by the `csv` crate, because a line in quarantine needs its raw text and its number
//! in the file, and an unclosed quote must not swallow the rest of the file (there it does, without an error).

mod header;
mod record;
mod words;

use std::fmt;
use std::io::{self, Read};

pub use header::{ATTRIBUTES, Column, Header, Table};
pub use words::movement_type;

use crate::text::{SourceEncoding, TextError, Utf8Reader, trim, utf8};
use record::{Frame, Record};

/// The longest record, bytes of UTF-8 with its line end.
pub const MAX_RECORD_BYTES: usize = 64 * 1024;
/// The most columns of a header.
pub const MAX_COLUMNS: usize = 1_000;
/// How much of a bad line is kept for people, bytes.
pub const MAX_RAW_BYTES: usize = 4 * 1024;

/// Why a whole CSV file cannot be used. Rows that were delivered before must not be applied: [`check`] first.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The file cannot be read, or is no text in a known encoding.
    #[error("cannot read the CSV file")]
    Text(#[from] TextError),
    /// There is no header line.
    #[error("the CSV file is empty")]
    Empty,
    /// The first line is not a header.
    #[error("line {line} is no header: {reason}")]
    Header {
        /// Physical line.
        line: u64,
        /// What is wrong with it.
        reason: BadReason,
    },
    /// More than [`MAX_COLUMNS`].
    #[error("the header has {count} columns, at most {MAX_COLUMNS} are read")]
    TooManyColumns {
        /// How many there are.
        count: usize,
    },
    /// Two columns mean the same, so that nobody can say which one counts.
    #[error("columns {first:?} and {second:?} of the header both mean {meaning:?}")]
    DuplicateColumn {
        /// The canonical name.
        meaning: &'static str,
        /// The left one, as written.
        first: String,
        /// The right one, as written.
        second: String,
    },
    /// The columns belong to no known table.
    #[error("the header {columns:?} is none of a known table")]
    UnknownTable {
        /// The header as written, shortened.
        columns: String,
    },
    /// The table is known by its columns, but lacks some without which no line can be read.
    #[error("a file of {table} also needs the columns {missing}")]
    MissingColumns {
        /// What the file seems to be.
        table: Table,
        /// Canonical names, separated by commas.
        missing: String,
    },
    /// A quoted field does not end: the file was cut, or a quote is missing.
    #[error("a quote that begins in the record at line {line} is not closed")]
    UnclosedQuote {
        /// Physical line where the record begins.
        line: u64,
    },
    /// The last line has no line end and too few fields: the file was cut while it was written or copied.
    #[error("the file ends inside line {line}")]
    Truncated {
        /// Physical line where the last record begins.
        line: u64,
    },
}

impl From<io::Error> for CsvError {
    fn from(error: io::Error) -> Self {
        Self::Text(TextError::from_io(error))
    }
}

/// Why one record was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadReason {
    /// Another number of fields than the header; empty ones at the end do not count.
    WrongFieldCount {
        /// Columns of the header.
        expected: usize,
        /// Fields of the record.
        found: usize,
    },
    /// A NUL or another control character. (A tab is a blank; a line end inside quotes is text.)
    ControlCharacter,
    /// Longer than [`MAX_RECORD_BYTES`].
    RecordTooLong,
}

impl BadReason {
    /// The stable code for reports and the quarantine.
    pub fn code(self) -> &'static str {
        match self {
            Self::WrongFieldCount { .. } => "wrong_field_count",
            Self::ControlCharacter => "control_character",
            Self::RecordTooLong => "record_too_long",
        }
    }
}

impl fmt::Display for BadReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongFieldCount { expected, found } => {
                write!(out, "{found} fields where the header has {expected}")
            }
            Self::ControlCharacter => out.write_str("a control character"),
            Self::RecordTooLong => write!(out, "longer than {MAX_RECORD_BYTES} bytes"),
        }
    }
}

/// One record with as many fields as the header.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    line: u64,
    header: &'a Header,
    record: &'a Record,
}

impl<'a> Row<'a> {
    /// The physical line, from 1, where the record begins.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The trimmed value, or `None` where the column is missing or the field is empty. Ask [`Header::has`] to tell one
    /// from the other.
    pub fn get(&self, column: Column) -> Option<&'a str> {
        let value = trim(self.record.field(self.header.position(column)?)?);
        (!value.is_empty()).then_some(value)
    }

    /// The record as it stands in the file, without its line end.
    pub fn raw(&self) -> &'a str {
        self.record.raw()
    }
}

/// One record that cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct BadRow<'a> {
    /// The physical line, from 1, where the record begins.
    pub line: u64,
    /// Why.
    pub reason: BadReason,
    /// The record as it stands in the file, at most [`MAX_RAW_BYTES`].
    pub raw: &'a str,
}

/// What stands in a file behind its header.
pub enum Line<'a> {
    /// A record to be applied.
    Row(Row<'a>),
    /// A record for the quarantine.
    Bad(BadRow<'a>),
}

/// Reads a CSV file row by row, in constant memory.
pub struct CsvReader<R> {
    source: Utf8Reader<R>,
    header: Header,
    record: Record,
}

impl<R: Read> CsvReader<R> {
    /// Opens a file and reads its header. Blank lines and Excel's `sep=;` before it are skipped.
    ///
    /// # Errors
    ///
    /// Any [`CsvError`] but `Truncated`.
    pub fn open(source: R) -> Result<Self, CsvError> {
        let mut source = utf8(source)?;
        let mut record = Record::new();
        let mut separator = None;
        loop {
            match record.read(&mut source, separator)? {
                Frame::End => return Err(CsvError::Empty),
                Frame::Blank => {}
                Frame::TooLong => {
                    return Err(CsvError::Header {
                        line: record.line(),
                        reason: BadReason::RecordTooLong,
                    });
                }
                Frame::Read => match header::excel_hint(record.raw()) {
                    Some(hint) => separator = Some(hint),
                    None => break,
                },
            }
        }
        let header = Header::parse(&mut record, separator)?;
        Ok(Self {
            source,
            header,
            record,
        })
    }

    /// What the header line said.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// In which encoding the file is, as far as it was read.
    pub fn encoding(&self) -> SourceEncoding {
        self.source.encoding()
    }

    /// The next record, or `None` behind the last one. Records with nothing but empty fields are skipped.
    ///
    /// # Errors
    ///
    /// [`CsvError::Text`], [`CsvError::UnclosedQuote`], [`CsvError::Truncated`].
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, CsvError> {
        let bad = loop {
            match self
                .record
                .read(&mut self.source, Some(self.header.separator()))?
            {
                Frame::End => return Ok(None),
                Frame::Blank => {}
                Frame::TooLong => break Some(BadReason::RecordTooLong),
                Frame::Read => {
                    if !self.record.split(self.header.separator()) {
                        continue;
                    }
                    break self.judge()?;
                }
            }
        };
        let line = self.record.line();
        Ok(Some(match bad {
            None => Line::Row(Row {
                line,
                header: &self.header,
                record: &self.record,
            }),
            Some(reason) => Line::Bad(BadRow {
                line,
                reason,
                raw: shorten(self.record.raw(), MAX_RAW_BYTES),
            }),
        }))
    }

    /// Whether the split record can be a row.
    fn judge(&self) -> Result<Option<BadReason>, CsvError> {
        let expected = self.header.width();
        let found = self.record.width(expected);
        let has_control = self.record.has_control();
        if found == expected && !has_control {
            return Ok(None);
        }
        // A last line of NULs is what a power cut leaves of a file that was being written.
        if !self.record.is_terminated() && (found < expected || has_control) {
            return Err(CsvError::Truncated {
                line: self.record.line(),
            });
        }
        if has_control {
            return Ok(Some(BadReason::ControlCharacter));
        }
        Ok(Some(BadReason::WrongFieldCount { expected, found }))
    }
}

/// What a look through a whole file has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What the file is.
    pub table: Table,
    /// Readable records.
    pub rows: u64,
    /// Records for the quarantine.
    pub bad: u64,
    /// In which encoding it is.
    pub encoding: SourceEncoding,
    /// The columns that nobody reads, as written.
    pub unknown: Vec<String>,
}

/// Reads a file to its end without looking at values: whether it is whole, and how much is in it.
///
/// # Errors
///
/// Any [`CsvError`]; then nothing of the file may be applied.
pub fn check<R: Read>(source: R) -> Result<Checked, CsvError> {
    let mut reader = CsvReader::open(source)?;
    let (mut rows, mut bad) = (0, 0);
    while let Some(line) = reader.next_line()? {
        match line {
            Line::Row(_) => rows += 1,
            Line::Bad(_) => bad += 1,
        }
    }
    Ok(Checked {
        table: reader.header.table(),
        rows,
        bad,
        encoding: reader.encoding(),
        unknown: reader.header.unknown().to_vec(),
    })
}

/// The longest beginning of at most `most` bytes that does not cut a character.
fn shorten(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

#[cfg(test)]
mod tests;
