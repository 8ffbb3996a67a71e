//! What the store promises, asked of the SQLite store.

mod audit;
mod history;
mod model;
mod safety;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use vitrina_shared::decide::Shown;
use vitrina_shared::delta::{Entry, RowTotal};
use vitrina_shared::movement::Kind;
use vitrina_shared::time::Day;
use vitrina_shared::wire::Reply;
use vitrina_shared::wire::v1::HealthV1;
use vitrina_shared::{
    Barcode, Condition, Delta, Details, Key, Money, Movement, MovementId, Position, Qty, ReplicaId,
    Seq, ShopId, TimeMs,
};

use super::*;
use crate::change::{LevelRow, ShopRow};
use crate::exchange::token::Claims;
use crate::merge::Incoming;

struct Hub {
    store: Store,
    /// The last level of each barcode and shop that readers were told.
    told: Arc<Mutex<BTreeMap<(u32, Barcode), LevelRow>>>,
    folder: tempfile::TempDir,
}

fn shop(name: &str) -> ShopId {
    name.parse().unwrap()
}

fn row(name: &str) -> ShopRow {
    ShopRow {
        index: 0,
        shop: shop(name),
        settings: vitrina_shared::registers::Settings::default(),
        address: None,
        lat: None,
        lon: None,
        external_id: None,
        publish: true,
        revoked: false,
        enrolled: false,
        pos: 0,
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

impl Hub {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("hub.sqlite3"), None).unwrap();
        let told: Arc<Mutex<BTreeMap<(u32, Barcode), LevelRow>>> = Arc::default();
        let hears = Arc::clone(&told);
        store.listen(Box::new(move |_, changes| {
            for change in changes {
                if let Change::Level(level) = change {
                    hears
                        .lock()
                        .unwrap()
                        .insert((level.shop, level.barcode.clone()), level);
                }
            }
        }));
        let shops = vec![(row("S1"), [1; 32]), (row("S2"), [2; 32])];
        wait(store.add_shops(By::CommandLine, shops, TimeMs(i64::MAX)))
            .unwrap()
            .unwrap();
        Self {
            store,
            told,
            folder,
        }
    }

    fn bring(&self, deltas: Vec<Delta>) -> Taken {
        wait(self.store.receive(brought("S1", deltas))).unwrap()
    }

    fn on_hand(&self, barcode: &str) -> i64 {
        let levels = self.store.levels().unwrap();
        levels
            .iter()
            .find(|level| level.barcode.as_str() == barcode)
            .map_or(0, |level| level.on_hand)
    }

    /// The tables agree with the movements, and readers were told what stands in the tables.
    fn must_balance(&self) {
        assert_eq!(self.store.verify(None).unwrap().problems, []);
        let told = self.told.lock().unwrap();
        for level in self.store.levels().unwrap() {
            assert_eq!(told.get(&(level.shop, level.barcode.clone())), Some(&level));
        }
    }
}

fn brought(name: &str, deltas: Vec<Delta>) -> Brought {
    let movements = deltas.iter().map(|delta| delta.entries.len() as u64).sum();
    Brought {
        via: Via::Line,
        shop: shop(name),
        device: [9; 32],
        issued_at: 1,
        own: ReplicaId([1; 16]),
        version: "1".into(),
        sent_at: 0,
        shown: Vec::new(),
        deltas: deltas
            .into_iter()
            .map(|delta| Incoming::of(delta).unwrap())
            .collect(),
        movements,
        claims: None,
        health: Some(HealthV1 {
            pending: movements,
            ..HealthV1::default()
        }),
        problems: Vec::new(),
        quarantine: Vec::new(),
        disagreements: None,
        legs: None,
    }
}

fn movement(kind: Kind, barcode: &str, qty: i64, key: Key, at: i64) -> Movement {
    Movement {
        kind,
        condition: Condition::Sellable,
        key,
        barcode: barcode.parse().unwrap(),
        scanned: None,
        qty: Qty::new(qty).unwrap(),
        at: TimeMs(at),
        target: None,
        rest: Box::default(),
    }
}

fn sale(barcode: &str, receipt: &str) -> Movement {
    let key = Key::Receipt {
        till: "1".into(),
        receipt: receipt.into(),
        line: 1,
        day: Day(20_261_122),
    };
    movement(Kind::Sale, barcode, -1, key, 10)
}

fn receipt(barcode: &str, qty: i64) -> Movement {
    movement(
        Kind::Receipt,
        barcode,
        qty,
        Key::call(&format!("in {barcode} {qty}")),
        5,
    )
}

/// The movements of a log after `from`, as its agent cuts them.
fn cut(replica: u8, log: &[Movement], from: usize, upto: usize) -> Delta {
    let replica = ReplicaId([replica; 16]);
    let mut base = replica.origin();
    for movement in &log[..from] {
        base = base.then(&movement.to_bytes());
    }
    let totals = {
        let all: Vec<Entry> = log[..upto].iter().cloned().map(Entry::new).collect();
        let sums = Delta::sums(&all).unwrap();
        let touched = |barcode: &Barcode, condition: Condition| {
            log[from..upto]
                .iter()
                .any(|m| m.barcode == *barcode && m.condition == condition)
        };
        sums.into_iter()
            .filter(|((barcode, condition), _)| touched(barcode, *condition))
            .map(|((barcode, condition), total)| RowTotal {
                barcode: barcode.clone(),
                condition,
                total,
            })
            .collect()
    };
    Delta {
        replica,
        base,
        entries: log[from..upto].iter().cloned().map(Entry::new).collect(),
        totals,
    }
}

fn whole(replica: u8, log: &[Movement]) -> Delta {
    cut(replica, log, 0, log.len())
}

#[test]
fn a_delta_sent_twice_counts_once() {
    let hub = Hub::new();
    let log = [receipt("A", 5), sale("A", "1"), sale("B", "2")];

    let first = hub.bring(vec![cut(1, &log, 0, 2)]);
    let again = hub.bring(vec![whole(1, &log)]);
    let third = hub.bring(vec![whole(1, &log)]);

    assert_eq!(
        first.replies,
        [Reply::Merged {
            replica: [1; 16],
            skip: 0
        }]
    );
    assert_eq!(
        again.replies,
        [Reply::Merged {
            replica: [1; 16],
            skip: 2
        }]
    );
    assert_eq!(
        third.replies,
        [Reply::Duplicate {
            replica: [1; 16],
            upto: 3
        }]
    );
    assert_eq!((hub.on_hand("A"), hub.on_hand("B")), (4, -1));
    assert_eq!((first.repairs, again.repairs), (0, 0));
    hub.must_balance();
}

#[test]
fn what_a_sender_says_of_its_totals_is_counted_and_never_taken() {
    let hub = Hub::new();
    let mut delta = whole(1, &[receipt("A", 5)]);
    delta.totals[0].total.p = 500;

    let taken = hub.bring(vec![delta]);

    assert_eq!((taken.repairs, hub.on_hand("A")), (1, 5));
    hub.must_balance();
}

#[test]
fn a_hole_is_asked_for_and_nothing_of_it_is_kept() {
    let hub = Hub::new();
    let log = [receipt("A", 5), sale("A", "1")];

    let taken = hub.bring(vec![cut(1, &log, 1, 2)]);

    assert_eq!(
        taken.replies,
        [Reply::Gap {
            replica: [1; 16],
            expected: 1
        }]
    );
    assert_eq!(hub.on_hand("A"), 0);
}

#[test]
fn a_log_of_another_shop_is_refused_and_nothing_is_kept() {
    let hub = Hub::new();
    hub.bring(vec![whole(1, &[receipt("A", 5)])]);

    let stranger = brought(
        "S2",
        vec![
            whole(2, &[receipt("B", 1)]),
            whole(1, &[receipt("A", 5), sale("A", "1")]),
        ],
    );
    let refused = wait(hub.store.receive(stranger));

    assert!(matches!(refused, Err(StoreError::ForeignReplica)));
    assert_eq!((hub.on_hand("A"), hub.on_hand("B")), (5, 0));
}

#[test]
fn a_forked_tail_is_stored_under_its_branch_at_once_and_shared_sales_count_once() {
    let hub = Hub::new();
    let known = [receipt("A", 9), sale("A", "1"), sale("A", "2")];
    hub.bring(vec![whole(1, &known)]);

    // The restored agent forgot receipt 2, got its file again behind a new sale.
    let forked = [
        receipt("A", 9),
        sale("A", "1"),
        sale("A", "3"),
        sale("A", "2"),
    ];
    let taken = hub.bring(vec![whole(1, &forked)]);
    let again = hub.bring(vec![whole(1, &forked)]);

    let Reply::Forked {
        common: 2, branch, ..
    } = taken.replies[0]
    else {
        panic!("{:?}", taken.replies)
    };
    assert_eq!(again.replies, taken.replies);
    assert_eq!(hub.on_hand("A"), 6);
    let feed = wait(hub.store.movements_feed(MovementFilter::default(), 0, 100)).unwrap();
    let branched = feed
        .rows
        .iter()
        .filter(|row| row.replica == ReplicaId(branch))
        .count();
    assert_eq!(
        (feed.rows.len(), branched),
        (4, if branch < [1; 16] { 2 } else { 1 })
    );
    hub.must_balance();
}

#[test]
fn the_agent_gets_back_what_it_forgot() {
    let hub = Hub::new();
    let log = [
        receipt("A", 9),
        sale("A", "1"),
        sale("B", "2"),
        sale("A", "3"),
    ];
    let taken = hub.bring(vec![whole(1, &log)]);
    let at = |n: usize| {
        let replica = ReplicaId([1; 16]);
        log[..n].iter().fold(replica.origin(), |at, movement| {
            at.then(&movement.to_bytes())
        })
    };
    let shown = Shown {
        replica: ReplicaId([1; 16]),
        acked: at(1),
        head: at(2),
    };

    let ask = Ask {
        issued_at: 0,
        shop: taken.shop,
        life: None,
        registers: 0,
        shown: vec![shown],
        all: true,
        outcomes: Vec::new(),
        hash: [0; 32],
        digest: false,
        legs: None,
        transfers: None,
        now: TimeMs(0),
    };
    let found = wait(hub.store.answer(ask)).unwrap();

    assert_eq!(found.deltas, [cut(1, &log, 2, 4)]);
    assert_eq!(found.positions, [(ReplicaId([1; 16]), at(4))]);
}

#[test]
fn a_part_of_the_log_comes_with_the_totals_of_its_own_end() {
    let hub = Hub::new();
    let log: Vec<Movement> = (0..200).map(|i| sale("A", &i.to_string())).collect();
    hub.bring(vec![whole(1, &log)]);

    let Store::Sqlite(store) = &hub.store;
    let delta = store.db().read_blocking(|conn| {
        let log = super::log::find(conn, ReplicaId([1; 16]))?.unwrap();
        super::log::delta(conn, &log, Seq(10), 100, usize::MAX)
    });

    assert_eq!(delta.unwrap(), cut(1, &log, 10, 110));
}

#[test]
fn a_shops_words_are_told_and_a_later_sale_leaves_its_price() {
    let hub = Hub::new();
    let said = |price| {
        Details {
            price: Some(Money::rub(price)),
            ..Details::default()
        }
        .to_bytes()
    };
    let stated = Movement {
        rest: said(1_000),
        ..receipt("A", 5)
    };
    let sold = Movement {
        rest: said(900),
        ..sale("A", "1")
    };

    hub.bring(vec![whole(1, std::slice::from_ref(&stated))]);
    hub.bring(vec![cut(1, &[stated, sold], 1, 2)]);

    assert_eq!(
        hub.store.levels().unwrap()[0].price,
        Some(Money::rub(1_000))
    );
    hub.must_balance();
}

#[test]
fn a_token_that_this_database_does_not_know_begins_one_new_life() {
    let hub = Hub::new();
    let before = hub.store.head();
    let known = Claims::new(before.life, (before.pos, before.tag), &[]);
    let ahead = Claims::new(before.life, (before.pos + 1, 7), &[]);
    let lost = (
        ReplicaId([1; 16]),
        Position {
            seq: Seq(5),
            ..ReplicaId([1; 16]).origin()
        },
    );
    let unknown = Claims::new(before.life, (before.pos, before.tag), &[lost]);

    let with = |claims: &Claims| Brought {
        claims: Some(claims.clone()),
        ..brought("S1", Vec::new())
    };
    assert_eq!(wait(hub.store.receive(with(&known))).unwrap().begun, None);
    let second = wait(hub.store.receive(with(&unknown)))
        .unwrap()
        .begun
        .unwrap();
    // The old life is now a lower one, and no evidence any more.
    assert_eq!(wait(hub.store.receive(with(&ahead))).unwrap().begun, None);

    assert_eq!(second.ordinal, before.life.ordinal + 1);
    assert_eq!(hub.store.head().life, second);
}

#[test]
fn a_revoked_certificate_opens_nothing_and_a_later_one_does() {
    let hub = Hub::new();
    let row = wait(hub.store.shop(shop("S1"))).unwrap().unwrap();
    wait(hub.store.revoke_shop(By::CommandLine, row.clone())).unwrap();
    let refused = wait(hub.store.receive(brought("S1", Vec::new())));
    wait(
        hub.store
            .set_code(By::CommandLine, row.index, [7; 32], TimeMs(i64::MAX)),
    )
    .unwrap();
    let (used, issued_at) = wait(hub.store.use_code([7; 32], [9; 32], None)).unwrap();
    let taken = wait(hub.store.receive(Brought {
        issued_at,
        ..brought("S1", Vec::new())
    }));

    assert!(matches!(refused, Err(StoreError::Revoked)));
    assert_eq!(used, CodeUse::Opened(Box::new(shop("S1"))));
    assert!(!taken.unwrap().shop.revoked);
    assert_eq!(
        wait(hub.store.use_code([7; 32], [9; 32], None)).unwrap().0,
        CodeUse::Unknown
    );
}

#[test]
fn what_the_tables_say_wrongly_is_found_and_put_right() {
    let hub = Hub::new();
    hub.bring(vec![whole(1, &[receipt("A", 5), sale("A", "1")])]);
    let Store::Sqlite(store) = &hub.store;
    store
        .write_blocking(|txn| {
            Ok(txn
                .conn
                .execute("UPDATE total SET p = p + 3", [])
                .map(|_| ())?)
        })
        .unwrap();

    let found = hub.store.verify(None).unwrap().problems;
    wait(
        hub.store
            .repair(By::CommandLine, shop("S1"), "a test".into()),
    )
    .unwrap();

    assert_eq!(
        found.iter().map(|problem| problem.code).collect::<Vec<_>>(),
        ["total"]
    );
    hub.must_balance();
}

#[test]
fn a_shop_that_is_shown_again_tells_all_its_levels_anew() {
    let hub = Hub::new();
    hub.bring(vec![whole(1, &[receipt("A", 5), receipt("B", 1)])]);
    let row = wait(hub.store.shop(shop("S1"))).unwrap().unwrap();
    let hidden = wait(hub.store.set_shop(
        By::CommandLine,
        ShopRow {
            publish: false,
            ..row.clone()
        },
    ))
    .unwrap();

    let shown = wait(hub.store.set_shop(
        By::CommandLine,
        ShopRow {
            publish: true,
            ..hidden
        },
    ))
    .unwrap();

    assert!(
        hub.store
            .levels()
            .unwrap()
            .iter()
            .all(|level| level.pos > shown.pos)
    );
    hub.must_balance();
}
