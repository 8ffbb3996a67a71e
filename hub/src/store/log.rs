//! The replicas' logs: positions, chains, movements as the bytes they came in.

use rusqlite::{Connection, OptionalExtension, Row, params};
use vitrina_shared::delta::{Entry, MAX_DELTA_MOVEMENTS, RowTotal};
use vitrina_shared::{Chain, Delta, Movement, Position, ReplicaId, Seq, ShopId, Total};

use super::{StoreError, shops, totals};
use crate::merge::Rows;

const FIND: &str = "SELECT id, name, shop, seq, chain FROM replica WHERE name = ?1";
const OF_SHOP: &str =
    "SELECT id, name, shop, seq, chain FROM replica WHERE shop = ?1 ORDER BY name";
const ADD: &str =
    "INSERT INTO replica (name, shop, seq, chain, indexed) VALUES (?1, ?2, 0, ?3, 0) RETURNING id";
const SET_HEAD: &str = "UPDATE replica SET seq = ?2, chain = ?3 WHERE id = ?1";
const BODIES: &str =
    "SELECT body FROM movement WHERE replica = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq";
const KEPT_CHAIN: &str = "SELECT chain FROM movement WHERE replica = ?1 AND seq = ?2";

/// The chain is kept for every so many movements; one in between is worked out from the last that is kept.
pub(super) const CHAIN_EVERY: u64 = 64;

/// The log of one replica.
#[derive(Clone, Debug)]
pub(super) struct Log {
    /// Its number in this file.
    pub(super) id: i64,
    pub(super) name: ReplicaId,
    pub(super) shop: u32,
    pub(super) head: Position,
}

fn log(row: &Row<'_>) -> rusqlite::Result<Log> {
    Ok(Log {
        id: row.get(0)?,
        name: ReplicaId(row.get(1)?),
        shop: row.get(2)?,
        head: Position {
            seq: Seq(row.get::<_, i64>(3)?.cast_unsigned()),
            chain: Chain(row.get(4)?),
        },
    })
}

/// The log of a replica that some shop brought before.
pub(super) fn find(conn: &Connection, replica: ReplicaId) -> Result<Option<Log>, StoreError> {
    Ok(conn
        .prepare_cached(FIND)?
        .query_row([replica.0], log)
        .optional()?)
}

/// Every log of a shop, by replica.
pub(super) fn of_shop(conn: &Connection, shop: u32) -> Result<Vec<Log>, StoreError> {
    let mut statement = conn.prepare_cached(OF_SHOP)?;
    let logs = statement
        .query_map([shop], log)?
        .collect::<Result<_, _>>()?;
    Ok(logs)
}

/// An empty log.
pub(super) fn add(conn: &Connection, replica: ReplicaId, shop: u32) -> Result<Log, StoreError> {
    let head = replica.origin();
    let id = conn
        .prepare_cached(ADD)?
        .query_row(params![replica.0, shop, head.chain.0], |row| row.get(0))?;
    Ok(Log {
        id,
        name: replica,
        shop,
        head,
    })
}

/// The log ends here now.
pub(super) fn set_head(conn: &Connection, log: &mut Log, head: Position) -> Result<(), StoreError> {
    conn.prepare_cached(SET_HEAD)?.execute(params![
        log.id,
        head.seq.0.cast_signed(),
        head.chain.0
    ])?;
    log.head = head;
    Ok(())
}

/// The chain at a place from 0 to the head.
pub(super) fn chain_at(conn: &Connection, log: &Log, seq: Seq) -> Result<Chain, StoreError> {
    if seq == log.head.seq {
        return Ok(log.head.chain);
    }
    let kept = Seq(seq.0 - seq.0 % CHAIN_EVERY);
    let mut chain = if kept.0 == 0 {
        log.name.origin().chain
    } else {
        let kept: Option<[u8; 32]> = conn
            .prepare_cached(KEPT_CHAIN)?
            .query_row(params![log.id, kept.0.cast_signed()], |row| row.get(0))
            .optional()?
            .flatten();
        Chain(kept.ok_or(StoreError::Damaged("a chain that must be kept is missing"))?)
    };
    let mut statement = conn.prepare_cached(BODIES)?;
    let mut rows = statement.query(params![log.id, kept.0.cast_signed(), seq.0.cast_signed()])?;
    while let Some(row) = rows.next()? {
        chain = chain.then(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?);
    }
    Ok(chain)
}

/// A stored movement's bytes, read.
pub(super) fn read_body(body: &[u8]) -> Result<Movement, StoreError> {
    Movement::from_bytes(body).map_err(|_| StoreError::Damaged("a movement cannot be read"))
}

/// The movements after `from`: at most so many, and not more bytes than `bytes` (but one in any case).
pub(super) fn entries(
    conn: &Connection,
    log: &Log,
    from: Seq,
    most: usize,
    bytes: usize,
) -> Result<Vec<Entry>, StoreError> {
    let most = most.min(MAX_DELTA_MOVEMENTS) as u64;
    let upto = Seq((from.0 + most).min(log.head.seq.0));
    let mut statement = conn.prepare_cached(BODIES)?;
    let mut rows = statement.query(params![log.id, from.0.cast_signed(), upto.0.cast_signed()])?;
    let (mut entries, mut size) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let body = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        size += body.len();
        if size > bytes && !entries.is_empty() {
            break;
        }
        entries.push(
            Entry::from_bytes(body)
                .map_err(|_| StoreError::Damaged("a movement cannot be read"))?,
        );
    }
    Ok(entries)
}

/// Every log of a shop with all its movements.
pub(super) fn whole(
    conn: &Connection,
    shop: &ShopId,
) -> Result<Vec<(ReplicaId, Vec<Entry>)>, StoreError> {
    let Some(shop) = shops::find(conn, shop)? else {
        return Ok(Vec::new());
    };
    let mut logs = Vec::new();
    for log in of_shop(conn, shop.index)? {
        let mut held: Vec<Entry> = Vec::new();
        while (held.len() as u64) < log.head.seq.0 {
            let from = Seq(held.len() as u64);
            held.extend(entries(conn, &log, from, MAX_DELTA_MOVEMENTS, usize::MAX)?);
        }
        logs.push((log.name, held));
    }
    Ok(logs)
}

/// A delta of the log after `from`, with the totals that it leads to.
pub(super) fn delta(
    conn: &Connection,
    log: &Log,
    from: Seq,
    most: usize,
    bytes: usize,
) -> Result<Delta, StoreError> {
    let base = Position {
        seq: from,
        chain: chain_at(conn, log, from)?,
    };
    let entries = entries(conn, log, from, most, bytes)?;
    let mut totals = Vec::new();
    for (barcode, condition) in Delta::sums(&entries)?.into_keys() {
        let total = totals::of_replica(conn, log, barcode, condition)?;
        totals.push(RowTotal {
            barcode: barcode.clone(),
            condition,
            total,
        });
    }
    let mut delta = Delta {
        replica: log.name,
        base,
        entries,
        totals,
    };
    take_back_later(conn, log, &mut delta)?;
    Ok(delta)
}

/// The stored totals are those of the head: what came after the delta is taken back.
fn take_back_later(conn: &Connection, log: &Log, delta: &mut Delta) -> Result<(), StoreError> {
    let mut after = delta.last_seq();
    while after < log.head.seq {
        let later = entries(conn, log, after, MAX_DELTA_MOVEMENTS, usize::MAX)?;
        if later.is_empty() {
            return Err(StoreError::Damaged("a log has a hole"));
        }
        after = Seq(after.0 + later.len() as u64);
        for row in Rows::of(&later, &[])?.list {
            let place = delta.totals.binary_search_by(|total| {
                (&total.barcode, total.condition).cmp(&(&row.barcode, row.condition))
            });
            if let Some(total) = place.ok().and_then(|place| delta.totals.get_mut(place)) {
                total.total = Total {
                    p: total.total.p.saturating_sub(row.sum.p),
                    n: total.total.n.saturating_sub(row.sum.n),
                };
            }
        }
    }
    Ok(())
}
