//! The website as a client: ETags, the feed, the snapshot, filters, and how old an answer is.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
const STONE: &str = "2000018987162";

async fn two_shops() -> (Chain, Shop, Shop) {
    let chain = Chain::start();
    let first = chain.shop(
        "S001",
        &["--city", "Москва", "--lat", "55.75", "--lon", "37.61"],
    );
    let second = chain.shop(
        "S002",
        &["--city", "Казань", "--lat", "55.79", "--lon", "49.12"],
    );
    first.open(&chain, &format!("barcode;qty;article;name;size;price\n{RING};3;K-1;Кольцо;17;45900,00\n{STONE};1;K-1;Кольцо;18;47900,00\n")).await;
    second
        .open(
            &chain,
            &format!("barcode;qty;article;size\n{RING};2;K-1;17\n"),
        )
        .await;
    chain.on_hand(RING, 5).await;
    (chain, first, second)
}

#[tokio::test]
async fn an_unchanged_item_is_304_and_a_sale_changes_its_etag() {
    let (chain, shop, _second) = two_shops().await;
    let path = format!("/v1/stock/{RING}");

    let first = chain.get(&path).await;
    let etag = first.header("etag").to_owned();
    assert!(etag.starts_with("W/\""), "{etag}");
    let same = chain
        .call(
            Method::GET,
            &path,
            &chain.website,
            None,
            &[("if-none-match", &etag)],
        )
        .await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    assert!(!same.header("cache-control").is_empty());

    shop.sell("one", RING).await;
    chain.on_hand(RING, 4).await;
    let changed = chain
        .call(
            Method::GET,
            &path,
            &chain.website,
            None,
            &[("if-none-match", &etag)],
        )
        .await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_ne!(changed.header("etag"), etag);
}

#[tokio::test]
async fn an_item_says_what_it_is_where_it_is_and_how_old_the_answer_is() {
    let (chain, shop, _second) = two_shops().await;
    shop.drop_file("alive.ok", "");
    let item = until("the item to be dated", || async {
        let item = chain.get(&format!("/v1/stock/{RING}")).await.body;
        if item["levels"][0]["as_of"].is_string() {
            Ok(item)
        } else {
            Err(item)
        }
    })
    .await;

    assert_eq!(item["article"], json!("K-1"));
    assert_eq!(item["name"], json!("Кольцо"));
    assert_eq!(item["attributes"]["size"], json!("17"));
    let level = &item["levels"][0];
    assert_eq!(
        level["price"],
        json!({"amount": "45900.00", "currency": "RUB"})
    );
    for field in ["held", "unavailable", "safety_stock", "in_transit"] {
        assert_eq!(level[field], json!(0), "{field}");
    }
    let as_of = level["as_of"].as_str().expect("a time");
    assert!(as_of.ends_with(":00.000Z"), "{as_of}");
}

#[tokio::test]
async fn the_feed_follows_a_snapshot_without_a_hole() {
    let (chain, first, second) = two_shops().await;
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let snapshot = http
        .get(format!("{}/v1/snapshot", chain.url))
        .bearer_auth(&chain.website)
        .header("accept", "application/x-ndjson")
        .send()
        .await
        .expect("a snapshot");
    let mut cursor = snapshot.headers()["vitrina-cursor"]
        .to_str()
        .expect("a cursor")
        .to_owned();
    let text = snapshot.text().await.expect("a body");
    let mut levels: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut take = |item: &Value| {
        let key = |name: &str| item[name].as_str().expect("a text").to_owned();
        levels.insert(
            (key("barcode"), key("shop")),
            item["on_hand"].as_i64().expect("a number"),
        );
    };
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"))
        .for_each(|item| take(&item));

    first.sell("one", RING).await;
    second.sell("two", RING).await;
    first.sell("three", STONE).await;
    chain.on_hand(RING, 3).await;
    chain.on_hand(STONE, 0).await;
    loop {
        let page = chain
            .get(&format!("/v1/changes?since={cursor}&limit=2"))
            .await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        for item in page.body["items"].as_array().expect("items") {
            if item["kind"] == json!("level") {
                take(item);
            }
        }
        page.body["cursor"]
            .as_str()
            .expect("a cursor")
            .clone_into(&mut cursor);
        if page.body["more"] == json!(false) {
            break;
        }
    }

    let key = |barcode: &str, shop: &str| (barcode.to_owned(), shop.to_owned());
    let expected = BTreeMap::from([
        (key(RING, "S001"), 2),
        (key(RING, "S002"), 1),
        (key(STONE, "S001"), 0),
    ]);
    assert_eq!(levels, expected);
}

#[tokio::test]
async fn a_waiting_reader_is_told_of_a_sale_at_once() {
    let (chain, shop, _second) = two_shops().await;
    let cursor = until("the feed to be quiet", || async {
        let page = chain.get("/v1/snapshot").await;
        let cursor = page.header("vitrina-cursor").to_owned();
        let more = chain.get(&format!("/v1/changes?since={cursor}")).await;
        if more.body["items"] == json!([]) {
            Ok(cursor)
        } else {
            Err(more)
        }
    })
    .await;

    let path = format!("/v1/changes?since={cursor}&wait=20");
    let (page, sold) = tokio::join!(chain.get(&path), shop.sell("now", RING));

    assert_eq!(sold["on_hand"], json!(2));
    let told = page.body["items"]
        .as_array()
        .expect("items")
        .iter()
        .any(|item| item["barcode"] == json!(RING));
    assert!(told, "{page:?}");
}

#[tokio::test]
async fn cursors_of_another_life_and_no_cursor_are_refused_with_the_way_out() {
    let (chain, _first, _second) = two_shops().await;

    let none = chain.get("/v1/changes").await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert!(
        none.body["detail"]
            .as_str()
            .is_some_and(|text| text.contains("snapshot")),
        "{none:?}"
    );
    for foreign in ["99-1-abc", "1-999999-abcdef", "1-1-000000"] {
        let gone = chain.get(&format!("/v1/changes?since={foreign}")).await;
        assert_eq!(
            (gone.status, gone.code()),
            (StatusCode::GONE, "cursor_expired"),
            "{foreign}: {gone:?}"
        );
    }
}

#[tokio::test]
async fn lists_filter_by_shop_city_article_size_and_distance() {
    let (chain, _first, _second) = two_shops().await;
    let shops = async |query: &str| -> Vec<String> {
        let reply = chain.get(&format!("/v1/stock?{query}")).await;
        let items = reply.body["items"]
            .as_array()
            .unwrap_or_else(|| panic!("{query}: {reply:?}"))
            .clone();
        items
            .iter()
            .map(|item| {
                format!(
                    "{}@{}",
                    item["barcode"].as_str().unwrap_or(""),
                    item["shop"].as_str().unwrap_or("")
                )
            })
            .collect()
    };

    assert_eq!(shops("shop=S002").await, [format!("{RING}@S002")]);
    assert_eq!(
        shops("city=%D0%BA%D0%B0%D0%B7%D0%B0%D0%BD%D1%8C").await,
        [format!("{RING}@S002")]
    );
    assert_eq!(shops("article=K-1").await.len(), 3);
    assert_eq!(shops("size=18").await, [format!("{STONE}@S001")]);
    let near = shops("near=55.79,49.12&article=K-1&size=17").await;
    assert_eq!(near, [format!("{RING}@S002"), format!("{RING}@S001")]);
    assert_eq!(
        shops("near=55.79,49.12&radius_km=50").await,
        [format!("{RING}@S002")]
    );
}

#[tokio::test]
async fn articles_batches_and_locations_answer_what_they_promise() {
    let (chain, _first, _second) = two_shops().await;

    let article = chain.get("/v1/articles/K-1").await;
    assert_eq!(
        article.body["items"].as_array().map(Vec::len),
        Some(2),
        "{article:?}"
    );
    assert_eq!(
        chain.get("/v1/articles?id=K-1").await.body["article"],
        json!("K-1")
    );
    assert_eq!(
        chain.get("/v1/articles/none").await.code(),
        "unknown_article"
    );
    let batch = chain
        .call(
            Method::POST,
            "/v1/stock/batch",
            &chain.website,
            Some(&json!({"barcodes": [RING, "nobody"]})),
            &[],
        )
        .await;
    assert_eq!(batch.body["items"][0]["barcode"], json!(RING));
    assert_eq!(batch.body["unknown"], json!(["nobody"]));
    let locations = chain.get("/v1/locations").await;
    assert_eq!(
        locations.body["items"].as_array().map(Vec::len),
        Some(2),
        "{locations:?}"
    );
    assert_eq!(
        chain.get("/v1/stock/nobody").await.code(),
        "unknown_barcode"
    );
}

#[tokio::test]
async fn a_shop_off_the_website_is_nowhere_and_comes_back_whole() {
    let (chain, _first, _second) = two_shops().await;

    chain.cli(&["shop", "set", "S002", "--publish", "off"]).ok();
    chain.on_hand(RING, 3).await;
    chain.cli(&["shop", "set", "S002", "--publish", "on"]).ok();
    chain.on_hand(RING, 5).await;
}

/// A website that keeps a copy: a level is what it was last told, and a shop that is off the site takes its own along.
struct Copy {
    cursor: String,
    levels: BTreeMap<(String, String), (i64, i64)>,
}

impl Copy {
    async fn begin(chain: &Chain) -> Self {
        let cursor = chain
            .get("/v1/snapshot")
            .await
            .header("vitrina-cursor")
            .to_owned();
        Self {
            cursor,
            levels: BTreeMap::new(),
        }
    }

    /// Polls until there is nothing more; gives the items.
    async fn follow(&mut self, chain: &Chain) -> Vec<Value> {
        let mut told = Vec::new();
        loop {
            let page = chain
                .get(&format!("/v1/changes?since={}&limit=2", self.cursor))
                .await;
            let member = |name: &str| page.body.get(name).unwrap_or(&Value::Null);
            for item in member("items").as_array().into_iter().flatten() {
                self.take(item);
                told.push(item.clone());
            }
            let cursor = member("cursor").as_str();
            cursor.expect("a cursor").clone_into(&mut self.cursor);
            if member("more") == &json!(false) {
                return told;
            }
        }
    }

    fn take(&mut self, item: &Value) {
        let member = |name: &str| item.get(name).unwrap_or(&Value::Null);
        let text = |name: &str| member(name).as_str().unwrap_or_default().to_owned();
        let number = |name: &str| member(name).as_i64().unwrap_or(-1);
        if member("kind") == &json!("level") {
            self.levels.insert(
                (text("barcode"), text("shop")),
                (number("on_hand"), number("item_available")),
            );
        } else if member("publish") == &json!(false) {
            self.levels.retain(|(_, shop), _| *shop != text("shop"));
        }
    }

    fn level(&self, barcode: &str, shop: &str) -> Option<(i64, i64)> {
        self.levels
            .get(&(barcode.to_owned(), shop.to_owned()))
            .copied()
    }
}

#[tokio::test]
async fn a_shop_that_goes_on_and_off_the_website_does_so_in_the_feed_too() {
    let (chain, first, second) = two_shops().await;
    chain.cli(&["shop", "set", "S001", "--publish", "off"]).ok();
    chain.cli(&["shop", "set", "S002", "--publish", "off"]).ok();
    chain.on_hand(RING, 0).await;
    first.sell("unseen", RING).await;
    chain.level_with(&first).await;
    let mut site = Copy::begin(&chain).await;
    site.follow(&chain).await;
    assert!(site.levels.is_empty());

    chain.cli(&["shop", "set", "S001", "--publish", "on"]).ok();
    let told = site.follow(&chain).await;
    assert!(
        told.iter().any(|item| item["kind"] == json!("shop")
            && item["shop"] == json!("S001")
            && item["publish"] == json!(true)),
        "{told:?}"
    );
    assert_eq!(site.level(RING, "S001"), Some((2, 2)));
    assert_eq!(site.level(STONE, "S001"), Some((1, 1)));
    chain.cli(&["shop", "set", "S002", "--publish", "on"]).ok();
    site.follow(&chain).await;
    assert_eq!(site.level(RING, "S002"), Some((2, 4)));

    chain.cli(&["shop", "set", "S001", "--publish", "off"]).ok();
    site.follow(&chain).await;
    assert_eq!(site.level(RING, "S001"), None);
    assert_eq!(site.level(STONE, "S001"), None);
    chain.cli(&["shop", "close", "S002"]).ok();
    let told = site.follow(&chain).await;
    assert!(site.levels.is_empty(), "{told:?}");
    second.sell("after closing", RING).await;
    chain.level_with(&second).await;
    let told = site.follow(&chain).await;
    assert!(site.levels.is_empty(), "{told:?}");
}

#[tokio::test]
async fn the_catalogue_speaks_before_the_shop_does() {
    let (chain, _first, _second) = two_shops().await;
    let csv = chain.path("catalogue.csv");
    std::fs::write(&csv, format!("barcode;article;name;size;price;external_id\n{RING};K-1;Ring;17;50000;guid#17\nNEW-1;K-2;Brooch;;9000;guid#2\n"))
        .expect("the folder is writable");

    chain.cli(&["import", &csv.display().to_string()]).ok();

    let item = until("the new price", || async {
        let item = chain.get("/v1/stock/guid%2317").await.body;
        if item["levels"][0]["price"]["amount"] == json!("50000.00") {
            Ok(item)
        } else {
            Err(item)
        }
    })
    .await;
    assert_eq!(
        (&item["barcode"], &item["name"]),
        (&json!(RING), &json!("Ring"))
    );
    let nowhere = chain.get("/v1/stock/NEW-1").await;
    assert_eq!(
        (
            nowhere.status,
            &nowhere.body["on_hand"],
            &nowhere.body["levels"]
        ),
        (StatusCode::OK, &json!(0), &json!([]))
    );
}

#[tokio::test]
async fn the_history_can_be_followed_and_explains_the_number() {
    let (chain, shop, _second) = two_shops().await;
    shop.sell("one", RING).await;
    chain.on_hand(RING, 4).await;

    let history = chain
        .office(&format!("/v1/movements?shop=S001&barcode={RING}"))
        .await;
    let kinds: Vec<&str> = history.body["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|item| item["type"].as_str())
        .collect();
    assert!(
        kinds.contains(&"sale") && kinds.contains(&"opening"),
        "{history:?}"
    );
    let explained = chain.office(&format!("/v1/explain/{RING}")).await;
    assert_eq!(explained.status, StatusCode::OK, "{explained:?}");
    let cli = chain.cli(&["explain", RING]);
    assert!(cli.ok().stdout.contains("opening"), "{cli:?}");
}
