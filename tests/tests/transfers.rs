//! A transfer is its movements: what left one shop and came to another, under way in between, and what differs is said.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_shared::hold::ShopSide;
use vitrina_shared::movement::Details;
use vitrina_shared::{Kind, TimeMs};
use vitrina_tests::{Chain, Keeper, until};

const RING: &str = "2000018987155";
const TWIN: &str = "2000018987162";

/// What belongs to a transfer from the first shop to the second.
fn parcel(document: &str) -> Details {
    Details {
        to: Some("S002".into()),
        from: Some("S001".into()),
        transfer: Some(document.into()),
        ..Details::default()
    }
}

/// Both shops, each with these pieces.
fn shops(chain: &Chain) -> (Keeper, Keeper) {
    (
        Keeper::open(chain, "S001", &[], &[(RING, 3), (TWIN, 1)]),
        Keeper::open(chain, "S002", &[], &[(RING, 1), (TWIN, 1)]),
    )
}

/// The transfers that a query finds.
async fn transfers(chain: &Chain, query: &str) -> Vec<Value> {
    let reply = chain.office(&format!("/v1/transfers{query}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.items()
}

/// State, sent, received and outstanding of the only transfer.
async fn only(chain: &Chain) -> (String, Vec<i64>) {
    let found = transfers(chain, "").await;
    assert_eq!(found.len(), 1, "{found:#?}");
    let of = |name: &str| found.first().and_then(|one| one.get(name)).cloned();
    let lines = of("lines").unwrap_or_default();
    let units = |name: &str, line: &Value| line.get(name).and_then(Value::as_i64);
    let sum = |name: &str| -> i64 {
        let lines = lines.as_array().into_iter().flatten();
        lines.filter_map(|line| units(name, line)).sum()
    };
    let state = of("state").and_then(|state| state.as_str().map(str::to_owned));
    let sums = ["sent", "received", "outstanding"].map(sum);
    (state.expect("a state"), sums.to_vec())
}

/// What is on its way to a shop, as the website sees it.
async fn in_transit(chain: &Chain, shop: &str) -> i64 {
    let item = chain.get(&format!("/v1/stock/{RING}")).await.body;
    let levels = item.get("levels").and_then(Value::as_array);
    let mut levels = levels.into_iter().flatten();
    let level = levels.find(|level| level.get("shop") == Some(&json!(shop)));
    let units = level.and_then(|level| level.get("in_transit")?.as_i64());
    units.expect("a level")
}

#[tokio::test]
async fn what_left_one_shop_is_under_way_until_it_comes_to_the_other() {
    let mut chain = Chain::start();
    let (mut from, mut to) = shops(&chain);

    from.book(Kind::TransferOut, RING, -2, "out", &parcel("T-1"));
    from.exchange();

    assert_eq!(only(&chain).await, ("in_transit".to_owned(), vec![2, 0, 2]));
    let sent = transfers(&chain, "?shop=S002&state=open").await.remove(0);
    assert_eq!(
        [&sent["document"], &sent["from"], &sent["to"]],
        ["T-1", "S001", "S002"]
    );
    assert_eq!(
        (
            in_transit(&chain, "S001").await,
            in_transit(&chain, "S002").await
        ),
        (0, 2)
    );
    // What is read at start is what was followed.
    chain.stop_hub();
    chain.start_hub();
    to.reconnect(&chain);
    assert_eq!(in_transit(&chain, "S002").await, 2);

    to.book(Kind::TransferIn, RING, 1, "in 1", &parcel("T-1"));
    to.exchange();
    assert_eq!(only(&chain).await, ("partial".to_owned(), vec![2, 1, 1]));
    assert_eq!(in_transit(&chain, "S002").await, 1);
    to.book(Kind::TransferIn, RING, 1, "in 2", &parcel("T-1"));
    to.exchange();

    assert_eq!(only(&chain).await, ("received".to_owned(), vec![2, 2, 0]));
    assert_eq!(in_transit(&chain, "S002").await, 0);
    assert!(transfers(&chain, "?state=open").await.is_empty());
    let id = transfers(&chain, "?state=received").await[0]["id"].clone();
    let whole = chain
        .office(&format!("/v1/transfers/{}", id.as_str().expect("an id")))
        .await;
    let movements = whole.body["movements"].as_array().expect("movements");
    assert_eq!(movements.len(), 3, "{whole:?}");
    chain.cli(&["verify"]).ok();
}

#[tokio::test]
async fn what_comes_before_its_sender_says_so_is_paired_later() {
    let chain = Chain::start();
    let (mut from, mut to) = shops(&chain);

    to.book(Kind::TransferIn, RING, 1, "in", &parcel("T-1"));
    to.exchange();
    assert_eq!(only(&chain).await.0, "not_sent");
    from.book(Kind::TransferOut, RING, -1, "out", &parcel("T-1"));
    from.exchange();

    assert_eq!(only(&chain).await, ("received".to_owned(), vec![1, 1, 0]));
    assert_eq!(in_transit(&chain, "S002").await, 0);
}

#[tokio::test]
async fn a_parcel_that_is_taken_back_is_cancelled_and_no_longer_under_way() {
    let chain = Chain::start();
    let (mut from, _to) = shops(&chain);
    let out = from.book(Kind::TransferOut, RING, -1, "out", &parcel("T-1"));
    from.exchange();
    assert_eq!(in_transit(&chain, "S002").await, 1);

    from.take_back(RING, out);
    from.exchange();

    assert_eq!(only(&chain).await.0, "cancelled");
    assert_eq!(in_transit(&chain, "S002").await, 0);
    chain.cli(&["verify"]).ok();
}

#[tokio::test]
async fn two_shops_that_scan_one_parcel_are_named_to_a_person() {
    let chain = Chain::start();
    let (mut from, mut to) = shops(&chain);
    let mut other = Keeper::open(&chain, "S003", &[], &[(RING, 1)]);
    from.book(Kind::TransferOut, RING, -1, "out", &parcel("T-1"));
    from.exchange();

    to.book(Kind::TransferIn, RING, 1, "in", &parcel("T-1"));
    to.exchange();
    other.book(Kind::TransferIn, RING, 1, "in", &parcel("T-1"));
    other.exchange();

    let found = transfers(&chain, "?state=other_than_sent").await;
    assert_eq!(found[0]["received_by"], json!(["S002", "S003"]));
    assert_eq!(found[0]["lines"][0]["over"], json!(1));
    let item = alert(&chain, "transfer_other_than_sent").await;
    assert_eq!(item["evidence"]["document"], json!("T-1"));
    assert_eq!(item["evidence"]["received_by"], json!(["S002", "S003"]));
}

#[tokio::test]
async fn what_was_sent_to_a_shop_that_is_added_later_is_on_its_way_to_it() {
    let chain = Chain::start();
    let mut from = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    from.book(Kind::TransferOut, RING, -1, "out", &parcel("T-1"));
    from.exchange();
    assert!(transfers(&chain, "?shop=S002").await.is_empty());

    let mut to = Keeper::open(&chain, "S002", &[], &[(RING, 1)]);

    assert_eq!(in_transit(&chain, "S002").await, 1);
    assert_eq!(transfers(&chain, "?shop=S002").await.len(), 1);
    to.book(Kind::TransferIn, RING, 1, "in", &parcel("T-1"));
    to.exchange();
    assert_eq!(only(&chain).await.0, "received");
    chain.cli(&["verify"]).ok();
}

#[tokio::test]
async fn what_was_merged_before_there_were_transfers_is_looked_through_once() {
    let mut chain = Chain::start();
    let (mut from, _to) = shops(&chain);
    from.book(Kind::TransferOut, RING, -1, "out", &parcel("T-1"));
    from.exchange();
    chain.stop_hub();

    // The database as the step that adds the tables leaves it.
    let database = rusqlite::Connection::open(chain.data().join("hub.sqlite3"));
    let as_migrated = "DELETE FROM transit; DELETE FROM transfer_place; DELETE FROM transfer_movement;
        DELETE FROM transfer; INSERT INTO transfer_scan (replica, seq, upto) SELECT id, 0, seq FROM replica WHERE seq > 0";
    database
        .expect("a database")
        .execute_batch(as_migrated)
        .expect("as an older version left it");
    let listed = chain.cli(&["transfer", "list", "--json"]).ok().json();
    assert_eq!(listed["items"][0]["document"], json!("T-1"));
    chain.start_hub();

    assert_eq!(only(&chain).await, ("in_transit".to_owned(), vec![1, 0, 1]));
    assert_eq!(in_transit(&chain, "S002").await, 1);
    chain.cli(&["verify"]).ok();
}

/// The only work item of a kind.
async fn alert(chain: &Chain, kind: &str) -> Value {
    until(&format!("one {kind}"), || async {
        let reply = chain.office(&format!("/v1/alerts?kind={kind}")).await;
        let items = reply.items();
        match items.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(items),
        }
    })
    .await
}

#[tokio::test]
async fn what_is_not_received_for_too_long_is_named_to_a_person_until_it_is() {
    let chain = Chain::start_with("[alerts]\nstuck_after = \"1s\"\n");
    let (mut from, mut to) = shops(&chain);
    from.book(Kind::TransferOut, RING, -1, "out", &parcel("T-1"));
    from.exchange();

    let item = alert(&chain, "transfer_stuck").await;
    assert_eq!(item["shop"], json!("S001"));
    assert_eq!(item["evidence"]["to"], json!(["S002"]));
    to.book(Kind::TransferIn, RING, 1, "in", &parcel("T-1"));
    to.exchange();

    until("the entry to end", || async {
        let reply = chain.office("/v1/alerts?kind=transfer_stuck").await;
        let items = reply.items();
        if items.is_empty() { Ok(()) } else { Err(items) }
    })
    .await;
}

#[tokio::test]
async fn head_office_pages_through_transfers_and_asks_for_what_it_wants() {
    let chain = Chain::start();
    let (mut from, mut to) = shops(&chain);
    for document in ["T-1", "T-2", "T-3"] {
        from.book(Kind::TransferOut, RING, -1, document, &parcel(document));
    }
    from.exchange();
    to.book(Kind::TransferIn, TWIN, 1, "wrong", &parcel("T-2"));
    to.exchange();

    let mut seen = Vec::new();
    let mut path = "/v1/transfers?limit=2".to_owned();
    loop {
        let page = chain.office(&path).await.body;
        for item in page["items"].as_array().expect("items") {
            seen.push(item["document"].as_str().expect("a document").to_owned());
        }
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/transfers?limit=2&cursor={next}");
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    seen.sort_unstable();
    assert_eq!(seen, ["T-1", "T-2", "T-3"]);
    let states = |items: Vec<Value>| -> Vec<String> {
        let words = items.iter().filter_map(|item| item["state"].as_str());
        words.map(str::to_owned).collect()
    };
    assert_eq!(
        states(transfers(&chain, "?state=in_transit").await).len(),
        2
    );
    assert_eq!(
        states(transfers(&chain, "?state=other_than_sent").await),
        ["other_than_sent"]
    );
    assert_eq!(transfers(&chain, "?older_than_s=3600").await.len(), 0);
    assert_eq!(transfers(&chain, "?shop=S003").await.len(), 0);
    for bad in [
        "?state=lost",
        "?older_than_s=x",
        "?cursor=x",
        "?limit=0",
        "/nobody",
    ] {
        let refused = chain.office(&format!("/v1/transfers{bad}")).await;
        assert!(refused.status.is_client_error(), "{bad} {refused:?}");
    }
    let listed = chain.cli(&["transfer", "list", "--json"]).ok().json();
    assert_eq!(listed["items"].as_array().expect("items").len(), 3);
    let id = listed["items"][0]["id"].as_str().expect("an id");
    let shown = chain.cli(&["transfer", "show", id]);
    shown.ok();
    assert!(shown.stdout.contains("transfer_out"), "{}", shown.stdout);
}

/// Head office asks for a ring to be moved; the name of what keeps it.
async fn ask(chain: &Chain, document: &str) -> String {
    let body = json!({"barcode": RING, "from": "S001", "to": "S002", "document": document});
    let headers = [("idempotency-key", document)];
    let (path, key) = ("/v1/transfers", &chain.office);
    let asked = chain
        .call(Method::POST, path, key, Some(&body), &headers)
        .await;
    assert_eq!(asked.status, StatusCode::CREATED, "{asked:?}");
    let id = asked.body.get("id").and_then(Value::as_str);
    id.expect("an id").to_owned()
}

/// `document state` of each transfer that a query finds.
async fn told(chain: &Chain, query: &str) -> Vec<String> {
    let text = |one: &Value, name: &str| {
        let text = one.get(name).and_then(Value::as_str);
        text.unwrap_or("-").to_owned()
    };
    let found = transfers(chain, query).await;
    let words = |one: &Value| format!("{} {}", text(one, "document"), text(one, "state"));
    found.iter().map(words).collect()
}

#[tokio::test]
async fn what_head_office_asks_for_is_one_transfer_from_its_asking_on() {
    let chain = Chain::start();
    let (mut from, mut to) = shops(&chain);
    from.book(Kind::TransferOut, TWIN, -1, "out", &parcel("T-1"));
    from.exchange();

    let hold = ask(&chain, "M-1").await;

    assert_eq!(told(&chain, "").await, ["M-1 requested", "T-1 in_transit"]);
    let asked = transfers(&chain, "?state=requested&shop=S002").await;
    let asked = asked.first().expect("a transfer");
    assert_eq!(
        [
            &asked["id"],
            &asked["from"],
            &asked["to"],
            &asked["holds"][0]
        ],
        [hold.as_str(), "S001", "S002", hold.as_str()]
    );
    let line = &asked["lines"][0];
    assert_eq!(
        (&line["barcode"], &line["asked"], &line["sent"]),
        (&json!(RING), &json!(1), &json!(0))
    );
    assert!(asked["asked_at"].is_string() && asked["sent_at"].is_null());
    let one = chain.office(&format!("/v1/transfers/{hold}")).await;
    assert_eq!(
        (&one.body["state"], &one.body["movements"]),
        (&json!("requested"), &json!([]))
    );
    let listed = chain.cli(&["transfer", "list", "--state", "requested", "--json"]);
    assert_eq!(listed.ok().json()["items"], json!([asked]));
    let shown = chain.cli(&["transfer", "show", &hold]);
    assert!(shown.ok().stdout.contains("requested"), "{shown:?}");

    from.exchange();
    let details = Details {
        hold: hold.parse().ok(),
        ..parcel("M-1")
    };
    let movement = from.book(Kind::TransferOut, RING, -1, "out M-1", &details);
    let at = TimeMs(vitrina_host::clock::now_ms());
    from.say(from.of(&hold), ShopSide::Moved { movement, at });
    from.exchange();
    assert_eq!(told(&chain, "").await, ["M-1 in_transit", "T-1 in_transit"]);
    to.book(Kind::TransferIn, RING, 1, "in", &parcel("M-1"));
    to.exchange();
    assert_eq!(told(&chain, "").await, ["M-1 received", "T-1 in_transit"]);
    let gone = chain.office(&format!("/v1/transfers/{hold}")).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    chain.cli(&["verify"]).ok();
}

#[tokio::test]
async fn what_is_asked_for_is_found_among_what_is_under_way_and_let_go_by_its_name() {
    let chain = Chain::start();
    let (mut from, _to) = shops(&chain);
    let first = ask(&chain, "M-1").await;
    from.book(Kind::TransferOut, TWIN, -1, "out", &parcel("T-1"));
    from.exchange();
    ask(&chain, "M-2").await;

    let mut paged = Vec::new();
    let mut query = "?limit=1".to_owned();
    loop {
        let page = chain.office(&format!("/v1/transfers{query}")).await.body;
        paged.push(page["items"][0]["document"].clone());
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("?limit=1&cursor={next}");
    }
    assert_eq!(paged, ["M-2", "T-1", "M-1"]);
    let of = async |query: &'static str| told(&chain, query).await.len();
    assert_eq!(of("?state=open").await, 3);
    assert_eq!(of("?state=in_transit").await, 1);
    assert_eq!(of("?state=requested").await, 2);
    assert_eq!(of("?older_than_s=3600").await, 0);
    assert_eq!(of("?state=requested&older_than_s=3600").await, 0);

    chain.cli(&["hold", "release", &first]).ok();
    assert_eq!(told(&chain, "?state=requested").await, ["M-2 requested"]);
}
