//! Who may do what, in every combination: endpoints, methods, roles, devices, own and other shops, ended credentials.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use vitrina_host::sign::{KeyPair, from_hex, hex};
use vitrina_shared::ReplicaId;
use vitrina_shared::decide::Shown;
use vitrina_shared::wire::v1::{CertificateV1, HelloV1};
use vitrina_shared::wire::{CONTENT_TYPE, Positions, Request};
use vitrina_tests::raw::{Door, until_closed};
use vitrina_tests::system::is_open_beyond;
use vitrina_tests::{Chain, Link, Shop, device, until};

const RING: &str = "2000018987155";
/// Revocation reaches everything within this.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

/// An operation of the document.
struct Operation {
    method: Method,
    path: String,
    roles: Vec<String>,
}

/// What the hub says it has.
async fn document(chain: &Chain) -> Vec<Operation> {
    let document = chain
        .call(Method::GET, "/openapi.json", "", None, &[])
        .await;
    let paths = document.body.get("paths").and_then(Value::as_object);
    let mut operations = Vec::new();
    for (path, methods) in paths.expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let roles = operation.get("x-roles").and_then(Value::as_array);
            let roles = roles.expect("roles").iter().filter_map(Value::as_str);
            operations.push(Operation {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method"),
                path: path.split('/').map(concrete).collect::<Vec<_>>().join("/"),
                roles: roles.map(str::to_owned).collect(),
            });
        }
    }
    assert!(operations.len() > 20, "{}", operations.len());
    operations
}

/// A part of a path, with something in the place of its name.
fn concrete(part: &str) -> &str {
    if part.starts_with('{') { "x" } else { part }
}

#[tokio::test]
async fn a_method_that_the_document_does_not_name_is_refused_to_everybody() {
    let chain = Chain::start();
    let operations = document(&chain).await;
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ];
    let mut refused = 0;
    for path in operations.iter().map(|operation| &operation.path) {
        for method in &methods {
            let is_named = operations
                .iter()
                .any(|operation| operation.path == *path && operation.method == *method);
            if is_named {
                continue;
            }
            for key in ["", &chain.website, &chain.admin] {
                let reply = chain.call(method.clone(), path, key, None, &[]).await;
                assert_eq!(
                    reply.status,
                    StatusCode::METHOD_NOT_ALLOWED,
                    "{method} {path}"
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 300, "{refused}");
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/admin",
        "/v1/stock/../keys",
        "/V1/keys",
    ] {
        let reply = chain
            .call(Method::GET, path, &chain.website, None, &[])
            .await;
        assert!(
            matches!(reply.status.as_u16(), 403 | 404),
            "{path} {}",
            reply.status
        );
    }
}

#[tokio::test]
async fn a_key_that_was_ended_is_refused_at_every_endpoint() {
    let chain = Chain::start();
    let operations = document(&chain).await;
    let mut keys = Vec::new();
    for role in ["website", "office", "erp", "admin"] {
        let name = format!("old-{role}");
        let made = chain.cli(&["key", "add", "--role", role, "--name", &name, "--json"]);
        keys.push(made.ok().json()["key"].as_str().expect("a key").to_owned());
        chain.cli(&["key", "revoke", &name]).ok();
    }
    let mut refused = 0;
    for Operation {
        method,
        path,
        roles,
    } in &operations
    {
        if roles.is_empty() || roles.iter().any(|role| role == "shop") {
            continue;
        }
        for key in &keys {
            let reply = chain.call(method.clone(), path, key, None, &[]).await;
            assert_eq!(
                (reply.status, reply.code()),
                (StatusCode::UNAUTHORIZED, "revoked"),
                "{method} {path}"
            );
            refused += 1;
        }
    }
    assert!(refused > 60, "{refused}");
}

/// What a device holds: its key, its certificate.
struct Device {
    shop: String,
    key: KeyPair,
    certificate: CertificateV1,
    replica: ReplicaId,
}

impl Device {
    fn of(shop: &Shop) -> Self {
        let hub = std::fs::read(shop.data.join("hub.json")).expect("an enrolment");
        let hub: Value = serde_json::from_slice(&hub).expect("JSON");
        let certificate = hub.get("certificate").cloned().expect("a certificate");
        let replica = shop.status().get("replica").cloned().expect("a replica");
        Self {
            shop: shop.id.clone(),
            key: KeyPair::load(&shop.data.join("device.key")).expect("a key"),
            certificate: serde_json::from_value(certificate).expect("a certificate"),
            replica: ReplicaId(from_hex(replica.as_str().expect("hex")).expect("an id")),
        }
    }

    /// An exchange frame: who signs, whose certificate, which shop it names, whose log it shows.
    fn frame(&self, certificate: &CertificateV1, shop: &str, replica: ReplicaId) -> Vec<u8> {
        let origin = replica.origin();
        let request = Request {
            hello: HelloV1 {
                version: "1".to_owned(),
                shop: shop.to_owned(),
                ..HelloV1::default()
            },
            certificate: certificate.clone(),
            positions: Positions {
                own: replica,
                hash: [0; 32],
                all: false,
                list: vec![Shown {
                    replica,
                    acked: origin,
                    head: origin,
                }],
            },
            deltas: Vec::new(),
            token: None,
            health: None,
            quarantine: Vec::new(),
            disagreements: None,
            digest: None,
            legs: None,
            transfers: None,
        };
        let sign = |bytes: &[u8]| self.key.sign(bytes).expect("signed").0;
        request.seal(sign).expect("a frame")
    }

    /// The same, all of it its own.
    fn own_frame(&self) -> Vec<u8> {
        self.frame(&self.certificate, &self.shop, self.replica)
    }
}

async fn post(chain: &Chain, path: &str, frame: Vec<u8>) -> (u16, String) {
    let http = Client::builder().no_proxy().build().expect("a client");
    let request = http.post(format!("{}{path}", chain.url)).body(frame);
    let answer = request.header("content-type", CONTENT_TYPE).send().await;
    let answer = answer.expect("an answer");
    let status = answer.status().as_u16();
    let body: Value =
        serde_json::from_slice(&answer.bytes().await.expect("a body")).unwrap_or_default();
    let code = body.get("code").and_then(Value::as_str).unwrap_or_default();
    (status, code.to_owned())
}

async fn two_shops(chain: &Chain) -> [Shop; 2] {
    let shops = [chain.shop("S001", &[]), chain.shop("S002", &[])];
    for shop in &shops {
        shop.open(chain, &format!("barcode;qty\n{RING};5\n")).await;
    }
    shops
}

#[tokio::test]
async fn a_device_speaks_for_its_own_shop_alone() {
    let chain = Chain::start();
    let shops = two_shops(&chain).await;
    let [own, other] = [Device::of(&shops[0]), Device::of(&shops[1])];

    // Who signs is always S001's device; each of the rest is its own or S002's.
    for case in 0..8 {
        let pick = |bit: u8| if case & (1 << bit) == 0 { &own } else { &other };
        let (certificate, shop, replica) = (pick(0), pick(1), pick(2));
        let frame = own.frame(&certificate.certificate, &shop.shop, replica.replica);

        let answered = post(&chain, "/v1/exchange", frame).await;

        let expected = match (case & 1, case & 2, case & 4) {
            (0, 0, 0) => (200, ""),
            // The frame is not signed with the certificate's key.
            (1, _, _) => (401, "unauthorized"),
            _ => (403, "forbidden"),
        };
        assert_eq!((answered.0, &*answered.1), expected, "case {case}");
    }

    let mut forged = own.certificate.clone();
    "S002".clone_into(&mut forged.shop);
    let answered = post(
        &chain,
        "/v1/exchange",
        own.frame(&forged, "S002", own.replica),
    )
    .await;
    assert_eq!(answered, (401, "unauthorized".to_owned()));
    chain.cli(&["shop", "revoke", "S001"]).ok();
    let answered = post(&chain, "/v1/exchange", own.own_frame()).await;
    assert_eq!(answered, (401, "revoked".to_owned()));
    let answered = post(&chain, "/v1/exchange", other.own_frame()).await;
    assert_eq!(
        answered.0, 200,
        "the other shop is not touched: {answered:?}"
    );
}

#[tokio::test]
async fn what_a_shop_holds_opens_nothing_but_its_exchange() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;
    let device = Device::of(&shop);
    let read = |name: &str| std::fs::read_to_string(shop.data.join(name)).expect("a file");
    let secrets = [
        read("terminal.token").trim().to_owned(),
        read("device.key").trim().to_owned(),
        hex(&device.certificate.signature),
        hex(&device.certificate.device),
    ];

    let mut refused = 0;
    for Operation {
        method,
        path,
        roles,
    } in &document(&chain).await
    {
        if roles.is_empty() || roles.iter().any(|role| role == "shop") {
            continue;
        }
        for secret in &secrets {
            let reply = chain.call(method.clone(), path, secret, None, &[]).await;
            assert_eq!(
                (reply.status, reply.code()),
                (StatusCode::UNAUTHORIZED, "unauthorized"),
                "{method} {path}"
            );
            refused += 1;
        }
        if *method == Method::POST {
            let answered = post(&chain, path, device.own_frame()).await;
            assert_eq!(answered, (401, "unauthorized".to_owned()), "{path}");
        }
    }
    assert!(refused > 60, "{refused}");
    // And no key opens the shops' two calls.
    for path in ["/v1/exchange", "/v1/enrol"] {
        let body = json!({});
        let reply = chain
            .call(Method::POST, path, &chain.admin, Some(&body), &[])
            .await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path} {reply:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_ended_while_it_waits_for_news_gets_none() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;
    chain.on_hand(RING, 5).await;
    let snapshot = chain.get("/v1/snapshot").await;
    let cursor = snapshot.header("vitrina-cursor").to_owned();
    let line = Link::to(&chain.url);
    let url = format!("{}/v1/changes?since={cursor}&wait=30", line.url);
    let http = Client::builder().no_proxy().build().expect("a client");
    let request = http.get(url).bearer_auth(&chain.website);
    let waiting = tokio::spawn(async move { request.send().await.expect("an answer") });
    until("the call to be on its way", || async {
        if line.carried().0 > 0 {
            Ok(())
        } else {
            Err(())
        }
    })
    .await;

    let revoked = Instant::now();
    chain.cli(&["key", "revoke", "website"]).ok();

    let answer = waiting.await.expect("no panic");
    assert!(
        revoked.elapsed() < REVOKED_WITHIN,
        "{:?}",
        revoked.elapsed()
    );
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let problem: Value = answer.json().await.expect("a problem");
    assert_eq!(problem["code"], json!("revoked"));
}

#[tokio::test]
async fn a_key_that_is_ended_in_the_midst_of_a_long_answer_gets_no_more_of_it() {
    let chain = Chain::start();
    let barcodes = device::stock(&chain, 12, 2_000);
    let door = Door::of_hub(&chain);
    let asked = json!({"barcodes": barcodes.iter().take(500).collect::<Vec<_>>()}).to_string();
    let batch = door.post(&format!("Content-Length: {}\r\n", asked.len())) + &asked;
    // Longer than what the system keeps on the way.
    let mut lines = [door.get("/v1/snapshot"), batch.repeat(20)].map(|ask| {
        let mut line = door.line();
        line.write_all(ask.as_bytes()).expect("it is taken");
        line
    });
    for line in &mut lines {
        let mut begin = [0; 15];
        line.read_exact(&mut begin).expect("it is answered");
        assert_eq!(&begin, b"HTTP/1.1 200 OK");
    }

    let revoked = Instant::now();
    chain.cli(&["key", "revoke", "website"]).ok();
    // Nothing is read meanwhile: a reader could be faster than the end of the key, and come to the end of the answer.
    for line in &lines {
        until("the hub to let go of the line", || async {
            if is_open_beyond(line) {
                Err(())
            } else {
                Ok(())
            }
        })
        .await;
    }
    assert!(
        revoked.elapsed() < REVOKED_WITHIN,
        "{:?}",
        revoked.elapsed()
    );

    for line in &mut lines {
        let rest = until_closed(line);
        assert!(!rest.ends_with("\r\n0\r\n\r\n"), "it came to its end");
    }
}

#[tokio::test]
async fn a_shop_that_is_revoked_while_it_waits_knows_it_within_seconds() {
    let chain = Chain::start();
    let shop = chain.shop("S001", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;
    until("the agent to be connected", || async {
        let hub = shop.status()["hub"].clone();
        if hub["state"] == json!("connected") {
            Ok(())
        } else {
            Err(hub)
        }
    })
    .await;

    let revoked = Instant::now();
    chain.cli(&["shop", "revoke", "S001"]).ok();
    until("the agent to be told", || async {
        let hub = shop.status()["hub"].clone();
        if hub["code"] == json!("revoked") {
            Ok(())
        } else {
            Err(hub)
        }
    })
    .await;

    assert!(
        revoked.elapsed() < REVOKED_WITHIN,
        "{:?}",
        revoked.elapsed()
    );
    shop.sell("revoked", RING).await;
    let level = chain.get(&format!("/v1/stock/{RING}")).await;
    assert_eq!(level.body["levels"][0]["confidence"], json!("unknown"));
    assert_eq!(level.body["on_hand"], json!(5));
}

#[tokio::test]
async fn a_restored_hub_knows_the_devices_that_were_enrolled_after_its_backup() {
    let mut chain = Chain::start();
    let copy = chain.path("copy.sqlite3");
    chain.cli(&["backup", copy.to_str().expect("a path")]).ok();
    let shop = chain.shop("S007", &[]);
    shop.open(&chain, &format!("barcode;qty\n{RING};5\n")).await;
    shop.sell("before", RING).await;
    chain.on_hand(RING, 4).await;

    chain.stop_hub();
    chain.cli(&["restore", copy.to_str().expect("a path")]).ok();
    chain.start_hub();
    shop.sell("after", RING).await;
    chain.level_with(&shop).await;

    let shown = chain.cli(&["shop", "show", "S007", "--json"]).ok().json();
    assert_eq!(
        (&shown["enrolled"], &shown["publish"]),
        (&json!(true), &json!(false)),
        "{shown}"
    );
    chain
        .cli(&["shop", "set", "S007", "--name", "seven", "--publish", "on"])
        .ok();
    chain.on_hand(RING, 3).await;
    let audit = chain
        .cli(&["audit", "list", "--shop", "S007", "--json"])
        .ok()
        .json();
    assert!(audit.to_string().contains("shop_found"), "{audit}");
}
