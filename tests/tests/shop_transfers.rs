//! A shop's end of a transfer: what is to be sent and what is on its way, by scan, by command, by file; with a line and without.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::chain::Reply;
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
const EARRINGS: &str = "2000018987162";
const STOCK: &str = "barcode;qty;article;name;size;price\n\
    2000018987155;3;К-1234;Кольцо «Мария»;17,5;45900,00\n\
    2000018987162;2;C-77;Серьги с топазом;;12400,00\n";

/// A call of the shop's API under its own key.
async fn post(shop: &Shop, what: &str, key: &str, body: Value) -> Reply {
    let (path, headers) = (format!("/v1/transfers/{what}"), [("idempotency-key", key)]);
    shop.call(Method::POST, &path, Some(&body), &headers).await
}

async fn ship(shop: &Shop, key: &str, to: &str, document: &str) -> Value {
    let body = json!({"barcode": RING, "to": to, "transfer": document});
    let reply = post(shop, "ship", key, body).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    reply.body
}

/// What the shop has to do with transfers.
async fn listed(shop: &Shop) -> Vec<Value> {
    let reply = shop.call(Method::GET, "/v1/transfers", None, &[]).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.items()
}

/// Waits until the shop's list is one thing in this state, and gives it.
async fn knows(shop: &Shop, state: &str) -> Value {
    until(&format!("{} to know of one {state}", shop.id), || async {
        let items = listed(shop).await;
        match items.as_slice() {
            [one] if one.get("state") == Some(&json!(state)) => Ok(one.clone()),
            _ => Err(items),
        }
    })
    .await
}

/// Waits until head office sees the only transfer in this state, and gives it.
async fn office_sees(chain: &Chain, state: &str) -> Value {
    until(&format!("a transfer that is {state}"), || async {
        let reply = chain.office("/v1/transfers").await;
        let items = reply.items();
        match items.as_slice() {
            [one] if one.get("state") == Some(&json!(state)) => Ok(one.clone()),
            _ => Err(items),
        }
    })
    .await
}

async fn two(chain: &Chain) -> (Shop, Shop) {
    (
        chain.opened("S001", STOCK).await,
        chain.opened("S002", STOCK).await,
    )
}

#[tokio::test]
async fn a_parcel_goes_out_and_comes_in_piece_by_piece_by_scan() {
    let chain = Chain::start();
    let (from, to) = two(&chain).await;

    let booked = ship(&from, "out 1", "S002", "T-1").await;
    assert_eq!(
        (&booked["on_hand"], &booked["transfer"]),
        (&json!(2), &json!("T-1"))
    );
    assert_eq!(ship(&from, "out 1", "S002", "T-1").await, booked);
    ship(&from, "out 2", "S002", "T-1").await;
    chain.level_with(&from).await;

    let coming = knows(&to, "in_transit").await;
    assert_eq!(coming["from"], json!("S001"));
    assert_eq!(coming["actions"], json!(["receive"]));
    until("both pieces to be known", || async {
        let coming = listed(&to).await;
        if coming[0]["lines"][0]["awaited"] == json!(2) {
            Ok(())
        } else {
            Err(coming)
        }
    })
    .await;

    // The scan alone says which parcel it was, and the same call again is the same piece.
    for _ in 0..2 {
        let came = post(&to, "receive", "in 1", json!({"barcode": RING})).await;
        assert_eq!(
            (came.status, &came.body["on_hand"]),
            (StatusCode::CREATED, &json!(4)),
            "{came:?}"
        );
    }
    let left = listed(&to).await;
    assert_eq!(left[0]["state"], json!("partial"));
    assert_eq!(left[0]["lines"][0]["awaited"], json!(1));
    let came = to.cli(&[
        "transfer",
        "receive",
        RING,
        "--transfer",
        "T-1",
        "--damaged",
    ]);
    assert_eq!(came.ok().stdout.trim(), "5");
    assert!(listed(&to).await.is_empty());

    let whole = office_sees(&chain, "damaged").await;
    assert_eq!(whole["lines"][0]["damaged"], json!(1));
    let stock = to
        .call(Method::GET, &format!("/v1/stock/{RING}"), None, &[])
        .await;
    assert_eq!(
        (&stock.body["on_hand"], &stock.body["unavailable"]),
        (&json!(5), &json!(1))
    );
    // The sender hears that it has come.
    until("the sender to be done", || async {
        let items = listed(&from).await;
        if items.is_empty() { Ok(()) } else { Err(items) }
    })
    .await;
    chain.balances_with([&from, &to]);
}

#[tokio::test]
async fn what_is_not_in_the_parcel_is_refused_unless_a_person_insists() {
    let chain = Chain::start();
    let (from, to) = two(&chain).await;
    ship(&from, "out", "S002", "T-1").await;
    chain.level_with(&from).await;
    knows(&to, "in_transit").await;

    let nobody = post(&to, "receive", "a", json!({"barcode": EARRINGS})).await;
    assert_eq!(
        (nobody.status.as_u16(), nobody.code()),
        (409, "not_awaited")
    );
    let other = json!({"barcode": EARRINGS, "transfer": "T-1"});
    let wrong = post(&to, "receive", "b", other).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.code()),
        (409, "other_than_sent")
    );
    let many = post(&to, "receive", "c", json!({"barcode": RING, "qty": 2})).await;
    assert_eq!(
        (many.status.as_u16(), many.code()),
        (409, "other_than_sent")
    );
    assert_eq!(many.body["awaited"], json!(1));
    let unknown = json!({"barcode": RING, "transfer": "T-9"});
    let unknown = post(&to, "receive", "d", unknown).await;
    assert_eq!(
        unknown.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{unknown:?}"
    );
    let keyless = json!({"barcode": RING});
    let keyless = to
        .call(Method::POST, "/v1/transfers/receive", Some(&keyless), &[])
        .await;
    assert_eq!(keyless.code(), "missing_idempotency_key");

    let other = json!({"barcode": EARRINGS, "transfer": "T-1", "force": true});
    let taken = post(&to, "receive", "e", other).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{taken:?}");
    let seen = office_sees(&chain, "other_than_sent").await;
    assert_eq!(seen["received_by"], json!(["S002"]));
}

#[tokio::test]
async fn after_a_wrong_piece_what_is_still_awaited_is_taken_in_all_the_same() {
    let chain = Chain::start();
    let (from, to) = two(&chain).await;
    ship(&from, "out", "S002", "T-1").await;
    chain.level_with(&from).await;
    knows(&to, "in_transit").await;

    let other = json!({"barcode": EARRINGS, "transfer": "T-1", "force": true});
    let taken = post(&to, "receive", "a", other).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{taken:?}");
    let coming = knows(&to, "other_than_sent").await;
    assert_eq!(coming["actions"], json!(["receive"]), "{coming}");
    let awaited = post(&to, "receive", "b", json!({"barcode": RING})).await;
    assert_eq!(awaited.status, StatusCode::CREATED, "{awaited:?}");

    // Head office has to look; the shop has nothing left to do.
    let done = knows(&to, "other_than_sent").await;
    assert_eq!(done["actions"], json!([]), "{done}");
}

#[tokio::test]
async fn without_a_line_a_parcel_is_taken_in_by_its_papers_and_paired_later() {
    let chain = Chain::start();
    let (from, to) = two(&chain).await;
    to.link.cut();
    from.link.cut();
    ship(&from, "out", "S002", "T-1").await;

    let papers = json!({"barcode": RING, "transfer": "T-1", "from": "S001"});
    let came = post(&to, "receive", "in", papers).await;
    assert_eq!(came.status, StatusCode::CREATED, "{came:?}");
    to.link.mend();
    office_sees(&chain, "not_sent").await;
    from.link.mend();

    office_sees(&chain, "received").await;
    until("nobody to wait", || async {
        let left = (listed(&to).await, listed(&from).await);
        if left.0.is_empty() && left.1.is_empty() {
            Ok(())
        } else {
            Err(left)
        }
    })
    .await;
    chain.balances_with([&from, &to]);
}

#[tokio::test]
async fn what_has_not_left_after_all_is_taken_back_and_what_has_come_is_not() {
    let chain = Chain::start();
    let (from, to) = two(&chain).await;
    ship(&from, "out", "S002", "T-1").await;
    chain.level_with(&from).await;
    knows(&to, "in_transit").await;

    let cancel = json!({"transfer": "T-1"});
    let done = from
        .call(Method::POST, "/v1/transfers/cancel", Some(&cancel), &[])
        .await;
    assert_eq!(done.body["cancelled"], json!(1), "{done:?}");
    office_sees(&chain, "cancelled").await;
    until("nothing to wait for", || async {
        let items = listed(&to).await;
        if items.is_empty() { Ok(()) } else { Err(items) }
    })
    .await;
    let again = from.cli(&["transfer", "cancel", "T-1"]);
    assert_eq!(again.ok().stdout.trim(), "0");
    let nobody = from.cli(&["transfer", "cancel", "T-9"]);
    assert_eq!(nobody.code, 1, "{nobody:?}");

    ship(&from, "out 2", "S002", "T-2").await;
    chain.level_with(&from).await;
    knows(&to, "in_transit").await;
    post(&to, "receive", "in", json!({"barcode": RING})).await;
    until("the sender to hear of it", || async {
        let refused = from.cli(&["transfer", "cancel", "T-2"]);
        if refused.stderr.contains("transfer_received") {
            Ok(())
        } else {
            Err(refused)
        }
    })
    .await;
    chain.balances_with([&from, &to]);
}

#[tokio::test]
async fn documents_of_files_and_commands_pair_with_each_other() {
    let chain = Chain::start();
    let (from, to) = two(&chain).await;
    let file = format!(
        "type;till;receipt;line;barcode;qty;price;at;to;transfer\n\
         transfer_out;1;77;1;{RING};1;;2026-11-22T10:00:00Z;S002;П-12\n"
    );
    from.cli(&[
        "move",
        "transfer_out",
        EARRINGS,
        "--to",
        "S002",
        "--transfer",
        "П-12",
    ])
    .ok();
    from.import("out.csv", file.replace("2026-11-22", "2036-11-22"))
        .await;
    chain.level_with(&from).await;
    let coming = knows(&to, "in_transit").await;
    assert_eq!(coming["document"], json!("П-12"));

    let file = format!(
        "type;till;receipt;line;barcode;qty;price;at;from;transfer\n\
         transfer_in;1;5;1;{EARRINGS};1;;2036-11-22T10:00:00Z;S001;П-12\n"
    );
    to.import("in.csv", file).await;
    to.cli(&[
        "move",
        "transfer_in",
        RING,
        "--from",
        "S001",
        "--transfer",
        "П-12",
    ])
    .ok();

    let whole = office_sees(&chain, "received").await;
    assert_eq!(whole["lines"].as_array().expect("lines").len(), 2);
    chain.balances_with([&from, &to]);
}

/// Waits until so many parcels go to shops that head office does not know.
async fn to_strangers(chain: &Chain, count: usize) -> Vec<Value> {
    until(&format!("{count} parcels to nobody"), || async {
        let path = "/v1/alerts?kind=transfer_to_unknown_shop";
        let items = chain.office(path).await.items();
        if items.len() == count {
            Ok(items)
        } else {
            Err(items)
        }
    })
    .await
}

#[tokio::test]
async fn a_parcel_to_a_shop_that_nobody_knows_is_told_at_once_until_it_is_known_or_taken_back() {
    let chain = Chain::start();
    let shop = chain.opened("S001", STOCK).await;

    ship(&shop, "out 1", "S098", "T-1").await;
    let told = to_strangers(&chain, 1).await.remove(0);
    assert_eq!(told["shop"], json!("S001"));
    let text = told["text"].as_str().expect("a text");
    assert!(text.contains("S098"), "{text}");
    chain.cli(&["shop", "add", "S098", "--name", "Arbat"]).ok();
    to_strangers(&chain, 0).await;

    ship(&shop, "out 2", "S099", "T-2").await;
    to_strangers(&chain, 1).await;
    shop.cli(&["transfer", "cancel", "T-2"]).ok();
    to_strangers(&chain, 0).await;
}

#[tokio::test]
async fn a_shop_sends_nothing_to_itself() {
    let chain = Chain::start();
    let shop = chain.opened("S001", STOCK).await;

    let body = json!({"barcode": RING, "to": "S001", "transfer": "T-1"});
    let refused = post(&shop, "ship", "out 1", body).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "validation_failed")
    );
    let by_hand = shop.cli(&["transfer", "ship", RING, "--to", "S001"]);
    assert_eq!(by_hand.code, 2, "{by_hand:?}");
    assert!(by_hand.stderr.contains("this shop itself"), "{by_hand:?}");
    let file = format!(
        "type;till;receipt;line;barcode;qty;at;to\ntransfer_out;1;7;1;{RING};1;2026-11-28 12:00:00;S001\n"
    );
    shop.drop_and_wait("pos.csv", &file).await;

    let list = shop.cli(&["quarantine", "list", "--json"]).ok().json();
    assert_eq!(list["items"][0]["reason"], json!("own_shop"), "{list}");
    let own = shop.cli(&["stock", RING, "--json"]).ok().json();
    assert_eq!(own["on_hand"], json!(3), "nothing left: {own}");
}
