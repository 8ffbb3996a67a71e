//! A shop's disk put back, and one shop on two disks: nothing lost, nothing doubled, nobody acts.

use std::path::Path;

use serde_json::json;
use vitrina_tests::process::Server;
use vitrina_tests::{Chain, until};

const RING: &str = "2000018987155";

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).expect("the copy's folder");
    for entry in std::fs::read_dir(from)
        .expect("the folder is there")
        .flatten()
    {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("the file copies");
        }
    }
}

#[tokio::test]
async fn yesterdays_folder_put_back_loses_and_doubles_nothing() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};50\n"))
        .await;
    shop.sell("monday", RING).await;
    chain.level_with(&shop).await;
    shop.stop();
    let monday = chain.path("monday");
    copy(&shop.data, &monday);

    shop.start();
    for number in 0..3 {
        shop.sell(&format!("tuesday {number}"), RING).await;
    }
    chain.on_hand(RING, 46).await;
    chain.level_with(&shop).await;
    shop.stop();
    copy(&monday, &shop.data);
    shop.link.cut();
    shop.start();
    for number in 0..2 {
        shop.sell(&format!("wednesday {number}"), RING).await;
    }
    shop.link.mend();

    chain.on_hand(RING, 44).await;
    chain.level_with(&shop).await;
    let own = shop.cli(&["stock", RING, "--json"]).ok().json();
    assert_eq!(own["on_hand"], json!(44), "Tuesday came back: {own}");
    assert_eq!(
        (chain.cli(&["verify"]).code, shop.cli(&["verify"]).code),
        (0, 0)
    );
}

#[tokio::test]
async fn one_shop_on_two_machines_counts_every_sale_once() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};50\n"))
        .await;
    shop.stop();
    let twin = chain.path("twin");
    copy(&shop.data, &twin);

    shop.start();
    let second = Server::start("vitrina-agent", &twin, &["run", "--listen", "127.0.0.1:0"]);
    let token = std::fs::read_to_string(twin.join("terminal.token")).expect("the token was copied");
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    for number in 0..4 {
        shop.sell(&format!("first {number}"), RING).await;
        let sold = http
            .post(format!("{}/v1/movements", second.url))
            .bearer_auth(token.trim())
            .header("idempotency-key", format!("second {number}"))
            .json(&json!({"type": "sale", "barcode": RING, "qty": 1}))
            .send()
            .await
            .expect("the second machine answers");
        assert_eq!(sold.status().as_u16(), 201);
    }

    chain.on_hand(RING, 42).await;
    until("both machines to agree", || async {
        let first = shop.cli(&["stock", RING, "--json"]).ok().json();
        let other = vitrina_tests::process::run("vitrina-agent", &twin, &["stock", RING, "--json"])
            .ok()
            .json();
        let agree = first["on_hand"] == json!(42) && other["on_hand"] == json!(42);
        if agree { Ok(()) } else { Err((first, other)) }
    })
    .await;
    assert_eq!(chain.cli(&["verify"]).code, 0);
}
