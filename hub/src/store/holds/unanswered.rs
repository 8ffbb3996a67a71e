//! A shop does not answer in time: another one is asked, in the transaction that ends its leg.

use rusqlite::{Connection, params};
use vitrina_shared::hold::{self, ASK_AGAIN_MS, HubState};
use vitrina_shared::{LegId, TimeMs};

use super::destination;
use super::hand::Hand;
use super::row;
use super::settle::{known, open_next, settle};
use crate::store::StoreError;
use crate::store::sqlite::Txn;

// The condition is that of the index.
const NEXT: &str =
    "SELECT min(next_at) FROM leg WHERE next_at IS NOT NULL AND hub = 0 AND side = 0";
const LATE: &str = "SELECT id FROM leg WHERE next_at IS NOT NULL AND hub = 0 AND side = 0 AND next_at <= ?1 \
    ORDER BY next_at LIMIT ?2";
const SET_NEXT: &str = "UPDATE leg SET next_at = ?2 WHERE id = ?1";

/// So many legs of one transaction: for each of them all shops that have the piece are looked at.
const AT_ONCE: i64 = 20;

/// When another shop is looked for next.
pub(super) fn next(conn: &Connection) -> Result<Option<TimeMs>, StoreError> {
    let next: Option<i64> = conn.prepare_cached(NEXT)?.query_row([], |row| row.get(0))?;
    Ok(next.map(TimeMs))
}

/// Looks for another shop for some of the legs whose shops have not answered in time; for how many it did.
pub(super) fn go_on(txn: &mut Txn<'_>) -> Result<usize, StoreError> {
    let late = late(txn.conn, txn.now)?;
    for leg in &late {
        let mut hand = Hand::new(txn)?;
        ask_next(&mut hand, *leg)?;
        hand.finish()?;
    }
    Ok(late.len())
}

fn late(conn: &Connection, now: TimeMs) -> Result<Vec<LegId>, StoreError> {
    let mut statement = conn.prepare_cached(LATE)?;
    let rows = statement.query_map(params![now.0, AT_ONCE], |row| Ok(LegId(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Asks another shop; where nobody else has the piece this one stays asked, and it is tried again.
fn ask_next(hand: &mut Hand<'_, '_>, late: LegId) -> Result<(), StoreError> {
    let stored = row::the(hand.txn.conn, late)?;
    let id = stored.leg.terms.hold;
    let legs = row::of_hold(hand.txn.conn, id)?;
    // What head office moves is asked of the shop that has it, and of no other.
    let is_stock = destination::of_hold(hand.txn.conn, id)?.is_some_and(|to| to.is_stock);
    let may = !is_stock && hold::is_unanswered(&stored.leg, &known(&legs));
    if may && open_next(hand, late)? {
        hand.write_hub(late, HubState::Ended)?;
        return settle(hand, id);
    }
    let again = may.then(|| hand.now().plus(ASK_AGAIN_MS).0);
    hand.txn
        .conn
        .prepare_cached(SET_NEXT)?
        .execute(params![late.0, again])?;
    Ok(())
}
