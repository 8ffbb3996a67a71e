//! A leg as a row: read, written, and what the rows of a barcode hold.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, params};
use vitrina_shared::hold::{
    self, DeclineReason, Facts, HubSide, HubState, Leg, Merged, Purpose, ShopSide, Terms,
};
use vitrina_shared::{Barcode, HoldId, LegId, MovementId, Qty, ShopId, TimeMs};

use crate::store::StoreError;

/// A statement over the columns that [`read`] reads, in their order.
macro_rules! legs {
    ($rest:literal) => {
        concat!(
            "SELECT l.id, l.hold, s.name, b.text, o.text, l.qty, l.number, l.caller, l.purpose, l.created_at, \
             l.allow_variant, l.comes_from, l.hub, l.expires_at, l.side, l.side_at, l.reason, l.movement, l.opened, \
             l.pos, l.merged, l.arrival, l.held, l.unchecked, l.shop, l.barcode, l.rejected, l.answer_by FROM leg AS l \
             JOIN shop AS s ON s.id = l.shop JOIN barcode AS b ON b.id = l.barcode \
             LEFT JOIN barcode AS o ON o.id = l.ordered WHERE ",
            $rest
        )
    };
}

const FIND: &str = legs!("l.id = ?1");
const OF_HOLD: &str = legs!("l.hold = ?1 ORDER BY l.opened");
const OF_SHOP_AFTER: &str = legs!("l.shop = ?1 AND l.pos > ?2 ORDER BY l.pos LIMIT ?3");
const HELD_OF_SHOP: &str = legs!("l.shop = ?1 AND l.held > 0");
const WAITING: &str = legs!("l.shop = ?1 AND l.comes_from IS NOT NULL AND l.arrival IS NULL");
const UNCHECKED: &str = legs!("l.shop = ?1 AND l.unchecked IS NOT NULL ORDER BY l.unchecked");
const HELD_OF_BARCODE: &str = legs!("l.shop = ?1 AND l.barcode = ?2 AND l.held > 0");
const OF_MOVEMENT: &str = legs!("l.movement = ?1");
const OF_ARRIVAL: &str = legs!("l.arrival = ?1");
const WRITE: &str = "INSERT INTO leg (id, hold, shop, barcode, ordered, qty, number, caller, purpose, created_at, \
    allow_variant, comes_from, hub, expires_at, side, side_at, reason, movement, opened, pos, merged, arrival, held, \
    unchecked, rejected, answer_by, next_at) VALUES (?1, ?2, ?3, ?4, (SELECT id FROM barcode WHERE text = ?5), ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
    ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, iif(?12 IS NULL, ?26, NULL)) \
    ON CONFLICT (id) DO UPDATE SET hub = excluded.hub, expires_at = excluded.expires_at, side = excluded.side, \
    side_at = excluded.side_at, reason = excluded.reason, movement = excluded.movement, pos = excluded.pos, \
    merged = excluded.merged, arrival = excluded.arrival, held = excluded.held, unchecked = excluded.unchecked";
const HELD: &str =
    "SELECT coalesce(sum(held), 0) FROM leg WHERE shop = ?1 AND barcode = ?2 AND held > 0";
const HELD_BY_BARCODE: &str =
    "SELECT barcode, sum(held) FROM leg WHERE shop = ?1 AND held > 0 GROUP BY barcode";
const HELD_EVERYWHERE: &str =
    "SELECT shop, barcode, sum(held) FROM leg WHERE held > 0 GROUP BY shop, barcode";

/// A leg with what this file knows of it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) leg: Leg,
    /// Its shop's number.
    pub(super) shop: u32,
    /// Its barcode's number.
    pub(super) barcode: i64,
    /// What the movements say.
    pub(super) merged: Merged,
    /// Which of them brought its piece.
    pub(super) arrival: Option<MovementId>,
    /// The units that the row holds.
    pub(super) held: i64,
    /// The position at which it was first heard of.
    pub(super) opened: u64,
    /// The position of its last change.
    pub(super) pos: u64,
    /// The position at which a yes was merged that was not held against the stock.
    pub(super) unchecked: Option<u64>,
    /// Why other shops were not chosen: JSON.
    pub(super) rejected: Option<String>,
    /// Until when its shop should answer.
    pub(super) answer_by: Option<TimeMs>,
}

impl Stored {
    /// What the movements say about it.
    pub(super) fn facts(&self) -> Facts {
        Facts {
            movement: self.merged,
            has_arrived: self.arrival.is_some(),
        }
    }

    /// The units that it holds, worked out.
    pub(super) fn held_now(&self) -> i64 {
        hold::held(&self.leg, self.facts())
    }

    /// Whether it is a yes that still obliges.
    pub(super) fn is_promised(&self) -> bool {
        self.leg.is_requested() && matches!(self.leg.shop, ShopSide::Confirmed { .. })
    }
}

fn damaged<E>(_: E) -> StoreError {
    StoreError::Damaged("a leg cannot be read")
}

fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
    let text = |column: usize| -> Result<Option<Barcode>, StoreError> {
        let text: Option<String> = row.get(column)?;
        text.map(|text| Barcode::from_key(&text).map_err(damaged))
            .transpose()
    };
    let number = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let shop: ShopId = row.get::<_, String>(2)?.parse().map_err(damaged)?;
    let terms = Terms {
        hold: HoldId(row.get(1)?),
        shop,
        barcode: text(3)?.ok_or(StoreError::Damaged("a leg has no barcode"))?,
        ordered: text(4)?,
        qty: Qty::new(row.get(5)?).map_err(damaged)?,
        order: row.get::<_, String>(6)?.into(),
        caller: row.get::<_, String>(7)?.into(),
        purpose: Purpose::of_number(row.get(8)?),
        created_at: TimeMs(row.get(9)?),
        allow_variant: row.get(10)?,
        comes_from: row.get::<_, Option<[u8; 16]>>(11)?.map(LegId),
    };
    let state = HubState::of_number(row.get(12)?);
    Ok(Stored {
        leg: Leg {
            id: LegId(row.get(0)?),
            terms: Arc::new(terms),
            hub: HubSide {
                state: state.ok_or(StoreError::Damaged("a leg has a state that is none"))?,
                expires_at: TimeMs(row.get(13)?),
            },
            shop: side(row)?,
        },
        opened: number(18)?,
        pos: number(19)?,
        merged: match row.get::<_, u8>(20)? {
            0 => Merged::NotYet,
            1 => Merged::Counts,
            _ => Merged::Void,
        },
        arrival: row.get::<_, Option<[u8; 16]>>(21)?.map(MovementId),
        held: row.get(22)?,
        unchecked: row.get::<_, Option<i64>>(23)?.map(i64::cast_unsigned),
        shop: row.get(24)?,
        barcode: row.get(25)?,
        rejected: row.get(26)?,
        answer_by: row.get::<_, Option<i64>>(27)?.map(TimeMs),
    })
}

fn side(row: &Row<'_>) -> Result<ShopSide, StoreError> {
    let state: u8 = row.get(14)?;
    let at = TimeMs(row.get::<_, Option<i64>>(15)?.unwrap_or(0));
    let movement = row.get::<_, Option<[u8; 16]>>(17)?.map(MovementId);
    Ok(match (state, movement) {
        (0, _) => ShopSide::None,
        (1, _) => ShopSide::Declined {
            reason: DeclineReason::of_number(row.get::<_, Option<u8>>(16)?.unwrap_or(u8::MAX)),
            at,
        },
        (2, _) => ShopSide::Confirmed { at },
        (3, Some(movement)) => ShopSide::Moved { movement, at },
        (4, _) => ShopSide::Broken { at },
        (5, Some(movement)) => ShopSide::Fulfilled { movement, at },
        _ => return Err(StoreError::Damaged("a leg has a side that is none")),
    })
}

fn all(mut statement: CachedStatement<'_>, of: impl Params) -> Result<Vec<Stored>, StoreError> {
    let mut rows = statement.query(of)?;
    let mut legs = Vec::new();
    while let Some(row) = rows.next()? {
        legs.push(read(row)?);
    }
    Ok(legs)
}

/// One leg.
pub(super) fn find(conn: &Connection, id: LegId) -> Result<Option<Stored>, StoreError> {
    let mut statement = conn.prepare_cached(FIND)?;
    let mut rows = statement.query([id.0])?;
    rows.next()?.map(read).transpose()
}

/// A leg that must be there.
pub(super) fn the(conn: &Connection, id: LegId) -> Result<Stored, StoreError> {
    find(conn, id)?.ok_or(StoreError::Damaged("a leg is gone"))
}

/// The legs of a hold, in the order in which they were heard of.
pub(super) fn of_hold(conn: &Connection, hold: HoldId) -> Result<Vec<Stored>, StoreError> {
    all(conn.prepare_cached(OF_HOLD)?, [hold.0])
}

/// Those of a shop that changed after a place, in the order of their places.
pub(super) fn of_shop_after(
    conn: &Connection,
    shop: u32,
    place: u64,
    most: usize,
) -> Result<Vec<Stored>, StoreError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    all(
        conn.prepare_cached(OF_SHOP_AFTER)?,
        params![
            shop,
            place.min(i64::MAX.cast_unsigned()).cast_signed(),
            most
        ],
    )
}

/// Those of a shop on which a movement may have something to say: they hold something, or their piece has not come.
pub(super) fn watched(conn: &Connection, shop: u32) -> Result<Vec<Stored>, StoreError> {
    let mut legs = all(conn.prepare_cached(HELD_OF_SHOP)?, [shop])?;
    let waiting = all(conn.prepare_cached(WAITING)?, [shop])?;
    // A leg whose piece travels on another's word may hold already.
    legs.extend(waiting.into_iter().filter(|leg| leg.held == 0));
    Ok(legs)
}

/// Those of a shop whose yes was not held against the stock, in the order of their merges.
pub(super) fn unchecked(conn: &Connection, shop: u32) -> Result<Vec<Stored>, StoreError> {
    all(conn.prepare_cached(UNCHECKED)?, [shop])
}

/// Those that hold something of a barcode.
pub(super) fn that_hold(
    conn: &Connection,
    shop: u32,
    barcode: i64,
) -> Result<Vec<Stored>, StoreError> {
    all(
        conn.prepare_cached(HELD_OF_BARCODE)?,
        params![shop, barcode],
    )
}

/// Those that stand on a movement: by the shop's word, or because it brought their piece.
pub(super) fn of_movement(conn: &Connection, id: MovementId) -> Result<Vec<Stored>, StoreError> {
    let mut legs = all(conn.prepare_cached(OF_MOVEMENT)?, [id.0])?;
    legs.extend(all(conn.prepare_cached(OF_ARRIVAL)?, [id.0])?);
    Ok(legs)
}

/// Writes a leg as it stands.
pub(super) fn write(conn: &Connection, stored: &Stored) -> Result<(), StoreError> {
    let (leg, terms) = (&stored.leg, &stored.leg.terms);
    conn.prepare_cached(WRITE)?.execute(params![
        leg.id.0,
        terms.hold.0,
        stored.shop,
        stored.barcode,
        terms.ordered.as_ref().map(Barcode::as_str),
        leg.units(),
        &*terms.order,
        &*terms.caller,
        terms.purpose.number(),
        terms.created_at.0,
        terms.allow_variant,
        terms.comes_from.map(|leg| leg.0),
        leg.hub.state.number(),
        leg.hub.expires_at.0,
        leg.shop.number(),
        leg.shop.at().map(|at| at.0),
        leg.shop.reason().map(DeclineReason::number),
        leg.shop.movement().map(|movement| movement.0),
        stored.opened.cast_signed(),
        stored.pos.cast_signed(),
        match stored.merged {
            Merged::NotYet => 0,
            Merged::Counts => 1,
            Merged::Void => 2,
        },
        stored.arrival.map(|movement| movement.0),
        stored.held,
        stored.unchecked.map(u64::cast_signed),
        stored.rejected,
        stored.answer_by.map(|at| at.0),
    ])?;
    Ok(())
}

/// The units of a barcode that are held at a shop.
pub(in crate::store) fn held(
    conn: &Connection,
    shop: u32,
    barcode: i64,
) -> Result<i64, StoreError> {
    let held = conn
        .prepare_cached(HELD)?
        .query_row(params![shop, barcode], |row| row.get(0))
        .optional()?;
    Ok(held.unwrap_or(0))
}

/// The same of every barcode of a shop of which something is held.
pub(in crate::store) fn held_of_shop(
    conn: &Connection,
    shop: u32,
) -> Result<HashMap<i64, i64>, StoreError> {
    let mut statement = conn.prepare_cached(HELD_BY_BARCODE)?;
    let rows = statement.query_map([shop], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The same of every shop.
pub(in crate::store) fn held_everywhere(
    conn: &Connection,
) -> Result<HashMap<(u32, i64), i64>, StoreError> {
    let mut statement = conn.prepare_cached(HELD_EVERYWHERE)?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
