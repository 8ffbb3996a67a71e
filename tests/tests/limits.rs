//! What is too long is refused by name before it costs anything.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::Chain;

/// A head of so many bytes in one header, and the status line that comes back.
fn status_of_head(url: &str, path: &str, bytes: usize) -> String {
    let address = url.strip_prefix("http://").expect("an address");
    let mut line = TcpStream::connect(address).expect("a connection");
    line.set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a time");
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nX-Long: {}\r\n\r\n",
        "a".repeat(bytes)
    );
    line.write_all(head.as_bytes()).expect("it is taken");
    let mut answer = [0; 512];
    let read = line.read(&mut answer).expect("an answer");
    String::from_utf8_lossy(answer.get(..read).unwrap_or_default())
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn a_head_that_is_too_long_is_431_at_hub_and_agent() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    let agent = &shop.agent.as_ref().expect("running").url;

    for url in [&chain.url, agent] {
        assert!(status_of_head(url, "/healthz", 8_000).contains(" 200 "));
        let refused = status_of_head(url, "/healthz", 40_000);
        assert!(refused.contains(" 431 "), "{url}: {refused:?}");
    }
    assert_eq!(chain.get("/v1/locations").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_413_at_hub_and_agent() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    let long: Value = json!({"barcodes": ["x".repeat((1 << 20) + 1)]});

    let at_hub = chain
        .call(
            Method::POST,
            "/v1/stock/batch",
            &chain.website,
            Some(&long),
            &[],
        )
        .await;
    let at_agent = shop.book("long", long).await;

    for refused in [at_hub, at_agent] {
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            "{refused:?}"
        );
        assert_eq!(refused.header("content-type"), "application/problem+json");
    }
}
