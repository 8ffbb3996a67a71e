//! Receipt lines that are in the ledger under another name than their own.
//!
//! While no receipt of a shop has named a till, lines are booked under the unnamed one, "", which is no till of its own:
//! once a till is named, its line of the same receipt, line, day and type is that one. What is booked keeps its key and its
//! id; that a line is another name of it is written down beside it. A movement is one line's at most, so the like that a
//! second till sold under the same number counts too, whichever of the two tills' files comes first.
//!
//! A web order's sale that was booked by a call without a receipt is the sale of the file's line that names the order, and of
//! the receipt that a later call names.
//!
//! What is written down does not travel. A ledger that was restored, or a second machine of the shop, finds it out again
//! when the line comes again. Where both names were booked by machines that did not know of each other, both count, and
//! [`super::conflict`] shows both names of a receipt line. An order's sale that one machine booked by the call and another
//! by the file is not shown: it has no key in common.

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::hold::Way;
use vitrina_shared::movement::KeyHash;
use vitrina_shared::{Key, Kind, Movement, MovementId, ShopId};

use super::booking::{Booking, is_same_count};
use super::found::{Found, by_id, by_key};
use super::log::Names;
use super::promise::Asked;
use super::{Desk, LedgerError, over_hold, state};

const MOVEMENT: &str = "SELECT movement FROM other_name WHERE line = ?1";
const IS_OTHERS: &str = "SELECT 1 FROM other_name WHERE movement = ?1 AND line NOT IN (?2, ?3)";
// The line that had the movement under the unnamed till gives it to the same line of a named one.
const KEEP: &str = "INSERT OR REPLACE INTO other_name (line, movement) VALUES (?1, ?2)";

impl Desk<'_> {
    /// What is here under the movement's key, else under another name of its line.
    pub(super) fn known(
        &self,
        (movement, names): (&Movement, &Names),
        (way, legs): (Way, &[Asked]),
    ) -> Result<Vec<Found>, LedgerError> {
        let Some(key) = names.key else {
            return by_id(self.conn, names.id);
        };
        let found = by_key(self.conn, key)?;
        if !found.is_empty() {
            return Ok(found);
        }
        let has_content = |held: &Movement| is_like(held, movement);
        let found = find(self.conn, &self.shop, movement, has_content)?;
        if !found.is_empty() || way != Way::File {
            return Ok(found);
        }
        let mut sales = over_hold::without_receipt(self.conn, movement, legs)?;
        // A second receipt of the same order is a sale of its own.
        sales.retain(|sale| has_content(&sale.movement));
        let mut free = Vec::new();
        for sale in sales {
            if !is_others(self.conn, sale.id, [key, key])? {
                free.push(sale);
            }
        }
        Ok(free)
    }

    /// Whether a call tells again of the sale by which a leg was fulfilled. Who tells of another receipt has sold another piece;
    /// one that was not known when the sale was booked is its receipt from now on. The day does not matter: a call that is
    /// repeated after midnight is a repeat.
    pub(super) fn is_its_sale(&self, told: &Booking, held: &Found) -> Result<bool, LedgerError> {
        let Key::Receipt {
            till,
            receipt,
            line,
            ..
        } = &told.key
        else {
            return Ok(true);
        };
        if let Key::Receipt {
            till: held_till,
            receipt: held_receipt,
            line: held_line,
            ..
        } = &held.movement.key
        {
            let is_till = till == held_till || till.is_empty() || held_till.is_empty();
            return Ok(is_till && receipt == held_receipt && line == held_line);
        }
        let Some(told) = self.movement(told)? else {
            return Ok(false);
        };
        let key = told.key_hash(&self.shop);
        let is_free =
            by_key(self.conn, key)?.is_empty() && !is_others(self.conn, held.id, [key, key])?;
        if is_free && is_like(&held.movement, &told) {
            keep(self.conn, (&told, Some(key)), held)?;
            return Ok(true);
        }
        Ok(false)
    }
}

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
    let Some(key) = key.filter(|_| held.movement.key != line.key) else {
        return Ok(());
    };
    if let Key::Receipt { till, .. } = &line.key {
        // Of a line without a till, the one under the named till is its proper name already.
        if till.is_empty() && matches!(held.movement.key, Key::Receipt { .. }) {
            return Ok(());
        }
        state::add_till(conn, till)?;
    }
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
