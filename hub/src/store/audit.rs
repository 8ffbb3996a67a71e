//! The audit list: appended to in the transaction of what it tells, and never changed.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;
use vitrina_shared::{ShopId, TimeMs};

use super::sqlite::Txn;
use super::{StoreError, lives};
use crate::audit::{AuditChecked, AuditFilter, AuditRow, By, What};

const ADD: &str = "INSERT INTO audit (n, at, life, by, what, shop, detail) \
    VALUES ((SELECT coalesce(max(n), 0) + 1 FROM audit), ?1, ?2, ?3, ?4, ?5, ?6)";
const LIST: &str = "SELECT n, at, life, by, what, (SELECT name FROM shop WHERE id = audit.shop), detail FROM audit \
    WHERE n < ?1 AND at >= ?2 ORDER BY n DESC LIMIT ?3";
const OF_SHOP: &str = "SELECT n, at, life, by, what, (SELECT name FROM shop WHERE id = audit.shop), detail FROM audit \
    WHERE n < ?1 AND at >= ?2 AND shop = (SELECT id FROM shop WHERE name = ?4) ORDER BY n DESC LIMIT ?3";
const WALK: &str = "SELECT n, at, life, json_valid(detail), shop IS NULL OR EXISTS (SELECT 1 FROM shop WHERE id = audit.shop), \
    EXISTS (SELECT 1 FROM hub_life WHERE ordinal = audit.life) FROM audit ORDER BY n";
const FIRST: &str = "SELECT at FROM audit ORDER BY n LIMIT 1";
const GUARDS: &str = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit' \
    AND name IN ('audit_is_appended', 'audit_stays', 'audit_is_kept')";
/// What must have left a record, because it did not come before the first one. What came in the same millisecond
/// has its record too: a hub older than this list was stopped and started anew before the first record.
const UNTOLD: [(&str, &str); 3] = [
    (
        "a key without a record",
        "SELECT name FROM api_key WHERE created_at >= ?1 AND NOT EXISTS \
        (SELECT 1 FROM audit WHERE what = 'key_add' AND detail ->> '$.key' = api_key.name)",
    ),
    (
        "a shop without a record",
        "SELECT name FROM shop WHERE added_at >= ?1 AND NOT EXISTS \
        (SELECT 1 FROM audit WHERE what IN ('shop_add', 'shop_found') AND shop = shop.id)",
    ),
    (
        "a life of the hub without a record",
        "SELECT CAST (ordinal AS TEXT) FROM hub_life WHERE began_at >= ?1 AND NOT EXISTS \
        (SELECT 1 FROM audit WHERE what = 'life' AND life = hub_life.ordinal)",
    ),
];

/// A clock may be set back so far without a word.
const CLOCK_MS: i64 = 10 * 60_000;
/// Problems that are listed.
const MAX_PROBLEMS: usize = 100;

/// Appends a record.
pub(super) fn add(
    txn: &Txn<'_>,
    by: &By,
    (what, shop): (What, Option<u32>),
    detail: &Value,
) -> Result<(), StoreError> {
    let life = lives::current(txn.conn)?.map_or(0, |life| life.ordinal);
    txn.conn.prepare_cached(ADD)?.execute(params![
        txn.now.0,
        life.cast_signed(),
        by.to_string(),
        what.word(),
        shop,
        detail.to_string()
    ])?;
    Ok(())
}

fn record(row: &Row<'_>) -> Result<AuditRow, StoreError> {
    let detail: String = row.get(6)?;
    let shop: Option<String> = row.get(5)?;
    Ok(AuditRow {
        n: row.get::<_, i64>(0)?.cast_unsigned(),
        at: TimeMs(row.get(1)?),
        life: row.get::<_, i64>(2)?.cast_unsigned(),
        by: row.get(3)?,
        what: row.get(4)?,
        shop: shop.and_then(|shop| shop.parse().ok()),
        // What is no JSON any more is shown as the text it is, and found by `audit verify`.
        detail: serde_json::from_str(&detail).unwrap_or(Value::String(detail)),
    })
}

/// The records that are asked for, the latest first.
pub(super) fn list(conn: &Connection, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
    let before = filter
        .before
        .map_or(i64::MAX, |n| i64::try_from(n).unwrap_or(i64::MAX));
    let since = filter.since.map_or(i64::MIN, |since| since.0);
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let mut rows = Vec::new();
    let shop = filter.shop.as_ref().map(ShopId::as_str);
    let mut statement = conn.prepare_cached(if shop.is_some() { OF_SHOP } else { LIST })?;
    let mut found = match shop {
        Some(shop) => statement.query(params![before, since, limit, shop])?,
        None => statement.query(params![before, since, limit])?,
    };
    while let Some(row) = found.next()? {
        rows.push(record(row)?);
    }
    Ok(rows)
}

/// Looks whether the list is whole: its numbers, its times, what it refers to, what must be in it, and its guards.
pub(super) fn verify(conn: &Connection, now: TimeMs) -> Result<AuditChecked, StoreError> {
    let mut checked = AuditChecked::default();
    let mut at_before = i64::MIN;
    let mut statement = conn.prepare_cached(WALK)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (n, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        let mut wrong = |code, text: String| {
            if checked.problems.len() < MAX_PROBLEMS {
                checked.problems.push((code, text));
            }
        };
        let expected = checked.records.cast_signed() + 1;
        if n != expected {
            wrong("hole", format!("record {expected} is missing"));
        }
        if at < at_before.saturating_sub(CLOCK_MS) {
            let text =
                "is older than the one before: the clock was set back, or the list was edited";
            wrong("time", format!("record {n} {text}"));
        }
        if at > now.0.saturating_add(CLOCK_MS) {
            wrong("time", format!("record {n} is of the future"));
        }
        if !row.get::<_, bool>(3)? {
            wrong("detail", format!("what record {n} tells cannot be read"));
        }
        if !row.get::<_, bool>(4)? {
            wrong("reference", format!("the shop of record {n} is gone"));
        }
        if !row.get::<_, bool>(5)? {
            wrong("reference", format!("the life of record {n} is gone"));
        }
        (at_before, checked.records) = (at, n.cast_unsigned());
    }
    drop(rows);
    untold(conn, &mut checked)?;
    if conn
        .prepare_cached(GUARDS)?
        .query_row([], |row| row.get::<_, i64>(0))?
        != 3
    {
        let text = "the triggers that keep the list from being edited are gone".to_owned();
        checked.problems.push(("guard", text));
    }
    Ok(checked)
}

fn untold(conn: &Connection, checked: &mut AuditChecked) -> Result<(), StoreError> {
    let first: Option<i64> = conn
        .prepare_cached(FIRST)?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(first) = first else { return Ok(()) };
    for (what, query) in UNTOLD {
        let mut statement = conn.prepare_cached(query)?;
        let mut rows = statement.query([first])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            checked.problems.push(("untold", format!("{what}: {name}")));
        }
    }
    Ok(())
}
