//! Where the shop's 1C and the ledger disagree: a function of the last file and the movements.

use rusqlite::{Connection, OptionalExtension, Row, params};
use vitrina_shared::wire::v1::DisagreementV1;
use vitrina_shared::{Barcode, Condition, Details, Key, Kind, Movement, Qty, TimeMs};

use super::booking::Booked;
use super::log::{self, barcode};
use super::stage::Stage;
use super::{Desk, LedgerError, standing, uint};
use crate::source::CLOCK_TOLERANCE_MS;

const UPTO: &str = "SELECT stated_upto FROM state";
const SET_UPTO: &str = "UPDATE state SET stated_upto = max(coalesce(stated_upto, ?1), ?1)";
const FORGET_UPTO: &str = "UPDATE state SET stated_upto = NULL, disagreements = disagreements + 1";
const CHANGED: &str = "UPDATE state SET disagreements = disagreements + 1";
const VERSION: &str = "SELECT disagreements, disagreements_acked FROM state";
const WHOLE: &str = "INSERT INTO whole (condition, at, file) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET at = excluded.at, file = excluded.file WHERE excluded.at >= at";
const SAY: &str = "INSERT INTO stated (barcode, condition, qty, at, file, is_listed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO UPDATE SET qty = excluded.qty, at = excluded.at, file = excluded.file,
        is_listed = excluded.is_listed, is_dismissed = 0
    WHERE excluded.at > at OR (excluded.at = at AND excluded.is_listed >= is_listed)";
// What a file was silent about, it said to be 0.
const STATED: &str =
    "SELECT qty, at, file, is_dismissed FROM stated WHERE barcode = ?1 AND condition = ?2
    UNION ALL SELECT 0, at, file, 0 FROM whole WHERE condition = ?2
        AND NOT EXISTS (SELECT 1 FROM stated WHERE barcode = ?1 AND condition = ?2)";
const NEAR: &str =
    "SELECT 1 FROM movement WHERE barcode = ?1 AND condition = ?2 AND at BETWEEN ?3 AND ?4
    AND counts = 1 AND kind NOT IN (10, 11, 12) LIMIT 1";
const PUT: &str = "INSERT INTO disagreement (barcode, condition, stated, on_hand, at, is_uncertain, file)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT DO UPDATE SET stated = excluded.stated, on_hand = excluded.on_hand, at = excluded.at,
        is_uncertain = excluded.is_uncertain, file = excluded.file
    WHERE (stated, on_hand, at, is_uncertain, file)
        <> (excluded.stated, excluded.on_hand, excluded.at, excluded.is_uncertain, excluded.file)";
const TAKE: &str = "DELETE FROM disagreement WHERE barcode = ?1 AND condition = ?2";
const TAKE_ALL: &str = "DELETE FROM disagreement";
const DISMISS: &str = "UPDATE stated SET is_dismissed = 1 WHERE barcode = ?1 AND condition = ?2";
const DISMISS_SILENT: &str =
    "INSERT OR IGNORE INTO stated (barcode, condition, qty, at, file, is_listed, is_dismissed)
    SELECT ?1, ?2, 0, at, file, 0, 1 FROM whole WHERE condition = ?2";
const LIST: &str =
    "SELECT barcode, condition, stated, on_hand, at, is_uncertain, file FROM disagreement
    WHERE (barcode, condition) > (?1, ?2) ORDER BY barcode, condition LIMIT ?3";
const OF: &str =
    "SELECT barcode, condition, stated, on_hand, at, is_uncertain, file FROM disagreement
    WHERE barcode = ?1 ORDER BY condition";
const COUNT: &str = "SELECT count(*) FROM disagreement";

/// The most entries of one frame.
const MAX_IN_FRAME: usize = 1_000;

/// What the shop's 1C says and what its ledger says, of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disagreement {
    /// The barcode.
    pub(crate) barcode: Barcode,
    /// Sellable or not.
    pub(crate) condition: Condition,
    /// What the file states.
    pub(crate) stated: i64,
    /// On hand by movements up to its time.
    pub(crate) on_hand: i64,
    /// The file's time.
    pub(crate) at: TimeMs,
    /// A movement lies within the clock tolerance of that time.
    pub(crate) uncertain: bool,
    /// The file.
    pub(crate) file: String,
}

/// What became of an adoption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Adopted {
    /// The ledger says now what the file stated.
    Booked(Vec<Booked>),
    /// There is no disagreement about the barcode.
    Nothing,
    /// The one that was looked at is of another time.
    Older,
    /// The same statement was adopted before, and movements up to its time came since: a newer file decides.
    Before,
}

/// A file begins to verify.
pub(super) fn begin(conn: &Connection, stage: &Stage) -> Result<(), LedgerError> {
    conn.prepare_cached(SET_UPTO)?
        .execute([stage.at.plus(CLOCK_TOLERANCE_MS).0])?;
    for condition in [Condition::Sellable, Condition::Unavailable] {
        if stage.speaks_of_whole(condition) {
            conn.prepare_cached(WHOLE)?.execute(params![
                condition.number(),
                stage.at.0,
                stage.name
            ])?;
        }
    }
    Ok(())
}

/// A file says `qty` of a row; what is known of a later time stays.
pub(super) fn say(
    conn: &Connection,
    stage: &Stage,
    (barcode, condition): (&Barcode, Condition),
    qty: i64,
    is_listed: bool,
) -> Result<(), LedgerError> {
    let row = params![
        barcode.as_str(),
        condition.number(),
        qty,
        stage.at.0,
        stage.name,
        is_listed
    ];
    conn.prepare_cached(SAY)?.execute(row)?;
    Ok(())
}

/// A movement of this row and time came, went, or changed its standing.
pub(super) fn touched(
    conn: &Connection,
    barcode: &Barcode,
    condition: Condition,
    at: TimeMs,
) -> Result<(), LedgerError> {
    let upto: Option<i64> = conn.prepare_cached(UPTO)?.query_row([], |row| row.get(0))?;
    if upto.is_some_and(|upto| at.0 <= upto) {
        review(conn, barcode, condition)?;
    }
    Ok(())
}

/// Compares a row with what was last stated of it. Whether they disagree.
pub(super) fn review(
    conn: &Connection,
    barcode: &Barcode,
    condition: Condition,
) -> Result<bool, LedgerError> {
    let key = params![barcode.as_str(), condition.number()];
    let read = |row: &Row<'_>| {
        let (qty, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok((
            qty,
            TimeMs(at),
            row.get::<_, String>(2)?,
            row.get::<_, bool>(3)?,
        ))
    };
    let stated = conn
        .prepare_cached(STATED)?
        .query_row(key, read)
        .optional()?;
    let disagrees = match &stated {
        Some((qty, at, _, false)) => {
            let on_hand = log::on_hand_at(conn, barcode, condition, *at)?;
            (on_hand != *qty).then_some(on_hand)
        }
        _ => None,
    };
    let rows = match (&stated, disagrees) {
        (Some((qty, at, file, _)), Some(on_hand)) => {
            let (from, to) = (
                at.plus(-CLOCK_TOLERANCE_MS).0,
                at.plus(CLOCK_TOLERANCE_MS).0,
            );
            let near = params![barcode.as_str(), condition.number(), from, to];
            let uncertain = conn
                .prepare_cached(NEAR)?
                .query_row(near, |_| Ok(()))
                .optional()?
                .is_some();
            let row = params![
                barcode.as_str(),
                condition.number(),
                qty,
                on_hand,
                at.0,
                uncertain,
                file
            ];
            conn.prepare_cached(PUT)?.execute(row)?
        }
        _ => conn.prepare_cached(TAKE)?.execute(key)?,
    };
    if rows > 0 {
        conn.prepare_cached(CHANGED)?.execute([])?;
    }
    Ok(disagrees.is_some())
}

/// Forgets all disagreements: the shop's 1C keeps the books from now on, or no longer.
pub(super) fn clear(conn: &Connection) -> Result<(), LedgerError> {
    conn.execute(TAKE_ALL, [])?;
    conn.execute(FORGET_UPTO, [])?;
    Ok(())
}

/// The disagreements after a row, in the order of (barcode, condition).
pub(crate) fn list(
    conn: &Connection,
    after: Option<(&Barcode, Condition)>,
    limit: usize,
) -> Result<Vec<Disagreement>, LedgerError> {
    let (barcode, condition) = after.map_or(("", 0), |(barcode, condition)| {
        (barcode.as_str(), condition.number())
    });
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    collect(conn, LIST, params![barcode, condition, limit])
}

/// The disagreements about a barcode.
pub(crate) fn of(conn: &Connection, barcode: &Barcode) -> Result<Vec<Disagreement>, LedgerError> {
    collect(conn, OF, params![barcode.as_str()])
}

fn collect(
    conn: &Connection,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Vec<Disagreement>, LedgerError> {
    let mut query = conn.prepare_cached(sql)?;
    let rows = query.query_map(params, |row| {
        let (text, condition): (String, u8) = (row.get(0)?, row.get(1)?);
        let numbers: (i64, i64, i64, bool) = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
        Ok((text, condition, numbers, row.get::<_, String>(6)?))
    })?;
    rows.map(|row| {
        let (text, condition, (stated, on_hand, at, uncertain), file) = row?;
        let (barcode, condition, at) =
            (barcode(&text)?, Condition::of_number(condition), TimeMs(at));
        Ok(Disagreement {
            barcode,
            condition,
            stated,
            on_hand,
            at,
            uncertain,
            file,
        })
    })
    .collect()
}

/// How many there are.
pub(crate) fn count(conn: &Connection) -> Result<u64, LedgerError> {
    Ok(uint(
        conn.prepare_cached(COUNT)?
            .query_row([], |row| row.get(0))?,
    ))
}

/// The whole list, where the hub does not know it as it is, and its version.
pub(super) fn unsent(conn: &Connection) -> Result<(Option<Vec<DisagreementV1>>, i64), LedgerError> {
    let (version, acked): (i64, i64) = conn
        .prepare_cached(VERSION)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if version == acked {
        return Ok((None, version));
    }
    let list = list(conn, None, MAX_IN_FRAME)?
        .into_iter()
        .map(|disagreement| DisagreementV1 {
            barcode: disagreement.barcode.into(),
            condition: disagreement.condition.number(),
            stated: disagreement.stated,
            on_hand: disagreement.on_hand,
            at: disagreement.at.0,
            uncertain: disagreement.uncertain,
            file: disagreement.file,
        });
    Ok((Some(list.collect()), version))
}

/// Books what the shop's 1C states of a barcode, as it is now; `seen` is the time of the statement that a person
/// looked at.
pub(crate) fn adopt(
    desk: &mut Desk<'_>,
    barcode: &Barcode,
    seen: Option<TimeMs>,
) -> Result<Adopted, LedgerError> {
    let found = of(desk.conn, barcode)?;
    if found.is_empty() {
        return Ok(Adopted::Nothing);
    }
    if found
        .iter()
        .any(|disagreement| seen.is_some_and(|seen| seen != disagreement.at))
    {
        return Ok(Adopted::Older);
    }
    let mut booked = Vec::new();
    for disagreement in found {
        let units = disagreement.stated.saturating_sub(disagreement.on_hand);
        // What the file said of the piece: where it is new here, nobody else tells the hub.
        let details = Details {
            observed: Some(disagreement.stated),
            ..log::own_words(desk.conn, barcode)?
        };
        let movement = Movement {
            kind: Kind::Adjustment,
            condition: disagreement.condition,
            key: Key::Adopted,
            barcode: disagreement.barcode,
            scanned: None,
            qty: Qty::new(units).map_err(|_| vitrina_shared::totals::Overflow)?,
            at: disagreement.at,
            target: None,
            rest: details.to_bytes(),
        };
        let id = movement.id(&desk.shop);
        if !standing::is_held(desk.conn, id)? {
            booked.push(desk.write(movement)?);
        }
    }
    Ok(if booked.is_empty() {
        Adopted::Before
    } else {
        Adopted::Booked(booked)
    })
}

/// The ledger is right about a barcode: the list forgets it until a file states it anew. Whether there was something.
pub(crate) fn dismiss(
    conn: &Connection,
    barcode: &Barcode,
    seen: Option<TimeMs>,
) -> Result<bool, LedgerError> {
    let found = of(conn, barcode)?;
    let mut dismissed = false;
    for disagreement in found
        .iter()
        .filter(|found| seen.is_none_or(|seen| seen == found.at))
    {
        let key = params![barcode.as_str(), disagreement.condition.number()];
        conn.prepare_cached(DISMISS_SILENT)?.execute(key)?;
        conn.prepare_cached(DISMISS)?.execute(key)?;
        review(conn, barcode, disagreement.condition)?;
        dismissed = true;
    }
    Ok(dismissed)
}
