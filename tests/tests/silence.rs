//! How old an answer is: a shop's 1C that falls silent, a shop that stops, a shop that was never heard from.

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
async fn a_change_of_confidence_reaches_the_feed_as_one_item_of_the_shop() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &["--source-every", "2s"]);
    shop.open(&chain, &format!("barcode;qty\n{RING};4\n")).await;
    let cursor = chain
        .get("/v1/snapshot")
        .await
        .header("vitrina-cursor")
        .to_owned();

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
