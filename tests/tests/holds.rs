//! A web order keeps a piece in a shop: asked, answered, seen by everybody, let go, and never promised twice.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_shared::Kind;
use vitrina_shared::hold::{DeclineReason, HubState, ShopSide};
use vitrina_shared::movement::Details;
use vitrina_shared::wire::v1::LegV1;
use vitrina_tests::chain::Reply;
use vitrina_tests::{Chain, Keeper, until};

const RING: &str = "2000018987155";
const TWIN: &str = "2000018987162";

async fn order(chain: &Chain, key: &str, body: Value) -> Reply {
    let headers = [("idempotency-key", key)];
    let path = "/v1/holds";
    chain
        .call(Method::POST, path, &chain.website, Some(&body), &headers)
        .await
}

/// A hold that is taken: its id.
async fn ordered(chain: &Chain, key: &str, body: Value) -> String {
    let reply = order(chain, key, body).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    let id = reply.body.get("id").and_then(Value::as_str);
    id.expect("an id").to_owned()
}

fn ring(shop: Option<&str>) -> Value {
    json!({"barcode": RING, "shop": shop, "qty": 1, "order": "1024"})
}

async fn hold(chain: &Chain, id: &str) -> Value {
    let reply = chain.get(&format!("/v1/holds/{id}")).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.body
}

async fn release(chain: &Chain, id: &str) -> Reply {
    let path = format!("/v1/holds/{id}");
    chain
        .call(Method::DELETE, &path, &chain.website, None, &[])
        .await
}

async fn extend(chain: &Chain, id: &str, ttl_s: i64) -> Reply {
    let (path, body) = (format!("/v1/holds/{id}/extend"), json!({"ttl_s": ttl_s}));
    chain
        .call(Method::POST, &path, &chain.website, Some(&body), &[])
        .await
}

/// The second that a time names.
fn seconds_of(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().expect("a time").as_second()
}

/// On hand, held and available of an item.
async fn numbers(chain: &Chain, barcode: &str) -> [i64; 3] {
    let item = chain.get(&format!("/v1/stock/{barcode}")).await.body;
    ["on_hand", "held", "available"].map(|name| item.get(name).and_then(Value::as_i64).expect(name))
}

#[tokio::test]
async fn an_order_holds_a_piece_which_the_shop_confirms_and_everybody_sees() {
    let chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 2)]);
    let since = chain.get("/v1/snapshot").await;
    let since = since.header("vitrina-cursor").to_owned();
    let tag = chain.get(&format!("/v1/stock/{RING}")).await;

    let placed = order(&chain, "a", ring(None)).await;

    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    let body = &placed.body;
    let said = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        [said("barcode"), said("shop"), said("order"), said("state")],
        [RING, "S001", "1024", "requested"]
    );
    assert!(!said("answer_by").is_empty() && !said("expires_at").is_empty());
    let cursor = placed.header("vitrina-cursor");
    let path = format!("/v1/stock/{RING}?min_cursor={cursor}");
    let item = chain.get(&path).await;
    assert_eq!(item.body["held"], json!(1));
    assert_eq!(item.body["available"], json!(1));
    assert_eq!(item.body["levels"][0]["held"], json!(1));
    assert_ne!(item.header("etag"), tag.header("etag"));
    let changes = chain.get(&format!("/v1/changes?since={since}")).await.body;
    let level = &changes["items"][0];
    assert_eq!(
        (
            &level["held"],
            &level["available"],
            &level["item_available"]
        ),
        (&json!(1), &json!(1), &json!(1)),
        "{changes:#}"
    );

    shop.exchange();
    let leg = shop.leg().clone();
    assert_eq!(&*leg.terms.order, "1024");
    assert_eq!(leg.terms.barcode.as_str(), RING);
    shop.confirm(leg.id);
    let answer = shop.exchange();

    assert!(answer.legs.expect("a word of legs").taken);
    let confirmed = hold(&chain, &said("id")).await;
    assert_eq!(confirmed["state"], json!("confirmed"));
    assert_eq!(confirmed["legs"][0]["shop_side"], json!("confirmed"));
    assert_eq!(confirmed["legs"][0]["hub"], json!("requested"));
    assert_eq!(numbers(&chain, RING).await, [2, 1, 1]);
}

#[tokio::test]
async fn the_last_piece_is_held_once_and_the_second_caller_is_told_where_else_it_is() {
    let chain = Chain::start();
    let _first = Keeper::open(&chain, "S001", &["--city", "Moscow"], &[(RING, 1)]);
    let _other = Keeper::open(&chain, "S002", &["--city", "Kazan"], &[(RING, 3)]);
    ordered(&chain, "a", ring(Some("S001"))).await;

    let refused = order(&chain, "b", ring(Some("S001"))).await;

    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.code(), "insufficient_stock");
    let alternatives = refused.body["alternatives"].as_array().expect("a list");
    assert_eq!(alternatives.len(), 1, "{refused:?}");
    assert_eq!(
        [&alternatives[0]["shop"], &alternatives[0]["city"]],
        ["S002", "Kazan"]
    );
    assert_eq!(alternatives[0]["available"], json!(3));
    let wherever = order(&chain, "c", ring(None)).await;
    assert_eq!(wherever.body["shop"], json!("S002"), "{wherever:?}");
    let why = &wherever.body["legs"][0]["rejected"][0];
    assert_eq!(
        (&why["shop"], &why["why"]),
        (&json!("S001"), &json!("insufficient_stock"))
    );
    let unknown = order(&chain, "d", ring(Some("S404"))).await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.code()),
        (404, "unknown_shop")
    );
}

#[tokio::test]
async fn many_callers_at_once_hold_each_piece_once() {
    let chain = Chain::start();
    let _shop = Keeper::open(&chain, "S001", &[], &[(RING, 5)]);

    let calls = (0..40).map(|number| {
        let (url, key) = (chain.url.clone(), chain.website.clone());
        std::thread::spawn(move || {
            let mut line = vitrina_tests::http::Http::to(&url);
            let headers = format!(
                "Authorization: Bearer {key}\r\nIdempotency-Key: {number}\r\nContent-Type: application/json\r\n"
            );
            let order = format!("order {number}");
            let body = json!({"barcode": RING, "qty": 1, "order": order}).to_string();
            line.call("POST", "/v1/holds", &headers, body.as_bytes()).status
        })
    });
    let calls: Vec<_> = calls.collect();
    let mut told: BTreeMap<u16, usize> = BTreeMap::new();
    for call in calls {
        *told.entry(call.join().expect("an answer")).or_default() += 1;
    }

    assert_eq!(told, BTreeMap::from([(201, 5), (409, 35)]));
    assert_eq!(numbers(&chain, RING).await, [5, 5, 0]);
}

#[tokio::test]
async fn the_same_key_is_the_same_hold_and_what_is_wrong_is_named() {
    let chain = Chain::start();
    let _shop = Keeper::open(&chain, "S001", &[], &[(RING, 5)]);
    let first = order(&chain, "a", ring(None)).await;

    let again = order(&chain, "a", ring(None)).await;

    assert_eq!(again.status, StatusCode::CREATED);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.body, first.body);
    assert_eq!(numbers(&chain, RING).await, [5, 1, 4]);
    let mut other = ring(None);
    other["qty"] = json!(2);
    let other = order(&chain, "a", other).await;
    assert_eq!(
        (other.status.as_u16(), other.code()),
        (422, "duplicate_key_mismatch")
    );
    let keyless = chain
        .call(
            Method::POST,
            "/v1/holds",
            &chain.website,
            Some(&ring(None)),
            &[],
        )
        .await;
    assert_eq!(
        (keyless.status.as_u16(), keyless.code()),
        (400, "missing_idempotency_key")
    );
    for (name, value) in [
        ("qty", json!(0)),
        ("qty", json!(1.5)),
        ("order", json!("")),
        ("purpose", json!("gift")),
        ("ttl_s", json!(0)),
        ("colour", json!("red")),
    ] {
        let mut body = ring(None);
        body[name] = value;
        let reply = order(&chain, "b", body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (422, "validation_failed"),
            "{name}: {reply:?}"
        );
    }
    let mut body = ring(None);
    body["barcode"] = json!("nobody's");
    let reply = order(&chain, "c", body).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code()),
        (404, "unknown_barcode")
    );
    for path in ["/v1/holds/x", "/v1/holds/00112233445566778899aabbccddeeff"] {
        let reply = chain.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (404, "unknown_hold"));
    }
}

#[tokio::test]
async fn a_cart_is_held_for_a_quarter_of_an_hour_and_an_order_for_a_day() {
    let chain = Chain::start();
    let _shop = Keeper::open(&chain, "S001", &[], &[(RING, 5)]);
    let lasts = |body: &Value| {
        let at = |name: &str| {
            let text = body[name].as_str().expect(name);
            seconds_of(text)
        };
        at("expires_at") - at("created_at")
    };

    for (purpose, ttl_s, expected) in [
        ("cart", Value::Null, 900),
        ("order", Value::Null, 86_400),
        ("cart", json!(60), 60),
    ] {
        let body =
            json!({"barcode": RING, "qty": 1, "order": "1", "purpose": purpose, "ttl_s": ttl_s});
        let reply = order(&chain, &format!("{purpose}{ttl_s}"), body).await;
        assert_eq!(lasts(&reply.body), expected, "{reply:?}");
    }
}

#[tokio::test]
async fn nothing_is_promised_of_a_shop_that_has_not_said_what_it_keeps() {
    let chain = Chain::start();
    let mut shop = Keeper::silent(&chain, "S001", &[], &[(RING, 1)]);

    let early = order(&chain, "a", ring(None)).await;
    shop.exchange();
    let late = order(&chain, "a", ring(None)).await;

    assert_eq!(
        (early.status.as_u16(), early.code()),
        (409, "insufficient_stock")
    );
    assert_eq!(early.body["reason"], json!("not_returned"), "{early:?}");
    assert_eq!(late.status, StatusCode::CREATED, "{late:?}");
}

#[tokio::test]
async fn of_a_shop_that_nobody_can_hear_is_promised_what_the_settings_say() {
    let chain = Chain::start();
    let generous = Chain::start_with("[holds]\nunknown = \"all\"\n");

    for (chain, expected) in [(&chain, 409), (&generous, 201)] {
        let _shop = Keeper::open(chain, "S001", &[], &[(RING, 1)]);
        chain.cli(&["shop", "revoke", "S001"]).ok();

        let reply = order(chain, "a", ring(None)).await;

        assert_eq!(reply.status.as_u16(), expected, "{reply:?}");
        if expected == 409 {
            assert_eq!(reply.body["reason"], json!("unknown"), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn a_waiting_shop_hears_at_once_and_the_caller_waits_for_its_word() {
    let chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    shop.exchange();
    let agent = std::thread::spawn(move || {
        shop.waiting(20_000);
        let leg = shop.leg().id;
        shop.confirm(leg);
        shop.exchange();
        shop
    });

    let mut body = ring(None);
    body["wait_ms"] = json!(5_000);
    let placed = order(&chain, "a", body).await;

    assert_eq!(placed.status, StatusCode::CREATED);
    assert_eq!(placed.body["state"], json!("confirmed"), "{placed:?}");
    agent.join().expect("a shop");
}

#[tokio::test]
async fn a_no_goes_to_the_nearest_other_shop_and_why_not_the_others_is_kept() {
    let chain = Chain::start();
    let at = |lat, lon| ["--lat", lat, "--lon", lon];
    let mut first = Keeper::open(&chain, "S001", &at("55.75", "37.61"), &[(RING, 1)]);
    let mut near = Keeper::open(&chain, "S003", &at("55.80", "37.70"), &[(RING, 1)]);
    let _far = Keeper::open(&chain, "S002", &at("59.93", "30.33"), &[(RING, 1)]);
    let id = ordered(&chain, "a", ring(Some("S001"))).await;
    first.exchange();
    let leg = first.leg().id;

    first.decline(leg, DeclineReason::NotFound);
    first.exchange();

    let story = hold(&chain, &id).await;
    assert_eq!([&story["shop"], &story["state"]], ["S003", "requested"]);
    let legs = story["legs"].as_array().expect("legs");
    assert_eq!(legs.len(), 2);
    assert_eq!(
        [&legs[0]["hub"], &legs[0]["shop_side"], &legs[0]["reason"]],
        ["ended", "declined", "not_found"]
    );
    let rejected = legs[1]["rejected"].as_array().expect("reasons");
    let why: BTreeMap<&str, &str> = { rejected.iter() }
        .map(|one| (one["shop"].as_str().unwrap(), one["why"].as_str().unwrap()))
        .collect();
    assert_eq!(
        why,
        BTreeMap::from([("S001", "asked_before"), ("S002", "farther")])
    );
    assert_eq!(first.leg().hub.state, HubState::Ended);
    near.exchange();
    let leg = near.leg().id;
    near.confirm(leg);
    near.exchange();
    assert_eq!(hold(&chain, &id).await["state"], json!("confirmed"));
    assert_eq!(numbers(&chain, RING).await, [3, 1, 2]);
}

#[tokio::test]
async fn where_nobody_can_the_order_is_declined_and_says_why() {
    let chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    let _empty = Keeper::open(&chain, "S002", &[], &[(RING, -1)]);
    let id = ordered(&chain, "a", ring(None)).await;
    shop.exchange();
    let leg = shop.leg().id;

    shop.decline(leg, DeclineReason::Damaged);
    shop.exchange();

    let story = hold(&chain, &id).await;
    assert_eq!(story["state"], json!("declined"));
    assert_eq!(
        story["rejected"].as_array().map(Vec::len),
        Some(2),
        "{story:#}"
    );
    assert_eq!(numbers(&chain, RING).await, [0, 0, 1]);
    let late = release(&chain, &id).await;
    assert_eq!((late.status.as_u16(), late.code()), (409, "hold_not_open"));
}

#[tokio::test]
async fn another_barcode_of_the_article_and_size_will_do_where_the_order_says_so() {
    let chain = Chain::start();
    let catalogue = chain.path("catalogue.csv");
    let lines = format!(
        "barcode;article;name;size\n{RING};K-1;Ring;17,5\n{TWIN};K-1;Ring;17.5\n2000018987179;K-1;Ring;18\n"
    );
    std::fs::write(&catalogue, lines).expect("a file");
    chain
        .cli(&["import", catalogue.to_str().expect("a name")])
        .ok();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    let other = [(TWIN, 1), ("2000018987179", 9)];
    let _other = Keeper::open(&chain, "S002", &[], &other);
    let mut body = ring(None);
    body["allow_variant"] = json!(true);
    let id = ordered(&chain, "a", body).await;
    shop.exchange();
    let leg = shop.leg().id;

    shop.decline(leg, DeclineReason::Showcase);
    shop.exchange();

    let story = hold(&chain, &id).await;
    assert_eq!([&story["shop"], &story["barcode"]], ["S002", RING]);
    assert_eq!(story["legs"][1]["barcode"], json!(TWIN), "{story:#}");
    assert_eq!(numbers(&chain, TWIN).await, [1, 1, 0]);
}

#[tokio::test]
async fn a_hold_whose_time_is_over_is_let_go_and_one_that_is_extended_is_not() {
    let chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 2)]);
    let mut body = ring(None);
    body["ttl_s"] = json!(1);
    let short = ordered(&chain, "a", body.clone()).await;
    let long = ordered(&chain, "b", body).await;
    let longer = extend(&chain, &long, 3_600).await;
    assert_eq!(longer.status, StatusCode::OK, "{longer:?}");

    until("the hold to be over", || async {
        let story = hold(&chain, &short).await;
        if story["state"] == json!("expired") {
            Ok(())
        } else {
            Err(story)
        }
    })
    .await;

    assert_eq!(numbers(&chain, RING).await, [2, 1, 1]);
    assert_eq!(hold(&chain, &long).await["state"], json!("requested"));
    let late = extend(&chain, &short, 60).await;
    assert_eq!((late.status.as_u16(), late.code()), (409, "hold_expired"));
    let late = release(&chain, &short).await;
    assert_eq!((late.status.as_u16(), late.code()), (409, "hold_expired"));
    shop.exchange();
    let leg = shop.of(&short);
    assert_eq!(shop.legs[&leg].hub.state, HubState::Expired);
}

#[tokio::test]
async fn a_hold_is_let_go_once_and_the_shop_is_told_to_put_it_back() {
    let chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    let id = ordered(&chain, "a", ring(None)).await;
    shop.exchange();
    let leg = shop.leg().id;
    shop.confirm(leg);
    shop.exchange();

    let first = release(&chain, &id).await;
    let again = release(&chain, &id).await;

    assert_eq!(
        (first.status, again.status),
        (StatusCode::OK, StatusCode::OK)
    );
    assert_eq!(first.body, again.body);
    assert_eq!(first.body["state"], json!("released"));
    assert_eq!(first.body["legs"][0]["work"][0]["kind"], json!("put_back"));
    assert_eq!(numbers(&chain, RING).await, [1, 0, 1]);
    shop.exchange();
    assert_eq!(shop.leg().hub.state, HubState::Released);
    let late = extend(&chain, &id, 60).await;
    assert_eq!((late.status.as_u16(), late.code()), (409, "hold_not_open"));
}

#[tokio::test]
async fn a_piece_that_was_bought_is_held_until_its_sale_is_here_and_then_gone() {
    let chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    let id = ordered(&chain, "a", ring(None)).await;
    shop.exchange();
    let leg = shop.leg().id;
    shop.confirm(leg);
    shop.exchange();

    let sale = shop.sell(RING);
    shop.fulfil(leg, sale);
    shop.exchange_without_movements();
    let early = (hold(&chain, &id).await, numbers(&chain, RING).await);
    shop.exchange();
    let late = (hold(&chain, &id).await, numbers(&chain, RING).await);

    assert_eq!(
        (&early.0["state"], early.1),
        (&json!("confirmed"), [1, 1, 0])
    );
    assert_eq!((&late.0["state"], late.1), (&json!("fulfilled"), [0, 0, 0]));
    let explained = chain.office(&format!("/v1/explain/{RING}")).await.body;
    let movements = explained["shops"][0]["movements"].as_array().unwrap();
    let told: Vec<_> = { movements.iter() }
        .map(|one| [&one["type"], &one["order"], &one["hold"]])
        .collect();
    assert_eq!(
        told,
        [
            [&json!("opening"), &Value::Null, &Value::Null],
            [&json!("sale"), &late.0["order"], &json!(id)]
        ],
        "who looks for an order finds its sale"
    );
    let statement = chain.cli(&["explain", RING]);
    let order = format!("order {}", late.0["order"].as_str().unwrap());
    assert!(statement.ok().stdout.contains(&order), "{statement:?}");
    let refused = release(&chain, &id).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "hold_not_open")
    );
    assert_eq!(refused.body["state"], json!("fulfilled"));
}

#[tokio::test]
async fn a_sale_that_was_taken_back_leaves_the_piece_the_orders() {
    let chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    let id = ordered(&chain, "a", ring(None)).await;
    shop.exchange();
    let leg = shop.leg().id;
    let sale = shop.sell(RING);
    shop.fulfil(leg, sale);
    shop.exchange();
    assert_eq!(numbers(&chain, RING).await, [0, 0, 0]);

    shop.take_back(RING, sale);
    shop.exchange();

    assert_eq!(numbers(&chain, RING).await, [1, 1, 0]);
    assert_eq!(hold(&chain, &id).await["state"], json!("confirmed"));
    assert_eq!(release(&chain, &id).await.status, StatusCode::OK);
    assert_eq!(numbers(&chain, RING).await, [1, 0, 1]);
}

#[tokio::test]
async fn each_order_whose_piece_a_till_sold_is_a_question_of_its_own() {
    let chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 2)]);
    let mut ids = Vec::new();
    for key in ["a", "b"] {
        ids.push(ordered(&chain, key, ring(None)).await);
        shop.exchange();
        let leg = shop.of(&ids[ids.len() - 1]);
        shop.confirm(leg);
        shop.exchange();
    }
    let last = shop.of(&ids[1]);

    shop.sell(RING);
    let sale = shop.sell(RING);
    shop.exchange();

    for id in &ids {
        let story = hold(&chain, id).await;
        let work = &story["legs"][0]["work"];
        assert_eq!(work[0]["kind"], json!("sold_over_hold"), "{story}");
    }
    // One of the two was the second order's: the first order's piece is still gone.
    shop.fulfil(last, sale);
    shop.exchange();
    until("the first order's question alone", || async {
        let open = chain.office("/v1/alerts?kind=sold_over_hold").await.items();
        let of: Vec<_> = open.iter().map(|item| &item["evidence"]["hold"]).collect();
        if of == [&json!(ids[0])] {
            Ok(())
        } else {
            Err(open)
        }
    })
    .await;
}

#[tokio::test]
async fn a_piece_that_a_till_sold_over_a_hold_is_somebodys_question() {
    let chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    let id = ordered(&chain, "a", ring(None)).await;
    shop.exchange();
    let leg = shop.leg().id;
    shop.confirm(leg);
    shop.exchange();

    shop.sell(RING);
    shop.exchange();

    let story = hold(&chain, &id).await;
    assert_eq!(story["state"], json!("confirmed"));
    assert_eq!(story["legs"][0]["work"][0]["kind"], json!("sold_over_hold"));
    assert_eq!(numbers(&chain, RING).await, [0, 1, 0]);

    shop.say(
        leg,
        ShopSide::Broken {
            at: vitrina_shared::TimeMs(5),
        },
    );
    shop.exchange();
    let story = hold(&chain, &id).await;
    assert_eq!(story["state"], json!("broken"), "{story:#}");
    assert_eq!(numbers(&chain, RING).await, [0, 0, 0]);
}

#[tokio::test]
async fn a_piece_travels_with_its_order_to_the_shop_that_waits_for_it() {
    let chain = Chain::start();
    let mut from = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    let mut to = Keeper::open(&chain, "W001", &["--type", "warehouse"], &[(TWIN, 1)]);
    let id = ordered(&chain, "a", ring(None)).await;
    from.exchange();
    let leg = from.leg().id;
    from.confirm(leg);

    let details = Details {
        to: Some("W001".into()),
        ..Details::default()
    };
    let out = from.book(Kind::TransferOut, RING, -1, "out", &details);
    let at = vitrina_shared::TimeMs(5);
    from.say(leg, ShopSide::Moved { movement: out, at });
    from.exchange();
    let travelling = hold(&chain, &id).await;
    assert_eq!(
        [&travelling["shop"], &travelling["state"]],
        ["W001", "in_transit"]
    );
    assert_eq!(numbers(&chain, RING).await, [0, 0, 0]);

    to.exchange();
    let details = Details {
        hold: Some(id.parse().expect("an id")),
        ..Details::default()
    };
    to.book(Kind::TransferIn, RING, 1, "in", &details);
    to.exchange();

    assert_eq!(numbers(&chain, RING).await, [1, 1, 0]);
    let leg = to.leg().id;
    to.confirm(leg);
    to.exchange();
    assert_eq!(hold(&chain, &id).await["state"], json!("confirmed"));
}

#[tokio::test]
async fn a_leg_of_another_shop_is_refused_with_everything_beside_it() {
    let chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 1)]);
    let mut thief = Keeper::open(&chain, "S002", &[], &[(TWIN, 1)]);
    let id = ordered(&chain, "a", ring(None)).await;
    shop.exchange();
    let mut leg = LegV1::of(shop.leg());
    leg.shop.state = 2;

    let refused = thief.bring(vec![leg]);

    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(hold(&chain, &id).await["state"], json!("requested"));
}

#[tokio::test]
async fn an_order_has_so_many_open_legs_at_most_and_is_told_what_helps() {
    let chain = Chain::start_with("[holds]\nper_order = 3\nper_key = 5\n");
    let _shop = Keeper::open(&chain, "S001", &[], &[(RING, 100)]);
    let of = |number: i32, order: &str| {
        let body = json!({"barcode": RING, "qty": 7, "order": order});
        (format!("{order} {number}"), body)
    };
    // Legs are counted, not their pieces.
    for number in 0..3 {
        let (key, body) = of(number, "one");
        ordered(&chain, &key, body).await;
    }

    let (key, body) = of(3, "one");
    let refused = order(&chain, &key, body).await;

    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "insufficient_stock")
    );
    assert_eq!(refused.body["reason"], json!("too_many_of_order"));
    let detail = refused.body["detail"].as_str().expect("a detail");
    assert!(
        detail.contains("open holds") && detail.contains("release one"),
        "what helps: {detail}"
    );
    for number in 0..2 {
        let (key, body) = of(number, "two");
        ordered(&chain, &key, body).await;
    }
    let (key, body) = of(2, "two");
    let refused = order(&chain, &key, body).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.body["reason"]),
        (409, &json!("too_many_of_key"))
    );
    assert_eq!(numbers(&chain, RING).await, [100, 35, 65]);
}

#[tokio::test]
async fn a_hub_that_was_put_back_promises_nothing_until_the_shop_has_returned_its_holds() {
    let mut chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 2)]);
    let copy = chain.path("copy.sqlite3");
    let copy = copy.to_str().expect("a name").to_owned();
    chain.cli(&["backup", &copy]).ok();
    let id = ordered(&chain, "a", ring(None)).await;
    shop.exchange();
    let leg = shop.leg().id;
    shop.confirm(leg);
    shop.exchange();
    chain.stop_hub();
    chain.cli(&["restore", &copy]).ok();
    chain.start_hub();
    shop.reconnect(&chain);

    let early = order(&chain, "b", ring(None)).await;
    shop.exchange();
    shop.exchange();
    let late = order(&chain, "b", ring(None)).await;
    let none = order(&chain, "c", ring(None)).await;

    assert_eq!(
        (early.status.as_u16(), early.code()),
        (409, "insufficient_stock"),
        "{early:?}"
    );
    assert_eq!(hold(&chain, &id).await["state"], json!("confirmed"));
    assert_eq!(late.status, StatusCode::CREATED, "{late:?}");
    assert_eq!(none.status, StatusCode::CONFLICT);
    assert_eq!(numbers(&chain, RING).await, [2, 2, 0]);
    let again = order(&chain, "a", ring(None)).await;
    assert_eq!(again.body["id"], json!(id));
}

#[tokio::test]
async fn what_is_held_survives_a_kill_and_a_verify() {
    let mut chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 2)]);
    let id = ordered(&chain, "a", ring(None)).await;
    chain.kill_hub();
    chain.start_hub();
    shop.reconnect(&chain);

    assert_eq!(numbers(&chain, RING).await, [2, 1, 1]);
    shop.exchange();
    let leg = shop.leg().id;
    shop.confirm(leg);
    shop.exchange();

    assert_eq!(hold(&chain, &id).await["state"], json!("confirmed"));
    assert_eq!(chain.cli(&["verify"]).code, 0);

    chain.stop_hub();
    let database =
        rusqlite::Connection::open(chain.data().join("hub.sqlite3")).expect("a database");
    database
        .execute("UPDATE leg SET held = 2", [])
        .expect("a row that is wrong");
    drop(database);
    let wrong = chain.cli(&["verify", "--json"]);
    assert_eq!(
        (wrong.code, &wrong.json()["problems"][0]["code"]),
        (3, &json!("leg"))
    );
    chain.cli(&["verify", "--repair"]);
    assert_eq!(chain.cli(&["verify"]).code, 0);
    chain.start_hub();
    assert_eq!(numbers(&chain, RING).await, [2, 1, 1]);
}

#[tokio::test]
async fn the_command_line_places_shows_and_ends_holds_beside_a_server_and_alone() {
    let mut chain = Chain::start();
    let mut shop = Keeper::open(&chain, "S001", &[], &[(RING, 2)]);

    let placed = chain
        .cli(&["hold", "place", RING, "--order", "7", "--json"])
        .ok()
        .json();
    let id = placed["id"].as_str().expect("an id").to_owned();
    shop.exchange();
    assert_eq!(shop.leg().terms.hold.to_string(), id);
    let listed = chain.cli(&["hold", "list", "--json"]).ok().json();
    assert_eq!(listed["items"][0]["id"], json!(id));
    let explained = chain.cli(&["explain", RING, "--json"]).ok().json();
    assert_eq!(
        explained["shops"][0]["holds"][0]["id"],
        json!(id),
        "{explained:#}"
    );
    assert_eq!(explained["shops"][0]["held"], json!(1));
    let text = chain.cli(&["explain", RING]).ok().stdout.clone();
    assert!(text.contains(&id), "{text}");

    chain.stop_hub();
    let longer = chain
        .cli(&["hold", "extend", &id, "--ttl", "48h", "--json"])
        .ok()
        .json();
    assert!(longer["expires_at"].as_str() > placed["expires_at"].as_str());
    let shown = chain.cli(&["hold", "show", &id]).ok().stdout.clone();
    assert!(
        shown.contains("requested") && shown.contains("S001"),
        "{shown}"
    );
    let released = chain.cli(&["hold", "release", &id, "--json"]).ok().json();
    assert_eq!(released["state"], json!("released"));
    let listed = chain.cli(&["hold", "list", "--json"]).ok().json();
    assert_eq!(listed["items"], json!([]));
    let refused = chain.cli(&["hold", "extend", &id, "--ttl", "48h"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("hold_not_open"), "{refused:?}");
}

#[tokio::test]
async fn a_shop_that_was_not_asked_is_named_once_and_no_distance_is_made_up() {
    let chain = Chain::start();
    let mut shops: Vec<Keeper> = { ["S001", "S002", "S003", "S004"].iter() }
        .map(|id| Keeper::open(&chain, id, &[], &[(RING, 1)]))
        .collect();
    let id = ordered(&chain, "a", ring(None)).await;
    for shop in &mut shops[..2] {
        shop.exchange();
        let leg = shop.leg().id;
        shop.decline(leg, DeclineReason::NotFound);
        shop.exchange();
    }

    let story = hold(&chain, &id).await;
    assert_eq!(story["shop"], json!("S003"), "{story}");
    let shown = chain.cli(&["hold", "show", &id]).ok().stdout.clone();
    let (_, not_asked) = shown.split_once("not asked").expect("a table");
    let lines: Vec<&str> = { not_asked.lines() }
        .filter(|line| line.contains(RING))
        .collect();
    let [only] = lines.as_slice() else {
        panic!("one line for S004: {shown}");
    };
    assert!(
        only.contains("S004") && only.contains("later_in_order"),
        "{shown}"
    );
}
