//! Everything the view holds, read at start.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;
use vitrina_shared::registers::{Item, kind};
use vitrina_shared::{Barcode, TimeMs, Total};

use super::totals::{self, Correction, Part};
use super::{StoreError, aside, heard, registers, safety, shops};
use crate::change::{Change, LevelRow};

const COMMITS: &str = "SELECT pos, tag FROM feed_commit ORDER BY pos";
const ALIASES: &str = "SELECT code, barcode FROM alias";
const CORRECTIONS: &str = "SELECT shop, barcode, condition, units FROM correction";
const TOTALS: &str = "SELECT t.shop, b.text, t.barcode, t.condition, t.replica, t.p, t.n, t.pos, t.updated_at, t.words, t.words_at \
    FROM total AS t JOIN barcode AS b ON b.id = t.barcode ORDER BY t.shop, t.barcode, t.condition, t.replica";

/// The ends and the tags of the commits that are kept, ascending.
pub(super) fn commits(conn: &Connection) -> Result<Vec<(u64, u64)>, StoreError> {
    let mut statement = conn.prepare_cached(COMMITS)?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, i64>(0)?.cast_unsigned(),
            row.get::<_, i64>(1)?.cast_unsigned(),
        ))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The rules of safety stock, shops, what was heard of them, items, aliases, then the levels in the order of their positions.
pub(super) fn load(conn: &Connection, into: &mut dyn FnMut(Change)) -> Result<(), StoreError> {
    into(Change::Safety(Arc::new(safety::rules(conn)?)));
    for shop in shops::all(conn)? {
        let (heard, status) = heard::of(conn, &shop)?;
        let index = shop.index;
        into(Change::Shop(shop));
        into(Change::Heard {
            shop: index,
            heard,
            status,
        });
    }
    registers::of_kind(conn, kind::ITEM, &mut |key, value| {
        let barcode = Barcode::from_key(key)
            .map_err(|_| StoreError::Damaged("an item has a barcode that is none"))?;
        let item: Item = serde_json::from_str(value)
            .map_err(|_| StoreError::Damaged("an item cannot be read"))?;
        into(Change::Item {
            barcode,
            item: Some(item),
        });
        Ok(())
    })?;
    let mut statement = conn.prepare(ALIASES)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let barcode: String = row.get(1)?;
        let barcode = Barcode::from_key(&barcode)
            .map_err(|_| StoreError::Damaged("an alias has a barcode that is none"))?;
        into(Change::Alias {
            alias: row.get(0)?,
            barcode: Some(barcode),
        });
    }
    let mut levels = levels(conn)?;
    levels.sort_unstable_by_key(|level| level.pos);
    for level in levels {
        into(Change::Level(level));
    }
    Ok(())
}

/// Every level, in the order of the table.
pub(super) fn levels(conn: &Connection) -> Result<Vec<LevelRow>, StoreError> {
    let corrections = corrections(conn)?;
    let asides = aside::everywhere(conn)?;
    let mut levels = Vec::new();
    let mut parts: Vec<Part> = Vec::new();
    let mut open: Option<(u32, i64, Barcode)> = None;
    let mut close = |key: Option<(u32, i64, Barcode)>, parts: &mut Vec<Part>| {
        let Some((shop, barcode, name)) = key else {
            return;
        };
        let correction = corrections
            .get(&(shop, barcode))
            .copied()
            .unwrap_or_default();
        let newest = parts.iter().map(|part| (part.pos, part.updated_at)).max();
        if let (Some((pos, at)), Some(numbers)) = (newest, totals::numbers(parts, correction)) {
            let aside = asides.get(&(shop, barcode)).copied().unwrap_or_default();
            levels.push(totals::level(
                shop,
                name,
                (&numbers, aside),
                TimeMs(at),
                pos,
            ));
        }
        parts.clear();
    };
    let mut statement = conn.prepare(TOTALS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (shop, barcode): (u32, i64) = (row.get(0)?, row.get(2)?);
        if open
            .as_ref()
            .is_none_or(|open| (open.0, open.1) != (shop, barcode))
        {
            let text = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
            let name =
                Barcode::from_key(text).map_err(|_| StoreError::Damaged("a barcode is none"))?;
            close(open.replace((shop, barcode, name)), &mut parts);
        }
        parts.push(Part {
            condition: row.get(3)?,
            replica: row.get(4)?,
            total: Total {
                p: row.get::<_, i64>(5)?.cast_unsigned(),
                n: row.get::<_, i64>(6)?.cast_unsigned(),
            },
            last: 0,
            pos: row.get::<_, i64>(7)?.cast_unsigned(),
            updated_at: row.get(8)?,
            said: totals::stored(row.get(9)?, row.get(10)?),
        });
    }
    close(open, &mut parts);
    Ok(levels)
}

fn corrections(conn: &Connection) -> Result<HashMap<(u32, i64), Correction>, StoreError> {
    let mut corrections: HashMap<(u32, i64), Correction> = HashMap::new();
    let mut statement = conn.prepare(CORRECTIONS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let correction = corrections.entry((row.get(0)?, row.get(1)?)).or_default();
        if let Some(units) = correction.get_mut(usize::from(row.get::<_, u8>(2)?)) {
            *units = row.get(3)?;
        }
    }
    Ok(corrections)
}
