//! Web orders on the shop's page: a sound, two large buttons, the scan of the piece; with a line and without.

use reqwest::Method;
use serde_json::{Value, json};
use vitrina_host::{clock, when};
use vitrina_tests::browser::{Browser, signed_in};
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
const EARRINGS: &str = "2000018987162";
const STOCK: &str = "barcode;qty;article;name;size;price\n\
    2000018987155;1;К-1234;Кольцо «Мария»;17,5;45900,00\n\
    2000018987162;1;C-77;Серьги с топазом;;12400,00\n";

/// Orders a ring of the shop; the hold's id.
async fn order(chain: &Chain, number: &str) -> String {
    let wanted = json!({"barcode": RING, "shop": "S001", "qty": 1, "order": number});
    let key = [("idempotency-key", number)];
    let taken = until("the order to be taken", || async {
        let reply = chain
            .call(
                Method::POST,
                "/v1/holds",
                &chain.website,
                Some(&wanted),
                &key,
            )
            .await;
        if reply.status == 201 {
            Ok(reply.body)
        } else {
            Err(reply)
        }
    })
    .await;
    let id = taken.get("id").and_then(Value::as_str);
    id.expect("an id").to_owned()
}

/// Waits until the website reads this state of a hold, and gives it.
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

/// A shop that answers after a scan, and its page.
async fn page(chain: &Chain) -> Option<(Shop, Browser)> {
    let shop = chain.opened("S001", STOCK).await;
    let browser = signed_in(&shop).await?;
    Some((shop, browser))
}

fn card(order: &str) -> String {
    format!("[data-order='{order}']")
}

#[tokio::test]
async fn an_order_rings_and_is_kept_by_the_scan_of_its_piece() {
    let chain = Chain::start();
    let Some((_shop, browser)) = page(&chain).await else {
        return;
    };
    let listen = "window.rang = 0; AudioContext.prototype.createOscillator = function () {
        window.rang += 1; return BaseAudioContext.prototype.createOscillator.call(this); }";
    browser.script(listen, json!([])).await;

    let hold = order(&chain, "W-1").await;
    let asked = browser.sees(&card("W-1"), "Кольцо «Мария»").await;
    assert!(
        asked.contains("size 17,5") && asked.contains(RING),
        "{asked}"
    );
    until("the sound", || async {
        let rang = browser.script("return window.rang", json!([])).await;
        if rang.as_u64().is_some_and(|tones| tones > 0) {
            Ok(())
        } else {
            Err(rang)
        }
    })
    .await;
    browser.shot("7-order").await;

    browser.press(&format!("{} .go", card("W-1"))).await;
    browser.sees("#dialog", "scan its tag").await;
    browser.scan(EARRINGS).await;
    browser.sees("#answered", "another piece").await;
    browser.shot("8-another-piece").await;
    browser.scan(RING).await;
    browser.sees("#told", "put the piece aside").await;
    browser.sees(&card("W-1"), "Kept for order W-1").await;
    is_at_hub(&chain, &hold, "confirmed").await;
    browser.shot("9-kept").await;
}

#[tokio::test]
async fn a_no_is_said_with_its_reason_by_keys_alone() {
    let chain = Chain::start();
    let Some((_shop, browser)) = page(&chain).await else {
        return;
    };
    let hold = order(&chain, "W-2").await;
    browser.sees(&card("W-2"), "We do not").await;

    browser.tab_to(".no").await;
    browser.enter().await;
    browser.sees("#dialog", "Why not?").await;
    browser.shot("10-why-not").await;
    // Who presses Enter twice says nothing yet.
    browser.enter().await;
    browser.counts("#dialog", 0).await;
    browser.tab_to(".no").await;
    browser.enter().await;
    browser.tab_to("[data-reason='damaged']").await;
    browser.enter().await;

    browser.sees("#told", "head office asks another shop").await;
    browser.counts(&card("W-2"), 0).await;
    let told = is_at_hub(&chain, &hold, "declined").await;
    assert!(told.to_string().contains("damaged"), "{told}");
}

#[tokio::test]
async fn without_a_line_the_piece_that_an_order_asks_for_is_kept_by_one_press() {
    let chain = Chain::start();
    let Some((shop, browser)) = page(&chain).await else {
        return;
    };
    let hold = order(&chain, "W-3").await;
    browser.sees(&card("W-3"), "asks for a piece").await;
    shop.link.cut();
    browser.sees("#word", "No line").await;

    browser.scan(RING).await;
    browser
        .sees("#asked", "Order W-3 asks for this very piece")
        .await;
    browser.shot("11-asked-for").await;
    browser.press("#asked button").await;
    browser.sees(&card("W-3"), "Kept for order").await;
    browser.sees("#waiting", "1").await;

    shop.link.mend();
    is_at_hub(&chain, &hold, "confirmed").await;
    browser.sees("#waiting", "0").await;
}

#[tokio::test]
async fn what_is_put_back_is_done_for_every_browser_of_the_shop() {
    let chain = Chain::start();
    let Some((shop, browser)) = page(&chain).await else {
        return;
    };
    let hold = order(&chain, "W-5").await;
    browser.press(&format!("{} .go", card("W-5"))).await;
    browser.scan(RING).await;
    is_at_hub(&chain, &hold, "confirmed").await;
    let (path, key) = (format!("/v1/holds/{hold}"), &chain.website);
    let cancelled = chain.call(Method::DELETE, &path, key, None, &[]).await;
    assert!(cancelled.status.is_success(), "{cancelled:?}");

    browser.sees(&card("W-5"), "put the piece back").await;
    browser.shot("24-put-back").await;
    browser.press(&format!("{} button", card("W-5"))).await;
    browser.counts(&card("W-5"), 0).await;

    let listed = shop.call(Method::GET, "/v1/holds", None, &[]).await;
    assert_eq!(listed.items(), [] as [Value; 0], "for nobody else either");
    let row = shop.call(Method::GET, &path, None, &[]).await;
    assert_eq!(row.body["actions"], json!([]), "{row:?}");
    let again = format!("{path}/put_back");
    let again = shop.call(Method::POST, &again, None, &[]).await;
    assert_eq!(again.status, 200, "twice is once");
}

#[tokio::test]
async fn a_sale_over_a_hold_is_a_question_and_the_answer_reaches_head_office() {
    let chain = Chain::start();
    let Some((shop, browser)) = page(&chain).await else {
        return;
    };
    let hold = order(&chain, "W-4").await;
    browser.sees(&card("W-4"), "asks for a piece").await;
    browser.press(&format!("{} .go", card("W-4"))).await;
    browser.scan(RING).await;
    is_at_hub(&chain, &hold, "confirmed").await;

    let now = when::rfc3339_ms(clock::now_ms());
    let file = format!(
        "type;till;receipt;line;barcode;qty;price;at\nsale;1;1001;1;{RING};1;45900,00;{now}\n"
    );
    shop.drop_and_wait("pos.csv", file).await;
    let asked = browser
        .sees(&format!("[data-question='{RING}']"), "Who bought it?")
        .await;
    assert!(
        asked.contains("1001") && asked.contains("order W-4"),
        "{asked}"
    );
    browser.shot("12-question").await;
    browser.tab_to("[data-key^='other']").await;
    browser.enter().await;

    browser.sees("#told", "written down").await;
    browser.counts("[data-question]", 0).await;
    is_at_hub(&chain, &hold, "broken").await;
}
