//! The merge: a delta's movements and the rows they move, in one transaction, in key order.

use std::collections::{BTreeMap, HashMap};

use rusqlite::params;
use vitrina_shared::{Barcode, TimeMs, planted};

use super::aside::{self, Aside};
use super::log::{self, CHAIN_EVERY, Log};
use super::sqlite::Txn;
use super::totals::{self, Joiner, Numbers, Part};
use super::{StoreError, shops, voids};
use crate::change::Change;
use crate::merge::{Incoming, Row};

const ADD_MOVEMENT: &str = "INSERT INTO movement (replica, seq, barcode, prev, counts, body, chain) VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6)";
const ADD_HISTORY: &str = "INSERT INTO history (pos, shop, replica, first_seq, count, received_at, restated) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// What a merge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Merged {
    /// Rows whose sender says another total than the movements give. The movements are right.
    pub(super) repairs: u64,
}

/// Levels that this transaction may change, as they were before.
#[derive(Default)]
pub(super) struct Touched(BTreeMap<i64, Option<Numbers>>);

impl Touched {
    /// Remembers a level before its first change.
    pub(super) fn touch(
        &mut self,
        txn: &Txn<'_>,
        shop: u32,
        barcode: i64,
    ) -> Result<(), StoreError> {
        if let std::collections::btree_map::Entry::Vacant(place) = self.0.entry(barcode) {
            let parts = totals::parts(txn.conn, shop, barcode)?;
            place.insert(totals::numbers(
                &parts,
                totals::correction(txn.conn, shop, barcode)?,
            ));
        }
        Ok(())
    }

    /// Gives every level that did change its new position, and tells readers.
    pub(super) fn publish(
        self,
        txn: &mut Txn<'_>,
        shop: u32,
        names: &HashMap<i64, Barcode>,
    ) -> Result<(), StoreError> {
        let asides = aside::of_shop(txn.conn, shop)?;
        for (barcode, before) in self.0 {
            let parts = totals::parts(txn.conn, shop, barcode)?;
            let after = totals::numbers(&parts, totals::correction(txn.conn, shop, barcode)?);
            if after == before {
                continue;
            }
            // A level whose last row is gone was wrong from its beginning: readers hear that there is nothing.
            let numbers = after.unwrap_or_default();
            let pos = txn.next_pos();
            if let Some(part) = parts.first() {
                totals::set_pos(txn, shop, barcode, part, pos)?;
            }
            let name = match names.get(&barcode) {
                Some(name) => name.clone(),
                None => super::sqlite::barcode_text(txn.conn, barcode)?,
            };
            let aside = asides.get(&barcode).copied().unwrap_or_default();
            let level = totals::level(shop, name, (&numbers, aside), txn.now, pos);
            txn.change(Change::Level(level));
        }
        Ok(())
    }
}

/// What is the same for all rows of one delta.
struct Merge<'a> {
    log: &'a Log,
    base: u64,
    /// No total of the shop was written before: nothing needs to be looked up.
    is_first: bool,
    /// The shop has movements that do not count.
    is_corrected: bool,
    /// Voids may follow: positions are given at the end.
    is_decided_later: bool,
    /// What is held of the shop's barcodes, and on its way to it.
    asides: HashMap<i64, Aside>,
}

/// Appends the movements of `incoming`, which follow the log's head, and moves their rows with them. The caller knows
/// that the log is the shop's and that its index of ids, where it needs one, is complete.
pub(super) fn merge(
    txn: &mut Txn<'_>,
    log: &mut Log,
    incoming: &Incoming,
) -> Result<Merged, StoreError> {
    let flags = shops::flags(txn.conn, log.shop)?;
    let is_first = log.head.seq.0 == 0
        && log::of_shop(txn.conn, log.shop)?
            .iter()
            .all(|log| log.head.seq.0 == 0);
    let count = incoming.entries.len() as u64;
    let history = txn.take_positions(count);
    let context = Merge {
        log,
        base: incoming.base.seq.0,
        is_first,
        is_corrected: flags.corrected,
        is_decided_later: flags.indexed == shops::INDEXED || incoming.rows.decides_others,
        asides: aside::of_shop(txn.conn, log.shop)?,
    };
    let mut ids = Vec::with_capacity(incoming.rows.list.len());
    for row in &incoming.rows.list {
        ids.push(txn.barcode_id(row.barcode.as_str())?);
    }
    let mut touched = Touched::default();
    let (last_before, repairs) = write_rows(txn, &context, incoming, &ids, &mut touched)?;
    write_movements(txn, &context, incoming, &ids, last_before)?;
    add_history(txn, log, history, (incoming.base.seq.0 + 1, count), false)?;
    let is_decided_later = context.is_decided_later;
    log::set_head(txn.conn, log, incoming.head())?;
    if is_decided_later {
        voids::apply(txn, log, incoming, &ids, &mut touched)?;
        let names = ids
            .iter()
            .copied()
            .zip(incoming.rows.list.iter().map(|row| row.barcode.clone()))
            .collect();
        touched.publish(txn, log.shop, &names)?;
    }
    Ok(Merged { repairs })
}

/// Remembers in which order movements were merged, or that the state of one changed.
pub(super) fn add_history(
    txn: &Txn<'_>,
    log: &Log,
    pos: u64,
    (first, count): (u64, u64),
    restated: bool,
) -> Result<(), StoreError> {
    txn.conn.prepare_cached(ADD_HISTORY)?.execute(params![
        pos.cast_signed(),
        log.shop,
        log.id,
        first.cast_signed(),
        count.cast_signed(),
        txn.now.0,
        restated
    ])?;
    Ok(())
}

/// Writes the rows in key order, a level at a time; returns the last movement of each row before.
fn write_rows(
    txn: &mut Txn<'_>,
    merge: &Merge<'_>,
    incoming: &Incoming,
    ids: &[i64],
    touched: &mut Touched,
) -> Result<(Vec<u64>, u64), StoreError> {
    let mut last_in = vec![0_u64; ids.len()];
    for (slot, seq) in incoming.rows.slots.iter().zip(merge.base + 1..) {
        if let Some(last) = last_in.get_mut(*slot) {
            *last = seq;
        }
    }
    let rows = &incoming.rows.list;
    let key = |place: &usize| Some((*ids.get(*place)?, rows.get(*place)?.condition.number()));
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_unstable_by_key(key);
    let mut last_before = vec![0_u64; ids.len()];
    let mut repairs = 0;
    let mut joiner = Joiner::new(txn.conn)?;
    for level in order.chunk_by(|a, b| key(a).map(|k| k.0) == key(b).map(|k| k.0)) {
        let Some(barcode) = level.first().and_then(|place| ids.get(*place)) else {
            continue;
        };
        let rows = level
            .iter()
            .filter_map(|place| Some((*place, rows.get(*place)?, *last_in.get(*place)?)));
        let written = write_level(txn, merge, *barcode, rows, (&mut joiner, touched))?;
        repairs += written.repairs;
        for (place, last) in written.last_before {
            if let Some(slot) = last_before.get_mut(place) {
                *slot = last;
            }
        }
    }
    Ok((last_before, repairs))
}

#[derive(Default)]
struct WrittenLevel {
    /// At most one for each condition.
    last_before: Vec<(usize, u64)>,
    repairs: u64,
}

/// Moves the rows of one barcode, and the level with them.
fn write_level<'r>(
    txn: &mut Txn<'_>,
    merge: &Merge<'_>,
    barcode: i64,
    rows: impl Iterator<Item = (usize, &'r Row, u64)>,
    (joiner, touched): (&mut Joiner<'_>, &mut Touched),
) -> Result<WrittenLevel, StoreError> {
    let shop = merge.log.shop;
    if merge.is_decided_later {
        touched.touch(txn, shop, barcode)?;
    }
    let mut parts = if merge.is_first && merge.base == 0 {
        Vec::new()
    } else {
        totals::parts(txn.conn, shop, barcode)?
    };
    let correction = if merge.is_corrected {
        totals::correction(txn.conn, shop, barcode)?
    } else {
        [0; 2]
    };
    let before = totals::numbers(&parts, correction);
    let newest = parts.iter().map(|part| (part.pos, part.updated_at)).max();
    let mut written = WrittenLevel::default();
    let mut changed: Vec<usize> = Vec::with_capacity(2);
    let mut name = None;
    for (place, row, last) in rows {
        let condition = row.condition.number();
        let found = parts
            .iter()
            .position(|part| part.condition == condition && part.replica == merge.log.id);
        let at = found.unwrap_or_else(|| {
            parts.push(Part {
                condition,
                replica: merge.log.id,
                ..Part::default()
            });
            parts.len() - 1
        });
        let Some(part) = parts.get_mut(at) else {
            continue;
        };
        written.last_before.push((place, part.last));
        written.repairs += u64::from(!move_part(part, row, last)?);
        changed.push(at);
        name = Some(&row.barcode);
    }
    let after = totals::numbers(&parts, correction);
    let (pos, updated_at) = match newest {
        Some(newest) if merge.is_decided_later || after == before => newest,
        _ if merge.is_decided_later => (0, txn.now.0),
        _ => (txn.next_pos(), txn.now.0),
    };
    for at in changed {
        if let Some(part) = parts.get_mut(at) {
            (part.pos, part.updated_at) = (pos, updated_at);
            joiner.join(shop, barcode, part)?;
        }
    }
    if let (false, Some(numbers), Some(name)) =
        (merge.is_decided_later || after == before, after, name)
    {
        txn.change(Change::Level(totals::level(
            shop,
            name.clone(),
            (
                &numbers,
                merge.asides.get(&barcode).copied().unwrap_or_default(),
            ),
            TimeMs(updated_at),
            pos,
        )));
    }
    Ok(written)
}

/// Moves one row; false when its sender says another total. What he says is never taken.
fn move_part(part: &mut Part, row: &Row, last: u64) -> Result<bool, StoreError> {
    let add = |a: u64, b: u64| {
        a.checked_add(b)
            .filter(|sum| i64::try_from(*sum).is_ok())
            .ok_or(StoreError::Overflow)
    };
    part.total.p = add(part.total.p, row.sum.p)?;
    part.total.n = add(part.total.n, row.sum.n)?;
    if let Some(claimed) = row.claimed.filter(|_| planted::is("hub_believes_a_row")) {
        part.total = claimed;
    }
    part.last = last;
    if let Some(said) = row.said.after(part.said.as_ref()) {
        part.said = Some(said);
    }
    Ok(row.claimed.is_none_or(|claimed| claimed == part.total))
}

/// Writes the movements in the order of the log, each with the one before it on its row.
fn write_movements(
    txn: &Txn<'_>,
    merge: &Merge<'_>,
    incoming: &Incoming,
    ids: &[i64],
    mut last: Vec<u64>,
) -> Result<(), StoreError> {
    let mut statement = txn.conn.prepare_cached(ADD_MOVEMENT)?;
    let chained = incoming.entries.iter().zip(&incoming.chains);
    for (((entry, chain), slot), seq) in chained.zip(&incoming.rows.slots).zip(merge.base + 1..) {
        let (Some(barcode), Some(last)) = (ids.get(*slot), last.get_mut(*slot)) else {
            return Err(StoreError::Damaged("a delta's rows are not its movements'"));
        };
        let prev = std::mem::replace(last, seq);
        let kept_chain = (seq % CHAIN_EVERY == 0).then_some(&chain.0[..]);
        statement.execute(params![
            merge.log.id,
            seq.cast_signed(),
            barcode,
            prev.cast_signed(),
            &*entry.bytes,
            kept_chain
        ])?;
    }
    Ok(())
}
