//! The frozen structs of wire version 1. Never edit a released one: add a section kind beside it.
//!
//! Numbers of section kinds are for ever. Those from 64 on are kept for what comes later: digests, holds, transfers,
//! counts; an agent or hub that does not know them skips them.

mod legs;
mod transfers;

use serde::{Deserialize, Serialize};

use crate::decide::Outcome;
pub use crate::wire::columns::Blobs;
use crate::{ReplicaId, Seq};
pub use legs::{HubLegsV1, LegV1, LegsV1, MAX_LEGS, ShopSideV1};
pub use transfers::{
    HubTransfersV1, MAX_TRANSFER_LINES, MAX_TRANSFERS, ShipV1, Told, TransferLineV1, TransferV1,
    TransfersV1,
};

/// The numbers of the sections.
pub mod kind {
    use crate::wire::frame::MUST_UNDERSTAND;

    const fn demanded(number: u16) -> u16 {
        number | MUST_UNDERSTAND
    }

    /// Who asks and what it last saw: [`super::HelloV1`].
    pub const HELLO: u16 = demanded(1);
    /// The device's certificate: [`super::CertificateV1`].
    pub const CERTIFICATE: u16 = demanded(2);
    /// The agent's positions: [`super::PositionsV1`].
    pub const POSITIONS: u16 = demanded(3);
    /// Movements, either way: [`super::DeltaV1`]. Any number of them.
    pub const DELTA: u16 = demanded(4);
    /// The hub's authenticator of its last answer: bytes that only the hub reads.
    pub const TOKEN: u16 = 5;
    /// How the shop is: [`super::HealthV1`].
    pub const HEALTH: u16 = 6;
    /// Quarantined records that changed: a list of [`super::QuarantinedV1`].
    pub const QUARANTINE: u16 = 7;
    /// The list of disagreements, whole: a list of [`super::DisagreementV1`].
    pub const DISAGREEMENTS: u16 = 8;
    /// What the hub answers first: [`super::WelcomeV1`].
    pub const WELCOME: u16 = demanded(16);
    /// The hub's positions: [`super::HubPositionsV1`].
    pub const HUB_POSITIONS: u16 = demanded(17);
    /// What became of each delta: a list of [`super::ReplyV1`].
    pub const REPLIES: u16 = demanded(18);
    /// Registers that the agent lacks: [`super::RegistersV1`].
    pub const REGISTERS: u16 = 19;
    /// Levels of other shops: [`super::OthersV1`].
    pub const OTHERS: u16 = 20;
    /// What people decided at the hub: a list of [`super::DecisionV1`].
    pub const DECISIONS: u16 = 21;
    /// What a side's rows add up to: [`super::DigestV1`].
    pub const DIGEST: u16 = 64;
    /// Legs of holds that the agent brings: [`super::LegsV1`].
    pub const LEGS: u16 = 65;
    /// Legs of holds that the agent lacks: [`super::HubLegsV1`].
    pub const HUB_LEGS: u16 = 66;
    /// How far the agent knows of transfers: [`super::TransfersV1`].
    pub const TRANSFERS: u16 = 67;
    /// Transfers that the agent lacks: [`super::HubTransfersV1`].
    pub const HUB_TRANSFERS: u16 = 68;
    /// Of a frame on a stick, for which shop and of which place in the hub's history it is: [`super::StickV1`].
    pub const STICK: u16 = 80;
    /// A one-time code and a public key: [`super::EnrolV1`].
    pub const ENROL: u16 = demanded(32);
    /// The answer to it: [`super::EnrolledV1`].
    pub const ENROLLED: u16 = demanded(33);
}

/// A hub life: ordinal and random bits.
pub type LifeV1 = (u64, [u8; 16]);

/// Who asks and what it last saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloV1 {
    /// The program's version.
    pub version: String,
    /// The shop, checked against the certificate.
    pub shop: String,
    /// The life of the hub's last answer.
    pub life: Option<LifeV1>,
    /// Registers are held up to this hub sequence of that life.
    pub registers: u64,
    /// Other shops' levels are held up to this feed position of that life.
    pub feed: u64,
    /// How long the hub may wait for something to say, at most 25,000.
    pub wait_ms: u32,
    /// The agent's clock.
    pub sent_at: i64,
    /// Random, new with every start of the agent's program: two of them alternating are two machines.
    pub boot: [u8; 16],
}

/// The hub's word that a device key writes for a shop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateV1 {
    /// The shop.
    pub shop: String,
    /// The device's Ed25519 public key.
    pub device: [u8; 32],
    /// When it was given.
    pub issued_at: i64,
    /// The hub's Ed25519 signature over [`CertificateV1::signed_bytes`]; 64 bytes.
    pub signature: Vec<u8>,
}

/// What an agent shows of one replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownV1 {
    /// Whose log.
    pub replica: [u8; 16],
    /// Acknowledged up to here.
    pub acked_seq: u64,
    /// The chain there.
    pub acked_chain: [u8; 32],
    /// Held up to here.
    pub head_seq: u64,
    /// The chain there.
    pub head_chain: [u8; 32],
}

/// The agent's positions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionsV1 {
    /// The replica that the agent writes.
    pub own: [u8; 16],
    /// The hash of all positions (`PROTOCOL.md` §6).
    pub hash: [u8; 32],
    /// Whether the list is all of them; otherwise those that changed since the last acknowledgement.
    pub all: bool,
    /// At most 1,000.
    pub list: Vec<ShownV1>,
}

/// The receipt keys of a delta, in columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptKeysV1 {
    /// Tills.
    pub tills: Blobs,
    /// Receipt numbers.
    pub receipts: Blobs,
    /// Lines.
    pub lines: Vec<u8>,
    /// Days as `yyyymmdd`.
    pub days: Vec<u8>,
}

/// The keys of a delta, in columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysV1 {
    /// What belongs to each identity.
    pub flags: Vec<u8>,
    /// Each key's form.
    pub tags: Vec<u8>,
    /// Form 1.
    pub receipts: ReceiptKeysV1,
    /// Form 2.
    pub calls: Blobs,
    /// Form 3, 16 bytes each.
    pub uuids: Vec<u8>,
    /// The bodies of all other forms.
    pub bodies: Blobs,
}

/// Consecutive movements of one replica, in columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaV1 {
    /// Whose log.
    pub replica: [u8; 16],
    /// The place before the first movement.
    pub base_seq: u64,
    /// The chain there.
    pub base_chain: [u8; 32],
    /// How many movements, at most 5,000.
    pub count: u32,
    /// Kind numbers.
    pub kinds: Vec<u8>,
    /// 1: not sellable; 2: a scanned text stands apart.
    pub flags: Vec<u8>,
    /// How many distinct barcodes.
    pub barcode_count: u32,
    /// The distinct barcodes in order.
    pub barcodes: Blobs,
    /// Each movement's place in them.
    pub barcode: Vec<u8>,
    /// The scanned texts that stand apart.
    pub scanned: Blobs,
    /// Signed quantities, zigzag.
    pub qty: Vec<u8>,
    /// Times, zigzag.
    pub at: Vec<u8>,
    /// What voids name, 16 bytes each.
    pub targets: Vec<u8>,
    /// The keys.
    pub keys: KeysV1,
    /// The rests.
    pub rests: Blobs,
    /// Units added before the first movement, by touched row in the order of (barcode, condition).
    pub before_p: Vec<u8>,
    /// Units removed before it.
    pub before_n: Vec<u8>,
}

/// How the shop is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthV1 {
    /// Movements that the hub has not acknowledged, this frame's included.
    pub pending: u64,
    /// Open records in quarantine.
    pub quarantined: u64,
    /// Barcodes on which the shop's 1C and the ledger disagree.
    pub disagreements: u64,
    /// Up to this moment the shop's own ledger proved itself.
    pub source_as_of: Option<i64>,
    /// Free bytes where the ledger lies.
    pub disk_free: Option<u64>,
    /// The agent stops; it was complete up to now.
    pub goodbye: bool,
    /// What a person at the shop should know, as codes with words behind a colon; at most 16.
    pub problems: Vec<String>,
}

/// A record that was not booked, with its reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedV1 {
    /// Its name.
    pub id: [u8; 16],
    /// When it was put there.
    pub at: i64,
    /// 0 open, 1 booked, 2 dropped.
    pub state: u8,
    /// A stable code, such as `receipt_conflict`.
    pub reason: String,
    /// What a person must know and may do.
    pub message: String,
    /// The file, where it came from one.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u64>,
    /// The record as it came, cut to 1,000 bytes.
    pub record: String,
}

/// What the shop's 1C says and what its ledger says, of one barcode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisagreementV1 {
    /// The barcode.
    pub barcode: String,
    /// Sellable (0) or not (1).
    pub condition: u8,
    /// What the file states.
    pub stated: i64,
    /// On hand by movements up to that time.
    pub on_hand: i64,
    /// The file's time.
    pub at: i64,
    /// A movement lies within the clock tolerance of that time.
    pub uncertain: bool,
    /// The file.
    pub file: String,
}

/// What the hub answers first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WelcomeV1 {
    /// The hub's life.
    pub life: LifeV1,
    /// The hub's clock.
    pub now: i64,
    /// The hub's program version.
    pub version: String,
    /// A newer exchange of this device ended this wait; everything else is empty.
    pub superseded: bool,
    /// The positions' hashes differ: the next exchange shows all.
    pub show_all: bool,
    /// There is more to send than fitted: ask again at once.
    pub more: bool,
    /// Ask again not before so many milliseconds; 0: as you like.
    pub retry_ms: u32,
}

/// A place in the hub's log of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionV1 {
    /// Whose log.
    pub replica: [u8; 16],
    /// The place.
    pub seq: u64,
    /// The chain there.
    pub chain: [u8; 32],
}

/// The hub's positions of the shop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubPositionsV1 {
    /// The hash of all of them.
    pub hash: [u8; 32],
    /// Those of replicas that the agent showed, and those it did not show where it showed all.
    pub list: Vec<PositionV1>,
}

/// What became of a delta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplyV1 {
    /// Merged but for the first `skip`.
    Merged {
        /// The replica.
        replica: [u8; 16],
        /// How many were held already.
        skip: u64,
    },
    /// All held already.
    Duplicate {
        /// The replica.
        replica: [u8; 16],
        /// The delta's last movement: so far the hub's log is proved to be the agent's.
        upto: u64,
    },
    /// Send from here.
    Gap {
        /// The replica.
        replica: [u8; 16],
        /// The first movement that is missing.
        expected: u64,
    },
    /// Take the hub's movements first.
    Take {
        /// The replica.
        replica: [u8; 16],
    },
    /// The tail is stored under a branch; take the hub's movements.
    Forked {
        /// The replica.
        replica: [u8; 16],
        /// The last place both share.
        common: u64,
        /// The branch.
        branch: [u8; 16],
    },
    /// Not now: the hub builds the shop's index of ids. Send it again later.
    NotNow {
        /// The replica.
        replica: [u8; 16],
    },
}

impl ReplyV1 {
    /// What the hub says after it decided so about a delta of `replica` that ends at `last`, and did it.
    pub fn of(replica: ReplicaId, last: Seq, outcome: Outcome) -> Self {
        let replica = replica.0;
        match outcome {
            Outcome::Merge { skip } => Self::Merged {
                replica,
                skip: skip as u64,
            },
            Outcome::Duplicate => Self::Duplicate {
                replica,
                upto: last.0,
            },
            Outcome::Gap { expected } => Self::Gap {
                replica,
                expected: expected.0,
            },
            Outcome::Take => Self::Take { replica },
            Outcome::Fork { common, branch, .. } => Self::Forked {
                replica,
                common: common.0,
                branch: branch.0,
            },
        }
    }
}

/// One register: written by the hub only; the last writer wins by (hub life, hub sequence).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterV1 {
    /// 1 item, 2 alias, 3 this shop's settings, 4 another shop; others are skipped.
    pub kind: u8,
    /// The barcode, the alias, the shop.
    pub key: String,
    /// JSON; empty where the register was taken away.
    pub value: Vec<u8>,
    /// The hub sequence that wrote it.
    pub seq: u64,
}

/// Registers in the order of their hub sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistersV1 {
    /// At most 2,000.
    pub list: Vec<RegisterV1>,
    /// The agent now holds them up to here.
    pub upto: u64,
}

/// The level of a barcode at another shop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherLevelV1 {
    /// Its place in [`OthersV1::shops`].
    pub shop: u32,
    /// The barcode.
    pub barcode: String,
    /// On hand.
    pub on_hand: i64,
    /// Available.
    pub available: i64,
}

/// How fresh another shop is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherShopV1 {
    /// The shop.
    pub shop: String,
    /// Known up to this moment.
    pub as_of: Option<i64>,
    /// 0 unknown, 1 stale, 2 closed, 3 live.
    pub confidence: u8,
}

/// Levels of other shops, in the order of their feed positions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OthersV1 {
    /// The shops that the rows name.
    pub shops: Vec<OtherShopV1>,
    /// At most 5,000.
    pub rows: Vec<OtherLevelV1>,
    /// The agent now holds them up to this feed position.
    pub upto: u64,
}

/// What a person decided at the hub; sent until the agent shows that it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecisionV1 {
    /// Try a quarantined record again.
    Retry {
        /// The record.
        id: [u8; 16],
        /// Even though a rule holds it back.
        force: bool,
    },
    /// Drop a quarantined record.
    Drop {
        /// The record.
        id: [u8; 16],
    },
    /// Adopt what the shop's 1C states of a barcode.
    Adopt {
        /// The barcode.
        barcode: String,
        /// The time of the statement that was looked at.
        at: i64,
    },
    /// The ledger is right about a barcode.
    Dismiss {
        /// The barcode.
        barcode: String,
        /// The time of the statement that was looked at.
        at: i64,
    },
}

/// What stands over a hub's answer that travels in a file. On the line the certificate and the connection say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StickV1 {
    /// The shop that it is for.
    pub shop: String,
    /// The hub's Ed25519 public key: the one under which the shop's certificate is right.
    pub hub: [u8; 32],
    /// The hub's place in its feed when the stick was begun: an older one changes nothing.
    pub pos: u64,
    /// The hub's clock then.
    pub made_at: i64,
}

/// What the rows of a shop add up to (`PROTOCOL.md` §12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestV1 {
    /// How many rows.
    pub rows: u64,
    /// The sum of their hashes.
    pub sum: [u8; 16],
}

/// A one-time code and the device's key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolV1 {
    /// The code, as its 16 bytes.
    pub code: [u8; 16],
    /// The device's Ed25519 public key.
    pub device: [u8; 32],
    /// The program's version.
    pub version: String,
    /// The shop whose ledger this device already holds: a code of another shop is refused.
    pub shop: Option<String>,
}

/// The hub's word that the device writes for the shop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolledV1 {
    /// What the agent shows with every exchange.
    pub certificate: CertificateV1,
    /// The hub's life.
    pub life: LifeV1,
    /// The shop's settings, as its register says them (JSON).
    pub settings: Vec<u8>,
}

impl CertificateV1 {
    /// What the hub signs.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = b"vitrina.certificate.1\0".to_vec();
        bytes.extend_from_slice(&self.device);
        bytes.extend_from_slice(&self.issued_at.to_le_bytes());
        bytes.extend_from_slice(self.shop.as_bytes());
        bytes
    }
}
