//! What a shop's rows add up to, what was put right of them, and what could not be.

use rusqlite::{Connection, OptionalExtension, Row, params};
use vitrina_shared::digest::Digest;
use vitrina_shared::{Barcode, Condition, ReplicaId, TimeMs, Total};

use super::sqlite::Txn;
use super::{StoreError, shops};

const TOTALS: &str = "SELECT b.text, t.condition, r.name, t.p, t.n FROM total AS t \
    JOIN barcode AS b ON b.id = t.barcode JOIN replica AS r ON r.id = t.replica WHERE t.shop = ?1";
const CORRECTIONS: &str = "SELECT b.text, c.condition, c.units FROM correction AS c \
    JOIN barcode AS b ON b.id = c.barcode WHERE c.shop = ?1";
const NOTE: &str = "INSERT INTO repair (shop, at, count, found) VALUES (?1, ?2, ?3, ?4)";
const FORGET: &str = "DELETE FROM repair WHERE shop = ?1 AND no NOT IN \
    (SELECT no FROM repair WHERE shop = ?1 ORDER BY no DESC LIMIT 100)";
const REPAIRS: &str =
    "SELECT at, count, found FROM repair WHERE shop = ?1 ORDER BY no DESC LIMIT 10";
const ALERT: &str = "SELECT at, 0, found FROM alert WHERE shop = ?1";
const SET_ALERT: &str = "INSERT OR IGNORE INTO alert (shop, at, found) VALUES (?1, ?2, ?3)";
const DROP_ALERT: &str = "DELETE FROM alert WHERE shop = ?1";

/// Rows that were written anew, or what could not be put right.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct BooksRow {
    /// When.
    #[serde(serialize_with = "super::rfc3339")]
    pub(crate) at: TimeMs,
    /// How many rows.
    pub(crate) count: u64,
    /// What was found first.
    pub(crate) found: String,
}

/// What all rows of a shop add up to; none while its index of ids is being built, because then not all that does not
/// count is known.
pub(super) fn digest(conn: &Connection, shop: u32) -> Result<Option<Digest>, StoreError> {
    if shops::flags(conn, shop)?.indexed == shops::INDEXING {
        return Ok(None);
    }
    let mut digest = Digest::default();
    let mut statement = conn.prepare_cached(TOTALS)?;
    let mut rows = statement.query([shop])?;
    while let Some(row) = rows.next()? {
        let total = Total {
            p: row.get::<_, i64>(3)?.cast_unsigned(),
            n: row.get::<_, i64>(4)?.cast_unsigned(),
        };
        let (barcode, condition) = key(row)?;
        digest.total(&barcode, condition, ReplicaId(row.get(2)?), total);
    }
    let mut statement = conn.prepare_cached(CORRECTIONS)?;
    let mut rows = statement.query([shop])?;
    while let Some(row) = rows.next()? {
        let (barcode, condition) = key(row)?;
        digest.voided(&barcode, condition, row.get(2)?);
    }
    Ok(Some(digest))
}

fn key(row: &Row<'_>) -> Result<(Barcode, Condition), StoreError> {
    let text: String = row.get(0)?;
    let barcode = Barcode::from_key(&text).map_err(|_| StoreError::Damaged("a barcode is none"))?;
    Ok((barcode, Condition::of_number(row.get(1)?)))
}

/// Remembers that rows of a shop were written anew.
pub(super) fn note(txn: &Txn<'_>, shop: u32, count: u64, found: &str) -> Result<(), StoreError> {
    txn.conn
        .prepare_cached(NOTE)?
        .execute(params![shop, txn.now.0, count.cast_signed(), found])?;
    txn.conn.prepare_cached(FORGET)?.execute([shop])?;
    Ok(())
}

/// Remembers what a person must look at, the first that was found; none takes it back.
pub(super) fn set_alert(txn: &Txn<'_>, shop: u32, found: Option<&str>) -> Result<(), StoreError> {
    match found {
        Some(found) => txn
            .conn
            .prepare_cached(SET_ALERT)?
            .execute(params![shop, txn.now.0, found])?,
        None => txn.conn.prepare_cached(DROP_ALERT)?.execute([shop])?,
    };
    Ok(())
}

/// What a person must look at.
pub(super) fn alert(conn: &Connection, shop: u32) -> Result<Option<BooksRow>, StoreError> {
    Ok(conn
        .prepare_cached(ALERT)?
        .query_row([shop], books_row)
        .optional()?)
}

/// The last repairs of a shop, the latest first.
pub(super) fn repairs(conn: &Connection, shop: u32) -> Result<Vec<BooksRow>, StoreError> {
    let mut statement = conn.prepare_cached(REPAIRS)?;
    let rows = statement.query_map([shop], books_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn books_row(row: &Row<'_>) -> rusqlite::Result<BooksRow> {
    Ok(BooksRow {
        at: TimeMs(row.get(0)?),
        count: row.get::<_, i64>(1)?.cast_unsigned(),
        found: row.get(2)?,
    })
}
