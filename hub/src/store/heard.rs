//! When shops were heard from, what they said of themselves, and what people at the hub decided for them.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;
use vitrina_host::sign;
use vitrina_shared::freshness::Heard;
use vitrina_shared::wire::v1::{DecisionV1, DisagreementV1, QuarantinedV1};
use vitrina_shared::{ShopId, TimeMs};

use super::sqlite::Txn;
use super::{StoreError, audit, lives, shops};
use crate::audit::{By, What};
use crate::change::{Change, ShopHealth, ShopRow};

const HEARD: &str =
    "SELECT exchange, complete, source, health FROM heard WHERE shop = ?1 AND life = ?2";
const SET_HEARD: &str = "INSERT INTO heard (shop, life, exchange, complete, source, health) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
    ON CONFLICT (shop) DO UPDATE SET life = excluded.life, exchange = excluded.exchange, complete = excluded.complete, \
    source = excluded.source, health = excluded.health";
const SET_QUARANTINED: &str = "INSERT INTO quarantine (shop, id, at, state, reason, message, file, line, record) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (shop, id) DO UPDATE SET at = excluded.at, \
    state = excluded.state, reason = excluded.reason, message = excluded.message, file = excluded.file, \
    line = excluded.line, record = excluded.record";
const QUARANTINE: &str = "SELECT shop.name, q.id, q.at, q.state, q.reason, q.message, q.file, q.line, q.record, \
    (SELECT d.kind FROM decision AS d WHERE d.shop = q.shop AND d.target = q.id) \
    FROM quarantine AS q JOIN shop ON shop.id = q.shop \
    WHERE q.state = 0 AND (?1 IS NULL OR shop.name = ?1) ORDER BY shop.name, q.at, q.id";
const QUARANTINED: &str = "SELECT shop.name, q.id, q.at, q.state, q.reason, q.message, q.file, q.line, q.record, \
    (SELECT d.kind FROM decision AS d WHERE d.shop = q.shop AND d.target = q.id) \
    FROM quarantine AS q JOIN shop ON shop.id = q.shop WHERE q.id BETWEEN ?1 AND ?2 \
    ORDER BY q.state, q.id, shop.name LIMIT 1000";
const FORGET_DISAGREEMENTS: &str = "DELETE FROM disagreement WHERE shop = ?1";
const ADD_DISAGREEMENT: &str = "INSERT OR REPLACE INTO disagreement \
    (shop, barcode, condition, stated, on_hand, at, uncertain, file) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const DISAGREEMENTS: &str = "SELECT shop.name, d.barcode, d.condition, d.stated, d.on_hand, d.at, d.uncertain, d.file \
    FROM disagreement AS d JOIN shop ON shop.id = d.shop WHERE ?1 IS NULL OR shop.name = ?1 \
    ORDER BY shop.name, d.barcode, d.condition";
const DECIDE: &str = "INSERT OR REPLACE INTO decision (shop, target, kind, made_at, sent_at) \
    SELECT q.shop, q.id, ?3, ?4, NULL FROM quarantine AS q JOIN shop ON shop.id = q.shop \
    WHERE q.id = ?1 AND q.state = 0 AND (?2 IS NULL OR shop.name = ?2)";
const OF_RECORD: &str = "SELECT shop FROM quarantine WHERE id = ?1 ORDER BY state, shop LIMIT 1";
const DECISION_IS_DONE: &str =
    "DELETE FROM decision WHERE shop = ?1 AND target = ?2 AND (?3 <> 0 OR sent_at IS NOT NULL)";
const DECISIONS: &str = "SELECT target, kind FROM decision WHERE shop = ?1 AND (sent_at IS NULL OR sent_at < ?2) LIMIT 200";
const DECISIONS_SENT: &str =
    "UPDATE decision SET sent_at = ?2 WHERE shop = ?1 AND (sent_at IS NULL OR sent_at < ?3)";

/// A decision is told again when the shop has not shown for so long that it is done.
const TELL_AGAIN_MS: i64 = 60_000;

const RETRY: u8 = 1;
const FORCE: u8 = 2;
const DROP: u8 = 3;

/// What a person decides about a record that a shop holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Try it again.
    Retry,
    /// Try it again, whatever holds it back.
    Force,
    /// Drop it.
    Drop,
}

/// A record in a shop's quarantine.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct QuarantineRow {
    /// The shop.
    pub(crate) shop: ShopId,
    /// Its name: 32 hexadecimal digits.
    pub(crate) id: String,
    /// When it was put there, by the shop's clock.
    #[serde(serialize_with = "super::rfc3339")]
    pub(crate) at: TimeMs,
    /// `open`, `booked` or `dropped`.
    pub(crate) state: &'static str,
    /// A stable code.
    pub(crate) reason: String,
    /// What a person must know.
    pub(crate) message: String,
    /// The file, where it came from one.
    pub(crate) file: Option<String>,
    /// The line in it.
    pub(crate) line: Option<i64>,
    /// The record as it came.
    pub(crate) record: String,
    /// What was decided here and is on its way to the shop.
    pub(crate) decided: Option<&'static str>,
}

/// What a shop's 1C says and its ledger says, of one barcode.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct DisagreementRow {
    /// The shop.
    pub(crate) shop: ShopId,
    /// The barcode.
    pub(crate) barcode: String,
    /// `sellable` or `unavailable`.
    pub(crate) condition: String,
    /// What the file states.
    pub(crate) stated: i64,
    /// On hand by movements up to that time.
    pub(crate) on_hand: i64,
    /// The file's time.
    #[serde(serialize_with = "super::rfc3339")]
    pub(crate) at: TimeMs,
    /// A movement lies close to that time.
    pub(crate) uncertain: bool,
    /// The file.
    pub(crate) file: String,
}

/// How fresh a shop is, as of its last exchange in this life.
pub(super) fn of(conn: &Connection, shop: &ShopRow) -> Result<(Heard, ShopHealth), StoreError> {
    let life = lives::current(conn)?.map_or(0, |life| life.ordinal.cast_signed());
    let source_every_ms = shop.settings.source_every_ms;
    let found = conn
        .prepare_cached(HEARD)?
        .query_row(params![shop.index, life], |row| {
            let at = |i| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(i)?.map(TimeMs));
            let heard = Heard {
                exchange: at(0)?,
                complete: at(1)?,
                source: at(2)?,
                source_every_ms,
            };
            Ok((heard, row.get::<_, String>(3)?))
        })
        .optional()?;
    Ok(match found {
        Some((heard, health)) => (heard, serde_json::from_str(&health).unwrap_or_default()),
        None => (
            Heard {
                source_every_ms,
                ..Heard::default()
            },
            ShopHealth::default(),
        ),
    })
}

/// The shop was heard from.
pub(super) fn set(
    txn: &mut Txn<'_>,
    shop: &ShopRow,
    heard: Heard,
    status: ShopHealth,
) -> Result<(), StoreError> {
    let life = lives::current(txn.conn)?.map_or(0, |life| life.ordinal.cast_signed());
    let health = serde_json::to_string(&status)
        .map_err(|_| StoreError::Damaged("a value cannot be written as JSON"))?;
    txn.conn.prepare_cached(SET_HEARD)?.execute(params![
        shop.index,
        life,
        heard.exchange.map_or(txn.now.0, |at| at.0),
        heard.complete.map(|at| at.0),
        heard.source.map(|at| at.0),
        health
    ])?;
    txn.change(Change::Heard {
        shop: shop.index,
        heard,
        status,
    });
    Ok(())
}

/// What a shop says of its quarantine; a decision about a record that it shows again is done.
pub(super) fn set_quarantine(
    txn: &Txn<'_>,
    shop: u32,
    records: &[QuarantinedV1],
) -> Result<(), StoreError> {
    for record in records {
        let line = record.line.map(u64::cast_signed);
        txn.conn.prepare_cached(SET_QUARANTINED)?.execute(params![
            shop,
            record.id,
            record.at,
            record.state,
            record.reason,
            record.message,
            record.file,
            line,
            record.record
        ])?;
        txn.conn.prepare_cached(DECISION_IS_DONE)?.execute(params![
            shop,
            record.id,
            record.state
        ])?;
    }
    Ok(())
}

/// The shop's whole list of disagreements.
pub(super) fn set_disagreements(
    txn: &Txn<'_>,
    shop: u32,
    list: &[DisagreementV1],
) -> Result<(), StoreError> {
    txn.conn
        .prepare_cached(FORGET_DISAGREEMENTS)?
        .execute([shop])?;
    for row in list {
        txn.conn.prepare_cached(ADD_DISAGREEMENT)?.execute(params![
            shop,
            row.barcode,
            row.condition,
            row.stated,
            row.on_hand,
            row.at,
            row.uncertain,
            row.file
        ])?;
    }
    Ok(())
}

fn record(row: &Row<'_>) -> Result<QuarantineRow, StoreError> {
    let id: [u8; 16] = row.get(1)?;
    let shop: String = row.get(0)?;
    Ok(QuarantineRow {
        shop: shop
            .parse()
            .map_err(|_| StoreError::Damaged("a shop has a name that is none"))?,
        id: vitrina_host::sign::hex(&id),
        at: TimeMs(row.get(2)?),
        state: match row.get(3)? {
            0 => "open",
            1 => "booked",
            _ => "dropped",
        },
        reason: row.get(4)?,
        message: row.get(5)?,
        file: row.get(6)?,
        line: row.get(7)?,
        record: row.get(8)?,
        decided: row.get::<_, Option<u8>>(9)?.map(|kind| match kind {
            RETRY => "retry",
            FORCE => "retry --force",
            _ => "drop",
        }),
    })
}

/// Every open record, of one shop or of all.
pub(super) fn quarantine(
    conn: &Connection,
    shop: Option<&ShopId>,
) -> Result<Vec<QuarantineRow>, StoreError> {
    let mut statement = conn.prepare_cached(QUARANTINE)?;
    let mut rows = statement.query([shop.map(ShopId::as_str)])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record(row)?);
    }
    Ok(records)
}

/// The records whose names lie in a range, the open ones first: of one name one, or the same one at several shops.
pub(super) fn quarantined(
    conn: &Connection,
    (first, last): ([u8; 16], [u8; 16]),
) -> Result<Vec<QuarantineRow>, StoreError> {
    let mut statement = conn.prepare_cached(QUARANTINED)?;
    let mut rows = statement.query([first, last])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record(row)?);
    }
    Ok(records)
}

/// Every disagreement, of one shop or of all.
pub(super) fn disagreements(
    conn: &Connection,
    shop: Option<&ShopId>,
) -> Result<Vec<DisagreementRow>, StoreError> {
    let mut statement = conn.prepare_cached(DISAGREEMENTS)?;
    let mut rows = statement.query([shop.map(ShopId::as_str)])?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        let shop: String = row.get(0)?;
        list.push(DisagreementRow {
            shop: shop
                .parse()
                .map_err(|_| StoreError::Damaged("a shop has a name that is none"))?,
            barcode: row.get(1)?,
            condition: vitrina_shared::Condition::of_number(row.get(2)?).to_string(),
            stated: row.get(3)?,
            on_hand: row.get(4)?,
            at: TimeMs(row.get(5)?),
            uncertain: row.get(6)?,
            file: row.get(7)?,
        });
    }
    Ok(list)
}

/// Decides about an open record; false where there is none of that name.
pub(super) fn decide(
    txn: &Txn<'_>,
    by: &By,
    (id, shop): ([u8; 16], Option<&ShopId>),
    verdict: Verdict,
) -> Result<bool, StoreError> {
    let (kind, word) = match verdict {
        Verdict::Retry => (RETRY, "retry"),
        Verdict::Force => (FORCE, "retry --force"),
        Verdict::Drop => (DROP, "drop"),
    };
    let made = txn.conn.prepare_cached(DECIDE)?.execute(params![
        id,
        shop.map(ShopId::as_str),
        kind,
        txn.now.0
    ])?;
    if made > 0 {
        let detail = json!({ "record": sign::hex(&id), "decision": word });
        let shop = match shop {
            Some(shop) => shops::find(txn.conn, shop)?.map(|shop| shop.index),
            None => of_record(txn.conn, id)?,
        };
        audit::add(txn, by, (What::Decision, shop), &detail)?;
    }
    Ok(made > 0)
}

/// The shop that holds a record back; the first, should two have one of that name.
fn of_record(conn: &Connection, id: [u8; 16]) -> Result<Option<u32>, StoreError> {
    let mut statement = conn.prepare_cached(OF_RECORD)?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}

/// What the shop must be told now. A decision is told until the shop shows its record again.
pub(super) fn decisions(
    conn: &Connection,
    shop: u32,
    now: TimeMs,
) -> Result<Vec<DecisionV1>, StoreError> {
    let mut statement = conn.prepare_cached(DECISIONS)?;
    let rows = statement.query_map(params![shop, now.0 - TELL_AGAIN_MS], |row| {
        let id = row.get(0)?;
        Ok(match row.get(1)? {
            RETRY => DecisionV1::Retry { id, force: false },
            FORCE => DecisionV1::Retry { id, force: true },
            _ => DecisionV1::Drop { id },
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// They were told.
pub(super) fn decisions_sent(txn: &Txn<'_>, shop: u32) -> Result<(), StoreError> {
    txn.conn.prepare_cached(DECISIONS_SENT)?.execute(params![
        shop,
        txn.now.0,
        txn.now.0 - TELL_AGAIN_MS
    ])?;
    Ok(())
}
