//! `GET /v1/locations`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::error::ApiError;
use crate::routes::Ask;
use crate::routes::ask::{json_answer, mark_as_of};
use crate::server::Hub;
use crate::view::flat;

/// The shops that the website shows; all of them, a chain has hundreds.
pub(crate) async fn locations(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let mut shops = hub.view.board.all();
    shops.retain(|cell| cell.is_shown());
    shops.sort_by(|left, right| left.shop.cmp(&right.shop));
    let mut out = br#"{"items":["#.to_vec();
    for (at, cell) in shops.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        flat::location(&mut out, cell);
    }
    out.extend_from_slice(br#"],"next_cursor":null}"#);
    let mut response = json_answer(&ask.headers, out);
    mark_as_of(
        response.headers_mut(),
        shops.iter().filter_map(|cell| cell.as_of()).min(),
    );
    Ok(response)
}
