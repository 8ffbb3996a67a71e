//! What somebody has to look at of a leg: once for each cause, however often it is said, and until the leg itself says that
//! it is over.

use rusqlite::{Connection, params};
use serde_json::json;
use vitrina_host::sign;
use vitrina_shared::hold::{self, Duty, Leg, WorkKind};
use vitrina_shared::{LegId, TimeMs};

use super::join;
use super::row::{self, Stored};
use crate::store::StoreError;
use crate::store::sqlite::Txn;
use crate::store::work::{self as list, Raised};
use crate::work::Kind;
use crate::work::decide::Step;

const ADD: &str =
    "INSERT INTO leg_work (leg, kind, at) VALUES (?1, ?2, ?3) ON CONFLICT (leg, kind) DO NOTHING";
const OF_LEG: &str = "SELECT kind, at FROM leg_work WHERE leg = ?1 ORDER BY at, kind";
// The condition is that of the index.
const OPEN: &str =
    "SELECT id, cause FROM work_item WHERE kind = ?1 AND state <> 'resolved' ORDER BY cause";

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

/// The kind of its entry.
fn of(kind: WorkKind) -> Kind {
    match kind {
        WorkKind::PutBack => Kind::PutBack,
        WorkKind::Broken => Kind::HoldBroken,
        WorkKind::TravelsUnwanted => Kind::TravelsUnwanted,
        WorkKind::BoughtAfterEnd => Kind::BoughtAfterEnd,
        WorkKind::CancelledAndBought => Kind::CancelledAndBought,
        WorkKind::SoldOverHold => Kind::SoldOverHold,
    }
}

/// The entry of the list of work items.
pub(super) fn raised(leg: &Leg, kind: WorkKind) -> Raised {
    let terms = &leg.terms;
    Raised {
        kind: of(kind),
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

/// Whether a leg can show that what was raised of it is over. The others have happened, and end by a person's word.
pub(super) fn may_end(kind: WorkKind) -> bool {
    matches!(kind, WorkKind::PutBack | WorkKind::SoldOverHold)
}

/// Whether what was raised of a leg is over.
fn is_over(conn: &Connection, stored: &Stored, kind: WorkKind) -> Result<bool, StoreError> {
    Ok(match kind {
        WorkKind::PutBack => {
            let duties = hold::effect(&stored.leg, stored.facts()).duties;
            !duties.contains(&Duty::Work(kind))
        }
        WorkKind::SoldOverHold => {
            !stored.is_promised() || join::is_covered(conn, stored.shop, stored.barcode)?
        }
        _ => false,
    })
}

/// The entries whose legs show that they are over.
pub(in crate::store) fn over(conn: &Connection) -> Result<Vec<[u8; 16]>, StoreError> {
    let mut ended = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| may_end(*kind)) {
        let mut statement = conn.prepare_cached(OPEN)?;
        let mut rows = statement.query([of(kind).word()])?;
        while let Some(entry) = rows.next()? {
            let cause: String = entry.get(1)?;
            let leg = sign::from_hex(&cause).map(|id| row::find(conn, LegId(id)));
            let Some(stored) = leg.transpose()?.flatten() else {
                continue;
            };
            if is_over(conn, &stored, kind)? {
                ended.push(entry.get(0)?);
            }
        }
    }
    Ok(ended)
}

/// Ends them; how many there were. What is over is looked at again in the transaction that says so.
pub(in crate::store) fn end(txn: &Txn<'_>) -> Result<usize, StoreError> {
    let steps: Vec<Step> = over(txn.conn)?.into_iter().map(Step::Resolve).collect();
    list::take(txn, &steps)?;
    Ok(steps.len())
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
