//! A shop's machine with an agent on it: what lies on its disk, and what is only in the program.

use std::collections::BTreeMap;

use vitrina_shared::decide::{self, Acknowledged, Outcome, Shown, Taking};
use vitrina_shared::delta::Entry;
use vitrina_shared::movement::KeyHash;
use vitrina_shared::wire::v1::{CertificateV1, HelloV1};
use vitrina_shared::wire::{Answer, Positions, Reply, Request, WireError, frame};
use vitrina_shared::{Delta, HubLife, Movement, MovementId, ReplicaId, Seq, ShopId};

use super::logs::Logs;
use super::random::Random;

/// The most movements of one request: small, so that runs have many.
const MOVEMENTS: usize = 5;

/// What lies on the disk; a copy of it is a backup.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The logs.
    pub logs: Logs,
    /// In how many places each id is held: the ledger's index.
    ids: BTreeMap<MovementId, usize>,
    /// What each key that can contradict itself was first booked as here.
    keys: BTreeMap<KeyHash, MovementId>,
    /// The replica that is written.
    pub own: ReplicaId,
    /// Up to where the hub has acknowledged.
    pub acked: BTreeMap<ReplicaId, Seq>,
    show_all: bool,
    /// The hub's life as last heard.
    pub life: Option<HubLife>,
    token: Option<Vec<u8>>,
    /// Which file the ledger believes to be.
    file: u64,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    all: bool,
    life: Option<HubLife>,
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
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its disk.
    pub disk: Disk,
    /// Which file the ledger really is.
    pub file: u64,
    /// The sidecar: how far the current replica was written.
    pub high_water: (ReplicaId, Seq),
    /// The program runs.
    pub is_up: bool,
    /// The first exchange of a process shows all.
    shows_all: bool,
}

impl Machine {
    /// A new shop's machine.
    pub fn new(random: &mut Random) -> Self {
        let own = ReplicaId(random.id());
        let file = random.bits();
        Self {
            disk: Disk {
                logs: Logs::default(),
                ids: BTreeMap::new(),
                keys: BTreeMap::new(),
                own,
                acked: BTreeMap::new(),
                show_all: true,
                life: None,
                token: None,
                file,
            },
            file,
            high_water: (own, Seq(0)),
            is_up: true,
            shows_all: true,
        }
    }

    /// Starts the program. Doubt about the ledger mints a new replica before the first sale.
    pub fn start(&mut self, random: &mut Random) -> bool {
        self.is_up = true;
        self.shows_all = true;
        let (replica, seq) = self.high_water;
        let is_behind = self.disk.logs.head(replica).seq < seq;
        let is_moved = self.disk.file != self.file;
        if is_behind || is_moved {
            self.disk.file = self.file;
            self.mint(random);
        }
        is_behind || is_moved
    }

    fn mint(&mut self, random: &mut Random) {
        self.disk.own = ReplicaId(random.id());
        self.keep_high_water();
    }

    /// Writes the sidecar.
    fn keep_high_water(&mut self) {
        let own = self.disk.own;
        self.high_water = (own, self.disk.logs.head(own).seq);
    }

    /// Books a movement: once, whoever asks how often.
    pub fn book(&mut self, shop: &ShopId, movement: Movement) -> Booked {
        let id = movement.id(shop);
        if self.disk.ids.contains_key(&id) {
            return Booked::Again;
        }
        if movement.key.can_conflict() && self.disk.keys.contains_key(&movement.key_hash(shop)) {
            return Booked::Conflict;
        }
        let own = self.disk.own;
        self.append(shop, own, Entry::new(movement));
        self.keep_high_water();
        Booked::New
    }

    fn append(&mut self, shop: &ShopId, replica: ReplicaId, entry: Entry) {
        let id = entry.movement.id(shop);
        if entry.movement.key.can_conflict() {
            let key = entry.movement.key_hash(shop);
            self.disk.keys.entry(key).or_insert(id);
        }
        self.disk.logs.append(replica, entry);
        *self.disk.ids.entry(id).or_default() += 1;
    }

    /// Whether the index says what the logs do.
    pub fn is_indexed(&self, shop: &ShopId) -> bool {
        self.disk.ids == self.disk.logs.ids(shop)
    }

    /// Whether some log holds the movement of an id.
    pub fn has(&self, id: MovementId) -> bool {
        self.disk.ids.contains_key(&id)
    }

    fn acked(&self, replica: ReplicaId) -> Seq {
        self.disk.acked.get(&replica).copied().unwrap_or_default()
    }

    /// Movements that the hub has not acknowledged.
    pub fn pending(&self) -> u64 {
        let logs = &self.disk.logs;
        logs.replicas()
            .into_iter()
            .map(|replica| logs.head(replica).seq.0 - self.acked(replica).0)
            .sum()
    }

    /// What it shows, brings and asks.
    ///
    /// # Errors
    ///
    /// [`WireError`]: a bug of the codec.
    pub fn request(&self, shop: &ShopId) -> Result<(Vec<u8>, Sent), WireError> {
        let logs = &self.disk.logs;
        let all = self.disk.show_all || self.shows_all;
        let mut replicas = logs.replicas();
        if !replicas.contains(&self.disk.own) {
            replicas.push(self.disk.own);
        }
        let differs = |replica: &ReplicaId| logs.head(*replica).seq != self.acked(*replica);
        let list = replicas
            .iter()
            .filter(|replica| {
                **replica == self.disk.own
                    || differs(replica)
                    || (all && logs.head(**replica).seq > Seq(0))
            })
            .map(|replica| Shown {
                replica: *replica,
                acked: logs.position(*replica, self.acked(*replica)),
                head: logs.head(*replica),
            })
            .collect();
        let mut left = MOVEMENTS;
        let mut deltas = Vec::new();
        for replica in replicas.iter().filter(|replica| differs(replica)) {
            if left == 0 {
                break;
            }
            let delta = logs.delta(*replica, self.acked(*replica), left);
            left -= delta.entries.len();
            deltas.push(delta);
        }
        let request = Request {
            hello: HelloV1 {
                shop: shop.to_string(),
                life: self.disk.life.map(|life| (life.ordinal, life.random)),
                ..HelloV1::default()
            },
            certificate: CertificateV1::default(),
            positions: Positions {
                own: self.disk.own,
                hash: logs.hash(),
                all,
                list,
            },
            deltas,
            token: self.disk.token.clone(),
            health: None,
            quarantine: Vec::new(),
            disagreements: None,
        };
        let sent = Sent {
            all,
            life: self.disk.life,
        };
        Ok((request.seal(|_| [0; 64])?, sent))
    }

    /// Applies the hub's answer, in the order that the protocol names.
    ///
    /// # Errors
    ///
    /// [`WireError`]: nothing of it was applied.
    pub fn apply(
        &mut self,
        shop: &ShopId,
        bytes: &[u8],
        sent: Sent,
        random: &mut Random,
    ) -> Result<Applied, WireError> {
        let answer = Answer::read(&frame::open(bytes)?)?;
        let life = answer.life();
        let mut applied = Applied {
            life_changed: self.disk.life.is_some_and(|known| known != life),
            more: answer.welcome.more,
            ..Applied::default()
        };
        if self.disk.life != Some(life) {
            self.disk.life = Some(life);
            self.disk.acked.clear();
        }
        let must_mint = self.read_positions(&answer) | self.take(shop, &answer, &mut applied);
        if must_mint {
            self.mint(random);
            applied.minted = true;
        }
        self.shows_all &= !sent.all;
        self.disk.show_all = answer.welcome.show_all
            || must_mint
            || (!sent.all
                && (self.disk.show_all || applied.life_changed || sent.life != Some(life)));
        self.disk.token = answer.token;
        self.keep_high_water();
        Ok(applied)
    }

    /// What the hub acknowledges. Whether it holds the own replica differently.
    fn read_positions(&mut self, answer: &Answer) -> bool {
        let mut is_behind = false;
        for (replica, hub) in &answer.positions {
            let logs = &self.disk.logs;
            let seq = match decide::acknowledge(logs.head(*replica), *hub, logs.chains(*replica)) {
                Ok(Acknowledged::UpTo(seq)) => seq,
                Ok(Acknowledged::HubAhead) => {
                    is_behind |= *replica == self.disk.own;
                    Seq(0)
                }
                Err(never) => match never {},
            };
            self.disk.acked.insert(*replica, seq);
        }
        for reply in &answer.replies {
            if let Reply::Duplicate { replica, upto } = reply
                && self.disk.logs.head(ReplicaId(*replica)).seq.0 >= *upto
            {
                self.raise_acked(ReplicaId(*replica), Seq(*upto));
            }
        }
        is_behind
    }

    /// Takes the hub's movements. Whether somebody else has gone on with the own replica.
    fn take(&mut self, shop: &ShopId, answer: &Answer, applied: &mut Applied) -> bool {
        let mut ends_own = false;
        for delta in &answer.deltas {
            let replica = delta.replica;
            let logs = &self.disk.logs;
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
                    self.branch(shop, replica, common, branch);
                    skip
                }
            };
            for entry in &delta.entries[skip..] {
                self.append(shop, replica, entry.clone());
            }
            applied.taken += delta.entries.len() - skip;
            self.raise_acked(replica, delta.last_seq());
            ends_own |= replica == self.disk.own && taking.ends_own_replica();
        }
        ends_own
    }

    fn raise_acked(&mut self, replica: ReplicaId, upto: Seq) {
        let acked = self.disk.acked.entry(replica).or_default();
        *acked = upto.max(*acked);
    }

    /// Moves the own tail after `common` to its branch. A branch that goes on differently branches again.
    fn branch(&mut self, shop: &ShopId, replica: ReplicaId, common: Seq, branch: ReplicaId) {
        let tail = self.disk.logs.cut(replica, common);
        for entry in &tail {
            let id = entry.movement.id(shop);
            let left = self.disk.ids.remove(&id).unwrap_or(0).saturating_sub(1);
            if left > 0 {
                self.disk.ids.insert(id, left);
            }
        }
        self.store(shop, branch, &tail);
    }

    fn store(&mut self, shop: &ShopId, branch: ReplicaId, tail: &[Entry]) {
        let delta = Delta {
            replica: branch,
            base: branch.origin(),
            entries: tail.to_vec(),
            totals: Vec::new(),
        };
        let logs = &self.disk.logs;
        let head = logs.head(branch);
        let chains = delta.chains();
        let outcome = decide::admit(head, branch, delta.base, &chains, logs.chains(branch))
            .unwrap_or_else(|never| match never {});
        match outcome {
            Outcome::Merge { skip } => {
                for entry in &tail[skip..] {
                    self.append(shop, branch, entry.clone());
                }
            }
            Outcome::Fork { skip, branch, .. } => self.store(shop, branch, &tail[skip..]),
            Outcome::Duplicate => {}
            Outcome::Gap { .. } | Outcome::Take => unreachable!("a branch begins at its origin"),
        }
    }
}
