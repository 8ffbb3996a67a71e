//! From a file to the ledger: what it is, whether it is whole, what each line means, what is set aside and why.
//!
//! A file is read to its end before its first line is applied; of a truncated one nothing is. Lines are read outside
//! the write lock and applied in short jobs that also move the file's own position, so that a crash goes on there and
//! no till waits. Movers call the ledger; nothing here knows SQL or a socket.

mod aliases;
mod balances;
mod cml;
mod cml_survey;
mod cml_words;
mod held;
pub(crate) mod line;
mod movements;
mod report;
pub(crate) mod retry;
mod staging;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use vitrina_host::cml::CmlError;
use vitrina_host::csv::{self, CsvError, Table};
use vitrina_host::os::OsError;
use vitrina_host::output::Lang;
use vitrina_host::package::{self, FileKind, PackageError};
use vitrina_host::sign;
use vitrina_host::text::TextError;
use vitrina_shared::TimeMs;

use crate::core::{self, Core, now};
use crate::ledger::file::{self, Counts, FileState};
use crate::ledger::quarantine::{self, State};
use crate::ledger::{LedgerError, state};

use report::BadLine;

pub(crate) use report::Report;

/// How many bytes tell what a file is.
const HEAD: usize = 256;
/// The most bytes an archive may unpack to.
const UNPACKED_MAX: u64 = 4 << 30;
/// How many quarantined records are looked through at once.
const ENTRIES: usize = 1_000;
/// The jobs of an import while tills sell: the next sale waits for one, and for its commit, which takes longer than the
/// job itself.
const BRISK: Pace = Pace {
    time: Duration::from_millis(3),
    rows: 100,
};
/// The same while no till does: the same pages are written less often.
const CALM: Pace = Pace {
    time: Duration::from_millis(20),
    rows: 500,
};

/// How much one job of an import does.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// About how long it may hold the ledger.
    time: Duration,
    /// How many rows of balances it puts down or applies.
    rows: usize,
}

impl Pace {
    /// Of the next job.
    fn of(core: &Core) -> Self {
        if core.ledger().db().is_calm() {
            CALM
        } else {
            BRISK
        }
    }
}

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IngestError {
    /// It cannot be read now; it stays where it is and is tried again.
    #[error("cannot read {name}")]
    Read {
        /// The file.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// It cannot be used; nothing of it was applied.
    #[error("{name} cannot be used")]
    Unusable {
        /// The file.
        name: String,
        /// What is wrong with it.
        source: Unusable,
    },
    /// The ledger failed; what was applied before is kept, and the file goes on there.
    #[error("the ledger failed while a file was taken")]
    Ledger(#[from] LedgerError),
    /// A place to unpack in cannot be made.
    #[error("cannot unpack")]
    Unpack(#[source] OsError),
}

/// What makes a whole file useless.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// As CSV.
    #[error("as CSV")]
    Csv(#[from] CsvError),
    /// As CommerceML.
    #[error("as CommerceML")]
    Cml(#[from] CmlError),
    /// As an archive.
    #[error("as an archive")]
    Package(#[from] PackageError),
    /// It is a table for somebody else.
    #[error("a table of {0} is for the hub, not for a shop")]
    ForTheHub(Table),
    /// It was to be the opening, and the log has one.
    #[error("the log is opened already; only one opening counts")]
    OpenedBefore,
}

impl IngestError {
    /// Whether trying again later may help without anybody acting.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Read { .. } | Self::Unpack(_) => true,
            Self::Ledger(error) => {
                error.is_transient() || matches!(error, LedgerError::NotEnrolled)
            }
            Self::Unusable { .. } => false,
        }
    }
}

/// A whole file on its way in.
pub(crate) struct Incoming {
    file: File,
    /// Its name for people.
    pub(crate) name: String,
    /// When it was last written.
    pub(crate) modified: TimeMs,
}

/// What is wished of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    /// A balances file is to be the opening.
    pub(crate) opening: bool,
    /// Nothing is kept; only what would happen is said.
    pub(crate) dry_run: bool,
    /// For what people read.
    pub(crate) lang: Lang,
}

/// What became of a file.
pub(crate) enum Taken {
    /// It is in, but for what the report says.
    In(Report),
    /// It waits for the hub: a new machine must not open twice.
    WaitsForHub,
}

/// What every reader of a file needs.
struct Context<'a> {
    core: &'a Core,
    incoming: &'a Incoming,
    wishes: Wishes,
    zone: TimeZone,
    /// SHA-256 of the bytes.
    hash: [u8; 32],
}

impl Incoming {
    /// A file opened from its beginning; `modified` as its writer's clock says, in milliseconds.
    pub(crate) fn new(file: File, name: String, modified: Option<i64>) -> Self {
        let modified = TimeMs(modified.unwrap_or(i64::MAX)).min(now());
        Self {
            file,
            name,
            modified,
        }
    }

    /// The file from its beginning.
    fn rewound(&self) -> Result<&File, IngestError> {
        let mut file = &self.file;
        file.rewind().map_err(|source| self.unreadable(source))?;
        Ok(file)
    }

    fn unreadable(&self, source: io::Error) -> IngestError {
        IngestError::Read {
            name: self.name.clone(),
            source,
        }
    }

    /// The error of a reader, told apart: what may pass, and what makes the file useless.
    fn failed(&self, source: impl Into<Unusable>) -> IngestError {
        match source.into() {
            Unusable::Csv(CsvError::Text(TextError::Read(source)))
            | Unusable::Cml(CmlError::Text(TextError::Read(source))) => self.unreadable(source),
            source => IngestError::Unusable {
                name: self.name.clone(),
                source,
            },
        }
    }
}

impl Context<'_> {
    /// What was done with a file of this key before.
    fn known(&self, key: [u8; 32]) -> Result<Option<FileState>, LedgerError> {
        self.core.read(move |conn| file::known(conn, &key))
    }

    fn report(&self) -> Report {
        let report = Report::new(&self.incoming.name, self.wishes.lang);
        if self.wishes.dry_run {
            report.of_rehearsal()
        } else {
            report
        }
    }

    /// The same bytes were taken before: every line is a duplicate, what was set aside still is.
    fn seen(&self, state: &FileState) -> Result<Report, LedgerError> {
        let mut report = self.report();
        report.counts = Counts {
            imported: 0,
            duplicates: state.counts.imported + state.counts.duplicates,
            quarantined: state.counts.quarantined,
        };
        report.note_seen(state.at);
        if state.counts.quarantined > 0 {
            self.recall(&mut report)?;
        }
        Ok(report)
    }

    /// Names the lines of this file that were set aside before and still are: by the try that a crash cut off, or
    /// when the same bytes came the last time.
    fn recall(&self, report: &mut Report) -> Result<(), LedgerError> {
        let mut lines = Vec::new();
        let mut after = 0;
        loop {
            let page = self
                .core
                .read(move |conn| quarantine::list(conn, State::Open, after, ENTRIES))?;
            let is_last = page.len() < ENTRIES;
            after = page.last().map_or(after, |entry| entry.changed);
            lines.extend(
                page.into_iter()
                    .filter(|entry| retry::is_line_of(entry, &self.hash))
                    .map(BadLine::recalled),
            );
            if is_last {
                break;
            }
        }
        lines.sort_by_key(|bad| bad.line);
        for bad in lines {
            report.bad(bad);
        }
        Ok(())
    }

    /// The file is in; its source has proved itself up to `as_of`.
    fn finish(&self, key: [u8; 32], counts: Counts, as_of: TimeMs) -> Result<(), LedgerError> {
        if self.wishes.dry_run {
            return Ok(());
        }
        let name = self.incoming.name.clone();
        let as_of = as_of.min(now());
        self.core.write_background(move |conn| {
            // A file of no line has no position yet.
            let position = file::known(conn, &key)?.map_or(0, |known| known.position);
            file::advance(conn, &key, &name, (position, &counts), now())?;
            file::finish(conn, &key, now())?;
            state::heartbeat(conn, as_of)
        })
    }
}

/// Takes a file.
///
/// # Errors
///
/// [`IngestError`]; see its variants for what became of the data.
pub(crate) fn ingest(
    core: &Core,
    incoming: &Incoming,
    wishes: Wishes,
) -> Result<Taken, IngestError> {
    let mut head = Vec::with_capacity(HEAD);
    let read = incoming.rewound()?.take(HEAD as u64).read_to_end(&mut head);
    read.map_err(|source| incoming.unreadable(source))?;
    let kind = package::file_kind(&head);
    if let FileKind::Zip = kind {
        return unpacked(core, incoming, wishes);
    }
    let hash = sign::sha256_of(incoming.rewound()?);
    let (hash, _) = hash.map_err(|source| incoming.unreadable(source))?;
    let zone = core.read(core::shop_zone)?;
    let context = Context {
        core,
        incoming,
        wishes,
        zone,
        hash,
    };
    if let FileKind::Xml = kind {
        return cml::take(&context);
    }
    let checked = csv::check(incoming.rewound()?).map_err(|error| incoming.failed(error))?;
    let mut taken = match checked.table {
        Table::Movements => Taken::In(movements::take(&context)?),
        Table::Balances => balances::take(&context)?,
        Table::Aliases | Table::Catalogue => Taken::In(aliases::take(&context)?),
        Table::Shops => return Err(incoming.failed(Unusable::ForTheHub(Table::Shops))),
    };
    if let Taken::In(report) = &mut taken {
        report.note_unknown_columns(&checked.unknown);
    }
    Ok(taken)
}

/// Takes the files of an archive, in the order of their exchange.
fn unpacked(core: &Core, incoming: &Incoming, wishes: Wishes) -> Result<Taken, IngestError> {
    let folder = Scratch::make(core)?;
    let package = package::unpack(incoming.rewound()?, &folder.0, UNPACKED_MAX);
    let package = match package {
        Ok(package) => package,
        Err(PackageError::Io(source)) => return Err(incoming.unreadable(source)),
        Err(error) => return Err(incoming.failed(error)),
    };
    let mut whole = Report::new(&incoming.name, wishes.lang);
    for part in package.files {
        let name = format!("{}/{}", incoming.name, part.name);
        let file = File::open(&part.path).map_err(|source| incoming.unreadable(source))?;
        let part = Incoming {
            file,
            name,
            modified: incoming.modified,
        };
        match ingest(core, &part, wishes)? {
            Taken::In(report) => whole.absorb(report),
            Taken::WaitsForHub => return Ok(Taken::WaitsForHub),
        }
    }
    Ok(Taken::In(whole))
}

/// A folder that goes when it is done with.
struct Scratch(PathBuf);

impl Scratch {
    fn make(core: &Core) -> Result<Self, IngestError> {
        let name =
            sign::random_bytes::<8>().map_or_else(|_| "0".to_owned(), |bytes| sign::hex(&bytes));
        let path = core.folder().join(format!("tmp-{name}"));
        vitrina_host::os::create_private_dir(&path).map_err(IngestError::Unpack)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The first half of a file's hash: the name of its lines.
fn half(hash: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(hash.split_at(16).0);
    half
}
