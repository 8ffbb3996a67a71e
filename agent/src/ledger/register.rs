//! What the hub writes and the shop reads: items, aliases, settings, the other shops' names.
//!
//! The last writer wins by hub sequence within a life. On a new life everything is written anew, and what did not
//! come again is taken away.

use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;
use vitrina_shared::movement::{Details, Words};
use vitrina_shared::registers::{Item, kind};
use vitrina_shared::wire::v1::RegisterV1;
use vitrina_shared::{Barcode, ShopId, planted};

use super::{LedgerError, int, log};

const VALUE: &str = "SELECT value FROM register WHERE kind = ?1 AND key = ?2";
const PUT: &str = "INSERT INTO register (kind, key, value, seq, generation, external_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO UPDATE SET value = excluded.value, seq = excluded.seq, generation = excluded.generation,
        external_id = excluded.external_id
    WHERE (excluded.generation, excluded.seq) > (generation, seq)";
const PUT_SETTINGS: &str = "INSERT INTO register (kind, key, value, seq, generation)
    VALUES (?1, ?2, ?3, 0, (SELECT generation FROM state))
    ON CONFLICT DO UPDATE SET value = excluded.value";
const TAKE: &str =
    "DELETE FROM register WHERE kind = ?1 AND key = ?2 AND (generation, seq) < (?3, ?4)";
const UPTO: &str = "UPDATE state SET registers = max(registers, ?1)";
const BY_EXTERNAL_ID: &str = "SELECT key FROM register WHERE external_id = ?1 AND kind = 1
    UNION SELECT barcode FROM external_id WHERE id = ?1 ORDER BY 1 LIMIT 100";
const LEARN: &str = "INSERT OR IGNORE INTO external_id (id, barcode) VALUES (?1, ?2)";
const LEARN_WORDS: &str = "INSERT INTO external_words (id, rest) VALUES (?1, ?2)
    ON CONFLICT DO UPDATE SET rest = excluded.rest WHERE rest <> excluded.rest";
const WORDS_OF: &str = "SELECT rest FROM external_words WHERE id = ?1";
const IS_REPLACED: &str = "SELECT replaced FROM state";
const DROP_OLD: &str = "DELETE FROM register WHERE (kind, key) IN (
    SELECT kind, key FROM register WHERE generation < (SELECT generation FROM state) AND kind <> 3 LIMIT 1000)";
const DROP_OLD_LEVELS: &str = "DELETE FROM other_level WHERE (barcode, shop) IN (
    SELECT barcode, shop FROM other_level WHERE generation < (SELECT generation FROM state) LIMIT 1000)";

/// A register's value, if it is there and this version can read it.
pub(super) fn value<T: DeserializeOwned>(
    conn: &Connection,
    kind: u8,
    key: &str,
) -> Result<Option<T>, LedgerError> {
    let text: Option<String> = conn
        .prepare_cached(VALUE)?
        .query_row(params![kind, key], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Applies registers that the hub sent, up to a hub sequence of life `generation`. Whether the shop's settings changed.
pub(super) fn apply(
    conn: &Connection,
    list: &[RegisterV1],
    upto: u64,
    generation: i64,
) -> Result<bool, LedgerError> {
    let generation = if planted::is("agent_lets_the_old_price_win") {
        0
    } else {
        generation
    };
    let mut settings_changed = false;
    for register in list {
        let changed = apply_one(conn, register, generation)?;
        settings_changed |= changed && register.kind == kind::SETTINGS;
    }
    keep_cursor(conn, upto)?;
    Ok(settings_changed)
}

/// Registers are held up to here.
pub(super) fn keep_cursor(conn: &Connection, upto: u64) -> Result<(), LedgerError> {
    conn.prepare_cached(UPTO)?.execute([int(upto)])?;
    Ok(())
}

fn apply_one(
    conn: &Connection,
    register: &RegisterV1,
    generation: i64,
) -> Result<bool, LedgerError> {
    let seq = int(register.seq);
    if register.value.is_empty() {
        let taken = conn.prepare_cached(TAKE)?.execute(params![
            register.kind,
            register.key,
            generation,
            seq
        ])?;
        return Ok(taken > 0);
    }
    let Ok(text) = std::str::from_utf8(&register.value) else {
        return Ok(false);
    };
    let external_id = match register.kind {
        kind::ITEM => serde_json::from_str::<Item>(text)
            .ok()
            .and_then(|item| item.external_id),
        kind::ALIAS | kind::SETTINGS | kind::SHOP => None,
        // Written for a newer agent.
        _ => return Ok(false),
    };
    let put = params![
        register.kind,
        register.key,
        text,
        seq,
        generation,
        external_id
    ];
    Ok(conn.prepare_cached(PUT)?.execute(put)? > 0)
}

/// Keeps the settings that came with the enrolment; the hub's register follows.
pub(super) fn put_settings(
    conn: &Connection,
    shop: &ShopId,
    json: &[u8],
) -> Result<(), LedgerError> {
    if let Ok(text) = std::str::from_utf8(json)
        && !text.is_empty()
    {
        conn.prepare_cached(PUT_SETTINGS)?
            .execute(params![kind::SETTINGS, shop.as_str(), text])?;
    }
    Ok(())
}

/// What the catalogue says of a barcode.
pub(crate) fn item(conn: &Connection, barcode: &Barcode) -> Result<Option<Item>, LedgerError> {
    value(conn, kind::ITEM, barcode.as_str())
}

/// The barcodes of an id of the ERP, by the catalogue and by the shop's own files.
pub(crate) fn by_external_id(conn: &Connection, id: &str) -> Result<Vec<Barcode>, LedgerError> {
    let mut query = conn.prepare_cached(BY_EXTERNAL_ID)?;
    let rows = query.query_map([id], |row| row.get::<_, String>(0))?;
    rows.map(|text| log::barcode(&text?)).collect()
}

/// Remembers which barcode the shop's own file gave to an id.
pub(crate) fn learn_external_id(
    conn: &Connection,
    id: &str,
    barcode: &Barcode,
) -> Result<(), LedgerError> {
    conn.prepare_cached(LEARN)?
        .execute([id, barcode.as_str()])?;
    Ok(())
}

/// Remembers what the shop's own file says of an id; the last file wins.
pub(crate) fn learn_words(conn: &Connection, id: &str, words: &Words) -> Result<(), LedgerError> {
    let rest = Details {
        words: words.clone(),
        ..Details::default()
    }
    .to_bytes();
    conn.prepare_cached(LEARN_WORDS)?
        .execute(params![id, &*rest])?;
    Ok(())
}

/// What the shop's own files say of an id.
pub(crate) fn words_of(conn: &Connection, id: &str) -> Result<Option<Words>, LedgerError> {
    let rest: Option<Vec<u8>> = conn
        .prepare_cached(WORDS_OF)?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(rest.map(|rest| Details::read(&rest).words))
}

/// Takes away some rows of an older life, once all have come anew. Whether none is left; call it until then.
pub(crate) fn tidy(conn: &Connection) -> Result<bool, LedgerError> {
    let replaced: bool = conn.query_row(IS_REPLACED, [], |row| row.get(0))?;
    if !replaced {
        return Ok(true);
    }
    let rows = conn.prepare_cached(DROP_OLD)?.execute([])?
        + conn.prepare_cached(DROP_OLD_LEVELS)?.execute([])?;
    Ok(rows == 0)
}
