//! The rows of totals, and the levels that they make.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use vitrina_shared::{Barcode, Condition, Details, Money, TimeMs, Total, planted};

use super::StoreError;
use super::aside::{self, Aside};
use super::log::Log;
use super::sqlite::{Txn, find_barcode};
use crate::change::{Change, LevelRow, Words};
use crate::merge::Stored;

const OF_LEVEL: &str = "SELECT condition, replica, p, n, last, pos, updated_at, words, words_at \
    FROM total WHERE shop = ?1 AND barcode = ?2";
const OF_REPLICA: &str =
    "SELECT p, n FROM total WHERE shop = ?1 AND barcode = ?2 AND condition = ?3 AND replica = ?4";
// The join: both numbers only grow, and a repeat writes nothing.
const JOIN: &str = "INSERT INTO total (shop, barcode, condition, replica, p, n, last, pos, updated_at, words, words_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
    ON CONFLICT (shop, barcode, condition, replica) DO UPDATE SET p = max(p, excluded.p), n = max(n, excluded.n), \
    last = excluded.last, pos = excluded.pos, updated_at = excluded.updated_at, words = excluded.words, \
    words_at = excluded.words_at WHERE excluded.last > last";
const SET_POS: &str = "UPDATE total SET pos = ?5, updated_at = ?6 \
    WHERE shop = ?1 AND barcode = ?2 AND condition = ?3 AND replica = ?4";
const CORRECTION: &str = "SELECT condition, units FROM correction WHERE shop = ?1 AND barcode = ?2";
const CORRECT: &str = "INSERT INTO correction (shop, barcode, condition, units) VALUES (?1, ?2, ?3, ?4) \
    ON CONFLICT (shop, barcode, condition) DO UPDATE SET units = units + excluded.units";
const BARCODES_OF: &str = "SELECT DISTINCT t.barcode, b.text FROM total AS t JOIN barcode AS b ON b.id = t.barcode \
    WHERE t.shop = ?1 AND t.barcode > ?2 ORDER BY t.barcode LIMIT ?3";
const SHOPS_OF: &str = "SELECT id FROM shop WHERE ?1 IS NULL OR id = ?1";

/// One row of totals: a replica's part of a level.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) condition: u8,
    pub(super) replica: i64,
    pub(super) total: Total,
    pub(super) last: u64,
    pub(super) pos: u64,
    pub(super) updated_at: i64,
    pub(super) said: Option<Stored>,
}

/// What readers see of a level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) on_hand: i64,
    pub(super) unavailable: i64,
    /// Price and words as the shop's files say them.
    pub(super) said: Option<Vec<u8>>,
}

/// Units to be taken from each condition.
pub(super) type Correction = [i64; 2];

/// What a row of the table says.
pub(super) fn stored(words: Option<Vec<u8>>, at: Option<i64>) -> Option<Stored> {
    words.map(|bytes| Stored { bytes, at })
}

/// Every part of a level.
pub(super) fn parts(conn: &Connection, shop: u32, barcode: i64) -> Result<Vec<Part>, StoreError> {
    let mut statement = conn.prepare_cached(OF_LEVEL)?;
    let rows = statement.query_map(params![shop, barcode], |row| {
        Ok(Part {
            condition: row.get(0)?,
            replica: row.get(1)?,
            total: Total {
                p: row.get::<_, i64>(2)?.cast_unsigned(),
                n: row.get::<_, i64>(3)?.cast_unsigned(),
            },
            last: row.get::<_, i64>(4)?.cast_unsigned(),
            pos: row.get::<_, i64>(5)?.cast_unsigned(),
            updated_at: row.get(6)?,
            said: stored(row.get(7)?, row.get(8)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What the movements that do not count add up to.
pub(super) fn correction(
    conn: &Connection,
    shop: u32,
    barcode: i64,
) -> Result<Correction, StoreError> {
    let mut correction = [0; 2];
    let mut statement = conn.prepare_cached(CORRECTION)?;
    let mut rows = statement.query(params![shop, barcode])?;
    while let Some(row) = rows.next()? {
        if let Some(units) = correction.get_mut(usize::from(row.get::<_, u8>(0)?)) {
            *units = row.get(1)?;
        }
    }
    Ok(correction)
}

/// Takes so many more units of movements that do not count.
pub(super) fn correct(
    conn: &Connection,
    shop: u32,
    barcode: i64,
    condition: Condition,
    units: i64,
) -> Result<(), StoreError> {
    conn.prepare_cached(CORRECT)?
        .execute(params![shop, barcode, condition.number(), units])?;
    Ok(())
}

/// The numbers of a level; `None` where the shop never had the piece.
pub(super) fn numbers(parts: &[Part], correction: Correction) -> Option<Numbers> {
    let mut sums = [0_i64; 2];
    for part in parts {
        if let Some(sum) = sums.get_mut(usize::from(part.condition)) {
            *sum = sum.saturating_add(part.total.balance());
        }
    }
    let [sellable, unavailable] = [0, 1].map(|i: usize| {
        sums.get(i)
            .copied()
            .unwrap_or(0)
            .saturating_sub(correction.get(i).copied().unwrap_or(0))
    });
    // Of one time those of the greater row, so that all agree.
    let mut speaking: Vec<_> = parts
        .iter()
        .filter_map(|part| Some((part.said.as_ref()?, part.replica, part.condition)))
        .collect();
    speaking.sort_unstable_by_key(|(said, replica, condition)| (said.at, *replica, *condition));
    let said = Stored::overlay(speaking.into_iter().map(|(said, ..)| said)).map(|said| said.bytes);
    (!parts.is_empty()).then(|| Numbers {
        on_hand: if planted::is("hub_clamps_at_zero") {
            sellable.saturating_add(unavailable).max(0)
        } else {
            sellable.saturating_add(unavailable)
        },
        unavailable,
        said,
    })
}

/// Joins rows, one after the other.
pub(super) struct Joiner<'c>(CachedStatement<'c>);

impl<'c> Joiner<'c> {
    pub(super) fn new(conn: &'c Connection) -> Result<Self, StoreError> {
        Ok(Self(conn.prepare_cached(JOIN)?))
    }

    /// Joins one row.
    pub(super) fn join(&mut self, shop: u32, barcode: i64, part: &Part) -> Result<(), StoreError> {
        self.0.execute(params![
            shop,
            barcode,
            part.condition,
            part.replica,
            part.total.p.cast_signed(),
            part.total.n.cast_signed(),
            part.last.cast_signed(),
            part.pos.cast_signed(),
            part.updated_at,
            part.said.as_ref().map(|said| &said.bytes),
            part.said.as_ref().and_then(|said| said.at),
        ])?;
        Ok(())
    }
}

/// Gives a level a new feed position: it changed.
pub(super) fn set_pos(
    txn: &Txn<'_>,
    shop: u32,
    barcode: i64,
    part: &Part,
    pos: u64,
) -> Result<(), StoreError> {
    txn.conn.prepare_cached(SET_POS)?.execute(params![
        shop,
        barcode,
        part.condition,
        part.replica,
        pos.cast_signed(),
        txn.now.0
    ])?;
    Ok(())
}

/// A replica's total of a row.
pub(super) fn of_replica(
    conn: &Connection,
    log: &Log,
    barcode: &Barcode,
    condition: Condition,
) -> Result<Total, StoreError> {
    let Some(barcode) = find_barcode(conn, barcode.as_str())? else {
        return Ok(Total::default());
    };
    let total = conn
        .prepare_cached(OF_REPLICA)?
        .query_row(
            params![log.shop, barcode, condition.number(), log.id],
            |row| {
                Ok(Total {
                    p: row.get::<_, i64>(0)?.cast_unsigned(),
                    n: row.get::<_, i64>(1)?.cast_unsigned(),
                })
            },
        )
        .optional()?;
    Ok(total.unwrap_or_default())
}

/// A level as readers get it.
pub(super) fn level(
    shop: u32,
    barcode: Barcode,
    (numbers, aside): (&Numbers, Aside),
    updated_at: TimeMs,
    pos: u64,
) -> LevelRow {
    let (price, words) = said(numbers.said.as_deref());
    LevelRow {
        shop,
        barcode,
        on_hand: numbers.on_hand,
        unavailable: numbers.unavailable,
        held: aside.held,
        in_transit: aside.in_transit,
        price,
        words,
        updated_at,
        pos,
    }
}

fn said(bytes: Option<&[u8]>) -> (Option<Money>, Option<Arc<Words>>) {
    let Some(bytes) = bytes else {
        return (None, None);
    };
    let details = Details::read(bytes);
    let words = (details.words != Words::default()).then(|| Arc::new(details.words));
    (details.price, words)
}

/// The level of a barcode at a shop as it stands; `None` where the shop never had the piece.
pub(super) fn current(
    conn: &Connection,
    shop: u32,
    barcode: i64,
    name: &Barcode,
) -> Result<Option<LevelRow>, StoreError> {
    let parts = parts(conn, shop, barcode)?;
    let newest = parts.iter().map(|part| (part.pos, part.updated_at)).max();
    let Some((pos, updated_at)) = newest else {
        return Ok(None);
    };
    let Some(numbers) = numbers(&parts, correction(conn, shop, barcode)?) else {
        return Ok(None);
    };
    let numbers = (&numbers, aside::of(conn, shop, barcode)?);
    let level = level(shop, name.clone(), numbers, TimeMs(updated_at), pos);
    Ok(Some(level))
}

/// Gives a level a new position, because another number of it is held or on its way, and tells readers. A shop that never had the
/// piece has no level.
pub(super) fn publish(txn: &mut Txn<'_>, shop: u32, barcode: i64) -> Result<(), StoreError> {
    let parts = parts(txn.conn, shop, barcode)?;
    let Some(part) = parts.iter().max_by_key(|part| part.pos) else {
        return Ok(());
    };
    let pos = txn.next_pos();
    set_pos(txn, shop, barcode, part, pos)?;
    let name = super::sqlite::barcode_text(txn.conn, barcode)?;
    if let Some(level) = current(txn.conn, shop, barcode, &name)? {
        txn.change(Change::Level(level));
    }
    Ok(())
}

/// Gives every level of a barcode a new position, because what the catalogue says of it or what is kept back of it changed;
/// where a shop is named, its level alone.
pub(super) fn touch_levels(
    txn: &mut Txn<'_>,
    name: &Barcode,
    shop: Option<u32>,
) -> Result<Vec<LevelRow>, StoreError> {
    let Some(barcode) = find_barcode(txn.conn, name.as_str())? else {
        return Ok(Vec::new());
    };
    let shops: Vec<u32> = {
        let mut statement = txn.conn.prepare_cached(SHOPS_OF)?;
        statement
            .query_map([shop], |row| row.get(0))?
            .collect::<Result<_, _>>()?
    };
    let mut levels = Vec::new();
    for shop in shops {
        levels.extend(touch_level(txn, shop, barcode, name)?);
    }
    Ok(levels)
}

/// Gives every level of a shop a new position, because readers see the shop again.
pub(super) fn touch_shop(txn: &mut Txn<'_>, shop: u32) -> Result<Vec<LevelRow>, StoreError> {
    Ok(touch_some(txn, (shop, 0), usize::MAX)?.0)
}

/// The same for at most `most` levels behind a barcode; the last of them, where there may be more.
pub(super) fn touch_some(
    txn: &mut Txn<'_>,
    (shop, after): (u32, i64),
    most: usize,
) -> Result<(Vec<LevelRow>, Option<i64>), StoreError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let barcodes: Vec<(i64, String)> = {
        let mut statement = txn.conn.prepare_cached(BARCODES_OF)?;
        statement
            .query_map(params![shop, after, limit], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<_, _>>()?
    };
    let last = barcodes.last().map(|(barcode, _)| *barcode);
    let last = last.filter(|_| barcodes.len() == most);
    let mut levels = Vec::with_capacity(barcodes.len());
    for (barcode, name) in barcodes {
        let name =
            Barcode::from_key(&name).map_err(|_| StoreError::Damaged("a barcode is none"))?;
        levels.extend(touch_level(txn, shop, barcode, &name)?);
    }
    Ok((levels, last))
}

/// Gives one level a new position. The quantity did not change, so neither does when it last did.
fn touch_level(
    txn: &Txn<'_>,
    shop: u32,
    barcode: i64,
    name: &Barcode,
) -> Result<Option<LevelRow>, StoreError> {
    let parts = parts(txn.conn, shop, barcode)?;
    let Some(part) = parts.into_iter().max_by_key(|part| part.pos) else {
        return Ok(None);
    };
    let pos = txn.next_pos();
    txn.conn.prepare_cached(SET_POS)?.execute(params![
        shop,
        barcode,
        part.condition,
        part.replica,
        pos.cast_signed(),
        part.updated_at
    ])?;
    current(txn.conn, shop, barcode, name)
}
