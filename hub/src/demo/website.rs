//! A website as a client of the hub: a copy from the snapshot, kept by the feed, and a look at the clock for each change
//! that somebody waits for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::error::DemoError;
use super::figures::Figures;
use super::random::Random;
use super::shop::Shop;

/// Longer than the longest wait of the feed.
const CALL: Duration = Duration::from_secs(40);
/// After a call that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a change comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Till,
    File,
}

/// A change that is on its way.
#[derive(Debug)]
struct Expected {
    on_hand: i64,
    from: Origin,
    /// The till was answered, or the file lies in its folder.
    done: Option<Instant>,
    seen: Option<Instant>,
    is_offline: bool,
}

/// What a website knows.
#[derive(Debug)]
pub(super) struct Website {
    url: String,
    key: String,
    http: Client,
    shops: HashMap<String, Arc<Shop>>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    levels: BTreeMap<String, BTreeMap<String, i64>>,
    confidence: HashMap<String, String>,
    expected: HashMap<(String, String), Expected>,
    last_sale: HashMap<String, Duration>,
    figures: Figures,
    /// The silent shop and its last file.
    silent: Option<(String, Instant)>,
}

impl Website {
    /// A client that has asked nothing yet.
    pub(super) fn new(url: &str, key: &str, http: Client, shops: &[Arc<Shop>]) -> Self {
        let shops = shops
            .iter()
            .map(|shop| (shop.id().to_owned(), Arc::clone(shop)));
        Self {
            url: url.to_owned(),
            key: key.to_owned(),
            http,
            shops: shops.collect(),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it shows of a shop.
    pub(super) fn levels(&self, shop: &str) -> BTreeMap<String, i64> {
        self.known().levels.get(shop).cloned().unwrap_or_default()
    }

    /// The last sale of a shop: answered → here.
    pub(super) fn last_sale(&self, shop: &str) -> Option<Duration> {
        self.known().last_sale.get(shop).copied()
    }

    /// Looks at or changes the figures.
    pub(super) fn figures<T>(&self, work: impl FnOnce(&mut Figures) -> T) -> T {
        work(&mut self.known().figures)
    }

    /// Somebody is about to change a piece of a shop.
    pub(super) fn expect(&self, shop: &Shop, piece: &str, on_hand: i64, from: Origin) {
        let expected = Expected {
            on_hand,
            from,
            done: None,
            seen: None,
            is_offline: shop.line.is_down(),
        };
        self.known()
            .expected
            .insert((shop.id().to_owned(), piece.to_owned()), expected);
    }

    /// It did not happen.
    pub(super) fn forget(&self, shop: &Shop, piece: &str) {
        let place = (shop.id().to_owned(), piece.to_owned());
        self.known().expected.remove(&place);
    }

    /// A piece that it shows in a shop.
    pub(super) fn some_piece(&self, shop: &str, random: &mut Random) -> Option<String> {
        let known = self.known();
        let levels = known.levels.get(shop)?;
        let there = || levels.iter().filter(|(_, on_hand)| **on_hand > 0);
        let (piece, _) = there().nth(random.below(there().count()))?;
        Some(piece.clone())
    }

    /// It is done at the shop; from now on the website is late.
    pub(super) fn done(&self, shop: &Shop, piece: &str, at: Instant) {
        let mut known = self.known();
        let place = (shop.id().to_owned(), piece.to_owned());
        if let Some(expected) = known.expected.get_mut(&place) {
            expected.done = Some(at);
            expected.is_offline |= shop.line.is_down();
            if expected.is_offline && expected.from == Origin::Till {
                known.figures.offline += 1;
            }
        }
        known.settle(&place, shop);
    }

    /// The shop's line was cut: what is under way does not count as online.
    pub(super) fn cut(&self, shop: &str) {
        let mut known = self.known();
        let Known {
            expected, figures, ..
        } = &mut *known;
        for ((_, _), one) in expected.iter_mut().filter(|((of, _), _)| of == shop) {
            if !one.is_offline && one.done.is_some() && one.from == Origin::Till {
                figures.offline += 1;
            }
            one.is_offline = true;
        }
    }

    /// The shop's 1C writes no more files, or again.
    pub(super) fn silent(&self, shop: Option<(String, Instant)>) {
        self.known().silent = shop;
    }

    /// Follows the feed until it is told to stop.
    pub(super) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow_on() => {}
        }
    }

    async fn follow_on(&self) {
        let mut cursor: Option<String> = None;
        loop {
            let next = match &cursor {
                None => self.snapshot().await.map(Some),
                Some(since) => self.changes(since).await,
            };
            match next {
                Ok(next) => cursor = next,
                // As any client: it looks again.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Takes the whole copy and gives the cursor.
    async fn snapshot(&self) -> Result<String, DemoError> {
        let response = self.get("/v1/snapshot").await?;
        let cursor = response.headers().get("vitrina-cursor");
        let cursor = cursor
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let cursor =
            cursor.ok_or_else(|| DemoError::answer("GET /v1/snapshot", "no Vitrina-Cursor"))?;
        let body = text(response, "/v1/snapshot").await?;
        self.known().levels.clear();
        for line in body.lines() {
            if let Ok(item) = serde_json::from_str(line) {
                self.take(&item, Instant::now());
            }
        }
        Ok(cursor)
    }

    /// Takes what changed; no cursor: it is too old.
    async fn changes(&self, since: &str) -> Result<Option<String>, DemoError> {
        let path = format!("/v1/changes?since={since}&limit=1000&wait=25");
        let response = self.get(&path).await?;
        if response.status() == StatusCode::GONE {
            return Ok(None);
        }
        let body = text(response, &path).await?;
        let at = Instant::now();
        let page: Value =
            serde_json::from_str(&body).map_err(|_| DemoError::answer(&path, &body))?;
        for item in page
            .get("items")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.take(item, at);
        }
        let cursor = page.get("cursor").and_then(Value::as_str);
        Ok(Some(
            cursor
                .ok_or_else(|| DemoError::answer(&path, &body))?
                .to_owned(),
        ))
    }

    fn take(&self, item: &Value, at: Instant) {
        let text = |name: &str| {
            item.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let shop = text("shop");
        let mut known = self.known();
        if text("kind") == "shop" {
            known.is_now(shop, text("confidence"), at);
            return;
        }
        let (piece, on_hand) = (text("barcode"), item.get("on_hand").and_then(Value::as_i64));
        let Some(on_hand) = on_hand else { return };
        known
            .levels
            .entry(shop.clone())
            .or_default()
            .insert(piece.clone(), on_hand);
        let place = (shop, piece);
        if let Some(expected) = known.expected.get_mut(&place)
            && expected.on_hand == on_hand
        {
            expected.seen.get_or_insert(at);
        }
        if let Some(shop) = self.shops.get(&place.0) {
            known.settle(&place, shop);
        }
    }

    async fn get(&self, path: &str) -> Result<reqwest::Response, DemoError> {
        let request = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(&self.key)
            .timeout(CALL);
        let call = || format!("GET {path}");
        let response = request.send().await.map_err(|source| DemoError::Call {
            call: call(),
            source,
        })?;
        let status = response.status();
        if status.is_success() || status == StatusCode::GONE {
            return Ok(response);
        }
        Err(DemoError::answer(call(), &status))
    }

    /// A call that changes something, with its idempotency key and body.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<(StatusCode, Value), DemoError> {
        let call = || format!("{method} {path}");
        let failed = |source| DemoError::Call {
            call: call(),
            source,
        };
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.url))
            .bearer_auth(&self.key)
            .timeout(CALL);
        if let Some((key, body)) = body {
            request = request
                .header("idempotency-key", key)
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let body = response.bytes().await.map_err(failed)?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// A call whose answer is JSON.
    pub(super) async fn json(&self, path: &str) -> Result<Value, DemoError> {
        let body = text(self.get(path).await?, path).await?;
        serde_json::from_str(&body).map_err(|_| DemoError::answer(format!("GET {path}"), &body))
    }
}

impl Known {
    /// Where a change is both done and seen, it is measured.
    fn settle(&mut self, place: &(String, String), shop: &Shop) {
        let Some(expected) = self.expected.get(place) else {
            return;
        };
        let (Some(done), Some(seen)) = (expected.done, expected.seen) else {
            return;
        };
        // The feed can be faster than the answer to the till.
        let late = seen.saturating_duration_since(done);
        match (expected.is_offline, expected.from) {
            (true, Origin::Till) => {
                self.figures.offline_seen = self.figures.offline_seen.max(Some(seen));
            }
            (true, Origin::File) => {}
            (false, Origin::Till) => self.figures.sale.push(late),
            (false, Origin::File) => self.figures.file.push(late),
        }
        if expected.from == Origin::Till {
            self.last_sale.insert(place.0.clone(), late);
        }
        self.expected.remove(place);
        shop.book().rest(&place.1);
    }

    fn is_now(&mut self, shop: String, confidence: String, at: Instant) {
        if let Some((silent, since)) = &self.silent
            && *silent == shop
            && confidence == "stale"
        {
            self.figures
                .stale_after
                .get_or_insert(at.saturating_duration_since(*since));
        }
        self.confidence.insert(shop, confidence);
    }
}

async fn text(response: reqwest::Response, path: &str) -> Result<String, DemoError> {
    let failed = |source| DemoError::Call {
        call: format!("GET {path}"),
        source,
    };
    let bytes = response.bytes().await.map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
