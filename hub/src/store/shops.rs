//! Shops, their devices and their one-time codes.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json as object;
use vitrina_host::sign;
use vitrina_shared::ShopId;
use vitrina_shared::registers::{OtherShop, Settings, kind};

use super::sqlite::Txn;
use super::{StoreError, audit, registers, totals, transfers};
use crate::audit::{By, What};
use crate::change::{Change, ShopRow};

const ALL: &str = "SELECT id, name, settings, address, lat, lon, external_id, publish, revoked, \
    EXISTS (SELECT 1 FROM device WHERE device.shop = shop.id), pos FROM shop ORDER BY name";
const FIND: &str = "SELECT id, name, settings, address, lat, lon, external_id, publish, revoked, \
    EXISTS (SELECT 1 FROM device WHERE device.shop = shop.id), pos FROM shop WHERE name = ?1";
const OF_INDEX: &str = "SELECT id, name, settings, address, lat, lon, external_id, publish, revoked, \
    EXISTS (SELECT 1 FROM device WHERE device.shop = shop.id), pos FROM shop WHERE id = ?1";
const NAME: &str = "SELECT name FROM shop WHERE id = ?1";
const ADD: &str = "INSERT INTO shop (name, settings, address, lat, lon, external_id, publish, added_at, pos) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (name) DO NOTHING RETURNING id";
const SET: &str = "UPDATE shop SET settings = ?2, address = ?3, lat = ?4, lon = ?5, external_id = ?6, publish = ?7, \
    pos = ?8 WHERE id = ?1";
const SET_POS: &str = "UPDATE shop SET pos = ?2 WHERE id = ?1";
const FLAGS: &str = "SELECT indexed, corrected FROM shop WHERE id = ?1";
const SET_INDEXED: &str = "UPDATE shop SET indexed = ?2 WHERE id = ?1 AND indexed <> ?2";
const SET_CORRECTED: &str = "UPDATE shop SET corrected = 1 WHERE id = ?1 AND corrected = 0";
const BEING_INDEXED: &str = "SELECT id FROM shop WHERE indexed = 1";
const REVOKED_AT: &str = "SELECT revoked_at FROM shop WHERE id = ?1";
const REVOKE: &str = "UPDATE shop SET revoked = 1, revoked_at = ?2 WHERE id = ?1";
const ENROLLED: &str = "UPDATE shop SET revoked = 0 WHERE id = ?1";
const FORGET_CODES: &str = "DELETE FROM code WHERE shop = ?1";
const ADD_CODE: &str = "INSERT INTO code (hash, shop, expires_at) VALUES (?1, ?2, ?3)";
const FIND_CODE: &str = "SELECT shop.name, code.expires_at FROM code JOIN shop ON shop.id = code.shop WHERE code.hash = ?1";
const USE_CODE: &str = "DELETE FROM code WHERE hash = ?1";
const ADD_DEVICE: &str = "INSERT INTO device (key, shop, issued_at) VALUES (?1, ?2, ?3) \
    ON CONFLICT (key) DO UPDATE SET shop = excluded.shop, issued_at = max(issued_at, excluded.issued_at) \
    WHERE excluded.issued_at > issued_at";

/// The index of ids is being built.
pub(super) const INDEXING: u8 = 1;
/// The index of ids is complete.
pub(super) const INDEXED: u8 = 2;

/// What the merge needs to know of a shop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    pub(super) indexed: u8,
    pub(super) corrected: bool,
}

/// What becomes of a one-time code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CodeUse {
    /// It opened its shop, and is gone.
    Opened(Box<ShopId>),
    /// No such code, or it was used.
    Unknown,
    /// It came too late.
    Expired,
    /// It is another shop's than the one whose ledger the device holds; it stays good.
    OtherShop(Box<ShopId>),
}

fn shop(row: &Row<'_>) -> Result<ShopRow, StoreError> {
    let name: String = row.get(1)?;
    let settings: String = row.get(2)?;
    Ok(ShopRow {
        index: row.get(0)?,
        shop: name
            .parse()
            .map_err(|_| StoreError::Damaged("a shop has a name that is none"))?,
        settings: serde_json::from_str(&settings)
            .map_err(|_| StoreError::Damaged("a shop's settings cannot be read"))?,
        address: row.get(3)?,
        lat: row.get(4)?,
        lon: row.get(5)?,
        external_id: row.get(6)?,
        publish: row.get(7)?,
        revoked: row.get(8)?,
        enrolled: row.get(9)?,
        pos: row.get::<_, i64>(10)?.cast_unsigned(),
    })
}

/// Every shop, by name.
pub(super) fn all(conn: &Connection) -> Result<Vec<ShopRow>, StoreError> {
    let mut statement = conn.prepare_cached(ALL)?;
    let mut rows = statement.query([])?;
    let mut shops = Vec::new();
    while let Some(row) = rows.next()? {
        shops.push(shop(row)?);
    }
    Ok(shops)
}

/// One shop.
pub(super) fn find(conn: &Connection, name: &ShopId) -> Result<Option<ShopRow>, StoreError> {
    let mut statement = conn.prepare_cached(FIND)?;
    let mut rows = statement.query([name.as_str()])?;
    rows.next()?.map(shop).transpose()
}

/// The shop of a number.
pub(super) fn of_index(conn: &Connection, index: u32) -> Result<ShopRow, StoreError> {
    let mut statement = conn.prepare_cached(OF_INDEX)?;
    let mut rows = statement.query([index])?;
    match rows.next()? {
        Some(row) => shop(row),
        None => Err(StoreError::Damaged("a shop is gone")),
    }
}

/// The name of the shop of a number.
pub(super) fn name(conn: &Connection, index: u32) -> Result<ShopId, StoreError> {
    let name: String = conn
        .prepare_cached(NAME)?
        .query_row([index], |row| row.get(0))?;
    name.parse()
        .map_err(|_| StoreError::Damaged("a shop has a name that is none"))
}

/// Adds a shop; `None` where there is one of that name.
pub(super) fn add(txn: &mut Txn<'_>, mut shop: ShopRow) -> Result<Option<ShopRow>, StoreError> {
    shop.pos = txn.next_pos();
    let index = txn
        .conn
        .prepare_cached(ADD)?
        .query_row(
            params![
                shop.shop.as_str(),
                json(&shop.settings)?,
                shop.address,
                shop.lat,
                shop.lon,
                shop.external_id,
                shop.publish,
                txn.now.0,
                shop.pos.cast_signed()
            ],
            |row| row.get(0),
        )
        .optional()?;
    let Some(index) = index else { return Ok(None) };
    shop.index = index;
    tell(txn, &shop)?;
    transfers::hear_shop(txn, &shop.shop)?;
    Ok(Some(shop))
}

/// Writes what head office set.
pub(super) fn set(txn: &mut Txn<'_>, mut shop: ShopRow) -> Result<ShopRow, StoreError> {
    let was_published = find(txn.conn, &shop.shop)?.is_some_and(|before| before.is_published());
    shop.pos = txn.next_pos();
    txn.conn.prepare_cached(SET)?.execute(params![
        shop.index,
        json(&shop.settings)?,
        shop.address,
        shop.lat,
        shop.lon,
        shop.external_id,
        shop.publish,
        shop.pos.cast_signed()
    ])?;
    tell(txn, &shop)?;
    if shop.is_published() && !was_published {
        // The feed's readers saw nothing of what changed meanwhile.
        for level in totals::touch_shop(txn, shop.index)? {
            txn.change(Change::Level(level));
        }
    }
    Ok(shop)
}

/// The shop's registers, for itself and for the others, and the feed's item.
fn tell(txn: &mut Txn<'_>, shop: &ShopRow) -> Result<(), StoreError> {
    let settings = &shop.settings;
    registers::put(txn, kind::SETTINGS, shop.shop.as_str(), &json(settings)?)?;
    let other = OtherShop {
        name: settings.name.clone(),
        city: settings.city.clone(),
        lat: shop.lat,
        lon: shop.lon,
        closed: settings.closed,
    };
    registers::put(txn, kind::SHOP, shop.shop.as_str(), &json(&other)?)?;
    txn.change(Change::Shop(shop.clone()));
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|_| StoreError::Damaged("a value cannot be written as JSON"))
}

/// A new place in the feed.
pub(super) fn set_pos(txn: &Txn<'_>, index: u32, pos: u64) -> Result<(), StoreError> {
    txn.conn
        .prepare_cached(SET_POS)?
        .execute(params![index, pos.cast_signed()])?;
    Ok(())
}

/// New places in the feed; nothing else changes.
pub(super) fn bump(txn: &mut Txn<'_>, indexes: &[u32]) -> Result<(), StoreError> {
    for mut shop in all(txn.conn)?
        .into_iter()
        .filter(|shop| indexes.contains(&shop.index))
    {
        shop.pos = txn.next_pos();
        set_pos(txn, shop.index, shop.pos)?;
        txn.change(Change::Shop(shop));
    }
    Ok(())
}

pub(super) fn flags(conn: &Connection, index: u32) -> Result<Flags, StoreError> {
    Ok(conn.prepare_cached(FLAGS)?.query_row([index], |row| {
        Ok(Flags {
            indexed: row.get(0)?,
            corrected: row.get(1)?,
        })
    })?)
}

pub(super) fn set_indexed(conn: &Connection, index: u32, state: u8) -> Result<(), StoreError> {
    conn.prepare_cached(SET_INDEXED)?
        .execute(params![index, state])?;
    Ok(())
}

pub(super) fn set_corrected(conn: &Connection, index: u32) -> Result<(), StoreError> {
    conn.prepare_cached(SET_CORRECTED)?.execute([index])?;
    Ok(())
}

/// Shops whose index of ids is being built.
pub(super) fn being_indexed(conn: &Connection) -> Result<Vec<u32>, StoreError> {
    let mut statement = conn.prepare_cached(BEING_INDEXED)?;
    Ok(statement
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

/// Whether a certificate given at `issued_at` was taken back.
pub(super) fn is_revoked(
    conn: &Connection,
    index: u32,
    issued_at: i64,
) -> Result<bool, StoreError> {
    let revoked_at: Option<i64> = conn
        .prepare_cached(REVOKED_AT)?
        .query_row([index], |row| row.get(0))?;
    Ok(revoked_at.is_some_and(|at| issued_at <= at))
}

/// Ends every credential of a shop, unused codes too.
pub(super) fn revoke(txn: &mut Txn<'_>, mut shop: ShopRow) -> Result<ShopRow, StoreError> {
    txn.conn
        .prepare_cached(REVOKE)?
        .execute(params![shop.index, txn.now.0])?;
    txn.conn
        .prepare_cached(FORGET_CODES)?
        .execute([shop.index])?;
    shop.revoked = true;
    set(txn, shop)
}

/// A new code; those before it open nothing any more.
pub(super) fn set_code(
    txn: &Txn<'_>,
    index: u32,
    hash: &[u8; 32],
    expires_at: i64,
) -> Result<(), StoreError> {
    txn.conn.prepare_cached(FORGET_CODES)?.execute([index])?;
    txn.conn
        .prepare_cached(ADD_CODE)?
        .execute(params![hash, index, expires_at])?;
    Ok(())
}

/// Uses a code for a device whose ledger, if it has one, is `held`'s. The certificate's time comes back with it: later
/// than any revocation.
pub(super) fn use_code(
    txn: &mut Txn<'_>,
    hash: &[u8; 32],
    device: &[u8; 32],
    held: Option<&ShopId>,
) -> Result<(CodeUse, i64), StoreError> {
    let found = txn
        .conn
        .prepare_cached(FIND_CODE)?
        .query_row([hash], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    let Some((name, expires_at)) = found else {
        return Ok((CodeUse::Unknown, 0));
    };
    let name: ShopId = name
        .parse()
        .map_err(|_| StoreError::Damaged("a shop has a name that is none"))?;
    if held.is_some_and(|held| *held != name) {
        return Ok((CodeUse::OtherShop(Box::new(name)), 0));
    }
    txn.conn.prepare_cached(USE_CODE)?.execute([hash])?;
    if expires_at <= txn.now.0 {
        return Ok((CodeUse::Expired, 0));
    }
    let mut shop = find(txn.conn, &name)?.ok_or(StoreError::Damaged("a code's shop is gone"))?;
    let revoked_at: Option<i64> = txn
        .conn
        .prepare_cached(REVOKED_AT)?
        .query_row([shop.index], |row| row.get(0))?;
    let issued_at = revoked_at.map_or(txn.now.0, |at| txn.now.0.max(at.saturating_add(1)));
    txn.conn.prepare_cached(ENROLLED)?.execute([shop.index])?;
    add_device(txn.conn, device, shop.index, issued_at)?;
    let device = object!({ "device": sign::hex(&sign::sha256(device)[..8]) });
    let by = By::Shop(name.clone());
    audit::add(txn, &by, (What::Enrol, Some(shop.index)), &device)?;
    (shop.revoked, shop.enrolled) = (false, true);
    set(txn, shop)?;
    Ok((CodeUse::Opened(Box::new(name)), issued_at))
}

/// Remembers a device with an authentic certificate: also one that was enrolled after the copy this database is.
pub(super) fn add_device(
    conn: &Connection,
    device: &[u8; 32],
    index: u32,
    issued_at: i64,
) -> Result<(), StoreError> {
    conn.prepare_cached(ADD_DEVICE)?
        .execute(params![device, index, issued_at])?;
    Ok(())
}

/// The shop of an authentic certificate that this database does not know, because it is an older copy: added off the
/// website, without settings that would travel to it.
pub(super) fn add_forgotten(
    txn: &mut Txn<'_>,
    name: &ShopId,
    (device, issued_at): (&[u8; 32], i64),
) -> Result<ShopRow, StoreError> {
    let pos = txn.next_pos();
    let settings = Settings {
        name: name.to_string(),
        ..Settings::default()
    };
    let index: u32 = txn.conn.prepare_cached(ADD)?.query_row(
        params![
            name.as_str(),
            json(&settings)?,
            None::<String>,
            None::<f64>,
            None::<f64>,
            None::<String>,
            false,
            txn.now.0,
            pos.cast_signed()
        ],
        |row| row.get(0),
    )?;
    // Before it is told of: who has no device is not missed when it is silent.
    add_device(txn.conn, device, index, issued_at)?;
    tracing::warn!(shop.id = %name, "a shop that this database does not know was heard from; it is off the website until it is set");
    let shop = find(txn.conn, name)?.ok_or(StoreError::Damaged("a shop is gone"))?;
    debug_assert_eq!(shop.index, index);
    let by = By::Shop(name.clone());
    audit::add(txn, &by, (What::ShopFound, Some(index)), &object!({}))?;
    txn.change(Change::Shop(shop.clone()));
    transfers::hear_shop(txn, name)?;
    Ok(shop)
}
