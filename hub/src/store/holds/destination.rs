//! Where the pieces of holds are to go: an order's to the shop that hands it over, or one that head office moves.

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::hold::{self, HubState, NotOpen, ShopSide};
use vitrina_shared::wire::v1::{MAX_TRANSFERS, ShipV1};
use vitrina_shared::{HoldId, ShopId};

use super::hand::Hand;
use super::row::{self, Stored};
use super::settle::known;
use super::tell::{self, HoldRow};
use super::told;
use crate::audit::{By, What};
use crate::change::Change;
use crate::store::sqlite::Txn;
use crate::store::{StoreError, shops};

const SET: &str = "INSERT INTO hold_destination (hold, shop, is_stock, pos) VALUES (?1, ?2, ?3, ?4) \
    ON CONFLICT (hold) DO UPDATE SET shop = excluded.shop, pos = excluded.pos WHERE shop <> excluded.shop";
const GET: &str = "SELECT s.name, d.is_stock FROM hold_destination AS d JOIN shop AS s ON s.id = d.shop WHERE d.hold = ?1";
// Of a shop the legs that are open: few.
const SHIP: &str = "SELECT l.id, s.name, max(l.pos, d.pos) AS place FROM leg AS l JOIN hold_destination AS d ON d.hold = l.hold \
    JOIN shop AS s ON s.id = d.shop WHERE l.shop = ?1 AND l.held > 0 AND l.hub = 0 AND l.side IN (0, 2) AND d.shop <> ?1 \
    AND max(l.pos, d.pos) > ?2 ORDER BY place LIMIT ?3";

/// Where a hold's piece is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The shop.
    pub(crate) to: ShopId,
    /// It is nobody's order: there it is stock as any other.
    pub(crate) is_stock: bool,
}

/// What became of a wish to send a hold's piece somewhere.
#[derive(Clone, Debug)]
pub(crate) enum Sending {
    /// The shop that keeps it is told; so the hold stands now.
    Asked(HoldRow),
    /// The piece is under way, or the hold is over.
    NotOpen(NotOpen),
    /// There is no such shop.
    UnknownShop,
    /// There is no such hold.
    Unknown,
}

/// Where a hold's piece is to go, where somebody said so.
pub(super) fn of_hold(conn: &Connection, hold: HoldId) -> Result<Option<Destination>, StoreError> {
    let found: Option<(String, bool)> = conn
        .prepare_cached(GET)?
        .query_row([hold.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let read = |(name, is_stock): (String, bool)| {
        let to = name
            .parse()
            .map_err(|_| StoreError::Damaged("a shop has a name that is none"))?;
        Ok(Destination { to, is_stock })
    };
    found.map(read).transpose()
}

/// Says where a hold's piece is to go; whether that is news.
pub(super) fn set(
    txn: &Txn<'_>,
    hold: HoldId,
    (shop, is_stock): (u32, bool),
) -> Result<bool, StoreError> {
    let pos = txn.next_pos().cast_signed();
    let mut statement = txn.conn.prepare_cached(SET)?;
    let written = statement.execute(params![hold.0, shop, is_stock, pos])?;
    Ok(written > 0)
}

/// The shop that keeps a hold's piece is told to send it; again is once, and another shop takes the place of the first.
pub(super) fn send(
    txn: &mut Txn<'_>,
    by: Option<&By>,
    (id, to): (HoldId, &ShopId),
) -> Result<Sending, StoreError> {
    let legs = row::of_hold(txn.conn, id)?;
    if legs.is_empty() {
        return Ok(Sending::Unknown);
    }
    let Some(place) = shops::find(txn.conn, to)?.filter(|row| !row.settings.closed) else {
        return Ok(Sending::UnknownShop);
    };
    let all = known(&legs);
    let keeps = |stored: &&Stored| {
        let side = stored.leg.shop;
        let is_here = matches!(side, ShopSide::None | ShopSide::Confirmed { .. });
        hold::is_open(&stored.leg, &all) && is_here
    };
    let Some(keeper) = legs.iter().find(keeps) else {
        return Ok(Sending::NotOpen(NotOpen::Closed(hold::word(&all))));
    };
    let is_news = set(txn, id, (place.index, false))?;
    txn.change(Change::Leg {
        hold: id,
        shop: keeper.leg.terms.shop.clone(),
    });
    let Some(row) = tell::one(txn.conn, id)? else {
        return Ok(Sending::Unknown);
    };
    told::add(txn, by.filter(|_| is_news), What::HoldTransfer, &row)?;
    Ok(Sending::Asked(row))
}

/// Lets go of a piece that head office moved and that has come: it is stock. Whether something was written.
pub(super) fn let_go_what_came(
    hand: &mut Hand<'_, '_>,
    to: Option<&Destination>,
    legs: &[Stored],
) -> Result<bool, StoreError> {
    let is_there = |stored: &&Stored| {
        let shop = &stored.leg.terms.shop;
        stored.leg.is_requested() && stored.arrival.is_some() && to.is_some_and(|to| to.to == *shop)
    };
    let Some(came) = legs.iter().find(is_there) else {
        return Ok(false);
    };
    hand.write_hub(came.leg.id, HubState::Released)?;
    Ok(true)
}

/// Which pieces that a shop keeps are to go where, of those about which something changed after a place; with the place of
/// the last, and whether there are more.
pub(in crate::store) fn to_ship(
    conn: &Connection,
    shop: u32,
    place: u64,
) -> Result<(Vec<ShipV1>, u64, bool), StoreError> {
    let most = i64::try_from(MAX_TRANSFERS + 1).unwrap_or(i64::MAX);
    let mut found: Vec<(ShipV1, u64)> = conn
        .prepare_cached(SHIP)?
        .query_map(params![shop, place.cast_signed(), most], |row| {
            let ship = ShipV1 {
                leg: row.get(0)?,
                to: row.get(1)?,
            };
            Ok((ship, row.get::<_, i64>(2)?.cast_unsigned()))
        })?
        .collect::<Result<_, _>>()?;
    let is_more = found.len() > MAX_TRANSFERS;
    found.truncate(MAX_TRANSFERS);
    let last = found.last().map_or(place, |(_, pos)| *pos);
    Ok((
        found.into_iter().map(|(ship, _)| ship).collect(),
        last,
        is_more,
    ))
}
