//! Transfers as rows: which movements belong to one, and what `shared::transfer` makes of them, in the transaction that merges
//! or voids one of them.

mod after;
mod check;
mod scan;
mod tell;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::transfer::{self, Part, Transfer, Way};
use vitrina_shared::{Movement, ShopId, TimeMs, TransferId};

use super::sqlite::Txn;
use super::{Store, StoreError, history, log, shops, totals};
use crate::change::{Change, ShopRow};
use crate::merge::Incoming;

pub(crate) use tell::{TransferEntry, TransferFilter, TransferRow, TransferState};

pub(super) use after::after;
pub(super) use check::{repair_transfers, wrong_transfers};

const ADD: &str = "INSERT INTO transfer (id, state, open, since, opened, pos) VALUES (?1, 6, 0, 0, ?2, ?2) ON CONFLICT (id) DO NOTHING";
const ADD_MOVEMENT: &str =
    "INSERT OR IGNORE INTO transfer_movement (transfer, replica, seq) VALUES (?1, ?2, ?3)";
const MOVEMENTS: &str = "SELECT s.name, m.counts, m.body, t.replica, t.seq, s.id FROM transfer_movement AS t \
    JOIN movement AS m ON m.replica = t.replica AND m.seq = t.seq JOIN replica AS r ON r.id = t.replica \
    JOIN shop AS s ON s.id = r.shop WHERE t.transfer = ?1 ORDER BY t.replica, t.seq";
const OPENED: &str = "SELECT opened FROM transfer WHERE id = ?1";
const WRITE: &str = "UPDATE transfer SET document = ?2, sender = ?3, state = ?4, open = ?5, since = ?6, pos = ?7 WHERE id = ?1";
const ADD_PLACE: &str = "INSERT OR IGNORE INTO transfer_place (shop, transfer, opened, pos) SELECT id, ?2, ?3, ?3 FROM shop WHERE name = ?1";
const ADD_STRANGER: &str = "INSERT OR IGNORE INTO transfer_stranger (shop, transfer) \
    SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM shop WHERE name = ?1)";
const OF_STRANGER: &str = "SELECT transfer FROM transfer_stranger WHERE shop = ?1";
const FORGET_STRANGER: &str = "DELETE FROM transfer_stranger WHERE shop = ?1";
const MOVE_PLACES: &str = "UPDATE transfer_place SET pos = ?2 WHERE transfer = ?1";
const PLACES: &str =
    "SELECT s.name FROM transfer_place AS p JOIN shop AS s ON s.id = p.shop WHERE p.transfer = ?1";
const TRANSIT_OF: &str = "SELECT shop, barcode, units FROM transit WHERE transfer = ?1";
const DROP_TRANSIT: &str = "DELETE FROM transit WHERE shop = ?1 AND barcode = ?2 AND transfer = ?3";
const SET_TRANSIT: &str = "INSERT INTO transit (shop, barcode, transfer, units) VALUES (?1, ?2, ?3, ?4) \
    ON CONFLICT (shop, barcode, transfer) DO UPDATE SET units = excluded.units";
const UNITS: &str = "SELECT coalesce(sum(units), 0) FROM transit WHERE shop = ?1 AND barcode = ?2";
const UNITS_OF_SHOP: &str =
    "SELECT barcode, sum(units) FROM transit WHERE shop = ?1 GROUP BY barcode";
const UNITS_EVERYWHERE: &str =
    "SELECT shop, barcode, sum(units) FROM transit GROUP BY shop, barcode";

/// Units on their way, by shop and barcode.
type Transit = BTreeMap<(u32, i64), i64>;

/// A transfer as its movements have it.
struct Stored {
    document: Option<Box<str>>,
    sender: Option<Box<str>>,
    since: TimeMs,
    transfer: Transfer,
    parts: Vec<Part>,
    /// The movements: shop, log and place in it, in the order of this file.
    places: Vec<(u32, i64, u64)>,
}

/// Units of a barcode on their way to a shop.
pub(super) fn units(conn: &Connection, shop: u32, barcode: i64) -> Result<i64, StoreError> {
    let mut statement = conn.prepare_cached(UNITS)?;
    Ok(statement.query_row(params![shop, barcode], |row| row.get(0))?)
}

/// Units on their way to a shop, by barcode.
pub(super) fn units_of_shop(conn: &Connection, shop: u32) -> Result<HashMap<i64, i64>, StoreError> {
    let mut statement = conn.prepare_cached(UNITS_OF_SHOP)?;
    let rows = statement.query_map([shop], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Units on their way, by shop and barcode.
pub(super) fn units_everywhere(conn: &Connection) -> Result<HashMap<(u32, i64), i64>, StoreError> {
    let mut statement = conn.prepare_cached(UNITS_EVERYWHERE)?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Reads what the movements that were merged mean for transfers.
pub(super) fn receive(
    txn: &mut Txn<'_>,
    shop: &ShopRow,
    merged: &[Incoming],
) -> Result<(), StoreError> {
    let mut changed = BTreeSet::new();
    for delta in merged {
        let movements = delta.entries.iter().map(|entry| &entry.movement);
        for (movement, seq) in movements.zip(delta.base.seq.0 + 1..) {
            if let Some(name) = transfer::name(&shop.shop, movement) {
                let log = log::find(txn.conn, delta.replica)?
                    .ok_or(StoreError::Damaged("a replica is gone"))?;
                add(txn, name.id, (log.id, seq))?;
                changed.insert(name.id);
            }
        }
    }
    changed.into_iter().try_for_each(|id| look(txn, id))
}

/// A movement counts now, or not any more.
pub(super) fn hear_flip(
    txn: &mut Txn<'_>,
    shop: u32,
    movement: &Movement,
) -> Result<(), StoreError> {
    if !matches!(
        movement.kind,
        vitrina_shared::Kind::TransferOut | vitrina_shared::Kind::TransferIn
    ) {
        return Ok(());
    }
    let shop = shops::name(txn.conn, shop)?;
    match transfer::name(&shop, movement) {
        Some(name) => look(txn, name.id),
        None => Ok(()),
    }
}

/// A shop is known from now on: what was sent to it is on its way.
pub(super) fn hear_shop(txn: &mut Txn<'_>, shop: &ShopId) -> Result<(), StoreError> {
    let waiting: Vec<TransferId> = txn
        .conn
        .prepare_cached(OF_STRANGER)?
        .query_map([shop.as_str()], |row| row.get(0).map(TransferId))?
        .collect::<Result<_, _>>()?;
    txn.conn
        .prepare_cached(FORGET_STRANGER)?
        .execute([shop.as_str()])?;
    waiting.into_iter().try_for_each(|id| look(txn, id))
}

/// A movement belongs to a transfer.
fn add(txn: &Txn<'_>, id: TransferId, (log, seq): (i64, u64)) -> Result<(), StoreError> {
    let pos = txn.next_pos().cast_signed();
    txn.conn.prepare_cached(ADD)?.execute(params![id.0, pos])?;
    txn.conn
        .prepare_cached(ADD_MOVEMENT)?
        .execute(params![id.0, log, seq.cast_signed()])?;
    Ok(())
}

/// What the movements of a transfer say; none where there are none.
fn read(conn: &Connection, id: TransferId) -> Result<Option<Stored>, StoreError> {
    let mut statement = conn.prepare_cached(MOVEMENTS)?;
    let mut rows = statement.query([id.0])?;
    let (mut parts, mut places) = (Vec::new(), Vec::new());
    let (mut names, mut first): (BTreeMap<Way, transfer::Name>, Option<TimeMs>) =
        Default::default();
    while let Some(row) = rows.next()? {
        let shop: ShopId = row
            .get::<_, String>(0)?
            .parse()
            .map_err(|_| StoreError::Damaged("a shop has a name that is none"))?;
        let body = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        let movement = log::read_body(body)?;
        places.push((
            row.get(5)?,
            row.get(3)?,
            row.get::<_, i64>(4)?.cast_unsigned(),
        ));
        first = Some(first.map_or(movement.at, |at| at.min(movement.at)));
        let part = Part::of(&shop, &movement, row.get(1)?);
        if let (Some(part), Some(name)) = (part, transfer::name(&shop, &movement)) {
            names.entry(part.way).or_insert(name);
            parts.push(part);
        }
    }
    let Some(first) = first else {
        return Ok(None);
    };
    let transfer = Transfer::of(&parts);
    // The sender's own word for it first.
    let named = names.into_values().next();
    let (document, sender) = named.map_or((None, None), |name| (name.document, name.from));
    Ok(Some(Stored {
        document,
        sender,
        since: transfer.sent_at.or(transfer.received_at).unwrap_or(first),
        transfer,
        parts,
        places,
    }))
}

/// Works a transfer out anew, and tells readers what of it changed.
fn look(txn: &mut Txn<'_>, id: TransferId) -> Result<(), StoreError> {
    let opened: Option<i64> = txn
        .conn
        .prepare_cached(OPENED)?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    let (Some(opened), Some(stored)) = (opened, read(txn.conn, id)?) else {
        // A void that came before what it names.
        return Ok(());
    };
    let pos = txn.next_pos().cast_signed();
    txn.conn.prepare_cached(WRITE)?.execute(params![
        id.0,
        stored.document,
        stored.sender,
        stored.transfer.state.number(),
        stored.transfer.state.is_open(),
        stored.since.0,
        pos
    ])?;
    let transfer = &stored.transfer;
    let named = transfer.to.iter().chain(&transfer.received_by);
    let named = named.map(ShopId::as_str).chain(stored.sender.as_deref());
    for shop in named {
        let mut statement = txn.conn.prepare_cached(ADD_PLACE)?;
        statement.execute(params![shop, id.0, opened])?;
        let mut statement = txn.conn.prepare_cached(ADD_STRANGER)?;
        statement.execute(params![shop, id.0])?;
    }
    txn.conn
        .prepare_cached(MOVE_PLACES)?
        .execute(params![id.0, pos])?;
    for (shop, barcode) in write_transit(txn, id, &stored)? {
        totals::publish(txn, shop, barcode)?;
    }
    for shop in places(txn.conn, id)? {
        txn.change(Change::Transfer { shop });
    }
    Ok(())
}

/// The shops that a transfer concerns.
fn places(conn: &Connection, id: TransferId) -> Result<Vec<ShopId>, StoreError> {
    let mut statement = conn.prepare_cached(PLACES)?;
    let mut rows = statement.query([id.0])?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let damaged = |_| StoreError::Damaged("a shop has a name that is none");
        list.push(name.parse().map_err(damaged)?);
    }
    Ok(list)
}

/// What the rows say is on its way.
fn transit(conn: &Connection, id: TransferId) -> Result<Transit, StoreError> {
    let mut statement = conn.prepare_cached(TRANSIT_OF)?;
    let rows = statement.query_map([id.0], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What is on its way by the movements. A shop that this hub does not know waits for nothing.
fn awaited(conn: &Connection, stored: &Stored) -> Result<Transit, StoreError> {
    let mut transit = Transit::new();
    for ((shop, barcode), units) in &stored.transfer.incoming {
        let barcode = super::sqlite::find_barcode(conn, barcode.as_str())?;
        if let (Some(shop), Some(barcode)) = (shops::find(conn, shop)?, barcode) {
            transit.insert((shop.index, barcode), *units);
        }
    }
    Ok(transit)
}

/// Writes what is on its way; the levels of which that is another number now.
fn write_transit(
    txn: &Txn<'_>,
    id: TransferId,
    stored: &Stored,
) -> Result<Vec<(u32, i64)>, StoreError> {
    let (before, after) = (transit(txn.conn, id)?, awaited(txn.conn, stored)?);
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
    let changed: Vec<_> = keys
        .into_iter()
        .filter(|key| before.get(key) != after.get(key))
        .collect();
    for (shop, barcode) in &changed {
        match after.get(&(*shop, *barcode)) {
            Some(units) => txn
                .conn
                .prepare_cached(SET_TRANSIT)?
                .execute(params![shop, barcode, id.0, units])?,
            None => txn
                .conn
                .prepare_cached(DROP_TRANSIT)?
                .execute(params![shop, barcode, id.0])?,
        };
    }
    Ok(changed)
}

impl Store {
    /// Transfers, those that are only asked for too, the latest heard of first.
    pub(crate) async fn transfers(
        &self,
        filter: TransferFilter,
    ) -> Result<tell::TransferPage, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| tell::list(conn, &filter)).await,
        }
    }

    /// One transfer, with its movements; one that is only asked for by the name of its hold.
    pub(crate) async fn transfer(
        &self,
        id: TransferId,
    ) -> Result<Option<(TransferEntry, Vec<history::MovementRow>)>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| tell::one(conn, id)).await,
        }
    }

    /// The transfers of which other things came than were sent, and those that are under way since before `stuck`.
    pub(crate) async fn transfers_to_look_at(
        &self,
        stuck: TimeMs,
    ) -> Result<Vec<TransferRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| tell::to_look_at(conn, stuck)).await,
        }
    }

    /// The transfers under way to shops that this hub does not know, with their names.
    pub(crate) async fn transfers_to_strangers(
        &self,
    ) -> Result<Vec<(TransferRow, Vec<String>)>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(tell::to_strangers).await,
        }
    }

    /// Looks through some of what was merged before there were transfers, after everything urgent; whether there is more.
    pub(crate) async fn scan_transfers(&self) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => {
                if !store.read(scan::is_due).await? {
                    return Ok(false);
                }
                store.write_background(scan::step).await
            }
        }
    }
}
