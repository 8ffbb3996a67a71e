//! The exchange on a stick: the same frames as on the line, in a file, for a shop without one.
//!
//! A shop's stick is looked at to its end, and held against the logs, before any of it is applied; then each frame is
//! one transaction, and a stick that was cut off by a crash goes on when it is imported again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use vitrina_host::stick::{Bound, StickError, StickReader, StickWriter};
use vitrina_shared::decide::{Outcome, Shown};
use vitrina_shared::orphan::Orphans;
use vitrina_shared::wire::v1::{ReplyV1, StickV1, WelcomeV1};
use vitrina_shared::wire::{Answer, Request, StickAnswer, WireError, frame};
use vitrina_shared::{Delta, Position, ReplicaId, ShopId};

use super::token::Claims;
use super::{ExchangeError, after_commit, brought, proved, welcome};
use crate::core::Core;
use crate::store::{Ask, Found, Lost, StickBases, StoreError, Taken, Via};

/// Why a stick was not written or not taken. Nothing of it was applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FramesError {
    /// The file.
    #[error("the frames were not carried")]
    File(#[from] StickError),
    /// No such shop.
    #[error("there is no shop {0}: vitrina-hub shop list")]
    UnknownShop(ShopId),
    /// A frame cannot be read, or cannot be made.
    #[error(
        "the stick is damaged, or of a later version: copy it or export it again, else update the hub"
    )]
    Wire(#[from] WireError),
    /// Who made it is not proved.
    #[error("the stick is not from a shop of this hub: {0}")]
    Stranger(&'static str),
    /// Its frames are of more than one shop.
    #[error("the stick holds frames of {0} and of {1}: export each shop's on a stick of its own")]
    TwoShops(ShopId, ShopId),
    /// It is of a credential that was taken back.
    #[error(
        "the credential that signed the stick was revoked: shop recode {0}, enrol on that data folder, and export again"
    )]
    Revoked(ShopId),
    /// It holds a log of another shop.
    #[error("the stick of {0} holds a log that is another shop's: it is refused whole")]
    Foreign(ShopId),
    /// A part of a history is missing before it.
    #[error(
        "the stick goes on from movement {base} of replica {replica}, and the hub's log of it ends at {held} or went another way: \
        import the sticks before it first, or export again with --full; --orphan takes it as it is"
    )]
    Orphan {
        /// Whose.
        replica: ReplicaId,
        /// The place before its first movement.
        base: u64,
        /// Where the log here ends.
        held: u64,
    },
    /// The hub began a new life meanwhile.
    #[error("the hub began a new life while the stick was written: export it again")]
    NewLife,
    /// The signature cannot be made.
    #[error("the stick cannot be signed")]
    Sign(#[from] vitrina_host::sign::SignError),
    /// The store did not do it.
    #[error("the store did not take the stick: import it again, it goes on where it was")]
    Store(#[source] StoreError),
    /// The sums of its movements are out of range.
    #[error("the stick's movements add up to more than a number holds")]
    Exchange(#[from] ExchangeError),
}

/// Whether movements are taken that no log leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strays {
    /// No.
    Refused,
    /// A person said so: under a branch of their own.
    Adopted,
}

/// What was put on a stick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exported {
    /// Frames.
    pub(crate) frames: u32,
    /// Movements in them.
    pub(crate) movements: u64,
}

/// What a stick brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imported {
    /// Whose it is.
    pub(crate) shop: ShopId,
    /// Movements on it.
    pub(crate) movements: u64,
    /// Those that are new here.
    pub(crate) merged: u64,
    /// Deltas that left the hub's log and went to a branch.
    pub(crate) branched: u64,
    /// Deltas that no log led to.
    pub(crate) adopted: u64,
}

/// Puts on a stick all that the hub has for a shop: settings, catalogue, acknowledgements, decisions, every movement.
///
/// # Errors
///
/// [`FramesError`]; then there is no new file.
pub(crate) async fn export(
    core: &Arc<Core>,
    shop: &ShopId,
    target: &Path,
) -> Result<Exported, FramesError> {
    let row = core
        .store
        .shop(shop.clone())
        .await
        .map_err(FramesError::Store)?;
    let row = row.ok_or_else(|| FramesError::UnknownShop(shop.clone()))?;
    let head = core.store.head();
    let about = StickV1 {
        shop: shop.to_string(),
        hub: core.hub_key.public().0,
        pos: head.pos,
        made_at: core.now().0,
    };
    let mut stick = StickWriter::create(target, Bound::ToShop)?;
    let mut exported = Exported::default();
    let mut done: BTreeMap<ReplicaId, Position> = BTreeMap::new();
    let (mut registers, mut legs, mut transfers) = (0, 0, 0);
    loop {
        let shown = done.iter().map(|(replica, at)| Shown {
            replica: *replica,
            acked: *at,
            head: *at,
        });
        let ask = Ask {
            shop: row.clone(),
            life: Some(head.life),
            registers,
            shown: shown.collect(),
            all: true,
            outcomes: Vec::new(),
            hash: [0; 32],
            digest: false,
            legs: Some(legs),
            transfers: Some(transfers),
            // Whether a shop's key opens anything is asked where it comes in.
            issued_at: i64::MAX,
            now: core.now(),
        };
        let found = core.store.answer(ask).await.map_err(FramesError::Store)?;
        if found.life != head.life {
            return Err(FramesError::NewLife);
        }
        for delta in &found.deltas {
            let chain = delta.chains().last().copied().unwrap_or(delta.base.chain);
            let seq = delta.last_seq();
            done.insert(delta.replica, Position { seq, chain });
            exported.movements += delta.entries.len() as u64;
        }
        registers = found.registers.as_ref().map_or(registers, |list| list.upto);
        legs = found.legs.as_ref().map_or(legs, |list| list.upto);
        transfers = found.transfers.as_ref().map_or(transfers, |list| list.upto);
        let more = found.more;
        stick.frame(&sealed(core, &about, found)?)?;
        if !more {
            break;
        }
    }
    exported.frames = stick.finish()?;
    Ok(exported)
}

fn sealed(core: &Core, about: &StickV1, found: Found) -> Result<Vec<u8>, FramesError> {
    let head = core.store.head();
    let shop = about.shop.parse().map_err(|_| FramesError::NewLife)?;
    let token = (head.life == found.life).then(|| {
        Claims::new(found.life, (head.pos, head.tag), &found.every).seal(&core.token_key, &shop)
    });
    let answer = Answer {
        welcome: WelcomeV1 {
            more: found.more,
            ..welcome(core, found.life)
        },
        hash: found.hash,
        positions: found.positions,
        replies: Vec::new(),
        deltas: found.deltas,
        token,
        registers: found.registers,
        others: None,
        decisions: found.decisions,
        digest: None,
        legs: found.legs,
        transfers: found.transfers,
    };
    let about = about.clone();
    let mut failed = None;
    let frame = StickAnswer { about, answer }.seal(|bytes| match core.hub_key.sign(bytes) {
        Ok(signature) => signature.0,
        Err(error) => {
            failed = Some(error);
            [0; 64]
        }
    })?;
    failed.map_or(Ok(frame), |error| Err(error.into()))
}

/// Takes a stick that a shop's agent made.
///
/// # Errors
///
/// [`FramesError`]; where the store failed in the middle, importing it again goes on.
pub(crate) async fn import(
    core: &Arc<Core>,
    path: &Path,
    strays: Strays,
) -> Result<Imported, FramesError> {
    let bases = look(core, path)?;
    let shop = bases.shop.clone();
    let lost = core.store.lost(bases).await.map_err(|error| match error {
        StoreError::Revoked => FramesError::Revoked(shop.clone()),
        StoreError::ForeignReplica => FramesError::Foreign(shop.clone()),
        other => FramesError::Store(other),
    })?;
    if let (Some(first), Strays::Refused) = (lost.first(), strays) {
        return Err(FramesError::Orphan {
            replica: first.replica,
            base: first.base.seq.0,
            held: first.held.0,
        });
    }
    let mut import = Import {
        core,
        lost,
        orphans: Orphans::default(),
        imported: Imported {
            shop,
            movements: 0,
            merged: 0,
            branched: 0,
            adopted: 0,
        },
    };
    let mut stick = StickReader::open(path, Bound::ToHub)?;
    while let Some(frame) = stick.frame()? {
        import.take(&frame).await?;
    }
    Ok(import.imported)
}

/// Reads a stick to its end, and says what must be known before any of it is applied.
fn look(core: &Core, path: &Path) -> Result<StickBases, FramesError> {
    let mut stick = StickReader::open(path, Bound::ToHub)?;
    let mut found: Option<StickBases> = None;
    let mut ends: BTreeMap<ReplicaId, Position> = BTreeMap::new();
    while let Some(bytes) = stick.frame()? {
        let (request, shop) = read(core, &bytes)?;
        let bases = found.get_or_insert_with(|| StickBases {
            shop: shop.clone(),
            issued_at: request.certificate.issued_at,
            replicas: BTreeSet::new(),
            bases: Vec::new(),
        });
        if bases.shop != shop {
            return Err(FramesError::TwoShops(bases.shop.clone(), shop));
        }
        bases.issued_at = bases.issued_at.min(request.certificate.issued_at);
        let shown = request.positions.list.iter().map(|shown| shown.replica);
        bases.replicas.extend(shown);
        for delta in &request.deltas {
            bases.replicas.insert(delta.replica);
            // What goes on from a frame before it has its base there.
            if ends.get(&delta.replica) != Some(&delta.base) {
                bases.bases.push((delta.replica, delta.base));
            }
            let chain = delta.chains().last().copied().unwrap_or(delta.base.chain);
            let seq = delta.last_seq();
            ends.insert(delta.replica, Position { seq, chain });
        }
    }
    found.ok_or(FramesError::Stranger("it is empty"))
}

/// Reads a frame of a stick, if a shop of this hub signed it.
fn read(core: &Core, bytes: &[u8]) -> Result<(Request, ShopId), FramesError> {
    let opened = frame::open(bytes)?;
    let certificate = Request::certificate(&opened)?;
    let shop = proved(core, &certificate, opened.signed, &opened.signature);
    let shop = shop.map_err(|error| match error {
        ExchangeError::Unauthorized(why) => FramesError::Stranger(why),
        other => FramesError::Exchange(other),
    })?;
    let request = Request::read(&opened)?;
    if request.hello.shop != shop.as_str() {
        return Err(FramesError::Stranger("the certificate is another shop's"));
    }
    Ok((request, shop))
}

/// A stick on its way in.
struct Import<'a> {
    core: &'a Arc<Core>,
    lost: Vec<Lost>,
    orphans: Orphans,
    imported: Imported,
}

impl Import<'_> {
    /// Applies one frame.
    async fn take(&mut self, bytes: &[u8]) -> Result<(), FramesError> {
        let (mut request, shop) = read(self.core, bytes)?;
        let deltas = std::mem::take(&mut request.deltas);
        let deltas: Vec<Delta> = deltas.into_iter().map(|delta| self.place(delta)).collect();
        let taken = loop {
            let mut again = request.clone();
            again.deltas.clone_from(&deltas);
            let mut brought = brought(self.core, &mut again, shop.clone(), false)?;
            brought.via = Via::Stick;
            let received = self.core.store.receive(brought).await;
            let taken = received.map_err(FramesError::Store)?;
            after_commit(self.core, &taken, None, request.hello.sent_at);
            self.imported.merged += taken.merged;
            if !is_put_off(&taken) {
                break taken;
            }
            self.index(taken.shop.index).await?;
        };
        self.imported.movements += deltas
            .iter()
            .map(|delta| delta.entries.len() as u64)
            .sum::<u64>();
        let is_fork =
            |(_, outcome): &&(ReplicaId, Outcome)| matches!(outcome, Outcome::Fork { .. });
        self.imported.branched += taken.outcomes.iter().filter(is_fork).count() as u64;
        Ok(())
    }

    /// Where a delta goes: an orphan to its branch, and what follows it too.
    fn place(&mut self, delta: Delta) -> Delta {
        let is_lost = |lost: &Lost| lost.replica == delta.replica && lost.base == delta.base;
        if self.lost.iter().any(is_lost) {
            self.imported.adopted += 1;
            return self.orphans.adopt(delta);
        }
        self.orphans.follow(delta)
    }

    /// Builds the shop's index of ids, which a line would wait for.
    async fn index(&self, shop: u32) -> Result<(), FramesError> {
        while !self
            .core
            .store
            .index_step(shop)
            .await
            .map_err(FramesError::Store)?
        {}
        Ok(())
    }
}

fn is_put_off(taken: &Taken) -> bool {
    let not_now = |reply: &ReplyV1| matches!(reply, ReplyV1::NotNow { .. });
    taken.replies.iter().any(not_now)
}
