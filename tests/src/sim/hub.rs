//! The hub of a run: in memory, or the real one in a folder.

use std::collections::{BTreeMap, BTreeSet};

use tempfile::TempDir;
use vitrina_host::sign::KeyPair;
use vitrina_hub::lab::{self, Begin, Lab, Levels};
use vitrina_shared::decide::Outcome;
use vitrina_shared::hold::{Facts, Leg, NotOpen, Refusal, Word, WorkKind};
use vitrina_shared::memory::{self, Cursor, Logs, Order, Refused};
use vitrina_shared::registers::kind;
use vitrina_shared::safety::Scope;
use vitrina_shared::wire::v1::CertificateV1;
use vitrina_shared::wire::{Answer, Reply, Request, frame};
use vitrina_shared::{
    Barcode, Delta, HoldId, HubLife, LegId, Position, ReplicaId, Seq, ShopId, TimeMs,
};

use super::config::Fault;
use super::machine::Stated;
use super::random::Random;

/// The most movements of one answer: small, so that runs have many.
const MOVEMENTS: usize = 6;
/// The same in peace.
const IN_PEACE: usize = 100;

/// The hub.
pub(super) enum Hub {
    /// `vitrina_shared::memory`.
    Memory(Box<memory::Hub>),
    /// The hub's own.
    Real(Box<Real>),
}

/// The real one.
pub(super) struct Real {
    lab: Lab,
    folder: TempDir,
    copies: usize,
}

/// A copy of its database.
#[derive(Clone)]
pub(super) enum HubCopy {
    Memory(Box<memory::Hub>),
    Real(lab::Copy),
}

/// A reader's place in the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Memory(Cursor),
    Real(String),
}

/// What became of a frame.
pub(super) struct Taken {
    pub(super) answer: Vec<u8>,
    /// What was decided of each delta.
    pub(super) outcomes: Vec<Decided>,
    pub(super) begun: bool,
}

/// What was decided of a delta.
pub(super) struct Decided {
    pub(super) word: &'static str,
    pub(super) replica: ReplicaId,
    /// Where the delta ended.
    pub(super) end: Position,
    /// Where it left the hub's log.
    pub(super) common: Option<Seq>,
}

impl Decided {
    /// Whether movements were brought that are not here now.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.word, "gap" | "take" | "not_now")
    }
}

/// The device of a shop: its key, and the hub's word for it.
pub(super) struct Device {
    key: KeyPair,
    pub(super) certificate: CertificateV1,
}

impl Device {
    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).expect("a key").0
    }
}

impl Hub {
    /// An empty hub in memory.
    pub(super) fn new(names: &mut Random) -> Self {
        let mut hub = memory::Hub::new(HubLife {
            ordinal: 1,
            random: names.id(),
        });
        hub.limit = MOVEMENTS;
        Self::Memory(Box::new(hub))
    }

    /// An empty real hub, in a folder that goes with it.
    pub(super) fn real(names: &mut Random) -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let folder = folder.expect("a folder for a while");
        let data = folder.path().join("hub");
        std::fs::create_dir(&data).expect("a folder in it");
        Self::Real(Box::new(Real {
            lab: Lab::open(&data, names.bits()),
            folder,
            copies: 0,
        }))
    }

    /// Its answers may be long from now on.
    pub(super) fn be_in_peace(&mut self) {
        if let Self::Memory(hub) = self {
            hub.limit = IN_PEACE;
        }
    }

    /// A device of a shop, where the hub asks for one.
    pub(super) fn enrol(&self, shop: &ShopId, names: &mut Random) -> Option<Device> {
        let Self::Real(real) = self else {
            return None;
        };
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(&names.id());
        let key = KeyPair::from_seed(&seed).expect("a seed");
        let certificate = real.lab.enrol(shop, &key);
        Some(Device { key, certificate })
    }

    /// Takes a frame that the device of `shop` signed, gives one.
    pub(super) fn exchange(
        &mut self,
        shop: &ShopId,
        bytes: &[u8],
        names: &mut Random,
    ) -> Result<Taken, Refused> {
        match self {
            Self::Memory(hub) => {
                let exchanged = hub.exchange(shop, bytes, &mut || names.bits())?;
                Ok(Taken {
                    answer: exchanged.answer.seal().expect("a small answer"),
                    outcomes: exchanged.outcomes.iter().map(decided).collect(),
                    begun: exchanged.begun,
                })
            }
            Self::Real(real) => {
                let before = real.lab.life();
                let deltas = Request::read(&frame::open(bytes)?)?.deltas;
                let answer = real.lab.exchange(bytes)?;
                let opened = frame::open(&answer).expect("a frame of the hub's");
                let read = Answer::read(&opened).expect("an answer of the hub's");
                Ok(Taken {
                    outcomes: deltas.iter().zip(&read.replies).map(reply).collect(),
                    begun: before != real.lab.life(),
                    answer,
                })
            }
        }
    }

    /// The one in memory.
    pub(super) fn memory(&mut self) -> Option<&mut memory::Hub> {
        match self {
            Self::Memory(hub) => Some(hub),
            Self::Real(_) => None,
        }
    }

    /// Its clock shows this.
    pub(super) fn set_clock(&mut self, now: TimeMs) {
        match self {
            Self::Memory(hub) => hub.now = now,
            Self::Real(real) => real.lab.set_clock(now),
        }
    }

    /// These barcodes are of one article and size.
    pub(super) fn is_like(&mut self, barcodes: &[Barcode]) {
        match self {
            Self::Memory(hub) => {
                let articles = barcodes.iter().map(|code| (code.clone(), "ring".into()));
                hub.articles.extend(articles);
            }
            Self::Real(real) => {
                for barcode in barcodes {
                    real.lab.add_item(barcode, "ring", "17");
                }
            }
        }
    }

    /// So much is kept back of what a scope names.
    pub(super) fn keep_back(&mut self, scope: &Scope, units: u32) {
        match self {
            Self::Memory(hub) => hub.safety.set(scope, Some(units)),
            Self::Real(real) => real.lab.keep_back(scope, units),
        }
    }

    /// A website asks for a hold.
    pub(super) fn place(&mut self, order: &Order, names: &mut Random) -> Result<HoldId, Refusal> {
        match self {
            Self::Memory(hub) => hub.place(order, &mut || names.bits()),
            Self::Real(real) => real.lab.place(order),
        }
    }

    /// The website lets a hold go.
    pub(super) fn release(&mut self, id: HoldId, names: &mut Random) -> Result<(), NotOpen> {
        match self {
            Self::Memory(hub) => hub.release(id, &mut || names.bits()),
            Self::Real(real) => real.lab.release(id),
        }
    }

    /// The website keeps a hold for longer.
    pub(super) fn extend(
        &mut self,
        id: HoldId,
        ttl_ms: i64,
        names: &mut Random,
    ) -> Result<(), NotOpen> {
        match self {
            Self::Memory(hub) => hub.extend(id, ttl_ms, &mut || names.bits()),
            Self::Real(real) => real.lab.extend(id, ttl_ms),
        }
    }

    /// It lets go what is over.
    pub(super) fn expire(&mut self, names: &mut Random) {
        match self {
            Self::Memory(hub) => hub.expire(&mut || names.bits()),
            Self::Real(real) => real.lab.expire(),
        }
    }

    /// The state of a hold; nothing where there is none.
    pub(super) fn hold(&self, id: HoldId) -> Option<Word> {
        match self {
            Self::Memory(hub) => hub.hold(id),
            Self::Real(real) => real.lab.hold(id),
        }
    }

    /// Every leg with what the merged movements say about it.
    pub(super) fn legs(&self) -> Vec<(Leg, Facts)> {
        match self {
            Self::Memory(hub) => {
                let legs = hub.legs();
                legs.map(|leg| (leg.clone(), hub.facts(leg))).collect()
            }
            Self::Real(real) => real.lab.legs(),
        }
    }

    /// Everything that people were told of holds.
    pub(super) fn work(&self) -> BTreeSet<(LegId, WorkKind)> {
        match self {
            Self::Memory(hub) => hub.work().clone(),
            Self::Real(real) => real.lab.work(),
        }
    }

    /// The units that are held of a barcode at a shop.
    pub(super) fn held(&self, shop: &ShopId, barcode: &Barcode) -> i64 {
        match self {
            Self::Memory(hub) => hub.offer(shop, barcode).level.held,
            Self::Real(real) => {
                let (held, seen) = real.lab.held(shop, barcode);
                let is_seen = seen.is_none_or(|seen| seen == held);
                assert!(
                    is_seen,
                    "{held} of {barcode} are held in {shop}, readers see {seen:?}"
                );
                held
            }
        }
    }

    /// What readers see to be on its way, by level; of a hub in memory nothing.
    pub(super) fn in_transit(&self) -> BTreeMap<(ShopId, Barcode), i64> {
        match self {
            Self::Memory(_) => BTreeMap::new(),
            Self::Real(real) => real.lab.in_transit(),
        }
    }

    pub(super) fn life(&self) -> HubLife {
        match self {
            Self::Memory(hub) => hub.life,
            Self::Real(real) => real.lab.life(),
        }
    }

    /// Everything that is held of a shop.
    pub(super) fn logs(&self, shop: &ShopId) -> Logs {
        match self {
            Self::Memory(hub) => hub.logs(shop),
            Self::Real(real) => real.lab.logs(shop),
        }
    }

    /// What it says of its movements of a shop.
    pub(super) fn stated(&self, logs: &Logs) -> Stated {
        match self {
            Self::Memory(_) => Stated::of(logs),
            Self::Real(real) => {
                let (levels, problems) = real.lab.stock();
                let own = levels
                    .into_iter()
                    .filter(|((shop, _), _)| shop == logs.shop());
                Stated {
                    counting: None,
                    stock: own.map(|((_, barcode), units)| (barcode, units)).collect(),
                    problems,
                }
            }
        }
    }

    /// What it says of items, by barcode.
    pub(super) fn items(&self) -> BTreeMap<String, Vec<u8>> {
        match self {
            Self::Memory(hub) => {
                let all = hub.registers().into_iter();
                let items = all.filter(|(key, _)| key.0 == kind::ITEM);
                items.map(|((_, key), value)| (key, value)).collect()
            }
            Self::Real(real) => real.lab.items(),
        }
    }

    /// Head office changes a price.
    pub(super) fn set_price(&mut self, barcode: &Barcode, price: u32, names: &mut Random) {
        match self {
            Self::Memory(hub) => {
                let value = format!(r#"{{"price":{price}}}"#);
                hub.put(kind::ITEM, barcode.as_str(), value.as_bytes(), &mut || {
                    names.bits()
                });
            }
            Self::Real(real) => real.lab.set_price(barcode, price.into()),
        }
    }

    /// The whole stock as readers see it, and where the feed goes on.
    pub(super) fn snapshot(&self) -> (Levels, Mark) {
        match self {
            Self::Memory(hub) => {
                let (levels, cursor) = hub.snapshot();
                (by_key(levels), Mark::Memory(cursor))
            }
            Self::Real(real) => {
                let (levels, cursor) = real.lab.snapshot();
                (levels, Mark::Real(cursor))
            }
        }
    }

    /// What changed since a place; nothing where it has expired.
    pub(super) fn changes(&self, since: &Mark, most: usize) -> Option<(Levels, Mark)> {
        match (self, since) {
            (Self::Memory(hub), Mark::Memory(since)) => {
                let page = hub.changes(*since, most)?;
                Some((by_key(page.levels), Mark::Memory(page.cursor)))
            }
            (Self::Real(real), Mark::Real(since)) => {
                let (levels, cursor) = real.lab.changes(since, most)?;
                Some((levels, Mark::Real(cursor)))
            }
            _ => unreachable!("a reader of this hub"),
        }
    }

    /// Takes a shop's credential back, or gives it a new one.
    pub(super) fn set_revoked(&mut self, shop: &ShopId, is_revoked: bool) {
        if let Self::Memory(hub) = self {
            hub.set_revoked(shop, is_revoked);
        }
    }

    /// A copy of its database.
    pub(super) fn copy(&mut self) -> HubCopy {
        match self {
            Self::Memory(hub) => HubCopy::Memory(hub.clone()),
            Self::Real(real) => {
                real.copies += 1;
                let file = real.folder.path().join(format!("copy-{}", real.copies));
                HubCopy::Real(real.lab.copy(&file))
            }
        }
    }

    /// The database is another: a copy, or none. In memory a life that is declared gets this ordinal.
    pub(super) fn goes_back(
        &mut self,
        fault: Fault,
        copy: Option<&HubCopy>,
        (ordinal, names): (u64, &mut Random),
    ) {
        match self {
            Self::Memory(hub) => {
                match copy {
                    Some(HubCopy::Memory(copy)) => hub.clone_from(copy),
                    _ => hub.clear(),
                }
                if fault != Fault::HubRevert {
                    hub.begin(ordinal, &mut || names.bits());
                }
            }
            Self::Real(real) => {
                let begin = match fault {
                    Fault::HubRevert => Begin::Goes,
                    Fault::HubEmpty => Begin::Empty,
                    _ => Begin::Restored,
                };
                let copy = copy.and_then(|copy| match copy {
                    HubCopy::Real(copy) => Some(copy),
                    HubCopy::Memory(_) => None,
                });
                real.lab.put_back(copy, begin).expect("files of its own");
            }
        }
    }
}

fn by_key(levels: Vec<(ShopId, Barcode, i64)>) -> Levels {
    let levels = levels.into_iter();
    levels
        .map(|(shop, barcode, on_hand)| ((shop, barcode), on_hand))
        .collect()
}

fn decided((replica, end, outcome): &(ReplicaId, Position, Outcome)) -> Decided {
    let (word, common) = match outcome {
        Outcome::Merge { skip: 0 } => ("merged", None),
        Outcome::Merge { .. } => ("merged_in_part", None),
        Outcome::Duplicate => ("duplicate", None),
        Outcome::Gap { .. } => ("gap", None),
        Outcome::Take => ("take", None),
        Outcome::Fork { common, .. } => ("fork", Some(*common)),
    };
    Decided {
        word,
        replica: *replica,
        end: *end,
        common,
    }
}

fn reply((delta, reply): (&Delta, &Reply)) -> Decided {
    let (word, common) = match reply {
        Reply::Merged { skip: 0, .. } => ("merged", None),
        Reply::Merged { .. } => ("merged_in_part", None),
        Reply::Duplicate { .. } => ("duplicate", None),
        Reply::Gap { .. } => ("gap", None),
        Reply::Take { .. } => ("take", None),
        Reply::Forked { common, .. } => ("fork", Some(Seq(*common))),
        Reply::NotNow { .. } => ("not_now", None),
    };
    Decided {
        word,
        replica: delta.replica,
        end: delta.end(),
        common,
    }
}
