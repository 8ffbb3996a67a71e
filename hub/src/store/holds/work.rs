//! What somebody has to look at of a leg: once for each cause, however often it is said.

use rusqlite::{Connection, params};
use serde_json::json;
use vitrina_host::sign;
use vitrina_shared::hold::{Leg, WorkKind};
use vitrina_shared::{LegId, TimeMs};

use crate::store::StoreError;
use crate::store::work::Raised;
use crate::work::Kind;

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

/// Somebody has to look; whether that is news.
pub(super) fn add(
    conn: &Connection,
    leg: LegId,
    kind: WorkKind,
    at: TimeMs,
) -> Result<bool, StoreError> {
    let number = KINDS.iter().position(|known| *known == kind).unwrap_or(0);
    let number = i64::try_from(number).unwrap_or(0);
    let added = conn
        .prepare_cached(ADD)?
        .execute(params![leg.0, number, at.0])?;
    Ok(added > 0)
}

/// The entry of the list of work items.
pub(super) fn raised(leg: &Leg, kind: WorkKind) -> Raised {
    let kind = match kind {
        WorkKind::PutBack => Kind::PutBack,
        WorkKind::Broken => Kind::HoldBroken,
        WorkKind::TravelsUnwanted => Kind::TravelsUnwanted,
        WorkKind::BoughtAfterEnd => Kind::BoughtAfterEnd,
        WorkKind::CancelledAndBought => Kind::CancelledAndBought,
        WorkKind::SoldOverHold => Kind::SoldOverHold,
    };
    let terms = &leg.terms;
    Raised {
        kind,
        cause: sign::hex(&leg.id.0),
        shop: Some(terms.shop.clone()),
        barcode: Some(terms.barcode.to_string()),
        evidence: json!({
            "order": terms.order,
            "hold": sign::hex(&terms.hold.0),
            "leg": sign::hex(&leg.id.0),
            "qty": terms.qty.units(),
        }),
    }
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
