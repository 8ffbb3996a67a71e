//! Where the hub keeps what it merged: the only SQL of the hub is below here.
//!
//! Every method of [`Store`] is a whole: one transaction, or one snapshot. What it promises is said in words, here or, for
//! what has rows of its own (the catalogue, keys, holds, webhooks and so on), in that module, so that a store for several
//! hubs on one database can promise the same.

mod account;
mod answer;
mod aside;
mod audit;
mod catalogue;
mod digest;
mod error;
mod facts;
mod heard;
mod history;
mod holds;
mod keys;
mod lives;
mod load;
mod log;
mod merge;
mod outbox;
mod outside;
mod owners;
mod receipts;
mod receive;
mod registers;
mod repair;
mod safety;
mod schema;
mod shops;
mod sqlite;
mod stick;
mod story;
#[cfg(test)]
mod tests;
mod totals;
mod transfers;
mod verify;
mod voids;
mod words;
mod work;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serializer;
use serde_json::{Value, json};
use vitrina_host::db::Vfs;
use vitrina_host::output::Lang;
use vitrina_host::when;
use vitrina_shared::delta::Entry;
use vitrina_shared::{HubLife, ReplicaId, ShopId, TimeMs};

use crate::audit::{AuditChecked, AuditFilter, AuditRow, By, What, changed};
use crate::change::{Change, FeedHead, ShopRow};
use crate::work::decide::{Entry as WorkEntry, Step};
use crate::work::{Deed, Done, Told, WorkItem};

pub(crate) use account::{Account, Posted};
pub(crate) use answer::{Ask, Found};
pub(crate) use catalogue::{CatalogueRow, ImportEnd, Written};
pub(crate) use digest::BooksRow;
pub(crate) use error::StoreError;
pub(crate) use facts::{Asked, Conflict, Held, Known};
pub(crate) use heard::{DisagreementRow, QuarantineRow, Verdict};
pub(crate) use history::{Explained, MovementFilter, MovementRow};
pub(crate) use holds::{
    Alternative, BroughtLegs, Destination, Ending, HoldFilter, HoldRow, LegRow, NewHold, Placing,
    Refused, Rejected, Sending,
};
pub(crate) use lives::LifeRow;
pub(crate) use receipts::{Scanned, Twice};
pub(crate) use receive::{Brought, Taken, Via};
pub(crate) use safety::{SafetyRow, SafetySet};
pub(crate) use shops::CodeUse;
pub(crate) use sqlite::Listener;
pub(crate) use stick::{Lost, StickBases};
pub(crate) use story::Story;
pub(crate) use transfers::{TransferEntry, TransferFilter, TransferRow, TransferState};
pub(crate) use verify::{Checked, LOG_ADVICE, Problem};
pub(crate) use words::{Word, WordKind};
pub(crate) use work::WorkFilter;

use sqlite::SqliteStore;

/// Writes a moment as the public interface says it.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field over so"
)]
pub(crate) fn rfc3339<S: Serializer>(at: &TimeMs, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&when::rfc3339_ms(at.0))
}

/// Where the hub keeps what it merged.
pub(crate) enum Store {
    /// One hub, one file: the default.
    Sqlite(SqliteStore),
}

impl Store {
    /// Opens the store of a data folder, by a SQLite VFS where one is named; makes it, with its first life, when it is
    /// missing.
    pub(crate) fn open(path: &Path, vfs: Option<Vfs>) -> Result<Self, StoreError> {
        Ok(Self::Sqlite(SqliteStore::open(path, vfs)?))
    }

    /// Names who is told what every commit changed: after it, before anybody has an answer, in the commits' order.
    pub(crate) fn listen(&self, listener: Listener) {
        match self {
            Self::Sqlite(store) => store.listen(listener),
        }
    }

    /// Says in which language people are told of work items.
    pub(crate) fn speak(&self, lang: Lang) {
        match self {
            Self::Sqlite(store) => store.speak(lang),
        }
    }

    /// Its clock shows this from now on, and stands: for the simulator, whose holds expire in milliseconds.
    pub(crate) fn set_clock(&self, now: TimeMs) {
        match self {
            Self::Sqlite(store) => store.outside().set_clock(now),
        }
    }

    /// What it draws by lot is known from now on: for the simulator, where a run must go the same way twice.
    pub(crate) fn draw_from(&self, seed: u64) {
        match self {
            Self::Sqlite(store) => store.outside().draw_from(seed),
        }
    }

    /// Where the feed stands: the last commit.
    pub(crate) fn head(&self) -> FeedHead {
        match self {
            Self::Sqlite(store) => store.head(),
        }
    }

    /// Reads everything that the view holds: the rules of safety stock, shops, what was heard of them, items, aliases, then the levels in the
    /// order of their positions. Returns where the feed stands. Blocks; nothing may be written meanwhile.
    pub(crate) fn load(&self, into: &mut dyn FnMut(Change)) -> Result<FeedHead, StoreError> {
        match self {
            Self::Sqlite(store) => {
                let head = store.head();
                store.db().read_blocking(|conn| load::load(conn, into))?;
                Ok(head)
            }
        }
    }

    /// The ends and the tags of the commits that are kept, ascending. Blocks.
    pub(crate) fn feed_commits(&self) -> Result<Vec<(u64, u64)>, StoreError> {
        match self {
            Self::Sqlite(store) => store.db().read_blocking(load::commits),
        }
    }

    /// Takes what an exchange brings, everything or on an error nothing. It is on disk when this returns.
    pub(crate) async fn receive(&self, mut brought: Brought) -> Result<Taken, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| receive::receive(txn, &mut brought))
                    .await
            }
        }
    }

    /// Which of a stick's movements no log here leads to. It also says where a stick may not be taken at all.
    pub(crate) async fn lost(&self, stick: StickBases) -> Result<Vec<Lost>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| stick::lost(conn, &stick)).await,
        }
    }

    /// What the hub has for a shop, from one snapshot that holds everything acknowledged before.
    pub(crate) async fn answer(&self, ask: Ask) -> Result<Found, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| answer::find(conn, &ask)).await,
        }
    }

    /// The shop is being told what was decided for it.
    pub(crate) async fn decisions_sent(&self, shop: u32) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| heard::decisions_sent(txn, shop))
                    .await
            }
        }
    }

    /// Goes on building the shop's index of ids, after everything urgent; true when it is complete.
    pub(crate) async fn index_step(&self, shop: u32) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write_background(move |txn| receive::index_step(txn, shop))
                    .await
            }
        }
    }

    /// Shops whose index of ids is being built.
    pub(crate) async fn being_indexed(&self) -> Result<Vec<u32>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(shops::being_indexed).await,
        }
    }

    /// Begins a new life if the current one is still `seen`, with an ordinal above both its own and `shown`. Every
    /// shop then is unknown until it is heard from.
    pub(crate) async fn begin_life(
        &self,
        seen: HubLife,
        shown: u64,
        (by, reason): (By, &'static str),
    ) -> Result<HubLife, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| {
                        let own = lives::current(txn.conn)?
                            .ok_or(StoreError::Damaged("the hub has no life"))?;
                        if own != seen {
                            return Ok(own);
                        }
                        lives::begin(txn, 1 + own.ordinal.max(shown), (&by, reason))
                    })
                    .await
            }
        }
    }

    /// A small value that is no table of its own.
    pub(crate) async fn meta(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| lives::meta(conn, name)).await,
        }
    }

    /// Sets it.
    pub(crate) async fn set_meta(
        &self,
        name: &'static str,
        value: Vec<u8>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| lives::set_meta(txn.conn, name, &value))
                    .await
            }
        }
    }

    /// Every shop, by name.
    pub(crate) async fn shops(&self) -> Result<Vec<ShopRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(shops::all).await,
        }
    }

    /// What happened to a shop's ledger, and to the hub.
    pub(crate) async fn story(&self, shop: ShopRow) -> Result<Story, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| story::tell(conn, &shop)).await,
        }
    }

    /// One shop.
    pub(crate) async fn shop(&self, name: ShopId) -> Result<Option<ShopRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| shops::find(conn, &name)).await,
        }
    }

    /// Adds shops with a code each, all or none; the name of the first that is there already otherwise.
    pub(crate) async fn add_shops(
        &self,
        by: By,
        shops: Vec<(ShopRow, [u8; 32])>,
        expires_at: TimeMs,
    ) -> Result<Result<(), ShopId>, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| {
                        for (shop, _) in &shops {
                            if shops::find(txn.conn, &shop.shop)?.is_some() {
                                return Ok(Err(shop.shop.clone()));
                            }
                        }
                        for (shop, hash) in shops {
                            let name = shop.shop.clone();
                            let Some(shop) = shops::add(txn, shop)? else {
                                return Ok(Err(name));
                            };
                            shops::set_code(txn, shop.index, &hash, expires_at.0)?;
                            let about = (What::ShopAdd, Some(shop.index));
                            audit::add(txn, &by, about, &shop.told())?;
                        }
                        Ok(Ok(()))
                    })
                    .await
            }
        }
    }

    /// Writes what head office set of a shop; its settings travel to it.
    pub(crate) async fn set_shop(&self, by: By, shop: ShopRow) -> Result<ShopRow, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| {
                        let before = shops::find(txn.conn, &shop.shop)?;
                        let before = before.as_ref().map(ShopRow::told).unwrap_or_default();
                        let about = (What::ShopSet, Some(shop.index));
                        audit::add(txn, &by, about, &changed(&before, &shop.told()))?;
                        shops::set(txn, shop)
                    })
                    .await
            }
        }
    }

    /// Gives shops a new place in the feed, because time alone changed what is said of them.
    pub(crate) async fn bump_shops(&self, shops: Vec<u32>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.write(move |txn| shops::bump(txn, &shops)).await,
        }
    }

    /// Ends every credential of a shop, unused codes too.
    pub(crate) async fn revoke_shop(&self, by: By, shop: ShopRow) -> Result<ShopRow, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| {
                        let about = (What::ShopRevoke, Some(shop.index));
                        audit::add(txn, &by, about, &json!({}))?;
                        shops::revoke(txn, shop)
                    })
                    .await
            }
        }
    }

    /// Gives a shop a new code, known here by its hash; older ones open nothing any more.
    pub(crate) async fn set_code(
        &self,
        by: By,
        shop: u32,
        hash: [u8; 32],
        expires_at: TimeMs,
    ) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| {
                        audit::add(txn, &by, (What::ShopRecode, Some(shop)), &json!({}))?;
                        shops::set_code(txn, shop, &hash, expires_at.0)
                    })
                    .await
            }
        }
    }

    /// Uses a code, once, for a device whose ledger (if it has one) is `held`'s; with it comes the time for its
    /// certificate.
    pub(crate) async fn use_code(
        &self,
        hash: [u8; 32],
        device: [u8; 32],
        held: Option<ShopId>,
    ) -> Result<(CodeUse, i64), StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| shops::use_code(txn, &hash, &device, held.as_ref()))
                    .await
            }
        }
    }

    /// Open records in the shops' quarantine, of one shop or of all.
    pub(crate) async fn quarantine(
        &self,
        shop: Option<ShopId>,
    ) -> Result<Vec<QuarantineRow>, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .read(move |conn| heard::quarantine(conn, shop.as_ref()))
                    .await
            }
        }
    }

    /// The records whose names lie in a range, the open ones first; a thousand at most.
    pub(crate) async fn quarantined(
        &self,
        range: ([u8; 16], [u8; 16]),
    ) -> Result<Vec<QuarantineRow>, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .read(move |conn| heard::quarantined(conn, range))
                    .await
            }
        }
    }

    /// Decides about an open record; the shop is told with its next answer. False where there is none.
    pub(crate) async fn decide(
        &self,
        by: By,
        id: [u8; 16],
        shop: Option<ShopId>,
        verdict: Verdict,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| heard::decide(txn, &by, (id, shop.as_ref()), verdict))
                    .await
            }
        }
    }

    /// What the shops' 1C and their ledgers disagree on, of one shop or of all.
    pub(crate) async fn disagreements(
        &self,
        shop: Option<ShopId>,
    ) -> Result<Vec<DisagreementRow>, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .read(move |conn| heard::disagreements(conn, shop.as_ref()))
                    .await
            }
        }
    }

    /// Recomputes everything from the movements: chains, totals, voids. Blocks for as long as that takes, on a
    /// connection of its own.
    pub(crate) fn verify(&self, shop: Option<&ShopId>) -> Result<Checked, StoreError> {
        match self {
            Self::Sqlite(store) => store.verify(shop),
        }
    }

    /// The same of one shop's rows and logs, and nothing of the file. Blocks.
    pub(crate) fn examine(&self, shop: &ShopId) -> Result<Checked, StoreError> {
        match self {
            Self::Sqlite(store) => store.examine(Some(shop)),
        }
    }

    /// Writes a shop's totals, and what of it counts, anew from its movements, because of what was found; how many
    /// rows were wrong.
    pub(crate) async fn repair(
        &self,
        by: By,
        shop: ShopId,
        found: String,
    ) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| {
                        let rows = repair::repair(txn, &shop, &found)?;
                        let index = shops::find(txn.conn, &shop)?.map(|shop| shop.index);
                        let detail = json!({ "rows": rows, "found": found });
                        audit::add(txn, &by, (What::Repair, index), &detail)?;
                        Ok(rows)
                    })
                    .await
            }
        }
    }

    /// Makes every index anew out of its table.
    pub(crate) async fn reindex(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.write(|txn| repair::reindex(txn)).await,
        }
    }

    /// What a shop's rows add up to.
    pub(crate) async fn digest(
        &self,
        shop: u32,
    ) -> Result<Option<vitrina_shared::digest::Digest>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| digest::digest(conn, shop)).await,
        }
    }

    /// What a person must look at of a shop's books.
    pub(crate) async fn books_alert(&self, shop: u32) -> Result<Option<BooksRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| digest::alert(conn, shop)).await,
        }
    }

    /// Sets it, where none stands; none takes it back.
    pub(crate) async fn set_books_alert(
        &self,
        shop: u32,
        found: Option<String>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| digest::set_alert(txn, shop, found.as_deref()))
                    .await
            }
        }
    }

    /// Every movement that is held of a shop, by replica.
    pub(crate) async fn logs(
        &self,
        shop: ShopId,
    ) -> Result<Vec<(ReplicaId, Vec<Entry>)>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| log::whole(conn, &shop)).await,
        }
    }

    /// What is said of every item, by barcode.
    pub(crate) async fn items(&self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(registers::items).await,
        }
    }

    /// Every level as it stands in the tables, for a comparison with the view. Blocks.
    pub(crate) fn levels(&self) -> Result<Vec<crate::change::LevelRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.db().read_blocking(load::levels),
        }
    }

    /// Appends a record to the audit list of what changes nothing here.
    pub(crate) async fn note(&self, by: By, what: What, detail: Value) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| audit::add(txn, &by, (what, None), &detail))
                    .await
            }
        }
    }

    /// The audit list, the latest first.
    pub(crate) async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| audit::list(conn, &filter)).await,
        }
    }

    /// Looks whether the audit list is whole.
    pub(crate) async fn verify_audit(&self, now: TimeMs) -> Result<AuditChecked, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| audit::verify(conn, now)).await,
        }
    }

    /// What shops hold back and disagree on, and what else of the tables a person must look at: from one snapshot.
    pub(crate) async fn known_facts(&self) -> Result<Known, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(facts::read).await,
        }
    }

    /// Web orders that shops have not answered, the oldest first.
    pub(crate) async fn asked(&self) -> Result<Vec<Asked>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(facts::asked).await,
        }
    }

    /// Looks through some more movements for receipt lines that say two things, after everything urgent.
    pub(crate) async fn scan_receipts(&self) -> Result<Scanned, StoreError> {
        match self {
            Self::Sqlite(store) => {
                if !store.read(receipts::is_due).await? {
                    return Ok(Scanned::default());
                }
                store.write_background(|txn| receipts::step(txn)).await
            }
        }
    }

    /// The latest work item of each cause that a decision asks for.
    pub(crate) async fn work_entries(&self, now: TimeMs) -> Result<Vec<WorkEntry>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| work::entries(conn, now)).await,
        }
    }

    /// Takes steps of a decision about work items, in one transaction with what they tell, after everything urgent.
    pub(crate) async fn take_work(&self, steps: Vec<Step>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write_background(move |txn| work::take(txn, &steps))
                    .await
            }
        }
    }

    /// Ends the work items of web orders whose legs show that they are over; whether there were any.
    pub(crate) async fn end_work_of_legs(&self) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => {
                if store.read(holds::work_over).await?.is_empty() {
                    return Ok(false);
                }
                let ended = store.write_background(|txn| holds::end_work(txn)).await?;
                Ok(ended > 0)
            }
        }
    }

    /// A person's deed with a work item, in one transaction with what it tells.
    pub(crate) async fn act_on_work(
        &self,
        by: By,
        (id, deed, note): ([u8; 16], Deed, Option<String>),
    ) -> Result<Done, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .write(move |txn| work::act(txn, &by, (&id, &deed, note.as_deref())))
                    .await
            }
        }
    }

    /// A work item with what happened to it, the oldest first.
    pub(crate) async fn work_item(
        &self,
        id: [u8; 16],
    ) -> Result<Option<(WorkItem, Vec<Told>)>, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store
                    .read(move |conn| match work::one(conn, &id)? {
                        Some(item) => Ok(Some((item, work::history(conn, &id)?))),
                        None => Ok(None),
                    })
                    .await
            }
        }
    }

    /// A page of work items, the latest opened first.
    pub(crate) async fn work_items(&self, filter: WorkFilter) -> Result<Vec<WorkItem>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| work::list(conn, &filter)).await,
        }
    }

    /// The work items whose names lie in a range; a hundred at most.
    pub(crate) async fn work_named(
        &self,
        range: ([u8; 16], [u8; 16]),
    ) -> Result<Vec<WorkItem>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(move |conn| work::named(conn, range)).await,
        }
    }

    /// Writes a consistent copy beside all reads and writes.
    pub(crate) async fn backup(&self, target: &Path) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => Ok(store.db().backup_into(target).await?),
        }
    }

    /// Finishes what is queued and closes: only the one file remains.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.db().close().await,
        }
    }
}
