//! What somebody has to look at of a leg: once for each cause, however often it is said.

use rusqlite::{Connection, params};
use vitrina_shared::hold::WorkKind;
use vitrina_shared::{LegId, TimeMs};

use crate::store::StoreError;

const ADD: &str =
    "INSERT INTO leg_work (leg, kind, at) VALUES (?1, ?2, ?3) ON CONFLICT (leg, kind) DO NOTHING";
const OF_LEG: &str = "SELECT kind, at FROM leg_work WHERE leg = ?1 ORDER BY at, kind";

/// Every kind, by the number under which it is stored.
const KINDS: [WorkKind; 6] = [
    WorkKind::PutBack,
    WorkKind::Broken,
    WorkKind::TravelsUnwanted,
    WorkKind::BoughtAfterEnd,
    WorkKind::CancelledAndBought,
    WorkKind::SoldOverHold,
];

/// Somebody has to look.
pub(super) fn add(
    conn: &Connection,
    leg: LegId,
    kind: WorkKind,
    at: TimeMs,
) -> Result<(), StoreError> {
    let number = KINDS.iter().position(|known| *known == kind).unwrap_or(0);
    let number = i64::try_from(number).unwrap_or(0);
    conn.prepare_cached(ADD)?
        .execute(params![leg.0, number, at.0])?;
    Ok(())
}

/// What was to be looked at of a leg, and since when.
pub(super) fn of_leg(conn: &Connection, leg: LegId) -> Result<Vec<(WorkKind, TimeMs)>, StoreError> {
    let mut statement = conn.prepare_cached(OF_LEG)?;
    let rows = statement.query_map([leg.0], |row| {
        Ok((row.get::<_, i64>(0)?, TimeMs(row.get(1)?)))
    })?;
    let mut list = Vec::new();
    for row in rows {
        let (number, at) = row?;
        // One that a later version added says nothing here.
        let kind = usize::try_from(number)
            .ok()
            .and_then(|number| KINDS.get(number));
        list.extend(kind.map(|kind| (*kind, at)));
    }
    Ok(list)
}
