//! What the hub writes and every shop reads.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::ShopId;
use vitrina_shared::registers::kind;
use vitrina_shared::wire::v1::{RegisterV1, RegistersV1};

use super::StoreError;
use super::sqlite::Txn;

const GET: &str = "SELECT value FROM register WHERE kind = ?1 AND key = ?2";
const PUT: &str = "INSERT INTO register (kind, key, value, seq) \
    VALUES (?1, ?2, ?3, (SELECT coalesce(max(seq), 0) + 1 FROM register)) \
    ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, seq = excluded.seq WHERE value <> excluded.value";
const HEAD: &str = "SELECT coalesce(max(seq), 0) FROM register";
const AFTER: &str = "SELECT kind, key, value, seq FROM register WHERE seq > ?1 AND (kind <> ?2 OR key = ?3) \
    ORDER BY seq LIMIT ?4";
const OF_KIND: &str = "SELECT key, value FROM register WHERE kind = ?1 AND value <> ''";

/// The most registers of one answer.
const MAX_LIST: usize = 2_000;
/// About how many bytes of them.
const MAX_BYTES: usize = 400_000;

/// What stands under a key; empty text where it was taken away.
pub(super) fn get(conn: &Connection, kind: u8, key: &str) -> Result<Option<String>, StoreError> {
    Ok(conn
        .prepare_cached(GET)?
        .query_row(params![kind, key], |row| row.get(0))
        .optional()?)
}

/// Writes a register; false where it says so already, and then nothing is written.
pub(super) fn put(txn: &Txn<'_>, kind: u8, key: &str, value: &str) -> Result<bool, StoreError> {
    let written = txn
        .conn
        .prepare_cached(PUT)?
        .execute(params![kind, key, value])?;
    if written > 0 {
        // Also where nothing is on hand of it: a database that goes back behind this word is another history.
        txn.next_pos();
    }
    Ok(written > 0)
}

/// Every register of a kind.
pub(super) fn of_kind(
    conn: &Connection,
    kind: u8,
    each: &mut dyn FnMut(&str, &str) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = conn.prepare_cached(OF_KIND)?;
    let mut rows = statement.query([kind])?;
    while let Some(row) = rows.next()? {
        let text = |i| {
            row.get_ref(i)
                .and_then(|value| value.as_str().map_err(rusqlite::Error::from))
        };
        each(text(0)?, text(1)?)?;
    }
    Ok(())
}

/// Every item, by barcode.
pub(super) fn items(conn: &Connection) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
    let mut items = BTreeMap::new();
    of_kind(conn, kind::ITEM, &mut |key, value| {
        items.insert(key.to_owned(), value.as_bytes().to_vec());
        Ok(())
    })?;
    Ok(items)
}

/// What a shop lacks behind `cursor`; whether there is more.
pub(super) fn after(
    conn: &Connection,
    shop: &ShopId,
    cursor: u64,
) -> Result<Option<(RegistersV1, bool)>, StoreError> {
    let head: i64 = conn.prepare_cached(HEAD)?.query_row([], |row| row.get(0))?;
    let head = head.cast_unsigned();
    if cursor >= head {
        return Ok(None);
    }
    let mut list = Vec::new();
    let mut bytes = 0;
    let mut is_cut = false;
    let mut statement = conn.prepare_cached(AFTER)?;
    let most = i64::try_from(MAX_LIST + 1).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![
        cursor.cast_signed(),
        kind::SETTINGS,
        shop.as_str(),
        most
    ])?;
    while let Some(row) = rows.next()? {
        let register = RegisterV1 {
            kind: row.get(0)?,
            key: row.get(1)?,
            value: row.get::<_, String>(2)?.into_bytes(),
            seq: row.get::<_, i64>(3)?.cast_unsigned(),
        };
        bytes += register.key.len() + register.value.len() + 8;
        if list.len() == MAX_LIST || (bytes > MAX_BYTES && !list.is_empty()) {
            is_cut = true;
            break;
        }
        list.push(register);
    }
    let upto = if is_cut {
        list.last()
            .map_or(head, |register: &RegisterV1| register.seq)
    } else {
        head
    };
    Ok(Some((RegistersV1 { list, upto }, is_cut)))
}
