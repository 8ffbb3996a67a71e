//! The laws of the join: order, repetition and grouping do not matter, voids included; SQL and `crdts` agree.

use crate::common::{append, barcode, logs as no_logs, movement, shop};
use proptest::prelude::*;
use rusqlite::Connection;
use vitrina_shared::model::{Cell, ShopModel};
use vitrina_shared::{ReplicaId, Total};

/// Four logs of which each state holds some prefix: what peers of one shop can hold.
fn histories() -> impl Strategy<Value = [ShopModel; 3]> {
    let log = prop::collection::vec(movement(), 0..8);
    (
        prop::collection::vec(log, 4),
        prop::collection::vec(0_usize..9, 12),
    )
        .prop_map(|(logs, cuts)| {
            std::array::from_fn(|state| {
                let mut held = no_logs();
                for (number, log) in logs.iter().enumerate() {
                    let replica = ReplicaId([u8::try_from(number).unwrap(); 16]);
                    for movement in log.iter().take(cuts[state * 4 + number]) {
                        append(&mut held, replica, movement.clone());
                    }
                }
                held.model().unwrap()
            })
        })
}

fn join(a: &ShopModel, b: &ShopModel) -> ShopModel {
    let mut joined = a.clone();
    joined.merge(b);
    joined
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_join_is_commutative_associative_and_idempotent([a, b, c] in histories()) {
        prop_assert_eq!(&join(&a, &b), &join(&b, &a));
        prop_assert_eq!(&join(&join(&a, &b), &c), &join(&a, &join(&b, &c)));
        prop_assert_eq!(&join(&a, &a), &a);
        let once = join(&a, &b);
        prop_assert_eq!(&join(&once, &b), &once);
    }

    #[test]
    fn who_holds_the_same_movements_shows_the_same_stock([a, b, c] in histories()) {
        let one = join(&join(&a, &b), &c);
        let other = join(&c, &join(&b, &a));
        for number in 0..3 {
            prop_assert_eq!(one.on_hand(&barcode(number)), other.on_hand(&barcode(number)));
        }
        prop_assert_eq!(one.voided(), other.voided());
    }

    #[test]
    fn of_the_dots_of_one_id_at_most_one_counts([a, b, c] in histories()) {
        let all = join(&join(&a, &b), &c);
        let voided = all.voided();
        let mut counting = std::collections::BTreeSet::new();
        for replica in all.replicas() {
            for (entry, seq) in all.log(replica).iter().zip(1..) {
                let dot = vitrina_shared::Dot { replica, seq: vitrina_shared::Seq(seq) };
                if !voided.contains(&dot) {
                    prop_assert!(counting.insert(entry.movement.id(&shop())), "{dot:?} counts again");
                }
            }
        }
    }

    #[test]
    fn the_join_in_sql_is_the_join_of_the_counters(
        messages in prop::collection::vec((0_u8..4, 0_u8..3, 0_u64..50, 0_u64..50), 0..60),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..120),
    ) {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE total(barcode INTEGER, replica INTEGER, p INTEGER, n INTEGER, PRIMARY KEY(barcode, replica)) STRICT, WITHOUT ROWID").unwrap();
        let mut cells: [Cell; 3] = Default::default();
        // Any message may come in any order, any number of times, or never.
        for index in order.iter().filter(|_| !messages.is_empty()) {
            let (replica, code, p, n) = *index.get(&messages);
            let (p_sql, n_sql) = (i64::try_from(p).unwrap(), i64::try_from(n).unwrap());
            db.execute(
                "INSERT INTO total VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
                 SET p = max(p, excluded.p), n = max(n, excluded.n) WHERE excluded.p > p OR excluded.n > n",
                (code, replica, p_sql, n_sql),
            ).unwrap();
            cells[usize::from(code)].join(ReplicaId([replica; 16]), Total { p, n });
        }
        for (code, cell) in cells.iter().enumerate() {
            let on_hand: i64 = db
                .query_row("SELECT coalesce(sum(p - n), 0) FROM total WHERE barcode = ?1", [i64::try_from(code).unwrap()], |row| row.get(0))
                .unwrap();
            prop_assert_eq!(cell.value(), Some(on_hand));
        }
    }
}
