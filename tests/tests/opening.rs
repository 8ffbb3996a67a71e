//! How a shop's books begin, and what a later balances file may say.

use std::fmt::Write;

use serde_json::json;
use vitrina_tests::{Chain, until};

const RING: &str = "2000018987155";
const STONE: &str = "2000018987162";
const HEAD: &str = "type;receipt;line;barcode;qty;price;at\n";

#[tokio::test]
async fn the_first_balances_file_opens_the_shop_and_earlier_sales_are_inside_it() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-10 09:00:00\n"),
    )
    .await;

    shop.drop_file(
        "pos.csv",
        format!(
            "{HEAD}sale;1;1;{RING};1;;2026-11-09 18:00:00\nsale;2;1;{RING};1;;2026-11-10 10:00:00\n"
        ),
    );
    shop.taken("pos.csv").await;

    chain.on_hand(RING, 9).await;
    let listed = shop.cli(&["quarantine", "list", "--json"]).ok().json();
    assert_eq!(
        listed["items"][0]["reason"],
        json!("before_opening"),
        "{listed}"
    );
    let id = listed["items"][0]["id"].as_str().expect("an id").to_owned();
    shop.cli(&["quarantine", "retry", &id, "--force"]).ok();
    chain.on_hand(RING, 8).await;
}

#[tokio::test]
async fn sales_before_the_opening_file_is_taken_are_not_counted_twice() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.import(
        "pos.csv",
        format!("{HEAD}sale;1;1;{RING};2;;2026-11-09 18:00:00\n"),
    )
    .await;
    chain.on_hand(RING, -2).await;

    shop.import(
        "balances.csv",
        format!("barcode;qty;at\n{RING};10;2026-11-10 09:00:00\n"),
    )
    .await;

    chain.on_hand(RING, 10).await;
}

#[tokio::test]
async fn a_new_shop_pc_does_not_open_twice() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    let balances = format!("barcode;qty;at\n{RING};10;2026-11-10 09:00:00\n");
    shop.open(&chain, &balances).await;
    shop.sell("one", RING).await;
    chain.on_hand(RING, 9).await;
    shop.stop();

    // A new disk: nothing but a new code.
    let code = chain.cli(&["shop", "recode", "S001", "--json"]).ok().json()["code"]
        .as_str()
        .expect("a code")
        .to_owned();
    std::fs::remove_dir_all(&shop.data).expect("the old disk is gone");
    std::fs::create_dir(&shop.data).expect("a new folder");
    shop.cli(&["enrol", "--hub", &shop.link.url, "--code", &code])
        .ok();
    shop.drop_file("balances.csv", &balances);
    shop.start();
    shop.taken("balances.csv").await;

    until("the new PC to hold the old sales", || async {
        let stock = shop.cli(&["stock", RING, "--json"]).ok().json();
        if stock["on_hand"] == json!(9) {
            Ok(())
        } else {
            Err(stock)
        }
    })
    .await;
    chain.on_hand(RING, 9).await;
}

#[tokio::test]
async fn a_later_balances_file_verifies_and_a_person_adopts() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-10 09:00:00\n{STONE};5;2026-11-10 09:00:00\n"),
    )
    .await;
    shop.import(
        "pos.csv",
        format!("{HEAD}sale;1;1;{RING};1;;2026-11-11 10:00:00\n"),
    )
    .await;

    shop.import(
        "check.csv",
        format!("barcode;qty;at\n{RING};8;2026-11-12 09:00:00\n{STONE};5;2026-11-12 09:00:00\n"),
    )
    .await;

    chain.on_hand(RING, 9).await;
    assert_eq!(shop.status()["disagreements"], json!(1));
    until("head office to see it", || async {
        let listed = chain.cli(&["diff", "list", "--json"]).ok().json();
        if listed["items"][0]["barcode"] == json!(RING) {
            Ok(())
        } else {
            Err(listed)
        }
    })
    .await;

    shop.cli(&["diff", "adopt", RING]).ok();
    chain.on_hand(RING, 8).await;
    assert_eq!(shop.status()["disagreements"], json!(0));
}

#[tokio::test]
async fn an_adopted_barcode_brings_the_card_that_the_file_told() {
    let chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-10 09:00:00\n"),
    )
    .await;
    // A new barcode that nothing was booked of.
    shop.import(
        "check.csv",
        format!(
            "barcode;qty;article;name;size;price;at\n{RING};10;;;;;2026-11-12 09:00:00\n\
             {STONE};3;K-77;Ring with a stone;17,5;45900,00;2026-11-12 09:00:00\n"
        ),
    )
    .await;

    shop.cli(&["diff", "adopt", STONE]).ok();

    let at_hub = chain.on_hand(STONE, 3).await;
    let at_shop = shop.cli(&["stock", STONE, "--json"]).ok().json();
    for item in [&at_hub, &at_shop] {
        let card = json!([item["article"], item["name"], item["attributes"]["size"]]);
        assert_eq!(card, json!(["K-77", "Ring with a stone", "17,5"]), "{item}");
    }
    let prices = [&at_hub["levels"][0]["price"], &at_shop["price"]];
    assert!(
        prices
            .iter()
            .all(|price| price["amount"] == json!("45900.00")),
        "{prices:?}"
    );

    // The card is in the log: a new PC has it from the hub.
    chain.level_with(&shop).await;
    shop.stop();
    let code = chain.cli(&["shop", "recode", "S001", "--json"]).ok().json()["code"]
        .as_str()
        .expect("a code")
        .to_owned();
    std::fs::remove_dir_all(&shop.data).expect("the old disk is gone");
    std::fs::create_dir(&shop.data).expect("a new folder");
    shop.cli(&["enrol", "--hub", &shop.link.url, "--code", &code])
        .ok();
    shop.start();
    until("the new PC to know the card", || async {
        let known = shop.cli(&["stock", STONE, "--json"]);
        if known.code == 0 && known.json()["article"] == json!("K-77") {
            Ok(())
        } else {
            Err(known)
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_that_would_empty_a_balances_shop_is_held_until_a_person_says_so() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &["--source", "balances"]);
    let mut full = String::from("barcode;qty;at\n");
    for number in 0..30 {
        writeln!(full, "20000000{number:05};1;2026-11-10 09:00:00").expect("a text grows");
    }
    shop.import("a.csv", full).await;
    chain.on_hand("2000000000007", 1).await;

    shop.drop_file(
        "b.csv",
        "barcode;qty;at\n2000000000007;1;2026-11-11 09:00:00\n",
    );
    until("the file to be held", || async {
        let listed = shop.cli(&["quarantine", "list", "--json"]).ok().json();
        if listed["items"][0]["reason"] == json!("held_file") {
            Ok(())
        } else {
            Err(listed)
        }
    })
    .await;
    chain.on_hand("2000000000008", 1).await;

    let listed = shop.cli(&["quarantine", "list", "--json"]).ok().json();
    let id = listed["items"][0]["id"].as_str().expect("an id").to_owned();
    shop.cli(&["quarantine", "retry", &id, "--force"]).ok();
    chain.on_hand("2000000000008", 0).await;
    chain.on_hand("2000000000007", 1).await;
}

#[tokio::test]
async fn in_a_balances_shop_the_latest_statement_counts_and_the_till_may_not_book() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &["--source", "balances"]);
    shop.import(
        "a.csv",
        format!("barcode;qty;at\n{RING};3;2026-11-10 09:00:00\n"),
    )
    .await;
    chain.on_hand(RING, 3).await;

    shop.import(
        "c.csv",
        format!("barcode;qty;at\n{RING};2;2026-11-12 09:00:00\n"),
    )
    .await;
    chain.on_hand(RING, 2).await;
    shop.import(
        "b.csv",
        format!("barcode;qty;at\n{RING};9;2026-11-11 09:00:00\n"),
    )
    .await;
    shop.import(
        "again.csv",
        format!("barcode;qty;at\n{RING};2;2026-11-13 09:00:00\n"),
    )
    .await;

    chain.level_with(&shop).await;
    chain.on_hand(RING, 2).await;
    let refused = shop
        .book("k", json!({"type": "sale", "barcode": RING, "qty": 1}))
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "source_is_balances"),
        "{refused:?}"
    );
    assert_eq!(chain.cli(&["verify"]).code, 0);
}

#[tokio::test]
async fn a_file_without_names_takes_no_name_away() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(
        &chain,
        &format!(
            "barcode;qty;article;name;price;at\n{RING};10;K-1;Кольцо;45900;2026-11-10 09:00:00\n"
        ),
    )
    .await;

    shop.import(
        "check.csv",
        format!("barcode;qty;at\n{RING};8;2026-11-12 09:00:00\n"),
    )
    .await;
    shop.cli(&["diff", "adopt", RING]).ok();
    shop.import(
        "goods.csv",
        format!("{HEAD}receipt;1;1;{RING};1;47000;2026-11-13 10:00:00\n"),
    )
    .await;

    let item = chain.on_hand(RING, 9).await;
    let own = shop.cli(&["stock", RING, "--json"]).ok().json();
    for (answer, price) in [(&item, &item["levels"][0]["price"]), (&own, &own["price"])] {
        assert_eq!(
            (&answer["article"], &answer["name"]),
            (&json!("K-1"), &json!("Кольцо"))
        );
        assert_eq!(price["amount"], json!("47000.00"), "the latest price");
    }
}

#[tokio::test]
async fn a_real_package_of_variants_opens_a_shop() {
    let Some(samples) = vitrina_tests::binaries::samples() else {
        return;
    };
    let offers = std::fs::read(samples.join("cml-2.04-cscart-variants/offers.xml"))
        .expect("the sample reads");
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);

    shop.import("offers.xml", offers).await;
    chain.level_with(&shop).await;

    // 81 of its 1,455 offers carry a quantity.
    let stocked = chain
        .get("/v1/stock?shop=S001&available=true&limit=1000")
        .await;
    assert_eq!(
        stocked.body["items"].as_array().map(Vec::len),
        Some(81),
        "{stocked:?}"
    );
    assert_eq!(shop.status()["quarantined"], json!(0));
    assert_eq!(chain.cli(&["verify"]).code, 0);
}
