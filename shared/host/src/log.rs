//! What the programs say about their own work: to stderr, and for a server also into `DIR/log/`, a file a day.

use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::os;

/// How many days of logs are kept.
const FILES_MAX: usize = 14;

/// How many lines may wait for the disk. The place for them is taken at the start (32 bytes each): the appender's own
/// 128,000 would be a quarter of an idle agent's memory.
const LINES_MAX: usize = 4_096;

/// Says at every attempt that a certificate is not trusted. We say it once, with the cure.
const VERIFIER: &str = "rustls_platform_verifier";

/// Begins a colour.
const ESCAPE: u8 = 0x1b;

/// `--log` and `--log-level`, before or after the verb.
#[derive(Clone, Debug, clap::Args)]
pub struct LogArgs {
    /// How the log is written
    #[arg(
        long = "log",
        global = true,
        value_name = "FORM",
        default_value = "human"
    )]
    pub form: LogForm,
    /// What is logged: error, warn, info, debug, trace, or a list like info,rusqlite=debug
    #[arg(long, global = true, env = "VITRINA_LOG", value_name = "LEVEL")]
    pub log_level: Option<String>,
}

impl Default for LogArgs {
    /// For people, at the usual level.
    fn default() -> Self {
        Self {
            form: LogForm::Human,
            log_level: None,
        }
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// Lines for people.
    #[default]
    Human,
    /// An object a line.
    Json,
}

/// Who logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOf<'a> {
    /// A command: warnings, to stderr.
    Command,
    /// A server on this data folder: information, to stderr and into `log/`.
    Server(&'a Path),
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level makes no sense.
    #[error("{level:?} is no log level: error, warn, info, debug or trace")]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The folder of logs cannot be written.
    #[error("cannot log into {}", folder.display())]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// Why not.
        source: InitError,
    },
    /// There is no folder for logs, and none can be made.
    #[error("there is no place for the log")]
    Place(#[from] os::OsError),
    /// Logging was started before.
    #[error("the log was started already")]
    Again(#[from] TryInitError),
}

/// Keeps the log going; what is still to be written is written when this is dropped, at the end of `main`.
#[must_use = "the log file is written until this is dropped"]
pub struct LogGuard {
    lost: Option<ErrorCounter>,
    _worker: Option<WorkerGuard>,
}

impl LogGuard {
    /// How many lines were lost because the disk was too slow: a server never waits for its log.
    pub fn lost_lines(&self) -> u64 {
        self.lost.as_ref().map_or(0, |lost| {
            u64::try_from(lost.dropped_lines()).unwrap_or(u64::MAX)
        })
    }
}

/// Starts the log of this process.
///
/// # Errors
///
/// [`LogError`]; then there is none.
pub fn start(of: LogOf<'_>, args: &LogArgs) -> Result<LogGuard, LogError> {
    let (default, file) = match of {
        LogOf::Command => ("warn", None),
        LogOf::Server(data) => ("info", Some(daily_file(data)?)),
    };
    let filter = filter(args.log_level.as_deref(), default)?;
    let (file, lost, worker) = match file {
        Some((file, worker)) => {
            let lost = file.error_counter();
            // A file has no colours.
            (
                Some(lines(args.form, false, file)),
                Some(lost),
                Some(worker),
            )
        }
        None => (None, None, None),
    };
    let colours = io::IsTerminal::is_terminal(&io::stderr());
    tracing_subscriber::registry()
        .with(filter)
        .with(lines(args.form, colours, io::stderr))
        .with(file)
        .try_init()?;
    Ok(LogGuard {
        lost,
        _worker: worker,
    })
}

fn daily_file(data: &Path) -> Result<(NonBlocking, WorkerGuard), LogError> {
    let folder = data.join("log");
    // The appender lists the folder before it makes it, and complains to stderr.
    os::create_private_dir(&folder)?;
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_suffix("log")
        .max_log_files(FILES_MAX)
        .build(&folder)
        .map_err(|source| LogError::Folder { folder, source })?;
    Ok(NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_MAX)
        .finish(appender))
}

fn filter(level: Option<&str>, default: &str) -> Result<Targets, LogError> {
    let level = level.filter(|level| !level.trim().is_empty());
    let level = level.unwrap_or(default);
    let filter: Targets = level.trim().parse().map_err(|source| LogError::Level {
        level: level.to_owned(),
        source,
    })?;
    Ok(if level.contains(VERIFIER) {
        filter
    } else {
        filter.with_target(VERIFIER, LevelFilter::OFF)
    })
}

fn lines<S, W>(form: LogForm, colours: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(OneLine(writer)).with_ansi(colours);
    match form {
        LogForm::Human => lines.boxed(),
        LogForm::Json => lines.json().flatten_event(true).boxed(),
    }
}

/// One event is one line: what a file's name or a barcode brings along never looks like a line of ours.
struct OneLine<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for OneLine<W> {
    type Writer = OneLine<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLine(self.0.make_writer())
    }

    fn make_writer_for(&'w self, meta: &tracing::Metadata<'_>) -> Self::Writer {
        OneLine(self.0.make_writer_for(meta))
    }
}

impl<W: io::Write> io::Write for OneLine<W> {
    /// Takes a whole event, as the layer hands it over.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (line, end) = match event.strip_suffix(b"\n") {
            Some(line) => (line, &b"\n"[..]),
            None => (event, &b""[..]),
        };
        // Colours stay; those that a text brings along were taken out of it before.
        let breaks = |byte: &u8| byte.is_ascii_control() && *byte != ESCAPE;
        if !line.iter().any(breaks) {
            self.0.write_all(event)?;
            return Ok(event.len());
        }
        let mut whole = Vec::with_capacity(event.len() + 16);
        for byte in line {
            if breaks(byte) {
                whole.extend(byte.escape_ascii());
            } else {
                whole.push(*byte);
            }
        }
        whole.extend_from_slice(end);
        self.0.write_all(&whole)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::io::Write as _;

    #[test]
    fn a_newline_in_a_text_begins_no_line_of_the_log() {
        let mut written = OneLine(Vec::new());
        written
            .write_all("a\nb\r\tЖ\u{1b}[0m\u{7f}\n".as_bytes())
            .unwrap();
        written.write_all(b"plain\n").unwrap();

        let text = String::from_utf8(written.0).unwrap();
        assert_eq!(text, "a\\nb\\r\\tЖ\u{1b}[0m\\x7f\nplain\n");
    }

    #[derive(Parser)]
    struct Example {
        #[command(flatten)]
        log: LogArgs,
    }

    #[test]
    fn the_flags_say_form_and_level() {
        let line = ["x", "--log", "json", "--log-level", "debug"];
        let example = Example::try_parse_from(line).unwrap();
        assert_eq!(example.log.form, LogForm::Json);
        assert_eq!(example.log.log_level.as_deref(), Some("debug"));
    }

    #[test]
    fn a_level_that_is_none_is_an_error_and_an_empty_one_the_default() {
        assert!(matches!(
            filter(Some("info,x=loud"), "warn"),
            Err(LogError::Level { .. })
        ));
        let usual = filter(Some(" "), "warn").unwrap();
        assert!(usual.would_enable("vitrina_agent", &tracing::Level::WARN));
        assert!(!usual.would_enable("vitrina_agent", &tracing::Level::INFO));
        let listed = filter(Some("info,rusqlite=debug"), "warn").unwrap();
        assert!(listed.would_enable("rusqlite::statement", &tracing::Level::DEBUG));
        assert!(!listed.would_enable("vitrina_agent", &tracing::Level::DEBUG));
    }

    #[test]
    fn a_library_that_repeats_what_we_say_once_is_silent_unless_it_is_named() {
        let place = "rustls_platform_verifier::verification::others";
        let hears = |level| {
            filter(level, "info")
                .unwrap()
                .would_enable(place, &tracing::Level::ERROR)
        };

        assert!(!hears(None) && !hears(Some("trace")));
        assert!(hears(Some("info,rustls_platform_verifier=error")));
    }

    #[test]
    fn a_server_logs_into_a_file_of_the_day() {
        let dir = tempfile::tempdir().unwrap();
        let (file, worker) = daily_file(dir.path()).unwrap();
        let subscriber = tracing_subscriber::registry().with(lines(LogForm::Json, false, file));

        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(shop.id = "S017", "pushed a delta");
        });
        drop(worker);

        let files: Vec<_> = std::fs::read_dir(dir.path().join("log")).unwrap().collect();
        let file = files.first().unwrap().as_ref().unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(file.extension().unwrap(), "log");
        assert!(text.contains("\"message\":\"pushed a delta\""), "{text}");
        assert!(text.contains("\"shop.id\":\"S017\""), "{text}");
    }
}
