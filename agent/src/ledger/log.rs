//! The log: movements as the bytes that are chained, and the totals they add up to.
//!
//! Every row of `total`, `voided`, `statement` and `void_target` changes here and in [`standing`], together with the
//! movement that explains it.

use rusqlite::{Connection, OptionalExtension, Row, params};
use vitrina_shared::delta::Entry;
use vitrina_shared::movement::{KeyHash, Words};
use vitrina_shared::stock::Level;
use vitrina_shared::{
    Barcode, Chain, Condition, Details, Key, Kind, Movement, MovementId, Position, Qty, ReplicaId,
    Seq, ShopId, TimeMs, Total,
};

use super::standing::{self, Standing};
use super::{LedgerError, conflict, disagreement, int, leg, state, uint};

const INSERT: &str =
    "INSERT INTO movement (replica, seq, id, key_hash, barcode, condition, kind, qty, at, counts,
    booked_at, body, chain) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
const DELETE: &str = "DELETE FROM movement WHERE replica = ?1 AND seq = ?2
    RETURNING id, barcode, condition, kind, qty, at, counts";
const TOTAL: &str = "SELECT p, n FROM total WHERE barcode = ?1 AND condition = ?2 AND replica = ?3";
const SET_TOTAL: &str =
    "INSERT INTO total (barcode, condition, replica, p, n) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET p = excluded.p, n = excluded.n";
const ADD_TOTAL: &str =
    "INSERT INTO total (barcode, condition, replica, p, n) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET p = p + excluded.p, n = n + excluded.n";
const DROP_TOTAL: &str = "DELETE FROM total WHERE barcode = ?1 AND condition = ?2 AND replica = ?3";
const LEVEL: &str = "SELECT condition, sum(units) FROM (
    SELECT condition, p - n AS units FROM total WHERE barcode = ?1
    UNION ALL SELECT condition, -units FROM voided WHERE barcode = ?1) GROUP BY condition";
const AFTER: &str = "SELECT coalesce(sum(qty), 0) FROM movement
    WHERE barcode = ?1 AND condition = ?2 AND at > ?3 AND counts = 1";
const ENTRIES: &str =
    "SELECT body FROM movement WHERE replica = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
const STORED_WORDS: &str = "SELECT at, rest FROM words WHERE barcode = ?1";
const WORDS: &str = "INSERT INTO words (barcode, at, rest) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET at = excluded.at, rest = excluded.rest WHERE rest <> excluded.rest OR at <> excluded.at";

/// A place in the log as the store numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) replica: i64,
    pub(super) seq: Seq,
}

/// A movement that was taken out of the log.
struct Removed {
    id: MovementId,
    barcode: Barcode,
    condition: Condition,
    kind: Kind,
    qty: i64,
    at: TimeMs,
    counts: bool,
}

/// What a movement is known by.
pub(super) struct Names {
    pub(super) id: MovementId,
    pub(super) key: Option<KeyHash>,
}

impl Names {
    pub(super) fn of(shop: &ShopId, movement: &Movement) -> Self {
        let key = movement.key.can_conflict().then(|| movement.key_hash(shop));
        Self {
            id: movement.id(shop),
            key,
        }
    }
}

/// A movement on its way into a log.
pub(super) struct Line<'a> {
    pub(super) entry: &'a Entry,
    pub(super) names: Names,
    /// Neither its id nor a void of it is here; otherwise that is looked up.
    pub(super) is_new: bool,
}

/// Appends one movement to a log, moves its row with it and settles what it voids. Whether it counts.
pub(super) fn insert(
    conn: &Connection,
    place: Place,
    (line, chain): (&Line<'_>, Chain),
    now: TimeMs,
) -> Result<bool, LedgerError> {
    let Line {
        entry,
        names,
        is_new,
    } = line;
    let movement = &entry.movement;
    let is_known =
        !is_new && (standing::is_held(conn, names.id)? || standing::is_targeted(conn, names.id)?);
    let is_plain = !is_known && !matches!(movement.kind, Kind::Void | Kind::Balance);
    let barcode = movement.barcode.as_str();
    conn.prepare_cached(INSERT)?.execute(params![
        place.replica,
        int(place.seq.0),
        names.id.0,
        names.key.map(|key| key.0),
        barcode,
        movement.condition.number(),
        movement.kind.number(),
        movement.qty.units(),
        movement.at.0,
        is_plain,
        now.0,
        &*entry.bytes,
        chain.0,
    ])?;
    if movement.qty != Qty::ZERO {
        // A total beyond 64 bits is refused by the table.
        conn.prepare_cached(ADD_TOTAL)?.execute(params![
            barcode,
            movement.condition.number(),
            place.replica,
            int(movement.qty.added()),
            int(movement.qty.removed()),
        ])?;
    }
    note_kind(conn, movement, names.id)?;
    let mut counts = is_plain;
    if !is_plain {
        // It enters as void, and what it touches settles.
        standing::move_void_sum(conn, barcode, movement.condition, movement.qty.units())?;
        if let Some(target) = movement.target {
            standing::add_target(conn, target, place)?;
            standing::settle_target(conn, target)?;
        }
        if movement.kind == Kind::Balance {
            standing::state(conn, &movement.barcode, movement.condition)?;
        }
        counts = standing::settle(conn, names.id)? == Standing::Counts(place);
    }
    if counts && !is_new {
        conflict::note(conn, movement, names, now)?;
    }
    disagreement::touched(conn, &movement.barcode, movement.condition, movement.at)?;
    Ok(counts)
}

/// What some movements leave behind besides their row, wherever they were booked.
fn note_kind(conn: &Connection, movement: &Movement, id: MovementId) -> Result<(), LedgerError> {
    if let Key::Receipt { till, .. } = &movement.key {
        state::add_till(conn, till)?;
    }
    if movement.kind == Kind::Opening {
        state::set_opened_at(conn, movement.at)?;
    }
    if movement.kind == Kind::TransferIn
        && let Some(hold) = movement.details().hold
    {
        leg::note_arrival(conn, hold, id)?;
    }
    let speaks = matches!(
        movement.kind,
        Kind::Opening | Kind::Balance | Kind::Receipt | Kind::Surplus | Kind::Adjustment
    );
    if speaks && !movement.rest.is_empty() {
        keep_words(conn, movement.barcode.as_str(), movement.at, &movement.rest)?;
    }
    Ok(())
}

/// Keeps the shop's own words about a barcode, of the rest of a movement: word by word the latest, because a file that
/// names only a price does not take the name away.
pub(super) fn keep_words(
    conn: &Connection,
    barcode: &str,
    at: TimeMs,
    rest: &[u8],
) -> Result<(), LedgerError> {
    let said = Details::read(rest);
    if said.words == Words::default() && said.price.is_none() {
        return Ok(());
    }
    let stored: Option<(i64, Vec<u8>)> = conn
        .prepare_cached(STORED_WORDS)?
        .query_row([barcode], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (stored_at, stored) = stored.map_or((i64::MIN, Details::default()), |(at, rest)| {
        (at, Details::read(&rest))
    });
    let (mut earlier, later) = if stored_at <= at.0 {
        (stored, said)
    } else {
        (said, stored)
    };
    earlier.words.overlay(later.words);
    let kept = Details {
        price: later.price.or(earlier.price),
        words: earlier.words,
        ..Details::default()
    };
    conn.prepare_cached(WORDS)?
        .execute(params![barcode, at.0.max(stored_at), kept.to_bytes()])?;
    Ok(())
}

/// The shop's own words about a barcode and its price, to travel with a movement.
pub(super) fn own_words(conn: &Connection, barcode: &Barcode) -> Result<Details, LedgerError> {
    let stored: Option<Vec<u8>> = conn
        .prepare_cached(STORED_WORDS)?
        .query_row([barcode.as_str()], |row| row.get(1))
        .optional()?;
    Ok(Details::read(&stored.unwrap_or_default()))
}

/// Takes the last movement of a log out again: it moves to a branch.
pub(super) fn remove(conn: &Connection, place: Place) -> Result<(), LedgerError> {
    let read = |row: &Row<'_>| {
        let (id, barcode): ([u8; 16], String) = (row.get(0)?, row.get(1)?);
        let (condition, kind): (u8, u8) = (row.get(2)?, row.get(3)?);
        let (qty, at, counts): (i64, i64, bool) = (row.get(4)?, row.get(5)?, row.get(6)?);
        Ok((MovementId(id), barcode, condition, kind, qty, at, counts))
    };
    let row = conn
        .prepare_cached(DELETE)?
        .query_row(params![place.replica, int(place.seq.0)], read)
        .optional()?;
    let (id, text, condition, kind, qty, at, counts) = row.ok_or(LedgerError::Damaged {
        what: "a movement is missing in the middle of a log",
    })?;
    let removed = Removed {
        id,
        barcode: barcode(&text)?,
        condition: Condition::of_number(condition),
        kind: Kind::of_number(kind),
        qty,
        at: TimeMs(at),
        counts,
    };
    forget(conn, place, &removed)
}

fn forget(conn: &Connection, place: Place, removed: &Removed) -> Result<(), LedgerError> {
    let Removed {
        barcode, condition, ..
    } = removed;
    let before = total(conn, barcode, *condition, place.replica)?;
    let qty = Qty::new(removed.qty).map_err(|_| LedgerError::Damaged { what: "a quantity" })?;
    let less = |total: u64, by: u64| {
        total
            .checked_sub(by)
            .ok_or(LedgerError::Damaged { what: "a total" })
    };
    let total = Total {
        p: less(before.p, qty.added())?,
        n: less(before.n, qty.removed())?,
    };
    set_total(conn, barcode, *condition, place.replica, total)?;
    if !removed.counts {
        standing::move_void_sum(conn, barcode.as_str(), *condition, -removed.qty)?;
    }
    if removed.kind == Kind::Void {
        for target in standing::drop_targets(conn, place)? {
            standing::settle_target(conn, target)?;
        }
    }
    if removed.kind == Kind::Balance {
        standing::state(conn, barcode, *condition)?;
    }
    standing::settle(conn, removed.id)?;
    disagreement::touched(conn, barcode, *condition, removed.at)
}

/// The total of a row.
pub(super) fn total(
    conn: &Connection,
    barcode: &Barcode,
    condition: Condition,
    replica: i64,
) -> Result<Total, LedgerError> {
    let read = |row: &Row<'_>| {
        Ok(Total {
            p: uint(row.get(0)?),
            n: uint(row.get(1)?),
        })
    };
    let found = conn
        .prepare_cached(TOTAL)?
        .query_row(params![barcode.as_str(), condition.number(), replica], read)
        .optional()?;
    Ok(found.unwrap_or_default())
}

fn set_total(
    conn: &Connection,
    barcode: &Barcode,
    condition: Condition,
    replica: i64,
    total: Total,
) -> Result<(), LedgerError> {
    let (barcode, condition) = (barcode.as_str(), condition.number());
    if total == Total::default() {
        conn.prepare_cached(DROP_TOTAL)?
            .execute(params![barcode, condition, replica])?;
    } else {
        conn.prepare_cached(SET_TOTAL)?.execute(params![
            barcode,
            condition,
            replica,
            int(total.p),
            int(total.n)
        ])?;
    }
    Ok(())
}

/// The entries of a log after `after`, at most `limit`.
pub(super) fn entries(
    conn: &Connection,
    replica: i64,
    after: Seq,
    limit: usize,
) -> Result<Vec<Entry>, LedgerError> {
    let mut query = conn.prepare_cached(ENTRIES)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(params![replica, int(after.0), limit], |row| {
        row.get::<_, Vec<u8>>(0)
    })?;
    rows.map(|bytes| entry(&bytes?)).collect()
}

/// A stored movement.
pub(super) fn entry(bytes: &[u8]) -> Result<Entry, LedgerError> {
    Entry::from_bytes(bytes).map_err(|_| LedgerError::Damaged {
        what: "a movement's bytes",
    })
}

/// A stored barcode.
pub(super) fn barcode(text: &str) -> Result<Barcode, LedgerError> {
    Barcode::from_key(text).map_err(|_| LedgerError::Damaged { what: "a barcode" })
}

/// The numbers of a barcode by its movements: what is held is added in [`super::promise::level`].
pub(super) fn level(conn: &Connection, barcode: &Barcode) -> Result<Level, LedgerError> {
    let mut query = conn.prepare_cached(LEVEL)?;
    let rows = query.query_map([barcode.as_str()], |row| {
        Ok((row.get::<_, u8>(0)?, row.get::<_, i64>(1)?))
    })?;
    let mut level = Level::default();
    for row in rows {
        let (condition, units) = row?;
        level.on_hand = level.on_hand.saturating_add(units);
        if Condition::of_number(condition) == Condition::Unavailable {
            level.unavailable = units;
        }
    }
    Ok(level)
}

/// Units of one condition on hand now.
pub(super) fn on_hand(
    conn: &Connection,
    barcode: &Barcode,
    condition: Condition,
) -> Result<i64, LedgerError> {
    let level = level(conn, barcode)?;
    Ok(match condition {
        Condition::Sellable => level.on_hand.saturating_sub(level.unavailable),
        Condition::Unavailable => level.unavailable,
    })
}

/// Units of one condition on hand by the movements that are not after `at`. Mostly few are after it, so those are
/// taken away from what is there now.
pub(super) fn on_hand_at(
    conn: &Connection,
    barcode: &Barcode,
    condition: Condition,
    at: TimeMs,
) -> Result<i64, LedgerError> {
    let after: i64 = conn
        .prepare_cached(AFTER)?
        .query_row(params![barcode.as_str(), condition.number(), at.0], |row| {
            row.get(0)
        })?;
    Ok(on_hand(conn, barcode, condition)?.saturating_sub(after))
}

/// The end of a log that is being written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    pub(super) no: i64,
    pub(super) id: ReplicaId,
    pub(super) head: Position,
}

impl Tail {
    /// Appends a movement that came from elsewhere. Whether it counts.
    pub(super) fn take(
        &mut self,
        conn: &Connection,
        shop: &ShopId,
        entry: &Entry,
        now: TimeMs,
    ) -> Result<bool, LedgerError> {
        let names = Names::of(shop, &entry.movement);
        let line = Line {
            entry,
            names,
            is_new: false,
        };
        self.append(conn, &line, now)
    }

    /// Appends one movement. Whether it counts.
    pub(super) fn append(
        &mut self,
        conn: &Connection,
        line: &Line<'_>,
        now: TimeMs,
    ) -> Result<bool, LedgerError> {
        let head = self.head.then(&line.entry.bytes);
        let place = Place {
            replica: self.no,
            seq: head.seq,
        };
        let counts = insert(conn, place, (line, head.chain), now)?;
        self.head = head;
        Ok(counts)
    }
}
