//! An open data folder: its settings, its ledger, its identity towards the hub. Commands and the daemon stand on it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use rusqlite::Connection;
use tokio::sync::Notify;
use vitrina_host::clock::now_ms;
use vitrina_host::config::{ConfigError, DataFolder};
use vitrina_host::db::{Settings, Vfs};
use vitrina_host::os::{self, OsError};
use vitrina_host::sign::{self, SignError};
use vitrina_shared::TimeMs;

use crate::config::Config;
use crate::identity::{HUB, Identity, IdentityError};
use crate::ledger::{Greeting, HighWater, Home, Ledger, LedgerError, numbers, state};
use crate::situation::Situation;

/// The ledger's name in the data folder.
pub(crate) const LEDGER: &str = "ledger.sqlite3";

/// Says how far the ledger was written, apart from it: a ledger put back from a copy knows less than this.
const HIGH_WATER: &str = "high-water";

/// Somebody who waits for a write. The way to the hub begins when he has his answer, not before it: both take the same
/// cores. Where he has gone before, the write itself begins it.
struct Caller {
    core: Core,
    has_gone: Arc<AtomicBool>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.has_gone.store(true, Ordering::SeqCst);
        self.core.wake();
    }
}

/// Why the data folder cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoreError {
    /// The configuration is not right.
    #[error("the agent is not configured right")]
    Config(#[from] ConfigError),
    /// The ledger was not opened; it is as it was.
    #[error("cannot work with the ledger")]
    Ledger(#[from] LedgerError),
    /// A file of the enrolment cannot be used.
    #[error("cannot use the agent's identity")]
    Identity(#[from] IdentityError),
    /// A folder cannot be made.
    #[error("cannot make the folders of the agent")]
    Folder(#[from] OsError),
    /// The folder was enrolled or written in before, and its ledger is not there. Nothing was made.
    #[error(
        "the ledger {} is gone: restore it from a copy, or vitrina-hub shop recode SHOP and vitrina-agent enrol --hub URL \
        --code CODE: the hub has what was delivered",
        path.display()
    )]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
    /// There is no randomness to name this start of the program by.
    #[error("no random bytes")]
    Random(#[from] SignError),
}

/// An open data folder; clones share it. Whoever opens it holds the folder's lock.
#[derive(Clone)]
pub(crate) struct Core {
    inner: Arc<Inner>,
}

struct Inner {
    folder: DataFolder,
    boot: [u8; 16],
    config: Config,
    ledger: Ledger,
    greeting: Greeting,
    committed: Notify,
    imported: Notify,
    moved: Notify,
    high_water: Mutex<Option<HighWater>>,
    enrolled: Notify,
    ready_to_open: Notify,
    terminals: AtomicU64,
    situation: Situation,
    identity: Mutex<Option<Arc<Identity>>>,
}

impl Core {
    /// Opens the folder: configuration, ledger, and the identity where there was an enrolment.
    ///
    /// # Errors
    ///
    /// [`CoreError`].
    pub(crate) fn open(folder: DataFolder) -> Result<Self, CoreError> {
        let path = folder.join(LEDGER);
        let is_there = |name| std::fs::symlink_metadata(folder.join(name)).is_ok();
        if !is_there(LEDGER) && (is_there(HUB) || is_there(HIGH_WATER)) {
            return Err(CoreError::Gone { path });
        }
        Self::open_on(folder, None)
    }

    /// As [`Self::open`], to enrol: what an earlier enrolment left need not be whole.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub(crate) fn open_to_enrol(folder: DataFolder) -> Result<Self, CoreError> {
        let identity = Identity::load(&folder).unwrap_or_default();
        Self::open_as(folder, None, |_| Ok(identity))
    }

    /// As [`Self::open`], with the ledger on the disk of this SQLite VFS.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub(crate) fn open_on(folder: DataFolder, vfs: Option<Vfs>) -> Result<Self, CoreError> {
        Self::open_as(folder, vfs, Identity::load)
    }

    fn open_as(
        folder: DataFolder,
        vfs: Option<Vfs>,
        identity: impl FnOnce(&DataFolder) -> Result<Option<Identity>, IdentityError>,
    ) -> Result<Self, CoreError> {
        let config = Config::load(&folder)?;
        let path = folder.join(LEDGER);
        let home = Home {
            file: None,
            path: canonical(folder.path())
                .join(LEDGER)
                .to_string_lossy()
                .into_owned(),
            machine: os::machine_id(),
            high_water: read_high_water(&folder),
        };
        let settings = Settings {
            vfs,
            ..Settings::new(path)
        };
        let (ledger, greeting) = Ledger::open(settings, &home, now())?;
        let identity = identity(&folder)?.map(Arc::new);
        let inner = Inner {
            folder,
            boot: sign::random_bytes()?,
            config,
            ledger,
            greeting,
            committed: Notify::new(),
            imported: Notify::new(),
            moved: Notify::new(),
            high_water: Mutex::new(home.high_water),
            enrolled: Notify::new(),
            ready_to_open: Notify::new(),
            terminals: AtomicU64::new(0),
            situation: Situation::default(),
            identity: Mutex::new(identity),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The data folder.
    pub(crate) fn folder(&self) -> &DataFolder {
        &self.inner.folder
    }

    /// The name of this start of the program: random, and the same for everything that it sends to the hub. Two of
    /// them in turn under one device key are two machines.
    pub(crate) fn boot(&self) -> [u8; 16] {
        self.inner.boot
    }

    /// What `agent.toml` says.
    pub(crate) fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// How the ledger found itself.
    pub(crate) fn greeting(&self) -> Greeting {
        self.inner.greeting
    }

    /// Woken after every commit of which the hub should hear at once.
    pub(crate) fn committed(&self) -> &Notify {
        &self.inner.committed
    }

    /// Woken after the commits of imports: of many in a row the hub may hear together.
    pub(crate) fn imported(&self) -> &Notify {
        &self.inner.imported
    }

    /// Woken by all these commits, for the high-water file.
    pub(crate) fn moved(&self) -> &Notify {
        &self.inner.moved
    }

    fn wake(&self) {
        self.inner.committed.notify_one();
        self.inner.moved.notify_one();
    }

    /// Woken when there is a new enrolment.
    pub(crate) fn enrolled(&self) -> &Notify {
        &self.inner.enrolled
    }

    /// Woken when the hub has shown what a waiting balances file needs.
    pub(crate) fn ready_to_open(&self) -> &Notify {
        &self.inner.ready_to_open
    }

    /// How things stand right now.
    pub(crate) fn situation(&self) -> &Situation {
        &self.inner.situation
    }

    /// Changes whenever a terminal's token may have ended.
    pub(crate) fn terminals_generation(&self) -> u64 {
        self.inner.terminals.load(Ordering::Acquire)
    }

    /// A terminal's token ended: what is remembered of tokens is worth nothing.
    pub(crate) fn terminals_changed(&self) {
        self.inner.terminals.fetch_add(1, Ordering::AcqRel);
    }

    /// Who this agent is to the hub; none before the enrolment.
    pub(crate) fn identity(&self) -> Option<Arc<Identity>> {
        self.inner
            .identity
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A new enrolment.
    pub(crate) fn set_identity(&self, identity: Identity) {
        let mut place = self
            .inner
            .identity
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::new(identity));
        self.inner.enrolled.notify_one();
        self.inner.committed.notify_one();
    }

    /// A till's write: it goes before imports, and is on disk when this returns.
    ///
    /// # Errors
    ///
    /// `work`'s own, or the database's.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let caller = Caller {
            core: self.clone(),
            has_gone: Arc::default(),
        };
        let (woken, has_gone) = (self.clone(), Arc::clone(&caller.has_gone));
        let tell_hub = move |_: &T| {
            if has_gone.load(Ordering::SeqCst) {
                woken.wake();
            }
        };
        self.ledger().db().write_with(work, tell_hub).await
    }

    /// As [`Self::write`], on the calling thread.
    ///
    /// # Errors
    ///
    /// `work`'s own, or the database's.
    pub(crate) fn write_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let woken = self.clone();
        self.ledger()
            .db()
            .write_with_blocking(work, move |_| woken.wake())
    }

    /// An import's write, behind those of the tills; on the calling thread.
    ///
    /// # Errors
    ///
    /// `work`'s own, or the database's.
    pub(crate) fn write_background<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let done = self.ledger().db().write_background_blocking(work);
        self.inner.imported.notify_one();
        self.inner.moved.notify_one();
        done
    }

    /// A read, on the calling thread.
    ///
    /// # Errors
    ///
    /// `work`'s own, or the database's.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.ledger().db().read_blocking(work)
    }

    /// Writes the high-water file, so that a ledger put back from a copy is noticed before the first sale.
    ///
    /// # Errors
    ///
    /// [`CoreError`]: the next try says more.
    pub(crate) fn keep_high_water(&self) -> Result<(), CoreError> {
        let Some(mark) = self.read(numbers::high_water)? else {
            return Ok(());
        };
        let mut written = self
            .inner
            .high_water
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *written != Some(mark) {
            os::replace_file(
                &self.folder().join(HIGH_WATER),
                format!("{mark}\n").as_bytes(),
            )?;
            *written = Some(mark);
        }
        Ok(())
    }
}

/// This machine's time.
pub(crate) fn now() -> TimeMs {
    TimeMs(now_ms())
}

/// The zone in which the shop's days begin. A zone that this program does not know is Moscow's, the chain's own.
pub(crate) fn shop_zone(conn: &Connection) -> Result<TimeZone, LedgerError> {
    let name = state::settings(conn)?.tz;
    Ok(zone(&name))
}

/// The zone of a name.
pub(crate) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name)
        .or_else(|_| TimeZone::get("Europe/Moscow"))
        .unwrap_or(TimeZone::UTC)
}

fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_: io::Error| path.to_path_buf())
}

fn read_high_water(folder: &DataFolder) -> Option<HighWater> {
    HighWater::parse(&std::fs::read_to_string(folder.join(HIGH_WATER)).ok()?)
}
