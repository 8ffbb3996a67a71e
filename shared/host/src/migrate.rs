//! Numbered schema steps, each committed with its number.
//!
//! `user_version` is major × 1,000 + minor. Minor steps only add, so an older binary opens a newer minor; a newer major
//! is refused and the file stays as it is.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::sign::sha256;

/// One step of a schema. A released one is never edited: add the next.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Major × 1,000 + minor; steps are listed in rising order.
    pub number: u32,
    /// What it is called, for the record.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

/// Why the schema was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer program wrote the file; it was left as it is.
    #[error(
        "the database has schema {found}, this program knows up to {known}: a newer program is needed"
    )]
    TooNew {
        /// The file's version.
        found: u32,
        /// Our newest.
        known: u32,
    },
    /// A step failed; the schema is as it was before that step.
    #[error("step {number} of the schema failed")]
    Step {
        /// Which one.
        number: u32,
        /// Why.
        source: rusqlite::Error,
    },
    /// The version or the record of steps cannot be read.
    #[error("the schema version cannot be read")]
    Read(#[source] rusqlite::Error),
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The version before; 0 for a new database.
    pub from: u32,
    /// The version now.
    pub to: u32,
    /// Applied steps whose text is not the one of this program: somebody edited a released step.
    pub edited: Vec<u32>,
}

const MAJOR: u32 = 1_000;

const RECORD: &str = "CREATE TABLE IF NOT EXISTS schema_step (
    number INTEGER PRIMARY KEY CHECK (number > 0),
    name   TEXT NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32)
) STRICT";
const REMEMBER: &str = "INSERT INTO schema_step (number, name, sha256) VALUES (?1, ?2, ?3)";
const REMEMBERED: &str = "SELECT sha256 FROM schema_step WHERE number = ?1";
const HAS_RECORD: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'schema_step'";

/// The newest version of `steps`; 0 of none.
pub fn newest(steps: &[Step]) -> u32 {
    steps.last().map_or(0, |step| step.number)
}

/// The version the database has; 0 for a new one.
///
/// # Errors
///
/// [`MigrateError::Read`].
pub fn version(conn: &Connection) -> Result<u32, MigrateError> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(MigrateError::Read)
}

/// Whether a program that knows `steps` may open a database of version `found`.
///
/// # Errors
///
/// [`MigrateError::TooNew`].
pub fn admit(found: u32, steps: &[Step]) -> Result<(), MigrateError> {
    let known = newest(steps);
    if known / MAJOR < found / MAJOR {
        return Err(MigrateError::TooNew { found, known });
    }
    Ok(())
}

/// Brings the schema to the newest version. A database of a newer minor stays as it is and may be used.
///
/// # Errors
///
/// [`MigrateError::TooNew`] before anything is written; [`MigrateError::Step`] leaves the steps before it done.
pub fn migrate(conn: &mut Connection, steps: &[Step]) -> Result<Migrated, MigrateError> {
    debug_assert!(steps.is_sorted_by(|a, b| a.number < b.number));
    let from = version(conn)?;
    admit(from, steps)?;
    for step in steps.iter().filter(|step| from < step.number) {
        apply(conn, step).map_err(|source| MigrateError::Step {
            number: step.number,
            source,
        })?;
    }
    Ok(Migrated {
        from,
        to: from.max(newest(steps)),
        edited: edited(conn, steps).map_err(MigrateError::Read)?,
    })
}

fn apply(conn: &mut Connection, step: &Step) -> rusqlite::Result<()> {
    let txn = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    txn.execute_batch(step.sql)?;
    txn.execute_batch(RECORD)?;
    let hash = sha256(step.sql.as_bytes());
    txn.execute(REMEMBER, params![step.number, step.name, hash])?;
    txn.pragma_update(None, "user_version", step.number)?;
    txn.commit()
}

fn edited(conn: &Connection, steps: &[Step]) -> rusqlite::Result<Vec<u32>> {
    let has_record = conn.query_row(HAS_RECORD, [], |_| Ok(())).optional()?;
    if has_record.is_none() {
        return Ok(Vec::new());
    }
    let mut query = conn.prepare(REMEMBERED)?;
    let mut edited = Vec::new();
    for step in steps {
        let applied: Option<[u8; 32]> = query
            .query_row([step.number], |row| row.get(0))
            .optional()?;
        if applied.is_some_and(|hash| hash != sha256(step.sql.as_bytes())) {
            edited.push(step.number);
        }
    }
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Step = Step {
        number: 1_000,
        name: "ledger",
        sql: "CREATE TABLE a (x INTEGER) STRICT;",
    };
    const SECOND: Step = Step {
        number: 1_001,
        name: "more",
        sql: "CREATE TABLE b (x INTEGER) STRICT;",
    };
    const BROKEN: Step = Step {
        number: 1_002,
        name: "broken",
        sql: "CREATE TABLE c (x INTEGER) STRICT; nonsense;",
    };
    const NEXT_MAJOR: Step = Step {
        number: 2_000,
        name: "other",
        sql: "DROP TABLE a;",
    };

    fn tables(conn: &Connection) -> i64 {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name IN ('a', 'b', 'c')";
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn steps_are_applied_once_each() {
        let mut conn = Connection::open_in_memory().unwrap();

        let first = migrate(&mut conn, &[FIRST]).unwrap();
        let second = migrate(&mut conn, &[FIRST, SECOND]).unwrap();
        let third = migrate(&mut conn, &[FIRST, SECOND]).unwrap();

        assert_eq!((first.from, first.to), (0, 1_000));
        assert_eq!((second.from, second.to), (1_000, 1_001));
        assert_eq!((third.from, third.to), (1_001, 1_001));
        assert_eq!(tables(&conn), 2);
    }

    #[test]
    fn a_failed_step_leaves_the_schema_before_it() {
        let mut conn = Connection::open_in_memory().unwrap();

        let failed = migrate(&mut conn, &[FIRST, SECOND, BROKEN]).unwrap_err();

        assert!(matches!(failed, MigrateError::Step { number: 1_002, .. }));
        assert_eq!(version(&conn).unwrap(), 1_001);
        assert_eq!(tables(&conn), 2);
    }

    #[test]
    fn a_newer_minor_opens_and_a_newer_major_is_refused_untouched() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, &[FIRST, SECOND]).unwrap();
        let older = migrate(&mut conn, &[FIRST]).unwrap();
        assert_eq!((older.from, older.to), (1_001, 1_001));

        migrate(&mut conn, &[FIRST, SECOND, NEXT_MAJOR]).unwrap();
        let before = conn.total_changes();
        let refused = migrate(&mut conn, &[FIRST, SECOND]).unwrap_err();

        assert!(matches!(
            refused,
            MigrateError::TooNew {
                found: 2_000,
                known: 1_001
            }
        ));
        assert_eq!(conn.total_changes(), before);
    }

    #[test]
    fn an_edited_step_is_named() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, &[FIRST]).unwrap();
        let edited = Step {
            sql: "CREATE TABLE a (y INTEGER) STRICT;",
            ..FIRST
        };

        assert_eq!(migrate(&mut conn, &[edited]).unwrap().edited, [1_000]);
    }
}
