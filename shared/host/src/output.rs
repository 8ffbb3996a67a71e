//! What a command prints, in which language, and how it ends.
//!
//! A command writes to an [`Out`] and does not know whether that is a terminal, a pipe, or the program that asked a
//! running server to run the command. Answers go to stdout, everything else to stderr.

mod csv;
mod lang;
mod table;

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

pub use self::csv::{Cell, CsvOut};
pub use lang::{Lang, UnknownLang};

use table::Frame;

/// How a command ended, as the process says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked.
    Done = 0,
    /// It did not.
    Failed = 1,
    /// It was asked wrongly.
    Usage = 2,
    /// It ran fine and found something wrong (`verify`, `doctor`, `lag --max`).
    Wrong = 3,
}

impl Exit {
    /// The number of it.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Wrong => 3,
        }
    }

    /// The end of that number; any other number is a failure.
    pub fn of_code(code: u8) -> Self {
        match code {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::Wrong,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why an answer was not printed.
#[derive(Debug, thiserror::Error)]
pub enum OutError {
    /// Who read our output has gone (`| head`): stop, without a complaint.
    #[error("nobody reads the output any more")]
    Gone,
    /// It cannot be written.
    #[error("cannot write the output")]
    Write(#[source] io::Error),
    /// A value has no JSON form.
    #[error("cannot write the output as JSON")]
    Json(#[source] serde_json::Error),
}

impl From<io::Error> for OutError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Gone,
            _ => Self::Write(error),
        }
    }
}

impl From<serde_json::Error> for OutError {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() {
            io::Error::from(error).into()
        } else {
            Self::Json(error)
        }
    }
}

/// Where a command's words go. Dropping it flushes; [`Out::finish`] also says whether that worked.
pub struct Out {
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    lang: Lang,
    is_terminal: bool,
    shows_progress: bool,
}

impl Out {
    /// This process's own stdout and stderr.
    pub fn console(lang: Lang) -> Self {
        let is_terminal = io::stdout().is_terminal();
        // A person sees each line when it is there; a pipe gets blocks.
        let stdout: Box<dyn Write + Send> = if is_terminal {
            Box::new(io::stdout())
        } else {
            Box::new(io::BufWriter::with_capacity(64 * 1024, io::stdout()))
        };
        Self {
            stdout,
            stderr: Box::new(io::stderr()),
            lang,
            is_terminal,
            shows_progress: io::stderr().is_terminal(),
        }
    }

    /// Anything else; `is_terminal` says whether a person looks at it.
    pub fn to(
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
        lang: Lang,
        is_terminal: bool,
    ) -> Self {
        Self {
            stdout,
            stderr,
            lang,
            is_terminal,
            shows_progress: false,
        }
    }

    /// Memory, for tests and for answers that travel as a whole.
    pub fn captured(lang: Lang) -> (Self, Captured) {
        let captured = Captured::default();
        let out = Self::to(
            Box::new(captured.stdout.clone()),
            Box::new(captured.stderr.clone()),
            lang,
            false,
        );
        (out, captured)
    }

    /// The language of texts for people.
    pub fn lang(&self) -> Lang {
        self.lang
    }

    /// Sets the language, once the configuration is known.
    pub fn speak(&mut self, lang: Lang) {
        self.lang = lang;
    }

    /// Whether a person looks at stdout.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// A line of the answer.
    ///
    /// # Errors
    ///
    /// [`OutError`].
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), OutError> {
        Ok(writeln!(self.stdout, "{}", text.as_ref())?)
    }

    /// Sentences of the answer: on a terminal in lines that break between words, otherwise one line.
    ///
    /// # Errors
    ///
    /// [`OutError`].
    pub fn sentences(&mut self, text: impl AsRef<str>) -> Result<(), OutError> {
        if self.is_terminal {
            // A path stays whole: somebody will copy it.
            let lines = textwrap::Options::with_termwidth()
                .word_splitter(textwrap::WordSplitter::NoHyphenation)
                .break_words(false);
            self.line(textwrap::fill(text.as_ref(), lines))
        } else {
            self.line(text)
        }
    }

    /// A line of the answer that somebody waits for in a pipe: `ready http://…`.
    ///
    /// # Errors
    ///
    /// [`OutError`].
    pub fn line_now(&mut self, text: impl AsRef<str>) -> Result<(), OutError> {
        self.line(text)?;
        Ok(self.flush()?)
    }

    /// A line on stderr: what is not the answer. That it cannot be written stops nothing.
    pub fn note(&mut self, text: impl AsRef<str>) {
        let _ = writeln!(self.stderr, "{}", text.as_ref());
        let _ = self.stderr.flush();
    }

    /// Bytes for stderr as another program wrote them.
    pub(crate) fn note_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stderr.write_all(bytes);
        let _ = self.stderr.flush();
    }

    /// The answer as JSON: on a terminal indented, otherwise one line.
    ///
    /// # Errors
    ///
    /// [`OutError`].
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), OutError> {
        if self.is_terminal {
            serde_json::to_writer_pretty(&mut self.stdout, value)?;
        } else {
            serde_json::to_writer(&mut self.stdout, value)?;
        }
        Ok(self.stdout.write_all(b"\n")?)
    }

    /// One line of JSON, for lists that are printed while they are read.
    ///
    /// # Errors
    ///
    /// [`OutError`].
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<(), OutError> {
        serde_json::to_writer(&mut self.stdout, value)?;
        Ok(self.stdout.write_all(b"\n")?)
    }

    /// The answer as a table: with a frame on a terminal, plain columns otherwise. Columns of numbers stand right.
    ///
    /// # Errors
    ///
    /// [`OutError`].
    pub fn table<R, C>(
        &mut self,
        headers: &[&str],
        rows: impl IntoIterator<Item = R>,
    ) -> Result<(), OutError>
    where
        R: IntoIterator<Item = C>,
        C: Into<String>,
    {
        let frame = if self.is_terminal {
            Frame::Drawn
        } else {
            Frame::Plain
        };
        let rows = rows
            .into_iter()
            .map(|row| row.into_iter().map(Into::into).collect())
            .collect();
        self.line(table::draw(headers, rows, frame))
    }

    /// An error with its causes, on stderr.
    pub fn error(&mut self, error: &(dyn Error + 'static)) {
        self.error_as(error, |_, text| text.into());
    }

    /// The same in the words of a program that has its own for a language.
    pub fn error_as(
        &mut self,
        error: &(dyn Error + 'static),
        words: fn(Lang, &str) -> Cow<'_, str>,
    ) {
        let lang = self.lang;
        let first = error.to_string();
        let mut text = crate::say!(lang, "error: {}", "ошибка: {}"; words(lang, &first));
        let mut cause = error.source();
        while let Some(error) = cause {
            let because = crate::say!(lang, "because", "потому что");
            let cause_text = error.to_string();
            let said = words(lang, &cause_text);
            text.push_str(&format!("\n  {because}: {said}").replace('\n', "\n  "));
            cause = error.source();
        }
        self.note(text);
    }

    /// Shows how long work gets on: on a terminal only, silent in a pipe. `total` is in whatever is counted.
    pub fn progress(&self, total: u64, what: &str) -> Progress {
        let target = if self.shows_progress {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        Progress(bar)
    }

    /// Writes out what is still held back.
    ///
    /// # Errors
    ///
    /// [`OutError`].
    pub fn finish(mut self) -> Result<(), OutError> {
        Ok(self.flush()?)
    }
}

/// Bytes of the answer, for exports.
impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdout.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// A bar that fills; it vanishes when dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// So much more is done.
    pub fn advance(&self, by: u64) {
        self.0.inc(by);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// What was written to an [`Out::captured`].
#[derive(Clone, Default)]
pub struct Captured {
    stdout: Shelf,
    stderr: Shelf,
}

impl Captured {
    /// The answer so far.
    pub fn stdout(&self) -> Vec<u8> {
        self.stdout.bytes()
    }

    /// Everything else so far, as text.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.bytes()).into_owned()
    }

    /// The answer so far, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout.bytes()).into_owned()
    }
}

#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<u8>>>);

impl Shelf {
    fn bytes(&self) -> Vec<u8> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Write for Shelf {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_notes_go_different_ways() {
        let (mut out, captured) = Out::captured(Lang::En);

        out.line("12 pieces").unwrap();
        out.note("3 lines set aside");
        out.json(&serde_json::json!({"ok": true})).unwrap();

        assert_eq!(captured.text(), "12 pieces\n{\"ok\":true}\n");
        assert_eq!(captured.stderr(), "3 lines set aside\n");
    }

    #[test]
    fn a_table_in_a_pipe_is_plain_columns() {
        let (mut out, captured) = Out::captured(Lang::En);

        out.table(&["shop", "on hand"], [["S017", "2"], ["S1", "140"]])
            .unwrap();

        assert_eq!(
            captured.text(),
            "shop  on hand\nS017        2\nS1        140\n"
        );
    }

    #[test]
    fn an_error_is_printed_with_its_causes() {
        let (mut out, captured) = Out::captured(Lang::Ru);
        let cause = io::Error::other("disk on fire");
        let error = OutError::Write(cause);

        out.error(&error);

        let text = captured.stderr();
        assert!(
            text.starts_with("ошибка: cannot write the output\n"),
            "{text}"
        );
        assert!(text.contains("disk on fire"), "{text}");
    }

    #[test]
    fn a_reader_that_left_is_told_apart() {
        let left = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(matches!(OutError::from(left), OutError::Gone));
    }

    #[test]
    fn every_end_has_its_number() {
        for exit in [Exit::Done, Exit::Failed, Exit::Usage, Exit::Wrong] {
            assert_eq!(Exit::of_code(exit.code()), exit);
        }
        assert_eq!(Exit::of_code(77), Exit::Failed);
    }
}
