//! A shop that does not answer a web order in time: the next one is asked.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
const STOCK: &str = "barcode;qty\n2000018987155;1\n";

async fn order(chain: &Chain, shop: &str) -> String {
    let wanted = json!({"barcode": RING, "shop": shop, "qty": 1, "order": "1024"});
    let headers = [("idempotency-key", "1024")];
    until("the order to be taken", || async {
        let path = "/v1/holds";
        let reply = chain
            .call(Method::POST, path, &chain.website, Some(&wanted), &headers)
            .await;
        if reply.status == StatusCode::CREATED {
            let id = reply.body.get("id").and_then(Value::as_str);
            Ok(id.expect("an id").to_owned())
        } else {
            Err(reply)
        }
    })
    .await
}

/// Waits until a hold is so, and gives it.
async fn hold_is(chain: &Chain, hold: &str, shop: &str, state: &str) -> Value {
    until(&format!("the hold to be {state} at {shop}"), || async {
        let body = chain.get(&format!("/v1/holds/{hold}")).await.body;
        let is = |name: &str, value: &str| body.get(name) == Some(&json!(value));
        if is("shop", shop) && is("state", state) {
            Ok(body)
        } else {
            Err(body)
        }
    })
    .await
}

/// Waits until a shop's list of orders has so many.
async fn is_asked_for(shop: &Shop, orders: usize) {
    until(&format!("{orders} orders at the shop"), || async {
        let list = shop.cli(&["hold", "list", "--json"]).ok().json();
        let items = list.get("items").and_then(Value::as_array);
        if items.is_some_and(|items| items.len() == orders) {
            Ok(())
        } else {
            Err(list)
        }
    })
    .await;
}

#[tokio::test]
async fn an_order_that_a_shop_does_not_answer_in_time_goes_to_the_next_shop_and_never_to_two() {
    let chain = Chain::start_with("[holds]\nanswer_within = \"2s\"\n");
    let first = chain.opened("S001", STOCK).await;
    let second = chain.opened("S002", STOCK).await;
    let hold = order(&chain, "S001").await;
    is_asked_for(&first, 1).await;

    let moved = hold_is(&chain, &hold, "S002", "requested").await;

    let sides = |leg: usize| ["shop", "hub", "shop_side"].map(|name| &moved["legs"][leg][name]);
    assert_eq!(sides(0), ["S001", "ended", "none"]);
    assert_eq!(sides(1), ["S002", "requested", "none"]);
    assert!(moved["answer_by"].is_string(), "{moved}");
    is_asked_for(&first, 0).await;
    is_asked_for(&second, 1).await;
    let late = first.cli(&["hold", "confirm", &hold, "--barcode", RING]);
    assert_ne!(late.code, 0, "{late:?}");
    let item = chain.get(&format!("/v1/stock/{RING}")).await.body;
    assert_eq!([&item["held"], &item["available"]], [1, 1]);
    // Nobody else is left to be asked: the shop stays asked after its time too.
    let asked = until("another shop to be looked for", || async {
        let body = chain.get(&format!("/v1/holds/{hold}")).await.body;
        let rejected = body["rejected"].as_array().cloned().unwrap_or_default();
        let is_first = |one: &Value| [&one["shop"], &one["why"]] == ["S001", "asked_before"];
        if rejected.iter().any(is_first) {
            Ok(body)
        } else {
            Err(body)
        }
    })
    .await;
    assert_eq!([&asked["shop"], &asked["state"]], ["S002", "requested"]);
    second
        .cli(&["hold", "confirm", &hold, "--barcode", RING])
        .ok();
    hold_is(&chain, &hold, "S002", "confirmed").await;
}
