//! The rows of the store are the model's, after whatever happened; and who holds the same movements shows the same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vitrina_shared::model::ShopModel;
use vitrina_shared::{Dot, Movement, MovementId, Qty, Total};

use super::hub::Hub;
use super::*;
use crate::ledger::log;

const BARCODES: [&str; 3] = ["A", "B", "C"];

/// Something that happens to one of two ledgers of one shop.
#[derive(Clone, Debug)]
enum Step {
    /// A till's or person's movement, by kind, barcode, units and receipt.
    Book(u8, usize, i64, u8),
    Cancel(u8),
    /// A statement of a barcode: units and minute.
    State(usize, i64, i64),
    /// A void of an id that may not be here.
    Void(u8),
    Exchange(bool),
    /// The ledger becomes a copy of what it was when it was last kept.
    Keep,
    Restore,
    /// It becomes a copy of the other one: two live machines with one replica.
    Clone,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u8, 0..3_usize, 1..4_i64, 0..6_u8).prop_map(|(kind, barcode, qty, receipt)| Step::Book(kind, barcode, qty, receipt)),
        2 => (0..6_u8).prop_map(Step::Cancel),
        2 => (0..3_usize, 0..4_i64, 0..4_i64).prop_map(|(barcode, qty, minute)| Step::State(barcode, qty, minute)),
        1 => (0..6_u8).prop_map(Step::Void),
        4 => any::<bool>().prop_map(Step::Exchange),
        1 => Just(Step::Keep),
        1 => Just(Step::Restore),
        1 => Just(Step::Clone),
    ]
}

fn statement(barcode: &str, qty: i64, minute: i64) -> Movement {
    Movement {
        kind: Kind::Balance,
        condition: Condition::Sellable,
        key: Key::Statement,
        barcode: code(barcode),
        scanned: None,
        qty: Qty::new(qty).unwrap(),
        at: NOW.plus(minute * 60_000),
        target: None,
        rest: Box::default(),
    }
}

/// The sale that receipt `number` could be.
fn possible_sale(number: u8) -> Movement {
    let booking = sale(BARCODES[usize::from(number) % 3], 1, &number.to_string());
    Movement {
        kind: Kind::Sale,
        condition: Condition::Sellable,
        key: booking.key,
        barcode: booking.code,
        scanned: None,
        qty: Qty::new(-1).unwrap(),
        at: NOW,
        target: None,
        rest: Box::default(),
    }
}

struct Agent {
    conn: Connection,
    kept: Connection,
}

impl Agent {
    fn new() -> Self {
        let conn = ledger();
        Self {
            kept: super::exchange::copy(&conn),
            conn,
        }
    }

    fn take(&mut self, step: &Step, hub: &mut Hub) {
        let conn = &self.conn;
        match step {
            Step::Book(kind, barcode, qty, receipt) => {
                let kind =
                    [Kind::Sale, Kind::Return, Kind::Receipt, Kind::Count][usize::from(*kind)];
                desk(conn)
                    .book(&line(
                        kind,
                        BARCODES[*barcode],
                        *qty,
                        (&receipt.to_string(), NOW),
                    ))
                    .unwrap();
            }
            Step::Cancel(receipt) => {
                drop(desk(conn).cancel(&cancel(&receipt.to_string())).unwrap());
            }
            Step::State(barcode, qty, minute) => {
                desk(conn)
                    .append(statement(BARCODES[*barcode], *qty, *minute))
                    .unwrap();
            }
            Step::Void(number) => {
                let target = match number {
                    // A statement, or a void: which cannot be voided.
                    0 => statement("A", 1, 1).id(&shop()),
                    1 => Movement::void(
                        code("A"),
                        Condition::Sellable,
                        MovementId([9; 16]),
                        NOW,
                        &Details::default(),
                    )
                    .id(&shop()),
                    2 => MovementId([9; 16]),
                    _ => possible_sale(*number).id(&shop()),
                };
                let void = Movement::void(
                    code("A"),
                    Condition::Sellable,
                    target,
                    NOW,
                    &Details::default(),
                );
                desk(conn).append(void).unwrap();
            }
            Step::Exchange(delivered) => drop(hub.exchange(conn, *delivered)),
            Step::Keep => self.kept = super::exchange::copy(conn),
            Step::Restore => self.conn = super::exchange::copy(&self.kept),
            Step::Clone => {}
        }
    }
}

/// The model of the same logs.
fn model(conn: &Connection) -> (ShopModel, BTreeMap<i64, vitrina_shared::ReplicaId>) {
    let mut model = ShopModel::new(shop());
    let mut names = BTreeMap::new();
    for held in replica::all(conn).unwrap() {
        names.insert(held.no, held.id);
        for entry in log::entries(conn, held.no, vitrina_shared::Seq(0), usize::MAX).unwrap() {
            model.append(held.id, entry.movement).unwrap();
        }
    }
    (model, names)
}

fn rows_are_the_models(conn: &Connection) {
    let (model, names) = model(conn);
    for barcode in BARCODES {
        let barcode = code(barcode);
        for (no, id) in &names {
            let row: Total = log::total(conn, &barcode, Condition::Sellable, *no).unwrap();
            assert_eq!(row, model.total(&barcode, Condition::Sellable, *id));
        }
        assert_eq!(
            Some(log::level(conn, &barcode).unwrap().on_hand),
            model.on_hand(&barcode)
        );
    }
    let mut query = conn
        .prepare("SELECT r.id, m.seq FROM movement m JOIN replica r ON r.no = m.replica WHERE m.counts = 0")
        .unwrap();
    let void = query
        .query_map([], |row| {
            let (replica, seq): ([u8; 16], i64) = (row.get(0)?, row.get(1)?);
            let seq = vitrina_shared::Seq(u64::try_from(seq).unwrap());
            Ok(Dot {
                replica: vitrina_shared::ReplicaId(replica),
                seq,
            })
        })
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    assert_eq!(model.voided(), void);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_are_the_models_and_two_ledgers_converge(steps in prop::collection::vec((any::<bool>(), step()), 1..40)) {
        let mut hub = Hub::new();
        let mut agents = [Agent::new(), Agent::new()];
        for (second, step) in &steps {
            let who = usize::from(*second);
            if matches!(step, Step::Clone) {
                agents[who].conn = super::exchange::copy(&agents[1 - who].conn);
            }
            agents[who].take(step, &mut hub);
            rows_are_the_models(&agents[who].conn);
        }
        for _ in 0..4 {
            for agent in &agents {
                hub.settle(&agent.conn);
            }
        }
        for agent in &agents {
            rows_are_the_models(&agent.conn);
            is_sound(&agent.conn);
        }
        let stock = |agent: &Agent| BARCODES.map(|barcode| on_hand(&agent.conn, barcode));
        prop_assert_eq!(stock(&agents[0]), stock(&agents[1]));
    }
}
