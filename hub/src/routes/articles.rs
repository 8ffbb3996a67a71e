//! `GET /v1/articles/{article}` and `GET /v1/articles?id=`.

use std::hash::{DefaultHasher, Hasher};
use std::iter::once;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::error::{ApiError, Code};
use crate::routes::Ask;
use crate::routes::ask::{json_in_parts, mark, mark_as_of};
use crate::routes::stock::bodies;
use crate::server::Hub;
use crate::view::json;
use crate::view::ready::{Tag, Wanted, matches};

/// By the path.
pub(crate) async fn by_path(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    article(&hub, &ask, &ask.name).await
}

/// By the query: an article may have any characters.
pub(crate) async fn by_query(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let id = ask
        .text("id")
        .ok_or_else(|| ApiError::malformed("say which article: /v1/articles?id=ARTICLE"))?;
    article(&hub, &ask, id).await
}

async fn article(hub: &Hub, ask: &Ask, article: &str) -> Result<Response, ApiError> {
    ask.wait_for_min_cursor(hub).await?;
    let items = hub.view.article(article);
    let Some(first) = items.first() else {
        return Err(ApiError::new(Code::UnknownArticle, ""));
    };
    let name = items.iter().find_map(|item| item.face().name.clone());
    let answers: Vec<_> = items
        .iter()
        .map(|item| hub.view.answer(item, Wanted::tag_of(ask.channel())))
        .collect();
    let as_of = answers.iter().filter_map(|answer| answer.as_of).min();
    let mut hash = DefaultHasher::new();
    for answer in &answers {
        hash.write_u64(answer.tag.hash);
    }
    let tag = Tag::of(hash.finish());
    let known = ask
        .headers
        .get(header::IF_NONE_MATCH)
        .map(axum::http::HeaderValue::as_bytes);
    let mut response = if known.is_some_and(|known| matches(known, &tag.etag)) {
        let mut response = (StatusCode::NOT_MODIFIED, Body::empty()).into_response();
        mark(response.headers_mut(), false);
        response
    } else {
        let mut begin = br#"{"article":"#.to_vec();
        json::text(
            &mut begin,
            first.face().article.as_deref().unwrap_or(article),
        );
        begin.extend_from_slice(br#","name":"#);
        json::text_or_null(&mut begin, name.as_deref());
        begin.extend_from_slice(br#","items":["#);
        let parts = once(Bytes::from(begin))
            .chain(bodies(&hub.view, items, ask.channel()))
            .chain(once(Bytes::from_static(b"]}")));
        json_in_parts(&ask.headers, parts)
    };
    response.headers_mut().insert(header::ETAG, tag.etag);
    mark_as_of(response.headers_mut(), as_of);
    Ok(response)
}
