//! A hub in memory: every decision is `vitrina_shared::decide`'s, every byte goes through the real codec.

use std::collections::BTreeMap;

use vitrina_shared::decide::{self, Evidence, LifeVerdict, Outcome, Relation, Shown};
use vitrina_shared::wire::v1::WelcomeV1;
use vitrina_shared::wire::{Answer, Reply, Request, WireError, frame};
use vitrina_shared::{Delta, HubLife, Position, ReplicaId, Seq};

use super::logs::Logs;
use super::random::Random;

/// The most movements of one answer: small, so that runs have many.
const MOVEMENTS: usize = 6;

/// What the hub once said, as its token holds it. The bytes are not sealed here: nobody in a run forges them.
#[derive(Clone, Debug)]
struct Claims {
    life: HubLife,
    pos: u64,
    tag: u64,
    positions: Vec<(ReplicaId, Position)>,
}

/// What lies on the hub's disk.
#[derive(Clone, Debug)]
pub struct Hub {
    /// The life that it is in.
    pub life: HubLife,
    /// The feed's end.
    pub pos: u64,
    /// The tag of each commit, by the feed's end after it.
    tags: BTreeMap<u64, u64>,
    /// The logs, by shop.
    pub shops: Vec<Logs>,
}

/// What became of a frame.
#[derive(Debug)]
pub struct Exchanged {
    /// The answer.
    pub answer: Vec<u8>,
    /// What was decided of each delta.
    pub outcomes: Vec<Outcome>,
    /// A new life began.
    pub begun: bool,
}

impl Hub {
    /// An empty hub in its first life.
    pub fn new(shops: usize, random: &mut Random) -> Self {
        Self {
            life: HubLife {
                ordinal: 1,
                random: random.id(),
            },
            pos: 0,
            tags: BTreeMap::new(),
            shops: vec![Logs::default(); shops],
        }
    }

    /// Begins a life, as `restore` and an empty database with its keys do.
    pub fn begin(&mut self, ordinal: u64, random: &mut Random) {
        self.life = HubLife {
            ordinal,
            random: random.id(),
        };
    }

    /// Takes a frame of a shop, gives one.
    ///
    /// # Errors
    ///
    /// [`WireError`]: the frame cannot be used, and nothing of it was taken.
    pub fn exchange(
        &mut self,
        shop: usize,
        bytes: &[u8],
        random: &mut Random,
    ) -> Result<Exchanged, WireError> {
        let request = Request::read(&frame::open(bytes)?)?;
        let begun = self.judge(shop, &request, random);
        let outcomes: Vec<(ReplicaId, Outcome)> = request
            .deltas
            .iter()
            .map(|delta| (delta.replica, self.admit(shop, delta)))
            .collect();
        if outcomes
            .iter()
            .any(|(_, outcome)| matches!(outcome, Outcome::Merge { .. } | Outcome::Fork { .. }))
        {
            self.pos += 1;
            self.tags.insert(self.pos, random.bits() >> 1);
        }
        let answer = self.answer(shop, &request, &outcomes);
        Ok(Exchanged {
            answer: answer.seal()?,
            outcomes: outcomes.into_iter().map(|(_, outcome)| outcome).collect(),
            begun,
        })
    }

    fn judge(&mut self, shop: usize, request: &Request, random: &mut Random) -> bool {
        let Some(claims) = request.token.as_deref().map(Claims::read) else {
            return false;
        };
        let evidence = Evidence {
            life: claims.life,
            on_history: claims.life == self.life && self.is_on_history(shop, &claims),
        };
        match decide::judge_life(self.life, evidence) {
            LifeVerdict::Goes => false,
            LifeVerdict::Behind { ordinal } => {
                self.begin(ordinal, random);
                true
            }
        }
    }

    fn is_on_history(&self, shop: usize, claims: &Claims) -> bool {
        let logs = &self.shops[shop];
        (claims.pos == 0 || self.tags.get(&claims.pos) == Some(&claims.tag))
            && claims
                .positions
                .iter()
                .all(|(replica, at)| logs.has(*replica, *at))
    }

    fn admit(&mut self, shop: usize, delta: &Delta) -> Outcome {
        let logs = &mut self.shops[shop];
        let replica = delta.replica;
        let outcome = decide::admit(
            logs.head(replica),
            replica,
            delta.base,
            &delta.chains(),
            logs.chains(replica),
        )
        .unwrap_or_else(|never| match never {});
        match outcome {
            Outcome::Merge { skip } => {
                for entry in &delta.entries[skip..] {
                    logs.append(replica, entry.clone());
                }
            }
            Outcome::Fork { skip, branch, .. } => {
                let tail = Delta {
                    replica: branch,
                    base: branch.origin(),
                    entries: delta.entries[skip..].to_vec(),
                    totals: Vec::new(),
                };
                self.admit(shop, &tail);
            }
            Outcome::Duplicate | Outcome::Gap { .. } | Outcome::Take => {}
        }
        outcome
    }

    fn answer(&self, shop: usize, request: &Request, outcomes: &[(ReplicaId, Outcome)]) -> Answer {
        let logs = &self.shops[shop];
        let shown = &request.positions.list;
        let mut positions = Vec::new();
        let mut wanted = Vec::new();
        let mut is_all_same = true;
        for one in shown {
            let head = logs.head(one.replica);
            positions.push((one.replica, head));
            let outcome = outcomes.iter().rev().find(|(name, _)| *name == one.replica);
            let relation = decide::relate(
                head,
                one,
                outcome.map(|(_, outcome)| *outcome),
                logs.chains(one.replica),
            )
            .unwrap_or_else(|never| match never {});
            is_all_same &= relation == Relation::Same;
            if let Relation::HubAhead { from } = relation {
                wanted.push((one.replica, from));
            }
        }
        if request.positions.all {
            let is_new = |replica: &ReplicaId| shown.iter().all(|one| one.replica != *replica);
            for replica in logs.replicas().into_iter().filter(is_new) {
                positions.push((replica, logs.head(replica)));
                is_all_same = false;
                wanted.push((replica, Seq(0)));
            }
        }
        let (deltas, more) = self.deltas(shop, &wanted);
        let hash = logs.hash();
        Answer {
            welcome: WelcomeV1 {
                life: (self.life.ordinal, self.life.random),
                show_all: !request.positions.all && is_all_same && hash != request.positions.hash,
                more,
                ..WelcomeV1::default()
            },
            hash,
            positions,
            replies: request
                .deltas
                .iter()
                .zip(outcomes)
                .map(|(delta, (_, outcome))| Reply::of(delta.replica, delta.last_seq(), *outcome))
                .collect(),
            deltas,
            token: Some(self.claims(shop).write()),
            registers: None,
            others: None,
            decisions: Vec::new(),
        }
    }

    fn deltas(&self, shop: usize, wanted: &[(ReplicaId, Seq)]) -> (Vec<Delta>, bool) {
        let logs = &self.shops[shop];
        let mut left = MOVEMENTS;
        let mut deltas = Vec::new();
        for (replica, from) in wanted {
            let head = logs.head(*replica).seq;
            if *from == head {
                continue;
            }
            if left == 0 {
                return (deltas, true);
            }
            let delta = logs.delta(*replica, *from, left);
            left -= delta.entries.len();
            let is_cut = delta.last_seq() < head;
            deltas.push(delta);
            if is_cut {
                return (deltas, true);
            }
        }
        (deltas, false)
    }

    fn claims(&self, shop: usize) -> Claims {
        let logs = &self.shops[shop];
        let replicas = logs.replicas().into_iter();
        Claims {
            life: self.life,
            pos: self.pos,
            tag: self.tags.get(&self.pos).copied().unwrap_or(0),
            positions: replicas
                .map(|replica| (replica, logs.head(replica)))
                .collect(),
        }
    }
}

impl Claims {
    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.life.ordinal.to_le_bytes());
        bytes.extend(self.life.random);
        bytes.extend(self.pos.to_le_bytes());
        bytes.extend(self.tag.to_le_bytes());
        for (replica, at) in &self.positions {
            bytes.extend(replica.0);
            bytes.extend(at.seq.0.to_le_bytes());
            bytes.extend(at.chain.0);
        }
        bytes
    }

    fn read(mut bytes: &[u8]) -> Self {
        fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
            let (head, rest) = bytes.split_first_chunk().expect("a token that we wrote");
            *bytes = rest;
            *head
        }
        let mut claims = Self {
            life: HubLife {
                ordinal: u64::from_le_bytes(take(&mut bytes)),
                random: take(&mut bytes),
            },
            pos: u64::from_le_bytes(take(&mut bytes)),
            tag: u64::from_le_bytes(take(&mut bytes)),
            positions: Vec::new(),
        };
        while !bytes.is_empty() {
            let replica = ReplicaId(take(&mut bytes));
            let at = Position {
                seq: Seq(u64::from_le_bytes(take(&mut bytes))),
                chain: vitrina_shared::Chain(take(&mut bytes)),
            };
            claims.positions.push((replica, at));
        }
        claims
    }
}

/// What an agent shows of an empty log.
pub fn unseen(replica: ReplicaId) -> Shown {
    Shown {
        replica,
        acked: replica.origin(),
        head: replica.origin(),
    }
}
