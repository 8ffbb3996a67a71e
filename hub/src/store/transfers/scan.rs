//! The movements that were merged before the hub kept transfers: looked through once, in small steps behind everything urgent.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::transfer;

use super::{add, look};
use crate::store::sqlite::Txn;
use crate::store::{StoreError, log, shops};

const NEXT: &str = "SELECT t.replica, r.shop, t.seq, t.upto FROM transfer_scan AS t JOIN replica AS r ON r.id = t.replica \
    ORDER BY t.replica LIMIT 1";
const MOVEMENTS: &str = "SELECT seq, body FROM movement WHERE replica = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4";
const SET: &str = "UPDATE transfer_scan SET seq = ?2 WHERE replica = ?1";
const DONE: &str = "DELETE FROM transfer_scan WHERE replica = ?1";

/// Movements of one step.
const STEP: i64 = 1_000;

/// Whether there is something to look through.
pub(super) fn is_due(conn: &Connection) -> Result<bool, StoreError> {
    Ok(next(conn)?.is_some())
}

fn next(conn: &Connection) -> Result<Option<(i64, u32, i64, i64)>, StoreError> {
    let mut statement = conn.prepare_cached(NEXT)?;
    let found = statement.query_row([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    });
    Ok(found.optional()?)
}

/// Looks through the next movements; whether there are more.
pub(super) fn step(txn: &mut Txn<'_>) -> Result<bool, StoreError> {
    let Some((replica, shop, from, upto)) = next(txn.conn)? else {
        return Ok(false);
    };
    let name = shops::name(txn.conn, shop)?;
    let (mut last, mut changed) = (from, BTreeSet::new());
    {
        let mut statement = txn.conn.prepare_cached(MOVEMENTS)?;
        let mut rows = statement.query(params![replica, from, upto, STEP])?;
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            if let Some(name) = transfer::name(&name, &log::read_body(body)?) {
                add(txn, name.id, (replica, last.cast_unsigned()))?;
                changed.insert(name.id);
            }
        }
    }
    if last == from || last >= upto {
        txn.conn.prepare_cached(DONE)?.execute([replica])?;
    } else {
        txn.conn
            .prepare_cached(SET)?
            .execute(params![replica, last])?;
    }
    changed.into_iter().try_for_each(|id| look(txn, id))?;
    is_due(txn.conn)
}
