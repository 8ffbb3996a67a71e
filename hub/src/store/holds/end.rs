//! A hold is let go, kept longer, or over: each time one write, and whoever comes second is told how it stands.

use rusqlite::Connection;
use vitrina_shared::hold::{self, HubSide, HubState, NotOpen};
use vitrina_shared::{HoldId, LegId, TimeMs};

use super::hand::Hand;
use super::row::{self, Stored};
use super::settle::{known, settle};
use super::tell::{self, HoldRow};
use super::told;
use crate::audit::{By, What};
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
pub(super) fn release(
    txn: &mut Txn<'_>,
    by: Option<&By>,
    id: HoldId,
) -> Result<Ending, StoreError> {
    let legs = row::of_hold(txn.conn, id)?;
    if legs.is_empty() {
        return Ok(Ending::Unknown);
    }
    match hold::release(&known(&legs)) {
        Err(not_open) => Ok(Ending::NotOpen(not_open)),
        Ok(ending) => {
            end(txn, (id, &ending), HubState::Released)?;
            let by = by.filter(|_| !ending.is_empty());
            done(txn, id, (by, What::HoldRelease))
        }
    }
}

/// Keeps a hold until so long from now, if that is later than before.
pub(super) fn extend(
    txn: &mut Txn<'_>,
    by: Option<&By>,
    (id, ttl_ms): (HoldId, i64),
) -> Result<Ending, StoreError> {
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
    let mut is_longer = false;
    for mut stored in legs.into_iter().filter(is_live) {
        let joined = stored.leg.hub.join(later);
        is_longer |= joined != stored.leg.hub;
        stored.leg.hub = joined;
        hand.put(&mut stored)?;
    }
    settle(&mut hand, id)?;
    hand.finish()?;
    done(txn, id, (by.filter(|_| is_longer), What::HoldExtend))
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

fn done(txn: &Txn<'_>, id: HoldId, (by, what): (Option<&By>, What)) -> Result<Ending, StoreError> {
    let Some(hold) = tell::one(txn.conn, id)? else {
        return Ok(Ending::Unknown);
    };
    told::add(txn, by, what, &hold)?;
    Ok(Ending::Done(hold))
}
