//! How far each file has been taken: a crash goes on there, and the same bytes are not taken twice.

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::TimeMs;

use super::{LedgerError, int, uint};

const KNOWN: &str = "SELECT name, position, imported, duplicates, quarantined, is_done, at FROM file WHERE key = ?1";
const ADVANCE: &str = "INSERT INTO file (key, name, position, imported, duplicates, quarantined, is_done, at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7)
    ON CONFLICT DO UPDATE SET position = excluded.position, imported = imported + excluded.imported,
        duplicates = duplicates + excluded.duplicates, quarantined = quarantined + excluded.quarantined, at = excluded.at";
const FINISH: &str = "UPDATE file SET is_done = 1, at = ?2 WHERE key = ?1";

/// Lines of a file, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Written.
    pub(crate) imported: u64,
    /// Here already.
    pub(crate) duplicates: u64,
    /// Set aside.
    pub(crate) quarantined: u64,
}

/// How far a file has been taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileState {
    /// Its name.
    pub(crate) name: String,
    /// Everything up to here is in the ledger; what it counts is the reader's affair.
    pub(crate) position: u64,
    /// The lines so far.
    pub(crate) counts: Counts,
    /// Whether it was taken to its end.
    pub(crate) done: bool,
    /// When it was last worked on.
    pub(crate) at: TimeMs,
}

/// What is known of a file.
pub(crate) fn known(conn: &Connection, key: &[u8; 32]) -> Result<Option<FileState>, LedgerError> {
    let state = conn.prepare_cached(KNOWN)?.query_row([key], |row| {
        Ok(FileState {
            name: row.get(0)?,
            position: uint(row.get(1)?),
            counts: Counts {
                imported: uint(row.get(2)?),
                duplicates: uint(row.get(3)?),
                quarantined: uint(row.get(4)?),
            },
            done: row.get(5)?,
            at: TimeMs(row.get(6)?),
        })
    });
    Ok(state.optional()?)
}

/// The lines up to `position` are in the ledger: in the job that wrote them.
pub(crate) fn advance(
    conn: &Connection,
    key: &[u8; 32],
    name: &str,
    (position, counts): (u64, &Counts),
    now: TimeMs,
) -> Result<(), LedgerError> {
    let Counts {
        imported,
        duplicates,
        quarantined,
    } = *counts;
    conn.prepare_cached(ADVANCE)?.execute(params![
        key,
        name,
        int(position),
        int(imported),
        int(duplicates),
        int(quarantined),
        now.0
    ])?;
    Ok(())
}

/// The file was taken to its end.
pub(crate) fn finish(conn: &Connection, key: &[u8; 32], now: TimeMs) -> Result<(), LedgerError> {
    conn.prepare_cached(FINISH)?.execute(params![key, now.0])?;
    Ok(())
}
