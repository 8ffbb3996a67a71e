//! Whether the rows of transfers say what their movements say: worked out anew, as `verify` does with totals.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};
use vitrina_shared::{ShopId, TransferId, transfer};

use super::{add, awaited, look, read, transit};
use crate::store::sqlite::Txn;
use crate::store::{StoreError, log};

const OF_SHOP: &str = "SELECT t.id, t.state FROM transfer_place AS p JOIN transfer AS t ON t.id = p.transfer \
    WHERE p.shop = ?1 ORDER BY t.opened";
const BODIES: &str = "SELECT seq, body FROM movement WHERE replica = ?1 ORDER BY seq";
const HAS: &str = "SELECT EXISTS (SELECT 1 FROM transfer_movement WHERE transfer = ?1 AND replica = ?2 AND seq = ?3)";

/// The transfers that concern a shop of which a row is wrong.
pub(in crate::store) fn wrong_transfers(
    conn: &Connection,
    shop: u32,
) -> Result<Vec<TransferId>, StoreError> {
    let mut statement = conn.prepare_cached(OF_SHOP)?;
    let rows: Vec<(TransferId, u8)> = statement
        .query_map([shop], |row| Ok((TransferId(row.get(0)?), row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut wrong = Vec::new();
    for (id, state) in rows {
        let Some(stored) = read(conn, id)? else {
            wrong.push(id);
            continue;
        };
        let is_right = stored.transfer.state.number() == state
            && awaited(conn, &stored)? == transit(conn, id)?;
        if !is_right {
            wrong.push(id);
        }
    }
    Ok(wrong)
}

/// Writes them as they should be, and those of which a movement was forgotten; how many there were.
pub(in crate::store) fn repair_transfers(
    txn: &mut Txn<'_>,
    (shop, index): (&ShopId, u32),
) -> Result<u64, StoreError> {
    let mut wrong: BTreeSet<TransferId> = wrong_transfers(txn.conn, index)?.into_iter().collect();
    for log in log::of_shop(txn.conn, index)? {
        let mut statement = txn.conn.prepare_cached(BODIES)?;
        let mut rows = statement.query([log.id])?;
        while let Some(row) = rows.next()? {
            let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let Some(name) = transfer::name(shop, &log::read_body(body)?) else {
                continue;
            };
            let seq: i64 = row.get(0)?;
            let is_known: bool = txn
                .conn
                .prepare_cached(HAS)?
                .query_row(params![name.id.0, log.id, seq], |row| row.get(0))?;
            if !is_known {
                add(txn, name.id, (log.id, seq.cast_unsigned()))?;
                wrong.insert(name.id);
            }
        }
    }
    let count = wrong.len() as u64;
    wrong.into_iter().try_for_each(|id| look(txn, id))?;
    Ok(count)
}
