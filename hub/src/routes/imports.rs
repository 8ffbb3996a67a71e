//! `POST /v1/imports` and what became of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use vitrina_host::sign;

use crate::catalogue;
use crate::error::{ApiError, Code};
use crate::routes::Ask;
use crate::routes::ask::{json_of, not_found};
use crate::server::Hub;

/// The most bytes of a file.
const MAX_FILE_BYTES: u64 = 2 << 30;
/// The folder where a file lies until it is imported.
const SPOOL: &str = "spool";
const MAX_NAME_BYTES: usize = 200;

/// Takes a file: its body goes to disk as it comes, and is imported in the background.
pub(crate) async fn start(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let name = ask
        .text("name")
        .ok_or_else(|| ApiError::malformed("say the file's name: ?name=offers0_1.xml"))?;
    let name = plain_name(name)
        .ok_or_else(|| ApiError::malformed("name is a file's name, without folders"))?
        .to_owned();
    let folder = hub.core.data.join(SPOOL);
    let file = spool_path(&folder, &name)?;
    let by = ask.by();
    // Bytes keep coming.
    let piece_time = hub.core.config.limits.body.duration();
    let body = ask.body()?;
    if body.size_hint().lower() > MAX_FILE_BYTES {
        return Err(too_large());
    }
    let stored = store(&folder, &file, body, piece_time).await;
    if let Err(error) = stored {
        let _ = tokio::fs::remove_file(&file).await;
        return Err(error);
    }
    let id = catalogue::start(&hub.core, by, (&name, file)).await?;
    let place = format!("/v1/imports/{id}");
    let mut response = (
        StatusCode::ACCEPTED,
        json!({ "id": id, "state": "running" }).to_string(),
    )
        .into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

fn too_large() -> ApiError {
    ApiError::new(Code::PayloadTooLarge, "a file has at most 2 GiB")
}

/// The last part of what the caller calls the file.
fn plain_name(name: &str) -> Option<&str> {
    let name = name.rsplit(['/', '\\']).next()?.trim();
    let is_plain = !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && !name.starts_with('.')
        && !name
            .chars()
            .any(|c| c.is_control() || matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|'));
    is_plain.then_some(name)
}

fn spool_path(folder: &Path, name: &str) -> Result<PathBuf, ApiError> {
    let unique = sign::random_bytes::<8>().map_err(|error| ApiError::internal(&error))?;
    Ok(folder.join(format!("{}-{name}", sign::hex(&unique))))
}

async fn store(
    folder: &Path,
    file: &Path,
    mut body: Body,
    piece_time: Duration,
) -> Result<(), ApiError> {
    let io = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::StorageFull {
            return ApiError::new(Code::StorageFull, "");
        }
        ApiError::internal(&error)
    };
    tokio::fs::create_dir_all(folder).await.map_err(io)?;
    let mut out = tokio::fs::File::create_new(file).await.map_err(io)?;
    let mut bytes = 0_u64;
    loop {
        let piece = tokio::time::timeout(piece_time, body.frame()).await;
        let piece = match piece.map_err(|_| ApiError::too_late("the body stopped coming"))? {
            None => break,
            Some(Ok(piece)) => piece,
            Some(Err(_)) => return Err(ApiError::malformed("the body ended early")),
        };
        let Some(data) = piece.data_ref() else {
            continue;
        };
        bytes = bytes.saturating_add(data.len() as u64);
        if bytes > MAX_FILE_BYTES {
            return Err(too_large());
        }
        out.write_all(data).await.map_err(io)?;
    }
    if bytes == 0 {
        return Err(ApiError::malformed("the body is the file; it is empty"));
    }
    out.sync_all().await.map_err(io)
}

/// The latest imports.
pub(crate) async fn list(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let rows = hub.core.store.imports(ask.limit()?).await?;
    json_of(&ask.headers, &json!({ "items": rows, "next_cursor": null }))
}

/// One import.
pub(crate) async fn one(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    match hub.core.store.import(ask.name.clone()).await? {
        Some(row) => json_of(&ask.headers, &row),
        None => Ok(not_found("there is no such import")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_leave_the_folder() {
        assert_eq!(plain_name("offers0_1.xml"), Some("offers0_1.xml"));
        assert_eq!(plain_name("C:\\1C\\Выгрузка.csv"), Some("Выгрузка.csv"));
        assert_eq!(plain_name("../../etc/passwd"), Some("passwd"));
        for bad in ["", "..", "a/", ".hidden", "a:b", "a\nb"] {
            assert_eq!(plain_name(bad), None, "{bad:?}");
        }
    }
}
