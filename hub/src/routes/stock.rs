//! `GET /v1/stock/{id}` and `GET /v1/stock`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::Full;
use serde_json::Value;
use vitrina_shared::ShopId;
use vitrina_shared::stock::Channel;

use crate::auth::LastShown;
use crate::error::ApiError;
use crate::routes::Ask;
use crate::routes::ask::{json_answer, mark, mark_as_of, takes_gzip};
use crate::server::Hub;
use crate::view::View;
use crate::view::item::Item;
use crate::view::list::{Place, StockQuery};
use crate::view::ready::{Answer, Wanted};

/// One item.
pub(crate) async fn one(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    ask.wait_for_min_cursor(&hub).await?;
    let item = hub.view.find(&ask.name)?;
    let wanted = wanted(&ask.headers, ask.channel());
    let response = item_response(hub.view.answer(&item, wanted));
    Ok(response.map(Body::new))
}

/// The same without the router, for the one call that the website makes all day: a plain barcode and a good key.
/// Nothing when it is another call, or one that fails.
pub(crate) fn fast<B>(
    hub: &Hub,
    last_shown: &LastShown,
    request: &Request<B>,
) -> Option<Response<Full<Bytes>>> {
    let id = request.uri().path().strip_prefix("/v1/stock/")?;
    let is_plain = request.method() == Method::GET
        && request.uri().query().is_none()
        && !id.is_empty()
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_plain || id == "batch" {
        return None;
    }
    let channel = last_shown.may_read(&hub.core.keys, request.headers())?;
    let item = hub.view.item(id).filter(|item| item.is_known())?;
    let wanted = wanted(request.headers(), channel);
    Some(item_response(hub.view.answer(&item, wanted)))
}

/// The items' answers to a channel with commas between, each made when it is asked for.
pub(crate) fn bodies(
    view: &Arc<View>,
    items: Vec<Arc<Item>>,
    channel: Channel,
) -> impl Iterator<Item = Bytes> + Send + Unpin + use<> {
    let view = Arc::clone(view);
    items.into_iter().enumerate().flat_map(move |(at, item)| {
        let comma: &[u8] = if at > 0 { b"," } else { b"" };
        let body = view.answer(&item, Wanted::body_for(channel)).body;
        [Bytes::from_static(comma), body.unwrap_or_default()]
    })
}

fn wanted(headers: &HeaderMap, channel: Channel) -> Wanted<'_> {
    Wanted {
        none_match: headers
            .get(header::IF_NONE_MATCH)
            .map(HeaderValue::as_bytes),
        gzip: takes_gzip(headers),
        channel,
    }
}

fn item_response(answer: Answer) -> Response<Full<Bytes>> {
    let is_modified = answer.body.is_some();
    let mut response = Response::new(Full::new(answer.body.unwrap_or_default()));
    if !is_modified {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.reserve(8);
    mark(headers, answer.is_gzip);
    if is_modified {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    }
    headers.insert(header::ETAG, answer.tag.etag);
    mark_as_of(headers, answer.as_of);
    response
}

/// Pages of levels.
pub(crate) async fn list(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    ask.wait_for_min_cursor(&hub).await?;
    let query = query(&ask)?;
    let view = Arc::clone(&hub.view);
    let turn = Arc::clone(&hub.core.searching).acquire_owned().await;
    // A filter that matches little looks at every level: not on a thread that answers others.
    let page = tokio::task::spawn_blocking(move || {
        let page = view.list(&query);
        drop(turn);
        page
    })
    .await;
    Ok(json_answer(
        &ask.headers,
        page.map_err(|error| ApiError::internal(&error))??,
    ))
}

fn query(ask: &Ask) -> Result<StockQuery, ApiError> {
    let near = match ask.text("near") {
        None => None,
        Some(text) => Some(
            point(text)
                .ok_or_else(|| ApiError::malformed("near is two numbers such as 55.75,37.61"))?,
        ),
    };
    let radius_km: Option<f64> = ask.read("radius_km", "a number of kilometres")?;
    if radius_km.is_some_and(|km| !km.is_finite() || km < 0.0) {
        return Err(ApiError::malformed("radius_km is a number of kilometres"));
    }
    if radius_km.is_some() && near.is_none() {
        return Err(ApiError::malformed("radius_km needs near"));
    }
    Ok(StockQuery {
        shop: ask.read::<ShopId>("shop", "a shop's id")?,
        article: ask.text("article").map(str::to_owned),
        city: ask.text("city").map(str::to_owned),
        size: ask.text("size").map(str::to_owned),
        available: ask.read("available", "true or false")?.unwrap_or(false),
        channel: ask.channel(),
        near,
        radius_km,
        limit: ask.limit()?,
        after: ask.text("cursor").map(str::parse::<Place>).transpose()?,
    })
}

fn point(text: &str) -> Option<(f64, f64)> {
    let (lat, lon) = text.split_once(',')?;
    let (lat, lon): (f64, f64) = (lat.trim().parse().ok()?, lon.trim().parse().ok()?);
    ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon)).then_some((lat, lon))
}

/// One item as JSON, for commands.
pub(crate) fn item_json(view: &View, id: &str) -> Result<Value, ApiError> {
    let item = view.find(id)?;
    read_back(
        &view
            .answer(&item, Wanted::default())
            .body
            .unwrap_or_default(),
    )
}

/// A page of levels as JSON, for commands.
pub(crate) fn stock_list_json(view: &View, query: &StockQuery) -> Result<Value, ApiError> {
    read_back(&view.list(query)?)
}

fn read_back(json: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(json).map_err(|error| ApiError::internal(&error))
}
