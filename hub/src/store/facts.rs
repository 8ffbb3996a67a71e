//! What the tables say that a person must look at; what is in memory is looked up there.

use std::collections::BTreeMap;

use rusqlite::Connection;
use vitrina_host::sign;
use vitrina_shared::{ShopId, TimeMs};

use super::heard::{self, DisagreementRow};
use super::receipts::{self, Twice};
use super::{StoreError, outbox};
use crate::audit::What;
use crate::webhook::Hook;

const HELD: &str = "SELECT shop.name, q.reason, count(*), min(q.at) FROM quarantine AS q JOIN shop ON shop.id = q.shop \
    WHERE q.state = 0 AND q.reason <> 'receipt_conflict' GROUP BY shop.name, q.reason ORDER BY shop.name, q.reason";
const CONFLICTS: &str = "SELECT shop.name, q.id, q.at, q.message, q.file, q.line, q.record FROM quarantine AS q \
    JOIN shop ON shop.id = q.shop WHERE q.state = 0 AND q.reason = 'receipt_conflict' \
    ORDER BY shop.name, q.at, q.id LIMIT 5000";
const FOUND: &str = "SELECT shop.name, max(a.at) FROM shop JOIN audit AS a ON a.shop = shop.id \
    WHERE shop.publish = 0 AND a.what = ?1 GROUP BY shop.name";
const BOOKS: &str = "SELECT shop.name, a.at, a.found FROM alert AS a JOIN shop ON shop.id = a.shop ORDER BY shop.name";

// The condition is that of the index: without it every leg there ever was would be read.
const ASKED: &str = "SELECT l.id, l.hold, shop.name, b.text, l.number, l.created_at, \
    (SELECT min(created_at) FROM leg WHERE hold = l.hold) FROM leg AS l \
    JOIN shop ON shop.id = l.shop JOIN barcode AS b ON b.id = l.barcode \
    WHERE l.hub = 0 AND l.side IN (0, 2) AND l.side = 0 AND l.purpose = 1 AND l.comes_from IS NULL \
    ORDER BY l.created_at, l.id LIMIT 5000";

/// A web order that a shop has not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The leg's name.
    pub(crate) leg: String,
    /// The hold's name.
    pub(crate) hold: String,
    /// The shop.
    pub(crate) shop: ShopId,
    /// What it is asked for.
    pub(crate) barcode: String,
    /// The order's number.
    pub(crate) order: String,
    /// Since when, by the hub's clock.
    pub(crate) at: TimeMs,
    /// Since when its order waits, be it for other shops that did not answer.
    pub(crate) ordered_at: TimeMs,
}

/// Every web order that a shop has not answered, the oldest first.
pub(super) fn asked(conn: &Connection) -> Result<Vec<Asked>, StoreError> {
    let mut statement = conn.prepare_cached(ASKED)?;
    let mut rows = statement.query([])?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        let (leg, hold): ([u8; 16], [u8; 16]) = (row.get(0)?, row.get(1)?);
        let name: String = row.get(2)?;
        list.push(Asked {
            leg: sign::hex(&leg),
            hold: sign::hex(&hold),
            shop: shop(&name)?,
            barcode: row.get(3)?,
            order: row.get(4)?,
            at: TimeMs(row.get(5)?),
            ordered_at: TimeMs(row.get(6)?),
        });
    }
    Ok(list)
}

/// Records that a shop holds back for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The shop.
    pub(crate) shop: ShopId,
    /// The stable code.
    pub(crate) reason: String,
    /// How many.
    pub(crate) records: u64,
    /// When the oldest was put there, by the shop's clock.
    pub(crate) oldest_at: TimeMs,
}

/// A record that was refused because its receipt line says something else already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The shop.
    pub(crate) shop: ShopId,
    /// The record's name.
    pub(crate) id: String,
    /// When it was put there, by the shop's clock.
    pub(crate) at: TimeMs,
    /// What the shop says of it.
    pub(crate) message: String,
    /// The file, where it came from one.
    pub(crate) file: Option<String>,
    /// The line in it.
    pub(crate) line: Option<i64>,
    /// The record as it came.
    pub(crate) record: String,
}

/// Shop and hub differ, though each held its own against its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Books {
    /// The shop.
    pub(crate) shop: ShopId,
    /// Since when.
    pub(crate) at: TimeMs,
    /// What was found first.
    pub(crate) found: String,
}

/// What the tables say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// What shops hold back, by shop and reason.
    pub(crate) held: Vec<Held>,
    /// Receipt lines that say two things, found at the entry.
    pub(crate) conflicts: Vec<Conflict>,
    /// Receipt lines that count as two things.
    pub(crate) twice: Vec<Twice>,
    /// Where a shop's 1C and its ledger differ.
    pub(crate) disagreements: Vec<DisagreementRow>,
    /// Where shop and hub differ.
    pub(crate) books: Vec<Books>,
    /// Shops off the website that the hub found by their certificates, and when.
    pub(crate) found: BTreeMap<ShopId, TimeMs>,
    /// The receivers of webhooks.
    pub(crate) hooks: Vec<Hook>,
}

fn shop(name: &str) -> Result<ShopId, StoreError> {
    name.parse()
        .map_err(|_| StoreError::Damaged("a shop has a name that is none"))
}

/// Reads it.
pub(super) fn read(conn: &Connection) -> Result<Known, StoreError> {
    let lines = receipts::lines(conn)?;
    // The line itself is looked at, and the shop's word of it is the same cause.
    let is_apart = |found: &Conflict| {
        let record = (found.shop.clone(), found.id.clone());
        !lines.records.contains(&record)
    };
    Ok(Known {
        held: held(conn)?,
        conflicts: conflicts(conn)?.into_iter().filter(is_apart).collect(),
        twice: lines.twice,
        disagreements: heard::disagreements(conn, None)?,
        books: books(conn)?,
        found: found(conn)?,
        hooks: outbox::hooks(conn)?,
    })
}

fn held(conn: &Connection) -> Result<Vec<Held>, StoreError> {
    let mut statement = conn.prepare_cached(HELD)?;
    let mut rows = statement.query([])?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        list.push(Held {
            shop: shop(&name)?,
            reason: row.get(1)?,
            records: row.get::<_, i64>(2)?.cast_unsigned(),
            oldest_at: TimeMs(row.get(3)?),
        });
    }
    Ok(list)
}

fn conflicts(conn: &Connection) -> Result<Vec<Conflict>, StoreError> {
    let mut statement = conn.prepare_cached(CONFLICTS)?;
    let mut rows = statement.query([])?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, id): (String, [u8; 16]) = (row.get(0)?, row.get(1)?);
        list.push(Conflict {
            shop: shop(&name)?,
            id: sign::hex(&id),
            at: TimeMs(row.get(2)?),
            message: row.get(3)?,
            file: row.get(4)?,
            line: row.get(5)?,
            record: row.get(6)?,
        });
    }
    Ok(list)
}

fn found(conn: &Connection) -> Result<BTreeMap<ShopId, TimeMs>, StoreError> {
    let mut statement = conn.prepare_cached(FOUND)?;
    let mut rows = statement.query([What::ShopFound.word()])?;
    let mut shops = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        shops.insert(shop(&name)?, TimeMs(row.get(1)?));
    }
    Ok(shops)
}

fn books(conn: &Connection) -> Result<Vec<Books>, StoreError> {
    let mut statement = conn.prepare_cached(BOOKS)?;
    let mut rows = statement.query([])?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        list.push(Books {
            shop: shop(&name)?,
            at: TimeMs(row.get(1)?),
            found: row.get(2)?,
        });
    }
    Ok(list)
}
