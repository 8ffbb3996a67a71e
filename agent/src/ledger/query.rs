//! What people and tills look up.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use vitrina_shared::stock::Level;
use vitrina_shared::{
    Barcode, Condition, Details, Kind, Money, MovementId, ReplicaId, Seq, TimeMs,
};

use super::log::{self, barcode};
use super::{LedgerError, promise, register, uint};

const OWN: &str = "SELECT DISTINCT barcode FROM total WHERE barcode > ?1 ORDER BY barcode LIMIT ?2";
const HAS_ROW: &str = "SELECT 1 FROM total WHERE barcode = ?1 LIMIT 1";
const WORDS: &str = "SELECT rest FROM words WHERE barcode = ?1";
const SALES: &str =
    "SELECT m.body, m.id, r.id, m.seq, m.counts FROM movement m JOIN replica r ON r.no = m.replica
    WHERE m.kind IN (2, 3) AND m.at >= ?1 ORDER BY m.at DESC LIMIT ?2";

const BELOW_ZERO: &str = "SELECT barcode, sum(units) FROM (
    SELECT barcode, p - n AS units FROM total UNION ALL SELECT barcode, -units FROM voided)
    GROUP BY barcode HAVING sum(units) < 0 ORDER BY barcode";

/// How many of them are named.
const BELOW_ZERO_NAMED: usize = 5;

/// Barcodes of which more went than there was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BelowZero {
    /// How many there are.
    pub(crate) count: u64,
    /// The first of them with their units.
    pub(crate) first: Vec<(String, i64)>,
}

/// A barcode with its numbers and words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StockRow {
    /// The barcode.
    pub(crate) barcode: Barcode,
    /// Its numbers in this shop.
    pub(crate) level: Level,
    /// The model.
    pub(crate) article: Option<String>,
    /// The name.
    pub(crate) name: Option<String>,
    /// Size, stone, metal and whatever is known.
    pub(crate) attributes: BTreeMap<String, String>,
    /// The price.
    pub(crate) price: Option<Money>,
    /// Whether the shop ever had it.
    pub(crate) had: bool,
}

/// A sale or return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SaleRow {
    /// Its identity.
    pub(crate) id: MovementId,
    /// Whose log it is in.
    pub(crate) replica: ReplicaId,
    /// The place there.
    pub(crate) seq: Seq,
    /// Sale or return.
    pub(crate) kind: Kind,
    /// What it counts for.
    pub(crate) barcode: Barcode,
    /// The code as scanned.
    pub(crate) scanned: Barcode,
    /// Sellable or not.
    pub(crate) condition: Condition,
    /// Signed units.
    pub(crate) qty: i64,
    /// When.
    pub(crate) at: TimeMs,
    /// Where it comes from.
    pub(crate) key: vitrina_shared::Key,
    /// What else was said.
    pub(crate) details: Details,
    /// Whether it counts.
    pub(crate) counts: bool,
}

/// Where the numbers cannot be what is in the shop; reads all rows.
pub(crate) fn below_zero(conn: &Connection) -> Result<BelowZero, LedgerError> {
    let mut found = BelowZero::default();
    let mut query = conn.prepare_cached(BELOW_ZERO)?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for row in rows {
        let row = row?;
        found.count += 1;
        if found.first.len() < BELOW_ZERO_NAMED {
            found.first.push(row);
        }
    }
    Ok(found)
}

/// The shop's rows after a barcode, in order.
pub(crate) fn stock(
    conn: &Connection,
    after: &str,
    limit: usize,
) -> Result<Vec<StockRow>, LedgerError> {
    let mut query = conn.prepare_cached(OWN)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let texts: Vec<String> = query
        .query_map(params![after, limit], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    texts
        .iter()
        .map(|text| row(conn, &barcode(text)?))
        .collect()
}

/// A barcode (resolved) as the shop knows it; none when neither the shop nor the catalogue ever heard of it.
pub(crate) fn stock_one(
    conn: &Connection,
    barcode: &Barcode,
) -> Result<Option<StockRow>, LedgerError> {
    let row = row(conn, barcode)?;
    let is_known = row.had
        || row.article.is_some()
        || row.name.is_some()
        || row.price.is_some()
        || register::item(conn, barcode)?.is_some();
    Ok(Some(row).filter(|_| is_known))
}

fn row(conn: &Connection, barcode: &Barcode) -> Result<StockRow, LedgerError> {
    let item = register::item(conn, barcode)?.unwrap_or_default();
    let rest: Option<Vec<u8>> = conn
        .prepare_cached(WORDS)?
        .query_row([barcode.as_str()], |row| row.get(0))
        .optional()?;
    let own = Details::read(&rest.unwrap_or_default());
    let words = own.words;
    let mut attributes = item.attributes;
    for (name, word) in [
        ("size", words.size),
        ("stone", words.stone),
        ("metal", words.metal),
        ("fineness", words.fineness),
        ("weight", words.weight),
    ] {
        if let Some(word) = word {
            attributes
                .entry(name.to_owned())
                .or_insert_with(|| word.into());
        }
    }
    Ok(StockRow {
        level: promise::level(conn, barcode)?,
        article: item.article.or(words.article.map(Into::into)),
        name: item.name.or(words.name.map(Into::into)),
        attributes,
        price: item.price.or(own.price),
        had: conn
            .prepare_cached(HAS_ROW)?
            .query_row([barcode.as_str()], |_| Ok(()))
            .optional()?
            .is_some(),
        barcode: barcode.clone(),
    })
}

/// Sales and returns not before `since`, the latest first.
pub(crate) fn sales(
    conn: &Connection,
    since: Option<TimeMs>,
    limit: usize,
) -> Result<Vec<SaleRow>, LedgerError> {
    let mut query = conn.prepare_cached(SALES)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(
        params![since.map_or(i64::MIN, |at| at.0), limit],
        |row: &Row<'_>| {
            let body: Vec<u8> = row.get(0)?;
            let (id, replica) = (MovementId(row.get(1)?), ReplicaId(row.get(2)?));
            Ok((
                body,
                id,
                replica,
                Seq(uint(row.get(3)?)),
                row.get::<_, bool>(4)?,
            ))
        },
    )?;
    rows.map(|row| {
        let (body, id, replica, seq, counts) = row?;
        let movement = log::entry(&body)?.movement;
        Ok(SaleRow {
            id,
            replica,
            seq,
            kind: movement.kind,
            scanned: movement.scanned_text().clone(),
            condition: movement.condition,
            qty: movement.qty.units(),
            at: movement.at,
            details: movement.details(),
            key: movement.key,
            barcode: movement.barcode,
            counts,
        })
    })
    .collect()
}
