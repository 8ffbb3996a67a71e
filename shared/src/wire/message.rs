//! What the two calls say, in domain types, and how they become frames.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::decide::Shown;
use crate::hash::Hash;
use crate::wire::frame::{self, Opened, Section};
use crate::wire::v1::{
    CertificateV1, DecisionV1, DeltaV1, DigestV1, DisagreementV1, EnrolV1, EnrolledV1, HealthV1,
    HelloV1, HubLegsV1, HubPositionsV1, HubTransfersV1, LegsV1, LifeV1, MAX_LEGS, OthersV1,
    PositionV1, PositionsV1, QuarantinedV1, RegistersV1, ReplyV1, ShownV1, StickV1, TransfersV1,
    WelcomeV1, kind,
};
use crate::wire::{WireError, codec};
use crate::{Chain, Delta, HubLife, Position, ReplicaId, Seq};

/// The most replicas of one shop that a frame shows.
const MAX_POSITIONS: usize = 1_000;

/// The most bytes of a section of legs: no leg has a thousand.
const MAX_LEGS_BYTES: usize = MAX_LEGS * 1_000 + 100;

/// The most bytes of a section of transfers: what is allowed of them has fewer.
const MAX_TRANSFERS_BYTES: usize = 600_000;

/// The agent's positions of its shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions {
    /// The replica that the agent writes.
    pub own: ReplicaId,
    /// [`positions_hash`] of all it holds.
    pub hash: [u8; 32],
    /// Whether the list is all of them.
    pub all: bool,
    /// The replicas shown.
    pub list: Vec<Shown>,
}

/// `POST /v1/exchange`: what an agent shows, brings and asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks and what it last saw.
    pub hello: HelloV1,
    /// The device's certificate.
    pub certificate: CertificateV1,
    /// Its positions.
    pub positions: Positions,
    /// What the hub lacks, whoever wrote it.
    pub deltas: Vec<Delta>,
    /// The token of the hub's last answer.
    pub token: Option<Vec<u8>>,
    /// How the shop is.
    pub health: Option<HealthV1>,
    /// Quarantined records that changed.
    pub quarantine: Vec<QuarantinedV1>,
    /// The list of disagreements, where it changed.
    pub disagreements: Option<Vec<DisagreementV1>>,
    /// What the shop's rows add up to, now and then.
    pub digest: Option<DigestV1>,
    /// Legs of holds that the hub is not known to have as they are here.
    pub legs: Option<LegsV1>,
    /// How far it knows of transfers.
    pub transfers: Option<TransfersV1>,
}

/// What became of a delta.
pub type Reply = ReplyV1;

/// What the hub answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Life, clock, what to do next.
    pub welcome: WelcomeV1,
    /// [`positions_hash`] of all the hub holds of the shop.
    pub hash: [u8; 32],
    /// The hub's positions.
    pub positions: Vec<(ReplicaId, Position)>,
    /// What became of each delta.
    pub replies: Vec<Reply>,
    /// What the agent lacks.
    pub deltas: Vec<Delta>,
    /// The hub's authenticator of this answer.
    pub token: Option<Vec<u8>>,
    /// Registers that the agent lacks.
    pub registers: Option<RegistersV1>,
    /// Levels of other shops.
    pub others: Option<OthersV1>,
    /// What people decided.
    pub decisions: Vec<DecisionV1>,
    /// What the hub's rows of the shop add up to, where both show equal positions and the agent showed its digest.
    pub digest: Option<DigestV1>,
    /// Legs of holds that the agent lacks.
    pub legs: Option<HubLegsV1>,
    /// Transfers that the agent lacks.
    pub transfers: Option<HubTransfersV1>,
}

/// A hub's answer that travels in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickAnswer {
    /// For whom, and how old.
    pub about: StickV1,
    /// What the hub says.
    pub answer: Answer,
}

/// `POST /v1/enrol`.
pub type EnrolRequest = EnrolV1;

/// The answer to it.
pub type EnrolAnswer = EnrolledV1;

/// The hash of all positions of a shop: equal hashes, equal histories. Empty logs do not count.
pub fn positions_hash(positions: impl IntoIterator<Item = (ReplicaId, Position)>) -> [u8; 32] {
    let mut sorted: Vec<_> = positions
        .into_iter()
        .filter(|(_, position)| position.seq > Seq(0))
        .collect();
    sorted.sort_unstable();
    sorted
        .iter()
        .fold(
            Hash::of("vitrina.positions.1"),
            |hash, (replica, position)| {
                hash.with(&replica.0)
                    .with(&position.seq.0.to_le_bytes())
                    .with(&position.chain.0)
            },
        )
        .whole()
}

impl Request {
    /// Builds the frame; `sign` signs with the device key.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLarge`] when it does not fit: bring fewer movements.
    pub fn seal(&self, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Result<Vec<u8>, WireError> {
        let positions = PositionsV1 {
            own: self.positions.own.0,
            hash: self.positions.hash,
            all: self.positions.all,
            list: self.positions.list.iter().map(ShownV1::of).collect(),
        };
        let mut sections = vec![
            section(kind::HELLO, &self.hello)?,
            section(kind::CERTIFICATE, &self.certificate)?,
            section(kind::POSITIONS, &positions)?,
        ];
        push_deltas(&mut sections, &self.deltas)?;
        push_some(&mut sections, kind::TOKEN, self.token.as_ref())?;
        push_some(&mut sections, kind::HEALTH, self.health.as_ref())?;
        push_some(
            &mut sections,
            kind::QUARANTINE,
            Some(&self.quarantine).filter(|list| !list.is_empty()),
        )?;
        push_some(
            &mut sections,
            kind::DISAGREEMENTS,
            self.disagreements.as_ref(),
        )?;
        push_some(&mut sections, kind::DIGEST, self.digest.as_ref())?;
        push_some(&mut sections, kind::LEGS, self.legs.as_ref())?;
        push_some(&mut sections, kind::TRANSFERS, self.transfers.as_ref())?;
        frame::seal(&sections, sign)
    }

    /// Reads nothing but who sends it, so that a stranger costs no more than that.
    ///
    /// # Errors
    ///
    /// [`WireError`]: there is no certificate, or it cannot be read.
    pub fn certificate(opened: &Opened<'_>) -> Result<CertificateV1, WireError> {
        Sections(&opened.sections).one(kind::CERTIFICATE)
    }

    /// Reads an opened frame.
    ///
    /// # Errors
    ///
    /// [`WireError`]: what is malformed, missing or not understood.
    pub fn read(opened: &Opened<'_>) -> Result<Self, WireError> {
        let sections = Sections::of(
            opened,
            &[
                kind::HELLO,
                kind::CERTIFICATE,
                kind::POSITIONS,
                kind::DELTA,
                kind::TOKEN,
                kind::HEALTH,
                kind::QUARANTINE,
                kind::DISAGREEMENTS,
                kind::DIGEST,
                kind::LEGS,
                kind::TRANSFERS,
            ],
        )?;
        let positions: PositionsV1 = sections.one(kind::POSITIONS)?;
        if positions.list.len() > MAX_POSITIONS {
            return Err(WireError::TooMany);
        }
        Ok(Self {
            hello: sections.one(kind::HELLO)?,
            certificate: sections.one(kind::CERTIFICATE)?,
            positions: Positions {
                own: ReplicaId(positions.own),
                hash: positions.hash,
                all: positions.all,
                list: positions.list.iter().map(ShownV1::read).collect(),
            },
            deltas: sections.deltas()?,
            token: sections.perhaps(kind::TOKEN)?,
            health: sections.perhaps(kind::HEALTH)?,
            quarantine: sections.perhaps(kind::QUARANTINE)?.unwrap_or_default(),
            disagreements: sections.perhaps(kind::DISAGREEMENTS)?,
            digest: sections.perhaps(kind::DIGEST)?,
            legs: sections.legs(kind::LEGS, |legs: &LegsV1| legs.list.len())?,
            transfers: sections.perhaps(kind::TRANSFERS)?,
        })
    }
}

impl Answer {
    /// Builds the frame. An answer is not signed: the line's TLS proves the hub.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLarge`] when it does not fit: send less at once.
    pub fn seal(&self) -> Result<Vec<u8>, WireError> {
        frame::seal(&self.sections()?, |_| [0; 64])
    }

    fn sections(&self) -> Result<Vec<Section>, WireError> {
        let list = self
            .positions
            .iter()
            .map(|(replica, at)| PositionV1 {
                replica: replica.0,
                seq: at.seq.0,
                chain: at.chain.0,
            })
            .collect();
        let mut sections = vec![
            section(kind::WELCOME, &self.welcome)?,
            section(
                kind::HUB_POSITIONS,
                &HubPositionsV1 {
                    hash: self.hash,
                    list,
                },
            )?,
            section(kind::REPLIES, &self.replies)?,
        ];
        push_deltas(&mut sections, &self.deltas)?;
        push_some(&mut sections, kind::TOKEN, self.token.as_ref())?;
        push_some(&mut sections, kind::REGISTERS, self.registers.as_ref())?;
        push_some(&mut sections, kind::OTHERS, self.others.as_ref())?;
        push_some(
            &mut sections,
            kind::DECISIONS,
            Some(&self.decisions).filter(|list| !list.is_empty()),
        )?;
        push_some(&mut sections, kind::DIGEST, self.digest.as_ref())?;
        push_some(&mut sections, kind::HUB_LEGS, self.legs.as_ref())?;
        push_some(&mut sections, kind::HUB_TRANSFERS, self.transfers.as_ref())?;
        Ok(sections)
    }

    /// Reads an opened frame.
    ///
    /// # Errors
    ///
    /// [`WireError`]: what is malformed, missing or not understood.
    pub fn read(opened: &Opened<'_>) -> Result<Self, WireError> {
        let sections = Sections::of(
            opened,
            &[
                kind::WELCOME,
                kind::HUB_POSITIONS,
                kind::REPLIES,
                kind::DELTA,
                kind::TOKEN,
                kind::REGISTERS,
                kind::OTHERS,
                kind::DECISIONS,
                kind::DIGEST,
                kind::HUB_LEGS,
                kind::HUB_TRANSFERS,
            ],
        )?;
        let positions: HubPositionsV1 = sections.one(kind::HUB_POSITIONS)?;
        let position = |at: PositionV1| {
            (
                ReplicaId(at.replica),
                Position {
                    seq: Seq(at.seq),
                    chain: Chain(at.chain),
                },
            )
        };
        Ok(Self {
            welcome: sections.one(kind::WELCOME)?,
            hash: positions.hash,
            positions: positions.list.into_iter().map(position).collect(),
            replies: sections.one(kind::REPLIES)?,
            deltas: sections.deltas()?,
            token: sections.perhaps(kind::TOKEN)?,
            registers: sections.perhaps(kind::REGISTERS)?,
            others: sections.perhaps(kind::OTHERS)?,
            decisions: sections.perhaps(kind::DECISIONS)?.unwrap_or_default(),
            digest: sections.perhaps(kind::DIGEST)?,
            legs: sections.legs(kind::HUB_LEGS, |legs: &HubLegsV1| legs.list.len())?,
            transfers: sections.transfers()?,
        })
    }

    /// The hub's life.
    pub fn life(&self) -> HubLife {
        life(self.welcome.life)
    }
}

impl StickAnswer {
    /// Builds the frame; `sign` signs with the hub's key, because no line proves the hub.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLarge`] when it does not fit: send less at once.
    pub fn seal(&self, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Result<Vec<u8>, WireError> {
        let mut sections = self.answer.sections()?;
        sections.push(section(kind::STICK, &self.about)?);
        frame::seal(&sections, sign)
    }

    /// Reads an opened frame.
    ///
    /// # Errors
    ///
    /// [`WireError`]: what is malformed, missing or not understood.
    pub fn read(opened: &Opened<'_>) -> Result<Self, WireError> {
        Ok(Self {
            about: Sections(&opened.sections).one(kind::STICK)?,
            answer: Answer::read(opened)?,
        })
    }
}

/// A life as it stands in a section.
pub fn life((ordinal, random): LifeV1) -> HubLife {
    HubLife { ordinal, random }
}

impl EnrolV1 {
    /// Builds the frame; `sign` signs with the device key, which proves that the sender has it.
    ///
    /// # Errors
    ///
    /// [`WireError`], never in practice.
    pub fn seal(&self, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Result<Vec<u8>, WireError> {
        frame::seal(&[section(kind::ENROL, self)?], sign)
    }

    /// Reads an opened frame.
    ///
    /// # Errors
    ///
    /// [`WireError`]: what is malformed, missing or not understood.
    pub fn read(opened: &Opened<'_>) -> Result<Self, WireError> {
        Sections::of(opened, &[kind::ENROL])?.one(kind::ENROL)
    }
}

impl EnrolledV1 {
    /// Builds the frame.
    ///
    /// # Errors
    ///
    /// [`WireError`], never in practice.
    pub fn seal(&self) -> Result<Vec<u8>, WireError> {
        frame::seal(&[section(kind::ENROLLED, self)?], |_| [0; 64])
    }

    /// Reads an opened frame.
    ///
    /// # Errors
    ///
    /// [`WireError`]: what is malformed, missing or not understood.
    pub fn read(opened: &Opened<'_>) -> Result<Self, WireError> {
        Sections::of(opened, &[kind::ENROLLED])?.one(kind::ENROLLED)
    }
}

impl ShownV1 {
    fn of(shown: &Shown) -> Self {
        Self {
            replica: shown.replica.0,
            acked_seq: shown.acked.seq.0,
            acked_chain: shown.acked.chain.0,
            head_seq: shown.head.seq.0,
            head_chain: shown.head.chain.0,
        }
    }

    fn read(&self) -> Shown {
        Shown {
            replica: ReplicaId(self.replica),
            acked: Position {
                seq: Seq(self.acked_seq),
                chain: Chain(self.acked_chain),
            },
            head: Position {
                seq: Seq(self.head_seq),
                chain: Chain(self.head_chain),
            },
        }
    }
}

fn section<T: Serialize>(kind: u16, value: &T) -> Result<Section, WireError> {
    Ok(Section {
        kind,
        bytes: codec::encode(value)?,
    })
}

fn push_some<T: Serialize>(
    sections: &mut Vec<Section>,
    kind: u16,
    value: Option<&T>,
) -> Result<(), WireError> {
    if let Some(value) = value {
        sections.push(section(kind, value)?);
    }
    Ok(())
}

fn push_deltas(sections: &mut Vec<Section>, deltas: &[Delta]) -> Result<(), WireError> {
    for delta in deltas {
        sections.push(section(kind::DELTA, &DeltaV1::of(delta)?)?);
    }
    Ok(())
}

/// The sections of a frame, of which those that must be understood are.
struct Sections<'a>(&'a [Section]);

impl<'a> Sections<'a> {
    fn of(opened: &'a Opened<'_>, known: &[u16]) -> Result<Self, WireError> {
        let unknown =
            |s: &&Section| s.kind & frame::MUST_UNDERSTAND != 0 && !known.contains(&s.kind);
        match opened.sections.iter().find(unknown) {
            Some(section) => Err(WireError::UnknownSection(
                section.kind & !frame::MUST_UNDERSTAND,
            )),
            None => Ok(Self(&opened.sections)),
        }
    }

    fn perhaps<T: DeserializeOwned>(&self, kind: u16) -> Result<Option<T>, WireError> {
        let mut found = self.0.iter().filter(|section| section.kind == kind);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(section), None) => codec::decode(&section.bytes).map(Some),
            (Some(_), Some(_)) => Err(WireError::Missing(kind & !frame::MUST_UNDERSTAND)),
        }
    }

    fn one<T: DeserializeOwned>(&self, kind: u16) -> Result<T, WireError> {
        self.perhaps(kind)?
            .ok_or(WireError::Missing(kind & !frame::MUST_UNDERSTAND))
    }

    /// A section of legs: its size is looked at before it is decoded, and how many they are before they are used.
    fn legs<T: DeserializeOwned>(
        &self,
        kind: u16,
        count: impl FnOnce(&T) -> usize,
    ) -> Result<Option<T>, WireError> {
        self.must_be_small(kind, MAX_LEGS_BYTES)?;
        let legs = self.perhaps(kind)?;
        if legs.as_ref().map_or(0, count) > MAX_LEGS {
            return Err(WireError::TooMany);
        }
        Ok(legs)
    }

    /// A section of transfers, with the same care.
    fn transfers(&self) -> Result<Option<HubTransfersV1>, WireError> {
        self.must_be_small(kind::HUB_TRANSFERS, MAX_TRANSFERS_BYTES)?;
        let transfers: Option<HubTransfersV1> = self.perhaps(kind::HUB_TRANSFERS)?;
        match transfers {
            Some(transfers) if !transfers.fits() => Err(WireError::TooMany),
            transfers => Ok(transfers),
        }
    }

    fn must_be_small(&self, kind: u16, bytes: usize) -> Result<(), WireError> {
        let is_large = |s: &Section| s.kind == kind && s.bytes.len() > bytes;
        if self.0.iter().any(is_large) {
            return Err(WireError::TooMany);
        }
        Ok(())
    }

    fn deltas(&self) -> Result<Vec<Delta>, WireError> {
        let mut movements = 0;
        self.0
            .iter()
            .filter(|section| section.kind == kind::DELTA)
            .map(|section| {
                let columns: DeltaV1 = codec::decode(&section.bytes)?;
                movements += columns.count as usize;
                if movements > crate::delta::MAX_DELTA_MOVEMENTS {
                    return Err(WireError::TooMany);
                }
                columns.read()
            })
            .collect()
    }
}
