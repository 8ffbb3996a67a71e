//! `verify --repair`: a shop's rows written anew from its movements. The movements are never touched.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::params;
use vitrina_shared::voids::{Fact, void_dots};
use vitrina_shared::{Barcode, Dot, Seq, ShopId, Total};

use super::log::{self, Log};
use super::merge::Touched;
use super::sqlite::{Txn, find_barcode};
use super::{StoreError, digest, holds, shops, transfers};

const MOVEMENTS: &str =
    "SELECT seq, barcode, counts, body, prev FROM movement WHERE replica = ?1 ORDER BY seq";
const SET_LINK: &str =
    "UPDATE movement SET barcode = ?3, prev = ?4 WHERE replica = ?1 AND seq = ?2";
const HELD: &str = "SELECT barcode FROM total WHERE shop = ?1 UNION SELECT barcode FROM correction WHERE shop = ?1";
const SET_COUNTS: &str = "UPDATE movement SET counts = ?3 WHERE replica = ?1 AND seq = ?2";
const SET_TOTAL: &str = "INSERT INTO total (shop, barcode, condition, replica, p, n, last, pos, updated_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8) ON CONFLICT (shop, barcode, condition, replica) \
    DO UPDATE SET p = excluded.p, n = excluded.n, last = excluded.last \
    WHERE p <> excluded.p OR n <> excluded.n OR last <> excluded.last";
const KEYS: &str = "SELECT barcode, condition FROM total WHERE shop = ?1 AND replica = ?2";
const DROP_TOTAL: &str =
    "DELETE FROM total WHERE shop = ?1 AND barcode = ?2 AND condition = ?3 AND replica = ?4";
const CORRECTIONS: &str =
    "SELECT barcode, condition, units FROM correction WHERE shop = ?1 AND units <> 0";
const DROP_CORRECTIONS: &str = "DELETE FROM correction WHERE shop = ?1";
const SET_CORRECTION: &str =
    "INSERT INTO correction (shop, barcode, condition, units) VALUES (?1, ?2, ?3, ?4)";

/// The rows of totals of one replica, by (barcode, condition): the total and its last movement.
type Rows = BTreeMap<(i64, u8), (Total, u64)>;

/// One movement as the repair needs it.
struct Found {
    log: i64,
    seq: u64,
    barcode: i64,
    units: i64,
    counts: bool,
    fact: Fact,
}

/// Makes every index anew out of its table.
pub(super) fn reindex(txn: &Txn<'_>) -> Result<(), StoreError> {
    Ok(txn.conn.execute_batch("REINDEX")?)
}

/// Rewrites the rows of a shop; how many were wrong. A log that is not what its chain says is not counted from.
pub(super) fn repair(txn: &mut Txn<'_>, shop: &ShopId, why: &str) -> Result<u64, StoreError> {
    let Some(row) = shops::find(txn.conn, shop)? else {
        return Ok(0);
    };
    let logs = log::of_shop(txn.conn, row.index)?;
    let mut all = Vec::new();
    let mut totals: Vec<Rows> = Vec::new();
    for log in &logs {
        totals.push(read(txn, shop, log, &mut all)?);
    }
    let mut touched = Touched::default();
    let mut names: HashMap<i64, Barcode> = all
        .iter()
        .map(|found: &Found| (found.barcode, found.fact.barcode.clone()))
        .collect();
    // Rows that no movement explains have no other name.
    for barcode in held(txn, row.index)? {
        if let Entry::Vacant(place) = names.entry(barcode) {
            place.insert(super::sqlite::barcode_text(txn.conn, barcode)?);
        }
    }
    for barcode in names.keys() {
        touched.touch(txn, row.index, *barcode)?;
    }
    let mut wrong = 0;
    for (log, rows) in logs.iter().zip(&totals) {
        wrong += write(txn, log, rows)?;
    }
    let facts: Vec<Fact> = all.iter().map(|found| found.fact.clone()).collect();
    let void = void_dots(&facts);
    wrong += write_voids(txn, row.index, &all, &void)?;
    touched.publish(txn, row.index, &names)?;
    wrong += holds::repair_legs(txn, row.index)?;
    wrong += transfers::repair_transfers(txn, (shop, row.index))?;
    if wrong > 0 {
        digest::note(txn, row.index, wrong, why)?;
    }
    tracing::warn!(shop.id = %shop, rows = wrong, "a shop's rows were written anew from its movements");
    Ok(wrong)
}

/// The barcodes of all rows of a shop.
fn held(txn: &Txn<'_>, shop: u32) -> Result<Vec<i64>, StoreError> {
    let mut statement = txn.conn.prepare_cached(HELD)?;
    let rows = statement.query_map([shop], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read(
    txn: &mut Txn<'_>,
    shop: &ShopId,
    log: &Log,
    all: &mut Vec<Found>,
) -> Result<Rows, StoreError> {
    let mut rows = Rows::new();
    let mut at = log.name.origin();
    let mut links = Vec::new();
    let mut statement = txn.conn.prepare_cached(MOVEMENTS)?;
    let mut found = statement.query([log.id])?;
    while let Some(row) = found.next()? {
        let seq = row.get::<_, i64>(0)?.cast_unsigned();
        let body = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        at = at.then(body);
        let movement = log::read_body(body)?;
        let Some(barcode) = find_barcode(txn.conn, movement.barcode.as_str())? else {
            return Err(StoreError::Damaged("a movement's barcode has no number"));
        };
        let slot = rows
            .entry((barcode, movement.condition.number()))
            .or_default();
        let prev = slot.1.cast_signed();
        if row.get::<_, i64>(1)? != barcode || row.get::<_, i64>(4)? != prev {
            links.push((seq.cast_signed(), barcode, prev));
        }
        *slot = (slot.0.after(movement.qty)?, seq);
        all.push(Found {
            log: log.id,
            seq,
            barcode,
            units: movement.qty.units(),
            counts: row.get(2)?,
            fact: Fact::of(
                shop,
                Dot {
                    replica: log.name,
                    seq: Seq(seq),
                },
                &movement,
            ),
        });
    }
    if at != log.head {
        return Err(StoreError::Damaged("a log is not what its chain says"));
    }
    drop(found);
    for (seq, barcode, prev) in links {
        txn.conn
            .prepare_cached(SET_LINK)?
            .execute(params![log.id, seq, barcode, prev])?;
    }
    Ok(rows)
}

fn write(txn: &Txn<'_>, log: &Log, rows: &Rows) -> Result<u64, StoreError> {
    let mut wrong = 0;
    for ((barcode, condition), (total, last)) in rows {
        wrong += txn.conn.prepare_cached(SET_TOTAL)?.execute(params![
            log.shop,
            barcode,
            condition,
            log.id,
            total.p.cast_signed(),
            total.n.cast_signed(),
            last.cast_signed(),
            txn.now.0
        ])?;
    }
    let keys: Vec<(i64, u8)> = {
        let mut statement = txn.conn.prepare_cached(KEYS)?;
        statement
            .query_map(params![log.shop, log.id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<_, _>>()?
    };
    for (barcode, condition) in keys.into_iter().filter(|key| !rows.contains_key(key)) {
        wrong += txn
            .conn
            .prepare_cached(DROP_TOTAL)?
            .execute(params![log.shop, barcode, condition, log.id])?;
    }
    Ok(wrong as u64)
}

fn write_voids(
    txn: &Txn<'_>,
    shop: u32,
    all: &[Found],
    void: &BTreeSet<Dot>,
) -> Result<u64, StoreError> {
    let mut wrong = 0;
    let mut corrections: BTreeMap<(i64, u8), i64> = BTreeMap::new();
    for found in all {
        let counts = !void.contains(&found.fact.dot);
        if counts != found.counts {
            wrong += 1;
            txn.conn.prepare_cached(SET_COUNTS)?.execute(params![
                found.log,
                found.seq.cast_signed(),
                counts
            ])?;
        }
        if !counts {
            *corrections
                .entry((found.barcode, found.fact.condition.number()))
                .or_default() += found.units;
        }
    }
    corrections.retain(|_, units| *units != 0);
    wrong += write_corrections(txn, shop, &corrections)?;
    Ok(wrong)
}

/// Writes what is to be taken from the totals; how many rows of it were wrong.
fn write_corrections(
    txn: &Txn<'_>,
    shop: u32,
    corrections: &BTreeMap<(i64, u8), i64>,
) -> Result<u64, StoreError> {
    let before: BTreeMap<(i64, u8), i64> = {
        let mut statement = txn.conn.prepare_cached(CORRECTIONS)?;
        statement
            .query_map([shop], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?
            .collect::<Result<_, _>>()?
    };
    let keys: BTreeSet<_> = before.keys().chain(corrections.keys()).collect();
    let wrong = keys
        .into_iter()
        .filter(|key| before.get(key) != corrections.get(key))
        .count() as u64;
    if wrong == 0 {
        return Ok(0);
    }
    txn.conn.prepare_cached(DROP_CORRECTIONS)?.execute([shop])?;
    for ((barcode, condition), units) in corrections {
        txn.conn
            .prepare_cached(SET_CORRECTION)?
            .execute(params![shop, barcode, condition, units])?;
        shops::set_corrected(txn.conn, shop)?;
    }
    Ok(wrong)
}
