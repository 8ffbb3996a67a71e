use std::collections::BTreeMap;

use serde_json::Value;
use vitrina_shared::freshness::Heard;
use vitrina_shared::registers::Item as CatalogueItem;

use super::flat::Format;
use super::list::StockQuery;
use super::sample::{commit, head, level, ring, shop, view};
use super::snapshot::snapshot_to;
use super::*;
use crate::change::{ShopHealth, Words};

const NOON: TimeMs = TimeMs(1_763_812_800_000);

fn body(view: &View, id: &str) -> Value {
    let answer = view.answer(&view.find(id).unwrap(), Wanted::default());
    serde_json::from_slice(&answer.body.unwrap()).unwrap()
}

fn etag(view: &View, id: &str) -> String {
    let answer = view.answer(&view.find(id).unwrap(), Wanted::default());
    answer.tag.etag.to_str().unwrap().to_owned()
}

fn hear(view: &View, shop: u32, at: TimeMs) {
    let heard = Heard {
        exchange: Some(at),
        complete: Some(at),
        source: Some(at),
        source_every_ms: None,
    };
    view.apply(
        &view.head(),
        vec![Change::Heard {
            shop,
            heard,
            status: ShopHealth::default(),
        }],
    );
}

fn page(view: &View, since: u64, limit: usize) -> (Vec<Value>, u64, bool) {
    let page = view.changes(since, limit);
    let items = format!("[{}]", String::from_utf8(page.items).unwrap());
    (serde_json::from_str(&items).unwrap(), page.upto, page.more)
}

#[test]
fn an_item_reads_as_the_interface_says() {
    let view = view(2);
    view.apply(
        &head(10),
        vec![
            Change::Item {
                barcode: "2000018987155".parse().unwrap(),
                item: Some(CatalogueItem {
                    external_id: Some("GUID#GUID".into()),
                    ..ring("K-1234", "17.5")
                }),
            },
            Change::Level(LevelRow {
                held: 1,
                ..level(0, "2000018987155", 1, 9)
            }),
            Change::Level(level(1, "2000018987155", -1, 10)),
        ],
    );
    hear(&view, 0, NOON.plus(59_999));

    let item = body(&view, "GUID#GUID");

    assert_eq!(
        item,
        serde_json::json!({
            "barcode": "2000018987155", "external_id": "GUID#GUID", "article": "K-1234", "name": "Кольцо",
            "attributes": {"size": "17.5"}, "on_hand": 0, "held": 1, "unavailable": 0, "safety_stock": 0, "available": 0,
            "levels": [
                {"shop": "S000", "on_hand": 1, "held": 1, "unavailable": 0, "safety_stock": 0, "available": 0,
                 "in_transit": 0, "price": {"amount": "45900.00", "currency": "RUB"},
                 "updated_at": "2025-11-22T12:00:00.009Z", "as_of": "2025-11-22T12:00:00.000Z", "confidence": "live"},
                {"shop": "S001", "on_hand": -1, "held": 0, "unavailable": 0, "safety_stock": 0, "available": 0,
                 "in_transit": 0, "price": {"amount": "45900.00", "currency": "RUB"},
                 "updated_at": "2025-11-22T12:00:00.010Z", "as_of": null, "confidence": "unknown"},
            ],
            "cursor": view.cursor(10).to_string(),
        })
    );
    let answer = view.answer(&view.find("2000018987155").unwrap(), Wanted::default());
    assert_eq!(answer.as_of, Some(NOON.plus(59_999)));
}

#[test]
fn the_tag_stays_while_only_time_passes_and_changes_with_every_news() {
    let view = view(1);
    commit(&view, vec![level(0, "A", 1, 5)]);
    hear(&view, 0, NOON);
    let first = etag(&view, "A");

    hear(&view, 0, NOON.plus(60_000));
    view.look(NOON.plus(120_000));
    assert_eq!(
        body(&view, "A")["levels"][0]["as_of"],
        "2025-11-22T12:01:00.000Z"
    );
    assert_eq!(etag(&view, "A"), first);
    let wanted = Wanted {
        none_match: Some(first.as_bytes()),
        gzip: false,
    };
    assert!(view.answer(&view.find("A").unwrap(), wanted).body.is_none());

    let mut seen = vec![first];
    view.look(NOON.plus(60_000 + 90_001));
    seen.push(etag(&view, "A"));
    commit(
        &view,
        vec![LevelRow {
            held: 1,
            ..level(0, "A", 1, 6)
        }],
    );
    seen.push(etag(&view, "A"));
    view.apply(
        &head(8),
        vec![
            Change::Item {
                barcode: "A".parse().unwrap(),
                item: Some(ring("K", "17")),
            },
            Change::Level(level(0, "A", 1, 8)),
        ],
    );
    seen.push(etag(&view, "A"));
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "{seen:?}");
}

#[test]
fn what_the_catalogue_knows_and_no_shop_has_is_an_answer_and_what_nobody_knows_is_none() {
    let view = view(1);
    view.apply(
        &head(5),
        vec![Change::Item {
            barcode: "A".parse().unwrap(),
            item: Some(ring("K", "17")),
        }],
    );

    let item = body(&view, "A");
    assert_eq!(
        (&item["on_hand"], &item["levels"]),
        (&0.into(), &serde_json::json!([]))
    );
    assert_eq!(view.find("B").unwrap_err().code(), Code::UnknownBarcode);

    view.apply(
        &head(6),
        vec![Change::Item {
            barcode: "A".parse().unwrap(),
            item: None,
        }],
    );
    assert_eq!(view.find("A").unwrap_err().code(), Code::UnknownBarcode);
}

#[test]
fn a_bare_local_code_names_its_one_owner_or_the_candidates() {
    let view = view(2);
    let keyed = |shop: u32, key: &str, pos| LevelRow {
        barcode: Barcode::from_key(key).unwrap(),
        ..level(shop, "x", 1, pos)
    };
    commit(
        &view,
        vec![
            keyed(0, "21@S000", 5),
            keyed(0, "22@S000", 6),
            keyed(1, "22@S001", 7),
        ],
    );
    view.apply(
        &head(8),
        vec![Change::Alias {
            alias: "UIN".into(),
            barcode: Some(Barcode::from_key("21@S000").unwrap()),
        }],
    );

    assert_eq!(body(&view, "21")["barcode"], "21@S000");
    assert_eq!(body(&view, "UIN")["barcode"], "21@S000");
    let several = view.find("22").unwrap_err();
    assert_eq!(several.code(), Code::UnknownBarcode);
    assert!(format!("{several:?}").contains("22@S001"));
}

#[test]
fn the_shops_words_fill_where_the_catalogue_is_silent() {
    let view = view(2);
    let words = |name: &str| {
        Some(Arc::new(Words {
            name: Some(name.into()),
            size: Some("17".into()),
            ..Words::default()
        }))
    };
    commit(
        &view,
        vec![
            LevelRow {
                words: words("old"),
                price: Some(vitrina_shared::Money::rub(100)),
                ..level(0, "A", 1, 5)
            },
            LevelRow {
                words: words("new"),
                ..level(1, "A", 1, 6)
            },
        ],
    );
    let said = body(&view, "A");
    assert_eq!(
        (&said["name"], &said["levels"][0]["price"]["amount"]),
        (&"new".into(), &"1.00".into())
    );
    assert!(said["levels"][1]["price"].is_null());

    view.apply(
        &head(7),
        vec![Change::Item {
            barcode: "A".parse().unwrap(),
            item: Some(CatalogueItem {
                name: Some("Ring".into()),
                price: Some(vitrina_shared::Money::rub(900)),
                ..CatalogueItem::default()
            }),
        }],
    );

    let said = body(&view, "A");
    assert_eq!(
        (&said["name"], &said["attributes"]["size"]),
        (&"Ring".into(), &"17".into())
    );
    assert_eq!(said["levels"][0]["price"]["amount"], "9.00");
}

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
    let (cursor, mut snapshot) = snapshot::Snapshot::begin(&view, Format::Ndjson);
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

fn listed(view: &View, query: &StockQuery) -> Vec<(String, String)> {
    let (mut query, mut rows) = (
        StockQuery {
            limit: 2,
            ..query.clone()
        },
        Vec::new(),
    );
    loop {
        let page: Value = serde_json::from_slice(&view.list(&query).unwrap()).unwrap();
        for item in page["items"].as_array().unwrap() {
            rows.push((
                item["barcode"].as_str().unwrap().to_owned(),
                item["shop"].as_str().unwrap().to_owned(),
            ));
        }
        match page["next_cursor"].as_str() {
            Some(next) => query.after = Some(next.parse().unwrap()),
            None => return rows,
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of filters")]
fn lists_are_paged_without_gaps_by_any_filter() {
    let view = view(3);
    for (barcode, size) in [("A", "17,5"), ("B", "18")] {
        view.apply(
            &head(4),
            vec![Change::Item {
                barcode: barcode.parse().unwrap(),
                item: Some(ring("K", size)),
            }],
        );
    }
    commit(
        &view,
        (0..3)
            .flat_map(|shop| {
                [
                    level(shop, "A", 1, 10 + u64::from(shop)),
                    level(shop, "B", 0, 20 + u64::from(shop)),
                    level(shop, "C", 1, 30 + u64::from(shop)),
                ]
            })
            .collect(),
    );
    view.apply(
        &head(40),
        vec![Change::Shop(ShopRow {
            lat: None,
            pos: 40,
            ..shop(2, "S002")
        })],
    );
    let all = StockQuery::default();

    assert_eq!(listed(&view, &all).len(), 9);
    assert_eq!(
        listed(
            &view,
            &StockQuery {
                article: Some("K".into()),
                ..all.clone()
            }
        )
        .len(),
        6
    );
    assert_eq!(
        listed(
            &view,
            &StockQuery {
                available: true,
                article: Some("K".into()),
                ..all.clone()
            }
        )
        .len(),
        3
    );
    assert_eq!(
        listed(
            &view,
            &StockQuery {
                city: Some(" МОСКВА".into()),
                size: Some("17.5".into()),
                ..all.clone()
            }
        )
        .len(),
        3
    );
    assert_eq!(
        listed(
            &view,
            &StockQuery {
                city: Some("Тверь".into()),
                ..all.clone()
            }
        ),
        []
    );
    let near = listed(
        &view,
        &StockQuery {
            near: Some((55.75, 38.7)),
            ..all.clone()
        },
    );
    assert_eq!(
        near.iter()
            .map(|(_, shop)| shop.as_str())
            .collect::<Vec<_>>(),
        ["S001", "S001", "S001", "S000", "S000", "S000"]
    );
    let close = listed(
        &view,
        &StockQuery {
            near: Some((55.75, 38.7)),
            radius_km: Some(20.0),
            ..all
        },
    );
    assert_eq!(close.len(), 3);
}

#[test]
fn a_csv_snapshot_opens_harmlessly_in_a_spreadsheet() {
    let view = Arc::new(view(1));
    view.apply(
        &head(4),
        vec![
            Change::Item {
                barcode: "=A1".parse().unwrap(),
                item: Some(ring("+K", "17")),
            },
            Change::Level(level(0, "=A1", -3, 4)),
        ],
    );

    let mut out = Vec::new();
    snapshot_to(&view, Format::Csv, &mut out).unwrap();

    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("kind,barcode,article,external_id,shop,"),
        "{text}"
    );
    assert!(text.contains("level,'=A1,'+K,,S000,,-3,0,"), "{text}");
}

#[test]
fn a_packed_body_is_the_same_body() {
    let view = view(12);
    commit(
        &view,
        (0..12)
            .map(|shop| level(shop, "A", 1, 20 + u64::from(shop)))
            .collect(),
    );
    let item = view.find("A").unwrap();

    let (plain, packed) = (
        view.answer(&item, Wanted::default()),
        view.answer(
            &item,
            Wanted {
                none_match: None,
                gzip: true,
            },
        ),
    );

    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::GzDecoder::new(&*packed.body.unwrap()),
        &mut unpacked,
    )
    .unwrap();
    assert!(packed.is_gzip && !plain.is_gzip);
    assert_eq!(unpacked, plain.body.unwrap());
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
