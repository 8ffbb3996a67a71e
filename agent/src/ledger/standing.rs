//! Which dots count: `vitrina_shared::voids` applied to what a movement touches.

use rusqlite::{Connection, OptionalExtension, Row, params};
use vitrina_shared::voids::{self, counting};
use vitrina_shared::{Barcode, Condition, Dot, Kind, MovementId, ReplicaId, Seq, TimeMs, planted};

use super::log::{Place, barcode};
use super::{LedgerError, disagreement, int, uint};

const IS_HELD: &str = "SELECT 1 FROM movement WHERE id = ?1 LIMIT 1";
const IS_TARGETED: &str = "SELECT 1 FROM void_target WHERE target = ?1 LIMIT 1";
const ADD_TARGET: &str = "INSERT INTO void_target (target, replica, seq) VALUES (?1, ?2, ?3)";
const DROP_TARGETS: &str =
    "DELETE FROM void_target WHERE replica = ?1 AND seq = ?2 RETURNING target";
const TWINS: &str =
    "SELECT m.replica, m.seq, r.id, m.barcode, m.condition, m.kind, m.qty, m.at, m.counts
    FROM movement m JOIN replica r ON r.no = m.replica WHERE m.id = ?1";
const SET_COUNTS: &str = "UPDATE movement SET counts = ?3 WHERE replica = ?1 AND seq = ?2";
const MOVE_SUM: &str = "INSERT INTO voided (barcode, condition, units) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET units = units + excluded.units";
const DROP_SUM: &str = "DELETE FROM voided WHERE barcode = ?1 AND condition = ?2 AND units = 0";
const STATEMENT: &str = "SELECT at, id FROM statement WHERE barcode = ?1 AND condition = ?2";
const SET_STATEMENT: &str =
    "INSERT INTO statement (barcode, condition, at, id) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET at = excluded.at, id = excluded.id";
const DROP_STATEMENT: &str = "DELETE FROM statement WHERE barcode = ?1 AND condition = ?2";
// A void cannot be voided, so a target that is itself a void movement is not named.
const GREATEST: &str = "SELECT m.at, m.id FROM movement m
    WHERE m.barcode = ?1 AND m.condition = ?2 AND m.kind = 11
      AND (NOT EXISTS (SELECT 1 FROM void_target v WHERE v.target = m.id)
           OR EXISTS (SELECT 1 FROM movement o WHERE o.id = m.id AND o.kind = 12))
    ORDER BY m.at DESC, m.id DESC LIMIT 1";

/// What became of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The dot that counts.
    Counts(Place),
    /// None does, or none is held.
    Nothing,
}

struct Twin {
    place: Place,
    dot: Dot,
    barcode: Barcode,
    condition: Condition,
    kind: Kind,
    qty: i64,
    at: TimeMs,
    counts: bool,
}

/// Whether some dot has this id.
pub(super) fn is_held(conn: &Connection, id: MovementId) -> Result<bool, LedgerError> {
    Ok(conn
        .prepare_cached(IS_HELD)?
        .query_row([id.0], |_| Ok(()))
        .optional()?
        .is_some())
}

/// Whether a void movement names this id.
pub(super) fn is_targeted(conn: &Connection, id: MovementId) -> Result<bool, LedgerError> {
    Ok(conn
        .prepare_cached(IS_TARGETED)?
        .query_row([id.0], |_| Ok(()))
        .optional()?
        .is_some())
}

pub(super) fn add_target(
    conn: &Connection,
    target: MovementId,
    place: Place,
) -> Result<(), LedgerError> {
    conn.prepare_cached(ADD_TARGET)?
        .execute(params![target.0, place.replica, int(place.seq.0)])?;
    Ok(())
}

/// Takes back whom a void movement names.
pub(super) fn drop_targets(
    conn: &Connection,
    place: Place,
) -> Result<Vec<MovementId>, LedgerError> {
    let mut query = conn.prepare_cached(DROP_TARGETS)?;
    let rows = query.query_map(params![place.replica, int(place.seq.0)], |row| {
        row.get(0).map(MovementId)
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds signed units to what does not count.
pub(super) fn move_void_sum(
    conn: &Connection,
    barcode: &str,
    condition: Condition,
    units: i64,
) -> Result<(), LedgerError> {
    if units != 0 && !planted::is("agent_moves_no_void_sum") {
        conn.prepare_cached(MOVE_SUM)?
            .execute(params![barcode, condition.number(), units])?;
        conn.prepare_cached(DROP_SUM)?
            .execute(params![barcode, condition.number()])?;
    }
    Ok(())
}

/// Settles an id that a void movement began or ceased to name; where it is a statement, another may count now.
pub(super) fn settle_target(conn: &Connection, target: MovementId) -> Result<(), LedgerError> {
    for twin in twins(conn, target)? {
        if twin.kind == Kind::Balance {
            state(conn, &twin.barcode, twin.condition)?;
        }
    }
    settle(conn, target)?;
    Ok(())
}

/// Finds the statement of a row that counts, and settles it and the one before it.
pub(super) fn state(
    conn: &Connection,
    barcode: &Barcode,
    condition: Condition,
) -> Result<(), LedgerError> {
    let row = params![barcode.as_str(), condition.number()];
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 16]>(1)?));
    let before = conn
        .prepare_cached(STATEMENT)?
        .query_row(row, read)
        .optional()?;
    let now = conn
        .prepare_cached(GREATEST)?
        .query_row(row, read)
        .optional()?;
    if before == now {
        return Ok(());
    }
    match now {
        Some((at, id)) => conn.prepare_cached(SET_STATEMENT)?.execute(params![
            barcode.as_str(),
            condition.number(),
            at,
            id
        ])?,
        None => conn.prepare_cached(DROP_STATEMENT)?.execute(row)?,
    };
    for (_, id) in before.into_iter().chain(now) {
        settle(conn, MovementId(id))?;
    }
    Ok(())
}

/// The statement of a row that counts.
pub(super) fn statement(
    conn: &Connection,
    barcode: &Barcode,
    condition: Condition,
) -> Result<Option<(TimeMs, MovementId)>, LedgerError> {
    let read = |row: &Row<'_>| Ok((TimeMs(row.get(0)?), MovementId(row.get(1)?)));
    let row = params![barcode.as_str(), condition.number()];
    Ok(conn
        .prepare_cached(STATEMENT)?
        .query_row(row, read)
        .optional()?)
}

/// Decides anew which dot of an id counts, and moves the sums with it.
pub(super) fn settle(conn: &Connection, id: MovementId) -> Result<Standing, LedgerError> {
    let twins = twins(conn, id)?;
    let is_void = twins.iter().any(|twin| twin.kind == Kind::Void);
    let is_named = !is_void && is_targeted(conn, id)?;
    let smallest = twins.iter().map(|twin| twin.dot).min();
    let mut standing = Standing::Nothing;
    for twin in &twins {
        let rule = match statement(conn, &twin.barcode, twin.condition)? {
            _ if is_named => voids::Standing::Named,
            Some((_, latest)) if twin.kind == Kind::Balance && latest != id => {
                voids::Standing::Superseded
            }
            _ => voids::Standing::Stands,
        };
        let counts = counting(smallest, rule) == Some(twin.dot);
        if counts {
            standing = Standing::Counts(twin.place);
        }
        if counts != twin.counts {
            let Place { replica, seq } = twin.place;
            conn.prepare_cached(SET_COUNTS)?
                .execute(params![replica, int(seq.0), counts])?;
            let units = if counts { -twin.qty } else { twin.qty };
            move_void_sum(conn, twin.barcode.as_str(), twin.condition, units)?;
            disagreement::touched(conn, &twin.barcode, twin.condition, twin.at)?;
        }
    }
    Ok(standing)
}

fn twins(conn: &Connection, id: MovementId) -> Result<Vec<Twin>, LedgerError> {
    let mut query = conn.prepare_cached(TWINS)?;
    let rows = query.query_map([id.0], |row| {
        let place = Place {
            replica: row.get(0)?,
            seq: Seq(uint(row.get(1)?)),
        };
        let dot = Dot {
            replica: ReplicaId(row.get(2)?),
            seq: place.seq,
        };
        let (text, condition, kind): (String, u8, u8) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let (qty, at, counts): (i64, i64, bool) = (row.get(6)?, row.get(7)?, row.get(8)?);
        Ok((place, dot, text, condition, kind, qty, at, counts))
    })?;
    rows.map(|row| {
        let (place, dot, text, condition, kind, qty, at, counts) = row?;
        Ok(Twin {
            place,
            dot,
            barcode: barcode(&text)?,
            condition: Condition::of_number(condition),
            kind: Kind::of_number(kind),
            qty,
            at: TimeMs(at),
            counts,
        })
    })
    .collect()
}
