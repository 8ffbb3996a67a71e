//! The replicas of the shop that this ledger holds, and which of them it writes.
//!
//! Minting is free and always safe; reuse is never safe. What differs from the last time the ledger was opened is a
//! doubt, and a doubt ends the current replica at the first movement, or once the hub has answered.

use std::fmt;

use rusqlite::{Connection, OptionalExtension, Row, params};
use vitrina_host::sign::random_bytes;
use vitrina_shared::decide::Shown;
use vitrina_shared::{Chain, Position, ReplicaId, Seq, TimeMs, planted};

use super::{LedgerError, int, lost, uint};

const HOME: &str = "SELECT current, doubt, file, path, machine FROM state";
const SET_HOME: &str = "UPDATE state SET file = ?1, path = ?2, machine = ?3";
const DOUBT: &str = "UPDATE state SET doubt = ?1 WHERE doubt IS NULL";
const CURRENT: &str =
    "SELECT r.no, r.id, s.doubt IS NOT NULL FROM state s JOIN replica r ON r.no = s.current";
const MAKE_CURRENT: &str =
    "UPDATE state SET current = ?1, doubt = NULL, show_all = 1, all_for = NULL";
const BY_ID: &str = "SELECT no FROM replica WHERE id = ?1";
const ADD: &str = "INSERT INTO replica (id, minted_at) VALUES (?1, ?2) RETURNING no";
const HEAD: &str = "SELECT seq, chain FROM movement WHERE replica = ?1 ORDER BY seq DESC LIMIT 1";
const CHAIN_AT: &str = "SELECT chain FROM movement WHERE replica = ?1 AND seq = ?2";
const ALL: &str = "SELECT no, id, acked, is_behind FROM replica ORDER BY no";
const FORGET_ACKED: &str =
    "UPDATE replica SET acked = 0, is_behind = 0 WHERE acked <> 0 OR is_behind <> 0";
const SET_ACKED: &str = "UPDATE replica SET acked = ?2, is_behind = ?3 WHERE no = ?1 AND (acked <> ?2 OR is_behind <> ?3)";
const RAISE_ACKED: &str = "UPDATE replica SET acked = ?2 WHERE no = ?1 AND acked < ?2";
const CUT_ACKED: &str = "UPDATE replica SET acked = ?2 WHERE no = ?1 AND acked > ?2";
const PENDING: &str = "SELECT coalesce(sum(coalesce((SELECT max(seq) FROM movement m WHERE m.replica = r.no), 0) - r.acked), 0)
    FROM replica r";

/// Where and what a ledger is, so that a copy notices that it is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Home {
    /// The identity of the database file.
    pub(crate) file: Option<[u8; 16]>,
    /// The canonical path.
    pub(crate) path: String,
    /// The machine.
    pub(crate) machine: Option<String>,
    /// What the file beside the ledger says.
    pub(crate) high_water: Option<HighWater>,
}

/// The last movement that was written, as a file beside the ledger says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HighWater {
    /// The replica.
    pub(crate) replica: ReplicaId,
    /// Its last movement.
    pub(crate) seq: Seq,
}

impl HighWater {
    /// Reads the line.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (replica, seq) = text.trim().split_once(' ')?;
        Some(Self {
            replica: replica.parse().ok()?,
            seq: Seq(seq.parse().ok()?),
        })
    }
}

/// The line.
impl fmt::Display for HighWater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.replica, self.seq)
    }
}

/// Why the current replica may not be the only continuation of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The database is another file than last time.
    File,
    /// It lies elsewhere.
    Path,
    /// It is on another machine.
    Machine,
    /// More was written under this replica than the ledger holds.
    HighWater,
}

impl Doubt {
    fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Path => "path",
            Self::Machine => "machine",
            Self::HighWater => "high_water",
        }
    }
}

/// What a ledger finds when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// It had no replica (new, or put back from a backup) and minted one.
    New,
    /// Nothing speaks against going on.
    Same,
    /// It mints at the first movement, or once the hub has answered.
    Doubt(Doubt),
}

/// The replica that the ledger writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Current {
    pub(super) no: i64,
    pub(super) id: ReplicaId,
    pub(super) is_doubted: bool,
}

/// A replica with where its log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) no: i64,
    pub(super) id: ReplicaId,
    pub(super) acked: Seq,
    pub(super) is_behind: bool,
    pub(super) head: Position,
}

/// Compares the ledger with what it recorded when it was last opened, and records what is so now.
pub(super) fn greet(conn: &Connection, home: &Home, now: TimeMs) -> Result<Greeting, LedgerError> {
    let (current, doubted, file, path, machine) = conn.query_row(HOME, [], |row| {
        let current: Option<i64> = row.get(0)?;
        let doubt: Option<String> = row.get(1)?;
        let file: Option<[u8; 16]> = row.get(2)?;
        Ok((
            current,
            doubt,
            file,
            row.get::<_, Option<String>>(3)?,
            row.get::<_, Option<String>>(4)?,
        ))
    })?;
    conn.execute(SET_HOME, params![home.file, home.path, home.machine])?;
    let is_above = above_ledger(conn, home.high_water)?;
    if let Some(high_water) = home.high_water.filter(|_| is_above) {
        lost::witness(conn, high_water)?;
    }
    if current.is_none() {
        mint(conn, now)?;
        return Ok(Greeting::New);
    }
    let differs = |old: bool, new: bool, same: bool| old && new && !same;
    let doubt = if is_above {
        Some(Doubt::HighWater)
    } else if differs(
        machine.is_some(),
        home.machine.is_some(),
        machine == home.machine,
    ) {
        Some(Doubt::Machine)
    } else if differs(file.is_some(), home.file.is_some(), file == home.file) {
        Some(Doubt::File)
    } else if path.as_ref().is_some_and(|path| *path != home.path) {
        Some(Doubt::Path)
    } else {
        doubted.as_deref().map(|word| {
            let all = [Doubt::File, Doubt::Path, Doubt::Machine];
            all.into_iter()
                .find(|doubt| doubt.word() == word)
                .unwrap_or(Doubt::HighWater)
        })
    };
    let Some(doubt) = doubt.filter(|_| !planted::is("agent_ignores_its_doubt")) else {
        return Ok(Greeting::Same);
    };
    conn.execute(DOUBT, [doubt.word()])?;
    Ok(Greeting::Doubt(doubt))
}

/// Whether more was written than the ledger holds.
fn above_ledger(conn: &Connection, high_water: Option<HighWater>) -> Result<bool, LedgerError> {
    let Some(high_water) = high_water else {
        return Ok(false);
    };
    match find(conn, high_water.replica)? {
        Some(no) => Ok(head(conn, no, high_water.replica)?.seq < high_water.seq),
        None => Ok(true),
    }
}

/// A new replica, which the ledger writes from now on.
pub(crate) fn mint(conn: &Connection, now: TimeMs) -> Result<ReplicaId, LedgerError> {
    let id = ReplicaId(random_bytes()?);
    let no = add(conn, id, now)?;
    conn.prepare_cached(MAKE_CURRENT)?.execute([no])?;
    Ok(id)
}

pub(super) fn current(conn: &Connection) -> Result<Option<Current>, LedgerError> {
    let read = |row: &Row<'_>| {
        Ok(Current {
            no: row.get(0)?,
            id: ReplicaId(row.get(1)?),
            is_doubted: row.get(2)?,
        })
    };
    Ok(conn
        .prepare_cached(CURRENT)?
        .query_row([], read)
        .optional()?)
}

pub(super) fn current_or_mint(conn: &Connection, now: TimeMs) -> Result<Current, LedgerError> {
    if let Some(current) = current(conn)? {
        return Ok(current);
    }
    mint(conn, now)?;
    current(conn)?.ok_or(LedgerError::Damaged {
        what: "no current replica",
    })
}

/// The small number of a replica, if the ledger knows it.
pub(super) fn find(conn: &Connection, id: ReplicaId) -> Result<Option<i64>, LedgerError> {
    Ok(conn
        .prepare_cached(BY_ID)?
        .query_row([id.0], |row| row.get(0))
        .optional()?)
}

pub(super) fn find_or_add(
    conn: &Connection,
    id: ReplicaId,
    now: TimeMs,
) -> Result<i64, LedgerError> {
    match find(conn, id)? {
        Some(no) => Ok(no),
        None => add(conn, id, now),
    }
}

fn add(conn: &Connection, id: ReplicaId, now: TimeMs) -> Result<i64, LedgerError> {
    Ok(conn
        .prepare_cached(ADD)?
        .query_row(params![id.0, now.0], |row| row.get(0))?)
}

/// Where a replica's log ends.
pub(super) fn head(conn: &Connection, no: i64, id: ReplicaId) -> Result<Position, LedgerError> {
    let read = |row: &Row<'_>| {
        Ok(Position {
            seq: Seq(uint(row.get(0)?)),
            chain: Chain(row.get(1)?),
        })
    };
    let head = conn
        .prepare_cached(HEAD)?
        .query_row([no], read)
        .optional()?;
    Ok(head.unwrap_or_else(|| id.origin()))
}

/// The chain at a place of a log, from 0 to its head.
pub(super) fn chain_at(
    conn: &Connection,
    no: i64,
    id: ReplicaId,
    seq: Seq,
) -> Result<Chain, LedgerError> {
    if seq == Seq(0) {
        return Ok(id.origin().chain);
    }
    let chain = conn
        .prepare_cached(CHAIN_AT)?
        .query_row([no, int(seq.0)], |row| row.get(0).map(Chain))
        .optional()?;
    chain.ok_or(LedgerError::Damaged {
        what: "a movement is missing in the middle of a log",
    })
}

/// Every replica that the ledger holds.
pub(super) fn all(conn: &Connection) -> Result<Vec<Held>, LedgerError> {
    let mut query = conn.prepare_cached(ALL)?;
    let rows = query.query_map([], |row| {
        let id: [u8; 16] = row.get(1)?;
        Ok((
            row.get(0)?,
            ReplicaId(id),
            Seq(uint(row.get(2)?)),
            row.get(3)?,
        ))
    })?;
    rows.map(|row| {
        let (no, id, acked, is_behind) = row?;
        Ok(Held {
            no,
            id,
            acked,
            is_behind,
            head: head(conn, no, id)?,
        })
    })
    .collect()
}

impl Held {
    /// What the hub is shown of it.
    pub(super) fn shown(&self, conn: &Connection) -> Result<Shown, LedgerError> {
        let chain = chain_at(conn, self.no, self.id, self.acked)?;
        Ok(Shown {
            replica: self.id,
            acked: Position {
                seq: self.acked,
                chain,
            },
            head: self.head,
        })
    }
}

/// The hub's log ends at `seq` of ours.
pub(super) fn set_acked(conn: &Connection, no: i64, seq: Seq) -> Result<(), LedgerError> {
    conn.prepare_cached(SET_ACKED)?
        .execute(params![no, int(seq.0), false])?;
    Ok(())
}

/// The hub's log goes on where ours does not; up to where both are the same is to be found anew.
pub(super) fn set_behind(conn: &Connection, no: i64) -> Result<(), LedgerError> {
    conn.prepare_cached(SET_ACKED)?
        .execute(params![no, 0, true])?;
    Ok(())
}

/// The hub's log is proved to be ours up to `seq`, whatever follows.
pub(super) fn raise_acked(conn: &Connection, no: i64, seq: Seq) -> Result<(), LedgerError> {
    conn.prepare_cached(RAISE_ACKED)?
        .execute(params![no, int(seq.0)])?;
    Ok(())
}

/// Our log after `seq` moves away: nothing of it is acknowledged under this name.
pub(super) fn cut_acked(conn: &Connection, no: i64, seq: Seq) -> Result<(), LedgerError> {
    conn.prepare_cached(CUT_ACKED)?
        .execute(params![no, int(seq.0)])?;
    Ok(())
}

/// Everything is offered to the hub again.
pub(crate) fn forget_acked(conn: &Connection) -> Result<(), LedgerError> {
    conn.prepare_cached(FORGET_ACKED)?.execute([])?;
    Ok(())
}

/// Movements that the hub has not acknowledged, of all replicas.
pub(crate) fn pending(conn: &Connection) -> Result<u64, LedgerError> {
    Ok(uint(
        conn.prepare_cached(PENDING)?
            .query_row([], |row| row.get(0))?,
    ))
}
