//! Safety stock as rows, and the levels that a rule changes.
//!
//! What a rule says of a level is worked out by whoever needs it: by the view when a level changes, by the transaction that
//! grants a hold. What stands here are the rules, and which levels have yet to get a new place in the feed because of one.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::{Value, json};
use vitrina_shared::safety::{Goods, SafetyStock, Scope};
use vitrina_shared::{Barcode, ShopId, TimeMs};

use super::sqlite::Txn;
use super::{Store, StoreError, audit, shops, totals};
use crate::audit::{By, What};
use crate::change::Change;

const ALL: &str =
    "SELECT r.kind, r.goods, s.name, r.units FROM safety AS r LEFT JOIN shop AS s ON s.id = r.shop";
const LIST: &str = "SELECT r.no, r.kind, r.goods, s.name, r.units, r.set_at FROM safety AS r \
    LEFT JOIN shop AS s ON s.id = r.shop WHERE r.no > ?1 AND (?2 IS NULL OR s.name = ?2) ORDER BY r.no LIMIT ?3";
const FIND: &str = "SELECT units FROM safety WHERE kind = ?1 AND goods = ?2 AND shop = ?3";
const SET: &str = "INSERT INTO safety (kind, goods, shop, units, set_at) VALUES (?1, ?2, ?3, ?4, ?5) \
    ON CONFLICT (kind, goods, shop) DO UPDATE SET units = excluded.units, set_at = excluded.set_at";
const REMOVE: &str = "DELETE FROM safety WHERE kind = ?1 AND goods = ?2 AND shop = ?3";
const UNTOLD_OF: &str = "INSERT INTO safety_untold (shop, after) SELECT id, 0 FROM shop WHERE ?1 IN (0, id) \
    ON CONFLICT (shop) DO UPDATE SET after = 0";
const FIRST_UNTOLD: &str = "SELECT shop, after FROM safety_untold ORDER BY shop LIMIT 1";
const TOLD_UP_TO: &str = "UPDATE safety_untold SET after = ?2 WHERE shop = ?1";
const TOLD: &str = "DELETE FROM safety_untold WHERE shop = ?1";
const IS_UNTOLD: &str = "SELECT EXISTS (SELECT 1 FROM safety_untold)";

/// Who knows the barcodes of an article.
pub(super) type BarcodesOf = Box<dyn Fn(&str) -> Vec<Barcode> + Send + Sync>;

/// Stands for every shop.
const EVERYWHERE: u32 = 0;
/// So many levels get their new places in one transaction.
const AT_ONCE: usize = 1_000;

/// A rule as readers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SafetyRow {
    /// Its shop; nothing: every shop.
    pub(crate) shop: Option<ShopId>,
    /// Its article.
    pub(crate) article: Option<Box<str>>,
    /// Its barcode.
    pub(crate) barcode: Option<Barcode>,
    /// So many units of each level are kept back.
    pub(crate) units: u32,
    /// Since when.
    #[serde(serialize_with = "super::rfc3339")]
    pub(crate) set_at: TimeMs,
}

/// Rules, in the order in which they were first set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SafetyPage {
    /// The rules.
    pub(crate) rows: Vec<SafetyRow>,
    /// Go on behind this one; nothing: the end.
    pub(crate) next: Option<i64>,
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SafetySet {
    /// It says this now, and said that before.
    Is {
        /// What it said before.
        before: Option<u32>,
    },
    /// There is no such shop.
    UnknownShop,
}

/// A scope as its columns, but the shop's.
fn columns(goods: &Goods) -> (u8, &str) {
    match goods {
        Goods::All => (0, ""),
        Goods::Article(article) => (1, article),
        Goods::Barcode(barcode) => (2, barcode.as_str()),
    }
}

fn goods(kind: u8, text: &str) -> Result<Goods, StoreError> {
    Ok(match kind {
        0 => Goods::All,
        1 => Goods::Article(text.into()),
        _ => Goods::Barcode(
            Barcode::from_key(text)
                .map_err(|_| StoreError::Damaged("a rule has a barcode that is none"))?,
        ),
    })
}

fn shop_of(name: Option<String>) -> Result<Option<ShopId>, StoreError> {
    name.map(|name| name.parse())
        .transpose()
        .map_err(|_| StoreError::Damaged("a rule has a shop that is none"))
}

/// Every rule.
pub(super) fn rules(conn: &Connection) -> Result<SafetyStock, StoreError> {
    let mut rules = SafetyStock::default();
    let mut statement = conn.prepare_cached(ALL)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let scope = Scope {
            shop: shop_of(row.get(2)?)?,
            goods: goods(row.get(0)?, &row.get::<_, String>(1)?)?,
        };
        rules.set(&scope, Some(row.get(3)?));
    }
    Ok(rules)
}

/// A page of them, of one shop where it is named.
pub(super) fn list(
    conn: &Connection,
    (shop, after): (Option<&ShopId>, i64),
    limit: usize,
) -> Result<SafetyPage, StoreError> {
    let mut page = SafetyPage::default();
    let most = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut last = after;
    let mut statement = conn.prepare_cached(LIST)?;
    let mut rows = statement.query(params![after, shop.map(ShopId::as_str), most])?;
    while let Some(row) = rows.next()? {
        if page.rows.len() == limit {
            page.next = Some(last);
            break;
        }
        last = row.get(0)?;
        let (article, barcode) = match goods(row.get(1)?, &row.get::<_, String>(2)?)? {
            Goods::All => (None, None),
            Goods::Article(article) => (Some(article), None),
            Goods::Barcode(barcode) => (None, Some(barcode)),
        };
        page.rows.push(SafetyRow {
            shop: shop_of(row.get(3)?)?,
            article,
            barcode,
            units: row.get(4)?,
            set_at: TimeMs(row.get(5)?),
        });
    }
    Ok(page)
}

/// Sets a rule, or takes it away. What it changes of a barcode or an article has its new place in the feed with it; what it
/// changes of a whole shop gets it by [`tell`].
pub(super) fn set(
    txn: &mut Txn<'_>,
    by: &By,
    (scope, units): (&Scope, Option<u32>),
) -> Result<SafetySet, StoreError> {
    let index = match &scope.shop {
        None => EVERYWHERE,
        Some(shop) => match shops::find(txn.conn, shop)? {
            Some(row) => row.index,
            None => return Ok(SafetySet::UnknownShop),
        },
    };
    let (kind, text) = columns(&scope.goods);
    let before: Option<u32> = txn
        .conn
        .prepare_cached(FIND)?
        .query_row(params![kind, text, index], |row| row.get(0))
        .optional()?;
    if before == units {
        return Ok(SafetySet::Is { before });
    }
    let what = if let Some(units) = units {
        let mut statement = txn.conn.prepare_cached(SET)?;
        statement.execute(params![kind, text, index, units, txn.now.0])?;
        What::SafetySet
    } else {
        let mut statement = txn.conn.prepare_cached(REMOVE)?;
        statement.execute(params![kind, text, index])?;
        What::SafetyRemove
    };
    let shop = Some(index).filter(|index| *index != EVERYWHERE);
    audit::add(txn, by, (what, shop), &told(scope, (before, units)))?;
    // Also where no level changes: a database that goes back behind this word is another history.
    txn.next_pos();
    let rules = Arc::new(rules(txn.conn)?);
    txn.set_safety(Arc::clone(&rules));
    txn.change(Change::Safety(rules));
    match &scope.goods {
        Goods::All => {
            txn.conn.prepare_cached(UNTOLD_OF)?.execute([index])?;
        }
        Goods::Article(article) => {
            for barcode in txn.barcodes_of(article) {
                touch(txn, &barcode, shop)?;
            }
        }
        Goods::Barcode(barcode) => touch(txn, barcode, shop)?,
    }
    Ok(SafetySet::Is { before })
}

fn told(scope: &Scope, units: (Option<u32>, Option<u32>)) -> Value {
    let mut told = json!({ "units": units });
    let named = match &scope.goods {
        Goods::All => None,
        Goods::Article(article) => Some(("article", &**article)),
        Goods::Barcode(barcode) => Some(("barcode", barcode.as_str())),
    };
    if let (Some((name, text)), Some(members)) = (named, told.as_object_mut()) {
        members.insert(name.to_owned(), text.into());
    }
    told
}

/// Gives the levels of a barcode new places in the feed, in one shop or in all.
fn touch(txn: &mut Txn<'_>, barcode: &Barcode, shop: Option<u32>) -> Result<(), StoreError> {
    for level in totals::touch_levels(txn, barcode, shop)? {
        txn.change(Change::Level(level));
    }
    Ok(())
}

/// Gives more levels their new places in the feed; whether some are left.
pub(super) fn tell(txn: &mut Txn<'_>) -> Result<bool, StoreError> {
    let first: Option<(u32, i64)> = txn
        .conn
        .prepare_cached(FIRST_UNTOLD)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((shop, after)) = first else {
        return Ok(false);
    };
    let (levels, last) = totals::touch_some(txn, (shop, after), AT_ONCE)?;
    for level in levels {
        txn.change(Change::Level(level));
    }
    match last {
        Some(last) => {
            let mut statement = txn.conn.prepare_cached(TOLD_UP_TO)?;
            statement.execute(params![shop, last])?;
        }
        None => {
            txn.conn.prepare_cached(TOLD)?.execute([shop])?;
        }
    }
    is_untold(txn.conn)
}

/// Whether levels have yet to get their new places.
pub(super) fn is_untold(conn: &Connection) -> Result<bool, StoreError> {
    let is = conn
        .prepare_cached(IS_UNTOLD)?
        .query_row([], |row| row.get(0))?;
    Ok(is)
}

/// Gives single levels new places in the feed, because another number of them is kept back.
pub(super) fn retouch(txn: &mut Txn<'_>, levels: &[(u32, Barcode)]) -> Result<(), StoreError> {
    for (shop, barcode) in levels {
        touch(txn, barcode, Some(*shop))?;
    }
    Ok(())
}

impl Store {
    /// Sets a rule of safety stock; nothing takes it away. Levels of a whole shop get their new places in the feed by
    /// [`Store::tell_safety`].
    pub(crate) async fn set_safety(
        &self,
        by: By,
        scope: Scope,
        units: Option<u32>,
    ) -> Result<SafetySet, StoreError> {
        match self {
            Self::Sqlite(store) => store.write(move |txn| set(txn, &by, (&scope, units))).await,
        }
    }

    /// Gives more of the levels that a rule of a whole shop changed their new places in the feed, after everything urgent;
    /// whether some are left.
    pub(crate) async fn tell_safety(&self) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => {
                if !store.read(is_untold).await? {
                    return Ok(false);
                }
                store.write_background(tell).await
            }
        }
    }

    /// Gives single levels, by the shops' numbers, new places in the feed, because another number of them is kept back.
    pub(crate) async fn retouch(&self, levels: Vec<(u32, Barcode)>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write_background(move |txn| retouch(txn, &levels))
                    .await
            }
        }
    }

    /// Rules of safety stock in the order in which they were first set, of one shop where it is named.
    pub(crate) async fn safety(
        &self,
        shop: Option<ShopId>,
        after: i64,
        limit: usize,
    ) -> Result<SafetyPage, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .read(move |conn| list(conn, (shop.as_ref(), after), limit))
                    .await
            }
        }
    }
}
