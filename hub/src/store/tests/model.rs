//! The SQL join against the join of the model: whatever comes, in whichever order, cut and repeated as it may be.

use std::collections::BTreeSet;

use proptest::prelude::*;
use vitrina_shared::model::ShopModel;

use super::*;

/// One movement to be made up.
#[derive(Clone, Debug)]
struct Spec {
    log: usize,
    kind: u8,
    barcode: u8,
    unavailable: bool,
    qty: i64,
    key: u8,
    at: i64,
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let spec = (
        0..3_usize,
        0..8_u8,
        0..3_u8,
        any::<bool>(),
        1..4_i64,
        0..5_u8,
        0..4_i64,
    )
        .prop_map(|(log, kind, barcode, unavailable, qty, key, at)| Spec {
            log,
            kind,
            barcode,
            unavailable,
            qty,
            key,
            at,
        });
    prop::collection::vec(spec, 1..30)
}

/// The logs: within one no id is there twice, because its agent keeps the index; in several it may be.
fn logs(specs: &[Spec]) -> Vec<Vec<Movement>> {
    let shop = shop("S1");
    let mut logs = vec![Vec::new(), Vec::new(), Vec::new()];
    let mut ids: Vec<BTreeSet<MovementId>> = vec![BTreeSet::default(); 3];
    let mut known: Vec<MovementId> = Vec::new();
    for spec in specs {
        let barcode = ["A", "B", "C"][usize::from(spec.barcode)];
        let call = Key::call(&spec.key.to_string());
        let mut made = match spec.kind {
            0 | 1 => movement(Kind::Sale, barcode, -spec.qty, call, spec.at),
            2 => movement(Kind::Receipt, barcode, spec.qty, call, spec.at),
            3 => movement(Kind::Opening, barcode, spec.qty, Key::Opening, spec.at),
            4 | 5 => movement(Kind::Balance, barcode, spec.qty, Key::Statement, spec.at),
            _ => {
                let target = known
                    .get(usize::from(spec.key))
                    .copied()
                    .unwrap_or(MovementId([spec.key; 16]));
                Movement::void(
                    barcode.parse().unwrap(),
                    Condition::Sellable,
                    target,
                    TimeMs(spec.at),
                    &Details::default(),
                )
            }
        };
        if spec.unavailable {
            made.condition = Condition::Unavailable;
        }
        let id = made.id(&shop);
        known.insert(0, id);
        if ids[spec.log].insert(id) {
            logs[spec.log].push(made);
        }
    }
    logs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rows_are_the_join_of_the_model_whatever_comes_when(
        specs in specs(),
        schedule in prop::collection::vec((0..3_usize, 0..6_usize, 1..5_usize), 0..20),
    ) {
        let hub = Hub::new();
        let logs = logs(&specs);
        let mut model = ShopModel::new(shop("S1"));
        for (replica, log) in (1..).zip(&logs) {
            for movement in log {
                model.append(ReplicaId([replica; 16]), movement.clone()).unwrap();
            }
        }

        for (log, from, count) in schedule {
            let from = from.min(logs[log].len());
            let upto = (from + count).min(logs[log].len());
            if from < upto {
                let replica = u8::try_from(log).unwrap() + 1;
                hub.bring(vec![cut(replica, &logs[log], from, upto)]);
            }
        }
        for (replica, log) in (1..).zip(&logs).filter(|(_, log)| !log.is_empty()) {
            hub.bring(vec![whole(replica, log)]);
        }

        for barcode in ["A", "B", "C"] {
            prop_assert_eq!(Some(hub.on_hand(barcode)), model.on_hand(&barcode.parse().unwrap()), "{}", barcode);
        }
        let uncounted: usize = model.voided().len();
        let feed = wait(hub.store.movements_page(MovementFilter::default(), None, 1_000)).unwrap();
        prop_assert_eq!(feed.rows.iter().filter(|row| !row.counts).count(), uncounted);
        hub.must_balance();
    }
}
