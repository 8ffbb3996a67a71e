//! CSV by RFC 4180, safe to open in a spreadsheet.

use std::borrow::Cow;
use std::io::{self, Write};

/// A cell of an exported table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Words: what a spreadsheet would run as a formula gets an apostrophe before it.
    Text(&'a str),
    /// A number or a time of ours, written as it is: `-3` stays a number.
    Number(&'a str),
}

/// Writes rows: comma or semicolon, CRLF, quotes where they are needed, UTF-8.
pub struct CsvOut<W: Write> {
    writer: csv::Writer<W>,
}

impl<W: Write> CsvOut<W> {
    /// Into `writer`, with commas.
    pub fn new(writer: W) -> Self {
        Self::separated(writer, b',')
    }

    /// Into `writer`, with another separator, as Russian spreadsheets want `;`.
    pub fn separated(writer: W, separator: u8) -> Self {
        Self {
            writer: csv::WriterBuilder::new()
                .delimiter(separator)
                .terminator(csv::Terminator::CRLF)
                .from_writer(writer),
        }
    }

    /// A row of column names, which are ours.
    ///
    /// # Errors
    ///
    /// The writer's own, or another number of cells than before.
    pub fn header(&mut self, names: &[&str]) -> io::Result<()> {
        self.writer.write_record(names).map_err(io::Error::from)
    }

    /// A row.
    ///
    /// # Errors
    ///
    /// The writer's own, or another number of cells than before.
    pub fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        for cell in cells {
            let text = match cell {
                Cell::Text(text) => harmless(text),
                Cell::Number(text) => Cow::Borrowed(*text),
            };
            self.writer
                .write_field(text.as_bytes())
                .map_err(io::Error::from)?;
        }
        self.writer
            .write_record(None::<&[u8]>)
            .map_err(io::Error::from)
    }

    /// Writes out what is still held back.
    ///
    /// # Errors
    ///
    /// The writer's own.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A spreadsheet takes a cell that begins like this for a formula.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_disarmed_and_numbers_stay() {
        let mut bytes = Vec::new();
        let mut csv = CsvOut::new(&mut bytes);
        csv.header(&["name", "qty"]).unwrap();
        csv.row(&[Cell::Text("=cmd|'/c calc'!A1"), Cell::Number("-3")])
            .unwrap();
        csv.row(&[Cell::Text("Ring, \"gold\"\n585"), Cell::Number("2")])
            .unwrap();
        csv.finish().unwrap();

        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "name,qty\r\n'=cmd|'/c calc'!A1,-3\r\n\"Ring, \"\"gold\"\"\n585\",2\r\n"
        );
    }

    #[test]
    fn a_row_of_another_length_is_an_error() {
        let mut csv = CsvOut::separated(Vec::new(), b';');
        csv.header(&["a", "b"]).unwrap();
        assert!(csv.row(&[Cell::Text("x")]).is_err());
    }
}
