//! Who may do what: a shop writes its own shop, the website reads stock, nothing else; no key, nothing.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::Chain;

const RING: &str = "2000018987155";

#[tokio::test]
async fn every_route_answers_every_role_as_the_document_says() {
    let chain = Chain::start();
    let erp = chain
        .cli(&["key", "add", "--role", "erp", "--name", "erp", "--json"])
        .ok()
        .json();
    let erp = erp["key"].as_str().expect("a key").to_owned();
    let document = chain
        .call(Method::GET, "/openapi.json", "", None, &[])
        .await;
    assert_eq!(document.status, StatusCode::OK);

    let keys = [
        ("", ""),
        ("website", &*chain.website),
        ("office", &*chain.office),
        ("erp", &*erp),
        ("admin", &*chain.admin),
    ];
    let mut checked = 0;
    for (path, methods) in document.body["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let Some(roles) = operation["x-roles"].as_array() else {
                panic!("{method} {path} names no roles")
            };
            let concrete = path
                .replace("{id}", "x")
                .replace("{article}", "x")
                .replace("{barcode}", "x")
                .replace("{shop}", "x");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            for (role, key) in keys {
                if roles.iter().any(|known| known == "shop") {
                    continue;
                }
                let open = roles.is_empty();
                let allowed = open || roles.contains(&Value::from(role));
                let reply = chain.call(method.clone(), &concrete, key, None, &[]).await;
                let refused = matches!(reply.status.as_u16(), 401 | 403);
                assert_eq!(
                    refused, !allowed,
                    "{method} {path} as {role:?}: {}",
                    reply.status
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 60, "{checked} pairs");
}

#[tokio::test]
async fn a_wrong_key_and_no_key_are_the_same_401() {
    let chain = Chain::start();
    let none = chain.call(Method::GET, "/v1/stock/1", "", None, &[]).await;
    let wrong = chain
        .call(Method::GET, "/v1/stock/1", "not-a-key", None, &[])
        .await;

    assert_eq!(
        (none.status, none.code()),
        (StatusCode::UNAUTHORIZED, "unauthorized")
    );
    assert_eq!((wrong.status, wrong.code()), (none.status, none.code()));
    assert_eq!(none.header("content-type"), "application/problem+json");

    chain.cli(&["key", "revoke", "website"]).ok();
    let revoked = chain.get("/v1/stock/1").await;
    assert_eq!(revoked.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_enrolment_code_works_once() {
    let chain = Chain::start();
    let code = chain
        .cli(&["shop", "add", "S009", "--name", "nine", "--json"])
        .ok()
        .json()["code"]
        .as_str()
        .expect("a code")
        .to_owned();
    let enrol = |name: &str| {
        let data = chain.path(name);
        std::fs::create_dir_all(&data).expect("a folder");
        vitrina_tests::process::run(
            "vitrina-agent",
            &data,
            &["enrol", "--hub", &chain.url, "--code", &code],
        )
    };

    assert_eq!(enrol("first").code, 0);
    let second = enrol("second");
    assert_eq!(second.code, 1, "{second:?}");
}

#[tokio::test]
async fn a_revoked_shop_sells_on_and_comes_back_with_a_new_code() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;

    chain.cli(&["shop", "revoke", "S001"]).ok();
    shop.sell("while revoked", RING).await;
    let level = chain.get(&format!("/v1/stock/{RING}")).await;
    assert_eq!(
        level.body["levels"][0]["confidence"],
        json!("unknown"),
        "{level:?}"
    );
    assert_eq!(level.body["on_hand"], json!(5));

    let code = chain.cli(&["shop", "recode", "S001", "--json"]).ok().json()["code"]
        .as_str()
        .expect("a code")
        .to_owned();
    shop.cli(&["enrol", "--hub", &shop.link.url, "--code", &code])
        .ok();
    chain.on_hand(RING, 4).await;
}

#[tokio::test]
async fn the_local_api_answers_its_own_tills_only() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    let url = &shop.agent.as_ref().expect("running").url;
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let status = |request: reqwest::RequestBuilder| async {
        request.send().await.expect("an answer").status().as_u16()
    };

    assert_eq!(status(http.get(format!("{url}/v1/status"))).await, 401);
    assert_eq!(
        status(http.get(format!("{url}/v1/status")).bearer_auth("guess")).await,
        401
    );
    let foreign = shop
        .call(
            Method::GET,
            "/v1/status",
            None,
            &[("origin", "https://evil.example")],
        )
        .await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let rebound = shop
        .call(Method::GET, "/v1/status", None, &[("host", "evil.example")])
        .await;
    assert_eq!(rebound.status, StatusCode::FORBIDDEN);

    let added = shop
        .cli(&["terminal", "add", "till-2", "--json"])
        .ok()
        .json();
    let token = added["token"].as_str().expect("a token").to_owned();
    assert_eq!(
        status(http.get(format!("{url}/v1/status")).bearer_auth(&token)).await,
        200
    );
    shop.cli(&["terminal", "revoke", "till-2"]).ok();
    assert_eq!(
        status(http.get(format!("{url}/v1/status")).bearer_auth(&token)).await,
        401
    );
}

#[tokio::test]
async fn what_a_till_gets_wrong_is_named_and_nothing_is_booked() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;
    let sale = |change: Value| {
        let mut body = json!({"type": "sale", "barcode": RING, "qty": 1});
        for (key, value) in change.as_object().expect("an object") {
            body[key] = value.clone();
        }
        body
    };

    for (key, change) in [
        ("a", json!({"qty": 0})),
        ("b", json!({"qty": 1.5})),
        ("c", json!({"qty": 1_000_001})),
        ("d", json!({"price": 45900})),
        ("e", json!({"type": "gift"})),
        ("f", json!({"type": "balance"})),
        ("g", json!({"barcode": ""})),
        ("h", json!({"receipt": "1", "line": 1})),
        ("i", json!({"colour": "red"})),
    ] {
        let reply = shop.book(key, sale(change.clone())).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (422, "validation_failed"),
            "{change}: {reply:?}"
        );
    }
    let keyless = shop
        .call(Method::POST, "/v1/movements", Some(&sale(json!({}))), &[])
        .await;
    assert_eq!(
        (keyless.status.as_u16(), keyless.code()),
        (400, "missing_idempotency_key")
    );
    let priced = shop.book("price", sale(json!({"price": "45900.00"}))).await;
    assert_eq!(priced.status, StatusCode::CREATED);
    chain.on_hand(RING, 4).await;
}
