//! What every command and the server work on: the data folder, opened.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use vitrina_host::clock;
use vitrina_host::config::{self, ConfigError, DataFolder};
use vitrina_host::db::Vfs;
use vitrina_host::os::{self, OsError};
use vitrina_host::output::Lang;
use vitrina_host::sign::{self, KeyPair, SignError, TagKey};
use vitrina_shared::digest::Trial;
use vitrina_shared::{HoldId, HubLife, ShopId, TimeMs};

use crate::audit::{By, What};
use crate::change::{Change, FeedHead, Goods};
use crate::config::{Config, FILE};
use crate::exchange::Waiters;
use crate::holds::Watchers;
use crate::keys::Keyring;
use crate::limits::Callers;
use crate::metrics::Metrics;
use crate::store::{Store, StoreError};
use crate::view::View;

const DATABASE: &str = "hub.sqlite3";
const HUB_KEY: &str = "hub.key";
const TOKEN_KEY: &str = "token.key";
const TRACE: &str = "life.json";
/// Under this name the database knows which token key it was written with.
const TOKEN_KEY_META: &str = "token_key";
/// Under this name the hash of the settings at the last start.
const CONFIG_META: &str = "config";

/// Why the data folder was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoreError {
    /// The configuration is wrong.
    #[error("the configuration cannot be used")]
    Config(#[from] ConfigError),
    /// The database is gone, and the folder shows that there was one.
    #[error(
        "the database {} is gone, but {TRACE} shows that there was one: put a backup back with `vitrina-hub restore FILE`, \
        or begin a new life, which the shops will fill again, with `vitrina-hub serve --init`",
        path.display()
    )]
    Lost {
        /// The database.
        path: PathBuf,
    },
    /// A file of the data folder cannot be read or written.
    #[error("cannot use the data folder")]
    Files(#[from] OsError),
    /// A file of the data folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A key cannot be made or read.
    #[error("cannot use the hub's keys")]
    Keys(#[from] SignError),
    /// The database was not opened.
    #[error("cannot open the hub's database")]
    Store(#[from] StoreError),
}

/// Whether a folder whose database is gone may begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Init {
    /// No: somebody must decide.
    Refuse,
    /// Somebody did.
    NewLife,
    /// The database was just put back from a copy by command: a new life begins, and only one.
    Restored,
}

/// What is left of the last life when the database is gone or was replaced by an older copy.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Trace {
    ordinal: u64,
    random: String,
    /// Where the feed stood at the last clean stop.
    #[serde(default)]
    pos: u64,
}

/// The hub's data folder, opened.
pub(crate) struct Core {
    /// The configuration.
    pub(crate) config: Config,
    /// The folder.
    pub(crate) data: DataFolder,
    /// What was merged.
    pub(crate) store: Store,
    /// The API keys.
    pub(crate) keys: Keyring,
    /// Agents that wait.
    pub(crate) waiters: Arc<Waiters>,
    /// Callers that wait for a shop's word.
    pub(crate) watchers: Arc<Watchers>,
    /// Turns to read large requests: one core is left to the database.
    pub(crate) reading: Semaphore,
    /// Turns to search the view: more at once than there are processors take memory, and no less time.
    pub(crate) searching: Arc<Semaphore>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Who takes too much.
    pub(crate) callers: Callers,
    /// Told whenever something was put into the outbox, or a receiver came or went.
    pub(crate) outbox: Notify,
    /// Told whenever a person did something with work items.
    pub(crate) deeds: Notify,
    /// Signs certificates.
    pub(crate) hub_key: KeyPair,
    /// Authenticates tokens.
    pub(crate) token_key: TagKey,
    view: Arc<OnceLock<Arc<View>>>,
    loading: Mutex<()>,
    trials: Mutex<HashMap<u32, Trial>>,
}

impl Core {
    /// Opens the folder: keys are made where they are missing, a database that goes back behind what the folder shows
    /// begins a new life.
    ///
    /// # Errors
    ///
    /// [`CoreError`]; a database that cannot be used is left as it is.
    pub(crate) async fn open(data: DataFolder, init: Init) -> Result<Arc<Self>, CoreError> {
        Self::open_on(data, init, None).await
    }

    /// As [`Self::open`], with the database on the disk of this SQLite VFS.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub(crate) async fn open_on(
        data: DataFolder,
        init: Init,
        vfs: Option<Vfs>,
    ) -> Result<Arc<Self>, CoreError> {
        let config: Config = config::load(data.path(), FILE)?;
        let path = data.join(DATABASE);
        let trace = read_trace(&data)?;
        let is_gone = vfs.is_none() && !path.exists();
        if trace.is_some() && init == Init::Refuse && is_gone {
            return Err(CoreError::Lost { path });
        }
        let hub_key = hub_key(&data)?;
        let (token_key, fingerprint) = token_key(&data)?;
        let store = Store::open(&path, vfs)?;
        store.speak(Lang::chosen(config.language)?);
        let waiters = Arc::new(Waiters::default());
        let view: Arc<OnceLock<Arc<View>>> = Arc::default();
        let watchers = Arc::new(Watchers::default());
        let told = Told {
            view: Arc::clone(&view),
            waiters: Arc::clone(&waiters),
            watchers: Arc::clone(&watchers),
        };
        store.listen(Box::new(move |head, changes| told.hear(head, changes)));
        store.promise(config.holds.policy());
        store.answer_within(config.holds.answer_within.as_millis());
        let known = Arc::clone(&view);
        store.ask_of_goods(Box::new(move |barcode| {
            let view = known.get();
            view.map_or_else(Goods::default, |view| view.goods(barcode))
        }));
        let known = Arc::clone(&view);
        store.ask_of_articles(Box::new(move |article| {
            let items = known.get().map(|view| view.article(article));
            let items = items.unwrap_or_default();
            items.iter().map(|item| item.barcode.clone()).collect()
        }));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let core = Self {
            callers: Callers::new(&config.limits),
            outbox: Notify::new(),
            deeds: Notify::new(),
            config,
            data,
            store,
            keys: Keyring::default(),
            waiters,
            watchers,
            reading: Semaphore::new(cores.max(2) - 1),
            searching: Arc::new(Semaphore::new(cores)),
            metrics: Arc::new(Metrics::default()),
            hub_key,
            token_key,
            view,
            loading: Mutex::new(()),
            trials: Mutex::default(),
        };
        core.settle_life(trace, fingerprint, init).await?;
        core.keys.load(&core.store).await?;
        Ok(Arc::new(core))
    }

    /// The hub's clock.
    #[expect(
        clippy::unused_self,
        reason = "whoever asks for the time has a hub whose time it is"
    )]
    pub(crate) fn now(&self) -> TimeMs {
        TimeMs(clock::now_ms())
    }

    /// The language of what the hub tells people.
    pub(crate) fn lang(&self) -> Lang {
        Lang::chosen(self.config.language).unwrap_or_default()
    }

    /// The merged stock in memory, filled at first use. Blocks then.
    pub(crate) fn view(&self) -> Result<Arc<View>, StoreError> {
        let _alone = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = self.view.get() {
            return Ok(Arc::clone(view));
        }
        let view = Arc::new(View::new(self.config.holds.policy()));
        let head = self.store.load(&mut |change| view.load_one(change))?;
        view.loaded(head, self.store.feed_commits()?);
        Ok(Arc::clone(self.view.get_or_init(|| view)))
    }

    /// How far the hub is with a difference between a shop's rows here and there; none before the first comparison.
    pub(crate) fn trial(&self, shop: u32) -> Option<Trial> {
        let trials = self.trials.lock().unwrap_or_else(PoisonError::into_inner);
        trials.get(&shop).copied()
    }

    /// Remembers it.
    pub(crate) fn set_trial(&self, shop: u32, trial: Trial) {
        let mut trials = self.trials.lock().unwrap_or_else(PoisonError::into_inner);
        trials.insert(shop, trial);
    }

    /// Compares the database's life with what the folder shows of the last one.
    async fn settle_life(
        &self,
        trace: Option<Trace>,
        fingerprint: [u8; 32],
        init: Init,
    ) -> Result<(), CoreError> {
        let head = self.store.head();
        let known_key = self.store.meta(TOKEN_KEY_META).await?;
        let reason = match (&trace, &known_key) {
            _ if init == Init::Restored => Some((By::CommandLine, "restored from a copy")),
            (Some(trace), _) if trace.is_ahead_of(&head) => {
                Some((By::Hub, "the data folder shows a later life"))
            }
            (_, Some(known)) if *known != fingerprint => {
                Some((By::Hub, "the token key is another one"))
            }
            _ => None,
        };
        if let Some(reason) = reason {
            let shown = trace.as_ref().map_or(0, |trace| trace.ordinal);
            self.store.begin_life(head.life, shown, reason).await?;
        }
        if known_key.as_deref() != Some(&fingerprint) {
            self.store
                .set_meta(TOKEN_KEY_META, fingerprint.to_vec())
                .await?;
        }
        self.note_config().await?;
        self.leave_trace()
    }

    /// Other settings than at the last start are a record of the audit list.
    async fn note_config(&self) -> Result<(), CoreError> {
        let text = std::fs::read(self.data.join(FILE)).unwrap_or_default();
        let hash = sign::sha256(&text);
        if self.store.meta(CONFIG_META).await?.as_deref() == Some(&hash) {
            return Ok(());
        }
        let detail = serde_json::json!({ "file": FILE, "sha256": sign::hex(&hash) });
        self.store.note(By::Hub, What::Config, detail).await?;
        Ok(self.store.set_meta(CONFIG_META, hash.to_vec()).await?)
    }

    /// Writes down, outside the database, which life this is and how far it got.
    pub(crate) fn leave_trace(&self) -> Result<(), CoreError> {
        let head = self.store.head();
        let trace = Trace {
            ordinal: head.life.ordinal,
            random: sign::hex(&head.life.random),
            pos: head.pos,
        };
        let text = serde_json::to_vec(&trace).unwrap_or_default();
        Ok(os::replace_file(&self.data.join(TRACE), &text)?)
    }

    /// Closes: only plain files remain.
    pub(crate) async fn close(&self) {
        if let Err(error) = self.leave_trace() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the trace of this life was not written"
            );
        }
        self.store.close().await;
    }
}

impl Trace {
    fn is_ahead_of(&self, head: &FeedHead) -> bool {
        let own: HubLife = head.life;
        let is_same = self.ordinal == own.ordinal && self.random == sign::hex(&own.random);
        if is_same {
            self.pos > head.pos
        } else {
            self.ordinal >= own.ordinal
        }
    }
}

/// Who hears of every commit: the view follows it, then those are woken who wait for what it changed.
struct Told {
    view: Arc<OnceLock<Arc<View>>>,
    waiters: Arc<Waiters>,
    watchers: Arc<Watchers>,
}

impl Told {
    fn hear(&self, head: &FeedHead, changes: Vec<Change>) {
        let told: Vec<(Option<HoldId>, ShopId)> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Leg { hold, shop } => Some((Some(*hold), shop.clone())),
                Change::Transfer { shop } => Some((None, shop.clone())),
                _ => None,
            })
            .collect();
        if let Some(view) = self.view.get() {
            view.apply(head, changes);
        }
        for (hold, shop) in told {
            self.waiters.wake(&shop);
            if let Some(hold) = hold {
                self.watchers.wake(hold);
            }
        }
    }
}

/// The database of a data folder.
pub(crate) fn database(data: &DataFolder) -> PathBuf {
    data.join(DATABASE)
}

fn read_trace(data: &DataFolder) -> Result<Option<Trace>, CoreError> {
    let path = data.join(TRACE);
    match std::fs::read(&path) {
        // A trace that cannot be read shows nothing.
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CoreError::Read { path, source }),
    }
}

fn hub_key(data: &DataFolder) -> Result<KeyPair, CoreError> {
    let path = data.join(HUB_KEY);
    if path.exists() {
        return Ok(KeyPair::load(&path)?);
    }
    if database(data).exists() {
        tracing::error!(
            "{HUB_KEY} is gone: a new one is made, and every shop must be enrolled again (shop recode)"
        );
    }
    Ok(KeyPair::generate(&path)?)
}

/// The key of the tokens, and its fingerprint.
fn token_key(data: &DataFolder) -> Result<(TagKey, [u8; 32]), CoreError> {
    let path = data.join(TOKEN_KEY);
    let secret = match std::fs::read(&path) {
        Ok(secret) => secret,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret = sign::random_bytes::<32>()?;
            os::write_secret(&path, &secret)?;
            secret.to_vec()
        }
        Err(source) => return Err(CoreError::Read { path, source }),
    };
    Ok((TagKey::new(&secret), sign::sha256(&secret)))
}
