//! Web orders at a shop, by both programs: asked for, kept, sold to their buyers, sold to others, and never lost.

use reqwest::Method;
use serde_json::{Value, json};
use vitrina_tests::chain::Reply;
use vitrina_tests::files::copy_folder;
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";

/// A shop that answers by stock or after a scan, and has so many rings.
async fn shop_of(chain: &Chain, id: &str, policy: &str, rings: i64) -> Shop {
    let shop = chain.shop(id, &["--holds", policy]);
    let balances =
        format!("barcode;qty;article;name;at\n{RING};{rings};K-1;Ring;2026-11-20 09:00:00\n");
    shop.open(chain, &balances).await;
    chain.level_with(&shop).await;
    shop
}

/// Orders a ring.
async fn order(chain: &Chain, shop: &str, number: &str, wait_ms: u32) -> Reply {
    let wanted =
        json!({"barcode": RING, "shop": shop, "qty": 1, "order": number, "wait_ms": wait_ms});
    let key = [("idempotency-key", number)];
    chain
        .call(
            Method::POST,
            "/v1/holds",
            &chain.website,
            Some(&wanted),
            &key,
        )
        .await
}

/// Orders a ring, and gives the hold's id.
async fn ordered(chain: &Chain, shop: &str, number: &str) -> String {
    // The shop tells what it keeps with its first exchange.
    let reply = until("the order to be taken", || async {
        let reply = order(chain, shop, number, 0).await;
        if reply.status == 201 {
            Ok(reply)
        } else {
            Err(reply)
        }
    })
    .await;
    let id = reply.body.get("id").and_then(Value::as_str);
    id.expect("an id").to_owned()
}

/// Waits until the website reads this state of a hold.
async fn is_at_hub(chain: &Chain, hold: &str, state: &str) -> Value {
    until(&format!("the hold to be {state}"), || async {
        let reply = chain.get(&format!("/v1/holds/{hold}")).await;
        if reply.body.get("state") == Some(&json!(state)) {
            Ok(reply.body)
        } else {
            Err(reply)
        }
    })
    .await
}

/// Waits until the shop shows this state of a hold.
async fn is_at_shop(shop: &Shop, hold: &str, state: &str) -> Value {
    until(&format!("the shop to show {state}"), || async {
        let reply = get(shop, &format!("/v1/holds/{hold}")).await;
        if reply.body.get("state") == Some(&json!(state)) {
            Ok(reply.body)
        } else {
            Err(reply)
        }
    })
    .await
}

async fn get(shop: &Shop, path: &str) -> Reply {
    shop.call(Method::GET, path, None, &[]).await
}

async fn say(shop: &Shop, hold: &str, action: &str, body: Value) -> Reply {
    let path = format!("/v1/holds/{hold}/{action}");
    shop.call(Method::POST, &path, Some(&body), &[]).await
}

fn sale(receipt: &str) -> Value {
    json!({"type": "sale", "barcode": RING, "qty": 1, "receipt": receipt, "line": 1, "till": "1",
        "at": "2026-11-28T12:00:00"})
}

fn with(mut value: Value, name: &str, member: Value) -> Value {
    value
        .as_object_mut()
        .expect("an object")
        .insert(name.to_owned(), member);
    value
}

async fn book(shop: &Shop, body: &Value) -> Reply {
    shop.call(Method::POST, "/v1/movements", Some(body), &[])
        .await
}

fn file(receipt: &str, reference: &str) -> String {
    format!(
        "type;till;receipt;line;barcode;qty;price;at;ref\nsale;1;{receipt};1;{RING};1;45900,00;2026-11-28 12:00:00;{reference}\n"
    )
}

#[tokio::test]
async fn an_order_is_answered_kept_and_bought_with_its_receipt() {
    let chain = Chain::start();
    let shop = shop_of(&chain, "S001", "auto", 1).await;

    let hold = ordered(&chain, "S001", "W-1").await;
    is_at_hub(&chain, &hold, "confirmed").await;
    let stock = get(&shop, &format!("/v1/stock/{RING}")).await.body;
    assert_eq!(
        (&stock["on_hand"], &stock["held"], &stock["available"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let listed = get(&shop, "/v1/holds").await.body;
    assert_eq!(listed["items"][0]["order"], json!("W-1"), "{listed}");
    assert_eq!(listed["items"][0]["name"], json!("Ring"));

    let bought = say(
        &shop,
        &hold,
        "fulfil",
        json!({"receipt": "17", "till": "1"}),
    )
    .await;
    assert_eq!(bought.status, 200, "{bought:?}");
    assert_eq!(bought.body["state"], json!("fulfilled"));
    let again = say(
        &shop,
        &hold,
        "fulfil",
        json!({"receipt": "17", "till": "1"}),
    )
    .await;
    assert_eq!(again.body["sale"]["id"], bought.body["sale"]["id"]);

    is_at_hub(&chain, &hold, "fulfilled").await;
    chain.on_hand(RING, 0).await;
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn a_shop_that_scans_is_asked_and_answers_by_hand() {
    let chain = Chain::start();
    let shop = shop_of(&chain, "S001", "scan", 2).await;
    let (one, other) = (
        ordered(&chain, "S001", "W-1").await,
        ordered(&chain, "S001", "W-2").await,
    );
    is_at_shop(&shop, &one, "requested").await;
    is_at_shop(&shop, &other, "requested").await;
    assert_eq!(shop.status()["holds_requested"], json!(2));

    let wrong = say(&shop, &one, "confirm", json!({"barcode": "4600000000017"})).await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (409, "other_piece"));
    let kept = say(&shop, &one, "confirm", json!({"barcode": RING})).await;
    assert_eq!(
        (kept.status.as_u16(), &kept.body["state"]),
        (200, &json!("confirmed"))
    );
    let declined = shop.cli(&["hold", "decline", &other, "--reason", "not_found"]);
    assert_eq!(declined.ok().stdout.trim(), "declined");
    let late = say(&shop, &other, "confirm", json!({})).await;
    assert_eq!((late.status.as_u16(), late.code()), (409, "hold_not_open"));

    is_at_hub(&chain, &one, "confirmed").await;
    let told = is_at_hub(&chain, &other, "declined").await;
    assert_eq!(told["legs"][0]["reason"], json!("not_found"), "{told}");
    let listed = shop.cli(&["hold", "list", "--json"]).ok().json();
    assert_eq!(
        listed["items"].as_array().map(Vec::len),
        Some(1),
        "{listed}"
    );
}

#[tokio::test]
async fn a_till_is_told_of_an_order_and_who_insists_breaks_the_promise() {
    let chain = Chain::start();
    let shop = shop_of(&chain, "S001", "auto", 1).await;
    let hold = ordered(&chain, "S001", "W-1").await;
    is_at_hub(&chain, &hold, "confirmed").await;

    let refused = book(&shop, &sale("17")).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "hold_conflict")
    );
    assert_eq!(refused.body["hold"]["id"], json!(hold), "{refused:?}");
    assert!(
        refused.body["actions"]
            .as_array()
            .is_some_and(|actions| !actions.is_empty())
    );
    let forced = book(&shop, &with(sale("17"), "force", json!(true))).await;
    assert_eq!(forced.status, 201, "{forced:?}");

    is_at_shop(&shop, &hold, "broken").await;
    chain.on_hand(RING, 0).await;
    is_at_hub(&chain, &hold, "broken").await;
}

#[tokio::test]
async fn a_sale_that_names_the_order_fulfils_it_by_call_and_by_file() {
    let chain = Chain::start();
    let shop = shop_of(&chain, "S001", "auto", 2).await;
    let (one, other) = (
        ordered(&chain, "S001", "W-1").await,
        ordered(&chain, "S001", "W-2").await,
    );
    is_at_hub(&chain, &one, "confirmed").await;
    is_at_hub(&chain, &other, "confirmed").await;

    let sold = book(&shop, &with(sale("17"), "hold", json!(one))).await;
    assert_eq!(sold.status, 201, "{sold:?}");
    shop.import("sales.csv", file("18", "W-2")).await;

    is_at_hub(&chain, &one, "fulfilled").await;
    is_at_hub(&chain, &other, "fulfilled").await;
    chain.on_hand(RING, 0).await;
    assert_eq!(shop.status()["questions"], json!(0));
}

/// The line of a till's file about a sale of now, as a call without a time is.
fn file_now(receipt: &str, reference: &str) -> String {
    let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    format!(
        "type;till;receipt;line;barcode;qty;price;at;ref\nsale;1;{receipt};1;{RING};1;45900,00;{at};{reference}\n"
    )
}

#[tokio::test]
async fn a_receipt_behind_a_fulfilment_without_one_is_the_same_sale() {
    let chain = Chain::start();
    let shop = shop_of(&chain, "S001", "auto", 4).await;
    let (one, other) = (
        ordered(&chain, "S001", "W-1").await,
        ordered(&chain, "S001", "W-2").await,
    );
    is_at_shop(&shop, &one, "confirmed").await;
    is_at_shop(&shop, &other, "confirmed").await;

    let bought = say(&shop, &one, "fulfil", json!({})).await;
    assert_eq!(bought.status, 200, "{bought:?}");
    shop.import("pos.csv", file_now("5001", "W-1")).await;
    shop.import("again.csv", file_now("5001", "W-1") + "\n")
        .await;
    chain.level_with(&shop).await;
    chain.on_hand(RING, 3).await;

    // A second receipt that names the order is a second piece.
    shop.import("more.csv", file_now("5002", "W-1")).await;
    chain.on_hand(RING, 2).await;

    // A call that names the receipt later: the file needs not name the order then.
    say(&shop, &other, "fulfil", json!({})).await;
    let named = json!({"receipt": "5003", "till": "1"});
    let named = say(&shop, &other, "fulfil", named).await;
    assert_eq!(named.status, 200, "{named:?}");
    let wrong = say(&shop, &other, "fulfil", json!({"receipt": "5004"})).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.code()),
        (409, "hold_not_open")
    );
    shop.import("third.csv", file_now("5003", "")).await;
    chain.on_hand(RING, 1).await;
    assert_eq!(shop.status()["quarantined"], json!(0));
    is_at_hub(&chain, &other, "fulfilled").await;
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn an_order_that_was_served_with_one_receipt_is_not_served_with_another() {
    let chain = Chain::start();
    let shop = shop_of(&chain, "S001", "auto", 4).await;
    let hold = ordered(&chain, "S001", "W-1").await;
    is_at_shop(&shop, &hold, "confirmed").await;
    let told = json!({"receipt": "5001", "line": 1, "at": "2026-11-28T12:00:00"});

    let bought = say(&shop, &hold, "fulfil", told.clone()).await;
    assert_eq!(bought.status, 200, "{bought:?}");
    // The till's own file names the till, which the call did not.
    shop.import("pos.csv", file("5001", "")).await;
    let again = say(&shop, &hold, "fulfil", told).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.body["sale"]["id"], bought.body["sale"]["id"]);
    let other = say(&shop, &hold, "fulfil", json!({"receipt": "5002"})).await;
    assert_eq!(
        (other.status.as_u16(), other.code()),
        (409, "hold_not_open")
    );

    // No second till came of it.
    let next = json!({"type": "sale", "barcode": RING, "qty": 1, "receipt": "5003", "line": 1, "at": "2026-11-28T12:10:00"});
    assert_eq!(book(&shop, &next).await.status, 201);
    chain.level_with(&shop).await;
    chain.on_hand(RING, 2).await;
    assert_eq!(shop.status()["quarantined"], json!(0));
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn a_file_that_sells_what_is_kept_is_a_question_and_nothing_is_let_go_before_it_is_answered()
{
    let chain = Chain::start();
    let shop = shop_of(&chain, "S001", "auto", 2).await;
    let (one, other) = (
        ordered(&chain, "S001", "W-1").await,
        ordered(&chain, "S001", "W-2").await,
    );
    is_at_hub(&chain, &one, "confirmed").await;
    is_at_hub(&chain, &other, "confirmed").await;

    shop.import("sales.csv", file("17", "")).await;
    shop.import("more.csv", file("18", "")).await;
    chain.on_hand(RING, 0).await;
    let asked = get(&shop, "/v1/questions").await.body;
    assert_eq!(asked["items"].as_array().map(Vec::len), Some(2), "{asked}");
    for hold in [&one, &other] {
        is_at_shop(&shop, hold, "confirmed").await;
        is_at_hub(&chain, hold, "confirmed").await;
    }

    let first = asked["items"][0]["id"].as_str().expect("an id");
    let whose = json!({"whose": "order", "hold": one});
    let path = format!("/v1/questions/{first}");
    let answered = shop.call(Method::POST, &path, Some(&whose), &[]).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let second = asked["items"][1]["id"].as_str().expect("an id");
    shop.cli(&["hold", "answer", second, "--other"]).ok();

    is_at_hub(&chain, &one, "fulfilled").await;
    is_at_hub(&chain, &other, "broken").await;
    assert_eq!(shop.status()["questions"], json!(0));
}

/// Waits until nothing is asked about a sale.
async fn nothing_is_asked(shop: &Shop) {
    until("nothing to be asked", || async {
        let asked = get(shop, "/v1/questions").await;
        if asked.items().is_empty() {
            Ok(())
        } else {
            Err(asked)
        }
    })
    .await;
}

#[tokio::test]
async fn a_question_that_no_order_is_left_for_ends_by_itself() {
    let chain = Chain::start();
    let shop = shop_of(&chain, "S001", "scan", 2).await;
    let _other = shop_of(&chain, "S002", "auto", 1).await;
    let (one, other) = (
        ordered(&chain, "S001", "W-1").await,
        ordered(&chain, "S001", "W-2").await,
    );
    is_at_shop(&shop, &other, "requested").await;
    shop.import("sales.csv", file("17", "")).await;
    let asked = get(&shop, "/v1/questions").await.items();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0]["name"], json!("Ring"));

    let bought = json!({"receipt": "18", "line": 1, "till": "1", "at": "2026-11-28T12:30:00"});
    let bought = say(&shop, &one, "fulfil", bought).await;
    assert_eq!(bought.status, 200, "{bought:?}");

    // The last ring is sold: the other order goes elsewhere, and nobody is left whose the sale of the file was.
    is_at_hub(&chain, &other, "confirmed").await;
    nothing_is_asked(&shop).await;
    assert_eq!(shop.status()["questions"], json!(0));
    let stock = get(&shop, &format!("/v1/stock/{RING}")).await.body;
    assert_eq!(stock["on_hand"], json!(0), "{stock}");
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn a_question_about_an_order_that_is_cancelled_ends_by_itself() {
    let chain = Chain::start();
    let shop = shop_of(&chain, "S001", "auto", 1).await;
    let order = ordered(&chain, "S001", "W-1").await;
    is_at_hub(&chain, &order, "confirmed").await;
    shop.import("sales.csv", file("17", "")).await;
    assert_eq!(shop.status()["questions"], json!(1));

    let path = format!("/v1/holds/{order}");
    chain
        .call(Method::DELETE, &path, &chain.website, None, &[])
        .await;

    nothing_is_asked(&shop).await;
    chain.on_hand(RING, 0).await;
}

#[tokio::test]
async fn a_shop_without_a_line_serves_its_orders_and_says_so_later() {
    let chain = Chain::start();
    let shop = shop_of(&chain, "S001", "auto", 2).await;
    let hold = ordered(&chain, "S001", "W-1").await;
    is_at_hub(&chain, &hold, "confirmed").await;
    is_at_shop(&shop, &hold, "confirmed").await;

    shop.link.cut();
    book(&shop, &sale("17")).await;
    let refused = book(&shop, &sale("18")).await;
    assert_eq!(refused.code(), "hold_conflict", "{refused:?}");
    let late = order(&chain, "S001", "W-2", 300).await;
    let bought = say(
        &shop,
        &hold,
        "fulfil",
        json!({"receipt": "19", "till": "1"}),
    )
    .await;
    assert_eq!(bought.status, 200, "{bought:?}");
    shop.link.mend();

    is_at_hub(&chain, &hold, "fulfilled").await;
    chain.on_hand(RING, 0).await;
    let late = late.body["id"].as_str().expect("an id").to_owned();
    is_at_hub(&chain, &late, "declined").await;
}

#[tokio::test]
async fn a_hub_put_back_hears_from_the_shop_what_was_promised() {
    let mut chain = Chain::start();
    let shop = shop_of(&chain, "S001", "auto", 3).await;
    let old = ordered(&chain, "S001", "W-1").await;
    is_at_hub(&chain, &old, "confirmed").await;
    let copy = chain.path("monday.sqlite3").display().to_string();
    chain.cli(&["backup", &copy]).ok();
    let new = ordered(&chain, "S001", "W-2").await;
    is_at_hub(&chain, &new, "confirmed").await;
    let bought = say(&shop, &old, "fulfil", json!({"receipt": "17", "till": "1"})).await;
    assert_eq!(bought.status, 200, "{bought:?}");
    is_at_hub(&chain, &old, "fulfilled").await;

    chain.stop_hub();
    chain.cli(&["restore", &copy]).ok();
    chain.start_hub();

    is_at_hub(&chain, &new, "confirmed").await;
    is_at_hub(&chain, &old, "fulfilled").await;
    let repeated = order(&chain, "S001", "W-2", 0).await;
    assert_eq!(
        repeated.body["id"],
        json!(new),
        "the same key, the same hold"
    );
    let item = chain.on_hand(RING, 2).await;
    assert_eq!(item["held"], json!(1), "{item}");
    chain.balances_with([&shop]);
}

#[tokio::test]
async fn a_shop_put_back_gets_its_promises_back() {
    let chain = Chain::start();
    let mut shop = shop_of(&chain, "S001", "scan", 1).await;
    chain.level_with(&shop).await;
    shop.stop();
    let monday = chain.path("monday");
    copy_folder(&shop.data, &monday);
    shop.start();
    let hold = ordered(&chain, "S001", "W-1").await;
    is_at_shop(&shop, &hold, "requested").await;
    say(&shop, &hold, "confirm", json!({"barcode": RING})).await;
    is_at_hub(&chain, &hold, "confirmed").await;

    shop.stop();
    copy_folder(&monday, &shop.data);
    shop.start();

    is_at_shop(&shop, &hold, "confirmed").await;
    let refused = book(&shop, &sale("17")).await;
    assert_eq!(refused.code(), "hold_conflict", "{refused:?}");
    let bought = book(&shop, &with(sale("17"), "hold", json!(hold))).await;
    assert_eq!(bought.status, 201, "{bought:?}");
    is_at_hub(&chain, &hold, "fulfilled").await;
    chain.balances_with([&shop]);
}

/// Waits until so many work items of a kind are not resolved.
async fn work_items(chain: &Chain, kind: &str, count: usize) {
    until(&format!("{count} of {kind}"), || async {
        let items = chain
            .office(&format!("/v1/alerts?kind={kind}"))
            .await
            .items();
        if items.len() == count {
            Ok(())
        } else {
            Err(items)
        }
    })
    .await;
}

#[tokio::test]
async fn what_head_office_was_asked_about_an_order_ends_with_the_shops_word() {
    let chain = Chain::start();
    let shop = shop_of(&chain, "S001", "auto", 2).await;
    let hold = ordered(&chain, "S001", "W-1").await;
    is_at_hub(&chain, &hold, "confirmed").await;
    let other = ordered(&chain, "S001", "W-2").await;
    is_at_hub(&chain, &other, "confirmed").await;

    shop.import("sales.csv", file("17", "")).await;
    work_items(&chain, "sold_over_hold", 1).await;
    let asked = get(&shop, "/v1/questions").await.items();
    let question = asked[0]["id"].as_str().expect("an id");
    shop.cli(&["hold", "answer", question, "--order", &hold])
        .ok();
    is_at_hub(&chain, &hold, "fulfilled").await;
    work_items(&chain, "sold_over_hold", 0).await;

    // The other's buyer comes though he has cancelled.
    let path = format!("/v1/holds/{other}");
    let gone = chain
        .call(Method::DELETE, &path, &chain.website, None, &[])
        .await;
    assert_eq!(gone.body["state"], json!("released"), "{gone:?}");
    work_items(&chain, "put_back", 1).await;
    shop.import("more.csv", file("18", "W-2")).await;
    work_items(&chain, "cancelled_and_bought", 1).await;
    work_items(&chain, "put_back", 0).await;
}
