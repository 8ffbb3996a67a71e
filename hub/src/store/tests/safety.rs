//! Safety stock: which levels get a new place in the feed, and in how many transactions.

use vitrina_shared::safety::{Goods, Scope};

use super::*;

fn set(store: &Store, scope: Scope, units: Option<u32>) -> SafetySet {
    wait(store.set_safety(By::CommandLine, scope, units)).unwrap()
}

fn positions(store: &Store) -> BTreeMap<(u32, Barcode), u64> {
    let levels = store.levels().unwrap().into_iter();
    levels
        .map(|level| ((level.shop, level.barcode), level.pos))
        .collect()
}

#[test]
fn a_rule_of_the_chain_moves_every_level_in_bounded_transactions_and_goes_on_after_a_stop() {
    let hub = Hub::new();
    let log: Vec<Movement> = (0..1_500)
        .map(|number| receipt(&format!("B{number:04}"), 1))
        .collect();
    hub.bring(vec![whole(1, &log)]);
    let second = brought("S2", vec![whole(2, &[receipt("A", 1)])]);
    wait(hub.store.receive(second)).unwrap();
    let (before, head) = (positions(&hub.store), hub.store.head().pos);
    let moved = |store: &Store| {
        let now = positions(store).into_iter();
        now.filter(|(level, pos)| before[level] != *pos).count()
    };
    let chain = Scope {
        shop: None,
        goods: Goods::All,
    };

    assert_eq!(
        set(&hub.store, chain.clone(), Some(1)),
        SafetySet::Is { before: None }
    );
    assert_eq!(moved(&hub.store), 0);
    assert!(wait(hub.store.tell_safety()).unwrap());
    assert_eq!(moved(&hub.store), 1_000);
    hub.must_balance();

    wait(hub.store.close());
    let store = Store::open(&hub.folder.path().join("hub.sqlite3"), None).unwrap();
    assert!(wait(store.tell_safety()).unwrap());
    assert_eq!(moved(&store), 1_500);
    assert!(!wait(store.tell_safety()).unwrap());
    assert_eq!(moved(&store), 1_501);
    assert!(positions(&store).values().all(|pos| *pos > head));
    assert_eq!(
        set(&store, chain, Some(1)),
        SafetySet::Is { before: Some(1) }
    );
    assert!(
        !wait(store.tell_safety()).unwrap(),
        "what is said again is no news"
    );
    wait(store.close());
}

#[test]
fn a_rule_of_a_barcode_moves_its_levels_at_once_and_no_other() {
    let hub = Hub::new();
    hub.bring(vec![whole(1, &[receipt("A", 1), receipt("B", 1)])]);
    let second = brought("S2", vec![whole(2, &[receipt("A", 2)])]);
    wait(hub.store.receive(second)).unwrap();
    let scope = |shop: Option<&str>| Scope {
        shop: shop.map(|shop| shop.parse().unwrap()),
        goods: Goods::Barcode("A".parse().unwrap()),
    };
    let moved = |before: &BTreeMap<(u32, Barcode), u64>| {
        let now = positions(&hub.store).into_iter();
        let moved = now.filter(|(level, pos)| before[level] != *pos);
        moved
            .map(|((_, barcode), _)| barcode.as_str().to_owned())
            .collect::<Vec<_>>()
    };

    let before = positions(&hub.store);
    set(&hub.store, scope(Some("S2")), Some(1));
    assert_eq!(moved(&before), ["A"]);
    set(&hub.store, scope(None), Some(2));
    assert_eq!(moved(&before), ["A", "A"]);
    assert_eq!(
        set(&hub.store, scope(Some("S9")), Some(1)),
        SafetySet::UnknownShop
    );
    hub.must_balance();
}
