//! How a number came about: an account of every shop that adds up to what the website is told.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_shared::movement::Details;
use vitrina_shared::{Kind, TimeMs};
use vitrina_tests::{Chain, Keeper};

const RING: &str = "2000018987155";
const TWIN: &str = "2000018987162";

/// Shops in which everything happened that can happen to a ring.
async fn busy() -> (Chain, Vec<Keeper>) {
    let chain = Chain::start();
    let mut first = Keeper::open(&chain, "S001", &[], &[(RING, 5)]);
    let paper = Details {
        cashier: Some("Ivanova".into()),
        document: Some("ЧЕК-17".into()),
        ..Details::default()
    };
    first.book(Kind::Sale, RING, -1, "with paper", &paper);
    for (kind, qty) in [
        (Kind::Receipt, 4),
        (Kind::Return, 1),
        (Kind::TransferOut, -2),
        (Kind::TransferIn, 1),
        (Kind::Adjustment, -1),
        (Kind::Count, 2),
        (Kind::WriteOff, -1),
        (Kind::Surplus, 1),
    ] {
        first.book(kind, RING, qty, &format!("{kind}"), &Details::default());
    }
    let wrong = first.sell(RING);
    first.exchange();
    first.take_back(RING, wrong);
    first.put_aside(RING, 2);
    first.exchange();

    // Below zero.
    let mut second = Keeper::open(&chain, "S002", &[], &[(RING, 1)]);
    for _ in 0..3 {
        second.sell(RING);
    }
    second.exchange();

    // The shop's 1C keeps the books: of its statements the latest counts.
    let settings = ["--source", "balances"];
    let mut third = Keeper::open(&chain, "S003", &settings, &[(TWIN, 1)]);
    for (qty, at) in [
        (7, 1_763_812_800_000),
        (3, 1_763_812_700_000),
        (4, 1_763_812_900_000),
    ] {
        third.state(RING, qty, TimeMs(at));
        third.exchange();
    }

    chain.cli(&["safety", "set", "1"]).ok();
    chain
        .cli(&["safety", "set", "2", "--shop", "S001", "--barcode", RING])
        .ok();
    for (order, shop) in [("7", "S001"), ("8", "S003")] {
        let body = json!({"barcode": RING, "shop": shop, "qty": 2, "order": order});
        let headers = [("idempotency-key", order)];
        let key = &chain.website;
        let placed = chain.call(Method::POST, "/v1/holds", key, Some(&body), &headers);
        let placed = placed.await;
        assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    }
    (chain, vec![first, second, third])
}

fn number(value: &Value, name: &str) -> i64 {
    value[name]
        .as_i64()
        .unwrap_or_else(|| panic!("{name} of {value:#}"))
}

#[tokio::test]
async fn every_account_adds_up_to_what_the_website_is_told_of_the_shop() {
    let (chain, _shops) = busy().await;

    let explained = chain.office(&format!("/v1/explain/{RING}")).await.body;
    let item = chain.get(&format!("/v1/stock/{RING}")).await.body;

    let levels = item["levels"].as_array().unwrap();
    let shops = explained["shops"].as_array().unwrap();
    assert_eq!(shops.len(), 3);
    for (shop, level) in shops.iter().zip(levels) {
        assert_eq!(shop["shop"], level["shop"]);
        for name in [
            "on_hand",
            "held",
            "unavailable",
            "safety_stock",
            "available",
            "promised",
        ] {
            assert_eq!(shop[name], level[name], "{name} of {shop:#}");
        }
        let mut balance = 0;
        for stage in shop["stages"].as_array().unwrap() {
            balance += number(stage, "units");
            assert_eq!(number(stage, "balance"), balance, "{shop:#}");
        }
        assert_eq!(balance, number(level, "available"));
        let movements = shop["movements"].as_array().unwrap();
        let mut sum = 0;
        for movement in movements {
            if movement["state"] == json!("counts") {
                sum += number(movement, "qty");
            }
            assert_eq!(number(movement, "on_hand"), sum);
        }
        assert_eq!(sum, number(level, "on_hand"));
    }
    let stages = |shop: usize| -> Vec<(&str, i64, i64)> {
        let stages = shops[shop]["stages"].as_array().unwrap().iter();
        stages
            .map(|stage| {
                let step = stage["stage"].as_str().unwrap();
                (step, number(stage, "units"), number(stage, "balance"))
            })
            .collect()
    };
    assert_eq!(
        stages(0),
        [
            ("opening", 5, 5),
            ("movements", 5, 10),
            ("voids", 1, 11),
            ("holds", -2, 9),
            ("unavailable", -2, 7),
            ("safety", -2, 5),
            ("available", 0, 5),
        ]
    );
    assert_eq!(stages(1).last(), Some(&("available", 3, 0)));
    assert_eq!(
        stages(2).get(1..3),
        Some(&[("movements", 14, 14), ("voids", -10, 4)][..])
    );
    assert_eq!(
        [&shops[0]["safety_rule"], &shops[1]["safety_rule"]],
        [
            &json!({"of": "barcode", "in": "shop"}),
            &json!({"of": "everything", "in": "chain"})
        ]
    );
}

#[tokio::test]
async fn a_movement_names_its_person_its_document_its_dot_and_how_long_it_took() {
    let (mut chain, _shops) = busy().await;
    let of_paper = |explained: &Value| {
        let movements = explained["shops"][0]["movements"].as_array().unwrap();
        let mut found = movements
            .iter()
            .filter(|one| one["cashier"] == json!("Ivanova"));
        found.next().unwrap().clone()
    };

    let path = format!("/v1/explain/{RING}?shop=S001");
    let explained = chain.office(&path).await.body;

    assert_eq!(explained["shops"].as_array().unwrap().len(), 1);
    let sale = of_paper(&explained);
    assert_eq!(sale["doc"], json!("ЧЕК-17"));
    let dot = format!("{}:{}", sale["replica"].as_str().unwrap(), sale["seq"]);
    assert_eq!(sale["dot"], json!(dot));
    let lags = &sale["lags"];
    assert!(number(lags, "till_to_hub_ms") >= 0, "{lags}");
    assert!(
        (0..60_000).contains(&number(lags, "hub_to_visible_ms")),
        "{lags}"
    );
    // When it was on the shop's own disk the hub cannot know.
    for unknown in [
        &lags["till_to_commit_ms"],
        &lags["commit_to_hub_ms"],
        &sale["committed_at"],
    ] {
        assert_eq!(unknown, &Value::Null);
    }
    let hold = &explained["shops"][0]["holds"][0];
    assert_eq!(
        [&hold["order"], &hold["placed_by"], &hold["state"]],
        [&json!("7"), &json!("website"), &json!("requested")]
    );

    chain.stop_hub();
    chain.start_hub();
    let again = chain.office(&path).await.body;
    assert_eq!(of_paper(&again), sale);
}

#[tokio::test]
async fn the_command_tells_it_as_a_bank_does_within_eighty_columns() {
    let (chain, _shops) = busy().await;

    let told = chain.cli(&["explain", RING]);

    let lines: Vec<&str> = told.ok().stdout.lines().collect();
    for line in &lines {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let last_of = |what: &str| {
        let line = lines.iter().find(|line| line.starts_with(what));
        let line = line.unwrap_or_else(|| panic!("no {what} in {lines:#?}"));
        line.split_whitespace().next_back().unwrap().to_owned()
    };
    assert_eq!(last_of("held for web orders"), "9");
    assert_eq!(
        last_of("kept back by the rule for barcode in the shop"),
        "5"
    );
    assert_eq!(last_of("available (5 of it promised)"), "5");
    let sale = lines.iter().find(|line| line.contains("Ivanova")).unwrap();
    assert!(
        sale.contains("sale") && sale.contains("ЧЕК-17") && sale.contains("-1"),
        "{sale}"
    );
    assert!(lines.iter().any(|line| line.contains("(-1)")), "{lines:#?}");
    let json = chain.cli(&["explain", RING, "--json"]).ok().json();
    let api = chain.office(&format!("/v1/explain/{RING}")).await.body;
    assert_eq!(json["shops"][0]["stages"], api["shops"][0]["stages"]);
    let nobody = chain.cli(&["explain", "4006381333931"]);
    assert!(
        nobody.code == 1 && nobody.stderr.contains("unknown_barcode"),
        "{nobody:?}"
    );
}
