//! The ledger of one shop: movements, what they add up to, and what the exchange needs to know.
//!
//! The only SQL of the agent. Functions take a connection and run inside a job of the database thread, so one job is
//! one transaction, acknowledged after COMMIT. It knows no file format, no socket and no clock: it is told the time.
//!
//! Reading order: [`state`], [`replica`] (who writes) → [`log`], [`standing`] (movements, totals, voids) → [`desk`],
//! [`booking`], [`other_name`] (what tills and files bring) → [`leg`], [`promise`], [`over_hold`], [`question`], [`hold`] (what is kept
//! for web orders) → [`transfer`] (what is between shops) → [`stage`], [`balances`], [`disagreement`] (what the shop's 1C states) → [`ask`], [`answer`],
//! [`brought`] (the exchange) → [`query`], [`article`], [`verify`], [`repair`], [`digest`] (whether all of it is right).

pub(crate) mod answer;
pub(crate) mod article;
pub(crate) mod ask;
mod backup;
pub(crate) mod balances;
pub(crate) mod booking;
mod branch;
mod brought;
mod cancel;
mod conflict;
pub(crate) mod desk;
pub(crate) mod digest;
pub(crate) mod disagreement;
pub(crate) mod file;
mod found;
mod guard;
pub(crate) mod hold;
pub mod lab;
mod leg;
mod log;
pub(crate) mod lost;
pub(crate) mod numbers;
mod other_name;
pub(crate) mod others;
pub(crate) mod over_hold;
mod promise;
pub(crate) mod quarantine;
pub(crate) mod query;
pub(crate) mod question;
pub(crate) mod register;
mod repair;
pub(crate) mod replica;
pub(crate) mod reply;
mod schema;
pub(crate) mod source_change;
pub(crate) mod stage;
mod standing;
pub(crate) mod state;
pub(crate) mod terminal;
pub(crate) mod transfer;
pub(crate) mod verify;

use std::path::Path;

use rusqlite::Connection;
use vitrina_host::db::{Db, DbError, Hooks, OpenError, Settings};
use vitrina_host::os::OsError;
use vitrina_host::sign::SignError;
use vitrina_shared::TimeMs;
use vitrina_shared::totals::Overflow;
use vitrina_shared::wire::WireError;

pub(crate) use answer::{Heard, Taken, Via};
pub(crate) use ask::{Ask, Asked, OnStick, Show, StickFrom};
pub(crate) use booking::{AllOrNone, At, Booked, Booking, Force, Outcome, Refusal};
pub(crate) use cancel::Cancel;
pub(crate) use desk::Desk;
pub(crate) use replica::{Greeting, HighWater, Home};
pub(crate) use verify::Verified;

/// Why the ledger did not do it. Nothing of the job is kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    /// The file was not opened and is as it was.
    #[error("cannot open the ledger")]
    Open(#[from] OpenError),
    /// The database failed; the job was rolled back.
    #[error("the ledger's database failed")]
    Db(#[from] DbError),
    /// The ledger belongs to no shop yet.
    #[error("this ledger belongs to no shop yet: enrol it first")]
    NotEnrolled,
    /// Something in the ledger cannot be what was written: the disk, or a hand. `verify` says more.
    #[error("the ledger is damaged: {what}")]
    Damaged {
        /// What was found.
        what: &'static str,
    },
    /// A row's total would leave its range.
    #[error("a total of units is out of range")]
    Overflow(#[from] Overflow),
    /// The system gives no random numbers.
    #[error("cannot mint a name")]
    Random(#[from] SignError),
    /// A copy was not put in its place.
    #[error("cannot write the copy of the ledger")]
    Copy(#[from] OsError),
    /// Movements of the ledger cannot be written into a frame.
    #[error("cannot put the ledger's movements into a frame")]
    Wire(#[from] WireError),
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(DbError::Sqlite(error))
    }
}

impl LedgerError {
    /// Whether the same may succeed later without anybody acting.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Db(error) => error.is_transient(),
            Self::Copy(error) => error.is_transient(),
            Self::Open(_)
            | Self::NotEnrolled
            | Self::Damaged { .. }
            | Self::Overflow(_)
            | Self::Random(_)
            | Self::Wire(_) => false,
        }
    }

    /// Whether there is no room on the disk.
    pub(crate) fn is_disk_full(&self) -> bool {
        match self {
            Self::Db(error) => error.is_disk_full(),
            Self::Copy(error) => error.is_disk_full(),
            _ => false,
        }
    }
}

/// An open ledger; clones share it.
#[derive(Clone)]
pub(crate) struct Ledger {
    db: Db,
    settings: Settings,
}

impl Ledger {
    /// Opens the ledger, making it when there is none, and compares it with where and what it was.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Open`] when the file cannot be used; it is left as it is.
    pub(crate) fn open(
        settings: Settings,
        home: &Home,
        now: TimeMs,
    ) -> Result<(Self, Greeting), LedgerError> {
        let db = Db::open(settings.clone(), schema::STEPS, Hooks::none())?;
        let mut home = home.clone();
        home.file = home.file.or(db.opened().file.map(|file| *file.as_bytes()));
        let greeting = db.write_blocking(move |conn| replica::greet(conn, &home, now))?;
        Ok((Self { db, settings }, greeting))
    }

    /// The database thread, for jobs made of the ledger's functions.
    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// Writes a copy that carries neither the current replica nor a terminal's token: opened, it begins a life of its
    /// own and heals alone.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; then there is no new file.
    pub(crate) fn backup_blocking(&self, target: &Path) -> Result<(), LedgerError> {
        backup::backup(&self.db, target)
    }

    /// Recomputes everything that can be recomputed, on a connection of its own.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] when the ledger cannot be read at all.
    pub(crate) fn verify_blocking(&self) -> Result<Verified, LedgerError> {
        let conn = vitrina_host::db::connect_read_only(&self.settings)?;
        verify::verify(&conn)
    }

    /// Finishes what is queued and closes: only the one file remains.
    pub(crate) fn close_blocking(&self) {
        self.db.close_blocking();
    }
}

/// Runs `work` and takes back what it wrote: what would happen.
///
/// # Errors
///
/// `work`'s own, or the database's.
pub(crate) fn rehearse<T, E: From<LedgerError>>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let run = |sql: &str| {
        conn.execute_batch(sql)
            .map_err(|error| E::from(LedgerError::from(error)))
    };
    run("SAVEPOINT rehearsal")?;
    let result = work(conn);
    run("ROLLBACK TO rehearsal; RELEASE rehearsal")?;
    result
}

/// A number without a sign as SQLite stores it. Counts of movements and units stay far below 2⁶³.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A stored number that is never negative.
fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests;
