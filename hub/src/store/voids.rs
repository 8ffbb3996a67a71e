//! Which movements do not count, kept as rows: the three rules of `shared::voids`, applied to what a merge touches.
//!
//! The totals hold every movement; `correction` holds what is to be taken from them. A shop with one replica and no
//! voids needs no index of ids: its log alone cannot hold an id twice, because the agent keeps the index.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::delta::Entry;
use vitrina_shared::movement::{Kind, Movement};
use vitrina_shared::{Condition, MovementId, ReplicaId, Seq, ShopId, planted};

use super::log::{self, Log};
use super::merge::{self, Touched};
use super::sqlite::Txn;
use super::{StoreError, shops, totals, transfers};
use crate::merge::Incoming;

const ADD_IDENT: &str =
    "INSERT OR IGNORE INTO ident (shop, id, replica, seq) VALUES (?1, ?2, ?3, ?4)";
const DOTS: &str = "SELECT i.replica, r.name, i.seq, m.counts, m.barcode, m.body FROM ident AS i \
    JOIN replica AS r ON r.id = i.replica JOIN movement AS m ON m.replica = i.replica AND m.seq = i.seq \
    WHERE i.shop = ?1 AND i.id = ?2";
const STATED_DOTS: &str = "SELECT s.replica, r.name, s.seq, m.counts, m.barcode, m.body FROM statement AS s \
    JOIN replica AS r ON r.id = s.replica JOIN movement AS m ON m.replica = s.replica AND m.seq = s.seq \
    WHERE s.shop = ?1 AND s.barcode = ?2 AND s.condition = ?3 AND s.at = ?4 AND s.id = ?5";
const ADD_NAMED: &str = "INSERT OR IGNORE INTO named (shop, target) VALUES (?1, ?2)";
const ADD_VOID_ID: &str = "INSERT OR IGNORE INTO void_id (shop, id) VALUES (?1, ?2)";
const IS_NAMED: &str = "SELECT EXISTS (SELECT 1 FROM named WHERE shop = ?1 AND target = ?2) \
    AND NOT EXISTS (SELECT 1 FROM void_id WHERE shop = ?1 AND id = ?2)";
const ADD_STATEMENT: &str = "INSERT OR IGNORE INTO statement (shop, barcode, condition, at, id, replica, seq) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const STATEMENTS: &str = "SELECT s.at, s.id, m.counts FROM statement AS s \
    JOIN movement AS m ON m.replica = s.replica AND m.seq = s.seq \
    WHERE s.shop = ?1 AND s.barcode = ?2 AND s.condition = ?3 ORDER BY s.at DESC, s.id DESC";
const SET_COUNTS: &str = "UPDATE movement SET counts = ?3 WHERE replica = ?1 AND seq = ?2";
const INDEXED_UPTO: &str = "UPDATE replica SET indexed = ?2 WHERE id = ?1";
const NOT_INDEXED: &str = "SELECT id, name, shop, seq, chain, indexed FROM replica WHERE shop = ?1 AND indexed < seq \
    ORDER BY id LIMIT 1";

/// A (barcode, condition) of statements.
type StatedRow = (i64, u8);

/// What a set of new movements may change.
#[derive(Default)]
struct Question {
    ids: BTreeSet<MovementId>,
    rows: BTreeSet<StatedRow>,
    /// The dots that are new: what their id was before is nobody's news.
    new: BTreeSet<(i64, u64)>,
    /// Statements by id, where there is no index of ids.
    stated: HashMap<MovementId, (StatedRow, i64)>,
}

/// One dot of an id.
struct Place {
    log: i64,
    name: ReplicaId,
    seq: u64,
    counts: bool,
    barcode: i64,
    movement: Movement,
}

/// Takes out of the count what the movements of `incoming`, already written, void; and they themselves where they are
/// void.
pub(super) fn apply(
    txn: &mut Txn<'_>,
    log: &Log,
    incoming: &Incoming,
    ids: &[i64],
    touched: &mut Touched,
) -> Result<(), StoreError> {
    let shop = shops::name(txn.conn, log.shop)?;
    let is_indexed = shops::flags(txn.conn, log.shop)?.indexed == shops::INDEXED;
    let mut question = Question::default();
    let placed = incoming
        .entries
        .iter()
        .zip(&incoming.rows.slots)
        .zip(incoming.base.seq.0 + 1..);
    for ((entry, slot), seq) in placed {
        let barcode = *ids
            .get(*slot)
            .ok_or(StoreError::Damaged("a delta's rows are not its movements'"))?;
        question.add(txn, (&shop, log), (entry, seq, barcode), is_indexed)?;
    }
    if is_indexed {
        txn.conn
            .prepare_cached(INDEXED_UPTO)?
            .execute(params![log.id, incoming.head().seq.0.cast_signed()])?;
    }
    Decision {
        shop: log.shop,
        is_indexed,
        best: BTreeMap::new(),
    }
    .decide(txn, question, touched)
}

/// Indexes some movements of a shop; true when its index is complete.
pub(super) fn index_some(txn: &mut Txn<'_>, shop: u32, most: usize) -> Result<bool, StoreError> {
    let name = shops::name(txn.conn, shop)?;
    let found = txn
        .conn
        .prepare_cached(NOT_INDEXED)?
        .query_row([shop], |row| {
            Ok((
                row.get::<_, ReplicaName>(1)?,
                row.get::<_, i64>(5)?.cast_unsigned(),
            ))
        })
        .optional()?;
    let Some((replica, from)) = found else {
        shops::set_indexed(txn.conn, shop, shops::INDEXED)?;
        return Ok(true);
    };
    shops::set_indexed(txn.conn, shop, shops::INDEXING)?;
    let log = log::find(txn.conn, replica.0)?.ok_or(StoreError::Damaged("a replica is gone"))?;
    let entries = log::entries(txn.conn, &log, Seq(from), most, usize::MAX)?;
    let mut question = Question::default();
    let mut touched = Touched::default();
    for (entry, seq) in entries.iter().zip(from + 1..) {
        let barcode = txn.barcode_id(entry.movement.barcode.as_str())?;
        question.add(txn, (&name, &log), (entry, seq, barcode), true)?;
    }
    // Nobody was told of these movements as of this transaction's: what changes is news.
    question.new.clear();
    let upto = from + entries.len() as u64;
    txn.conn
        .prepare_cached(INDEXED_UPTO)?
        .execute(params![log.id, upto.cast_signed()])?;
    Decision {
        shop,
        is_indexed: true,
        best: BTreeMap::new(),
    }
    .decide(txn, question, &mut touched)?;
    touched.publish(txn, shop, &HashMap::new())?;
    Ok(false)
}

struct ReplicaName(ReplicaId);

impl rusqlite::types::FromSql for ReplicaName {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        <[u8; 16]>::column_result(value).map(|bytes| Self(ReplicaId(bytes)))
    }
}

impl Question {
    /// One movement more, written down under its id.
    fn add(
        &mut self,
        txn: &Txn<'_>,
        (shop, log): (&ShopId, &Log),
        (entry, seq, barcode): (&Entry, u64, i64),
        is_indexed: bool,
    ) -> Result<(), StoreError> {
        let movement = &entry.movement;
        if !is_indexed && movement.kind != Kind::Balance {
            return Ok(());
        }
        let id = movement.id(shop);
        self.new.insert((log.id, seq));
        self.ids.insert(id);
        if is_indexed {
            txn.conn.prepare_cached(ADD_IDENT)?.execute(params![
                log.shop,
                id.0,
                log.id,
                seq.cast_signed()
            ])?;
        }
        if let (Kind::Void, Some(target)) = (movement.kind, movement.target) {
            txn.conn
                .prepare_cached(ADD_NAMED)?
                .execute(params![log.shop, target.0])?;
            txn.conn
                .prepare_cached(ADD_VOID_ID)?
                .execute(params![log.shop, id.0])?;
            self.ids.insert(target);
        }
        if movement.kind == Kind::Balance {
            let row = (barcode, movement.condition.number());
            txn.conn.prepare_cached(ADD_STATEMENT)?.execute(params![
                log.shop,
                row.0,
                row.1,
                movement.at.0,
                id.0,
                log.id,
                seq.cast_signed()
            ])?;
            self.rows.insert(row);
            self.stated.insert(id, (row, movement.at.0));
        }
        Ok(())
    }
}

/// The rules, over the rows of one shop.
struct Decision {
    shop: u32,
    is_indexed: bool,
    /// The statement that counts, by row.
    best: BTreeMap<StatedRow, Option<MovementId>>,
}

impl Decision {
    fn decide(
        mut self,
        txn: &mut Txn<'_>,
        mut question: Question,
        touched: &mut Touched,
    ) -> Result<(), StoreError> {
        // A void that names a statement lets the one before it stand again.
        for id in question.ids.clone() {
            for place in self.places(txn.conn, id, &question)? {
                if place.movement.kind == Kind::Balance {
                    question
                        .rows
                        .insert((place.barcode, place.movement.condition.number()));
                }
            }
        }
        for row in question.rows.clone() {
            self.look_at_row(txn.conn, row, &mut question)?;
        }
        for id in question.ids.clone() {
            let places = self.places(txn.conn, id, &question)?;
            self.decide_id(txn, id, places, (&question.new, touched))?;
        }
        Ok(())
    }

    /// The dots of an id.
    fn places(
        &self,
        conn: &Connection,
        id: MovementId,
        question: &Question,
    ) -> Result<Vec<Place>, StoreError> {
        if self.is_indexed {
            return places(&mut *conn.prepare_cached(DOTS)?, params![self.shop, id.0]);
        }
        match question.stated.get(&id) {
            None => Ok(Vec::new()),
            Some(((barcode, condition), at)) => places(
                &mut *conn.prepare_cached(STATED_DOTS)?,
                params![self.shop, barcode, condition, at, id.0],
            ),
        }
    }

    fn is_named(&self, conn: &Connection, id: MovementId) -> Result<bool, StoreError> {
        if !self.is_indexed || planted::is("hub_voids_nothing") {
            return Ok(false);
        }
        Ok(conn
            .prepare_cached(IS_NAMED)?
            .query_row(params![self.shop, id.0], |row| row.get(0))?)
    }

    /// The statement of a row that counts, and those that must be looked at because it is another one than before.
    fn look_at_row(
        &mut self,
        conn: &Connection,
        row: StatedRow,
        question: &mut Question,
    ) -> Result<(), StoreError> {
        let mut statement = conn.prepare_cached(STATEMENTS)?;
        let mut rows = statement.query(params![self.shop, row.0, row.1])?;
        let mut best = None;
        while let Some(found) = rows.next()? {
            let (at, id) = (found.get::<_, i64>(0)?, MovementId(found.get(1)?));
            let counted: bool = found.get(2)?;
            let is_asked = question.ids.contains(&id);
            if best.is_none() && !self.is_named(conn, id)? {
                best = Some(id);
            }
            question.stated.insert(id, (row, at));
            if counted {
                question.ids.insert(id);
            }
            if best == Some(id) {
                question.ids.insert(id);
            }
            // Below the one that counted before there is nothing that counts.
            if best.is_some() && counted && !is_asked {
                break;
            }
        }
        self.best.insert(row, best);
        Ok(())
    }

    fn best_of(
        &mut self,
        conn: &Connection,
        row: StatedRow,
    ) -> Result<Option<MovementId>, StoreError> {
        if !self.best.contains_key(&row) {
            self.look_at_row(conn, row, &mut Question::default())?;
        }
        Ok(self.best.get(&row).copied().flatten())
    }

    /// Sets which of the dots of an id counts.
    fn decide_id(
        &mut self,
        txn: &mut Txn<'_>,
        id: MovementId,
        places: Vec<Place>,
        (new, touched): (&BTreeSet<(i64, u64)>, &mut Touched),
    ) -> Result<(), StoreError> {
        let is_named = self.is_named(txn.conn, id)?;
        let Some(smallest) = places.iter().map(|place| (place.name, place.seq)).min() else {
            return Ok(());
        };
        let is_old = |place: &Place| !new.contains(&(place.log, place.seq));
        let (was_known, did_count) = (
            places.iter().any(is_old),
            places.iter().any(|place| is_old(place) && place.counts),
        );
        let mut does_count = false;
        let mut speaker = None;
        for place in places {
            let movement = &place.movement;
            let row = (place.barcode, movement.condition.number());
            let is_superseded =
                movement.kind == Kind::Balance && self.best_of(txn.conn, row)? != Some(id);
            let is_smallest = (place.name, place.seq) == smallest;
            let counts = is_smallest && !is_named && !is_superseded;
            does_count |= counts;
            if counts != place.counts {
                touched.touch(txn, self.shop, place.barcode)?;
                self.flip(txn, &place, counts)?;
            }
            if is_smallest {
                speaker = Some((place.name, place.seq));
            }
        }
        if let (true, Some((replica, seq))) = (was_known && did_count != does_count, speaker) {
            let log =
                log::find(txn.conn, replica)?.ok_or(StoreError::Damaged("a replica is gone"))?;
            let pos = txn.next_pos();
            merge::add_history(txn, &log, pos, (seq, 1), true)?;
        }
        Ok(())
    }

    fn flip(&self, txn: &mut Txn<'_>, place: &Place, counts: bool) -> Result<(), StoreError> {
        let units = place.movement.qty.units();
        let units = if counts { -units } else { units };
        let condition = Condition::of_number(place.movement.condition.number());
        txn.conn.prepare_cached(SET_COUNTS)?.execute(params![
            place.log,
            place.seq.cast_signed(),
            counts
        ])?;
        totals::correct(txn.conn, self.shop, place.barcode, condition, units)?;
        shops::set_corrected(txn.conn, self.shop)?;
        transfers::hear_flip(txn, self.shop, &place.movement)
    }
}

fn places(
    statement: &mut rusqlite::Statement<'_>,
    of: impl rusqlite::Params,
) -> Result<Vec<Place>, StoreError> {
    let mut rows = statement.query(of)?;
    let mut places = Vec::new();
    while let Some(row) = rows.next()? {
        places.push(Place {
            log: row.get(0)?,
            name: ReplicaId(row.get(1)?),
            seq: row.get::<_, i64>(2)?.cast_unsigned(),
            counts: row.get(3)?,
            barcode: row.get(4)?,
            movement: log::read_body(row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?)?,
        });
    }
    Ok(places)
}

/// The state of the id of a movement that does not count itself: whether another dot of it does, and whether this one
/// speaks for it.
pub(super) fn speaks_for_id(
    conn: &Connection,
    shop: (u32, &ShopId),
    (replica, seq): (ReplicaId, u64),
    movement: &Movement,
) -> Result<bool, StoreError> {
    let id = movement.id(shop.1);
    let places = places(&mut *conn.prepare_cached(DOTS)?, params![shop.0, id.0])?;
    // Without an index of ids the dot is the only one.
    Ok(places
        .iter()
        .all(|place| !place.counts && (replica, seq) <= (place.name, place.seq)))
}
