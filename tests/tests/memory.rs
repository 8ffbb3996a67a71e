//! Memory of both programs under attack: what a caller does not take or does not mean costs little, and none of it stays.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use vitrina_host::sign::KeyPair;
use vitrina_shared::wire::CONTENT_TYPE;
use vitrina_tests::damage::{framed, post_all};
use vitrina_tests::device::{self, Device};
use vitrina_tests::http::Http;
use vitrina_tests::raw::{Door, SHORT, until_closed};
use vitrina_tests::sim::random::Random;
use vitrina_tests::system::{forget_peak, handles, megabytes, peak_rss, rss};
use vitrina_tests::{Chain, Shop, until};

const RING: &str = "2000018987155";
/// Of the first rounds the memory is that which an allocator keeps and a program makes once.
const FIRST_ROUNDS: usize = 5;
const ROUNDS: usize = 8;
/// The least of these counts: what an attack leaves behind is there after each round, what an allocator was asked for
/// at one moment comes and goes.
const LAST_ROUNDS: usize = 3;
/// So much more is no growth: an allocator gives back when it likes (in 60 rounds of untaken answers it went up and down
/// between 105 and 133 MB). Each attack takes more than this in its rounds if it leaves behind what it sends.
const MARGIN_BYTES: u64 = 16 << 20;
/// Connections of an attack.
const LINES: usize = 32;
/// Handles that come and go beside them: a program may open its books once more.
const OTHER_HANDLES: usize = 16;
/// What one of them may hold that takes no answer: what is being written, the piece behind it, and what the allocator keeps
/// of those that were made at the same time (1.8 MB were seen on a busy machine; whole answers held 7 to 25 MB).
const UNTAKEN_BYTES: u64 = 3 << 20;

/// Whether the system says how much memory a process has; a line on stderr where it does not.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn says_memory() -> bool {
    let says = rss(std::process::id()).is_some();
    if !says {
        eprintln!("skipped: only Linux says how much memory a process has");
    }
    says
}

fn now(door: &Door) -> u64 {
    rss(door.process).expect("it runs")
}

fn peak(door: &Door) -> u64 {
    peak_rss(door.process).expect("it runs")
}

/// Waits until a program has at most so many handles.
async fn all_let_go(door: &Door, most: usize) {
    until("the lines to be let go", || async {
        let now = handles(door.process);
        if now <= most { Ok(()) } else { Err(now) }
    })
    .await;
}

/// Some rounds of an attack, then more of them, in which the memory must not grow; by how much it was more at any
/// moment than before.
async fn stays_flat(
    what: &str,
    door: &Door,
    mut attack: impl FnMut(&Door) -> Vec<TcpStream>,
) -> u64 {
    let before = handles(door.process);
    forget_peak(door.process);
    let idle = now(door);
    let mut marks = Vec::new();
    for _ in 0..FIRST_ROUNDS + ROUNDS {
        let lines = attack(door);
        all_let_go(door, before + OTHER_HANDLES).await;
        drop(lines);
        marks.push(now(door));
    }
    let seen = marks.iter().copied().map(megabytes).collect::<Vec<_>>();
    let first = marks.iter().take(FIRST_ROUNDS).max();
    let last = marks.iter().rev().take(LAST_ROUNDS).min();
    assert!(
        last <= first.map(|bytes| bytes + MARGIN_BYTES).as_ref(),
        "{what} at {}, MB after each round: {seen:?}",
        door.url,
    );
    peak(door).saturating_sub(idle)
}

/// So many lines that have said this and stay open.
fn lines(door: &Door, said: &[u8], count: usize) -> Vec<TcpStream> {
    (0..count)
        .map(|_| {
            let mut line = door.line();
            line.write_all(said).expect("it is taken");
            line
        })
        .collect()
}

struct Both {
    chain: Chain,
    shop: Shop,
}

/// A hub and an agent that wait for nobody long, and count those who come from this machine as any others.
fn both() -> Both {
    let short = format!("{SHORT}idle = \"300ms\"\n");
    let chain = Chain::start_with(&format!("{short}proxies = []\n"));
    let mut shop = chain.enrolled("S900", &[]);
    std::fs::write(shop.data.join("agent.toml"), short).expect("the settings");
    shop.start();
    Both { chain, shop }
}

impl Both {
    fn doors(&self) -> [Door; 2] {
        [Door::of_hub(&self.chain), Door::of_agent(&self.shop)]
    }
}

#[tokio::test]
async fn answers_that_nobody_takes_hold_little_memory_and_none_of_it_stays() {
    if !says_memory() {
        return;
    }
    let chain = Chain::start_with(SHORT);
    let begin = chain.get("/v1/snapshot").await;
    let since = format!(
        "/v1/changes?since={}&limit=1000",
        begin.header("vitrina-cursor")
    );
    let barcodes = device::stock(&chain, 12, 1_500);
    let door = Door::of_hub(&chain);
    let asked = json!({"barcodes": barcodes.iter().take(500).collect::<Vec<_>>()}).to_string();
    let batch = door.post(&format!("Content-Length: {}\r\n", asked.len())) + &asked;

    let asks = [
        door.get("/v1/snapshot"),
        batch,
        door.get("/v1/stock?limit=1000"),
        door.get(&since),
    ];
    // More than the system keeps on the way.
    let asks = asks.map(|ask| ask.repeat(12));
    let attack = |door: &Door| -> Vec<_> {
        let lines = |ask: &String| lines(door, ask.as_bytes(), LINES / asks.len());
        asks.iter().flat_map(lines).collect()
    };
    // What is made once is made before: ready answers, threads.
    for ask in &asks {
        let before = handles(door.process);
        let one = lines(&door, ask.as_bytes(), 1);
        all_let_go(&door, before).await;
        drop(one);
    }

    let held = stays_flat("untaken answers", &door, attack).await / LINES as u64;
    assert!(held < UNTAKEN_BYTES, "{held} bytes a line");
}

#[tokio::test]
async fn slow_callers_and_bodies_without_end_leave_nothing_behind() {
    if !says_memory() {
        return;
    }
    let both = both();
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));

    for door in both.doors() {
        let half_head = format!("GET /healthz HTTP/1.1\r\nX: {}", "y".repeat(15_000));
        let half_body = door.post("Content-Length: 1000000\r\n") + &"[".repeat(60_000);
        let untaken = door.get(door.read).repeat(20);
        let endless = door.post("Transfer-Encoding: chunked\r\n");
        stays_flat("slow callers", &door, |door| {
            let said = [&half_head, &half_body, &untaken];
            let mut open: Vec<_> = said
                .into_iter()
                .flat_map(|said| lines(door, said.as_bytes(), LINES))
                .collect();
            open.extend((0..300).map(|_| door.line_from("127.0.0.2")));
            for _ in 0..4 {
                let taken = door.pour(endless.as_bytes(), piece.as_bytes(), 1_000);
                assert!(taken < 1_000, "{taken}");
            }
            open
        })
        .await;
    }
}

#[tokio::test]
async fn bytes_of_strangers_leave_nothing_behind() {
    if !says_memory() {
        return;
    }
    let both = both();
    let nothing = vec![0; 64 << 20];
    let bomb = framed(2, &zstd::bulk::compress(&nothing, 3).expect("it packs"));
    let deep = "[".repeat(1_000_000);
    let frame = format!("Content-Type: {CONTENT_TYPE}\r\n");

    for (door, target) in both.doors().into_iter().zip(["hub_json", "local_api"]) {
        let known = format!("Authorization: Bearer {}\r\n", door.secret);
        stays_flat("damaged bodies", &door, |door| {
            let mut line = Http::to(&door.url);
            post_all(&mut line, target, &[door.write], &known, 100);
            for _ in 0..4 {
                let nested = line.call("POST", door.write, &known, deep.as_bytes());
                assert_eq!(nested.status, 400, "{}", nested.text());
            }
            Vec::new()
        })
        .await;
    }
    let hub = Door::of_hub(&both.chain);
    stays_flat("frames", &hub, |door| {
        let mut line = Http::to(&door.url);
        post_all(
            &mut line,
            "frame",
            &["/v1/enrol", "/v1/exchange"],
            &frame,
            50,
        );
        for path in ["/v1/enrol", "/v1/exchange"] {
            let answer = line.call("POST", path, &frame, &bomb);
            assert!((400..500).contains(&answer.status), "{}", answer.text());
        }
        Vec::new()
    })
    .await;
}

#[tokio::test]
async fn floods_of_refused_calls_leave_nothing_behind() {
    if !says_memory() {
        return;
    }
    let both = both();
    let codes = both.chain.add_shops(1);
    let hub = Door::of_hub(&both.chain);
    let mut random = Random::new(5);
    let mut first = Http::to(&hub.url);
    let mut device = Device::enrol(&mut first, &codes[0].0, &codes[0].1, &mut random);
    let keys = KeyPair::from_seed(&[7; 32]).expect("a key");
    let enrolment = device::enrolment(&keys, "00000-00000-00000-00000-00000-0");
    drop(first);

    stays_flat("refused exchanges and guessed codes", &hub, |door| {
        let mut line = Http::to(&door.url);
        for _ in 0..100 {
            let refused = device::send(&mut line, "/v1/exchange", &device.nonsense());
            assert!(refused.status >= 400, "{}", refused.text());
            let refused = device::send(&mut line, "/v1/enrol", &enrolment);
            assert!(refused.status >= 400, "{}", refused.text());
        }
        Vec::new()
    })
    .await;
    for door in both.doors() {
        let mut guess = 0;
        stays_flat("guessed keys", &door, |door| {
            let mut line = Http::to(&door.url);
            for _ in 0..400 {
                guess += 1;
                let key = format!("Authorization: Bearer guess-{guess}\r\n");
                let refused = line.call("GET", door.read, &key, b"");
                assert!(matches!(refused.status, 401 | 429), "{}", refused.text());
            }
            Vec::new()
        })
        .await;
        // Each from an address of its own.
        let mut caller = 0_u32;
        stays_flat("guesses from everywhere", &door, |door| {
            for _ in 0..200 {
                caller += 1;
                let from = format!("127.1.{}.{}", caller / 250, 1 + caller % 250);
                let mut line = door.line_from(&from);
                line.set_read_timeout(Some(Duration::from_secs(20)))
                    .expect("a time");
                let guess = b"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n";
                line.write_all(guess).expect("it is taken");
                until_closed(&mut line);
            }
            Vec::new()
        })
        .await;
    }
    both.shop.sell("after all that", RING).await;
}
