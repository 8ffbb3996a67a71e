//! Looking at a database file before SQLite does, making a new one, and the settings of every connection.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::OpenError;
use super::{Missing, Opened, Settings, Vfs, backup};
use crate::migrate::{self, Migrated, Step};
use crate::os::{self, FileId, OsError};

/// How long a connection waits for another one's lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Older ones can corrupt a database when the WAL is reset.
const OLDEST_SQLITE: i32 = 3_051_003;
/// Statements kept ready, per connection.
const STATEMENTS: usize = 64;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Opens the database at the settings' path with the newest schema; makes it when it is missing and may be made.
pub(super) fn open(settings: &Settings, steps: &[Step]) -> Result<(Connection, Opened), OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::OldSqlite {
            found: rusqlite::version(),
        });
    }
    if let Some(vfs) = settings.vfs {
        return open_unseen(settings, vfs, steps);
    }
    let path = &settings.path;
    let wal = beside(path, "-wal");
    let wal_bytes = std::fs::metadata(&wal).map_or(0, |wal| wal.len());
    let created = !is_there(path)?;
    if created {
        if !os::is_local(folder_of(path)) {
            return Err(OpenError::NotLocal { path: path.clone() });
        }
        match settings.missing {
            Missing::Refuse => return Err(OpenError::Missing { path: path.clone() }),
            Missing::Create if wal_bytes > 0 => {
                return Err(OpenError::Gone {
                    path: path.clone(),
                    wal,
                });
            }
            Missing::Create => create(settings, steps)?,
        }
    } else {
        look(settings, steps, wal_bytes)?;
    }
    if wal_bytes > 0 {
        renew_log(settings, &wal, os::renew_file)?;
    }
    let mut conn = connect(settings)?;
    let kept_copy = keep_copy(settings, &conn, steps)?;
    let migrated = migrate(settings, &mut conn, steps)?;
    let opened = Opened {
        created,
        unclean: !created && wal_bytes > 0,
        migrated,
        kept_copy,
        file: FileId::at(path).ok(),
    };
    Ok((conn, opened))
}

/// Whether the file at the path still is `file`, the one that was opened; a database in a VFS of its own has none.
pub(super) fn is_in_place(settings: &Settings, file: Option<FileId>) -> bool {
    file.is_none_or(|file| FileId::at(&settings.path).is_ok_and(|now| now == file))
}

/// Opens a further connection that may write; the file must be there.
pub(super) fn reopen(settings: &Settings) -> Result<Connection, OpenError> {
    connect(settings)
}

/// Opens a connection that can only read.
///
/// # Errors
///
/// [`OpenError`].
pub fn connect_read_only(settings: &Settings) -> Result<Connection, OpenError> {
    let conn = connect_for_copy(settings)?;
    let done = conn.pragma_update(None, "query_only", true);
    done.map_err(sqlite(settings))?;
    Ok(conn)
}

/// Opens a connection that writes no byte of the database but may write another file (VACUUM INTO).
pub(super) fn connect_for_copy(settings: &Settings) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = connect_with(settings, flags)?;
    common(&conn, settings).map_err(sqlite(settings))?;
    Ok(conn)
}

/// The path with something put to the end of its name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

fn connect(settings: &Settings) -> Result<Connection, OpenError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if settings.vfs.is_some() {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let conn = connect_with(settings, flags)?;
    // SQLite falls back to reading without a word.
    if conn.is_readonly("main").map_err(sqlite(settings))? {
        return Err(OpenError::ReadOnly {
            path: settings.path.clone(),
            account: os::account(),
        });
    }
    writing(&conn)
        .and_then(|()| common(&conn, settings))
        .map_err(sqlite(settings))?;
    Ok(conn)
}

fn connect_with(settings: &Settings, flags: OpenFlags) -> Result<Connection, OpenError> {
    let opened = match settings.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&settings.path, flags, vfs.name),
        None => Connection::open_with_flags(&settings.path, flags),
    };
    opened.map_err(sqlite(settings))
}

fn writing(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    use_write_ahead_log(conn)?;
    // FULL also in WAL: what a till was told is on disk.
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)
}

fn use_write_ahead_log(conn: &Connection) -> rusqlite::Result<()> {
    let mut statement = conn.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = statement.query([])?;
    let mut mode = String::new();
    // To the end: the mode is written when the statement ends, and only then it is known whether it was.
    while let Some(row) = rows.next()? {
        mode = row.get(0)?;
    }
    if mode != "wal" {
        // SQLite keeps another mode without an error.
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
        let words = format!("the write-ahead log cannot be used, only the journal mode {mode}");
        return Err(rusqlite::Error::SqliteFailure(error, Some(words)));
    }
    Ok(())
}

fn common(conn: &Connection, settings: &Settings) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "cache_size", -i64::from(settings.cache_kib))?;
    // Otherwise SQLite looks at bound values when it plans, and plans anew whenever such a value changes.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// A database in a VFS of its own: there is no plain file to look at.
fn open_unseen(
    settings: &Settings,
    vfs: Vfs,
    steps: &[Step],
) -> Result<(Connection, Opened), OpenError> {
    renew_log(settings, &beside(&settings.path, "-wal"), vfs.renew)?;
    let mut conn = connect(settings)?;
    let migrated = migrate(settings, &mut conn, steps)?;
    let opened = Opened {
        created: migrated.from == 0,
        unclean: false,
        migrated,
        kept_copy: None,
        file: None,
    };
    Ok((conn, opened))
}

/// Makes the log durable that a program left which did not end cleanly, before anybody reads it: the last thing in it may
/// be a transaction whose flush failed and which was refused. What is answered from it must not vanish with the next
/// power cut, and what is written behind it must not lie behind a hole then.
fn renew_log(
    settings: &Settings,
    log: &Path,
    renew: impl Fn(&Path) -> Result<(), OsError>,
) -> Result<(), OpenError> {
    renew(log).map_err(|error| match error {
        OsError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            OpenError::ReadOnly {
                path: settings.path.clone(),
                account: os::account(),
            }
        }
        error => OpenError::Renew(error),
    })
}

/// Makes a new database under another name and renames it: a crash never leaves an empty file that we then refuse.
fn create(settings: &Settings, steps: &[Step]) -> Result<(), OpenError> {
    let place = |doing, path: &Path| {
        let path = path.to_path_buf();
        move |source| {
            OpenError::Place(OsError::Io {
                doing,
                path,
                source,
            })
        }
    };
    let new = Settings {
        path: beside(&settings.path, ".new"),
        ..settings.clone()
    };
    for ending in ["", "-wal", "-shm", "-journal"] {
        let _ = std::fs::remove_file(beside(&new.path, ending));
    }
    os::create_private_file(&new.path).map_err(OpenError::Place)?;
    let mut conn = connect(&new)?;
    migrate(&new, &mut conn, steps)?;
    conn.close().map_err(|(_, source)| sqlite(&new)(source))?;
    let file = File::options().write(true).open(&new.path);
    file.and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(&new.path, &settings.path))
        .map_err(place("put in place", &settings.path))?;
    os::sync_dir(folder_of(&settings.path)).map_err(OpenError::Place)
}

/// Refuses what is no database of ours before anything touches it.
fn look(settings: &Settings, steps: &[Step], wal_bytes: u64) -> Result<(), OpenError> {
    let path = settings.path.clone();
    if !os::is_local(&path) {
        return Err(OpenError::NotLocal { path });
    }
    let (header, found_bytes) = read_header(&path).map_err(|source| OpenError::Look {
        path: path.clone(),
        source,
    })?;
    if found_bytes == 0 {
        return Err(OpenError::Empty { path });
    }
    let Some(header) = header.filter(|header| header.starts_with(MAGIC)) else {
        return Err(OpenError::NotADatabase { path });
    };
    // With a log beside it the newest pages are there, so the length says nothing.
    let wanted_bytes = length_of(&header);
    if wal_bytes == 0 && found_bytes < wanted_bytes {
        return Err(OpenError::Truncated {
            path,
            found_bytes,
            wanted_bytes,
        });
    }
    let mut version = number(&header, 60);
    if wal_bytes > 0
        && let Ok(conn) = connect_for_copy(settings)
        && let Ok(newer) = migrate::version(&conn)
    {
        version = version.max(newer);
    }
    migrate::admit(version, steps).map_err(|source| OpenError::Migrate { path, source })
}

fn is_there(path: &Path) -> Result<bool, OpenError> {
    path.try_exists().map_err(|source| OpenError::Look {
        path: path.to_path_buf(),
        source,
    })
}

/// The first hundred bytes, when there are as many, and the length.
fn read_header(path: &Path) -> io::Result<(Option<[u8; 100]>, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut header = [0; 100];
    match file.read_exact(&mut header) {
        Ok(()) => Ok((Some(header), length)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok((None, length)),
        Err(error) => Err(error),
    }
}

/// The length a header names; 0 when it does not say.
fn length_of(header: &[u8; 100]) -> u64 {
    let page_bytes = match number(header, 16) >> 16 {
        1 => 65_536,
        bytes => bytes,
    };
    // The page count is valid only when written together with the change counter.
    if number(header, 24) == number(header, 92) {
        u64::from(page_bytes) * u64::from(number(header, 28))
    } else {
        0
    }
}

fn number(header: &[u8; 100], at: usize) -> u32 {
    header
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

/// Copies an existing database before its schema changes, so that a person can go back.
fn keep_copy(
    settings: &Settings,
    conn: &Connection,
    steps: &[Step],
) -> Result<Option<PathBuf>, OpenError> {
    let version = migrate::version(conn).map_err(|source| OpenError::Migrate {
        path: settings.path.clone(),
        source,
    })?;
    if version == 0 || version >= migrate::newest(steps) {
        return Ok(None);
    }
    let target = beside(&settings.path, &format!(".before-{version}"));
    if !is_there(&target)? {
        backup::backup(settings, &target).map_err(|error| OpenError::Copy(Box::new(error)))?;
    }
    Ok(Some(target))
}

fn migrate(
    settings: &Settings,
    conn: &mut Connection,
    steps: &[Step],
) -> Result<Migrated, OpenError> {
    let migrated = migrate::migrate(conn, steps).map_err(|source| OpenError::Migrate {
        path: settings.path.clone(),
        source,
    })?;
    if !migrated.edited.is_empty() {
        tracing::warn!(steps = ?migrated.edited, "schema steps were edited after they were applied");
    }
    Ok(migrated)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

pub(super) fn sqlite(settings: &Settings) -> impl FnOnce(rusqlite::Error) -> OpenError {
    let path = settings.path.clone();
    |source| OpenError::Sqlite { path, source }
}
