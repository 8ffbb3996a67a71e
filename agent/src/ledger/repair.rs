//! Rows that are not what the movements say, written anew from the movements. The movements are never touched, and where
//! they themselves are damaged nothing is counted from them.
//!
//! Looking is done on a connection of its own and only what was found wrong is written, in short jobs: no till waits.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use vitrina_shared::{Condition, MovementId, Seq, TimeMs, Total};

use super::log::{self, Names};
use super::verify::{Verified, Wrong};
use super::{Ledger, LedgerError, digest, disagreement, int, standing, state, uint};

const BODY: &str = "SELECT body FROM movement WHERE replica = ?1 AND seq = ?2";
const SET_COLUMNS: &str =
    "UPDATE movement SET id = ?3, key_hash = ?4, barcode = ?5, condition = ?6,
    kind = ?7, qty = ?8, at = ?9 WHERE replica = ?1 AND seq = ?2";
const SET_CHAIN: &str = "UPDATE movement SET chain = ?3 WHERE replica = ?1 AND seq = ?2";
const VOIDS: &str = "SELECT replica, seq, body FROM movement WHERE kind = 12";
const TARGETS: &str = "SELECT target, replica, seq FROM void_target";
const DROP_TARGET: &str = "DELETE FROM void_target WHERE target = ?1 AND replica = ?2 AND seq = ?3";
const ADD_TARGET: &str = "INSERT INTO void_target (target, replica, seq) VALUES (?1, ?2, ?3)";
const SUMS: &str = "SELECT replica, sum(max(qty, 0)), sum(max(-qty, 0)) FROM movement
    WHERE barcode = ?1 AND condition = ?2 GROUP BY replica";
const TOTALS: &str = "SELECT replica, p, n FROM total WHERE barcode = ?1 AND condition = ?2";
const DROP_TOTAL: &str = "DELETE FROM total WHERE barcode = ?1 AND condition = ?2 AND replica = ?3";
const SET_TOTAL: &str =
    "INSERT INTO total (barcode, condition, replica, p, n) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET p = excluded.p, n = excluded.n";
const VOID_SUM: &str = "SELECT coalesce(sum(qty), 0) FROM movement
    WHERE barcode = ?1 AND condition = ?2 AND counts = 0";
const VOIDED: &str =
    "SELECT coalesce(sum(units), 0) FROM voided WHERE barcode = ?1 AND condition = ?2";
const REINDEX: &str = "REINDEX";

/// Rows of one job.
const ROWS: usize = 200;
/// What is put right first may show what else is wrong; more rounds than these are no repair.
const ROUNDS: u8 = 4;

/// What a repair came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repaired {
    /// How many rows were written anew.
    pub(crate) rows: u64,
    /// What is wrong still, in words; empty where all is well.
    pub(crate) left: Vec<String>,
}

impl Ledger {
    /// Holds every row against the movements and writes anew those that differ. Blocks for as long as `verify` does; no
    /// till waits.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] when the ledger cannot be read or written.
    pub(crate) fn repair_blocking(&self, now: TimeMs) -> Result<Repaired, LedgerError> {
        let mut repaired = Repaired::default();
        let mut first = None;
        for _ in 0..ROUNDS {
            let Verified {
                problems, wrong, ..
            } = self.verify_blocking()?;
            repaired.left = problems;
            if wrong == Wrong::default() || wrong.is_damaged {
                break;
            }
            first = first.or_else(|| repaired.left.first().cloned());
            let written = self.put_right(wrong)?;
            repaired.rows += written;
            if written == 0 {
                break;
            }
        }
        if let (Some(found), 1..) = (first, repaired.rows) {
            let rows = repaired.rows;
            self.db()
                .write_background_blocking(move |conn| digest::note(conn, rows, &found, now))?;
        }
        Ok(repaired)
    }

    /// Puts right what was found wrong, in short jobs; how many rows that were.
    fn put_right(&self, wrong: Wrong) -> Result<u64, LedgerError> {
        let Wrong {
            pages,
            chains,
            columns,
            targets,
            ids,
            rows,
            ..
        } = wrong;
        let mut written = 0;
        if pages {
            // What an index says wrongly its table says rightly.
            self.db().write_background_blocking(|conn| {
                Ok::<_, LedgerError>(conn.execute_batch(REINDEX)?)
            })?;
            written += 1;
        }
        for some in chains.chunks(ROWS).map(<[_]>::to_vec) {
            written += self.db().write_background_blocking(move |conn| {
                for (replica, at) in &some {
                    conn.prepare_cached(SET_CHAIN)?.execute(params![
                        replica,
                        int(at.seq.0),
                        at.chain.0
                    ])?;
                }
                Ok::<_, LedgerError>(some.len() as u64)
            })?;
        }
        for some in columns.chunks(ROWS).map(<[_]>::to_vec) {
            written += self
                .db()
                .write_background_blocking(move |conn| set_columns(conn, &some))?;
        }
        if targets {
            written += self.db().write_background_blocking(set_targets)?;
        }
        let ids: Vec<MovementId> = ids.into_iter().collect();
        for some in ids.chunks(ROWS).map(<[_]>::to_vec) {
            written += self.db().write_background_blocking(move |conn| {
                for id in &some {
                    standing::settle(conn, *id)?;
                }
                Ok::<_, LedgerError>(some.len() as u64)
            })?;
        }
        let rows: Vec<(String, u8)> = rows.into_iter().collect();
        for some in rows.chunks(ROWS).map(<[_]>::to_vec) {
            written += self.db().write_background_blocking(move |conn| {
                let each = some.iter().map(|row| set_row(conn, row));
                each.sum::<Result<u64, LedgerError>>()
            })?;
        }
        Ok(written)
    }
}

/// Reads columns out of the bytes that are chained.
fn set_columns(conn: &Connection, places: &[(i64, Seq)]) -> Result<u64, LedgerError> {
    let shop = state::shop(conn)?.ok_or(LedgerError::NotEnrolled)?;
    let mut written = 0;
    for (replica, seq) in places {
        let body: Vec<u8> = conn
            .prepare_cached(BODY)?
            .query_row(params![replica, int(seq.0)], |row| row.get(0))?;
        let movement = log::entry(&body)?.movement;
        let names = Names::of(&shop, &movement);
        written += conn.prepare_cached(SET_COLUMNS)?.execute(params![
            replica,
            int(seq.0),
            names.id.0,
            names.key.map(|key| key.0),
            movement.barcode.as_str(),
            movement.condition.number(),
            movement.kind.number(),
            movement.qty.units(),
            movement.at.0,
        ])?;
    }
    Ok(written as u64)
}

/// Whom the void movements name, as their bytes say.
fn set_targets(conn: &Connection) -> Result<u64, LedgerError> {
    type Target = ([u8; 16], i64, i64);
    let named = named(conn)?;
    let mut query = conn.prepare_cached(TARGETS)?;
    let held: BTreeSet<Target> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (target, replica, seq) in held.difference(&named) {
        conn.prepare_cached(DROP_TARGET)?
            .execute(params![target, replica, seq])?;
        standing::settle_target(conn, MovementId(*target))?;
    }
    for (target, replica, seq) in named.difference(&held) {
        conn.prepare_cached(ADD_TARGET)?
            .execute(params![target, replica, seq])?;
        standing::settle_target(conn, MovementId(*target))?;
    }
    Ok(held.symmetric_difference(&named).count() as u64)
}

/// Whom the void movements of the log name: the target, and the void's place.
fn named(conn: &Connection) -> Result<BTreeSet<([u8; 16], i64, i64)>, LedgerError> {
    let mut query = conn.prepare_cached(VOIDS)?;
    let mut rows = query.query([])?;
    let mut named = BTreeSet::new();
    while let Some(row) = rows.next()? {
        if let Some(target) = log::entry(&row.get::<_, Vec<u8>>(2)?)?.movement.target {
            named.insert((target.0, row.get(0)?, row.get(1)?));
        }
    }
    Ok(named)
}

/// Whether the table of void targets is what the void movements say.
pub(super) fn targets_are_right(conn: &Connection) -> Result<bool, LedgerError> {
    let named = named(conn)?;
    let mut query = conn.prepare_cached(TARGETS)?;
    let held: BTreeSet<([u8; 16], i64, i64)> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(held == named)
}

/// Writes one (barcode, condition) as its movements say; how many rows of it were wrong.
fn set_row(conn: &Connection, (barcode, condition): &(String, u8)) -> Result<u64, LedgerError> {
    let key = params![barcode, condition];
    let read = |sql: &str| -> Result<BTreeMap<i64, Total>, LedgerError> {
        let mut query = conn.prepare_cached(sql)?;
        let rows = query.query_map(key, |row| {
            let total = Total {
                p: uint(row.get(1)?),
                n: uint(row.get(2)?),
            };
            Ok((row.get(0)?, total))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    };
    let mut should = read(SUMS)?;
    should.retain(|_, total| *total != Total::default());
    let is = read(TOTALS)?;
    let mut written = 0;
    for replica in is.keys().filter(|replica| !should.contains_key(replica)) {
        written += conn
            .prepare_cached(DROP_TOTAL)?
            .execute(params![barcode, condition, replica])?;
    }
    for (replica, total) in should
        .iter()
        .filter(|(no, total)| is.get(no) != Some(total))
    {
        written += conn.prepare_cached(SET_TOTAL)?.execute(params![
            barcode,
            condition,
            replica,
            int(total.p),
            int(total.n)
        ])?;
    }
    let (code, of) = (log::barcode(barcode)?, Condition::of_number(*condition));
    let before = standing::statement(conn, &code, of)?;
    standing::state(conn, &code, of)?;
    written += usize::from(standing::statement(conn, &code, of)? != before);
    let sum = |sql: &str| -> Result<i64, LedgerError> {
        Ok(conn.prepare_cached(sql)?.query_row(key, |row| row.get(0))?)
    };
    let off = sum(VOID_SUM)? - sum(VOIDED)?;
    standing::move_void_sum(conn, barcode, of, off)?;
    written += usize::from(off != 0);
    // Whatever was compared with the row is compared again.
    disagreement::touched(conn, &code, of, TimeMs(0))?;
    Ok(written as u64)
}
