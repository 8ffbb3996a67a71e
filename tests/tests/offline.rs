//! No line: the shop sells on; the line comes back: everything is there, once.

use std::collections::BTreeSet;

use serde_json::json;
use vitrina_tests::{Chain, until};

const RING: &str = "2000018987155";
const STONE: &str = "2000018987162";

#[tokio::test]
async fn a_shop_without_a_line_sells_on_and_is_level_when_it_is_back() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};50\n"))
        .await;

    shop.link.cut();
    for number in 0..20 {
        let sold = shop.sell(&format!("offline {number}"), RING).await;
        assert_eq!(sold["on_hand"], json!(49 - number));
    }
    assert_eq!(shop.status()["pending"], json!(20));
    assert_eq!(
        chain.get(&format!("/v1/stock/{RING}")).await.body["on_hand"],
        json!(50)
    );
    shop.link.mend();

    chain.on_hand(RING, 30).await;
    chain.level_with(&shop).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_doubles_nothing() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};9\n")).await;

    shop.link.lose_answers();
    shop.sell("a", RING).await;
    shop.sell("b", RING).await;
    chain.on_hand(RING, 7).await;
    assert_ne!(shop.status()["pending"], json!(0), "nobody told the shop");
    shop.link.mend();

    chain.level_with(&shop).await;
    chain.on_hand(RING, 7).await;
    assert_eq!(chain.cli(&["verify"]).code, 0);
}

#[tokio::test]
async fn the_hub_dies_while_shops_sell_and_every_sale_arrives() {
    let mut chain = Chain::start();
    let first = chain.shop("S001", &[]);
    let second = chain.shop("S002", &[]);
    first
        .open(&chain, &format!("barcode;qty\n{RING};30\n"))
        .await;
    second
        .open(&chain, &format!("barcode;qty\n{RING};30\n{STONE};5\n"))
        .await;

    for round in 0..3 {
        chain.kill_hub();
        first.sell(&format!("first {round}"), RING).await;
        second.sell(&format!("second {round}"), RING).await;
        chain.start_hub();
        first.sell(&format!("first back {round}"), RING).await;
    }

    chain.on_hand(RING, 60 - 9).await;
    chain.level_with(&first).await;
    chain.level_with(&second).await;
    assert_eq!(chain.cli(&["verify"]).code, 0);
}

#[tokio::test]
async fn the_agent_dies_between_sales_and_loses_none() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};30\n"))
        .await;
    shop.link.cut();

    let mut ids = BTreeSet::new();
    for round in 0..5 {
        let sold = shop.sell(&format!("round {round}"), RING).await;
        ids.insert(sold["id"].as_str().map(str::to_owned));
        shop.kill();
        shop.start();
        let again = shop.sell(&format!("round {round}"), RING).await;
        assert_eq!(
            again["id"], sold["id"],
            "the retry of a till after a power cut"
        );
    }
    shop.link.mend();

    assert_eq!(ids.len(), 5);
    chain.on_hand(RING, 25).await;
    assert_eq!(shop.cli(&["verify"]).code, 0);
}

#[tokio::test]
async fn a_clean_stop_says_goodbye_and_leaves_plain_files() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};3\n")).await;
    shop.sell("last", RING).await;

    shop.stop();

    chain.on_hand(RING, 2).await;
    let left: BTreeSet<String> = std::fs::read_dir(&shop.data)
        .expect("the folder is there")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(left.contains("ledger.sqlite3"), "{left:?}");
    for gone in ["ledger.sqlite3-wal", "ledger.sqlite3-shm", "control.json"] {
        assert!(!left.contains(gone), "{left:?}");
    }
    let alone = shop.cli(&["stock", RING, "--json"]).ok().json();
    assert_eq!(alone["on_hand"], json!(2), "{alone}");
}

#[tokio::test]
async fn a_sale_by_command_beside_the_running_agent_reaches_the_hub() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};3\n")).await;

    shop.cli(&["move", "sale", RING, "--ref", "by hand"]).ok();

    chain.on_hand(RING, 2).await;
    until("the movement in the history", || async {
        let reply = chain
            .office(&format!("/v1/movements?barcode={RING}&type=sale"))
            .await;
        if reply.body["items"][0]["ref"] == json!("by hand") {
            Ok(())
        } else {
            Err(reply)
        }
    })
    .await;
}
