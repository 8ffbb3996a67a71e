//! The legs of holds that ask this shop, as they lie in their table, and what the movements say about them.
//!
//! The keeper of the rows: it joins and writes, and decides nothing.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use vitrina_shared::hold::{
    DeclineReason, Facts, HubSide, HubState, Leg, Merged, Purpose, RETURN_MS, ShopSide, Terms,
};
use vitrina_shared::{Barcode, HoldId, LegId, MovementId, Qty, ShopId, TimeMs};

use super::log::barcode;
use super::{LedgerError, int, uint};

/// A statement that reads legs: `read` expects its columns.
macro_rules! legs {
    ($which:literal) => {
        concat!(
            "SELECT id, hold, (SELECT shop FROM state), barcode, ordered, qty, order_name, caller, purpose,
            created_at, allow_variant, comes_from, hub, expires_at, shop, shop_at, shop_reason, shop_movement,
            at_hub, changed_at FROM leg ",
            $which
        )
    };
}

const GET: &str = legs!("WHERE id = ?1");
const OF_HOLD: &str = legs!("WHERE hold = ?1");
const OF_BARCODE: &str = legs!("WHERE barcode = ?1");
const OPEN: &str = legs!("WHERE hub = 0 AND shop IN (0, 2) ORDER BY created_at, id");
const UNANSWERED: &str =
    legs!("WHERE hub = 0 AND shop IN (0, 2) AND shop = 0 ORDER BY created_at, id");
const OVER: &str = legs!(
    "WHERE hub > 0 AND shop = 2 AND changed_at > ?1 AND id NOT IN (SELECT leg FROM put_back) ORDER BY created_at, id"
);
const PUT_BACK: &str = "INSERT OR IGNORE INTO put_back (leg, at) VALUES (?1, ?2)";
const IS_BACK: &str = "SELECT EXISTS (SELECT 1 FROM put_back WHERE leg = ?1)";
const ALL: &str = legs!("WHERE (created_at, id) > (?1, ?2) ORDER BY created_at, id LIMIT ?3");
const TO_BRING: &str = legs!("WHERE at_hub < 3 ORDER BY id");
const EVERY: &str = legs!("ORDER BY id");
const PROMISED: &str =
    "SELECT DISTINCT barcode FROM leg WHERE hub = 0 AND shop IN (0, 2) ORDER BY barcode";
const PUT: &str = "INSERT INTO leg (id, hold, barcode, ordered, qty, order_name, caller, purpose, created_at,
        allow_variant, comes_from, hub, expires_at, shop, shop_at, shop_reason, shop_movement, at_hub, changed_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
    ON CONFLICT (id) DO UPDATE SET hub = excluded.hub, expires_at = excluded.expires_at, shop = excluded.shop,
        shop_at = excluded.shop_at, shop_reason = excluded.shop_reason, shop_movement = excluded.shop_movement,
        at_hub = excluded.at_hub, changed_at = excluded.changed_at";
// Of what is over for long nobody asks any more: it need not be brought.
const FORGET: &str = "UPDATE leg SET at_hub =
    CASE WHEN hub = 0 OR max(created_at, expires_at, shop_at) >= ?1 THEN 0 ELSE 3 END";
const HELD: &str = "SELECT CASE WHEN legs_generation = generation THEN legs_held END FROM state";
const ENTER: &str = "UPDATE state SET legs_generation = generation, legs_held = 0";
const SET_HELD: &str = "UPDATE state SET legs_held = ?1 WHERE legs_held < ?1";
const MERGED: &str = "SELECT max(counts) FROM movement WHERE id = ?1";
const CAME: &str = "SELECT 1 FROM arrival a JOIN movement m ON m.id = a.movement
    WHERE a.hold = ?1 AND m.barcode = ?2 AND m.counts = 1 LIMIT 1";
const ADD_ARRIVAL: &str = "INSERT OR IGNORE INTO arrival (hold, movement) VALUES (?1, ?2)";
const COUNT: &str = "SELECT coalesce(sum(shop = 0), 0), coalesce(sum(shop = 2), 0) FROM leg
    WHERE hub = 0 AND shop IN (0, 2)";
const UNHEARD: &str = "SELECT count(*) FROM leg WHERE at_hub < 3 AND at_hub & 2 = 0 AND shop > 0";

/// The hub is known to have its own side of a leg.
const HUB_SIDE: u8 = 1;
/// The hub is known to have the shop's side.
const SHOP_SIDE: u8 = 2;

/// A leg as it lies here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The leg.
    pub(crate) leg: Leg,
    /// Which sides the hub is known to have.
    at_hub: u8,
    /// When either side changed here.
    pub(crate) changed_at: TimeMs,
}

impl Kept {
    /// The hub has what the shop says.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.at_hub & SHOP_SIDE != 0
    }

    /// The hub has so much of it.
    fn is_at_hub(&mut self, leg: &Leg) {
        if leg.hub == self.leg.hub {
            self.at_hub |= HUB_SIDE;
        }
        if leg.shop == self.leg.shop {
            self.at_hub |= SHOP_SIDE;
        }
    }

    /// Takes what another copy says of it. Whether that is news.
    fn join(&mut self, other: &Leg, now: TimeMs) -> bool {
        let joined = self.leg.join(other);
        let (is_hub_news, is_shop_news) =
            (joined.hub != self.leg.hub, joined.shop != self.leg.shop);
        if is_hub_news {
            self.at_hub &= !HUB_SIDE;
        }
        if is_shop_news {
            self.at_hub &= !SHOP_SIDE;
        }
        self.leg = joined;
        if is_hub_news || is_shop_news {
            self.changed_at = now;
        }
        is_hub_news || is_shop_news
    }
}

/// One leg.
pub(super) fn get(conn: &Connection, id: LegId) -> Result<Option<Kept>, LedgerError> {
    Ok(select(conn, GET, &[&id.0])?.pop())
}

/// The legs of a hold.
pub(super) fn of_hold(conn: &Connection, hold: HoldId) -> Result<Vec<Kept>, LedgerError> {
    select(conn, OF_HOLD, &[&hold.0])
}

/// All legs of a barcode, whatever became of them.
pub(super) fn of_barcode(conn: &Connection, barcode: &Barcode) -> Result<Vec<Kept>, LedgerError> {
    select(conn, OF_BARCODE, &[&barcode.as_str()])
}

/// What is asked and not answered, and what is promised, the oldest first.
pub(super) fn open(conn: &Connection) -> Result<Vec<Kept>, LedgerError> {
    select(conn, OPEN, &[])
}

/// What is asked and not answered, the oldest first.
pub(super) fn unanswered(conn: &Connection) -> Result<Vec<Kept>, LedgerError> {
    select(conn, UNANSWERED, &[])
}

/// What was kept for an order that let it go after `since`, and is not back in the window yet.
pub(super) fn let_go(conn: &Connection, since: TimeMs) -> Result<Vec<Kept>, LedgerError> {
    select(conn, OVER, &[&since.0])
}

/// The piece of a leg is back in the window.
pub(super) fn put_back(conn: &Connection, id: LegId, now: TimeMs) -> Result<(), LedgerError> {
    conn.prepare_cached(PUT_BACK)?
        .execute(params![id.0, now.0])?;
    Ok(())
}

/// Whether it is.
pub(super) fn is_back(conn: &Connection, id: LegId) -> Result<bool, LedgerError> {
    Ok(conn
        .prepare_cached(IS_BACK)?
        .query_row([id.0], |row| row.get(0))?)
}

/// Every leg after this one, the oldest first.
pub(super) fn all(
    conn: &Connection,
    (created_at, id): (TimeMs, LegId),
    limit: usize,
) -> Result<Vec<Kept>, LedgerError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    select(conn, ALL, &[&created_at.0, &id.0, &limit])
}

/// Every leg, in the order of their ids.
pub(super) fn every(conn: &Connection) -> Result<Vec<Kept>, LedgerError> {
    select(conn, EVERY, &[])
}

/// The barcodes of which something is asked or promised.
pub(super) fn open_barcodes(conn: &Connection) -> Result<Vec<Barcode>, LedgerError> {
    let mut query = conn.prepare_cached(PROMISED)?;
    let rows = query.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|text| barcode(&text?)).collect()
}

/// How many wait for an answer, and how many are kept.
pub(super) fn count_open(conn: &Connection) -> Result<(u64, u64), LedgerError> {
    let read = |row: &Row<'_>| Ok((uint(row.get(0)?), uint(row.get(1)?)));
    Ok(conn.prepare_cached(COUNT)?.query_row([], read)?)
}

/// Of how many the hub has yet to hear what the shop says.
pub(super) fn count_unheard(conn: &Connection) -> Result<u64, LedgerError> {
    let count = conn
        .prepare_cached(UNHEARD)?
        .query_row([], |row| row.get(0));
    Ok(uint(count?))
}

/// Which legs are brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those of which the hub is not known to have both sides in its present life.
    Unknown,
    /// Whatever it has.
    Every,
}

/// The legs to bring, in the order of their ids.
pub(super) fn to_bring(conn: &Connection, scope: Scope) -> Result<Vec<Kept>, LedgerError> {
    let is_known = scope == Scope::Unknown && held(conn)?.is_some();
    select(conn, if is_known { TO_BRING } else { EVERY }, &[])
}

/// The place up to which the hub's legs are held; none where nothing was heard of them in its present life.
pub(super) fn held(conn: &Connection) -> Result<Option<u64>, LedgerError> {
    let held: Option<i64> = conn.prepare_cached(HELD)?.query_row([], |row| row.get(0))?;
    Ok(held.map(uint))
}

/// Legs are heard of in the hub's present life: where it is the first time, it has acknowledged nothing of them.
pub(super) fn enter_life(conn: &Connection, now: TimeMs) -> Result<(), LedgerError> {
    if held(conn)?.is_none() {
        conn.prepare_cached(FORGET)?
            .execute([now.plus(-RETURN_MS).0])?;
        conn.prepare_cached(ENTER)?.execute([])?;
    }
    Ok(())
}

/// The hub's legs are held up to here.
pub(super) fn hold_upto(conn: &Connection, upto: u64) -> Result<(), LedgerError> {
    conn.prepare_cached(SET_HELD)?.execute([int(upto)])?;
    Ok(())
}

/// The hub has this much of a leg that was sent to it.
pub(super) fn acknowledged(conn: &Connection, sent: &Leg) -> Result<bool, LedgerError> {
    let Some(mut kept) = get(conn, sent.id)? else {
        return Ok(false);
    };
    let before = kept.at_hub;
    kept.is_at_hub(sent);
    if kept.at_hub != before {
        put(conn, &kept)?;
    }
    Ok(kept.at_hub != before)
}

/// Joins a leg that the hub gave. Whether it is news.
pub(super) fn join(conn: &Connection, given: &Leg, now: TimeMs) -> Result<bool, LedgerError> {
    let known = get(conn, given.id)?;
    let is_new = known.is_none();
    let before = known.clone();
    let mut kept = known.unwrap_or_else(|| Kept {
        leg: given.clone(),
        at_hub: 0,
        changed_at: now,
    });
    let is_news = kept.join(given, now) || is_new;
    kept.is_at_hub(given);
    if before.as_ref() != Some(&kept) {
        put(conn, &kept)?;
    }
    Ok(is_news)
}

/// The shop says this of a leg, where it may be said after what was said before. Whether it was.
pub(super) fn say(
    conn: &Connection,
    id: LegId,
    side: ShopSide,
    now: TimeMs,
) -> Result<bool, LedgerError> {
    let Some(mut kept) = get(conn, id)? else {
        return Ok(false);
    };
    if !kept.leg.shop.may_become(side) {
        return Ok(false);
    }
    let said = Leg {
        shop: kept.leg.shop.join(side),
        ..kept.leg.clone()
    };
    let is_news = kept.join(&said, now);
    if is_news {
        put(conn, &kept)?;
    }
    Ok(is_news)
}

/// Whether a movement is here, and counts.
pub(super) fn merged(conn: &Connection, id: MovementId) -> Result<Merged, LedgerError> {
    let counts: Option<bool> = conn
        .prepare_cached(MERGED)?
        .query_row([id.0], |row| row.get(0))?;
    Ok(match counts {
        None => Merged::NotYet,
        Some(false) => Merged::Void,
        Some(true) => Merged::Counts,
    })
}

/// What the movements say about a leg.
pub(super) fn facts(conn: &Connection, leg: &Leg) -> Result<Facts, LedgerError> {
    let movement = leg.shop.movement();
    Ok(Facts {
        movement: movement.map_or(Ok(Merged::NotYet), |id| merged(conn, id))?,
        has_arrived: leg.terms.comes_from.is_some() && has_come(conn, leg)?,
    })
}

/// Whether the piece of a leg came in for its hold; another piece is not it.
fn has_come(conn: &Connection, leg: &Leg) -> Result<bool, LedgerError> {
    let key = params![leg.terms.hold.0, leg.terms.barcode.as_str()];
    let found = conn
        .prepare_cached(CAME)?
        .query_row(key, |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

/// Something came in for a hold.
pub(super) fn note_arrival(
    conn: &Connection,
    hold: HoldId,
    movement: MovementId,
) -> Result<(), LedgerError> {
    conn.prepare_cached(ADD_ARRIVAL)?
        .execute(params![hold.0, movement.0])?;
    Ok(())
}

fn put(conn: &Connection, kept: &Kept) -> Result<(), LedgerError> {
    let Leg {
        id,
        terms,
        hub,
        shop,
    } = &kept.leg;
    conn.prepare_cached(PUT)?.execute(params![
        id.0,
        terms.hold.0,
        terms.barcode.as_str(),
        terms.ordered.as_ref().map(Barcode::as_str),
        terms.qty.units(),
        &*terms.order,
        &*terms.caller,
        terms.purpose.number(),
        terms.created_at.0,
        terms.allow_variant,
        terms.comes_from.map(|leg| leg.0),
        hub.state.number(),
        hub.expires_at.0,
        shop.number(),
        shop.at().map_or(0, |at| at.0),
        shop.reason().map_or(0, DeclineReason::number),
        shop.movement().map(|movement| movement.0),
        kept.at_hub,
        kept.changed_at.0,
    ])?;
    Ok(())
}

fn select(conn: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<Vec<Kept>, LedgerError> {
    let mut query = conn.prepare_cached(sql)?;
    let mut rows = query.query(values)?;
    let mut legs = Vec::new();
    while let Some(row) = rows.next()? {
        legs.push(read(row)?);
    }
    Ok(legs)
}

fn read(row: &Row<'_>) -> Result<Kept, LedgerError> {
    let damaged = || LedgerError::Damaged { what: "a leg" };
    let shop: ShopId = row.get::<_, String>(2)?.parse().map_err(|_| damaged())?;
    let ordered: Option<String> = row.get(4)?;
    let terms = Terms {
        hold: HoldId(row.get(1)?),
        shop,
        barcode: barcode(&row.get::<_, String>(3)?)?,
        ordered: ordered.map(|text| barcode(&text)).transpose()?,
        qty: Qty::new(row.get(5)?).map_err(|_| damaged())?,
        order: row.get::<_, String>(6)?.into(),
        caller: row.get::<_, String>(7)?.into(),
        purpose: Purpose::of_number(row.get(8)?),
        created_at: TimeMs(row.get(9)?),
        allow_variant: row.get(10)?,
        comes_from: row.get::<_, Option<[u8; 16]>>(11)?.map(LegId),
    };
    let reason = DeclineReason::of_number(row.get(16)?);
    let movement = row.get::<_, Option<[u8; 16]>>(17)?.map(MovementId);
    let shop = ShopSide::of_number(row.get(14)?, TimeMs(row.get(15)?), reason, movement);
    Ok(Kept {
        leg: Leg {
            id: LegId(row.get(0)?),
            terms: Arc::new(terms),
            hub: HubSide {
                state: HubState::of_number(row.get(12)?).ok_or_else(damaged)?,
                expires_at: TimeMs(row.get(13)?),
            },
            shop: shop.ok_or_else(damaged)?,
        },
        at_hub: row.get(18)?,
        changed_at: TimeMs(row.get(19)?),
    })
}
