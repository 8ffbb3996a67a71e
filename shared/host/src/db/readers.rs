//! The reading connections: a few, short, opened when first needed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::DbError;
use super::{Settings, open};
use crate::wait::wait;

/// After how many steps of SQLite's machine the time-out is looked at: some tens of microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 4_096;

pub(super) struct Readers {
    settings: Settings,
    /// Reads under way. Taken by a thread that then reads at once: whoever held it while it waits for a thread would wait
    /// for those that wait for him.
    room: Semaphore,
    /// Tasks that have, or are about to have, a thread for their read: so many of them are enough to keep all readers busy.
    turns: Arc<Semaphore>,
    pool: Mutex<Pool>,
    is_free: Condvar,
    is_closing: Arc<AtomicBool>,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    busy: usize,
    /// Rises when the idle ones are dropped, so that a busy one is not put back either.
    generation: u64,
}

impl Readers {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            room: Semaphore::new(settings.readers.max(1)),
            turns: Arc::new(Semaphore::new(settings.readers.max(1))),
            settings,
            pool: Mutex::new(Pool::default()),
            is_free: Condvar::new(),
            is_closing: Arc::new(AtomicBool::new(false)),
        }
    }

    /// A task's turn to take a thread and read; it waits without one.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, DbError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        turn.map_err(|_| DbError::Closed)
    }

    /// Waits until a reader is free, and runs `work` in one snapshot, interrupted after the time-out.
    pub(super) fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E>,
        E: From<DbError>,
    {
        let room = wait(self.room.acquire()).map_err(|_| DbError::Closed)?;
        let mut taken = self.take()?;
        let deadline = Instant::now() + self.settings.read_timeout;
        let is_closing = Arc::clone(&self.is_closing);
        let is_over = move || is_closing.load(Ordering::Relaxed) || Instant::now() >= deadline;
        taken
            .conn()?
            .progress_handler(STEPS_BETWEEN_LOOKS, Some(is_over))
            .map_err(DbError::Sqlite)?;
        let conn = taken.conn()?;
        conn.execute_batch("BEGIN").map_err(DbError::Sqlite)?;
        let result = catch_unwind(AssertUnwindSafe(|| work(conn)));
        // Whatever came of it: nothing was written, and the snapshot must not be held.
        if result.is_ok() && (conn.is_autocommit() || conn.execute_batch("ROLLBACK").is_ok()) {
            taken.put_back();
        }
        drop(taken);
        drop(room);
        result.unwrap_or_else(|_| Err(DbError::Panicked.into()))
    }

    /// Drops the idle connections after the writer lost its own.
    pub(super) fn forget_idle(&self) {
        let mut pool = self.lock();
        pool.generation += 1;
        pool.idle.clear();
    }

    /// Interrupts the reads under way, waits for them and closes all connections.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.turns.close();
        self.room.close();
        let mut pool = self.lock();
        while pool.busy > 0 {
            pool = self
                .is_free
                .wait(pool)
                .unwrap_or_else(PoisonError::into_inner);
        }
        pool.idle.clear();
    }

    fn take(&self) -> Result<Taken<'_>, DbError> {
        let mut pool = self.lock();
        if self.is_closing.load(Ordering::Relaxed) {
            return Err(DbError::Closed);
        }
        pool.busy += 1;
        let mut taken = Taken {
            readers: self,
            conn: pool.idle.pop(),
            generation: pool.generation,
        };
        drop(pool);
        if taken.conn.is_none() {
            taken.conn = Some(open::connect_read_only(&self.settings)?);
        }
        Ok(taken)
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use; dropped, it is closed unless it was put back.
struct Taken<'a> {
    readers: &'a Readers,
    conn: Option<Connection>,
    generation: u64,
}

impl Taken<'_> {
    fn conn(&mut self) -> Result<&mut Connection, DbError> {
        self.conn.as_mut().ok_or(DbError::Closed)
    }

    fn put_back(&mut self) {
        let conn = self.conn.take();
        let mut pool = self.readers.lock();
        if pool.generation == self.generation {
            pool.idle.extend(conn);
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // Closed before it stops counting as busy: closing the database waits for this.
        self.conn = None;
        self.readers.lock().busy -= 1;
        self.readers.is_free.notify_all();
    }
}
