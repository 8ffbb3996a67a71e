//! A shop's device without an agent: it speaks the exchange itself, so that many shops fit into one bench.

use std::collections::BTreeMap;

use vitrina_shared::decide::Shown;
use vitrina_shared::delta::{Entry, RowTotal};
use vitrina_shared::movement::{Condition, Key, Kind, Movement};
use vitrina_shared::wire::v1::{CertificateV1, HealthV1, HelloV1};
use vitrina_shared::wire::{
    Answer, CONTENT_TYPE, EnrolAnswer, EnrolRequest, Positions, Reply as Word, Request, frame,
    positions_hash,
};
use vitrina_shared::{Barcode, Delta, Position, Qty, ReplicaId, Seq, TimeMs, Total};

use vitrina_host::sign::{KeyPair, code_to_bytes};

use crate::Chain;
use crate::http::{Http, Reply};
use crate::sim::random::Random;

/// 2026-01-02T06:00:00Z: before anything that a bench does.
const OPENED: TimeMs = TimeMs(1_767_333_600_000);

/// The device of one shop.
#[derive(Debug)]
pub struct Device {
    shop: String,
    keys: KeyPair,
    certificate: CertificateV1,
    life: (u64, [u8; 16]),
    replica: ReplicaId,
    head: Position,
    token: Option<Vec<u8>>,
    boot: [u8; 16],
    totals: BTreeMap<(Barcode, Condition), Total>,
}

impl Device {
    /// Enrols a device with a one-time code.
    pub fn enrol(http: &mut Http, shop: &str, code: &str, random: &mut Random) -> Self {
        let seed: [u8; 32] = [random.id(), random.id()].concat().try_into().unwrap();
        let keys = KeyPair::from_seed(&seed).unwrap();
        let answer = post(http, "/v1/enrol", &enrolment(&keys, code));
        let enrolled = EnrolAnswer::read(&frame::open(&answer).unwrap()).unwrap();
        let replica = ReplicaId(random.id());
        Self {
            shop: shop.into(),
            certificate: enrolled.certificate,
            life: enrolled.life,
            replica,
            head: replica.origin(),
            token: None,
            boot: random.id(),
            totals: BTreeMap::new(),
            keys,
        }
    }

    /// The frame of an exchange that is signed rightly and speaks for another shop, which is refused.
    pub fn nonsense(&mut self) -> Vec<u8> {
        let honest = std::mem::replace(&mut self.shop, "S999".into());
        let frame = self.heartbeat();
        self.shop = honest;
        frame
    }

    /// The frame of a first exchange that brings the opening of these barcodes, at most 5,000, in their order, as an
    /// agent writes it; and the movements' canonical bytes.
    pub fn opening(&mut self, stock: &[(String, i64)]) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut sorted = stock.to_vec();
        sorted.sort();
        let base = self.head;
        let mut entries = Vec::with_capacity(sorted.len());
        let mut totals = Vec::with_capacity(sorted.len());
        for (barcode, units) in &sorted {
            let barcode: Barcode = barcode.parse().unwrap();
            let qty = Qty::new(*units).unwrap();
            let entry = Entry::new(Movement {
                kind: Kind::Opening,
                condition: Condition::Sellable,
                key: Key::Opening,
                barcode: barcode.clone(),
                scanned: None,
                qty,
                at: OPENED,
                target: None,
                rest: Box::default(),
            });
            self.head = self.head.then(&entry.bytes);
            entries.push(entry);
            totals.push(self.moved(barcode, Condition::Sellable, qty));
        }
        let bodies = entries.iter().map(|entry| entry.bytes.to_vec()).collect();
        let shown = vec![Shown {
            replica: self.replica,
            acked: base,
            head: self.head,
        }];
        let delta = Delta {
            replica: self.replica,
            base,
            entries,
            totals,
        };
        let pending = delta.entries.len() as u64;
        (self.request(shown, vec![delta], pending), bodies)
    }

    /// The frame of an exchange that has nothing to say but that the shop is well.
    pub fn heartbeat(&self) -> Vec<u8> {
        self.request(Vec::new(), Vec::new(), 0)
    }

    /// The row that a movement moved, as it is now.
    fn moved(&mut self, barcode: Barcode, condition: Condition, qty: Qty) -> RowTotal {
        let total = self.totals.entry((barcode.clone(), condition)).or_default();
        *total = total.after(qty).unwrap();
        RowTotal {
            barcode,
            condition,
            total: *total,
        }
    }

    /// An exchange that brings these movements, if any, as what follows its log.
    pub(crate) fn bringing(&mut self, entries: Vec<Entry>) -> Request {
        let base = self.head;
        self.head = entries.iter().fold(base, |at, entry| at.then(&entry.bytes));
        let pending = entries.len() as u64;
        let mut totals = BTreeMap::new();
        for Entry { movement, .. } in &entries {
            let row = (movement.barcode.clone(), movement.condition);
            let total = self.moved(row.0.clone(), row.1, movement.qty);
            totals.insert(row, total);
        }
        let deltas = match pending {
            0 => Vec::new(),
            _ => vec![Delta {
                replica: self.replica,
                base,
                entries,
                totals: totals.into_values().collect(),
            }],
        };
        let shown = Shown {
            replica: self.replica,
            acked: base,
            head: self.head,
        };
        self.asks(vec![shown], deltas, pending)
    }

    /// Signs an exchange.
    pub(crate) fn seal(&self, request: &Request) -> Vec<u8> {
        let sign = |signed: &[u8]| self.keys.sign(signed).unwrap().0;
        request.seal(sign).unwrap()
    }

    fn request(&self, list: Vec<Shown>, deltas: Vec<Delta>, pending: u64) -> Vec<u8> {
        self.seal(&self.asks(list, deltas, pending))
    }

    fn asks(&self, list: Vec<Shown>, deltas: Vec<Delta>, pending: u64) -> Request {
        let now = vitrina_host::clock::now_ms();
        Request {
            hello: HelloV1 {
                version: env!("CARGO_PKG_VERSION").into(),
                shop: self.shop.clone(),
                life: Some(self.life),
                // Far ahead: these shops ask for no catalogue and for no other shop's levels.
                registers: u64::from(u32::MAX),
                feed: u64::from(u32::MAX),
                wait_ms: 0,
                sent_at: now,
                boot: self.boot,
            },
            certificate: self.certificate.clone(),
            positions: Positions {
                own: self.replica,
                hash: positions_hash([(self.replica, self.head)]),
                all: !list.is_empty(),
                list,
            },
            deltas,
            token: self.token.clone(),
            health: Some(HealthV1 {
                pending,
                source_as_of: Some(now),
                ..HealthV1::default()
            }),
            quarantine: Vec::new(),
            disagreements: None,
            digest: None,
            legs: None,
            transfers: None,
        }
    }

    /// Reads an answer: the hub must hold all that this device has.
    pub fn heard(&mut self, answer: &[u8]) {
        let answer = Answer::read(&frame::open(answer).unwrap()).unwrap();
        let is_merged = |word: &Word| matches!(word, Word::Merged { skip: 0, .. });
        assert!(answer.replies.iter().all(is_merged), "{:?}", answer.replies);
        let own = answer.positions.iter().find(|(r, _)| *r == self.replica);
        assert!(own.is_none_or(|(_, at)| *at == self.head));
        assert!(self.head.seq == Seq(0) || !answer.welcome.show_all);
        self.token = answer.token;
        self.life = answer.welcome.life;
    }
}

/// Adds so many shops to a chain, each with one piece of each of so many barcodes, at most 5,000; the barcodes.
pub fn stock(chain: &Chain, shops: usize, barcodes: usize) -> Vec<String> {
    let mut random = Random::new(1);
    let barcodes: Vec<_> = (0..barcodes).map(|n| format!("30000189{n:05}")).collect();
    let stock: Vec<_> = barcodes.iter().map(|code| (code.clone(), 1)).collect();
    let mut line = Http::to(&chain.url);
    for (shop, code) in chain.add_shops(shops) {
        let mut device = Device::enrol(&mut line, &shop, &code, &mut random);
        let (opening, _) = device.opening(&stock);
        let answer = post(&mut line, "/v1/exchange", &opening);
        device.heard(&answer);
    }
    barcodes
}

/// The frame that asks for a device's certificate.
pub fn enrolment(keys: &KeyPair, code: &str) -> Vec<u8> {
    let request = EnrolRequest {
        code: code_to_bytes(code).unwrap(),
        device: keys.public().0,
        version: env!("CARGO_PKG_VERSION").into(),
        shop: None,
    };
    request.seal(|signed| keys.sign(signed).unwrap().0).unwrap()
}

/// Posts a frame and gives the answer's frame. A hub that is busy is asked again when it says.
pub fn post(http: &mut Http, path: &str, sealed: &[u8]) -> Vec<u8> {
    loop {
        let reply = send(http, path, sealed);
        if reply.status != 503 {
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            return reply.body;
        }
        let seconds = reply.header("retry-after").parse().unwrap_or(1);
        std::thread::sleep(std::time::Duration::from_secs(seconds));
    }
}

/// Posts a frame and gives whatever is answered.
pub fn send(http: &mut Http, path: &str, sealed: &[u8]) -> Reply {
    let headers = format!("Content-Type: {CONTENT_TYPE}\r\nAccept: {CONTENT_TYPE}\r\n");
    http.call("POST", path, &headers, sealed)
}
