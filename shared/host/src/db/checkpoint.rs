//! Copies the write-ahead log into the file beside the database thread, so that no till waits for it.
//!
//! A passive checkpoint on another connection stops neither readers nor the writer. While the writer goes on, the log is
//! never copied to its end, so it would only grow. An import waits for the moment in which it is: a till writes so
//! little that the copy comes up with it, and its next transaction begins the log anew. Where no import is what fills
//! the log, and little is left, the database thread copies that itself.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, MAIN_DB};

use super::queue::Shared;
use super::{Settings, open};

/// From so many pages on that are only in the log they are copied: 16 MB. A page that was written many times is copied
/// once.
const MANY_PAGES: usize = 4_000;
/// A log of so many pages is begun anew where [`FEW_PAGES`] or less are to be copied for that: 24 MB.
const LONG_LOG: usize = 6_000;
/// What the database thread copies without anybody feeling it.
const FEW_PAGES: usize = 300;
/// A log of so many pages is begun anew by whoever is not copying already: 64 MB.
const LOG_MAX: usize = 16_000;
/// At so many the writer waits for who copies: a disk that is slower than what is written must not fill itself: 128 MB.
const LOG_TOO_LONG: usize = 2 * LOG_MAX;
/// How often the thread tries to come up with the writer before it waits to be called again. While tills alone write,
/// about every second try does.
const ROUNDS: usize = 8;
/// How long the connection stays open when there is nothing to do.
const IDLE: Duration = Duration::from_secs(5);

/// How much of the log is where; counted in pages since it was begun.
#[derive(Default)]
struct Log {
    written: AtomicUsize,
    copied: AtomicUsize,
    /// The thread is called, or copies.
    is_copied_now: AtomicBool,
    /// Whose turn it is to copy.
    turn: Mutex<()>,
    /// The writer does not trust what the system keeps of the files any more.
    is_doubted: AtomicBool,
}

impl Log {
    /// What is only in the log.
    fn left(&self) -> usize {
        let written = self.written.load(Ordering::Acquire);
        written.saturating_sub(self.copied.load(Ordering::Acquire))
    }

    /// It is worth beginning it anew.
    fn is_long(&self) -> bool {
        self.written.load(Ordering::Acquire) >= LONG_LOG
    }
}

/// The thread that copies, and what it knows.
pub(super) struct Checkpointer {
    log: Arc<Log>,
    shared: Arc<Shared>,
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpointer {
    /// Starts its thread; a connection it opens when there is something to copy.
    pub(super) fn start(settings: Settings, shared: Arc<Shared>) -> io::Result<Self> {
        let log = Arc::new(Log::default());
        let (wake, woken) = sync_channel(1);
        let (of_thread, queues) = (Arc::clone(&log), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || run(&settings, &of_thread, &queues, &woken))?;
        Ok(Self {
            log,
            shared,
            wake,
            thread,
        })
    }

    /// Hears from now on how long the log is after each commit of this connection, in place of SQLite's own
    /// checkpoints.
    pub(super) fn attend(&self, conn: &mut Connection) -> rusqlite::Result<()> {
        let log = Arc::clone(&self.log);
        conn.wal_hook(Some(move |_: &mut Wal, pages| {
            let pages = usize::try_from(pages).unwrap_or(0);
            // A shorter log is another one.
            if pages < log.written.swap(pages, Ordering::AcqRel) {
                log.copied.store(0, Ordering::Release);
            }
            Ok(())
        }))
    }

    /// After a commit, when its callers have their answers: has copied what is worth it. Whether much is being written.
    pub(super) fn follow(&self, conn: &Connection) -> bool {
        let (written, left) = (self.log.written.load(Ordering::Acquire), self.log.left());
        let is_copied_now = self.log.is_copied_now.load(Ordering::Acquire);
        let is_held = self.log.is_long() && left > 0 && self.shared.hold_background();
        if written >= LOG_MAX || (self.log.is_long() && left <= FEW_PAGES && !is_copied_now) {
            copy(conn, &self.log);
            self.shared.release_background();
        } else if !is_copied_now && (left >= MANY_PAGES || is_held) {
            self.call();
        }
        written >= MANY_PAGES
    }

    /// Wakes the thread.
    fn call(&self) {
        self.log.is_copied_now.store(true, Ordering::Release);
        // Where there is no room it is called already.
        let _ = self.wake.try_send(());
    }

    /// Drops the thread's connection, because the writer lost its own.
    pub(super) fn forget(&self) {
        self.log.is_doubted.store(true, Ordering::Release);
        let _ = self.wake.try_send(());
    }

    /// Ends its thread; afterwards there is no connection but the writer's.
    pub(super) fn close(self) {
        drop(self.wake);
        let _ = self.thread.join();
    }
}

fn run(settings: &Settings, log: &Log, queues: &Shared, woken: &Receiver<()>) {
    let mut conn = None;
    loop {
        let heard = match conn {
            Some(_) => woken.recv_timeout(IDLE),
            None => woken.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match heard {
            Ok(()) => {
                conn = if log.is_doubted.swap(false, Ordering::AcqRel) {
                    None
                } else {
                    conn.or_else(|| open::reopen(settings).ok())
                        .filter(|conn| catch_up(conn, log))
                };
                log.is_copied_now.store(false, Ordering::Release);
                queues.release_background();
            }
            Err(RecvTimeoutError::Timeout) => conn = None,
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Copies until so little is left of a long log that the writer can begin it anew; what is written meanwhile is less
/// each time. False after an error.
fn catch_up(conn: &Connection, log: &Log) -> bool {
    for _ in 0..ROUNDS {
        if !copy(conn, log) {
            return false;
        }
        if !log.is_long() || log.left() == 0 {
            break;
        }
    }
    true
}

/// Copies what may be copied now. While the other one copies, who comes second waits for him where the log is too long,
/// and leaves it to him else. False after an error: the log keeps what was not flushed into the file, and the next try
/// begins there.
fn copy(conn: &Connection, log: &Log) -> bool {
    let is_too_long = log.written.load(Ordering::Acquire) >= LOG_TOO_LONG;
    let _turn = match Mutex::try_lock(&log.turn) {
        Ok(turn) => turn,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) if is_too_long => {
            log.turn.lock().unwrap_or_else(PoisonError::into_inner)
        }
        Err(TryLockError::WouldBlock) => return true,
    };
    match conn.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE) {
        Ok((_, copied)) => {
            let copied = usize::try_from(copied).unwrap_or(0);
            // The log may have been begun anew meanwhile.
            if copied <= log.written.load(Ordering::Acquire) {
                log.copied.store(copied, Ordering::Release);
            }
            true
        }
        // The other one copies.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => true,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the write-ahead log was not copied into the file"
            );
            false
        }
    }
}
