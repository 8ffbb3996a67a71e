//! The hub: takes a frame of a shop, gives one.

use std::collections::BTreeMap;

use super::feed::{Cursor, Feed, Page};
use super::holds::Holds;
use super::logs::Logs;
use super::{Bits, random_id};
use crate::decide::{self, Evidence, LifeVerdict, Outcome, Relation};
use crate::safety::SafetyStock;
use crate::wire::v1::{RegisterV1, RegistersV1, WelcomeV1};
use crate::wire::{Answer, Reply, Request, WireError, frame};
use crate::{Barcode, Chain, Delta, HubLife, Position, ReplicaId, Seq, ShopId, TimeMs};

/// What lies on the hub's disk. A copy of it is a backup.
#[derive(Clone, Debug)]
pub struct Hub {
    /// The life that it is in.
    pub life: HubLife,
    /// The most movements of one answer.
    pub limit: usize,
    /// Its clock, which whoever runs it moves.
    pub now: TimeMs,
    /// The article of a barcode, where one may stand for another.
    pub articles: BTreeMap<Barcode, Box<str>>,
    /// What is kept back.
    pub safety: SafetyStock,
    pub(super) shops: BTreeMap<ShopId, Logs>,
    pub(super) holds: Holds,
    /// Whose log a replica is.
    owners: BTreeMap<ReplicaId, ShopId>,
    revoked: BTreeMap<ShopId, bool>,
    registers: BTreeMap<(u8, String), (Vec<u8>, u64)>,
    feed: Feed,
}

/// Why a frame was not taken. Nothing of it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The bytes say nothing that can be used.
    Frame,
    /// The shop's credential was taken back.
    Revoked,
    /// It is not the sender's to say.
    Forbidden,
}

impl From<WireError> for Refused {
    fn from(_: WireError) -> Self {
        Self::Frame
    }
}

/// What became of a frame.
#[derive(Debug)]
pub struct Exchanged {
    /// The answer.
    pub answer: Answer,
    /// Where each delta ended, and what was decided of it.
    pub outcomes: Vec<(ReplicaId, Position, Outcome)>,
    /// A new life began.
    pub begun: bool,
}

/// What the hub once said to a shop, as its token holds it. It is not sealed here: no model forges it.
struct Claims {
    life: HubLife,
    pos: u64,
    tag: u64,
    positions: Vec<(ReplicaId, Position)>,
}

impl Hub {
    /// An empty hub in a life.
    pub fn new(life: HubLife) -> Self {
        Self {
            life,
            limit: 5_000,
            now: TimeMs(0),
            articles: BTreeMap::new(),
            safety: SafetyStock::default(),
            shops: BTreeMap::new(),
            holds: Holds::default(),
            owners: BTreeMap::new(),
            revoked: BTreeMap::new(),
            registers: BTreeMap::new(),
            feed: Feed::default(),
        }
    }

    /// Begins a life, as `restore` and an empty database with its keys do.
    pub fn begin(&mut self, ordinal: u64, bits: Bits<'_>) {
        self.life = HubLife {
            ordinal,
            random: random_id(bits),
        };
        self.holds.forget_returns();
        self.commit(bits);
    }

    /// A hub that goes back behind this word is in another history.
    pub(super) fn commit(&mut self, bits: Bits<'_>) {
        self.feed.pos += 1;
        self.feed.commit(bits() >> 1);
    }

    /// What it holds of a shop.
    pub fn logs(&self, shop: &ShopId) -> Logs {
        let none = || Logs::new(shop.clone());
        self.shops.get(shop).cloned().unwrap_or_else(none)
    }

    /// The shops of which it holds something.
    pub fn shops(&self) -> impl Iterator<Item = &Logs> {
        self.shops.values()
    }

    /// Forgets everything but its life: another database.
    pub fn clear(&mut self) {
        *self = Self {
            limit: self.limit,
            now: self.now,
            articles: std::mem::take(&mut self.articles),
            ..Self::new(self.life)
        };
    }

    /// Takes a shop's credential back, or gives it a new one.
    pub fn set_revoked(&mut self, shop: &ShopId, is_revoked: bool) {
        self.revoked.insert(shop.clone(), is_revoked);
    }

    /// Writes a register.
    pub fn put(&mut self, kind: u8, key: &str, value: &[u8], bits: Bits<'_>) {
        let seq = 1 + self
            .registers
            .values()
            .map(|(_, seq)| *seq)
            .max()
            .unwrap_or(0);
        self.registers
            .insert((kind, key.to_owned()), (value.to_vec(), seq));
        self.commit(bits);
    }

    /// Every register, by kind and key.
    pub fn registers(&self) -> BTreeMap<(u8, String), Vec<u8>> {
        let value =
            |(key, (value, _)): (&(u8, String), &(Vec<u8>, u64))| (key.clone(), value.clone());
        self.registers.iter().map(value).collect()
    }

    /// The whole stock, and where the feed goes on.
    pub fn snapshot(&self) -> (Vec<(ShopId, crate::Barcode, i64)>, Cursor) {
        let cursor = self.feed.cursor(self.life.ordinal, self.feed.pos);
        (self.feed.all(), cursor)
    }

    /// What changed since a cursor; nothing where it is of another history.
    pub fn changes(&self, since: Cursor, most: usize) -> Option<Page> {
        let is_ours = since.ordinal == self.life.ordinal
            && since.end <= self.feed.pos
            && self.feed.tag(since.end) == since.tag;
        is_ours.then(|| {
            let (levels, upto) = self.feed.after(since.pos, most);
            Page {
                levels,
                cursor: self.feed.cursor(self.life.ordinal, upto),
            }
        })
    }

    /// Takes a frame that the device of `shop` signed, gives one.
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing of it was taken.
    pub fn exchange(
        &mut self,
        shop: &ShopId,
        bytes: &[u8],
        bits: Bits<'_>,
    ) -> Result<Exchanged, Refused> {
        let request = Request::read(&frame::open(bytes)?)?;
        if self.revoked.get(shop) == Some(&true) {
            return Err(Refused::Revoked);
        }
        if request.hello.shop != shop.as_str() || self.shows_others(shop, &request) {
            return Err(Refused::Forbidden);
        }
        let legs = self.read_legs(shop, &request)?.ok_or(Refused::Forbidden)?;
        self.shops
            .entry(shop.clone())
            .or_insert_with(|| Logs::new(shop.clone()));
        let begun = self.judge(shop, &request, bits);
        let mut outcomes = Vec::with_capacity(request.deltas.len());
        for delta in &request.deltas {
            outcomes.push((delta.replica, self.admit(shop, delta)));
        }
        self.publish(shop, &outcomes, bits);
        let legs = (!has_refused(&outcomes)).then_some(legs);
        self.take_legs(shop, &request, legs, bits);
        Ok(Exchanged {
            answer: self.answer(shop, &request, &outcomes),
            outcomes: request
                .deltas
                .iter()
                .zip(outcomes)
                .map(|(delta, (replica, outcome))| (replica, delta.end(), outcome))
                .collect(),
            begun,
        })
    }

    /// Whether a log of another shop is shown or brought.
    fn shows_others(&self, shop: &ShopId, request: &Request) -> bool {
        let shown = request.positions.list.iter().map(|shown| shown.replica);
        let brought = request.deltas.iter().map(|delta| delta.replica);
        let is_anothers = |replica| self.owners.get(&replica).is_some_and(|owner| owner != shop);
        shown.chain(brought).any(is_anothers)
    }

    fn judge(&mut self, shop: &ShopId, request: &Request, bits: Bits<'_>) -> bool {
        let Some(claims) = request.token.as_deref().and_then(Claims::read) else {
            return false;
        };
        let on_history = || {
            let logs = &self.shops[shop];
            let mut positions = claims.positions.iter();
            self.feed.knows(claims.pos, claims.tag)
                && positions.all(|(replica, at)| logs.has(*replica, *at))
        };
        let evidence = Evidence {
            life: claims.life,
            on_history: claims.life == self.life && on_history(),
        };
        match decide::judge_life(self.life, evidence) {
            LifeVerdict::Goes => false,
            LifeVerdict::Behind { ordinal } => {
                self.begin(ordinal, bits);
                true
            }
        }
    }

    fn admit(&mut self, shop: &ShopId, delta: &Delta) -> Outcome {
        let replica = delta.replica;
        let logs = self.shops.get_mut(shop).expect("a shop that asks");
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
                    logs.append(replica, entry.clone()).expect("small numbers");
                }
                self.owners.insert(replica, shop.clone());
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

    /// The commit: its positions, its tag, its news.
    fn publish(&mut self, shop: &ShopId, outcomes: &[(ReplicaId, Outcome)], bits: Bits<'_>) {
        let has_merged =
            |outcome: &Outcome| matches!(outcome, Outcome::Merge { .. } | Outcome::Fork { .. });
        if !outcomes.iter().any(|(_, outcome)| has_merged(outcome)) {
            return;
        }
        self.feed.pos += 1;
        let logs = self.shops.get_mut(shop).expect("a shop that asks");
        let touched = logs.take_touched();
        for barcode in &touched {
            let on_hand = logs.index().on_hand(barcode);
            self.feed.say(shop, barcode, on_hand);
        }
        self.feed.commit(bits() >> 1);
        self.has_moved(shop, &touched);
    }

    fn answer(
        &self,
        shop: &ShopId,
        request: &Request,
        outcomes: &[(ReplicaId, Outcome)],
    ) -> Answer {
        let logs = &self.shops[shop];
        let shown = &request.positions.list;
        let (mut positions, mut wanted) = (Vec::new(), Vec::new());
        let mut is_all_same = true;
        for one in shown {
            let head = logs.head(one.replica);
            positions.push((one.replica, head));
            let mut decided = outcomes.iter().rev();
            let outcome = decided.find(|(name, _)| *name == one.replica);
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
            for replica in logs.replicas().filter(is_new) {
                positions.push((replica, logs.head(replica)));
                is_all_same = false;
                wanted.push((replica, Seq(0)));
            }
        }
        let (deltas, more) = self.deltas(logs, &wanted);
        let (mut legs, more_legs) = self.legs_after(shop, request);
        if let Some(legs) = legs.as_mut() {
            legs.taken = !has_refused(outcomes);
        }
        let hash = logs.hash();
        let replies = request.deltas.iter().zip(outcomes);
        Answer {
            welcome: WelcomeV1 {
                life: (self.life.ordinal, self.life.random),
                show_all: !request.positions.all && is_all_same && hash != request.positions.hash,
                more: more || more_legs,
                ..WelcomeV1::default()
            },
            hash,
            positions,
            replies: replies
                .map(|(delta, (_, outcome))| Reply::of(delta.replica, delta.last_seq(), *outcome))
                .collect(),
            deltas,
            token: Some(self.claims(logs).write()),
            registers: self.registers_after(request),
            others: None,
            decisions: Vec::new(),
            digest: None,
            legs,
            transfers: None,
        }
    }

    fn deltas(&self, logs: &Logs, wanted: &[(ReplicaId, Seq)]) -> (Vec<Delta>, bool) {
        let mut left = self.limit;
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

    /// What the shop lacks of the registers; of another life's it lacks all.
    fn registers_after(&self, request: &Request) -> Option<RegistersV1> {
        let is_ours = request.hello.life == Some((self.life.ordinal, self.life.random));
        let cursor = if is_ours { request.hello.registers } else { 0 };
        let mut list: Vec<RegisterV1> = self
            .registers
            .iter()
            .filter(|(_, (_, seq))| *seq > cursor)
            .map(|((kind, key), (value, seq))| RegisterV1 {
                kind: *kind,
                key: key.clone(),
                value: value.clone(),
                seq: *seq,
            })
            .collect();
        list.sort_by_key(|register| register.seq);
        let upto = list.last()?.seq;
        Some(RegistersV1 { list, upto })
    }

    fn claims(&self, logs: &Logs) -> Claims {
        let replicas = logs.replicas();
        Claims {
            life: self.life,
            pos: self.feed.pos,
            tag: self.feed.tag(self.feed.pos),
            positions: replicas
                .map(|replica| (replica, logs.head(replica)))
                .collect(),
        }
    }
}

/// Whether movements of a request were not merged: then its legs, which may stand on them, are not taken either.
fn has_refused(outcomes: &[(ReplicaId, Outcome)]) -> bool {
    let is_refusal = |outcome: &Outcome| matches!(outcome, Outcome::Gap { .. } | Outcome::Take);
    outcomes.iter().any(|(_, outcome)| is_refusal(outcome))
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

    fn read(mut bytes: &[u8]) -> Option<Self> {
        fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
            let (head, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            Some(*head)
        }
        let mut claims = Self {
            life: HubLife {
                ordinal: u64::from_le_bytes(take(&mut bytes)?),
                random: take(&mut bytes)?,
            },
            pos: u64::from_le_bytes(take(&mut bytes)?),
            tag: u64::from_le_bytes(take(&mut bytes)?),
            positions: Vec::new(),
        };
        while !bytes.is_empty() {
            let replica = ReplicaId(take(&mut bytes)?);
            let at = Position {
                seq: Seq(u64::from_le_bytes(take(&mut bytes)?)),
                chain: Chain(take(&mut bytes)?),
            };
            claims.positions.push((replica, at));
        }
        Some(claims)
    }
}
