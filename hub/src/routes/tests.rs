use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;
use vitrina_host::config::DataFolder;
use vitrina_shared::freshness::Heard;

use super::*;
use crate::audit::By;
use crate::change::{Change, ShopHealth, ShopRow};
use crate::core::{Core, Init};
use crate::keys::{NewKey, Role};
use crate::view::View;
use crate::view::sample;

const ROLES: [Role; 4] = [Role::Website, Role::Office, Role::Erp, Role::Admin];

/// A hub over an empty data folder, with a view of its own and a key of each role.
struct Bench {
    hub: Arc<Hub>,
    router: Router,
    keys: Vec<(Role, String)>,
    _dir: TempDir,
}

/// An answer, read.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name}"))
            .to_str()
            .unwrap()
    }

    fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

impl Bench {
    async fn new(view: View) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = DataFolder::existing(dir.path()).unwrap();
        let core = Core::open(data, Init::Refuse).await.unwrap();
        let mut keys = Vec::new();
        for role in ROLES {
            keys.push((
                role,
                core.keys
                    .add(&core.store, By::CommandLine, NewKey::of(role.word(), role))
                    .await
                    .unwrap(),
            ));
        }
        let hub = Arc::new(Hub::new(core, Arc::new(view)));
        let router = router(&hub);
        Self {
            hub,
            router,
            keys,
            _dir: dir,
        }
    }

    fn key(&self, role: Role) -> &str {
        &self
            .keys
            .iter()
            .find(|(known, _)| *known == role)
            .unwrap()
            .1
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Got {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self
            .router
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec();
        Got {
            status,
            headers,
            body,
        }
    }

    async fn get(&self, role: Role, path: &str) -> Got {
        self.get_with(role, path, &[]).await
    }

    async fn get_with(&self, role: Role, path: &str, more: &[(&str, &str)]) -> Got {
        let bearer = format!("Bearer {}", self.key(role));
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend_from_slice(more);
        self.call(Method::GET, path, &headers, Body::empty()).await
    }

    async fn post(&self, role: Role, path: &str, body: impl Into<Body>) -> Got {
        let bearer = format!("Bearer {}", self.key(role));
        self.call(
            Method::POST,
            path,
            &[("authorization", &bearer)],
            body.into(),
        )
        .await
    }
}

fn stocked() -> View {
    let view = sample::view(2);
    let item = sample::ring("K-1234/5 б", "17.5");
    view.apply(
        &sample::head(10),
        vec![
            Change::Item {
                barcode: "2000018987155".parse().unwrap(),
                item: Some(item),
            },
            Change::Level(sample::level(0, "2000018987155", 2, 9)),
            Change::Level(sample::level(1, "2000018987155", 1, 10)),
        ],
    );
    view
}

#[tokio::test]
async fn every_route_is_described_and_refuses_who_has_no_key_or_another_role() {
    let bench = Bench::new(sample::view(1)).await;
    let described = bench
        .call(Method::GET, "/openapi.json", &[], Body::empty())
        .await
        .json();

    for route in table() {
        let operation = &described["paths"][route.path][route.method.as_str().to_lowercase()];
        assert_eq!(operation["summary"], route.summary, "{}", route.path);
        let path = route
            .path
            .replace("{id}", "1")
            .replace("{article}", "1")
            .replace("{barcode}", "1")
            .replace("{name}", "nobody");
        let path = if path == "/v1/changes" {
            "/v1/changes?since=1-1-1".to_owned()
        } else {
            path
        };
        let nobody = bench
            .call(route.method.clone(), &path, &[], Body::empty())
            .await;
        let Access::Roles(_) = route.access else {
            continue;
        };
        assert_eq!(
            (nobody.status, nobody.code().as_str()),
            (StatusCode::UNAUTHORIZED, "unauthorized"),
            "{path}"
        );
        for role in ROLES {
            let bearer = format!("Bearer {}", bench.key(role));
            let got = bench
                .call(
                    route.method.clone(),
                    &path,
                    &[("authorization", &bearer)],
                    Body::empty(),
                )
                .await;
            assert_eq!(
                got.status != StatusCode::FORBIDDEN,
                route.access.allows(role),
                "{role} {path}: {}",
                got.status
            );
            assert_ne!(got.status, StatusCode::UNAUTHORIZED, "{role} {path}");
        }
    }
}

#[tokio::test]
async fn a_revoked_key_is_told_so() {
    let bench = Bench::new(stocked()).await;
    let core = &bench.hub.core;
    core.keys
        .revoke(&core.store, By::CommandLine, "website")
        .await
        .unwrap();

    let got = bench.get(Role::Website, "/v1/stock/2000018987155").await;

    assert_eq!(
        (got.status, got.code().as_str()),
        (StatusCode::UNAUTHORIZED, "revoked")
    );
}

#[tokio::test]
async fn an_item_answers_with_its_tag_and_304_to_who_has_it() {
    let bench = Bench::new(stocked()).await;
    let at = vitrina_shared::TimeMs(1_763_812_801_234);
    let heard = Heard {
        exchange: Some(at),
        complete: Some(at),
        source: Some(at),
        source_every_ms: None,
    };
    bench.hub.view.apply(
        &bench.hub.view.head(),
        vec![Change::Heard {
            shop: 0,
            heard,
            status: ShopHealth::default(),
        }],
    );

    let got = bench.get(Role::Website, "/v1/stock/2000018987155").await;
    assert_eq!(
        (got.status, &got.json()["on_hand"]),
        (StatusCode::OK, &3.into())
    );
    assert_eq!(got.header("vitrina-as-of"), "2025-11-22T12:00:01.234Z");
    assert!(got.header("etag").starts_with("W/\"") && !got.header("cache-control").is_empty());

    let tag = got.header("etag");
    for known in [tag, &tag[2..], "*", &format!("\"x\", {tag}")] {
        let got = bench
            .get_with(
                Role::Website,
                "/v1/stock/2000018987155",
                &[("if-none-match", known)],
            )
            .await;
        assert_eq!(
            (got.status, got.body.len()),
            (StatusCode::NOT_MODIFIED, 0),
            "{known}"
        );
        assert_eq!(
            (got.header("etag"), got.header("vitrina-as-of")),
            (tag, "2025-11-22T12:00:01.234Z")
        );
    }
    let packed = bench
        .get_with(
            Role::Website,
            "/v1/stock/2000018987155",
            &[("accept-encoding", "gzip")],
        )
        .await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let unknown = bench.get(Role::Website, "/v1/stock/404").await;
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (StatusCode::NOT_FOUND, "unknown_barcode")
    );
}

#[tokio::test]
async fn an_article_of_any_characters_and_a_batch_find_their_items() {
    let bench = Bench::new(stocked()).await;

    for path in [
        "/v1/articles/K-1234%2F5%20%D0%B1",
        "/v1/articles?id=K-1234%2F5+%D0%B1",
    ] {
        let article = bench.get(Role::Website, path).await.json();
        assert_eq!(article["items"][0]["barcode"], "2000018987155", "{path}");
    }
    assert_eq!(
        bench.get(Role::Website, "/v1/articles/none").await.code(),
        "unknown_article"
    );
    let batch = bench
        .post(
            Role::Website,
            "/v1/stock/batch",
            "\u{feff}{\"barcodes\":[\"2000018987155\",\"404\",\"404\"]}",
        )
        .await;
    assert_eq!(batch.json()["items"][0]["available"], 3);
    assert_eq!(batch.json()["unknown"], serde_json::json!(["404"]));
    let many = serde_json::json!({ "barcodes": vec!["1"; 501] }).to_string();
    assert_eq!(
        bench
            .post(Role::Website, "/v1/stock/batch", many)
            .await
            .status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        bench
            .post(Role::Website, "/v1/stock/batch", "{")
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    let large = bench
        .post(
            Role::Website,
            "/v1/stock/batch",
            vec![b' '; ask::MAX_BODY_BYTES + 1],
        )
        .await;
    assert_eq!(
        (large.status, large.code().as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large")
    );
}

#[tokio::test]
async fn the_feed_goes_on_where_a_snapshot_ends() {
    let bench = Bench::new(stocked()).await;
    let snapshot = bench
        .get_with(
            Role::Website,
            "/v1/snapshot",
            &[("accept-encoding", "gzip")],
        )
        .await;
    let mut lines = String::new();
    std::io::Read::read_to_string(
        &mut flate2::read::GzDecoder::new(&*snapshot.body),
        &mut lines,
    )
    .unwrap();
    let mut copy: BTreeMap<String, i64> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|row| {
            (
                row["shop"].as_str().unwrap().to_owned(),
                row["on_hand"].as_i64().unwrap(),
            )
        })
        .collect();
    sample::commit(
        &bench.hub.view,
        vec![sample::level(0, "2000018987155", 7, 11)],
    );

    let path = format!("/v1/changes?since={}", snapshot.header("vitrina-cursor"));
    let page = bench.get(Role::Website, &path).await.json();
    for item in page["items"].as_array().unwrap() {
        copy.insert(
            item["shop"].as_str().unwrap().to_owned(),
            item["on_hand"].as_i64().unwrap(),
        );
    }

    assert_eq!(
        copy.into_iter().collect::<Vec<_>>(),
        [("S000".to_owned(), 7), ("S001".to_owned(), 1)]
    );
    assert_eq!(
        (&page["items"][0]["item_available"], &page["more"]),
        (&8.into(), &false.into())
    );
    let next = format!("/v1/changes?since={}", page["cursor"].as_str().unwrap());
    assert_eq!(
        bench.get(Role::Website, &next).await.json()["items"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn a_feed_without_a_place_names_the_snapshot_and_a_foreign_place_has_expired() {
    let bench = Bench::new(stocked()).await;
    let none = bench.get(Role::Website, "/v1/changes").await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert!(
        String::from_utf8(none.body)
            .unwrap()
            .contains("/v1/snapshot")
    );

    let good = bench.hub.view.cursor(10);
    let foreign = [
        crate::feed::Cursor { ordinal: 2, ..good }.to_string(),
        crate::feed::Cursor { pos: 11, ..good }.to_string(),
        crate::feed::Cursor { tag: 5, ..good }.to_string(),
        "nonsense".to_owned(),
    ];
    for cursor in foreign {
        let got = bench
            .get(Role::Website, &format!("/v1/changes?since={cursor}"))
            .await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (StatusCode::GONE, "cursor_expired"),
            "{cursor}"
        );
    }
    for bad in ["limit=0", "limit=1001", "limit=x", "wait=soon"] {
        assert_eq!(
            bench
                .get(Role::Website, &format!("/v1/changes?since={good}&{bad}"))
                .await
                .status,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_waiting_reader_is_answered_by_the_next_commit_and_at_a_stop() {
    let bench = Arc::new(Bench::new(stocked()).await);
    let wait = |path: String| {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.get(Role::Website, &path).await })
    };
    let reader = wait(format!(
        "/v1/changes?since={}&wait=30",
        bench.hub.view.cursor(10)
    ));
    let read_your_write = wait(format!(
        "/v1/stock/2000018987155?min_cursor={}-11-{:x}",
        3,
        sample::head(11).tag
    ));
    while bench.hub.view.changed().borrow().pos < 10 || Arc::strong_count(&bench) < 3 {
        tokio::task::yield_now().await;
    }

    sample::commit(
        &bench.hub.view,
        vec![sample::level(0, "2000018987155", 7, 11)],
    );
    assert_eq!(reader.await.unwrap().json()["items"][0]["on_hand"], 7);
    assert_eq!(read_your_write.await.unwrap().json()["on_hand"], 8);

    let last = wait(format!(
        "/v1/changes?since={}&wait=30",
        bench.hub.view.cursor(11)
    ));
    bench.hub.stop.cancel();
    let got = tokio::time::timeout(Duration::from_secs(5), last)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(got.json()["items"], serde_json::json!([]));
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_with_a_code() {
    let bench = Bench::new(stocked()).await;

    let path = bench.get(Role::Admin, "/v2/stock").await;
    assert_eq!(
        (path.status, path.code().as_str()),
        (StatusCode::NOT_FOUND, "not_found")
    );
    let method = bench.post(Role::Admin, "/v1/stock", "").await;
    assert_eq!(
        (method.status, method.code().as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
    );
    assert_eq!(
        bench.get(Role::Admin, "/v1/imports/1").await.code(),
        "not_found"
    );
    assert_eq!(
        bench.get(Role::Admin, "/v1/explain/1").await.code(),
        "unknown_barcode"
    );
    assert_eq!(
        bench
            .get(Role::Admin, "/v1/quarantine?shop=S999")
            .await
            .code(),
        "unknown_shop"
    );
    let frame = bench.post(Role::Admin, "/v1/exchange", "not a frame").await;
    assert_eq!(
        (frame.status, frame.code().as_str()),
        (StatusCode::BAD_REQUEST, "validation_failed")
    );
}

#[tokio::test]
async fn shops_and_keys_are_made_by_admins() {
    let bench = Bench::new(stocked()).await;

    let shop = bench
        .post(Role::Admin, "/v1/shops", r#"{"shop":"S900","name":"New"}"#)
        .await;
    assert_eq!(
        shop.status,
        StatusCode::CREATED,
        "{}",
        String::from_utf8_lossy(&shop.body)
    );
    assert_eq!(
        (&shop.json()["shop"], shop.json()["code"].is_string()),
        (&"S900".into(), true)
    );
    assert_eq!(
        bench
            .post(Role::Admin, "/v1/shops", r#"{"shop":"S900"}"#)
            .await
            .status,
        StatusCode::CONFLICT
    );
    let key = bench
        .post(
            Role::Admin,
            "/v1/keys",
            r#"{"name":"shop","role":"website"}"#,
        )
        .await;
    let bearer = format!("Bearer {}", key.json()["key"].as_str().unwrap());
    let read = bench
        .call(
            Method::GET,
            "/v1/locations",
            &[("authorization", &bearer)],
            Body::empty(),
        )
        .await;
    assert_eq!(read.status, StatusCode::OK);
    let wrong = bench
        .post(Role::Admin, "/v1/keys", r#"{"name":"x","role":"king"}"#)
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn locations_and_shops_show_what_their_readers_may_see() {
    let bench = Bench::new(stocked()).await;
    bench.hub.view.apply(
        &sample::head(11),
        vec![Change::Shop(ShopRow {
            publish: false,
            pos: 11,
            ..sample::shop(1, "S001")
        })],
    );

    let seen = bench.get(Role::Website, "/v1/locations").await.json();
    let shops = bench.get(Role::Office, "/v1/shops").await.json();

    assert_eq!(seen["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&seen["items"][0]["shop"], &seen["items"][0]["lat"]),
        (&"S000".into(), &55.75.into())
    );
    assert_eq!(shops["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        (
            &shops["items"][1]["publish"],
            &shops["items"][1]["confidence"]
        ),
        (&false.into(), &"unknown".into())
    );
    assert_eq!(
        bench
            .get(Role::Office, "/metrics")
            .await
            .header(header::CONTENT_TYPE.as_str()),
        crate::metrics::CONTENT_TYPE
    );
}
