//! Two kinds of readers: to one what is held is gone, the other takes its own reservations off.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "an answer that lacks what is looked for fails the test"
)]

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::chain::Reply;
use vitrina_tests::{Chain, Keeper};

const RING: &str = "2000018987155";

/// The website, and a site that keeps reservations of its own.
async fn two_sites() -> (Chain, String) {
    let chain = Chain::start();
    let file = chain.path("catalogue.csv");
    std::fs::write(&file, format!("barcode;article\n{RING};K-1\n")).unwrap();
    chain.cli(&["import", &file.display().to_string()]).ok();
    drop(Keeper::open(&chain, "S001", &[], &[(RING, 3)]));
    drop(Keeper::open(&chain, "S002", &[], &[(RING, 1)]));
    chain.cli(&["safety", "set", "1", "--shop", "S001"]).ok();
    for (order, shop, qty) in [("a", "S001", 2), ("b", "S002", 1)] {
        let body = json!({"barcode": RING, "shop": shop, "qty": qty, "order": order});
        let headers = [("idempotency-key", order)];
        let key = &chain.website;
        let placed = chain.call(Method::POST, "/v1/holds", key, Some(&body), &headers);
        assert_eq!(placed.await.status, StatusCode::CREATED);
    }
    let add = [
        "key", "add", "--role", "website", "--name", "gross", "--stock", "gross", "--json",
    ];
    let added = chain.cli(&add).ok().json();
    assert_eq!(added["stock"], json!("gross"));
    let key = added["key"].as_str().unwrap().to_owned();
    (chain, key)
}

async fn read(chain: &Chain, key: &str, path: &str) -> Reply {
    chain.call(Method::GET, path, key, None, &[]).await
}

/// Held, available and promised.
fn numbers(of: &Value) -> [i64; 3] {
    ["held", "available", "promised"].map(|name| of[name].as_i64().expect(name))
}

/// The numbers of the item and of its two levels.
fn of_item(item: &Value) -> [[i64; 3]; 3] {
    [item, &item["levels"][0], &item["levels"][1]].map(numbers)
}

/// Those of two rows, each of which says what the item has available.
fn of_rows(rows: &[Value]) -> [[i64; 3]; 3] {
    let mut levels = [&rows[0], &rows[1]].map(|row| (row["shop"].as_str().unwrap(), numbers(row)));
    levels.sort_unstable();
    let [(_, first), (_, second)] = levels;
    let sum = |at: usize| first[at] + second[at];
    for row in rows {
        assert_eq!(row["item_available"], json!(sum(1)), "{row:#}");
    }
    [[sum(0), sum(1), sum(2)], first, second]
}

const NET: [[i64; 3]; 3] = [[3, 0, 0], [2, 0, 0], [1, 0, 0]];
const GROSS: [[i64; 3]; 3] = [[3, 3, 3], [2, 2, 2], [1, 1, 1]];

#[tokio::test]
async fn every_way_to_read_is_net_of_holds_or_gross_as_the_key_is() {
    let (chain, gross) = two_sites().await;
    let net = chain.website.clone();

    // In turns, so that no ready answer of one is given to the other.
    for _ in 0..2 {
        for (key, expected) in [(&net, NET), (&gross, GROSS)] {
            // By the short way, and by the router.
            for path in [
                format!("/v1/stock/{RING}"),
                format!("/v1/stock/{RING}?min_cursor="),
            ] {
                let item = read(&chain, key, &path).await.body;
                assert_eq!(of_item(&item), expected, "{path}: {item:#}");
            }
            let article = read(&chain, key, "/v1/articles/K-1").await.body;
            assert_eq!(of_item(&article["items"][0]), expected, "{article:#}");
            let body = json!({"barcodes": [RING]});
            let batch = chain.call(Method::POST, "/v1/stock/batch", key, Some(&body), &[]);
            assert_eq!(of_item(&batch.await.body["items"][0]), expected);
            let list = read(&chain, key, "/v1/stock").await.body;
            assert_eq!(of_rows(list["items"].as_array().unwrap()), expected);
            let found = read(&chain, key, "/v1/stock?available=true").await.body;
            let found = found["items"].as_array().unwrap().len();
            assert_eq!(found, if expected == NET { 0 } else { 2 });
        }
    }
}

#[tokio::test]
async fn the_snapshot_and_the_feed_are_the_readers_own() {
    let (chain, gross) = two_sites().await;
    let begin = chain.get("/v1/snapshot").await;
    let cursor = begin.header("vitrina-cursor").to_owned();
    chain.cli(&["safety", "set", "0", "--shop", "S001"]).ok();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();

    for (key, expected) in [
        (&chain.website, [[3, 1, 1], [2, 1, 1], [1, 0, 0]]),
        (&gross, [[3, 4, 4], [2, 3, 3], [1, 1, 1]]),
    ] {
        let snapshot = http
            .get(format!("{}/v1/snapshot", chain.url))
            .bearer_auth(key);
        let text = snapshot.send().await.unwrap().text().await.unwrap();
        let rows: Vec<Value> = { text.lines() }
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(of_rows(&rows), expected, "{text}");
        let csv = http
            .get(format!("{}/v1/snapshot", chain.url))
            .bearer_auth(key);
        let csv = csv.header("accept", "text/csv").send().await.unwrap();
        let csv = csv.text().await.unwrap();
        let mut lines = csv.trim_start_matches('\u{feff}').lines();
        let mark = if csv.contains(';') { ';' } else { ',' };
        let columns: Vec<&str> = lines.next().unwrap().split(mark).collect();
        let place = columns
            .iter()
            .position(|name| *name == "available")
            .unwrap();
        let sum: i64 = lines
            .map(|line| line.split(mark).nth(place).unwrap().parse::<i64>().unwrap())
            .sum();
        assert_eq!(sum, expected[0][1], "{csv}");
        let page = read(&chain, key, &format!("/v1/changes?since={cursor}"))
            .await
            .body;
        let told: Vec<&Value> = page["items"].as_array().unwrap().iter().collect();
        let level = told
            .iter()
            .find(|item| item["kind"] == json!("level"))
            .unwrap();
        assert_eq!(numbers(level), expected[1], "{page:#}");
        assert_eq!(level["item_available"], json!(expected[0][1]));
    }
}

#[tokio::test]
async fn each_reader_has_an_etag_of_its_own_and_both_change_with_a_hold() {
    let (chain, gross) = two_sites().await;
    let path = format!("/v1/stock/{RING}");
    let tag_of = async |key: &str| read(&chain, key, &path).await.header("etag").to_owned();
    let (net_tag, gross_tag) = (tag_of(&chain.website).await, tag_of(&gross).await);
    assert_ne!(net_tag, gross_tag);

    for (key, known, status) in [
        (&chain.website, &net_tag, 304),
        (&gross, &gross_tag, 304),
        (&gross, &net_tag, 200),
        (&chain.website, &gross_tag, 200),
    ] {
        let headers = [("if-none-match", &**known)];
        let reply = chain.call(Method::GET, &path, key, None, &headers).await;
        assert_eq!(reply.status.as_u16(), status);
    }

    let holds = chain.cli(&["hold", "list", "--json"]).ok().json();
    let id = holds["items"][0]["id"].as_str().unwrap().to_owned();
    chain.cli(&["hold", "release", &id]).ok();
    assert_ne!(tag_of(&chain.website).await, net_tag);
    assert_ne!(
        tag_of(&gross).await,
        gross_tag,
        "what is held is shown to both"
    );
}

#[tokio::test]
async fn a_key_says_what_it_reads_and_another_word_is_refused() {
    let (chain, _) = two_sites().await;
    let keys = chain
        .call(Method::GET, "/v1/keys", &chain.admin, None, &[])
        .await;
    let stock = |name: &str| {
        let keys = keys.body["items"].as_array().unwrap();
        let key = keys.iter().find(|key| key["name"] == json!(name)).unwrap();
        key["stock"].clone()
    };
    assert_eq!(
        [stock("website"), stock("gross")],
        [json!("net_of_holds"), json!("gross")]
    );

    for (word, status) in [("gross", 201), ("net", 422)] {
        let body = json!({"name": format!("site-{word}"), "role": "website", "stock": word});
        let made = chain.call(Method::POST, "/v1/keys", &chain.admin, Some(&body), &[]);
        let made = made.await;
        assert_eq!(made.status.as_u16(), status, "{made:?}");
    }
    let wrong = chain.cli(&[
        "key", "add", "--role", "website", "--name", "x", "--stock", "net",
    ]);
    assert!(
        wrong.code == 2 && wrong.stderr.contains("net_of_holds"),
        "{wrong:?}"
    );
}
