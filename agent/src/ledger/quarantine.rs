//! Records that were not booked, with their reasons, until somebody books or drops them.

use rusqlite::{Connection, OptionalExtension, Row, params};
use vitrina_host::sign::Sha256;
use vitrina_shared::wire::v1::QuarantinedV1;
use vitrina_shared::{MovementId, TimeMs};

use super::{LedgerError, int, uint};

const PUT: &str = "INSERT INTO quarantine (id, changed, at, state, reason, message, file, line, record, retry)
    VALUES (?1, (SELECT coalesce(max(changed), 0) + 1 FROM quarantine), ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (id) DO NOTHING";
const SET_STATE: &str = "UPDATE quarantine SET state = ?2,
    changed = (SELECT max(changed) + 1 FROM quarantine) WHERE id = ?1 AND state <> ?2";
const SET_MESSAGE: &str = "UPDATE quarantine SET message = ?2,
    changed = (SELECT max(changed) + 1 FROM quarantine) WHERE id = ?1 AND message <> ?2";
const GET: &str = "SELECT id, changed, at, state, reason, message, file, line, record, retry FROM quarantine WHERE id = ?1";
const BEGINNING: &str =
    "SELECT id, changed, at, state, reason, message, file, line, record, retry FROM quarantine
    WHERE id BETWEEN ?1 AND ?2 ORDER BY state, id LIMIT ?3";
const LIST: &str =
    "SELECT id, changed, at, state, reason, message, file, line, record, retry FROM quarantine
    WHERE state = ?1 AND changed > ?2 ORDER BY changed LIMIT ?3";
const CHANGED: &str =
    "SELECT id, changed, at, state, reason, message, file, line, record, retry FROM quarantine
    WHERE changed > ?1 ORDER BY changed LIMIT ?2";
const COUNT: &str = "SELECT count(*) FROM quarantine WHERE state = 0";
const ACKED: &str = "SELECT quarantine_acked FROM state";

/// The most bytes of a record that travel.
const MAX_RECORD_BYTES: usize = 1_000;
/// The most entries of one frame.
const MAX_IN_FRAME: usize = 200;

/// What an entry is known by: the same origin and reason is the same entry, however often it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A record that was read: by the identity it would have.
    Movement(MovementId),
    /// A line that could not be read.
    Line {
        /// The file's SHA-256.
        file: [u8; 32],
        /// The line in it.
        line: u64,
    },
    /// A whole file.
    File([u8; 32]),
}

/// A record to set aside.
#[derive(Clone, Debug)]
pub(crate) struct New {
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// A stable code, such as `receipt_conflict`.
    pub(crate) reason: &'static str,
    /// What a person must know and may do.
    pub(crate) message: String,
    /// The file.
    pub(crate) file: Option<String>,
    /// The line in it.
    pub(crate) line: Option<u64>,
    /// The record as it came.
    pub(crate) record: String,
    /// What is needed to try again, as its writer wants it.
    pub(crate) retry: String,
}

/// How an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody has decided.
    Open,
    /// It was booked.
    Booked,
    /// It was dropped.
    Dropped,
}

impl State {
    /// 0 open, 1 booked, 2 dropped, as stored and on the wire.
    fn number(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Booked => 1,
            Self::Dropped => 2,
        }
    }

    fn of_number(number: u8) -> Self {
        match number {
            0 => Self::Open,
            1 => Self::Booked,
            _ => Self::Dropped,
        }
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) id: [u8; 16],
    /// Rises over all entries with every change.
    pub(crate) changed: u64,
    /// When it was put there.
    pub(crate) at: TimeMs,
    /// How it stands.
    pub(crate) state: State,
    /// A stable code.
    pub(crate) reason: String,
    /// What a person must know and may do.
    pub(crate) message: String,
    /// The file.
    pub(crate) file: Option<String>,
    /// The line in it.
    pub(crate) line: Option<u64>,
    /// The record as it came.
    pub(crate) record: String,
    /// What is needed to try again.
    pub(crate) retry: String,
}

/// What became of a record that was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// A new entry.
    New([u8; 16]),
    /// The entry was there, open or decided.
    Known([u8; 16]),
}

/// The name of an entry.
pub(crate) fn id_of(origin: &Origin, reason: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(b"vitrina.quarantine.1\0");
    match origin {
        Origin::Movement(id) => {
            hash.update(b"m");
            hash.update(&id.0);
        }
        Origin::Line { file, line } => {
            hash.update(b"l");
            hash.update(file);
            hash.update(&line.to_le_bytes());
        }
        Origin::File(file) => {
            hash.update(b"f");
            hash.update(file);
        }
    }
    hash.update(reason.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(hash.finish().split_at(16).0);
    half
}

/// Sets a record aside.
pub(crate) fn put(conn: &Connection, new: &New, now: TimeMs) -> Result<Put, LedgerError> {
    let id = id_of(&new.origin, new.reason);
    let rows = conn.prepare_cached(PUT)?.execute(params![
        id,
        now.0,
        new.reason,
        new.message,
        new.file,
        new.line.map(int),
        new.record,
        new.retry
    ])?;
    Ok(if rows == 0 {
        Put::Known(id)
    } else {
        Put::New(id)
    })
}

/// Entries of one state after the given change number, in the order of their last change.
pub(crate) fn list(
    conn: &Connection,
    state: State,
    after: u64,
    limit: usize,
) -> Result<Vec<Entry>, LedgerError> {
    let mut query = conn.prepare_cached(LIST)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(params![state.number(), int(after), limit], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// One entry.
pub(crate) fn get(conn: &Connection, id: &[u8; 16]) -> Result<Option<Entry>, LedgerError> {
    Ok(conn.prepare_cached(GET)?.query_row([id], read).optional()?)
}

/// Entries whose names lie in a range, the open ones first.
pub(crate) fn between(
    conn: &Connection,
    (first, last): ([u8; 16], [u8; 16]),
    limit: usize,
) -> Result<Vec<Entry>, LedgerError> {
    let mut query = conn.prepare_cached(BEGINNING)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(params![first, last, limit], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Changes how an entry stands. Whether it changed.
pub(crate) fn set_state(
    conn: &Connection,
    id: &[u8; 16],
    state: State,
) -> Result<bool, LedgerError> {
    Ok(conn
        .prepare_cached(SET_STATE)?
        .execute(params![id, state.number()])?
        > 0)
}

/// Says anew why an open entry is there: a retry found another reason.
pub(crate) fn set_message(
    conn: &Connection,
    id: &[u8; 16],
    message: &str,
) -> Result<(), LedgerError> {
    conn.prepare_cached(SET_MESSAGE)?
        .execute(params![id, message])?;
    Ok(())
}

/// How many are open.
pub(crate) fn count_open(conn: &Connection) -> Result<u64, LedgerError> {
    Ok(uint(
        conn.prepare_cached(COUNT)?
            .query_row([], |row| row.get(0))?,
    ))
}

/// The entries that the hub does not know as they are, and up to which change.
pub(super) fn unsent(conn: &Connection) -> Result<(Vec<QuarantinedV1>, Option<u64>), LedgerError> {
    let acked: i64 = conn
        .prepare_cached(ACKED)?
        .query_row([], |row| row.get(0))?;
    let mut query = conn.prepare_cached(CHANGED)?;
    let limit = i64::try_from(MAX_IN_FRAME).unwrap_or(i64::MAX);
    let entries: Vec<Entry> = query
        .query_map([acked, limit], read)?
        .collect::<rusqlite::Result<_>>()?;
    let upto = entries.last().map(|entry| entry.changed);
    Ok((entries.into_iter().map(Entry::into_wire).collect(), upto))
}

impl Entry {
    fn into_wire(self) -> QuarantinedV1 {
        let end = self.record.floor_char_boundary(MAX_RECORD_BYTES);
        QuarantinedV1 {
            id: self.id,
            at: self.at.0,
            state: self.state.number(),
            reason: self.reason,
            message: self.message,
            file: self.file,
            line: self.line,
            record: self.record.get(..end).unwrap_or_default().to_owned(),
        }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: row.get(0)?,
        changed: uint(row.get(1)?),
        at: TimeMs(row.get(2)?),
        state: State::of_number(row.get(3)?),
        reason: row.get(4)?,
        message: row.get(5)?,
        file: row.get(6)?,
        line: row.get::<_, Option<i64>>(7)?.map(uint),
        record: row.get(8)?,
        retry: row.get(9)?,
    })
}
