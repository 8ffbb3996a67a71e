//! What one exchange brings, taken in one transaction: the decisions of `shared::decide` over the rows of this file.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use vitrina_shared::decide::{self, Evidence, LifeVerdict, Outcome, Shown};
use vitrina_shared::freshness::Heard;
use vitrina_shared::wire::Reply;
use vitrina_shared::wire::v1::{DisagreementV1, HealthV1, QuarantinedV1};
use vitrina_shared::{HubLife, ReplicaId, Seq, ShopId, TimeMs, planted};

use super::holds::{self, BroughtLegs};
use super::log::{self, Log};
use super::sqlite::Txn;
use super::{StoreError, audit, heard, lives, merge, shops, transfers, voids};
use crate::audit::{By, What};
use crate::change::{ShopHealth, ShopRow};
use crate::exchange::token::Claims;
use crate::merge::Incoming;

const TAG_AT: &str = "SELECT tag FROM feed_commit WHERE pos = ?1";
const OLDEST_COMMIT: &str = "SELECT min(pos) FROM feed_commit";

/// A shop with no more movements gets its index of ids at once.
const SMALL_SHOP: u64 = 5_000;
/// Movements that one step of building an index takes.
const INDEX_STEP: usize = 2_000;
/// A branch of a branch of a branch: nobody gets further by restoring copies.
const MAX_FORKS: u8 = 8;
/// Below this the difference of the clocks may be the line's delay.
const SKEW_THAT_COUNTS_MS: i64 = 2_000;

/// How it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// Over the line, now.
    Line,
    /// On a stick that was written at the time that it says.
    Stick,
}

/// What an exchange brings, made ready; whoever sends it is proved to hold the device's key.
#[derive(Debug)]
pub(crate) struct Brought {
    /// How it came.
    pub(crate) via: Via,
    /// The shop of the certificate.
    pub(crate) shop: ShopId,
    /// The device's key.
    pub(crate) device: [u8; 32],
    /// When its certificate was given.
    pub(crate) issued_at: i64,
    /// The replica that the agent writes.
    pub(crate) own: ReplicaId,
    /// The agent's version.
    pub(crate) version: String,
    /// The agent's clock when it sent.
    pub(crate) sent_at: i64,
    /// What it shows.
    pub(crate) shown: Vec<Shown>,
    /// What it brings.
    pub(crate) deltas: Vec<Incoming>,
    /// How many movements that is.
    pub(crate) movements: u64,
    /// What the hub's own last answer to it said, if it is authentic.
    pub(crate) claims: Option<Claims>,
    /// How it is.
    pub(crate) health: Option<HealthV1>,
    /// Codes of what else a person should know.
    pub(crate) problems: Vec<String>,
    /// Quarantined records that changed.
    pub(crate) quarantine: Vec<QuarantinedV1>,
    /// The list of disagreements, where it changed.
    pub(crate) disagreements: Option<Vec<DisagreementV1>>,
    /// Legs of holds, where it takes holds at all.
    pub(crate) legs: Option<BroughtLegs>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The shop.
    pub(crate) shop: ShopRow,
    /// What became of each delta.
    pub(crate) replies: Vec<Reply>,
    /// The same as it was decided, by replica: the answer's movements follow from it.
    pub(crate) outcomes: Vec<(ReplicaId, Outcome)>,
    /// A new life began, because the shop proved that this database goes back behind what it once said.
    pub(crate) begun: Option<HubLife>,
    /// Movements that are new here.
    pub(crate) merged: u64,
    /// Rows whose sender said another total than the movements give.
    pub(crate) repairs: u64,
    /// An index of ids must be built before the rest can be taken.
    pub(crate) must_index: bool,
    /// The legs that it brought are here.
    pub(crate) legs: bool,
    /// What was merged, to be let go of where nobody waits for the thread.
    spent: Vec<Incoming>,
}

/// Takes everything, or on an error nothing.
pub(super) fn receive(txn: &mut Txn<'_>, brought: &mut Brought) -> Result<Taken, StoreError> {
    let device = (&brought.device, brought.issued_at);
    let shop = match shops::find(txn.conn, &brought.shop)? {
        Some(shop) => shop,
        None => shops::add_forgotten(txn, &brought.shop, device)?,
    };
    if shops::is_revoked(txn.conn, shop.index, brought.issued_at)? {
        return Err(StoreError::Revoked);
    }
    shops::add_device(txn.conn, &brought.device, shop.index, brought.issued_at)?;
    let begun = match &brought.claims {
        Some(claims) => judge(txn, &By::Shop(brought.shop.clone()), (claims, shop.index))?,
        None => None,
    };
    for shown in &brought.shown {
        must_be_of(log::find(txn.conn, shown.replica)?.as_ref(), shop.index)?;
    }
    let mut taken = Taken {
        shop,
        replies: Vec::new(),
        outcomes: Vec::new(),
        begun,
        merged: 0,
        repairs: 0,
        must_index: false,
        legs: false,
        spent: Vec::new(),
    };
    for delta in std::mem::take(&mut brought.deltas) {
        let reply = receive_delta(txn, &mut taken, delta, MAX_FORKS)?;
        taken.replies.push(reply);
    }
    if let Some(moment) = moment(txn, &taken.shop, brought)? {
        heard::set_quarantine(txn, taken.shop.index, &brought.quarantine)?;
        if let Some(list) = &brought.disagreements {
            heard::set_disagreements(txn, taken.shop.index, list)?;
        }
        hear(txn, &taken, brought, moment)?;
    }
    // What it says of a leg may stand on what was refused.
    let legs = brought.legs.take().filter(|_| !taken.has_refused());
    taken.legs = legs.is_some();
    holds::receive(txn, &taken.shop, &taken.spent, legs)?;
    transfers::receive(txn, &taken.shop, &taken.spent)?;
    Ok(taken)
}

impl Taken {
    /// Whether movements were brought that are not here now.
    fn has_refused(&self) -> bool {
        let is_here = |reply: &Reply| {
            matches!(
                reply,
                Reply::Merged { .. } | Reply::Duplicate { .. } | Reply::Forked { .. }
            )
        };
        !self.replies.iter().all(is_here)
    }
}

/// When the shop was as it says, by the hub's clock. None where it says nothing new: a stick that is older than what
/// was heard since, or of a ledger that is not the shop's last one – a disk that was found again knows nothing of what
/// the shop did since.
fn moment(txn: &Txn<'_>, shop: &ShopRow, brought: &Brought) -> Result<Option<TimeMs>, StoreError> {
    if brought.via == Via::Line {
        return Ok(Some(txn.now));
    }
    let (before, last) = heard::of(txn.conn, shop)?;
    let written = TimeMs(brought.sent_at)
        .plus(correction(last.skew_ms))
        .min(txn.now);
    let is_news = match before.exchange {
        None => true,
        Some(heard) => last.replica == Some(brought.own) && heard <= written,
    };
    Ok(is_news.then_some(written))
}

/// What is to be added to a shop's time so that it is the hub's.
fn correction(skew_ms: i64) -> i64 {
    if skew_ms.abs() > SKEW_THAT_COUNTS_MS {
        -skew_ms
    } else {
        0
    }
}

fn must_be_of(log: Option<&Log>, shop: u32) -> Result<(), StoreError> {
    if log.is_some_and(|log| log.shop != shop) && !planted::is("hub_takes_foreign_logs") {
        Err(StoreError::ForeignReplica)
    } else {
        Ok(())
    }
}

/// Begins a new life where the shop holds this hub's own word for something that this database does not know.
fn judge(
    txn: &mut Txn<'_>,
    by: &By,
    (claims, shop): (&Claims, u32),
) -> Result<Option<HubLife>, StoreError> {
    let own = lives::current(txn.conn)?.ok_or(StoreError::Damaged("the hub has no life"))?;
    let on_history = claims.life == own && is_on_history(txn, claims, shop)?;
    match decide::judge_life(
        own,
        Evidence {
            life: claims.life,
            on_history,
        },
    ) {
        LifeVerdict::Goes => Ok(None),
        LifeVerdict::Behind { ordinal } => {
            let reason = "a shop proved that this database is an older copy";
            lives::begin(txn, ordinal, (by, reason)).map(Some)
        }
    }
}

fn is_on_history(txn: &Txn<'_>, claims: &Claims, shop: u32) -> Result<bool, StoreError> {
    if !commit_is_known(txn.conn, claims.pos, claims.tag, txn.head().pos)? {
        return Ok(false);
    }
    for claim in &claims.positions {
        let Some(log) = log::find(txn.conn, claim.replica)? else {
            return Ok(false);
        };
        if log.shop != shop
            || claim.seq > log.head.seq
            || !log::chain_at(txn.conn, &log, claim.seq)?
                .0
                .starts_with(&claim.chain)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a place in the feed was given out in this history; places before the oldest that is kept are believed.
pub(super) fn commit_is_known(
    conn: &Connection,
    pos: u64,
    tag: u64,
    head: u64,
) -> Result<bool, StoreError> {
    if pos == 0 {
        return Ok(true);
    }
    if pos > head {
        return Ok(false);
    }
    let found: Option<i64> = conn
        .prepare_cached(TAG_AT)?
        .query_row(params![pos.cast_signed()], |row| row.get(0))
        .optional()?;
    if let Some(found) = found {
        return Ok(found.cast_unsigned() == tag);
    }
    let oldest: Option<i64> = conn
        .prepare_cached(OLDEST_COMMIT)?
        .query_row([], |row| row.get(0))?;
    Ok(oldest.is_some_and(|oldest| pos < oldest.cast_unsigned()))
}

fn receive_delta(
    txn: &mut Txn<'_>,
    taken: &mut Taken,
    delta: Incoming,
    forks: u8,
) -> Result<Reply, StoreError> {
    let shop = taken.shop.index;
    let name = delta.replica;
    let log = log::find(txn.conn, name)?;
    must_be_of(log.as_ref(), shop)?;
    let head = log.as_ref().map_or_else(|| name.origin(), |log| log.head);
    let chain_at = |seq: Seq| match &log {
        Some(log) => log::chain_at(txn.conn, log, seq),
        None => Ok(head.chain),
    };
    let outcome = decide::admit(head, name, delta.base, &delta.chains, chain_at)?;
    taken.outcomes.push((name, outcome));
    let last = delta.head().seq;
    match outcome {
        Outcome::Duplicate | Outcome::Gap { .. } | Outcome::Take => {}
        Outcome::Merge { skip } => {
            if !can_merge(txn, taken, &delta)? {
                return Ok(Reply::NotNow { replica: name.0 });
            }
            let mut log = match log {
                Some(log) => log,
                None => new_log(txn, &taken.shop, name)?,
            };
            let delta = delta.without(skip)?;
            let merged = merge::merge(txn, &mut log, &delta)?;
            taken.merged += delta.entries.len() as u64;
            taken.repairs += merged.repairs;
            taken.spent.push(delta);
        }
        Outcome::Fork {
            skip,
            branch,
            common,
            ..
        } => {
            let is_new = log::find(txn.conn, branch)?.is_none();
            let Some(forks) = forks.checked_sub(1) else {
                return Ok(Reply::Take { replica: name.0 });
            };
            let tail = delta.forked(skip, branch)?;
            if let Reply::NotNow { .. } = receive_delta(txn, taken, tail, forks)? {
                return Ok(Reply::NotNow { replica: name.0 });
            }
            if is_new {
                let parted = json!({ "replica": name.to_string(), "common": common.0, "branch": branch.to_string() });
                let by = By::Shop(taken.shop.shop.clone());
                audit::add(txn, &by, (What::Fork, Some(shop)), &parted)?;
            }
        }
    }
    Ok(Reply::of(name, last, outcome))
}

/// The log of a ledger that is heard of for the first time.
fn new_log(txn: &Txn<'_>, shop: &ShopRow, name: ReplicaId) -> Result<Log, StoreError> {
    let by = By::Shop(shop.shop.clone());
    let detail = json!({ "replica": name.to_string() });
    audit::add(txn, &by, (What::Replica, Some(shop.index)), &detail)?;
    log::add(txn.conn, name, shop.index)
}

/// Whether the shop's index of ids is there, if this delta asks for one. A small one is built at once.
fn can_merge(txn: &mut Txn<'_>, taken: &mut Taken, delta: &Incoming) -> Result<bool, StoreError> {
    let shop = taken.shop.index;
    let logs = log::of_shop(txn.conn, shop)?;
    let has_others = logs
        .iter()
        .any(|log| log.name != delta.replica && log.head.seq > Seq(0));
    if !delta.rows.has_voids && !has_others {
        return Ok(true);
    }
    if shops::flags(txn.conn, shop)?.indexed == shops::INDEXED {
        return Ok(true);
    }
    if logs.iter().map(|log| log.head.seq.0).sum::<u64>() > SMALL_SHOP {
        shops::set_indexed(txn.conn, shop, shops::INDEXING)?;
        taken.must_index = true;
        return Ok(false);
    }
    while !voids::index_some(txn, shop, INDEX_STEP)? {}
    Ok(true)
}

/// One step of building an index of ids; true when it is complete.
pub(super) fn index_step(txn: &mut Txn<'_>, shop: u32) -> Result<bool, StoreError> {
    voids::index_some(txn, shop, INDEX_STEP)
}

/// The shop was heard from at `moment`; complete where nothing is left pending.
fn hear(
    txn: &mut Txn<'_>,
    taken: &Taken,
    brought: &Brought,
    moment: TimeMs,
) -> Result<(), StoreError> {
    let (before, last) = heard::of(txn.conn, &taken.shop)?;
    let skew_ms = match brought.via {
        Via::Line => brought.sent_at.saturating_sub(txn.now.0),
        Via::Stick => last.skew_ms,
    };
    let mut status = ShopHealth {
        version: brought.version.clone(),
        replica: Some(brought.own),
        skew_ms,
        problems: brought.problems.clone(),
        ..last
    };
    // A clock that has been set back since knew of moments that are still to come.
    let known = |at: Option<TimeMs>| at.map(|at| at.min(moment));
    let (mut complete, mut source) = (known(before.complete), known(before.source));
    if let Some(health) = &brought.health {
        // What this exchange brought is not pending any more, but what it was refused is.
        status.pending = if taken.has_refused() {
            health.pending
        } else {
            health.pending.saturating_sub(brought.movements)
        };
        status.quarantined = health.quarantined;
        status.disagreements = health.disagreements;
        status.disk_free = health.disk_free;
        status.goodbye = health.goodbye;
        status
            .problems
            .extend(health.problems.iter().take(16).cloned());
        if status.pending == 0 {
            complete = Some(moment);
        }
        source = health
            .source_as_of
            .map(|at| TimeMs(at).plus(correction(skew_ms)).min(moment))
            .max(source);
    }
    let source_every_ms = taken.shop.settings.source_every_ms;
    heard::set(
        txn,
        &taken.shop,
        Heard {
            exchange: Some(moment),
            complete,
            source,
            source_every_ms,
        },
        status,
    )
}
