//! One shop of the demo: its agent, its line, its till's calls and its drop folder.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::book::Book;
use super::error::DemoError;
use super::goods::Place;
use super::line::Line;
use super::process::{Programs, Server};

/// A call of the local API takes no longer.
const CALL: Duration = Duration::from_secs(10);

/// A shop with its running agent.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) place: Place,
    pub(super) data: PathBuf,
    pub(super) line: Line,
    book: Mutex<Book>,
    server: Mutex<Option<Server>>,
    url: String,
    token: String,
    http: Client,
}

impl Shop {
    /// Enrols the agent of a place and starts it.
    pub(super) async fn start(
        place: Place,
        code: &str,
        hub: &str,
        programs: &Programs,
        http: Client,
    ) -> Result<Self, DemoError> {
        let data = programs.logs.join(&place.id);
        vitrina_host::os::create_private_dir(&data)?;
        let opening = DemoError::start("open a line to the hub");
        let line = Line::to(hub).await.map_err(opening)?;
        let enrol = ["enrol", "--hub", &line.url, "--code", code];
        programs.run("vitrina-agent", &data, &enrol).await?.ok()?;
        let server = programs.serve("vitrina-agent", &data, "run").await?;
        let token = data.join("terminal.token");
        let token = std::fs::read_to_string(&token).map_err(DemoError::file("read", token))?;
        Ok(Self {
            book: Mutex::new(Book::new(place.stock.clone())),
            url: server.url.clone(),
            server: Mutex::new(Some(server)),
            token: token.trim().to_owned(),
            place,
            data,
            line,
            http,
        })
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.place.id
    }

    /// The demo's own books of it.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call of the local API.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, String)>,
    ) -> Result<(StatusCode, Value), DemoError> {
        let call = format!("{method} {path} at {}", self.id());
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .timeout(CALL);
        if let Some((key, body)) = body {
            request = request
                .header("idempotency-key", key)
                .header("content-type", "application/json")
                .body(body);
        }
        let failed = |source| DemoError::Call {
            call: call.clone(),
            source,
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let body = response.bytes().await.map_err(failed)?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// How many movements the hub has not acknowledged.
    pub(super) async fn pending(&self) -> Result<u64, DemoError> {
        let (status, body) = self.call(Method::GET, "/v1/status", None).await?;
        let pending = body.get("pending").and_then(Value::as_u64);
        pending.ok_or_else(|| {
            DemoError::answer(
                format!("GET /v1/status at {}", self.id()),
                &format!("{status} {body}"),
            )
        })
    }

    /// Writes a file beside the drop folder and renames it in, as a careful 1C does.
    pub(super) fn drop_file(&self, name: &str, content: &[u8]) -> Result<(), DemoError> {
        let drop = self.data.join("drop");
        std::fs::create_dir_all(&drop).map_err(DemoError::file("make", &drop))?;
        let hidden = self.data.join(format!("{name}.writing"));
        std::fs::write(&hidden, content).map_err(DemoError::file("write", &hidden))?;
        std::fs::rename(&hidden, drop.join(name)).map_err(DemoError::file("rename", hidden))
    }

    /// The files that wait in the drop folder.
    pub(super) fn dropped(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.data.join("drop"))
            .into_iter()
            .flatten();
        let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        entries.flatten().map(name).collect()
    }

    /// Stops the agent as an admin does.
    pub(super) async fn stop(&self) -> Result<(), DemoError> {
        let server = self
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match server {
            Some(server) => server.stop(&format!("the agent of {}", self.id())).await,
            None => Ok(()),
        }
    }
}
