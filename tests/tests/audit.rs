//! The audit list, from outside: who changed what at the hub, in order, and what nobody can take out of it.

use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::{Chain, Keeper, until};

const RING: &str = "2000018987155";
const TWIN: &str = "2000018987162";

/// The whole list, the oldest first.
fn list(chain: &Chain) -> Vec<Value> {
    let list = chain.cli(&["audit", "list", "--since", "1d", "--json"]);
    let list = list.ok().json();
    let items = list.get("items").and_then(Value::as_array);
    let mut items = items.expect("a list").clone();
    items.reverse();
    items
}

/// `by what shop` of each record.
fn told(list: &[Value]) -> Vec<String> {
    let text = |record: &Value, name: &str| {
        let text = record.get(name).and_then(Value::as_str);
        text.unwrap_or("-").to_owned()
    };
    list.iter()
        .map(|record| {
            format!(
                "{}: {} {}",
                text(record, "by"),
                text(record, "what"),
                text(record, "shop")
            )
        })
        .collect()
}

/// The first record of a kind.
fn first<'l>(list: &'l [Value], what: &str) -> &'l Value {
    let is_it = |record: &&Value| record.get("what") == Some(&json!(what));
    list.iter().find(is_it).expect("a record")
}

/// Shops, keys, files and their ends, by commands and by calls.
async fn a_day_of_changes(chain: &Chain, copy: &Path) {
    chain.cli(&["shop", "set", "S001", "--publish", "off"]).ok();
    let made = json!({"name": "till-site", "role": "website"});
    let made = chain
        .call(Method::POST, "/v1/keys", &chain.admin, Some(&made), &[])
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let ended = chain
        .call(
            Method::DELETE,
            "/v1/keys/till-site",
            &chain.admin,
            None,
            &[],
        )
        .await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    let catalogue = chain.path("prices.csv");
    std::fs::write(
        &catalogue,
        format!("barcode;article;name\n{RING};K-1;Ring\n"),
    )
    .expect("a file");
    chain
        .cli(&["import", catalogue.to_str().expect("a path")])
        .ok();
    chain.cli(&["backup", copy.to_str().expect("a path")]).ok();
    chain.cli(&["export", "csv"]).ok();
    chain.cli(&["shop", "revoke", "S001"]).ok();
    chain.cli(&["shop", "recode", "S001"]).ok();
    chain
        .call(Method::GET, "/v1/stock/1", "guess", None, &[])
        .await;
    chain
        .call(Method::GET, "/v1/shops", &chain.website, None, &[])
        .await;
}

#[tokio::test]
async fn who_changed_what_is_told_in_order_with_the_name_of_the_key() {
    let mut chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;
    let copy = chain.path("copy.sqlite3");
    a_day_of_changes(&chain, &copy).await;
    chain.stop_hub();

    let list = list(&chain);
    assert_eq!(
        told(&list),
        [
            "hub: life -",
            "hub: config -",
            "command line: key_add -",
            "command line: key_add -",
            "command line: key_add -",
            "command line: shop_add S001",
            "shop S001: enrol S001",
            "shop S001: replica S001",
            "command line: shop_set S001",
            "key admin: key_add -",
            "key admin: key_revoke -",
            "command line: import -",
            "command line: backup -",
            "command line: export -",
            "command line: shop_revoke S001",
            "command line: shop_recode S001",
            "hub: login_failures -",
        ]
    );
    assert_eq!(
        first(&list, "shop_set")["detail"],
        json!({"publish": [true, false]})
    );
    assert_eq!(
        first(&list, "key_revoke")["detail"],
        json!({"key": "till-site"})
    );
    assert_eq!(
        first(&list, "import")["detail"]["file"],
        json!("prices.csv")
    );
    let failures = &first(&list, "login_failures")["detail"];
    assert_eq!(
        (&failures["unauthorized"], &failures["forbidden"]),
        (&json!(1), &json!(1))
    );
    chain.cli(&["audit", "verify"]).ok();

    let copied = rusqlite::Connection::open(copy).expect("a database");
    let last: String = copied
        .query_row(
            "SELECT what FROM audit ORDER BY n DESC LIMIT 1",
            [],
            |row| row.get(0),
        )
        .expect("a record");
    assert_eq!(last, "backup");
}

/// A command about holds, twice: the second time it has nothing to do.
fn twice(chain: &Chain, command: &[&str]) -> Value {
    let command = [command, &["--json"]].concat();
    chain.cli(&command).ok();
    chain.cli(&command).ok().json()
}

/// Head office asks for a piece to be moved, under one key, so often as it likes.
async fn asked_by_call(chain: &Chain) {
    let body = json!({"barcode": RING, "from": "S001", "to": "S002", "document": "T-2"});
    let headers = [("idempotency-key", "t-2")];
    for _ in 0..2 {
        let path = "/v1/transfers";
        let asked = chain
            .call(Method::POST, path, &chain.office, Some(&body), &headers)
            .await;
        assert_eq!(asked.status, StatusCode::CREATED, "{asked:?}");
    }
}

#[tokio::test]
async fn what_people_do_with_holds_is_told_once_and_a_websites_orders_are_not() {
    let chain = Chain::start();
    let _has_it = Keeper::open(&chain, "S001", &[], &[(RING, 5)]);
    let _gets_it = Keeper::open(&chain, "S002", &[], &[(TWIN, 1)]);
    let before = list(&chain).len();

    let body = json!({"barcode": RING, "shop": "S001", "qty": 1, "order": "1023"});
    let headers = [("idempotency-key", "1023")];
    let (path, key) = ("/v1/holds", &chain.website);
    let ordered = chain
        .call(Method::POST, path, key, Some(&body), &headers)
        .await;
    assert_eq!(ordered.status, StatusCode::CREATED, "{ordered:?}");
    let place = ["hold", "place", RING, "--order", "1024", "--key", "1024"];
    let hold = twice(&chain, &[&place[..], &["--shop", "S001"]].concat());
    let id = hold["id"].as_str().expect("an id");
    chain.cli(&["hold", "extend", id, "--ttl", "2d"]).ok();
    chain.cli(&["hold", "extend", id, "--ttl", "1h"]).ok();
    twice(&chain, &["hold", "transfer", id, "--to", "S002"]);
    twice(&chain, &["hold", "release", id]);
    let ask = ["transfer", "request", RING, "--from", "S001", "--to"];
    let more = ["S002", "--document", "T-1", "--key", "t-1"];
    twice(&chain, &[&ask[..], &more[..]].concat());
    asked_by_call(&chain).await;

    let list = list(&chain).split_off(before);
    assert_eq!(
        told(&list),
        [
            "command line: hold_place S001",
            "command line: hold_extend S001",
            "command line: hold_transfer S001",
            "command line: hold_release S001",
            "command line: transfer_request S001",
            "key office: transfer_request S001",
        ]
    );
    let about = json!({"hold": id, "order": "1024", "barcode": RING, "qty": 1});
    assert_eq!(first(&list, "hold_place")["detail"], about);
    let until = first(&list, "hold_extend")["detail"]["until"].as_str();
    assert!(until.is_some(), "{list:#?}");
    let sent = &first(&list, "hold_transfer")["detail"];
    assert_eq!((&sent["hold"], &sent["to"]), (&json!(id), &json!("S002")));
    let asked = &first(&list, "transfer_request")["detail"];
    assert_eq!(
        (&asked["order"], &asked["to"]),
        (&json!("T-1"), &json!("S002"))
    );
    chain.cli(&["audit", "verify"]).ok();
}

#[tokio::test]
async fn admins_read_the_list_in_pages_and_nobody_else_does() {
    let chain = Chain::start();
    for name in ["a", "b", "c"] {
        chain
            .cli(&["key", "add", "--role", "website", "--name", name])
            .ok();
    }
    let whole: Vec<_> = list(&chain)
        .iter()
        .rev()
        .map(|record| record["n"].clone())
        .collect();

    let mut paged = Vec::new();
    let mut path = "/v1/audit?limit=3".to_owned();
    loop {
        let page = chain
            .call(Method::GET, &path, &chain.admin, None, &[])
            .await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let items = page.body["items"].as_array().expect("a list");
        assert!(items.len() <= 3);
        paged.extend(items.iter().map(|record| record["n"].clone()));
        let Some(next) = page.body["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/audit?limit=3&cursor={next}");
    }

    assert_eq!(paged, whole);
    for key in [&chain.website, &chain.office] {
        let refused = chain.call(Method::GET, "/v1/audit", key, None, &[]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_restored_ledger_and_a_restored_hub_leave_records() {
    let mut chain = Chain::start();
    let mut shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;
    let copy = chain.path("hub-copy.sqlite3");
    chain.cli(&["backup", copy.to_str().expect("a path")]).ok();
    shop.stop();
    let monday = chain.path("monday");
    vitrina_tests::files::copy_folder(&shop.data, &monday);
    shop.start();
    shop.sell("tuesday", RING).await;
    chain.on_hand(RING, 4).await;
    shop.stop();
    vitrina_tests::files::copy_folder(&monday, &shop.data);
    shop.start();
    shop.sell("wednesday", RING).await;
    chain.on_hand(RING, 3).await;

    let replicas = || {
        told(&list(&chain))
            .iter()
            .filter(|told| told.contains("replica S001"))
            .count()
    };
    until("a second replica in the list", || async {
        match replicas() {
            0 | 1 => Err(list(&chain)),
            _ => Ok(()),
        }
    })
    .await;

    chain.stop_hub();
    chain.cli(&["restore", copy.to_str().expect("a path")]).ok();
    let told = told(&list(&chain));
    assert_eq!(
        told.last().map(String::as_str),
        Some("command line: life -"),
        "{told:?}"
    );
    chain.cli(&["audit", "verify"]).ok();
}

#[tokio::test]
async fn a_list_that_somebody_edited_is_not_whole() {
    let mut chain = Chain::start();
    chain.stop_hub();
    let database =
        rusqlite::Connection::open(chain.data().join("hub.sqlite3")).expect("a database");
    let refused = database
        .execute("DELETE FROM audit", [])
        .expect_err("append only");
    assert!(
        refused.to_string().contains("only appended to"),
        "{refused}"
    );
    database
        .execute_batch("DROP TRIGGER audit_is_kept; DELETE FROM audit WHERE what = 'key_add';")
        .expect("edited");
    drop(database);

    let found = chain.cli(&["audit", "verify", "--json"]);

    assert_eq!(found.code, 3, "{found:?}");
    let problems = found.json()["problems"].to_string();
    for code in ["untold", "guard"] {
        assert!(problems.contains(code), "{problems}");
    }
}
