//! A hub of logs alone, made of the model's decisions; everything travels in real frames.

use std::collections::BTreeMap;

use vitrina_shared::decide::{Outcome, Relation, Shown, admit, relate};
use vitrina_shared::delta::{Entry, RowTotal};
use vitrina_shared::wire::v1::{CertificateV1, HelloV1, ReplyV1, WelcomeV1};
use vitrina_shared::wire::{Answer, Request, frame, positions_hash};
use vitrina_shared::{Chain, Delta, Position, ReplicaId, Seq, Total};

use super::*;
use crate::ledger::answer::{self, Heard, Taken, Via};
use crate::ledger::ask::{self, Ask, Show};

/// A log with the chain after each movement.
#[derive(Clone, Default)]
pub(super) struct Log {
    pub(super) entries: Vec<Entry>,
    chains: Vec<Chain>,
}

impl Log {
    fn head(&self, id: ReplicaId) -> Position {
        self.at(id, Seq(self.entries.len() as u64))
    }

    fn at(&self, id: ReplicaId, seq: Seq) -> Position {
        match seq.0 {
            0 => id.origin(),
            place => Position {
                seq,
                chain: self.chains[usize::try_from(place).unwrap() - 1],
            },
        }
    }

    fn push(&mut self, id: ReplicaId, entry: Entry) {
        let head = self.head(id).then(&entry.bytes);
        self.entries.push(entry);
        self.chains.push(head.chain);
    }
}

#[derive(Clone)]
pub(super) struct Hub {
    pub(super) life: HubLife,
    pub(super) logs: BTreeMap<ReplicaId, Log>,
    /// At most so many movements in an answer.
    pub(super) limit: usize,
}

impl Hub {
    pub(super) fn new() -> Self {
        Self {
            life: LIFE,
            logs: BTreeMap::new(),
            limit: 3,
        }
    }

    fn positions(&self) -> impl Iterator<Item = (ReplicaId, Position)> {
        self.logs.iter().map(|(id, log)| (*id, log.head(*id)))
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        positions_hash(self.positions())
    }

    fn admit(&mut self, delta: &Delta) -> (Outcome, ReplyV1) {
        let id = delta.replica;
        let log = self.logs.entry(id).or_default();
        let decided = admit(log.head(id), id, delta.base, &delta.chains(), |seq| {
            chain_at(log, id, seq)
        })
        .unwrap();
        match decided {
            Outcome::Merge { skip } => {
                delta.entries[skip..]
                    .iter()
                    .for_each(|entry| log.push(id, entry.clone()));
            }
            Outcome::Fork { skip, branch, .. } => {
                let tail = Delta {
                    replica: branch,
                    base: branch.origin(),
                    entries: delta.entries[skip..].to_vec(),
                    totals: Vec::new(),
                };
                self.admit(&tail);
            }
            Outcome::Duplicate | Outcome::Gap { .. } | Outcome::Take => {}
        }
        let reply = ReplyV1::of(id, delta.last_seq(), decided);
        (decided, reply)
    }

    fn delta(&self, id: ReplicaId, from: Seq, limit: usize) -> Delta {
        let log = &self.logs[&id];
        let start = usize::try_from(from.0).unwrap();
        let end = log.entries.len().min(start + limit);
        let entries = log.entries[start..end].to_vec();
        let mut sums: BTreeMap<(Barcode, Condition), Total> = BTreeMap::new();
        for Entry { movement, .. } in &log.entries[..end] {
            let sum = sums
                .entry((movement.barcode.clone(), movement.condition))
                .or_default();
            *sum = sum.after(movement.qty).unwrap();
        }
        let touched = Delta::sums(&entries).unwrap();
        let totals = touched
            .keys()
            .map(|(barcode, condition)| RowTotal {
                barcode: (*barcode).clone(),
                condition: *condition,
                total: sums[&((*barcode).clone(), *condition)],
            })
            .collect();
        Delta {
            replica: id,
            base: log.at(id, from),
            entries,
            totals,
        }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let admitted: Vec<_> = request
            .deltas
            .iter()
            .map(|delta| (delta.replica, self.admit(delta)))
            .collect();
        let outcomes: BTreeMap<_, _> = admitted
            .iter()
            .map(|(id, (outcome, _))| (*id, *outcome))
            .collect();
        let replies = admitted.into_iter().map(|(_, (_, reply))| reply).collect();
        let mut shown: BTreeMap<ReplicaId, Shown> = request
            .positions
            .list
            .iter()
            .map(|shown| (shown.replica, *shown))
            .collect();
        if request.positions.all {
            for id in self.logs.keys() {
                let nothing = Shown {
                    replica: *id,
                    acked: id.origin(),
                    head: id.origin(),
                };
                shown.entry(*id).or_insert(nothing);
            }
        }
        let (mut deltas, mut left, mut more) = (Vec::new(), self.limit, false);
        for (id, at) in &shown {
            let Some(log) = self.logs.get(id) else {
                continue;
            };
            let relation = relate(log.head(*id), at, outcomes.get(id).copied(), |seq| {
                chain_at(log, *id, seq)
            })
            .unwrap();
            if let Relation::HubAhead { from } = relation {
                let delta = self.delta(*id, from, left);
                left -= delta.entries.len();
                more |= delta.last_seq() < log.head(*id).seq;
                if !delta.entries.is_empty() {
                    deltas.push(delta);
                }
            }
        }
        let is_quiet = deltas.is_empty() && request.deltas.is_empty() && !request.positions.all;
        let show_all = is_quiet && request.positions.hash != self.hash();
        let origin = |id: &ReplicaId| self.logs.get(id).map_or(id.origin(), |log| log.head(*id));
        Answer {
            welcome: WelcomeV1 {
                life: (self.life.ordinal, self.life.random),
                show_all,
                more,
                ..WelcomeV1::default()
            },
            hash: self.hash(),
            positions: shown.keys().map(|id| (*id, origin(id))).collect(),
            replies,
            deltas,
            token: Some(vec![1]),
            registers: None,
            others: None,
            decisions: Vec::new(),
        }
    }

    /// One exchange; `delivered` is false where the answer is lost.
    pub(super) fn exchange(&mut self, conn: &Connection, delivered: bool) -> Taken {
        let asked = ask::ask(
            conn,
            &Ask {
                show: Show::Changed,
                movements: 4,
                bytes: 10_000,
            },
        )
        .unwrap();
        let request = Request {
            hello: HelloV1::default(),
            certificate: CertificateV1::default(),
            positions: asked.positions,
            deltas: asked.deltas,
            token: asked.token,
            health: None,
            quarantine: asked.quarantine,
            disagreements: asked.disagreements,
        };
        let bytes = request.seal(|_| [0; 64]).unwrap();
        let answer = self.answer(&Request::read(&frame::open(&bytes).unwrap()).unwrap());
        if !delivered {
            return Taken::default();
        }
        let bytes = answer.seal().unwrap();
        let answer = Answer::read(&frame::open(&bytes).unwrap()).unwrap();
        let heard = Heard {
            now: NOW,
            skew_ms: Some(0),
        };
        answer::apply(conn, &answer, &asked.sent, Via::Line, heard).unwrap()
    }

    /// Exchanges until nothing moves; at most so many rounds as any test needs.
    pub(super) fn settle(&mut self, conn: &Connection) {
        for _ in 0..200 {
            let before = self.hash();
            let taken = self.exchange(conn, true);
            let rests = taken.taken == 0
                && taken.acked == 0
                && !taken.show_all
                && !taken.more
                && !taken.hub_ahead;
            if rests && self.hash() == before && replica::pending(conn).unwrap() == 0 {
                return;
            }
        }
        panic!("the exchange does not come to rest");
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the decisions ask a store that may fail"
)]
fn chain_at(log: &Log, id: ReplicaId, seq: Seq) -> Result<Chain, std::convert::Infallible> {
    Ok(log.at(id, seq).chain)
}
