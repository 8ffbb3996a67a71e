//! Whatever bytes come, nothing panics, nothing is half believed, and both programs go on. The fuzzer's corpus is damaged
//! by fixed seeds here, on every change; `scripts/fuzz` looks further.

use std::panic::catch_unwind;

use reqwest::StatusCode;
use vitrina_host::{cml, csv};
use vitrina_shared::wire::{Answer, CONTENT_TYPE, EnrolAnswer, EnrolRequest, Request, frame};
use vitrina_tests::Chain;
use vitrina_tests::damage::{corpus, damaged, framed, post_all};
use vitrina_tests::http::Http;

const RING: &str = "2000018987155";

/// Gives a reader damaged files; a panic names the seed.
fn read_all(target: &str, seeds: u64, read: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let corpus = corpus(target);
    for whole in &corpus {
        read(whole);
    }
    for seed in 0..seeds {
        let bytes = damaged(&corpus, seed);
        let done = catch_unwind(|| read(&bytes));
        assert!(done.is_ok(), "{target}, seed {seed}: {bytes:?}");
    }
}

fn read_frame(bytes: &[u8]) {
    let Ok(opened) = frame::open(bytes) else {
        return;
    };
    let _ = (
        Request::certificate(&opened),
        EnrolRequest::read(&opened),
        EnrolAnswer::read(&opened),
        Answer::read(&opened),
    );
    if let Ok(request) = Request::read(&opened) {
        let again = request.seal(|_| [0; 64]).expect("it fitted before");
        let again = frame::open(&again).expect("it was sealed here");
        assert_eq!(Request::read(&again).expect("it was read before"), request);
    }
}

#[test]
fn no_damaged_frame_panics_and_what_is_read_reads_the_same_again() {
    read_all("frame", 6_000, |bytes| {
        read_frame(bytes);
        read_frame(&framed(1, bytes));
        read_frame(&framed(2, bytes));
    });
}

#[test]
fn no_damaged_csv_panics_and_check_and_reading_agree() {
    read_all("csv", 6_000, |bytes| {
        let checked = csv::check(bytes);
        let Ok(mut reader) = csv::CsvReader::open(bytes) else {
            assert!(checked.is_err());
            return;
        };
        let (mut rows, mut bad) = (0, 0);
        let is_whole = loop {
            match reader.next_line() {
                Ok(Some(csv::Line::Row(_))) => rows += 1,
                Ok(Some(csv::Line::Bad(line))) => {
                    assert!(line.raw.len() <= csv::MAX_RAW_BYTES);
                    bad += 1;
                }
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        assert_eq!(is_whole, checked.is_ok());
        if let Ok(checked) = checked {
            assert_eq!((checked.rows, checked.bad), (rows, bad));
        }
    });
}

#[test]
fn no_damaged_commerceml_panics() {
    read_all("commerceml", 6_000, |bytes| {
        let _ = cml::check(bytes);
    });
}

#[tokio::test]
async fn no_damaged_body_makes_the_local_api_fail() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;
    let token = std::fs::read_to_string(shop.data.join("terminal.token")).expect("a token");
    let headers = format!("Authorization: Bearer {}\r\n", token.trim());
    let mut http = Http::to(&shop.agent.as_ref().expect("running").url);

    let paths = ["/v1/movements", "/v1/receipts"];
    post_all(&mut http, "local_api", &paths, &headers, 500);

    shop.sell("after all that", RING).await;
    let books = shop.cli(&["verify", "--json"]).ok().json();
    assert_eq!(books["ok"], true, "{books}");
    chain.level_with(&shop).await;
    chain.cli(&["verify"]).ok();
}

#[tokio::test]
async fn no_damaged_body_makes_the_hub_fail() {
    let chain = Chain::start();
    let shop = chain.shop("S900", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;
    let mut http = Http::to(&chain.url);
    let admin = format!("Authorization: Bearer {}\r\n", chain.admin);

    let paths = ["/v1/stock/batch", "/v1/keys", "/v1/shops"];
    post_all(&mut http, "hub_json", &paths, &admin, 500);
    let frame = format!("Content-Type: {CONTENT_TYPE}\r\n");
    post_all(
        &mut http,
        "frame",
        &["/v1/enrol", "/v1/exchange"],
        &frame,
        500,
    );

    assert_eq!(chain.get("/v1/locations").await.status, StatusCode::OK);
    shop.sell("after all that", RING).await;
    chain.on_hand(RING, 4).await;
    chain.cli(&["verify"]).ok();
}
