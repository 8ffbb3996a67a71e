//! The agent's ledger: books, shows and brings, applies what the hub answers.

use std::collections::BTreeMap;

use super::logs::Logs;
use super::promises::Promises;
use crate::decide::{self, Acknowledged, Outcome, Shown, Taking};
use crate::delta::Entry;
use crate::hold::{Leg, Way};
use crate::movement::KeyHash;
use crate::registers::HoldPolicy;
use crate::wire::v1::{CertificateV1, HelloV1};
use crate::wire::{Answer, Positions, Reply, Request};
use crate::{Delta, HubLife, Key, Kind, Movement, MovementId, ReplicaId, Seq, ShopId, TimeMs};

/// What lies on the disk. A copy of it is a backup.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The logs.
    pub logs: Logs,
    /// The replica that is written.
    pub own: ReplicaId,
    /// Up to where the hub has acknowledged.
    pub acked: BTreeMap<ReplicaId, Seq>,
    /// It may not be the only continuation of its own log: the first movement and the first answer end that replica.
    pub is_doubted: bool,
    /// The most movements of one request.
    pub limit: usize,
    /// The hub's life as last heard.
    pub life: Option<HubLife>,
    /// Its clock, corrected to the hub's, which whoever runs it moves.
    pub now: TimeMs,
    /// It knows what a hold is; a version before did not.
    pub takes_holds: bool,
    pub(super) policy: HoldPolicy,
    pub(super) promises: Promises,
    /// What each key that can contradict itself was first booked as here.
    keys: BTreeMap<KeyHash, MovementId>,
    show_all: bool,
    token: Option<Vec<u8>>,
    /// Each register with the life of the hub, as counted here, and the hub sequence that wrote it.
    registers: BTreeMap<(u8, String), (Vec<u8>, u64, u64)>,
    registers_upto: u64,
    generation: u64,
}

/// What an answer led to.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// A new replica is written from now on.
    pub minted: bool,
    /// An own tail went to a branch.
    pub branched: bool,
    /// Movements came that were not held.
    pub taken: usize,
    /// The hub is in another life than before.
    pub life_changed: bool,
    /// There is more to fetch.
    pub more: bool,
}

/// What a request said of its sender, as far as the answer speaks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Whether all positions were shown.
    pub all: bool,
    life: Option<HubLife>,
    legs: Vec<Leg>,
}

/// What became of a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Booked {
    /// It is new.
    New,
    /// It was booked before.
    Again,
    /// Its key has another content: nothing is booked, and a person is shown both.
    Conflict,
    /// A void names it: nothing is booked.
    Voided,
    /// It is held for an order: nothing is booked, and the till is told.
    Held,
}

impl Ledger {
    /// A new shop's ledger.
    pub fn new(shop: ShopId, own: ReplicaId) -> Self {
        Self {
            logs: Logs::new(shop),
            own,
            acked: BTreeMap::new(),
            is_doubted: false,
            limit: 5_000,
            life: None,
            now: TimeMs(0),
            takes_holds: false,
            policy: HoldPolicy::default(),
            promises: Promises::default(),
            keys: BTreeMap::new(),
            show_all: true,
            token: None,
            registers: BTreeMap::new(),
            registers_upto: 0,
            generation: 0,
        }
    }

    /// Books a movement: once, whoever asks how often. A receipt's line is of a file, and has happened; anything else is a
    /// call, which may be refused.
    pub fn book(&mut self, movement: Movement, mint: &mut dyn FnMut() -> ReplicaId) -> Booked {
        let way = if matches!(movement.key, Key::Receipt { .. }) {
            Way::File
        } else {
            Way::Call
        };
        self.book_as(way, movement, mint)
    }

    /// Books a movement that comes in this way.
    pub fn book_as(
        &mut self,
        way: Way,
        movement: Movement,
        mint: &mut dyn FnMut() -> ReplicaId,
    ) -> Booked {
        let shop = self.logs.shop();
        let id = movement.id(shop);
        let index = self.logs.index();
        if index.is_named(id) {
            return Booked::Voided;
        }
        if index.has(id) {
            self.link_again(&movement);
            return Booked::Again;
        }
        if movement.key.can_conflict() && self.keys.contains_key(&movement.key_hash(shop)) {
            return Booked::Conflict;
        }
        let barcode = movement.barcode.clone();
        let booked = if movement.kind == Kind::Sale {
            self.sell(way, movement, mint)
        } else {
            self.write(Entry::new(movement), mint);
            Booked::New
        };
        self.has_written(&barcode);
        booked
    }

    /// Writes a movement whatever it says: a newer version's, before that was taken back.
    pub fn write(&mut self, entry: Entry, mint: &mut dyn FnMut() -> ReplicaId) {
        if self.is_doubted {
            self.mint(mint);
        }
        self.append(self.own, entry);
    }

    fn mint(&mut self, mint: &mut dyn FnMut() -> ReplicaId) {
        self.own = mint();
        self.is_doubted = false;
        self.show_all = true;
    }

    /// Writes a movement under a replica.
    pub fn append(&mut self, replica: ReplicaId, entry: Entry) {
        self.logs.append(replica, entry).expect("small numbers");
        let held = self.logs.log(replica).last().expect("just appended");
        if let Some(key) = held.key {
            self.keys.entry(key).or_insert(held.id);
        }
    }

    pub(super) fn acked(&self, replica: ReplicaId) -> Seq {
        self.acked.get(&replica).copied().unwrap_or_default()
    }

    /// Movements that the hub has not acknowledged.
    pub fn pending(&self) -> u64 {
        let behind = |replica| self.logs.head(replica).seq.0 - self.acked(replica).0;
        self.logs.replicas().map(behind).sum()
    }

    /// Every register, by kind and key.
    pub fn registers(&self) -> BTreeMap<(u8, String), Vec<u8>> {
        let registers = self.registers.iter();
        registers
            .map(|(key, (value, ..))| (key.clone(), value.clone()))
            .collect()
    }

    /// What it shows, brings and asks; the first exchange of a process shows all.
    pub fn ask(&self, is_first: bool) -> (Request, Sent) {
        let logs = &self.logs;
        let all = self.show_all || is_first;
        let mut replicas: Vec<ReplicaId> = logs.replicas().collect();
        if !replicas.contains(&self.own) {
            replicas.push(self.own);
        }
        let differs = |replica: &ReplicaId| logs.head(*replica).seq != self.acked(*replica);
        let is_shown = |replica: &&ReplicaId| {
            let is_full = all && logs.head(**replica).seq > Seq(0);
            **replica == self.own || differs(replica) || is_full
        };
        let list = replicas.iter().filter(is_shown).map(|replica| Shown {
            replica: *replica,
            acked: logs.position(*replica, self.acked(*replica)),
            head: logs.head(*replica),
        });
        let mut left = self.limit;
        let mut deltas = Vec::new();
        for replica in replicas.iter().filter(|replica| differs(replica)) {
            if left == 0 {
                break;
            }
            let delta = logs.delta(*replica, self.acked(*replica), left);
            left -= delta.entries.len();
            deltas.push(delta);
        }
        let (legs, brought) = self.legs_to_bring(&deltas);
        let request = Request {
            hello: HelloV1 {
                shop: logs.shop().to_string(),
                life: self.life.map(|life| (life.ordinal, life.random)),
                registers: self.registers_upto,
                ..HelloV1::default()
            },
            certificate: CertificateV1::default(),
            positions: Positions {
                own: self.own,
                hash: logs.hash(),
                all,
                list: list.collect(),
            },
            deltas,
            token: self.token.clone(),
            health: None,
            quarantine: Vec::new(),
            disagreements: None,
            digest: None,
            legs,
            transfers: None,
        };
        let life = self.life;
        (
            request,
            Sent {
                all,
                life,
                legs: brought,
            },
        )
    }

    /// Applies the hub's answer, in the order that the protocol names. `mint` gives a replica that was never used.
    pub fn apply(
        &mut self,
        answer: &Answer,
        sent: &Sent,
        mint: &mut dyn FnMut() -> ReplicaId,
    ) -> Applied {
        let life = answer.life();
        let mut applied = Applied {
            life_changed: self.life.is_some_and(|known| known != life),
            more: answer.welcome.more,
            ..Applied::default()
        };
        if self.life != Some(life) {
            self.life = Some(life);
            self.acked.clear();
            self.generation += 1;
            self.registers_upto = 0;
            self.promises.forget_acknowledgements();
        }
        let must_mint =
            self.is_doubted | self.read_positions(answer) | self.take(answer, &mut applied);
        if must_mint {
            self.mint(mint);
            applied.minted = true;
        }
        self.read_registers(answer, sent);
        let legs = if sent.life == Some(life) {
            &sent.legs[..]
        } else {
            &[]
        };
        self.take_legs(answer, legs);
        self.show_all = answer.welcome.show_all
            || must_mint
            || (!sent.all && (self.show_all || applied.life_changed || sent.life != Some(life)));
        self.token.clone_from(&answer.token);
        applied
    }

    /// What the hub acknowledges. Whether it holds the own replica differently.
    fn read_positions(&mut self, answer: &Answer) -> bool {
        let mut is_behind = false;
        for (replica, hub) in &answer.positions {
            let logs = &self.logs;
            let known = decide::acknowledge(logs.head(*replica), *hub, logs.chains(*replica))
                .unwrap_or_else(|never| match never {});
            is_behind |= *replica == self.own && known.ends_own_replica();
            let seq = match known {
                Acknowledged::UpTo(seq) => seq,
                Acknowledged::HubAhead => Seq(0),
            };
            self.acked.insert(*replica, seq);
        }
        for reply in &answer.replies {
            if let Reply::Duplicate { replica, upto } = reply
                && self.logs.head(ReplicaId(*replica)).seq.0 >= *upto
            {
                self.raise_acked(ReplicaId(*replica), Seq(*upto));
            }
        }
        is_behind
    }

    /// Takes the hub's movements. Whether somebody else has gone on with the own replica.
    fn take(&mut self, answer: &Answer, applied: &mut Applied) -> bool {
        let mut ends_own = false;
        for delta in &answer.deltas {
            let replica = delta.replica;
            let logs = &self.logs;
            let taking = decide::take(
                logs.head(replica),
                replica,
                delta.base,
                &delta.chains(),
                logs.chains(replica),
            )
            .unwrap_or_else(|never| match never {});
            let skip = match taking {
                Taking::Elsewhere => continue,
                Taking::Known => {
                    self.raise_acked(replica, delta.last_seq());
                    continue;
                }
                Taking::Extend { skip } => skip,
                Taking::Branch {
                    common,
                    skip,
                    branch,
                } => {
                    applied.branched = true;
                    let tail = self.logs.cut(replica, common);
                    self.store(branch, &tail);
                    skip
                }
            };
            for entry in &delta.entries[skip..] {
                self.append(replica, entry.clone());
            }
            applied.taken += delta.entries.len() - skip;
            self.raise_acked(replica, delta.last_seq());
            ends_own |= replica == self.own && taking.ends_own_replica();
        }
        ends_own
    }

    fn raise_acked(&mut self, replica: ReplicaId, upto: Seq) {
        let acked = self.acked.entry(replica).or_default();
        *acked = upto.max(*acked);
    }

    /// Stores a tail under its branch. A branch that goes on differently branches again.
    fn store(&mut self, branch: ReplicaId, tail: &[Entry]) {
        let delta = Delta {
            replica: branch,
            base: branch.origin(),
            entries: tail.to_vec(),
            totals: Vec::new(),
        };
        let logs = &self.logs;
        let head = logs.head(branch);
        let outcome = decide::admit(
            head,
            branch,
            delta.base,
            &delta.chains(),
            logs.chains(branch),
        )
        .unwrap_or_else(|never| match never {});
        match outcome {
            Outcome::Merge { skip } => {
                for entry in &tail[skip..] {
                    self.append(branch, entry.clone());
                }
            }
            Outcome::Fork { skip, branch, .. } => self.store(branch, &tail[skip..]),
            Outcome::Duplicate => {}
            Outcome::Gap { .. } | Outcome::Take => unreachable!("a branch begins at its origin"),
        }
    }

    /// The last writer wins by (hub life, hub sequence); what a new life did not say again is gone.
    fn read_registers(&mut self, answer: &Answer, sent: &Sent) {
        for register in answer.registers.iter().flat_map(|all| &all.list) {
            let key = (register.kind, register.key.clone());
            let newer = (self.generation, register.seq);
            let held = self.registers.get(&key);
            if held.is_none_or(|(_, generation, seq)| newer > (*generation, *seq)) {
                let value = (register.value.clone(), newer.0, newer.1);
                self.registers.insert(key, value);
            }
        }
        if let Some(all) = &answer.registers {
            self.registers_upto = all.upto.max(self.registers_upto);
        }
        if sent.life == Some(answer.life()) && !answer.welcome.more {
            let generation = self.generation;
            self.registers.retain(|_, (_, of, _)| *of == generation);
        }
    }
}
