//! What the rows add up to, what was put right of them, and what could not be.

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::digest::Digest;
use vitrina_shared::{Condition, ReplicaId, TimeMs, Total};

use super::{LedgerError, int, log, uint};

const TOTALS: &str = "SELECT t.barcode, t.condition, r.id, t.p, t.n
    FROM total t JOIN replica r ON r.no = t.replica";
const VOIDED: &str = "SELECT barcode, condition, units FROM voided";
const ALERT: &str = "SELECT alert FROM state";
const SET_ALERT: &str = "UPDATE state SET alert = ?1, alert_at = ?2";
const NOTE: &str = "INSERT INTO repair (at, count, found) VALUES (?1, ?2, ?3)";
const FORGET: &str = "DELETE FROM repair WHERE no <= (SELECT max(no) FROM repair) - 100";
const REPAIRS: &str = "SELECT coalesce(sum(count), 0), max(at) FROM repair";

/// What was put right of the ledger so far, and what stands open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repairs {
    /// Rows that were not what the movements say, and were written anew.
    pub(crate) rows: u64,
    /// When the last of them was.
    pub(crate) last_at: Option<TimeMs>,
    /// What a person must look at.
    pub(crate) alert: Option<String>,
}

/// What all rows add up to, read off them.
pub(crate) fn digest(conn: &Connection) -> Result<Digest, LedgerError> {
    let mut digest = Digest::default();
    let mut query = conn.prepare_cached(TOTALS)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let barcode = log::barcode(&row.get::<_, String>(0)?)?;
        let total = Total {
            p: uint(row.get(3)?),
            n: uint(row.get(4)?),
        };
        let condition = Condition::of_number(row.get(1)?);
        digest.total(&barcode, condition, ReplicaId(row.get(2)?), total);
    }
    let mut query = conn.prepare_cached(VOIDED)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let barcode = log::barcode(&row.get::<_, String>(0)?)?;
        digest.voided(&barcode, Condition::of_number(row.get(1)?), row.get(2)?);
    }
    Ok(digest)
}

/// What a person must look at; none takes it back.
pub(crate) fn set_alert(
    conn: &Connection,
    alert: Option<&str>,
    now: TimeMs,
) -> Result<(), LedgerError> {
    conn.prepare_cached(SET_ALERT)?
        .execute(params![alert, alert.map(|_| now.0)])?;
    Ok(())
}

/// What a person must look at.
pub(crate) fn alert(conn: &Connection) -> Result<Option<String>, LedgerError> {
    Ok(conn
        .prepare_cached(ALERT)?
        .query_row([], |row| row.get(0))?)
}

/// Remembers that rows were written anew, and what was found first; of the last hundred times.
pub(super) fn note(
    conn: &Connection,
    count: u64,
    found: &str,
    now: TimeMs,
) -> Result<(), LedgerError> {
    conn.execute(NOTE, params![now.0, int(count), found])?;
    conn.execute(FORGET, [])?;
    Ok(())
}

/// What was put right so far.
pub(crate) fn repairs(conn: &Connection) -> Result<Repairs, LedgerError> {
    let found: Option<(i64, Option<i64>)> = conn
        .prepare_cached(REPAIRS)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (rows, last_at) = found.unwrap_or_default();
    Ok(Repairs {
        rows: uint(rows),
        last_at: last_at.map(TimeMs),
        alert: alert(conn)?,
    })
}
