//! Every route of the hub, in one table: the router, who may call, and the description at `/openapi.json` are made
//! of it.

pub(crate) mod admin;
pub(crate) mod alerts;
mod articles;
pub(crate) mod ask;
mod audit;
pub(crate) mod batch;
mod changes;
mod explain;
mod health;
pub(crate) mod holds;
mod imports;
mod locations;
mod movements;
pub(crate) mod safety;
mod shop;
mod shops;
pub(crate) mod stock;
pub(crate) mod transfers;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Extension, Router};
use vitrina_host::tally::TooMuch;

use crate::auth::{self, ADMIN, Access, ERP, OFFICE, OFFICE_OR_ERP, WEBSITE};
use crate::error::{ApiError, Code};
use crate::server::untaken::hold;
use crate::server::{Hub, Peer, caught};

pub(crate) use ask::Ask;
pub(crate) use explain::explained_json;
pub(crate) use health::{describe, metrics};
pub(crate) use movements::movement_json;
pub(crate) use safety::rule_json;
pub(crate) use shops::shops_json;
pub(crate) use stock::{item_json, stock_list_json};

/// No answer takes longer: waits end at 30 s, agents' at 25 s.
const MAX_ANSWER: Duration = Duration::from_secs(35);

/// One route.
pub(crate) struct Route {
    /// The method.
    pub(crate) method: Method,
    /// The path, with `{names}`.
    pub(crate) path: &'static str,
    /// Who may call.
    pub(crate) access: Access,
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    /// The parameters of the query, with what they mean.
    pub(crate) query: &'static [(&'static str, &'static str)],
    /// The media type of the body, where there is one.
    pub(crate) body: Option<&'static str>,
    handler: MethodRouter<Arc<Hub>>,
}

const JSON: &str = "application/json";
const FRAME: &str = vitrina_shared::wire::CONTENT_TYPE;
const ANY: &str = "application/octet-stream";

const MIN_CURSOR: (&str, &str) = (
    "min_cursor",
    "wait until the answer contains this feed position",
);
const LIMIT: (&str, &str) = ("limit", "at most so many; 100 when not said, 1,000 at most");
const CURSOR: (&str, &str) = ("cursor", "the next_cursor of the page before");
const SHOP: (&str, &str) = ("shop", "only this shop");
const SINCE: (&str, &str) = ("since", "a cursor of the feed");
const WAIT: (&str, &str) = (
    "wait",
    "wait for so many seconds, at most 30, when there is nothing new",
);
const BARCODE: (&str, &str) = ("barcode", "only this barcode");

/// Every route.
#[expect(clippy::too_many_lines, reason = "one table")]
pub(crate) fn table() -> Vec<Route> {
    let mut routes = vec![
        get(
            "/v1/stock/{id}",
            WEBSITE,
            "One item by barcode, alias, UIN or external_id",
            stock::one,
        )
        .with(&[MIN_CURSOR]),
        get(
            "/v1/stock",
            WEBSITE,
            "Levels, by shop, article, city, size and distance",
            stock::list,
        )
        .with(&[
            SHOP,
            ("article", "only this article"),
            ("city", "only the shops of this city, in whatever case"),
            ("size", "only this size"),
            ("available", "true: only what can be promised"),
            (
                "near",
                "degrees north and east, such as 55.75,37.61: the nearest shops first",
            ),
            ("radius_km", "not farther than this from near"),
            LIMIT,
            CURSOR,
            MIN_CURSOR,
        ]),
        post(
            "/v1/stock/batch",
            WEBSITE,
            "Up to 500 items at once",
            batch::batch,
        )
        .body(JSON)
        .with(&[MIN_CURSOR]),
        get(
            "/v1/articles/{article}",
            WEBSITE,
            "All items of an article",
            articles::by_path,
        )
        .with(&[MIN_CURSOR]),
        get(
            "/v1/articles",
            WEBSITE,
            "The same for an article of any characters",
            articles::by_query,
        )
        .with(&[("id", "the article"), MIN_CURSOR]),
        get(
            "/v1/locations",
            WEBSITE,
            "The shops that the website shows",
            locations::locations,
        ),
        get(
            "/v1/changes",
            WEBSITE,
            "What changed since a cursor",
            changes::changes,
        )
        .with(&[SINCE, LIMIT, WAIT]),
        get(
            "/v1/snapshot",
            WEBSITE,
            "Every level; the header Vitrina-Cursor is where the feed goes on",
            changes::snapshot,
        ),
        post(
            "/v1/holds",
            WEBSITE,
            "Keeps a piece in a shop for an order; under the same Idempotency-Key once",
            holds::place,
        )
        .body(JSON),
        get("/v1/holds/{id}", WEBSITE, "A hold and its legs", holds::one).with(&[MIN_CURSOR]),
        on_method(
            Method::DELETE,
            "/v1/holds/{id}",
            WEBSITE,
            "Lets a hold go",
            holds::release,
        ),
        post(
            "/v1/holds/{id}/extend",
            WEBSITE,
            "Keeps a hold until so many seconds from now",
            holds::extend,
        )
        .body(JSON),
        get("/v1/shops", OFFICE, "Every shop and how it is", shops::list),
        get(
            "/v1/movements",
            OFFICE_OR_ERP,
            "The merged history; with since the feed of it",
            movements::movements,
        )
        .with(&[
            SHOP,
            BARCODE,
            ("type", "only this type"),
            ("from", "not before this time"),
            ("to", "before this time"),
            LIMIT,
            CURSOR,
            SINCE,
            WAIT,
        ]),
        get(
            "/v1/explain/{barcode}",
            OFFICE,
            "How a number came about",
            explain::explain,
        )
        .with(&[SHOP]),
        get(
            "/v1/quarantine",
            OFFICE,
            "Records that shops hold back",
            explain::quarantine,
        )
        .with(&[SHOP]),
        get(
            "/v1/disagreements",
            OFFICE,
            "Where a shop's 1C and its ledger disagree",
            explain::disagreements,
        )
        .with(&[SHOP]),
    ];
    routes.extend(safety_stock());
    routes.extend(transfers());
    routes.extend(alerts());
    routes.extend(writes_and_service());
    routes
}

/// What is kept back from web orders.
fn safety_stock() -> Vec<Route> {
    const OF: [(&str, &str); 3] = [
        SHOP,
        ("article", "only the barcodes of this article"),
        BARCODE,
    ];
    vec![
        get(
            "/v1/safety",
            OFFICE,
            "What is kept back from web orders, in the order in which it was first said",
            safety::list,
        )
        .with(&[SHOP, LIMIT, CURSOR]),
        on_method(
            Method::PUT,
            "/v1/safety",
            OFFICE,
            "Keeps so many units of each level back: of a barcode, an article or everything, in a shop or in all",
            safety::set,
        )
        .body(JSON),
        on_method(
            Method::DELETE,
            "/v1/safety",
            OFFICE,
            "Takes such a rule away",
            safety::remove,
        )
        .with(&OF),
    ]
}

/// Pieces between two shops.
fn transfers() -> Vec<Route> {
    vec![
        post(
            "/v1/transfers",
            OFFICE,
            "Asks a shop to send a piece to another; under the same Idempotency-Key once",
            transfers::request,
        )
        .body(JSON),
        post(
            "/v1/holds/{id}/transfer",
            OFFICE,
            "Asks the shop that keeps an order's piece to send it on: the hold goes with it",
            holds::transfer,
        )
        .body(JSON),
        get(
            "/v1/transfers",
            OFFICE,
            "Pieces on their way from shop to shop, the latest heard of first",
            transfers::list,
        )
        .with(&[
            ("shop", "only those that this shop sends or gets"),
            (
                "state",
                "requested (asked for, not sent yet), in_transit, partial, received, damaged, other_than_sent, not_sent, cancelled; open: all for which somebody waits; all",
            ),
            ("older_than_s", "only what left, or was asked for, more than so many seconds ago"),
            LIMIT,
            CURSOR,
        ]),
        get(
            "/v1/transfers/{id}",
            OFFICE,
            "One of them, with its movements",
            transfers::one,
        ),
    ]
}

/// What people must look at.
fn alerts() -> Vec<Route> {
    vec![
        get(
            "/v1/alerts",
            OFFICE,
            "What people must look at, the latest opened first",
            alerts::list,
        )
        .with(&[
            (
                "state",
                "open, acknowledged, snoozed, resolved or all; all but resolved when not said",
            ),
            ("kind", "only this kind, such as negative_stock"),
            SHOP,
            ("owner", "only this person's"),
            LIMIT,
            CURSOR,
        ]),
        get(
            "/v1/alerts/{id}",
            OFFICE,
            "One of them, with all that happened to it",
            alerts::one,
        ),
        post(
            "/v1/alerts/{id}/acknowledge",
            OFFICE,
            "Somebody is at it",
            alerts::acknowledge,
        )
        .body(JSON),
        post(
            "/v1/alerts/{id}/snooze",
            OFFICE,
            "Not before a moment (until) or so many seconds (for_s)",
            alerts::snooze,
        )
        .body(JSON),
        post(
            "/v1/alerts/{id}/resolve",
            OFFICE,
            "It is done",
            alerts::resolve,
        )
        .body(JSON),
    ]
}

#[expect(clippy::too_many_lines, reason = "one table")]
fn writes_and_service() -> Vec<Route> {
    vec![
        post(
            "/v1/enrol",
            Access::Shop,
            "A one-time code becomes a credential",
            shop::enrol,
        )
        .body(FRAME),
        post(
            "/v1/exchange",
            Access::Shop,
            "An agent's exchange",
            shop::exchange,
        )
        .body(FRAME),
        post(
            "/v1/imports",
            ERP,
            "The ERP's catalogue, prices and aliases",
            imports::start,
        )
        .body(ANY)
        .with(&[("name", "the file's name, such as offers0_1.xml")]),
        get("/v1/imports", ERP, "The latest imports", imports::list).with(&[LIMIT]),
        get(
            "/v1/imports/{id}",
            ERP,
            "What became of an import",
            imports::one,
        ),
        post(
            "/v1/shops",
            ADMIN,
            "Adds a shop and gives its one-time code",
            admin::add_shop,
        )
        .body(JSON),
        post(
            "/v1/keys",
            ADMIN,
            "Makes a key and shows it once",
            admin::add_key,
        )
        .body(JSON),
        get(
            "/v1/keys",
            ADMIN,
            "The keys, without their secrets",
            admin::keys,
        ),
        on_method(
            Method::DELETE,
            "/v1/keys/{name}",
            ADMIN,
            "Ends a key",
            admin::revoke_key,
        ),
        get(
            "/v1/audit",
            ADMIN,
            "Who changed what at the hub, the latest first",
            audit::list,
        )
        .with(&[("since", "not before this time"), SHOP, LIMIT, CURSOR]),
        get("/healthz", Access::Open, "The program runs", health::alive),
        get(
            "/readyz",
            Access::Open,
            "The program answers",
            health::ready,
        ),
        get(
            "/metrics",
            OFFICE,
            "What is counted, as OpenMetrics",
            health::metrics,
        ),
        get(
            "/openapi.json",
            Access::Open,
            "This description",
            health::openapi,
        ),
    ]
}

fn get<H, T>(path: &'static str, access: Access, summary: &'static str, handler: H) -> Route
where
    H: Handler<T, Arc<Hub>>,
    T: 'static,
{
    on_method(Method::GET, path, access, summary, handler)
}

fn post<H, T>(path: &'static str, access: Access, summary: &'static str, handler: H) -> Route
where
    H: Handler<T, Arc<Hub>>,
    T: 'static,
{
    on_method(Method::POST, path, access, summary, handler)
}

fn on_method<H, T>(
    method: Method,
    path: &'static str,
    access: Access,
    summary: &'static str,
    handler: H,
) -> Route
where
    H: Handler<T, Arc<Hub>>,
    T: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
    Route {
        method,
        path,
        access,
        summary,
        query: &[],
        body: None,
        handler: on(filter, handler),
    }
}

impl Route {
    fn with(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    fn body(self, media_type: &'static str) -> Self {
        Self {
            body: Some(media_type),
            ..self
        }
    }

    /// Imports are as long as they are; all else ends.
    fn takes_long(&self) -> bool {
        self.body == Some(ANY)
    }
}

/// What stands before a route's handler.
#[derive(Clone)]
struct Guard {
    hub: Arc<Hub>,
    access: Access,
    takes_long: bool,
}

/// The router of the table.
pub(crate) fn router(hub: &Arc<Hub>) -> Router {
    let mut router = Router::new();
    for route in table() {
        let guard = Guard {
            hub: Arc::clone(hub),
            access: route.access,
            takes_long: route.takes_long(),
        };
        router = router.route(
            route.path,
            route
                .handler
                .route_layer(middleware::from_fn_with_state(guard, watch)),
        );
    }
    router
        .fallback(async || ApiError::new(Code::NotFound, "GET /openapi.json lists what there is"))
        .method_not_allowed_fallback(async || ApiError::new(Code::MethodNotAllowed, ""))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(hub))
}

/// Decides whether the call may be made, and ends one that panics or does not end.
async fn watch(
    axum::extract::State(guard): axum::extract::State<Guard>,
    peer: Option<Extension<Peer>>,
    mut request: Request,
    next: Next,
) -> Response {
    let keys = &guard.hub.core.keys;
    let mut caller = None;
    match auth::authorize(keys, guard.access, request.headers()) {
        Ok(None) => {}
        Ok(Some(principal)) => {
            if let Some(Extension(peer)) = &peer {
                peer.pulse.prove();
            }
            request.extensions_mut().insert(principal.clone());
            caller = Some(principal);
        }
        Err(error) => {
            guard.hub.refusals.count(error.code().word());
            let peer = peer.as_ref().map(|Extension(peer)| peer);
            return failed(&guard.hub, peer, error).into_response();
        }
    }
    let work = caught(next.run(request));
    let work = async {
        match &caller {
            None => work.await,
            Some(caller) => tokio::select! {
                biased;
                done = work => done,
                // Whoever waits for news does not get them with a key that was ended meanwhile.
                () = keys.ended(caller) => Some(ApiError::new(Code::Revoked, "").into_response()),
            },
        }
    };
    let done = if guard.takes_long {
        Ok(work.await)
    } else {
        tokio::time::timeout(MAX_ANSWER, work).await
    };
    match done {
        Ok(Some(response)) => {
            if guard.access == Access::Shop {
                note_refusal(&guard.hub, &response);
            }
            let Some(caller) = &caller else {
                return response;
            };
            let peer = peer.as_ref().map(|Extension(peer)| peer);
            hold(&guard.hub, caller, peer, response).unwrap_or_else(IntoResponse::into_response)
        }
        Ok(None) => ApiError::new(Code::InternalError, "").into_response(),
        Err(_) => ApiError::new(Code::NotReady, "the answer took too long").into_response(),
    }
}

/// A call that failed to show who makes it: the error it gets, which says less to who fails too often.
pub(crate) fn failed(hub: &Hub, peer: Option<&Peer>, error: ApiError) -> ApiError {
    if !matches!(error.code(), Code::Unauthorized | Code::Revoked) {
        return error;
    }
    let address = peer.map(|peer| peer.address);
    let counted = address.filter(|address| !hub.core.config.limits.is_proxy(*address));
    match counted.map_or(Ok(()), |address| hub.core.callers.failed(address)) {
        Ok(()) => error,
        Err(TooMuch(seconds)) => {
            ApiError::new(Code::RateLimited, "too many calls without a valid key")
                .retry_after(seconds)
        }
    }
}

/// A shop proves itself in the body, behind the guard.
fn note_refusal(hub: &Hub, response: &Response) {
    match response.status() {
        StatusCode::UNAUTHORIZED => hub.refusals.count("shop_unauthorized"),
        StatusCode::FORBIDDEN => hub.refusals.count("shop_forbidden"),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
