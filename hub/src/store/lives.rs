//! The lives of the hub's database.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use vitrina_shared::freshness::Heard;
use vitrina_shared::{HubLife, TimeMs};

use super::sqlite::Txn;
use super::{StoreError, audit, holds, shops};
use crate::audit::{By, What};
use crate::change::{Change, ShopHealth};

const CURRENT: &str = "SELECT ordinal, random FROM hub_life ORDER BY ordinal DESC LIMIT 1";
const NEWEST: &str = "SELECT ordinal, began_at, reason FROM hub_life ORDER BY ordinal DESC LIMIT 1";
const BEGIN: &str =
    "INSERT INTO hub_life (ordinal, random, began_at, reason) VALUES (?1, ?2, ?3, ?4)";
const FORGET_HEARD: &str = "DELETE FROM heard";
const META: &str = "SELECT value FROM meta WHERE name = ?1";
const SET_META: &str = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// The current life; none in a database that was just made.
pub(super) fn current(conn: &Connection) -> Result<Option<HubLife>, StoreError> {
    let life = conn
        .prepare_cached(CURRENT)?
        .query_row([], |row| {
            Ok(HubLife {
                ordinal: row.get::<_, i64>(0)?.cast_unsigned(),
                random: row.get(1)?,
            })
        })
        .optional()?;
    Ok(life)
}

/// A life of the hub as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct LifeRow {
    /// Its number.
    pub(crate) ordinal: u64,
    /// When it began.
    #[serde(serialize_with = "super::rfc3339")]
    pub(crate) began_at: TimeMs,
    /// Why.
    pub(crate) reason: String,
}

/// The current life, in words.
pub(super) fn newest(conn: &Connection) -> Result<LifeRow, StoreError> {
    let mut query = conn.prepare_cached(NEWEST)?;
    let row = query.query_row([], |row| {
        Ok(LifeRow {
            ordinal: row.get::<_, i64>(0)?.cast_unsigned(),
            began_at: TimeMs(row.get(1)?),
            reason: row.get(2)?,
        })
    })?;
    Ok(row)
}

/// Begins a life of this ordinal: nobody was heard from in it or has returned its legs to it, and every shop says so in
/// the feed.
pub(super) fn begin(
    txn: &mut Txn<'_>,
    ordinal: u64,
    (by, reason): (&By, &str),
) -> Result<HubLife, StoreError> {
    let random = txn.random()?;
    let life = HubLife { ordinal, random };
    txn.conn.prepare_cached(BEGIN)?.execute(params![
        ordinal.cast_signed(),
        random,
        txn.now.0,
        reason
    ])?;
    audit::add(txn, by, (What::Life, None), &json!({ "reason": reason }))?;
    txn.conn.prepare_cached(FORGET_HEARD)?.execute([])?;
    holds::forget_returns(txn.conn)?;
    txn.set_life(life);
    for mut shop in shops::all(txn.conn)? {
        shop.pos = txn.next_pos();
        shops::set_pos(txn, shop.index, shop.pos)?;
        let source_every_ms = shop.settings.source_every_ms;
        txn.change(Change::Heard {
            shop: shop.index,
            heard: Heard {
                source_every_ms,
                ..Heard::default()
            },
            status: ShopHealth::default(),
        });
        txn.change(Change::Shop(shop));
    }
    // A life without a position would share its cursors' places with the one before.
    txn.next_pos();
    if ordinal > 1 {
        tracing::warn!(
            life.ordinal = ordinal,
            reason,
            "a new life of the hub begins"
        );
    }
    Ok(life)
}

/// A small value that is no table of its own.
pub(super) fn meta(conn: &Connection, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(conn
        .prepare_cached(META)?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// Sets it.
pub(super) fn set_meta(conn: &Connection, name: &str, value: &[u8]) -> Result<(), StoreError> {
    conn.prepare_cached(SET_META)?
        .execute(params![name, value])?;
    Ok(())
}
