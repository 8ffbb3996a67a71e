//! Parcels on the shop's page: what is to be sent and what has come, by scan.

use reqwest::Method;
use serde_json::json;
use vitrina_tests::browser::signed_in;
use vitrina_tests::{Chain, until};

const RING: &str = "2000018987155";
const EARRINGS: &str = "2000018987162";
const STOCK: &str = "barcode;qty;article;name;size;price\n\
    2000018987155;3;К-1234;Кольцо «Мария»;17,5;45900,00\n\
    2000018987162;1;C-77;Серьги с топазом;;12400,00\n";

/// Waits until head office sees a transfer in this state.
async fn office_sees(chain: &Chain, state: &str) {
    until(&format!("a transfer that is {state}"), || async {
        let reply = chain.office("/v1/transfers").await;
        let first = reply.items().into_iter().next();
        if first.and_then(|one| one.get("state").cloned()) == Some(json!(state)) {
            Ok(())
        } else {
            Err(reply)
        }
    })
    .await;
}

#[tokio::test]
async fn a_parcel_is_taken_in_by_the_scans_of_its_pieces() {
    let chain = Chain::start();
    let from = chain.opened("S001", STOCK).await;
    let to = chain.opened("S002", STOCK).await;
    let Some(browser) = signed_in(&to).await else {
        return;
    };
    for _ in 0..2 {
        from.cli(&[
            "transfer",
            "ship",
            RING,
            "--to",
            "S002",
            "--transfer",
            "T-1",
        ])
        .ok();
    }

    let card = "[data-parcel='T-1']";
    let seen = browser.sees(card, "From S001: T-1").await;
    assert!(seen.contains("Кольцо «Мария»"), "{seen}");
    browser.sees(&format!("{card} .count"), "2").await;
    browser.shot("13-parcel").await;
    browser.press(&format!("{card} .go")).await;
    browser.sees("#dialog", "one by one").await;
    browser.scan(EARRINGS).await;
    browser.sees("#answered", "does not wait for").await;
    browser.shot("14-not-in-parcel").await;
    browser.scan(RING).await;
    browser
        .sees("#dialog .told", "Taken in: Кольцо «Мария»")
        .await;
    browser.sees("#dialog .count", "1").await;
    browser.press("#damaged").await;
    browser.scan(RING).await;

    browser.counts("#dialog", 0).await;
    browser.counts(card, 0).await;
    browser.shot("15-taken-in").await;
    office_sees(&chain, "damaged").await;
    browser.press("#language").await;
    browser.sees("#parcels", "Между магазинами").await;
}

/// The second shop gets a name that people say.
fn name_second(chain: &Chain) {
    chain
        .cli(&["shop", "set", "S002", "--name", "Arbat 5"])
        .ok();
}

#[tokio::test]
async fn after_a_wrong_piece_the_rest_of_the_parcel_can_be_taken_in() {
    let chain = Chain::start();
    let from = chain.opened("S001", STOCK).await;
    let to = chain.opened("S002", STOCK).await;
    let Some(browser) = signed_in(&to).await else {
        return;
    };
    let ship = ["transfer", "ship", RING, "--to", "S002", "--transfer"];
    from.cli(&[&ship[..], &["T-1"]].concat()).ok();

    let card = "[data-parcel='T-1']";
    browser.press(&format!("{card} .go")).await;
    browser.scan(EARRINGS).await;
    browser.press("#all_the_same button").await;
    browser
        .sees("#dialog .told", "Taken in: Серьги с топазом")
        .await;
    browser.press("#leave").await;
    browser.sees(card, "Other than was sent").await;
    browser.shot("19-other-than-sent").await;

    browser.press(&format!("{card} .go")).await;
    browser.scan(RING).await;
    browser
        .sees("#parcel_told", "Taken in: Кольцо «Мария»")
        .await;
    browser.counts(&format!("{card} .go"), 0).await;
    browser.shot("20-nothing-awaited").await;
}

#[tokio::test]
async fn the_sender_sees_what_of_a_parcel_is_still_under_way() {
    let chain = Chain::start();
    let from = chain.opened("S001", STOCK).await;
    let to = chain.opened("S002", STOCK).await;
    name_second(&chain);
    let Some(browser) = signed_in(&from).await else {
        return;
    };
    let ship = ["transfer", "ship", RING, "--to", "S002", "--transfer"];
    for _ in 0..2 {
        from.cli(&[&ship[..], &["T-1"]].concat()).ok();
    }
    let card = "[data-parcel='T-1']";
    browser
        .sees(card, "On its way to Arbat 5 (S002): T-1")
        .await;
    browser.sees(&format!("{card} .count"), "2").await;
    chain.level_with(&from).await;

    let receive = |code, more: &[&str]| {
        let receive = ["transfer", "receive", code, "--from", "S001", "--transfer"];
        to.cli(&[&receive[..], &["T-1"], more].concat()).ok();
    };
    until("the parcel to be known", || async {
        let reply = to.call(Method::GET, "/v1/transfers", None, &[]).await;
        if reply.items().is_empty() {
            Err(reply)
        } else {
            Ok(())
        }
    })
    .await;
    receive(RING, &[]);
    browser.sees(&format!("{card} .count"), "1").await;
    browser.shot("21-one-under-way").await;
    receive(EARRINGS, &["--force"]);
    receive(RING, &[]);

    browser.sees(card, "Arrived at Arbat 5 (S002): T-1").await;
    browser.counts(&format!("{card} .count"), 0).await;
    browser.shot("22-arrived").await;
    browser.press("#language").await;
    browser.sees(card, "Пришло в Arbat 5 (S002)").await;
    browser.shot("23-arrived-ru").await;
}

/// Head office wants a ring of the first shop in the second.
async fn asks_for(chain: &Chain, document: Option<&str>) {
    let wanted = json!({"barcode": RING, "from": "S001", "to": "S002", "document": document});
    let key = [("idempotency-key", "m")];
    until("it to be asked for", || async {
        let path = "/v1/transfers";
        let reply = chain
            .call(Method::POST, path, &chain.office, Some(&wanted), &key)
            .await;
        if reply.status == 201 {
            Ok(())
        } else {
            Err(reply)
        }
    })
    .await;
}

#[tokio::test]
async fn what_head_office_asks_for_is_sent_by_its_scan_and_can_be_taken_back() {
    let chain = Chain::start();
    let from = chain.opened("S001", STOCK).await;
    let _to = chain.opened("S002", STOCK).await;
    let Some(browser) = signed_in(&from).await else {
        return;
    };
    asks_for(&chain, Some("M-1")).await;

    let asked = "#parcels .new";
    browser.sees(asked, "To be sent to S002: order M-1").await;
    // It is one thing to do, and so one card.
    browser.counts(".card.order", 1).await;
    browser.shot("16-to-be-sent").await;
    browser.press(&format!("{asked} .go")).await;
    let dialog = browser.sees("#dialog", "that leaves").await;
    assert!(!dialog.contains("false"), "{dialog}");
    browser.shot("17-to-send").await;
    browser.scan(EARRINGS).await;
    browser.sees("#answered", "another piece").await;
    browser.counts(".card.order", 1).await;
    browser.scan(RING).await;

    browser.sees("#parcels", "On its way to S002").await;
    office_sees(&chain, "in_transit").await;
    browser.press("#parcels .quiet").await;
    browser.sees("#parcel_told", "It stays here").await;
    office_sees(&chain, "cancelled").await;
    // Nobody takes what was said for what is.
    browser.counts("#parcel_told", 0).await;
}

#[tokio::test]
async fn what_is_asked_for_is_kept_or_declined_on_its_one_card() {
    let chain = Chain::start();
    let from = chain.opened("S001", STOCK).await;
    let _to = chain.opened("S002", STOCK).await;
    let Some(browser) = signed_in(&from).await else {
        return;
    };
    name_second(&chain);
    asks_for(&chain, None).await;

    // Nobody ordered it: the shop is named, and no order.
    let seen = browser.sees("#parcels .new", "Arbat 5 (S002)").await;
    assert!(!seen.contains('→') && !seen.contains("order"), "{seen}");
    browser.shot("18-office-asks").await;
    browser.press("#parcels [data-key^='confirm']").await;
    browser.sees("#dialog", "scan its tag").await;
    browser.scan(RING).await;
    let told = browser.sees("#told", "put the piece aside").await;
    assert!(!told.contains('→'), "{told}");
    browser.counts("#parcels [data-key^='confirm']", 0).await;
    browser.counts(".card.order", 1).await;
    browser.press("#parcels [data-key^='decline']").await;
    browser.sees("#dialog", "Why not?").await;
    browser.press("[data-reason='not_found']").await;

    browser.counts(".card.order", 0).await;
    until("nobody to be asked any more", || async {
        let reply = chain.office("/v1/transfers?state=requested").await;
        let items = reply.items();
        if items.is_empty() { Ok(()) } else { Err(items) }
    })
    .await;
}
