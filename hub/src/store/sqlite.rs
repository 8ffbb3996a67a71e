//! One hub, one SQLite file: the transaction every write runs in, and the feed positions that commits give out.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};
use rusqlite::{Connection, OptionalExtension, params};
use vitrina_host::db::{Db, Group, Hooks, Settings, Vfs};
use vitrina_host::output::Lang;
use vitrina_shared::hold::{ANSWER_MS, Policy};
use vitrina_shared::safety::SafetyStock;
use vitrina_shared::{Barcode, HubLife, TimeMs};

use super::holds::GoodsOf;
use super::outside::Outside;
use super::safety::{self, BarcodesOf};
use super::{StoreError, lives, schema};
use crate::audit::By;
use crate::change::{Change, FeedHead, Goods};

const LAST_COMMIT: &str = "SELECT pos, tag FROM feed_commit ORDER BY pos DESC LIMIT 1";
const ADD_COMMIT: &str = "INSERT INTO feed_commit (pos, tag, at) VALUES (?1, ?2, ?3)";
const FORGET_COMMITS: &str = "DELETE FROM feed_commit WHERE pos <= (SELECT pos FROM feed_commit ORDER BY pos DESC LIMIT 1 OFFSET 100000)";
const FIND_BARCODE: &str = "SELECT id FROM barcode WHERE text = ?1";
const ADD_BARCODE: &str = "INSERT INTO barcode (text) VALUES (?1) ON CONFLICT (text) DO NOTHING";
const BARCODES: &str = "SELECT id, text FROM barcode";
const BARCODE_TEXT: &str = "SELECT text FROM barcode WHERE id = ?1";

/// Between two looks for commits that are too old to be kept.
const FORGET_EVERY: u64 = 1_000;

/// Who is told what a commit changed.
pub(crate) type Listener = Box<dyn Fn(&FeedHead, Vec<Change>) + Send + Sync>;

/// The store in one file.
pub(crate) struct SqliteStore {
    db: Db,
    shared: Arc<Shared>,
}

/// What the database thread and the readers of its outcome share.
struct Shared {
    /// The last position given out, committed or not: one that was rolled back is never given again.
    pos: AtomicU64,
    head: Mutex<FeedHead>,
    sealed: Mutex<Sealed>,
    /// What the transaction that was committed leads to.
    next: Mutex<Pending>,
    listener: OnceLock<Listener>,
    goods: OnceLock<GoodsOf>,
    barcodes_of: OnceLock<BarcodesOf>,
    lang: OnceLock<Lang>,
    policy: OnceLock<Policy>,
    answer_within_ms: OnceLock<i64>,
    barcodes: RwLock<HashMap<Box<str>, i64>>,
    outside: Outside,
    /// The rules of safety stock.
    safety: RwLock<Arc<SafetyStock>>,
}

/// The transactions whose positions have their tag.
#[derive(Default)]
struct Sealed {
    /// The last position that has one.
    pos: u64,
    /// The number of each such transaction, its end and tag, until it is published.
    ends: Vec<(u64, u64, u64)>,
}

#[derive(Default)]
struct Pending {
    life: Option<HubLife>,
    changes: Vec<Change>,
}

/// The open transaction of one write.
pub(super) struct Txn<'a> {
    pub(super) conn: &'a Connection,
    /// The hub's clock, once for the whole write.
    pub(super) now: TimeMs,
    shared: &'a Shared,
    side: Side,
}

/// What a write leads to, once it is committed.
#[derive(Default)]
struct Side {
    changes: Vec<Change>,
    barcodes: Vec<(Box<str>, i64)>,
    safety: Option<Arc<SafetyStock>>,
    life: Option<HubLife>,
}

struct Kept<T> {
    value: T,
    side: Mutex<Side>,
}

impl SqliteStore {
    /// Opens the file, makes it when it is missing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Open`]; the file is as it was.
    pub(super) fn open(path: &Path, vfs: Option<Vfs>) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            pos: AtomicU64::new(0),
            head: Mutex::new(FeedHead {
                life: HubLife {
                    ordinal: 0,
                    random: [0; 16],
                },
                pos: 0,
                tag: 0,
            }),
            sealed: Mutex::default(),
            next: Mutex::default(),
            listener: OnceLock::new(),
            goods: OnceLock::new(),
            barcodes_of: OnceLock::new(),
            lang: OnceLock::new(),
            policy: OnceLock::new(),
            answer_within_ms: OnceLock::new(),
            barcodes: RwLock::new(HashMap::new()),
            outside: Outside::default(),
            safety: RwLock::default(),
        });
        let mut settings = Settings::new(path);
        // A bootstrap of all shops touches every page of the barcodes' index at random.
        settings.vfs = vfs;
        settings.cache_kib = 64_000;
        settings.readers = 4;
        settings.read_timeout = Duration::from_mins(1);
        let (before, after) = (Arc::clone(&shared), Arc::clone(&shared));
        let hooks = Hooks {
            before_commit: Some(Box::new(move |conn, group| before.seal(conn, group))),
            after_commit: Some(Box::new(move |group| after.publish(group))),
            reopened: None,
        };
        let db = Db::open(settings, schema::STEPS, hooks)?;
        let store = Self { db, shared };
        store.begin()?;
        Ok(store)
    }

    /// Reads what is kept in memory; the first life of a new database begins here.
    fn begin(&self) -> Result<(), StoreError> {
        let known = self.db.read_blocking(|conn| {
            let commit = conn
                .prepare_cached(LAST_COMMIT)?
                .query_row([], |row| {
                    Ok((
                        row.get::<_, i64>(0)?.cast_unsigned(),
                        row.get::<_, i64>(1)?.cast_unsigned(),
                    ))
                })
                .optional()?;
            let mut barcodes = HashMap::new();
            let mut statement = conn.prepare_cached(BARCODES)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                barcodes.insert(
                    row.get_ref(1)?
                        .as_str()
                        .map_err(rusqlite::Error::from)?
                        .into(),
                    row.get(0)?,
                );
            }
            let kept = (barcodes, safety::rules(conn)?);
            Ok::<_, StoreError>((commit, kept, lives::current(conn)?))
        })?;
        let (commit, (barcodes, safety), life) = known;
        let (pos, tag) = commit.unwrap_or((0, 0));
        self.shared.pos.store(pos, Ordering::SeqCst);
        lock(&self.shared.sealed).pos = pos;
        *lock(&self.shared.head) = FeedHead {
            life: life.unwrap_or(HubLife {
                ordinal: 0,
                random: [0; 16],
            }),
            pos,
            tag,
        };
        *self
            .shared
            .barcodes
            .write()
            .unwrap_or_else(PoisonError::into_inner) = barcodes;
        self.shared.keep_back(Arc::new(safety));
        if life.is_none() {
            self.write_blocking(|txn| lives::begin(txn, 1, (&By::Hub, "the database was made")))?;
        }
        Ok(())
    }

    /// Who is told of every commit from now on; the first one named stays.
    pub(super) fn listen(&self, listener: Listener) {
        let _ = self.shared.listener.set(listener);
    }

    /// Who is asked what a barcode is; the first one named stays.
    pub(super) fn ask_of_goods(&self, goods: GoodsOf) {
        let _ = self.shared.goods.set(goods);
    }

    /// Who is asked for the barcodes of an article; the first one named stays.
    pub(super) fn ask_of_articles(&self, barcodes_of: BarcodesOf) {
        let _ = self.shared.barcodes_of.set(barcodes_of);
    }

    /// What is promised of a shop that is not heard from; what is said first stays.
    pub(super) fn promise(&self, policy: Policy) {
        let _ = self.shared.policy.set(policy);
    }

    /// How long a shop may take for its answer; what is said first stays.
    pub(super) fn answer_within(&self, ms: i64) {
        let _ = self.shared.answer_within_ms.set(ms);
    }

    /// Where its time and its lots come from.
    pub(super) fn outside(&self) -> &Outside {
        &self.shared.outside
    }

    /// In which language people are told; the first one named stays.
    pub(super) fn speak(&self, lang: Lang) {
        let _ = self.shared.lang.set(lang);
    }

    /// Where the feed stands.
    pub(super) fn head(&self) -> FeedHead {
        *lock(&self.shared.head)
    }

    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    /// One write: a transaction that it may share with others. On an error nothing of it is kept.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (run, keep) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let kept = self
            .db
            .write_with(move |conn| run.run(conn, work), move |kept| keep.keep(kept))
            .await?;
        Ok(kept.value)
    }

    /// As [`SqliteStore::write`], after everything urgent.
    pub(super) async fn write_background<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (run, keep) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let kept = self
            .db
            .write_background_with(move |conn| run.run(conn, work), move |kept| keep.keep(kept))
            .await?;
        Ok(kept.value)
    }

    pub(super) fn write_blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (run, keep) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let kept = self
            .db
            .write_with_blocking(move |conn| run.run(conn, work), move |kept| keep.keep(kept))?;
        Ok(kept.value)
    }

    /// One read: one snapshot.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.db.read(work).await
    }

    /// One read that decides as a write would: one snapshot, in which nothing can be written.
    pub(super) async fn look<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        self.db
            .read(move |conn| Ok(shared.run(conn, work)?.value))
            .await
    }
}

impl Shared {
    fn run<T>(
        &self,
        conn: &Connection,
        work: impl FnOnce(&mut Txn<'_>) -> Result<T, StoreError>,
    ) -> Result<Kept<T>, StoreError> {
        let mut txn = Txn {
            conn,
            now: self.outside.now(),
            shared: self,
            side: Side::default(),
        };
        let value = work(&mut txn)?;
        Ok(Kept {
            value,
            side: Mutex::new(txn.side),
        })
    }

    /// Before COMMIT: the positions that the transaction gave out get their tag.
    fn seal(&self, conn: &Connection, group: &Group) -> rusqlite::Result<()> {
        let pos = self.pos.load(Ordering::SeqCst);
        if pos <= lock(&self.sealed).pos {
            return Ok(());
        }
        let random = self.outside.random::<8>();
        let random = random.map_err(|error| rusqlite::Error::UserFunctionError(Box::new(error)))?;
        // A tag is also written as a decimal or hexadecimal number: never negative.
        let tag = u64::from_le_bytes(random) >> 1;
        conn.prepare_cached(ADD_COMMIT)?.execute(params![
            pos.cast_signed(),
            tag.cast_signed(),
            self.outside.now().0
        ])?;
        if pos.is_multiple_of(FORGET_EVERY) {
            conn.prepare_cached(FORGET_COMMITS)?.execute([])?;
        }
        let mut sealed = lock(&self.sealed);
        sealed.pos = pos;
        sealed.ends.push((group.number, pos, tag));
        Ok(())
    }

    /// After COMMIT, for each write in their order.
    fn keep<T>(&self, kept: &Kept<T>) {
        let side = std::mem::take(&mut *lock(&kept.side));
        if !side.barcodes.is_empty() {
            self.barcodes
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(side.barcodes);
        }
        if let Some(safety) = side.safety {
            self.keep_back(safety);
        }
        let mut next = lock(&self.next);
        next.changes.extend(side.changes);
        next.life = side.life.or(next.life);
    }

    fn keep_back(&self, safety: Arc<SafetyStock>) {
        *self.safety.write().unwrap_or_else(PoisonError::into_inner) = safety;
    }

    /// After COMMIT, once: the view follows before anybody has an answer.
    fn publish(&self, group: &Group) {
        let pending = std::mem::take(&mut *lock(&self.next));
        let end = {
            let mut sealed = lock(&self.sealed);
            let is_own = |end: &&(u64, u64, u64)| end.0 == group.number;
            let end = sealed.ends.iter().find(is_own).copied();
            // Those before it that are still there were not committed.
            sealed.ends.retain(|(number, ..)| *number > group.number);
            end
        };
        let head = {
            let mut head = lock(&self.head);
            if let Some((_, pos, tag)) = end {
                (head.pos, head.tag) = (pos, tag);
            }
            head.life = pending.life.unwrap_or(head.life);
            *head
        };
        if let Some(listener) = self.listener.get() {
            listener(&head, pending.changes);
        }
    }
}

impl Txn<'_> {
    /// The next feed position.
    pub(super) fn next_pos(&self) -> u64 {
        self.take_positions(1)
    }

    /// The first of `count` feed positions in a row.
    pub(super) fn take_positions(&self, count: u64) -> u64 {
        self.shared.pos.fetch_add(count, Ordering::SeqCst) + 1
    }

    /// Tells readers of a change, once it is committed.
    pub(super) fn change(&mut self, change: Change) {
        self.side.changes.push(change);
    }

    /// A new life begins with this commit.
    pub(super) fn set_life(&mut self, life: HubLife) {
        self.side.life = Some(life);
    }

    /// `N` bytes that nobody can guess; at most 32.
    ///
    /// # Errors
    ///
    /// [`StoreError::Random`]: the system has none to give.
    pub(super) fn random<const N: usize>(&self) -> Result<[u8; N], StoreError> {
        self.shared.outside.random()
    }

    /// In which language people are told.
    pub(super) fn lang(&self) -> Lang {
        self.shared.lang.get().copied().unwrap_or_default()
    }

    /// The committed head of the feed.
    pub(super) fn head(&self) -> FeedHead {
        *lock(&self.shared.head)
    }

    /// What is known of a barcode beyond its numbers.
    pub(super) fn goods(&self, barcode: &Barcode) -> Goods {
        let known = self.shared.goods.get();
        known.map_or_else(Goods::default, |goods| goods(barcode))
    }

    /// The barcodes of an article.
    pub(super) fn barcodes_of(&self, article: &str) -> Vec<Barcode> {
        let known = self.shared.barcodes_of.get();
        known.map_or_else(Vec::new, |known| known(article))
    }

    /// The rules of safety stock.
    pub(super) fn safety(&self) -> Arc<SafetyStock> {
        if let Some(safety) = &self.side.safety {
            return Arc::clone(safety);
        }
        let known = self.shared.safety.read();
        Arc::clone(&known.unwrap_or_else(PoisonError::into_inner))
    }

    /// Other rules are in force with this commit.
    pub(super) fn set_safety(&mut self, safety: Arc<SafetyStock>) {
        self.side.safety = Some(safety);
    }

    /// What is promised of a shop that is not heard from.
    pub(super) fn policy(&self) -> Policy {
        self.shared.policy.get().copied().unwrap_or_default()
    }

    /// How long a shop may take for its answer, in its opening hours.
    pub(super) fn answer_within_ms(&self) -> i64 {
        let said = self.shared.answer_within_ms.get().copied();
        said.unwrap_or(ANSWER_MS)
    }

    /// The number of a barcode; a new one gets the next.
    pub(super) fn barcode_id(&mut self, barcode: &str) -> Result<i64, StoreError> {
        if let Some(id) = self
            .shared
            .barcodes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(barcode)
        {
            return Ok(*id);
        }
        // Not with RETURNING, which costs a journal of the statement and a table for its row.
        let added = self.conn.prepare_cached(ADD_BARCODE)?.execute([barcode])?;
        let id = if added == 1 {
            self.conn.last_insert_rowid()
        } else {
            // A write before this one in the same transaction named it.
            self.conn
                .prepare_cached(FIND_BARCODE)?
                .query_row([barcode], |row| row.get(0))?
        };
        self.side.barcodes.push((barcode.into(), id));
        Ok(id)
    }
}

/// The number of a barcode that some movement or item named.
pub(super) fn find_barcode(conn: &Connection, barcode: &str) -> Result<Option<i64>, StoreError> {
    Ok(conn
        .prepare_cached(FIND_BARCODE)?
        .query_row([barcode], |row| row.get(0))
        .optional()?)
}

/// The barcode of a number.
pub(super) fn barcode_text(conn: &Connection, id: i64) -> Result<Barcode, StoreError> {
    let text: String = conn
        .prepare_cached(BARCODE_TEXT)?
        .query_row([id], |row| row.get(0))?;
    Barcode::from_key(&text).map_err(|_| StoreError::Damaged("a barcode is none"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
