//! What the tests of the model share: random movements, and peers that do nothing but decide.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vitrina_shared::decide::{self, Acknowledged, Outcome, Relation, Shown, Taking};
use vitrina_shared::delta::{Entry, RowTotal};
use vitrina_shared::movement::{Details, Words};
use vitrina_shared::time::Day;
use vitrina_shared::wire::v1::{CertificateV1, HelloV1, ReplyV1, WelcomeV1};
use vitrina_shared::wire::{Answer, Positions, Request, frame, positions_hash};
use vitrina_shared::{
    Barcode, Condition, Delta, Key, Kind, Money, Movement, MovementId, Position, Qty, ReplicaId,
    Seq, ShopId, TimeMs,
};

pub(crate) fn shop() -> ShopId {
    "S017".parse().unwrap()
}

pub(crate) fn barcode(number: u8) -> Barcode {
    format!("20000000000{number:02}").parse().unwrap()
}

/// A plain sale of one piece under an idempotency key.
pub(crate) fn sale(key: &str, number: u8) -> Movement {
    Movement {
        kind: Kind::Sale,
        condition: Condition::Sellable,
        key: Key::call(key),
        barcode: barcode(number),
        scanned: None,
        qty: Qty::new(-1).unwrap(),
        at: TimeMs(1_763_812_800_000),
        target: None,
        rest: Details::default().to_bytes(),
    }
}

/// Movements of few keys and barcodes, so that twins, voids and rival statements really meet.
pub(crate) fn movement() -> impl Strategy<Value = Movement> {
    (
        0_u8..6,
        0_u8..4,
        0_u8..3,
        -3_i64..4,
        0_i64..4,
        any::<bool>(),
    )
        .prop_map(|(form, key, code, qty, at, damaged)| {
            let condition = if damaged {
                Condition::Unavailable
            } else {
                Condition::Sellable
            };
            let mut movement = Movement {
                condition,
                qty: Qty::new(qty).unwrap(),
                ..sale(&format!("k{key}"), code)
            };
            movement.at = TimeMs(movement.at.0 + at * 1_000);
            match form {
                0 => {
                    movement.kind = Kind::Balance;
                    movement.key = Key::Statement;
                    movement.qty = Qty::new(qty.abs()).unwrap();
                }
                1 => {
                    let target = sale(&format!("k{key}"), code).id(&shop());
                    return Movement::void(
                        barcode(code),
                        condition,
                        target,
                        movement.at,
                        &Details::default(),
                    );
                }
                2 => movement.key = Key::Opening,
                3 => movement.qty = Qty::new(-1).unwrap(),
                4 => {
                    let day = Day(20_251_122 + u32::from(key % 2));
                    movement.key = Key::Receipt {
                        till: "1".into(),
                        receipt: "1001".into(),
                        line: u32::from(key),
                        day,
                    };
                }
                _ => {}
            }
            movement
        })
}

/// Movements of every form a frame must carry, with odd texts.
#[expect(clippy::too_many_lines, reason = "one strategy")]
pub(crate) fn any_movement() -> impl Strategy<Value = Movement> {
    let key = prop_oneof![
        (
            "[0-9A-Z]{0,3}",
            "[0-9]{1,7}|\\PC{1,5}",
            any::<u32>(),
            20_000_101_u32..20_991_231
        )
            .prop_map(|(till, receipt, line, day)| Key::Receipt {
                till: till.into(),
                receipt: receipt.into(),
                line,
                day: Day(day)
            }),
        "[a-z0-9-]{1,40}".prop_map(|text| Key::call(&text)),
        any::<[u8; 16]>().prop_map(Key::CallUuid),
        (any::<[u8; 16]>(), any::<u64>()).prop_map(|(file, line)| Key::FileLine { file, line }),
        Just(Key::Opening),
        Just(Key::Adopted),
        any::<[u8; 16]>().prop_map(Key::Counted),
        (
            any::<u8>(),
            11_u8..,
            prop::collection::vec(any::<u8>(), 0..20)
        )
            .prop_map(|(flags, tag, body)| Key::Unknown {
                flags,
                tag,
                body: body.into()
            }),
    ];
    let code = "[0-9]{1,18}|[0-9]{13}|[A-Za-z0-9]{1,12}|0{3}[0-9]{4}";
    let details = (
        prop::option::of(0_i64..10_000_000),
        prop::option::of("\\PC{0,40}"),
        prop::option::of("[0-9.,]{1,4}"),
    );
    (
        key,
        code,
        prop::option::of(code),
        -1_000_000_i64..=1_000_000,
        0_i64..4_000_000_000_000,
        0_u8..20,
        details,
        any::<bool>(),
    )
        .prop_map(
            |(key, code, scanned, qty, at, kind, (price, cashier, size), damaged)| {
                let kind = Kind::of_number(kind);
                let barcode: Barcode = code.parse().unwrap();
                let details = Details {
                    price: price.map(Money::rub),
                    cashier: cashier.map(Into::into),
                    words: Words {
                        size: size.map(Into::into),
                        ..Words::default()
                    },
                    ..Details::default()
                };
                Movement {
                    kind,
                    condition: if damaged {
                        Condition::Unavailable
                    } else {
                        Condition::Sellable
                    },
                    key,
                    scanned: scanned
                        .and_then(|text| text.parse().ok())
                        .filter(|scanned| *scanned != barcode),
                    barcode,
                    qty: if kind == Kind::Void {
                        Qty::ZERO
                    } else {
                        Qty::new(qty).unwrap()
                    },
                    at: TimeMs(at),
                    target: (kind == Kind::Void).then_some(MovementId([7; 16])),
                    rest: details.to_bytes(),
                }
            },
        )
}

/// The logs of one shop, as any peer keeps them.
#[derive(Clone, Default)]
pub(crate) struct Logs(pub(crate) BTreeMap<ReplicaId, Vec<Entry>>);

impl Logs {
    pub(crate) fn append(&mut self, replica: ReplicaId, movement: Movement) {
        self.0
            .entry(replica)
            .or_default()
            .push(Entry::new(movement));
    }

    pub(crate) fn log(&self, replica: ReplicaId) -> &[Entry] {
        self.0.get(&replica).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn position(&self, replica: ReplicaId, seq: Seq) -> Position {
        let count = usize::try_from(seq.0).unwrap();
        self.log(replica)[..count]
            .iter()
            .fold(replica.origin(), |at, entry| at.then(&entry.bytes))
    }

    pub(crate) fn head(&self, replica: ReplicaId) -> Position {
        self.position(replica, Seq(self.log(replica).len() as u64))
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        positions_hash(self.0.keys().map(|replica| (*replica, self.head(*replica))))
    }

    /// At most `most` movements after a place.
    pub(crate) fn delta(&self, replica: ReplicaId, after: Seq, most: usize) -> Delta {
        let start = usize::try_from(after.0).unwrap();
        let end = self.log(replica).len().min(start + most);
        let rows = |entries: &[Entry]| {
            Delta::sums(entries)
                .unwrap()
                .into_iter()
                .map(|((b, c), t)| ((b.clone(), c), t))
                .collect::<BTreeMap<_, _>>()
        };
        let whole = rows(&self.log(replica)[..end]);
        let entries = self.log(replica)[start..end].to_vec();
        let totals = rows(&entries)
            .into_keys()
            .map(|(barcode, condition)| RowTotal {
                total: whole[&(barcode.clone(), condition)],
                barcode,
                condition,
            })
            .collect();
        Delta {
            replica,
            base: self.position(replica, after),
            entries,
            totals,
        }
    }

    fn chain_at(
        &self,
        replica: ReplicaId,
    ) -> impl FnMut(Seq) -> Result<vitrina_shared::Chain, std::convert::Infallible> + '_ {
        move |seq| Ok(self.position(replica, seq).chain)
    }

    pub(crate) fn model(&self) -> vitrina_shared::model::ShopModel {
        let mut model = vitrina_shared::model::ShopModel::new(shop());
        for (replica, log) in &self.0 {
            for entry in log {
                model.append(*replica, entry.movement.clone()).unwrap();
            }
        }
        model
    }
}

/// A hub that keeps logs and decides.
#[derive(Clone, Default)]
pub(crate) struct Hub(pub(crate) Logs);

impl Hub {
    /// Takes a frame, gives a frame.
    pub(crate) fn exchange(&mut self, bytes: &[u8]) -> Vec<u8> {
        let request = Request::read(&frame::open(bytes).unwrap()).unwrap();
        let outcomes: Vec<(&Delta, Outcome)> = request
            .deltas
            .iter()
            .map(|delta| (delta, self.admit(delta)))
            .collect();
        let mut list = request.positions.list.clone();
        if request.positions.all {
            let unseen: Vec<ReplicaId> = self
                .0
                .0
                .keys()
                .copied()
                .filter(|r| list.iter().all(|s| s.replica != *r))
                .collect();
            list.extend(unseen.iter().map(|r| Shown {
                replica: *r,
                acked: r.origin(),
                head: r.origin(),
            }));
        }
        let mut deltas = Vec::new();
        for shown in &list {
            let outcome = outcomes
                .iter()
                .find(|(delta, _)| delta.replica == shown.replica)
                .map(|(_, outcome)| *outcome);
            let relation = decide::relate(
                self.0.head(shown.replica),
                shown,
                outcome,
                self.0.chain_at(shown.replica),
            )
            .unwrap();
            if let Relation::HubAhead { from } = relation {
                deltas.push(self.0.delta(shown.replica, from, 3));
            }
        }
        let answer = Answer {
            welcome: WelcomeV1 {
                show_all: self.0.hash() != request.positions.hash,
                ..WelcomeV1::default()
            },
            hash: self.0.hash(),
            positions: list
                .iter()
                .map(|shown| (shown.replica, self.0.head(shown.replica)))
                .collect(),
            replies: outcomes
                .iter()
                .map(|(delta, outcome)| ReplyV1::of(delta.replica, delta.last_seq(), *outcome))
                .collect(),
            deltas,
            token: None,
            registers: None,
            others: None,
            decisions: Vec::new(),
        };
        answer.seal().unwrap()
    }

    fn admit(&mut self, delta: &Delta) -> Outcome {
        let replica = delta.replica;
        let head = self.0.head(replica);
        let outcome = decide::admit(
            head,
            replica,
            delta.base,
            &delta.chains(),
            self.0.chain_at(replica),
        )
        .unwrap();
        match outcome {
            Outcome::Merge { skip } => {
                for entry in &delta.entries[skip..] {
                    self.0.append(replica, entry.movement.clone());
                }
            }
            Outcome::Fork { skip, branch, .. } => {
                let held = self.0.log(branch).len();
                for entry in delta.entries[skip..].iter().skip(held) {
                    self.0.append(branch, entry.movement.clone());
                }
            }
            Outcome::Duplicate | Outcome::Gap { .. } | Outcome::Take => {}
        }
        outcome
    }
}

/// An agent that keeps logs and decides.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) own: ReplicaId,
    pub(crate) logs: Logs,
    pub(crate) acked: BTreeMap<ReplicaId, Seq>,
    pub(crate) show_all: bool,
}

impl Agent {
    pub(crate) fn new(own: ReplicaId) -> Self {
        Self {
            own,
            logs: Logs::default(),
            acked: BTreeMap::new(),
            show_all: true,
        }
    }

    pub(crate) fn request(&self) -> Vec<u8> {
        let acked = |r: ReplicaId| self.acked.get(&r).copied().unwrap_or_default();
        let replicas: Vec<ReplicaId> = self.logs.0.keys().copied().collect();
        let behind = |r: &ReplicaId| self.logs.head(*r).seq != acked(*r);
        let list = replicas
            .iter()
            .filter(|r| self.show_all || behind(r))
            .map(|r| Shown {
                replica: *r,
                acked: self.logs.position(*r, acked(*r)),
                head: self.logs.head(*r),
            })
            .collect();
        let deltas = replicas
            .iter()
            .filter(|r| behind(r))
            .map(|r| self.logs.delta(*r, acked(*r), 4))
            .collect();
        let request = Request {
            hello: HelloV1 {
                shop: "S017".into(),
                ..HelloV1::default()
            },
            certificate: CertificateV1::default(),
            positions: Positions {
                own: self.own,
                hash: self.logs.hash(),
                all: self.show_all,
                list,
            },
            deltas,
            token: None,
            health: None,
            quarantine: Vec::new(),
            disagreements: None,
        };
        request.seal(|_| [0; 64]).unwrap()
    }

    /// Stores a tail under a branch. One that goes on differently there branches again.
    fn store(&mut self, branch: ReplicaId, tail: &[Entry]) {
        let chains: Vec<_> = tail
            .iter()
            .scan(branch.origin(), |at, entry| {
                *at = at.then(&entry.bytes);
                Some(at.chain)
            })
            .collect();
        let head = self.logs.head(branch);
        let chain_at = self.logs.chain_at(branch);
        match decide::admit(head, branch, branch.origin(), &chains, chain_at).unwrap() {
            Outcome::Merge { skip } => {
                for entry in &tail[skip..] {
                    self.logs.append(branch, entry.movement.clone());
                }
            }
            Outcome::Fork { skip, branch, .. } => self.store(branch, &tail[skip..]),
            Outcome::Duplicate => {}
            Outcome::Gap { .. } | Outcome::Take => panic!("a branch begins at its origin"),
        }
    }

    /// Applies an answer; `mint` gives a replica that was never used.
    pub(crate) fn apply(&mut self, bytes: &[u8], mint: &mut dyn FnMut() -> ReplicaId) {
        let answer = Answer::read(&frame::open(bytes).unwrap()).unwrap();
        self.show_all = answer.welcome.show_all;
        for (replica, hub) in &answer.positions {
            let head = self.logs.head(*replica);
            match decide::acknowledge(head, *hub, self.logs.chain_at(*replica)).unwrap() {
                Acknowledged::UpTo(seq) => self.acked.insert(*replica, seq),
                Acknowledged::HubAhead => self.acked.insert(*replica, Seq(0)),
            };
        }
        for reply in &answer.replies {
            if let ReplyV1::Duplicate { replica, upto } = reply {
                let acked = self.acked.entry(ReplicaId(*replica)).or_default();
                *acked = Seq(*upto).max(*acked);
            }
        }
        for delta in &answer.deltas {
            let replica = delta.replica;
            let head = self.logs.head(replica);
            let taking = decide::take(
                head,
                replica,
                delta.base,
                &delta.chains(),
                self.logs.chain_at(replica),
            )
            .unwrap();
            let skip = match taking {
                Taking::Elsewhere => continue,
                Taking::Known => {
                    // They lie on the hub's log, whatever comes after them.
                    self.acked.insert(replica, delta.last_seq());
                    continue;
                }
                Taking::Extend { skip } => skip,
                Taking::Branch {
                    common,
                    skip,
                    branch,
                } => {
                    let log = self.logs.0.get_mut(&replica).unwrap();
                    let tail = log.split_off(usize::try_from(common.0).unwrap());
                    self.store(branch, &tail);
                    skip
                }
            };
            for entry in &delta.entries[skip..] {
                self.logs.append(replica, entry.movement.clone());
            }
            let end = self.logs.head(replica).seq;
            self.acked.insert(replica, end);
            if replica == self.own && taking.ends_own_replica() {
                self.own = mint();
            }
        }
    }
}
