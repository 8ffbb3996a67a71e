//! A shop that lies: its device signs frames which no agent would build.

use std::sync::Arc;

use vitrina_shared::delta::{Entry, RowTotal};
use vitrina_shared::movement::Details;
use vitrina_shared::wire::Request;
use vitrina_shared::{
    Barcode, Condition, Delta, Key, Kind, Movement, Position, Qty, ReplicaId, Seq, TimeMs, Total,
};

use super::till::barcode;
use super::world::{Broken, Flight, World};

impl World {
    /// The device of a shop sends something that it must not.
    pub(super) fn lie(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        self.note("malice", format_args!("{shop}.{place}"));
        let (mut request, _) = self.shops[shop].places[place].machine.ask();
        request.token = None;
        self.written.insert(request.positions.own);
        let victim = (shop + 1) % self.shops.len();
        let what = match self.random.below(5) {
            0 if victim != shop && self.extend_another(&mut request, victim) => "foreign_log",
            1 if victim != shop && self.extend_another(&mut request, victim) => {
                request.hello.shop = self.shops[victim].id.to_string();
                "foreign_name"
            }
            2 => {
                self.leave_a_hole(&mut request);
                "hole"
            }
            3 => {
                let deltas = request.deltas.iter_mut();
                for row in deltas.flat_map(|delta| &mut delta.totals) {
                    row.total.p += 100;
                }
                "row_too_high"
            }
            _ => {
                if !self.write_anew(&mut request, shop, place) {
                    return Ok(());
                }
                "rewritten"
            }
        };
        self.note(what, format_args!("{shop}.{place}"));
        let bytes = self.sealed(shop, request)?;
        self.must_stay_its_own(shop, &Arc::from(bytes))
    }

    /// The hub takes it or not: no other shop changes.
    fn must_stay_its_own(&mut self, shop: usize, bytes: &Arc<[u8]>) -> Result<(), Broken> {
        let others = |world: &Self| {
            let all = world.shops.iter().enumerate();
            let others = all.filter(|(at, _)| *at != shop);
            others
                .map(|(_, other)| world.hub.logs(&other.id).hash())
                .collect::<Vec<_>>()
        };
        let before = others(self);
        let flight = Flight {
            shop,
            place: 0,
            exchange: 0,
            bytes: Arc::clone(bytes),
            is_answer: false,
            age: self.age,
        };
        self.take(&flight)?;
        if before == others(self) {
            Ok(())
        } else {
            Err(format!("I28 shop {shop} wrote into the log of another"))
        }
    }

    fn lie_of(&mut self) -> Movement {
        Movement {
            kind: Kind::Sale,
            condition: Condition::Sellable,
            key: Key::CallUuid(self.random.id()),
            barcode: barcode(self.random.below(7)),
            scanned: None,
            qty: Qty::new(-1_000_000).expect("the most that a movement has"),
            at: TimeMs(1),
            target: None,
            rest: Details::default().to_bytes(),
        }
    }

    /// Goes on with a log of another shop, if the hub holds one. (A name that the hub does not hold is 128 random bits
    /// that no shop but its own was ever told.)
    fn extend_another(&mut self, request: &mut Request, victim: usize) -> bool {
        let logs = self.hub.logs(&self.shops[victim].id);
        let Some(replica) = logs.replicas().next() else {
            return false;
        };
        request.deltas = vec![delta(replica, logs.head(replica), self.lie_of())];
        true
    }

    fn leave_a_hole(&mut self, request: &mut Request) {
        let replica = request.positions.own;
        let mut base = replica.origin();
        base.seq = Seq(1_000_000);
        request.deltas = vec![delta(replica, base, self.lie_of())];
    }

    /// Says the own history from some place on in another way.
    fn write_anew(&mut self, request: &mut Request, shop: usize, place: usize) -> bool {
        let machine = &self.shops[shop].places[place].machine;
        let (replica, head) = machine.own();
        if head.seq == Seq(0) {
            return false;
        }
        let seq = Seq(self.random.below(head.seq.0));
        let base = self.shops[shop].places[place]
            .machine
            .logs()
            .position(replica, seq);
        request.deltas = vec![delta(replica, base, self.lie_of())];
        true
    }
}

fn delta(replica: ReplicaId, base: Position, movement: Movement) -> Delta {
    let entries = vec![Entry::new(movement)];
    let sums = Delta::sums(&entries).expect("one movement");
    let row = |((barcode, condition), total): ((&Barcode, Condition), Total)| RowTotal {
        barcode: barcode.clone(),
        condition,
        total,
    };
    let totals = sums.into_iter().map(row).collect();
    Delta {
        replica,
        base,
        entries,
        totals,
    }
}
