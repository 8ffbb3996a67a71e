//! `/v1/safety`: what is kept back from web orders.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use vitrina_shared::ShopId;
use vitrina_shared::safety::Goods;

use crate::error::ApiError;
use crate::routes::Ask;
use crate::routes::ask::{json_of, mark_cursor};
use crate::safety::{self, Done, Named};
use crate::server::Hub;

/// A rule to be set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    shop: Option<ShopId>,
    article: Option<String>,
    barcode: Option<String>,
    units: u32,
}

/// A page of rules.
pub(crate) async fn list(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let shop = ask.read::<ShopId>("shop", "a shop's id")?;
    let after = ask.read::<i64>("cursor", "the next_cursor of the page before")?;
    let store = &hub.core.store;
    let page = store.safety(shop, after.unwrap_or(0), ask.limit()?).await?;
    let next = page.next.map(|next| next.to_string());
    json_of(
        &ask.headers,
        &json!({ "items": page.rows, "next_cursor": next }),
    )
}

/// Sets a rule; saying it again changes nothing.
pub(crate) async fn set(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let (headers, by) = (ask.headers.clone(), ask.by());
    let rule: Rule = ask.json().await?;
    let named = Named {
        shop: rule.shop,
        article: rule.article,
        barcode: rule.barcode,
    };
    let done = safety::set(&hub.core, by, named, Some(rule.units)).await?;
    let mut response = json_of(&headers, &rule_json(&done, Some(rule.units)))?;
    mark_cursor(&mut response, hub.view.cursor(hub.view.head().pos));
    Ok(response)
}

/// Takes a rule away; twice is once.
pub(crate) async fn remove(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let named = Named {
        shop: ask.read::<ShopId>("shop", "a shop's id")?,
        article: ask.text("article").map(str::to_owned),
        barcode: ask.text("barcode").map(str::to_owned),
    };
    let done = safety::set(&hub.core, ask.by(), named, None).await?;
    let mut response = json_of(&ask.headers, &rule_json(&done, None))?;
    mark_cursor(&mut response, hub.view.cursor(hub.view.head().pos));
    Ok(response)
}

/// What became of a rule, as the interface shows it.
pub(crate) fn rule_json(done: &Done, units: Option<u32>) -> Value {
    let (article, barcode) = match &done.scope.goods {
        Goods::All => (None, None),
        Goods::Article(article) => (Some(&**article), None),
        Goods::Barcode(barcode) => (None, Some(barcode.as_str())),
    };
    json!({
        "shop": done.scope.shop,
        "article": article,
        "barcode": barcode,
        "units": units,
        "units_before": done.before,
        "told": done.is_told,
    })
}
