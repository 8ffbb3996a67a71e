//! The database: one thread owns the only writing connection and shares its commits, a few connections read.
//!
//! A write is a closure. The thread runs it in a savepoint of a transaction that it shares with the writes waiting
//! beside it, commits once (`synchronous=FULL`: on disk), and only then answers. Urgent writes (tills, exchanges) go
//! before background ones (imports), of which a transaction takes at most one.
//! It knows no table but those of its schema steps.

mod backup;
mod checkpoint;
mod error;
mod follower;
mod open;
mod queue;
mod readers;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use crate::migrate::{Migrated, Step};
use crate::os::{FileId, OsError};
use crate::wait::wait;

pub use backup::{Check, check};
pub use error::{DbError, OpenError, is_damage, is_disk_full, is_read_timeout, is_without_room};
pub use open::connect_read_only;
pub use writer::{Group, Hooks};

use queue::{Lane, Shared};
use readers::Readers;

/// Memory for pages of the writing connection while much is written, in KiB.
pub const BUSY_CACHE_KIB: u32 = 16_000;
/// How long no urgent write comes before [`Db::is_calm`].
const CALM: Duration = Duration::from_secs(1);

/// Where a database is and how it is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    /// Memory for pages, per connection, in KiB. While much is written the writing connection may take
    /// [`BUSY_CACHE_KIB`].
    pub cache_kib: u32,
    /// What happens when there is no file.
    pub missing: Missing,
    /// How many urgent writes may wait; a further caller waits for room.
    pub urgent_max: usize,
    /// How many background writes may wait; a further caller waits for room.
    pub background_max: usize,
    /// How many reading connections there are at most; they are opened when first needed.
    pub readers: usize,
    /// How long one read may take before it is interrupted: a long one lets the WAL grow.
    pub read_timeout: Duration,
    /// A disk instead of the system's files. Then the checks of the plain file are left out.
    pub vfs: Option<Vfs>,
}

impl Settings {
    /// The agent's: 2 MB of cache, two readers, 5 s a read, made when missing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            cache_kib: 2_000,
            missing: Missing::Create,
            urgent_max: 1_024,
            background_max: 16,
            readers: 2,
            read_timeout: Duration::from_secs(5),
            vfs: None,
        }
    }
}

/// A disk of its own under SQLite.
#[derive(Clone, Copy, Debug)]
pub struct Vfs {
    /// The name under which SQLite has it.
    pub name: &'static str,
    /// What [`crate::os::renew_file`] does, on that disk; nothing where there is no such file.
    pub renew: fn(&Path) -> Result<(), OsError>,
}

/// What happens when the database file is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A new one is made, whole or not at all.
    Create,
    /// [`OpenError::Missing`].
    Refuse,
}

/// What was found when the database was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Whether it was made just now.
    pub created: bool,
    /// Whether the last program did not close it (a WAL was left): worth a [`Db::check_blocking`].
    pub unclean: bool,
    /// Which schema it had and has.
    pub migrated: Migrated,
    /// A copy of it from before the schema changed.
    pub kept_copy: Option<PathBuf>,
    /// Which file it is.
    pub file: Option<FileId>,
}

/// A handle to an open database; clones share it. When the last one is dropped the database is closed, but
/// [`Db::close`] also says that it was.
#[derive(Clone)]
pub struct Db {
    handle: Arc<Handle>,
}

struct Handle {
    settings: Settings,
    opened: Opened,
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Db {
    /// Opens the database, brings its schema up to date and starts its thread.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. A file that is no database, is truncated or belongs to a newer program is left as it is.
    pub fn open(settings: Settings, steps: &[Step], hooks: Hooks) -> Result<Self, OpenError> {
        let (conn, opened) = open::open(&settings, steps)?;
        let shared = Arc::new(Shared::new(settings.urgent_max, settings.background_max));
        let readers = Arc::new(Readers::new(settings.clone()));
        let writer = writer::Writer::new(
            (conn, opened.file),
            settings.clone(),
            Arc::clone(&shared),
            Arc::clone(&readers),
            hooks,
        )?;
        let thread = std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        Ok(Self {
            handle: Arc::new(Handle {
                settings,
                opened,
                shared,
                readers,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// What was found when it was opened.
    pub fn opened(&self) -> &Opened {
        &self.handle.opened
    }

    /// How it is kept.
    pub fn settings(&self) -> &Settings {
        &self.handle.settings
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.handle.settings.path
    }

    /// Runs `work` as an urgent write and returns its value after COMMIT: it is on disk.
    ///
    /// Once queued it runs even when this future is dropped. `work` must not wait for another write of this database.
    ///
    /// # Errors
    ///
    /// `work`'s own error (it alone was rolled back), or a [`DbError`].
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.write_with(work, |_| {}).await
    }

    /// As [`Db::write`]; after COMMIT and before the answer `after` runs, in the order in which the writes were
    /// committed. It does not run when nothing was committed, and must not wait for this database.
    ///
    /// # Errors
    ///
    /// As [`Db::write`].
    pub async fn write_with<T, E, F, A>(&self, work: F, after: A) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        A: FnOnce(&T) + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.handle.shared.call(Lane::Urgent, work, after).await
    }

    /// As [`Db::write`], when nothing urgent waits (or after half a second of waiting, so that it comes to its turn).
    /// Keep each one short: the next till waits for it.
    ///
    /// # Errors
    ///
    /// As [`Db::write`].
    pub async fn write_background<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.write_background_with(work, |_| {}).await
    }

    /// As [`Db::write_with`], in the background.
    ///
    /// # Errors
    ///
    /// As [`Db::write`].
    pub async fn write_background_with<T, E, F, A>(&self, work: F, after: A) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        A: FnOnce(&T) + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.handle.shared.call(Lane::Background, work, after).await
    }

    /// As [`Db::write`], for callers without a runtime; it blocks the calling thread.
    ///
    /// # Errors
    ///
    /// As [`Db::write`].
    pub fn write_blocking<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        wait(self.write(work))
    }

    /// As [`Db::write_with`], for callers without a runtime; it blocks the calling thread.
    ///
    /// # Errors
    ///
    /// As [`Db::write`].
    pub fn write_with_blocking<T, E, F, A>(&self, work: F, after: A) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        A: FnOnce(&T) + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        wait(self.write_with(work, after))
    }

    /// As [`Db::write_background`], for callers without a runtime; it blocks the calling thread.
    ///
    /// # Errors
    ///
    /// As [`Db::write`].
    pub fn write_background_blocking<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        wait(self.write_background(work))
    }

    /// Runs `work` on a reading connection, on a thread for blocking work, within one snapshot of the database.
    ///
    /// # Errors
    ///
    /// `work`'s own error (after the read time-out SQLite's `Interrupt`: [`is_read_timeout`]), or a [`DbError`].
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let readers = Arc::clone(&self.handle.readers);
        let turn = readers.turn().await?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            readers.read(work)
        });
        done.await.unwrap_or_else(|_| Err(DbError::Panicked.into()))
    }

    /// As [`Db::read`], on the calling thread.
    ///
    /// # Errors
    ///
    /// As [`Db::read`].
    pub fn read_blocking<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E>,
        E: From<DbError>,
    {
        self.handle.readers.read(work)
    }

    /// Whether no urgent write came for a while: a background write may take longer then.
    pub fn is_calm(&self) -> bool {
        self.handle.shared.is_calm(CALM)
    }

    /// How many writes wait now: urgent and background ones.
    pub fn waiting(&self) -> (usize, usize) {
        self.handle.shared.waiting()
    }

    /// The size of the write-ahead log in bytes; above 64 MiB a reader holds it.
    pub fn wal_bytes(&self) -> u64 {
        std::fs::metadata(open::beside(self.path(), "-wal")).map_or(0, |wal| wal.len())
    }

    /// Whether the file at our path still is the one we write into. When it was deleted or replaced, what we write is
    /// lost with the last handle. Every commit looks too, and is answered with an error then.
    pub fn is_in_place(&self) -> bool {
        open::is_in_place(&self.handle.settings, self.handle.opened.file)
    }

    /// Writes a consistent copy to `target`, beside all reads and writes: checked, flushed, then renamed into place
    /// (an older file of that name is replaced).
    ///
    /// # Errors
    ///
    /// [`DbError`]; then there is no new file.
    pub async fn backup_into(&self, target: &Path) -> Result<(), DbError> {
        let (db, target) = (self.clone(), target.to_path_buf());
        let done = tokio::task::spawn_blocking(move || db.backup_into_blocking(&target));
        done.await.unwrap_or(Err(DbError::Panicked))
    }

    /// As [`Db::backup_into`], on the calling thread.
    ///
    /// # Errors
    ///
    /// As [`Db::backup_into`].
    pub fn backup_into_blocking(&self, target: &Path) -> Result<(), DbError> {
        backup::backup(&self.handle.settings, target)
    }

    /// What is wrong with the file, in SQLite's words; empty when all is well. It has a connection of its own and no
    /// time-out.
    ///
    /// # Errors
    ///
    /// [`DbError`] when it cannot be looked at.
    pub fn check_blocking(&self, how: Check) -> Result<Vec<String>, DbError> {
        let conn = connect_read_only(&self.handle.settings)?;
        Ok(check(&conn, how)?)
    }

    /// Finishes what is queued, empties the WAL into the file and closes: only the one file remains.
    ///
    /// Later calls on any clone get [`DbError::Closed`]. Closing twice is fine.
    pub async fn close(&self) {
        let handle = Arc::clone(&self.handle);
        let _ = tokio::task::spawn_blocking(move || handle.close()).await;
    }

    /// As [`Db::close`], on the calling thread.
    pub fn close_blocking(&self) {
        self.handle.close();
    }
}

impl Handle {
    fn close(&self) {
        // A reader that is still open would keep the WAL beside the file.
        self.readers.close();
        self.shared.close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // It catches the panics of its jobs; a panic of its own has been printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
