//! Safety stock: what head office keeps back is promised to nobody, at every reader at once, and the feed says so.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "an answer that lacks what is looked for fails the test"
)]

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::chain::Reply;
use vitrina_tests::{Chain, Keeper, until};

const RING: &str = "2000018987155";
const TWIN: &str = "2000018987162";

async fn keep_back(chain: &Chain, rule: Value) -> Reply {
    let (path, key) = ("/v1/safety", &chain.office);
    let reply = chain.call(Method::PUT, path, key, Some(&rule), &[]).await;
    assert_eq!(reply.status, StatusCode::OK, "{rule}: {reply:?}");
    reply
}

async fn order(chain: &Chain, key: &str, shop: Option<&str>, qty: i64) -> Reply {
    let body = json!({"barcode": RING, "shop": shop, "qty": qty, "order": key});
    let headers = [("idempotency-key", key)];
    chain
        .call(
            Method::POST,
            "/v1/holds",
            &chain.website,
            Some(&body),
            &headers,
        )
        .await
}

/// A catalogue that says of which article the rings are.
fn catalogue(chain: &Chain) {
    let file = chain.path("catalogue.csv");
    let text = format!("barcode;article;name;size\n{RING};K-1;Ring;17\n{TWIN};K-1;Ring;18\n");
    std::fs::write(&file, text).expect("a file");
    chain.cli(&["import", &file.display().to_string()]).ok();
}

/// What is kept back and what is available of each level, by shop and barcode, as a reader says it.
type Levels = BTreeMap<(String, String), (i64, i64)>;

fn level(levels: &mut Levels, barcode: &Value, level: &Value) {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let number = |name: &str| level[name].as_i64().expect(name);
    levels.insert(
        (text(&level["shop"]), text(barcode)),
        (number("safety_stock"), number("available")),
    );
}

fn of_item(item: &Value) -> Levels {
    let mut levels = Levels::new();
    for one in item["levels"].as_array().expect("levels") {
        level(&mut levels, &item["barcode"], one);
    }
    let sum = |name: &str| item[name].as_i64().expect(name);
    let sums = levels
        .values()
        .fold((0, 0), |sums, level| (sums.0 + level.0, sums.1 + level.1));
    assert_eq!((sum("safety_stock"), sum("available")), sums, "{item:#}");
    levels
}

fn of_rows<'v>(rows: impl IntoIterator<Item = &'v Value>) -> Levels {
    let mut levels = Levels::new();
    for row in rows {
        level(&mut levels, &row["barcode"], row);
    }
    levels
}

async fn snapshot(chain: &Chain) -> (Levels, String) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.get(format!("{}/v1/snapshot", chain.url));
    let reply = request.bearer_auth(&chain.website).send().await.unwrap();
    let cursor = reply.headers()["vitrina-cursor"].to_str().unwrap();
    let cursor = cursor.to_owned();
    let text = reply.text().await.unwrap();
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (of_rows(&rows), cursor)
}

/// What every way to read the stock says of the two rings. They agree.
async fn everywhere(chain: &Chain) -> Levels {
    let mut items = Levels::new();
    for barcode in [RING, TWIN] {
        let item = chain.get(&format!("/v1/stock/{barcode}")).await.body;
        items.extend(of_item(&item));
    }
    let article = chain.get("/v1/articles/K-1").await.body;
    let of_article = article["items"].as_array().expect("items").iter();
    let of_article: Levels = of_article.flat_map(of_item).collect();
    assert_eq!(of_article, items, "the article");
    let asked = json!({"barcodes": [RING, TWIN]});
    let batch = chain
        .call(
            Method::POST,
            "/v1/stock/batch",
            &chain.website,
            Some(&asked),
            &[],
        )
        .await;
    let of_batch = batch.body["items"].as_array().expect("items").iter();
    let of_batch: Levels = of_batch.flat_map(of_item).collect();
    assert_eq!(of_batch, items, "the batch");
    let list = chain.get("/v1/stock").await.body;
    let of_list = of_rows(list["items"].as_array().expect("items"));
    assert_eq!(of_list, items, "the list");
    let list = chain.get("/v1/stock?available=true").await.body;
    let of_list = of_rows(list["items"].as_array().expect("items"));
    let mut available = items.clone();
    available.retain(|_, (_, available)| *available > 0);
    assert_eq!(of_list, available, "the list of what is available");
    assert_eq!(snapshot(chain).await.0, items, "the snapshot");
    items
}

/// The levels that the feed tells of after a cursor, and where it ends.
async fn changes(chain: &Chain, since: &str) -> (Levels, String) {
    let (mut levels, mut cursor) = (Levels::new(), since.to_owned());
    loop {
        let page = chain.get(&format!("/v1/changes?since={cursor}")).await.body;
        let items = page["items"].as_array().expect("items").iter();
        levels.extend(of_rows(items.filter(|item| item["kind"] == json!("level"))));
        page["cursor"].as_str().unwrap().clone_into(&mut cursor);
        if page["more"] == json!(false) {
            return (levels, cursor);
        }
    }
}

fn at(shop: &str, barcode: &str) -> (String, String) {
    (shop.to_owned(), barcode.to_owned())
}

#[tokio::test]
async fn what_is_kept_back_is_promised_to_nobody_and_every_reader_says_so() {
    let chain = Chain::start();
    catalogue(&chain);
    let _first = Keeper::open(&chain, "S001", &[], &[(RING, 3), (TWIN, 1)]);
    let _second = Keeper::open(&chain, "S002", &[], &[(RING, 1)]);
    let (_, cursor) = snapshot(&chain).await;
    let before = chain.get(&format!("/v1/stock/{RING}")).await;

    let reply = keep_back(&chain, json!({"units": 1})).await;

    assert_eq!(
        reply.body,
        json!({"shop": null, "article": null, "barcode": null, "units": 1, "units_before": null, "told": true})
    );
    let expected = Levels::from([
        (at("S001", RING), (1, 2)),
        (at("S001", TWIN), (1, 0)),
        (at("S002", RING), (1, 0)),
    ]);
    assert_eq!(everywhere(&chain).await, expected);
    assert_eq!(changes(&chain, &cursor).await.0, expected);
    let after = chain.get(&format!("/v1/stock/{RING}")).await;
    assert_ne!(after.header("etag"), before.header("etag"));

    let refused = order(&chain, "a", Some("S002"), 1).await;
    assert_eq!(
        (refused.code(), &refused.body["available"]),
        ("insufficient_stock", &json!(0)),
        "{refused:?}"
    );
    assert_eq!(order(&chain, "b", None, 3).await.status, 409);
    let granted = order(&chain, "c", None, 2).await;
    assert_eq!(
        (granted.status, &granted.body["shop"]),
        (StatusCode::CREATED, &json!("S001")),
        "{granted:?}"
    );
    assert_eq!(everywhere(&chain).await[&at("S001", RING)], (1, 0));
}

#[tokio::test]
async fn the_most_specific_rule_counts_and_zero_frees() {
    let chain = Chain::start();
    catalogue(&chain);
    let stock = [(RING, 5), (TWIN, 5)];
    let _first = Keeper::open(&chain, "S001", &[], &stock);
    let _second = Keeper::open(&chain, "S002", &[], &stock);
    let kept = async |chain: &Chain| {
        let levels = everywhere(chain).await;
        let kept = [
            ("S001", RING),
            ("S001", TWIN),
            ("S002", RING),
            ("S002", TWIN),
        ];
        kept.map(|(shop, barcode)| levels[&at(shop, barcode)].0)
    };
    let (_, mut cursor) = snapshot(&chain).await;

    for (rule, expected) in [
        (json!({"units": 1}), [1, 1, 1, 1]),
        (json!({"units": 2, "shop": "S001"}), [2, 2, 1, 1]),
        (json!({"units": 3, "article": "K-1"}), [3, 3, 3, 3]),
        (
            json!({"units": 4, "article": "K-1", "shop": "S001"}),
            [4, 4, 3, 3],
        ),
        (json!({"units": 0, "barcode": RING}), [0, 4, 0, 3]),
        (
            json!({"units": 5, "barcode": RING, "shop": "S002"}),
            [0, 4, 5, 3],
        ),
    ] {
        keep_back(&chain, rule.clone()).await;
        assert_eq!(kept(&chain).await, expected, "{rule}");
        // Whoever follows the feed has the same.
        let (told, next) = changes(&chain, &cursor).await;
        let all = everywhere(&chain).await;
        assert!(
            !told.is_empty() && told.iter().all(|(key, level)| all[key] == *level),
            "{rule}: {told:?}"
        );
        cursor = next;
    }

    let rules = chain.office("/v1/safety").await.body;
    assert_eq!(
        rules["items"].as_array().expect("items").len(),
        6,
        "{rules:#}"
    );
    for (rule, expected) in [
        ("barcode=2000018987155&shop=S002", [0, 4, 0, 3]),
        ("barcode=2000018987155", [4, 4, 3, 3]),
        ("barcode=2000018987155", [4, 4, 3, 3]),
        ("article=K-1&shop=S001", [3, 3, 3, 3]),
        ("article=K-1", [2, 2, 1, 1]),
        ("shop=S001", [1, 1, 1, 1]),
        ("", [0, 0, 0, 0]),
    ] {
        let path = format!("/v1/safety?{rule}");
        let removed = chain.call(Method::DELETE, &path, &chain.office, None, &[]);
        assert_eq!(removed.await.status, StatusCode::OK, "{rule}");
        assert_eq!(kept(&chain).await, expected, "{rule}");
    }
    assert_eq!(chain.office("/v1/safety").await.body["items"], json!([]));
}

#[tokio::test]
async fn a_rule_outlives_a_stop_and_fits_what_comes_later() {
    let mut chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 3)]);
    keep_back(&chain, json!({"units": 2, "shop": "S001"})).await;

    chain.kill_hub();
    chain.start_hub();
    shop.reconnect(&chain);

    let item = chain.get(&format!("/v1/stock/{RING}")).await.body;
    assert_eq!(of_item(&item)[&at("S001", RING)], (2, 1));
    // A barcode that the shop never had, and an article that the catalogue names afterwards.
    keep_back(&chain, json!({"units": 1, "barcode": RING})).await;
    shop.book(
        vitrina_shared::Kind::Receipt,
        TWIN,
        4,
        "later",
        &vitrina_shared::Details::default(),
    );
    shop.exchange();
    let item = chain.get(&format!("/v1/stock/{TWIN}")).await.body;
    assert_eq!(of_item(&item)[&at("S001", TWIN)], (2, 2));
    catalogue(&chain);
    keep_back(&chain, json!({"units": 4, "article": "K-1"})).await;
    assert_eq!(
        everywhere(&chain).await,
        Levels::from([(at("S001", RING), (1, 2)), (at("S001", TWIN), (4, 0)),])
    );
}

#[tokio::test]
async fn a_shop_that_says_the_article_brings_its_rule_to_the_others_by_the_feed() {
    let chain = Chain::start();
    let _first = Keeper::open(&chain, "S001", &[], &[(RING, 3)]);
    let twin = format!("barcode;qty;article\n{TWIN};1;K-1\n");
    let _second = chain.opened("S002", &twin).await;
    keep_back(&chain, json!({"units": 1, "article": "K-1"})).await;
    let (before, cursor) = snapshot(&chain).await;
    assert_eq!(before[&at("S001", RING)], (0, 3));

    let ring = format!("barcode;qty;article\n{RING};2;K-1\n");
    let _third = chain.opened("S003", &ring).await;

    let told = until("the feed to tell of the first shop", || async {
        let (told, _) = changes(&chain, &cursor).await;
        told.get(&at("S001", RING)).copied().ok_or(told)
    });
    assert_eq!(told.await, (1, 2));
    assert_eq!(
        everywhere(&chain).await,
        Levels::from([
            (at("S001", RING), (1, 2)),
            (at("S002", TWIN), (1, 0)),
            (at("S003", RING), (1, 1)),
        ])
    );
}

#[tokio::test]
async fn a_till_sells_what_is_kept_back_and_other_shops_see_the_hubs_number() {
    let chain = Chain::start();
    let stock = format!("barcode;qty\n{RING};3\n");
    let (one, two) = (
        chain.opened("S001", &stock).await,
        chain.opened("S002", &stock).await,
    );
    let path = format!("/v1/stock/{RING}");
    let seen = async |available: i64| {
        until("the other shop to see the hub's number", || async {
            let reply = two.call(Method::GET, &path, None, &[]).await;
            let other = reply.body["others"][0].clone();
            let is_it = other["shop"] == "S001" && other["available"] == available;
            if is_it { Ok(()) } else { Err(reply) }
        })
        .await;
        let item = chain.get(&path).await.body;
        assert_eq!(of_item(&item)[&at("S001", RING)].1, available);
    };
    seen(3).await;

    keep_back(&chain, json!({"units": 2, "shop": "S001"})).await;

    seen(1).await;
    let own = one.call(Method::GET, &path, None, &[]).await.body;
    assert_eq!(
        (&own["on_hand"], &own["available"]),
        (&json!(3), &json!(3)),
        "{own:#}"
    );
    one.sell("first", RING).await;
    seen(0).await;
    one.sell("second", RING).await;
    let own = one.call(Method::GET, &path, None, &[]).await.body;
    assert_eq!(own["available"], json!(1), "it sells on");
}

#[tokio::test]
async fn what_cannot_be_kept_back_is_named_and_who_set_it_is_written_down() {
    let chain = Chain::start();
    catalogue(&chain);
    let put = async |rule: Value| {
        let key = &chain.office;
        chain
            .call(Method::PUT, "/v1/safety", key, Some(&rule), &[])
            .await
    };

    for (rule, status, code) in [
        (json!({"units": 1, "shop": "S009"}), 404, "unknown_shop"),
        (
            json!({"units": 1, "article": "K-9"}),
            404,
            "unknown_article",
        ),
        (
            json!({"units": 1, "barcode": "4006381333931"}),
            404,
            "unknown_barcode",
        ),
        (json!({"units": -1}), 422, "validation_failed"),
        (json!({"units": 1_000_001}), 422, "validation_failed"),
        (json!({"shop": "S001"}), 422, "validation_failed"),
        (
            json!({"units": 1, "article": "K-1", "barcode": RING}),
            422,
            "validation_failed",
        ),
        (
            json!({"units": 1, "colour": "red"}),
            422,
            "validation_failed",
        ),
    ] {
        let reply = put(rule.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (status, code),
            "{rule}: {reply:?}"
        );
    }
    assert_eq!(
        chain.cli(&["safety", "set", "1", "--article", "K-9"]).code,
        1
    );

    keep_back(&chain, json!({"units": 1, "article": "K-1"})).await;
    keep_back(&chain, json!({"units": 1, "article": "K-1"})).await;
    chain.cli(&["safety", "remove", "--article", "K-1"]).ok();
    let audit = chain.cli(&["audit", "list", "--json"]).ok().json();
    let records = audit["items"].as_array().expect("items").iter();
    let told: Vec<Value> = records
        .filter(|record| record["what"].as_str().unwrap_or("").starts_with("safety"))
        .map(|record| json!([record["by"], record["what"], record["detail"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["command line", "safety_remove", {"article": "K-1", "units": [1, null]}]),
            json!(["key office", "safety_set", {"article": "K-1", "units": [null, 1]}]),
        ]
    );
    chain.cli(&["audit", "verify"]).ok();
}

#[test]
fn the_commands_say_what_they_did() {
    let chain = Chain::start();
    catalogue(&chain);
    let _shop = Keeper::open(&chain, "S001", &[], &[(RING, 3)]);

    let set = chain.cli(&["safety", "set", "2", "--shop", "S001"]);
    assert!(set.ok().stdout.contains("everything in S001: 2"), "{set:?}");
    chain.cli(&["safety", "set", "1", "--barcode", RING]).ok();
    let list = chain.cli(&["safety", "list"]);
    let lines: Vec<Vec<&str>> = { list.ok().stdout.lines().skip(1) }
        .map(|line| line.split_whitespace().take(4).collect())
        .collect();
    assert_eq!(lines, [["S001", "*", "*", "2"], ["*", "*", RING, "1"]]);
    let explained = chain.cli(&["explain", RING, "--json"]).ok().json();
    assert_eq!(explained["shops"][0]["safety_stock"], json!(1));
    let removed = chain.cli(&["safety", "remove", "--barcode", RING, "--json"]);
    assert_eq!(removed.ok().json()["units_before"], json!(1));
}
