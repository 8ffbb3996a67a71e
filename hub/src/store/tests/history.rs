//! What counts, and how readers see what was merged.

use super::*;

#[test]
fn the_feed_of_movements_has_each_id_once_and_again_when_it_is_voided() {
    let hub = Hub::new();
    let sold = sale("A", "1");
    let id = sold.id(&shop("S1"));
    hub.bring(vec![whole(2, &[receipt("A", 5), sold.clone()])]);
    let first = wait(hub.store.movements_feed(MovementFilter::default(), 0, 100)).unwrap();

    // A twin under a smaller replica: the same id, the same state, no news.
    hub.bring(vec![whole(1, &[sold])]);
    let twin = wait(
        hub.store
            .movements_feed(MovementFilter::default(), first.upto, 100),
    )
    .unwrap();
    let void = Movement::void(
        "A".parse().unwrap(),
        Condition::Sellable,
        id,
        TimeMs(11),
        &Details::default(),
    );
    hub.bring(vec![cut(
        2,
        &[receipt("A", 5), sale("A", "1"), void.clone()],
        2,
        3,
    )]);
    let last = wait(
        hub.store
            .movements_feed(MovementFilter::default(), twin.upto, 100),
    )
    .unwrap();

    assert_eq!(
        first.rows.iter().map(|row| row.counts).collect::<Vec<_>>(),
        [true, true]
    );
    assert_eq!(
        twin.rows
            .iter()
            .map(|row| (row.id, row.counts))
            .collect::<Vec<_>>(),
        [(id, true)]
    );
    let news: Vec<_> = last
        .rows
        .iter()
        .map(|row| (row.movement.kind, row.id, row.counts))
        .collect();
    assert_eq!(
        news,
        [
            (Kind::Void, void.id(&shop("S1")), true),
            (Kind::Sale, id, false)
        ]
    );
    hub.must_balance();
}

#[test]
fn pages_of_movements_are_whole_and_the_latest_come_first() {
    let hub = Hub::new();
    let log: Vec<Movement> = (0..7)
        .map(|i| sale(if i % 2 == 0 { "A" } else { "B" }, &i.to_string()))
        .collect();
    hub.bring(vec![cut(1, &log, 0, 4)]);
    hub.bring(vec![cut(1, &log, 4, 7)]);

    for (filter, seqs) in [
        (MovementFilter::default(), vec![7, 6, 5, 4, 3, 2, 1]),
        (
            MovementFilter {
                barcode: Some("A".parse().unwrap()),
                ..MovementFilter::default()
            },
            vec![7, 5, 3, 1],
        ),
        (
            MovementFilter {
                shop: Some(shop("S1")),
                ..MovementFilter::default()
            },
            vec![7, 6, 5, 4, 3, 2, 1],
        ),
        (
            MovementFilter {
                shop: Some(shop("S2")),
                ..MovementFilter::default()
            },
            vec![],
        ),
    ] {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = wait(hub.store.movements_page(filter.clone(), before, 2)).unwrap();
            found.extend(page.rows.iter().map(|row| row.seq.0));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(found, seqs, "{filter:?}");
    }
}

#[test]
fn an_explanation_ends_at_the_number_that_is_shown() {
    let hub = Hub::new();
    hub.bring(vec![whole(
        1,
        &[
            receipt("A", 5),
            sale("A", "1"),
            receipt("B", 1),
            sale("A", "2"),
        ],
    )]);

    let rows = wait(hub.store.explain("A".parse().unwrap(), None)).unwrap();

    assert_eq!(
        rows.iter().map(|row| row.sum).collect::<Vec<_>>(),
        [5, 4, 3]
    );
}

#[test]
fn a_void_takes_its_movement_out_whichever_comes_first() {
    let sold = sale("A", "1");
    let void = Movement::void(
        "A".parse().unwrap(),
        Condition::Sellable,
        sold.id(&shop("S1")),
        TimeMs(11),
        &Details::default(),
    );
    for log in [
        [receipt("A", 5), sold.clone(), void.clone()],
        [receipt("A", 5), void, sold],
    ] {
        let hub = Hub::new();
        for end in 1..=3 {
            hub.bring(vec![cut(1, &log, end - 1, end)]);
        }

        assert_eq!(hub.on_hand("A"), 5);
        hub.must_balance();
    }
}

#[test]
fn of_the_statements_of_a_barcode_the_latest_counts() {
    let hub = Hub::new();
    let state = |qty, at| movement(Kind::Balance, "A", qty, Key::Statement, at);
    let log = [state(7, 100), state(3, 50), state(4, 200)];

    for (end, on_hand) in [(1, 7), (2, 7), (3, 4)] {
        hub.bring(vec![cut(1, &log, end - 1, end)]);
        assert_eq!(hub.on_hand("A"), on_hand, "after {end}");
        hub.must_balance();
    }
}

#[test]
fn a_big_shop_is_told_not_now_until_its_ids_are_known() {
    let hub = Hub::new();
    let log: Vec<Movement> = (0..5_001).map(|i| sale("A", &i.to_string())).collect();
    hub.bring(vec![cut(1, &log, 0, 2_500)]);
    hub.bring(vec![cut(1, &log, 2_500, 5_001)]);
    let twin = [sale("A", "7"), sale("A", "new")];

    let early = hub.bring(vec![whole(2, &twin)]);
    let shop = wait(hub.store.being_indexed()).unwrap()[0];
    while !wait(hub.store.index_step(shop)).unwrap() {}
    let late = hub.bring(vec![whole(2, &twin)]);

    assert_eq!(early.replies, [Reply::NotNow { replica: [2; 16] }]);
    assert!(early.must_index);
    assert_eq!(
        late.replies,
        [Reply::Merged {
            replica: [2; 16],
            skip: 0
        }]
    );
    assert_eq!(hub.on_hand("A"), -5_002);
    hub.must_balance();
}
