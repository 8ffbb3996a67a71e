//! The merged stock in memory: what every answer to a reader is made of.
//!
//! It is filled from the store at start and told of every commit by the database thread. A reader locks one shard of
//! the map and one item for as long as it takes to copy a handle, so it waits neither for a merge nor for SQL.

pub(crate) mod flat;
pub(crate) mod index;
pub(crate) mod item;
pub(crate) mod json;
pub(crate) mod list;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod snapshot;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;
use vitrina_shared::freshness::Confidence;
use vitrina_shared::{Barcode, HubLife, TimeMs};

use crate::board::Board;
use crate::change::{Change, FeedHead, LevelRow, ShopRow};
use crate::error::{ApiError, Code};
use crate::feed::{Cursor, Entry, Feed, Subject};
use index::Index;
use item::{Answer, Face, Item, Occasion, Wanted};

const SHARDS: usize = 64;

/// How many entries of the feed are copied out at once, so that a commit never waits for a reader's page.
const CHUNK: usize = 1_024;

type Shard = RwLock<HashMap<Box<str>, Arc<Item>>>;

/// The merged stock.
#[derive(Debug)]
pub(crate) struct View {
    shards: Vec<Shard>,
    index: RwLock<Index>,
    /// The shops.
    pub(crate) board: Board,
    feed: RwLock<Feed>,
    /// What was loaded, until [`View::loaded`].
    loading: Mutex<Vec<Entry>>,
    head: watch::Sender<FeedHead>,
}

/// A level as other shops are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LevelSince {
    /// The shop's number in the store.
    pub(crate) shop: u32,
    /// The barcode.
    pub(crate) barcode: Barcode,
    /// Units in the shop.
    pub(crate) on_hand: i64,
    /// Units it can promise.
    pub(crate) available: i64,
    /// The feed position.
    pub(crate) pos: u64,
}

/// Levels after a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OthersPage {
    /// In the order of their positions.
    pub(crate) rows: Vec<LevelSince>,
    /// Up to here there are no others.
    pub(crate) upto: u64,
}

/// A page of the feed.
#[derive(Debug)]
pub(crate) struct FeedPage {
    /// The items as JSON, with commas between.
    pub(crate) items: Vec<u8>,
    /// How many.
    pub(crate) count: usize,
    /// The page ends here.
    pub(crate) upto: u64,
    /// Whether there may be more already.
    pub(crate) more: bool,
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl View {
    /// An empty view, to be loaded.
    pub(crate) fn new() -> Self {
        let head = FeedHead { life: HubLife { ordinal: 0, random: [0; 16] }, pos: 0, tag: 0 };
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            index: RwLock::default(),
            board: Board::default(),
            feed: RwLock::new(Feed::new(head)),
            loading: Mutex::default(),
            head: watch::Sender::new(head),
        }
    }

    /// Takes one thing of the store, at start; shops before their levels.
    pub(crate) fn load_one(&self, change: Change) {
        let entry = match change {
            Change::Shop(row) => {
                let entry = Entry { pos: row.pos, subject: Subject::Shop(row.index) };
                self.board.load(row);
                Some(entry)
            }
            other => self.take(other, 0).0,
        };
        self.loading.lock().unwrap_or_else(PoisonError::into_inner).extend(entry);
    }

    /// Ends the loading: the feed stands at `head`, and `commits` are the ends and tags of the latest commits.
    pub(crate) fn loaded(&self, head: FeedHead, commits: Vec<(u64, u64)>) {
        let entries = std::mem::take(&mut *self.loading.lock().unwrap_or_else(PoisonError::into_inner));
        write(&self.feed).load(entries, commits, head);
        (0..SHARDS).filter_map(|shard| self.shard_items(shard)).flatten().for_each(|item| item.shrink());
        self.head.send_replace(head);
    }

    /// Takes what a commit changed. Called by one thread, in the order of the commits.
    pub(crate) fn apply(&self, head: &FeedHead, changes: Vec<Change>) {
        let mut entries = Vec::with_capacity(changes.len());
        let mut overtaken = 0;
        for change in changes {
            let (entry, overtakes) = self.take(change, head.pos);
            entries.extend(entry);
            overtaken += usize::from(overtakes);
        }
        let mut feed = write(&self.feed);
        feed.push(entries, overtaken, *head);
        if feed.is_mostly_overtaken() {
            feed.compact(|entry| self.stands(entry));
        }
        drop(feed);
        self.head.send_replace(*head);
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
    fn take(&self, change: Change, pos: u64) -> (Option<Entry>, bool) {
        match change {
            Change::Level(row) => self.take_level(row),
            Change::Item { barcode, item } => {
                let entry = self.item_or_new(&barcode);
                let (before, after) = entry.set_catalogue(item, pos);
                self.rename(&entry, &before, &after);
                (None, false)
            }
            Change::Alias { alias, barcode } => {
                write(&self.index).set_alias(alias, barcode);
                (None, false)
            }
            Change::Shop(row) => self.take_shop(row),
            Change::Heard { shop, heard, status } => {
                self.board.heard(shop, heard, status);
                (None, false)
            }
        }
    }

    fn take_level(&self, row: LevelRow) -> (Option<Entry>, bool) {
        let Some(shop) = self.board.cell(row.shop) else {
            tracing::error!(shop.index = row.shop, "a level of a shop that nobody knows is not shown");
            return (None, false);
        };
        let item = self.item_or_new(&row.barcode);
        let (pos, index) = (row.pos, row.shop);
        let overtakes = item.has_level(index);
        let (before, after) = item.set_level(shop, row);
        self.rename(&item, &before, &after);
        (Some(Entry { pos, subject: Subject::Level(item, index) }), overtakes)
    }

    fn take_shop(&self, row: ShopRow) -> (Option<Entry>, bool) {
        let overtakes = self.board.cell(row.index).is_some();
        let entry = Entry { pos: row.pos, subject: Subject::Shop(row.index) };
        self.board.set(row);
        (Some(entry), overtakes)
    }

    fn rename(&self, item: &Arc<Item>, before: &Arc<Face>, after: &Arc<Face>) {
        if !Arc::ptr_eq(before, after) {
            write(&self.index).rename(item, before, after);
        }
    }

    fn shard(&self, barcode: &str) -> Option<&Shard> {
        // FNV-1a: only to spread; the map inside has its own keyed hash.
        let hash = barcode.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.shards.get(usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or(0))
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
            write(shard).insert(barcode.as_str().into(), Arc::clone(&item));
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
        if let Some(item) = index.alias(id).and_then(|barcode| self.item(barcode.as_str())).filter(|item| item.is_known())
        {
            return Ok(item);
        }
        let named = if index.by_external(id).is_empty() { index.by_local(id) } else { index.by_external(id) };
        let known: Vec<&Arc<Item>> = named.iter().filter(|item| item.is_known()).collect();
        match known.as_slice() {
            [one] => Ok(Arc::clone(one)),
            [] => Err(ApiError::new(Code::UnknownBarcode, "")),
            several => {
                let keys: Vec<&str> = several.iter().map(|item| item.barcode.as_str()).collect();
                Err(ApiError::new(Code::UnknownBarcode, "several items have this code; ask for one of the candidates")
                    .with("candidates", keys))
            }
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
        let epoch = self.board.epoch();
        let cursor = |pos| read(&self.feed).cursor(pos).to_string();
        item.answer(wanted, &Occasion { epoch, life: self.head().life.ordinal, cursor: &cursor })
    }

    /// The cursor of a position.
    pub(crate) fn cursor(&self, pos: u64) -> Cursor {
        read(&self.feed).cursor(pos)
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
            Subject::Shop(index) => self.board.cell(*index).is_some_and(|cell| cell.known().row.pos == entry.pos),
        }
    }

    /// At most `limit` changes after `since`, as the website sees them.
    pub(crate) fn changes(&self, since: u64, limit: usize) -> FeedPage {
        let mut page = FeedPage { items: Vec::new(), count: 0, upto: since, more: false };
        loop {
            let (entries, head) = self.entries(page.upto);
            if entries.is_empty() {
                page.upto = head.max(page.upto);
                return page;
            }
            for entry in entries {
                if page.count == limit {
                    page.more = true;
                    return page;
                }
                page.upto = entry.pos;
                let before = page.items.len();
                if page.count > 0 {
                    page.items.push(b',');
                }
                let shown = match &entry.subject {
                    Subject::Level(item, shop) => flat::level_at(&mut page.items, item, *shop, entry.pos),
                    Subject::Shop(index) => flat::shop_at(&mut page.items, &self.board, *index, entry.pos),
                };
                if shown {
                    page.count += 1;
                } else {
                    page.items.truncate(before);
                }
            }
        }
    }

    /// Levels of all shops after `pos`, each once, at most `limit`.
    pub(crate) fn levels_since(&self, pos: u64, limit: usize) -> OthersPage {
        let mut page = OthersPage { rows: Vec::new(), upto: pos };
        loop {
            let (entries, head) = self.entries(page.upto);
            if entries.is_empty() {
                page.upto = head.max(page.upto);
                return page;
            }
            for entry in entries {
                if page.rows.len() >= limit {
                    return page;
                }
                page.upto = entry.pos;
                let Subject::Level(item, shop) = &entry.subject else { continue };
                item.with_level(*shop, |level, _, _, _| {
                    if level.pos == entry.pos {
                        page.rows.push(LevelSince {
                            shop: *shop,
                            barcode: item.barcode.clone(),
                            on_hand: level.numbers.on_hand,
                            available: level.numbers.available(),
                            pos: entry.pos,
                        });
                    }
                });
            }
        }
    }

    /// The items of one shard: all of them, shard by shard, is every item once. Nothing when there are no more shards.
    pub(crate) fn shard_items(&self, number: usize) -> Option<Vec<Arc<Item>>> {
        self.shards.get(number).map(|shard| read(shard).values().cloned().collect())
    }

    /// Gives back the memory of ready answers in one shard that nobody asked for lately.
    pub(crate) fn tidy(&self, turn: usize) {
        self.shard_items(turn % SHARDS).into_iter().flatten().for_each(|item| item.tidy());
    }
}

#[cfg(test)]
mod tests;
