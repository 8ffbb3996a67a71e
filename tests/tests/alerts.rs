//! Work items, from outside: what people must look at, one entry for each cause, whose it is and what they do about it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::{Chain, Keeper, Shop, until};

const RING: &str = "2000018987155";
const BROOCH: &str = "2000018987162";
/// A shop that is not heard from is a silent one soon.
const IMPATIENT: &str = "[alerts]\nsilent_after = \"2s\"\n";

/// A page of the list.
async fn alerts(chain: &Chain, query: &str) -> Vec<Value> {
    let reply = chain.office(&format!("/v1/alerts{query}")).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let items = reply.body.get("items").and_then(Value::as_array);
    items.expect("a list").clone()
}

/// Waits until exactly so many of a kind are not resolved, and gives them.
async fn open(chain: &Chain, kind: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} of {kind}"), || async {
        let items = alerts(chain, &format!("?kind={kind}")).await;
        if items.len() == count {
            Ok(items)
        } else {
            Err(items)
        }
    })
    .await
}

fn text<'v>(item: &'v Value, name: &str) -> &'v str {
    item.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What happened to an entry: `by: what` of each.
async fn story(chain: &Chain, id: &str) -> Vec<String> {
    let one = chain.office(&format!("/v1/alerts/{id}")).await;
    let history = one.body.get("history").and_then(Value::as_array);
    history
        .expect("a history")
        .iter()
        .map(|told| format!("{}: {}", text(told, "by"), text(told, "what")))
        .collect()
}

async fn act(chain: &Chain, id: &str, deed: &str, body: Value) -> vitrina_tests::chain::Reply {
    let path = format!("/v1/alerts/{id}/{deed}");
    chain
        .call(Method::POST, &path, &chain.office, Some(&body), &[])
        .await
}

/// Sells one more than there is.
async fn oversell(chain: &Chain, shop: &Shop) -> Value {
    shop.sell("first", RING).await;
    shop.sell("second", RING).await;
    open(chain, "negative_stock", 1).await.remove(0)
}

#[tokio::test]
async fn a_silent_shop_is_one_entry_that_ends_when_the_shop_is_heard_and_is_the_same_when_it_falls_silent_again()
 {
    let mut chain = Chain::start_with(IMPATIENT);
    let mut shop = chain
        .opened("S001", &format!("barcode;qty\n{RING};1\n"))
        .await;
    assert_eq!(
        alerts(&chain, "").await,
        [json!(null); 0],
        "an agent that waits for news is heard"
    );

    shop.kill();
    let silent = open(&chain, "shop_silent", 1).await.remove(0);
    assert_eq!(
        (text(&silent, "shop"), &silent["times"]),
        ("S001", &json!(1))
    );
    // A hub that comes back after a power cut knows of it, and makes no second one.
    chain.kill_hub();
    chain.start_hub();
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(alerts(&chain, "?state=all").await.len(), 1);
    shop.start();
    open(&chain, "shop_silent", 0).await;
    let id = text(&silent, "id").to_owned();
    assert_eq!(story(&chain, &id).await, ["hub: opened", "hub: resolved"]);

    shop.stop();
    let again = open(&chain, "shop_silent", 1).await.remove(0);
    assert_eq!(
        (text(&again, "id"), &again["times"]),
        (id.as_str(), &json!(2))
    );
    let evidence = &again["evidence"];
    assert_eq!(evidence["goodbye"], json!(true), "it was stopped: {again}");
}

#[tokio::test]
async fn a_shut_shop_is_not_silent() {
    let chain = Chain::start_with(IMPATIENT);
    let mut shop = chain.shop("S001", &["--hours", "off"]);
    shop.open(&chain, &format!("barcode;qty\n{RING};1\n")).await;
    let mut open_one = chain.shop("S002", &[]);

    shop.kill();
    open_one.kill();

    open(&chain, "shop_silent", 1).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let silent = open(&chain, "shop_silent", 1).await;
    assert_eq!(text(&silent[0], "shop"), "S002");
}

#[tokio::test]
async fn stock_below_zero_is_an_entry_until_it_is_not() {
    let chain = Chain::start();
    let shop = chain
        .opened("S001", &format!("barcode;qty\n{RING};1\n"))
        .await;

    let item = oversell(&chain, &shop).await;

    assert_eq!(
        (
            text(&item, "barcode"),
            text(&item, "state"),
            &item["evidence"]
        ),
        (RING, "open", &json!({"on_hand": -1}))
    );
    assert!(text(&item, "text").contains("S001"), "{item}");
    shop.cli(&["move", "receipt", RING, "--qty", "1"]).ok();
    open(&chain, "negative_stock", 0).await;
    let resolved = alerts(&chain, "?state=resolved").await;
    assert_eq!(resolved.len(), 1);
    assert_eq!(
        story(&chain, text(&item, "id")).await,
        ["hub: opened", "hub: resolved"]
    );
}

/// What people did by the audit list, the oldest first.
fn deeds_of(chain: &Chain) -> Vec<String> {
    let audit = chain.cli(&["audit", "list", "--json"]).ok().json();
    let records = audit.get("items").and_then(Value::as_array);
    let deed = |record: &Value| {
        let [by, what, shop] = ["by", "what", "shop"].map(|name| text(record, name));
        what.starts_with("alert_")
            .then(|| format!("{by}: {what} {shop}"))
    };
    let records = records.expect("a list").iter().rev();
    records.filter_map(deed).collect()
}

#[tokio::test]
async fn what_is_put_off_says_until_when() {
    let chain = Chain::start();
    let shop = chain
        .opened("S001", &format!("barcode;qty\n{RING};1\n"))
        .await;
    let item = oversell(&chain, &shop).await;
    let id = text(&item, "id");

    for wrong in [
        json!({}),
        json!({"for_s": 0}),
        json!({"for_s": 99_999_999}),
        json!({"for_s": 1, "until": "2999-01-01T00:00:00Z"}),
    ] {
        let refused = act(&chain, id, "snooze", wrong).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{refused:?}"
        );
    }
    let until = json!({"until": "2026-01-01T00:00:00Z"});
    assert_eq!(act(&chain, id, "snooze", until).await.status, 422);
}

#[tokio::test]
async fn people_take_put_off_and_resolve_and_the_list_says_who() {
    let chain = Chain::start();
    let shop = chain
        .opened("S001", &format!("barcode;qty\n{RING};1\n"))
        .await;
    let item = oversell(&chain, &shop).await;
    let id = text(&item, "id").to_owned();

    let taken = act(&chain, &id, "acknowledge", json!({"note": "I call them"})).await;
    assert_eq!(
        (taken.status, text(&taken.body, "state")),
        (StatusCode::OK, "acknowledged")
    );
    let twice = act(&chain, &id, "acknowledge", json!({})).await;
    assert_eq!(
        twice.body["history"].as_array().map(Vec::len),
        Some(2),
        "a repeat changes nothing"
    );
    let off = act(&chain, &id, "snooze", json!({"for_s": 2})).await;
    assert_eq!(text(&off.body, "state"), "snoozed");
    until("it to come back", || async {
        let now = alerts(&chain, "?state=open").await;
        if now.len() == 1 { Ok(()) } else { Err(now) }
    })
    .await;
    // A person knows better than the stock, until that is worse.
    chain
        .cli(&["alert", "resolve", &id[..8], "--note", "a twin"])
        .ok();
    assert_eq!(
        act(&chain, &id, "acknowledge", json!({})).await.code(),
        "alert_not_open"
    );
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(alerts(&chain, "").await, [json!(null); 0]);
    shop.sell("third", RING).await;
    open(&chain, "negative_stock", 1).await;

    assert_eq!(
        story(&chain, &id).await,
        [
            "hub: opened",
            "key office: acknowledged",
            "key office: snoozed",
            "hub: snooze_over",
            "command line: resolved",
            "hub: reopened",
        ]
    );
    assert_eq!(
        deeds_of(&chain),
        [
            "key office: alert_acknowledge S001",
            "key office: alert_snooze S001",
            "command line: alert_resolve S001"
        ]
    );
    chain.cli(&["audit", "verify"]).ok();
}

#[tokio::test]
async fn the_list_is_filtered_and_paged_and_nobody_but_the_office_reads_it() {
    let chain = Chain::start();
    let rows = (10..15).fold(String::new(), |rows, n| format!("{rows}20000000000{n};1\n"));
    let shop = chain.opened("S001", &format!("barcode;qty\n{rows}")).await;
    let other = chain
        .opened("S002", &format!("barcode;qty\n{RING};1\n"))
        .await;
    for n in 10..15 {
        shop.cli(&["move", "sale", &format!("20000000000{n}"), "--qty", "2"])
            .ok();
    }
    other.cli(&["move", "sale", RING, "--qty", "3"]).ok();
    let whole = open(&chain, "negative_stock", 6).await;

    let mut paged = Vec::new();
    let mut path = "/v1/alerts?limit=2".to_owned();
    loop {
        let page = chain.office(&path).await.body;
        let items = page["items"].as_array().expect("a list");
        assert!(items.len() <= 2);
        paged.extend(items.iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/alerts?limit=2&cursor={next}");
    }
    assert_eq!(paged, whole);
    assert_eq!(alerts(&chain, "?shop=S002").await.len(), 1);
    assert_eq!(alerts(&chain, "?owner=Nobody").await.len(), 0);
    for bad in ["?state=closed", "?kind=silence", "?cursor=x", "?limit=0"] {
        let refused = chain.office(&format!("/v1/alerts{bad}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{bad}");
    }

    let id = text(&whole[0], "id");
    for (method, path) in [
        (Method::GET, "/v1/alerts".to_owned()),
        (Method::GET, format!("/v1/alerts/{id}")),
        (Method::POST, format!("/v1/alerts/{id}/acknowledge")),
        (Method::POST, format!("/v1/alerts/{id}/resolve")),
    ] {
        let refused = chain.call(method, &path, &chain.website, None, &[]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
    }
    let nobody = chain
        .office("/v1/alerts/00112233445566778899aabbccddeeff")
        .await;
    assert_eq!(
        (nobody.status, nobody.code()),
        (StatusCode::NOT_FOUND, "not_found")
    );
}

#[tokio::test]
async fn a_shop_that_sells_without_an_opening_is_one_entry() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    for n in 10..40 {
        shop.sell(&format!("sale {n}"), &format!("20000000000{n}"))
            .await;
    }

    let items = until("one entry of many", || async {
        let items = alerts(&chain, "").await;
        match items.as_slice() {
            [one] if one["evidence"]["count"] == json!(30) => Ok(items),
            _ => Err(items),
        }
    })
    .await;

    assert_eq!(
        (text(&items[0], "shop"), &items[0]["barcode"]),
        ("S001", &Value::Null)
    );
}

#[tokio::test]
async fn what_a_shop_holds_back_and_disagrees_on_ends_when_a_person_decided() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    let at = "2026-11-01 09:00:00";
    shop.open(
        &chain,
        &format!("barcode;qty;at\n{RING};3;{at}\n{BROOCH};5;{at}\n"),
    )
    .await;
    let head = "type;till;receipt;line;barcode;qty;price;at\n";
    let first = format!("{head}sale;1;7;1;{RING};1;;2026-11-20 10:00:00\n");
    shop.import("pos.csv", &first).await;
    let second = format!(
        "{head}sale;1;7;1;{RING};2;;2026-11-20 10:00:00\nsale;1;8;1;{RING};1,5;;2026-11-20 10:01:00\n"
    );
    shop.drop_and_wait("pos2.csv", &second).await;
    let later = "2026-11-21 09:00:00";
    shop.drop_and_wait(
        "balances.csv",
        &format!("barcode;qty;at\n{RING};2;{later}\n{BROOCH};4;{later}\n"),
    )
    .await;

    let conflict = open(&chain, "receipt_conflict", 1).await.remove(0);
    let held = open(&chain, "quarantine", 1).await.remove(0);
    let differ = open(&chain, "disagreement", 1).await.remove(0);
    assert_eq!(
        held["evidence"]["by_reason"],
        json!({"fractional_quantity": 1})
    );
    assert_eq!(
        (text(&differ, "barcode"), &differ["evidence"]["stated"]),
        (BROOCH, &json!(4))
    );
    assert!(
        conflict["evidence"]["record"].to_string().contains(RING),
        "{conflict}"
    );

    shop.cli(&["diff", "adopt", BROOCH]).ok();
    let list = shop.cli(&["quarantine", "list", "--json"]).ok().json();
    for record in list["items"].as_array().expect("a list") {
        shop.cli(&["quarantine", "drop", text(record, "id")]).ok();
    }
    for kind in ["receipt_conflict", "quarantine", "disagreement"] {
        open(&chain, kind, 0).await;
    }
}

#[tokio::test]
async fn a_single_piece_in_two_places_or_sold_twice_is_told_with_both_shops() {
    let chain = Chain::start();
    let catalogue = chain.path("catalogue.csv");
    std::fs::write(
        &catalogue,
        format!("barcode;name;unique\n{RING};Ring;yes\n{BROOCH};Brooch;\n"),
    )
    .expect("a file");
    chain
        .cli(&["import", catalogue.to_str().expect("a path")])
        .ok();
    let balances = format!("barcode;qty\n{RING};1\n{BROOCH};1\n");
    let one = chain.opened("S001", &balances).await;
    let two = chain.opened("S002", &balances).await;

    let places = open(&chain, "unique_in_two_places", 1).await.remove(0);
    assert_eq!(
        (text(&places, "barcode"), &places["evidence"]["places"]),
        (RING, &json!(["S001", "S002"]))
    );
    one.sell("one", RING).await;
    open(&chain, "unique_in_two_places", 0).await;
    two.sell("two", RING).await;

    let sold = open(&chain, "unique_sold_twice", 1).await.remove(0);
    assert_eq!(sold["evidence"]["places"], json!(["S001", "S002"]));
    let back = json!({"type": "return", "barcode": RING, "qty": 1});
    assert_eq!(two.book("back", back).await.status, StatusCode::CREATED);
    open(&chain, "unique_sold_twice", 0).await;
}

#[tokio::test]
async fn an_entry_belongs_to_whoever_looks_after_such_goods_and_shops() {
    let chain = Chain::start();
    let catalogue = chain.path("catalogue.csv");
    std::fs::write(
        &catalogue,
        format!("barcode;name;category;brand\n{RING};Ring;Rings;Vitrina\n"),
    )
    .expect("a file");
    chain
        .cli(&["import", catalogue.to_str().expect("a path")])
        .ok();
    let owner = |args: &[&str]| {
        let mut all = vec!["alert", "owner", "add", "--json"];
        all.extend_from_slice(args);
        text(&chain.cli(&all).ok().json(), "id").to_owned()
    };
    owner(&["--person", "Everybody"]);
    let rings = owner(&[
        "--person",
        "Ivanova",
        "--category",
        "rings",
        "--shop",
        "S00*",
    ]);
    let shop = chain
        .opened("S001", &format!("barcode;qty\n{RING};1\n"))
        .await;

    let item = oversell(&chain, &shop).await;
    assert_eq!(item["owner"], json!({"person": "Ivanova", "channel": null}));
    assert_eq!(alerts(&chain, "?owner=Ivanova").await.len(), 1);

    chain.cli(&["alert", "owner", "remove", &rings[..6]]).ok();
    assert_eq!(alerts(&chain, "?owner=Everybody").await.len(), 1);
    let listed = chain.cli(&["alert", "list", "--json"]).ok().json();
    assert_eq!(listed["items"], json!(alerts(&chain, "").await));
    let table = chain.cli(&["alert", "list"]);
    assert!(table.ok().stdout.contains("Everybody"), "{table:?}");
    let unknown = chain.cli(&[
        "alert",
        "owner",
        "add",
        "--person",
        "P",
        "--channel",
        "nowhere",
    ]);
    assert_eq!(unknown.code, 1, "{unknown:?}");
}

#[tokio::test]
async fn an_entry_belongs_to_whoever_looks_after_the_group_that_1c_has_the_goods_in() {
    let chain = Chain::start();
    for name in ["import0_1.xml", "offers0_1.xml"] {
        let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = manifest.join("../fixtures/chain/catalogue").join(name);
        chain.cli(&["import", file.to_str().expect("a path")]).ok();
    }
    let (ring, earrings) = ("4607100001379", "4607100548003");
    for (person, category) in [("Ivanova", "кольца"), ("Petrova", "серьги")] {
        let add = ["alert", "owner", "add", "--person", person];
        chain
            .cli(&[&add[..], &["--category", category]].concat())
            .ok();
    }
    let balances = format!("barcode;qty\n{ring};1\n{earrings};1\n");
    let shop = chain.opened("S001", &balances).await;

    for code in [ring, earrings] {
        shop.sell(&format!("first {code}"), code).await;
        shop.sell(&format!("second {code}"), code).await;
    }

    let mut owners: Vec<(String, String)> = open(&chain, "negative_stock", 2)
        .await
        .iter()
        .map(|item| {
            let person = text(&item["owner"], "person").to_owned();
            (text(item, "barcode").to_owned(), person)
        })
        .collect();
    owners.sort();
    let of = |code: &str, person: &str| (code.to_owned(), person.to_owned());
    assert_eq!(owners, [of(ring, "Ivanova"), of(earrings, "Petrova")]);
    let item = chain.get(&format!("/v1/stock/{ring}")).await.body;
    assert_eq!(item["attributes"]["category"], json!("Кольца"));
}

/// A web order of the ring.
async fn order(chain: &Chain) {
    let body = json!({"barcode": RING, "shop": "S001", "qty": 1, "order": "1024"});
    let headers = [("idempotency-key", "order 1024")];
    let placed = chain
        .call(
            Method::POST,
            "/v1/holds",
            &chain.website,
            Some(&body),
            &headers,
        )
        .await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
}

#[tokio::test]
async fn an_order_that_no_shop_answers_goes_to_the_manager_then_to_the_director_and_ends_with_the_answer()
 {
    let chain = Chain::start_with("[alerts]\nunanswered_after = \"1s\"\ndirector_after = \"9s\"\n");
    for (person, level) in [("Manager", "manager"), ("Director", "director")] {
        let args = [
            "alert", "owner", "add", "--person", person, "--level", level,
        ];
        chain.cli(&args).ok();
    }
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    order(&chain).await;
    shop.exchange();

    let first = open(&chain, "hold_unanswered", 1).await.remove(0);
    assert_eq!(
        (&first["owner"]["person"], &first["evidence"]["order"]),
        (&json!("Manager"), &json!("1024"))
    );
    until("the director to have it", || async {
        let now = alerts(&chain, "?owner=Director").await;
        if now.len() == 1 { Ok(()) } else { Err(now) }
    })
    .await;
    let leg = shop.leg().id;
    shop.confirm(leg);
    shop.exchange();
    open(&chain, "hold_unanswered", 0).await;

    let story = story(&chain, text(&first, "id")).await;
    assert_eq!(story, ["hub: opened", "hub: escalated", "hub: resolved"]);
}

#[tokio::test]
async fn what_was_sold_over_an_order_is_one_question_that_a_person_ends() {
    let chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    order(&chain).await;
    shop.exchange();
    let leg = shop.leg().id;
    shop.confirm(leg);
    shop.exchange();

    shop.sell(RING);
    shop.exchange();
    let asked = open(&chain, "sold_over_hold", 1).await.remove(0);
    assert_eq!(
        (text(&asked, "shop"), &asked["evidence"]["order"]),
        ("S001", &json!("1024"))
    );
    let done = act(&chain, text(&asked, "id"), "resolve", json!({})).await;
    assert_eq!(text(&done.body, "state"), "resolved");
    shop.exchange();
    shop.exchange();

    assert_eq!(
        alerts(&chain, "?state=all&kind=sold_over_hold").await.len(),
        1
    );
}

#[tokio::test]
async fn a_file_of_which_a_shop_took_nothing_is_told_to_head_office_until_it_is_taken_away() {
    let chain = Chain::start();
    let shop = chain
        .opened("S001", &format!("barcode;qty\n{RING};1\n"))
        .await;

    shop.drop_file("pos.csv", "kind;code;units\nsale;2000018987155;1\n");
    let rejected = shop.data.join("rejected");
    until("the file to be rejected", || async {
        let is_there = rejected.join("pos.csv").exists();
        if is_there { Ok(()) } else { Err(()) }
    })
    .await;
    // A look at the folder is good for some seconds, and an idle agent speaks when the hub's wait is over.
    let exchanged = async |count: usize| {
        until(&format!("{count} of files_rejected"), || async {
            shop.cli(&["sync"]).ok();
            let items = alerts(&chain, "?kind=files_rejected").await;
            if items.len() == count {
                Ok(items)
            } else {
                Err(items)
            }
        })
        .await
    };
    let told = exchanged(1).await.remove(0);
    assert_eq!(
        (text(&told, "shop"), &told["evidence"]["file"]),
        ("S001", &json!("pos.csv"))
    );
    let shown = chain.cli(&["shop", "show", "S001"]).ok().stdout.clone();
    assert!(shown.contains("pos.csv"), "{shown}");

    for name in ["pos.csv", "pos.csv.report.txt"] {
        std::fs::remove_file(rejected.join(name)).expect("it is there");
    }
    exchanged(0).await;
}
