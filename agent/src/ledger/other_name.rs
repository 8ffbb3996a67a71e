//! Receipt lines that are in the ledger under another name than their own.
//!
//! While no receipt of a shop has named a till, lines are booked under the unnamed one, "", which is no till of its own:
//! once a till is named, its line of the same receipt, line, day and type is that one. What is booked keeps its key and its
//! id; that a line is another name of it is written down beside it. A movement is one line's at most, so the like that a
//! second till sold under the same number counts too, whichever of the two tills' files comes first.
//!
//! What is written down does not travel. A ledger that was restored, or a second machine of the shop, finds it out again
//! when the line comes again. Where both names were booked by machines that did not know of each other, both count, and
//! [`super::conflict`] shows both.

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::movement::KeyHash;
use vitrina_shared::{Key, Kind, Movement, MovementId, ShopId};

use super::booking::is_same_count;
use super::found::{Found, by_id, by_key};
use super::{LedgerError, state};

const MOVEMENT: &str = "SELECT movement FROM other_name WHERE line = ?1";
const IS_OTHERS: &str = "SELECT 1 FROM other_name WHERE movement = ?1 AND line NOT IN (?2, ?3)";
// The line that had the movement under the unnamed till gives it to the same line of a named one.
const KEEP: &str = "INSERT OR REPLACE INTO other_name (line, movement) VALUES (?1, ?2)";

/// The movements of a line that have other names; `is_like` says which of them have its content.
///
/// Where the shop has named two tills or more, what was booked under no till and has another content may be another
/// till's receipt of the same number: it contradicts nothing.
pub(super) fn find(
    conn: &Connection,
    shop: &ShopId,
    line: &Movement,
    is_like: impl Fn(&Movement) -> bool,
) -> Result<Vec<Found>, LedgerError> {
    let own = line.key_hash(shop);
    let mut found = of_line(conn, own)?;
    let Key::Receipt { till, .. } = &line.key else {
        return Ok(found);
    };
    let tills = state::tills(conn)?;
    let others = || tills.iter().filter(|other| **other != **till);
    let named = others().filter(|other| !other.is_empty()).count() + usize::from(!till.is_empty());
    for other in others().filter(|other| other.is_empty() != till.is_empty()) {
        let key = at_till(line, other).key_hash(shop);
        for there in by_key(conn, key)?.into_iter().chain(of_line(conn, key)?) {
            let fits = named < 2 || is_like(&there.movement);
            if fits && !is_others(conn, there.id, [own, key])? {
                found.push(there);
            }
        }
    }
    Ok(found)
}

/// Whether a movement under one name has the content of a line under another.
pub(super) fn is_like(held: &Movement, line: &Movement) -> bool {
    let is_same = held.kind != Kind::Count
        && held.qty == line.qty
        && (held.barcode == line.barcode || held.scanned_text() == line.scanned_text());
    held.key != line.key && (is_same || is_same_count(held, line))
}

/// Whether a movement is another line's than these.
pub(super) fn is_others(
    conn: &Connection,
    movement: MovementId,
    [line, other]: [KeyHash; 2],
) -> Result<bool, LedgerError> {
    let is_others = conn
        .prepare_cached(IS_OTHERS)?
        .query_row(params![movement.0, line.0, other.0], |_| Ok(()));
    Ok(is_others.optional()?.is_some())
}

/// Writes down that a line is this movement, if it has another name.
pub(super) fn keep(
    conn: &Connection,
    (line, key): (&Movement, Option<KeyHash>),
    held: &Found,
) -> Result<(), LedgerError> {
    let (Key::Receipt { till, .. }, Some(key)) = (&line.key, key) else {
        return Ok(());
    };
    // Of a line without a till, the one under the named till is its proper name already.
    let is_proper = till.is_empty() && matches!(held.movement.key, Key::Receipt { .. });
    if is_proper || held.movement.key == line.key {
        return Ok(());
    }
    state::add_till(conn, till)?;
    conn.prepare_cached(KEEP)?
        .execute(params![key.0, held.id.0])?;
    Ok(())
}

fn of_line(conn: &Connection, line: KeyHash) -> Result<Vec<Found>, LedgerError> {
    let movement = conn
        .prepare_cached(MOVEMENT)?
        .query_row([line.0], |row| row.get(0).map(MovementId));
    movement
        .optional()?
        .map_or_else(|| Ok(Vec::new()), |id| by_id(conn, id))
}

/// The same line at another till.
fn at_till(line: &Movement, other: &str) -> Movement {
    let mut line = line.clone();
    if let Key::Receipt { till, .. } = &mut line.key {
        *till = other.into();
    }
    line
}
