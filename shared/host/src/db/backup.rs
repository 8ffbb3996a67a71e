//! Consistent copies and checks.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::DbError;
use super::{Settings, open};
use crate::os::{OsError, create_private_file, sync_dir};

/// How thoroughly a database is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The pages and rows, not the indexes: seconds.
    Quick,
    /// Also that indexes and tables agree.
    Full,
}

/// What is wrong with the database, in SQLite's words; empty when all is well.
///
/// # Errors
///
/// When it cannot even be read.
pub fn check(conn: &Connection, how: Check) -> rusqlite::Result<Vec<String>> {
    let sql = match how {
        Check::Quick => "PRAGMA quick_check",
        Check::Full => "PRAGMA integrity_check",
    };
    let mut query = conn.prepare(sql)?;
    let rows = query.query_map([], |row| row.get::<_, String>(0))?;
    let mut words = Vec::new();
    for row in rows {
        match row {
            Ok(word) => words.push(word),
            // Some damage ends the look itself: that is what it found.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                words.push(error.to_string());
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(words.into_iter().filter(|word| word != "ok").collect())
}

/// Copies the database to `target`: beside it first, then checked, flushed and renamed.
pub(super) fn backup(settings: &Settings, target: &Path) -> Result<(), DbError> {
    let failed = |doing: &'static str| {
        let path = target.to_path_buf();
        move |source| {
            DbError::Copy(OsError::Io {
                doing,
                path,
                source,
            })
        }
    };
    let temporary = open::beside(target, ".tmp");
    let _ = std::fs::remove_file(&temporary);
    let made = copy(settings, &temporary).and_then(|()| {
        File::options()
            .write(true)
            .open(&temporary)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&temporary, target))
            .map_err(failed("write"))
    });
    if made.is_err() {
        let _ = std::fs::remove_file(&temporary);
        return made;
    }
    let folder = target.parent().filter(|path| !path.as_os_str().is_empty());
    Ok(sync_dir(folder.unwrap_or(Path::new(".")))?)
}

fn copy(settings: &Settings, temporary: &Path) -> Result<(), DbError> {
    let name = temporary
        .to_str()
        .ok_or_else(|| rusqlite::Error::InvalidPath(temporary.to_path_buf()))?;
    let conn = open::connect_for_copy(settings)?;
    // SQLite fills an empty file as it fills a new one; the copy is as private as the books.
    create_private_file(temporary)?;
    conn.execute("VACUUM INTO ?1", [name])?;
    drop(conn);
    let copy = Connection::open_with_flags(temporary, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    match check(&copy, Check::Quick)?.into_iter().next() {
        Some(first) => Err(DbError::DamagedCopy { first }),
        None => Ok(()),
    }
}
