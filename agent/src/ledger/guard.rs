//! What is done with a staged balances file, or why it is held back.

use rusqlite::{Connection, OptionalExtension, params};
use vitrina_shared::TimeMs;
use vitrina_shared::qty::MAX_MOVEMENT_UNITS;
use vitrina_shared::registers::Source;

use super::balances::{self, Progress};
use super::stage::{self, Doing, Stage, StageNo};
use super::{Ledger, LedgerError, state};
use crate::source::{self, Hold, Weight};

const READY: &str = "SELECT s.all_for IS NOT NULL AND s.all_for = s.current AND s.doubt IS NULL
    AND NOT EXISTS (SELECT 1 FROM replica WHERE is_behind = 1) FROM state s";
const HAS_STATEMENTS: &str = "SELECT 1 FROM statement LIMIT 1";
const TOO_MANY: &str = "SELECT barcode FROM staged WHERE stage = ?1 AND abs(qty) > ?2 LIMIT 1";
// What a later file, or another part of this one, has spoken for does not change.
const WEIGHT: &str = "WITH held (barcode, condition, units) AS (
        SELECT barcode, condition, sum(units) FROM (
            SELECT barcode, condition, p - n AS units FROM total
            UNION ALL SELECT barcode, condition, -units FROM voided) GROUP BY barcode, condition),
    step (units, change) AS (
        SELECT h.units, CASE WHEN x.at > ?3 OR (x.at = ?3 AND (x.is_listed OR s.stage IS NULL)) THEN 0
                             WHEN s.stage IS NOT NULL THEN coalesce(s.qty - h.units, 0)
                             WHEN (?2 >> h.condition) & 1 THEN -h.units ELSE 0 END
        FROM held h LEFT JOIN staged s ON s.stage = ?1 AND s.barcode = h.barcode AND s.condition = h.condition
            LEFT JOIN stated x ON x.barcode = h.barcode AND x.condition = h.condition
        UNION ALL
        SELECT 0, coalesce(s.qty, 0) FROM staged s WHERE s.stage = ?1
            AND NOT EXISTS (SELECT 1 FROM total t WHERE t.barcode = s.barcode AND t.condition = s.condition))
    SELECT coalesce(sum(max(units, 0)), 0), coalesce(sum(max(-change, 0)), 0), coalesce(sum(max(change, 0)), 0) FROM step";

/// How many rows of a file are rehearsed at once.
const REHEARSED_ROWS: usize = 1_000;

/// What a person wishes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// To be the opening.
    pub(crate) opening: bool,
    /// To be applied even though a rule holds it back.
    pub(crate) force: bool,
    /// The agent's clock.
    pub(crate) now: TimeMs,
}

/// What is done with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It opens the log.
    Open,
    /// It says where the shop's 1C and the ledger disagree.
    Verify,
    /// It states what is there.
    State,
    /// It waits until the hub has shown what it holds of the shop: a new machine must not open twice.
    WaitForHub,
    /// A person has to confirm it.
    Hold(Hold),
    /// It was to be the opening, and the log has one.
    OpenedBefore,
    /// It was not read to its end.
    Incomplete,
}

impl Verdict {
    fn doing(&self) -> Option<Doing> {
        match self {
            Self::Open => Some(Doing::Open),
            Self::Verify => Some(Doing::Verify),
            Self::State => Some(Doing::State),
            Self::WaitForHub | Self::Hold(_) | Self::OpenedBefore | Self::Incomplete => None,
        }
    }
}

impl Ledger {
    /// Decides what is done with a staged file; [`super::balances::apply`] does it. The whole shop is weighed on a
    /// connection of its own, so that no till waits.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; nothing is decided.
    pub(crate) fn judge_blocking(&self, no: StageNo, wish: Wish) -> Result<Verdict, LedgerError> {
        let conn = vitrina_host::db::connect_read_only(&self.settings)?;
        let verdict = judge(&conn, no, wish)?;
        drop(conn);
        let Some(doing) = verdict.doing() else {
            return Ok(verdict);
        };
        self.db()
            .write_blocking(move |conn| begin(conn, no, doing))?;
        Ok(verdict)
    }
}

/// What would be done with a staged file, and what would come of it: all of it in one job, and nothing is kept.
///
/// # Errors
///
/// [`LedgerError`].
pub(crate) fn rehearse(
    conn: &Connection,
    no: StageNo,
    wish: Wish,
) -> Result<(Verdict, Progress), LedgerError> {
    super::rehearse(conn, |conn| {
        let verdict = judge(conn, no, wish)?;
        let mut progress = Progress::default();
        if let Some(doing) = verdict.doing() {
            begin(conn, no, doing)?;
            while !progress.done {
                progress = balances::apply(conn, no, REHEARSED_ROWS, wish.now)?;
            }
        }
        Ok((verdict, progress))
    })
}

/// Decides what is done with a staged file.
pub(super) fn judge(conn: &Connection, no: StageNo, wish: Wish) -> Result<Verdict, LedgerError> {
    let Some(stage) = stage::read(conn, no)?.filter(|stage| stage.is_complete) else {
        return Ok(Verdict::Incomplete);
    };
    if let Some(doing) = stage.doing {
        return Ok(match doing {
            Doing::Open => Verdict::Open,
            Doing::Verify => Verdict::Verify,
            Doing::State => Verdict::State,
        });
    }
    if let Some(barcode) = too_many(conn, &stage)? {
        return Ok(Verdict::Hold(Hold::TooMany { barcode }));
    }
    if let Some(hold) = source::ahead(stage.at, wish.now).filter(|_| !wish.force) {
        return Ok(Verdict::Hold(hold));
    }
    let verdict = match state::source(conn)?.effective {
        Source::Balances => Verdict::State,
        Source::Movements => {
            let is_open = state::opened_at(conn)?.is_some();
            match (is_open, wish.opening, stage.whole != 0) {
                (true, true, _) => return Ok(Verdict::OpenedBefore),
                (false, true, _) | (false, false, true) if is_ready(conn)? => {
                    return Ok(Verdict::Open);
                }
                (false, true, _) | (false, false, true) => return Ok(Verdict::WaitForHub),
                _ => Verdict::Verify,
            }
        }
    };
    let hold = if wish.force {
        None
    } else {
        held(conn, &stage, &verdict)?
    };
    Ok(hold.map_or(verdict, Verdict::Hold))
}

/// Whether the hub, answering the current replica, has shown all it holds and the ledger holds it.
pub(super) fn is_ready(conn: &Connection) -> Result<bool, LedgerError> {
    Ok(conn
        .prepare_cached(READY)?
        .query_row([], |row| row.get(0))?)
}

fn held(conn: &Connection, stage: &Stage, verdict: &Verdict) -> Result<Option<Hold>, LedgerError> {
    if let Some(warehouse) = &stage.elsewhere {
        return Ok(Some(Hold::ForeignWarehouse(warehouse.clone())));
    }
    let is_first = conn
        .prepare_cached(HAS_STATEMENTS)?
        .query_row([], |_| Ok(()))
        .optional()?
        .is_none();
    // A file that only verifies takes nothing away; the first statements of a shop are its opening.
    if *verdict != Verdict::State || is_first {
        return Ok(None);
    }
    let weight = conn.prepare_cached(WEIGHT)?.query_row(
        params![stage.no.0, stage.whole, stage.at.0],
        |row| {
            Ok(Weight {
                units: row.get(0)?,
                takes_away: row.get(1)?,
                adds: row.get(2)?,
            })
        },
    )?;
    Ok(source::weigh(weight))
}

fn too_many(conn: &Connection, stage: &Stage) -> Result<Option<String>, LedgerError> {
    let found = conn
        .prepare_cached(TOO_MANY)?
        .query_row(params![stage.no.0, MAX_MOVEMENT_UNITS], |row| row.get(0));
    Ok(found.optional()?)
}

/// Writes the verdict down; from here on the file is applied whatever happens.
pub(super) fn begin(conn: &Connection, no: StageNo, doing: Doing) -> Result<(), LedgerError> {
    let Some(stage) = stage::read(conn, no)? else {
        return Ok(());
    };
    stage::set_doing(conn, no, doing)?;
    match doing {
        // Lines up to its time that come from now on are inside it.
        Doing::Open => state::set_opened_at(conn, stage.at),
        Doing::Verify => super::disagreement::begin(conn, &stage),
        Doing::State => Ok(()),
    }
}
