//! A balances file on its way in: first put down whole, in bounded jobs, then checked to its end, then applied.

use rusqlite::{Connection, OptionalExtension, Row, params};
use vitrina_shared::movement::Details;
use vitrina_shared::{Barcode, Condition, Money, TimeMs};

use super::{Desk, LedgerError, log, uint};

const FIND: &str = "SELECT no, is_complete FROM stage WHERE key = ?1";
const ADD_STAGE: &str =
    "INSERT INTO stage (key, name, at, whole) VALUES (?1, ?2, ?3, ?4) RETURNING no";
const ADD_ROW: &str = "INSERT INTO staged (stage, barcode, condition, qty, scanned, rest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO UPDATE SET qty = qty + excluded.qty";
const FINISH: &str = "UPDATE stage SET is_complete = 1, elsewhere = ?2, whole = ?3 WHERE no = ?1";
const READ: &str =
    "SELECT name, at, whole, is_complete, elsewhere, verdict, done_barcode, done_condition,
    written, agreed, disagreements FROM stage WHERE no = ?1";
const SET_VERDICT: &str = "UPDATE stage SET verdict = ?2 WHERE no = ?1";
const CODES: &str =
    "SELECT DISTINCT barcode, coalesce(scanned, barcode) FROM staged WHERE stage = ?1 AND barcode > ?2
    ORDER BY barcode LIMIT ?3";
const DROP_ROWS: &str = "DELETE FROM staged WHERE (stage, barcode, condition) IN
    (SELECT stage, barcode, condition FROM staged WHERE stage = ?1 LIMIT ?2)";
const DROP_STAGE: &str = "DELETE FROM stage WHERE no = ?1";

/// How many rows one job takes away.
const FORGET_ROWS: i64 = 5_000;

/// The small number of a staged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StageNo(pub(super) i64);

/// A balances file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BalancesFile {
    /// SHA-256 over its bytes and its stamp: the same bytes of a later time are another file.
    pub(crate) key: [u8; 32],
    /// Its name.
    pub(crate) name: String,
    /// The time of which it speaks.
    pub(crate) at: TimeMs,
    /// Of what it speaks.
    pub(crate) scope: Scope,
}

/// Of what a balances file speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The whole shop, in these conditions: what is not listed is 0.
    Whole(Vec<Condition>),
    /// Only what it lists.
    Listed,
}

impl Scope {
    fn bits(&self) -> i64 {
        match self {
            Self::Whole(conditions) => conditions
                .iter()
                .fold(0, |bits, condition| bits | 1 << condition.number()),
            Self::Listed => 0,
        }
    }
}

/// One line of a balances file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stated {
    /// The code as written.
    pub(crate) code: Barcode,
    /// Sellable or not.
    pub(crate) condition: Condition,
    /// Units; none where the line cannot be used: then the file says nothing of the barcode, not even 0.
    pub(crate) qty: Option<i64>,
    /// The price of one.
    pub(crate) price: Option<Money>,
    /// What the file says of the barcode.
    pub(crate) words: vitrina_shared::movement::Words,
}

/// How a file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Its lines are to be put down.
    Fresh(StageNo),
    /// They were, to its end; it is to be judged and applied.
    Ready(StageNo),
    /// Lines of an earlier try are still there: forget them first.
    Stale(StageNo),
}

/// What a staged file is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Open,
    Verify,
    State,
}

/// A staged file.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) no: StageNo,
    pub(super) name: String,
    pub(super) at: TimeMs,
    pub(super) whole: i64,
    pub(super) is_complete: bool,
    pub(super) elsewhere: Option<String>,
    pub(super) doing: Option<Doing>,
    pub(super) done: (String, u8),
    pub(super) written: u64,
    pub(super) agreed: u64,
    pub(super) disagreements: u64,
}

impl Stage {
    pub(super) fn speaks_of_whole(&self, condition: Condition) -> bool {
        self.whole & (1 << condition.number()) != 0
    }
}

impl Doing {
    fn number(self) -> i64 {
        match self {
            Self::Open => 1,
            Self::Verify => 2,
            Self::State => 3,
        }
    }

    fn of_number(number: i64) -> Self {
        match number {
            1 => Self::Open,
            2 => Self::Verify,
            _ => Self::State,
        }
    }
}

/// Begins to put a file down, or finds it as it was left.
pub(crate) fn begin(conn: &Connection, file: &BalancesFile) -> Result<Begun, LedgerError> {
    let read = |row: &Row<'_>| Ok((StageNo(row.get(0)?), row.get::<_, bool>(1)?));
    if let Some((no, is_complete)) = conn
        .prepare_cached(FIND)?
        .query_row([file.key], read)
        .optional()?
    {
        return Ok(if is_complete {
            Begun::Ready(no)
        } else {
            Begun::Stale(no)
        });
    }
    let row = params![file.key, file.name, file.at.0, file.scope.bits()];
    Ok(Begun::Fresh(StageNo(
        conn.prepare_cached(ADD_STAGE)?
            .query_row(row, |row| row.get(0))?,
    )))
}

/// Puts lines down; a barcode that comes twice is summed. At most some hundred a job.
pub(crate) fn add(
    conn: &Connection,
    no: StageNo,
    lines: &[Stated],
    now: TimeMs,
) -> Result<(), LedgerError> {
    let desk = Desk::open(conn, now)?;
    let mut add = conn.prepare_cached(ADD_ROW)?;
    for line in lines {
        let barcode = desk.resolve(&line.code)?;
        let scanned = Some(line.code.as_str()).filter(|code| *code != barcode.as_str());
        let details = Details {
            price: line.price,
            words: line.words.clone(),
            ..Details::default()
        };
        let rest = details.to_bytes();
        add.execute(params![
            no.0,
            barcode.as_str(),
            line.condition.number(),
            line.qty,
            scanned,
            &*rest
        ])?;
    }
    Ok(())
}

/// The file was read to its end. `scope` is what was found out about it on the way; `elsewhere` a warehouse of
/// another shop that it speaks of.
pub(crate) fn finish(
    conn: &Connection,
    no: StageNo,
    scope: &Scope,
    elsewhere: Option<&str>,
) -> Result<(), LedgerError> {
    conn.prepare_cached(FINISH)?
        .execute(params![no.0, elsewhere, scope.bits()])?;
    Ok(())
}

/// The next codes of a file as they were written, behind a barcode; with the barcode behind which the next ones are.
pub(crate) fn codes(
    conn: &Connection,
    no: StageNo,
    after: &str,
    limit: usize,
) -> Result<(Vec<Barcode>, Option<String>), LedgerError> {
    let mut query = conn.prepare_cached(CODES)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(params![no.0, after, limit], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let (mut codes, mut last) = (Vec::new(), None);
    for row in rows {
        let (barcode, code) = row?;
        codes.push(log::barcode(&code)?);
        last = Some(barcode);
    }
    Ok((codes, last))
}

/// Takes some of a file's lines away again, and the file with the last of them. Whether it is gone; call it until then.
pub(crate) fn forget(conn: &Connection, no: StageNo) -> Result<bool, LedgerError> {
    let rows = conn
        .prepare_cached(DROP_ROWS)?
        .execute([no.0, FORGET_ROWS])?;
    if rows > 0 {
        return Ok(false);
    }
    conn.prepare_cached(DROP_STAGE)?.execute([no.0])?;
    Ok(true)
}

pub(super) fn set_doing(conn: &Connection, no: StageNo, doing: Doing) -> Result<(), LedgerError> {
    conn.prepare_cached(SET_VERDICT)?
        .execute([no.0, doing.number()])?;
    Ok(())
}

pub(super) fn read(conn: &Connection, no: StageNo) -> Result<Option<Stage>, LedgerError> {
    let read = |row: &Row<'_>| {
        Ok(Stage {
            no,
            name: row.get(0)?,
            at: TimeMs(row.get(1)?),
            whole: row.get(2)?,
            is_complete: row.get(3)?,
            elsewhere: row.get(4)?,
            doing: row.get::<_, Option<i64>>(5)?.map(Doing::of_number),
            done: (row.get(6)?, row.get(7)?),
            written: uint(row.get(8)?),
            agreed: uint(row.get(9)?),
            disagreements: uint(row.get(10)?),
        })
    };
    Ok(conn
        .prepare_cached(READ)?
        .query_row([no.0], read)
        .optional()?)
}
