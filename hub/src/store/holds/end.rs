//! A hold is let go, kept longer, or over: each time one write, and whoever comes second is told how it stands.

use rusqlite::Connection;
use vitrina_shared::hold::{self, HubSide, HubState, NotOpen};
use vitrina_shared::{HoldId, LegId, TimeMs};

use super::hand::Hand;
use super::row::{self, Stored};
use super::settle::{known, settle};
use super::tell::{self, HoldRow};
use crate::store::StoreError;
use crate::store::sqlite::Txn;

const DUE: &str = "SELECT id FROM hold WHERE due IS NOT NULL AND due <= ?1 ORDER BY due LIMIT ?2";

/// What became of a change of a hold.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// It is done; so it stands now.
    Done(HoldRow),
    /// Nothing was changed.
    NotOpen(NotOpen),
    /// There is no such hold.
    Unknown,
}

/// Lets a hold go; again: says how it stands.
pub(super) fn release(txn: &mut Txn<'_>, id: HoldId) -> Result<Ending, StoreError> {
    let legs = row::of_hold(txn.conn, id)?;
    if legs.is_empty() {
        return Ok(Ending::Unknown);
    }
    match hold::release(&known(&legs)) {
        Err(not_open) => Ok(Ending::NotOpen(not_open)),
        Ok(ending) => {
            end(txn, (id, &ending), HubState::Released)?;
            done(txn.conn, id)
        }
    }
}

/// Keeps a hold until so long from now, if that is later than before.
pub(super) fn extend(txn: &mut Txn<'_>, id: HoldId, ttl_ms: i64) -> Result<Ending, StoreError> {
    let legs = row::of_hold(txn.conn, id)?;
    if legs.is_empty() {
        return Ok(Ending::Unknown);
    }
    let live = match hold::extend(&known(&legs), txn.now) {
        Ok(live) => live,
        Err(not_open) => return Ok(Ending::NotOpen(not_open)),
    };
    let mut hand = Hand::new(txn)?;
    let later = HubSide {
        state: HubState::Requested,
        expires_at: hand.now().plus(ttl_ms),
    };
    let is_live = |stored: &Stored| live.contains(&stored.leg.id);
    for mut stored in legs.into_iter().filter(is_live) {
        stored.leg.hub = stored.leg.hub.join(later);
        hand.put(&mut stored)?;
    }
    settle(&mut hand, id)?;
    hand.finish()?;
    done(txn.conn, id)
}

/// Ends at most so many holds whose time is over; how many there were.
pub(super) fn expire(txn: &mut Txn<'_>, most: usize) -> Result<usize, StoreError> {
    let due = due(txn.conn, txn.now, most)?;
    for id in &due {
        let legs = row::of_hold(txn.conn, *id)?;
        let ending = hold::expire(&known(&legs), txn.now);
        end(txn, (*id, &ending), HubState::Expired)?;
    }
    Ok(due.len())
}

fn due(conn: &Connection, now: TimeMs, most: usize) -> Result<Vec<HoldId>, StoreError> {
    let mut statement = conn.prepare_cached(DUE)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map(rusqlite::params![now.0, most], |row| {
        Ok(HoldId(row.get(0)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn end(
    txn: &mut Txn<'_>,
    (id, legs): (HoldId, &[LegId]),
    state: HubState,
) -> Result<(), StoreError> {
    let mut hand = Hand::new(txn)?;
    for leg in legs {
        hand.write_hub(*leg, state)?;
    }
    settle(&mut hand, id)?;
    hand.finish()
}

fn done(conn: &Connection, id: HoldId) -> Result<Ending, StoreError> {
    let hold = tell::one(conn, id)?;
    Ok(hold.map_or(Ending::Unknown, Ending::Done))
}
