//! Sales of a file over a hold: until a person says whose they were, they break no promise.

use rusqlite::{Connection, OptionalExtension, Row, params};
use vitrina_shared::{Barcode, LegId, MovementId, TimeMs};

use super::log::barcode;
use super::{LedgerError, uint};

const ASK: &str =
    "INSERT OR IGNORE INTO question (sale, barcode, units, at) VALUES (?1, ?2, ?3, ?4)";
const CLOSE: &str =
    "UPDATE question SET answered_at = ?2, leg = ?3 WHERE sale = ?1 AND answered_at IS NULL";
// A sale that was taken back takes nothing.
const UNITS: &str = "SELECT coalesce(sum(q.units), 0) FROM question q
    WHERE q.barcode = ?1 AND q.answered_at IS NULL
      AND EXISTS (SELECT 1 FROM movement m WHERE m.id = q.sale AND m.counts = 1)";
const OPEN: &str = "SELECT sale, barcode, at, answered_at, leg FROM question q
    WHERE q.answered_at IS NULL AND EXISTS (SELECT 1 FROM movement m WHERE m.id = q.sale AND m.counts = 1)
    ORDER BY at, sale";
const OF_BARCODE: &str = "SELECT sale, barcode, at, answered_at, leg FROM question q
    WHERE q.barcode = ?1 AND q.answered_at IS NULL
      AND EXISTS (SELECT 1 FROM movement m WHERE m.id = q.sale AND m.counts = 1)
    ORDER BY at, sale";
const GET: &str = "SELECT sale, barcode, at, answered_at, leg FROM question WHERE sale = ?1";
const COUNT: &str = "SELECT count(*) FROM question q
    WHERE q.answered_at IS NULL AND EXISTS (SELECT 1 FROM movement m WHERE m.id = q.sale AND m.counts = 1)";

/// A sale over a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// The sale.
    pub(crate) sale: MovementId,
    /// What was sold.
    pub(crate) barcode: Barcode,
    /// When it was asked.
    pub(crate) at: TimeMs,
    /// When it was answered.
    pub(crate) answered_at: Option<TimeMs>,
    /// Whose it was, of one that was answered; none: somebody else's.
    pub(crate) leg: Option<LegId>,
}

/// Asks whose a sale was that took so many promised units.
pub(super) fn ask(
    conn: &Connection,
    sale: MovementId,
    (barcode, units): (&Barcode, i64),
    now: TimeMs,
) -> Result<(), LedgerError> {
    conn.prepare_cached(ASK)?
        .execute(params![sale.0, barcode.as_str(), units, now.0])?;
    Ok(())
}

/// Whose it was is known: this leg's order's, or somebody else's. Whether it was asked.
pub(super) fn close(
    conn: &Connection,
    sale: MovementId,
    of: Option<LegId>,
    now: TimeMs,
) -> Result<bool, LedgerError> {
    let closed =
        conn.prepare_cached(CLOSE)?
            .execute(params![sale.0, now.0, of.map(|leg| leg.0)])?;
    Ok(closed > 0)
}

/// Promised units of a barcode that files sold, and of which nobody has said whose they were.
pub(super) fn units(conn: &Connection, barcode: &Barcode) -> Result<i64, LedgerError> {
    Ok(conn
        .prepare_cached(UNITS)?
        .query_row([barcode.as_str()], |row| row.get(0))?)
}

/// What is asked, the oldest first.
pub(super) fn open(conn: &Connection) -> Result<Vec<Question>, LedgerError> {
    let mut query = conn.prepare_cached(OPEN)?;
    let rows = query.query_map([], columns)?;
    rows.map(|row| read(row?)).collect()
}

/// What is asked about a barcode.
pub(super) fn of_barcode(
    conn: &Connection,
    barcode: &Barcode,
) -> Result<Vec<Question>, LedgerError> {
    let mut query = conn.prepare_cached(OF_BARCODE)?;
    let rows = query.query_map([barcode.as_str()], columns)?;
    rows.map(|row| read(row?)).collect()
}

/// The question about a sale, answered or not.
pub(super) fn get(conn: &Connection, sale: MovementId) -> Result<Option<Question>, LedgerError> {
    let found = conn
        .prepare_cached(GET)?
        .query_row([sale.0], columns)
        .optional()?;
    found.map(read).transpose()
}

/// How many are asked.
pub(super) fn count(conn: &Connection) -> Result<u64, LedgerError> {
    Ok(uint(
        conn.prepare_cached(COUNT)?
            .query_row([], |row| row.get(0))?,
    ))
}

type Columns = ([u8; 16], String, i64, Option<i64>, Option<[u8; 16]>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
    ))
}

fn read((sale, text, at, answered_at, leg): Columns) -> Result<Question, LedgerError> {
    Ok(Question {
        sale: MovementId(sale),
        barcode: barcode(&text)?,
        at: TimeMs(at),
        answered_at: answered_at.map(TimeMs),
        leg: leg.map(LegId),
    })
}
