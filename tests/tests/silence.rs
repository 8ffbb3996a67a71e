//! How old an answer is: a shop's 1C that falls silent, a shop that stops, a shop that was never heard from.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use vitrina_tests::{Chain, until};

const RING: &str = "2000018987155";

async fn confident(chain: &Chain, word: &str) -> Value {
    until(&format!("the level to be {word}"), || async {
        let item = chain.get(&format!("/v1/stock/{RING}")).await.body;
        if item.pointer("/levels/0/confidence") == Some(&json!(word)) {
            Ok(item)
        } else {
            Err(item)
        }
    })
    .await
}

#[tokio::test]
async fn a_source_that_falls_silent_turns_its_levels_stale_and_a_heartbeat_mends_them() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &["--source-every", "2s"]);
    shop.open(&chain, &format!("barcode;qty\n{RING};4\n")).await;

    let silent = confident(&chain, "stale").await;
    assert_eq!(silent["on_hand"], json!(4), "the number still stands");
    let etag = chain
        .get(&format!("/v1/stock/{RING}"))
        .await
        .header("etag")
        .to_owned();

    shop.drop_file("alive.ok", "");
    confident(&chain, "live").await;
    let mended = chain.get(&format!("/v1/stock/{RING}")).await;
    assert_ne!(
        mended.header("etag"),
        etag,
        "confidence is part of what an answer says"
    );
}

#[tokio::test]
async fn a_call_proves_the_source_and_what_is_refused_does_not() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    let source_as_of = || shop.status()["source_as_of"].clone();
    assert_eq!(source_as_of(), json!(null));

    assert_eq!(shop.cli(&["move", "gift", RING]).code, 2);
    let refused = shop
        .book("gift", json!({"type": "gift", "barcode": RING, "qty": 1}))
        .await;
    assert_eq!(refused.status.as_u16(), 422);
    assert_eq!(source_as_of(), json!(null));

    shop.cli(&["move", "receipt", RING, "--qty", "3"]).ok();
    let by_command = source_as_of();
    assert!(by_command.is_string(), "{by_command}");
    shop.sell("one", RING).await;
    let by_call = source_as_of();
    assert!(by_call.as_str() > by_command.as_str(), "{by_call}");
    let receipt = json!({"receipt": "1", "at": "2026-11-22T10:00:00Z", "lines": [{"type": "sale", "barcode": RING, "qty": 1}]});
    shop.call(reqwest::Method::POST, "/v1/receipts", Some(&receipt), &[])
        .await;
    assert!(source_as_of().as_str() > by_call.as_str());

    let item = until("the website to know how old it is", || async {
        let item = chain.get(&format!("/v1/stock/{RING}")).await.body;
        if item
            .pointer("/levels/0/as_of")
            .is_some_and(Value::is_string)
        {
            Ok(item)
        } else {
            Err(item)
        }
    })
    .await;
    assert_eq!(item["levels"][0]["confidence"], json!("live"));
}

#[tokio::test]
async fn a_change_of_confidence_reaches_the_feed_as_one_item_of_the_shop() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &["--source-every", "2s"]);
    shop.open(&chain, &format!("barcode;qty\n{RING};4\n")).await;
    // On a busy machine two seconds are soon over: a sale proves the source, and the place counts while it does.
    let sales = AtomicU64::new(0);
    let cursor = until("a place in the feed at which the shop is live", || async {
        let number = sales.fetch_add(1, Ordering::Relaxed);
        shop.sell(&format!("sale {number}"), RING).await;
        let snapshot = chain.get("/v1/snapshot").await;
        let item = chain.get(&format!("/v1/stock/{RING}")).await.body;
        if item["levels"][0]["confidence"] == json!("live") {
            Ok(snapshot.header("vitrina-cursor").to_owned())
        } else {
            Err(item)
        }
    })
    .await;

    confident(&chain, "stale").await;

    until("the shop in the feed", || async {
        let page = chain.get(&format!("/v1/changes?since={cursor}")).await;
        let items = page.body["items"].as_array().cloned().unwrap_or_default();
        let told =
            |item: &Value| item["kind"] == json!("shop") && item["confidence"] == json!("stale");
        if items.iter().any(told) {
            Ok(())
        } else {
            Err(items)
        }
    })
    .await;
}

#[tokio::test]
async fn a_shop_that_never_spoke_is_unknown_and_the_lag_command_says_so() {
    let chain = Chain::start();
    let shop = chain.enrolled("S001", &[]);
    drop(shop);

    let locations = chain.get("/v1/locations").await;
    assert_eq!(
        locations.body["items"][0]["confidence"],
        json!("unknown"),
        "{locations:?}"
    );
    let lag = chain.cli(&["lag", "--max", "5m"]);
    assert_eq!(lag.code, 3, "ran fine and found something wrong: {lag:?}");
}
