//! Whether the rows of legs say what their sides and the movements say: worked out anew, as `verify` does with totals.

use rusqlite::Connection;
use vitrina_shared::LegId;

use super::facts;
use super::hand::Hand;
use super::row::{self, Stored};
use super::settle::settle;
use crate::store::StoreError;
use crate::store::sqlite::Txn;

/// The legs of a shop of which the row is wrong, as they should be.
fn wrong(conn: &Connection, shop: u32) -> Result<Vec<Stored>, StoreError> {
    let mut wrong = Vec::new();
    for mut stored in row::of_shop_after(conn, shop, 0, usize::MAX)? {
        let is_other = facts::look(conn, &mut stored)?;
        if is_other || stored.held_now() != stored.held {
            wrong.push(stored);
        }
    }
    Ok(wrong)
}

/// Their names.
pub(in crate::store) fn wrong_legs(conn: &Connection, shop: u32) -> Result<Vec<LegId>, StoreError> {
    let wrong = wrong(conn, shop)?;
    Ok(wrong.iter().map(|stored| stored.leg.id).collect())
}

/// Writes them as they should be; how many there were.
pub(in crate::store) fn repair_legs(txn: &mut Txn<'_>, shop: u32) -> Result<u64, StoreError> {
    let wrong = wrong(txn.conn, shop)?;
    let count = wrong.len() as u64;
    let mut hand = Hand::new(txn)?;
    for mut stored in wrong {
        hand.keep(&mut stored)?;
    }
    for id in hand.holds() {
        settle(&mut hand, id)?;
    }
    hand.finish()?;
    Ok(count)
}
