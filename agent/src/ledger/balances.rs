//! Applying a staged balances file, in bounded jobs, in the order of (barcode, condition): a crash goes on there, and
//! an opening packs well on the wire.

use rusqlite::{Connection, OptionalExtension, Row, params};
use vitrina_shared::totals::Overflow;
use vitrina_shared::{Barcode, Condition, Details, Key, Kind, Movement, Qty, TimeMs};

use super::log::{self, barcode};
use super::stage::{self, Doing, Stage, StageNo};
use super::{Desk, LedgerError, disagreement, found, int, promise, standing};
use crate::source::{self, Before, Say, Speech};

pub(crate) use super::guard::{Verdict, Wish, rehearse};

// What the file lists and, where it is the whole, everything else that is known.
const ROWS: &str =
    "SELECT k.barcode, k.condition, s.stage IS NOT NULL, s.qty, s.scanned, s.rest FROM (
        SELECT barcode, condition FROM staged WHERE stage = ?1 AND (barcode, condition) > (?2, ?3)
        UNION SELECT barcode, condition FROM total
            WHERE (barcode, condition) > (?2, ?3) AND (?4 >> condition) & 1
        UNION SELECT barcode, condition FROM stated
            WHERE (barcode, condition) > (?2, ?3) AND (?4 >> condition) & 1
        ORDER BY 1, 2 LIMIT ?5) k
    LEFT JOIN staged s ON s.stage = ?1 AND s.barcode = k.barcode AND s.condition = k.condition
    ORDER BY k.barcode, k.condition";
const ADVANCE: &str =
    "UPDATE stage SET done_barcode = ?2, done_condition = ?3, written = written + ?4,
    agreed = agreed + ?5, disagreements = disagreements + ?6 WHERE no = ?1";
const SPOKEN: &str = "SELECT at, is_listed FROM stated WHERE barcode = ?1 AND condition = ?2";

/// How far a file has been applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Differences written, of the whole file.
    pub(crate) written: u64,
    /// Lines that agreed.
    pub(crate) agreed: u64,
    /// Lines on which the file and the ledger disagree.
    pub(crate) disagreements: u64,
    /// Whether all of it is done; its lines are to be forgotten then.
    pub(crate) done: bool,
}

/// A row that the file speaks of.
struct RowSaid {
    barcode: Barcode,
    condition: Condition,
    line: Option<Line>,
    /// The file lists it with a quantity that cannot be used: nothing follows from that.
    is_unusable: bool,
}

struct Line {
    qty: i64,
    scanned: Option<Barcode>,
    rest: Vec<u8>,
}

impl RowSaid {
    fn qty(&self) -> i64 {
        self.line.as_ref().map_or(0, |line| line.qty)
    }

    fn speech(&self) -> Speech {
        if self.line.is_some() {
            Speech::Listed
        } else {
            Speech::Silent
        }
    }

    /// A movement that says what this row says; `observed` where it is not the units themselves.
    fn movement(
        &self,
        (kind, key): (Kind, Key),
        units: i64,
        at: TimeMs,
    ) -> Result<Movement, LedgerError> {
        let (scanned, mut details) = match &self.line {
            Some(line) => (line.scanned.clone(), Details::read(&line.rest)),
            None => (None, Details::default()),
        };
        details.observed = Some(self.qty()).filter(|observed| *observed != units);
        Ok(Movement {
            kind,
            condition: self.condition,
            key,
            barcode: self.barcode.clone(),
            scanned,
            qty: Qty::new(units).map_err(|_| Overflow)?,
            at,
            target: None,
            rest: details.to_bytes(),
        })
    }
}

/// What a row came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Written,
    Agreed,
    Disagrees,
    /// The file did not list it, and nothing followed from that.
    Silent,
}

/// Applies the next `rows` rows of a judged file. When it is done, [`stage::forget`] takes its lines away.
pub(crate) fn apply(
    conn: &Connection,
    no: StageNo,
    rows: usize,
    now: TimeMs,
) -> Result<Progress, LedgerError> {
    let Some(stage) = stage::read(conn, no)? else {
        return Ok(Progress {
            done: true,
            ..Progress::default()
        });
    };
    let Some(doing) = stage.doing else {
        return Ok(Progress::default());
    };
    let mut desk = Desk::open(conn, now)?;
    let said = next_rows(conn, &stage, rows)?;
    let mut progress = Progress {
        written: stage.written,
        agreed: stage.agreed,
        disagreements: stage.disagreements,
        done: said.len() < rows,
    };
    for row in said.iter().filter(|row| !row.is_unusable) {
        let came = match doing {
            Doing::Open => open(&mut desk, &stage, row)?,
            Doing::Verify => verify(conn, &stage, row)?,
            Doing::State => state(&mut desk, &stage, row)?,
        };
        match came {
            Came::Written => progress.written += 1,
            Came::Agreed => progress.agreed += 1,
            Came::Disagrees => progress.disagreements += 1,
            Came::Silent => {}
        }
    }
    if let Some(last) = said.last() {
        conn.prepare_cached(ADVANCE)?.execute(params![
            no.0,
            last.barcode.as_str(),
            last.condition.number(),
            int(progress.written - stage.written),
            int(progress.agreed - stage.agreed),
            int(progress.disagreements - stage.disagreements),
        ])?;
    }
    Ok(progress)
}

fn next_rows(conn: &Connection, stage: &Stage, rows: usize) -> Result<Vec<RowSaid>, LedgerError> {
    let mut query = conn.prepare_cached(ROWS)?;
    let limit = i64::try_from(rows).unwrap_or(i64::MAX);
    let (after, condition) = (&stage.done.0, stage.done.1);
    let found = query.query_map(
        params![stage.no.0, after, condition, stage.whole, limit],
        |row: &Row<'_>| {
            let (text, condition): (String, u8) = (row.get(0)?, row.get(1)?);
            let (is_listed, qty): (bool, Option<i64>) = (row.get(2)?, row.get(3)?);
            let (scanned, rest): (Option<String>, Option<Vec<u8>>) = (row.get(4)?, row.get(5)?);
            Ok((text, condition, (is_listed, qty), scanned, rest))
        },
    )?;
    found
        .map(|row| {
            let (text, condition, (is_listed, qty), scanned, rest) = row?;
            let scanned = scanned.map(|text| barcode(&text)).transpose()?;
            let line = qty.map(|qty| Line {
                qty,
                scanned,
                rest: rest.unwrap_or_default(),
            });
            let is_unusable = is_listed && line.is_none();
            Ok(RowSaid {
                barcode: barcode(&text)?,
                condition: Condition::of_number(condition),
                line,
                is_unusable,
            })
        })
        .collect()
}

/// `stated − on hand by movements with at ≤ T`, once for ever.
fn open(desk: &mut Desk<'_>, stage: &Stage, row: &RowSaid) -> Result<Came, LedgerError> {
    let on_hand = log::on_hand_at(desk.conn, &row.barcode, row.condition, stage.at)?;
    let movement = row.movement(
        (Kind::Opening, Key::Opening),
        row.qty().saturating_sub(on_hand),
        stage.at,
    )?;
    let id = movement.id(&desk.shop);
    let is_known = standing::is_held(desk.conn, id)? || standing::is_targeted(desk.conn, id)?;
    if movement.qty != Qty::ZERO && !is_known {
        desk.append(movement)?;
        promise::break_uncovered(desk.conn, &row.barcode, desk.now)?;
        return Ok(Came::Written);
    }
    listed_agrees(desk.conn, stage, row)
}

fn verify(conn: &Connection, stage: &Stage, row: &RowSaid) -> Result<Came, LedgerError> {
    let is_listed = row.line.is_some();
    disagreement::say(
        conn,
        stage,
        (&row.barcode, row.condition),
        row.qty(),
        is_listed,
    )?;
    if disagreement::review(conn, &row.barcode, row.condition)? {
        if let Some(line) = &row.line {
            log::keep_words(conn, row.barcode.as_str(), stage.at, &line.rest)?;
        }
        return Ok(Came::Disagrees);
    }
    listed_agrees(conn, stage, row)
}

/// The shop's 1C says what is there.
fn state(desk: &mut Desk<'_>, stage: &Stage, row: &RowSaid) -> Result<Came, LedgerError> {
    let conn = desk.conn;
    let before = before(conn, row)?;
    let say = source::say(stage.at, row.speech(), row.qty(), &before);
    if say != Say::Nothing {
        disagreement::say(
            conn,
            stage,
            (&row.barcode, row.condition),
            row.qty(),
            row.line.is_some(),
        )?;
    }
    if let Say::Write(at) = say {
        let movement = row.movement((Kind::Balance, Key::Statement), row.qty(), at)?;
        if !standing::is_held(conn, movement.id(&desk.shop))? {
            desk.append(movement)?;
            promise::break_uncovered(conn, &row.barcode, desk.now)?;
            return Ok(Came::Written);
        }
    }
    listed_agrees(conn, stage, row)
}

fn before(conn: &Connection, row: &RowSaid) -> Result<Before, LedgerError> {
    let spoken = conn
        .prepare_cached(SPOKEN)?
        .query_row(
            params![row.barcode.as_str(), row.condition.number()],
            |row| {
                let speech = if row.get(1)? {
                    Speech::Listed
                } else {
                    Speech::Silent
                };
                Ok((TimeMs(row.get(0)?), speech))
            },
        )
        .optional()?;
    let counts = match standing::statement(conn, &row.barcode, row.condition)? {
        Some((at, id)) => found::by_id(conn, id)?
            .first()
            .map(|statement| (at, statement.movement.qty.units())),
        None => None,
    };
    Ok(Before { spoken, counts })
}

/// A line from which no movement follows; its words are kept here, since none carries them.
fn listed_agrees(conn: &Connection, stage: &Stage, row: &RowSaid) -> Result<Came, LedgerError> {
    let Some(line) = &row.line else {
        return Ok(Came::Silent);
    };
    if !line.rest.is_empty() {
        log::keep_words(conn, row.barcode.as_str(), stage.at, &line.rest)?;
    }
    Ok(Came::Agreed)
}
