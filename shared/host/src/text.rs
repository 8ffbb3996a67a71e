//! Text encodings of files that tills, 1C and Excel write: whatever comes in, UTF-8 goes out.
//!
//! The bytes decide, never a declaration: files are re-coded on their way and keep the old `encoding="windows-1251"`.
//! A byte order mark wins; else the file is UTF-8 if it looks like it, else windows-1251. Knows nothing about the content.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_16BE, UTF_16LE, WINDOWS_1251};

/// How many bytes, from the first that is not ASCII, decide between UTF-8 and windows-1251.
const WINDOW: usize = 64 * 1024;

/// A byte becomes at most three: windows-1251 has `№` and `€`, UTF-16 turns two bytes into three.
const DECODED: usize = WINDOW * 3 + 16;

/// The one byte that windows-1251 does not define. It is also the second byte of a UTF-8 `И`, so that a UTF-8 file with
/// one bad byte is found out here instead of becoming soup.
const UNDEFINED_IN_1251: u8 = 0x98;

/// In which encoding a file was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceEncoding {
    /// UTF-8 without a mark; plain ASCII too.
    Utf8,
    /// UTF-8 behind a byte order mark, as 1C and Excel write it.
    Utf8Bom,
    /// UTF-16, low byte first, behind a mark: Excel's "Unicode text".
    Utf16Le,
    /// UTF-16, high byte first, behind a mark.
    Utf16Be,
    /// The Cyrillic code page of Windows.
    Windows1251,
}

impl SourceEncoding {
    /// The name to show to people, such as `windows-1251`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf8Bom => "UTF-8 with BOM",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Windows1251 => "windows-1251",
        }
    }
}

/// Why a file is no text. Nothing behind the offset was delivered.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The file cannot be read; trying again may help.
    #[error("cannot read the file")]
    Read(#[source] io::Error),
    /// The bytes at this place do not belong to the file's encoding. They are not replaced by `U+FFFD`, because in a
    /// barcode that would name another piece.
    #[error("byte {offset} is not valid {encoding}")]
    Invalid {
        /// The encoding of the bytes before.
        encoding: &'static str,
        /// Offset of the first bad byte in the file, from 0.
        offset: u64,
    },
}

impl TextError {
    /// Finds the text error that [`Utf8Reader`] had to hand through [`io::Error`].
    pub fn from_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(text) => text,
            Err(error) => Self::Read(error),
        }
    }
}

impl From<TextError> for io::Error {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Read(error) => error,
            invalid @ TextError::Invalid { .. } => Self::new(io::ErrorKind::InvalidData, invalid),
        }
    }
}

/// What is known about the encoding so far.
enum Mode {
    /// Only ASCII was seen, which is the same in UTF-8 and windows-1251: the decision can wait.
    Ascii,
    /// Checked, not copied.
    Utf8,
    /// Decoded into a second buffer.
    Decode(Decoder),
}

/// A stream of valid UTF-8 over a file in any of the [`SourceEncoding`]s, in constant memory (at most 256 KiB).
///
/// A chunk never ends inside a character. Errors come as [`io::ErrorKind::InvalidData`] around a [`TextError`]
/// (see [`TextError::from_io`]), after everything before the bad byte was delivered.
pub struct Utf8Reader<R> {
    inner: R,
    encoding: SourceEncoding,
    mode: Mode,
    /// Bytes of the file; `raw_start..raw_end` are not yet delivered or decoded.
    raw: Box<[u8]>,
    raw_start: usize,
    raw_end: usize,
    /// Offset in the file of `raw[raw_start]`.
    offset: u64,
    at_eof: bool,
    finished: bool,
    /// Offset of a bad byte, reported once what came before it is consumed.
    bad_at: Option<u64>,
    /// Decoded text, only for [`Mode::Decode`].
    decoded: Vec<u8>,
    /// The valid text to hand out next, in `raw` or in `decoded`.
    ready_start: usize,
    ready_end: usize,
    /// Up to here of the ready text the line ends were counted.
    counted: usize,
    lines: u64,
}

/// Opens a text of unknown encoding as UTF-8. Reads the first bytes for a byte order mark.
///
/// # Errors
///
/// [`TextError::Read`] when the first bytes cannot be read.
pub fn utf8<R: Read>(inner: R) -> Result<Utf8Reader<R>, TextError> {
    let mut reader = Utf8Reader {
        inner,
        encoding: SourceEncoding::Utf8,
        mode: Mode::Ascii,
        raw: vec![0; WINDOW].into_boxed_slice(),
        raw_start: 0,
        raw_end: 0,
        offset: 0,
        at_eof: false,
        finished: false,
        bad_at: None,
        decoded: Vec::new(),
        ready_start: 0,
        ready_end: 0,
        counted: 0,
        lines: 0,
    };
    reader.read_at_least(3).map_err(TextError::Read)?;
    reader.take_mark();
    Ok(reader)
}

impl<R> Utf8Reader<R> {
    /// The encoding as far as it is known: a file is [`SourceEncoding::Utf8`] until its first byte that is not ASCII.
    pub fn encoding(&self) -> SourceEncoding {
        self.encoding
    }

    /// The line, from 1, of the next byte to be consumed. Counts what was consumed since the last call, so ask when
    /// something was found, not for each byte.
    pub fn line(&mut self) -> u64 {
        let upto = self.ready_start;
        self.count_lines(upto);
        self.lines + 1
    }

    fn buffer(&self) -> &[u8] {
        match self.mode {
            Mode::Ascii | Mode::Utf8 => &self.raw,
            Mode::Decode(_) => &self.decoded,
        }
    }

    fn ready(&self) -> &[u8] {
        self.buffer()
            .get(self.ready_start..self.ready_end)
            .unwrap_or_default()
    }

    fn undelivered(&self) -> &[u8] {
        self.raw
            .get(self.raw_start..self.raw_end)
            .unwrap_or_default()
    }

    fn count_lines(&mut self, upto: usize) {
        let fresh = self.buffer().get(self.counted..upto).unwrap_or_default();
        self.lines += count_line_ends(fresh);
        self.counted = upto;
    }

    /// Marks the first `count` undelivered bytes as delivered.
    fn skip_raw(&mut self, count: usize) {
        self.raw_start += count;
        self.offset += count as u64;
    }

    fn take_mark(&mut self) {
        let (encoding, length, decoder) = match self.undelivered() {
            [0xEF, 0xBB, 0xBF, ..] => (SourceEncoding::Utf8Bom, 3, None),
            [0xFF, 0xFE, ..] => (SourceEncoding::Utf16Le, 2, Some(UTF_16LE)),
            [0xFE, 0xFF, ..] => (SourceEncoding::Utf16Be, 2, Some(UTF_16BE)),
            _ => return,
        };
        self.encoding = encoding;
        self.skip_raw(length);
        match decoder {
            Some(encoding) => self.decode_with(encoding.new_decoder_without_bom_handling()),
            None => self.mode = Mode::Utf8,
        }
    }

    fn decode_with(&mut self, decoder: Decoder) {
        self.mode = Mode::Decode(decoder);
        self.decoded = vec![0; DECODED];
    }

    fn invalid(&self, offset: u64) -> io::Error {
        TextError::Invalid {
            encoding: self.encoding.name(),
            offset,
        }
        .into()
    }

    /// Hands out the next `count` undelivered bytes as they are.
    fn pass(&mut self, count: usize) {
        self.ready_start = self.raw_start;
        self.ready_end = self.raw_start + count;
        self.counted = self.raw_start;
        self.skip_raw(count);
    }
}

impl<R: Read> Utf8Reader<R> {
    /// Reads until that many bytes are undelivered, or the file ends, or the buffer is full.
    fn read_at_least(&mut self, wanted: usize) -> io::Result<()> {
        if self.raw_start > 0 {
            self.raw.copy_within(self.raw_start..self.raw_end, 0);
            self.raw_end -= self.raw_start;
            self.raw_start = 0;
        }
        while self.raw_end < wanted.min(self.raw.len()) && !self.at_eof {
            let free = self.raw.get_mut(self.raw_end..).unwrap_or_default();
            match self.inner.read(free) {
                Ok(0) => self.at_eof = true,
                Ok(count) => self.raw_end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes the next piece ready; an empty one means the end of the file.
    fn refill(&mut self) -> io::Result<()> {
        let upto = self.ready_end;
        self.count_lines(upto);
        (self.ready_start, self.ready_end, self.counted) = (0, 0, 0);
        while self.ready_start == self.ready_end && !self.finished {
            if let Some(offset) = self.bad_at {
                return Err(self.invalid(offset));
            }
            if self.undelivered().is_empty() {
                self.read_at_least(1)?;
            }
            match self.mode {
                Mode::Ascii => self.refill_ascii()?,
                Mode::Utf8 => self.refill_utf8()?,
                Mode::Decode(_) => self.refill_decoded(),
            }
        }
        Ok(())
    }

    fn refill_ascii(&mut self) -> io::Result<()> {
        let bytes = self.undelivered();
        let ascii = Encoding::ascii_valid_up_to(bytes);
        if ascii > 0 {
            self.pass(ascii);
            return Ok(());
        }
        if bytes.is_empty() {
            self.finished = true;
            return Ok(());
        }
        self.read_at_least(WINDOW)?;
        let is_utf8 = match std::str::from_utf8(self.undelivered()) {
            Ok(_) => true,
            // Only the end is missing: the window, or the file, was cut inside a character.
            Err(error) => error.error_len().is_none() && (error.valid_up_to() > 0 || !self.at_eof),
        };
        if is_utf8 {
            self.mode = Mode::Utf8;
        } else {
            self.encoding = SourceEncoding::Windows1251;
            self.decode_with(WINDOWS_1251.new_decoder_without_bom_handling());
        }
        Ok(())
    }

    fn refill_utf8(&mut self) -> io::Result<()> {
        let bytes = self.undelivered();
        if bytes.is_empty() {
            self.finished = true;
            return Ok(());
        }
        // Faster than the standard library's check, which is asked only about the piece that did not pass.
        let valid = Encoding::utf8_valid_up_to(bytes);
        if valid > 0 {
            self.pass(valid);
            return Ok(());
        }
        match std::str::from_utf8(bytes) {
            Err(error) if error.error_len().is_none() && !self.at_eof => {
                let wanted = bytes.len() + 1;
                self.read_at_least(wanted)?;
            }
            _ => return Err(self.invalid(self.offset)),
        }
        Ok(())
    }

    fn refill_decoded(&mut self) {
        let is_1251 = self.encoding == SourceEncoding::Windows1251;
        let bytes = self.undelivered();
        let undefined = bytes
            .iter()
            .position(|byte| is_1251 && *byte == UNDEFINED_IN_1251);
        let count = undefined.unwrap_or(bytes.len());
        if undefined == Some(0) {
            self.bad_at = Some(self.offset);
            return;
        }
        let last = self.at_eof && undefined.is_none();
        let bytes = self
            .raw
            .get(self.raw_start..self.raw_start + count)
            .unwrap_or_default();
        let Mode::Decode(decoder) = &mut self.mode else {
            return;
        };
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(bytes, &mut self.decoded, last);
        self.skip_raw(read);
        self.ready_end = written;
        match result {
            DecoderResult::Malformed(bad, behind) => {
                let back = u64::from(bad) + u64::from(behind);
                self.bad_at = Some(self.offset.saturating_sub(back));
            }
            DecoderResult::InputEmpty => self.finished = last,
            DecoderResult::OutputFull => {}
        }
    }
}

impl<R: Read> BufRead for Utf8Reader<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ready_start == self.ready_end {
            self.refill()?;
        }
        Ok(self.ready())
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        self.ready_start = self.ready_end.min(self.ready_start + amount);
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let count = ready.len().min(out.len());
        if let (Some(target), Some(source)) = (out.get_mut(..count), ready.get(..count)) {
            target.copy_from_slice(source);
        }
        self.consume(count);
        Ok(count)
    }
}

/// Counts in bytes, which the compiler turns into vector code; a checked sum of 64 bits it does not.
fn count_line_ends(bytes: &[u8]) -> u64 {
    bytes
        .chunks(usize::from(u8::MAX))
        .map(|chunk| {
            let is_end = chunk.iter().map(|byte| u8::from(*byte == b'\n'));
            u64::from(is_end.fold(0_u8, u8::wrapping_add))
        })
        .sum()
}

/// The text without blanks around it, as [`str::trim`]; quick where there are none, which is nearly always.
pub(crate) fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        [only] if only.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

#[cfg(test)]
mod tests;
