//! Records: where one ends in the stream, and where its fields are.

use std::io::{BufRead, Read};

use super::{CsvError, MAX_RECORD_BYTES};

/// What was found at the place of the next record.
pub(super) enum Frame {
    /// The end of the file.
    End,
    /// A line of blanks.
    Blank,
    /// A record, not yet split.
    Read,
    /// A line beyond the cap; its end was skipped.
    TooLong,
}

/// Where in a record the search for its end is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote inside a quoted field: its end, or the first half of a doubled one.
    QuoteInQuoted,
}

/// One record; its buffers are used again for the next one.
pub(super) struct Record {
    /// The record as read, without its line end once it is framed.
    bytes: String,
    /// What was read before it was known to be text.
    read: Vec<u8>,
    /// The fields without their quotes, only for records that have any.
    unquoted: String,
    has_quotes: bool,
    has_control: bool,
    is_terminated: bool,
    /// Where the fields are, in `unquoted` or in `bytes`.
    fields: Vec<(usize, usize)>,
    line: u64,
    next_line: u64,
}

/// The record separators that a header may have.
pub(super) const SEPARATORS: [u8; 3] = [b';', b',', b'\t'];

fn is_separator(byte: u8, separator: Option<u8>) -> bool {
    separator.map_or_else(|| SEPARATORS.contains(&byte), |known| known == byte)
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7F
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            bytes: String::new(),
            read: Vec::new(),
            unquoted: String::new(),
            has_quotes: false,
            has_control: false,
            is_terminated: false,
            fields: Vec::new(),
            line: 0,
            next_line: 1,
        }
    }

    /// Reads up to the end of the record, which may span lines inside quotes. `separator` is `None` for a header.
    pub(super) fn read(
        &mut self,
        source: &mut impl BufRead,
        separator: Option<u8>,
    ) -> Result<Frame, CsvError> {
        let mut read = std::mem::take(&mut self.read);
        read.clear();
        let frame = self.frame(source, &mut read, separator);
        self.bytes.clear();
        match std::str::from_utf8(&read) {
            Ok(text) => self.bytes.push_str(text),
            // Only the cut at the cap can split a character.
            Err(error) => {
                let valid = read.get(..error.valid_up_to()).unwrap_or_default();
                self.bytes.push_str(&String::from_utf8_lossy(valid));
            }
        }
        self.read = read;
        self.fields.clear();
        frame
    }

    fn frame(
        &mut self,
        source: &mut impl BufRead,
        read: &mut Vec<u8>,
        separator: Option<u8>,
    ) -> Result<Frame, CsvError> {
        self.line = self.next_line;
        self.has_quotes = false;
        let mut quoting = Quoting::FieldStart;
        loop {
            let begin = read.len();
            let room = MAX_RECORD_BYTES + 1 - begin;
            let count = Read::take(&mut *source, room as u64).read_until(b'\n', read)?;
            self.is_terminated = count > 0 && read.last() == Some(&b'\n');
            self.next_line += u64::from(self.is_terminated);
            let fresh = read.get(begin..).unwrap_or_default();
            if self.has_quotes || fresh.contains(&b'"') {
                self.has_quotes = true;
                quoting = scan_quotes(fresh, quoting, separator);
            }
            let is_open = quoting == Quoting::Quoted;
            if read.len() > MAX_RECORD_BYTES {
                if is_open {
                    return Err(CsvError::UnclosedQuote { line: self.line });
                }
                if !self.is_terminated {
                    source.skip_until(b'\n')?;
                    self.next_line += 1;
                }
                return Ok(Frame::TooLong);
            }
            if !is_open {
                break;
            }
            if !self.is_terminated {
                return Err(CsvError::UnclosedQuote { line: self.line });
            }
        }
        Ok(self.close(read))
    }

    /// Strips the line end and tells what is left.
    fn close(&self, read: &mut Vec<u8>) -> Frame {
        if self.is_terminated {
            read.pop();
            if read.last() == Some(&b'\r') {
                read.pop();
            }
        } else if read.is_empty() || read.as_slice() == [0x1A] {
            // Tills that began under DOS end a file with Ctrl-Z.
            return Frame::End;
        }
        if read.iter().all(u8::is_ascii_whitespace) {
            return Frame::Blank;
        }
        Frame::Read
    }

    /// Finds the fields. Returns whether any of them holds something.
    pub(super) fn split(&mut self, separator: u8) -> bool {
        self.fields.clear();
        self.has_control = false;
        if self.has_quotes {
            self.split_quoted(separator);
        } else {
            self.split_plain(separator);
        }
        let text = self.text();
        self.fields.iter().any(|(begin, end)| {
            text.get(*begin..*end)
                .is_some_and(|field| !field.trim_ascii().is_empty())
        })
    }

    fn split_plain(&mut self, separator: u8) {
        let mut begin = 0;
        for (at, byte) in self.bytes.bytes().enumerate() {
            if byte == separator {
                self.fields.push((begin, at));
                begin = at + 1;
            } else if is_control(byte) {
                self.has_control = true;
            }
        }
        self.fields.push((begin, self.bytes.len()));
    }

    fn split_quoted(&mut self, separator: u8) {
        self.unquoted.clear();
        let mut begin = 0;
        let mut state = Quoting::FieldStart;
        for letter in self.bytes.chars() {
            let byte = u8::try_from(letter).unwrap_or(b'x');
            let is_text = state == Quoting::Quoted;
            let next = step(state, byte, byte == separator);
            if next == Quoting::FieldStart {
                self.fields.push((begin, self.unquoted.len()));
                begin = self.unquoted.len();
            } else if keeps(state, next) {
                // A line end inside quotes is text, every other control character is damage.
                let is_line_end = is_text && matches!(byte, b'\r' | b'\n');
                self.has_control |= is_control(byte) && !is_line_end;
                self.unquoted.push(letter);
            }
            state = next;
        }
        self.fields.push((begin, self.unquoted.len()));
    }

    fn text(&self) -> &str {
        if self.has_quotes {
            &self.unquoted
        } else {
            &self.bytes
        }
    }

    /// The field at a place, without its quotes, not trimmed.
    pub(super) fn field(&self, position: usize) -> Option<&str> {
        let (begin, end) = self.fields.get(position)?;
        self.text().get(*begin..*end)
    }

    /// How many fields there are, not counting empty ones behind the `expected` number.
    pub(super) fn width(&self, expected: usize) -> usize {
        let mut width = self.fields.len();
        while width > expected
            && self
                .field(width - 1)
                .is_some_and(|field| field.trim().is_empty())
        {
            width -= 1;
        }
        width
    }

    /// The record as it stands in the file.
    pub(super) fn raw(&self) -> &str {
        &self.bytes
    }

    /// The physical line where it begins.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Whether it ends with a line end.
    pub(super) fn is_terminated(&self) -> bool {
        self.is_terminated
    }

    /// Whether it holds a control character.
    pub(super) fn has_control(&self) -> bool {
        self.has_control
    }
}

/// One step of the search. A quote opens a field only at its start; behind a closing quote anything but a separator is
/// taken as it is, as spreadsheets do.
fn step(state: Quoting, byte: u8, is_separator: bool) -> Quoting {
    match (state, byte) {
        (Quoting::Quoted, b'"') => Quoting::QuoteInQuoted,
        (Quoting::Quoted, _) | (Quoting::QuoteInQuoted | Quoting::FieldStart, b'"') => {
            Quoting::Quoted
        }
        _ if is_separator => Quoting::FieldStart,
        _ => Quoting::Plain,
    }
}

/// Whether the byte of this step belongs to the value: all but the opening, the closing and half of a doubled quote.
fn keeps(state: Quoting, next: Quoting) -> bool {
    let opens = state == Quoting::FieldStart && next == Quoting::Quoted;
    !opens && next != Quoting::QuoteInQuoted
}

fn scan_quotes(bytes: &[u8], mut state: Quoting, separator: Option<u8>) -> Quoting {
    for byte in bytes {
        state = step(state, *byte, is_separator(*byte, separator));
    }
    state
}
