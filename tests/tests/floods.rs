//! Too many at once: whoever floods is stopped, and everybody else is served as ever.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use vitrina_host::sign::KeyPair;
use vitrina_tests::device::{self, Device};
use vitrina_tests::http::{self, Http};
use vitrina_tests::sim::random::Random;
use vitrina_tests::system::handles;
use vitrina_tests::{Chain, until};

const RING: &str = "2000018987155";
/// This machine is no proxy here: its addresses are callers like any other.
const COUNTED: &str = "[limits]\nproxies = []\n";

fn idle(url: &str, from: &str) -> TcpStream {
    let from = format!("{from}:0").parse().expect("an address");
    http::connect(url.strip_prefix("http://").expect("an address"), Some(from))
}

#[tokio::test]
async fn a_thousand_idle_connections_of_one_address_stop_nobody_behind_it_either() {
    let chain = Chain::start_with(COUNTED);
    let mut shop = chain.enrolled("S001", &[]);
    shop.start();
    let hub = chain.hub.as_ref().expect("running").id();
    let agent = shop.agent.as_ref().expect("running");
    shop.sell("before", RING).await;
    let mut known = Http::from("127.0.0.2", &chain.url);
    let key = format!("Authorization: Bearer {}\r\n", chain.website);
    assert_eq!(known.call("GET", "/v1/locations", &key, b"").status, 200);

    for (url, process, most) in [(&chain.url, hub, 256), (&agent.url, agent.id(), 64)] {
        let before = handles(process);
        let flood: Vec<_> = (0..1_000).map(|_| idle(url, "127.0.0.2")).collect();
        until("the flood to be cut down", || async {
            let more = handles(process).saturating_sub(before);
            if more <= most + 16 { Ok(()) } else { Err(more) }
        })
        .await;
        for from in ["127.0.0.2", "127.0.0.3", "127.0.0.1"] {
            let mut caller = Http::from(from, url);
            assert_eq!(
                caller.call("GET", "/healthz", "", b"").status,
                200,
                "{from}"
            );
        }
        shop.sell(&format!("beside {}", flood.len()), RING).await;
        assert_eq!(chain.get("/v1/locations").await.status, StatusCode::OK);
    }
    assert_eq!(known.call("GET", "/v1/locations", &key, b"").status, 200);
    assert_eq!(
        known.reconnected, 0,
        "who showed a key keeps the connection"
    );
}

#[tokio::test]
async fn the_shops_of_a_whole_chain_behind_one_address_enrol_and_stay_connected() {
    const SHOPS: usize = 240;
    // A busy machine may take longer for one round of all shops than a line may be idle.
    let chain = Chain::start_with(&format!("{COUNTED}idle = \"10m\"\n"));
    let mut random = Random::new(3);

    // An agent keeps two connections: one waits for news, one brings them.
    let mut chained: Vec<_> = chain
        .add_shops(SHOPS)
        .iter()
        .map(|(shop, code)| {
            let mut first = Http::from("127.0.0.4", &chain.url);
            let device = Device::enrol(&mut first, shop, code, &mut random);
            (device, first, Http::from("127.0.0.4", &chain.url))
        })
        .collect();

    assert_eq!(chained.len(), SHOPS);
    for (device, first, second) in &mut chained {
        let heartbeat = device.heartbeat();
        for line in [first, second] {
            assert_eq!(device::send(line, "/v1/exchange", &heartbeat).status, 200);
        }
    }
    // All at the same time, and once more.
    for (device, first, second) in &mut chained {
        let heartbeat = device.heartbeat();
        for line in [first, second] {
            assert_eq!(device::send(line, "/v1/exchange", &heartbeat).status, 200);
            assert_eq!(line.reconnected, 0, "a connection was given up");
        }
    }
    let shops = chain.office("/v1/shops?limit=1000").await;
    let heard = shops.body["items"].as_array().expect("shops").iter();
    assert_eq!(
        heard
            .filter(|shop| !shop["last_exchange_at"].is_null())
            .count(),
        SHOPS
    );
}

#[tokio::test]
async fn who_guesses_keys_is_told_to_wait_and_keys_that_are_known_work_beside_him() {
    let chain = Chain::start_with(COUNTED);
    let guess = |from: &str| {
        let mut caller = Http::from(from, &chain.url);
        let key = "Authorization: Bearer guess\r\n";
        caller.call("GET", "/v1/locations", key, b"")
    };

    for _ in 0..20 {
        assert_eq!(guess("127.0.0.5").status, 401);
    }
    let refused = guess("127.0.0.5");

    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(refused.json()["code"], json!("rate_limited"));
    let wait: u32 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(guess("127.0.0.6").status, 401, "a neighbour");
    let mut site = Http::from("127.0.0.5", &chain.url);
    let key = format!("Authorization: Bearer {}\r\n", chain.website);
    assert_eq!(site.call("GET", "/v1/locations", &key, b"").status, 200);
}

#[tokio::test]
async fn who_guesses_codes_is_not_listened_to_and_the_codes_work_elsewhere() {
    let chain = Chain::start_with(&format!("{COUNTED}failed_enrolments_per_minute = 5\n"));
    let codes = chain.add_shops(2);
    let [(_, right), (_, other)] = codes.as_slice() else {
        panic!("{codes:?}")
    };
    let keys = KeyPair::from_seed(&[7; 32]).expect("a key");
    // Not its last letter, most of whose bits are of no account.
    let first = if right.starts_with('0') { "1" } else { "0" };
    let wrong = format!("{first}{}", right.get(1..).expect("a code"));
    let try_code = |from: &str, code: &str| {
        let mut caller = Http::from(from, &chain.url);
        device::send(&mut caller, "/v1/enrol", &device::enrolment(&keys, code))
    };

    for _ in 0..5 {
        let refused = try_code("127.0.0.7", &wrong);
        assert_eq!(refused.status, 401, "{}", refused.text());
    }
    let refused = try_code("127.0.0.7", right);
    assert_eq!(
        (refused.status, refused.header("retry-after").is_empty()),
        (429, false)
    );
    assert_eq!(try_code("127.0.0.8", other).status, 200);
}

#[tokio::test]
async fn a_shop_that_floods_the_hub_with_refused_batches_is_stopped_alone() {
    let chain = Chain::start_with("");
    let shop = chain.shop("S900", &[]);
    let (codes, mut random) = (chain.add_shops(2), Random::new(5));
    let mut line = Http::to(&chain.url);
    let mut bad = Device::enrol(&mut line, &codes[0].0, &codes[0].1, &mut random);
    let good = Device::enrol(&mut line, &codes[1].0, &codes[1].1, &mut random);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;

    let mut seen = Vec::new();
    for n in 0..200 {
        let reply = device::send(&mut line, "/v1/exchange", &bad.nonsense());
        seen.push(reply.status);
        if n % 50 == 0 {
            shop.sell(&format!("sale {n}"), RING).await;
        }
    }

    assert_eq!(
        seen.iter().filter(|status| **status == 403).count(),
        20,
        "{seen:?}"
    );
    assert_eq!(seen.last(), Some(&429));
    let honest = device::send(&mut line, "/v1/exchange", &bad.heartbeat());
    let wait: u32 = honest.header("retry-after").parse().expect("seconds");
    assert!(
        honest.status == 429 && (1..=60).contains(&wait),
        "{}",
        honest.text()
    );
    let other = device::send(&mut line, "/v1/exchange", &good.heartbeat());
    assert_eq!(other.status, 200, "{}", other.text());
    chain.on_hand(RING, 1).await;
}

#[tokio::test]
async fn more_merges_than_there_is_room_for_are_told_to_come_again_and_all_are_merged() {
    let chain = Chain::start_with("[limits]\nmerges = 1\n");
    // It waits for news all the time, which is no merge.
    let shop = chain.shop("S900", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;
    let mut random = Random::new(6);
    let stock: Vec<_> = (0..3_000).map(|n| (format!("30000189{n:05}"), 2)).collect();
    let mut http = Http::to(&chain.url);
    let mut shops: Vec<_> = chain
        .add_shops(6)
        .iter()
        .map(|(shop, code)| {
            let mut device = Device::enrol(&mut http, shop, code, &mut random);
            let opening = device.opening(&stock).0;
            (device, opening)
        })
        .collect();

    let url = &chain.url;
    let shed: usize = std::thread::scope(|scope| {
        let pushing: Vec<_> = shops
            .iter_mut()
            .map(|(device, opening)| scope.spawn(move || push(url, device, opening)))
            .collect();
        pushing
            .into_iter()
            .map(|push| push.join().expect("merged"))
            .sum()
    });

    assert!(shed > 0, "nobody was told to come again");
    chain.on_hand("3000018900042", 12).await;
    shop.sell("after", RING).await;
    chain.on_hand(RING, 4).await;
}

/// Pushes an opening as an agent does; how often it was told to come again.
fn push(url: &str, device: &mut Device, opening: &[u8]) -> usize {
    let mut line = Http::to(url);
    for shed in 0.. {
        let reply = device::send(&mut line, "/v1/exchange", opening);
        if reply.status == 200 {
            device.heard(&reply.body);
            return shed;
        }
        assert_eq!(reply.status, 503, "{}", reply.text());
        assert_eq!(reply.header("retry-after"), "1");
        std::thread::yield_now();
    }
    unreachable!("it is merged in the end")
}

#[tokio::test]
async fn pipelined_calls_are_answered_in_order_and_one_at_a_time() {
    let chain = Chain::start();
    let mut line = idle(&chain.url, "127.0.0.1");
    line.set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a time");
    let calls = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500)
        + "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    line.write_all(calls.as_bytes()).expect("they are taken");
    let mut answers = String::new();
    line.read_to_string(&mut answers).expect("all answers");

    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 501);
    let reply = chain.call(Method::GET, "/healthz", "", None, &[]).await;
    assert_eq!(reply.status, StatusCode::OK);
}
