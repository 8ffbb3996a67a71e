//! Movements that were recorded here and that the ledger does not hold: the high-water file knew of them. The hub gives
//! back what it has; what neither has is lost, and a person counts the shelf.

use rusqlite::Connection;
use serde::Serialize;

use super::replica::{self, HighWater};
use super::{LedgerError, guard, state};

const WITNESS: &str = "high_water ";
const COUNTED: &str = "counted ";
const NOTES: &str = "SELECT name FROM note WHERE name GLOB 'high_water *' OR name GLOB 'counted *'";
const SET_COUNTED: &str =
    "UPDATE OR REPLACE note SET name = replace(name, 'high_water ', 'counted ')
    WHERE name GLOB 'high_water *'";

/// What is missing at the end of one replica's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Lost {
    /// The replica.
    pub(crate) replica: String,
    /// The first that is missing.
    pub(crate) from_seq: u64,
    /// The last that is known to have been there.
    pub(crate) to_seq: u64,
    /// A person counted the shelf.
    pub(crate) counted: bool,
    /// The hub was asked for them and does not have them either.
    pub(crate) certain: bool,
}

impl Lost {
    /// How many movements.
    pub(crate) fn count(&self) -> u64 {
        self.to_seq - self.from_seq + 1
    }

    /// The code and the words for the hub.
    pub(crate) fn problem(&self) -> String {
        let Self {
            replica,
            from_seq,
            to_seq,
            ..
        } = self;
        format!(
            "lost_movements: {} ({replica} {from_seq}-{to_seq})",
            self.count()
        )
    }
}

/// Keeps what the high-water file says: the file itself is soon written anew.
pub(super) fn witness(conn: &Connection, high_water: HighWater) -> Result<(), LedgerError> {
    state::set_flag(conn, &format!("{WITNESS}{high_water}"))
}

/// What is missing now.
pub(crate) fn lost(conn: &Connection) -> Result<Vec<Lost>, LedgerError> {
    let mut query = conn.prepare_cached(NOTES)?;
    let mut rows = query.query([])?;
    let mut lost = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let open = name.strip_prefix(WITNESS);
        let Some(known) = open
            .or(name.strip_prefix(COUNTED))
            .and_then(HighWater::parse)
        else {
            continue;
        };
        let held = match replica::find(conn, known.replica)? {
            Some(no) => replica::head(conn, no, known.replica)?.seq.0,
            None => 0,
        };
        if held < known.seq.0 {
            lost.push(Lost {
                replica: known.replica.to_string(),
                from_seq: held + 1,
                to_seq: known.seq.0,
                counted: open.is_none(),
                certain: guard::is_ready(conn)?,
            });
        }
    }
    Ok(lost)
}

/// A person counted the shelf: what is missing is kept in mind, and named no more.
pub(crate) fn set_counted(conn: &Connection) -> Result<(), LedgerError> {
    conn.execute(SET_COUNTED, [])?;
    Ok(())
}
