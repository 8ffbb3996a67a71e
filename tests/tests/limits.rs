//! What is too long, too slow, packed or twofold is refused by name before it costs anything.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use vitrina_tests::device;
use vitrina_tests::raw::{Door, SHORT, head, status};
use vitrina_tests::system::handles;
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";

/// A hub and an agent with short times, and what a caller of each needs.
struct Both {
    chain: Chain,
    shop: Shop,
}

impl Both {
    fn start(settings: &str) -> Self {
        let chain = Chain::start_with(settings);
        let mut shop = chain.enrolled("S001", &[]);
        std::fs::write(shop.data.join("agent.toml"), settings).expect("the settings");
        shop.start();
        Self { chain, shop }
    }

    /// The hub's door and the agent's.
    fn each(&self) -> [Door; 2] {
        [Door::of_hub(&self.chain), Door::of_agent(&self.shop)]
    }

    /// Both answer as ever, and sell.
    async fn are_well(&self, key: &str) {
        self.shop.sell(key, RING).await;
        let read = self.chain.get("/v1/locations").await;
        assert_eq!(read.status, StatusCode::OK);
    }
}

/// A head of so many bytes in one header, and the status line that comes back.
fn status_of_head(door: &Door, path: &str, bytes: usize) -> String {
    let mut line = door.line();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: {}\r\n\r\n",
        "a".repeat(bytes)
    );
    line.write_all(head.as_bytes()).expect("it is taken");
    let mut answer = [0; 512];
    let read = line.read(&mut answer).expect("an answer");
    String::from_utf8_lossy(answer.get(..read).unwrap_or_default())
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn a_head_that_is_too_long_is_431_at_hub_and_agent() {
    let both = Both::start("");

    for door in both.each() {
        let url = &door.url;
        assert!(status_of_head(&door, "/healthz", 8_000).contains(" 200 "));
        let refused = status_of_head(&door, "/healthz", 40_000);
        assert!(refused.contains(" 431 "), "{url}: {refused:?}");
    }
    both.are_well("after").await;
}

#[tokio::test]
async fn a_body_that_is_too_long_is_413_at_hub_and_agent() {
    let both = Both::start("");
    let long: Value = json!({"barcodes": ["x".repeat((1 << 20) + 1)]});

    let website = &both.chain.website;
    let at_hub = both
        .chain
        .call(Method::POST, "/v1/stock/batch", website, Some(&long), &[])
        .await;
    let at_agent = both.shop.book("long", long).await;

    for refused in [at_hub, at_agent] {
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            "{refused:?}"
        );
        assert_eq!(refused.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn ten_gigabytes_announced_are_refused_before_a_byte_of_them_comes() {
    let both = Both::start("");

    for door in both.each() {
        let url = &door.url;
        let announced = door.post("Content-Length: 10737418240\r\n");
        let refused = door.told(announced.as_bytes());
        assert_eq!(status(&refused), "413", "{url}: {refused}");
    }
    let erp = both
        .chain
        .cli(&["key", "add", "--role", "erp", "--name", "erp", "--json"])
        .ok()
        .json();
    let erp = erp["key"].as_str().expect("a key");
    let path = "/v1/imports?name=offers.xml";
    let refused = Door::of_hub(&both.chain)
        .told(head(path, erp, "Content-Length: 10737418240\r\n").as_bytes());
    assert_eq!(status(&refused), "413", "{refused}");
    both.are_well("after").await;
}

#[tokio::test]
async fn a_body_without_length_or_end_is_cut_off_at_one_mebibyte() {
    let both = Both::start("");
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));

    for door in both.each() {
        let url = &door.url;
        let begin = door.post("Transfer-Encoding: chunked\r\n");
        // As much as the system keeps on the way comes on top of the mebibyte.
        let taken = door.pour(begin.as_bytes(), piece.as_bytes(), 1_000);
        assert!(taken < 1_000, "{url} took {taken} pieces of 64 KiB");
    }
    both.are_well("after").await;
}

#[tokio::test]
async fn half_a_head_is_closed_in_time_and_drops_buy_none() {
    let both = Both::start(SHORT);

    for door in both.each() {
        let url = &door.url;
        assert_eq!(door.told(b"GET /healthz HTTP/1.1\r\nHo"), "", "{url}");
        assert_eq!(door.told(b""), "", "{url}: who says nothing");

        let mut line = door.line();
        line.set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a time");
        let dropped = (0..500)
            .take_while(|_| {
                let is_open = !matches!(line.read(&mut [0; 64]), Ok(0));
                is_open && line.write_all(b"x").is_ok()
            })
            .count();
        assert!(dropped < 500, "{url} was patient for {dropped} drops");
    }
    both.are_well("after").await;
}

#[tokio::test]
async fn half_a_body_is_answered_and_closed_in_time_and_drops_buy_none() {
    let both = Both::start(SHORT);

    for door in both.each() {
        let url = &door.url;
        let half = door.post("Content-Length: 1000\r\n") + "{\"barcodes\":[";
        let refused = door.told(half.as_bytes());
        assert_eq!(status(&refused), "408", "{url}: {refused}");

        let mut line = door.line();
        line.write_all(half.as_bytes()).expect("it is taken");
        line.set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a time");
        let dropped = (0..500)
            .take_while(|_| {
                let is_open = !matches!(line.read(&mut [0; 4_096]), Ok(count) if count > 0);
                is_open && line.write_all(b"x").is_ok()
            })
            .count();
        assert!(dropped < 500, "{url} was patient for {dropped} drops");
    }
    both.are_well("after").await;
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up_in_time() {
    const LINES: usize = 8;
    let both = Both::start(SHORT);
    // Answers of some hundred kilobytes: many of them fill what the system keeps on the way.
    let mut balances = String::from("barcode;qty;article;name\n");
    for number in 0..1_000 {
        let name = "Кольцо с очень длинным именем ".repeat(3);
        let _ = writeln!(balances, "20000189{number:05};1;K-{number};{name}");
    }
    both.shop.open(&both.chain, &balances).await;
    let paths = ["/v1/stock?limit=1000", "/v1/status"];

    for (door, path) in both.each().into_iter().zip(paths) {
        let before = handles(door.process);
        // Each asks on and on and takes nothing, until nobody listens any more.
        let many = door.get(path).repeat(1_000);
        let asked = std::thread::scope(|scope| {
            let line = || door.pour(b"", many.as_bytes(), 2_000);
            let lines = [(); LINES].map(|()| scope.spawn(line));
            lines.map(|line| line.join().expect("a line"))
        });
        assert!(
            asked.iter().all(|asked| *asked < 2_000),
            "{} answered {asked:?} thousand times",
            door.url
        );
        // No leak: the line between agent and hub may have been on its way from one connection to the next, and a program
        // that had read its books in one place until now may have opened them in another.
        until("the lines to be forgotten", || async {
            let now = handles(door.process);
            if now < before + LINES {
                Ok(())
            } else {
                Err(now)
            }
        })
        .await;
    }
    both.are_well("after").await;
}

#[tokio::test]
async fn who_takes_no_answers_gets_no_more_of_them_and_everybody_else_does() {
    let chain = Chain::start_with("[limits]\nanswers_mib = 1\n");
    device::stock(&chain, 1, 2_000);
    let door = Door::of_hub(&chain);
    let page = "/v1/stock?limit=1000";
    assert_eq!(chain.get(page).await.status, StatusCode::OK);

    // Each line asks for more than the system keeps on the way.
    let many = door.get(page).repeat(50);
    let lines: Vec<_> = (0..4)
        .map(|_| {
            let mut line = door.line();
            line.write_all(many.as_bytes()).expect("it is taken");
            line
        })
        .collect();
    let refused = until("the key's room to be full", || async {
        let reply = chain.get(page).await;
        if reply.status == StatusCode::OK {
            Err(reply.status)
        } else {
            Ok(reply)
        }
    })
    .await;

    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
        "{refused:?}"
    );
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(chain.get("/v1/locations").await.status, StatusCode::OK);
    assert_eq!(chain.office(page).await.status, StatusCode::OK);
    drop(lines);
    until("the room to be given back", || async {
        let reply = chain.get(page).await;
        if reply.status == StatusCode::OK {
            Ok(())
        } else {
            Err(reply)
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_of_two_lengths_is_400_and_what_follows_it_is_not_read() {
    let both = Both::start("");

    for door in both.each() {
        let url = &door.url;
        let hidden = door.get(door.read);
        for lengths in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            "transfer-encoding:chunked\r\nCONTENT-LENGTH:4\r\n",
        ] {
            let both_ways = door.post(lengths) + "0\r\n\r\n" + &hidden;
            let answer = door.told(both_ways.as_bytes());
            assert_eq!(status(&answer), "400", "{url}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{url}: {answer}");
        }
        for lengths in [
            "Content-Length: 2\r\nContent-Length: 3\r\n",
            "Content-Length: +2\r\n",
            "Content-Length: 2, 2\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
        ] {
            let unclear = door.post(lengths) + "{}" + &hidden;
            let answer = door.told(unclear.as_bytes());
            assert!(!answer.contains(" 200 "), "{url} {lengths:?}: {answer}");
        }
        // A body without a length ends the connection, wherever somebody else sees its end.
        let lone = door.post("Transfer-Encoding: chunked\r\n") + "2\r\n{}\r\n0\r\n\r\n";
        let answer = door.told((lone + &hidden).as_bytes());
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{url}: {answer}");
    }
    both.are_well("after").await;
}

#[tokio::test]
async fn bytes_that_no_head_may_have_are_400_and_closed() {
    let both = Both::start("");

    for door in both.each() {
        let url = &door.url;
        for bad in [
            &b"GET /healthz HTTP/1.1\r\nBad Name: 1\r\n\r\n"[..],
            b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nX: a\0b\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nX: a\x01b\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
            b"GET /heal thz HTTP/1.1\r\n\r\n",
            b"GET /healthz HTTP/9.9\r\n\r\n",
            b"G\xffT /healthz HTTP/1.1\r\n\r\n",
        ] {
            let answer = door.told(bad);
            assert_eq!(status(&answer), "400", "{url}: {bad:?}: {answer}");
        }
        // Whoever speaks HTTP/2 learns at once that nobody does here.
        let preface = door.told(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
        assert!(!preface.contains(" 200 "), "{url}: {preface}");
        let many = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n".to_owned()
            + &"X: y\r\n".repeat(1_000)
            + "\r\n";
        assert_eq!(status(&door.told(many.as_bytes())), "431", "{url}");
    }
    both.are_well("after").await;
}

#[tokio::test]
async fn a_packed_body_is_415_whatever_its_head_says() {
    let both = Both::start("");
    // `{}` by gzip, 20 bytes that are more than they look in a bomb.
    let packed = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0\x43\xbf\xa6\xa3\x02\0\0\0";
    let import = "/v1/imports?name=offers.xml";
    let mut doors = both.each().to_vec();
    doors.push(Door {
        secret: both.chain.admin.clone(),
        write: import,
        ..Door::of_hub(&both.chain)
    });

    for door in doors {
        let path = door.write;
        for coding in ["gzip", "zstd", "br", "deflate", "gzip, gzip", "none"] {
            let lines = format!(
                "Connection: close\r\nContent-Length: {}\r\nContent-Encoding: {coding}\r\n",
                packed.len()
            );
            let request = [door.post(&lines).as_bytes(), packed].concat();
            let answer = door.told(&request);
            assert_eq!(status(&answer), "415", "{path} {coding}: {answer}");
        }
        if path == import {
            continue;
        }
        let lines = format!("Connection: close\r\nContent-Length: {}\r\n", packed.len());
        let silent = [door.post(&lines).as_bytes(), packed].concat();
        assert_eq!(status(&door.told(&silent)), "415", "{path}");
    }
    both.are_well("after").await;
}

#[tokio::test]
async fn json_of_more_than_sixteen_levels_is_400_and_sixteen_are_read() {
    let both = Both::start("");

    for door in both.each() {
        let path = door.write;
        for (levels, expected) in [(17, "400"), (100_000, "400"), (16, "422")] {
            let body = "[".repeat(levels) + &"]".repeat(levels);
            let lines = format!("Connection: close\r\nContent-Length: {}\r\n", body.len());
            let answer = door.told((door.post(&lines) + &body).as_bytes());
            assert_eq!(status(&answer), expected, "{path} {levels}: {answer}");
        }
    }
}

#[tokio::test]
async fn no_page_range_or_place_of_a_list_costs_more_than_a_page() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;
    let lists = ["/v1/stock", "/v1/movements", "/v1/imports", "/v1/changes"];

    for list in lists {
        for limit in [
            "1000000000000",
            "1e12",
            "-1",
            "0",
            "99999999999999999999999",
            "1001",
            "x",
        ] {
            let reply = admin(&chain, &format!("{list}?since=1-1-1&limit={limit}")).await;
            assert!(reply == 400 || reply == 410, "{list} {limit}: {reply}");
        }
        for cursor in [
            "x",
            "../../etc",
            "%00",
            "0",
            &"9".repeat(5_000),
            "'%20OR%201=1--",
        ] {
            let reply = admin(&chain, &format!("{list}?cursor={cursor}")).await;
            assert!((200..500).contains(&reply), "{list} {cursor}: {reply}");
        }
    }
    for query in [
        "/v1/movements?from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z",
        "/v1/movements?from=9999-12-31T23:59:59Z&to=0001-01-01T00:00:00Z",
        "/v1/movements?from=-9999-01-01T00:00:00Z",
        "/v1/movements?from=99999999999999999999",
        "/v1/movements?barcode='%20OR%201=1--",
        "/v1/stock?near=91,181&radius_km=1e308",
        "/v1/stock?near=NaN,NaN",
        "/v1/stock?near=55,37&radius_km=-1",
        "/v1/stock?near=1e400,1e400",
        "/v1/changes?since=1-1-1&wait=99999999999999999999",
        "/v1/changes?since=18446744073709551615-18446744073709551615-ffffffff",
        "/v1/explain/'%20OR%201=1--",
        "/v1/stock/%00",
        "/v1/stock/%ff",
    ] {
        let reply = admin(&chain, query).await;
        assert!((200..500).contains(&reply), "{query}: {reply}");
    }
    let books = chain.cli(&["verify", "--json"]).ok().json();
    assert_eq!(books["ok"], json!(true), "{books}");
}

/// The status of a call with the admin's key, which may read everything.
async fn admin(chain: &Chain, path: &str) -> u16 {
    let reply = chain.call(Method::GET, path, &chain.admin, None, &[]).await;
    reply.status.as_u16()
}
