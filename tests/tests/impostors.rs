//! What answers in the hub's place: portals, and proxies that keep and change answers. The shop sells on, and
//! nothing of it is believed.

use serde_json::json;
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";

/// A shop with its stock at the hub, so that what it brings next is a sale.
async fn open(chain: &Chain) -> Shop {
    let balances = format!("barcode;qty\n{RING};50\n");
    chain.opened("S001", &balances).await
}

/// An answer with a length.
fn answer(status: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A whole answer of the hub, as a proxy in the line would keep it.
async fn kept_answer(shop: &Shop) -> Vec<u8> {
    until("an answer of the hub", || async {
        let kept = shop.link.last_answer();
        if kept.starts_with(b"HTTP/1.1 200") {
            Ok(kept)
        } else {
            Err(kept.len())
        }
    })
    .await
}

#[tokio::test]
async fn a_portal_is_no_hub_and_what_it_was_told_is_told_again_to_the_hub() {
    let chain = Chain::start();
    let shop = open(&chain).await;
    let page = "<html><body>Accept the terms of this shopping centre</body></html>";
    let frame_type = "application/vnd.vitrina.exchange";
    let mut left = 50;
    for (stranger, code, word) in [
        (
            answer("200 OK", "text/html; charset=utf-8", page),
            "not_a_hub",
            "text/html",
        ),
        (answer("302 Found", "text/html", page), "not_a_hub", "302"),
        (
            answer("200 OK", "application/json", "{}"),
            "not_a_hub",
            "application/json",
        ),
        (
            answer("511 Network Authentication Required", "text/html", page),
            "not_a_hub",
            "511",
        ),
        (
            answer("407 Proxy Authentication Required", "text/plain", ""),
            "not_a_hub",
            "407",
        ),
        // Right by its type alone.
        (
            answer("200 OK", frame_type, page),
            "bad_frame",
            "cannot be read",
        ),
        (
            answer("200 OK", frame_type, ""),
            "bad_frame",
            "cannot be read",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "hub_unreachable", ""),
    ] {
        shop.link.answer_with(stranger);
        shop.sell(&format!("beside a stranger {left}"), RING).await;
        left -= 1;

        let said = shop.says_of_the_hub(code).await;

        assert!(said.contains(word), "{code}: {said}");
        assert_eq!(shop.status()["pending"], json!(1), "{code}");
        shop.link.mend();
        chain.on_hand(RING, left).await;
        chain.level_with(&shop).await;
    }
}

#[tokio::test]
async fn an_answer_that_a_proxy_kept_acknowledges_nothing_new() {
    let chain = Chain::start();
    let shop = open(&chain).await;
    shop.sell("one", RING).await;
    chain.on_hand(RING, 49).await;
    chain.level_with(&shop).await;
    let kept = kept_answer(&shop).await;
    let head = String::from_utf8_lossy(&kept).to_lowercase();
    assert!(head.contains("cache-control: no-store"), "{head}");

    shop.link.answer_with(kept);
    let before = shop.link.dialled();
    shop.sell("two", RING).await;
    until("the kept answer to be heard some times", || async {
        let calls = shop.link.dialled() - before;
        if calls >= 4 { Ok(()) } else { Err(calls) }
    })
    .await;
    let level = chain.get(&format!("/v1/stock/{RING}")).await;
    assert_eq!(
        level.body["on_hand"],
        json!(49),
        "the hub has not heard of it"
    );
    assert_eq!(shop.status()["pending"], json!(1));

    shop.link.mend();
    chain.on_hand(RING, 48).await;
    chain.level_with(&shop).await;
}

#[tokio::test]
async fn an_answer_that_a_proxy_changed_is_noticed_by_its_hash() {
    let chain = Chain::start();
    let shop = open(&chain).await;
    let mut changed = kept_answer(&shop).await;
    *changed.last_mut().expect("a body") ^= 1;

    shop.link.answer_with(changed);
    shop.sell("beside a changed answer", RING).await;

    shop.says_of_the_hub("bad_frame").await;
    assert_eq!(shop.status()["pending"], json!(1));
    shop.link.mend();
    chain.on_hand(RING, 49).await;
}
