//! What can go wrong with the database.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::migrate::MigrateError;
use crate::os::OsError;

/// Why a write or read was not done.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A statement failed. Of a write, nothing is kept.
    #[error("a database statement failed")]
    Sqlite(#[from] rusqlite::Error),
    /// The transaction could not be begun or committed. The write was not acknowledged; after an I/O error it may
    /// nevertheless be there, so ask again with the same id.
    #[error("the database did not commit")]
    Commit(#[source] Arc<rusqlite::Error>),
    /// A neighbour in the same transaction failed so badly that all was rolled back. Nothing is kept; try again.
    #[error("the shared transaction was rolled back")]
    RolledBack,
    /// The closure panicked; nothing of it is kept.
    #[error("a database job panicked")]
    Panicked,
    /// The write is committed, but what had to follow it panicked.
    #[error("the write is kept, but what follows it panicked")]
    AfterCommit,
    /// The database is closed or closing.
    #[error("the database is closed")]
    Closed,
    /// The connection was lost and could not be opened again; the next call tries anew.
    #[error("the database cannot be opened again")]
    Reopen(#[source] Arc<OpenError>),
    /// A reading connection cannot be opened.
    #[error("the database cannot be opened for reading")]
    OpenReader(#[from] OpenError),
    /// The copy cannot be put in its place.
    #[error("cannot write the copy")]
    Copy(#[from] OsError),
    /// The copy was made and found damaged; it was removed.
    #[error("the copy is damaged: {first}")]
    DamagedCopy {
        /// The first thing SQLite said.
        first: String,
    },
}

impl DbError {
    /// Whether there is no room on the disk.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Sqlite(error) => is_disk_full(error),
            Self::Commit(error) => is_disk_full(error),
            Self::Copy(error) => error.is_disk_full(),
            Self::RolledBack
            | Self::Panicked
            | Self::AfterCommit
            | Self::Closed
            | Self::Reopen(_)
            | Self::OpenReader(_)
            | Self::DamagedCopy { .. } => false,
        }
    }

    /// Whether SQLite found the file to be damaged.
    pub fn is_damage(&self) -> bool {
        is_damage(self)
    }

    /// Whether the same write or read may succeed later without anybody acting.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Sqlite(error) => is_transient(error),
            Self::Commit(error) => is_transient(error),
            Self::RolledBack | Self::Reopen(_) | Self::OpenReader(_) => true,
            Self::Copy(error) => error.is_transient(),
            Self::Panicked | Self::AfterCommit | Self::Closed | Self::DamagedCopy { .. } => false,
        }
    }
}

/// Whether an error, or one of its causes, is that SQLite found the file to be damaged.
pub fn is_damage(error: &(dyn Error + 'static)) -> bool {
    matches!(
        code(error),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    ) || error.source().is_some_and(is_damage)
}

/// Whether an error, or one of its causes, is that there is no room on the disk.
pub fn is_without_room(error: &(dyn Error + 'static)) -> bool {
    let kind = error.downcast_ref().map(io::Error::kind);
    matches!(
        kind,
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    ) || code(error) == Some(ErrorCode::DiskFull)
        || error.source().is_some_and(is_without_room)
}

fn code(error: &(dyn Error + 'static)) -> Option<ErrorCode> {
    let shared = error.downcast_ref::<Arc<rusqlite::Error>>();
    let own = error.downcast_ref().or(shared.map(|error| &**error));
    own.and_then(rusqlite::Error::sqlite_error_code)
}

/// Whether SQLite found no room on the disk.
pub fn is_disk_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// Whether a read was interrupted by its time-out (or because the database closes).
pub fn is_read_timeout(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}

/// Whether the connection is not to be trusted after this.
pub(super) fn is_fatal(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
        )
    )
}

fn is_transient(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OperationInterrupted
                | ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::OutOfMemory
                | ErrorCode::CannotOpen
        )
    )
}

/// Why a database was not opened. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The SQLite in this program has a bug that destroys databases.
    #[error("SQLite {found} can corrupt a database; 3.51.3 or newer is needed")]
    OldSqlite {
        /// Its version.
        found: &'static str,
    },
    /// A network or cloud folder, where SQLite's log is not safe.
    #[error(
        "{} is on a network or cloud file system, where the database is not safe: use a local disk",
        path.display()
    )]
    NotLocal {
        /// The database file.
        path: PathBuf,
    },
    /// There is no such file, and none is to be made.
    #[error("there is no database {}", path.display())]
    Missing {
        /// The database file.
        path: PathBuf,
    },
    /// The file is gone but its log is there: it was deleted or moved. A new one would hide that.
    #[error(
        "{} is gone but its log {} is there: put the database back, or move the log away to begin anew",
        path.display(),
        wal.display()
    )]
    Gone {
        /// The database file.
        path: PathBuf,
        /// What is left of it.
        wal: PathBuf,
    },
    /// The file has no bytes. It is not taken for a new database: something emptied it.
    #[error("{} is empty, not a database: restore it from a copy, or move it away to begin anew", path.display())]
    Empty {
        /// The database file.
        path: PathBuf,
    },
    /// The file begins with something else.
    #[error(
        "{} is not a database (it does not begin with \"SQLite format 3\"): restore it from a copy, or move it away to begin anew",
        path.display()
    )]
    NotADatabase {
        /// The database file.
        path: PathBuf,
    },
    /// The file is shorter than it says.
    #[error(
        "{} is truncated: {found_bytes} bytes instead of {wanted_bytes}; restore it from a copy",
        path.display()
    )]
    Truncated {
        /// The database file.
        path: PathBuf,
        /// Its length.
        found_bytes: u64,
        /// The length its header names.
        wanted_bytes: u64,
    },
    /// This account may not write it.
    #[error("{account} may not write {}", path.display())]
    ReadOnly {
        /// The database file.
        path: PathBuf,
        /// Who we are.
        account: String,
    },
    /// The file cannot be looked at.
    #[error("cannot look at the database {}", path.display())]
    Look {
        /// The database file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// SQLite refuses it.
    #[error("cannot open the database {}", path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
    /// Its schema was not brought up to date.
    #[error("cannot use the database {}", path.display())]
    Migrate {
        /// The database file.
        path: PathBuf,
        /// Why not.
        source: MigrateError,
    },
    /// The copy before the schema changes was not made, so nothing was changed.
    #[error("cannot copy the database before changing its schema")]
    Copy(#[source] Box<DbError>),
    /// A new database was made but cannot be put in its place.
    #[error("cannot put the new database in its place")]
    Place(#[source] OsError),
    /// What the last program left in the log cannot be made durable, so nothing may be read from it.
    #[error("cannot make the database's log safe against a power cut")]
    Renew(#[source] OsError),
    /// The database thread cannot be started.
    #[error("cannot start the database thread")]
    Thread(#[source] io::Error),
}
