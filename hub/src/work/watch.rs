//! Looks at what is known and keeps the list of work items, beside everything else: it follows the feed as a reader does, so
//! that a merge never waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use vitrina_host::config::Period;
use vitrina_shared::stock::Channel;
use vitrina_shared::{Barcode, ShopId, TimeMs};

use super::decide::{self, Entry, Fact, Presence, Step};
use super::facts::{self, Look};
use super::{Kind, State};
use crate::board::ShopCell;
use crate::server::Hub;
use crate::store::{Asked, StoreError};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After an error of the store.
const PATIENCE: Duration = Duration::from_secs(10);
/// The tables are read at least so often; in between when a shop says that something of them changed.
const READ_EVERY: Duration = Duration::from_mins(1);
/// Between two looks at the web orders that wait: their deadlines are minutes.
const ORDERS_EVERY: Duration = Duration::from_secs(5);
/// Levels of one look: the rest comes with the next.
const MAX_LEVELS: usize = 20_000;
/// Levels of one step of it.
const LEVELS: usize = 2_000;
/// Stories of single pieces that one look reads.
const MAX_STORIES: usize = 50;
/// Steps of one look through the logs of shops that have several.
const MAX_SCANS: usize = 4;
/// Steps of one transaction.
const STEPS: usize = 100;

/// `[alerts]` of `hub.toml`: when a person is told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "these are the words of hub.toml")]
pub(crate) struct Alerts {
    /// A shop, or its 1C, that is not heard from for so long in opening hours.
    pub(crate) silent_after: Period,
    /// A receiver of webhooks that takes nothing for so long.
    pub(crate) dead_after: Period,
    /// A web order that a shop has not answered for so long, in opening hours: the manager is told.
    pub(crate) unanswered_after: Period,
    /// The same, and the director is told.
    pub(crate) director_after: Period,
    /// What was sent from shop to shop and is not received after so long.
    pub(crate) stuck_after: Period,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            silent_after: Period::from_secs(10 * 60),
            dead_after: Period::from_secs(10 * 60),
            unanswered_after: Period::from_secs(15 * 60),
            director_after: Period::from_secs(4 * 3_600),
            stuck_after: Period::from_secs(3 * 86_400),
        }
    }
}

/// What was looked at so far.
struct Watch {
    hub: Arc<Hub>,
    listens_since: TimeMs,
    levels: Levels,
    tables: Vec<Fact>,
    tables_read: Option<Instant>,
    /// What shops said last of their quarantine and disagreements: another number is news.
    said: Vec<(u32, u64, u64)>,
    /// Shops that the hub found by their certificates.
    found: BTreeMap<ShopId, TimeMs>,
    /// Web orders that wait for a shop's word, and when that was read.
    asked: Vec<Asked>,
    asked_read: Option<Instant>,
    /// What is to be said of transfers.
    transfers: Vec<Fact>,
    /// What was said of the shops themselves and of what is between them at the last look.
    shops: Vec<Fact>,
    /// There are logs to be looked through.
    is_scanning: bool,
    /// There are movements from before there were transfers.
    is_scanning_transfers: bool,
    /// The last look had nothing to do, and nothing has changed since.
    is_settled: bool,
    entries: Vec<Entry>,
}

/// What the levels say, followed by the feed.
#[derive(Default)]
struct Levels {
    upto: u64,
    /// All levels up to the head were seen once.
    is_complete: bool,
    negative: BTreeMap<(u32, Barcode), i64>,
    in_two_places: BTreeMap<Barcode, Fact>,
    sold_twice: BTreeMap<Barcode, Fact>,
    /// Single pieces whose story is to be read.
    unread: BTreeSet<Barcode>,
    /// Something of this is another than when it was last decided about.
    has_changed: bool,
    /// A level has changed since the tables were read.
    have_moved: bool,
}

/// Watches until it is dropped.
pub(crate) async fn watch(hub: Arc<Hub>) {
    let listens_since = hub.core.now();
    let mut watch = Watch {
        hub: Arc::clone(&hub),
        listens_since,
        levels: Levels::default(),
        tables: Vec::new(),
        tables_read: None,
        said: Vec::new(),
        found: BTreeMap::new(),
        asked: Vec::new(),
        asked_read: None,
        transfers: Vec::new(),
        shops: Vec::new(),
        is_scanning: false,
        is_scanning_transfers: true,
        is_settled: false,
        entries: Vec::new(),
    };
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // A person did something, or a receiver came back: what stands is decided about anew.
            () = hub.core.deeds.notified() => watch.is_settled = false,
        }
        if let Err(error) = watch.look().await {
            // Half of the facts would end what still stands: the next look has all of them.
            watch.is_settled = false;
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the work items were not looked at; trying again"
            );
            tokio::time::sleep(PATIENCE).await;
        }
    }
}

impl Watch {
    async fn look(&mut self) -> Result<(), StoreError> {
        let core = Arc::clone(&self.hub.core);
        let now = core.now();
        self.follow_levels().await?;
        self.scan_receipts().await?;
        self.scan_transfers().await?;
        self.read_tables(now).await?;
        self.read_orders(now).await?;
        if !self.levels.is_complete {
            return Ok(());
        }
        let shops = self.of_shops(now);
        let is_snooze_over = |entry: &Entry| {
            entry.state == State::Snoozed && entry.snoozed_until.is_none_or(|until| until <= now)
        };
        self.is_settled &= shops == self.shops
            && !self.levels.has_changed
            && !self.entries.iter().any(is_snooze_over);
        self.shops = shops;
        if self.is_settled {
            return Ok(());
        }
        self.levels.has_changed = false;
        self.entries = core.store.work_entries(now).await?;
        let steps = decide::decide(self.facts(), &self.entries, now);
        // What is written now is read with the next look, which then has nothing to do.
        self.is_settled = steps.is_empty();
        for some in steps.chunks(STEPS) {
            core.store.take_work(some.to_vec()).await?;
        }
        if !steps.is_empty() {
            core.outbox.notify_waiters();
            log(&steps);
        }
        Ok(())
    }

    /// Follows the feed, some levels at a time.
    async fn follow_levels(&mut self) -> Result<(), StoreError> {
        let view = &self.hub.view;
        let mut left = MAX_LEVELS;
        loop {
            let page = view.levels_since(self.levels.upto, LEVELS.min(left));
            let is_end = page.rows.len() < LEVELS.min(left);
            left = left.saturating_sub(page.rows.len());
            self.levels.upto = page.upto;
            for row in page.rows {
                self.levels.take(view, (row.shop, row.barcode), row.on_hand);
            }
            if is_end {
                self.levels.is_complete = true;
                break;
            }
            if left == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        let some: Vec<Barcode> = self
            .levels
            .unread
            .iter()
            .take(MAX_STORIES)
            .cloned()
            .collect();
        for barcode in some {
            let story = self.hub.core.store.explain(barcode.clone(), None).await?;
            self.levels.unread.remove(&barcode);
            self.levels.has_changed = true;
            match facts::sold_twice(barcode.as_str(), &story) {
                Some(fact) => self.levels.sold_twice.insert(barcode, fact),
                None => self.levels.sold_twice.remove(&barcode),
            };
        }
        Ok(())
    }

    /// Looks through some of what shops with several logs brought.
    async fn scan_receipts(&mut self) -> Result<(), StoreError> {
        if !self.levels.has_changed && !self.is_scanning {
            return Ok(());
        }
        for _ in 0..MAX_SCANS {
            let scanned = self.hub.core.store.scan_receipts().await?;
            self.is_settled &= !scanned.found;
            self.is_scanning = scanned.more;
            if !scanned.more {
                break;
            }
        }
        Ok(())
    }

    /// Looks through some of what was merged before there were transfers.
    async fn scan_transfers(&mut self) -> Result<(), StoreError> {
        for _ in 0..MAX_SCANS {
            if !self.is_scanning_transfers {
                break;
            }
            self.is_scanning_transfers = self.hub.core.store.scan_transfers().await?;
        }
        Ok(())
    }

    async fn read_tables(&mut self, now: TimeMs) -> Result<(), StoreError> {
        let cells = self.hub.view.board.all();
        let said: Vec<(u32, u64, u64)> = cells
            .iter()
            .map(|cell| {
                let health = &cell.known().health;
                (cell.index, health.quarantined, health.disagreements)
            })
            .collect();
        let is_late = self
            .tables_read
            .is_none_or(|read| read.elapsed() >= READ_EVERY);
        // A receiver that fails is dead by time alone.
        let may_die =
            |fact: &Fact| fact.kind == Kind::WebhookDead && fact.presence == Presence::Lingers;
        // A receipt line that says two things is over when one of them is taken back.
        let is_soon = self
            .tables_read
            .is_none_or(|read| read.elapsed() >= ORDERS_EVERY);
        let may_end = |fact: &Fact| fact.kind == Kind::ReceiptConflict;
        let is_over = is_soon && self.levels.have_moved && self.tables.iter().any(may_end);
        let may_be_news = said != self.said || self.tables.iter().any(may_die) || is_over;
        if self.is_settled && !is_late && !may_be_news {
            return Ok(());
        }
        let known = self.hub.core.store.known_facts().await?;
        let tables = facts::of_tables(&known, now, &self.hub.core.config.alerts);
        self.is_settled &= tables == self.tables;
        self.tables = tables;
        self.found = known.found;
        (self.tables_read, self.said) = (Some(Instant::now()), said);
        self.levels.have_moved = false;
        Ok(())
    }

    async fn read_orders(&mut self, now: TimeMs) -> Result<(), StoreError> {
        let is_due = self
            .asked_read
            .is_none_or(|read| read.elapsed() >= ORDERS_EVERY);
        if is_due {
            let core = &self.hub.core;
            let stuck_before = now.plus(-core.config.alerts.stuck_after.as_millis());
            self.asked = core.store.asked().await?;
            let transfers = core.store.transfers_to_look_at(stuck_before).await?;
            let to_strangers = core.store.transfers_to_strangers().await?;
            self.transfers = facts::of_transfers(&transfers, &to_strangers);
            if core.store.end_work_of_legs().await? {
                core.outbox.notify_waiters();
                self.is_settled = false;
            }
            self.asked_read = Some(Instant::now());
        }
        Ok(())
    }

    /// What is to be said of the shops themselves.
    fn of_shops(&self, now: TimeMs) -> Vec<Fact> {
        let core = &self.hub.core;
        let look = Look {
            now,
            listens_since: self.listens_since,
            alerts: &core.config.alerts,
            found: &self.found,
        };
        let mut asked: BTreeMap<&ShopId, Vec<&Asked>> = BTreeMap::new();
        for order in &self.asked {
            asked.entry(&order.shop).or_default().push(order);
        }
        let of_one = |cell: Arc<ShopCell>| {
            let (known, is_connected) = (cell.known(), core.waiters.is_waiting(&cell.shop));
            let mut facts = facts::of_shop(&known, is_connected, look);
            if let Some(asked) = asked.get(&cell.shop) {
                facts.extend(facts::of_orders(&known, asked, is_connected, look));
            }
            facts
        };
        let cells = self.hub.view.board.all();
        let of_shops = cells.into_iter().flat_map(of_one);
        of_shops.chain(self.transfers.iter().cloned()).collect()
    }

    /// Everything that is known now.
    fn facts(&self) -> Vec<Fact> {
        let levels = &self.levels;
        let mut facts = self.tables.clone();
        facts.extend(self.shops.iter().cloned());
        for ((shop, barcode), on_hand) in &levels.negative {
            if let Some(cell) = self.hub.view.board.cell(*shop) {
                facts.push(facts::negative(&cell.shop, barcode.as_str(), *on_hand));
            }
        }
        facts.extend(levels.in_two_places.values().cloned());
        facts.extend(levels.sold_twice.values().cloned());
        facts.extend(self.unread());
        facts
    }

    /// A story that was not read yet ends no entry.
    fn unread(&self) -> impl Iterator<Item = Fact> {
        let is_unread = |entry: &&Entry| {
            entry.kind == Kind::UniqueSoldTwice
                && Barcode::from_key(&entry.cause)
                    .is_ok_and(|barcode| self.levels.unread.contains(&barcode))
        };
        self.entries.iter().filter(is_unread).map(|entry| Fact {
            kind: entry.kind,
            cause: entry.cause.clone(),
            shop: None,
            barcode: Some(entry.cause.clone()),
            weight: entry.weight,
            level: entry.level,
            presence: Presence::Lingers,
            evidence: entry.evidence.clone(),
        })
    }
}

impl Levels {
    fn take(&mut self, view: &crate::view::View, level: (u32, Barcode), on_hand: i64) {
        let barcode = level.1.clone();
        (self.has_changed, self.have_moved) = (true, true);
        if on_hand < 0 {
            self.negative.insert(level, on_hand);
        } else {
            self.negative.remove(&level);
        }
        let item = view.item(barcode.as_str());
        let Some(item) = item.filter(|item| item.is_unique()) else {
            // It may have been marked before.
            self.in_two_places.remove(&barcode);
            self.sold_twice.remove(&barcode);
            self.unread.remove(&barcode);
            return;
        };
        let mut places: Vec<(ShopId, i64)> = Vec::new();
        item.with_levels(Channel::NetOfHolds, |level, _, _, _| {
            places.push((level.shop.shop.clone(), level.numbers.on_hand));
        });
        match facts::in_two_places(barcode.as_str(), &places) {
            Some(fact) => self.in_two_places.insert(barcode.clone(), fact),
            None => self.in_two_places.remove(&barcode),
        };
        self.unread.insert(barcode);
    }
}

/// What became of the list, in a line.
fn log(steps: &[Step]) {
    let count = |is: fn(&Step) -> bool| steps.iter().filter(|step| is(step)).count();
    let opened = count(|step| matches!(step, Step::Open(_) | Step::Reopen(..)));
    let resolved = count(|step| matches!(step, Step::Resolve(_)));
    if opened + resolved > 0 {
        tracing::info!(opened, resolved, "the list of work items changed");
    }
}
