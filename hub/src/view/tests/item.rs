//! An item, its tag, its other names.

use super::*;

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
            "attributes": {"size": "17.5"}, "on_hand": 0, "held": 1, "unavailable": 0, "safety_stock": 0, "available": 0, "promised": 0,
            "levels": [
                {"shop": "S000", "on_hand": 1, "held": 1, "unavailable": 0, "safety_stock": 0, "available": 0, "promised": 0,
                 "in_transit": 0, "price": {"amount": "45900.00", "currency": "RUB"},
                 "updated_at": "2025-11-22T12:00:00.009Z", "as_of": "2025-11-22T12:00:00.000Z", "confidence": "live"},
                {"shop": "S001", "on_hand": -1, "held": 0, "unavailable": 0, "safety_stock": 0, "available": 0, "promised": 0,
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
        ..Wanted::default()
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
                ..Wanted::default()
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
fn what_is_kept_back_follows_the_rules_the_catalogue_and_the_shops_own_words() {
    let view = view(2);
    let mut rules = SafetyStock::default();
    let of_article = Scope {
        shop: None,
        goods: Goods::Article("K-1".into()),
    };
    rules.set(&of_article, Some(1));
    let kept = |view: &View| {
        let levels = body(view, "A")["levels"].clone();
        let levels = levels.as_array().unwrap().clone();
        levels
            .iter()
            .map(|level| ["safety_stock", "available"].map(|name| level[name].as_i64().unwrap()))
            .collect::<Vec<_>>()
    };
    commit(&view, vec![level(0, "A", 2, 5), level(1, "A", 1, 6)]);

    // Levels of the same commit have the rules, wherever they stand in it.
    let (row, rules) = (level(0, "A", 2, 7), Arc::new(rules));
    view.apply(
        &head(7),
        vec![Change::Level(row), Change::Safety(Arc::clone(&rules))],
    );
    assert_eq!(kept(&view), [[0, 2], [0, 1]]);

    // A shop says of which article it is: the other shop's level changes without a place in the feed, which it is to get.
    let words = Words {
        article: Some("K-1".into()),
        ..Words::default()
    };
    let spoken = LevelRow {
        words: Some(Arc::new(words)),
        ..level(0, "A", 2, 8)
    };
    commit(&view, vec![spoken]);
    assert_eq!(kept(&view), [[1, 1], [1, 0]]);
    assert_eq!(view.take_untold(), [(1, "A".parse().unwrap())]);
    assert_eq!(view.take_untold(), []);

    // The catalogue knows better; it gives each level a place itself.
    view.apply(
        &head(10),
        vec![Change::Item {
            barcode: "A".parse().unwrap(),
            item: Some(ring("K-2", "17")),
        }],
    );
    assert_eq!(kept(&view), [[0, 2], [0, 1]]);
    assert_eq!(view.take_untold(), []);
}
