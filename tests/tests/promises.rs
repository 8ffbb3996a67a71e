//! Freshness decides promises: what is promised of a shop that is not heard from, by its own settings and the chain's.
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

async fn order(chain: &Chain, key: &str, shop: &str, qty: i64) -> Reply {
    let body = json!({"barcode": RING, "shop": shop, "qty": qty, "order": key});
    let headers = [("idempotency-key", key)];
    let path = "/v1/holds";
    chain
        .call(Method::POST, path, &chain.website, Some(&body), &headers)
        .await
}

/// What is available and promised of each level, by shop; the sums of the item are theirs.
async fn promised(chain: &Chain) -> Vec<(i64, i64)> {
    let item = chain.get(&format!("/v1/stock/{RING}")).await.body;
    let of = |value: &Value| ["available", "promised"].map(|name| value[name].as_i64().unwrap());
    let levels = item["levels"].as_array().unwrap().iter();
    let levels: Vec<[i64; 2]> = levels.map(of).collect();
    let sum = |at: usize| levels.iter().map(|level| level[at]).sum::<i64>();
    assert_eq!(of(&item), [sum(0), sum(1)], "{item:#}");
    levels.into_iter().map(|[all, some]| (all, some)).collect()
}

async fn cursor(chain: &Chain) -> String {
    let snapshot = chain.get("/v1/snapshot").await;
    snapshot.header("vitrina-cursor").to_owned()
}

async fn changes(chain: &Chain, since: &str) -> Value {
    let path = format!("/v1/changes?since={since}");
    chain.get(&path).await.body
}

#[tokio::test]
async fn a_shops_own_word_counts_before_the_chains_and_whoever_reads_sees_it() {
    let chain = Chain::start_with("[holds]\nunknown = 1\n");
    for (shop, own) in [
        ("S001", "chain"),
        ("S002", "all"),
        ("S003", "nothing"),
        ("S004", "2"),
    ] {
        let settings = ["--promise-unknown", own];
        drop(Keeper::open(&chain, shop, &settings, &[(RING, 3)]));
        assert_eq!(
            promised(&chain).await.last(),
            Some(&(3, 3)),
            "{shop} is live"
        );
        chain.cli(&["shop", "revoke", shop]).ok();
    }

    assert_eq!(promised(&chain).await, [(3, 2), (3, 3), (3, 0), (3, 1)]);
    for (shop, qty, expected) in [
        ("S001", 3, 409),
        ("S001", 2, 201),
        ("S002", 3, 201),
        ("S003", 1, 409),
        ("S004", 2, 409),
        ("S004", 1, 201),
    ] {
        let reply = order(&chain, &format!("{shop} {qty}"), shop, qty).await;
        assert_eq!(reply.status.as_u16(), expected, "{shop} {qty}: {reply:?}");
        if shop == "S003" {
            assert_eq!(reply.body["reason"], json!("unknown"), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn another_promise_is_one_item_of_the_feed_and_another_etag() {
    let chain = Chain::start();
    drop(Keeper::open(&chain, "S001", &[], &[(RING, 3)]));
    chain.cli(&["shop", "revoke", "S001"]).ok();
    let (since, before) = (
        cursor(&chain).await,
        chain.get(&format!("/v1/stock/{RING}")).await,
    );
    assert_eq!(promised(&chain).await, [(3, 0)]);

    let set = ["shop", "set", "S001", "--promise-unknown", "1"];
    chain.cli(&set).ok();

    assert_eq!(promised(&chain).await, [(3, 2)]);
    let after = chain.get(&format!("/v1/stock/{RING}")).await;
    assert_ne!(after.header("etag"), before.header("etag"));
    let told = changes(&chain, &since).await;
    let items = told["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{told:#}");
    assert_eq!(
        ["kind", "shop", "confidence", "promise"].map(|name| items[0][name].clone()),
        [json!("shop"), json!("S001"), json!("unknown"), json!(1)]
    );
    let shops = chain.get("/v1/locations").await.body;
    assert_eq!(shops["items"][0]["promise"], json!(1));

    chain
        .cli(&["shop", "set", "S001", "--promise-unknown", "chain"])
        .ok();
    assert_eq!(promised(&chain).await, [(3, 0)]);
    let wrong = chain.cli(&["shop", "set", "S001", "--promise-unknown", "some"]);
    assert!(
        wrong.code == 2 && wrong.stderr.contains("say all, nothing"),
        "{wrong:?}"
    );
    let body = json!({"shop": "S009", "name": "nine", "promise_stale": -1});
    let wrong = chain.call(Method::POST, "/v1/shops", &chain.admin, Some(&body), &[]);
    let wrong = wrong.await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
}

#[tokio::test]
async fn what_time_alone_changes_reaches_the_website_as_one_item_of_kind_shop() {
    let chain = Chain::start();
    let settings = ["--source-every", "2s", "--promise-stale", "nothing"];
    let shop = chain.shop("S001", &settings);
    shop.open(&chain, &format!("barcode;qty\n{RING};4\n")).await;
    let mut since = cursor(&chain).await;
    let mut told: Vec<[Value; 3]> = Vec::new();

    // Nobody touches the shop: its 1C is overdue after three seconds, and then it proves itself.
    for (word, promise) in [("stale", "nothing"), ("live", "all")] {
        let expected = ["shop", word, promise].map(Value::from);
        while told.last() != Some(&expected) {
            let page = changes(&chain, &format!("{since}&wait=20")).await;
            let items = page["items"].as_array().unwrap();
            assert!(!items.is_empty(), "nothing of {word} in 20 s: {told:?}");
            since = page["cursor"].as_str().unwrap().to_owned();
            told.extend(
                items
                    .iter()
                    .map(|item| ["kind", "confidence", "promise"].map(|name| item[name].clone())),
            );
        }
        if word == "stale" {
            assert_eq!(promised(&chain).await, [(4, 0)]);
            let refused = order(&chain, "a", "S001", 1).await;
            assert_eq!(refused.body["reason"], json!("stale"), "{refused:?}");
            shop.drop_file("alive.ok", "");
        }
    }

    // No level came with them, and each change came once.
    assert!(told.iter().all(|item| item[0] == json!("shop")), "{told:?}");
    assert!(told.windows(2).all(|two| two[0] != two[1]), "{told:?}");
}
