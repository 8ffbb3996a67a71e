//! The hub in memory as a ledger meets it; everything travels in real frames.

use vitrina_shared::memory;
use vitrina_shared::wire::v1::{CertificateV1, HelloV1};
use vitrina_shared::wire::{Answer, Request, frame};
use vitrina_shared::{HoldId, Qty};

use super::*;
use crate::ledger::answer::{self, Heard, Taken, Via};
use crate::ledger::ask::{self, Ask, Show};

pub(super) struct Hub(pub(super) memory::Hub);

impl Hub {
    pub(super) fn new() -> Self {
        let mut hub = memory::Hub::new(LIFE);
        hub.limit = 3;
        Self(hub)
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        self.0.logs(&shop()).hash()
    }

    /// How many movements it holds.
    pub(super) fn count(&self) -> usize {
        self.0.logs(&shop()).count()
    }

    /// A website asks for a piece under this key; the hold.
    pub(super) fn place(&mut self, barcode: &str, key: &str) -> HoldId {
        self.0.now = NOW;
        let order = memory::Order {
            caller: "site".into(),
            idempotency_key: key.into(),
            barcode: code(barcode),
            shop: None,
            qty: Qty::new(1).unwrap(),
            order: format!("W-{key}").into(),
            allow_variant: false,
            ttl_ms: 3_600_000,
        };
        let mut next = key.bytes().map(u64::from).sum::<u64>() << 8;
        let mut random = || {
            next += 1;
            next
        };
        self.0.place(&order, &mut random).unwrap()
    }

    /// The website lets it go.
    pub(super) fn release(&mut self, hold: HoldId) {
        self.0.release(hold, &mut || 77).unwrap();
    }

    /// Another database, in another life.
    pub(super) fn begin_empty(&mut self, life: HubLife) {
        self.0.clear();
        self.0.life = life;
    }

    /// One exchange; `delivered` is false where the answer is lost.
    pub(super) fn exchange(&mut self, conn: &Connection, delivered: bool) -> Taken {
        let asked = ask::ask(
            conn,
            &Ask {
                show: Show::Changed,
                movements: 4,
                bytes: 10_000,
                now: NOW,
            },
        )
        .unwrap();
        let request = Request {
            hello: HelloV1 {
                shop: shop().to_string(),
                life: asked.life.map(|life| (life.ordinal, life.random)),
                ..HelloV1::default()
            },
            certificate: CertificateV1::default(),
            positions: asked.positions,
            deltas: asked.deltas,
            token: asked.token,
            health: None,
            quarantine: asked.quarantine,
            disagreements: asked.disagreements,
            digest: None,
            legs: Some(asked.legs.section),
            transfers: Some(asked.transfers),
        };
        let bytes = request.seal(|_| [0; 64]).unwrap();
        let mut bits = self.0.life.random.into_iter().map(u64::from).cycle();
        let mut random = || bits.next().unwrap();
        let exchanged = self.0.exchange(&shop(), &bytes, &mut random).unwrap();
        if !delivered {
            return Taken::default();
        }
        let bytes = exchanged.answer.seal().unwrap();
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
