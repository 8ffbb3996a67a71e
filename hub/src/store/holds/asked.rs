//! The pieces that head office asks a shop to send on and that have not left yet.

use rusqlite::{Connection, params};
use vitrina_shared::{HoldId, TimeMs};

use super::tell::{self, HoldRow};
use crate::store::StoreError;

// Driven by the legs that hold something, which are few; of a hold that several shops keep once.
const ASKED: &str = "SELECT d.hold, d.pos FROM leg AS l CROSS JOIN hold_destination AS d ON d.hold = l.hold \
    WHERE l.held > 0 AND l.hub = 0 AND l.side IN (0, 2) AND d.shop <> l.shop AND d.pos < ?1 \
    AND (?2 IS NULL OR l.shop = ?2 OR d.shop = ?2) AND (?3 IS NULL OR l.created_at < ?3) \
    GROUP BY d.hold ORDER BY d.pos DESC LIMIT ?4";
const IS_ASKED: &str = "SELECT EXISTS (SELECT 1 FROM leg AS l JOIN hold_destination AS d ON d.hold = l.hold \
    WHERE l.hold = ?1 AND l.held > 0 AND l.hub = 0 AND l.side IN (0, 2) AND d.shop <> l.shop)";

/// Which of them.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct AskedFor {
    /// Those that this shop is to send or to get.
    pub(in crate::store) shop: Option<u32>,
    /// Only those of which the hold is older.
    pub(in crate::store) since: Option<TimeMs>,
    /// Only those asked for before this position.
    pub(in crate::store) before: i64,
    /// At most so many.
    pub(in crate::store) most: i64,
}

/// The holds that keep them, the latest asked for first, each with the position at which it was.
pub(in crate::store) fn list(
    conn: &Connection,
    which: AskedFor,
) -> Result<Vec<(HoldId, i64)>, StoreError> {
    let since = which.since.map(|at| at.0);
    let mut statement = conn.prepare_cached(ASKED)?;
    let found = statement.query_map(
        params![which.before, which.shop, since, which.most],
        |row| Ok((HoldId(row.get(0)?), row.get(1)?)),
    )?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// One of them, by the hold that keeps its piece.
pub(in crate::store) fn one(conn: &Connection, id: HoldId) -> Result<Option<HoldRow>, StoreError> {
    let is_asked: bool = conn
        .prepare_cached(IS_ASKED)?
        .query_row([id.0], |row| row.get(0))?;
    if is_asked {
        tell::one(conn, id)
    } else {
        Ok(None)
    }
}
