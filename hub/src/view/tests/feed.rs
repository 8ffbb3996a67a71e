//! The feed: each thing once, and a snapshot goes on with it.

use super::*;

#[test]
fn the_feed_shows_each_thing_once_at_its_last_position() {
    let view = view(1);
    for pos in 2..200 {
        commit(
            &view,
            vec![level(
                0,
                if pos % 2 == 0 { "A" } else { "B" },
                i64::try_from(pos).unwrap(),
                pos,
            )],
        );
    }

    let (items, upto, more) = page(&view, 0, 100);

    assert_eq!(
        items
            .iter()
            .map(|item| item["kind"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["shop", "level", "level"]
    );
    assert_eq!(
        (&items[1]["on_hand"], &items[2]["on_hand"]),
        (&198.into(), &199.into())
    );
    assert_eq!((upto, more), (199, false));
    let (first, upto, more) = page(&view, 0, 1);
    assert_eq!((first.len(), more), (1, true));
    assert_eq!(page(&view, upto, 100).0.len(), 2);
}

#[test]
fn a_shop_off_the_website_is_told_and_then_silent() {
    let view = view(2);
    commit(&view, vec![level(0, "A", 1, 5), level(1, "A", 1, 6)]);
    let before = etag(&view, "A");

    view.apply(
        &head(7),
        vec![Change::Shop(ShopRow {
            publish: false,
            pos: 7,
            ..shop(0, "S000")
        })],
    );

    let item = body(&view, "A");
    assert_eq!(
        (item["levels"].as_array().unwrap().len(), &item["on_hand"]),
        (1, &1.into())
    );
    assert_ne!(etag(&view, "A"), before);
    let (items, ..) = page(&view, 2, 100);
    assert_eq!(items.len(), 2);
    assert_eq!(
        (&items[1]["shop"], &items[1]["publish"]),
        (&"S000".into(), &false.into())
    );
    assert!(items[1].get("name").is_none());
    assert_eq!(
        view.list(&StockQuery {
            shop: Some("S000".parse().unwrap()),
            limit: 9,
            ..StockQuery::default()
        })
        .unwrap_err()
        .code(),
        Code::UnknownShop
    );
}

/// What a reader of the feed has after applying the pages from `since` on.
fn follow(view: &View, mut since: u64, state: &mut BTreeMap<(String, String), i64>, until: u64) {
    while since < until {
        let (items, upto, _) = page(view, since, 7);
        for item in items.iter().filter(|item| item["kind"] == "level") {
            let text = |name: &str| item[name].as_str().unwrap().to_owned();
            state.insert(
                (text("barcode"), text("shop")),
                item["on_hand"].as_i64().unwrap(),
            );
        }
        since = upto;
    }
}

#[test]
fn a_snapshot_and_the_feed_from_its_cursor_are_the_state_while_commits_go_on() {
    let view = Arc::new(view(4));
    let last = 4 + 8_000;
    let writer = {
        let view = Arc::clone(&view);
        std::thread::spawn(move || {
            for pos in 5..=last {
                let shop = u32::try_from(pos * 7 % 4).unwrap();
                commit(
                    &view,
                    vec![level(
                        shop,
                        &format!("B{}", pos * 31 % 97),
                        i64::try_from(pos).unwrap(),
                        pos,
                    )],
                );
            }
        })
    };
    let mut copy = BTreeMap::new();
    let (cursor, mut snapshot) =
        snapshot::Snapshot::begin(&view, (Format::Ndjson, Channel::NetOfHolds));
    while let Some(piece) = snapshot.next_piece() {
        for line in String::from_utf8(piece).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            assert!(
                copy.insert(
                    (text("barcode"), text("shop")),
                    row["on_hand"].as_i64().unwrap()
                )
                .is_none()
            );
        }
    }
    follow(&view, cursor.pos, &mut copy, last);
    writer.join().unwrap();

    let mut truth = BTreeMap::new();
    for pos in 5..=last {
        truth.insert(
            (
                format!("B{}", pos * 31 % 97),
                format!("S{:03}", pos * 7 % 4),
            ),
            i64::try_from(pos).unwrap(),
        );
    }
    assert_eq!(copy, truth);
}

#[test]
fn other_shops_levels_are_given_once_each_in_order() {
    let view = view(2);
    commit(&view, vec![level(0, "A", 1, 5), level(1, "A", 2, 6)]);
    commit(&view, vec![level(0, "A", 0, 7)]);

    let first = view.levels_since(0, 1);
    let rest = view.levels_since(first.upto, 10);

    assert_eq!(
        first
            .rows
            .iter()
            .map(|row| (row.shop, row.on_hand))
            .collect::<Vec<_>>(),
        [(1, 2)]
    );
    assert_eq!(
        rest.rows
            .iter()
            .map(|row| (row.shop, row.on_hand))
            .collect::<Vec<_>>(),
        [(0, 0)]
    );
    assert_eq!(rest.upto, 7);
}

#[test]
fn a_reader_and_the_tidying_of_the_feed_never_wait_for_each_other() {
    let view = Arc::new(view(1));
    commit(&view, vec![level(0, "RING", 1, 2)]);
    let (done, is_done) = std::sync::mpsc::channel();
    let reader = Arc::clone(&view);
    std::thread::spawn(move || {
        while reader.head().pos < 20_000 {
            body(&reader, "RING");
        }
        done.send(()).unwrap();
    });

    // Every other entry is overtaken, so the feed is tidied again and again while the item is read.
    std::thread::spawn(move || {
        (3..=20_000).for_each(|pos| commit(&view, vec![level(0, "RING", 1, pos)]));
    });

    let patience = std::time::Duration::from_mins(1);
    assert!(is_done.recv_timeout(patience).is_ok(), "they wait for ever");
}
