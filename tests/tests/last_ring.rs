//! The last ring is sold once: to whoever comes first, and in a rush of websites and tills on single pieces, while lines
//! break.

use reqwest::{Method, StatusCode};
use serde_json::json;
use vitrina_tests::chain::Reply;
use vitrina_tests::rush::{Size, rush};
use vitrina_tests::{Chain, Keeper};

const RING: &str = "2000018987155";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_last_piece_is_promised_twice_or_gone_without_a_word() {
    let outcome = rush(Size {
        shops: 3,
        pieces: 30,
        websites: 10,
        orders: 300,
    })
    .await;

    assert!(outcome.violations.is_empty(), "{outcome:#?}");
    assert_eq!(outcome.ended.values().sum::<usize>(), 300, "{outcome:#?}");
    assert!(outcome.confirmed_at_once > 0, "{outcome:#?}");
    assert!(outcome.sold > 0 && outcome.cuts > 0, "{outcome:#?}");
}

#[tokio::test]
async fn who_has_the_last_piece_hears_so_again_and_who_came_too_late_has_it_when_it_is_let_go() {
    let chain = Chain::start();
    let _shop = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    let taken = order(&chain, "first", 1).await;
    let too_late = order(&chain, "second", 1).await;

    let again = order(&chain, "first", 1).await;

    assert_eq!(taken.status, StatusCode::CREATED, "{taken:?}");
    assert_eq!(too_late.code(), "insufficient_stock", "{too_late:?}");
    assert_eq!(too_late.body["available"], json!(0));
    assert_eq!(too_late.body["alternatives"], json!([]));
    assert_eq!((again.status, &again.body), (taken.status, &taken.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    let other = order(&chain, "first", 2).await;
    assert_eq!(other.code(), "duplicate_key_mismatch", "{other:?}");
    let path = format!("/v1/holds/{}", taken.body["id"].as_str().expect("an id"));
    let call = chain.call(Method::DELETE, &path, &chain.website, None, &[]);
    assert_eq!(call.await.status, StatusCode::OK);
    let now = order(&chain, "second", 1).await;
    assert_eq!(now.status, StatusCode::CREATED, "{now:?}");
}

async fn order(chain: &Chain, key: &str, qty: i64) -> Reply {
    let body = json!({"barcode": RING, "qty": qty, "order": key});
    let headers = [("idempotency-key", key)];
    let call = chain.call(
        Method::POST,
        "/v1/holds",
        &chain.website,
        Some(&body),
        &headers,
    );
    call.await
}
