//! Does about a hold what its legs ask for, all of it in one transaction.

use rusqlite::params;
use vitrina_shared::hold::{self, Act, Facts, Known, WorkKind};
use vitrina_shared::{HoldId, LegId, ShopId, TimeMs};

use super::destination;
use super::facts;
use super::hand::Hand;
use super::offer::{self, Search};
use super::row::{self, Stored};
use crate::store::{StoreError, shops};

const SET_DUE: &str = "UPDATE hold SET due = ?2 WHERE id = ?1 AND due IS NOT ?2";
const SET_REJECTED: &str = "UPDATE hold SET rejected = ?2 WHERE id = ?1";

/// Every moment is before it.
const EVER: TimeMs = TimeMs(i64::MAX);

/// Legs as the decisions take them.
pub(super) fn known(legs: &[Stored]) -> Vec<Known<'_>> {
    legs.iter()
        .map(|stored| (&stored.leg, stored.facts()))
        .collect::<Vec<(_, Facts)>>()
}

/// Does what a hold asks for until it asks for nothing.
pub(super) fn settle(hand: &mut Hand<'_, '_>, id: HoldId) -> Result<(), StoreError> {
    let to = destination::of_hold(hand.txn.conn, id)?;
    let is_stock = to.as_ref().is_some_and(|to| to.is_stock);
    loop {
        let legs = row::of_hold(hand.txn.conn, id)?;
        let mut has_written = false;
        for act in hold::settle(&known(&legs)) {
            match act {
                Act::Write { leg, state } => {
                    hand.write_hub(leg, state)?;
                    has_written = true;
                }
                // Of what head office moves nobody is told that it came, and no other shop is asked for it.
                Act::OpenNext { .. }
                | Act::Raise {
                    kind: WorkKind::PutBack | WorkKind::TravelsUnwanted,
                    ..
                } if is_stock => {}
                Act::Raise { leg, kind } => hand.raise(leg, kind)?,
                Act::OpenNext { after } => has_written |= open_next(hand, after)?,
                Act::OpenDestination { from } => has_written |= open_destination(hand, from)?,
            }
        }
        if is_stock && !has_written {
            has_written = destination::let_go_what_came(hand, to.as_ref(), &legs)?;
        }
        if !has_written {
            return set_due(hand, id, &legs);
        }
    }
}

/// When the clock has to look at the hold: when all of it that could be let go is over.
fn set_due(hand: &Hand<'_, '_>, id: HoldId, legs: &[Stored]) -> Result<(), StoreError> {
    let live = hold::expire(&known(legs), EVER);
    let of_live = legs.iter().filter(|stored| live.contains(&stored.leg.id));
    let due = of_live.map(|stored| stored.leg.hub.expires_at.0).max();
    hand.txn
        .conn
        .prepare_cached(SET_DUE)?
        .execute(params![id.0, due])?;
    Ok(())
}

/// Opens a leg at the best other shop; whether there is one. Why each other one was not taken is kept.
pub(super) fn open_next(hand: &mut Hand<'_, '_>, after: LegId) -> Result<bool, StoreError> {
    let stored = row::the(hand.txn.conn, after)?;
    let terms = &stored.leg.terms;
    let search = Search::of(hand, terms, None)?;
    let choice = search.choose();
    let rejected = offer::written(&choice.rejected);
    let Some(best) = choice.best else {
        hand.txn
            .conn
            .prepare_cached(SET_REJECTED)?
            .execute(params![terms.hold.0, rejected])?;
        return Ok(false);
    };
    let place = search.place(best)?;
    let until = stored.leg.hub.expires_at;
    hand.open(
        terms,
        (&place, best.barcode.clone()),
        None,
        until,
        Some(rejected),
    )?;
    Ok(true)
}

/// Opens the leg of the shop to which a piece travels, once that shop has told what it keeps.
fn open_destination(hand: &mut Hand<'_, '_>, from: LegId) -> Result<bool, StoreError> {
    let stored = row::the(hand.txn.conn, from)?;
    let Some(moved) = stored.leg.shop.movement() else {
        return Ok(false);
    };
    let found = facts::movement(hand.txn.conn, &stored, moved)?;
    let to: Option<ShopId> = found.and_then(|(_, movement)| movement.details().to?.parse().ok());
    let Some(to) = to else {
        return Ok(false);
    };
    let Some(row) = shops::find(hand.txn.conn, &to)? else {
        return Ok(false);
    };
    let place = hand.shop(row.index)?;
    if !place.has_returned {
        return Ok(false);
    }
    let (terms, until) = (&stored.leg.terms, stored.leg.hub.expires_at);
    hand.open(
        terms,
        (&place, terms.barcode.clone()),
        Some(from),
        until,
        None,
    )?;
    Ok(true)
}
