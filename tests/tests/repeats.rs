//! The same sale by any number of paths counts once; different sales that look alike count each.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::{Chain, Shop};

const RING: &str = "2000018987155";
const STONE: &str = "2000018987162";
const HEAD: &str = "type;till;receipt;line;barcode;qty;price;at\n";

async fn shop_with_ten(chain: &Chain) -> Shop {
    let shop = chain.shop("S001", &[]);
    shop.open(
        chain,
        &format!("barcode;qty;at\n{RING};10;2026-11-01 09:00:00\n"),
    )
    .await;
    shop
}

fn receipt(number: &str, till: &str, at: &str) -> Value {
    json!({"receipt": number, "till": till, "at": at, "lines": [{"type": "sale", "barcode": RING, "qty": 1}]})
}

async fn post_receipt(shop: &Shop, body: &Value) -> vitrina_tests::chain::Reply {
    shop.call(Method::POST, "/v1/receipts", Some(body), &[])
        .await
}

#[tokio::test]
async fn two_tills_with_receipt_one_count_twice() {
    let chain = Chain::start();
    let shop = shop_with_ten(&chain).await;

    shop.import("pos.csv", format!("{HEAD}sale;1;1;1;{RING};1;;2026-11-20 10:00:00\nsale;2;1;1;{RING};1;;2026-11-20 10:00:00\n")).await;

    chain.on_hand(RING, 8).await;
}

#[tokio::test]
async fn a_receipt_by_api_and_by_file_counts_once() {
    let chain = Chain::start();
    let shop = shop_with_ten(&chain).await;

    let first = post_receipt(&shop, &receipt("77", "1", "2026-11-20T10:00:00+03:00")).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    shop.import(
        "pos.csv",
        format!("{HEAD}sale;1;77;1;{RING};1;;20.11.2026 10:00:00\n"),
    )
    .await;
    shop.import(
        "again.csv",
        format!("{HEAD}sale;1;77;1;{RING};1;;20.11.2026 10:00:05\n"),
    )
    .await;

    chain.level_with(&shop).await;
    chain.on_hand(RING, 9).await;
    assert_eq!(shop.status()["quarantined"], json!(0));
}

#[tokio::test]
async fn last_years_receipt_number_is_a_new_receipt() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.import(
        "goods.csv",
        format!("{HEAD}receipt;1;1;1;{RING};10;;2024-01-01 10:00:00\n"),
    )
    .await;

    for at in ["2025-11-20T10:00:00+03:00", "2026-11-20T10:00:00+03:00"] {
        let reply = post_receipt(&shop, &receipt("1", "1", at)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    }

    chain.on_hand(RING, 8).await;
}

#[tokio::test]
async fn a_return_may_carry_the_number_of_its_sale() {
    let chain = Chain::start();
    let shop = shop_with_ten(&chain).await;

    shop.import("pos.csv", format!("{HEAD}sale;1;5;1;{RING};1;;2026-11-20 10:00:00\nreturn;1;5;1;{RING};1;;2026-11-20 11:00:00\n")).await;

    chain.level_with(&shop).await;
    chain.on_hand(RING, 10).await;
    assert_eq!(shop.status()["quarantined"], json!(0));
}

#[tokio::test]
async fn a_repeated_call_gives_the_same_answer_and_another_body_under_its_key_is_refused() {
    let chain = Chain::start();
    let shop = shop_with_ten(&chain).await;
    let sale = json!({"type": "sale", "barcode": RING, "qty": 1});

    let first = shop.book("k1", sale.clone()).await;
    shop.book("k2", sale.clone()).await;
    let again = shop.book("k1", sale.clone()).await;
    let other = shop
        .book("k1", json!({"type": "sale", "barcode": RING, "qty": 2}))
        .await;

    assert_eq!(
        (first.status, again.status),
        (StatusCode::CREATED, StatusCode::CREATED)
    );
    assert_eq!(
        again.body, first.body,
        "the same body, the old on-hand included"
    );
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(
        (other.status, other.code()),
        (StatusCode::UNPROCESSABLE_ENTITY, "duplicate_key_mismatch")
    );
    chain.on_hand(RING, 8).await;
}

#[tokio::test]
async fn one_receipt_line_told_in_two_ways_is_a_conflict_and_nothing_is_dropped() {
    let chain = Chain::start();
    let shop = shop_with_ten(&chain).await;
    post_receipt(&shop, &receipt("9", "1", "2026-11-20T10:00:00+03:00")).await;

    let mut other = receipt("9", "1", "2026-11-20T10:00:00+03:00");
    other["lines"][0]["qty"] = json!(2);
    let reply = post_receipt(&shop, &other).await;
    assert_eq!(
        (reply.status, reply.code()),
        (StatusCode::CONFLICT, "receipt_conflict"),
        "{reply:?}"
    );

    shop.drop_and_wait("pos.csv", format!("{HEAD}sale;1;9;1;{RING};3;;2026-11-20 10:00:00\nsale;1;10;1;{RING};1;;2026-11-20 10:00:00\n")).await;
    chain.level_with(&shop).await;
    chain.on_hand(RING, 8).await;
    let listed = shop.cli(&["quarantine", "list", "--json"]).ok().json();
    assert_eq!(
        listed["items"][0]["reason"],
        json!("receipt_conflict"),
        "{listed}"
    );
}

#[tokio::test]
async fn the_same_bytes_under_another_name_count_once_and_one_more_line_counts_one_more() {
    let chain = Chain::start();
    let shop = shop_with_ten(&chain).await;
    let lines = "type;barcode;qty;at\nsale;2000018987155;1;2026-11-20 10:00:00\nsale;2000018987155;1;2026-11-20 10:00:00\n";

    shop.import("a.csv", lines).await;
    shop.import("b.csv", lines).await;

    chain.level_with(&shop).await;
    chain.on_hand(RING, 8).await;
    let repeated = shop
        .cli(&["import", "--json", &write(&shop, "c.csv", lines)])
        .ok()
        .json();
    let counts = ["imported", "duplicates", "quarantined"].map(|name| repeated[name].clone());
    assert_eq!(counts, [json!(0), json!(2), json!(0)], "{repeated}");
}

#[tokio::test]
async fn a_cancelled_line_does_not_count_whoever_booked_it() {
    let chain = Chain::start();
    let shop = shop_with_ten(&chain).await;
    post_receipt(&shop, &receipt("3", "1", "2026-11-20T10:00:00+03:00")).await;
    chain.on_hand(RING, 9).await;

    shop.drop_and_wait("pos.csv", format!("{HEAD}cancel;1;3;1;{RING};1;;2026-11-20 12:00:00\ncancel;1;4;1;{RING};1;;2026-11-20 12:00:00\n")).await;

    chain.on_hand(RING, 10).await;
    let listed = shop.cli(&["quarantine", "list", "--json"]).ok().json();
    assert_eq!(
        listed["items"][0]["reason"],
        json!("nothing_to_cancel"),
        "{listed}"
    );
    assert_eq!(chain.cli(&["verify"]).code, 0);
}

/// A sale of a receipt that names no till.
fn tillless(number: &str, barcode: &str) -> Value {
    json!({"type": "sale", "barcode": barcode, "qty": 1, "receipt": number, "line": 1, "at": "2026-11-20T10:00:00+03:00"})
}

async fn post(shop: &Shop, body: &Value) -> vitrina_tests::chain::Reply {
    shop.call(Method::POST, "/v1/movements", Some(body), &[])
        .await
}

/// What an import says that it booked, had already and set aside.
fn imported(shop: &Shop, name: &str, content: &str) -> [Value; 3] {
    let told = shop
        .cli(&["import", "--json", &write(shop, name, content)])
        .ok()
        .json();
    ["imported", "duplicates", "quarantined"]
        .map(|name| told.get(name).cloned().unwrap_or_default())
}

#[tokio::test]
async fn a_receipt_that_first_came_without_a_till_counts_once() {
    let chain = Chain::start();
    let shop = shop_with_ten(&chain).await;
    let pos = format!("{HEAD}sale;1;10;1;{RING};1;;2026-11-20 10:00:00\n");

    let first = post(&shop, &tillless("10", RING)).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    let whole = json!({"receipt": "12", "at": "2026-11-20T10:00:00+03:00", "lines": [{"type": "sale", "barcode": RING, "qty": 1}]});
    let first_whole = post_receipt(&shop, &whole).await;
    assert_eq!(first_whole.status, StatusCode::CREATED, "{first_whole:?}");
    let taken = imported(&shop, "pos.csv", &pos);
    assert_eq!(taken, [json!(0), json!(1), json!(0)]);

    // The till is the shop's only one now: it is meant where none is named, and the calls' answers stay as they were.
    let named = {
        let mut named = tillless("10", RING);
        named["till"] = json!("1");
        named
    };
    for body in [&tillless("10", RING), &named] {
        let again = post(&shop, body).await;
        assert_eq!(
            (again.status, &again.body),
            (StatusCode::CREATED, &first.body)
        );
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
    let again = post_receipt(&shop, &whole).await;
    assert_eq!(again.body, first_whole.body);
    assert_eq!(again.header("idempotency-replayed"), "true");
    let next = post(&shop, &tillless("11", RING)).await;
    assert_eq!(next.status, StatusCode::CREATED, "{next:?}");
    let no_till = "type;receipt;line;barcode;qty;at\n";
    let old = format!(
        "{no_till}sale;10;1;{RING};1;2026-11-20 10:00:00\nsale;11;1;{RING};1;2026-11-20 10:00:00\n"
    );
    let old = imported(&shop, "old.csv", &old);
    assert_eq!(old, [json!(0), json!(2), json!(0)]);

    chain.level_with(&shop).await;
    chain.on_hand(RING, 7).await;
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn a_receipt_that_first_came_without_a_till_is_contradicted_by_another_content() {
    let chain = Chain::start();
    let shop = shop_with_ten(&chain).await;
    post(&shop, &tillless("10", RING)).await;

    let pos = format!(
        "{HEAD}sale;1;10;1;{STONE};1;;2026-11-20 10:00:00\nsale;1;11;1;{RING};1;;2026-11-20 10:00:00\n"
    );
    let taken = imported(&shop, "pos.csv", &pos);
    let refused = post(&shop, &tillless("10", STONE)).await;

    assert_eq!(taken, [json!(1), json!(0), json!(1)]);
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::CONFLICT, "receipt_conflict")
    );
    let listed = shop.cli(&["quarantine", "list", "--json"]).ok().json();
    assert_eq!(listed["items"][0]["reason"], json!("receipt_conflict"));

    // What was booked without a till is taken back by the till's own words.
    let cancel = format!("{HEAD}cancel;1;10;1;{RING};1;;2026-11-20 12:00:00\n");
    let cancelled = imported(&shop, "cancel.csv", &cancel);
    assert_eq!(cancelled, [json!(1), json!(0), json!(0)]);
    chain.on_hand(RING, 9).await;
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn what_was_booked_without_a_till_is_one_tills_receipt_and_not_two() {
    let chain = Chain::start();
    let shop = shop_with_ten(&chain).await;
    post(&shop, &tillless("10", RING)).await;
    post(&shop, &tillless("11", RING)).await;

    let pos = [
        "sale;2;12;1;2000018987155;1;;2026-11-20 09:00:00",
        "sale;1;10;1;2000018987155;1;;2026-11-20 10:00:00",
        "sale;2;10;1;2000018987155;1;;2026-11-20 10:20:00",
        "sale;1;11;1;2000018987162;1;;2026-11-20 10:30:00",
        "sale;2;11;1;2000018987155;1;;2026-11-20 10:40:00",
    ];
    let pos = format!("{HEAD}{}\n", pos.join("\n"));
    let taken = imported(&shop, "pos.csv", &pos);
    assert_eq!(taken, [json!(3), json!(2), json!(0)]);
    let again = imported(&shop, "again.csv", &format!("{pos}\n"));
    assert_eq!(again, [json!(0), json!(5), json!(0)]);

    chain.on_hand(RING, 6).await;
    chain.on_hand(STONE, -1).await;
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn a_cancel_takes_back_the_piece_that_it_names_and_no_other() {
    let chain = Chain::start();
    let shop = shop_with_ten(&chain).await;
    post_receipt(&shop, &receipt("3", "1", "2026-11-20T10:00:00+03:00")).await;
    let cancel = |barcode, receipt, at| {
        shop.cli(&[
            "move",
            "cancel",
            barcode,
            "--receipt",
            receipt,
            "--line",
            "1",
            "--at",
            at,
        ])
    };

    let other = cancel(STONE, "3", "2026-11-20T12:00:00+03:00");
    assert_eq!(other.code, 1, "{other:?}");
    assert!(
        other.stderr.contains("receipt_conflict") && other.stderr.contains(RING),
        "{other:?}"
    );
    let body = json!({"type": "cancel", "barcode": STONE, "receipt": "3", "line": 1, "at": "2026-11-20T12:00:00+03:00"});
    let refused = post(&shop, &body).await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::CONFLICT, "receipt_conflict")
    );
    assert_eq!(refused.body["existing"]["barcode"], json!(RING));
    let pos = format!("{HEAD}cancel;1;3;1;{STONE};1;;2026-11-20 12:00:00\n");
    assert_eq!(
        imported(&shop, "pos.csv", &pos),
        [json!(0), json!(0), json!(1)]
    );
    let unknown = cancel(RING, "4", "2026-11-20T12:00:00+03:00");
    assert_eq!(unknown.code, 1, "{unknown:?}");
    chain.on_hand(RING, 9).await;

    for at in ["2026-11-20T12:00:00+03:00", "2026-11-20T13:00:00+03:00"] {
        let done = cancel(RING, "3", at);
        assert_eq!(done.ok().stdout.trim(), "10", "a repeat is told the same");
    }
    assert_eq!(cancel(STONE, "3", "2026-11-20T12:00:00+03:00").code, 1);
    chain.on_hand(RING, 10).await;
    chain.balances_with([&shop]);
}

fn write(shop: &Shop, name: &str, content: &str) -> String {
    let path = shop.data.join(name);
    std::fs::write(&path, content).expect("the folder is writable");
    path.display().to_string()
}
