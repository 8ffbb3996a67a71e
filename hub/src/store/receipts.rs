//! Receipt lines that say two things, of shops with more than one log: what a restored agent and its restored 1C brought under
//! one number. Both count, and a person looks.
//!
//! A shop with one log needs none of this: its agent refuses the second at the entry. The logs are looked through in small steps
//! behind everything urgent, never by a merge.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_host::sign;
use vitrina_shared::movement::Movement;
use vitrina_shared::{MovementId, ShopId};

use super::sqlite::Txn;
use super::{StoreError, log, shops};

const NEXT: &str = "SELECT r.id, r.shop, coalesce(s.seq, 0) FROM replica AS r \
    LEFT JOIN receipt_scan AS s ON s.replica = r.id WHERE r.seq > coalesce(s.seq, 0) \
    AND EXISTS (SELECT 1 FROM replica AS o WHERE o.shop = r.shop AND o.id <> r.id AND o.seq > 0) ORDER BY r.id LIMIT 1";
const MOVEMENTS: &str =
    "SELECT seq, body FROM movement WHERE replica = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
const ADD_KEY: &str =
    "INSERT OR IGNORE INTO receipt_key (shop, key, id, replica, seq) VALUES (?1, ?2, ?3, ?4, ?5)";
const ADD_TWICE: &str = "INSERT OR IGNORE INTO receipt_twice (shop, key) SELECT ?1, ?2 \
    WHERE (SELECT count(*) FROM receipt_key WHERE shop = ?1 AND key = ?2) > 1";
const SCANNED: &str = "INSERT INTO receipt_scan (replica, seq) VALUES (?1, ?2) \
    ON CONFLICT (replica) DO UPDATE SET seq = excluded.seq";
const TWICE: &str = "SELECT t.shop, shop.name, t.key FROM receipt_twice AS t JOIN shop ON shop.id = t.shop \
    ORDER BY shop.name, t.key LIMIT 2000";
// One id may stand in several logs: it counts where any of its places does.
const LINES: &str = "SELECT k.id, m.body, m.counts OR EXISTS (SELECT 1 FROM ident AS i JOIN movement AS o \
    ON o.replica = i.replica AND o.seq = i.seq WHERE i.shop = k.shop AND i.id = k.id AND o.counts = 1) \
    FROM receipt_key AS k JOIN movement AS m ON m.replica = k.replica AND m.seq = k.seq \
    WHERE k.shop = ?1 AND k.key = ?2 ORDER BY k.id";
const RECORD: &str = "SELECT state FROM quarantine WHERE shop = ?1 AND id = ?2";

/// Movements of one step.
const STEP: i64 = 500;

/// One receipt line that counts as two things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Twice {
    /// The shop.
    pub(crate) shop: ShopId,
    /// The line's key, as digits.
    pub(crate) key: String,
    /// What it says.
    pub(crate) lines: Vec<(MovementId, Movement)>,
    /// The records by which the shop says the same and nobody has decided about, as digits.
    pub(crate) records: Vec<String>,
}

/// Every line that was found to say two things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// Those of which at least two words count, and that nobody has decided about at the shop.
    pub(crate) twice: Vec<Twice>,
    /// The shops' own records of them, whatever became of the lines: the shop, and the record's name as digits.
    pub(crate) records: BTreeSet<(ShopId, String)>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// There may be more to look through.
    pub(crate) more: bool,
    /// A line that says two things was found.
    pub(crate) found: bool,
}

/// Whether there is something to look through.
pub(super) fn is_due(conn: &Connection) -> Result<bool, StoreError> {
    Ok(next(conn)?.is_some())
}

fn next(conn: &Connection) -> Result<Option<(i64, u32, i64)>, StoreError> {
    let mut statement = conn.prepare_cached(NEXT)?;
    let found = statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    Ok(found.optional()?)
}

/// Looks through the next movements.
pub(super) fn step(txn: &Txn<'_>) -> Result<Scanned, StoreError> {
    let Some((replica, shop, from)) = next(txn.conn)? else {
        return Ok(Scanned::default());
    };
    let name = shops::name(txn.conn, shop)?;
    let mut scanned = Scanned {
        more: true,
        found: false,
    };
    let mut upto = from;
    let mut statement = txn.conn.prepare_cached(MOVEMENTS)?;
    let mut rows = statement.query(params![replica, from, STEP])?;
    while let Some(row) = rows.next()? {
        upto = row.get(0)?;
        let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        let movement = log::read_body(body)?;
        if !movement.key.can_conflict() {
            continue;
        }
        let (key, id) = (movement.key_hash(&name), movement.id(&name));
        let added = txn
            .conn
            .prepare_cached(ADD_KEY)?
            .execute(params![shop, key.0, id.0, replica, upto])?;
        if added > 0 {
            let found = txn
                .conn
                .prepare_cached(ADD_TWICE)?
                .execute(params![shop, key.0])?;
            scanned.found |= found > 0;
        }
    }
    if upto == from {
        return Err(StoreError::Damaged("a log is shorter than it says"));
    }
    txn.conn
        .prepare_cached(SCANNED)?
        .execute(params![replica, upto])?;
    Ok(scanned)
}

/// Every line that was found to say two things.
pub(super) fn lines(conn: &Connection) -> Result<Lines, StoreError> {
    let mut statement = conn.prepare_cached(TWICE)?;
    let mut rows = statement.query([])?;
    let mut all = Lines::default();
    while let Some(row) = rows.next()? {
        let (index, name, key): (u32, String, [u8; 16]) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let shop: ShopId = name
            .parse()
            .map_err(|_| StoreError::Damaged("a shop has a name that is none"))?;
        let mut twice = Twice {
            shop: shop.clone(),
            key: sign::hex(&key),
            lines: Vec::new(),
            records: Vec::new(),
        };
        let mut is_decided = false;
        let mut statement = conn.prepare_cached(LINES)?;
        let mut found = statement.query(params![index, key])?;
        while let Some(line) = found.next()? {
            let id = MovementId(line.get(0)?);
            let counts: bool = line.get(2)?;
            if counts {
                let body = line.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
                twice.lines.push((id, log::read_body(body)?));
            }
            let record = id.conflict_record();
            let Some(is_open) = record_of(conn, index, record)? else {
                continue;
            };
            all.records.insert((shop.clone(), sign::hex(&record)));
            if is_open {
                twice.records.push(sign::hex(&record));
            } else {
                is_decided = true;
            }
        }
        let is_over = is_decided && twice.records.is_empty();
        if twice.lines.len() > 1 && !is_over {
            all.twice.push(twice);
        }
    }
    Ok(all)
}

/// Whether a shop's record waits for a decision; none where it has none of that name.
fn record_of(conn: &Connection, shop: u32, id: [u8; 16]) -> Result<Option<bool>, StoreError> {
    let mut statement = conn.prepare_cached(RECORD)?;
    let found = statement.query_row(params![shop, id], |row| Ok(row.get::<_, i64>(0)? == 0));
    Ok(found.optional()?)
}
