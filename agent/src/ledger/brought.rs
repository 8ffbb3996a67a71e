//! The legs of holds in an exchange: which of them are brought, and what an answer says of them.

use std::collections::BTreeSet;

use rusqlite::Connection;
use vitrina_shared::delta::Delta;
use vitrina_shared::hold::Leg;
use vitrina_shared::wire::Answer;
use vitrina_shared::wire::v1::{LegV1, LegsV1, MAX_LEGS};
use vitrina_shared::{Dot, LegId, MovementId, ReplicaId, Seq, ShopId, TimeMs};

use super::answer::Via;
use super::leg::{self, Scope};
use super::promise::{self, Touched};
use super::replica::Held;
use super::{LedgerError, uint};

const DOTS: &str =
    "SELECT r.id, m.seq FROM movement m JOIN replica r ON r.no = m.replica WHERE m.id = ?1";

/// What of the legs a request carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brought {
    /// The section.
    pub(crate) section: LegsV1,
    /// The same legs.
    pub(crate) legs: Vec<Leg>,
}

/// What is left out of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Without {
    scope: Scope,
    /// Legs that frames before this one carry.
    pub(super) done: BTreeSet<LegId>,
}

impl Without {
    /// What the hub has.
    pub(super) fn acknowledged() -> Self {
        Self {
            scope: Scope::Unknown,
            done: BTreeSet::new(),
        }
    }

    /// Nothing.
    pub(super) fn nothing() -> Self {
        Self {
            scope: Scope::Every,
            done: BTreeSet::new(),
        }
    }
}

/// The legs that go with these deltas: none before the movement that it stands on.
pub(super) fn legs(
    conn: &Connection,
    (replicas, deltas): (&[Held], &[Delta]),
    without: &Without,
    now: TimeMs,
) -> Result<Brought, LedgerError> {
    let pending = leg::to_bring(conn, without.scope)?.into_iter();
    let is_left = |leg: &Leg| leg.is_returned(now) && !without.done.contains(&leg.id);
    let (mut legs, mut all) = (Vec::new(), true);
    for leg in pending.map(|kept| kept.leg).filter(is_left) {
        if legs.len() < MAX_LEGS && goes_with(conn, &leg, replicas, deltas)? {
            legs.push(leg);
        } else {
            all = false;
        }
    }
    Ok(Brought {
        section: LegsV1 {
            held: leg::held(conn)?.unwrap_or(0),
            list: legs.iter().map(LegV1::of).collect(),
            all,
        },
        legs,
    })
}

/// Whether the hub has the movement that a leg stands on, or gets it in this request. (One that is not here is another
/// machine's.)
fn goes_with(
    conn: &Connection,
    leg: &Leg,
    replicas: &[Held],
    deltas: &[Delta],
) -> Result<bool, LedgerError> {
    let Some(movement) = leg.shop.movement() else {
        return Ok(true);
    };
    let is_known = |dot: &Dot| {
        let of_dot = replicas.iter().find(|held| held.id == dot.replica);
        let acked = of_dot.map_or(Seq(0), |held| held.acked);
        let mut brought = deltas.iter().filter(|delta| delta.replica == dot.replica);
        dot.seq <= acked || brought.any(|delta| dot.seq <= delta.last_seq())
    };
    let dots = dots(conn, movement)?;
    Ok(dots.is_empty() || dots.iter().any(is_known))
}

fn dots(conn: &Connection, movement: MovementId) -> Result<Vec<Dot>, LedgerError> {
    let mut query = conn.prepare_cached(DOTS)?;
    let dots = query.query_map([movement.0], |row| {
        Ok(Dot {
            replica: ReplicaId(row.get(0)?),
            seq: Seq(uint(row.get(1)?)),
        })
    })?;
    Ok(dots.collect::<rusqlite::Result<_>>()?)
}

/// What an answer changed of the legs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LegsTaken {
    /// Legs of which the hub told something, or which it took.
    pub(crate) moved: u64,
    /// Legs that the shop spoke of by itself thereupon.
    pub(crate) said: u64,
}

/// Joins what an answer brings, behind everything else that it brings, and answers what no person need answer. `sent` are
/// the legs that the request carried, where the answer speaks of them; none of this where the hub keeps no holds.
pub(super) fn take(
    conn: &Connection,
    (answer, shop, via): (&Answer, &ShopId, Via),
    sent: &[Leg],
    mut touched: Touched,
    now: TimeMs,
) -> Result<Option<LegsTaken>, LedgerError> {
    let Some(given) = &answer.legs else {
        return Ok(None);
    };
    leg::enter_life(conn, now)?;
    let mut taken = LegsTaken::default();
    if given.taken {
        for leg in sent {
            taken.moved += u64::from(leg::acknowledged(conn, leg)?);
        }
    }
    for given in &given.list {
        let given = given.read(shop)?;
        if leg::join(conn, &given, now)? {
            taken.moved += 1;
            if let Touched::Some(barcodes) = &mut touched {
                barcodes.insert(given.terms.barcode.clone());
            }
        }
    }
    if via == Via::Line {
        // A stick may begin anywhere.
        leg::hold_upto(conn, given.upto)?;
    }
    taken.said = promise::react(conn, &touched, now)?;
    Ok(Some(taken))
}
