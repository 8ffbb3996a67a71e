//! What an exchange brings of legs, joined after its movements; and what its movements mean for the legs that are there.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};
use vitrina_shared::hold::{self, Leg, ShopSide, WorkKind};
use vitrina_shared::movement::Kind;
use vitrina_shared::wire::positions_hash;
use vitrina_shared::{HoldId, MovementId, Seq};

use super::hand::Hand;
use super::row::{self, Stored};
use super::settle::settle;
use super::{add_return, facts};
use crate::change::ShopRow;
use crate::merge::Incoming;
use crate::store::sqlite::{Txn, find_barcode};
use crate::store::{StoreError, log, totals};

const HAS_LEGS: &str = "SELECT EXISTS (SELECT 1 FROM leg WHERE shop = ?1)";
const SET_MOVED: &str = "UPDATE leg SET moved = 1 WHERE shop = ?1 AND barcode = ?2 AND hub = 0 AND side = 2 AND held > 0 AND moved = 0";
const MOVED: &str = "SELECT DISTINCT barcode FROM leg WHERE shop = ?1 AND moved = 1";
const CLEAR_MOVED: &str = "UPDATE leg SET moved = 0 WHERE shop = ?1 AND moved = 1";
const CLEAR_UNCHECKED: &str = "UPDATE leg SET unchecked = NULL WHERE id = ?1";
const IS_ANYTHING_TO_CHECK: &str = "SELECT EXISTS (SELECT 1 FROM leg WHERE shop = ?1 AND unchecked IS NOT NULL) \
    OR EXISTS (SELECT 1 FROM leg WHERE shop = ?1 AND moved = 1)";
const THAT_LEFT: &str = "SELECT DISTINCT l.hold FROM leg AS l WHERE l.hub = 0 AND l.side = 3 \
    AND NOT EXISTS (SELECT 1 FROM leg AS n WHERE n.hold = l.hold AND n.comes_from = l.id)";

/// What an exchange brings of legs.
#[derive(Clone, Debug, Default)]
pub(crate) struct BroughtLegs {
    /// Legs of the exchange's shop.
    pub(crate) list: Vec<Leg>,
    /// With these the hub has all that the shop returns to the life that the shop names.
    pub(crate) all: bool,
    /// The shop names the life that the hub is in.
    pub(crate) life: Option<(u64, [u8; 16])>,
    /// The hash of the shop's positions.
    pub(crate) hash: [u8; 32],
}

/// Reads what the movements that were merged mean for the shop's legs, and joins those that it brings; none where one of
/// its deltas was refused, because a leg may stand on what it refused.
pub(in crate::store) fn receive(
    txn: &mut Txn<'_>,
    shop: &ShopRow,
    merged: &[Incoming],
    brought: Option<BroughtLegs>,
) -> Result<(), StoreError> {
    let has_legs: bool = txn
        .conn
        .prepare_cached(HAS_LEGS)?
        .query_row([shop.index], |row| row.get(0))?;
    if brought.is_none() && !has_legs {
        return Ok(());
    }
    let mut hand = Hand::new(txn)?;
    if has_legs && !merged.is_empty() {
        hear_movements(&mut hand, shop, merged)?;
    }
    let mut others = BTreeSet::new();
    if let Some(brought) = brought {
        join(&mut hand, shop, &brought.list)?;
        let own = crate::store::lives::current(hand.txn.conn)?;
        let is_of_life = own.is_some_and(|own| brought.life == Some((own.ordinal, own.random)));
        if is_of_life && brought.all {
            others = returned(&mut hand, shop)?;
        }
        if has_everything(hand.txn.conn, shop, brought.hash)? {
            hold_against_stock(&mut hand, shop)?;
        }
    }
    for id in hand.holds().union(&others) {
        settle(&mut hand, *id)?;
    }
    hand.finish()
}

/// The shop has returned all its legs: what waits for that goes on.
fn returned(hand: &mut Hand<'_, '_>, shop: &ShopRow) -> Result<BTreeSet<HoldId>, StoreError> {
    if !add_return(hand.txn.conn, shop.index, hand.life, hand.now().0)? {
        return Ok(BTreeSet::new());
    }
    // A hub that goes back behind this is in another history.
    hand.txn.next_pos();
    let mut statement = hand.txn.conn.prepare_cached(THAT_LEFT)?;
    let rows = statement.query_map([], |row| Ok(HoldId(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Movements were merged: those that legs stand on may count now, or not any more.
fn hear_movements(
    hand: &mut Hand<'_, '_>,
    shop: &ShopRow,
    merged: &[Incoming],
) -> Result<(), StoreError> {
    let mut watched = row::watched(hand.txn.conn, shop.index)?;
    if !watched.is_empty() {
        let mut barcodes = BTreeSet::new();
        for name in merged.iter().flat_map(|delta| &delta.rows.list) {
            barcodes.extend(find_barcode(hand.txn.conn, name.barcode.as_str())?);
        }
        watched.retain(|stored| barcodes.contains(&stored.barcode));
        for stored in &mut watched {
            look_again(hand, stored)?;
            set_moved(hand.txn.conn, stored)?;
        }
    }
    let has_voids = merged.iter().any(|delta| delta.rows.has_voids);
    for target in merged.iter().filter(|_| has_voids).flat_map(voided) {
        for mut stored in row::of_movement(hand.txn.conn, target)? {
            look_again(hand, &mut stored)?;
            set_moved(hand.txn.conn, &stored)?;
        }
    }
    Ok(())
}

fn voided(delta: &Incoming) -> impl Iterator<Item = MovementId> + '_ {
    let voids = delta.entries.iter().map(|entry| &entry.movement);
    voids
        .filter(|movement| movement.kind == Kind::Void)
        .filter_map(|movement| movement.target)
}

fn look_again(hand: &mut Hand<'_, '_>, stored: &mut Stored) -> Result<(), StoreError> {
    if facts::look(hand.txn.conn, stored)? {
        hand.keep(stored)?;
    }
    Ok(())
}

/// What is promised of the leg's barcode is to be held against the stock.
fn set_moved(conn: &Connection, stored: &Stored) -> Result<(), StoreError> {
    conn.prepare_cached(SET_MOVED)?
        .execute(params![stored.shop, stored.barcode])?;
    Ok(())
}

/// Joins what the shop says of its legs.
fn join(hand: &mut Hand<'_, '_>, shop: &ShopRow, legs: &[Leg]) -> Result<(), StoreError> {
    for leg in legs {
        let before = row::find(hand.txn.conn, leg.id)?;
        if before
            .as_ref()
            .is_some_and(|known| known.shop != shop.index)
        {
            return Err(StoreError::ForeignLeg);
        }
        let is_new = before.is_none();
        let (mut stored, is_news) = match before {
            None => {
                hand.add_hold(leg.terms.hold, None)?;
                (hand.add(leg.clone(), shop.index, None)?, true)
            }
            Some(mut known) => {
                let joined = known.leg.join(leg);
                if joined == known.leg {
                    continue;
                }
                let is_news = joined.shop != known.leg.shop;
                known.leg = joined;
                facts::look(hand.txn.conn, &mut known)?;
                hand.put(&mut known)?;
                (known, is_news)
            }
        };
        if is_news && matches!(stored.leg.shop, ShopSide::Confirmed { .. }) {
            stored.unchecked = Some(stored.pos);
            hand.keep(&mut stored)?;
        }
        if is_new {
            set_moved(hand.txn.conn, &stored)?;
        }
    }
    Ok(())
}

/// Whether everything that the shop has booked is merged. It is asked only where that matters.
fn has_everything(conn: &Connection, shop: &ShopRow, hash: [u8; 32]) -> Result<bool, StoreError> {
    let is_anything: bool = conn
        .prepare_cached(IS_ANYTHING_TO_CHECK)?
        .query_row([shop.index], |row| row.get(0))?;
    if !is_anything {
        return Ok(false);
    }
    let logs = log::of_shop(conn, shop.index)?;
    let heads = logs.iter().map(|log| (log.name, log.head));
    let own = positions_hash(heads.filter(|(_, head)| head.seq > Seq(0)));
    Ok(own == hash)
}

/// Everything that the shop booked is merged: what is promised is held against what is there.
fn hold_against_stock(hand: &mut Hand<'_, '_>, shop: &ShopRow) -> Result<(), StoreError> {
    let mut later = row::unchecked(hand.txn.conn, shop.index)?;
    while let Some(first) = later.first() {
        let mut stored = row::the(hand.txn.conn, first.leg.id)?;
        let without: Vec<_> = later.iter().map(|one| one.leg.id).collect();
        let all = row::that_hold(hand.txn.conn, stored.shop, stored.barcode)?;
        let others = all.iter().filter(|one| !without.contains(&one.leg.id));
        let before = promised(others);
        let sellable = sellable(hand.txn.conn, &stored)?;
        stored.unchecked = None;
        if hold::is_second(&stored.leg, stored.facts(), sellable, before) {
            let at = hand.now();
            stored.leg.shop = stored.leg.shop.join(ShopSide::Broken { at });
            hand.put(&mut stored)?;
        } else {
            hand.txn
                .conn
                .prepare_cached(CLEAR_UNCHECKED)?
                .execute([stored.leg.id.0])?;
            // The sale over it may have come before it.
            set_moved(hand.txn.conn, &stored)?;
        }
        later.remove(0);
    }
    for barcode in moved(hand.txn.conn, shop.index)? {
        look_for_a_sale_over(hand, shop.index, barcode)?;
    }
    let mut clear = hand.txn.conn.prepare_cached(CLEAR_MOVED)?;
    clear.execute([shop.index])?;
    Ok(())
}

/// Where more of a barcode is promised than is there, a till has sold what was kept: a person says whose it was.
fn look_for_a_sale_over(
    hand: &mut Hand<'_, '_>,
    shop: u32,
    barcode: i64,
) -> Result<(), StoreError> {
    let all = row::that_hold(hand.txn.conn, shop, barcode)?;
    let Some(any) = all.first() else {
        return Ok(());
    };
    let legs: Vec<_> = all.iter().map(|one| (&one.leg, one.facts())).collect();
    for id in hold::sold_over(sellable(hand.txn.conn, any)?, &legs) {
        hand.raise(id, WorkKind::SoldOverHold)?;
    }
    Ok(())
}

fn moved(conn: &Connection, shop: u32) -> Result<Vec<i64>, StoreError> {
    let mut statement = conn.prepare_cached(MOVED)?;
    let rows = statement.query_map([shop], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether what is promised of a barcode is there.
pub(super) fn is_covered(conn: &Connection, shop: u32, barcode: i64) -> Result<bool, StoreError> {
    let all = row::that_hold(conn, shop, barcode)?;
    let Some(any) = all.first() else {
        return Ok(true);
    };
    Ok(promised(all.iter()) <= sellable(conn, any)?.max(0))
}

/// The units that the shop has said yes to.
fn promised<'a>(legs: impl Iterator<Item = &'a Stored>) -> i64 {
    let answered = legs.filter(|stored| stored.leg.shop != ShopSide::None);
    answered.map(|stored| stored.held).sum()
}

/// What can be sold of the leg's barcode.
fn sellable(conn: &Connection, stored: &Stored) -> Result<i64, StoreError> {
    let (shop, barcode) = (stored.shop, stored.barcode);
    let parts = totals::parts(conn, shop, barcode)?;
    let numbers = totals::numbers(&parts, totals::correction(conn, shop, barcode)?);
    Ok(numbers.map_or(0, |numbers| {
        numbers.on_hand.saturating_sub(numbers.unavailable)
    }))
}
