//! The ERP's catalogue as rows: items by barcode, other codes of them, goods whose barcodes come in another file, and
//! the imports that brought them.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::json;
use vitrina_shared::registers::{Alias, Item, kind};
use vitrina_shared::{Barcode, Money, TimeMs};

use super::sqlite::Txn;
use super::words::{self, Word};
use super::{Store, StoreError, audit, registers, totals};
use crate::audit::{By, What};
use crate::change::Change;

const FIND_ALIAS: &str = "SELECT barcode FROM alias WHERE code = ?1";
const SET_ALIAS: &str = "INSERT INTO alias (code, kind, barcode) VALUES (?1, ?2, ?3) \
    ON CONFLICT (code) DO UPDATE SET kind = excluded.kind, barcode = excluded.barcode \
    WHERE barcode <> excluded.barcode OR kind <> excluded.kind";
const VARIANTS: &str = "SELECT barcode FROM alias WHERE kind = 2 AND (code = ?1 OR (code >= ?1 || '#' AND code < ?1 || '$'))";
const FIND_PRODUCT: &str = "SELECT item FROM product WHERE external_id = ?1";
const SET_PRODUCT: &str = "INSERT INTO product (external_id, item) VALUES (?1, ?2) \
    ON CONFLICT (external_id) DO UPDATE SET item = excluded.item WHERE item <> excluded.item";
const BEGIN: &str =
    "INSERT INTO import (id, name, started_at, state, report) VALUES (?1, ?2, ?3, 'running', '{}')";
const END: &str = "UPDATE import SET state = ?2, finished_at = ?3, report = ?4 WHERE id = ?1";
const ABANDON: &str = "UPDATE import SET state = 'failed', finished_at = ?1, \
    report = '{\"error\":\"the hub was stopped; import the file again\"}' WHERE state = 'running'";
const ONE: &str =
    "SELECT id, name, started_at, finished_at, state, report FROM import WHERE id = ?1";
const LATEST: &str = "SELECT id, name, started_at, finished_at, state, report FROM import ORDER BY started_at DESC LIMIT ?1";

const ALIAS: u8 = 1;
const EXTERNAL_ID: u8 = 2;

/// One thing that the ERP says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CatalogueRow {
    /// An item, by its barcodes (the first is the one it is kept under), by its ERP's id, or by both.
    Item {
        /// The barcodes in this row.
        barcodes: Vec<Barcode>,
        /// What the row says; what it does not say stays.
        says: Item,
    },
    /// Another code of a barcode.
    Alias {
        /// The code.
        code: String,
        /// The barcode.
        barcode: Barcode,
    },
    /// There are several pieces of it, whatever was said before.
    NotUnique {
        /// The barcode.
        barcode: Barcode,
    },
    /// A price, by barcode or by the ERP's id.
    Price {
        /// The barcode or the id.
        code: String,
        /// The price.
        price: Money,
    },
    /// What the classifier calls an id.
    Word(Word),
}

/// What became of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Items, aliases and goods that now say something else.
    pub(crate) changed: u64,
    /// Codes that nobody knows.
    pub(crate) unknown: Vec<String>,
}

/// How an import ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ImportEnd {
    /// Records read.
    pub(crate) rows: u64,
    /// New words of the classifier, for groups, properties, values and price types.
    pub(crate) words: u64,
    /// Things that now say something else.
    pub(crate) changed: u64,
    /// What a person should know, at most 1,000.
    pub(crate) warnings: Vec<String>,
    /// Codes that nobody knows, at most 1,000.
    pub(crate) unknown: Vec<String>,
    /// Why it failed; nothing of the file after that place was taken.
    pub(crate) error: Option<String>,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ImportRow {
    /// Its name for ever.
    pub(crate) id: String,
    /// The file.
    pub(crate) name: String,
    /// When it began.
    #[serde(serialize_with = "super::rfc3339")]
    pub(crate) started_at: TimeMs,
    /// When it ended.
    #[serde(serialize_with = "rfc3339_or_null")]
    pub(crate) finished_at: Option<TimeMs>,
    /// `running`, `done` or `failed`.
    pub(crate) state: String,
    /// What became of it.
    #[serde(flatten)]
    pub(crate) end: ImportEnd,
}

#[expect(clippy::ref_option, reason = "serde hands the field over so")]
fn rfc3339_or_null<S: serde::Serializer>(
    at: &Option<TimeMs>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => super::rfc3339(at, serializer),
        None => serializer.serialize_none(),
    }
}

/// Writes rows in their order.
pub(super) fn write(txn: &mut Txn<'_>, rows: Vec<CatalogueRow>) -> Result<Written, StoreError> {
    let mut written = Written::default();
    for row in rows {
        match row {
            CatalogueRow::Item { barcodes, says } => {
                write_item(txn, &barcodes, &says, &mut written)?;
            }
            CatalogueRow::Alias { code, barcode } => {
                write_alias(txn, &code, ALIAS, &barcode, &mut written)?;
            }
            CatalogueRow::NotUnique { barcode } => {
                if let Some(known) = item(txn.conn, &barcode)?.filter(|item| item.unique) {
                    let new = Item {
                        unique: false,
                        ..known
                    };
                    set_item(txn, &barcode, &new, &mut written)?;
                }
            }
            CatalogueRow::Price { code, price } => {
                let says = Item {
                    price: Some(price),
                    ..Item::default()
                };
                match barcode_of(txn.conn, &code)? {
                    Some(barcode) => change_item(txn, &barcode, &says, &mut written)?,
                    // Goods whose barcodes are still to come keep it for them.
                    None if product(txn.conn, &code)?.is_some() => {
                        write_product(
                            txn,
                            &Item {
                                external_id: Some(code),
                                ..says
                            },
                            &mut written,
                        )?;
                    }
                    None => written.unknown.push(code),
                }
            }
            CatalogueRow::Word(word) => {
                written.changed += u64::from(words::set(txn, &word)?);
            }
        }
    }
    Ok(written)
}

fn write_item(
    txn: &mut Txn<'_>,
    barcodes: &[Barcode],
    says: &Item,
    written: &mut Written,
) -> Result<(), StoreError> {
    let known = match &says.external_id {
        Some(id) => alias(txn.conn, id)?,
        None => None,
    };
    let Some(barcode) = barcodes.first().cloned().or(known) else {
        return write_product(txn, says, written);
    };
    let mut says = says.clone();
    if let Some(id) = &says.external_id {
        write_alias(txn, id, EXTERNAL_ID, &barcode, written)?;
        // What the goods' own record says of every variant; the variant's words win.
        let goods = id.split('#').next().unwrap_or(id);
        let general = product(txn.conn, goods)?.unwrap_or_default();
        let own = if goods == id {
            None
        } else {
            product(txn.conn, id)?
        };
        let before = own.map_or_else(|| general.clone(), |own| merged(&general, &own));
        says = merged(
            &Item {
                external_id: None,
                ..before
            },
            &says,
        );
    }
    for other in barcodes.iter().skip(1) {
        write_alias(txn, other.as_str(), ALIAS, &barcode, written)?;
    }
    change_item(txn, &barcode, &says, written)
}

/// Goods without a barcode: kept for their variants, and told to those that are there already.
fn write_product(txn: &mut Txn<'_>, says: &Item, written: &mut Written) -> Result<(), StoreError> {
    let Some(id) = &says.external_id else {
        return Ok(());
    };
    let stored = product(txn.conn, id)?.unwrap_or_default();
    let json = to_json(&merged(&stored, says))?;
    if txn
        .conn
        .prepare_cached(SET_PRODUCT)?
        .execute(params![id, json])?
        == 0
    {
        return Ok(());
    }
    written.changed += 1;
    let variants: Vec<String> = {
        let mut statement = txn.conn.prepare_cached(VARIANTS)?;
        statement
            .query_map([id], |row| row.get(0))?
            .collect::<Result<_, _>>()?
    };
    for variant in variants {
        let variant = barcode(&variant)?;
        let own = item(txn.conn, &variant)?.unwrap_or_default();
        let general = Item {
            external_id: None,
            price: None,
            ..says.clone()
        };
        let price = own.price.or(says.price);
        // The general words change what was general; what the variant says for itself (size, stone) stays.
        let mut both = merged(
            &own,
            &Item {
                attributes: BTreeMap::new(),
                ..general.clone()
            },
        );
        for (name, value) in general.attributes {
            both.attributes.entry(name).or_insert(value);
        }
        both.price = price;
        set_item(txn, &variant, &both, written)?;
    }
    Ok(())
}

fn write_alias(
    txn: &mut Txn<'_>,
    code: &str,
    kind_of: u8,
    barcode: &Barcode,
    written: &mut Written,
) -> Result<(), StoreError> {
    if code.is_empty() || code == barcode.as_str() {
        return Ok(());
    }
    if txn
        .conn
        .prepare_cached(SET_ALIAS)?
        .execute(params![code, kind_of, barcode.as_str()])?
        == 0
    {
        return Ok(());
    }
    written.changed += 1;
    if kind_of == ALIAS {
        registers::put(
            txn,
            kind::ALIAS,
            code,
            &to_json(&Alias {
                barcode: barcode.to_string(),
            })?,
        )?;
    }
    txn.change(Change::Alias {
        alias: code.to_owned(),
        barcode: Some(barcode.clone()),
    });
    Ok(())
}

fn change_item(
    txn: &mut Txn<'_>,
    barcode: &Barcode,
    says: &Item,
    written: &mut Written,
) -> Result<(), StoreError> {
    let stored = item(txn.conn, barcode)?;
    let new = merged(&stored.clone().unwrap_or_default(), says);
    if stored.as_ref() == Some(&new) {
        Ok(())
    } else {
        set_item(txn, barcode, &new, written)
    }
}

fn set_item(
    txn: &mut Txn<'_>,
    barcode: &Barcode,
    new: &Item,
    written: &mut Written,
) -> Result<(), StoreError> {
    if !registers::put(txn, kind::ITEM, barcode.as_str(), &to_json(new)?)? {
        return Ok(());
    }
    written.changed += 1;
    txn.change(Change::Item {
        barcode: barcode.clone(),
        item: Some(new.clone()),
    });
    for level in totals::touch_levels(txn, barcode, None)? {
        txn.change(Change::Level(level));
    }
    Ok(())
}

/// What is said now over what was said before.
fn merged(before: &Item, says: &Item) -> Item {
    let mut attributes = before.attributes.clone();
    attributes.extend(says.attributes.clone());
    Item {
        article: says.article.clone().or_else(|| before.article.clone()),
        name: says.name.clone().or_else(|| before.name.clone()),
        attributes,
        price: says.price.or(before.price),
        external_id: says
            .external_id
            .clone()
            .or_else(|| before.external_id.clone()),
        unique: says.unique || before.unique,
    }
}

fn item(conn: &Connection, barcode: &Barcode) -> Result<Option<Item>, StoreError> {
    match registers::get(conn, kind::ITEM, barcode.as_str())? {
        Some(text) if !text.is_empty() => Ok(Some(from_json(&text)?)),
        _ => Ok(None),
    }
}

fn product(conn: &Connection, external_id: &str) -> Result<Option<Item>, StoreError> {
    let text: Option<String> = conn
        .prepare_cached(FIND_PRODUCT)?
        .query_row([external_id], |row| row.get(0))
        .optional()?;
    text.map(|text| from_json(&text)).transpose()
}

fn alias(conn: &Connection, code: &str) -> Result<Option<Barcode>, StoreError> {
    let text: Option<String> = conn
        .prepare_cached(FIND_ALIAS)?
        .query_row([code], |row| row.get(0))
        .optional()?;
    text.map(|text| barcode(&text)).transpose()
}

/// The barcode that a code means: another code of it, or itself where it is one that an item or a movement has.
fn barcode_of(conn: &Connection, code: &str) -> Result<Option<Barcode>, StoreError> {
    if let Some(barcode) = alias(conn, code)? {
        return Ok(Some(barcode));
    }
    let Ok(own) = code.parse::<Barcode>() else {
        return Ok(None);
    };
    let is_known =
        item(conn, &own)?.is_some() || super::sqlite::find_barcode(conn, own.as_str())?.is_some();
    Ok(is_known.then_some(own))
}

fn barcode(text: &str) -> Result<Barcode, StoreError> {
    Barcode::from_key(text).map_err(|_| StoreError::Damaged("an alias has a barcode that is none"))
}

fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|_| StoreError::Damaged("a value cannot be written as JSON"))
}

fn from_json(text: &str) -> Result<Item, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged("an item cannot be read"))
}

/// An import begins.
pub(super) fn begin(txn: &Txn<'_>, id: &str, name: &str) -> Result<(), StoreError> {
    txn.conn
        .prepare_cached(BEGIN)?
        .execute(params![id, name, txn.now.0])?;
    Ok(())
}

/// It ended.
pub(super) fn end(txn: &Txn<'_>, by: &By, (id, end): (&str, &ImportEnd)) -> Result<(), StoreError> {
    let state = if end.error.is_some() {
        "failed"
    } else {
        "done"
    };
    txn.conn
        .prepare_cached(END)?
        .execute(params![id, state, txn.now.0, to_json(end)?])?;
    let name = import(txn.conn, id)?.map(|import| import.name);
    let detail = json!({ "file": name, "state": state, "rows": end.rows, "changed": end.changed });
    audit::add(txn, by, (What::Import, None), &detail)
}

/// Imports that a stop cut off are failed ones.
pub(super) fn abandon(txn: &Txn<'_>) -> Result<(), StoreError> {
    txn.conn.prepare_cached(ABANDON)?.execute([txn.now.0])?;
    Ok(())
}

fn import_row(row: &Row<'_>) -> Result<ImportRow, StoreError> {
    let report: String = row.get(5)?;
    Ok(ImportRow {
        id: row.get(0)?,
        name: row.get(1)?,
        started_at: TimeMs(row.get(2)?),
        finished_at: row.get::<_, Option<i64>>(3)?.map(TimeMs),
        state: row.get(4)?,
        end: serde_json::from_str(&report)
            .map_err(|_| StoreError::Damaged("an import cannot be read"))?,
    })
}

/// One import.
pub(super) fn import(conn: &Connection, id: &str) -> Result<Option<ImportRow>, StoreError> {
    let mut statement = conn.prepare_cached(ONE)?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(import_row).transpose()
}

/// The latest imports first.
pub(super) fn imports(conn: &Connection, limit: usize) -> Result<Vec<ImportRow>, StoreError> {
    let mut statement = conn.prepare_cached(LATEST)?;
    let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut imports = Vec::new();
    while let Some(row) = rows.next()? {
        imports.push(import_row(row)?);
    }
    Ok(imports)
}

impl Store {
    /// Writes a part of the ERP's catalogue in one transaction, after everything urgent. What it says already is not
    /// written again.
    pub(crate) async fn write_catalogue(
        &self,
        rows: Vec<CatalogueRow>,
    ) -> Result<Written, StoreError> {
        match self {
            Self::Sqlite(store) => store.write_background(move |txn| write(txn, rows)).await,
        }
    }

    /// An import begins.
    pub(crate) async fn begin_import(&self, id: String, name: String) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.write(move |txn| begin(txn, &id, &name)).await,
        }
    }

    /// It ended.
    pub(crate) async fn end_import(
        &self,
        by: By,
        id: String,
        ended: ImportEnd,
    ) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.write(move |txn| end(txn, &by, (&id, &ended))).await,
        }
    }

    /// Imports that a stop cut off are failed ones.
    pub(crate) async fn abandon_imports(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.write(|txn| abandon(txn)).await,
        }
    }

    /// One import.
    pub(crate) async fn import(&self, id: String) -> Result<Option<ImportRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| import(conn, &id)).await,
        }
    }

    /// The latest imports first.
    pub(crate) async fn imports(&self, limit: usize) -> Result<Vec<ImportRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| imports(conn, limit)).await,
        }
    }
}
