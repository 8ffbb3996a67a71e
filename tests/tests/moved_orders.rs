//! Head office has pieces moved: an order's to the shop that hands it over, and stock from shop to shop.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::chain::Reply;
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
const STOCK: &str = "barcode;qty;article;name;size;price\n\
    2000018987155;1;К-1234;Кольцо «Мария»;17,5;45900,00\n";
const OTHERS: &str = "barcode;qty\n2000018987162;1\n";

async fn post(chain: &Chain, path: &str, key: &str, body: Value) -> Reply {
    let headers = [("idempotency-key", key)];
    chain
        .call(Method::POST, path, &chain.office, Some(&body), &headers)
        .await
}

/// Waits until a hold is so, and gives it.
async fn hold_is(chain: &Chain, hold: &str, shop: &str, state: &str) -> Value {
    until(&format!("the hold to be {state} at {shop}"), || async {
        let reply = chain.get(&format!("/v1/holds/{hold}")).await;
        let is = |name: &str, value: &str| reply.body.get(name) == Some(&json!(value));
        if is("state", state) && is("shop", shop) {
            Ok(reply.body)
        } else {
            Err(reply)
        }
    })
    .await
}

/// Waits until the shop is asked to send something, and gives it.
async fn is_asked(shop: &Shop) -> Value {
    until("the shop to be asked", || async {
        let list = shop.cli(&["transfer", "list", "--json"]).ok().json();
        let items = list.get("items").and_then(Value::as_array).cloned();
        let items = items.expect("items");
        let asked = { items.iter() }.find(|item| item.get("state") == Some(&json!("requested")));
        asked.cloned().ok_or(items)
    })
    .await
}

/// Sends what the shop is asked for, and takes it in at the other.
async fn travels(from: &Shop, to: &Shop, hold: &str) {
    from.cli(&["transfer", "ship", RING, "--hold", hold]).ok();
    until("the parcel to be known", || async {
        let came = to.cli(&["transfer", "receive", RING]);
        if came.code == 0 { Ok(()) } else { Err(came) }
    })
    .await;
}

/// On hand, held and available of the ring, everywhere.
async fn numbers(chain: &Chain, expected: [i64; 3]) {
    until(&format!("{expected:?} of the ring"), || async {
        let item = chain.get(&format!("/v1/stock/{RING}")).await.body;
        let found = ["on_hand", "held", "available"].map(|name| item.get(name)?.as_i64());
        if found == expected.map(Some) {
            Ok(())
        } else {
            Err(item)
        }
    })
    .await;
}

#[tokio::test]
async fn an_order_travels_with_its_piece_and_gives_it_back_to_stock_where_it_is_dismantled() {
    let chain = Chain::start();
    let from = chain.opened("S001", STOCK).await;
    let to = chain.shop("W001", &["--type", "warehouse"]);
    to.open(&chain, OTHERS).await;
    let wanted = json!({"barcode": RING, "shop": "S001", "qty": 1, "order": "1024"});
    let placed = until("the order to be taken", || async {
        let reply = post(&chain, "/v1/holds", "1024", wanted.clone()).await;
        if reply.status == StatusCode::CREATED {
            Ok(reply.body)
        } else {
            Err(reply)
        }
    })
    .await;
    let hold = placed["id"].as_str().expect("an id");
    until("the shop to be asked for it", || async {
        let confirmed = from.cli(&["hold", "confirm", hold, "--barcode", RING]);
        if confirmed.code == 0 {
            Ok(())
        } else {
            Err(confirmed)
        }
    })
    .await;

    let path = format!("/v1/holds/{hold}/transfer");
    for bad in [json!({"to": "S009"}), json!({})] {
        let refused = post(&chain, &path, "x", bad).await;
        assert!(refused.status.is_client_error(), "{refused:?}");
    }
    let sent = post(&chain, &path, "x", json!({"to": "W001"})).await;
    assert_eq!(
        (sent.status, &sent.body["transfer_to"]),
        (StatusCode::OK, &json!("W001"))
    );
    let asked = is_asked(&from).await;
    assert_eq!([&asked["order"], &asked["to"]], ["1024", "W001"]);
    travels(&from, &to, hold).await;
    numbers(&chain, [1, 1, 0]).await;
    let here = hold_is(&chain, hold, "W001", "requested").await;
    assert_eq!(here["legs"].as_array().expect("legs").len(), 2);
    to.cli(&["hold", "confirm", hold, "--barcode", RING]).ok();
    hold_is(&chain, hold, "W001", "confirmed").await;
    let late = post(&chain, &path, "y", json!({"to": "S001"})).await;
    assert_eq!(late.status, StatusCode::OK, "it may travel on: {late:?}");

    // Not bought: dismantled.
    chain.cli(&["hold", "release", hold]).ok();
    numbers(&chain, [1, 0, 1]).await;
    chain.balances_with([&from, &to]);
}

#[tokio::test]
async fn head_office_moves_stock_from_shop_to_shop() {
    let chain = Chain::start();
    let from = chain.opened("S001", STOCK).await;
    let to = chain.opened("S002", OTHERS).await;
    let wanted = json!({"barcode": RING, "from": "S001", "to": "S002", "document": "M-1"});

    let asked = until("it to be asked for", || async {
        let reply = post(&chain, "/v1/transfers", "m", wanted.clone()).await;
        if reply.status == StatusCode::CREATED {
            Ok(reply.body)
        } else {
            Err(reply)
        }
    })
    .await;
    let again = post(&chain, "/v1/transfers", "m", wanted).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    let other = json!({"barcode": RING, "from": "S001", "to": "S002", "document": "M-2"});
    let other = post(&chain, "/v1/transfers", "m", other).await;
    assert_eq!(other.code(), "duplicate_key_mismatch");
    for bad in [
        json!({"barcode": RING, "from": "S001", "to": "S001"}),
        json!({"barcode": RING, "from": "S001", "to": "S009"}),
        json!({"barcode": "2999999999999", "from": "S001", "to": "S002"}),
    ] {
        let refused = post(&chain, "/v1/transfers", "bad", bad).await;
        assert!(refused.status.is_client_error(), "{refused:?}");
    }
    // The website has nothing to move.
    let website = chain
        .call(
            Method::POST,
            "/v1/transfers",
            &chain.website,
            Some(&json!({})),
            &[],
        )
        .await;
    assert_eq!(website.status, StatusCode::FORBIDDEN);
    numbers(&chain, [1, 1, 0]).await;

    let hold = asked["id"].as_str().expect("an id");
    let listed = is_asked(&from).await;
    assert_eq!(listed["to"], json!("S002"));
    assert_eq!(listed["actions"], json!(["ship", "confirm", "decline"]));
    let kept = from.cli(&["hold", "list", "--json"]).ok().json();
    assert_eq!(kept["items"][0]["transfer_to"], json!("S002"));
    travels(&from, &to, hold).await;

    // What has come is stock, and nobody has anything to look at.
    numbers(&chain, [1, 0, 1]).await;
    hold_is(&chain, hold, "S002", "released").await;
    let alerts = chain.office("/v1/alerts").await.body;
    assert_eq!(alerts["items"], json!([]), "{alerts:#}");
    let left = from.cli(&["transfer", "list", "--json"]).ok().json();
    assert_eq!(left["items"], json!([]));
    chain.balances_with([&from, &to]);
}
