//! The main road, end to end: one line of a file and one sale of a till, and the website says so.

use serde_json::json;
use vitrina_tests::Chain;

const RING: &str = "2000018987155";

#[tokio::test]
async fn a_line_of_a_file_and_a_sale_of_a_till_reach_the_website() {
    let chain = Chain::start();
    let shop = chain.shop("S017", &["--city", "Moscow"]);

    shop.import("goods.csv", format!("type;receipt;line;barcode;qty;price;at\nreceipt;17;1;{RING};3;45900,00;2026-11-20 10:00:00\n")).await;
    chain.on_hand(RING, 3).await;
    let sold = shop.sell("first", RING).await;

    assert_eq!(sold["on_hand"], json!(2));
    let item = chain.on_hand(RING, 2).await;
    assert_eq!(item["levels"][0]["shop"], json!("S017"));
    assert_eq!(item["levels"][0]["confidence"], json!("live"));
    assert_eq!(item["available"], json!(2));
    for data in [chain.data(), shop.data.clone()] {
        let log = std::fs::read_to_string(vitrina_tests::process::log_of(&data)).expect("a log");
        assert!(
            !log.to_lowercase().contains("error"),
            "a first start is calm: {log}"
        );
    }
    assert_eq!(shop.cli(&["verify"]).code, 0);
    assert_eq!(chain.cli(&["verify"]).code, 0);
}
