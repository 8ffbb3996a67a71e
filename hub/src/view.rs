//! The merged stock in memory: what every answer to a reader is made of.
//!
//! It is filled from the store at start and told of every commit before anybody has its answer. A reader locks one shard of
//! the map and one item for as long as it takes to copy a handle, so it waits neither for a merge nor for SQL.

pub(crate) mod face;
pub(crate) mod flat;
pub(crate) mod follow;
pub(crate) mod index;
pub(crate) mod item;
pub(crate) mod json;
pub(crate) mod level;
pub(crate) mod list;
pub(crate) mod ready;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod snapshot;

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::HashMap;
use foldhash::fast::RandomState;
use tokio::sync::watch;
use vitrina_shared::freshness::Confidence;
use vitrina_shared::hold::Policy;
use vitrina_shared::safety::{Ruling, SafetyStock};
use vitrina_shared::{Barcode, HubLife, ShopId, TimeMs};

use crate::board::Board;
use crate::change::{Change, FeedHead, Goods, LevelRow, ShopRow};
use crate::error::{ApiError, Code};
use crate::feed::{Cursor, Entry, Feed, Subject};
use face::Face;
use index::Index;
use item::Item;
use ready::{Answer, Occasion, Wanted};

const SHARDS: usize = 64;

/// How many entries of the feed are copied out at once, so that a commit never waits for a reader's page.
const CHUNK: usize = 1_024;

type Shard = RwLock<HashMap<Barcode, Arc<Item>>>;

/// The merged stock.
///
/// Locks that are held together are taken in this order: index, item, feed. A shard and a shop's cell are always last.
#[derive(Debug)]
pub(crate) struct View {
    shards: Vec<Shard>,
    /// Which shard; the map inside has keys of its own.
    spread: RandomState,
    index: RwLock<Index>,
    /// The shops.
    pub(crate) board: Board,
    feed: RwLock<Feed>,
    /// What is kept back; of each level it is worked out when the level changes.
    safety: RwLock<Arc<SafetyStock>>,
    /// Levels of which another number is kept back than the feed's readers were told.
    untold: Mutex<Vec<(u32, Barcode)>>,
    /// What was loaded, until [`View::loaded`].
    loading: Mutex<Vec<Entry>>,
    head: watch::Sender<FeedHead>,
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl View {
    /// An empty view, to be loaded, of a chain that promises so much of a shop that is not heard from.
    pub(crate) fn new(policy: Policy) -> Self {
        let head = FeedHead {
            life: HubLife {
                ordinal: 0,
                random: [0; 16],
            },
            pos: 0,
            tag: 0,
        };
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            spread: RandomState::default(),
            index: RwLock::default(),
            board: Board::new(policy),
            feed: RwLock::new(Feed::new(head)),
            safety: RwLock::default(),
            untold: Mutex::default(),
            loading: Mutex::default(),
            head: watch::Sender::new(head),
        }
    }

    /// Takes one thing of the store, at start; shops before their levels.
    pub(crate) fn load_one(&self, change: Change) {
        let entry = match change {
            Change::Shop(row) => {
                let entry = Entry {
                    pos: row.pos,
                    subject: Subject::Shop(row.index),
                };
                self.board.load(row);
                Some(entry)
            }
            Change::Safety(rules) => {
                *write(&self.safety) = rules;
                None
            }
            other => self.take(other, 0, &self.rules()).0,
        };
        self.loading
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(entry);
    }

    /// Ends the loading: the feed stands at `head`, and `commits` are the ends and tags of the latest commits.
    pub(crate) fn loaded(&self, head: FeedHead, commits: Vec<(u64, u64)>) {
        let entries =
            std::mem::take(&mut *self.loading.lock().unwrap_or_else(PoisonError::into_inner));
        write(&self.feed).load(entries, commits, head);
        // What a shop's words changed while they were loaded, nobody was told otherwise.
        self.take_untold();
        (0..SHARDS)
            .filter_map(|shard| self.shard_items(shard))
            .flatten()
            .for_each(|item| item.shrink());
        self.head.send_replace(head);
    }

    /// Takes what a commit changed. One call at a time, in the order of the commits.
    pub(crate) fn apply(&self, head: &FeedHead, changes: Vec<Change>) {
        // First, so that whatever else the commit changed has them.
        let is_rules = |change: &Change| matches!(change, Change::Safety(_));
        if let Some(Change::Safety(rules)) = changes.iter().rfind(|change| is_rules(change)) {
            *write(&self.safety) = Arc::clone(rules);
        }
        let rules = self.rules();
        let mut entries = Vec::with_capacity(changes.len());
        let mut overtaken = 0;
        for change in changes {
            let (entry, overtakes) = self.take(change, head.pos, &rules);
            entries.extend(entry);
            overtaken += usize::from(overtakes);
        }
        let is_due = {
            let mut feed = write(&self.feed);
            feed.push(entries, overtaken, *head);
            feed.is_mostly_overtaken()
        };
        if is_due {
            // Beside the feed's lock, never under it: a reader holds an item while it asks the feed for a cursor. Nobody
            // else writes entries meanwhile.
            let mut entries = read(&self.feed).all().to_vec();
            entries.retain(|entry| self.stands(entry));
            write(&self.feed).compact(entries);
        }
        self.head.send_replace(*head);
    }

    /// The rules of safety stock.
    fn rules(&self) -> Arc<SafetyStock> {
        Arc::clone(&read(&self.safety))
    }

    /// The rule of safety stock that speaks for a level; none where nothing is kept back.
    pub(crate) fn ruling(&self, shop: &ShopId, barcode: &Barcode) -> Option<Ruling> {
        let face = self.item(barcode.as_str()).map(|item| item.face());
        let article = face.as_ref().and_then(|face| face.article.as_deref());
        self.rules().ruling(shop, barcode, article)
    }

    /// Levels, by their shops' numbers, of which another number is kept back than the feed's readers were told: a shop has
    /// said that they are of another article.
    pub(crate) fn take_untold(&self) -> Vec<(u32, Barcode)> {
        std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Readers are yet to be told of these levels.
    pub(crate) fn leave_untold(&self, levels: impl IntoIterator<Item = (u32, Barcode)>) {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold.extend(levels);
    }

    /// Where the feed stands. Whatever changed up to there is in the answers.
    pub(crate) fn head(&self) -> FeedHead {
        *self.head.borrow()
    }

    /// To wait for a change.
    pub(crate) fn changed(&self) -> watch::Receiver<FeedHead> {
        self.head.subscribe()
    }

    /// Recomputes at `now` how far each shop can be relied on; the shops of which the feed's readers must be told.
    pub(crate) fn look(&self, now: TimeMs) -> Vec<u32> {
        self.board.look(now)
    }

    /// How fresh a shop is at `now`.
    pub(crate) fn freshness(&self, shop: u32, now: TimeMs) -> (Option<TimeMs>, Confidence) {
        self.board.freshness(shop, now)
    }

    /// Takes one change: its place in the feed, and whether it overtakes an earlier one.
    fn take(&self, change: Change, pos: u64, rules: &SafetyStock) -> (Option<Entry>, bool) {
        match change {
            Change::Level(row) => self.take_level(row, rules),
            Change::Item { barcode, item } => {
                let entry = self.item_or_new(&barcode);
                let (before, after) = entry.set_catalogue(item, pos, rules);
                self.rename(&entry, &before, &after);
                (None, false)
            }
            Change::Alias { alias, barcode } => {
                write(&self.index).set_alias(alias, barcode);
                (None, false)
            }
            Change::Shop(row) => self.take_shop(row),
            Change::Heard {
                shop,
                heard,
                status,
            } => {
                self.board.heard(shop, heard, status);
                (None, false)
            }
            Change::Leg { .. } | Change::Safety(_) | Change::Transfer { .. } => (None, false),
        }
    }

    fn take_level(&self, row: LevelRow, rules: &SafetyStock) -> (Option<Entry>, bool) {
        let Some(shop) = self.board.cell(row.shop) else {
            tracing::error!(
                shop.index = row.shop,
                "a level of a shop that nobody knows is not shown"
            );
            return (None, false);
        };
        let item = self.item_or_new(&row.barcode);
        let (pos, index) = (row.pos, row.shop);
        let overtakes = item.has_level(index);
        let (before, after, moved) = item.set_level(shop, row, rules);
        self.rename(&item, &before, &after);
        if !moved.is_empty() {
            let moved = moved.into_iter().map(|shop| (shop, item.barcode.clone()));
            self.leave_untold(moved);
        }
        (
            Some(Entry {
                pos,
                subject: Subject::Level(item, index),
            }),
            overtakes,
        )
    }

    fn take_shop(&self, row: ShopRow) -> (Option<Entry>, bool) {
        let overtakes = self.board.cell(row.index).is_some();
        let entry = Entry {
            pos: row.pos,
            subject: Subject::Shop(row.index),
        };
        self.board.set(row);
        (Some(entry), overtakes)
    }

    fn rename(&self, item: &Arc<Item>, before: &Arc<Face>, after: &Arc<Face>) {
        if !Arc::ptr_eq(before, after) {
            write(&self.index).rename(item, before, after);
        }
    }

    fn shard(&self, barcode: &str) -> Option<&Shard> {
        let hash = self.spread.hash_one(barcode);
        self.shards
            .get(usize::try_from(hash % SHARDS as u64).unwrap_or(0))
    }

    /// The item of an exact key.
    pub(crate) fn item(&self, barcode: &str) -> Option<Arc<Item>> {
        read(self.shard(barcode)?).get(barcode).cloned()
    }

    fn item_or_new(&self, barcode: &Barcode) -> Arc<Item> {
        if let Some(item) = self.item(barcode.as_str()) {
            return item;
        }
        let item = Arc::new(Item::new(barcode.clone()));
        if let Some(shard) = self.shard(barcode.as_str()) {
            write(shard).insert(barcode.clone(), Arc::clone(&item));
        }
        write(&self.index).enter(&item);
        item
    }

    /// The item that a text names: barcode, alias, `external_id`, or the bare code of one shop's own numbering.
    ///
    /// # Errors
    ///
    /// 404 `unknown_barcode`, with `candidates` where the text is the code of several.
    pub(crate) fn find(&self, id: &str) -> Result<Arc<Item>, ApiError> {
        if let Some(item) = self.item(id).filter(|item| item.is_known()) {
            return Ok(item);
        }
        let index = read(&self.index);
        if let Some(item) = index
            .alias(id)
            .and_then(|barcode| self.item(barcode.as_str()))
            .filter(|item| item.is_known())
        {
            return Ok(item);
        }
        let named = if index.by_external(id).is_empty() {
            index.by_local(id)
        } else {
            index.by_external(id)
        };
        let known: Vec<&Arc<Item>> = named.iter().filter(|item| item.is_known()).collect();
        match known.as_slice() {
            [one] => Ok(Arc::clone(one)),
            [] => Err(ApiError::new(Code::UnknownBarcode, "")),
            several => {
                let keys: Vec<&str> = several.iter().map(|item| item.barcode.as_str()).collect();
                Err(ApiError::new(
                    Code::UnknownBarcode,
                    "several items have this code; ask for one of the candidates",
                )
                .with("candidates", keys))
            }
        }
    }

    /// What a barcode is, for whoever looks for another like it: of the same article and size, where both are known.
    pub(crate) fn goods(&self, barcode: &Barcode) -> Goods {
        let Some(item) = self.item(barcode.as_str()) else {
            return Goods::default();
        };
        let size_of = |face: &Face| {
            face.attributes
                .get("size")
                .map(|size| list::same_size(size))
        };
        let face = item.face();
        let (article, size) = (face.article.clone(), size_of(&face));
        let of_article = match (&article, &size) {
            (Some(article), Some(_)) => self.article(article),
            _ => Vec::new(),
        };
        let is_like =
            |other: &Arc<Item>| other.barcode != *barcode && size_of(&other.face()) == size;
        let like = of_article.into_iter().filter(is_like);
        Goods {
            like: like.map(|other| other.barcode.clone()).collect(),
            article,
            size: size.map(Into::into),
        }
    }

    /// The items of an article, by barcode.
    pub(crate) fn article(&self, article: &str) -> Vec<Arc<Item>> {
        let mut items = read(&self.index).by_article(article).to_vec();
        items.retain(|item| item.is_known());
        items.sort_by(|left, right| left.barcode.cmp(&right.barcode));
        items
    }

    /// An item's answer.
    pub(crate) fn answer(&self, item: &Item, wanted: Wanted<'_>) -> Answer {
        let (epoch, beats) = (self.board.epoch(), self.board.beats());
        let cursor = |pos| read(&self.feed).cursor(pos).to_string();
        item.answer(
            wanted,
            &Occasion {
                epoch,
                beats,
                life: self.head().life.ordinal,
                cursor: &cursor,
            },
        )
    }

    /// The cursor of a position.
    pub(crate) fn cursor(&self, pos: u64) -> Cursor {
        read(&self.feed).cursor(pos)
    }

    /// The cursor of the end of a page that was just read.
    pub(crate) fn page_cursor(&self, pos: u64) -> Cursor {
        read(&self.feed).page_cursor(pos)
    }

    /// The position of a cursor.
    ///
    /// # Errors
    ///
    /// 410 `cursor_expired`.
    pub(crate) fn check(&self, cursor: Cursor) -> Result<u64, ApiError> {
        read(&self.feed).check(cursor)
    }

    /// Some entries after `pos`, and where the feed stood then.
    pub(crate) fn entries(&self, pos: u64) -> (Vec<Entry>, u64) {
        let feed = read(&self.feed);
        (feed.after(pos, CHUNK), feed.head().pos)
    }

    fn stands(&self, entry: &Entry) -> bool {
        match &entry.subject {
            Subject::Level(item, shop) => item.is_at(*shop, entry.pos),
            Subject::Shop(index) => self
                .board
                .cell(*index)
                .is_some_and(|cell| cell.known().row.pos == entry.pos),
        }
    }

    /// The items of one shard: all of them, shard by shard, is every item once. Nothing when there are no more shards.
    pub(crate) fn shard_items(&self, number: usize) -> Option<Vec<Arc<Item>>> {
        self.shards
            .get(number)
            .map(|shard| read(shard).values().cloned().collect())
    }

    /// Gives back the memory of ready answers in one shard that nobody asked for lately.
    pub(crate) fn tidy(&self, turn: usize) {
        self.shard_items(turn % SHARDS)
            .into_iter()
            .flatten()
            .for_each(|item| item.tidy());
    }
}

#[cfg(test)]
mod tests;
