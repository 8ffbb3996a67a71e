//! The thread that owns the writing connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::checkpoint::Checkpointer;
use super::error::{DbError, OpenError, is_fatal};
use super::follower::Follower;
use super::open;
use super::queue::{Job, Next, Shared};
use super::readers::Readers;
use super::{BUSY_CACHE_KIB, Settings};
use crate::os::FileId;

/// How many writes share a commit at most.
const GROUP_MAX: usize = 256;
/// No further write joins a transaction that has been open this long: those in it wait for their answer.
const GROUP_TIME: Duration = Duration::from_millis(50);
/// How long the queue is empty before the WAL is emptied.
const IDLE: Duration = Duration::from_secs(5);
/// How often SQLite looks whether its statistics are of use.
const OPTIMIZE_EVERY: Duration = Duration::from_hours(24);

const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
const SAVEPOINT: &str = "SAVEPOINT job";
const RELEASE: &str = "RELEASE job";
const ROLLBACK_JOB: &str = "ROLLBACK TO job";
const EMPTY_WAL: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
const OPTIMIZE: &str = "PRAGMA optimize";
const SHRINK: &str = "PRAGMA shrink_memory";

/// A transaction that several writes shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// How many writes are in it.
    pub jobs: usize,
    /// How many rows they changed (as SQLite counts).
    pub changes: u64,
    /// Which transaction it is: the first is 1. One that is not committed leaves a gap.
    pub number: u64,
}

type BeforeCommit = Box<dyn FnMut(&Connection, &Group) -> rusqlite::Result<()> + Send>;
pub(super) type AfterCommit = Box<dyn FnMut(&Group) + Send>;
type Reopened = Box<dyn FnMut(&Connection) + Send>;

/// What the owner of the tables does on the database thread, besides the writes themselves.
#[derive(Default)]
pub struct Hooks {
    /// Runs inside each transaction that changed rows, last before COMMIT. Its error rolls back all of it.
    pub before_commit: Option<BeforeCommit>,
    /// Runs after COMMIT and after each write's own `after`, before any caller is answered; in the order of the commits,
    /// and while the next transaction may be running already.
    pub after_commit: Option<AfterCommit>,
    /// Runs when the connection was lost by an I/O error and opened again: read again what is kept in memory.
    pub reopened: Option<Reopened>,
}

impl Hooks {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }
}

pub(super) struct Writer {
    conn: Option<Connection>,
    /// One that is not to be trusted, until the next one is open.
    lost: Option<Connection>,
    settings: Settings,
    /// The file that was opened.
    file: Option<FileId>,
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    before_commit: Option<BeforeCommit>,
    reopened: Option<Reopened>,
    follower: Follower,
    checkpointer: Checkpointer,
    /// It has more memory for pages than at rest.
    is_wide: bool,
    /// Transactions begun so far.
    groups: u64,
    /// When the WAL is emptied, if nothing comes before; `None` when it is empty.
    tidy_at: Option<Instant>,
    optimized: Instant,
}

/// What became of one job in a transaction.
enum Ran {
    /// It waits for the commit.
    Kept(Box<dyn Job>),
    /// It alone was rolled back, and its caller answered.
    Undone,
    /// The whole transaction is gone.
    AllLost(Box<dyn Job>),
}

impl Writer {
    pub(super) fn new(
        (mut conn, file): (Connection, Option<FileId>),
        settings: Settings,
        shared: Arc<Shared>,
        readers: Arc<Readers>,
        hooks: Hooks,
    ) -> Result<Self, OpenError> {
        let started = Checkpointer::start(settings.clone(), Arc::clone(&shared));
        let checkpointer = started.map_err(OpenError::Thread)?;
        checkpointer
            .attend(&mut conn)
            .map_err(open::sqlite(&settings))?;
        let follower = Follower::start(hooks.after_commit).map_err(OpenError::Thread)?;
        Ok(Self {
            conn: Some(conn),
            lost: None,
            settings,
            file,
            shared,
            readers,
            before_commit: hooks.before_commit,
            reopened: hooks.reopened,
            follower,
            checkpointer,
            is_wide: false,
            groups: 0,
            // The schema may just have been written.
            tidy_at: Some(Instant::now() + IDLE),
            optimized: Instant::now(),
        })
    }

    pub(super) fn run(mut self) {
        loop {
            match self.shared.next(self.tidy_at) {
                Next::Run(first) => self.group(first),
                Next::Tidy => self.tidy(),
                Next::Stop => break,
            }
        }
        let is_in_place = self.is_in_place();
        self.follower.close();
        self.checkpointer.close();
        let conn = match (self.conn.take(), &self.lost) {
            (None, Some(_)) if is_in_place => open::reopen(&self.settings).ok(),
            (conn, _) => conn,
        };
        self.lost = None;
        if let Some(conn) = conn {
            if is_in_place {
                let _ = empty_wal(&conn);
            } else {
                // The log of that name belongs to another file: it is not to be deleted on the way out.
                let _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            }
            if let Err((_, error)) = conn.close() {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the database did not close cleanly"
                );
            }
        }
    }

    /// One transaction: `first`, then the urgent writes that wait, then COMMIT, then the answers.
    fn group(&mut self, first: Box<dyn Job>) {
        let conn = match self.connection() {
            Ok(conn) => conn,
            Err(error) => return first.refuse(error),
        };
        if let Err(error) = execute(&conn, BEGIN) {
            self.put_back(conn, is_fatal(&error));
            return first.refuse(DbError::Commit(Arc::new(error)));
        }
        self.groups += 1;
        let rows_before = conn.total_changes();
        let started = Instant::now();
        let mut kept: Vec<Box<dyn Job>> = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next.take() {
            match run_job(&conn, job, kept.is_empty()) {
                Ran::Kept(job) => kept.push(job),
                // The first one has no savepoint: it took the transaction with it, and nothing else was in it.
                Ran::Undone if kept.is_empty() => return self.put_back(conn, false),
                Ran::Undone => {}
                Ran::AllLost(job) => {
                    kept.push(job);
                    refuse_all(kept, || DbError::RolledBack);
                    return self.put_back(conn, true);
                }
            }
            if kept.len() < GROUP_MAX && started.elapsed() < GROUP_TIME {
                next = self.shared.also_urgent();
            }
        }
        let group = Group {
            jobs: kept.len(),
            changes: conn.total_changes() - rows_before,
            number: self.groups,
        };
        let committed = self.commit(&conn, &group);
        match committed {
            // What is in a file that is gone is not said to be kept. The connection stays: behind the path lies another
            // file now, or none.
            Ok(()) if !self.is_in_place() => {
                self.put_back(conn, false);
                let error = Arc::new(gone());
                refuse_all(kept, || DbError::Commit(Arc::clone(&error)));
            }
            Ok(()) => {
                self.follower.follow(kept, group);
                if self.checkpointer.follow(&conn) {
                    self.widen(&conn);
                }
                self.put_back(conn, false);
            }
            Err(error) => {
                let is_lost = is_fatal(&error) || execute(&conn, ROLLBACK).is_err();
                self.put_back(conn, is_lost);
                let error = Arc::new(error);
                refuse_all(kept, || DbError::Commit(Arc::clone(&error)));
            }
        }
    }

    fn commit(&mut self, conn: &Connection, group: &Group) -> rusqlite::Result<()> {
        if group.changes > 0
            && let Some(hook) = &mut self.before_commit
        {
            // A panic here is the owner's bug; the transaction is rolled back like after an error.
            catch_unwind(AssertUnwindSafe(|| hook(conn, group)))
                .unwrap_or(Err(rusqlite::Error::UnwindingPanic))?;
        }
        execute(conn, COMMIT)
    }

    fn is_in_place(&self) -> bool {
        open::is_in_place(&self.settings, self.file)
    }

    /// The connection, opened again if it was lost.
    fn connection(&mut self) -> Result<Connection, DbError> {
        if let Some(conn) = self.conn.take() {
            return Ok(conn);
        }
        if !self.is_in_place() {
            return Err(DbError::Commit(Arc::new(gone())));
        }
        self.is_wide = false;
        let mut conn =
            open::reopen(&self.settings).map_err(|error| DbError::Reopen(Arc::new(error)))?;
        self.lost = None;
        self.checkpointer
            .attend(&mut conn)
            .map_err(DbError::Sqlite)?;
        tracing::warn!("the database connection was opened again after an error");
        if let Some(hook) = &mut self.reopened
            && catch_unwind(AssertUnwindSafe(|| hook(&conn))).is_err()
        {
            tracing::error!("reading the state again panicked");
        }
        Ok(conn)
    }

    /// Keeps the connection for the next transaction, or drops it when it is not to be trusted.
    fn put_back(&mut self, conn: Connection, is_lost: bool) {
        self.tidy_at = Some(Instant::now() + IDLE);
        if !is_lost {
            self.conn = Some(conn);
            return;
        }
        tracing::error!("the database connection is dropped after an error");
        // After a failed flush the system goes on showing what it could not write, and never tries again. Whoever reads
        // the log anew, as the first connection does, finds the failed transaction in it and writes behind it: behind a
        // hole, once the power was cut. So the next connection is opened beside this one: in the index of the log, which
        // they share, that transaction is not, and the next one is written in its place.
        if !conn.is_autocommit() {
            let _ = execute(&conn, ROLLBACK);
        }
        // Nor is the log to be copied into the file on the way out.
        let _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        self.lost = Some(conn);
        self.readers.forget_idle();
        self.checkpointer.forget();
    }

    /// Gives the connection more memory for pages until there is nothing to do: what is read again and again for a
    /// large file is not read from the system each time.
    fn widen(&mut self, conn: &Connection) {
        if !self.is_wide {
            let kib = self.settings.cache_kib.max(BUSY_CACHE_KIB);
            self.is_wide = set_cache(conn, kib).is_ok();
        }
    }

    fn tidy(&mut self) {
        self.tidy_at = None;
        let Some(conn) = &self.conn else {
            return;
        };
        if self.optimized.elapsed() >= OPTIMIZE_EVERY {
            self.optimized = Instant::now();
            let _ = conn.execute_batch(OPTIMIZE);
        }
        if self.is_wide {
            let is_small = set_cache(conn, self.settings.cache_kib)
                .and_then(|()| conn.execute_batch(SHRINK))
                .is_ok();
            self.is_wide = !is_small;
        }
        if !matches!(empty_wal(conn), Ok(true)) {
            self.tidy_at = Some(Instant::now() + IDLE);
        }
    }
}

/// Runs one job. The first of a transaction needs no savepoint, because rolling all back rolls back nothing else.
fn run_job(conn: &Connection, mut job: Box<dyn Job>, is_first: bool) -> Ran {
    if !is_first && execute(conn, SAVEPOINT).is_err() {
        return lost(conn, job);
    }
    let is_kept = job.run(conn);
    if conn.is_autocommit() {
        // SQLite rolls all back by itself after some errors (disk full, I/O).
        return if is_first && !is_kept {
            job.answer();
            Ran::Undone
        } else {
            Ran::AllLost(job)
        };
    }
    let ended = match (is_kept, is_first) {
        (true, true) => Ok(()),
        (true, false) => execute(conn, RELEASE),
        (false, true) => execute(conn, ROLLBACK),
        (false, false) => execute(conn, ROLLBACK_JOB).and_then(|()| execute(conn, RELEASE)),
    };
    match ended {
        Err(_) => lost(conn, job),
        Ok(()) if is_kept => Ran::Kept(job),
        Ok(()) => {
            job.answer();
            Ran::Undone
        }
    }
}

fn lost(conn: &Connection, job: Box<dyn Job>) -> Ran {
    let _ = execute(conn, ROLLBACK);
    Ran::AllLost(job)
}

/// What a commit into a file that is not there any more comes to: what a failing disk gives.
fn gone() -> rusqlite::Error {
    let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    let words = "the database's file was deleted or replaced while it was open";
    rusqlite::Error::SqliteFailure(error, Some(words.to_owned()))
}

pub(super) fn refuse_all(jobs: Vec<Box<dyn Job>>, error: impl Fn() -> DbError) {
    for job in jobs {
        job.refuse(error());
    }
}

fn execute(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute([]).map(|_| ())
}

fn set_cache(conn: &Connection, kib: u32) -> rusqlite::Result<()> {
    conn.pragma_update(None, "cache_size", -i64::from(kib))
}

/// Empties the WAL into the file; false when a reader is in the way. It does not wait for one: a till might come.
fn empty_wal(conn: &Connection) -> rusqlite::Result<bool> {
    conn.busy_timeout(Duration::ZERO)?;
    let busy = conn.query_row(EMPTY_WAL, [], |row| row.get::<_, i64>(0));
    conn.busy_timeout(open::BUSY_TIMEOUT)?;
    Ok(busy? == 0)
}
